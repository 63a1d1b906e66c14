-- The matcher against the string library of the Lua that runs the spec.
local script = require("spec.support.script")
local c = require("spec.support.cdef").load()
local cjson = require("cjson")

describe("patterns", function()
  local state

  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
    state = assert(script.state([[
      local function pack(...) return { n = select("#", ...), ... } end
      local calls = {
        find = function(e) return string.find(e.s, e.p, e.i) end,
        match = function(e) return string.match(e.s, e.p, e.i) end,
        gsub = function(e) return string.gsub(e.s, e.p, e.r, e.n) end,
        gsub_function = function(e) return string.gsub(e.s, e.p, function(a, b) if a == "b" then return end return "<" .. a .. (b or "") .. ">" end) end,
        gsub_table = function(e) return string.gsub(e.s, e.p, { a = "AA", b = 1, ab = "x" }) end,
        gmatch = function(e)
          local out = {}
          for a, b in string.gmatch(e.s, e.p) do out[#out + 1] = tostring(a) .. "," .. tostring(b) if #out > 50 then break end end
          return table.concat(out, ";")
        end,
      }
      return { url = "https://a.example/", headers = { X = function(event)
        local got = pack(pcall(calls[event.call], event))
        for i = 1, got.n do got[i] = tostring(got[i]) end
        if got[1] == "false" then return "error" end
        got.n = nil
        return table.concat(got, "\1")
      end } }]]))
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)

  local stock = {
    find = function(e) return string.find(e.s, e.p, e.i) end,
    match = function(e) return string.match(e.s, e.p, e.i) end,
    gsub = function(e) return string.gsub(e.s, e.p, e.r, e.n) end,
    gsub_function = function(e)
      return string.gsub(e.s, e.p, function(a, b)
        if a == "b" then
          return
        end
        return "<" .. a .. (b or "") .. ">"
      end)
    end,
    gsub_table = function(e) return string.gsub(e.s, e.p, { a = "AA", b = 1, ab = "x" }) end,
    gmatch = function(e)
      local out = {}
      for a, b in string.gmatch(e.s, e.p) do
        out[#out + 1] = tostring(a) .. "," .. tostring(b)
        if #out > 50 then
          break
        end
      end
      return table.concat(out, ";")
    end,
  }

  local function expected(e)
    local got = { n = 0 }
    local function pack(...)
      got = { n = select("#", ...), ... }
    end
    pack(pcall(stock[e.call], e))
    for i = 1, got.n do
      got[i] = tostring(got[i])
    end
    return got[1] == "false" and "error" or table.concat(got, "\1")
  end

  local function same(e)
    local got, err = script.leaf(state, 0, cjson.encode(e))
    assert(got, err)
    local want = expected(e)
    if got ~= want then
      error(("%s(%q, %q, %s): %q, stock has %q"):format(e.call, e.s, e.p, tostring(e.i or e.r), got, want))
    end
  end

  it("answer as Lua's own do, in cases that are easily got wrong", function()
    for _, case in ipairs({
      { "hello", "l+" }, { "hello", "" }, { "", "" }, { "", ".*" }, { "abc", "^b" }, { "abc", "^" }, { "abc", "$" }, { "a$c", "a$c" },
      { "a]b", "[]]" }, { "a]b", "[^]]+" }, { "a-b", "[a-]" }, { "a-b", "[-a]+" }, { "a^b", "[a^]+" }, { "x.y", "%." }, { "f(a(b)c)d", "%b()" },
      { "THE (quick) fox", "%f[%a]%a+%f[%A]" }, { "abcabc", "(abc)%1" }, { "abab", "(a)(b)%1%2" }, { "key = val", "^(%w+)%s*=%s*(%w+)$" },
      { "abc", "()b()" }, { "abc", "(a)(b)(c)" }, { "abc", "((a)b)c" }, { "aaa", "a-" }, { "aaab", "a-b" }, { "a.b", "[%.]" }, { "x", "[%w_]" },
      { "abc", "(" }, { "abc", ")" }, { "abc", "[" }, { "abc", "[a" }, { "abc", "%" }, { "abc", "[%" }, { "abc", "%b" }, { "abc", "%bx" },
      { "abc", "%f" }, { "abc", "%1" }, { "abc", "(a%1)" }, { "abc", "()%1" }, { "aXb", "%u" }, { "aXb", "%L" }, { "a\tb", "%s" }, { "a\tb", "%c" },
      { "ab1", "%x+" }, { "é", "[é]" }, { "abc", "a?b?c?d?" }, { "a*b", "a%*b" }, { "*", "*" }, { "a", "?" }, { "+a", "+" }, { "abc", ".-" },
      { "abc", ".-$" }, { "[x]", "%[(.-)%]" }, { "a,b,,c", "([^,]*)" }, { "a,b,,c", "([^,]*),?" }, { "abc", "b()" }, { "abc", "[a-" }, { "a-", "[a-]" },
      { "^a", "^^a" }, { "a^", "a^" }, { "z", "[%a-z]" }, { "-", "[%a-z]" }, { "abc", "[b-a]" }, { "\0a", "%z" },
    }) do
      for _, call in ipairs({ "find", "match", "gsub", "gsub_function", "gsub_table", "gmatch" }) do
        same({ call = call, s = case[1], p = case[2], r = "<%0>" })
      end
      for i = -4, 5 do
        same({ call = "find", s = case[1], p = case[2], i = i })
      end
    end
  end)

  it("answer as Lua's own do, for thousands of random ones", function()
    math.randomseed(42)
    local pieces = { "a", "b", "c", ".", "%a", "%d", "%w", "%s", "%A", "%.", "[ab]", "[^a]", "[a-c]", "[%w_]", "(", ")", "()", "*", "+", "-", "?",
      "^", "$", "%1", "%2", "%b()", "%bab", "%f[a]", "%f[%W]", "]", "[", "%", "1", " ", "(a)", "(.-)", "(%w+)", "=" }
    local letters = { "a", "b", "c", "ab", "1", "2", " ", ".", "(", ")", "_", "=", "-" }
    local replacements = { "<%0>", "%1", "%2%1", "x", "", "%%", "%9", "%" }
    local calls = { "find", "match", "gsub", "gsub_function", "gsub_table", "gmatch" }
    local function build(from, most)
      local out = {}
      for i = 1, math.random(0, most) do
        out[i] = from[math.random(#from)]
      end
      return table.concat(out)
    end
    for _ = 1, 12000 do
      local call = calls[math.random(#calls)]
      same({ call = call, s = build(letters, 10), p = build(pieces, 7), r = replacements[math.random(#replacements)],
        i = call ~= "gsub" and math.random() < 0.3 and math.random(-12, 12) or nil,
        n = call == "gsub" and math.random() < 0.3 and math.random(-1, 4) or nil })
    end
  end)

  it("find plain text of megabytes at once", function()
    assert.equal("900001", (script.run("return (string.find((\"a\"):rep(900000) .. \"b\", \"b\", 1, true))")))
    assert.equal("1", (script.run("return (string.find((\"a\"):rep(900000), (\"a\"):rep(400000), 1, true))")))
  end)

  it("refuse a subject of more than 1 MiB, by name", function()
    local _, err = script.run("return (string.find((\"a\"):rep(1048577), \"b\"))")
    assert.is_truthy(err:find("more than 1 MiB", 1, true), err)
  end)

  it("stop past ten million steps, by name", function()
    local _, err = script.run("return (string.find((\"a\"):rep(100000), \".-b\"))")
    assert.is_truthy(err:find("pattern too complex", 1, true) or err:find("50 ms", 1, true), err)
  end)
end)
