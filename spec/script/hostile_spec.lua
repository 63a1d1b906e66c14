--- Scripts that take more than is theirs: each ends within its budget, says where, and harms nobody.
local uv = require("luv")
local hostile = require("spec.support.hostile")
local script = require("spec.support.script")
local c = require("spec.support.cdef").load()

-- What is meant is 50 ms; what is guarded against ran for seconds, or for ever.
local MOST_S = 0.5 * hostile.patience

local S = "local s = (\"x\"):rep(3e6) "
local cases = {
  -- Loops, and what would hide them.
  { "a loop without end", "while true do end" },
  { "a loop of goto", "::again:: goto again" },
  { "a repeat that never comes true", "local n = 0 repeat n = n + 1 until n < 0" },
  { "a for over infinity", "for i = 1, math.huge do end" },
  { "a loop inside pcall", "pcall(function() while true do end end)" },
  { "a loop of pcalls that swallow", "while true do pcall(function() while true do end end) end" },
  { "a pcall of a pcall of a pcall", "local function f() pcall(f) while true do end end f()" },
  { "pcalls nested in a loop", "local function f() while true do pcall(f) end end f()" },
  { "a loop in xpcall's handler", "xpcall(function() error(1) end, function() while true do end end)" },
  { "an xpcall whose handler throws, in a loop", "while true do xpcall(function() error(1) end, function() error(2) end) end" },
  { "an xpcall that is its own handler", "while true do xpcall(xpcall, xpcall, xpcall) end" },
  { "a loop in a comparator", "table.sort({ 3, 2, 1 }, function() while true do end end)" },
  { "a loop in gsub's callback", "(\"x\"):gsub(\".\", function() while true do end end)" },
  { "a loop in gmatch", "while true do for _ in (\"abc\"):gmatch(\".\") do end end" },
  { "pairs of what grows", "local t = { 1 } while true do for k in pairs(t) do t[k] = 1 end end" },
  { "pairs of a large table that was emptied", "local t = {} for i = 1, 1e5 do t[\"k\" .. i] = 1 end for k in pairs(t) do t[k] = nil end"
    .. " while true do for _ in pairs(t) do end end" },
  -- One instruction, or one C function, that takes long.
  { "comparing megabytes", "local a, b = (\"x\"):rep(3e6) .. \"a\", (\"x\"):rep(3e6) .. \"b\" while a < b do end" },
  { "adding to megabytes of digits", "local s = (\"0\"):rep(7e6) while true do local _ = s + 1 end" },
  { "tonumber of megabytes", "local s = (\"0\"):rep(7e6) while true do tonumber(s) end" },
  { "tonumber of megabytes in another base", "local s = (\"z\"):rep(3e6) while true do tonumber(s, 36) end" },
  { "bits of megabytes", "local s = (\"0\"):rep(7e6) while true do bit.bor(s, 1) end" },
  { "joining megabytes", S .. "while true do local _ = s .. \"y\" end" },
  { "rep of megabytes", "while true do (\"x\"):rep(5e6) end" },
  { "rep of nothing", "while true do (\"\"):rep(2147483647) end" },
  { "reverse of megabytes", S .. "while true do s:reverse() end" },
  { "upper of megabytes", S .. "while true do s:upper() end" },
  { "sub of megabytes", S .. "while true do s:sub(2) end" },
  { "byte of megabytes", S .. "while true do pcall(string.byte, s, 1, -1) end" },
  { "format of megabytes", S .. "while true do (\"%s\"):format(s) end" },
  { "format of megabytes, quoted", "local s = (\"\\0\"):rep(1e6) while true do (\"%q\"):format(s) end" },
  { "tostring in a loop", S .. "while true do tostring(s) end" },
  { "concat of many empty strings", "local t = {} for i = 1, 1e5 do t[i] = \"\" end while true do table.concat(t) end" },
  { "concat of a place that is far", "while true do pcall(table.concat, {}, \"\", -2147483648, 2147483647) end" },
  { "sort of many numbers", "local t = {} for i = 1, 4e5 do t[i] = i * 7919 % 1000003 end while true do table.sort(t) end" },
  { "sort of long strings that begin alike", "local t, p = {}, (\"x\"):rep(100) for i = 1, 3e4 do t[i] = p .. i * 7919 % 1000003 end"
    .. " while true do table.sort(t) end" },
  { "sort by a comparator that is none", "local t = {} for i = 1, 100 do t[i] = i end while true do pcall(table.sort, t, function() return true end) end" },
  { "insert at the front", "local t = {} for i = 1, 4e5 do t[i] = i end while true do table.insert(t, 1, 0) table.remove(t, 1) end" },
  { "maxn of much", "local t = {} for i = 1, 4e5 do t[i] = i end while true do table.maxn(t) end" },
  { "unpack of thousands", "while true do (function(...) end)(unpack({}, 1, 7000)) end" },
  { "numbers as keys that collide", "local t = {} while true do for i = 1, 1e5 do t[i * 2 ^ 40] = nil end end" },
  -- Patterns.
  { "a?^n a^n", "while true do pcall(string.find, (\"a\"):rep(28), (\"a?\"):rep(28) .. (\"a\"):rep(28)) end" },
  { ".-.-.-b", "while true do pcall(string.find, (\"a\"):rep(2000), \".-.-.-b\") end" },
  { "a set of a megabyte", "local p = \"[\" .. (\"a\"):rep(1e6) .. \"]*\" local s = (\"b\"):rep(1e6) while true do pcall(string.gsub, s, p, \"\") end" },
  { "a frontier of a megabyte", "while true do pcall(string.find, (\"b\"):rep(1e6), \"%f[\" .. (\"a\"):rep(1e6) .. \"]\") end" },
  { "a replacement of half a million captures", "while true do pcall(string.gsub, (\"b\"):rep(1e6), \"(x?)\", (\"%1\"):rep(5e5)) end" },
  { "%b in %b", "while true do pcall(string.find, (\"(\"):rep(1e5), \"%b()%b()\") end" },
  { "back references", "while true do pcall(string.find, (\"a\"):rep(5e5), \"(a*)%1%1b\") end" },
  { "gmatch of nothing found", "local s = (\"a\"):rep(1e6) while true do pcall(function() for _ in s:gmatch(\"a*b\") do end end) end" },
  { "plain finds of megabytes", "local s = (\"a\"):rep(1e6) while true do s:find((\"a\"):rep(5e5) .. \"b\", 1, true) end" },
  -- What is ours.
  { "json.encode of a million numbers", "local t = {} for i = 1, 4e5 do t[i] = 0.1 + 0.2 end while true do json.encode(t) end" },
  { "json.encode of many names", "local t = {} for i = 1, 1e5 do t[\"k\" .. i] = 1 end while true do json.encode(t) end" },
  { "json.encode of 2^100 leaves", "local t = { 1 } for i = 1, 100 do t = { t, t } end json.encode(t)" },
  { "json.decode of megabytes", "local s = \"\\\"\" .. (\"x\"):rep(3e6) .. \"\\\"\" while true do json.decode(s) end" },
  { "json.raw of megabytes", "local s = \"[\" .. (\"1,\"):rep(1e6) .. \"1]\" while true do json.raw(s) end" },
  { "get through a table inside itself", "local t = {} t.a = t t[\"a.a\"] = t t[\"a.a.a\"] = t get(t, (\"a.\"):rep(300) .. \"b\")" },
  { "as_sent of a long path", "while true do as_sent(event, (\"list.\"):rep(200) .. \"b\") end" },
  { "digests of megabytes", S .. "while true do sha256(s) md5(s) hmac.sha512(s, s) end" },
  { "base64 of megabytes", S .. "while true do base64(s) hex(s:sub(1, 1e6)) end" },
  { "uri.encode of megabytes", S .. "while true do uri.encode(s) end" },
  { "uri.expand of a great template", "local s = (\"{a}\"):rep(1e5) while true do uri.expand(s, { a = \"b\" }) end" },
  { "decimal of a million digits", "local s = (\"9\"):rep(1e6) while true do decimal(s, 2) end" },
  { "time.format of a great text", "local s = (\"%A\"):rep(1e5) while true do time.format(0, s) end" },
  { "time.parse of megabytes", S .. "while true do time.parse(s) end" },
  { "uuid in a loop", "while true do uuid() end" },
  { "log in a loop", "while true do log(\"hostile\") end" },
  { "secrets joined in a loop", "while true do local s = secret \"hostile\" for _ = 1, 500 do s = s .. \"x\" end end" },
  { "an error that is a great table", "local t = {} for i = 1, 1e5 do t[\"k\" .. i] = 0.1 + 0.2 end while true do pcall(error, t) json.encode(t) end" },
}

