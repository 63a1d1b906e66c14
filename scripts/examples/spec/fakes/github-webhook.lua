--- A receiver of GitHub's webhooks: checks what "Validating webhook deliveries" and "Webhook events and
-- payloads" of GitHub's documentation name, by means of its own.
--   local answer = receiver({ key = "…" })
local tools = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "tools.lua")

local GUID = "^" .. ("%x"):rep(8) .. ("-" .. ("%x"):rep(4)):rep(3):gsub("%-", "%%-") .. "%-" .. ("%x"):rep(12) .. "$"

return function(options)
  return function(request)
    local headers = request.headers
    local expected = "sha256=" .. tools.hex(tools.hmac_sha256(options.key, request.body or ""))
    if request.method ~= "POST" then
      return { status = 405 }
    elseif headers["x-hub-signature-256"] ~= expected then
      return { status = 403, body = "Signatures didn't match!" }
    elseif not (headers["x-github-event"] or ""):find("^[%l_]+$") or not (headers["x-github-delivery"] or ""):find(GUID)
      or not headers["user-agent"]:find("^GitHub%-Hookshot/") or headers["content-type"] ~= "application/json" then
      return { status = 400, body = "this is no delivery of GitHub's" }
    end
    return { status = tools.read_json(request) and 202 or 400 }
  end
end
