--- The token bucket of `limits.rate`, with the clock in hand.
local ffi = require("ffi")
local c = require("spec.support.cdef").load()

local second = 1000000

local function bucket(per_second, now)
  local rate = ffi.new("struct mp__rate")
  c.mp__rate_set(rate, per_second, now or 0)
  return rate
end

-- How many it gives at one moment.
local function drain(rate, now)
  local count = 0
  while c.mp__rate_take(rate, now) do
    count = count + 1
  end
  return count
end

local function due(rate)
  return tonumber(c.mp__rate_due_us(rate))
end

describe("a token bucket", function()
  it("starts with what 100 ms earn, but at least one", function()
    assert.equal(50, drain(bucket(500), 0))
    assert.equal(1, drain(bucket(10), 0))
    assert.equal(1, drain(bucket(1 / 60), 0))
    assert.equal(1, drain(bucket(15), 0))
  end)

  it("tells the moment of the next token, and has it then and not before", function()
    for _, per_second in ipairs({ 1 / 3600, 10 / 60, 1, 3, 7, 333, 500, 12345 }) do
      local rate, now = bucket(per_second, 77), 77
      drain(rate, now)
      for _ = 1, 100 do
        local at = due(rate)
        assert.is_true(at > now)
        assert.is_false(c.mp__rate_take(rate, at - 1))
        assert.is_true(c.mp__rate_take(rate, at))
        now = at
      end
    end
  end)

  it("loses and wins nothing over a long run", function()
    for _, per_second in ipairs({ 3, 7, 10 / 60, 333 }) do
      local rate, now = bucket(per_second), 0
      local first = drain(rate, now)
      for _ = 1, 100000 do
        now = due(rate)
        assert(c.mp__rate_take(rate, now))
      end
      local earned = per_second * now / second
      assert.is_true(math.abs(earned - 100000) < 1.001 + per_second / second, ("%d: %.6f"):format(first, earned))
    end
  end)

  it("lets no window of a second see more than the rate and what it holds", function()
    math.randomseed(42)
    for _, per_second in ipairs({ 20, 150, 999 }) do
      local most = per_second + math.max(1, per_second / 10)
      local rate, now, taken = bucket(per_second), 0, {}
      for _ = 1, 20000 do
        -- Now and then a pause, in which it fills.
        now = now + math.random(0, 2000) * (math.random(50) == 1 and 1000 or 1)
        if c.mp__rate_take(rate, now) then
          taken[#taken + 1] = now
        end
      end
      local from = 1
      for to = 1, #taken do
        while taken[to] - taken[from] >= second do
          from = from + 1
        end
        assert.is_true(to - from + 1 <= most, ("%d at %d/s"):format(to - from + 1, per_second))
      end
    end
  end)

  it("fills up to what it holds, however long nobody asked", function()
    local rate = bucket(500)
    drain(rate, 0)
    assert.is_false(c.mp__rate_is_full(rate, 99999))
    assert.is_true(c.mp__rate_is_full(rate, 100000))
    assert.equal(50, drain(rate, 3600 * second))
  end)

  it("keeps its tokens when the rate changes, as far as they fit", function()
    local rate = bucket(500)
    for _ = 1, 30 do
      c.mp__rate_take(rate, 0)
    end
    c.mp__rate_set(rate, 1000, 0)
    assert.equal(20, drain(rate, 0))
    rate = bucket(500)
    c.mp__rate_set(rate, 100, 0)
    assert.equal(10, drain(rate, 0))
    c.mp__rate_set(rate, 500, 0)
    assert.equal(0, drain(rate, 0))
    assert.equal(5, drain(rate, 10000))
  end)

  it("gives nothing for being told the same rate again and again", function()
    local rate, taken = bucket(10), 0
    for now = 0, 10 * second, 1000 do
      c.mp__rate_set(rate, 10, now)
      taken = taken + drain(rate, now)
    end
    assert.equal(101, taken)
  end)

  it("takes back what was not used", function()
    local rate = bucket(1)
    assert.equal(1, drain(rate, 0))
    c.mp__rate_give_back(rate)
    assert.equal(1, drain(rate, 0))
    c.mp__rate_give_back(rate)
    assert.equal(1, drain(rate, 500 * second))
  end)

  it("without a rate is no limit", function()
    local rate = ffi.new("struct mp__rate")
    for _ = 1, 1000 do
      assert.is_true(c.mp__rate_take(rate, 0))
    end
    c.mp__rate_give_back(rate)
    assert.equal(0, due(rate))
    assert.is_true(c.mp__rate_is_full(rate, 0))
  end)
end)
