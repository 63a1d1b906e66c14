local ffi = require("ffi")
local uv = require("luv")
local script = require("spec.support.script")
local c = require("spec.support.cdef").load()

local text = script.text_of
local folder

local function write(name, source)
  local file = assert(io.open(folder .. "/" .. name, "wb"))
  file:write(source)
  file:close()
end

local function load(source)
  return script.load(source, "acme", { lib = folder })
end

local function fails(source, ...)
  local loaded, err = load(source)
  assert.is_nil(loaded)
  for _, part in ipairs({ ... }) do
    part = part:gsub("LIB", function()
      return folder
    end)
    assert.is_truthy(err:find(part, 1, true), err .. " should say: " .. part)
  end
end

-- A script whose url ends with what `code` gives.
local function url(code)
  local loaded = assert(load(code:gsub("return (.*)$", "return { url = \"https://a.example/\" .. %1 }")))
  return text(loaded.url.text):sub(#"https://a.example/" + 1)
end

local function uses(loaded, name)
  return c.mp_script_uses_lib(loaded, script.slice(name))
end

describe("require", function()
  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)
  before_each(function()
    folder = assert(uv.fs_mkdtemp((os.getenv("TMPDIR") or "/tmp") .. "/moonpost-lib-XXXXXX"))
  end)
  after_each(function()
    os.execute("rm -rf '" .. folder .. "'")
  end)

  it("gives what a file of lib returns, once a state", function()
    write("money.lua", "count = count + 1\nreturn { cents = function(x) return x * 100 end }")
    write("twice.lua", "return { same = require \"money\" }")
    assert.equal("500true1", url("count = 0 local m, t = require \"money\", require \"twice\" return m.cents(5) .. tostring(t.same == m) .. count"))
  end)

  it("gives true for a module that returns nothing", function()
    write("nothing.lua", "local x = 1")
    assert.equal("true", url("return tostring(require \"nothing\")"))
    write("no.lua", "return false")
    assert.equal("false", url("return tostring(require \"no\")"))
  end)

  it("follows links, as mounts make them", function()
    write("..data", "return \"linked\"")
    assert(uv.fs_symlink("..data", folder .. "/linked.lua"))
    assert.equal("linked", url("return require \"linked\""))
  end)

  it("runs its functions at delivery, in the same sandbox", function()
    write("sign.lua", "local M = {}\nfunction M.mark(event)\n  return \"m\" .. event.a\nend\nfunction M.host() return io end\nreturn M")
    local source = "local sign = require \"sign\"\nreturn { url = \"https://a.example/\", headers = { A = sign.mark, B = function(e) local s = sign.mark(e) return s end,\n"
      .. "C = function() local s = sign.host() return s end } }"
    local state, loaded = assert(script.state(source, "acme", { lib = folder }))
    assert.is_true(loaded.has_functions)
    assert.equal("m5", (script.leaf(state, 0, "{\"a\":5}")))
    local _, err = script.leaf(state, 0, "{}")
    assert.equal("scripts/acme.lua: " .. folder .. "/sign.lua:3: attempt to concatenate field 'a' (a nil value)", err)
    _, err = script.leaf(state, 1, "{}")
    assert.equal("scripts/acme.lua:2: " .. folder .. "/sign.lua:3: attempt to concatenate field 'a' (a nil value)", err)
    _, err = script.leaf(state, 2, "{}")
    assert.equal("scripts/acme.lua:3: " .. folder .. "/sign.lua:5: `io` is not available to scripts", err)
  end)

  it("keeps the text it loaded with: no state reads the disk again", function()
    write("money.lua", "return { f = function() return \"old\" end }")
    local loaded = assert(load("local m = require \"money\"\nreturn { url = \"https://a.example/\", headers = { A = m.f } }"))
    write("money.lua", "return { f = function() return \"new\" end }")
    assert.equal("old", (script.leaf(assert(script.state_of(loaded)), 0, "{}")))
    os.remove(folder .. "/money.lua")
    assert.equal("old", (script.leaf(assert(script.state_of(loaded)), 0, "{}")))
  end)

  it("names the generation by the script and its modules, in order", function()
    local plain = "return { url = \"https://a.example/\" }"
    local source = "local a, b = require \"a\", require \"b\"\n" .. plain
    local function generation(of)
      return ffi.string(assert(load(of)).generation)
    end
    write("a.lua", "return 1")
    write("b.lua", "return 2")
    local first = generation(source)
    assert.equal(first, generation(source))
    assert.equal(generation(plain), ffi.string(assert(script.load(plain)).generation))
    write("b.lua", "return 3")
    local second = generation(source)
    assert.are_not.equal(first, second)
    write("b.lua", "return 2")
    assert.equal(first, generation(source))
    os.rename(folder .. "/a.lua", folder .. "/c.lua")
    assert.are_not.equal(first, generation((source:gsub("\"a\"", "\"c\""))))
  end)

  it("tells which modules a script uses, also those it did not find", function()
    write("a.lua", "return require \"b\"")
    write("b.lua", "return 1")
    local loaded = assert(load("local a = require \"a\"\nlocal ok = pcall(require, \"gone\")\nreturn { url = \"https://a.example/\" .. tostring(ok) }"))
    assert.equal("https://a.example/false", text(loaded.url.text))
    assert.is_true(uses(loaded, "a"))
    assert.is_true(uses(loaded, "b"))
    assert.is_true(uses(loaded, "gone"))
    assert.is_false(uses(loaded, "c"))
    write("gone.lua", "return 1") -- it was not there when this generation loaded
    assert.is_truthy(script.state_of(loaded))
  end)

  it("counts the functions and secrets of modules", function()
    write("s.lua", "return function() return secret \"of_module\" end")
    local loaded = load("local f = require \"s\"\nreturn { url = \"https://a.example/\", headers = { A = f } }")
      or script.load("local f = require \"s\"\nreturn { url = \"https://a.example/\", headers = { A = f } }", "acme",
        { lib = folder, secrets = { of_module = "x" } })
    assert.is_true(assert(loaded).has_functions)
    assert.is_true(loaded.has_secrets)
  end)

  it("takes markers of a module", function()
    write("fields.lua", "return { user = { em = hashed \"{email}\" }, all = items }")
    local loaded = assert(load("local f = require \"fields\"\nreturn { url = \"https://a.example/\", batch = {}, item = f.user, body = { d = f.all } }"))
    assert.equal(c.MP_MARK_HASHED, loaded.batch.item.children[0].leaf.mark)
  end)

  it("is for the time of loading", function()
    write("a.lua", "return 1")
    local state = assert(script.state("return { url = \"https://a.example/\", headers = { A = function()\nlocal a = require \"a\" return a end } }", "acme", { lib = folder }))
    local _, err = script.leaf(state, 0, "{}")
    assert.equal("scripts/acme.lua:2: require runs while the script loads: write local a = require \"a\" at its top", err)
  end)

  it("lets a module that threw be asked for again", function()
    write("bad.lua", "error(\"not today\")")
    assert.equal("falsefalse", url("local a, b = pcall(require, \"bad\"), pcall(require, \"bad\") return tostring(a) .. tostring(b)"))
    fails("pcall(require, \"bad\")\nrequire \"bad\"", "scripts/acme.lua:2: LIB/bad.lua:1: not today")
  end)

  it("names both places of an error", function()
    write("a.lua", "\nlocal x = nil\nreturn x.y")
    fails("\nlocal a = require \"a\"", "scripts/acme.lua:2: LIB/a.lua:3: attempt to index local 'x'")
    write("b.lua", "return require \"a\"")
    fails("local b = require \"b\"", "scripts/acme.lua:1: LIB/a.lua:3: attempt")
    write("c.lua", "return {")
    fails("local b = require \"c\"", "scripts/acme.lua:1: LIB/c.lua:1: unexpected symbol near '<eof>'")
    write("d.lua", "local x = nuber")
    fails("local b = require \"d\"", "LIB/d.lua:1: unknown global `nuber`: did you mean `number`?")
  end)

  it("refuses a circle, with both names", function()
    write("a.lua", "local b = require \"b\" return b")
    write("b.lua", "local a = require \"a\" return a")
    fails("local a = require \"a\"", "scripts/acme.lua:1: LIB/b.lua:1: \"b\" requires \"a\", which is still loading")
    write("me.lua", "return require \"me\"")
    fails("local a = require \"me\"", "\"me\" requires \"me\"")
  end)

  it("stops a module that never ends, and says where", function()
    write("loop.lua", "while true do end")
    fails("local a = require \"loop\"", "scripts/acme.lua:1: the call took more than 50 ms")
    write("big.lua", "local s = \"x\" for _ = 1, 30 do s = s .. s end")
    fails("local a = require \"big\"", "scripts/acme.lua", "16 MiB")
    fails("pcall(require, \"loop\")\nreturn { url = \"https://a.example/\" }", "the call took more than 50 ms")
  end)

  it("refuses bytecode, and what is over 1 MiB", function()
    write("code.lua", string.dump(function() end))
    fails("local a = require \"code\"", "LIB/code.lua: it is bytecode: write Lua text")
    write("long.lua", "--" .. ("x"):rep(1024 * 1024))
    fails("local a = require \"long\"", "LIB/long.lua", "1024 KiB")
  end)

  it("refuses more than 64 modules", function()
    for i = 1, 65 do
      write("m" .. i .. ".lua", "return 1")
    end
    assert.is_truthy(load("for i = 1, 64 do local _ = require(\"m\" .. i) end\nreturn { url = \"https://a.example/\" }"))
    fails("for i = 1, 65 do local _ = require(\"m\" .. i) end", "could not require \"m65\": a script requires at most 64 modules")
  end)

  for _, name in ipairs({ "../acme", "lib.money", "lib/money", "money.lua", "/etc/passwd", "-a", "", "Money", "a b", "moonpost.testing", ("x"):rep(65), "a\\0b" }) do
    it("refuses the name " .. name:sub(1, 20), function()
      fails("local a = require(\"" .. name .. "\")", "is no module's name: require \"money\" reads lib/money.lua")
    end)
  end

  it("refuses what is no name", function()
    fails("local a = require {}", "scripts/acme.lua:1: bad argument")
    fails("local a = require(items)", "bad argument")
  end)

  it("says that a file, a folder of files, or lib itself is not there", function()
    fails("local a = require \"none\"", "scripts/acme.lua:1: could not require \"none\": there is no file LIB/none.lua")
    assert(uv.fs_mkdir(folder .. "/deep.lua", 448))
    fails("local a = require \"deep\"", "there is no file LIB/deep.lua")
    local _, err = script.load("local a = require \"none\"")
    assert.equal("scripts/acme.lua:1: could not require \"none\": there is no lib folder beside the script", err)
  end)
end)
