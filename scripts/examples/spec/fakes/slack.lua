--- Slack's incoming webhooks: by "Sending messages using incoming webhooks", "Rate limits" and the changelog
-- of 17 May 2016, which names the answers.
--   local answer = slack({ path = "/services/T0/B0/X" })
-- `options.says`, set meanwhile: "channel_is_archived", "rate_limited", "rollup_error" …
local tools = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "tools.lua")

local statuses = {
  invalid_payload = 400, no_text = 400, user_not_found = 400, action_prohibited = 403, invalid_token = 403,
  channel_not_found = 404, no_service = 404, channel_is_archived = 410, rate_limited = 429, rollup_error = 500,
}

local function say(word)
  return { status = statuses[word] or 200, body = word,
           headers = { ["Content-Type"] = "text/html", ["Retry-After"] = word == "rate_limited" and "30" or nil } }
end

return function(options)
  return function(request)
    local message = tools.read_json(request)
    local text = message and message.text
    if tools.target(request) ~= options.path then
      return say("no_service")
    elseif options.says then
      return say(options.says)
    elseif not message or request.method ~= "POST" or request.headers["content-type"] ~= "application/json" then
      return say("invalid_payload")
    elseif type(text) ~= "string" or text == "" then
      return say("no_text")
    end
    return say("ok")
  end
end
