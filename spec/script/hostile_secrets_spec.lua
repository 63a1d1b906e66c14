--- Scripts that try to show a secret: in a reason, an error, a part of the request, or by way of what the
-- partner repeats of it. Each goes through the runtime's own building and judging.
local runtime = require("spec.support.runtime")
local testing = require("moonpost.testing")

local CANARY = "hidden-Value-of-it"

local function hex(text)
  return (text:gsub(".", function(char) return ("%02x"):format(char:byte()) end))
end

-- A partner says what it was sent, and then a verdict hook says what the partner said.
local echo = { status = 200, headers = { ["X-Echo"] = CANARY },
               body = "you sent " .. CANARY .. "; " .. CANARY:upper() .. "; " .. CANARY:lower() .. "; " .. hex(CANARY) }
local verdicts = {
  "return 'dead', response.body", "return 'dead', response.headers['x-echo']", "return 'dead', (response.body:upper())", "error(response.body)",
  "error({ message = response.body })", "error({ response.body })", "error(response)", "return response.body", "return 'retry', response.body",
  "return response.headers['x-echo'], 'x'", "return 'skipped', response.body:sub(5)", "return 'pause', json.encode(response.headers)",
  "return 'dead', json.encode({ response.body })", "return 'dead', uri.encode(response.body)", "return 'dead', base64(response.body)",
  "return 'dead', hex(response.headers['x-echo'])", "return 'dead', ('%q'):format(response.body)", "return 'dead', tostring(secret 'x')",
  "return 'dead', secret 'x' .. ''", "return secret 'x'", "return 'retry', secret 'x'", "error(secret 'x' .. response.body)", "return { secret 'x' }",
  "return { [secret 'x'] = 'dead' }", "return 'dead', response.body .. secret 'x'", "assert(false, response.body)", "assert(nil, secret 'x')",
  "local ok, e = pcall(function() return secret 'x' + 1 end) error(e)", "local ok, e = pcall(function() return (secret 'x').a.b end) error(e)",
  "local ok, e = pcall(string.rep, secret 'x', 2) error(e)", "return response.json, response.body", "return nil, response.body",
  "local t = {} t[response.body] = 1 error(t)", "json.decode(response.body)() ", "error(select(2, json.decode(response.body)))",
}

