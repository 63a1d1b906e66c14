local ffi = require("ffi")
local c = require("spec.support.cdef").load()

local function script(schedule, jitter)
  local waits = ffi.new("int64_t[?]", #schedule, schedule)
  local s = ffi.new("struct mp_script")
  s.schedule_ms, s.schedule_count, s.jitter = waits, #schedule, jitter
  return s, waits
end

describe("backoff", function()
  it("waits as the schedule says, one place for each attempt made", function()
    local s, keep = script({ 5000, 30000, 120000 }, 0)
    assert.same({ 5000, 30000, 120000 }, {
      tonumber(c.mp_backoff_ms(s, 1, 0.3)), tonumber(c.mp_backoff_ms(s, 2, 0.3)),
      tonumber(c.mp_backoff_ms(s, 3, 0.3)) })
    assert(keep)
  end)

  it("says that none is left once the schedule is used up", function()
    local s, keep = script({ 5000 }, 0.2)
    assert.equal(-1, tonumber(c.mp_backoff_ms(s, 2, 0.5)))
    assert.equal(-1, tonumber(c.mp_backoff_ms(s, 4000000000, 0.5)))
    local none, keep2 = script({}, 0)
    assert.equal(-1, tonumber(c.mp_backoff_ms(none, 1, 0.5)))
    assert(keep and keep2)
  end)

  it("makes the first attempt at once", function()
    local s, keep = script({ 5000 }, 0.2)
    assert.equal(0, tonumber(c.mp_backoff_ms(s, 0, 0.5)))
    assert(keep)
  end)

  it("spreads the wait by the jitter on both sides", function()
    local s, keep = script({ 10000 }, 0.2)
    assert.equal(8000, tonumber(c.mp_backoff_ms(s, 1, 0)))
    assert.equal(10000, tonumber(c.mp_backoff_ms(s, 1, 0.5)))
    local most = tonumber(c.mp_backoff_ms(s, 1, 0.999999))
    assert.is_true(most > 11990 and most < 12000)
    assert(keep)
  end)

  it("never waits less than nothing", function()
    local s, keep = script({ 10000 }, 1)
    assert.equal(0, tonumber(c.mp_backoff_ms(s, 1, 0)))
    assert(keep)
  end)
end)
