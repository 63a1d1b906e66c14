--- More scripts that take what is not theirs: C functions that take long in one go, memory in small
-- pieces, and every function in reach with arguments that nobody would pass.
local uv = require("luv")
local hostile = require("spec.support.hostile")
local script = require("spec.support.script")
local c = require("spec.support.cdef").load()

-- What is meant is 50 ms of the processor.
local MOST_S = 0.5 * hostile.patience
local HIDDEN = "hidden-value-of-it"

local busy = {
  "while true do string.format(('%s'):rep(2e5), unpack({}, 1, 7000)) end",
  "local t = {} for i = 1, 2e5 do t[i] = 'a' end while true do select('#', unpack(t, 1, 7900)) end",
  "while true do pcall(string.format, '%99.99f', 1e308) end",
  "while true do pcall(string.format, ('%99.99f'):rep(3000), unpack((function() local t = {} for i = 1, 3000 do t[i] = 1e308 end return t end)())) end",
  "local s = ('a'):rep(1e6) while true do s:lower() s:len() s:reverse() end",
  "while true do table.concat({}, ',', 1, 2147483647) end",
  "local t = {} for i = 1, 1e6 do t[i] = i end while true do table.concat(t, ', ') end",
  "while true do pcall(table.remove, {}, -2147483648) end",
  "local t = {} t[2^31] = 1 while true do pcall(table.insert, t, 1, 1) end",
  "local t = {} for i = 1, 26 do t[2^i] = 1 end while true do local _ = #t table.maxn(t) end",
  "local s = ('\\\\u0041'):rep(1e5) s = '\"' .. s .. '\"' while true do json.decode(s) end",
  "local s = ('['):rep(127) .. (']'):rep(127) while true do json.decode(s) end",
  "local s = '{' .. ('\"k\":1,'):rep(2e5) .. '\"k\":1}' while true do json.decode(s) end",
  "local s = ('1'):rep(1e6) while true do json.decode(s) json.raw(s) end",
  "local s = ('9'):rep(300) .. '.' .. ('9'):rep(300) while true do decimal(s, 30, s) end",
  "while true do pcall(time.parse, ('1'):rep(1e6)) pcall(time.format, 0, ('x'):rep(1e6)) end",
  "local s = secret 'hostile' while true do local t = s for i = 1, 1000 do t = t .. 'x' end uri.encode(t) base64(t) hex(t) sha256(t) end",
  "local s = secret 'hostile' .. ('x'):rep(5e6) while true do base64(s) end",
  "local s = secret 'hostile' .. ('x'):rep(5e6) while true do tostring(s) end",
  "local s = secret 'hostile' for i = 1, 900 do s = s .. 'x' end while true do hmac.sha256(s, s) end",
  "while true do basic(('x'):rep(3e6), ('y'):rep(3e6)) end",
  "local t = {} for i = 1, 8 do t[i] = 'whsec_' .. base64(('x'):rep(1e6)) end local r = { body = ('y'):rep(4e6) } while true do webhook.sign(r, t) end",
  "local k = 'whsk_' .. base64(('x'):rep(32)) while true do webhook.sign({ body = ('y'):rep(4e6) }, k) end",
  "local t = {} for i = 1, 3e4 do t['k' .. i] = 'v' end while true do uri.expand('{?t*}', { t = t }) end",
  "local t = {} for i = 1, 1e5 do t[i] = 'v' end while true do uri.expand('{?t*}{t}{/t*}', { t = t }) end",
  "while true do uri.expand('{' .. ('a.'):rep(3e5) .. 'b}', { a = 1 }) end",
  "local s = ('{a:9999}'):rep(1000) while true do uri.expand(s, { a = ('x'):rep(1e4) }) end",
  "local e = {} for i = 1, 2000 do e['k' .. i] = { a = i } end local s = ('{k1999.a}'):rep(3e4) while true do uri.expand(s, e) end",
  "while true do for i = 1, 100 do math.random(2^53) end end",
  "while true do pcall(math.random, 2, 1) pcall(math.random, 0/0) pcall(math.random, 1/0) end",
  "while true do bit.tohex(-1, 2^31 - 1) bit.tohex(1, -2^31) end",
  "local f = function() end for i = 1, 200 do local g = f f = function() return pcall(g) end end while true do f() end",
  "while true do xpcall(error, tostring, ('x'):rep(1e6)) end",
  "while true do pcall(error, secret 'hostile') end",
  "local t = {} while true do t = { t } end",
  "local t = {} for i = 1, 3e5 do t = { t } end pcall(json.encode, t) error(t)",
  "local t = {} for i = 1, 3e5 do t = { t } end log(t) return true",
  "local a, b = {}, {} a.b = b b.a = a log(a, b) while true do log(a) end",
  "local t = {} for i = 1, 1e5 do t[i] = ('x'):rep(100) .. i end while true do log(t) json.encode(t) end",
  "local s = ('x'):rep(1e6) while true do tostring(s == s .. '') end",
  "local t = {} for i = 1, 1e5 do t[i] = ('x'):rep(50) .. i end table.sort(t, function(a, b) return a > b end) while true do table.sort(t, function(a, b) return true end) end",
  "local t = {} for i = 1, 1e5 do t[i] = {} end while true do pcall(table.sort, t) end",
  "local n = 0 local function f(...) n = n + 1 return f(n, ...) end f()",
  "local function f(...) return f(unpack({ ... }, 1, 200)) end f(1)",
  "local function f() return f() end f()",
  "local t = {} for i = 1, 250 do t[i] = ('a'):rep(1e4) end while true do string.format(('%q'):rep(250), unpack(t)) end",
  "for w in (('a '):rep(5e5)):gmatch('%a+') do for _ in (('a '):rep(5e5)):gmatch('%a+') do end end",
  "local s = ('a'):rep(1e6) while true do s:gsub('a', { a = 'b' }) end",
  "local s = ('a'):rep(1e6) while true do s:gsub('', 'x') end",
  "local s = ('a'):rep(1e6) while true do pcall(string.gsub, s, '(a)', '%9') s:gsub('a', '%%') end",
  "while true do (('a'):rep(1e6)):find(('a*'):rep(100) .. 'b') end",
  "while true do pcall(string.match, ('x'):rep(1e5), ('(x*)'):rep(31) .. 'y') end",
  "while true do pcall(string.find, ('ab'):rep(4e5), '%f[%z].-%f[%Z]') end",
  "while true do pcall(string.find, ('a'):rep(1e5), '^(.-)%1$') end",
  "local s = ('a,'):rep(5e5) while true do for k, v in s:gmatch('(a)(,)') do local _ = k .. v end end",
  "while true do event.x = nil for k in pairs(event) do event[k] = nil end end",
  "while true do get(event, ('x.'):rep(500)) num(event, ('list.'):rep(200)) end",
  "while true do as_sent(event, 'list.0') as_sent(event, ('a.'):rep(511)) end",
}

