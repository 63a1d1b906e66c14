--- TUNE's conversion endpoint, /aff_lsr: by "Receiving Conversions via Postback URL" of its help centre.
--   local answer = tune({ token = "…", clicks = { ["1027…"] = true } })   -- a click converts once
local tools = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "tools.lua")

local function refuse(why)
  return { status = 200, headers = { ["Content-Type"] = "text/html" }, body = ("success=false; err_msg=%s;"):format(why) }
end

return function(options)
  local converted = {}
  return function(request)
    local path, query = tools.target(request)
    local click = query.transaction_id or ""
    if request.method ~= "GET" or path ~= "/aff_lsr" then
      return { status = 404, body = "Not Found" }
    elseif not (query.offer_id or ""):find("^%d+$") then
      return refuse("Invalid Offer")
    elseif query.security_token ~= options.token then
      return refuse("Invalid Advertiser Security Token")
    elseif not options.clicks[click] then
      return refuse(("Invalid Trans. ID #%s"):format(click))
    elseif query.amount and not tonumber(query.amount) then
      return refuse("Invalid Amount")
    elseif converted[click] then
      return refuse("Duplicate conversion")
    end
    converted[click] = true
    return { status = 200, headers = { ["Content-Type"] = "text/html" }, body = "success=true;" }
  end
end
