--- Processes that come and go under load: ingest and deliver apart, several of each.
local support = require("spec.support")
local faults = require("spec.support.faults")
local kafka = require("spec.support.kafka")

describe("the members of a group on Kafka", function()
  local cluster
  before_each(function() cluster = kafka.shared() end)
  after_each(support.clean)

  kafka.it("join and leave in order, and nothing is lost or sent twice", function()
    local world = faults.world({ cluster = cluster, partitions = 4, handler = faults.fails_some })
    local first = world:start()
    local load = world.books:load(first, "/events/acme", { rate = 300 })
    local rounds = faults.rounds(2)
    for _ = 1, rounds do
      local second = world:start("deliver")
      world.books:wait_accepted(300)
      second:stop()
      world.books:wait_accepted(300)
    end
    load:stop()
    world.books:close(rounds .. " x a deliverer joined and left", { max_duplicates = 0 })
  end)

  kafka.it("join and are killed, and nothing is lost", function()
    local world = faults.world({ cluster = cluster, partitions = 4, handler = faults.fails_some })
    local first = world:start()
    local second = world:start("deliver")
    local load = world.books:load(first, "/events/acme", { rate = 300 })
    local rounds = faults.rounds(2)
    for _ = 1, rounds do
      world.books:wait_accepted(300)
      second:kill9()
      world.books:wait_accepted(300)
      second:restart()
    end
    load:stop()
    world.books:close(rounds .. " x a deliverer was killed beside another")
  end)

  kafka.it("that only take and those that only deliver can each be doubled, killed and ended", function()
    local world = faults.world({ cluster = cluster, partitions = 4, handler = faults.fails_some })
    local doors = { world:start("ingest"), world:start("ingest") }
    local deliverers = { world:start("deliver"), world:start("deliver") }
    local loads = {}
    for i, door in ipairs(doors) do
      loads[i] = world.books:load(door, "/events/acme", { rate = 150, connections = 4 })
    end
    world.books:wait_accepted(200)
    deliverers[1]:kill9()
    doors[1]:kill9()
    world.books:wait_accepted(200)
    doors[1]:restart()
    deliverers[1]:restart()
    deliverers[2]:stop()
    world.books:wait_accepted(200)
    deliverers[2]:restart()
    world.books:wait_accepted(100)
    for _, load in ipairs(loads) do
      load:stop()
    end
    world.books:close("two that take, two that deliver")
  end)

  kafka.it("that is stopped past its session, and goes on, loses nothing", function()
    local world = faults.world({ cluster = cluster, partitions = 4, handler = faults.fails_some })
    local door, sleeper = world:start(), world:start("deliver")
    local load = world.books:load(door, "/events/acme", { rate = 200 })
    local rounds = faults.rounds(2)
    for _ = 1, rounds do
      world.books:wait_accepted(200)
      sleeper.child:kill("sigstop")
      faults.let_pass(3000) -- three sessions
      sleeper.child:kill("sigcont")
    end
    world.books:wait_accepted(200)
    load:stop()
    world.books:close(rounds .. " x stopped for three sessions")
  end)
end)
