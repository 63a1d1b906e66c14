--- A partner behind an operator's proxy: what goes through it, what does not, and whose fault what is.
local cjson = require("cjson")
local support = require("spec.support")
local authority = require("spec.support.authority")
local partner = require("spec.support.partner")
local proxy = require("spec.support.proxy")
local token_endpoint = require("spec.support.token_endpoint")
local runtime = support.runtime

local function clean()
  support.clean()
  partner.close_all()
  proxy.close_all()
end

local function script(url, more)
  return ([[return { url = %q, method = "POST", proxy = "out", retry = { schedule = { "1h" } }, %s }]]):format(url, more or "")
end

local function start(scripts, address, more)
  more = more or {}
  more.scripts = scripts
  more.flags = { "--proxy", "out=" .. address }
  return runtime.start(more)
end

local function attempt_of(rt, name)
  return rt:attempt(rt:accept("/events/" .. (name or "acme"), '{"c":1}')[1])
end

describe("a partner behind a proxy", function()
  after_each(clean)

  it("is sent its request in absolute form, with nothing of the proxy's in it", function()
    local fake, via = partner.new(), proxy.new({ user = "me", password = "p:w/1" })
    local rt = start({ acme = script(fake:url("/a%2Fb?c={c}"), [[headers = { ["X-Mine"] = "1" }]]) }, via:url("me:p%3Aw%2F1@"))
    assert.same({ 200, "delivered" }, { attempt_of(rt).status, attempt_of(rt).verdict })
    assert.equal(("http://127.0.0.1:%d/a%%2Fb?c=1"):format(fake.port), via.requests[1].target)
    assert.equal("/a%2Fb?c=1", fake.requests[1].target)
    assert.same({ "1", '{"c":1}' }, { fake.requests[1].headers["x-mine"], fake.requests[1].body })
  end)

  it("is reached through a tunnel over https, and judged by its own certificate", function()
    local ca = authority.new(runtime.folder())
    local fake = partner.new({ tls = ca:issue("partner.example", { names = { "DNS:partner.example" } }) })
    local via = proxy.new({ user = "me", password = "pw", hosts = { ["partner.example:443"] = fake.port } })
    local rt = start({ acme = script("https://partner.example/pb", [[tls = { ca = secret "ca" }, headers = { ["X-Mine"] = "1" }]]) },
      via:url("me:pw@"), { env = { MOONPOST_SECRET_CA = authority.text(ca.cert) } })
    assert.equal(200, attempt_of(rt).status)
    assert.equal(200, attempt_of(rt).status)
    assert.same({ "CONNECT", "partner.example:443", 1 }, { via.requests[1].method, via.requests[1].target, #via.requests })
    assert.is_nil(via.requests[1].headers["x-mine"])
    assert.is_nil(fake.requests[1].headers["proxy-authorization"])
    assert.equal("1", fake.requests[1].headers["x-mine"])
  end)

  it("is looked up by the proxy, not here", function()
    local fake = partner.new()
    local via = proxy.new({ hosts = { ["partner.invalid:80"] = fake.port } })
    local rt = start({ acme = script("http://partner.invalid/pb") }, via:url())
    assert.equal(200, attempt_of(rt).status)
    assert.equal("partner.invalid", fake.requests[1].headers.host)
  end)

  it("is reached directly by those who name no proxy, whatever the environment says", function()
    local fake, via = partner.new(), proxy.new()
    local rt = start({ acme = script(fake:url("/")), plain = ("return { url = %q }"):format(fake:url("/")) }, via:url(),
      { env = { no_proxy = "*", NO_PROXY = "*", http_proxy = "http://127.0.0.1:1", ALL_PROXY = "http://127.0.0.1:1" } })
    assert.equal(200, attempt_of(rt, "plain").status)
    assert.equal(0, #via.requests)
    assert.equal(200, attempt_of(rt).status)
    assert.equal(1, #via.requests)
    assert.equal(200, attempt_of(rt, "plain").status)
    assert.equal(1, #via.requests)
  end)

  it("is asked for its tokens through the same proxy", function()
    local fake, auth, via = partner.new(), token_endpoint.new(), proxy.new()
    local rt = start({ acme = script(fake:url("/"), ([[oauth2 = { token_url = %q, client_id = "me", client_secret = "s" }]])
      :format(auth:url())) }, via:url())
    assert.equal(200, attempt_of(rt).status)
    assert.equal(auth:url(), via.requests[1].target)
    assert.equal("Bearer token-1", fake.requests[1].headers.authorization)
  end)

  it("shares no tunnel between two users of one proxy", function()
    local ca = authority.new(runtime.folder())
    local fake = partner.new({ tls = ca:issue("partner.example", { names = { "DNS:partner.example" } }) })
    local via = proxy.new({ hosts = { ["partner.example:443"] = fake.port } })
    local more = [[tls = { ca = secret "ca" }]]
    local rt = runtime.start({ env = { MOONPOST_SECRET_CA = authority.text(ca.cert) },
      flags = { "--workers", "1", "--proxy", "one=" .. via:url("one:pw@"), "--proxy", "two=" .. via:url("two:pw@") },
      scripts = { a = script("https://partner.example/", more):gsub('"out"', '"one"'),
                  b = script("https://partner.example/", more):gsub('"out"', '"two"') } })
    for _ = 1, 3 do
      assert.equal(200, attempt_of(rt, "a").status)
      assert.equal(200, attempt_of(rt, "b").status)
    end
    local count = {}
    for _, request in ipairs(via.requests) do
      local user = request.headers["proxy-authorization"]
      count[user] = (count[user] or 0) + 1
    end
    assert.same({ ["Basic b25lOnB3"] = 3, ["Basic dHdvOnB3"] = 3 }, count)
  end)
end)

describe("an address that may not be reached", function()
  after_each(clean)

  local spellings = { "http://10.1.2.3/", "https://10.1.2.3/", "http://0xa.1.2.3/", "http://167838211/", "http://10.1.515/",
                      "http://[::ffff:10.1.2.3]/", "http://[fd00::1]/", "http://169.254.169.254/latest" }
  for _, url in ipairs(spellings) do
    it("is not asked of the proxy either: " .. url, function()
      local via = proxy.new()
      local rt = start({ acme = script(url) }, via:url())
      local attempt = attempt_of(rt)
      assert.equal("dead", attempt.verdict)
      assert.matches("^blocked_address: not a public address", attempt.why)
      assert.equal(0, #via.requests)
    end)
  end

  it("may be the proxy's own, which its operator named", function()
    local via = proxy.new({ status = 204 })
    local rt = runtime.start({ flags = { "--proxy", "out=" .. via:url(), "--egress-allow", "10.0.0.0/8" },
      scripts = { acme = script("http://partner.invalid/"), there = script("http://localhost/") } })
    assert.equal(204, attempt_of(rt).status)
    assert.matches("^blocked_address", attempt_of(rt, "there").why)
  end)
end)

describe("a proxy that fails", function()
  after_each(clean)

  local function fails(via, url, address)
    local rt = start({ acme = script(url) }, address or via:url("me:canary@"))
    local attempt = attempt_of(rt)
    assert.same({ "proxy_error", "retry", cjson.null }, { attempt.error, attempt.verdict, attempt.status })
    assert.equal(1, rt:partner("acme").waiting)
    rt:stop()
    assert.is_nil((rt.child:text() .. rt.child:text("out")):find("canary", 1, true))
    return attempt.why
  end

  it("is told from the partner: it wants another password", function()
    local via = proxy.new({ user = "me", password = "other" })
    local why = "proxy_error: the proxy wants another user or password (407)"
    assert.equal(why, fails(via, "http://partner.example/"))
    assert.equal(why, fails(via, "https://partner.example/"))
  end)

  it("is told from the partner: it opens no tunnel", function()
    for _, status in ipairs({ 403, 404, 410, 502 }) do
      local via = proxy.new({ status = status })
      assert.equal("proxy_error: the proxy answered CONNECT with " .. status, fails(via, "https://partner.example/"))
    end
  end)

  it("is told from the partner: it hangs up, or is not there", function()
    assert.equal("proxy_error: the proxy closed the connection", fails(proxy.new({ hangs_up = true }), "https://partner.example/"))
    local nowhere = partner.refused_url(""):gsub("http://", "http://me:canary@")
    assert.equal("proxy_error: no connection to the proxy", fails(nil, "http://partner.example/", nowhere))
    assert.equal("proxy_error: no address was found for the proxy",
      fails(nil, "http://partner.example/", "http://me:canary@proxy.invalid:3128"))
  end)

  it("is told from the partner: nobody vouches for its certificate", function()
    local ca = authority.new(runtime.folder())
    local via = proxy.new({ tls = ca:issue("localhost", { names = { "IP:127.0.0.1" } }) })
    for _, url in ipairs({ "http://partner.example/", "https://partner.example/" }) do
      assert.equal("proxy_error: no TLS connection to the proxy", fails(via, url))
    end
  end)

  it("says what is wrong with its address when Moonpost starts", function()
    local process = support.process
    local ended = process.run(runtime.binary(), { args = { "run", "--scripts", runtime.folder(), "--data", runtime.folder(),
      "--listen", "127.0.0.1:0", "--proxy", "out=http://me:canary@:x" } })
    assert.not_equal(0, ended.code)
    assert.matches("could not use --proxy out: write http://host:port", ended:text(), 1, true)
    assert.is_nil(ended:text():find("canary", 1, true))
  end)
end)
