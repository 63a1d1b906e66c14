--- Meta's Conversions API, POST /<version>/<pixel>/events: by its pages "Using the API", "Server event
-- parameters" and "Customer information parameters", and Graph API's "Handling errors".
--   local answer = meta({ token = "…", now = 1769853600 })   -- without `now` the real clock
-- Whatever is wrong with one event is wrong with the whole call. `options.error` is a code to answer.
local tools = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "tools.lua")

local MOST, DAY = 1000, 86400

local function refuse(status, code, message, subcode)
  return tools.json(status, { error = { message = message, type = "OAuthException", code = code,
    error_subcode = subcode, is_transient = code < 100, fbtrace_id = "AbCdEf" } })
end

local function is_hashed(list)
  for _, value in ipairs(list or {}) do
    if not (#value == 64 and value:find("^[%da-f]+$")) then
      return false
    end
  end
  return list == nil or #list > 0
end

-- nil, or what Meta says of it, and its subcode.
local function fault_of(event, now)
  local user, custom = event.user_data or {}, event.custom_data or {}
  local time = tonumber(event.event_time)
  if type(event.event_name) ~= "string" or not time or not next(user) then
    return "Invalid parameter"
  elseif time < now - 7 * DAY then
    return "Invalid parameter: event_time is over 7 days in the past", 2804003
  elseif time > now + DAY then
    return "Invalid parameter: event_time is in the future"
  elseif not is_hashed(user.em) or not is_hashed(user.ph) then
    return "Invalid parameter: not hashed"
  elseif event.action_source == "website" and not (user.client_user_agent and event.event_source_url) then
    return "Invalid parameter: website events need client_user_agent and event_source_url"
  elseif event.event_name == "Purchase"
    and not (type(custom.value) == "number" and (custom.currency or ""):find("^%u%u%u$")) then
    return "Invalid parameter: purchases need value and currency"
  end
end

return function(options)
  return function(request)
    local path, query = tools.target(request)
    local body = tools.read_json(request) or {}
    local events = body.data
    if request.method ~= "POST" or not path:find("^/v%d+%.0/%d+/events$") then
      return refuse(404, 100, "Unsupported request")
    elseif (body.access_token or query.access_token) ~= options.token then
      return refuse(400, 190, "Invalid OAuth access token")
    elseif options.error then
      return refuse(400, options.error, "An error")
    elseif type(events) ~= "table" or #events == 0 or #events > MOST then
      return refuse(400, 100, "Invalid parameter: data takes 1 to 1,000 events")
    end
    for _, event in ipairs(events) do
      local message, subcode = fault_of(event, options.now or os.time())
      if message then
        return refuse(400, 100, message, subcode)
      end
    end
    return tools.json(200, { events_received = #events, messages = {}, fbtrace_id = "AbCdEf" })
  end
end
