--- A queue in a process of its own (spec/support/queue_probe.c), told what to do and listened to.
-- The specs of the interface run once for each engine in `harness.engines`.
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

--- Opens the queue that lives in `home` and waits until it is open.
function harness.open(home, window_ms)
  local self = setmetatable({ home = home }, methods)
  self.child = process.spawn(probe, {
    args = { home, window_ms and tostring(window_ms) or nil }, input = "", keep_input_open = true,
  })
  opened[#opened + 1] = self.child
  self:wait("open")
  return self
end

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

--- The first line that was not waited for yet and begins with these words. Lines of other kinds
-- stay for those who wait for them.
function methods:wait(...)
  local want = { ... }
  local lines = self.child.out
  self.used = self.used or {}
  local seen = 0
  return eventually(function()
    local from = seen + 1
    seen = #lines
    for i = from, seen do
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
    return nil, lines[#lines]
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

--- The next time that `id` is given out.
function methods:taken(id)
  local words = self:wait("take", id)
  return {
    id = words[2], partner = words[3], lane = words[4], attempts = tonumber(words[5]),
    replays = tonumber(words[6]), status = tonumber(words[7]), late_ms = tonumber(words[8]),
    event = words[9],
  }
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
  return harness.open(self.home, window_ms)
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

harness.engines = {
  { name = "embedded", home = harness.home, open = harness.open },
}

return harness
