local testing = require("moonpost.testing")
local meta = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "fakes/meta.lua")

local NOW, DAY = testing.time("2026-01-31T10:00:00Z"), 86400
local partner = assert(testing.partner("meta.lua", { now = NOW }))

local function purchase(changes)
  local event = {
    name = "Purchase", time = NOW - 60, page = "https://shop.example/thanks", value = testing.raw("1.50"), currency = "EUR",
    user = { email = " Ada@Example.com", phone = "447700900123", ip = "192.0.2.7", agent = "Mozilla/5.0" },
  }
  for key, value in pairs(changes or {}) do
    event[key] = value
  end
  return event
end

local function pixel(options)
  options = options or {}
  return meta({ token = options.token or "test-meta_token", now = options.now or NOW, error = options.error })
end

describe("meta", function()
  it("sends an event as the Conversions API has it, hashed", function()
    local request = assert(partner:render(purchase()))
    assert.same({ "POST", "https://graph.facebook.com/v24.0/1234567890/events" }, { request.method, request.url })
    assert.same({ access_token = "test-meta_token", data = { {
      event_name = "Purchase", event_time = NOW - 60, event_id = request.headers["Moonpost-Id"],
      action_source = "website", event_source_url = "https://shop.example/thanks",
      user_data = {
        em = { "b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72" }, -- ada@example.com
        ph = { "033134b911b137918338415ee3d20a064b24773d36a3b02e8b99fdd3fcd6b4cd" },
        client_ip_address = "192.0.2.7", client_user_agent = "Mozilla/5.0",
      },
      custom_data = { value = 1.5, currency = "EUR" },
    } } }, request.json)
    assert.matches('"value":1.50', request.body, 1, true)
    assert.same({ 200, '{"events_received":1,"fbtrace_id":"AbCdEf","messages":{}}' },
                { pixel()(request).status, pixel()(request).body })
  end)

  it("leaves out who is not known, rather than send the hash of nothing", function()
    local user = assert(partner:render(purchase({ user = { agent = "Mozilla/5.0", email = "" } }))).json.data[1].user_data
    assert.same({ client_user_agent = "Mozilla/5.0" }, user)
  end)

  it("sends a thousand at a time", function()
    local events = {}
    for i = 1, 1001 do
      events[i] = purchase({ value = i })
    end
    local batches = assert(partner:batches(events))
    assert.same({ 1000, 1 }, { #batches[1], #batches[2] })
  end)

  it("sends nothing that is over seven days old, nor without what Meta asks for", function()
    local _, fallen = partner:batches({ purchase({ time = NOW - 7 * DAY - 1 }), purchase(), purchase({ user = {} }) })
    assert.same({ [1] = "expired", [3] = "missing user.agent" }, fallen)
    assert.same({ "value is no number", "dead" }, { select(2, partner:render(purchase({ value = "much" }))) })
  end)

  it("splits a refused call until the event at fault is alone", function()
    local events = { purchase(), purchase({ currency = "euros" }), purchase(), purchase(), purchase() }
    local played = partner:deliver(events, pixel())
    assert.same({ 1, 3, 4, 5 }, played.delivered)
    assert.same({ [2] = "status 400" }, played.dead)
    local calls = {}
    for i, request in ipairs(played.requests) do
      calls[i] = table.concat(request.places, ",")
    end
    assert.same({ "1,2,3,4,5", "1,2,3", "1,2", "1", "2", "3", "4,5" }, calls)
    assert.same({ "dead" }, played.verdicts[2])
  end)

  it("finds one that Meta's clock says is too old, and loses no other", function()
    local played = partner:deliver({ purchase({ time = NOW - 7 * DAY + 30 }), purchase() }, pixel({ now = NOW + 60 }))
    assert.same({ 2 }, played.delivered)
    assert.same({ [1] = "status 400" }, played.dead)
    assert.matches('"error_subcode":2804003', pixel({ now = NOW + 8 * DAY })(partner:render(purchase())).body, 1, true)
  end)

  it("stops when the access token is refused", function()
    local played = partner:deliver({ purchase(), purchase() }, pixel({ token = "another" }))
    assert.equal("the access token was refused", played.paused[1])
    assert.equal(1, #played.requests)
  end)

  it("tries the whole call again when Meta is down or has had too many", function()
    for _, code in ipairs({ 1, 2, 4, 17, 341 }) do
      assert.equal("retry", partner:verdict(pixel({ error = code })(partner:render(purchase())), { purchase(), purchase() }))
    end
    assert.equal("retry", partner:verdict("timeout"))
  end)
end)
