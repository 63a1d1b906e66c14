--- JSON as specs need it: written with keys sorted and numbers as they were sent, read by lua-cjson.
local cjson = require("cjson")

local json = { null = cjson.null, decode = cjson.decode }
local raw = {}

--- A token that is written as it is: json.raw "1.50".
function json.raw(text)
  return setmetatable({ tostring(text) }, raw)
end

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function write_string(text)
  return '"' .. text:gsub('[%c"\\]', function(c)
    return escapes[c] or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

local function write_number(number)
  if number ~= number or number == math.huge or number == -math.huge then
    error("JSON has no number " .. tostring(number), 0)
  end
  local text = ("%.14g"):format(number)
  return tonumber(text) == number and text or ("%.17g"):format(number)
end

local write

local function write_list(list, path)
  local out = {}
  for i = 1, #list do
    out[i] = write(list[i], path .. "." .. i)
  end
  return "[" .. table.concat(out, ",") .. "]"
end

local function write_object(object, path)
  local keys, out = {}, {}
  for key in pairs(object) do
    if type(key) ~= "string" then
      error(("%s mixes a list and names, or has holes: JSON has no such thing"):format(path), 0)
    end
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for i, key in ipairs(keys) do
    out[i] = write_string(key) .. ":" .. write(object[key], path .. "." .. key)
  end
  return "{" .. table.concat(out, ",") .. "}"
end

local function count(t)
  local n = 0
  for _ in pairs(t) do
    n = n + 1
  end
  return n
end

function write(value, path)
  local kind = type(value)
  if value == cjson.null then
    return "null"
  elseif kind == "string" then
    return write_string(value)
  elseif kind == "number" then
    return write_number(value)
  elseif kind == "boolean" then
    return tostring(value)
  elseif kind ~= "table" then
    error(("%s is a %s: JSON has no such thing"):format(path, kind), 0)
  elseif getmetatable(value) == raw then
    return value[1]
  elseif #path > 10000 then
    error("it is nested too deep, or holds itself", 0)
  end
  return #value > 0 and #value == count(value) and write_list(value, path) or write_object(value, path)
end

--- A table that is empty is an object, as in a script.
function json.encode(value)
  return write(value, "it")
end

function json.is_raw(value)
  return getmetatable(value) == raw
end

return json
