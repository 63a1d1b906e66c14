--- Where each dead letter is: the index against a plain table, page by page and filter by filter.
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")

local OK = 0
local KNOWN = { [0] = "unknown", "known", "twice" }

local function new()
  return ffi.gc(ffi.new("struct mp__dead_index"), c.mp__dead_index_fini)
end

local held = {}

--- A key of strings that live as long as the spec.
local function key_of(partner, id, replays)
  local key = ffi.new("struct mp__dead_key")
  held[#held + 1] = { partner, id }
  key.partner, key.id, key.replays = slice.of(partner), slice.of(id), replays or 0
  return key
end

local function put(index, partner, id, more)
  more = more or {}
  assert.equal(OK, c.mp__dead_index_put(index, key_of(partner, id, more.replays), more.partition or 0,
    more.offset or 0, more.stored_ms or 0, more.last_ms or 0))
end

local function remove(index, partner, id, replays)
  c.mp__dead_index_remove(index, key_of(partner, id, replays))
end

local function cursor_of(text)
  local cursor = ffi.new("struct mp__dead_cursor")
  return c.mp__dead_cursor_read(slice.of(text), cursor), cursor
end

--- The offsets of a page, and the cursor behind it ("" at the end).
local function page(index, partner, limit, text)
  local ok, cursor = cursor_of(text or "")
  assert.is_true(ok)
  local entries, more = ffi.new("struct mp__dead_entry[?]", limit), ffi.new("bool[1]")
  local count = tonumber(c.mp__dead_index_page(index, slice.of(partner or ""), cursor, limit, entries, more))
  local offsets, following = {}, ffi.new("char[64]")
  for i = 1, count do
    offsets[i] = tonumber(entries[i - 1].offset)
  end
  if more[0] then
    c.mp__dead_cursor_write(entries[count - 1], following)
  end
  return offsets, ffi.string(following)
end

--- All pages of `limit`, one after another.
local function pages(index, partner, limit)
  local all, text = {}, ""
  repeat
    local offsets, following = page(index, partner, limit, text)
    for _, offset in ipairs(offsets) do
      all[#all + 1] = offset
    end
    text = following
  until text == ""
  return all
end

local function select(index, what, is_purge)
  local filter, ids = ffi.new("struct mp_dead_filter"), what.ids
  local strings = ffi.new("struct mp_str[?]", ids and #ids or 1)
  local known = ffi.new("uint8_t[?]", ids and #ids + 1 or 1)
  filter.partner, filter.since_ms, filter.until_ms = slice.of(what.partner or ""), what.since or -1,
    what.until_ms or -1
  if ids then
    for i, id in ipairs(ids) do
      strings[i - 1] = slice.of(id)
    end
    filter.ids, filter.id_count = strings, #ids
  end
  local targets = ffi.new("struct mp__dead_targets")
  assert.equal(OK, c.mp__dead_index_select(index, filter, is_purge or false, targets, known))
  local found = { offsets = {}, older = {}, known = {}, matched = tonumber(targets.matched) }
  for i = 0, tonumber(targets.count) - 1 do
    local list = targets.items[i].is_older and found.older or found.offsets
    list[#list + 1] = tonumber(targets.items[i].entry.offset)
  end
  for i = 1, ids and #ids or 0 do
    found.known[i] = KNOWN[known[i - 1]]
  end
  ffi.C.free(targets.items)
  return found
end

ffi.cdef("void free(void *);")

describe("the index of dead letters", function()
  it("has a later record of a key in place of an earlier one, and none after a tombstone", function()
    local index = new()
    put(index, "acme", "a1", { offset = 1, last_ms = 1000 })
    put(index, "acme", "a1", { offset = 7, last_ms = 2000 })
    assert.same({ 7 }, (page(index, nil, 10)))
    remove(index, "acme", "a1", 1)
    remove(index, "globex", "a1")
    assert.same({ 7 }, (page(index, nil, 10)))
    remove(index, "acme", "a1")
    assert.same({}, (page(index, nil, 10)))
  end)

  it("counts of a delivery only its last death, and of two partners each its own", function()
    local index = new()
    put(index, "acme", "a1", { offset = 1, replays = 1, last_ms = 10 })
    put(index, "acme", "a1", { offset = 2, replays = 0, last_ms = 99 })
    put(index, "globex", "a1", { offset = 3, last_ms = 50 })
    assert.same({ 3, 1 }, (page(index, nil, 10)))
    assert.equal(3, tonumber(c.mp__dead_index_of_id(index, slice.of("a1")).offset))
    remove(index, "acme", "a1", 1)
    assert.same({ 2, 3 }, (page(index, nil, 10)))
    assert.is_true(c.mp__dead_index_of_id(index, slice.of("a2")) == nil)
  end)

  it("lists of the same last_ms the one first that was stored last", function()
    local index = new()
    put(index, "acme", "a1", { offset = 1, last_ms = 1000, stored_ms = 10 })
    put(index, "acme", "a2", { offset = 2, last_ms = 1000, stored_ms = 30 })
    put(index, "acme", "a3", { offset = 3, last_ms = 1000, stored_ms = 20 })
    assert.same({ 2, 3, 1 }, (page(index, nil, 3)))
    assert.same({ 2, 3, 1 }, pages(index, nil, 1))
  end)

  it("forgets what is before the beginning of a partition", function()
    local index = new()
    for i = 1, 20 do
      put(index, "acme", "a" .. i, { partition = i % 2, offset = i, last_ms = i })
    end
    c.mp__dead_index_drop_below(index, 0, 15)
    assert.same({ 20, 19, 18, 17, 16, 15, 13, 11, 9, 7, 5, 3, 1 }, (page(index, nil, 50)))
  end)

  it("takes a cursor of two numbers and nothing else", function()
    for _, text in ipairs({ "x", "1", "1.", ".1", "1.2.3", "-1.2", "1.2x", "1.-2", " 1.2", ".", "1..2",
                            "1." .. ("9"):rep(37), ("9"):rep(19) .. ".1" }) do
      assert.is_false((cursor_of(text)), text)
    end
    for _, text in ipairs({ "", "1.2", "0.0", ("9"):rep(18) .. "." .. ("9"):rep(36) }) do
      assert.is_true((cursor_of(text)), text)
    end
  end)

  it("selects by ids, each once, and says which are unknown", function()
    local index = new()
    put(index, "acme", "a1", { offset = 1 })
    put(index, "acme", "a2", { offset = 2 })
    put(index, "acme", "a2", { offset = 3, replays = 1 })
    put(index, "-", "postbacks-0-7", { offset = 4 })
    local found = select(index, { ids = { "a2", "zz", "a1", "a2", "postbacks-0-7", "zz" } })
    assert.same({ 1, 3 }, found.offsets)
    assert.same({ 2 }, found.older)
    assert.equal(2, found.matched)
    assert.same({ "known", "unknown", "known", "twice", "unknown", "twice" }, found.known)
    assert.same({ 4 }, select(index, { ids = { "postbacks-0-7" } }, true).offsets)
    assert.same({}, select(index, { ids = {} }).offsets)
  end)

  it("selects by partner and range, the malformed only to purge them", function()
    local index = new()
    for i = 1, 5 do
      put(index, "acme", "a" .. i, { offset = i, last_ms = 1000 * i })
    end
    put(index, "globex", "g1", { offset = 6, last_ms = 3000 })
    put(index, "-", "postbacks-0-7", { offset = 7, last_ms = 3000 })
    assert.same({ 2, 3 }, select(index, { partner = "acme", since = 2000, until_ms = 4000 }).offsets)
    assert.same({ 2, 3, 6 }, select(index, { since = 2000, until_ms = 4000 }).offsets)
    assert.same({ 2, 3, 6, 7 }, select(index, { since = 2000, until_ms = 4000 }, true).offsets)
    -- The last death decides whether a delivery matches, not an older one.
    put(index, "acme", "a2", { offset = 8, last_ms = 9000, replays = 1 })
    assert.same({ 3 }, select(index, { partner = "acme", since = 2000, until_ms = 4000 }).offsets)
  end)

  it("agrees with a plain table whatever comes in which order", function()
    for seed = 1, 3 do
      math.randomseed(seed)
      local index, plain = new(), {}
      for step = 1, 4000 do
        local partner, id = "p" .. math.random(3), "d" .. math.random(200)
        local replays = math.random(0, 2)
        local name = partner .. "/" .. id .. "/" .. replays
        if math.random(3) == 1 then
          remove(index, partner, id, replays)
          plain[name] = nil
        else
          local last_ms = math.random(50)
          put(index, partner, id, { replays = replays, offset = step, partition = 1, last_ms = last_ms,
                                    stored_ms = step })
          plain[name] = { delivery = partner .. "/" .. id, partner = partner, replays = replays, offset = step,
                          last_ms = last_ms }
        end
      end
      local last = {}
      for _, letter in pairs(plain) do
        local other = last[letter.delivery]
        last[letter.delivery] = (not other or letter.replays > other.replays) and letter or other
      end
      local expected = {}
      for _, letter in pairs(last) do
        if letter.partner == "p2" then
          expected[#expected + 1] = letter
        end
      end
      table.sort(expected, function(a, b)
        return a.last_ms > b.last_ms or (a.last_ms == b.last_ms and a.offset > b.offset)
      end)
      for i, letter in ipairs(expected) do
        expected[i] = letter.offset
      end
      assert.is_true(#expected > 100)
      assert.same(expected, pages(index, "p2", 7))
      assert.same(expected, pages(index, "p2", 1000))
      assert.same({}, (page(index, "p9", 10)))
    end
  end)
end)
