--- Fake partners: HTTP servers inside the spec's own loop that record what arrives and answer as
-- the spec says, well or badly.
local uv = require("luv")
local http1 = require("spec.support.http1")
local tls = require("spec.support.tls")

local partner = {}
local methods = {}
methods.__index = methods
local open = {}

local function close_handle(handle)
  if handle and not handle:is_closing() then
    handle:close()
  end
end

local function write(connection, bytes)
  if not connection.tcp:is_closing() then
    connection.tcp:write(bytes)
  end
end

-- A byte at a time, for the partner that is alive but hardly.
local function drip(self, connection, bytes, every_ms)
  local timer = uv.new_timer()
  self.timers[timer] = true
  local at = 1
  timer:start(0, every_ms, function()
    if at > #bytes or connection.tcp:is_closing() then
      self.timers[timer] = nil
      close_handle(timer)
      return
    end
    write(connection, bytes:sub(at, at))
    at = at + 1
  end)
end

local function response_bytes(answer, request)
  if answer.raw then
    return answer.raw
  end
  local body = answer.body or ""
  local fields = { { "Content-Length", #body } }
  for name, value in pairs(answer.headers or {}) do
    fields[#fields + 1] = type(name) == "number" and value or { name, value }
  end
  local head = http1.head(("HTTP/1.1 %d Said"):format(answer.status or 200), fields)
  return request.method == "HEAD" and head or head .. body
end

local function answer_now(self, connection, request, answer)
  self.answered = self.answered + 1
  request.answered_at = uv.hrtime()
  request.status = not answer.raw and not answer.reset and (answer.status or 200) or nil
  if answer.reset then
    connection.tcp:close_reset()
    return
  end
  local bytes = response_bytes(answer, request)
  if answer.drip_ms then
    drip(self, connection, bytes, answer.drip_ms)
  else
    write(connection, bytes)
  end
  if answer.close then
    connection.tcp:shutdown(function()
      close_handle(connection.tcp)
    end)
  end
end

local function on_request(self, connection, request)
  request.at = uv.hrtime()
  request.connection = connection.number
  request.subject = connection.tcp.subject
  self.requests[#self.requests + 1] = request
  local answer = self.handler(request) or 200
  if type(answer) == "number" then
    answer = { status = answer }
  end
  if answer.hang then
    self.hanging[#self.hanging + 1] = { connection = connection, request = request }
    return
  end
  if not answer.delay_ms then
    return answer_now(self, connection, request, answer)
  end
  local timer = uv.new_timer()
  self.timers[timer] = true
  timer:start(answer.delay_ms, 0, function()
    self.timers[timer] = nil
    close_handle(timer)
    answer_now(self, connection, request, answer)
  end)
end

local function on_connection(self)
  local tcp = uv.new_tcp()
  self.server:accept(tcp)
  if self.context then
    tcp = tls.wrap(tcp, self.context)
  end
  self.accepted = self.accepted + 1
  local connection = { tcp = tcp, number = self.accepted }
  self.connections[connection] = true
  local feed = http1.reader({
    kind = "request",
    on_message = function(request)
      on_request(self, connection, request)
    end,
  })
  tcp:nodelay(true)
  tcp:read_start(function(err, bytes)
    if err or not bytes then
      self.connections[connection] = nil
      close_handle(tcp)
      return
    end
    feed(bytes)
  end)
end

--- Starts one. `options.handler(request)` returns a status or { status, headers, body } and any of
-- delay_ms, hang (answered by `:release()`), drip_ms (a byte each), reset, close, raw (bytes).
-- `.requests` holds all that arrived: method, target, path, query, headers (lower-case names),
-- fields (as sent, in order), body, at (ns), status (what it was answered). `options.host` is where
-- it listens (127.0.0.1); `options.tls` as tls.context has it: then `.subject` of a request is that of
-- the client's certificate.
function partner.new(options)
  options = options or {}
  local self = setmetatable({
    requests = {}, connections = {}, timers = {}, hanging = {}, accepted = 0, answered = 0,
    handler = options.handler or function() return 200 end,
    context = options.tls and tls.context(options.tls),
  }, methods)
  self.server = uv.new_tcp()
  assert(self.server:bind(options.host or "127.0.0.1", options.port or 0))
  assert(self.server:listen(1024, function(err)
    assert(not err, err)
    on_connection(self)
  end))
  self.port = self.server:getsockname().port
  open[self] = true
  return self
end

--- An address on which nobody listens.
function partner.refused_url(path)
  local server = uv.new_tcp()
  assert(server:bind("127.0.0.1", 0))
  local port = server:getsockname().port
  server:close()
  uv.run("nowait")
  return ("http://127.0.0.1:%d%s"):format(port, path or "/")
end

function methods:url(path, host)
  local scheme = self.context and "https" or "http"
  return ("%s://%s:%d%s"):format(scheme, host or "127.0.0.1", self.port, path or "/")
end

--- How many requests arrived whose path (or Moonpost-Id, with `key = "id"`) is `value`.
function methods:count(value, key)
  local count = 0
  for _, request in ipairs(self.requests) do
    local seen = key == "id" and request.headers["moonpost-id"] or request.path
    if value == nil or seen == value then
      count = count + 1
    end
  end
  return count
end

--- Answers those that hang.
function methods:release(answer)
  local hanging = self.hanging
  self.hanging = {}
  for _, entry in ipairs(hanging) do
    answer_now(self, entry.connection, entry.request, answer or {})
  end
end

function methods:close()
  if not open[self] then
    return
  end
  open[self] = nil
  close_handle(self.server)
  for connection in pairs(self.connections) do
    close_handle(connection.tcp)
  end
  for timer in pairs(self.timers) do
    close_handle(timer)
  end
end

function partner.close_all()
  for each in pairs(open) do
    each:close()
  end
  uv.run("nowait")
end

return partner
