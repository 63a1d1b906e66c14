local testing = require("moonpost.testing")
local appsflyer = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "fakes/appsflyer.lua")
local partner = assert(testing.partner("appsflyer.lua"))

local function purchase(changes)
  local event = { device = "1415211453000-6513894", user = "u-1", goal = "af_purchase", time = "2026-01-31T11:00:00.25+01:00",
                  sku = 'a "b"', revenue = testing.raw("6.00"), currency = "USD" }
  for key, value in pairs(changes or {}) do
    event[key] = value
  end
  return event
end

local function app(options)
  options = options or {}
  local recorded = {}
  return appsflyer({ key = options.key or "test-appsflyer_key", app = options.app or "id123456789", recorded = recorded }), recorded
end

describe("appsflyer", function()
  it("sends JSON inside JSON, and the time as AppsFlyer writes it", function()
    local request = assert(partner:render(purchase()))
    assert.same({ "POST", "https://api3.appsflyer.com/inappevent/id123456789" }, { request.method, request.url })
    assert.same({ "test-appsflyer_key", "application/json" }, { request.headers.authentication, request.headers["Content-Type"] })
    assert.same({
      appsflyer_id = "1415211453000-6513894", customer_user_id = "u-1", eventName = "af_purchase",
      eventTime = "2026-01-31 10:00:00.250", eventCurrency = "USD", af_events_api = "true",
      eventValue = '{"af_content_id":"a \\"b\\"","af_revenue":6.00}',
    }, request.json)
  end)

  it("is recorded", function()
    local endpoint, recorded = app()
    assert.is_true(partner:deliver(purchase(), endpoint).delivered)
    assert.is_true(partner:deliver({ device = "1-2", goal = "af_content_view", time = 1769853600, sku = "1" }, endpoint).delivered)
    assert.equal("af_purchase", recorded[1].eventName)
    assert.same({ "2026-01-31 10:00:00.000", '{"af_content_id":"1"}' }, { recorded[2].eventTime, recorded[2].eventValue })
  end)

  it("is answered 200 and not recorded when the app's id is another", function()
    local endpoint, recorded = app({ app = "123456789" })
    assert.is_true(partner:deliver(purchase(), endpoint).delivered)
    assert.equal(0, #recorded)
  end)

  it("gives up on what AppsFlyer does not take, and waits while its key is refused", function()
    assert.equal("status 400", partner:deliver(purchase({ device = "none" }), app()).dead)
    assert.same({ "retry", "status 401", "default" }, { partner:verdict(app({ key = "another" })(partner:render(purchase()))) })
    assert.same({ "retry", "delivered" }, partner:deliver(purchase(), { 500, 200 }).verdicts)
  end)

  it("sends nothing without a device, nor with a time that is none", function()
    assert.same({ "missing device", "dead" }, { select(2, partner:render({ goal = "af_login", time = 1 })) })
    assert.matches("appsflyer%.lua:%d+: time%.format", select(2, partner:render(purchase({ time = "noon" }))))
  end)
end)
