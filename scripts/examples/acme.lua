-- Acme: a GET postback. Empty parameters are left out, some answers mean more than their status.
return {
  url = "https://postback.acme.example/pb?cid={click_id}&goal={goal}&payout={payout}&sub1={sub1}",
  required = { "click_id" },
  missing = "drop",
  retry = { schedule = { "5s", "30s", "2m", "10m", "30m", "2h", "5h", "10h" }, jitter = 0.2 },
  answers = {
    { body = "DUPLICATE", "delivered" },
    { body = "TRY LATER", "retry", "10m" },
    { body = "ERROR", "dead", "acme said ERROR" },
  },
}
