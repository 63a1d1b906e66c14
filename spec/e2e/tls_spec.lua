--- https: whom Moonpost trusts, who it says it is, and that neither is mixed up.
local cjson = require("cjson")
local uv = require("luv")
local support = require("spec.support")
local authority = require("spec.support.authority")
local token_endpoint = require("spec.support.token_endpoint")
local partner = require("spec.support.partner")
local eventually, process, runtime = support.eventually, support.process, support.runtime

local localhost = { names = { "DNS:localhost", "IP:127.0.0.1" } }

local function free_port()
  local socket = uv.new_tcp()
  assert(socket:bind("127.0.0.1", 0))
  local port = socket:getsockname().port
  socket:close()
  return port
end

-- Secrets by name, from files: what a script's `secret "x"` finds.
local function secrets(paths)
  local env = {}
  for name, path in pairs(paths) do
    env["MOONPOST_SECRET_" .. name:upper()] = authority.text(path)
  end
  return env
end

local function script(url, more)
  return ([[return { url = %q, method = "POST", retry = { schedule = { "1h" } }, %s }]]):format(url, more or "")
end

local function clean()
  support.clean()
  partner.close_all()
end

local function attempt_of(rt, name)
  return rt:attempt(rt:accept("/events/" .. name, '{"c":1}')[1])
end

