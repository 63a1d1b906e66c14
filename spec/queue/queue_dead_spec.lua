--- What every engine promises of dead letters, and of requests that come twice. Nothing here knows which engine it is.
local harness = require("spec.support.queue_harness")
local engines = require("spec.support.queue_engines")
local eventually = harness.eventually

local function ids_of(letters)
  local ids = {}
  for i, letter in ipairs(letters) do
    ids[i] = letter.id
  end
  return ids
end

engines.each(function(engine)
  local queue

  before_each(function()
    queue = engine.open(engine.home())
  end)
  after_each(engines.clean)

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
      queue:waits("acme", 0)
      queue:close()
      queue = queue:again()
      assert.equal("a1", queue:list()[1].id)
      queue:nothing_comes()
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
      queue:waits("acme", 1)
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
      queue:waits("", 0)
      queue:close()
    end)

    it("are replayed by the thousand, and those that die again meanwhile not once more", function()
      queue:tell("quiet")
      queue:many("acme", "a", 1600)
      queue:tell("auto", "bury")
      queue:all_done(1600)
      assert.equal(1600, queue:dead("replay", { partner = "acme" }).done)
      queue:all_done(3200)
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

  it("closes in the middle of reads and replays, and loses no dead letter", function()
    queue:tell("quiet")
    queue:many("acme", "a", 1600)
    queue:tell("auto", "bury")
    queue:all_done(1600)
    queue.child.input:write("auto\tkeep\nreplay\trange\trun\t-\t-1\t-1\nlist\t-\t1000\n"
      .. "replay\trange\tdry\t-\t-1\t-1\nclose\n")
    queue:wait("count")
    queue:wait("count")
    local read = queue:wait("page")[2]
    assert.is_true(read == "OK" or engine.spills and read == "ECLOSED", read)
    queue:wait("closed")
    queue.child.input:close()
    assert.equal(0, (queue.child:wait()))
    queue = queue:again()
    queue:tell("quiet")
    queue:tell("auto", "settle")
    local still_dead = queue:dead("purge", {}, true).matched
    queue:in_time(function()
      return still_dead + queue:stat().taken >= 1600
    end, "all that died")
    assert.is_true(engine.spills or still_dead + queue:stat().taken == 1600, "some came twice")
    queue:close()
  end)

  if engine.remembers_keys then
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
        queue:pass(1000)
        assert.equal("OK", (queue:append("acme", "a2", "{}", "key", "other", "three")))
        local status, _, before = queue:append("acme", "a2", "{}", "key", "other", "four")
        assert.same({ "EDUPLICATE", "three" }, { status, before })
        queue:close()
      end)
    end)
  end
end)
