-- A message to a Slack channel through an incoming webhook, which takes one a second.
-- Secret: slack_url, the webhook's whole address.
-- {"customer":"Barnes & Noble","amount":1.50,"currency":"EUR"}
local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" } -- Slack knows no others
return {
  url      = secret "slack_url",
  required = { "customer", "amount", "currency" },
  vars     = { who = function(event) return (tostring(event.customer):gsub("[&<>]", entities)) end },
  body     = { text = ":tada: *{who}* paid {amount} {currency}" },
  limits   = { rate = "1/s" },
  answers  = { { status = { 403, 404, 410 }, "pause", "the webhook or its channel is gone" } },
}
