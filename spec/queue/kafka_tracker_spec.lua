--- What of a partition is done: its mark, what lies beyond it, and the map that a commit carries.
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")

local SPAN, MAP_BYTES = 2 ^ 20, 3800
local OK, EINVAL, ELIMIT, EDUPLICATE = 0, c.MP_EINVAL, c.MP_ELIMIT, c.MP_EDUPLICATE

local function new(mark)
  local tracker = ffi.gc(ffi.new("struct mp__tracker"), c.mp__tracker_fini)
  c.mp__tracker_init(tracker, mark or 0)
  return tracker
end

local function write(tracker, max_bytes)
  local out = slice.buf()
  assert.equal(OK, c.mp__tracker_write(tracker, max_bytes or MAP_BYTES, out))
  return out[0].length == 0 and "" or slice.content(out)
end

local function read(mark, map)
  local tracker = new(7)
  return c.mp__tracker_read(tracker, mark, slice.of(map)), tracker
end

--- The offsets beyond the mark that are done.
local function done_beyond(tracker)
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

local function see(tracker, from, to)
  for offset = from, to or from do
    assert.equal(OK, c.mp__tracker_see(tracker, offset))
  end
end

local function done(tracker, ...)
  for _, offset in ipairs({ ... }) do
    c.mp__tracker_done(tracker, offset)
  end
end

local function state(tracker)
  return { tonumber(tracker.mark), tonumber(tracker.next), tonumber(tracker.top), tonumber(tracker.open) }
end

local function of(mark, beyond)
  local tracker = new(mark)
  done(tracker, unpack(beyond))
  return tracker
end

