--- What every engine of the queue promises. Nothing here knows which engine it is.
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

  describe("durability", function()
    it("has everything it answered for after kill -9", function()
      assert.equal("OK", (queue:append("acme", "a1,a2", '{"n":1}')))
      assert.equal("OK", queue:many("globex", "g", 300))
      queue:die()
      queue = queue:again()
      assert.equal('{"n":1}', queue:taken("a1").event)
      assert.equal("acme", queue:taken("a2").partner)
      queue:tell("auto", "settle")
      each_id("g", 300, function(id)
        queue:comes(id)
      end)
      queue:close()
    end)

    it("gives what was taken and not resolved again after kill -9", function()
      queue:append("acme", "a1")
      queue:taken("a1")
      queue:die()
      queue = queue:again()
      assert.equal(0, queue:taken("a1").attempts)
      queue:close()
    end)

    it("forgets what was settled", function()
      queue:append("acme", "a1,a2")
      queue:taken("a2")
      queue:tell("settle", "a1")
      queue:close()
      queue = queue:again()
      queue:taken("a2")
      queue:waits("acme", 1)
      queue:nothing_comes()
      queue:close()
    end)

    it("stores what is resolved in its own time, without another append", function()
      queue:append("acme", "a1,a2,a3")
      queue:taken("a3")
      queue:tell("settle", "a1")
      queue:tell("retry", "a2", 3600000)
      queue:tell("bury", "a3", "no good")
      eventually(function()
        return queue:show("a3").status == "OK"
      end)
      queue:resolved_is_stored()
      queue:die()
      queue = queue:again()
      queue:waits("acme", 0, 1)
      queue:nothing_comes()
      queue:close()
    end)
  end)

  describe("retries", function()
    it("come when they are due, in that order, never early, and with what was counted", function()
      queue:append("acme", "a1,a2,a3")
      each_id("a", 3, function(id)
        queue:taken(id)
      end)
      queue:tell("retry", "a1", 150)
      queue:tell("retry", "a2", 20)
      queue:tell("retry", "a3", 80)
      local order = {}
      for i = 1, 3 do
        local words = queue:wait("take")
        order[i] = words[2]
        assert.equal("1", words[5])
        assert.equal("503", words[7])
        assert.is_true(tonumber(words[8]) >= 0, "it came " .. words[8] .. " ms after it was due")
      end
      assert.same({ "a2", "a3", "a1" }, order)
      queue:close()
    end)

    it("that are due a millisecond apart come each in its own", function()
      queue:many("acme", "a", 60)
      each_id("a", 60, function(id)
        queue:taken(id)
      end)
      queue:retry_all(50, 1000)
      each_id("a", 60, function(id)
        local late_ms = queue:taken(id).late_ms
        assert.is_true(late_ms >= 0, id .. " came " .. -late_ms .. " ms early")
      end)
      queue:close()
    end)

    it("outlive a restart, again and again", function()
      queue:append("acme", "a1")
      queue:taken("a1")
      queue:tell("retry", "a1", 3600000)
      queue:close()
      queue = queue:again()
      queue:waits("acme", 0, 1)
      queue:nothing_comes()
      queue:pass(3600000)
      assert.equal(1, queue:taken("a1").attempts)
      queue:tell("retry", "a1", 10)
      assert.equal(2, queue:taken("a1").attempts)
      queue:tell("settle", "a1")
      queue:close()
      queue = queue:again()
      queue:waits("", 0)
      queue:close()
    end)

    it("that became due while it was down come at once", function()
      queue:append("acme", "a1")
      queue:taken("a1")
      queue:tell("retry", "a1", 1)
      queue:close()
      queue = queue:again()
      assert.equal(1, queue:taken("a1").attempts)
      queue:close()
    end)

    it("of a thousand at once all come, each once", function()
      queue:tell("quiet")
      for part = 1, 4 do
        queue:many("acme", "p" .. part, 250)
      end
      -- Each round puts what is in hand off by a minute, until all wait.
      eventually(function()
        queue:retry_all(60000, 0)
        return queue:stat().taken == 1000
      end)
      queue:retry_all(60000, 0)
      queue:tell("auto", "settle")
      queue:pass(120000)
      queue:all_done(2000)
      queue:close()
    end)
  end)

  describe("parking", function()
    it("gives back as it was taken, without an attempt spent", function()
      queue:append("acme", "a1")
      queue:taken("a1")
      queue:tell("park", "a1")
      assert.equal(0, queue:taken("a1").attempts)
      queue:tell("retry", "a1", 1)
      assert.equal(1, queue:taken("a1").attempts)
      queue:tell("park", "a1")
      local again = queue:taken("a1")
      assert.same({ 1, 503 }, { again.attempts, again.status })
      queue:waits("acme", 1)
      queue:close()
    end)

    it("of one in the middle makes nothing come twice", function()
      queue:many("acme", "a", 40)
      each_id("a", 40, function(id)
        queue:taken(id)
      end)
      queue:tell("park", "a7")
      queue:tell("park", "a3")
      queue:taken("a3")
      queue:taken("a7")
      queue:append("acme", "last")
      queue:taken("last")
      queue:nothing_comes()
      assert.equal(41, queue:stat("acme").in_hand)
      queue:close()
    end)
  end)

  describe("its books", function()
    it("keep pauses until they are cleared", function()
      queue:tell("pause", "acme", 1, "twenty 401")
      queue:tell("pause", "postback http://a:80", 2, "gone")
      queue:wait("paused", "OK")
      queue:wait("paused", "OK")
      queue:close()
      queue = queue:again()
      assert.same({ "pause", "acme", "1", "twenty 401", "1234" }, queue:wait("pause", "acme"))
      queue:wait("pause", "postback http://a:80")
      queue:tell("pause", "acme", 0, "by hand")
      queue:tell("unpause", "postback http://a:80")
      queue:close()
      queue = queue:again()
      assert.equal("by hand", queue:wait("pause")[4])
      assert.equal(0, queue:count("pause"))
      queue:close()
    end)

    it("say how many wait, also right after a start", function()
      queue:append("acme", "a1,a2,a3")
      queue:append("globex", "g1")
      queue:append("postback http://a:80", "p1")
      queue:append("postback http://b:80", "p2")
      queue:taken("p2")
      queue:tell("settle", "a1")
      queue:tell("retry", "a2", 3600000)
      queue:tell("bury", "a3", "x")
      local function count()
        queue:waits("acme", 0, 1)
        queue:waits("globex", 1)
        queue:waits("postback", 2)
        queue:waits("", 3, 1)
      end
      count()
      queue:close()
      queue = queue:again()
      count()
      queue:close()
    end)
  end)

  it("takes no more than 100,000 records that are not stored yet", function()
    queue:tell("quiet")
    queue.child.input:write("many\tb1\tacme\tb\t99990\t10\nmany\tb2\tacme\tc\t11\t10\n"
      .. "many\tb3\tacme\td\t10\t10\n")
    assert.equal("EAGAIN", queue:wait("done", "b2")[3])
    assert.equal("OK", queue:wait("done", "b1")[3])
    assert.equal("OK", queue:wait("done", "b3")[3])
    assert.equal("OK", queue:many("acme", "c", 11))
    queue:has_all("acme", 100011)
    queue:close()
  end)

  it("stores what was handed in before it closes", function()
    queue.child.input:write("append\tx1\tacme\ta1\t{}\nclose\n")
    assert.equal("OK", queue:wait("done", "x1")[3])
    queue:wait("closed")
    assert.equal(0, queue:count("take"))
    queue.child.input:close()
    assert.equal(0, (queue.child:wait()))
    queue = queue:again()
    queue:taken("a1")
    queue:close()
  end)

  it("refuses a record without an id or with too long a lane, and takes the next", function()
    queue.child.input:write("append\tx1\tacme " .. ("l"):rep(400) .. "\ta1\t{}\n")
    assert.equal("EINVAL", queue:wait("done", "x1")[3])
    queue:tell("many", "x2", "", "m", 3, 10)
    assert.equal("EINVAL", queue:wait("done", "x2")[3])
    assert.equal("OK", (queue:append("acme", "a1")))
    queue:taken("a1")
    queue:waits("", 1)
    queue:close()
  end)

  it("survives being killed at any moment with nothing lost that it answered for", function()
    local answered = {}
    for round = 1, 8 do
      local base = #queue.child.out
      for i = 1, 50 do
        queue:tell("append", ("r%d_%d"):format(round, i), "acme", ("r%d_%d"):format(round, i), "{}")
      end
      -- A different moment each round, set by how much has been answered.
      eventually(function()
        return #queue.child.out >= base + round * 5
      end)
      queue:die()
      for _, line in ipairs(queue.child.out) do
        local tag = line:match("^done\t([^\t]+)\tOK")
        if tag then
          answered[tag] = true
        end
      end
      queue = queue:again()
    end
    queue:tell("auto", "settle")
    assert.is_truthy(next(answered))
    queue:in_time(function()
      local came = {}
      for _, line in ipairs(queue.child.out) do
        came[line:match("^take\t([^\t]+)") or ""] = true
      end
      for tag in pairs(answered) do
        if not came[tag] then
          return false, tag .. " did not come"
        end
      end
      return queue:stat().waiting == 0, "some wait"
    end, "all that it answered for")
    queue:close()
  end)
end)
