--- What a lane remembers, by itself and with the clock in hand.
local ffi = require("ffi")
local c = require("spec.support.cdef").load()

local retry, delivered = c.MP_VERDICT_RETRY, c.MP_VERDICT_DELIVERED

local function lane()
  local self = { health = ffi.new("struct mp__health"), tuning = c.mp__deliver_tuning_default(), now = 1000 }
  function self.exchange(kind, status, was_probe)
    return c.mp__health_exchange(self.health, self.tuning, kind, status or 503, true, was_probe or false, self.now)
  end
  function self.admits()
    local probe = ffi.new("bool[1]")
    return c.mp__health_admits(self.health, self.now, probe), probe[0]
  end
  return self
end

describe("the breaker's times", function()
  it("are 30 s, doubling to 10 min, and 30 s again once it was closed", function()
    local one = lane()
    for _ = 1, 9 do
      assert.equal(c.MP__HEALTH_SAME, one.exchange(retry))
    end
    assert.equal(c.MP__HEALTH_OPENED, one.exchange(retry))
    for _, seconds in ipairs({ 30, 60, 120, 240, 480, 600, 600 }) do
      assert.equal(one.now + seconds * 1000, tonumber(one.health.until_ms))
      one.now = one.now + seconds * 1000 - 1
      assert.same({ false, false }, { one.admits() })
      one.now = one.now + 1
      assert.same({ true, true }, { one.admits() })
      c.mp__health_probe_begun(one.health)
      assert.same({ false, false }, { one.admits() })
      one.exchange(retry, 503, true)
    end
    one.now = tonumber(one.health.until_ms)
    c.mp__health_probe_begun(one.health)
    one.exchange(delivered, 200, true)
    assert.same({ true, false }, { one.admits() })
    for _ = 1, 10 do
      one.exchange(retry)
    end
    assert.equal(one.now + 30000, tonumber(one.health.until_ms))
  end)

  it("are not moved by attempts that were under way when it opened", function()
    local one = lane()
    for _ = 1, 10 do
      one.exchange(retry)
    end
    local before = one.health.until_ms
    one.now = 20000
    for _ = 1, 20 do
      assert.equal(c.MP__HEALTH_SAME, one.exchange(retry))
    end
    one.exchange(delivered, 200)
    assert.equal(before, one.health.until_ms)
    assert.is_false((one.admits()))
  end)

  it("end with another probe when the first proved nothing", function()
    local one = lane()
    for _ = 1, 10 do
      one.exchange(retry)
    end
    one.now = tonumber(one.health.until_ms)
    c.mp__health_probe_begun(one.health)
    c.mp__health_probe_void(one.health)
    assert.same({ true, true }, { one.admits() })
  end)
end)

describe("refusals", function()
  it("in a row are counted without opening the breaker", function()
    local one = lane()
    for _ = 1, 19 do
      assert.equal(c.MP__HEALTH_SAME, one.exchange(retry, 401))
    end
    one.exchange(delivered, 200)
    for _ = 1, 19 do
      assert.equal(c.MP__HEALTH_SAME, one.exchange(retry, 403))
    end
    assert.equal(c.MP__HEALTH_AUTH_PAUSE, one.exchange(retry, 401))
  end)
end)

describe("overruns", function()
  it("pause when three come within 60 s", function()
    local one = lane()
    local function overran(at)
      return c.mp__health_overran(one.health, one.tuning, at)
    end
    assert.same({ false, false, false, true }, { overran(0), overran(30000), overran(60001), overran(90000) })
  end)
end)
