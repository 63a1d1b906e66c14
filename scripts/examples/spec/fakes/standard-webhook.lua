--- A receiver of Standard Webhooks 1.0: verifies as the specification says, by means of its own.
--   local answer = receiver({ key = "whsec_…", now = 1769853600 })   -- without `now` the real clock
local tools = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "tools.lua")
local TOLERANCE = 5 * 60

local function is_signed(request, key)
  local id, seconds = request.headers["webhook-id"], request.headers["webhook-timestamp"]
  local secret = tools.from_base64((key:gsub("^whsec_", "")))
  local expected = "v1," .. tools.base64(tools.hmac_sha256(secret, ("%s.%s.%s"):format(id, seconds, request.body)))
  for signature in request.headers["webhook-signature"]:gmatch("%S+") do
    if signature == expected then
      return true
    end
  end
  return false
end

return function(options)
  return function(request)
    local headers = request.headers
    local seconds = (headers["webhook-timestamp"] or ""):match("^%d+$")
    local now = options.now or os.time()
    if request.method ~= "POST" or not headers["webhook-id"] or not headers["webhook-signature"] or not seconds then
      return { status = 400, body = "missing required headers" }
    elseif math.abs(now - tonumber(seconds)) > TOLERANCE then
      return { status = 400, body = "the timestamp is too far off" }
    elseif not is_signed(request, options.key) then
      return { status = 401, body = "no matching signature" }
    end
    local event = tools.read_json(request)
    return { status = event and event.type and event.timestamp and event.data and 204 or 400 }
  end
end
