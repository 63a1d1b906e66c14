--- The worst of scripts in a running Moonpost, and three good partners beside them.
local support = require("spec.support")
local eventually, partner, runtime = support.eventually, support.partner, support.runtime
local patience = tonumber(os.getenv("MOONPOST_PATIENCE")) or 1

-- What each does, and how it ends: its state and a part of the reason, or of the attempt's.
local hostile = {
  accepts = { "accepts = function() while true do end end", "paused", "overran its budget 3 times: .*accepts%.lua:2: the call took more than 50 ms" },
  pcalls = { "request = function() while true do pcall(function() while true do end end) end end", "paused", "pcalls%.lua:2: .* took more than 50 ms" },
  verdict = { "verdict = function() while true do end end", "paused", "verdict%.lua:2: the call took more than 50 ms" },
  xpcalls = { "headers = { X = function() xpcall(error, function() while true do end end) end }", "paused", "xpcalls%.lua:2: .* took more than 50 ms" },
  bomb = { "accepts = function() return #('x'):rep(1e9) > 0 end", "paused", "bomb%.lua:2: the script needs more than 16 MiB of memory" },
  pattern = { "accepts = function() while true do pcall(string.find, ('a'):rep(2000), '.-.-.-b') end end", "paused", "pattern%.lua:2: .*50 ms" },
  compare = { "accepts = function() local a, b = ('x'):rep(3e6) .. 'a', ('x'):rep(3e6) .. 'b' while a < b do end end", "paused", "compare%.lua:2: .*50 ms" },
  sort = { "accepts = function() local t = {} for i = 1, 4e5 do t[i] = i * 7919 % 1000003 end while true do table.sort(t) end end", "paused", "sort%.lua:2: .*50 ms" },
  vars = { "vars = { v = function() while true do end end }, headers = { X = '{v}' }", "paused", "vars%.lua:2: .*50 ms" },
  recursion = { "accepts = function() local function f() return 1 + f() end f() end", "ok", "recursion%.lua:2: stack overflow" },
  throws = { "request = function() error({ message = 'told you' }) end", "ok", "throws%.lua:2: told you" },
  smuggles = { "request = function(event, request) request.headers['a\\r\\nb'] = 'c' end", "ok", "line break" },
  wanders = { "request = function(event, request) request.url = 'http://127.0.0.2:9/' end", "ok", "host not declared" },
}
local EACH, GOOD = 4, 60

