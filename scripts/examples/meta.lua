-- Meta Conversions API. One bad event refuses the whole call, so a refused batch is split around it; what is
-- over seven days old is not sent at all. Secret: meta_token. Phones have the country's code and digits only.
-- {"name":"Purchase","time":1769853600,"page":"https://shop.example/thanks","value":1.50,"currency":"EUR",
--  "user":{"email":"Ada@Example.com","phone":"447700900123","ip":"192.0.2.7","agent":"Mozilla/5.0"}}
return {
  url      = "https://graph.facebook.com/v24.0/1234567890/events",
  batch    = { size = 1000, wait = "1s" },
  max_age  = { "7d", of = "time" },
  required = { "name", "time", "page", "user.agent" },
  item     = { event_name = "{name}", event_time = number "{time}", event_id = "{ctx.id}",
               action_source = "website", event_source_url = "{page}",
               user_data = { em = { hashed "{user.email}" }, ph = { hashed "{user.phone}" },
                             client_ip_address = "{user.ip}", client_user_agent = "{user.agent}" },
               custom_data = { value = number "{value}", currency = "{currency}" } },
  body     = { data = items, access_token = secret "meta_token" },
  answers  = { { json = { ["error.code"] = 190 }, "pause", "the access token was refused" },
               { json = { ["error.code"] = { 1, 2, 4, 17, 341 } }, "retry" } }, -- down, or too many calls
}