local bombs = {
  { "rep", "(\"x\"):rep(1e9)" },
  { "rep of 2^31", "(\"x\"):rep(2147483647)" },
  { "doubling", "local s = \"x\" while true do s = s .. s end" },
  { "a table", "local t = {} while true do t[#t + 1] = {} end" },
  { "a table of names", "local t, i = {}, 0 while true do i = i + 1 t[\"k\" .. i] = i end" },
  { "one far place after the other", "local t = {} for i = 1, 2 ^ 26 do t[i] = i end" },
  { "a bomb in pcall", "while true do pcall(function() local t = {} while true do t[#t + 1] = (\"x\"):rep(1000) .. #t end end) end" },
  { "gsub that doubles", "local s = (\"x\"):rep(5e5) local t = {} while true do t[#t + 1] = (s .. #t):gsub(\"x\", \"%0%0\") end" },
  { "concat", "local t = {} for i = 1, 1e3 do t[i] = (\"x\"):rep(1e5) end table.concat(t)" },
  { "format", "local t = {} for i = 1, 100 do t[i] = (\"x\"):rep(1e6) end string.format((\"%s\"):rep(100), unpack(t))" },
  { "closures", "local t = {} while true do local n = #t t[n + 1] = function() return n end end" },
  { "json.decode of nothing but brackets", "json.decode(\"[\" .. (\"[],\"):rep(5e5) .. \"1]\")" },
  { "a secret that doubles", "local s = secret \"hostile\" while true do s = s .. (\"x\"):rep(1e6) end" },
  { "uri.expand that doubles", "local s = \"xy\" while true do s = uri.expand(\"{a}{a}\", { a = s }) end" },
}

