--- Runs the one libuv loop until something holds. Every wait of a spec goes through here, so a spec
-- is as fast as what it waits for, and a deadline only decides how long a failure takes.
local uv = require("luv")

local patience = tonumber(os.getenv("MOONPOST_PATIENCE")) or 1
local default_ms = 15000

local function show(value)
  if type(value) == "string" then
    return ("%q"):format(value)
  end
  return tostring(value)
end

--- Turns the loop until `fn()` is truthy and returns what it returned; after `ms` raises an error
-- with the last values. `what` names the expectation in that error.
local function eventually(fn, ms, what)
  local deadline = uv.hrtime() + (ms or default_ms) * patience * 1e6
  local tick = uv.new_timer()
  tick:start(5, 5, function() end)
  local ok, value, detail
  repeat
    ok, value, detail = pcall(fn)
    if not ok or value then
      break
    end
    uv.run("once")
  until uv.hrtime() > deadline
  tick:close()
  if not ok then
    error(value, 0)
  end
  if not value then
    error(("%s did not come about within %d ms; the last value was %s%s"):format(
      what or "what was waited for", (ms or default_ms) * patience, show(value),
      detail ~= nil and ", " .. show(detail) or ""), 2)
  end
  return value, detail
end

return eventually
