local ffi = require("ffi")
local script = require("spec.support.script")
local c = require("spec.support.cdef").load()

ffi.cdef([[
  int setenv(const char *name, const char *value, int overwrite);
  int pipe(int fds[2]); int dup(int fd); int dup2(int from, int to); int close(int fd); long read(int fd, void *buf, size_t count);
]])

--- The lines that `act` writes to stderr, each without its time.
local function logged(act)
  local fds, saved = ffi.new("int[2]"), ffi.C.dup(2)
  assert(ffi.C.pipe(fds) == 0)
  ffi.C.dup2(fds[1], 2)
  local ok, err = pcall(act)
  ffi.C.dup2(saved, 2)
  ffi.C.close(saved)
  ffi.C.close(fds[1])
  local bytes, text = ffi.new("char[65536]"), ""
  while true do
    local got = tonumber(ffi.C.read(fds[0], bytes, 65536))
    if got <= 0 then
      break
    end
    text = text .. ffi.string(bytes, got)
  end
  ffi.C.close(fds[0])
  assert(ok, err)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n") do
    lines[#lines + 1] = line:match("^%S+Z (.*)$")
  end
  return lines
end

local function run_logged(code, event)
  return logged(function()
    assert(script.run(code, event))
  end)
end

describe("tools for scripts:", function()
  setup(function()
    ffi.C.setenv("MOONPOST_SECRET_KEY", "canary", 1)
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)
  after_each(function()
    c.mp_clock_shift_wall(0)
  end)

  it("uuid gives one of version 4, each time another", function()
    local seen = {}
    local got = assert(script.run("local list = {} for i = 1, 200 do list[i] = uuid() end return table.concat(list, ' ')"))
    for id in got:gmatch("%S+") do
      assert.truthy(id:find("^%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"), id)
      assert.is_nil(seen[id])
      seen[id] = true
    end
  end)

  it("log writes one line, its arguments as tostring shows them", function()
    assert.same({ "info script: acme: a 1 1.5 true nil null function" }, run_logged('log("a", 1, 1.5, true, nil, json.null, type)'))
    assert.same({ "info script: acme: " }, run_logged("log()"))
    assert.same({ "info script: acme: x nil nil" }, run_logged('log("x", nil, nil)'))
  end)

  it("log writes tables as JSON", function()
    assert.same({ 'info script: acme: {"a":[1,"x",{}],"b":{"c":true}} []' }, run_logged('log({ b = { c = true }, a = { 1, "x", {} } }, json.decode("[]"))'))
    assert.same({ 'info script: acme: {"id":"12345678901234567890","q":"\\""}' }, run_logged("log(event)", '{"id":12345678901234567890,"q":"\\""}'))
  end)

  it("log never throws for what JSON cannot say", function()
    assert.same({ "info script: acme: table {\"f\":function} [table] 1" }, run_logged('log({ 1, a = 2 }, { f = type }, { { [1.5] = 1 } }, 1)'))
    local lines = run_logged("local t = {} t.t = t log(t)")
    assert.equal('info script: acme: ' .. ('{"t":'):rep(8) .. "table" .. ("}"):rep(8), lines[1])
  end)

  it("log shows a secret as its name, also inside a table", function()
    assert.same({ "info script: acme: [secret key] a[secret key] {\"k\":[secret key]} [secret key]" },
      run_logged('log(secret "key", "a" .. secret "key", { k = secret "key" }, base64(secret "key"))'))
  end)

  it("log takes a secret out of what others said", function()
    local own = 'local mine = secret "key" '
    assert.same({ "info script: acme: [secret key] {\"echo\":\"k=[secret key]\"} [secret key]" },
      run_logged(own .. 'log(event.echo:sub(3), event, "Y2FuYXJ5")', '{"echo":"k=canary"}'))
    -- The cut comes after.
    local line = run_logged(own .. 'log(("x"):rep(1015) .. event.echo)', '{"echo":"canary"}')[1]
    assert.is_nil(line:find("can", 1, true))
    assert.same({ "info script: acme: canary" }, run_logged("log(event.echo)", '{"echo":"canary"}'))
  end)

  it("log keeps to one line and one KiB, cut between characters", function()
    assert.same({ "info script: acme: a b c d" }, run_logged('log("a\\nb\\rc\\0d")'))
    local head = #"info script: acme: "
    for _, code in ipairs({ 'log(("x"):rep(5000000))', 'log({ ("x"):rep(5000000) })', 'local t = {} for i = 1, 5000 do t[i] = i end log(t)',
      'log(("ü"):rep(600))', 'log("x" .. ("ü"):rep(600))', 'log("xx" .. ("€"):rep(600))' }) do
      local lines = run_logged(code)
      assert.equal(1, #lines)
      assert.is_true(#lines[1] - head <= 1024 and #lines[1] - head > 1015, code)
      assert.truthy(lines[1]:find("…$"))
      assert.truthy(lines[1]:sub(1, -4):find("[%w%],]$") or lines[1]:sub(1, -4):find("ü$") or lines[1]:sub(1, -4):find("€$"), lines[1]:sub(-20))
    end
    assert.equal(head + 1024, #run_logged('log(("x"):rep(1024))')[1])
    assert.equal(("x"):rep(1021) .. "…", run_logged('log(("x"):rep(1025))')[1]:sub(head + 1))
  end)

  it("log writes ten lines a second, and says how many it left out", function()
    local state = assert(script.state('return { url = "https://a.example", headers = { X = function(event) for i = 1, event.n do log(i) end end } }'))
    local function call(n)
      assert(script.leaf(state, 0, ('{"n":%d}'):format(n)))
    end
    local lines = logged(function()
      call(10)
    end)
    assert.equal(10, #lines)
    assert.same({ "info script: acme: log writes 10 lines a second: more are left out" }, logged(function()
      call(25)
    end))
    c.mp_clock_shift_wall(5000)
    lines = logged(function()
      call(10)
    end)
    assert.equal(11, #lines)
    assert.equal("info script: acme: 25 lines of log were left out", lines[1])
    assert.equal("info script: acme: 1", lines[2])
    c.mp_clock_shift_wall(0) -- a clock that goes back silences nobody
    assert.same({ "info script: acme: 1" }, logged(function()
      call(1)
    end))
  end)

  it("log works while the script loads", function()
    assert.same({ "info script: acme: loading v1" }, logged(function()
      assert(script.load('log("loading", "v1")\nreturn { url = "https://a.example" }'))
    end))
  end)

  it("log of megabytes for ever ends with the call's budget", function()
    local lines = logged(function()
      local got, err, status = script.run('local t = {} for i = 1, 1e5 do t[i] = i end while true do pcall(log, t) end')
      assert.is_nil(got)
      assert.equal(c.MP_EBUDGET, status)
      assert.truthy(err:find("processor time", 1, true), err)
    end)
    assert.is_true(#lines <= 11)
  end)
end)
