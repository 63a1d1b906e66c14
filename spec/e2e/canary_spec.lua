--- Canaries: secrets in every place where one may stand, a partner that repeats all that it got, hooks that
-- show what they can, and then no trace of any in whatever an operator, or the next one, could read.
local cjson = require("cjson")
local uv = require("luv")
local support = require("spec.support")
local authority = require("spec.support.authority")
local files = require("spec.support.files")
local partner = require("spec.support.partner")
local proxy = require("spec.support.proxy")
local script_of = require("spec.support.script")
local token_endpoint = require("spec.support.token_endpoint")
local http, process, runtime = support.http, support.process, support.runtime
local c = require("spec.support.cdef").load()

local function clean()
  support.clean()
  partner.close_all()
  proxy.close_all()
end

local function base64(text)
  local out = script_of.buffer()
  assert.equal(c.MP_OK, c.mp_base64_encode(script_of.slice(text), c.MP_BASE64, out))
  return script_of.text_of(c.mp_buf_str(out))
end

local function percent(text)
  return (text:gsub("[^%w%-._~]", function(char) return ("%%%02X"):format(char:byte()) end))
end

local function hex(text)
  return (text:gsub(".", function(char) return ("%02x"):format(char:byte()) end))
end

-- Those whose writing differs from place to place, and those that may stand in one place only.
local env_names = { "path", "query", "header", "basic", "body", "form", "xml", "hmac", "client", "refresh", "hook", "thrown", "logged", "batched" }
local values = { filed = "canary-filed-5Yw&\"/ü x" }
for _, name in ipairs(env_names) do
  values[name] = "canary-" .. name .. "-7Qz&\"/ü x"
end
values.whole = "http://127.0.0.1:%d/hook/canary-whole-7Qzx?key=canary-key-7Qzx-long"
-- Not secrets of scripts, but nobody's to see either.
local others = { "canary-ingest-7Qzx", "canary-api-7Qzx", "canary-proxy-7Qzx", "canary-token-7Qzx", "canary-rotated-7Qzx", "canary-whole-7Qzx", "canary-key-7Qzx-long" }

