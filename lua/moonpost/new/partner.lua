-- What @PARTNER@ is told, and when again.
---@type moonpost.Partner
return {
  -- {click_id} is the event's value, encoded as a URL wants it.
  url      = "https://partner.example/postback?click={click_id}&goal={goal}&payout={payout}",
  required = { "click_id" }, -- without it a delivery is dead, "missing click_id"
  missing  = "drop",         -- a goal or payout that is not there takes its name= with it
  retry    = { schedule = { "5s", "1m", "10m", "1h", "6h" } },
  answers  = { { body = "DUPLICATE", "delivered" } }, -- else the status decides
}
