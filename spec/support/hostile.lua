--- Runs hostile code in each place where a script may have some, and says how it ended.
local script = require("spec.support.script")
local c = require("spec.support.cdef").load()

local hostile = {}

local HEAD = "return { url = \"https://a.example/\", "
-- `event.go` is what makes it hostile, so that the same state can be asked again. The code begins
-- on the third line.
local PLACES = {
  accepts = HEAD .. "accepts = function(event, ctx)\nif event.go then\n%s\nend\nreturn true\nend }",
  request = HEAD .. "request = function(event, request, ctx)\nif event.go then\n%s\nend\nend }",
  verdict = HEAD .. "verdict = function(response, ctx)\nif response.body == \"go\" then\n%s\nend\nreturn \"delivered\"\nend }",
  header = HEAD .. "headers = { X = function(event, ctx, request)\nif event.go then\n%s\nend\nreturn \"ok\"\nend } }",
  var = HEAD .. "vars = { v = function(event, ctx)\nif event.go then\n%s\nend\nreturn \"ok\"\nend } }",
  by = HEAD .. "vars = { v = by(function(event, ctx)\nif event.go then\n%s\nend\nreturn \"ok\"\nend, { a = \"1\" }, \"2\") } }",
  body = HEAD .. "body = { v = function(event, ctx)\nif event.go then\n%s\nend\nreturn \"ok\"\nend } }",
  form = HEAD .. "form = { v = function(event, ctx)\nif event.go then\n%s\nend\nreturn \"ok\"\nend } }",
  url = "return { hosts = { \"https://a.example\" }, url = function(event, ctx)\nif event.go then\n%s\nend\nreturn \"ok\"\nend }",
}
hostile.places = { "load", "accepts", "request", "verdict", "header", "var", "by", "body", "form", "url" }

local function ask(place, state, go)
  local event = go and "{\"go\":true,\"list\":[1,[2]],\"name\":\"n\"}" or "{}"
  if place == "accepts" then
    return script.accepts(state, event)
  elseif place == "request" then
    return script.hook(state, { url = "https://a.example/p?a=1", headers = { { "X-A", "1" } }, body = "B" }, event)
  elseif place == "verdict" then
    return script.verdict(state, { status = 200, body = go and "go" or "" })
  end
  return script.leaf(state, 0, event, place == "body")
end

--- What became of it: "ok" and the result, or the status's name and the error; then the state, and
-- the processor seconds.
function hostile.run(code, place)
  place = place or "accepts"
  local names = { [c.MP_ESCRIPT] = "throws", [c.MP_EBUDGET] = "overruns", [c.MP_EDEAD] = "is dead" }
  local state, result, err, status
  if place == "load" then
    local before = os.clock()
    local loaded, why, failure = script.load(code .. "\n" .. HEAD .. "}")
    local took = os.clock() - before
    return loaded and "ok" or names[failure], loaded or why, nil, took
  end
  state = assert(script.state((PLACES[place]:gsub("%%s", function() return code end))))
  local before = os.clock()
  result, err, status = ask(place, state, true)
  local took = os.clock() - before
  if result == nil and type(status) == "number" then
    return names[status] or status, err, state, took
  end
  return "ok", result, state, took
end

--- A call of the same state that is not hostile: true, or nil, the error and the status.
function hostile.calm(state, place)
  local result, err, status = ask(place or "accepts", state, false)
  if result == nil then
    return nil, err, status
  end
  return true
end

--- Sanitizers and slow machines: as spec/support/eventually.lua.
hostile.patience = tonumber(os.getenv("MOONPOST_PATIENCE")) or 1

return hostile