local greedy = {
  "local t = {} for i = 1, 1e9 do t[i] = { i } end",
  "local s = 'x' for i = 1, 100 do s = s .. s .. i end",
  "local t = {} while true do t[#t + 1] = json.decode('[[[[[[[[]]]]]]]]') end",
  "local t = {} while true do t[#t + 1] = json.raw('\"' .. ('x'):rep(1e5) .. '\"') end",
  "local t = {} while true do t[#t + 1] = secret 'hostile' end",
  "local t = {} while true do t[#t + 1] = ('x'):gmatch('.') end",
  "local t = {} while true do t[#t + 1] = function() return t end end",
  "local t = {} while true do t[#t + 1] = uuid() end",
  "local t = {} while true do pcall(function() t[#t + 1] = ('x'):rep(1e5) .. #t end) end",
  "local t = {} while true do local ok = pcall(string.rep, 'x', 1e8) t[#t + 1] = ok end",
  "local t = {} while true do xpcall(string.rep, function(e) t[#t + 1] = { e } return t end, 'x', 3e7) end",
  "event.x = {} while true do event.x[#event.x + 1] = ('x'):rep(1e4) .. #event.x end",
  "for i = 1, 1e7 do event[i] = i event['k' .. i] = ctx end",
  "string.rep('x', 2^31 - 1)",
  "string.rep('xy', 2^30)",
  "('x'):rep(1e7):rep(1e7)",
  "('x'):rep(2^63)",
  "('x'):rep(1e308)",
  "json.encode({ ('\\0'):rep(4e6) })",
  "hex(('x'):rep(9e6))",
  "base64(('x'):rep(12e6))",
  "uri.encode(('/'):rep(6e6))",
  "json.encode({ ('x'):rep(7e6), ('y'):rep(7e6) })",
  "local t = {} for i = 1, 7000 do t[i] = ('x'):rep(2000) end string.format(('%s'):rep(7000), unpack(t))",
  "local t = {} for i = 1, 7e3 do t[i] = ('x'):rep(1900) .. i end table.concat(t, ('y'):rep(1e4))",
  "local t = {} for i = 1, 1e4 do t['k' .. i] = ('/'):rep(400) end uri.expand('{?t*}', { t = t })",
}

