-- A CRM's webhook: a JSON body of its own shape, a token in a header, and a mind of its own about
-- which events it wants and what an answer means.
return {
  method = "POST",
  url = "https://crm.example/hooks/{tenant}",
  headers = {
    Authorization = "Bearer " .. secret "crm_token",
    ["X-Event"] = "{ctx.type}",
  },
  body = {
    id = "{ctx.id}",
    email = "{user.email}",
    amount = "{payout}",
    note = "from {source}",
  },
  accepts = function(event)
    return (num(event, "payout") or 0) > 0, "no payout"
  end,
  verdict = function(response)
    if response.status == 200 and response.json and response.json.code == 17 then
      return "retry", "10m"
    end
  end,
}
