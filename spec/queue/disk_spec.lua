--- A disk that fails now and then: what was refused is not stored, what was stored was not refused.
local harness = require("spec.support.queue_harness")
local eventually = require("spec.support.eventually")

describe("a disk that fails", function()
  after_each(harness.clean)

  it("at a commit's end stores nothing of what it refuses, and all of what was resolved", function()
    local queue = harness.open(harness.home())
    queue:append("acme", "a1,a2,a3")
    queue:taken("a2")
    queue:tell("disk", "sync", 1000000)
    assert.equal("EIO", (queue:append("acme", "b1,b2", nil, "key", "body", "answer")))
    queue:tell("settle", "a1")
    queue:tell("retry", "a2", 0)
    assert.equal("EIO", (queue:append("acme", "b3")))
    queue:tell("disk", "sync", 0)
    assert.equal(1, queue:taken("a2").attempts)
    assert.equal("OK", (queue:append("acme", "b1,b2", nil, "key", "body", "answer")))
    queue:taken("b1")
    queue:close()
    queue = queue:again()
    for _, id in ipairs({ "a2", "a3", "b1", "b2" }) do
      queue:taken(id)
    end
    assert.equal(4, queue:stat().waiting)
    queue:close()
  end)

  -- SQLite gives up the whole transaction when a read of it fails; where it fails is tried out.
  it("at a lane's read refuses what is stored with it whole, or stores it whole", function()
    local queue = harness.open(harness.home())
    queue:tell("quiet")
    for i = 1, 3 do
      queue:many("big", ("g%d-"):format(i), 1000, 3000)
    end
    queue:wait_stat("in_hand", 256)
    local settled, refused = 0, 0
    for round, passes in ipairs({ 0, 24, 48 }) do
      -- Keeps the storage thread at work, so that the read and the append are one commit.
      queue:tell("many", "busy" .. round, "other", ("o%d-"):format(round), 6000, 60)
      queue:stat()
      queue:tell("disk", "read", 1, passes)
      for _ = 1, 140 do
        settled = settled + 1
        queue:tell("settle", "g1-" .. settled)
      end
      queue:stat()
      local key = "key" .. round
      local first = queue:append("acme", ("z%d,y%d"):format(round, round), nil, key, "body", "answer")
      queue:tell("disk", "read", 0)
      refused = refused + (first == "EIO" and 1 or 0)
      assert.is_true(first == "EIO" or first == "OK", first)
      local again = queue:append("acme", ("z%d,y%d"):format(round, round), nil, key, "body", "answer")
      assert.equal(first == "EIO" and "OK" or "EDUPLICATE", again)
      if queue:wait("done", "busy" .. round)[3] == "EIO" then -- it was slow, and met the fault itself
        assert.equal("OK", queue:many("other", ("o%d-"):format(round), 6000, 60))
      end
      eventually(function()
        local acme = queue:stat("acme")
        return acme.waiting == 2 * round and acme.in_hand > 256 + 128 + 2 * round, acme.in_hand .. " in hand"
      end, nil, "both deliveries, and the big lane's next")
    end
    queue:close()
    print(("  %d of 3 refused"):format(refused))
    queue = queue:again()
    assert.equal(6, queue:stat("acme").waiting)
    queue:close()
  end)
end)
