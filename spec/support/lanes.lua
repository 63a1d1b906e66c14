--- Kafka's lanes with an owner that remembers what it was given and what was spilled, on a clock
-- of its own: the wall is always 10^12 ms further than the other.
--   local lanes = require("spec.support.lanes").open()
--   lanes.put("p", 300); lanes.flush(); lanes.pass(500); lanes.close()
-- `lanes.also(id)`, when set, is called from inside a spill.
local assert = require("luassert")
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")

-- C calls back into Lua here, which compiled code cannot take.
jit.off(true, true)

local lanes = { FOREVER = 0x7fffffffffffffffLL, WALL = 1000000000000 }

local function make_item(self, lane)
  local record = self.records[lane]
  if not record then
    record = ffi.new("struct mp_record")
    self.names[lane] = { slice.of(lane), slice.of(lane:match("^%S+")) }
    record.lane, record.partner = self.names[lane][1], self.names[lane][2]
    self.records[lane] = record
  end
  local id = #self.items + 1
  local item = ffi.new("struct mp__kafka_item", { offset = id, record = record, size_bytes = self.bytes })
  self.items[id], self.lane_of[id] = item, lane
  return id
end

local function on_give(self, item)
  local id = tonumber(item.offset)
  item.record = nil
  self.given[#self.given + 1] = id
  self.out[id] = true
  for _, name in ipairs({ "", self.lane_of[id] }) do
    local order = self.orders[name] or { first = 1 }
    self.orders[name] = order
    order[#order + 1] = id
  end
end

local reasons = { [0] = "paused", "breaker", "slow" }
local function on_spill(self, item, why, due_ms)
  self.spilled[#self.spilled + 1] = {
    id = tonumber(item.offset), why = reasons[tonumber(why)], due = tonumber(due_ms) - lanes.WALL - self.now,
  }
  if self.also then
    self.also(tonumber(item.offset))
  end
end

--- How many were spilled, why, and the first and last due time.
function lanes.told(spills)
  if #spills == 0 then
    return { 0 }
  end
  for _, one in ipairs(spills) do
    assert.equal(spills[1].why, one.why)
  end
  return { #spills, spills[1].why, spills[1].due, spills[#spills].due }
end

local methods = {}

function methods.put(self, lane, count)
  for _ = 1, count or 1 do
    c.mp__kafka_lanes_put(self.c, self.items[make_item(self, lane)])
  end
end

function methods.flush(self)
  c.mp__kafka_lanes_flush(self.c)
  return #self.given
end

--- Tells the time, as it is.
local function tell(self)
  c.mp__kafka_lanes_at(self.c, self.now, lanes.WALL + self.now)
end

--- Time goes by, with a tick every 100 ms and whatever `each` does before it.
function methods.pass(self, ms, each)
  for _ = 1, ms / 100 do
    self.now = self.now + 100
    tell(self)
    if each then
      each()
    end
    c.mp__kafka_lanes_tick(self.c)
    c.mp__kafka_lanes_flush(self.c)
  end
end

--- Without a tick.
function methods.jump(self, ms)
  self.now = self.now + ms
  tell(self)
end

--- Those given first come back, finished (or parked, or forgotten), of a lane or of all.
function methods.back(self, count, how, lane)
  local order = self.orders[lane or ""] or { first = 1 }
  while count > 0 and order[order.first] do
    local id = order[order.first]
    order.first = order.first + 1
    if self.out[id] then
      count = count - 1
      self.out[id] = nil
      self.items[id].record = how == "parked" and self.records[self.lane_of[id]] or nil
      c["mp__kafka_lanes_" .. (how or "finished")](self.c, self.items[id])
    end
  end
end

function methods.hold(self, name, for_ms)
  c.mp__kafka_lanes_hold(self.c, slice.of(name),
    for_ms == lanes.FOREVER and for_ms or lanes.WALL + self.now + for_ms)
end

function methods.release(self, name)
  c.mp__kafka_lanes_release(self.c, slice.of(name))
end

function methods.depth(self, name, records)
  c.mp__kafka_lanes_set_depth(self.c, slice.of(name), records)
end

function methods.count(self, name)
  return tonumber(c.mp__kafka_lanes_count(self.c, slice.of(name or "")))
end

function methods.wants_more(self)
  return c.mp__kafka_lanes_want_more(self.c)
end

function methods.sweep(self, each)
  local callback = ffi.cast("bool (*)(void *, struct mp__kafka_item *)", function(_, item)
    return each(tonumber(item.offset))
  end)
  c.mp__kafka_lanes_sweep(self.c, callback, nil)
  callback:free()
end

function methods.waiting(self)
  return tonumber(self.c.waiting)
end

--- What was spilled since the last call.
function methods.spills(self)
  local spilled = self.spilled
  self.spilled = {}
  return spilled
end

function methods.close(self)
  c.mp__kafka_lanes_fini(self.c)
  self.on_give:free()
  self.on_spill:free()
end

function lanes.open()
  local self = { c = ffi.new("struct mp__kafka_lanes"), now = 1000, bytes = 1000, items = {}, lane_of = {},
    records = {}, names = {}, given = {}, out = {}, orders = {}, spilled = {} }
  self.on_give = ffi.cast("void (*)(void *, struct mp__kafka_item *)", function(_, item) on_give(self, item) end)
  self.on_spill = ffi.cast("void (*)(void *, struct mp__kafka_item *, enum mp__kafka_spill, int64_t)",
    function(_, item, why, due_ms) on_spill(self, item, why, due_ms) end)
  c.mp__kafka_lanes_init(self.c, ffi.new("struct mp__kafka_lanes_owner", { give = self.on_give, spill = self.on_spill }))
  tell(self)
  for name, method in pairs(methods) do
    self[name] = function(...) return method(self, ...) end
  end
  return self
end

return lanes
