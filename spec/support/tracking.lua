--- Trackers of partitions (src/queue/kafka_tracker.h), called from Lua.
local assert = require("luassert")
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")

local tracking = { SPAN = 2 ^ 20, MAP_BYTES = 3800 }

function tracking.new(mark)
  local tracker = ffi.gc(ffi.new("struct mp__tracker"), c.mp__tracker_fini)
  c.mp__tracker_init(tracker, mark or 0)
  return tracker
end

function tracking.write(tracker, max_bytes)
  local out = slice.buf()
  assert.equal(0, c.mp__tracker_write(tracker, max_bytes or tracking.MAP_BYTES, out))
  return out[0].length == 0 and "" or slice.content(out)
end

function tracking.read(mark, map)
  local tracker = tracking.new(7)
  return c.mp__tracker_read(tracker, mark, slice.of(map)), tracker
end

--- The offsets beyond the mark that are done.
function tracking.done_beyond(tracker)
  local done, top, at = {}, tonumber(tracker.top), tonumber(tracker.mark)
  while at < top do
    local from = tonumber(c.mp__tracker_run_end(tracker, at))
    at = tonumber(c.mp__tracker_run_end(tracker, from))
    for offset = from, at - 1 do
      done[#done + 1] = offset
    end
  end
  return done
end

function tracking.see(tracker, from, to)
  for offset = from, to or from do
    assert.equal(0, c.mp__tracker_see(tracker, offset))
  end
end

function tracking.done(tracker, ...)
  for _, offset in ipairs({ ... }) do
    c.mp__tracker_done(tracker, offset)
  end
end

function tracking.state(tracker)
  return { tonumber(tracker.mark), tonumber(tracker.next), tonumber(tracker.top), tonumber(tracker.open) }
end

function tracking.of(mark, beyond)
  local tracker = tracking.new(mark)
  tracking.done(tracker, unpack(beyond))
  return tracker
end

return tracking
