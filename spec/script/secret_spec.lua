local ffi = require("ffi")
local script = require("spec.support.script")
local c = require("spec.support.cdef").load()
ffi.cdef("int setenv(const char *name, const char *value, int overwrite);")

local CANARY = "s3cr3t&canary{x}"

describe("a secret", function()
  setup(function()
    ffi.C.setenv("MOONPOST_SECRET_ACME_TOKEN", CANARY, 1)
    ffi.C.setenv("MOONPOST_SECRET_BASE", "https://hidden.example/p", 1)
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)

  local function expand(template_, shown)
    local out = script.buffer()
    local call = shown and c.mp_template_expand_shown or c.mp_template_expand
    assert.equal(c.MP_OK, call(template_, nil, nil, c.MP_ESCAPE_NONE, out))
    return script.text_of(c.mp_buf_str(out))
  end

  it("may stand in url, headers, body and form, is never a template, and shows as its name", function()
    local s = assert(script.load([[return { url = "https://a.example/?t=" .. secret "acme_token" .. "&x=",
      headers = { A = "Bearer " .. secret("acme_token") }, body = { k = secret "acme_token" } }]]))
    assert.equal("https://a.example/?t=" .. CANARY .. "&x=", expand(s.url.template_))
    assert.equal("https://a.example/?t=[secret acme_token]&x=", expand(s.url.template_, true))
    assert.equal("Bearer " .. CANARY, expand(s.headers[0].leaf.template_))
    assert.equal("Bearer [secret acme_token]", expand(s.headers[0].leaf.template_, true))
    assert.equal(c.MP_LEAF_TEMPLATE, s.body.children[0].leaf.kind)
    assert.is_true(s.has_secrets)
    s = assert(script.load("return { url = \"https://a.example/\", form = { k = secret \"acme-token\" } }"))
    assert.equal(CANARY, expand(s.form[0].leaf.template_))
  end)

  it("may be the whole url, whose host is read at load", function()
    local s = assert(script.load("return { url = secret \"base\" }"))
    assert.equal("https://hidden.example:443", script.text_of(s.hosts[0]))
  end)

  it("that is not there is a load error that names the variable", function()
    local _, err = script.load("\nreturn { url = secret \"none\" }")
    assert.equal("scripts/acme.lua:2: there is no secret \"none\": set MOONPOST_SECRET_NONE in the environment", err)
  end)

  for name, code in pairs({
    format = "return (\"%s\"):format(secret \"acme_token\")",
    length = "return #secret \"acme_token\"",
    order = "return secret \"acme_token\" < secret \"acme_token\"",
    json = "return json.encode({ secret \"acme_token\" })",
    concat = "return table.concat({ secret \"acme_token\" })",
    index = "return (secret \"acme_token\").x",
    sub = "return string.sub(secret \"acme_token\", 1, 3)",
    find = "return string.find(secret \"acme_token\", \"s\")",
    error = "error(secret \"acme_token\")",
    error_joined = "error(\"x\" .. secret \"acme_token\")",
    error_table = "error({ secret \"acme_token\" })",
    call = "return (secret \"acme_token\")()",
    set = "(secret \"acme_token\").x = 1",
    raw = "return json.raw(secret \"acme_token\")",
    key = "return ({})[secret \"acme_token\"].x",
    json_key = "return json.encode({ [secret \"acme_token\"] = 1 })",
    json_joined = "return json.encode({ a = { \"x\" .. secret \"acme_token\" } })",
    json_derived = "return json.encode(base64(secret \"acme_token\"))",
    order_text = "return secret \"acme_token\" < \"z\"",
    arithmetic = "return secret \"acme_token\" + 1",
    upper = "return string.upper(secret \"acme_token\")",
    byte = "return string.byte(secret \"acme_token\", 1)",
    rep = "return string.rep(secret \"acme_token\", 2)",
    gsub = "return string.gsub(\"x\", \"x\", secret \"acme_token\")",
    gsub_table = "return string.gsub(\"x\", \"x\", { x = secret \"acme_token\" })",
    format_q = "return (\"%q\"):format(secret \"acme_token\")",
    tonumber = "return tonumber(secret \"acme_token\") .. \"\"",
    pairs = "for k in pairs(secret \"acme_token\") do return k end",
    unpack = "return unpack(secret \"acme_token\")",
    get = "return get(secret \"acme_token\", \"x\") .. \"\"",
    time = "return time.parse(secret \"acme_token\")",
    time_format = "return time.format(secret \"acme_token\", \"%s\")",
    decimal = "return decimal(secret \"acme_token\", 2)",
    factor = "return decimal(1, 2, secret \"acme_token\")",
    derived = "return string.sub(uri.encode(secret \"acme_token\"), 1, 3)",
    error_derived = "error(hex(secret \"acme_token\"))",
    reason = "error({ message = secret \"acme_token\" })",
    prefix = "return uri.expand(\"{s:1}\", { s = secret \"acme_token\" })",
    prefix_in_query = "return uri.expand(\"{?s:3}\", { s = secret \"acme_token\" })",
    guessed_prefix = "for i = 0, 255 do if sha256(string.char(i)) == sha256(uri.expand(\"{s:1}\", { s = secret \"acme_token\" })) then return i end end",
    pcall = "local _, e = pcall(error, secret \"acme_token\") return string.len(e)",
    nested = "return secret(secret \"acme_token\")",
  }) do
    it("does not come out by " .. name, function()
      local got, err = script.run(code)
      assert.is_nil(got)
      assert.is_nil(err:find("canary", 1, true), err)
    end)
  end

  it("cannot be told from a guess by comparing it", function()
    assert.equal("false false true", (script.run([[local s = secret "acme_token"
      return tostring(s == "]] .. CANARY .. [[") .. " " .. tostring(s == secret "acme_token") .. " " .. tostring(s == s)]])))
  end)

  it("may be a key in a table of the script's own, and is no other key", function()
    assert.equal("1 nil", (script.run([[local s = secret "acme_token" local t = { [s] = 1 }
      return tostring(t[s]) .. " " .. tostring(t["]] .. CANARY .. [["])]])))
  end)

  it("shows as its name through tostring, alone and joined", function()
    assert.equal("[secret acme_token]", (script.run("return tostring(secret \"acme_token\")")))
    assert.equal("a[secret acme_token]1", (script.run("return tostring(\"a\" .. secret \"acme_token\" .. 1)")))
  end)

  it("returned by a function goes out as it is and shows as its name", function()
    assert.same({ "Bearer " .. CANARY, "text", "Bearer [secret acme_token]" }, { script.run("return \"Bearer \" .. secret \"acme_token\"") })
  end)

  it("is known to the plan when only functions name it", function()
    assert.is_true(assert(script.load("return { url = \"https://a.example/\", headers = { A = function() return secret \"base\" end } }")).has_secrets)
  end)

  describe("that only a function names", function()
    local function load(body)
      return script.load("\nreturn { url = \"https://a.example/\", headers = { A = function(event)\n" .. body .. "\nend } }")
    end

    it("is used by the script, as one that is asked for at load", function()
      for _, body in ipairs({ 'return secret "base"', "return secret 'base'", 'return secret("base")', 'return secret ( "base" ) .. "x"',
        'return hmac.sha256(secret "base", "x")', "return --[[ the token ]] secret\n\"base\"" }) do
        local s = assert(load(body))
        assert.is_true(c.mp_script_uses_secret(s, script.slice("base")), body)
        assert.is_false(c.mp_script_uses_secret(s, script.slice("acme_token")))
      end
    end)

    it("and is not there is a load error at its line", function()
      local _, err = load('return "x" ..\n secret "none"')
      assert.equal("scripts/acme.lua:4: there is no secret \"none\": set MOONPOST_SECRET_NONE in the environment", err)
      _, err = load('return secret "no name"')
      assert.equal("scripts/acme.lua:3: a secret's name has letters, digits, _ and -, 1 to 128 of them", err)
    end)

    it("in a comment, a string or another table is none", function()
      for _, body in ipairs({ '-- secret "none"', "--[[ secret 'none' ]]", "return 'secret \"none\"'", "return [[secret 'none']]",
        'local t = { secret = "none" } return t.secret', 'return event.secret or "none"' }) do
        assert(load(body))
      end
    end)
  end)

  describe("in a request that a hook sees", function()
    local function hook(body, given)
      local state = assert(script.state("return { url = \"https://a.example\", request = function(event, request)\n" .. body .. "\nend }"))
      return script.hook(state, given)
    end
    local given = { url = "https://a.example/?a=1&t=" .. CANARY:gsub("&", "%%26"), url_shown = "https://a.example/?a=1&t=[secret acme_token]",
      headers = { { "A", "Bearer " .. CANARY, "Bearer [secret acme_token]" } } }

    it("stays hidden, whole, when nothing is changed", function()
      local got = assert(hook("", given))
      assert.equal(given.url, got.url)
      assert.equal(given.url_shown, got.url_shown)
      assert.equal("Bearer " .. CANARY, got.headers.A)
      assert.equal("Bearer [secret acme_token]", got.shown.A)
    end)

    it("cannot be read from url, query or headers", function()
      for _, code in ipairs({ "error(tostring(request.url))", "error(tostring(request.query.t))", "error(tostring(request.headers.A))",
        "error(request.url:sub(1))", "error(\"x\" .. request.query.t)" }) do
        local got, err = hook(code, given)
        assert.is_nil(got)
        assert.is_nil(err:find("canary", 1, true), err)
      end
    end)

    it("cannot be read as a name in the query, nor can what comes behind it", function()
      local dump = "local t = {} for k, v in pairs(request.query) do t[#t + 1] = tostring(k):upper() .. \"=\" .. tostring(v) end error(table.concat(t, \" \"))"
      for _, case in ipairs({
        { "https://a.example/x?" .. CANARY .. "&k=v#f", "[secret acme_token]", "" },
        { "https://a.example/?a=1&" .. CANARY .. "=2&b=3", "https://a.example/?a=1&[secret acme_token]=2&b=3", "A=1" },
        { "https://a.example/?a=1&" .. CANARY .. "&b=3", "https://a.example/?a=1&[secret acme_token]&b=3", "A=1" },
        { "https://a.example/?a=x&y=" .. CANARY .. "&b=3", "https://a.example/?a=[secret acme_token]&b=3", "A=[secret acme_token]" },
      }) do
        local got, err = hook(dump, { url = case[1], url_shown = case[2] })
        assert.is_nil(got)
        assert.equal("scripts/acme.lua:2: " .. case[3], err)
        got = assert(hook("request.query.new = 1", { url = case[1], url_shown = case[2] }))
        assert.equal((case[1]:gsub("#f", "")) .. "&new=1" .. (case[1]:match("#f") or ""), got.url)
      end
    end)

    it("stays hidden when the query beside it is changed", function()
      local got = assert(hook("request.query.a = 2; request.query.s = secret \"acme_token\"", given))
      assert.equal("https://a.example/?a=2&t=" .. CANARY:gsub("&", "%%26") .. "&s=s3cr3t%26canary%7Bx%7D", got.url)
      assert.equal("https://a.example/?a=2&t=[secret acme_token]&s=[secret acme_token]", got.url_shown)
    end)

    it("may be set in header, body and url", function()
      local got = assert(hook("request.headers.K = \"k \" .. secret \"acme_token\"; request.url = request.url .. \"&z=1\"", given))
      assert.equal("k " .. CANARY, got.headers.K)
      assert.equal("k [secret acme_token]", got.shown.K)
      assert.equal(given.url .. "&z=1", got.url)
      assert.equal(given.url_shown .. "&z=1", got.url_shown)
    end)
  end)
end)
