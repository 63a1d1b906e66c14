-- Google Ads: conversions by click id, up to 2,000 a call; its 200 names those that were refused.
-- Secrets: google_developer_token, google_client_id, google_client_secret, google_refresh_token.
-- {"gclid":"EAIaIQobChMI","time":"2026-01-31T10:00:00+01:00","order":"A-17","value":1.50,"currency":"EUR"}
local account, manager = "customers/1234567890", "9876543210"
local action = account .. "/conversionActions/987654321"
local known = { -- any other is dead
  TOO_RECENT_EVENT = { "retry", "6h" }, -- the click is younger than that
  CLICK_CONVERSION_ALREADY_EXISTS = "delivered",
  ORDER_ID_ALREADY_IN_USE = "delivered",
}
local function date(event)
  return time.format(time.parse(event.time), "%F %T%:z")
end
local function verdict(response)
  local verdicts = {}
  for _, failure in ipairs(get(response.json, "partialFailureError.details.0.errors") or {}) do
    local _, code = next(failure.errorCode)
    local place = get(failure, "location.fieldPathElements.0.index") + 1
    verdicts[place] = known[code] or { "dead", code .. ": " .. failure.message }
  end
  return verdicts
end
return {
  url      = "https://googleads.googleapis.com/v26/" .. account .. ":uploadClickConversions",
  headers  = { ["developer-token"] = secret "google_developer_token", ["login-customer-id"] = manager },
  oauth2   = { token_url = "https://oauth2.googleapis.com/token", auth = "body",
               client_id = secret "google_client_id", client_secret = secret "google_client_secret",
               refresh_token = secret "google_refresh_token" },
  batch    = { size = 2000, wait = "1s" },
  required = { "gclid", "time" },
  item     = { gclid = "{gclid}", conversionAction = action, orderId = "{order}",
               conversionValue = number "{value}", currencyCode = "{currency}",
               conversionDateTime = date },
  body     = { conversions = items, partialFailure = true },
  verdict  = verdict,
}
