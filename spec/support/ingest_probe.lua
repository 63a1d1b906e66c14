--- Starts the ingest server with its queue in memory (spec/support/ingest_probe.c).
--   local server = probe.start({ "--body-limit", "1024" })
--   raw.ask(server.address, …); server:records(1); server:stop()
local cjson = require("cjson")
local eventually = require("spec.support.eventually")
local assert = require("luassert")
local process = require("spec.support.process")
local raw = require("spec.support.raw_http")

local probe = {}
local methods = {}
methods.__index = methods

local binary = (os.getenv("MOONPOST_BUILD") or "build") .. "/mp_ingest_probe"

function probe.start(args)
  local self = setmetatable({ seen = 1 }, methods)
  self.child = process.spawn(binary, { args = args })
  local line = self.child:wait_for("^listening ", nil, "out")
  self.address = line:match("^listening (.+)$")
  return self
end

--- Starts it where it must refuse to: the status' name and the sentence.
function probe.refused(args)
  local child = process.run(binary, { args = args })
  return (child.out[1] or ""):match("^refused (%S+) (.*)$")
end

--- The next `count` records that were appended, decoded; waits for them.
function methods:records(count)
  local lines = self.child.out
  eventually(function()
    return #lines >= self.seen + count, #lines
  end, nil, count .. " records")
  local records = {}
  for i = 1, count do
    records[i] = cjson.decode(lines[self.seen + i])
  end
  self.seen = self.seen + count
  return records
end

--- Posts, with further field lines.
function methods:post(path, body, ...)
  return raw.ask(self.address, raw.request("POST", path, { ... }, body))
end

--- The stable word of a problem: "unknown-partner".
function probe.slug(answer)
  return answer.json.type:match("[%w-]+$")
end

--- Posts what must be answered with a problem, nothing accepted: status, slug, problem.
function methods:problem(path, body, ...)
  local answer = self:post(path, body, ...)
  assert.equal("application/problem+json", answer.headers["content-type"])
  assert.equal(answer.status, answer.json.status)
  assert.is_string(answer.json.title)
  assert.equal(0, self:untaken())
  return answer.status, probe.slug(answer), answer.json
end

--- How many records came that nobody took.
function methods:untaken()
  return #self.child.out - self.seen
end

--- Sends bytes that must be refused: the answer is a problem, the connection ends with it, and
-- nothing after it is served. Gives the status and the answer.
function methods:refused(bytes)
  local client = raw.connect(self.address)
  client:send(bytes)
  local answer = client:answer()
  assert.equal("close", answer.headers["connection"])
  client:wait_end()
  assert.equal("", client.received)
  client:close()
  assert.equal(answer.status, answer.json.status)
  assert.equal("application/problem+json", answer.headers["content-type"])
  return answer.status, answer
end

--- Ends it in order. It must say so, and no sanitizer may have a word.
function methods:stop()
  self.child:kill("sigterm")
  local code = self.child:wait()
  assert(code == 0, "the probe ended with " .. code .. ":\n" .. self.child:text())
  assert(self.child.out[#self.child.out] == "closed")
end

return probe
