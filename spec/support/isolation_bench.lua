--- What one partner whose script misbehaves costs fifty good ones: their p99 from an event's POST to
-- the attempt's arrival, without and with it, in alternation.
--   MOONPOST_BUILD=build TMPDIR=/dev/shm luajit spec/support/isolation_bench.lua [rounds [seconds [mode …]]]
-- A run is made again while other programs use more than 15 % of a processor (MOONPOST_DISTURBED=0.15).
-- In a memory file system the disk's own pauses are not measured.
package.path = "./?.lua;./?/init.lua;" .. package.path
local uv = require("luv")
local runtime = require("spec.support.runtime")

local ROUNDS, SECONDS = tonumber(arg[1]) or 3, tonumber(arg[2]) or 10
local wanted = { unpack(arg, 3) }
local GOOD, RATE, BAD_RATE, CONNECTIONS = 50, 1000, 20, 8
local ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local LOOP = "while true do end"

-- A name, the script's fields, and what else is done meanwhile.
local modes = {
  { "nothing at all", "" },
  { "a loop in accepts", "accepts = function() " .. LOOP .. " end" },
  { "a loop in request", "request = function() " .. LOOP .. " end" },
  { "a loop in verdict", "verdict = function() " .. LOOP .. " end" },
  { "a loop in verdict after 200 good ones", "verdict = (function() local n = 0 return function() n = n + 1 if n > 200 then " .. LOOP .. " end end end)()", rate = 200 },
  { "45 ms in each verdict after 200 quick ones", "verdict = (function() local n = 0 return function() n = n + 1 if n > 200 then "
    .. "for i = 1, 8e6 do n = n + 1 end end end end)()", rate = 200 },
  { "a loop in xpcall's handler", "headers = { X = function() xpcall(error, function() " .. LOOP .. " end) end }" },
  { "a loop of pcalls", "accepts = function() while true do pcall(function() " .. LOOP .. " end) end end" },
  { "a loop in a comparator", "accepts = function() table.sort({ 3, 2, 1 }, function() " .. LOOP .. " end) end" },
  { "patterns that explode", "accepts = function() while true do pcall(string.find, ('a'):rep(2000), '.-.-.-b') end end" },
  { "plain finds of megabytes", "accepts = function() local s = ('a'):rep(1e6) while true do s:find(('a'):rep(5e5) .. 'b', 1, true) end end" },
  { "a string bomb", "accepts = function() return #('x'):rep(1e9) > 0 end" },
  { "a table bomb", "accepts = function() local t = {} while true do t[#t + 1] = {} end end" },
  { "recursion through gsub", "accepts = function() local function f(s) return (s:gsub('.', f)) end f('x') end" },
  { "errors that are tables", "request = function() error({}) end" },
  { "line breaks in headers", "request = function(_, request) request.headers['a\\r\\nb'] = 'c' end" },
  { "40 ms each time, never over the budget", "accepts = function() local n = 0 for i = 1, 8e6 do n = n + i end return true end" },
  { "15 MiB of memory each time", "accepts = function() local t = {} for i = 1, 14 do t[i] = ('x'):rep(1e6) .. i end return true end" },
  { "a flood of lines", "accepts = function() for i = 1, 2000 do log(i) end return true end", rate = 100 },
  { "bodies of 8 MB", "method = 'POST', body = { v = function() return ('x'):rep(8e6) end }", rate = 5 },
  { "no script, but a busy process that yields", "", command = "exec chrt -i 0 sh -c 'while :; do :; done'" },
  { "a file that loops as it loads, saved once a second", "", load = LOOP },
}

