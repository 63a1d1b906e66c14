--- Runs the delivery room alone (spec/support/deliver_probe.c) against fake partners.
--   local room = deliver.start({ scripts = { acme = "return { … }" }, tune = { breaker_open_ms = 100 } })
--   room:send({ id = "a" }); room:outcome("a").outcome; room:attempt("a").verdict
--   after_each(deliver.clean)
local cjson = require("cjson")
local uv = require("luv")
local eventually = require("spec.support.eventually")
local partner = require("spec.support.partner")
local process = require("spec.support.process")

local deliver = { partner = partner, eventually = eventually }
local methods = {}
methods.__index = methods
local path = (os.getenv("MOONPOST_BUILD") or "build") .. "/mp_deliver_probe"
local running = {}

local function write_file(name, text)
  local file = assert(io.open(name, "w"))
  file:write(text)
  file:close()
  return name
end

--- `options.scripts` are sources by partner; `.tune`, `.workers`, `.allow` (127.0.0.0/8), `.data` (a
-- folder), `.proxies` (urls by name); `.wrap` is a shell command line that starts "$@".
function deliver.start(options)
  local self = setmetatable({ seen = {}, folder = assert(uv.fs_mkdtemp("/tmp/moonpost-XXXXXX")) }, methods)
  local args = { "--allow", options.allow or "127.0.0.0/8,::1", "--workers", tostring(options.workers or 1) }
  for name, value in pairs(options.tune or {}) do
    args[#args + 1] = "--tune"
    args[#args + 1] = ("%s=%d"):format(name, value)
  end
  if options.data then
    args[#args + 1] = "--folder"
    args[#args + 1] = options.data
  end
  for name, url in pairs(options.proxies or {}) do
    args[#args + 1] = "--proxy"
    args[#args + 1] = name .. "=" .. url
  end
  for name, source in pairs(options.scripts or {}) do
    args[#args + 1] = name .. "=" .. write_file(("%s/%s.lua"):format(self.folder, name), source)
  end
  local program = path
  if options.wrap then
    table.insert(args, 1, path)
    table.insert(args, 1, "sh")
    table.insert(args, 1, options.wrap)
    table.insert(args, 1, "-c")
    program = "/bin/sh"
  end
  self.child = process.spawn(program, { args = args, input = "", keep_input_open = true, env = options.env })
  running[self] = true
  return self
end

function methods:tell(command)
  self.child.input:write(cjson.encode(command) .. "\n")
end

--- `record`: id, and partner ("acme"), event ({}), attempts, count, lane, endpoint_method, endpoint_url.
function methods:send(record)
  record.op = "send"
  record.partner = record.partner or "acme"
  record.event = record.event or { a = 1 }
  self:tell(record)
end

--- Sends and waits for what became of it.
function methods:deliver(record)
  local from = #self.child.err + 1
  self:send(record)
  return self:outcome(record.id, from)
end

function methods:script(name, source)
  local file
  if source then
    self.script_count = (self.script_count or 0) + 1
    file = write_file(("%s/%s-%d.lua"):format(self.folder, name, self.script_count), source)
  end
  self:tell({ op = "script", partner = name, path = file })
end

-- A line is decoded once.
local function decoded(self, lines, i)
  local line = lines[i]
  if self.seen[line] == nil then
    local ok, value = pcall(cjson.decode, line)
    self.seen[line] = ok and type(value) == "table" and value or false
  end
  return self.seen[line]
end

--- What the room told (or logged, with `stream` "out") since line `from` that `matches`.
function methods:all(matches, stream, from)
  local lines, found = self.child[stream or "err"], {}
  for i = from or 1, #lines do
    local value = decoded(self, lines, i)
    if value and matches(value) then
      found[#found + 1] = value
    end
  end
  return found
end

function methods:wait_for(matches, what, stream, from, count)
  return eventually(function()
    local found = self:all(matches, stream, from)
    if #found >= (count or 1) then
      return found[count or 1]
    end
    if self.child:has_ended() then
      error("the probe ended:\n" .. self.child:text(), 0)
    end
    return nil, self.child.err[#self.child.err]
  end, nil, what)
end

function methods:outcome(id, from)
  return self:wait_for(function(value)
    return value.outcome and value.id == id
  end, "the outcome of " .. id, "err", from)
end

--- Those of every delivery, counted by kind.
function methods:outcomes()
  local count = {}
  for _, value in ipairs(self:all(function(value) return value.outcome end)) do
    count[value.outcome] = (count[value.outcome] or 0) + 1
  end
  return count
end

--- The n-th attempt of a delivery, as logged.
function methods:attempt(id, n)
  return self:wait_for(function(value)
    return value.id == id
  end, ("attempt %d of %s in the log"):format(n or 1, id), "out", 1, n or 1)
end

function methods:hold(n)
  return self:wait_for(function(value) return value.hold end, "a hold", "err", 1, n or 1)
end

function methods:paused(n)
  return self:wait_for(function(value) return value.pause end, "a pause", "err", 1, n or 1)
end

function methods:in_flight(name)
  local from = #self.child.err + 1
  self:tell({ op = "in_flight", partner = name or "acme" })
  return self:wait_for(function(value) return value.in_flight end, "in_flight", "err", from).in_flight
end

function methods:metrics()
  local from = #self.child.err + 1
  self:tell({ op = "metrics" })
  return self:wait_for(function(value) return value.metrics end, "metrics", "err", from).metrics
end

--- Begins nothing more and ends what is under way.
function methods:drain()
  self:tell({ op = "drain", ms = 10000 })
  self:wait_for(function(value) return value.drained end, "the drain's end")
end

--- What it has used of the processors so far.
function methods:cpu_ms()
  local file = assert(io.open(("/proc/%d/stat"):format(self.child.pid)))
  local user, system = file:read("*a"):match("%) %a" .. (" %S+"):rep(10) .. " (%d+) (%d+)")
  file:close()
  return (tonumber(user) + tonumber(system)) * 10
end

--- Ends it in order. No sanitizer may have a word.
function methods:stop()
  if running[self] then
    running[self] = nil
    if not self.child.input:is_closing() then
      self.child.input:close()
    end
    local code = self.child:wait(30000)
    os.execute("rm -r " .. self.folder)
    assert(code == 0, ("the probe ended with %d:\n%s"):format(code, self.child:text()))
  end
end

function deliver.clean()
  local trouble
  for room in pairs(running) do
    local ok, err = pcall(room.stop, room)
    trouble = trouble or (not ok and err)
  end
  process.kill_all()
  partner.close_all()
  if trouble then
    error(trouble, 0)
  end
end

return deliver
