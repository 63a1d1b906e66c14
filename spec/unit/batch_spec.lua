--- How records gather into batches, and how a refused one goes in halves.
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")

local ms = 1000
local MAX = 0x7fffffffffffffffLL

-- Groups with the records that were made for them; `join("a", 3, { key, now })`.
local function groups_of(given)
  local self = { groups = ffi.new("struct mp__groups"), plan = ffi.new("struct mp_batch_plan"), records = {} }
  self.plan.size, self.plan.bytes, self.plan.wait_ms = given.size or 100, given.bytes or 1000, given.wait_ms or 50
  function self.join(id, bytes, more)
    more = more or {}
    local draft, out = ffi.new("struct mp_record"), ffi.new("struct mp_record *[1]")
    draft.id, draft.partner = slice.of(id), slice.of("acme")
    assert(c.mp_record_new(draft, out) == c.MP_OK)
    out[0].attempts = more.attempts or 0
    self.records[#self.records + 1] = out[0]
    local item = ffi.new("struct mp_item")
    c.mp_buf_init(item.wire, 10000)
    c.mp_buf_init(item.shown, 10000)
    assert(c.mp_buf_append_text(item.wire, ("x"):rep(bytes or 1)) == c.MP_OK)
    assert(c.mp__groups_join(self.groups, self.plan, slice.of(more.key or ""), out[0], item, more.now or 0) == c.MP_OK)
  end
  -- The batches that are ready, each as "id id"; they stay in `self.batches`.
  function self.ready()
    local list = {}
    self.batches = {}
    while true do
      local batch = c.mp__groups_next(self.groups)
      if batch == nil then
        return list
      end
      local ids = {}
      for i = 0, tonumber(batch.count) - 1 do
        ids[#ids + 1] = batch.members[i] ~= nil and slice.text(batch.members[i].id) or "-"
      end
      list[#list + 1] = table.concat(ids, " ")
      self.batches[#self.batches + 1] = batch
    end
  end
  -- Splits the batch around the members at these places, or all.
  function self.split(batch, places)
    assert(c.mp__batch_reserve(batch) == c.MP_OK)
    for i = 0, tonumber(batch.count) - 1 do
      batch.verdicts[i].kind = (not places or places[i + 1]) and c.MP_VERDICT_SPLIT or c.MP_VERDICT_DEAD
    end
    assert(c.mp__groups_split(self.groups, batch) == c.MP_OK)
    c.mp__batch_free(batch)
  end
  function self.done()
    for _, batch in ipairs(self.batches or {}) do
      c.mp__batch_free(batch)
    end
    self.batches = nil
  end
  function self.close()
    local left = ffi.new("struct mp_record_list")
    c.mp__groups_empty(self.groups, left)
    c.mp__groups_fini(self.groups)
    for _, record in ipairs(self.records) do
      c.mp_record_free(record)
    end
  end
  return self
end

describe("a batch", function()
  local it_ = it
  -- Each sentence has groups of its own: what it leaves is freed.
  local function it(name, given, body)
    it_(name, function()
      local self = groups_of(given)
      body(self)
      self.done()
      self.close()
    end)
  end

  it("goes when it has its size", { size = 3 }, function(all)
    for i = 1, 7 do
      all.join("e" .. i)
    end
    assert.same({ "e1 e2 e3", "e4 e5 e6" }, all.ready())
    assert.equal(1, tonumber(all.groups.gathering_records))
  end)

  it("goes before the piece that would exceed its bytes", { bytes = 10 }, function(all)
    all.join("a", 4)
    all.join("b", 4)
    all.join("c", 3)
    assert.same({ "a b" }, all.ready())
    all.done()
    all.join("d", 7)
    assert.same({ "c d" }, all.ready())
  end)

  it("has a piece over its bytes for itself", { bytes = 10 }, function(all)
    all.join("a", 1)
    all.join("big", 11)
    all.join("b", 1)
    assert.same({ "a", "big" }, all.ready())
  end)

  it("goes when its oldest has waited, whenever the others came", { wait_ms = 50 }, function(all)
    all.join("a", 1, { now = 0 })
    all.join("b", 1, { now = 49 * ms })
    c.mp__groups_close(all.groups, 50 * ms - 1)
    assert.same({}, all.ready())
    c.mp__groups_close(all.groups, 50 * ms)
    assert.same({ "a b" }, all.ready())
  end)

  it("holds only what has one key", { size = 2 }, function(all)
    all.join("a1", 1, { key = "[1]" })
    all.join("b1", 1, { key = "[2]" })
    all.join("a2", 1, { key = "[1]" })
    assert.same({ "a1 a2" }, all.ready())
    all.done()
    c.mp__groups_close(all.groups, MAX)
    assert.same({ "b1" }, all.ready())
  end)

  it("gives its records back in order, whether ready or not", { size = 2 }, function(all)
    for i = 1, 5 do
      all.join("e" .. i)
    end
    local list, ids = ffi.new("struct mp_record_list"), {}
    c.mp__groups_empty(all.groups, list)
    for _ = 1, tonumber(list.count) do
      ids[#ids + 1] = slice.text(c.mp_record_list_pop(list).id)
    end
    assert.same({ "e1", "e2", "e3", "e4", "e5" }, ids)
    assert.is_true(c.mp__groups_are_empty(all.groups))
    assert.equal(0, tonumber(all.groups.gathering_records))
  end)

  it("is its delivery when it is one, and has an id of its own when more", { size = 2 }, function(all)
    all.join("a")
    c.mp__groups_close(all.groups, MAX)
    all.join("b")
    all.join("c", 1, { attempts = 4 })
    all.ready()
    assert.equal("a", slice.text(c.mp__batch_id(all.batches[1])))
    assert.equal(36, #slice.text(c.mp__batch_id(all.batches[2])))
    assert.equal(4, c.mp__batch_attempts(all.batches[2]))
  end)

  it("loses a member and keeps the others", { size = 3 }, function(all)
    all.join("a", 2)
    all.join("b", 3)
    all.join("c", 4)
    all.ready()
    c.mp__batch_remove(all.batches[1], 1)
    c.mp__groups_put_back(all.groups, all.batches[1])
    assert.same({ "a c" }, all.ready())
    assert.equal(6, tonumber(all.batches[1].bytes))
  end)

  it("is split in halves that go next, in order", { size = 5 }, function(all)
    for i = 1, 10 do
      all.join("e" .. i)
    end
    local first = c.mp__groups_next(all.groups)
    all.split(first)
    assert.same({ "e1 e2 e3", "e4 e5", "e6 e7 e8 e9 e10" }, all.ready())
    assert.is_true(slice.text(c.mp__batch_id(all.batches[1])) ~= slice.text(c.mp__batch_id(all.batches[2])))
  end)

  it("takes its pieces along into the halves", { size = 3 }, function(all)
    all.join("a", 1)
    all.join("b", 2)
    all.join("c", 3)
    all.split(c.mp__groups_next(all.groups))
    assert.same({ "a b", "c" }, all.ready())
    assert.equal(3, tonumber(all.batches[1].bytes))
    assert.equal("xxx", slice.text(c.mp_buf_str(all.batches[2].items[0].wire)))
  end)

  it("is split among those only whose verdict says so", { size = 4 }, function(all)
    for i = 1, 4 do
      all.join("e" .. i)
    end
    all.split(c.mp__groups_next(all.groups), { [1] = true, [4] = true })
    assert.same({ "e1", "e4" }, all.ready())
    all.done()
    for i = 5, 8 do
      all.join("e" .. i)
    end
    all.split(c.mp__groups_next(all.groups), { [2] = true })
    assert.same({ "e6" }, all.ready())
  end)

  it("ends in single ones, however often it is split", { size = 13 }, function(all)
    for i = 1, 13 do
      all.join("e" .. i)
    end
    local alone, tries = {}, 0
    while true do
      local batch = c.mp__groups_next(all.groups)
      if batch == nil then
        break
      end
      tries = tries + 1
      if batch.count == 1 then
        alone[#alone + 1] = slice.text(batch.members[0].id)
        c.mp__batch_free(batch)
      else
        all.split(batch)
      end
    end
    assert.equal("e1 e2 e3 e4 e5 e6 e7 e8 e9 e10 e11 e12 e13", table.concat(alone, " "))
    assert.equal(25, tries)
  end)
end)
