--- SIGTERM: no new work, what is in flight ends, the rest waits for the next start.
local support = require("spec.support")
local eventually, http, partner, runtime = support.eventually, support.http, support.partner, support.runtime

local count = 500

local function start(flags)
  local is_hanging = true
  local fake = partner.new({ handler = function() return is_hanging and { hang = true } or 200 end })
  local rt = runtime.start({ flags = flags, scripts = {
    acme = ('return { method = "POST", url = "%s", limits = { concurrency = 2 } }'):format(fake:url("/hook")),
  } })
  local ids = rt:accept("/events/acme", "[" .. ("{},"):rep(count - 1) .. "{}]")
  eventually(function() return #fake.requests == 2 end, nil, "two requests in flight")
  return rt, fake, ids, function() is_hanging = false end
end

local function wait_until_refused(rt)
  eventually(function()
    return not pcall(http.request, { url = rt:url("/healthz"), deadline_ms = 2000 })
  end, nil, "a closed port")
end

-- What a process has used so far; nil when it has ended.
local function cpu_ms(pid)
  local file = io.open(("/proc/%d/stat"):format(pid))
  local text = file and file:read("*a")
  if file then
    file:close()
  end
  local state, user, system = (text or ""):match("%) (%a)" .. (" %S+"):rep(10) .. " (%d+) (%d+)")
  return state and state ~= "Z" and (tonumber(user) + tonumber(system)) * 10 or nil
end

local function assert_each_arrived(fake, ids)
  for _, id in ipairs(ids) do
    eventually(function() return fake:count(id, "id") >= 1 end, nil, "delivery " .. id)
  end
end

describe("SIGTERM", function()
  after_each(support.clean)

  it("finishes what is in flight, leaves the rest queued, and exits 0", function()
    local rt, fake, ids, wake = start({ "--drain", "30s" })
    rt:terminate()
    wait_until_refused(rt)
    -- A delivery or two may still begin before its thread has heard of the end; they must not hang.
    wake()
    fake:release()
    rt:stop()
    local finished = #fake.requests
    assert.is_true(finished >= 2 and finished < count, finished .. " requests before the end")
    assert.equal(finished, #rt:attempts())
    for _, line in ipairs(rt:attempts()) do
      assert.equal("delivered", line.verdict)
    end
    rt:restart()
    assert_each_arrived(fake, ids)
    rt:stop()
    assert.equal(count, #fake.requests)
  end)

  it("waits no longer than --drain, and what was cut off is sent again", function()
    local rt, fake, ids, wake = start({ "--drain", "1s" })
    rt:stop()
    wake()
    rt:restart()
    assert_each_arrived(fake, ids)
    eventually(function() return rt:partner("acme").waiting == 0 end, nil, "an empty queue")
    assert.equal("1", fake.requests[#fake.requests].headers["moonpost-attempt"])
  end)

  it("leaves what waits alone while it drains", function()
    local rt = start({ "--drain", "2s" })
    local pid = rt.child.pid
    rt:terminate()
    rt.child:wait_for("draining")
    local before, used_ms = cpu_ms(pid), 0
    eventually(function()
      local now = cpu_ms(pid)
      used_ms = now and now - before or used_ms
      return not now
    end, nil, "the end")
    -- Given out and parked in turns until the end it would be most of two seconds.
    assert.is_true(used_ms < 400, used_ms .. " ms of CPU")
    rt:stop()
  end)

  it("answers the request that is being read, and closes idle connections", function()
    local rt = runtime.start({ scripts = { acme = 'return { url = "http://127.0.0.1:1/" }' } })
    local idle = http.connect(rt:url("/"))
    idle:send("GET", "/healthz")
    assert.equal(200, idle:read().status)
    local busy = http.raw(rt:url("/"), "POST /events/acme HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
      .. "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n")
    assert.equal(100, busy:read().status)
    rt:terminate()
    idle:wait_closed()
    -- Not read to its end, so not taken: the producer is told to come back.
    local answer = busy:read()
    assert.equal(503, answer.status)
    assert.is_truthy(answer.headers["retry-after"])
    busy:wait_closed()
    rt:stop()
  end)
end)
