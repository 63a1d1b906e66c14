--- kill -9 under load, again and again: every event that was answered 202 arrives.
local cjson = require("cjson")
local support = require("spec.support")
local eventually, http, partner, runtime = support.eventually, support.http, support.partner, support.runtime

local rounds = tonumber(os.getenv("MOONPOST_CRASH_ROUNDS")) or 5

describe("a killed Moonpost", function()
  after_each(support.clean)

  it("loses nothing that was answered 202", function()
    -- Some fail first, so that retries are among what must survive.
    local fake = partner.new({
      handler = function(request)
        local is_first = request.headers["moonpost-attempt"] == "1"
        return is_first and request.body:find('"n":%d*7[,}]') and 503 or 200
      end,
    })
    local rt = runtime.start({ scripts = {
      acme = ('return { method = "POST", url = "%s", retry = { schedule = { "1s", "1s", "1s" } } }')
        :format(fake:url("/hook")),
    } })
    local accepted = {}
    local load = http.load({
      url = rt:url("/events/acme"), connections = 8, reconnect = true,
      headers = { ["Content-Type"] = "application/json" },
      body = function(n) return ('[{"n":%d},{"n":%d,"second":true}]'):format(n, n) end,
      on_answer = function(response)
        if response.status == 202 then
          for _, id in ipairs(cjson.decode(response.body).ids) do
            accepted[#accepted + 1] = id
          end
        end
      end,
    })
    for round = 1, rounds do
      local waited_for = #accepted + 100 + round * 37
      eventually(function() return #accepted >= waited_for, #accepted end, nil, "answers under load")
      rt:kill9()
      rt:restart()
    end
    load:stop()

    local arrived, next_request, duplicates = {}, 1, 0
    local function count_arrivals()
      while fake.requests[next_request] do
        local id = fake.requests[next_request].headers["moonpost-id"]
        arrived[id] = (arrived[id] or 0) + 1
        next_request = next_request + 1
      end
    end
    eventually(function()
      count_arrivals()
      return rt:partner("acme").waiting == 0
    end, 60000, "an empty queue")
    count_arrivals()
    local lost, first_lost = 0, nil
    for _, id in ipairs(accepted) do
      if not arrived[id] then
        lost, first_lost = lost + 1, first_lost or id
      end
    end
    -- A duplicate is one more request than attempts that were answered.
    for _, request in ipairs(fake.requests) do
      local seen = request.headers["moonpost-id"] .. " " .. request.headers["moonpost-attempt"]
      duplicates = duplicates + (arrived[seen] and 1 or 0)
      arrived[seen] = true
    end
    print(("  %d rounds of kill -9: %d accepted, %d requests, %d lost, %d duplicates (%.2f %%)"):format(
      rounds, #accepted, #fake.requests, lost, duplicates, 100 * duplicates / #fake.requests))
    assert.equal(0, lost, "lost, first of all " .. tostring(first_lost))
    assert.equal(0, #rt:api("/api/dead").items)
  end)
end)