describe("a hostile script in a running Moonpost", function()
  after_each(support.clean)

  local function memory_mib(rt)
    local file = assert(io.open(("/proc/%d/status"):format(rt.child.pid)))
    local text = file:read("*a")
    file:close()
    return tonumber(text:match("VmHWM:%s+(%d+)")) / 1024
  end

  it("ends as its contract says, and three good partners have all that is theirs", function()
    local fake = partner.new()
    local url = ("url = %q"):format(fake:url("/%s?k={k}"))
    local scripts = {}
    for name, case in pairs(hostile) do
      scripts[name] = ("return { %s,\n%s }"):format(url:format(name), case[1])
    end
    for i = 1, 3 do
      scripts["good" .. i] = ("return { %s, request = function(event, request) request.query.v = event.k end, "
        .. "verdict = function(response) if response.status == 200 then return 'delivered' end end }"):format(url:format("good" .. i))
    end
    scripts.slow = ("return { %s,\naccepts = function() local n = 0 for i = 1, 2e6 do n = n + i end return true end }"):format(url:format("slow"))
    scripts.loads = "while true do end"
    local rt = runtime.start({ scripts = scripts })
    rt:expect_error("loads")

    for name in pairs(hostile) do
      for i = 1, EACH do
        rt:accept("/events/" .. name, { k = tostring(i) })
      end
    end
    for i = 1, 200 do
      rt:accept("/events/slow", { k = tostring(i) })
    end
    for k = 1, GOOD do
      for i = 1, 3 do
        rt:accept("/events/good" .. i, { k = tostring(k) })
      end
    end

    -- Every good one has come while the slow one still has work for seconds.
    local slow_by_then
    eventually(function()
      local good, slow = {}, 0
      for _, request in ipairs(fake.requests) do
        local name, k = request.target:match("^/(good%d)%?k=(%d+)&v=%2$")
        if name then
          good[name .. " " .. k] = (good[name .. " " .. k] or 0) + 1
        end
        slow = slow + (request.path == "/slow" and 1 or 0)
      end
      local count = 0
      for key, times in pairs(good) do
        assert.equal(1, times, key)
        count = count + 1
      end
      slow_by_then = slow
      return count == 3 * GOOD, count
    end, 60000, "the good partners' deliveries")
    assert.is_true(slow_by_then < 200, slow_by_then)

    for name, case in pairs(hostile) do
      local last
      eventually(function()
        last = rt:partner(name)
        local told = type(last.reason) == "string" and last.reason or ""
        for _, line in ipairs(case[2] == "ok" and rt:attempts() or {}) do
          told = line.partner == name and told .. line.why or told
        end
        return last.state == case[2] and told:find(case[3]), told
      end, 60000, name .. " to end")
    end
    local broken = rt:partner("loads")
    assert.equal("broken", broken.state)
    assert.matches("loads%.lua:1: the call took more than 50 ms", broken.error)
    for _, request in ipairs(fake.requests) do
      local name = request.path:sub(2)
      assert.is_true(name == "slow" or name:find("^good%d$") ~= nil or name == "verdict", request.target)
      assert.is_nil(request.headers["a"])
    end
    assert.is_true(memory_mib(rt) < 300 * (patience > 1 and 10 or 1), memory_mib(rt))

    -- What waits is not lost: a better script delivers it.
    rt:accept("/events/accepts", { k = "5" })
    rt:write_script("accepts", ("return { %s }"):format(url:format("accepts")))
    eventually(function() return fake:count("/accepts") == EACH + 1, fake:count("/accepts") end, 60000)
    rt:stop(60000)
  end)

  it("is the only kind that costs Lua: one without functions never has a state", function()
    local fake = partner.new()
    local function states(rt)
      return tonumber(rt:get("/metrics").body:match("\nmoonpost_lua_states (%d+)"))
    end
    local rt = runtime.start({ scripts = {
      plain = ([[return { url = %q, method = "POST", vars = { v = by("k", { a = 1 }, 2) }, required = { "k" }, missing = "drop",
        headers = { X = "{v}" }, body = { k = "{k}", n = number "{n}" }, answers = { { status = 200, "delivered" } } }]]):format(fake:url("/plain?k={k}")),
      hooked = ("return { url = %q, accepts = function() return true end }"):format(fake:url("/hooked")),
    } })
    local ids = {}
    for i = 1, 20 do
      ids[i] = rt:accept("/events/plain", { k = "a", n = i })[1]
    end
    for _, id in ipairs(ids) do
      assert.equal("delivered", rt:attempt(id).verdict)
    end
    assert.equal(0, states(rt))
    assert.equal("delivered", rt:attempt(rt:accept("/events/hooked", {})[1]).verdict)
    assert.equal(1, states(rt))
  end)

  it("is called on a thread that stands back, once it is known to be slow", function()
    local fake = partner.new()
    local rt = runtime.start({ scripts = { acme = ("return { url = %q,\naccepts = function() local n = 0 for i = 1, 2e6 do n = n + i end return true end }")
      :format(fake:url("/")) } })
    local policy
    for task in assert(io.popen("ls /proc/" .. rt.child.pid .. "/task")):lines() do
      local file = assert(io.open(("/proc/%d/task/%s/stat"):format(rt.child.pid, task)))
      local text = file:read("*a")
      file:close()
      if text:find("(mp-slow-lua)", 1, true) then
        local fields = {}
        for field in text:gsub("^.*%) ", ""):gmatch("%S+") do
          fields[#fields + 1] = field
        end
        policy = tonumber(fields[39])
      end
    end
    assert.equal(5, policy) -- SCHED_IDLE
    for _ = 1, 5 do
      rt:accept("/events/acme", {})
    end
    rt.child:wait_for("acme: its script is slow; moved to the slow worker")
    eventually(function() return #fake.requests == 5 end)
  end)
end)
