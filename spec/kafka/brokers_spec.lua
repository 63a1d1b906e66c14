--- Brokers that die, come back and move their leaders: what was answered 202 is there, and the pause
-- of accepting is as long as a broker is missed.
local uv = require("luv")
local support = require("spec.support")
local faults = require("spec.support.faults")
local kafka = require("spec.support.kafka")
local eventually = support.eventually

describe("a Moonpost on three brokers", function()
  local cluster
  before_each(function()
    cluster = cluster or not kafka.why_no_nodes() and kafka.start({ nodes = 3, session_timeout_ms = 3000 })
  end)
  teardown(function()
    if cluster then
      cluster:stop()
    end
  end)
  after_each(support.clean)

  kafka.it_with_nodes("accepts again soon after one was killed that leads, also the controller", function()
    local world = faults.world({ cluster = cluster, replication = 3, handler = faults.fails_some })
    local rt = world:start()
    rt:expect_error(".")
    local load = world.books:load(rt, "/events/acme", { rate = 200, connections = 16 })
    local rounds, slowest_ms = faults.rounds(2), 0
    for round = 1, rounds do
      world.books:wait_accepted(200)
      local node = cluster:controller()
      if round % 2 == 0 then
        node = node % 3 + 1
      end
      for partition = 0, 2 do
        cluster:move_leader(world.prefix .. "postbacks", partition, node)
      end
      cluster:kill9(node)
      local killed_at = uv.hrtime()
      eventually(function()
        local leader = cluster:leader(world.prefix .. "postbacks", 0)
        return leader and leader ~= node
      end, 60000, "another leader")
      -- On a busy machine the cluster itself takes longer than it should.
      slowest_ms = math.max(slowest_ms, (uv.hrtime() - killed_at) / 1e6)
      world.books:wait_accepted(400)
      cluster:start(node)
    end
    load:stop()
    print(("  the cluster took %.1f s to name another leader"):format(slowest_ms / 1e3))
    world.books:close(rounds .. " x kill -9 of one broker of three",
      { max_pause_ms = math.max(slowest_ms, cluster.session_timeout_ms) + 2000 })
  end)

  kafka.it_with_nodes("does not notice leaders that move", function()
    local world = faults.world({ cluster = cluster, replication = 3, handler = faults.fails_some })
    local rt = world:start()
    rt:expect_error(".")
    local load = world.books:load(rt, "/events/acme", { rate = 200, connections = 16 })
    for _ = 1, faults.rounds(2) do
      world.books:wait_accepted(100)
      for partition = 0, 2 do
        cluster:move_leader(world.prefix .. "postbacks", partition)
      end
    end
    world.books:wait_accepted(200)
    load:stop()
    world.books:close("leaders that moved", { max_pause_ms = 2000 })
  end)

  kafka.it_with_nodes("and a broker are killed again and again, and nothing is lost", function()
    local world = faults.world({ cluster = cluster, replication = 3, handler = faults.fails_some })
    local rt = world:start()
    local other = world:start("deliver")
    local load = world.books:load(rt, "/events/acme", { rate = 200, connections = 16 })
    local rounds = faults.rounds(2)
    for round = 1, rounds do
      local node = round % 3 + 1
      world.books:wait_accepted(200)
      cluster:kill9(node)
      other:kill9()
      world.books:wait_accepted(200)
      cluster:start(node)
      other:restart()
      other:expect_error(".")
    end
    rt:expect_error(".")
    load:stop()
    world.books:close(rounds .. " x kill -9 of a broker and of a deliverer")
  end)
end)

describe("a Moonpost on one broker", function()
  local cluster
  before_each(function() cluster = cluster or not kafka.why_no_nodes() and kafka.start({ nodes = 1 }) end)
  after_each(support.clean)

  kafka.it_with_nodes("says that it is away, and has everything when it is back", function()
    local world = faults.world({ cluster = cluster, handler = faults.fails_some })
    local rt = world:start()
    rt:expect_error(".")
    local load = world.books:load(rt, "/events/acme", { rate = 200 })
    for _ = 1, faults.rounds(1) do
      world.books:wait_accepted(300)
      cluster:kill9(1)
      eventually(function() return rt:get("/readyz").status == 503 end, 30000, "a readiness of 503")
      cluster:start(1)
      eventually(function() return rt:get("/readyz").status == 200 end, 60000, "readiness again")
      world.books:wait_accepted(300)
    end
    load:stop()
    world.books:close("kill -9 of the only broker")
  end)
end)
