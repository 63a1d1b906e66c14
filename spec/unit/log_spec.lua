local ffi = require("ffi")
local c = require("spec.support.cdef").load()

ffi.cdef([[
  int pipe(int fds[2]); int dup(int fd); int dup2(int from, int to); int close(int fd); long read(int fd, void *buf, size_t count);
]])

local EINVAL = -2

--- What `act` writes to stderr, a read(2) each.
local function captured(act)
  local fds, saved = ffi.new("int[2]"), ffi.C.dup(2)
  assert(ffi.C.pipe(fds) == 0)
  ffi.C.dup2(fds[1], 2)
  local ok, err = pcall(act)
  ffi.C.dup2(saved, 2)
  ffi.C.close(saved)
  ffi.C.close(fds[1])
  local bytes, pieces = ffi.new("char[65536]"), {}
  while true do
    local got = tonumber(ffi.C.read(fds[0], bytes, 65536))
    if got <= 0 then
      break
    end
    pieces[#pieces + 1] = ffi.string(bytes, got)
  end
  ffi.C.close(fds[0])
  assert(ok, err)
  return table.concat(pieces)
end

describe("the log", function()
  after_each(function()
    c.mp_log_set_level(c.MP_LOG_INFO)
  end)

  it("writes time, level, room and text on one line", function()
    local line = captured(function()
      c.mp_log(c.MP_LOG_ERROR, "queue", "could not open %s: %d", "x.db", ffi.cast("int", 13))
    end)
    assert.truthy(line:match("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ error queue: could not open x%.db: 13\n$"), line)
  end)

  it("drops what is below its level, debug at first", function()
    assert.equal("", captured(function()
      c.mp_log(c.MP_LOG_DEBUG, "base", "x")
    end))
    c.mp_log_set_level(c.MP_LOG_ERROR)
    local text = captured(function()
      c.mp_log(c.MP_LOG_WARN, "base", "w")
      c.mp_log(c.MP_LOG_ERROR, "base", "e")
    end)
    assert.truthy(text:match("^%S+ error base: e\n$"))
    c.mp_log_set_level(c.MP_LOG_DEBUG)
    assert.truthy(captured(function()
      c.mp_log(c.MP_LOG_DEBUG, "base", "x")
    end):match(" debug base: x\n$"))
  end)

  it("writes control bytes as \\xNN, so that no line can be forged", function()
    local line = captured(function()
      c.mp_log(c.MP_LOG_INFO, "ingest", "%s", "a\nb\r\27[2J\127\tc\194\155d\195\169")
    end)
    assert.truthy(line:find(": a\\x0ab\\x0d\\x1b[2J\\x7f\\x09c\\xc2\\x9bd\195\169\n", 1, true), line)
    assert.equal(1, select(2, line:gsub("\n", "")))
  end)

  it("cuts a line that is too long, and ends it all the same", function()
    for _, text in ipairs({ ("x"):rep(100000), ("\n"):rep(100000) }) do
      local line = captured(function()
        c.mp_log(c.MP_LOG_INFO, "base", "%s", text)
      end)
      assert.is_true(#line > 1000 and #line <= 4096)
      assert.equal(1, select(2, line:gsub("\n", "")))
      assert.equal("\n", line:sub(-1))
    end
  end)

  it("knows its levels by name", function()
    local level = ffi.new("enum mp_log_level[1]")
    for i, name in ipairs({ "debug", "info", "warn", "error" }) do
      assert.equal(0, c.mp_log_level_parse(name, level))
      assert.equal(i - 1, tonumber(level[0]))
    end
    assert.equal(EINVAL, c.mp_log_level_parse("loud", level))
    assert.equal(3, tonumber(level[0]))
  end)
end)
