-- AppsFlyer's server-to-server events: JSON inside JSON, times as only AppsFlyer writes them. Secret:
-- appsflyer_key, the S2S key. An iOS app's id starts with "id", or it answers 200 and records nothing.
-- {"device":"1415211453000-6513894","user":"u-1","goal":"af_purchase","time":"2026-01-31T11:00:00+01:00",
--  "sku":"15854","revenue":6.00,"currency":"USD"}
return {
  url      = "https://api3.appsflyer.com/inappevent/id123456789",
  headers  = { authentication = secret "appsflyer_key" },
  required = { "device", "goal", "time", "sku" },
  body     = { appsflyer_id = "{device}", customer_user_id = "{user}", eventName = "{goal}",
               eventTime = function(event) return time.format(time.parse(event.time), "%F %T.%L") end,
               eventValue = json.string { af_content_id = "{sku}", af_revenue = "{revenue}" },
               eventCurrency = "{currency}", af_events_api = "true" },
}