describe("a partition's tracker", function()
  it("moves its mark over what is done, in whatever order it was", function()
    local tracker = new(100)
    see(tracker, 100, 105)
    assert.same({ 100, 106, 100, 6 }, state(tracker))
    done(tracker, 103, 101)
    assert.same({ 100, 106, 104, 4 }, state(tracker))
    done(tracker, 100)
    assert.same({ 102, 106, 104, 3 }, state(tracker))
    done(tracker, 102)
    assert.same({ 104, 106, 104, 2 }, state(tracker))
    done(tracker, 105, 104)
    assert.same({ 106, 106, 106, 0 }, state(tracker))
    assert.equal("", write(tracker))
  end)

  it("counts one completion once", function()
    local tracker = new(0)
    see(tracker, 0, 2)
    done(tracker, 2, 2, 0, 0, 0)
    assert.same({ 1, 3, 3, 1 }, state(tracker))
  end)

  it("takes offsets that do not come as done", function()
    local tracker = new(10)
    see(tracker, 12)
    assert.same({ 12, 13, 12, 1 }, state(tracker))
    see(tracker, 20)
    assert.same({ 12, 21, 20, 2 }, state(tracker))
    done(tracker, 12)
    assert.same({ 20, 21, 20, 1 }, state(tracker))
    done(tracker, 20)
    see(tracker, 5000000000)
    assert.same({ 5000000000, 5000000001, 5000000000, 1 }, state(tracker))
  end)

  it("refuses an offset that is not above the last one", function()
    local tracker = new(10)
    assert.equal(EINVAL, c.mp__tracker_see(tracker, 9))
    see(tracker, 10, 11)
    assert.equal(EINVAL, c.mp__tracker_see(tracker, 11))
    done(tracker, 10, 11)
    assert.equal(EINVAL, c.mp__tracker_see(tracker, 11))
    assert.equal(EINVAL, c.mp__tracker_see(tracker, 0))
    assert.same({ 12, 12, 12, 0 }, state(tracker))
  end)

  it("says of what the map knows that it is done, also when the mark went over it", function()
    local tracker = new(10)
    done(tracker, 11, 12, 14)
    see(tracker, 10)
    assert.equal(EDUPLICATE, c.mp__tracker_see(tracker, 11))
    done(tracker, 10)
    assert.same({ 13, 13, 15, 0 }, state(tracker))
    assert.equal(EDUPLICATE, c.mp__tracker_see(tracker, 12))
    see(tracker, 13)
    assert.equal(EDUPLICATE, c.mp__tracker_see(tracker, 14))
    assert.same({ 13, 15, 15, 1 }, state(tracker))
    done(tracker, 13)
    assert.same({ 15, 15, 15, 0 }, state(tracker))
  end)

  it("goes on when what it has in hand was done by another before it was seen", function()
    local tracker = new(0)
    done(tracker, 0, 1)
    assert.same({ 2, 2, 2, 0 }, state(tracker))
    assert.equal(EDUPLICATE, c.mp__tracker_see(tracker, 0))
    assert.equal(EDUPLICATE, c.mp__tracker_see(tracker, 1))
    see(tracker, 2)
  end)

  it("has room for 1,048,576 offsets beyond the mark, and says so", function()
    local tracker = new(5)
    see(tracker, 5)
    assert.is_true(c.mp__tracker_has_room(tracker))
    see(tracker, 5 + SPAN - 1)
    assert.is_false(c.mp__tracker_has_room(tracker))
    local before = state(tracker)
    assert.equal(ELIMIT, c.mp__tracker_see(tracker, 5 + SPAN))
    done(tracker, 5 + SPAN)
    assert.same(before, state(tracker))
    done(tracker, 5)
    assert.same({ 5 + SPAN - 1, 5 + SPAN, 5 + SPAN - 1, 1 }, state(tracker))
    assert.is_true(c.mp__tracker_has_room(tracker))
    see(tracker, 5 + SPAN)
    assert.equal(SPAN, tonumber(tracker.bit_count))
  end)

  it("keeps what it knows as its ring grows, wherever in it that is", function()
    for _, mark in ipairs({ 0, 63, 64, 1000, 1023, 1500, 2 ^ 40 + 37 }) do
      local tracker = new(mark)
      see(tracker, mark, mark + 1023)
      for offset = mark + 1, mark + 1023, 3 do
        done(tracker, offset)
      end
      local before = done_beyond(tracker)
      see(tracker, mark + 1024, mark + 40000)
      assert.same(before, done_beyond(tracker))
      assert.equal(40001 - #before, tonumber(tracker.open))
    end
  end)

  it("says when there is something new to commit", function()
    local tracker = new(0)
    see(tracker, 0, 3)
    assert.is_false(tracker.changed)
    done(tracker, 2)
    assert.is_true(tracker.changed)
    tracker.changed = false
    done(tracker, 2)
    assert.is_false(tracker.changed)
    see(tracker, 6)
    assert.is_true(tracker.changed)
    tracker.changed = false
    done(tracker, 0)
    assert.is_true(tracker.changed)
    tracker.changed = false
    c.mp__tracker_rewind(tracker)
    assert.is_false(tracker.changed)
  end)

  it("begins again at the mark after a rewind, and knows what is done", function()
    local tracker = new(0)
    see(tracker, 0, 5)
    done(tracker, 0, 2, 3, 5)
    c.mp__tracker_rewind(tracker)
    assert.same({ 1, 1, 6, 0 }, state(tracker))
    see(tracker, 1)
    assert.equal(EDUPLICATE, c.mp__tracker_see(tracker, 2))
    assert.equal(EDUPLICATE, c.mp__tracker_see(tracker, 3))
    see(tracker, 4)
    assert.equal(EDUPLICATE, c.mp__tracker_see(tracker, 5))
    assert.equal(2, tonumber(tracker.open))
    done(tracker, 4, 1)
    assert.same({ 6, 6, 6, 0 }, state(tracker))
  end)

  it("joined with another knows what either knew", function()
    local tracker = of(10, { 12, 15, 16, 40 })
    c.mp__tracker_join(tracker, of(13, { 14, 17, 90 }))
    assert.same({ 13, 13, 91, 0 }, state(tracker))
    assert.same({ 14, 15, 16, 17, 40, 90 }, done_beyond(tracker))
    see(tracker, 13)
    done(tracker, 13)
    assert.equal(18, tonumber(tracker.mark))
  end)

  it("joined with one that is behind learns only what lies beyond its own mark", function()
    local tracker = of(20, { 22 })
    c.mp__tracker_join(tracker, of(10, { 12, 20, 21 }))
    assert.same({ 23, 23, 23, 0 }, state(tracker))
    c.mp__tracker_join(tracker, of(2, { 5 }))
    c.mp__tracker_join(tracker, of(23, {}))
    assert.same({ 23, 23, 23, 0 }, state(tracker))
  end)

  it("joined with one far ahead goes there", function()
    local tracker = of(0, { 1, 5 })
    c.mp__tracker_join(tracker, of(3 * SPAN, { 3 * SPAN + 2 }))
    assert.same({ 3 * SPAN + 2 }, done_beyond(tracker))
    assert.equal(3 * SPAN, tonumber(tracker.mark))
    assert.equal(0, tonumber(tracker.open))
  end)

  it("joined while something is in hand still knows how much", function()
    local tracker = new(0)
    see(tracker, 0, 99)
    done(tracker, 50)
    c.mp__tracker_join(tracker, of(10, { 11, 51, 200 }))
    assert.same({ 10, 100, 201, 90 - 3 }, state(tracker))
  end)
end)

describe("the map of a partition", function()
  it("says the runs, not done and done in turn", function()
    assert.equal("rgBA", write(of(7, { 7 + 33 })))
    assert.equal("rABiBAAC", write(of(0, { 1, 2, 5 + 33, 40, 41, 42 })))
    local tracker = new(0)
    assert.equal(OK, c.mp__tracker_fill(tracker, 33, 33 + 1024))
    assert.equal("rgB" .. "/f", write(tracker)) -- 33 and 1,024, each less one: 0+32, 31+31*32
  end)

  it("says bits where they are shorter", function()
    assert.equal("bC", write(of(7, { 8 })))
    assert.equal("bKB", write(of(0, { 1, 3, 6 })))
    local odd = {}
    for offset = 1, 119, 2 do
      odd[#odd + 1] = offset
    end
    assert.equal("b" .. ("q"):rep(20), write(of(0, odd)))
  end)

  it("written by hand is read", function()
    local status, tracker = read(1000, "rAABC")
    assert.equal(OK, status)
    assert.same({ 1000, 1000, 1007, 0 }, state(tracker))
    assert.same({ 1001, 1004, 1005, 1006 }, done_beyond(tracker))
    status, tracker = read(1000, "bCgB")
    assert.equal(OK, status)
    assert.same({ 1001, 1011, 1012 }, done_beyond(tracker))
    status, tracker = read(1000, "")
    assert.equal(OK, status)
    assert.same({ 1000, 1000, 1000, 0 }, state(tracker))
  end)

  it("that is none is refused, and nothing is taken as done", function()
    local longest = "r" .. "A" .. "9///" -- not a digit that may end a length
    for _, map in ipairs({
      "r", "b", "A", "rA", "rAAA", "R", "x", "xAA", "hello, world", '{"a":1}', "r!!", "rA=", "rAA ", " rAA", "rAA\n",
      "rAA\0", "rA-", "rA_", "\0", "b!", "bA", "bB", "bCA", "bC=", "bCAAA", "rgAA", "rAgA", "rg", "rAg", "rAAg",
      "rggggBA", "r//////////A", longest, "r///fA", "rA///f", "b" .. ("A"):rep(SPAN / 6 + 1) .. "C",
      "r" .. ("AA"):rep(SPAN / 2 + 1),
    }) do
      local status, tracker = read(55, map)
      assert.equal(EINVAL, status, map:sub(1, 30))
      assert.same({ 55, 55, 55, 0 }, state(tracker), map:sub(1, 30))
      assert.equal("", write(tracker))
      assert.equal(OK, c.mp__tracker_see(tracker, 55))
    end
  end)

  it("takes the place of what the tracker knew", function()
    local tracker = of(10, { 11, 13, 2000 })
    assert.equal(OK, c.mp__tracker_read(tracker, 20, slice.of("rAA")))
    assert.same({ 20, 20, 22, 0 }, state(tracker))
    assert.same({ 21 }, done_beyond(tracker))
    assert.is_false(tracker.changed)
    assert.equal(EINVAL, c.mp__tracker_read(tracker, 0, slice.of("?")))
    assert.same({ 0, 0, 0, 0 }, state(tracker))
  end)

  it("of the whole span is read as it was written", function()
    local tracker = new(3)
    assert.equal(OK, c.mp__tracker_fill(tracker, 4, 3 + SPAN))
    local status, again = read(3, write(tracker))
    assert.equal(OK, status)
    assert.equal(3 + SPAN, tonumber(again.top))
    assert.equal(4, tonumber(c.mp__tracker_run_end(again, 3)))
    assert.equal(3 + SPAN, tonumber(c.mp__tracker_run_end(again, 4)))
  end)

  it("is appended, and leaves no half behind where there is no room", function()
    local out = slice.buf(8)
    c.mp_buf_append_text(out, "kept")
    assert.equal(OK, c.mp__tracker_write(of(0, { 1, 3, 6 }), 100, out))
    assert.equal("keptbKB", slice.content(out))
    out = slice.buf(6)
    c.mp_buf_append_text(out, "kept")
    assert.equal(ELIMIT, c.mp__tracker_write(of(0, { 1, 3, 6 }), 100, out))
    assert.equal("kept", slice.content(out))
  end)
end)

describe("random maps", function()
  local seed = os.time()
  math.randomseed(seed)

  local function random_tracker()
    local mark = math.random(0, 2 ^ 40)
    local tracker, known = new(mark), {}
    local density, width = math.random() ^ 2, math.random(2, math.random(2, 60000))
    local lumps = math.random(1, math.random(1, 200))
    local offset = mark + 1
    while offset < mark + width do
      local run = math.random(1, lumps)
      if math.random() < density then
        for at = offset, offset + run - 1 do
          known[at] = true
          c.mp__tracker_done(tracker, at)
        end
      end
      offset = offset + run
    end
    return tracker, known, mark
  end

  it("are read as they were written, whole or cut, and cut maps only forget", function()
    local forms, cut = {}, 0
    local function check(truth)
      if not truth then
        error("seed " .. seed, 2)
      end
    end
    for _ = 1, 250 do
      local tracker, known, mark = random_tracker()
      local all = done_beyond(tracker)
      for _, max_bytes in ipairs({ 1000000, MAP_BYTES, 100, 3, 2, 0 }) do
        local map = write(tracker, max_bytes)
        check(#map <= max_bytes and not map:find("[^%w+/]"))
        forms[map:sub(1, 1)] = (forms[map:sub(1, 1)] or 0) + 1
        local status, again = read(mark, map)
        check(status == OK)
        local found = done_beyond(again)
        check(#found <= #all and (max_bytes < 1000000 or #found == #all))
        cut = cut + (#found < #all and 1 or 0)
        for index, offset in ipairs(found) do
          check(offset == all[index] and known[offset]) -- only the tail is forgotten
        end
      end
    end
    assert.is_true(forms.r > 50 and forms.b > 50 and cut > 50, "seed " .. seed)
  end)
end)

describe("a random history", function()
  -- The model knows one thing of each offset: whether it is done, seen, or neither.
  local function run(seed, steps, width)
    math.randomseed(seed)
    local base = math.random(0, 1) * math.random(1, 2 ^ 35)
    local tracker = new(base)
    local model = { mark = base, read = base, done = {}, seen = {}, open = 0, top = base }

    local function finish(offset)
      if offset < model.mark or model.done[offset] then
        return
      end
      model.done[offset] = true
      model.top = math.max(model.top, offset + 1)
      if model.seen[offset] then
        model.seen[offset], model.open = nil, model.open - 1
      end
      while model.done[model.mark] do
        model.done[model.mark] = nil
        model.mark = model.mark + 1
      end
      model.top = math.max(model.top, model.mark)
    end

    local function look()
      local offset = model.read + (math.random(30) == 1 and math.random(1, 300) or 0)
      for gap = model.read, offset - 1 do
        finish(gap)
      end
      local want = (offset < model.mark or model.done[offset]) and EDUPLICATE or OK
      assert(c.mp__tracker_see(tracker, offset) == want, "seed " .. seed)
      model.read = offset + 1
      if want == OK then
        model.seen[offset], model.open = true, model.open + 1
      end
    end

    local actions = {
      { 45, function()
        if model.read - model.mark < width then
          look()
        end
      end },
      { 45, function()
        local offset = math.random(model.mark - math.min(3, model.mark), math.max(model.mark, model.read - 1))
        finish(offset)
        c.mp__tracker_done(tracker, offset)
      end },
      { 5, function() -- mostly the first, so that the mark moves far
        local offset = model.mark
        finish(offset)
        c.mp__tracker_done(tracker, offset)
      end },
      { 3, function() -- of a former reader
        local offset = model.read + math.random(0, width)
        finish(offset)
        c.mp__tracker_done(tracker, offset)
      end },
      { 0.5, function()
        c.mp__tracker_rewind(tracker)
        model.read, model.open, model.seen = model.mark, 0, {}
      end },
      { 0.5, function() -- a restart, with the map
        local map = write(tracker, 1000000)
        assert(c.mp__tracker_read(tracker, model.mark, slice.of(map)) == OK, "seed " .. seed)
        model.read, model.open, model.seen = model.mark, 0, {}
      end },
      { 0.5, function() -- back after another had it meanwhile
        local other = new(model.mark + math.random(-5, 20) * (model.mark > 5 and 1 or 0))
        for _ = 1, math.random(0, 50) do
          c.mp__tracker_done(other, tonumber(other.mark) + math.random(1, width))
        end
        local ahead = done_beyond(other)
        c.mp__tracker_rewind(tracker)
        model.read, model.open, model.seen = model.mark, 0, {}
        c.mp__tracker_join(tracker, other)
        for offset = model.mark, tonumber(other.mark) - 1 do
          finish(offset)
        end
        for _, offset in ipairs(ahead) do
          finish(offset)
        end
        model.read = math.max(model.read, base)
      end },
    }

    for step = 1, steps do
      local roll = math.random() * 99.5
      for _, action in ipairs(actions) do
        roll = roll - action[1]
        if roll <= 0 then
          action[2]()
          break
        end
      end
      local next_ = math.max(model.read, model.mark)
      if tracker.mark ~= model.mark or tracker.next ~= next_ or tracker.top ~= model.top
        or tracker.open ~= model.open then
        error(("seed %d, step %d: mark %d next %d top %d open %d, not %d %d %d %d"):format(seed, step,
          tonumber(tracker.mark), tonumber(tracker.next), tonumber(tracker.top), tonumber(tracker.open),
          model.mark, next_, model.top, model.open))
      end
      if step % 500 == 0 then
        local count = 0
        for _, offset in ipairs(done_beyond(tracker)) do
          assert(model.done[offset], "seed " .. seed)
          count = count + 1
        end
        for _ in pairs(model.done) do
          count = count - 1
        end
        assert(count == 0, "seed " .. seed)
      end
    end
    return model.mark - base
  end

  it("is what a table of each offset says", function()
    local began = os.time()
    local moved = 0
    for round, width in ipairs({ 20, 100, 700, 1000, 3000, 5000 }) do
      moved = moved + run(began * 10 + round, 25000, width)
    end
    assert.is_true(moved > 10000, "the marks moved only " .. moved)
  end)
end)
