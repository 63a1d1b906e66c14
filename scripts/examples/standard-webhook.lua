-- A signed webhook as standardwebhooks.com has it: the event's own bytes, and an id that all attempts share.
-- Secret: webhook_key, "whsec_…". To change it, sign with { secret "new", secret "old" } for a while.
-- {"type":"invoice.paid","timestamp":"2026-01-31T10:00:00Z","data":{"invoice":"I-17","total":12.50}}
return {
  method   = "POST",
  url      = "https://hooks.acme.example/moonpost",
  required = { "type", "timestamp", "data" },
  request  = function(_, request) webhook.sign(request, secret "webhook_key") end,
}
