--- busted's output for a program that reads it: `busted -o moonpost.testing.brief`. A line for each
-- example that fails (the first twenty), "not ok: spec/acme_spec.lua:6: acme is told of a click: <what
-- was wrong>", then "3 passed, 1 failed". What a spec prints stands between.
local LINES, BYTES = 20, 400

-- No character is cut in two.
local function cut(text)
  return #text <= BYTES and text or text:sub(1, BYTES):gsub("[\192-\255]?[\128-\191]*$", "") .. "…"
end

local function one_line(message)
  local text = type(message) == "string" and message or "it threw a " .. type(message)
  return cut((text:sub(1, 4 * BYTES):gsub("^%S+:%d+: ", ""):gsub("%s+", " ")))
end

local function place_of(found)
  local trace = type(found.trace) == "table" and found.trace or {}
  local line = trace.currentline or type(found.message) == "string" and found.message:match("^%S+:(%d+): ")
  return (trace.short_src or found.name) .. (line and ":" .. line or "")
end

-- What fails outside an example has no name but its file's.
local function tell(list, told)
  for i = 1, math.min(#list, LINES - told) do
    local found = list[i]
    local name = found.element.descriptor == "it" and one_line(found.name) .. ": " or ""
    io.write("\nnot ok: ", place_of(found), ": ", name, one_line(found.message), "\n")
  end
end

return function()
  local busted = require("busted")
  local handler = require("busted.outputHandlers.base")()
  busted.subscribe({ "suite", "end" }, function()
    tell(handler.errors, 0)
    tell(handler.failures, #handler.errors)
    io.write(("\n%d passed, %d failed\n"):format(handler.successesCount, #handler.errors + #handler.failures))
    io.flush()
    return nil, true
  end)
  return handler
end
