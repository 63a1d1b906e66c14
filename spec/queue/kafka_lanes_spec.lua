--- Kafka's lanes: who is given what, what is held, and when reading goes on. On a simulated clock.
local support = require("spec.support.lanes")
local told = support.told

-- C calls back into Lua here, which compiled code cannot take.
jit.off(true, true)

local MIN, MAX, FOREVER = 5000, 600000, support.FOREVER
local lanes

before_each(function()
  lanes = support.open()
end)

after_each(function()
  lanes.close()
end)

describe("Kafka's lanes give", function()
  it("nothing before they are flushed, then in the order of coming", function()
    lanes.put("p", 3)
    assert.same({}, lanes.given)
    lanes.flush()
    assert.same({ 1, 2, 3 }, lanes.given)
  end)

  it("256 of a lane at most, and more as those come back", function()
    lanes.put("p", 300)
    assert.equal(256, lanes.flush())
    assert.equal(256, lanes.flush())
    lanes.back(10)
    assert.equal(266, lanes.flush())
    assert.same({ 34, 290 }, { lanes.waiting(), lanes.count() })
  end)

  it("of a partner with batches as many as they need, if more", function()
    lanes.depth("p", 1000)
    lanes.depth("q", 100)
    lanes.put("p", 1500)
    lanes.put("q", 300)
    assert.equal(1256, lanes.flush())
    lanes.depth("p", 0)
    lanes.back(1256)
    assert.equal(1256 + 256 + 44, lanes.flush())
  end)

  it("of one with deep batches no more than half of what all may have", function()
    lanes.c.most_out = 1000
    lanes.depth("p", 5000)
    lanes.put("p", 1500)
    assert.equal(500, lanes.flush())
  end)

  it("of all lanes in turn, 16 at a time", function()
    lanes.put("a", 40)
    lanes.put("b", 40)
    lanes.flush()
    local turns = {}
    for _, id in ipairs(lanes.given) do
      if turns[#turns] ~= lanes.lane_of[id] then
        turns[#turns + 1] = lanes.lane_of[id]
      end
    end
    assert.same({ "a", "b", "a", "b", "a", "b" }, turns)
  end)

  it("64 MiB together, and then still 32 of each", function()
    lanes.bytes = 1024 * 1024
    lanes.put("a", 100)
    assert.equal(64, lanes.flush())
    lanes.put("b", 100)
    assert.equal(64 + 32, lanes.flush())
    lanes.back(31)
    assert.equal(64 + 32, lanes.flush(), "65 MiB are out")
    lanes.back(1)
    assert.equal(64 + 32, lanes.flush(), "64 MiB are out")
    lanes.back(1)
    assert.equal(64 + 32 + 1, lanes.flush())
  end)

  it("those a turn that had to wait for bytes", function()
    lanes.bytes = 1024 * 1024
    for _, lane in ipairs({ "a", "b", "c" }) do
      lanes.put(lane, 100)
      lanes.flush()
    end
    assert.equal(64 + 32 + 32, #lanes.given)
    lanes.back(64, "finished", "a")
    lanes.back(32, "finished", "b")
    lanes.flush()
    local got = {}
    for i = 64 + 32 + 32 + 1, #lanes.given do
      local lane = lanes.lane_of[lanes.given[i]]
      got[lane] = (got[lane] or 0) + 1
    end
    assert.same({ a = 32, b = 32 }, got)
    lanes.back(32, "finished", "c")
    lanes.flush()
    assert.is_true(lanes.count("c") < 100)
  end)

  it("most_out records together, and then still 32 of each", function()
    lanes.c.most_out = 100
    lanes.put("a", 200)
    assert.equal(100, lanes.flush())
    lanes.put("b", 200)
    assert.equal(132, lanes.flush())
  end)

  it("parked ones before the others", function()
    lanes.put("p", 300)
    lanes.flush()
    lanes.back(1, "parked")
    lanes.flush()
    assert.equal(1, lanes.given[257])
    lanes.back(1)
    lanes.flush()
    assert.equal(257, lanes.given[258])
  end)

  it("nothing twice and nothing that was forgotten or swept", function()
    lanes.put("p", 260)
    lanes.flush()
    lanes.back(1, "forget")
    require("spec.support.cdef").load().mp__kafka_lanes_forget(lanes.c, lanes.items[257])
    require("spec.support.cdef").load().mp__kafka_lanes_forget(lanes.c, lanes.items[257])
    lanes.sweep(function(id) return id == 259 end)
    assert.equal(257, lanes.count("p"))
    lanes.back(10)
    lanes.flush()
    assert.same({ 258, 260 }, { lanes.given[257], lanes.given[258] })
    assert.equal(258, #lanes.given)
  end)
end)

describe("Kafka's lanes count", function()
  it("what waits and what is out, of a partner and of all", function()
    lanes.put("postback https://a:443", 300)
    lanes.put("postback https://b:443", 5)
    lanes.put("other", 7)
    lanes.flush()
    assert.same({ 305, 7, 312, 0 },
      { lanes.count("postback"), lanes.count("other"), lanes.count(), lanes.count("https://a:443") })
    lanes.back(300, "finished", "postback https://a:443")
    lanes.flush()
    assert.same({ 49, 7 }, { lanes.count("postback"), lanes.count("other") })
  end)
end)

describe("a hold", function()
  it("for ever spills what waits at once, due in 10 min, and what comes", function()
    lanes.put("p", 300)
    lanes.flush()
    lanes.hold("p", FOREVER)
    assert.same({ 44, "paused", MAX, MAX }, told(lanes.spills()))
    lanes.put("p")
    lanes.back(1, "parked")
    assert.same({ 2, "paused", MAX, MAX }, told(lanes.spills()))
    assert.equal(256, lanes.flush())
    assert.equal(255, lanes.count("p"))
  end)

  it("of a breaker spills until its probe, within 5 s and 10 min", function()
    for for_ms, due in pairs({ [1] = MIN, [MIN] = MIN, [MIN + 1] = MIN + 1, [30000] = 30000, [MAX + 1] = MAX }) do
      lanes.put("p" .. for_ms)
      lanes.hold("p" .. for_ms, for_ms)
      assert.same({ 1, "breaker", due, due }, told(lanes.spills()))
    end
  end)

  it("lapses at its time, not before", function()
    lanes.hold("p", 1000)
    lanes.jump(999)
    lanes.put("p")
    assert.equal(1, #lanes.spills())
    lanes.jump(1)
    lanes.put("p")
    assert.same({ {}, 1 }, { lanes.spills(), lanes.flush() })
  end)

  it("of a time that is over holds nothing", function()
    lanes.put("p")
    lanes.hold("p", 0)
    assert.same({ {}, 1 }, { lanes.spills(), lanes.flush() })
  end)

  it("of a partner holds all its lanes, also ones to come, and no other's", function()
    lanes.put("postback https://a:443")
    lanes.hold("postback", FOREVER)
    lanes.put("postback https://b:443")
    lanes.put("post")
    assert.equal(2, #lanes.spills())
    assert.equal(1, lanes.flush())
    lanes.release("postback")
    lanes.put("postback https://b:443")
    assert.same({ {}, 2 }, { lanes.spills(), lanes.flush() })
  end)

  it("of a lane holds that lane, also before it is there", function()
    lanes.hold("postback https://a:443", FOREVER)
    lanes.put("postback https://a:443")
    lanes.put("postback https://b:443")
    assert.same({ 1, 1 }, { #lanes.spills(), lanes.flush() })
    lanes.release("postback https://a:443")
    lanes.put("postback https://a:443")
    assert.same({ {}, 2 }, { lanes.spills(), lanes.flush() })
  end)

  it("is the longer of the lane's and the partner's", function()
    lanes.hold("postback https://a:443", 30000)
    lanes.hold("postback", 20000)
    lanes.put("postback https://a:443")
    assert.same({ 1, "breaker", 30000, 30000 }, told(lanes.spills()))
    lanes.hold("postback", FOREVER)
    lanes.put("postback https://a:443")
    assert.same({ 1, "paused", MAX, MAX }, told(lanes.spills()))
    lanes.release("postback")
    lanes.put("postback https://a:443")
    assert.equal("breaker", lanes.spills()[1].why)
  end)

  it("is kept though nothing came for an hour", function()
    lanes.hold("p", FOREVER)
    lanes.hold("postback https://a:443", FOREVER)
    lanes.pass(100000)
    lanes.jump(3600000)
    lanes.pass(100000)
    lanes.put("p")
    lanes.put("postback https://a:443")
    assert.equal(2, #lanes.spills())
  end)
end)

describe("lanes with nothing in them", function()
  local function known()
    return { tonumber(lanes.c.lanes.count), tonumber(lanes.c.partners.count) }
  end

  it("are forgotten after 10 s, and their partners with them", function()
    for i = 1, 100 do
      lanes.put("postback https://h" .. i .. ":443")
    end
    lanes.put("p")
    lanes.pass(20000)
    assert.same({ 101, 2 }, known())
    lanes.back(101)
    lanes.pass(100) -- from here on they are idle
    lanes.pass(9900)
    assert.same({ 101, 2 }, known())
    lanes.pass(100)
    assert.same({ 0, 0 }, known())
    lanes.put("p")
    assert.equal(102, lanes.flush())
  end)

  it("are kept while something of theirs is spilled and not due", function()
    lanes.put("p", 256 + 200)
    lanes.flush()
    lanes.pass(500, function() lanes.back(1) end)
    local spills = lanes.spills()
    assert.is_true(spills[#spills].due > 20000)
    lanes.back(300)
    lanes.flush()
    lanes.back(300)
    lanes.pass(15000)
    assert.same({ 1, 1 }, known())
    lanes.pass(30000)
    assert.same({ 0, 0 }, known())
  end)
end)

describe("reading on", function()
  it("is well while fewer than 512 wait", function()
    lanes.put("p", 511)
    assert.is_true(lanes.wants_more())
    lanes.put("p")
    assert.is_false(lanes.wants_more())
    lanes.flush()
    assert.is_true(lanes.wants_more())
  end)

  it("is well while what waits would be gone in 250 ms at the rate of the last second", function()
    lanes.put("a", 256)
    lanes.put("b", 256)
    lanes.flush()
    lanes.pass(1000, function()
      lanes.back(200, "finished", "a")
      lanes.back(200, "finished", "b")
      lanes.put("a", 200)
      lanes.put("b", 200)
    end)
    lanes.put("a", 400)
    lanes.put("b", 400)
    while lanes.waiting() < 1000 do
      assert.is_true(lanes.wants_more())
      lanes.put("b")
    end
    assert.is_true(lanes.wants_more())
    lanes.put("a", 100)
    assert.is_false(lanes.wants_more())
    lanes.jump(1000)
    assert.is_false(lanes.wants_more())
    lanes.sweep(function() return lanes.waiting() >= 511 end)
    assert.is_true(lanes.wants_more())
  end)

  it("stalls for a hanging lane 500 ms, and then no more", function()
    lanes.put("p", 256 + 512)
    lanes.flush()
    lanes.pass(400)
    assert.is_false(lanes.wants_more())
    lanes.pass(100)
    assert.is_true(lanes.wants_more())
    lanes.put("p", 10000)
    assert.is_true(lanes.wants_more())
  end)

  it("does not stall for what slow lanes keep, nor goes on for what they finish", function()
    for i = 1, 40 do
      lanes.put("p" .. i, 256 + 60)
    end
    lanes.flush()
    lanes.pass(500, function()
      for i = 1, 40 do
        lanes.back(10, "finished", "p" .. i)
      end
    end)
    for i = 1, 40 do
      lanes.put("p" .. i, 100)
    end
    lanes.pass(1500, function()
      for i = 1, 40 do
        lanes.back(10, "finished", "p" .. i)
        lanes.put("p" .. i, 10)
      end
    end)
    assert.is_true(lanes.waiting() >= 1900)
    assert.is_true(lanes.wants_more())
    lanes.put("q", 256 + 600)
    lanes.flush()
    assert.is_false(lanes.wants_more())
  end)
end)

describe("the owner, from inside a spill", function()
  it("may put and forget others of the same lane", function()
    local c = require("spec.support.cdef").load()
    lanes.put("p", 300)
    lanes.flush()
    lanes.also = function(id)
      if id == 300 then
        c.mp__kafka_lanes_forget(lanes.c, lanes.items[299])
        c.mp__kafka_lanes_forget(lanes.c, lanes.items[1])
        lanes.put("q", 1)
      end
    end
    lanes.hold("p", FOREVER)
    lanes.also = nil
    assert.equal(44, #lanes.spills())
    lanes.put("p", 300)
    lanes.flush()
  end)
end)
