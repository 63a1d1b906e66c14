--- kill -9 of Moonpost, at random and at the moments that are worst: what was answered 202 is there.
local cjson = require("cjson")
local support = require("spec.support")
local faults = require("spec.support.faults")
local kafka = require("spec.support.kafka")
local eventually = support.eventually

describe("a Moonpost on Kafka that is killed", function()
  local cluster
  before_each(function() cluster = cluster or not kafka.why_no_nodes() and kafka.start({ nodes = 1 }) end)
  teardown(function()
    if cluster then
      cluster:stop()
    end
  end)
  after_each(support.clean)

  kafka.it_with_nodes("at random loses nothing", function()
    local world = faults.world({ cluster = cluster, handler = faults.fails_some })
    local rt = world:start()
    local load = world.books:load(rt, "/events/acme", { rate = 300 })
    local rounds = faults.rounds(5)
    for round = 1, rounds do
      world.books:wait_accepted(300 + round % 7 * 37)
      rt:kill9()
      rt:restart()
    end
    load:stop()
    world.books:close(rounds .. " x kill -9")
  end)

  kafka.it_with_nodes("when the partner has answered, before that is marked, sends again at worst", function()
    local rt, left
    local world = faults.world({ cluster = cluster, handler = function()
      left = left and left - 1
      if left == 0 then
        rt.child:kill("sigkill")
      end
      return 200
    end })
    rt = world:start()
    local rounds = faults.rounds(4)
    for round = 1, rounds do
      world.books:note(rt:post("/events/acme", ("[%s{}]"):format(("{},"):rep(19))))
      left = round * 3
      eventually(function() return rt.child:has_ended() end, nil, "the partner's kill")
      rt:kill9()
      left = nil
      rt:restart()
    end
    world.books:close(rounds .. " x killed by the partner's answer")
  end)

  kafka.it_with_nodes("when a retry was sent and its report cannot come, retries", function()
    local world = faults.world({ cluster = cluster, handler = function(request)
      return request.headers["moonpost-attempt"] == "1" and { hang = true } or 200
    end })
    local rt = world:start()
    local rounds = faults.rounds(3)
    for _ = 1, rounds do
      local answer = rt:post("/events/acme", "{}")
      world.books:note(answer)
      eventually(function() return #world.partner.hanging == 1 end, nil, "the first attempt")
      cluster:pause(1)
      world.partner:release({ status = 503 })
      eventually(function()
        for _, line in ipairs(rt:attempts()) do
          if line.id == answer.json.ids[1] then
            return line.verdict == "retry"
          end
        end
      end, nil, "the retry's line")
      rt:kill9()
      cluster:resume(1)
      rt:restart()
      eventually(function()
        world.partner:release({ status = 503 }) -- it may be sent as the first attempt again
        local books = world.books:account()
        return books.missing + books.waiting == 0
      end, 30000, "its delivery")
    end
    world.books:close(rounds .. " x killed before the retry's report")
  end)

  kafka.it_with_nodes("when a retry was stored and its mark is not, retries", function()
    local world = faults.world({ cluster = cluster, handler = function(request)
      return request.headers["moonpost-attempt"] == "1" and request.body:find("retry", 1, true) and 503 or 200
    end })
    local rt = world:start()
    local rounds = faults.rounds(4)
    for round = 1, rounds do
      local answer = rt:post("/events/acme", ("[%s{}]"):format(('{},{},{"retry":true},'):rep(6)))
      world.books:note(answer)
      rt:attempt(answer.json.ids[18], 1)
      faults.let_pass(200 * (round - 1) / rounds) -- between two commits, somewhere else each time
      rt:kill9()
      rt:restart()
    end
    world.books:close(rounds .. " x killed between a retry's report and its commit")
    assert.same({}, cjson.decode(rt:get("/api/dead").body).items)
  end)
end)

-- Commits reach their broker while retries do not reach theirs.
describe("a Moonpost on Kafka whose retries cannot be stored", function()
  local cluster
  before_each(function()
    cluster = not kafka.why_no_nodes() and kafka.start({
      nodes = 3, settings = { ["offsets.topic.replication.factor"] = 1, ["min.insync.replicas"] = 1 },
    })
  end)
  after_each(support.clean)

  kafka.it_with_nodes("does not commit what it would retry, and retries it after a kill", function()
    local world = faults.world({ cluster = cluster, replication = 3, handler = function(request)
      return request.headers["moonpost-attempt"] == "1" and { hang = true } or 200
    end })
    local rt = world:start()
    local body = "[{},{},{},{},{},{},{},{}]"
    world.books:note(rt:post("/events/acme", body))
    eventually(function() return #world.partner.hanging == 8 end, nil, "the first attempts")
    local deaf = world:coordinator() % 3 + 1
    for partition = 0, 2 do
      cluster:move_leader(world.prefix .. "postbacks.retry.5s", partition, deaf)
    end
    cluster:pause(deaf)
    world.partner:release({ status = 503 })
    eventually(function()
      local retries = 0
      for _, line in ipairs(rt:attempts()) do
        retries = retries + (line.verdict == "retry" and 1 or 0)
      end
      return retries == 8
    end, nil, "the retries' lines")
    faults.let_pass(600) -- in which it could commit
    rt:kill9()
    cluster:kill9(deaf) -- with what it was sent and did not read
    cluster:start(deaf)
    world.partner.handler = function() return 200 end
    rt:restart()
    world.books:close("killed while retries could not be stored")
  end)
end)
