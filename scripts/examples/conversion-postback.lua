-- A conversion's postback by GET, as TUNE (HasOffers) takes it: the network's URL, its macros named.
-- Its answer is 200 whatever it thinks. Secret: tune_token, the advertiser's security token.
-- {"click_id":"1027c887059b47bc69c699f45466b9","offer":26,"payout":1.50,"order":"A-17"}
local url = "https://acme.go2cloud.org/aff_lsr?offer_id=[OFFER]&transaction_id=[CLICK]&amount=[AMOUNT]"
return {
  url      = uri.macros(url, { OFFER = "offer", CLICK = "click_id", AMOUNT = "payout" })
             .. "&adv_sub={order}&security_token=" .. secret "tune_token",
  required = { "click_id", "offer" },
  missing  = "drop", -- without an amount TUNE takes the offer's own
  answers  = { { body = "Duplicate conversion", "delivered" }, -- the answer to an earlier attempt got lost
               { body = "success=false", "dead", "refused by TUNE" } },
}