local functions = {
  "string.byte", "string.char", "string.format", "string.len", "string.lower", "string.upper", "string.rep", "string.reverse", "string.sub",
  "string.find", "string.match", "string.gmatch", "string.gsub", "table.concat", "table.insert", "table.maxn", "table.remove", "table.sort",
  "unpack", "select", "tonumber", "tostring", "type", "next", "pairs", "ipairs", "pcall", "xpcall", "assert", "error", "math.random", "math.fmod",
  "math.ldexp", "math.frexp", "math.pow", "math.floor", "math.max", "bit.lshift", "bit.tohex", "bit.rol", "bit.band", "bit.bswap", "json.encode",
  "json.decode", "json.raw", "json.string", "get", "num", "as_sent", "sha256", "sha1", "md5", "base64", "hex", "basic", "hmac.sha256", "hmac.sha512",
  "webhook.sign", "time.now", "time.parse", "time.format", "decimal", "uuid", "uri.encode", "uri.expand", "uri.macros", "log", "secret", "require",
  "by", "text", "hashed", "xml", "literal", "number",
}
local odd = {
  "1/0", "-1/0", "0/0", "2^53", "-2^63", "2^31", "-2^31", "1e308", "{}", "function() end", "json.null", "items", "secret 'hostile'", "event", "ctx",
  "''", "('x'):rep(1e6)", "'%s%d%99.99f'", "'../../etc/passwd'", "true", "nil",
}

