--- The tracker and its map against a model, over random histories; a failure names its seed.
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")
local tracking = require("spec.support.tracking")

local MAP_BYTES, OK, EDUPLICATE = tracking.MAP_BYTES, 0, c.MP_EDUPLICATE
local new, write, read, done_beyond =
  tracking.new, tracking.write, tracking.read, tracking.done_beyond

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
