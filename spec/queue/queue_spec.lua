--- What every engine of the queue promises. Nothing here knows which engine it is.
local uv = require("luv")
local harness = require("spec.support.queue_harness")
local eventually = harness.eventually

local function each_id(prefix, count, visit)
  for i = 1, count do
    visit(prefix .. i)
  end
end

local function ids_of(letters)
  local ids = {}
  for i, letter in ipairs(letters) do
    ids[i] = letter.id
  end
  return ids
end

for _, engine in ipairs(harness.engines) do
  describe("the " .. engine.name .. " queue", function()
    local queue

    before_each(function()
      queue = engine.open(engine.home())
    end)
    after_each(harness.clean)

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
          queue:taken(id)
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
        assert.equal(1, queue:stat("acme").waiting)
        assert.equal(0, queue:count("take"))
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
        queue:die()
        queue = queue:again()
        assert.equal(1, queue:stat("acme").waiting)
        assert.equal(0, queue:count("take"))
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
        queue:tell("retryall", 50, 1000)
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
        assert.equal(1, queue:stat("acme").waiting)
        assert.equal(0, queue:count("take"))
        queue:tell("shift", 3600000)
        assert.equal(1, queue:taken("a1").attempts)
        queue:tell("retry", "a1", 10)
        assert.equal(2, queue:taken("a1").attempts)
        queue:tell("settle", "a1")
        queue:close()
        queue = queue:again()
        assert.equal(0, queue:stat().waiting)
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
          queue:tell("retryall", 60000, 0)
          return queue:stat().taken == 1000
        end)
        queue:tell("retryall", 60000, 0)
        queue:tell("auto", "settle")
        queue:tell("shift", 120000)
        queue:wait_stat("waiting", 0)
        assert.equal(2000, queue:stat().taken)
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
        assert.equal(1, queue:stat("acme").waiting)
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
        assert.equal(0, queue:count("take"))
        assert.equal(41, queue:stat("acme").in_hand)
        queue:close()
      end)
    end)

    describe("holding", function()
      it("gives nothing of a partner until it is released, and then all of it", function()
        queue:tell("hold", "acme", -1)
        queue:append("acme", "a1,a2")
        queue:append("globex", "g1")
        queue:taken("g1")
        assert.equal(0, queue:count("take"))
        assert.equal(2, queue:stat("acme").waiting)
        queue:tell("release", "acme")
        queue:taken("a1")
        queue:taken("a2")
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
        queue:taken("c1")
        assert.equal(0, queue:count("take"))
        assert.equal(3, queue:stat("postback").waiting)
        queue:tell("release", "postback http://a:80")
        queue:taken("a1")
        queue:close()
      end)

      it("ends by itself at its time, also for what was parked meanwhile", function()
        queue:append("acme", "a1")
        queue:taken("a1")
        queue:tell("hold", "acme", 3600000)
        queue:tell("park", "a1")
        queue:append("acme", "a2")
        assert.equal(0, queue:count("take"))
        queue:tell("shift", 3600001)
        queue:taken("a1")
        queue:taken("a2")
        queue:close()
      end)

      it("keeps a retry that is due", function()
        queue:append("acme", "a1")
        queue:taken("a1")
        queue:tell("hold", "acme", -1)
        queue:tell("retry", "a1", 1)
        queue:append("globex", "g1")
        queue:taken("g1")
        queue:tell("shift", 60000)
        queue:append("globex", "g2")
        queue:taken("g2")
        assert.equal(0, queue:count("take"))
        queue:tell("release", "acme")
        queue:taken("a1")
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

      it("gives every one of ten thousand once, as it is emptied", function()
        queue:many("slow", "s", 10000)
        queue:tell("auto", "settle")
        queue:wait_stat("waiting", 0)
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
        assert.equal(0, queue:stat().waiting)
        queue:close()
      end)

      it("gives every one once while more are appended and some are put off", function()
        queue:tell("quiet")
        for round = 1, 20 do
          queue:many("slow", "r" .. round .. "_", 100)
          if round % 3 == 0 then
            queue:tell("retryall", 1, 5)
          end
        end
        -- 2,000 are there; the retries of the rounds come again on top of them.
        queue:tell("auto", "settle")
        queue:wait_stat("waiting", 0)
        assert.equal(0, queue:stat().in_hand)
        queue:close()
        queue = queue:again()
        assert.equal(0, queue:stat().waiting)
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
        queue:wait_stat("waiting", 0)
        assert.equal(12 * 128 + 1, queue:stat().taken)
        queue:close()
      end)
    end)

    describe("dead letters", function()
      it("keep the event, the reason and what was attempted", function()
        queue:bury("acme", "a1", "404 from the partner", 5000, '{"n":1.50}')
        local letter = eventually(function()
          return queue:show("a1")[1]
        end)
        assert.same({
          id = "a1", partner = "acme", reason = "404 from the partner", attempts = 1, status = 500,
          last_ms = 5000, replays = 0, event = '{"n":1.50}',
        }, letter)
        assert.equal(0, queue:stat("acme").waiting)
        queue:close()
        queue = queue:again()
        assert.equal("a1", queue:list()[1].id)
        assert.equal(0, queue:count("take"))
        queue:close()
      end)

      it("are listed newest first, page by page, of all or of one partner", function()
        for i = 1, 7 do
          queue:bury(i % 2 == 0 and "even" or "odd", "d" .. i, "x", 1000 + math.floor(i / 2))
        end
        eventually(function()
          return #queue:list() == 7
        end)
        local first = queue:list(nil, 3)
        local second = queue:list(nil, 3, first.next)
        local third = queue:list(nil, 3, second.next)
        assert.same({ { "d7", "d6", "d5" }, { "d4", "d3", "d2" }, { "d1" } },
          { ids_of(first), ids_of(second), ids_of(third) })
        assert.equal("", third.next)
        assert.same({ "d6", "d4", "d2" }, ids_of(queue:list("even")))
        assert.equal("", queue:list("even", 3).next)
        queue:close()
      end)

      it("say so when an id or a cursor is none", function()
        local none = queue:show("nobody")
        assert.same({ "ENOTFOUND", "no dead letter has this id" }, { none.status, none.why })
        for _, cursor in ipairs({ "x", "1", "1.", ".1", "1.2.3", "-1.2" }) do
          assert.equal("EINVAL", queue:list(nil, 10, cursor).status)
        end
        queue:close()
      end)

      it("that are replayed keep their id, count up, and their attempts start again", function()
        queue:bury("acme", "a1", "no", 1000, '{"n":1}')
        queue:bury("acme", "a2", "no", 1000)
        assert.same({ status = "OK", matched = 1, done = 1, unknown = { "zz" } },
          queue:dead("replay", { "a1", "zz", "a1" }))
        local again = queue:taken("a1")
        assert.same({ 0, 1, '{"n":1}', 0 }, { again.attempts, again.replays, again.event,
                                              again.status })
        assert.equal(1, queue:stat("acme").waiting)
        assert.same({ "a2" }, ids_of(queue:list()))
        queue:tell("bury", "a1", "again", 500, 2000)
        eventually(function()
          return #queue:list() == 2
        end)
        assert.equal(1, queue:show("a1")[1].replays)
        queue:dead("replay", { "a1" })
        assert.equal(2, queue:taken("a1").replays)
        queue:close()
      end)

      it("are replayed by partner and range of time, its end not included", function()
        for i = 1, 5 do
          queue:bury("acme", "a" .. i, "no", 1000 * i)
        end
        queue:bury("globex", "g1", "no", 3000)
        eventually(function()
          return #queue:list() == 6
        end)
        local range = { partner = "acme", since = 2000, until_ms = 4000 }
        assert.same({ status = "OK", matched = 2, done = 0, unknown = {} },
          queue:dead("replay", range, true))
        assert.equal(6, #queue:list())
        assert.same({ status = "OK", matched = 2, done = 2, unknown = {} },
          queue:dead("replay", range))
        queue:taken("a2")
        queue:taken("a3")
        assert.same({ "a5", "a4", "g1", "a1" }, ids_of(queue:list()))
        assert.equal(4, queue:dead("replay", {}).done)
        assert.equal(0, #queue:list())
        queue:close()
      end)

      it("are purged for good", function()
        queue:bury("acme", "a1")
        queue:bury("acme", "a2")
        eventually(function()
          return #queue:list() == 2
        end)
        local tried = queue:dead("purge", { "a1", "zz" }, true)
        assert.same({ 1, 0, { "zz" } }, { tried.matched, tried.done, tried.unknown })
        assert.equal(1, queue:dead("purge", { "a1" }).done)
        assert.equal(1, queue:dead("purge", { partner = "acme" }).done)
        queue:close()
        queue = queue:again()
        assert.equal(0, #queue:list())
        assert.equal(0, queue:stat().waiting)
        queue:close()
      end)

      it("are replayed by the thousand, and those that die again meanwhile not once more", function()
        queue:tell("quiet")
        queue:many("acme", "a", 1600)
        queue:tell("auto", "bury")
        queue:wait_stat("waiting", 0)
        assert.equal(1600, queue:dead("replay", { partner = "acme" }).done)
        queue:wait_stat("taken", 3200)
        queue:wait_stat("waiting", 0)
        assert.equal(1600, queue:dead("purge", {}).done)
        queue:close()
      end)

      it("there is one of an id at most, the last", function()
        queue:bury("acme", "a1", "first", 1000)
        queue:bury("acme", "a1", "second", 2000)
        eventually(function()
          return (queue:show("a1")[1] or {}).reason == "second"
        end)
        assert.equal(1, #queue:list())
        queue:close()
      end)
    end)

    describe("an idempotency key", function()
      it("stores once, and remembers the answer, also past a restart and delivery", function()
        assert.equal("OK", (queue:append("acme", "a1", "{}", "key", "body", "the answer")))
        queue:taken("a1")
        queue:tell("settle", "a1")
        local status, _, before = queue:append("acme", "a1", "{}", "key", "body", "another")
        assert.same({ "EDUPLICATE", "the answer" }, { status, before })
        queue:die()
        queue = queue:again()
        status, _, before = queue:append("acme", "a1", "{}", "key", "body", "another")
        assert.same({ "EDUPLICATE", "the answer" }, { status, before })
        assert.equal("ECONFLICT", (queue:append("acme", "a1", "{}", "key", "other", "another")))
        assert.equal("OK", (queue:append("acme", "a2", "{}", "key2", "body", "another")))
        queue:taken("a2")
        queue:close()
      end)

      it("is seen by the next append of the same batch", function()
        queue.child.input:write("append\tx1\tacme\ta1\t{}\tk\tb\tone\n"
          .. "append\tx2\tacme\ta1\t{}\tk\tb\ttwo\nappend\tx3\tacme\ta1\t{}\tk\tc\tthree\n")
        assert.equal("OK", queue:wait("done", "x1")[3])
        local second = queue:wait("done", "x2")
        assert.same({ "EDUPLICATE", "one" }, { second[3], second[5] })
        assert.equal("ECONFLICT", queue:wait("done", "x3")[3])
        queue:taken("a1")
        assert.equal(1, queue:stat().taken)
        queue:close()
      end)

      it("is forgotten when its window is over", function()
        queue:close()
        queue = queue:again(1000)
        queue:append("acme", "a1", "{}", "key", "body", "one")
        assert.equal("EDUPLICATE", (queue:append("acme", "a1", "{}", "key", "body", "two")))
        queue:tell("shift", 1000)
        assert.equal("OK", (queue:append("acme", "a2", "{}", "key", "other", "three")))
        local status, _, before = queue:append("acme", "a2", "{}", "key", "other", "four")
        assert.same({ "EDUPLICATE", "three" }, { status, before })
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
        local function counts()
          return { queue:stat("acme").waiting, queue:stat("globex").waiting,
                   queue:stat("postback").waiting, queue:stat().waiting }
        end
        assert.same({ 1, 1, 2, 4 }, counts())
        queue:close()
        queue = queue:again()
        assert.same({ 1, 1, 2, 4 }, counts())
        queue:close()
      end)
    end)

    it("takes no more than 100,000 records on their way to the disk", function()
      queue:tell("quiet")
      queue.child.input:write("many\tb1\tacme\tb\t99990\t10\nmany\tb2\tacme\tc\t11\t10\n"
        .. "many\tb3\tacme\td\t10\t10\n")
      assert.equal("EAGAIN", queue:wait("done", "b2")[3])
      assert.equal("OK", queue:wait("done", "b1")[3])
      assert.equal("OK", queue:wait("done", "b3")[3])
      assert.equal("OK", queue:many("acme", "c", 11))
      assert.equal(100011, queue:stat("acme").waiting)
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

    it("closes in the middle of reads and replays, and loses no dead letter", function()
      queue:tell("quiet")
      queue:many("acme", "a", 1600)
      queue:tell("auto", "bury")
      queue:wait_stat("waiting", 0)
      queue.child.input:write("auto\tkeep\nreplay\trange\trun\t-\t-1\t-1\nlist\t-\t1000\n"
        .. "replay\trange\tdry\t-\t-1\t-1\nclose\n")
      queue:wait("count")
      queue:wait("count")
      assert.equal("OK", queue:wait("page")[2])
      queue:wait("closed")
      queue.child.input:close()
      assert.equal(0, (queue.child:wait()))
      queue = queue:again()
      assert.equal(1600, queue:dead("purge", {}, true).matched + queue:stat().waiting)
      queue:close()
    end)

    it("refuses a record without an id or with too long a lane, and takes the next", function()
      queue.child.input:write("append\tx1\tacme " .. ("l"):rep(400) .. "\ta1\t{}\n")
      assert.equal("EINVAL", queue:wait("done", "x1")[3])
      queue:tell("many", "x2", "", "m", 3, 10)
      assert.equal("EINVAL", queue:wait("done", "x2")[3])
      assert.equal("OK", (queue:append("acme", "a1")))
      queue:taken("a1")
      assert.equal(1, queue:stat().waiting)
      queue:close()
    end)

    it("gives each to one at a time and never again once settled, whatever the owner does", function()
      for seed = 1, 4 do
        for lane = 1, 3 do
          queue:many("l" .. lane, ("s%d_l%d_"):format(seed, lane), 500)
        end
        queue:tell("random", seed)
        queue:wait("random", "done")
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
      assert.equal(4 * 1500, settled)
      queue:close()
      queue = queue:again()
      assert.equal(0, queue:stat().waiting)
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
      queue:wait_stat("waiting", 0)
      uv.run("nowait")
      local came = {}
      for _, line in ipairs(queue.child.out) do
        came[line:match("^take\t([^\t]+)") or ""] = true
      end
      assert.is_truthy(next(answered))
      for tag in pairs(answered) do
        assert.is_true(came[tag], tag .. " was lost")
      end
      queue:close()
    end)
  end)
end
