--- AppsFlyer's S2S API, POST /inappevent/<app>: by "Server-to-server events API for mobile".
--   local recorded = {}; local answer = appsflyer({ key = "…", app = "id123456789", recorded = recorded })
-- An app that it does not know is answered 200, and nothing of it is recorded: that is documented.
local tools = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "tools.lua")
local json = require("moonpost.testing.json")

local TIME = "^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d%.%d%d%d$"

local function is_wrong(event)
  local value = event.eventValue
  local ok, inside = pcall(json.decode, value)
  return not (event.appsflyer_id or ""):find("^%d+%-%d+$") or type(event.eventName) ~= "string"
    or type(value) ~= "string" or value ~= "" and not (ok and type(inside) == "table")
    or event.eventTime and not event.eventTime:find(TIME)
end

return function(options)
  return function(request)
    local event = tools.read_json(request)
    local app = tools.target(request):match("^/inappevent/([%w._-]+)$")
    if request.method ~= "POST" or not app then
      return { status = 404 }
    elseif request.headers.authentication ~= options.key then
      return { status = 401, body = "unauthorized" }
    elseif not event or is_wrong(event) or #request.body > 1024 then
      return { status = 400, body = "Bad Request" }
    elseif app == options.app then
      table.insert(options.recorded, event)
    end
    return { status = 200, body = "ok" }
  end
end
