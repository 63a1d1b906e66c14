local ffi = require("ffi")
local script = require("spec.support.script")
local c = require("spec.support.cdef").load()
ffi.cdef("int setenv(const char *name, const char *value, int overwrite);")

-- What the Standard Webhooks libraries test themselves with (standard-webhooks/standard-webhooks,
-- libraries/*/test*): one message, and what each kind of key makes of it.
local ID, SECONDS, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": 2432232314}'
local SYMMETRIC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
local V1 = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
local ED25519 = "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk="
local V1A = "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag=="

local MORE = { id = ID, now_ms = SECONDS * 1000 + 999 }

local function state_of(code)
  return assert(script.state("return { url = \"https://a.example\", request = function(event, request, ctx)\n" .. code .. "\nend }"))
end

--- The request that a hook with `code` left, or nil and the error.
local function hook(code, given, more)
  given = given or { body = BODY }
  given.url = "https://a.example/"
  return script.hook(state_of(code), given, "{}", more or MORE)
end

local function sign(key, given, more)
  return hook("webhook.sign(request, " .. key .. ")", given, more)
end

local function fails(key, want, more)
  local got, err = sign(key, nil, more)
  assert.is_nil(got)
  assert.equal("scripts/acme.lua:2: " .. want, err)
end

describe("webhook.sign", function()
  setup(function()
    ffi.C.setenv("MOONPOST_SECRET_NEW", SYMMETRIC, 1)
    ffi.C.setenv("MOONPOST_SECRET_OLD", "whsec_" .. ("b2xk"):rep(8), 1)
    ffi.C.setenv("MOONPOST_SECRET_ED", ED25519, 1)
    ffi.C.setenv("MOONPOST_SECRET_BAD", "whsec_canary!", 1)
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)

  it("sets id, timestamp and signature as the libraries' own vector has them", function()
    local got = assert(sign('secret "new"'))
    assert.equal(ID, got.headers["webhook-id"])
    assert.equal(tostring(SECONDS), got.headers["webhook-timestamp"])
    assert.equal(V1, got.headers["webhook-signature"])
    assert.equal(BODY, got.body)
    assert.equal(3, #got.order)
  end)

  it("takes the key as a string, and without its prefix", function()
    assert.equal(V1, assert(sign(("%q"):format(SYMMETRIC))).headers["webhook-signature"])
    assert.equal(V1, assert(sign('"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"')).headers["webhook-signature"])
    assert.equal(V1, assert(sign('"whsec_" .. "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"')).headers["webhook-signature"])
  end)

  it("signs v1a with Ed25519, as the libraries' own vector has it", function()
    assert.equal(V1A, assert(sign('secret "ed"')).headers["webhook-signature"])
  end)

  it("takes an Ed25519 key with its public key behind it, and no other 64 bytes", function()
    -- The seed and the public key of RFC 8032 section 7.1, test 1.
    local seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    local public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    local function key(digits)
      local bytes = digits:gsub("..", function(pair)
        return string.char(tonumber(pair, 16))
      end)
      local out = script.buffer()
      assert.equal(c.MP_OK, c.mp_base64_encode(script.slice(bytes), c.MP_BASE64, out))
      return '"whsk_' .. script.text_of(c.mp_buf_str(out)) .. '"'
    end
    local short = assert(sign(key(seed))).headers["webhook-signature"]
    assert.equal(short, assert(sign(key(seed .. public))).headers["webhook-signature"])
    fails(key(seed .. seed), "webhook.sign: key 1 is not a seed and its public key")
    fails(key(seed:sub(3)), "webhook.sign: key 1 has 31 bytes: whsk_ takes a seed of 32, or it and its public key")
  end)

  it("signs with each of several keys, in their order", function()
    local old = assert(sign('secret "old"')).headers["webhook-signature"]
    assert.equal(V1 .. " " .. old, assert(sign('{ secret "new", secret "old" }')).headers["webhook-signature"])
    assert.equal(old .. " " .. V1 .. " " .. V1A, assert(sign('{ secret "old", secret "new", secret "ed" }')).headers["webhook-signature"])
    assert.equal(V1, assert(sign('{ secret "new" }')).headers["webhook-signature"])
  end)

  it("signs the event's own bytes, an assigned table's, and an empty body", function()
    local function expected(body)
      local text = assert(script.run(('return hmac.sha256(%q, %q, "base64")'):format(
        "1\242\144\246\191\6)\138\171O\8\212<?\8,\246H\163b\218-\164\176", ID .. "." .. SECONDS .. "." .. body)))
      return "v1," .. text
    end
    assert.equal(V1, expected(BODY))
    -- Borrowed: the body is the record's memory, not the request's.
    local state = state_of('webhook.sign(request, secret "new")')
    local context, kept = script.context(BODY, MORE)
    local request = script.request({ url = "https://a.example/" })
    request.has_body, request.body_borrowed = true, context.record.event
    local err = ffi.new("struct mp_error")
    assert.equal(c.MP_OK, c.mp_script_call_request(state, context, request, err))
    assert(kept)
    assert.equal(V1, script.read(request).headers["webhook-signature"])
    local got = assert(hook('request.body = { b = 1, a = "ü" } webhook.sign(request, secret "new")'))
    assert.equal('{"a":"ü","b":1}', got.body)
    assert.equal(expected(got.body), got.headers["webhook-signature"])
    assert.equal(expected(""), assert(sign('secret "new"', {})).headers["webhook-signature"])
    assert.equal(expected("a\0b"), assert(hook('request.body = "a\\0b" webhook.sign(request, secret "new")')).headers["webhook-signature"])
  end)

  it("signs a body that holds a secret by its bytes, and shows none of it", function()
    local plain = assert(sign('secret "new"', { body = '{"k":"' .. SYMMETRIC .. '"}' }))
    local got = assert(hook([[request.body = '{"k":"' .. secret "new" .. '"}' webhook.sign(request, secret "new")]]))
    assert.equal(plain.headers["webhook-signature"], got.headers["webhook-signature"])
    assert.is_nil(got.shown["webhook-signature"]:find("MfKQ9", 1, true))
  end)

  it("returns the signature, for a header's own function", function()
    local state = assert(script.state([[return { url = "https://a.example", headers = {
      ["webhook-signature"] = function(event, ctx, request) return webhook.sign(request, secret "new") end } }]]))
    local request = script.request({ url = "https://a.example/", body = BODY })
    assert.equal(V1, (script.leaf(state, 0, "{}", false, MORE, request)))
    assert.same({}, script.read(request).headers)
  end)

  it("replaces fields of these names in any case", function()
    local got = assert(sign('secret "new"', { body = BODY, headers = { { "Webhook-Id", "mine" }, { "WEBHOOK-SIGNATURE", "x" } } }))
    assert.equal(ID, got.headers["Webhook-Id"])
    assert.equal(V1, got.headers["WEBHOOK-SIGNATURE"])
    assert.equal(3, #got.order)
  end)

  it("signs a batch under the batch's id", function()
    local got = assert(sign('secret "new"', nil, { id = "single", batch_id = ID, now_ms = SECONDS * 1000 }))
    assert.equal(ID, got.headers["webhook-id"])
    assert.equal(V1, got.headers["webhook-signature"])
  end)

  it("refuses keys that are none, and shows nothing of them", function()
    fails('secret "bad"', "webhook.sign: key 1 is not base64")
    fails('{ secret "new", secret "bad" }', "webhook.sign: key 2 is not base64")
    fails('"whsec_Zm9v Zm9v"', "webhook.sign: key 1 is not base64")
    fails('""', "webhook.sign: key 1 is empty")
    fails('"whsec_"', "webhook.sign: key 1 is empty")
    fails('"whpk_Zm9v"', "webhook.sign: key 1 is a public key (whpk_): sign with the private one (whsk_)")
    fails("nil", "webhook.sign(request, secret): the secret is nil: pass a string or a secret")
    fails("{}", "webhook.sign(request, secret): the list has 0 keys: pass { new, old }, at most 8")
    fails('{ 1, 2, 3, 4, 5, 6, 7, 8, 9 }', "webhook.sign(request, secret): the list has 9 keys: pass { new, old }, at most 8")
  end)

  it("takes a key of any length that the libraries take", function()
    for _, key in ipairs({ '"Zg"', '"whsec_Zg=="', ('"%s"'):format(("Zm9v"):rep(400)) }) do
      assert.truthy(assert(sign(key)).headers["webhook-signature"]:find("^v1,[%w+/]+=$"))
    end
  end)

  it("refuses an id that would make the signed text ambiguous", function()
    fails('secret "new"', "webhook.sign: an id with a dot, or none, cannot be signed", { id = "a.b", now_ms = 1 })
    fails('secret "new"', "webhook.sign: an id with a dot, or none, cannot be signed", { id = "", now_ms = 1 })
  end)

  it("wants a request, and a delivery", function()
    local got, err = hook('webhook.sign("x", secret "new")')
    assert.is_nil(got)
    assert.equal("scripts/acme.lua:2: webhook.sign(request, secret): the request is a string: pass the hook's request", err)
    got, err = script.load("webhook.sign({}, secret \"new\")\nreturn {}")
    assert.is_nil(got)
    assert.equal("scripts/acme.lua:1: webhook.sign works in functions and hooks, where there is a delivery", err)
  end)

  it("ends with the call's budget when it signs megabytes for ever", function()
    local got, err, status = hook('request.body = ("x"):rep(1000000) while true do pcall(webhook.sign, request, { secret "ed", secret "new" }) end')
    assert.is_nil(got)
    assert.equal(c.MP_EBUDGET, status)
    assert.truthy(err:find("processor time", 1, true), err)
  end)
end)
