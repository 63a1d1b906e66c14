local ffi = require("ffi")
local script = require("spec.support.script")
local c = require("spec.support.cdef").load()
ffi.cdef("int setenv(const char *name, const char *value, int overwrite);")

local text = script.text_of
local CERT = "-----BEGIN CERTIFICATE-----\nMIIcanary\n-----END CERTIFICATE-----\n"
local KEY = "-----BEGIN PRIVATE KEY-----\nMIIcanary\n-----END PRIVATE KEY-----\n"

local function with(fields)
  return "return {\n  url = \"https://a.example/\",\n  " .. fields .. ",\n}\n"
end

local function load(fields, given)
  return assert(script.load(with(fields), nil, given))
end

local function fails(fields, ...)
  local loaded, err = script.load(with(fields), nil, { proxies = { "squid", "dc-2" } })
  assert.is_nil(loaded)
  for _, part in ipairs({ ... }) do
    assert.is_truthy(err:find(part, 1, true), err .. " should say: " .. part)
  end
  assert.is_nil(err:find("canary", 1, true), err)
end

describe("auth", function()
  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
    for name, value in pairs({ CLIENT = "canary-secret", TOKENS = "https://canary.example/token", CERT = CERT, KEY = KEY, NO_PEM = "/etc/canary.pem",
      NO_URL = "canary.example/token", LOCKED = "-----BEGIN ENCRYPTED PRIVATE KEY-----\ncanary\n", INVENTED = "test-invented" }) do
      ffi.C.setenv("MOONPOST_SECRET_" .. name, value, 1)
    end
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)

  it("reads oauth2 with all its fields, secrets with how they show", function()
    local s = load([[oauth2 = { token_url = secret "tokens", client_id = "id{x}", client_secret = secret "client", refresh_token = "r-" .. secret "client",
      scope = "a b", audience = "https://api.example", auth = "body" }]])
    local o = s.oauth2
    assert.equal("https://canary.example/token", text(o.token_url.text))
    assert.equal("[secret tokens]", text(o.token_url.shown))
    assert.equal("id{x}", text(o.client_id.text))
    assert.equal(0, tonumber(o.client_id.shown.length))
    assert.equal("canary-secret", text(o.client_secret.text))
    assert.equal("r-canary-secret", text(o.refresh_token.text))
    assert.equal("r-[secret client]", text(o.refresh_token.shown))
    assert.equal("a b", text(o.scope.text))
    assert.equal("https://api.example", text(o.audience.text))
    assert.is_true(o.in_body)
    assert.is_true(s.has_secrets)
    assert.is_false(s.has_functions)
  end)

  it("sends the client's secret as Basic unless told otherwise", function()
    local s = load("oauth2 = { token_url = \"http://127.0.0.1:9/t\", client_id = \"i\", client_secret = \"s\" }")
    assert.is_false(s.oauth2.in_body)
    assert.equal(0, tonumber(s.oauth2.refresh_token.text.length))
    assert.is_true(s.tls == nil)
    assert.is_true(load("timeout = 1").oauth2 == nil)
  end)

  it("reads tls: a pair, an authority, or both", function()
    local s = load("tls = { cert = secret \"cert\", key = secret \"key\", ca = secret \"cert\" }")
    assert.equal(CERT, text(s.tls.cert.text))
    assert.equal("[secret key]", text(s.tls.key.shown))
    assert.equal(CERT, text(s.tls.ca.text))
    assert.equal(0, tonumber(load("tls = { ca = secret \"cert\" }").tls.cert.text.length))
  end)

  it("takes in tls what specs of scripts put in a secret's place", function()
    assert.is_truthy(load("tls = { cert = secret \"invented\", key = secret \"invented\" }"))
  end)

  it("names one of the operator's proxies", function()
    assert.equal("dc-2", text(load("proxy = \"dc-2\"", { proxies = { "squid", "dc-2" } }).proxy))
    assert.equal("any", text(load("proxy = \"any\"").proxy))
  end)

  local whole = "oauth2 = { token_url = \"https://t.example/\", client_id = \"i\", client_secret = secret \"client\" }"
  for _, case in ipairs({
    { "oauth2 = \"x\"", "scripts/acme.lua:3: oauth2:", "it is a string: write { token_url" },
    { "oauth2 = {}", "scripts/acme.lua:3: oauth2: it has no token_url" },
    { "oauth2 = { token_url = \"https://t.example/\" }", "it has no client_id" },
    { "oauth2 = { token_url = \"https://t.example/\", client_id = \"i\" }", "it has no client_secret" },
    { "oauth2 = { token_uri = \"x\" }", "unknown key `token_uri`: did you mean `token_url`?" },
    { "oauth2 = { token_url = \"t.example\", client_id = \"i\", client_secret = \"s\" }", "oauth2.token_url:", "write \"https://…\"" },
    { "oauth2 = { token_url = secret \"no_url\", client_id = \"i\", client_secret = \"s\" }", "oauth2.token_url:", "write \"https://…\"" },
    { "oauth2 = { token_url = \"https://t.example/{x}\", client_id = \"i\", client_secret = \"s\" }", "a template's: it is sent as it stands" },
    { "oauth2 = { token_url = \"https://t.example/a b\", client_id = \"i\", client_secret = \"s\" }", "a character that no url has" },
    { "oauth2 = { token_url = \"https://t.example/\", client_id = \"\", client_secret = \"s\" }", "oauth2.client_id: it is empty" },
    { "oauth2 = { token_url = \"https://t.example/\", client_id = 5, client_secret = \"s\" }", "oauth2.client_id: it is a number: write a string or secret" },
    { "oauth2 = { scope = { \"a\" } }", "oauth2.scope: it is a table: write a string" },
    { "oauth2 = { token_url = \"https://t.example/\", client_id = \"i\", client_secret = \"s\", auth = \"header\" }", "\"basic\" or \"body\"" },
    { whole .. ", headers = { [\"authorization\"] = \"x\" }", "headers.authorization: oauth2 sets this field" },
    { "tls = {}", "scripts/acme.lua:3: tls: it is empty" },
    { "tls = { cert = secret \"cert\" }", "tls: cert and key go together: add key" },
    { "tls = { key = secret \"key\" }", "add cert" },
    { "tls = { cert = secret \"no_pem\", key = secret \"key\" }", "tls.cert: it is no PEM text", "a script reads no files" },
    { "tls = { cert = secret \"key\", key = secret \"cert\" }", "tls.cert: this PEM text has no CERTIFICATE: are cert and key swapped?" },
    { "tls = { cert = secret \"cert\", key = secret \"locked\" }", "tls.key: the key is encrypted" },
    { "tls = { ca = secret \"key\" }", "tls.ca:", "no CERTIFICATE" },
    { "tls = { crt = secret \"cert\" }", "unknown key `crt`: did you mean `cert`?" },
    { "proxy = \"none\"", "scripts/acme.lua:3: proxy: there is no proxy \"none\": start with --proxy none=http://…" },
    { "proxy = \"http://10.0.0.1:3128\"", "proxy: it is the name of a --proxy", "an address is the operator's to write" },
    { "proxy = secret \"client\"", "it is a secret: write a string" },
    { "auth = \"x\"", "unknown key `auth`: write headers = { Authorization" },
  }) do
    it("refuses " .. case[1]:sub(1, 100), function()
      fails(case[1], unpack(case, 2))
    end)
  end
end)