describe("a hostile script", function()
  local neighbour

  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
    c.mp_log_set_level(c.MP_LOG_ERROR)
    uv.os_setenv("MOONPOST_SECRET_HOSTILE", HIDDEN)
    neighbour = assert(script.state("return { url = \"https://a.example/\", headers = { X = function() return (\"ok\"):upper() end } }"))
  end)
  teardown(function()
    neighbour = nil
    c.mp_log_set_level(c.MP_LOG_INFO)
    c.mp_script_watchdog_stop()
  end)

  -- However it ends: in time, told with its place, and nobody is the worse for it.
  local function is_harmless(code, place, ends)
    local how, err, state, took = hostile.run(code, place)
    assert.is_true(took < MOST_S, took)
    assert.is_truthy((ends or "ok throws overruns"):find(how, 1, true), how .. ": " .. tostring(err))
    if how ~= "ok" then
      assert.is_truthy(err:find("^scripts/acme.lua:%d+: "), err)
      assert.is_true(#err < 512 and not err:find("[%z\1-\31\127]"), err)
      assert.is_nil(err:find(HIDDEN, 1, true), err)
      assert.is_nil(err:find("0x%x%x%x%x"), err)
    end
    if state and how ~= "overruns" then
      assert.is_true(hostile.calm(state, place))
    end
    assert.equal("OK", (script.leaf(neighbour, 0, "{}")))
    return how
  end

  for _, code in ipairs(busy) do
    it("is stopped in " .. code:sub(1, 90), function()
      local is_endless = code:find("while true", 1, true)
      for _, place in ipairs({ "accepts", "header", "body" }) do
        is_harmless(code, place, is_endless and "throws overruns" or nil)
      end
    end)
  end

  for _, code in ipairs(greedy) do
    it("gets no more memory than its own for " .. code:sub(1, 90), function()
      for _, place in ipairs({ "accepts", "request", "verdict" }) do
        if place ~= "verdict" or not code:find("event", 1, true) then
          is_harmless(code, place, code:find("while true", 1, true) and "throws overruns" or nil)
        end
      end
    end)
  end

  for _, name in ipairs(functions) do
    it("calls with what nobody would pass: " .. name, function()
      local calls = {}
      for _, one in ipairs(odd) do
        calls[#calls + 1] = ("pcall(%s, %s)"):format(name, one)
        for _, two in ipairs(odd) do
          calls[#calls + 1] = ("pcall(%s, %s, %s) pcall(%s, %s, %s, %s)"):format(name, one, two, name, two, one, one)
        end
      end
      for from = 1, #calls, 40 do
        is_harmless(table.concat(calls, " ", from, math.min(from + 39, #calls)), "accepts")
      end
    end)
  end

  it("may have a function of Lua's own for a hook", function()
    for _, name in ipairs({ "pcall", "error", "tostring", "require", "string.rep", "table.concat", "json.encode", "unpack", "next", "secret", "log" }) do
      for _, hook in ipairs({ "accepts", "verdict", "request" }) do
        local state = assert(script.state(("return { url = \"https://a.example/\", %s = %s }"):format(hook, name)))
        local before = os.clock()
        local call = { accepts = script.accepts, verdict = function() return script.verdict(state, { status = 200 }) end,
                       request = function() return script.hook(state, { url = "https://a.example/" }) end }
        local result, err = call[hook](state, "{}")
        assert.is_true(os.clock() - before < MOST_S)
        assert.is_true(result ~= nil or err:find("^scripts/acme.lua: ") ~= nil, err)
      end
    end
  end)

  it("may grow a little with each delivery, until it has its own share, and begins anew", function()
    local text = "local kept = {} return { url = \"https://a.example/\", accepts = function(event) kept[#kept + 1] = (\"x\"):rep(3e5) .. #kept return true end }"
    for _ = 1, 2 do
      local state, calls = assert(script.state(text)), 0
      local accepted, err, status
      repeat
        accepted, err, status = script.accepts(state, "{}")
        calls = calls + 1
      until not accepted or calls > 100
      assert.is_true(calls > 20 and calls < 60, calls)
      assert.equal(c.MP_EBUDGET, status)
      assert.is_truthy(err:find("scripts/acme.lua:1: the script needs more than 16 MiB of memory", 1, true), err)
    end
  end)

  it("keeps what it remembers to itself: each state begins anew", function()
    local text = "local seen = 0 local old = string.upper return { url = \"https://a.example/\", accepts = function(event)"
      .. " seen = seen + 1 pcall(function() string.upper = nil end) pcall(function() leaked = event end) return false, tostring(seen) .. old(\"x\") end }"
    local one, two = assert(script.state(text)), assert(script.state(text))
    script.accepts(one, "{}")
    assert.same({ false, "2X" }, { script.accepts(one, "{}") })
    assert.same({ false, "1X" }, { script.accepts(two, "{}") })
    assert.equal("OK", (script.leaf(neighbour, 0, "{}")))
  end)
end)