describe("a hostile script", function()
  local neighbour

  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
    c.mp_log_set_level(c.MP_LOG_WARN)
    uv.os_setenv("MOONPOST_SECRET_HOSTILE", "hidden")
    neighbour = assert(script.state("return { url = \"https://a.example/\", headers = { X = function() return (\"ok\"):upper() end } }"))
  end)
  teardown(function()
    neighbour = nil
    c.mp_log_set_level(c.MP_LOG_INFO)
    c.mp_script_watchdog_stop()
  end)

  -- Ends within the budget, says where, throws its state away; another goes on.
  local function overruns(code, place, rule)
    local how, err, state, took = hostile.run(code, place)
    assert.equal("overruns", how, err)
    assert.is_truthy(err:find("^scripts/acme.lua:%d+: "), err)
    assert.is_truthy(err:find(rule or "took more than 50 ms of processor time", 1, true)
      or not rule and err:find("the script needs more than 16 MiB of memory", 1, true), err)
    assert.is_true(took < MOST_S, took)
    if state then
      local _, again, status = hostile.calm(state, place)
      assert.equal(c.MP_EBUDGET, status, again)
    end
    assert.equal("OK", (script.leaf(neighbour, 0, "{}")))
  end

  for _, case in ipairs(cases) do
    it("is stopped in " .. case[1], function()
      overruns(case[2])
    end)
  end

  for _, case in ipairs(bombs) do
    it("gets no more memory than its own for " .. case[1], function()
      overruns(case[2])
    end)
  end

  for _, place in ipairs(hostile.places) do
    it("is stopped wherever it may have a function: " .. place, function()
      overruns("while true do end", place, "took more than 50 ms of processor time")
      overruns("while true do pcall(function() while true do end end) end", place, "took more than 50 ms")
      overruns("(\"x\"):rep(1e9)", place, "the script needs more than 16 MiB of memory")
    end)
  end

  it("shares one budget among the functions of one request", function()
    local state = assert(script.state("return { url = \"https://a.example/\", headers = { X = function()\n"
      .. "for _ = 1, 200 do (\"x\"):rep(1e5):reverse() end return \"ok\" end } }"))
    c.mp_script_turn_begin(state)
    local text, err, status
    for _ = 1, 1000 do
      text, err, status = script.leaf(state, 0, "{}")
      if not text then
        break
      end
    end
    c.mp_script_turn_end(state)
    assert.equal(c.MP_EBUDGET, status, err)
    assert.is_truthy(err:find("^scripts/acme.lua:%d+: the functions of one request took more than 50 ms"), err)
  end)

  it("leaves nothing behind: what was taken is given back", function()
    local ffi = require("ffi")
    ffi.cdef("struct mp_spec_mallinfo { size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost; };"
      .. "struct mp_spec_mallinfo mallinfo2(void);")
    local function taken()
      collectgarbage()
      collectgarbage()
      local info = ffi.C.mallinfo2()
      return tonumber(info.uordblks + info.hblkhd)
    end
    local function pass()
      for _, list in ipairs({ cases, bombs }) do
        for i = 1, #list, 5 do
          hostile.run(list[i][2])
        end
      end
    end
    pass()
    local before = taken()
    pass()
    assert.is_true(taken() - before < 256 * 1024, taken() - before)
  end)
end)
