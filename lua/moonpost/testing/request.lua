--- A request as a spec looks at it.
local json = require("moonpost.testing.json")

local request = {}
local usual_port = { http = "80", https = "443" }

local function decode(text)
  return (text:gsub("%+", " "):gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

-- name → value; what is repeated is a list.
local function decode_pairs(text)
  local out = {}
  for part in text:gmatch("[^&]+") do
    local name, value = part:match("^([^=]*)=?(.*)$")
    name, value = decode(name), decode(value)
    if out[name] == nil then
      out[name] = value
    elseif type(out[name]) == "table" then
      table.insert(out[name], value)
    else
      out[name] = { out[name], value }
    end
  end
  return out
end

local function host_of(url)
  local scheme, authority = url:match("^(%a[%w+.-]*)://([^/?#]*)")
  if not scheme then
    return nil
  end
  local host, port = authority:match("^(.-):(%d+)$")
  if host and port == usual_port[scheme:lower()] then
    authority = host
  end
  return authority:lower()
end

-- Field names in any case.
local function headers_of(list)
  local out, lower = {}, {}
  for _, field in ipairs(list) do
    out[field[1]], lower[field[1]:lower()] = field[2], field[2]
  end
  return setmetatable(out, {
    __index = function(_, name)
      return type(name) == "string" and lower[name:lower()] or nil
    end,
  })
end

local function decode_json(body, is_lines)
  if not is_lines then
    local ok, value = pcall(json.decode, body)
    return ok and value or nil
  end
  local list = {}
  for line in body:gmatch("[^\r\n]+") do
    local ok, value = pcall(json.decode, line)
    if not ok then
      return nil
    end
    list[#list + 1] = value
  end
  return list
end

--- `built` is what C tells, `body` the wire's bytes or nil.
function request.new(built, body)
  local headers = headers_of(built.headers)
  local kind = (headers["content-type"] or ""):lower()
  local out = {
    method = built.method,
    url = built.url,
    host = host_of(built.url),
    query = decode_pairs(built.url:match("^[^#?]*%?([^#]*)") or ""),
    headers = headers,
    body = body,
  }
  if body and kind:find("json", 1, true) then
    out.json = decode_json(body, kind:find("ndjson", 1, true))
  elseif body and kind:find("x-www-form-urlencoded", 1, true) then
    out.form = decode_pairs(body)
  end
  return out
end

return request
