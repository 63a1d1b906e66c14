--- Secrets: where they are found, that a reading never changes, and that none is left in a text.
local ffi = require("ffi")
local uv = require("luv")
local script = require("spec.support.script")
local runtime = require("spec.support.runtime")
local c = require("spec.support.cdef").load()
ffi.cdef([[
int setenv(const char *name, const char *value, int overwrite);
int unsetenv(const char *name);
int mkfifo(const char *path, unsigned mode);
int chmod(const char *path, unsigned mode);
unsigned geteuid(void);
]])

local slice, text_of = script.slice, script.text_of

local function read(folder)
  local out = ffi.new("struct mp_secrets *[1]")
  local err = ffi.new("struct mp_error")
  local status = c.mp_secrets_read(folder, out, err)
  if status ~= c.MP_OK then
    return nil, ffi.string(err.text), status
  end
  return ffi.gc(out[0], c.mp_secrets_unref)
end

local function secrets_of(values, invents)
  local list = ffi.new("struct mp_secret_value[?]", #values + 1)
  for i, pair in ipairs(values) do
    list[i - 1].name, list[i - 1].value = slice(pair[1]), slice(pair[2])
  end
  local out = ffi.new("struct mp_secrets *[1]")
  assert.equal(c.MP_OK, c.mp_secrets_of(list, #values, invents or false, out))
  return ffi.gc(out[0], c.mp_secrets_unref)
end

local function find(secrets, name)
  local value = ffi.new("struct mp_str")
  local err = ffi.new("struct mp_error")
  local status = c.mp_secrets_find(secrets, slice(name), value, err)
  if status ~= c.MP_OK then
    return nil, ffi.string(err.text), status
  end
  return text_of(value)
end

local function hide(secrets, text)
  local out = script.buffer()
  assert.equal(c.MP_OK, c.mp_secrets_hide(secrets, slice(text), out))
  return text_of(c.mp_buf_str(out))
end

local function percent(text, pattern)
  return (text:gsub(pattern or "[^%w%-._~]", function(char) return ("%%%02X"):format(char:byte()) end))
end

local function base64(text)
  local out = script.buffer()
  assert.equal(c.MP_OK, c.mp_base64_encode(slice(text), c.MP_BASE64, out))
  return text_of(c.mp_buf_str(out))
end

local function json_string(text)
  local out = script.buffer()
  assert.equal(c.MP_OK, c.mp_json_write_string(out, slice(text)))
  return text_of(c.mp_buf_str(out)):sub(2, -2)
end

describe("secrets", function()
  local folder

  before_each(function() folder = runtime.folder() end)
  after_each(function()
    ffi.C.unsetenv("MOONPOST_SECRET_ACME_TOKEN")
    runtime.clean()
  end)

  local function put(name, value)
    runtime.write_file(folder .. "/" .. name, value)
  end

  describe("are read", function()
    it("from the environment alone when there is no folder", function()
      ffi.C.setenv("MOONPOST_SECRET_ACME_TOKEN", "from the environment", 1)
      local secrets = assert(read(nil))
      for _, name in ipairs({ "acme_token", "acme-token", "ACME_TOKEN", "Acme_Token" }) do
        assert.equal("from the environment", find(secrets, name))
      end
    end)

    it("from the folder, which wins over the environment", function()
      ffi.C.setenv("MOONPOST_SECRET_ACME_TOKEN", "from the environment", 1)
      put("acme_token", "from the file")
      local secrets = assert(read(folder))
      assert.equal("from the file", find(secrets, "acme_token"))
      assert.equal("from the environment", find(secrets, "acme-token"))
    end)

    it("without one line's end at the end", function()
      for text, value in pairs({ ["a\n"] = "a", ["a\r\n"] = "a", ["a\n\n"] = "a\n", [" a "] = " a ", ["a\r"] = "a\r",
        ["a\0b"] = "a\0b" }) do
        put("x", text)
        assert.equal(value, find(read(folder), "x"))
      end
    end)

    it("through links, past folders, dots, pipes, links to nowhere and names that none can have", function()
      assert(uv.fs_mkdir(folder .. "/..t1", 493))
      put("..t1/x", "linked")
      assert(uv.fs_symlink("..t1", folder .. "/..data"))
      assert(uv.fs_symlink("..data/x", folder .. "/x"))
      assert(uv.fs_symlink("nowhere", folder .. "/gone"))
      assert(uv.fs_symlink("itself", folder .. "/itself"))
      assert(uv.fs_mkdir(folder .. "/sub", 493))
      assert.equal(0, ffi.C.mkfifo(folder .. "/pipe", 384))
      put(".hidden", "no")
      put("with space", "no")
      put("tls.key", "no")
      put(("n"):rep(129), "no")
      put(("n"):rep(128), "long name")
      local secrets = assert(read(folder .. "//"))
      assert.equal("linked", find(secrets, "x"))
      assert.equal("long name", find(secrets, ("n"):rep(128)))
      for _, name in ipairs({ "gone", "itself", "sub", "pipe" }) do
        local value, err = find(secrets, name)
        assert.is_nil(value)
        assert.equal(('there is no secret "%s": put it into %s/%s, or set MOONPOST_SECRET_%s in the environment'):format(
          name, folder, name, name:upper()), err)
      end
    end)

    it("and one that is not there is told of with the places looked at", function()
      local _, err, status = find(read(nil), "acme-token")
      assert.equal(c.MP_ENOTFOUND, status)
      assert.equal('there is no secret "acme-token": set MOONPOST_SECRET_ACME_TOKEN in the environment', err)
    end)

    it("and an empty one is as none, and told of", function()
      ffi.C.setenv("MOONPOST_SECRET_ACME_TOKEN", "", 1)
      put("x", "\n")
      local _, err, status = find(read(folder), "x")
      assert.same({ 'the secret "x" is empty: look at ' .. folder .. "/x", c.MP_ENOTFOUND }, { err, status })
      _, err = find(read(folder), "acme-token")
      assert.equal('the secret "acme_token" is empty: look at MOONPOST_SECRET_ACME_TOKEN', err)
    end)

    it("and a name that none can have is refused", function()
      for _, name in ipairs({ "", "a b", "../x", "a.b", "ä", ("n"):rep(129), "a\0b" }) do
        local _, _, status = find(read(nil), name)
        assert.equal(c.MP_EINVAL, status)
      end
    end)

    it("up to 64 KiB each, and the file or variable over it is named", function()
      put("x", ("v"):rep(65536))
      assert.equal(65536, #find(read(folder), "x"))
      put("big", ("v"):rep(65537))
      local _, err, status = read(folder)
      assert.same({ "could not read " .. folder .. "/big: a secret has at most 64 KiB", c.MP_ELIMIT }, { err, status })
      ffi.C.setenv("MOONPOST_SECRET_ACME_TOKEN", ("v"):rep(65537), 1)
      _, err = read(nil)
      assert.equal("could not read MOONPOST_SECRET_ACME_TOKEN: a secret has at most 64 KiB", err)
    end)

    it("or not at all: the folder that is not there is named", function()
      local _, err, status = read(folder .. "/none")
      assert.equal(c.MP_EIO, status)
      assert.equal("could not read the secrets folder " .. folder .. "/none: No such file or directory", err)
    end)

    if ffi.C.geteuid() ~= 0 then
      it("or not at all: the file that may not be read is named", function()
        put("x", "v")
        ffi.C.chmod(folder .. "/x", 0)
        local _, err = read(folder)
        assert.equal("could not read " .. folder .. "/x: Permission denied", err)
      end)
    end
  end)

  it("stay as they were read", function()
    put("x", "one")
    local first = assert(read(folder))
    put("x", "two")
    put("y", "new")
    ffi.C.setenv("MOONPOST_SECRET_ACME_TOKEN", "late", 1)
    assert.equal("one", find(first, "x"))
    assert.is_nil((find(first, "y")))
    assert.is_nil((find(first, "acme_token")))
    assert.equal("two", find(read(folder), "x"))
  end)

  it("agree where a name has the same value in both, or none", function()
    local one = secrets_of({ { "same", "v" }, { "other", "v" }, { "gone", "v" } })
    local two = secrets_of({ { "same", "v" }, { "other", "w" }, { "new", "v" } })
    local found = {}
    for _, name in ipairs({ "same", "other", "gone", "new", "none", "no name" }) do
      found[name] = c.mp_secrets_agree(one, two, slice(name))
    end
    assert.same({ same = true, other = false, gone = false, new = false, none = true, ["no name"] = true }, found)
    assert.is_false(c.mp_secrets_equal(one, two))
    assert.is_true(c.mp_secrets_equal(one, secrets_of({ { "gone", "v" }, { "same", "v" }, { "other", "v" } })))
  end)

  it("of a spec are exactly those given, or invented", function()
    ffi.C.setenv("MOONPOST_SECRET_ACME_TOKEN", "from the environment", 1)
    local secrets = secrets_of({ { "x", "given" } })
    assert.equal("given", find(secrets, "x"))
    assert.equal('there is no secret "acme_token"', select(2, find(secrets, "acme_token")))
    secrets = secrets_of({ { "x", "given" } }, true)
    assert.equal("given", find(secrets, "x"))
    assert.equal("test-acme_token", find(secrets, "acme_token"))
    assert.equal("test-acme_token", find(secrets, "acme_token"))
    assert.equal("test-y", find(secrets, "y"))
    assert.is_nil((find(secrets, "a b")))
  end)

  it("live until the last reference goes", function()
    local out = ffi.new("struct mp_secrets *[1]")
    assert.equal(c.MP_OK, c.mp_secrets_read(nil, out, nil))
    local second = c.mp_secrets_ref(out[0])
    c.mp_secrets_unref(out[0])
    assert.is_nil((find(second, "x")))
    c.mp_secrets_unref(second)
    c.mp_secrets_unref(nil)
  end)

  describe("are hidden", function()
    local canary = "s3cr3t&can/ary{\"x\"} +ü\\"
    local secrets
    before_each(function() secrets = secrets_of({ { "x", canary }, { "plain", "plainvalue" } }) end)

    it("as they are, everywhere in a text", function()
      assert.equal("[secret x]", hide(secrets, canary))
      assert.equal("a[secret x]b[secret plain][secret x]", hide(secrets, "a" .. canary .. "bplainvalue" .. canary))
    end)

    it("and all else stays byte for byte", function()
      for _, text in ipairs({ "", "a", "abc", "no secret here", "s3cr3t", "\0\1\255", "100%", "%4", "a\\", "&", "&#", "\\u00",
        ("x"):rep(100000), "plai", "plainvalux", "%70lainvalu-" }) do
        assert.equal(text, hide(secrets, text))
      end
    end)

    it("percent-encoded, wholly, in part, in either case, with + for a space, and twice", function()
      for _, text in ipairs({ percent(canary), percent(canary):lower(), percent(canary, "."), percent(canary, '[&"{ +]'),
        (percent(canary):gsub("%%20", "+")), percent(percent(canary)) }) do
        assert.equal("?a=[secret x]&b=%20", hide(secrets, "?a=" .. text .. "&b=%20"))
      end
    end)

    it("in JSON strings, however they are escaped, and in JSON within JSON", function()
      local escaped = json_string(canary)
      for _, text in ipairs({ escaped, (escaped:gsub("/", "\\/")), (escaped:gsub("ü", "\\u00fC")), (escaped:gsub("&", "\\u0026")),
        json_string(escaped), json_string(percent(canary)), percent(escaped) }) do
        assert.equal('{"a":"[secret x]","b":"\\n"}', hide(secrets, '{"a":"' .. text .. '","b":"\\n"}'))
      end
      assert.equal("[secret x]", hide(secrets_of({ { "x", "key \240\159\142\137 of" } }), "key \\ud83c\\udf89 of"))
    end)

    it("in HTML and XML", function()
      local escaped = canary:gsub("&", "&amp;"):gsub('"', "&quot;")
      assert.equal("<p>[secret x]</p> &amp;", hide(secrets, "<p>" .. escaped .. "</p> &amp;"))
      escaped = canary:gsub("&", "&#38;"):gsub('"', "&#x22;"):gsub("ü", "&#xFC;")
      assert.equal("[secret x]", hide(secrets, escaped))
    end)

    it("as a url's path, as its query, and as a long part of either", function()
      local url = secrets_of({ { "hook", "https://hooks.example/services/T0001/abcdefghijklmnopqr?key=0123456789abcdef&v=1" } })
      assert.equal("Cannot POST [secret hook].", hide(url, "Cannot POST /services/T0001/abcdefghijklmnopqr?key=0123456789abcdef&v=1."))
      assert.equal("Cannot POST /services/T0001/[secret hook] here", hide(url, "Cannot POST /services/T0001/abcdefghijklmnopqr here"))
      assert.equal("no key [secret hook] in services v=1", hide(url, "no key 0123456789abcdef in services v=1"))
      assert.equal("hooks.example /x", hide(secrets_of({ { "hook", "https://hooks.example/x" } }), "hooks.example /x"))
      assert.equal("hooks.example", hide(secrets_of({ { "hook", "https://hooks.example" } }), "hooks.example"))
    end)

    it("in hex, in capitals and in small letters, from eight bytes on", function()
      local one = secrets_of({ { "token", "Hunter2-Value" } })
      for _, text in ipairs({ "48756e746572322d56616c7565", "48756E746572322D56616C7565", "HUNTER2-VALUE", "hunter2-value" }) do
        assert.equal("unknown [secret token].", hide(one, "unknown " .. text .. "."))
      end
      local odd = secrets_of({ { "token", "a/b\"c d/e" } })
      for _, text in ipairs({ base64("k=a%2Fb%22c%20d%2Fe&"), base64("{\"k\":\"a/b\\\"c d/e\"}") }) do
        assert.truthy(hide(odd, text):find("[secret token]", 1, true), hide(odd, text))
      end
      assert.equal("ABCDEF 4142", hide(secrets_of({ { "token", "abcdef" } }), "ABCDEF 4142"))
    end)

    it("in base64, padded or not, of either alphabet, and behind a user's name", function()
      for length = 4, 40 do
        local value = ("\251\239\190secret\255key?>~"):rep(3):sub(1, length)
        local one = secrets_of({ { "x", value } })
        local text = base64(value)
        assert.equal("k=[secret x]", hide(one, "k=" .. text))
        assert.equal("k=[secret x]", hide(one, "k=" .. text:gsub("=", "")))
        assert.equal("k=[secret x]", hide(one, "k=" .. text:gsub("=", ""):gsub("+", "-"):gsub("/", "_")))
        assert.equal("k=[secret x]", hide(one, "k=" .. percent(text)))
        assert.equal("k=[secret x]", hide(one, "k=" .. text:gsub("/", "\\/")))
        for _, user in ipairs(length >= 8 and { "u:", "us:", "use:" } or {}) do
          local hidden = hide(one, "Basic " .. base64(user .. value .. ":more"))
          assert.truthy(hidden:find("[secret x]", 1, true), hidden)
          -- What is left and right of it can say no more than a few bits of a byte.
          local left, right = hidden:match("^Basic (.*)%[secret x%](.*)$")
          assert.is_true(#left <= math.ceil(#user * 8 / 6) and #right <= math.ceil(6 * 8 / 6) + 2, hidden)
        end
      end
    end)

    it("the longest first, and two that overlap together", function()
      local several = secrets_of({ { "short", "abcdef" }, { "long", "abcdefghijkl" }, { "tail", "jklmnop" }, { "in", "cdef" } })
      assert.equal("[secret long]", hide(several, "abcdefghijkl"))
      assert.equal("[secret short]gx", hide(several, "abcdefgx"))
      assert.equal("-[secret long]-", hide(several, "-abcdefghijklmnop-"))
      assert.equal("a[secret in]", hide(several, "acdef"))
    end)

    it("from four bytes on", function()
      local short = secrets_of({ { "three", "abc" }, { "four", "wxyz" } })
      assert.equal("abc [secret four]", hide(short, "abc wxyz"))
    end)

    it("where a text's end cuts them, also in the middle of an escape", function()
      local long = secrets_of({ { "x", "0123456789/abcdefghij" } })
      assert.equal("a [secret x]", hide(long, "a 01234567"))
      assert.equal("a 0123456", hide(long, "a 0123456"))
      for _, text in ipairs({ "0123456789%", "0123456789%2", "0123456789%2F", "0123456789\\", "0123456789\\u00", "0123456789&#4" }) do
        assert.equal("[secret x]", hide(long, text))
      end
      assert.equal("012345678 ", hide(long, "012345678 "))
    end)

    it("line by line when they have several, but PEM's own words", function()
      local lines = {}
      for i = 1, 5 do
        lines[i] = base64(("%d"):format(i):rep(48))
      end
      local pem = "-----BEGIN PRIVATE KEY-----\n" .. table.concat(lines, "\n") .. "\nAAAA\n-----END PRIVATE KEY-----"
      local key = secrets_of({ { "key", pem } })
      assert.equal("[secret key]", hide(key, pem))
      assert.equal("[secret key]", hide(key, json_string(pem)))
      local joined = pem:gsub("\n", " ")
      assert.equal("-----BEGIN PRIVATE KEY----- " .. ("[secret key] "):rep(5) .. "AAAA -----END PRIVATE KEY-----", hide(key, joined))
      local windows = pem:gsub("\n", "\r\n")
      assert.falsy(hide(key, windows):find(lines[3], 1, true))
    end)

    it("those of the environment by the name that scripts write", function()
      ffi.C.setenv("MOONPOST_SECRET_ACME_TOKEN", "from-the-environment", 1)
      assert.equal("x [secret acme_token]", hide(read(nil), "x from-the-environment"))
    end)

    it("in place, cut to what fits and never within a character", function()
      local function in_place(text, size)
        local bytes = ffi.new("char[?]", size, text)
        c.mp_secrets_hide_text(secrets, bytes, size)
        return ffi.string(bytes)
      end
      assert.equal("a [secret plain] b", in_place("a plainvalue b", 64))
      assert.equal("a [secret plain", in_place("a plainvalue", 16))
      local short = secrets_of({ { "long_name", "abcd" } })
      local bytes = ffi.new("char[16]", "abcdüüü")
      c.mp_secrets_hide_text(short, bytes, 16)
      assert.equal("[secret long_na", ffi.string(bytes))
      bytes = ffi.new("char[21]", "abcdüüü")
      c.mp_secrets_hide_text(short, bytes, 21)
      assert.equal("[secret long_name]ü", ffi.string(bytes))
      assert.equal("", in_place("", 8))
    end)

    it("none of 300 in 2,000 texts made at random", function()
      math.randomseed(42)
      local alphabet = "ab%\\&+/=\" {}#;0123u"
      local function random(length)
        local text = {}
        for i = 1, length do
          local at = math.random(#alphabet)
          text[i] = alphabet:sub(at, at)
        end
        return table.concat(text)
      end
      local values = {}
      for i = 1, 300 do
        values[i] = { "n" .. i, random(math.random(8, 40)) }
      end
      local many = secrets_of(values)
      local writings = { function(text) return text end, percent, json_string, base64 }
      for _ = 1, 2000 do
        local value = values[math.random(#values)][2]
        local written = writings[math.random(#writings)](value)
        local hidden = hide(many, "<" .. random(math.random(0, 30)) .. "|" .. written .. "|" .. random(math.random(0, 30)))
        assert.falsy(hidden:find(written, 1, true), written)
      end
    end)

    it("nothing of a full buffer is changed", function()
      local out = script.buffer(12)
      assert.equal(c.MP_OK, c.mp_buf_append_text(out, "before"))
      assert.equal(c.MP_ELIMIT, c.mp_secrets_hide(secrets, slice("a plainvalue"), out))
      assert.equal("before", text_of(c.mp_buf_str(out)))
    end)
  end)
end)
