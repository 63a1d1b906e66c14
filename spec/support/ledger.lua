--- The accountant: every delivery that was answered 202 is delivered, skipped, waiting or dead.
--   local books = ledger.new({ partner = fake, runtimes = { rt } })
--   local load = books:load(rt, "/events/acme", { rate = 300 })
--   … faults … load:stop()
--   books:close("kill -9", { max_pause_ms = 5000 })
local uv = require("luv")
local cjson = require("cjson")
local eventually = require("spec.support.eventually")
local http = require("spec.support.http")

local ledger = {}
local methods = {}
methods.__index = methods

--- `options`: `partner` (the fake one, all of whose requests are deliveries), `runtimes` (whose
-- attempt logs and dead letters are looked at; more can be added to `.runtimes`), `waiting` (tells what
-- else waits, as a set of ids).
function ledger.new(options)
  return setmetatable({
    partner = options.partner, runtimes = options.runtimes or {}, waiting = options.waiting,
    accepted = {}, count = 0, refused = 0,
    arrived = {}, delivered = {}, skipped = {}, put_off = {}, next_request = 1, duplicates = 0,
    pauses = { accepting = 0, delivering = 0 }, lines = {},
  }, methods)
end

local function note_accepted(self, id)
  if not self.accepted[id] then
    self.accepted[id] = true
    self.count = self.count + 1
  end
end

--- Notes an answer of ingest: its ids are promised; of a 503 those that it says were accepted.
function methods:note(response)
  if response.status == 202 then
    local now = uv.hrtime()
    if self.last_accept and self.is_loading then
      self.pauses.accepting = math.max(self.pauses.accepting, (now - self.last_accept) / 1e6)
    end
    self.last_accept = now
    for _, id in ipairs(cjson.decode(response.body).ids) do
      note_accepted(self, id)
    end
    return
  end
  self.refused = self.refused + 1
  local ok, said = pcall(cjson.decode, response.body)
  for _, item in ipairs(ok and said.accepted or {}) do
    note_accepted(self, item.id)
  end
end

--- Posts `options.rate` (300) events a second to `path` of `rt`, over `options.connections` (8),
-- until its `:stop()`. `options.body(n)` is what (an object with a number).
function methods:load(rt, path, options)
  options = options or {}
  local connections = options.connections or 8
  local rate = options.rate or 300
  self.is_loading = true
  local load = http.load({
    url = rt:url(path), connections = connections, reconnect = true,
    headers = { ["Content-Type"] = "application/json" },
    every_ms = math.max(1, math.floor(1000 * connections / rate)),
    body = options.body or function(n) return ('{"n":%d}'):format(n) end,
    on_answer = function(response) self:note(response) end,
  })
  local stop = load.stop
  function load.stop(it, ms)
    self.is_loading, self.load_ended_at = false, uv.hrtime()
    return stop(it, ms)
  end
  return load
end

--- Waits until so many more were accepted.
function methods:wait_accepted(more, ms)
  local want = self.count + more
  eventually(function()
    return self.count >= want, ("%d of %d accepted"):format(self.count, want)
  end, ms or 60000, more .. " more that are accepted")
end

-- One more request than attempts is a duplicate: the same attempt again, or any after a 2xx.
local function read_requests(self)
  local requests = self.partner.requests
  while requests[self.next_request] do
    local request = requests[self.next_request]
    if not request.answered_at then
      break -- it hangs: what came behind it is looked at once it is answered
    end
    local id = request.headers["moonpost-id"]
    local attempt = id .. " " .. request.headers["moonpost-attempt"]
    if self.arrived[attempt] or self.delivered[id] then
      self.duplicates = self.duplicates + 1
    end
    self.arrived[attempt] = true
    if request.status and request.status >= 200 and request.status < 300 then
      self.delivered[id] = true
    end
    local before = requests[self.next_request - 1]
    if before and request.at < (self.load_ended_at or math.huge) then
      self.pauses.delivering = math.max(self.pauses.delivering, (request.at - before.at) / 1e6)
    end
    self.next_request = self.next_request + 1
  end