local function percentile(list, share)
  table.sort(list)
  return list[math.max(1, math.ceil(#list * share))] or 0 / 0
end

local function median(list)
  local copy = { unpack(list) }
  return percentile(copy, 0.5)
end

-- The partner: it knows one request from the next by their blank line, and answers.
local arrived, disturbed = {}, 0
local function serve(tcp)
  local rest, left = "", 0
  tcp:nodelay(true)
  tcp:read_start(function(_, bytes)
    if not bytes then
      return tcp:close()
    end
    while #bytes > 0 do
      if left > 0 then
        local skipped = math.min(left, #bytes)
        left, bytes = left - skipped, bytes:sub(skipped + 1)
        if left == 0 then
          tcp:write(ANSWER)
        end
      else
        rest = rest .. bytes
        local _, stop = rest:find("\r\n\r\n", 1, true)
        if not stop then
          return
        end
        local head = rest:sub(1, stop)
        rest, bytes = "", rest:sub(stop + 1)
        left = tonumber(head:match("\r\n[Cc]ontent%-[Ll]ength: (%d+)")) or 0
        local number = head:match("^%u+ /g%?n=(%d+)")
        if number then
          arrived[tonumber(number)] = uv.hrtime()
        end
        if left == 0 then
          tcp:write(ANSWER)
        end
      end
    end
  end)
end

local listener = uv.new_tcp()
assert(listener:bind("127.0.0.1", 0))
assert(listener:listen(1024, function()
  local tcp = uv.new_tcp()
  listener:accept(tcp)
  serve(tcp)
end))
local port = listener:getsockname().port

-- The producer.
local senders, sent_at, last = {}, {}, 0
local function connect(rt)
  for i = 1, CONNECTIONS do
    local tcp = uv.new_tcp()
    tcp:connect("127.0.0.1", rt.port, function(err)
      assert(not err, err)
      tcp:nodelay(true)
      tcp:read_start(function(_, bytes)
        if bytes and bytes:find("HTTP/1.1 [^2]") then
          error(bytes)
        end
      end)
      senders[i] = tcp
    end)
  end
  while #senders < CONNECTIONS do
    uv.run("once")
  end
end

local function post(partner, body)
  last = last + 1
  body = body or ("{\"n\":%d}"):format(last)
  sent_at[last] = uv.hrtime()
  senders[last % CONNECTIONS + 1]:write(("POST /events/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    .. "Content-Length: %d\r\n\r\n%s"):format(partner, #body, body))
end

local function turn(ms)
  local over = false
  local timer = uv.new_timer()
  timer:start(ms, 0, function() over = true end)
  while not over do
    uv.run("once")
  end
  timer:close()
end

-- Posts for `SECONDS` and gives the delays of the good ones in ms.
local function run(bad, rate, each_tick)
  arrived, sent_at, last = {}, {}, 0
  local good, hostile, began = {}, 0, uv.hrtime()
  local timer = uv.new_timer()
  timer:start(0, 1, function()
    local seconds = (uv.hrtime() - began) / 1e9
    if seconds > SECONDS then
      return timer:stop()
    end
    while #good < seconds * RATE do
      post("good" .. #good % GOOD + 1)
      good[#good + 1] = last
    end
    while bad and hostile < seconds * rate do
      hostile = hostile + 1
      post("bad", "{\"a\":1}")
    end
    if each_tick then
      each_tick(seconds)
    end
  end)
  local missing
  for _ = 1, 600 do
    turn(100)
    missing = 0
    for _, number in ipairs(good) do
      missing = missing + (arrived[number] and 0 or 1)
    end
    if not timer:is_active() and missing == 0 then
      break
    end
  end
  timer:close()
  local delays = {}
  for _, number in ipairs(good) do
    delays[#delays + 1] = arrived[number] and (arrived[number] - sent_at[number]) / 1e6 or nil
  end
  assert(missing == 0, missing .. " events of good partners did not arrive")
  return delays
end

-- The processor seconds of the machine, and those of us and of Moonpost.
local function used(rt)
  local function field_sum(path, pattern, from, to)
    local file = assert(io.open(path))
    local sum, at = 0, 0
    for number in file:read("*a"):match(pattern):gmatch("%S+") do
      at = at + 1
      sum = sum + (at >= from and at <= to and tonumber(number) or 0)
    end
    file:close()
    return sum / 100
  end
  local busy = field_sum("/proc/stat", "^cpu +(.-)\n", 1, 3) + field_sum("/proc/stat", "^cpu +(.-)\n", 6, 8)
  local own = 0
  for _, pid in ipairs({ "self", rt.child.pid }) do
    own = own + field_sum(("/proc/%s/stat"):format(pid), "%) (.*)", 12, 13)
  end
  return busy, own
end

-- Again while others use the machine: for as long as they do, ten times at most.
local function undisturbed(rt, body, is_ours)
  local share, result
  for _ = 1, 10 do
    local busy, own = used(rt)
    local began = uv.hrtime()
    result = body()
    local busy_now, own_now = used(rt)
    share = ((busy_now - busy) - (own_now - own)) / ((uv.hrtime() - began) / 1e9)
    if share < (tonumber(os.getenv("MOONPOST_DISTURBED")) or 0.15) or is_ours then
      return result
    end
    disturbed = disturbed + 1
  end
  return result
end

local function url(path)
  return ("url = \"http://127.0.0.1:%d%s\", "):format(port, path)
end

local generation = 0
local function write_bad(rt, text)
  generation = generation + 1
  rt:write_script("bad", ("-- %d\n%s"):format(generation, text))
end

-- A generation of its own each time, so that it begins unknown and not paused.
local function run_beside(rt, mode)
  local saved = 0
  write_bad(rt, ("return { %s%s }"):format(url("/b"), mode[2]))
  local burner = mode.command and assert(uv.spawn("/bin/sh", { args = { "-c", mode.command } }, function() end))
  turn(400)
  local delays = run(true, mode.rate or BAD_RATE, mode.load and function(seconds)
    if seconds > saved then
      saved = saved + 1
      write_bad(rt, mode.load)
    end
  end)
  if burner then
    burner:kill("sigkill")
  end
  return delays
end

local function measure(rt, mode)
  local ratios, alone, beside, worst = {}, {}, {}, 0
  for round = 1, ROUNDS do
    write_bad(rt, "return { " .. url("/b") .. "}")
    turn(700) -- the old one's work ends
    local without = undisturbed(rt, function() return run(false) end)
    local with = undisturbed(rt, function() return run_beside(rt, mode) end, mode.command)
    alone[round], beside[round] = percentile(without, 0.99), percentile(with, 0.99)
    ratios[round] = beside[round] / alone[round]
    worst = math.max(worst, with[#with])
  end
  print(("%-58s %6.2f ms %6.2f ms  %5.2fx  %6.1f ms"):format(mode[1], median(alone), median(beside), median(ratios), worst))
  io.stdout:flush()
end

local hook = "accepts = function(event) return event.n ~= nil end, request = function(event, request) request.query.v = event.n end, "
  .. "verdict = function(response) if response.status == 200 then return 'delivered' end end"
local scripts = { bad = "return { " .. url("/b") .. "}" }
for i = 1, GOOD do
  scripts["good" .. i] = ("return { %s%s }"):format(url("/g?n={n}"), hook)
end
local rt = runtime.start({ scripts = scripts })
rt:expect_error("bad")
connect(rt)
print(("%d good partners, %d events/s; medians of %d rounds of %d s"):format(GOOD, RATE, ROUNDS, SECONDS))
print(("%-58s %9s %9s %7s %9s"):format("beside one with", "p99 alone", "beside", "ratio", "worst"))
run(false)
for _, mode in ipairs(modes) do
  local is_wanted = #wanted == 0
  for _, word in ipairs(wanted) do
    is_wanted = is_wanted or mode[1]:find(word, 1, true) ~= nil
  end
  if is_wanted then
    measure(rt, mode)
  end
end
print(("%d runs were made again: something else used the machine"):format(disturbed))
rt:stop(60000)
runtime.clean()
for _, tcp in ipairs(senders) do
  tcp:close()
end
listener:close()
uv.run("nowait")