-- All that came, in whatever spelling an error page or a debugger may have.
local function echo_of(request)
  local lines = { request.method .. " " .. request.target }
  for _, field in ipairs(request.fields) do
    lines[#lines + 1] = field[1] .. ": " .. field[2]
  end
  lines[#lines + 1] = request.body
  local spellings = {}
  for _, line in ipairs(lines) do
    for _, spelling in ipairs({ line, percent(line), base64(line), cjson.encode(line), hex(line), line:upper() }) do
      spellings[#spellings + 1] = spelling
    end
  end
  return table.concat(spellings, "\n")
end

local function answer(status, request)
  local body = echo_of(request)
  local flat = table.concat({ request.target, request.headers.authorization or "", request.headers["x-key"] or "" }, " ")
  return { raw = ("HTTP/1.1 %d %s\r\nX-Echo: %s\r\nRetry-After: %s\r\nContent-Length: %d\r\n\r\n%s"):format(status, flat, flat, flat, #body, body) }
end

describe("a secret", function()
  after_each(clean)

  it("is shown to nobody but the partner: no log, error, page, list, file or command has a trace of it", function()
    local fake = partner.new({ handler = function(request)
      return answer(tonumber(request.target:match("status=(%d+)")) or 400, request)
    end })
    local auth = token_endpoint.new({ handler = function(grant, n)
      return n % 2 == 1 and token_endpoint.token("canary-token-7Qzx", { refresh_token = "canary-rotated-7Qzx" })
        or { status = 400, body = cjson.encode({ error = "invalid_grant", error_description = grant.body .. cjson.encode(grant) }) }
    end })
    local folder = runtime.folder()
    local ca = authority.new(folder)
    local server, client, other = ca:issue("localhost", { names = { "IP:127.0.0.1" } }), ca:issue("client"), ca:issue("other")
    local tls_fake = partner.new({ tls = { cert = server.cert, key = server.key, ca = ca.cert }, handler = function(request) return answer(500, request) end })
    local via = proxy.new({ user = "me", password = "canary-proxy-7Qzx" })

    values.whole = values.whole:format(fake.port)
    local env, secrets = {}, folder .. "/secrets"
    uv.fs_mkdir(secrets, 493)
    for _, name in ipairs(env_names) do
      env["MOONPOST_SECRET_" .. name:upper()] = values[name]
    end
    env.MOONPOST_SECRET_WHOLE = values.whole
    runtime.write_file(secrets .. "/filed", values.filed .. "\n")
    runtime.write_file(secrets .. "/tls_cert", authority.text(client.cert))
    runtime.write_file(secrets .. "/tls_key", authority.text(client.key))
    runtime.write_file(secrets .. "/other_key", authority.text(other.key))
    runtime.write_file(secrets .. "/tls_ca", authority.text(ca.cert))
    runtime.write_file(folder .. "/ingest", "canary-ingest-7Qzx\n")
    runtime.write_file(folder .. "/api", "canary-api-7Qzx\n")

    local function url(path)
      return ("url = %q .. %s, method = \"POST\", retry = { schedule = { \"1h\" } }"):format(fake:url("/"), path)
    end
    local plain = url("\"p?status={status}\"")
    local shows = { -- what a hook does with an answer that repeats them
      "return 'dead', response.body", "return 'retry', response.headers['x-echo']", "error(response.body)", "error({ message = response.body:sub(4) })",
      "return 'skipped', response.body:sub(1, 200)", "return response.body", "log(response.body) log(response.headers) log({ response.body:sub(30) }) error(secret 'logged')",
      "return 'pause', response.headers['x-echo']",
    }
    local scripts = {
      places = "return { " .. url([[uri.encode(secret "path") .. "?t=" .. uri.encode(secret "query") .. "&status={status}"]]) .. [[,
        headers = { Authorization = basic("me", secret "basic"), ["X-Key"] = uri.encode(secret "header"), ["X-Filed"] = base64(secret "filed"),
          ["X-Sign"] = function(_, _, request) return hmac.sha256(secret "hmac", request.body) end },
        body = { k = secret "body", inner = json.string { k = secret "body" } } }]],
      form = "return { " .. plain .. [[, form = { k = secret "form", s = "{v}" }, vars = { v = function() return secret "form" end } }]],
      xml = "return { " .. plain .. [[, body = xml("<a>" .. secret "xml" .. "</a>") }]],
      whole = [[return { url = secret "whole", method = "POST" }]],
      hook = "return { " .. plain .. [[, request = function(event, request) request.query.k = secret "hook" request.headers["X-Key"] = base64(secret "hook")
        request.body = "a=" .. secret "hook" if event.status == 1 then request.headers["a\r\nb"] = secret "hook" end
        if event.status == 2 then request.url = "http://" .. uri.encode(secret "hook") .. ".example/" end if event.status == 3 then request.method = secret "hook" end
        if event.status == 4 then request.query = { [tostring(request.url)] = request.url } error(request.url .. "") end
        if event.status == 5 then log(request, request.url, request.body, secret "hook") error({ request.url, request.body }) end end }]],
      thrown = "return { " .. plain .. [[, accepts = function(event) local s = secret "thrown" if event.status == 1 then return false, tostring(s) end
        if event.status == 2 then return false, s end if event.status == 3 then error(s) end if event.status == 4 then error("x" .. s) end
        if event.status == 5 then error({ message = s }) end if event.status == 6 then return s < s end if event.status == 7 then return json.encode({ s }) end return true end,
        vars = { v = secret "thrown" }, headers = { X = "{v}" } }]],
      batched = "return { " .. url("\"p?status=400\"") .. [[, batch = { size = 2, wait = "10ms" }, item = { a = "{status}", k = secret "batched" }, body = { d = items, k = secret "batched" } }]],
      oauth = "return { " .. plain .. ([[, oauth2 = { token_url = %q, client_id = "me", client_secret = secret "client", refresh_token = secret "refresh" } }]]):format(auth:url()),
      mtls = ("return { url = %q, method = \"POST\", retry = { schedule = { \"1h\" } }, tls = { ca = secret \"tls_ca\", cert = secret \"tls_cert\", key = secret \"tls_key\" } }"):format(tls_fake:url("/m")),
      unfit = ("return { url = %q, method = \"POST\", retry = { schedule = { \"1h\" } }, tls = { ca = secret \"tls_ca\", cert = secret \"tls_cert\", key = secret \"other_key\" } }"):format(tls_fake:url("/m")),
      proxied = "return { " .. plain .. [[, proxy = "good", headers = { ["X-Key"] = base64(secret "header") } }]],
      refused = "return { " .. plain .. [[, proxy = "bad" }]],
      broken = "local s = secret \"thrown\"\nerror(\"no \" .. s)",
      broken_too = "return { url = \"https://\" .. secret \"thrown\" .. \"/\" }",
      broken_key = "return { url = \"https://a.example/\", [tostring(secret \"thrown\")] = secret \"thrown\" }",
      broken_method = "return { url = \"https://a.example/\", method = secret \"thrown\", timeout = secret \"thrown\" }",
    }
    for i, code in ipairs(shows) do
      scripts["shows" .. i] = ("return { %s, headers = { Authorization = secret \"logged\", [\"X-Key\"] = uri.encode(secret \"path\") }, verdict = function(response) %s end }"):format(plain, code)
    end
    local rt = runtime.start({ env = env, scripts = scripts, flags = { "--secrets", secrets, "--ingest-token-file", folder .. "/ingest",
      "--api-token-file", folder .. "/api", "--proxy", "good=" .. via:url("me:canary-proxy-7Qzx@"), "--proxy", "bad=" .. via:url("canary-proxy-7Qzx:x@") } })
    for name in pairs(scripts) do
      if name:find("^broken") then
        rt:expect_error(name)
      end
    end
    rt:expect_error("unfit")

    local seen = {}
    local function keep(what, text)
      seen[#seen + 1] = { what, text }
    end
    local function ask(method, path, token, body)
      local headers = { Authorization = token and "Bearer " .. token, ["Content-Type"] = body and "application/json" or nil }
      local reply = http.request({ method = method, url = rt:url(path), headers = headers, body = body })
      local fields = {}
      for _, field in ipairs(reply.fields) do
        fields[#fields + 1] = field[1] .. ": " .. field[2]
      end
      keep(method .. " " .. path, table.concat(fields, "\n") .. "\n\n" .. reply.body)
      return reply
    end

    local ids, expected, owners = {}, {}, {}
    for name in pairs(scripts) do
      local statuses = name:find("^broken") and {} or (name == "thrown" or name == "hook") and { 1, 2, 3, 4, 5, 6, 7, 400, 500 } or { 200, 400, 401, 422, 500 }
      for _, status in ipairs(statuses) do
        local reply = ask("POST", "/events/" .. name, "canary-ingest-7Qzx", ("{\"status\":%d}"):format(status))
        assert.equal(202, reply.status, reply.body)
        local id = cjson.decode(reply.body).ids[1]
        ids[#ids + 1], owners[id] = id, name .. status
        expected[id] = name ~= "oauth" and not name:find("^shows") -- a pause may come first
      end
      ask("POST", "/api/try", "canary-api-7Qzx", cjson.encode({ partner = name, event = { status = 400 } }))
      for status = 1, 7 do
        ask("POST", "/api/try", "canary-api-7Qzx", cjson.encode({ partner = name, event = { status = status } }))
      end
    end
    for _, wrong in ipairs({ "canary-ingest-7Qz", "canary-api-7Qzx", "canary-ingest-7Qzxx" }) do
      assert.equal(401, ask("POST", "/events/places", wrong, "{}").status)
    end
    ask("GET", "/api/partners", "canary-ingest-7Qzx")
    support.eventually(function()
      local had = {}
      for _, line in ipairs(rt:attempts()) do
        had[line.id] = true
      end
      for id in pairs(expected) do
        if expected[id] and not had[id] then
          return false, owners[id]
        end
      end
      return true
    end, 20000, "the attempts")

    for _, path in ipairs({ "/metrics", "/console/", "/healthz", "/readyz", "/api/partners?limit=1000", "/api/dead?limit=1000" }) do
      ask("GET", path, "canary-api-7Qzx")
    end
    for _, id in ipairs(ids) do
      ask("GET", "/api/dead/" .. id, "canary-api-7Qzx")
    end
    local function cli(...)
      local child = process.run(rt.binary, { args = { ... }, env = env, cwd = rt.root, deadline_ms = 30000 })
      keep("moonpost " .. table.concat({ ... }, " "), child:text("out") .. "\n" .. child:text())
      return child
    end
    cli("check", "--scripts", rt.scripts, "--secrets", secrets)
    for name in pairs(scripts) do
      cli("check", rt.scripts .. "/" .. name .. ".lua", "--secrets", secrets)
      for _, status in ipairs({ "400", "1", "2", "3", "4", "5" }) do
        cli("try", name, "{\"status\":" .. status .. "}", "--scripts", rt.scripts, "--secrets", secrets)
      end
      cli("try", name, "{\"status\":400}", "--json", "--scripts", rt.scripts, "--secrets", secrets)
    end
    for _, file in ipairs({ folder .. "/api", folder .. "/ingest", secrets .. "/filed" }) do
      for _, words in ipairs({ { "dead", "list" }, { "dead", "list", "--json" }, { "dead", "show", ids[1] }, { "partner", "list" }, { "send", "places", "{}" },
        { "send", "nobody", "{}" }, { "partner", "resume", "nobody" }, { "dead", "replay", "--partner", "places", "--dry-run" } }) do
        words[#words + 1], words[#words + 2] = "--server", rt.address
        words[#words + 2], words[#words + 1] = file, "--token-file"
        cli(unpack(words))
      end
    end
    cli("run", "--proxy", "x=ftp://me:canary-proxy-7Qzx@nowhere", "--data", folder .. "/none")
    cli("run", "--proxy", "me:canary-proxy-7Qzx@nowhere", "--data", folder .. "/none")
    cli("run", "--api-token-file", secrets .. "/none", "--data", folder .. "/none")
    rt:stop(60000)
    keep("stdout", rt.child:text("out"))
    keep("stderr", rt.child:text())
    local scan = uv.fs_scandir(rt.data)
    for name, kind in function() return uv.fs_scandir_next(scan) end do
      if kind == "file" and not name:find("oauth2") and not name:find("token") then
        keep("--data/" .. name, assert(files.read(rt.data .. "/" .. name)))
      end
    end

    -- The partner did get them: what is looked for was there to be found.
    local got = {}
    for _, request in ipairs(fake.requests) do
      got[#got + 1] = echo_of(request)
    end
    for _, grant in ipairs(auth.grants) do
      got[#got + 1] = grant.body .. (grant.secret or "")
    end
    local all = table.concat(got, "\n")
    local needles = { [authority.text(client.key):match("\n([^\n]+)\n")] = "tls_key", [authority.text(other.key):match("\n([^\n]+)\n")] = "other_key" }
    for name, value in pairs(values) do
      local was_sent = false
      for _, spelling in ipairs({ value, percent(value), base64(value):sub(1, 20), cjson.encode(value):sub(2, -2), (cjson.encode(value):sub(2, -2):gsub("\\/", "/")), hex(value), value:upper(),
        (percent(value):gsub("%%20", "+")) }) do
        needles[spelling] = name
        was_sent = was_sent or all:find(spelling, 1, true) ~= nil
      end
      assert.is_true(was_sent or name == "whole" or name == "hmac" or name == "thrown", name .. " was never sent")
      needles[value:match("canary%-%a+%-7Qz") or "canary-filed-5Yw"] = name
    end
    for _, value in ipairs(others) do
      for _, spelling in ipairs({ value, base64(value):sub(1, 20), hex(value), value:upper(), base64("me:" .. value):sub(1, 24) }) do
        needles[spelling] = value
      end
    end
    for _, text in ipairs(seen) do
      for needle, name in pairs(needles) do
        local at = text[2]:find(needle, 1, true)
        if at then
          error(("%s shows %s: …%s…"):format(text[1], name, text[2]:sub(math.max(1, at - 300), at + 100)), 0)
        end
      end
    end
    assert.is_true(#seen > 300, #seen)
  end)
end)