end

local function read_attempts(self)
  for _, rt in ipairs(self.runtimes) do
    local log = rt:attempts()
    for i = (self.lines[rt] or 0) + 1, #log do
      local line = log[i]
      self.skipped[line.id] = line.verdict == "skipped" or self.skipped[line.id]
      self.put_off[line.id] = line.next_at ~= cjson.null and line.next_at or nil
    end
    self.lines[rt] = #log
  end
end

local function dead_letters(rt)
  local dead, cursor = {}, nil
  repeat
    local page = rt:api("/api/dead?limit=1000" .. (cursor and "&cursor=" .. cursor or ""))
    for _, item in ipairs(page.items) do
      dead[item.id] = true
    end
    cursor = page.next
  until not cursor
  return dead
end

--- Where every accepted delivery is now: { delivered, skipped, dead, waiting, missing } as counts,
-- and `first`, one that is missing. With `is_thorough` the dead letters are read, too, and what waits.
function methods:account(is_thorough)
  read_requests(self)
  read_attempts(self)
  local dead = is_thorough and dead_letters(self.runtimes[1]) or {}
  local waiting = is_thorough and self.waiting and self.waiting() or {}
  local books = { delivered = 0, skipped = 0, dead = 0, waiting = 0, missing = 0 }
  local now = os.date("!%Y-%m-%dT%H:%M:%S")
  for id in pairs(self.accepted) do
    local fate = self.delivered[id] and "delivered" or self.skipped[id] and "skipped"
      or dead[id] and "dead"
    -- Put off to a time to come it waits; once that is over by two seconds it is missing.
    if not fate and self.put_off[id] then
      fate = self.put_off[id] > now and "waiting"
    end
    fate = fate or waiting[id] and "waiting" or "missing"
    if fate == "missing" then
      books.first = books.first or id
    end
    books[fate] = books[fate] + 1
  end
  return books
end

--- Waits until nothing is missing and nothing waits, `ms` (60 s) at most, prints the account, and
-- fails when something is lost. `limits`: `max_pause_ms` of accepting, `max_duplicates` in per cent,
-- `may_wait` (what is put off needs not come), `ms`.
function methods:close(what, limits)
  limits = limits or {}
  local books
  local asked = 0
  pcall(eventually, function()
    local now = uv.hrtime()
    if now - asked > 200e6 then
      books, asked = self:account(false), uv.hrtime()
      if books.missing > 0 and books.missing == self.last_missing then
        books = self:account(true)
      end
      self.last_missing = books.missing
    end
    return books.missing == 0 and (limits.may_wait or books.waiting == 0)
  end, limits.ms or 60000)
  books = self:account(true)
  local share = 100 * self.duplicates / math.max(1, self.count)
  print(("  %s: %d accepted (%d answers were no), %d delivered, %d skipped, %d waiting, %d dead, lost %d, "
    .. "duplicates %d (%.2f %%), worst pause %.2f s accepting, %.2f s delivering"):format(what, self.count,
    self.refused, books.delivered, books.skipped, books.waiting, books.dead, books.missing,
    self.duplicates, share, self.pauses.accepting / 1e3, self.pauses.delivering / 1e3))
  if books.missing > 0 then
    error(("%d were lost, %s among them"):format(books.missing, books.first), 2)
  end
  if limits.max_pause_ms and self.pauses.accepting > limits.max_pause_ms then
    error(("accepting paused for %.0f ms, more than %d"):format(self.pauses.accepting,
      limits.max_pause_ms), 2)
  end
  if limits.max_duplicates and share > limits.max_duplicates then
    error(("%.2f %% were sent twice, more than %.2f"):format(share, limits.max_duplicates), 2)
  end
  return books
end

return ledger
