--- Plays deliveries to their end on a fake clock: what the runtime does between attempts.
local play = {}
local methods = {}
methods.__index = methods

local function is_one(answers)
  return type(answers) ~= "table" or answers[1] == nil and next(answers) ~= nil
end

-- A function of the request and its number. A list that runs out repeats its last.
local function answering(answers)
  if type(answers) == "function" then
    return answers
  end
  local list = answers == nil and { 200 } or is_one(answers) and { answers } or answers
  if #list == 0 then
    error("there are no answers: give a list of statuses or responses, or a function", 4)
  end
  return function(_, number)
    return list[number] or list[#list]
  end
end

-- The delivery's attempt is over. `verdict` is as C tells it.
function methods:conclude(member, verdict, status)
  local word, why = verdict.word, verdict.why
  if word == "error" then
    word = "retry"
  elseif word == "split" then -- alone: there is nothing left to split
    word = "dead"
  end
  if word == "retry" and verdict.gave_up then
    word, why = "dead", verdict.gave_up
  end
  table.insert(member.verdicts, word)
  if word == "retry" then
    table.insert(member.waits, verdict.wait_ms / 1000)
    member.due_ms = self.now_ms + verdict.wait_ms
    member.attempts, member.last_status, member.last_verdict = member.attempts + 1, status, word
    table.insert(self.waiting, member)
  else
    member.word, member.why = word, why ~= "" and why or word
  end
end

-- Those that go on; the others are concluded.
function methods:weed(members, fates)
  local left = {}
  for i, member in ipairs(members) do
    local fate = fates[i]
    if type(fate) == "table" then
      self:conclude(member, fate, 0)
    else
      left[#left + 1] = member
    end
  end
  return left
end

local function places_of(members)
  local places = {}
  for i, member in ipairs(members) do
    places[i] = member.place
  end
  return places
end

function methods:send(members)
  local answer, request = self.partner:_build(members, self.now_ms)
  members = self:weed(members, answer.fates)
  if #members == 0 then
    return
  end
  request.places = self.is_list and places_of(members) or nil
  table.insert(self.requests, request)
  local response = self.answer(request, #self.requests)
  if response == nil then
    error(("there is no answer to request %d: the function gave nil"):format(#self.requests), 0)
  end
  local judged, status = self.partner:_judge(members, response, self.now_ms)
  local split = {}
  for i, member in ipairs(members) do
    if judged.members[i].word == "split" and #members > 1 then
      split[#split + 1] = member
    else
      self:conclude(member, judged.members[i], status)
    end
  end
  self:send_halves(split)
end

-- At once, and no attempt is spent.
function methods:send_halves(members)
  local half = math.ceil(#members / 2)
  if half > 0 then
    self:send({ unpack(members, 1, half) })
  end
  if half < #members then
    self:send({ unpack(members, half + 1) })
  end
end

-- Takes out those that are due first.
function methods:take_due()
  local due, rest = {}, {}
  for _, member in ipairs(self.waiting) do
    self.next_ms = math.min(self.next_ms or member.due_ms, member.due_ms)
  end
  self.now_ms, self.next_ms = self.next_ms, nil
  for _, member in ipairs(self.waiting) do
    table.insert(member.due_ms <= self.now_ms and due or rest, member)
  end
  table.sort(due, function(a, b) return a.place < b.place end)
  self.waiting = rest
  return due
end

function methods:run()
  while #self.waiting > 0 do
    local due = self:take_due()
    for _, group in ipairs(self.partner:_groups(due, self.now_ms)) do
      self:send(group)
    end
  end
end

local function tell_one(self, member)
  return {
    verdicts = member.verdicts,
    waits = member.waits,
    requests = self.requests,
    delivered = member.word == "delivered",
    dead = member.word == "dead" and member.why or nil,
    skipped = member.word == "skipped" and member.why or nil,
    paused = member.word == "pause" and member.why or nil,
  }
end

local function tell_all(self, members)
  local out = { verdicts = {}, waits = {}, requests = self.requests, delivered = {}, dead = {}, skipped = {},
                paused = {} }
  for place, member in ipairs(members) do
    out.verdicts[place], out.waits[place] = member.verdicts, member.waits
    if member.word == "delivered" then
      table.insert(out.delivered, place)
    else
      out[member.word == "pause" and "paused" or member.word][place] = member.why
    end
  end
  return out
end

--- `members` are the deliveries, `is_list` says that a list of events was given.
function play.deliver(partner, members, is_list, answers, now_ms)
  local self = setmetatable({
    partner = partner, waiting = {}, requests = {}, is_list = is_list, now_ms = now_ms,
    answer = answering(answers),
  }, methods)
  for place, member in ipairs(members) do
    member.verdicts, member.waits, member.due_ms = {}, {}, now_ms
    self.waiting[place] = member
  end
  self:run()
  return is_list and tell_all(self, members) or tell_one(self, members[1])
end

return play
