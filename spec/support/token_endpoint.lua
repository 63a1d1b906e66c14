--- A fake authorization server (RFC 6749): a partner whose answers are tokens.
--   local auth = token_endpoint.new({ expires_in = 3600 })
--   … oauth2 = { token_url = auth:url(), … } …; auth.grants[1].grant_type
local cjson = require("cjson")
local partner = require("spec.support.partner")

local token_endpoint = {}
local methods = {}

local function decode(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

local function decode_form(body)
  local form = {}
  for name, value in body:gmatch("([^&=]+)=([^&]*)") do
    form[decode(name)] = decode(value)
  end
  return form
end

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function decode_base64(text)
  local bits, count, out = 0, 0, {}
  for char in text:gmatch("[%w+/]") do
    bits = bits * 64 + alphabet:find(char, 1, true) - 1
    count = count + 6
    if count >= 8 then
      count = count - 8
      out[#out + 1] = string.char(math.floor(bits / 2 ^ count))
      bits = bits % 2 ^ count
    end
  end
  return table.concat(out)
end

--- The answer that gives a token; `more` are further members, or others.
function token_endpoint.token(access, more)
  local answer = { access_token = access, token_type = "Bearer", expires_in = 3600 }
  for name, value in pairs(more or {}) do
    answer[name] = value
  end
  return { status = 200, headers = { ["Content-Type"] = "application/json" }, body = cjson.encode(answer) }
end

--- The answer of section 5.2.
function token_endpoint.error(code, description, status)
  return { status = status or 400, body = cjson.encode({ error = code, error_description = description }) }
end

--- Gives `token-1`, `token-2`, … `options.handler(grant, n)` may answer otherwise (nil: as usual);
-- `options.expires_in`, `options.tls` as of a partner. `.grants` are the decoded requests: the form's members, `client` and `secret`
-- as HTTP Basic had them, `headers`, `body`.
function token_endpoint.new(options)
  options = options or {}
  local self = { grants = {} }
  self.fake = partner.new({ tls = options.tls, handler = function(request)
    local grant = decode_form(request.body)
    local basic = (request.headers.authorization or ""):match("^Basic (.+)$")
    if basic then
      local client, secret = decode_base64(basic):match("^([^:]*):(.*)$")
      grant.client, grant.secret = decode(client), decode(secret)
    end
    for _, name in ipairs({ "headers", "body", "method", "path", "subject" }) do
      grant[name] = request[name]
    end
    self.grants[#self.grants + 1] = grant
    local answer = options.handler and options.handler(grant, #self.grants)
    return answer or token_endpoint.token("token-" .. #self.grants, { expires_in = options.expires_in or 3600 })
  end })
  return setmetatable(self, { __index = methods })
end

function methods:url(path, host)
  return self.fake:url(path or "/token", host)
end

--- Answers those that hang.
function methods:release(answer)
  self.fake:release(answer)
end

return token_endpoint
