local testing = require("moonpost.testing")
local google = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "fakes/google-ads.lua")
local partner = assert(testing.partner("google-ads.lua", { now = "2026-01-31T10:00:00Z" }))

local clicks = {
  good = true, better = true, young = "TOO_RECENT_EVENT", old = "EXPIRED_EVENT", known = "CLICK_CONVERSION_ALREADY_EXISTS",
  twice = "ORDER_ID_ALREADY_IN_USE",
}

local function conversion(gclid, changes)
  local event = { gclid = gclid, time = "2026-01-31T10:00:00+01:00", order = "A-17", value = testing.raw("1.50"), currency = "EUR" }
  for key, value in pairs(changes or {}) do
    event[key] = value
  end
  return event
end

local function account(changes)
  local options = { developer_token = "test-google_developer_token", manager = "9876543210", clicks = clicks,
                    tokens = { ["[oauth2 token]"] = true } }
  for key, value in pairs(changes or {}) do
    options[key] = value
  end
  return google(options)
end

describe("google-ads", function()
  it("sends conversions as the REST interface has them", function()
    local request = assert(partner:render({ conversion("good"), { gclid = "better", time = 1769853600.5 } }))
    assert.same({ "POST", "https://googleads.googleapis.com/v26/customers/1234567890:uploadClickConversions" },
                { request.method, request.url })
    assert.same({ "Bearer [oauth2 token]", "test-google_developer_token", "9876543210" },
                { request.headers.Authorization, request.headers["developer-token"], request.headers["login-customer-id"] })
    local action = "customers/1234567890/conversionActions/987654321"
    assert.same({ partialFailure = true, conversions = {
      { gclid = "good", conversionAction = action, conversionDateTime = "2026-01-31 09:00:00+00:00", orderId = "A-17",
        conversionValue = 1.5, currencyCode = "EUR" },
      { gclid = "better", conversionAction = action, conversionDateTime = "2026-01-31 10:00:00+00:00" },
    } }, request.json)
    assert.is_nil(account()(request).body:find("partialFailureError", 1, true))
  end)

  it("tells each conversion's fate from the one answer", function()
    local events = { conversion("good"), conversion("old"), conversion("young"), conversion("known"), conversion("twice"),
                     conversion("better") }
    local played = partner:deliver(events, function(request, number)
      return account({ clicks = number > 1 and { young = true } or nil })(request) -- six hours later
    end)
    assert.same({ 1, 3, 4, 5, 6 }, played.delivered)
    assert.same({ [2] = "EXPIRED_EVENT: gclid was refused." }, played.dead)
    assert.same({ "retry", "delivered" }, played.verdicts[3])
    assert.same({ 6 * 3600 }, played.waits[3])
    assert.same({ { 1, 2, 3, 4, 5, 6 }, { 3 } }, { played.requests[1].places, played.requests[2].places })
  end)

  it("takes the call's own status for all of them when it failed as a whole", function()
    local request = assert(partner:render(conversion("good")))
    local two = { conversion("good"), conversion("better") }
    assert.equal("retry", partner:verdict(account({ tokens = {} })(request), two))
    assert.equal("retry", partner:verdict(account({ manager = "1" })(request), two))
    assert.equal("retry", partner:verdict({ status = 429, json = { error = { status = "RESOURCE_EXHAUSTED" } } }, two))
    assert.equal("split", partner:verdict({ status = 400, json = { error = { status = "INVALID_ARGUMENT" } } }, two))
    assert.equal("retry", partner:verdict("timeout", two))
  end)

  it("sends up to two thousand at a time", function()
    local events = {}
    for i = 1, 2001 do
      events[i] = conversion("good", { order = tostring(i) })
    end
    local batches = assert(partner:batches(events))
    assert.same({ 2000, 1 }, { #batches[1], #batches[2] })
  end)

  it("sends nothing without a click or its time", function()
    local _, fallen = partner:batches({ conversion(nil), conversion("good"), conversion("good", { time = "" }) })
    assert.same({ [1] = "missing gclid", [3] = "missing time" }, fallen)
    local request, why = partner:render(conversion("good", { time = "yesterday" }))
    assert.is_nil(request)
    assert.matches("google%-ads%.lua:%d+: time%.format", why)
  end)
end)
