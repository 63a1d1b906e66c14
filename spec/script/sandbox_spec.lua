local script = require("spec.support.script")
local c = require("spec.support.cdef").load()

-- A script that does `code` at load, in accepts, and in verdict.
local function places(code)
  local head = "return { url = \"https://a.example/\", "
  return {
    load = function()
      local _, err, status = script.load(code .. "\n" .. head .. "}")
      return err, status
    end,
    accepts = function()
      local state = assert(script.state(head .. "accepts = function(event)\n" .. code .. "\nend }"))
      local _, err, status = script.accepts(state, "{}")
      return err, status
    end,
    verdict = function()
      local state = assert(script.state(head .. "verdict = function(response)\n" .. code .. "\nend }"))
      local _, err, status = script.verdict(state, { status = 200 })
      return err, status
    end,
  }
end

describe("the sandbox", function()
  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)

  describe("stops", function()
    for name, code in pairs({
      ["an endless loop"] = "while true do end",
      ["endless arithmetic"] = "local x = 0 while true do x = x + 1 end",
      ["a goto loop"] = "::again:: goto again",
      ["a loop inside pcall"] = "pcall(function() while true do end end)",
      ["a loop around pcall"] = "while true do pcall(function() while true do end end) end",
      ["nested pcalls"] = "local function f() while true do pcall(f) end end f()",
      ["a loop in an xpcall handler"] = "xpcall(function() error(1) end, function() while true do end end)",
      ["xpcall as its own handler"] = "while true do xpcall(function() while true do end end, function() while true do end end) end",
      ["a loop in a sort comparator"] = "table.sort({ 3, 2, 1 }, function() while true do end end)",
      ["a loop in a gsub callback"] = "string.gsub(\"x\", \".\", function() while true do end end)",
      ["gsub after gsub"] = "while true do string.gsub((\"x\"):rep(1000), \".\", \"%0\") end",
      ["a pattern that explodes"] = "string.find((\"a\"):rep(30), (\"a?\"):rep(30) .. (\"a\"):rep(30) .. \"b\")",
      ["a pattern in a loop of pcalls"] = "while true do pcall(string.find, (\"a\"):rep(5000), \".-.-b\") end",
      ["finds of megabytes in a loop"] = "local s = (\"a\"):rep(1000000) while true do s:find((\"a\"):rep(500000) .. \"b\", 1, true) end",
      ["json in a loop"] = "local t = {} for i = 1, 10000 do t[i] = i end while true do json.encode(t) end",
      ["string.rep in a loop"] = "while true do (\"x\"):rep(1000000) end",
    }) do
      for place, run in pairs(places(code)) do
        it(name .. ", in " .. place, function()
          local before = os.clock()
          local err, status = run()
          if status ~= c.MP_ESCRIPT or not err:find("pattern too complex", 1, true) then
            assert.equal(c.MP_EBUDGET, status, err)
            assert.is_truthy(err:find("^scripts/acme.lua:%d+: the call took more than 50 ms"), err)
          end
          assert.is_true(os.clock() - before < 5)
        end)
      end
    end

    for name, code in pairs({
      ["a string bomb"] = "(\"x\"):rep(1e9)",
      ["doubling"] = "local s = \"x\" while true do s = s .. s end",
      ["a table bomb"] = "local t = {} while true do t[#t + 1] = {} end",
      ["a bomb inside pcall"] = "local t = {} while true do pcall(function() while true do t[#t + 1] = {} end end) end",
      ["gsub growth"] = "local t = {} while true do t[#t + 1] = ((\"x\"):rep(500000) .. #t):gsub(\"x\", \"%0%0\") end",
      ["concat"] = "local t = {} for i = 1, 100 do t[i] = (\"x\"):rep(200000) end local s = table.concat(t)",
    }) do
      for place, run in pairs(places(code)) do
        it(name .. ", in " .. place, function()
          local err, status = run()
          assert.equal(c.MP_EBUDGET, status, err)
          assert.is_truthy(err:find("^scripts/acme.lua"), err)
        end)
      end
    end

    it("recursion of every kind, and the state goes on", function()
      for _, code in ipairs({
        "local function f() return 1 + f() end f()",
        "local function f(s) return (s:gsub(\".\", f)) end f(\"x\")",
        "local function f() table.sort({ 3, 2, 1 }, function() f() return true end) end f()",
        "local function f() return pcall(f) end local ok, err = f() error(err)",
        "local function f() return xpcall(f, f) end error(f())",
        "string.find((\"x\"):rep(100000), (\".?\"):rep(100000))",
        "string.find((\"x\"):rep(1000), (\"(\"):rep(1000))",
        "local t = {} for i = 1, 1000 do t = { t } end json.encode(t)",
        "json.decode((\"[\"):rep(100000))",
        "unpack({}, 1, 1e8)",
        "string.find((\"x\"):rep(2000000), \"y\")",
      }) do
        local state = assert(script.state("return { url = \"https://a.example/\", headers = { X = function(event)\nif event.go then\n"
          .. code .. "\nend\nreturn \"ok\" end } }"))
        local _, _, status = script.leaf(state, 0, "{\"go\":true}")
        assert.is_true(status == c.MP_ESCRIPT or status == c.MP_EBUDGET or status == nil, code)
        if status == c.MP_ESCRIPT then
          assert.equal("ok", (script.leaf(state, 0, "{}")), code)
        end
      end
    end)
  end)

  it("makes no call in a state that has overrun", function()
    local state = assert(script.state("return { url = \"https://a.example/\", accepts = function(event) while event.go do end end }"))
    assert.is_true((script.accepts(state, "{}")))
    local _, _, status = script.accepts(state, "{\"go\":1}")
    assert.equal(c.MP_EBUDGET, status)
    _, _, status = script.accepts(state, "{}")
    assert.equal(c.MP_EBUDGET, status)
  end)

  it("does not charge a call with the time of those before it", function()
    local state = assert(script.state("return { url = \"https://a.example/\", accepts = function() local x = 0 for i = 1, 200000 do x = x + i end end }"))
    for _ = 1, 60 do
      assert.is_true((script.accepts(state, "{}")))
    end
  end)

  it("has nothing but the allow list", function()
    for _, name in ipairs({ "io", "os", "ffi", "debug", "jit", "package", "load", "loadstring", "loadfile", "dofile",
      "getfenv", "setfenv", "newproxy", "collectgarbage", "print", "rawget", "rawset", "rawequal", "getmetatable", "setmetatable",
      "coroutine", "module", "_G", "gcinfo" }) do
      local got, err = script.run("return tostring(" .. name .. ")")
      assert.is_nil(got, name)
      assert.is_truthy(err:find("`" .. name .. "`", 1, true), err)
    end
    for _, name in ipairs({ "string.dump", "math.randomseed", "table.foreach", "string.gfind", "table.move" }) do
      assert.equal("nil", (script.run("return tostring(" .. name .. ")")), name)
    end
  end)

  it("ends what stock functions would walk for ever", function()
    for _, code in ipairs({ "table.insert({}, -2147483648, 1)", "table.insert({}, 0/0, 1)", "table.remove({ 1, 2 }, -2147483648)",
      "table.concat({}, \"\", -2147483648, 2147483647)", "unpack({}, -2147483648, 2147483647)", "string.byte((\"x\"):rep(1e6), 1, -1)",
      "select(-2147483648, 1)", "(\"\"):rep(2147483647)", "string.sub(\"x\", -2147483648, 2147483647)", "math.ldexp(1, 2147483647)" }) do
      local before = os.clock()
      script.run(code)
      assert.is_true(os.clock() - before < 5, code)
    end
    assert.equal("1 2 3 4", (script.run("local t = { 2, 3 } table.insert(t, 4) table.insert(t, 1, 1) return table.concat(t, \" \")")))
  end)

  it("has what scripts need of Lua", function()
    assert.equal("3 b 1 6 2 a,b nil,x 255 1 true", (script.run([[
      local ok, err = pcall(error, "x", 0)
      local out = { select("#", 1, 2, 3), ("abc"):sub(2, 2), math.floor(1.5), bit.bxor(5, 3), tonumber("2"),
        table.concat({ "a", "b" }, ","), tostring(nil) .. "," .. err, ("%d"):format(0xff), #{ unpack({ 1 }) }, tostring(xpcall(function() end, error)) }
      return table.concat(out, " ")]])))
    assert.equal("caught: scripts/acme.lua:2: no", (script.run("local _, e = xpcall(function() error(\"no\") end, function(m) return \"caught: \" .. m end) return e")))
    assert.equal("1 nil 3", (script.run("local a, b, c = select(2, pcall(function(...) return ... end, 1, nil, 3)) return tostring(a) .. \" \" .. tostring(b) .. \" \" .. tostring(c)")))
  end)

  it("keeps libraries, strings' methods and globals as they are", function()
    for _, code in ipairs({ "string.upper = nil", "json.encode = 1", "math.x = 1", "table.insert = nil", "x = 1", "string = nil",
      "pcall = nil", "function helper() end" }) do
      local got, err = script.run(code)
      assert.is_nil(got, code)
      assert.is_truthy(err:find("read-only", 1, true) or err:find("Moonpost's own", 1, true), err)
    end
    assert.is_nil((script.load("string = nil return { url = \"https://a.example/\" }")))
    assert.is_nil((script.load("string.rep = nil return { url = \"https://a.example/\" }")))
    assert.equal("A", (script.run("table.insert(string, 1, 2) return (\"a\"):upper()")))
  end)

  it("reads a global set at load, in hooks", function()
    local state = assert(script.state("base = \"b\" return { url = \"https://a.example/\", headers = { X = function() return base end } }"))
    assert.equal("b", (script.leaf(state, 0, "{}")))
  end)

  it("shows no address", function()
    for _, code in ipairs({ "return tostring({})", "return tostring(pcall)", "return (\"%s\"):format({})", "return (\"%s%s\"):format(1, pcall)",
      "return tostring(json.null)", "return tostring(string)", "error({})", "error(pcall)", "return (\"%5s\"):format(json.raw(\"1\"))" }) do
      local got, err = script.run(code)
      assert.is_nil((got or err):find("0x"), got or err)
      assert.is_nil((got or err):find("%x%x%x%x%x%x%x%x"), got or err)
    end
    assert.is_nil((script.run("return (\"%p\"):format({})")))
    assert.is_nil((script.run("return (\"%-10p\"):format({})")))
  end)

  it("refuses bytecode", function()
    assert.is_nil((script.load(string.dump(function() end))))
  end)
end)
