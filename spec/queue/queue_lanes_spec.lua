--- What every engine promises of lanes: held, behind, and in whatever order. Nothing here knows which engine it is.
local harness = require("spec.support.queue_harness")
local engines = require("spec.support.queue_engines")
local eventually = harness.eventually

local function each_id(prefix, count, visit)
  for i = 1, count do
    visit(prefix .. i)
  end
end

engines.each(function(engine)
  local queue

  before_each(function()
    queue = engine.open(engine.home())
  end)
  after_each(engines.clean)

  describe("holding", function()
    it("gives nothing of a partner until it is released, and then all of it", function()
      queue:tell("hold", "acme", -1)
      queue:append("acme", "a1,a2")
      queue:append("globex", "g1")
      queue:taken("g1")
      queue:nothing_comes()
      queue:waits("acme", 0, 2)
      queue:tell("release", "acme")
      queue:comes("a1")
      queue:comes("a2")
      queue:close()
    end)

    it("of a lane leaves the partner's others, and of a partner takes all", function()
      queue:tell("hold", "postback http://a:80", -1)
      queue:append("postback http://a:80", "a1")
      queue:append("postback http://b:80", "b1")
      queue:taken("b1")
      queue:tell("hold", "postback", -1)
      queue:append("postback http://c:80", "c1")
      queue:append("globex", "g1")
      queue:taken("g1")
      queue:tell("release", "postback")
      queue:comes("c1")
      queue:nothing_comes()
      queue:waits("postback", 2, 1)
      queue:tell("release", "postback http://a:80")
      queue:comes("a1")
      queue:close()
    end)

    it("ends by itself at its time, also for what was parked meanwhile", function()
      queue:append("acme", "a1")
      queue:taken("a1")
      queue:tell("hold", "acme", 3600000)
      queue:tell("park", "a1")
      queue:append("acme", "a2")
      queue:nothing_comes()
      queue:pass(3600001)
      queue:comes("a1")
      queue:comes("a2")
      queue:close()
    end)

    it("keeps a retry that is due", function()
      queue:append("acme", "a1")
      queue:taken("a1")
      queue:tell("hold", "acme", -1)
      queue:tell("retry", "a1", 1)
      queue:append("globex", "g1")
      queue:taken("g1")
      queue:pass(60000)
      queue:append("globex", "g2")
      queue:taken("g2")
      queue:nothing_comes()
      queue:tell("release", "acme")
      queue:comes("a1")
      queue:close()
    end)
  end)

  describe("a lane that is behind", function()
    it("has 256 in hand at most, and is in nobody's way", function()
      queue:many("slow", "s", 10000)
      queue:append("quick", "q1")
      queue:taken("q1")
      eventually(function()
        return queue:stat().in_hand == 257
      end)
      queue:append("slow", "last")
      queue:append("quick", "q2")
      queue:taken("q2")
      assert.equal(258, queue:stat().fullest)
      queue:close()
    end)

    it("has as many in hand as its partner's batches need, if those are more", function()
      queue:tell("quiet")
      queue:tell("depth", "deep", 1000)
      queue:tell("depth", "flat", 100)
      queue:many("deep", "d", 2000)
      queue:many("flat", "f", 500)
      eventually(function()
        return queue:stat().in_hand == 1256
      end)
      queue:close()
    end)

    it("has 256 in hand again when its partner has no batches any more", function()
      queue:tell("quiet")
      queue:tell("depth", "deep", 1000)
      queue:tell("depth", "deep", 0)
      queue:tell("depth", "nobody", 0)
      queue:many("deep", "d", 500)
      queue:append("quick", "q1")
      eventually(function()
        return queue:stat().in_hand == 257
      end)
      queue:close()
    end)

    it("that is deep gives every one once, also from where they are stored", function()
      queue:tell("depth", "deep", 700)
      queue:many("deep", "d", 3000)
      queue:tell("auto", "settle")
      queue:all_done(3000)
      queue:close()
      queue = queue:again()
      queue:waits("", 0)
      queue:close()
    end)

    it("gives every one of ten thousand once, as it is emptied", function()
      queue:many("slow", "s", 10000)
      queue:tell("auto", "settle")
      queue:all_done(10000)
      local seen = {}
      for _, line in ipairs(queue.child.out) do
        local id = line:match("^take\t([^\t]+)")
        if id then
          assert.is_nil(seen[id], id and id .. " came twice")
          seen[id] = true
        end
      end
      each_id("s", 10000, function(id)
        assert.is_true(seen[id], id .. " did not come")
      end)
      queue:close()
      queue = queue:again()
      queue:waits("", 0)
      queue:close()
    end)

    it("gives every one once while more are appended and some are put off", function()
      queue:tell("quiet")
      local put_off = 0
      for round = 1, 20 do
        queue:many("slow", "r" .. round .. "_", 100)
        if round % 3 == 0 then
          put_off = put_off + queue:retry_all(1, 5)
        end
      end
      -- 2,000 are there; the retries of the rounds come again on top of them.
      queue:tell("auto", "settle")
      queue:all_done(2000 + put_off)
      assert.equal(0, queue:stat().in_hand)
      queue:close()
      queue = queue:again()
      queue:waits("", 0)
      queue:close()
    end)

    it("gives no more than 64 MiB of all lanes, and something of each", function()
      queue:tell("quiet")
      for lane = 1, 12 do
        for part = 1, 8 do
          assert.equal("OK", queue:many("lane" .. lane, "l" .. lane .. "_" .. part .. "_", 16, 65536))
        end
      end
      -- 12 x 128 x 64 KiB = 96 MiB are there.
      queue:append("late", "late1")
      eventually(function()
        return queue:stat().bytes > 60 * 1024 * 1024
      end)
      assert.is_true(queue:stat().bytes < 80 * 1024 * 1024)
      queue:tell("auto", "settle")
      queue:all_done(12 * 128 + 1)
      queue:close()
    end)
  end)

  it("gives each to one at a time and never again once settled, whatever the owner does", function()
    local seeds = engine.random_seeds
    for seed = 1, seeds do
      for lane = 1, 3 do
        queue:many("l" .. lane, ("s%d_l%d_"):format(seed, lane), 500)
      end
      queue:tell("random", seed, 1500)
      queue:hears("random", "done")
    end
    local state, settled = {}, 0
    for _, line in ipairs(queue.child.out) do
      local what, id = line:match("^([^\t]*)\t([^\t]*)")
      assert.not_equal("error", what, line)
      if what == "take" then
        assert.is_nil(state[id], id .. " came though it was " .. tostring(state[id]))
        state[id] = "in hand"
      elseif what == "settle" then
        state[id] = "settled"
        settled = settled + 1
      elseif what == "park" or what == "retry" then
        state[id] = nil
      end
    end
    assert.equal(seeds * 1500, settled)
    queue:close()
    queue = queue:again()
    queue:waits("", 0)
    queue:close()
  end)
end)
