local ffi = require("ffi")
local script = require("spec.support.script")
local c = require("spec.support.cdef").load()
ffi.cdef("int setenv(const char *name, const char *value, int overwrite);")

local KEY = "canary-key"

local function run(code, ...)
  return script.run(code, ...)
end

local function text(code)
  local got, kind = run("local x = " .. code .. " return x")
  assert(got, kind)
  return got
end

local function fails(code, want)
  local got, err = run("local x = " .. code .. " return x")
  assert.is_nil(got)
  assert.equal("scripts/acme.lua:2: " .. want, err)
  assert.is_nil(err:find("canary", 1, true))
end

local function hex(bytes)
  return (bytes:gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end))
end

describe("crypto for scripts:", function()
  setup(function()
    ffi.C.setenv("MOONPOST_SECRET_KEY", KEY, 1)
    ffi.C.setenv("MOONPOST_SECRET_PIN", "canary:pin", 1)
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)

  it("digests are those of FIPS 180 and RFC 1321", function()
    for code, want in pairs({
      ['sha256("abc")'] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      ['sha256("")'] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      ['sha1("abc")'] = "a9993e364706816aba3e25717850c26c9cd0d89d",
      ['md5("message digest")'] = "f96b697d7cb7938d525a2f31aaf161d0",
      ['md5("")'] = "d41d8cd98f00b204e9800998ecf8427e",
      ['sha256(("a"):rep(1000000))'] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
    }) do
      assert.equal(want, text(code), code)
    end
  end)

  it("signatures are those of RFC 4231 and RFC 2202", function()
    for code, want in pairs({
      ['hmac.sha256(("\\11"):rep(20), "Hi There")'] = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
      ['hmac.sha256("Jefe", "what do ya want for nothing?")'] = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      ['hmac.sha256(("\\170"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First")'] =
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
      ['hmac.sha512("Jefe", "what do ya want for nothing?")'] =
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
      ['hmac.sha1("Jefe", "what do ya want for nothing?")'] = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
      -- GitHub's own example, and an empty key after another one.
      ['hmac.sha256("It\'s a Secret to Everybody", "Hello, World!")'] = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
      ['hmac.sha256("", "")'] = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad",
    }) do
      assert.equal(want, text(code), code)
    end
  end)

  it("a digest is written in hex, base64, base64url, or as it is", function()
    local raw = text('sha256("8", "raw")')
    assert.equal(32, #raw)
    assert.equal(text('sha256("8")'), hex(raw))
    assert.equal("qZk+NkcGgWq6PiVxeFDCbJzQ2J0=", text('sha1("abc", "base64")'))
    assert.equal("qZk-NkcGgWq6PiVxeFDCbJzQ2J0", text('sha1("abc", "base64url")'))
    assert.equal("W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=", text('hmac.sha256("Jefe", "what do ya want for nothing?", "base64")'))
    assert.equal(text('hmac.sha512("k", "d", nil)'), text('hmac.sha512("k", "d", "hex")'))
  end)

  it("base64 and hex write bytes", function()
    assert.equal("AP+A", text('base64("\\0\\255\\128")'))
    assert.equal("Zg==", text('base64("f")'))
    assert.equal("_-8", text('base64("\\255\\239", "base64url")'))
    assert.equal("00ff80", text('hex("\\0\\255\\128")'))
    assert.equal("", text('base64("")'))
    assert.equal("", text('hex("")'))
    assert.equal("MTU=", text("base64(15)"))
  end)

  it("a JSON web token is signed in three lines", function()
    -- RFC 7515 appendix A.1 has the same header and payload with its own key.
    assert.equal("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", text([[base64('{"typ":"JWT",\r\n "alg":"HS256"}', "base64url")]]))
  end)

  it("keys and data may be secrets, also joined ones, and the digest is plain text", function()
    for _, pair in ipairs({
      { 'hmac.sha256(secret "key", "data")', 'hmac.sha256("canary-key", "data")' },
      { 'hmac.sha1("a" .. secret "key" .. "b", "data")', 'hmac.sha1("acanary-keyb", "data")' },
      { 'hmac.sha512("k", "t=" .. secret "key" .. secret "pin")', 'hmac.sha512("k", "t=canary-keycanary:pin")' },
      { 'sha256(secret "key" .. ":" .. 1)', 'sha256("canary-key:1")' },
      { 'md5(secret "key")', 'md5("canary-key")' },
      { 'sha1(secret "key", "base64")', 'sha1("canary-key", "base64")' },
    }) do
      local got, kind, shown = run("return " .. pair[1])
      assert.equal(text(pair[2]), got, pair[1])
      assert.equal("text", kind)
      assert.is_nil(shown)
    end
    assert.equal("string", text('type(hmac.sha256(secret "key", "data"))'))
  end)

  it("what can be turned back into a secret stays one, and shows as its names", function()
    for code, want in pairs({
      ['base64(secret "key")'] = { "Y2FuYXJ5LWtleQ==", "[secret key]" },
      ['base64("u:" .. secret "key")'] = { "dTpjYW5hcnkta2V5", "[secret key]" },
      ['hex(secret "key")'] = { "63616e6172792d6b6579", "[secret key]" },
      ['"Bearer " .. base64(secret "key" .. secret "pin" .. secret "key")'] =
        { "Bearer Y2FuYXJ5LWtleWNhbmFyeTpwaW5jYW5hcnkta2V5", "Bearer [secret key+pin]" },
      ['hex(base64(secret "key"))'] = { hex("Y2FuYXJ5LWtleQ=="), "[secret key]" },
      ['basic("acme", secret "key")'] = { "Basic YWNtZTpjYW5hcnkta2V5", "Basic [secret key]" },
      ['basic(secret "key", secret "pin")'] = { "Basic Y2FuYXJ5LWtleTpjYW5hcnk6cGlu", "Basic [secret key+pin]" },
      ['basic("Aladdin", "open sesame")'] = { "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Basic [secret password]" },
      ['basic("", "")'] = { "Basic Og==", "Basic [secret password]" },
    }) do
      local got, kind, shown = run("return " .. code)
      assert.equal(want[1], got, code)
      assert.equal("text", kind)
      assert.equal(want[2], shown, code)
      assert.equal(want[2], text("tostring(" .. code .. ")"))
      assert.equal("userdata", text('type(base64(secret "key"))'))
    end
  end)

  it("it is known by as many names as there is room for", function()
    local a, b = ("a"):rep(128), ("b"):rep(100)
    ffi.C.setenv("MOONPOST_SECRET_" .. a:upper(), "canary", 1)
    ffi.C.setenv("MOONPOST_SECRET_" .. b:upper(), "canary", 1)
    local _, _, shown = run(("return hex(secret %q .. secret %q .. secret \"key\")"):format(a, b))
    assert.equal("[secret " .. a .. "+key]", shown)
  end)

  it("such a secret may stand in the script's table", function()
    local s = assert(script.load([[return { url = "https://a.example/" .. hex(secret "key"), headers = { Authorization = basic("u", secret "key") } }]]))
    local function expand(template_, call)
      local out = script.buffer()
      assert.equal(c.MP_OK, call(template_, nil, nil, c.MP_ESCAPE_NONE, out))
      return script.text_of(c.mp_buf_str(out))
    end
    assert.equal("Basic dTpjYW5hcnkta2V5", expand(s.headers[0].leaf.template_, c.mp_template_expand))
    assert.equal("Basic [secret key]", expand(s.headers[0].leaf.template_, c.mp_template_expand_shown))
    assert.equal("https://a.example/[secret key]", expand(s.url.template_, c.mp_template_expand_shown))
    assert.is_true(s.has_secrets)
  end)

  it("what a hook reads of a hidden url stays hidden when it is encoded", function()
    local state = assert(script.state([[return { url = "https://a.example", request = function(event, request)
      request.headers.X = base64(request.url)
      request.headers.Y = sha256(request.url)
    end }]]))
    local url = "https://a.example/?t=canary"
    local got = assert(script.hook(state, { url = url, url_shown = "https://a.example/?t=[secret key]" }))
    assert.equal(text(("base64(%q)"):format(url)), got.headers.X)
    assert.equal("[secret key]", got.shown.X)
    assert.equal(text(("sha256(%q)"):format(url)), got.headers.Y)
  end)

  it("take no expression for a value while the script loads", function()
    for code, function_name in pairs({
      ['md5 "{email}"'] = "md5(data)", ['sha256("x-{email}")'] = "sha256(data)", ['base64("{ {email}:")'] = "base64(data)",
      ['hex "{email}"'] = "hex(data)", ['hmac.sha1("key", "{id}{email}")'] = "hmac.sha1(key, data)",
      ['basic("{email}", secret "pin")'] = "basic(user, password)", ['basic("u", "{email}")'] = "basic(user, password)",
      ['uri.encode("{email}")'] = "uri.encode(text)", ['decimal("{email}", 2)'] = "decimal(text, places)",
    }) do
      local loaded, err = script.load('return { url = "https://acme.example/", vars = {\n  x = ' .. code .. " } }")
      local name = code:find("{id}", 1, true) and "id" or "email"
      assert.is_nil(loaded)
      assert.equal(("scripts/acme.lua:2: %s: {%s} has no value while the script loads: write a function, "):format(function_name, name)
        .. "name = function(event) return … end", err)
    end
    for _, code in ipairs({ 'md5 "{}"', "base64('{\"alg\":\"HS256\"}')", 'sha256 "{a"', 'hex "{1}"', 'uri.encode "a{ b }"', 'sha1 "{é}"' }) do
      assert(script.load('return { url = "https://acme.example/", vars = { x = ' .. code .. " } }"))
    end
    assert.equal("12a6d4d069cd56cfddaa391c24eb7042", text('md5 "{email}"')) -- an event's text may hold anything
  end)

  it("arguments that are none are errors that say what to pass", function()
    fails("sha256()", "sha256(data): the data is nil: pass a string or a secret")
    fails("md5({})", "md5(data): the data is a table: pass a string or a secret")
    fails("sha1(true)", "sha1(data): the data is a boolean: pass a string or a secret")
    fails('hmac.sha256(nil, "d")', "hmac.sha256(key, data): the key is nil: pass a string or a secret")
    fails('hmac.sha512(secret "key", nil)', "hmac.sha512(key, data): the data is nil: pass a string or a secret")
    fails('hmac.sha1(secret "key", json.null)', "hmac.sha1(key, data): the data is a userdata: pass a string or a secret")
    fails('sha256("x", "b64")', 'sha256(data): the encoding is "hex", "base64", "base64url" or "raw"')
    fails('sha256("x", secret "key")', 'sha256(data): the encoding is "hex", "base64", "base64url" or "raw"')
    fails("base64()", "base64(data): the data is nil: pass a string or a secret")
    fails('base64("x", "hex")', 'base64(data): the encoding is "base64" or "base64url"')
    fails("hex({})", "hex(data): the data is a table: pass a string or a secret")
    fails('basic(nil, secret "key")', "basic(user, password): the user is nil: pass a string or a secret")
    fails('basic("u")', "basic(user, password): the password is nil: pass a string or a secret")
    fails('basic("a:b", "c")', "basic(user, password): a user's name has no colon (RFC 7617)")
    fails('basic(secret "pin", "c")', "basic(user, password): a user's name has no colon (RFC 7617)")
  end)

  for name, code in pairs({
    digests = 'local x = ("x"):rep(2000000) while true do pcall(sha256, x) end',
    signatures = 'local x = ("x"):rep(2000000) while true do pcall(hmac.sha512, x, x) end',
    ["joined secrets"] = 'local x = ("x"):rep(1000000) .. secret "key" while true do pcall(hmac.sha1, x, x) end',
    base64 = 'local x = ("x"):rep(1000000) while true do pcall(base64, x) end',
    hex = 'local x = ("x"):rep(1000000) while true do pcall(hex, x) end',
  }) do
    it("endless " .. name .. " of megabytes end with the call's budget", function()
      local before = tonumber(c.mp_clock_mono_ms())
      local got, err, status = run(code)
      assert.is_nil(got)
      assert.equal(c.MP_EBUDGET, status)
      assert.truthy(err:find("took more than 50 ms of processor time", 1, true) or err:find("16 MiB", 1, true), err)
      assert.is_true(tonumber(c.mp_clock_mono_ms()) - before < 2000)
    end)
  end
end)