-- `s` is the secret.
local hooks = {
  "return false, tostring(s)", "return false, s", "return false, s .. 'x'", "return false, base64(s)", "return false, tostring(base64(s))",
  "error(base64(s))", "error(tostring(hex(s)))", "return false, uri.expand('{s}', { s = s })", "error(uri.expand('{?s}', { s = s }))",
  "error(json.encode(s))", "error(table.concat({ s }))", "error(#s)", "error(s == 'hidden-value-of-it')", "error(('%s'):format(s))",
  "error(('%d'):format(s))", "return false, type(s)", "error(s:sub(1))", "error(s[1])", "for k, v in pairs(s) do error(k) end", "error(next(s))",
  "error(unpack({ s }))", "error(select(1, s))", "error((tostring(s):gsub('.', s)))", "error(('x'):gsub('x', function() return s end))",
  "error(('x'):gsub('x', { x = s }))", "error(tonumber(s) or 'none')", "error(math.max(s, 1))", "error(bit.tohex(s))", "error(time.format(s, '%s'))",
  "error(decimal(s, 1))", "error(basic('u', s))", "error(basic(s, 'u'))", "error(webhook.sign({ body = s }, s))", "error(get({ a = s }, 'a'))",
  "error(as_sent(s, 'a'))", "error(json.decode(s))", "error(json.raw(s))", "error(require(s))", "error(secret(s))", "table.sort({ s, s }) error('x')",
  "table.sort({ s, 'a' })", "error({ [s] = s })", "error({ message = s })", "error({ message = 'a' .. s })", "xpcall(error, error, s)",
  "local _, e = pcall(error, s) error(e)", "local _, e = pcall(error, 'a' .. s) error(tostring(e))", "log(s, { s }, { [1] = { s } })",
  "event.x = s error(event)", "event.x = s error(json.encode(event))", "ctx.id = s error(ctx.id)", "error(s < s)", "error(s .. {})", "error({} .. s)",
  "error(s .. nil)", "error(-s)", "error(s ^ 2)", "error(s())", "s.x = 1", "error(string.len(s .. s))", "error(string.byte(s .. ''))",
  "error((s .. ''):upper())", "local t = setmetatable({}, { __tostring = function() return s end })", "error(sha256(s, s))", "error(hmac.sha256(s, s, s))",
  "error(base64(s, s))", "error(uri.expand(s, { a = 1 }))", "error(tostring(uri.expand(s .. '{a}', { a = s })))", "error(uri.expand('{+s:1}', { s = s }))",
  "error(uri.expand('{/s*}', { s = { s } }))", "error(uri.expand('{s.a}', { s = { a = s } }))", "error(uri.encode(s):sub(1, 3))",
  "error(md5(uri.expand('{s:2}', { s = s })))",
}
local places = {
  "accepts = function(event, ctx) %s end", "headers = { X = function(event, ctx, request) %s end }", "vars = { v = function(event, ctx) %s end }",
  "body = { a = function(event, ctx) %s end }", "form = { a = function(event, ctx) %s end }", "request = function(event, request, ctx) %s end",
  "vars = { v = by(function(event, ctx) %s end, { a = 'b' }, 'c') }", "method = 'POST', body = text '{v}', vars = { v = function(event, ctx) %s end }",
  "hosts = { 'https://a.example' }, url = function(event, ctx) %s end",
}
local requests = {
  "request.headers[s] = 1", "request.headers[tostring(request.headers.A)] = 1", "request.method = s", "request.url = s",
  "request.url = request.url .. '?' .. s request.query.a = 1 for k in pairs(request.query) do error(k) end", "request.query[s] = 1",
  "request.query.a = s error(request.query.a)", "request.body = s error(request.body)", "request.body = { a = s }",
  "request.body = 'a' .. s error(request.body:sub(1))", "request.headers.A = nil request.headers.B = s .. '\\r\\n'", "request.headers.B = s .. '\\0'",
  "request.url = request.url .. '/' .. s .. '\\r\\n'", "request.url = 'https://' .. s .. '/'", "request.url = s .. '://x/'",
  "request.headers['X-' .. 'a\\r\\nb'] = s", "request.headers.B = s for k, v in pairs(request.headers) do if k == 'b' then error(v) end end",
  "error(request)", "error(request.headers)", "error(json.encode(request))", "error(json.encode(request.headers))", "return { method = s }",
  "return { url = s }", "return { headers = { [s] = 1 } }", "return { query = { [s] = 1 } }", "return { body = { s } }",
  "log(request, request.headers, request.query, request.body, request.url)", "request.url = request.url .. '?a=' .. s .. '#f' error(request.query.a)",
  "request.query = { a = s } error(json.encode(request.query))", "local q = request.query request.url = request.url .. '?b=' .. s error(request.query.b)",
}

describe("a hostile script that has a secret", function()
  after_each(runtime.clean)

  local function partner(text)
    local path = runtime.folder() .. "/acme.lua"
    runtime.write_file(path, text)
    return testing.partner(path, { secrets = { x = CANARY } })
  end

  -- Neither it nor a part of it that says much, in any spelling.
  local function tells_nothing(text, code)
    text = tostring(text):lower()
    for _, form in ipairs({ CANARY:lower(), hex(CANARY), CANARY:lower():reverse(), CANARY:lower():sub(1, 9), CANARY:lower():sub(-9), hex(CANARY):sub(1, 16) }) do
      assert.is_nil(text:find(form, 1, true), code .. ": " .. text)
    end
    assert.is_nil(text:find("[%z\1-\31\127]"), text)
  end

  for _, code in ipairs(verdicts) do
    it("shows none of what the partner repeats: " .. code, function()
      local acme = assert(partner("return { url = 'https://a.example/p', headers = { A = secret 'x' }, verdict = function(response, ctx) " .. code .. " end }"))
      local word, detail = acme:verdict(echo)
      tells_nothing(tostring(word) .. tostring(detail), code)
    end)
  end

  for _, code in ipairs(hooks) do
    it("shows nothing of it by " .. code, function()
      for _, place in ipairs(places) do
        local acme, err = partner("local s = secret 'x' return { " .. (place:find("url =", 1, true) and "" or "url = 'https://a.example/p', ")
          .. place:gsub("%%s", function() return code end) .. " }")
        local _, why = err, nil
        if acme then
          _, why = acme:render({ a = 1 })
        end
        tells_nothing(tostring(err) .. tostring(why), code)
      end
    end)
  end

  for _, code in ipairs(requests) do
    it("shows nothing of it in the request's parts: " .. code, function()
      local acme = assert(partner("local s = secret 'x' return { url = 'https://a.example/p?t=' .. secret 'x', method = 'POST', "
        .. "headers = { A = 'Bearer ' .. secret 'x' }, body = 'k=' .. secret 'x', request = function(event, request, ctx) " .. code .. " end }"))
      local _, why = acme:render({ a = 1 })
      tells_nothing(why, code)
    end)
  end
end)
