--- Specs of partner scripts, in plain busted: the runtime's own code without a runtime around it.
--   local testing = require("moonpost.testing")
--   local acme = assert(testing.partner("scripts/acme.lua"))
--   local request = assert(acme:render({ click_id = "c-1" }))
--   assert.equal("https://acme.example/pb?cid=c-1", request.url)
-- What a script can get wrong comes back as nil and why; what a spec gets wrong is thrown.
local native = require("moonpost.testing.native")
local json = require("moonpost.testing.json")
local play = require("moonpost.testing.play")
local wire = require("moonpost.testing.request")

local testing = {
  --- A number (or any token) as the producer wrote it: { payout = testing.raw "1.50" }.
  raw = json.raw,
  null = json.null,
}
local methods = {}
methods.__index = methods

-- What is given.

local function check_keys(given, known, what)
  for key in pairs(given) do
    if not known[key] then
      error(("%s has no `%s`"):format(what, tostring(key)), 4)
    end
  end
end

local function set(text)
  local out = {}
  for word in text:gmatch("%S+") do
    out[word] = true
  end
  return out
end

local option_keys = set("now secrets id")
local ctx_keys = set("id type source subject attempt previous received_at occurred_at endpoint")
local response_keys = set("status error headers body json duration_ms")

--- Seconds since 1970 of a moment in RFC 3339.
function testing.time(text)
  return native.time(text) or error(("%q is no time: write 2026-01-31T10:00:00Z"):format(tostring(text)), 2)
end

local function ms_of(moment)
  if moment == nil then
    return nil
  end
  local seconds = type(moment) == "string" and native.time(moment) or tonumber(moment)
  if not seconds then
    error(("%s is no time: give seconds, or 2026-01-31T10:00:00Z"):format(tostring(moment)), 4)
  end
  return math.floor(seconds * 1000 + 0.5)
end

local function event_text(event)
  if type(event) ~= "string" and (type(event) ~= "table" or json.is_raw(event)) then
    error("an event is a table, or JSON in a string, not a " .. type(event), 4)
  end
  local text = type(event) == "string" and event or json.encode(event)
  local ok, why = native.check(text)
  if not ok then
    error("the event is no JSON object: " .. why, 4)
  end
  return text
end

local function is_list(events)
  return type(events) == "table" and events[1] ~= nil
end

local function id_of(self, ctx, place, count)
  local id = ctx.id or self.id
  if not id then
    return ("00000000-0000-7000-8000-%012d"):format(place)
  end
  return count == 1 and id or id .. "-" .. place
end

