--- Google Ads' ConversionUploadService over REST, POST /<version>/customers/<id>:uploadClickConversions: by
-- its reference and the pages "Partial failures" and "Authorization and HTTP headers".
--   local answer = google({ developer_token = "…", manager = "9876543210", tokens = { ["access"] = true },
--                           clicks = { gclid = "EXPIRED_EVENT" or true } })
local tools = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "tools.lua")

local MOST = 2000

local function refuse(status, word, message)
  return tools.json(status, { error = { code = status, status = word, message = message } })
end

-- nil, or the error's kind, its word, and the field at fault.
local function fault_of(conversion, customer, clicks)
  local click = clicks[conversion.gclid]
  if (conversion.conversionAction or ""):match("^(customers/%d+)/conversionActions/%d+$") ~= customer then
    return "conversionUploadError", "INVALID_CONVERSION_ACTION", "conversionAction"
  elseif not (conversion.conversionDateTime or ""):find("^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d[+-]%d%d:%d%d$") then
    return "dateError", "INVALID_STRING_DATE_TIME_SECONDS_WITH_OFFSET", "conversionDateTime"
  elseif not click then
    return "conversionUploadError", "UNPARSEABLE_GCLID", "gclid"
  elseif click ~= true then
    return "conversionUploadError", click, "gclid"
  end
end

local function upload(conversions, customer, clicks)
  local results, errors = {}, {}
  for i, conversion in ipairs(conversions) do
    local kind, word, field = fault_of(conversion, customer, clicks)
    results[i] = word and {} or { gclid = conversion.gclid, conversionAction = conversion.conversionAction,
                                  conversionDateTime = conversion.conversionDateTime }
    if word then
      errors[#errors + 1] = { errorCode = { [kind] = word }, message = ("%s was refused."):format(field),
        location = { fieldPathElements = { { fieldName = "conversions", index = i - 1 }, { fieldName = field } } } }
    end
  end
  local failure = #errors > 0 and { code = 3, message = "Multiple errors in ‘details’.", details = {
    { ["@type"] = "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure", errors = errors } } } or nil
  return tools.json(200, { partialFailureError = failure, results = results, jobId = "123" })
end

return function(options)
  return function(request)
    local headers, body = request.headers, tools.read_json(request) or {}
    local customer = tools.target(request):match("^/v%d+/(customers/%d+):uploadClickConversions$")
    local token = (headers.authorization or ""):match("^Bearer (.+)$")
    if not customer or request.method ~= "POST" then
      return refuse(404, "NOT_FOUND", "The requested URL was not found on this server.")
    elseif not options.tokens[token or ""] then
      return refuse(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
    elseif headers["developer-token"] ~= options.developer_token then
      return refuse(401, "UNAUTHENTICATED", "DEVELOPER_TOKEN_INVALID")
    elseif headers["login-customer-id"] ~= options.manager then
      return refuse(403, "PERMISSION_DENIED", "USER_PERMISSION_DENIED")
    elseif type(body.conversions) ~= "table" or #body.conversions == 0 or #body.conversions > MOST then
      return refuse(400, "INVALID_ARGUMENT", "TOO_MANY_CONVERSIONS_IN_REQUEST")
    elseif body.partialFailure ~= true then
      return refuse(400, "INVALID_ARGUMENT", "PARTIAL_FAILURE_MODE_REQUIRED")
    end
    return upload(body.conversions, customer, options.clicks)
  end
end