describe("a partner over https", function()
  after_each(clean)

  it("is sent nothing when its certificate is not vouched for", function()
    local ca = authority.new(runtime.folder())
    local fake = partner.new({ tls = ca:issue("localhost", localhost) })
    local rt = runtime.start({ scripts = { acme = script(fake:url("/pb?c={c}")) } })
    local attempt = attempt_of(rt, "acme")
    assert.same({ "tls_error", "retry", cjson.null }, { attempt.error, attempt.verdict, attempt.status })
    assert.matches("^tls_error: SSL certificate problem", attempt.why)
    eventually(function() return rt:partner("acme").waiting == 1 end, nil, "the delivery waits")
    assert.equal(0, #fake.requests)
  end)

  it("is trusted when the authority that the script names vouches for it, and only then", function()
    local folder = runtime.folder()
    local ca, other = authority.new(folder), authority.new(folder, "other")
    local good = partner.new({ tls = ca:issue("localhost", localhost) })
    local named = partner.new({ tls = ca:issue("localhost", { names = { "DNS:elsewhere.example" } }) })
    local expired = partner.new({ tls = ca:issue("localhost", { names = localhost.names, expired = true }) })
    local rt = runtime.start({ env = secrets({ ca = ca.cert, other = other.cert }), scripts = {
      good = script(good:url("/"), [[tls = { ca = secret "ca" }]]),
      by_name = script(good:url("/", "localhost"), [[tls = { ca = secret "ca" }]]),
      stranger = script(good:url("/"), [[tls = { ca = secret "other" }]]),
      named = script(named:url("/"), [[tls = { ca = secret "ca" }]]),
      expired = script(expired:url("/"), [[tls = { ca = secret "ca" }]]),
      plain = script(good:url("/")),
    } })
    assert.equal(200, attempt_of(rt, "good").status)
    assert.equal(200, attempt_of(rt, "by_name").status)
    -- Again after a success: a connection that others trust is not theirs.
    for _, row in ipairs({ { "stranger", "certificate" }, { "plain", "certificate" }, { "named", "name" },
                           { "expired", "expired" } }) do
      local attempt = attempt_of(rt, row[1])
      assert.same({ row[1], "tls_error" }, { row[1], attempt.error })
      assert.is_truthy(attempt.why:find(row[2], 1, true), attempt.why)
    end
    assert.same({ 2, 0, 0 }, { #good.requests, #named.requests, #expired.requests })
  end)

  it("is not trusted with the system's authorities when the script names its own", function()
    local ca = authority.new(runtime.folder())
    local fake = partner.new({ tls = ca:issue("localhost", localhost) })
    local other = authority.new(runtime.folder())
    local rt = runtime.start({ env = secrets({ other = other.cert }), scripts = {
      acme = script(fake:url("/"), [[tls = { ca = secret "other" }]]) } })
    assert.equal("tls_error", attempt_of(rt, "acme").error)
  end)

  it("may ask for a certificate, and gets the one of its script", function()
    local ca = authority.new(runtime.folder())
    local server = ca:issue("localhost", localhost)
    local fake = partner.new({ tls = { cert = server.cert, key = server.key, ca = ca.cert } })
    local one, two = ca:issue("client one"), ca:issue("client two")
    local rt = runtime.start({
      env = secrets({ ca = ca.cert, c1 = one.cert, k1 = one.key, c2 = two.cert, k2 = two.key }), scripts = {
        one = script(fake:url("/one"), [[tls = { ca = secret "ca", cert = secret "c1", key = secret "k1" }]]),
        two = script(fake:url("/two"), [[tls = { ca = secret "ca", cert = secret "c2", key = secret "k2" }]]),
        none = script(fake:url("/none"), [[tls = { ca = secret "ca" }]]),
      } })
    assert.equal("tls_error", attempt_of(rt, "none").error)
    for _ = 1, 10 do -- one host and one worker: only the certificate tells their connections apart
      for _, name in ipairs({ "one", "two" }) do
        assert.equal(200, attempt_of(rt, name).status)
      end
    end
    assert.equal("tls_error", attempt_of(rt, "none").error)
    assert.equal(20, #fake.requests)
    for _, request in ipairs(fake.requests) do
      assert.equal("/CN=client " .. request.path:sub(2), request.subject)
    end
  end)

  it("shares no connection between two certificates of one host, however many are under way", function()
    local ca = authority.new(runtime.folder())
    local server = ca:issue("localhost", localhost)
    local fake = partner.new({ tls = { cert = server.cert, key = server.key, ca = ca.cert } })
    local env, scripts, own = { ca = ca.cert }, {}, {}
    for i = 1, 3 do
      local client = ca:issue("client " .. i)
      env["c" .. i], env["k" .. i] = client.cert, client.key
      scripts["p" .. i] = script(fake:url("/" .. i),
        ([[limits = { concurrency = 4 }, tls = { ca = secret "ca", cert = secret "c%d", key = secret "k%d" }]]):format(i, i))
    end
    local rt = runtime.start({ env = secrets(env), scripts = scripts, flags = { "--workers", "1" } })
    for i = 1, 3 do
      rt:accept("/events/p" .. i, "[" .. ('{"a":1},'):rep(39) .. '{"a":1}]')
    end
    eventually(function() return #fake.requests == 120 end)
    for _, request in ipairs(fake.requests) do
      assert.equal("/CN=client " .. request.path:sub(2), request.subject)
      own[request.connection] = own[request.connection] or request.path
      assert.equal(own[request.connection], request.path)
    end
  end)

  it("is told as an error of the script when its key is another's", function()
    local ca = authority.new(runtime.folder())
    local fake = partner.new({ tls = ca:issue("localhost", localhost) })
    local one, two = ca:issue("one"), ca:issue("two")
    local rt = runtime.start({ env = secrets({ ca = ca.cert, c = one.cert, k = two.key }), scripts = {
      acme = script(fake:url("/"), [[tls = { ca = secret "ca", cert = secret "c", key = secret "k" }]]) } })
    local attempt = attempt_of(rt, "acme")
    assert.equal("tls_error", attempt.error)
    assert.is_nil((rt.child:text() .. rt.child:text("out")):find("BEGIN", 1, true))
  end)

  it("gets its token from an endpoint that is asked with the same certificate", function()
    local ca = authority.new(runtime.folder())
    local server, client = ca:issue("localhost", localhost), ca:issue("the client")
    local served = { cert = server.cert, key = server.key, ca = ca.cert }
    local fake, auth = partner.new({ tls = served }), token_endpoint.new({ tls = served })
    local rt = runtime.start({ env = secrets({ ca = ca.cert, c = client.cert, k = client.key }), scripts = {
      acme = script(fake:url("/"), ([[tls = { ca = secret "ca", cert = secret "c", key = secret "k" },
        oauth2 = { token_url = %q, client_id = "me", client_secret = "s" }]]):format(auth:url())) } })
    assert.equal(200, attempt_of(rt, "acme").status)
    assert.equal("/CN=the client", auth.grants[1].subject)
    assert.equal("Bearer token-1", fake.requests[1].headers.authorization)
  end)
end)

describe("a partner that speaks HTTP/2", function()
  after_each(clean)

  it("is spoken to in HTTP/2 when TLS agrees on it", function()
    local ca = authority.new(runtime.folder())
    local served, port = ca:issue("localhost", localhost), free_port()
    runtime.write_file(ca.folder .. "/pb", "ok")
    local server = process.spawn("/usr/sbin/nghttpd", { args = {
      "-v", "--address=127.0.0.1", "-d", ca.folder, tostring(port), served.key, served.cert } })
    eventually(function()
      return server:text("out"):find("listen", 1, true) or server:text("err"):find("listen", 1, true)
    end, nil, "the server listens")
    local rt = runtime.start({ env = secrets({ ca = ca.cert }), scripts = {
      acme = script(("https://localhost:%d/pb"):format(port), [[tls = { ca = secret "ca" }]]) } })
    local ids = rt:accept("/events/acme", "[" .. ('{"a":1},'):rep(49) .. '{"a":1}]')
    for _, id in ipairs(ids) do
      local attempt = rt:attempt(id)
      assert.same({ 200, "delivered", "ok" }, { attempt.status, attempt.verdict, attempt.body })
    end
    assert.is_truthy(server:text("out"):find(":path: /pb", 1, true))
    server:kill()
    server:wait()
  end)
end)