-- One delivery an event.
local function members_of(self, events, ctx)
  ctx = ctx or {}
  check_keys(ctx, ctx_keys, "ctx")
  local list = is_list(events) and events or { events }
  local members, previous = {}, ctx.previous or {}
  for place, event in ipairs(list) do
    members[place] = {
      place = place, event = event, text = json.raw(event_text(event)),
      id = id_of(self, ctx, place, #list),
      type = ctx.type, source = ctx.source, subject = ctx.subject, endpoint = ctx.endpoint,
      attempts = (ctx.attempt or 1) - 1, last_status = previous.status, last_verdict = previous.verdict,
      first_ms = ms_of(ctx.received_at), occurred_ms = ms_of(ctx.occurred_at),
    }
  end
  return members
end

local function deliveries_of(members)
  local out = {}
  for i, member in ipairs(members) do
    out[i] = {
      id = member.id, event = member.text, type = member.type, source = member.source,
      subject = member.subject, endpoint = member.endpoint, attempts = member.attempts,
      last_status = member.last_status, last_verdict = member.last_verdict,
      first_ms = member.first_ms, occurred_ms = member.occurred_ms,
    }
  end
  return out
end

-- The calls. A failure that is none of the script's is thrown.

local function call(self, name, members, now_ms, more, body)
  local given = { call = name, now_ms = now_ms, deliveries = deliveries_of(members) }
  for key, value in pairs(more or {}) do
    given[key] = value
  end
  local answer, why = native.call(self.native, json.encode(given), body)
  return answer and json.decode(answer), why
end

function methods:_now()
  return self.now_ms or math.floor(os.time() * 1000)
end

function methods:_build(members, now_ms)
  local answer, why = call(self, "build", members, now_ms)
  if not answer then
    error(why, 0)
  end
  local built = answer.request
  return answer, built and wire.new(built, built.has_body and native.body(self.native) or nil)
end

local function response_of(given)
  if type(given) == "number" then
    return { status = given }
  elseif type(given) == "string" then
    return { error = given }
  elseif type(given) ~= "table" then
    error("a response is a table, a status or an error's name, not a " .. type(given), 4)
  end
  check_keys(given, response_keys, "a response")
  local response = {}
  for key, value in pairs(given) do
    response[key] = value
  end
  if response.json ~= nil then
    response.body = json.encode(response.json)
  end
  response.body, response.json = response.body or "", nil
  return response
end

function methods:_judge(members, given, now_ms)
  local response = response_of(given)
  local body = response.body
  response.body = nil
  local answer, why = call(self, "judge", members, now_ms, { response = response }, body)
  if not answer then
    error(why, 0)
  end
  return answer, response.status or 0
end

-- What goes together of these, and each one's fate: false when it goes on.
function methods:_group(members, now_ms)
  local answer, why = call(self, "group", members, now_ms)
  if not answer then
    return nil, why
  end
  local groups = {}
  for i, places in ipairs(answer.groups) do
    groups[i] = {}
    for j, place in ipairs(places) do
      groups[i][j] = members[place]
    end
  end
  return groups, answer.fates
end

-- For playing: those that fall out go alone, to be told of by their own attempt.
function methods:_groups(members, now_ms)
  local groups, fates = {}, {}
  if self.batches_events then
    groups, fates = self:_group(members, now_ms)
  end
  for i, member in ipairs(members) do
    if not self.batches_events or type(fates[i]) == "table" then
      groups[#groups + 1] = { member }
    end
  end
  return groups
end

local function fallen(members, fates)
  local out
  for i, member in ipairs(members) do
    local fate = fates[i]
    if type(fate) == "table" then
      out = out or {}
      out[member.place] = fate.why
    end
  end
  return out
end

-- The interface.

--- The request that an event (or the events of a batch) makes, unsent:
-- { method, url, host, query, headers, body, json, form }; then, of a batch, what fell out of it
-- { [place] = why }. Or nil, why, and what becomes of it: "dead", "skipped", or "error" of the script.
function methods:render(events, ctx)
  local members, now_ms = members_of(self, events, ctx), self:_now()
  if #members > 1 then
    local groups, why = self:_group(members, now_ms)
    if not groups then
      return nil, why
    elseif #groups > 1 then
      return nil, ("these events make %d requests: see batches()"):format(#groups)
    end
  end
  local answer, request = self:_build(members, now_ms)
  if not request then
    return nil, answer.fates[1].why, answer.fates[1].word
  end
  return request, fallen(members, answer.fates)
end

--- What goes together: a list of lists of events; then what falls out, { [place] = why }.
function methods:batches(events, ctx)
  local members = members_of(self, events, ctx)
  local groups, fates = self:_group(members, self:_now())
  if not groups then
    return nil, fates
  end
  local out = {}
  for i, group in ipairs(groups) do
    out[i] = {}
    for j, member in ipairs(group) do
      out[i][j] = member.event
    end
  end
  return out, fallen(members, fates) or {}
end

--- true, or false and why; nil and why when it throws.
function methods:accepts(event, ctx)
  local answer, why = call(self, "accepts", members_of(self, event, ctx), self:_now())
  if not answer then
    return nil, why
  elseif answer.accepted then
    return true
  end
  return false, answer.why ~= "" and answer.why or "not accepted"
end

local function detail_of(verdict)
  return verdict.named or verdict.why
end

--- The word, its detail (of a retry the delay that the script named: "10m"; else why), and who said
-- it: "answers", "verdict" or "default". Of a list of events also each one's { word, detail }.
-- `response` is a status, an error's name ("timeout") or { status, headers, body or json, error }.
function methods:verdict(response, events, ctx)
  local members = members_of(self, events or {}, ctx)
  local answer = self:_judge(members, response, self:_now())
  if answer.error then
    return nil, answer.error
  end
  local each
  if is_list(events) then
    each = {}
    for i, verdict in ipairs(answer.members) do
      each[i] = { verdict.word, detail_of(verdict) }
    end
  end
  return answer.whole.word, detail_of(answer.whole), answer.by, each
end

--- Plays a list (its last answer repeats) or a function(request, number) of answers until nothing is
-- left to send: { verdicts, waits, requests, delivered, dead, skipped, paused }. For one event
-- `verdicts` and `waits` (seconds) are lists over attempts, `delivered` is true or false, the others
-- the reason or nil. For a list of events the first two are such lists by place, `delivered` is a
-- list of places and the others are { [place] = why }.
function methods:deliver(events, answers, ctx)
  local members, now_ms = members_of(self, events, ctx), self:_now()
  for _, member in ipairs(members) do
    member.first_ms = member.first_ms or now_ms
  end
  return play.deliver(self, members, is_list(events), answers, now_ms)
end

-- From where the spec lies upward, also above the working directory.
local MOST_ABOVE = 16

local function file_in(folder, path)
  local whole = ((folder == "" and "" or folder .. "/") .. path):gsub("^%./", "")
  local file = io.open(whole)
  if file then
    file:close()
    return whole
  end
end

local function above(folder)
  if folder == "" or folder == "." then
    return ".."
  elseif folder:match("%.%.$") then
    return folder .. "/.."
  end
  return folder:match("^(.*)/[^/]*$") or ""
end

local function find_file(path, level)
  local source = debug.getinfo(level + 1, "S").source
  local folder = source:match("^@(.*)/[^/]*$") or source:match("^@[^/]*$") and ""
  if not folder or path:sub(1, 1) == "/" then
    return path
  end
  for _ = 1, MOST_ABOVE do
    local found = file_in(folder, path)
    if found then
      return found
    end
    folder = above(folder)
  end
  return path
end

--- A partner's script, loaded: `file` is looked for from the spec's folder upward. `options`: `now`
-- (seconds or RFC 3339; the clock), `secrets` (name → value; any other x is "test-x"), `id`. Or nil and
-- why, with file and line.
function testing.partner(file, options)
  options = options or {}
  check_keys(options, option_keys, "partner's options")
  local loaded, why = native.open(find_file(file, 2), json.encode({ secrets = options.secrets }))
  if not loaded then
    return nil, why
  end
  local self = setmetatable({ native = loaded, id = options.id, now_ms = ms_of(options.now) }, methods)
  self.batches_events = native.batches(loaded)
  return self
end

return testing
