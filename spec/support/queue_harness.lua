--- A queue in a process of its own (spec/support/queue_probe.c), told what to do and listened to.
-- The specs of the interface run once for each engine (spec/support/queue_engines.lua).
local uv = require("luv")
local eventually = require("spec.support.eventually")
local process = require("spec.support.process")

local harness = {}
local methods = {}
methods.__index = methods

local build = os.getenv("MOONPOST_BUILD") or "build"
local probe = build .. "/mp_queue_probe"
local homes, opened = {}, {}

local function words_of(line)
  local words = {}
  for word in (line .. "\t"):gmatch("(.-)\t") do
    words[#words + 1] = word
  end
  return words
end

--- A folder that `harness.clean` removes.
function harness.home()
  local home = assert(uv.fs_mkdtemp((os.getenv("TMPDIR") or "/tmp") .. "/mp_queue_XXXXXX"))
  homes[#homes + 1] = home
  return home
end

--- Starts the probe with these words and waits until the queue is open.
function harness.start(engine, home, args)
  local self = setmetatable({ engine = engine, home = home }, methods)
  self.child = process.spawn(probe, { args = args, input = "", keep_input_open = true })
  opened[#opened + 1] = self.child
  self:wait("open")
  return self
end

harness.embedded = {
  name = "embedded", home = harness.home, remembers_keys = true, random_seeds = 4,
  open = function(home, window_ms)
    return harness.start(harness.embedded, home, { home, window_ms and tostring(window_ms) or nil })
  end,
}

--- Opens the embedded queue that lives in `home`.
harness.open = harness.embedded.open

--- Opens it where it must refuse to: the status' name and the sentence.
function harness.refused(home)
  local child = process.run(probe, { args = { home }, input = "" })
  local words = words_of(child.out[1] or "")
  assert(words[1] == "failed", "it did not fail: " .. child:text("out") .. child:text())
  return words[2], words[3]
end

function methods:tell(...)
  self.child.input:write(table.concat({ ... }, "\t") .. "\n")
end

-- Looks for the first line behind `from` that was not waited for and begins with these words; nil
-- and how far it looked.
local function find(self, want, from)
  local lines = self.child.out
  self.used = self.used or {}
  local seen = #lines
  for i = from + 1, seen do
    if not self.used[i] then
      local words = words_of(lines[i])
      local same = true
      for at, word in ipairs(want) do
        same = same and words[at] == word
      end
      if same then
        self.used[i] = true
        return words
      end
    end
  end
  if self.child:has_ended() then
    error("the probe ended without " .. table.concat(want, " ") .. ":\n"
      .. self.child:text("out") .. self.child:text(), 0)
  end
  return nil, seen
end

--- The first line that was not waited for yet and begins with these words. Lines of other kinds
-- stay for those who wait for them.
function methods:wait(...)
  local want, seen = { ... }, 0
  return eventually(function()
    local words, upto = find(self, want, seen)
    seen = upto or seen
    return words, self.child.out[seen]
  end, nil, "a line of " .. table.concat(want, " "))
end

--- How many lines that were not waited for begin with `word`.
function methods:count(word)
  local count = 0
  for i, line in ipairs(self.child.out) do
    if not (self.used or {})[i] and line:match("^[^\t]*") == word then
      count = count + 1
    end
  end
  return count
end

local tags = 0

--- Appends and waits for the answer: its status' name, the reason, and what was remembered.
function methods:append(lane, ids, event, key, body, answer)
  tags = tags + 1
  self:tell("append", tags, lane, ids, event or "{}", key, body, answer)
  local words = self:wait("done", tostring(tags))
  return words[3], words[4], words[5]
end

function methods:many(lane, prefix, count, bytes)
  tags = tags + 1
  self:tell("many", tags, lane, prefix, count, bytes or 20)
  return self:wait("done", tostring(tags))[3]
end

local function taking_of(words)
  return {
    id = words[2], partner = words[3], lane = words[4], attempts = tonumber(words[5]),
    replays = tonumber(words[6]), status = tonumber(words[7]), late_ms = tonumber(words[8]),
    event = words[9],
  }
end

--- The next time that `id` is given out.
function methods:taken(id)
  return taking_of(self:wait("take", id))
end

function methods:stat(partner)
  self:tell("stat", partner or "")
  local words = self:wait("stat")
  return {
    waiting = tonumber(words[2]), in_hand = tonumber(words[3]), taken = tonumber(words[4]),
    fullest = tonumber(words[5]), rss_kib = tonumber(words[6]), bytes = tonumber(words[7]),
  }
end

--- As eventually, for what asks the probe: not more often than every 5 ms, or the asking takes the
-- processor from what is waited for.
function harness.eventually(fn, ...)
  local asked, value, detail = 0, nil, nil
  return eventually(function()
    local now = uv.hrtime()
    if now - asked >= 5e6 then
      value, detail = fn()
      asked = uv.hrtime()
    end
    return value, detail
  end, ...)
end

--- Polls until a member of stat has this value.
function methods:wait_stat(name, value, partner)
  local last
  return harness.eventually(function()
    last = self:stat(partner)
    return last[name] == value, last[name]
  end, nil, name .. " of " .. value)
end

--- How many may be tried now or are in hand, and how many more are put off. An engine that only
-- knows what it has read counts between the first and both together, once it has read it.
function methods:waits(partner, now, later)
  later = later or 0
  if self.engine.fence and now == 0 then
    self.engine.fence(self)
  end
  if not self.engine.spills then
    local waiting = self:stat(partner).waiting
    assert(waiting == now + later, ("%d wait, not %d"):format(waiting, now + later))
    return
  end
  local last
  harness.eventually(function()
    last = self:stat(partner).waiting
    return last >= now and last <= now + later, last
  end, nil, ("%d to %d that wait"):format(now, now + later))
end

--- Nothing was given out that was not waited for, although it had its time.
function methods:nothing_comes()
  if self.engine.fence then
    self.engine.fence(self)
  end
  local count = self:count("take")
  assert(count == 0, count .. " came:\n" .. self.child:text("out"))
end

--- So many ms pass at once, on its clock.
function methods:pass(ms)
  self.passed_ms = (self.passed_ms or 0) + ms
  self:tell("shift", self.passed_ms)
  self:wait("shifted")
end

--- As eventually. What an engine has spilled may stay away for ten minutes: they are made to pass,
-- again and again, while nothing comes.
function methods:in_time(fn, what)
  local taken, since = -1, uv.hrtime()
  return harness.eventually(function()
    local value, detail = fn()
    if value or not self.engine.spills then
      return value, detail
    end
    local now_taken = self:stat().taken
    if now_taken ~= taken then
      taken, since = now_taken, uv.hrtime()
    elseif uv.hrtime() - since > 400e6 then
      self:pass(600001)
      since = uv.hrtime()
    end
    return value, detail
  end, 60000, what)
end

--- As wait, for what may hang on spilled ones.
function methods:hears(...)
  local want, seen = { ... }, 0
  return (self:in_time(function()
    local words, upto = find(self, want, seen)
    seen = upto or seen
    return words
  end, table.concat(want, " ")))
end

--- The next time that `id` is given out, also when it was spilled.
function methods:comes(id)
  return taking_of(self:hears("take", id))
end

--- Puts off all that is in hand, and says how many that were.
function methods:retry_all(delay_ms, spread_ms)
  self:tell("retryall", delay_ms, spread_ms)
  return tonumber(self:wait("retried")[2])
end

--- All `count` (since this start) have come, and nothing waits any more.
function methods:all_done(count)
  self:in_time(function()
    local stat = self:stat()
    return stat.taken >= count and stat.waiting == 0, stat.taken .. " taken, " .. stat.waiting .. " waiting"
  end, count .. " that are done")
  local taken = self:stat().taken
  assert(taken == count, ("%d were taken, not %d"):format(taken, count))
end

--- So many wait of a partner, all there are; an engine that does not know must give them all.
function methods:has_all(partner, count)
  if not self.engine.spills then
    return self:waits(partner, count)
  end
  self:tell("auto", "settle")
  self:all_done(count)
end

--- What was resolved so far outlives a kill from here on.
function methods:resolved_is_stored()
  if self.engine.stored then
    self.engine.stored(self)
  end
end

local function letter_of(words)
  return {
    id = words[2], partner = words[3], reason = words[4], attempts = tonumber(words[5]),
    status = tonumber(words[6]), last_ms = tonumber(words[7]), replays = tonumber(words[8]),
    event = words[9],
  }
end

function methods:page()
  local page = self:wait("page")
  local letters = { status = page[2], next = page[3], why = page[4] }
  for _ = 1, self:count("letter") do
    letters[#letters + 1] = letter_of(self:wait("letter"))
  end
  return letters
end

function methods:list(partner, limit, cursor)
  self:tell("list", partner or "-", limit or 100, cursor)
  return self:page()
end

function methods:show(id)
  self:tell("show", id)
  return self:page()
end

--- replay or purge; `what` is a list of ids or { partner =, since =, until_ms = }.
function methods:dead(verb, what, dry)
  if what[1] then
    self:tell(verb, "ids", dry and "dry" or "run", table.concat(what, ","))
  else
    self:tell(verb, "range", dry and "dry" or "run", what.partner or "-", what.since or -1,
      what.until_ms or -1)
  end
  local words = self:wait("count")
  local count = { status = words[2], matched = tonumber(words[3]), done = tonumber(words[4]),
                  unknown = {} }
  for _ = 1, self:count("unknown") do
    table.insert(count.unknown, self:wait("unknown")[2])
  end
  return count
end

--- Appends one, takes it and buries it, as of `last_ms`.
function methods:bury(lane, id, reason, last_ms, event)
  self:append(lane, id, event)
  self:taken(id)
  self:tell("bury", id, reason or "no good", 500, last_ms or 1000)
end

--- Closes it in order; no sanitizer may have a word.
function methods:close()
  self:tell("close")
  self:wait("closed")
  self.child.input:close()
  local code, signal = self.child:wait()
  assert(code == 0 and signal == 0, ("the probe ended with %d:\n%s"):format(code,
    self.child:text()))
end

--- No warning, no last write: SIGKILL.
function methods:die()
  self.child:kill("sigkill")
  self.child:wait()
  self.child.input:close()
end

--- The same queue again, after close or die.
function methods:again(window_ms)
  return self.engine.open(self.home, window_ms)
end

--- Ends every queue that still runs.
function harness.stop()
  process.kill_all()
  for _, child in ipairs(opened) do
    if not child.input:is_closing() then
      child.input:close()
    end
  end
  opened = {}
end

function harness.clean()
  harness.stop()
  for _, home in ipairs(homes) do
    os.execute("rm -rf '" .. home .. "'")
  end
  homes = {}
end

return harness
