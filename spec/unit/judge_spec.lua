--- What an exchange means for each member of a batch.
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local script = require("spec.support.script")

local slice = script.slice

-- { by, word of all, words of the members… } and the error's text. `given`: status, body, count (3).
local function judge(source, given)
  local loaded = assert(script.load(source))
  local state
  if loaded.has_functions then
    local out = ffi.new("struct mp_script_state *[1]")
    assert(c.mp_script_state_new(loaded, out, nil) == c.MP_OK)
    state = ffi.gc(out[0], c.mp_script_state_free)
  end
  local count = given.count or 3
  local members, kept = ffi.new("const struct mp_record *[?]", count), {}
  local context
  for i = 1, count do
    local one, keep = script.context("{}", { id = "id-" .. i })
    kept[i], members[i - 1] = { one, keep }, one.record
    context = context or one
  end
  if not given.alone then
    context.members, context.member_count, context.batch_id = members, count, slice("batch-1")
  end
  local response, verdict = ffi.new("struct mp_response"), ffi.new("struct mp_verdict")
  local each, by, err = ffi.new("struct mp_verdict[?]", count), ffi.new("const char *[1]"), ffi.new("struct mp_error")
  response.status, response.error = given.status or 0, given.error
  response.headers, response.body = slice(""), slice(given.body or "")
  local status = c.mp_judge(loaded, state, context, response, verdict, not given.alone and each or nil, by, err)
  assert(#kept == count)
  local function word(of)
    local text, why = ffi.string(c.mp_verdict_name(of.kind)), ffi.string(of.why)
    return of.delay_ms >= 0 and ("%s %d"):format(text, tonumber(of.delay_ms)) or text, why
  end
  local got = { ffi.string(by[0]), (word(verdict)) }
  for i = 0, given.alone and -1 or count - 1 do
    got[#got + 1] = (word(each[i]))
  end
  return got, status ~= c.MP_OK and ffi.string(err.text) or nil, each
end

local function batch(more)
  return 'return { url = "https://a.example/", batch = { size = 10 }, ' .. (more or "") .. " }"
end

local function hook(code)
  return batch("verdict = function(response, ctx)\n" .. code .. "\nend")
end

describe("an exchange", function()
  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)

  it("means the same for all of a batch", function()
    assert.same({ "default", "delivered", "delivered", "delivered", "delivered" }, (judge(batch(), { status = 200 })))
    assert.same({ "default", "retry", "retry", "retry", "retry" }, (judge(batch(), { error = "timeout" })))
    assert.same({ "default", "pause", "pause", "pause", "pause" }, (judge(batch(), { status = 410 })))
    assert.same({ "default", "dead", "dead", "dead", "dead" }, (judge(batch(), { status = 404 })))
  end)

  it("splits a batch of more than one for 400, 413 and 422", function()
    for _, status in ipairs({ 400, 413, 422 }) do
      assert.same({ "default", "split", "split", "split" }, (judge(batch(), { status = status, count = 2 })))
      assert.same({ "default", "dead", "dead" }, (judge(batch(), { status = status, count = 1 })))
    end
    assert.same({ "default", "dead" }, (judge('return { url = "https://a.example/" }', { status = 400, count = 1, alone = true })))
  end)

  it("does what answers say, for all", function()
    local source = batch('answers = { { status = 400, "dead", "told so" }, { status = 500, "split" } }')
    assert.same({ "answers", "dead", "dead", "dead" }, (judge(source, { status = 400, count = 2 })))
    assert.same({ "answers", "split", "split", "split" }, (judge(source, { status = 500, count = 2 })))
  end)

  it("leaves one that is to be split and cannot be to its status", function()
    local source = batch('answers = { { status = 500, "split" }, { status = 401, "split" } }')
    assert.same({ "default", "retry", "retry" }, (judge(source, { status = 500, count = 1 })))
    assert.same({ "default", "retry", "retry" }, (judge(source, { status = 401, count = 1 })))
    assert.same({ "default", "dead", "dead" }, (judge(hook('return "split"'), { status = 400, count = 1 })))
    assert.same({ "default", "dead", "dead" }, (judge(hook('return { "split" }'), { status = 400, count = 1 })))
  end)

  it("takes a word of the hook for all", function()
    assert.same({ "verdict", "retry 5000", "retry 5000", "retry 5000" },
      (judge(hook('return "retry", "5s"'), { status = 200, count = 2 })))
    assert.same({ "verdict", "split", "split", "split" }, (judge(hook('return "split"'), { status = 200, count = 2 })))
    assert.same({ "default", "delivered", "delivered" }, (judge(hook(""), { status = 200, count = 1 })))
  end)

  it("takes a table by place or id, and the status for whom it does not name", function()
    local source = hook('return { [2] = "dead", ["id-3"] = { "retry", "6h" }, [5] = { "skipped", "no use" } }')
    local got, err, each = judge(source, { status = 200, count = 5 })
    assert.is_nil(err)
    assert.same({ "verdict", "delivered", "delivered", "dead", "retry 21600000", "delivered", "skipped" }, got)
    assert.equal("no use", ffi.string(each[4].why))
    assert.equal("status 200", ffi.string(each[0].why))
  end)

  it("splits those whom a table does not name when the status would", function()
    assert.same({ "verdict", "split", "split", "dead", "split" },
      (judge(hook('return { [2] = { "dead", "bad email" } }'), { status = 400 })))
  end)

  it("takes an empty table for no opinion", function()
    assert.same({ "default", "split", "split", "split" }, (judge(hook("return {}"), { status = 400, count = 2 })))
  end)

  it("tells the hook of all its members", function()
    assert.same({ "verdict", "skipped", "skipped", "skipped" }, (judge(hook([[
      assert(ctx.id == "batch-1" and #ctx.ids == 2 and ctx.ids[2] == "id-2" and ctx.attempt == 1)
      return "skipped"]]), { status = 200, count = 2 })))
  end)

  for name, case in pairs({
    ["a place that nobody has"] = { "[4] = 'dead'", "verdict: 4 is neither a place from 1 to 3 nor an id of ctx.ids" },
    ["place 0"] = { "[0] = 'dead'", "verdict: 0 is neither" },
    ["half a place"] = { "[1.5] = 'dead'", "verdict: 1.5 is neither" },
    ["an id that nobody has"] = { "other = 'dead'", 'verdict: "other" is neither a place from 1 to 3 nor' },
    ["a key that is no name"] = { "[true] = 'dead'", "verdict: a boolean is neither" },
    ["one named twice"] = { "[1] = 'dead', ['id-1'] = 'dead'", "names a delivery that the table names twice" },
    ["no word"] = { "[2] = 'died'", 'verdict: entry 2: "died" is no verdict' },
    ["no text"] = { "['id-2'] = 17", 'verdict: entry "id-2": a number is no verdict' },
    ["a bad detail"] = { "[2] = { 'retry', 'soon' }", 'verdict: entry 2: "retry" goes with a duration' },
    ["too much"] = { "[2] = { 'retry', '5s', 'x' }", "verdict: entry 2: an entry is a word, or { word, detail }" },
  }) do
    it("is judged by its status when the table has " .. name, function()
      local got, err = judge(hook("return { " .. case[1] .. " }"), { status = 200 })
      assert.truthy(err and err:find(case[2], 1, true), err)
      assert.same({ "default", "delivered", "delivered", "delivered", "delivered" }, got)
    end)
  end

  it("may not be judged by a table when it was no batch", function()
    local _, err = judge('return { url = "https://a.example/", verdict = function() return { "dead" } end }',
      { status = 200, count = 1, alone = true })
    assert.truthy(err:find("a table is no verdict", 1, true), err)
  end)

  it("with a thousand members is judged within its budget", function()
    local got, err = judge(hook('local t = {} for _, id in ipairs(ctx.ids) do t[id] = "dead" end return t'),
      { status = 200, count = 1000 })
    assert.is_nil(err)
    assert.equal("dead", got[1002])
  end)
end)
