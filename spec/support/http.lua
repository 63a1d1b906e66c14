--- An HTTP client for the specs that looks blocking and is not: while it waits the one loop turns,
-- so fake partners in the same process answer.
local uv = require("luv")
local eventually = require("spec.support.eventually")
local http1 = require("spec.support.http1")

local http = {}
local methods = {}
methods.__index = methods

local function split(url)
  local host, port, target = url:match("^http://([^/:]+):(%d+)(.*)$")
  assert(host, "not a URL the specs can ask: " .. url)
  return host, tonumber(port), target == "" and "/" or target
end

local function request_bytes(method, host, port, target, headers, body)
  local fields = { { "Host", host .. ":" .. port } }
  for name, value in pairs(headers or {}) do
    fields[#fields + 1] = type(name) == "number" and value or { name, value }
  end
  if body then
    fields[#fields + 1] = { "Content-Length", #body }
  end
  return http1.head(("%s %s HTTP/1.1"):format(method, target), fields) .. (body or "")
end

--- Opens a connection: `:write(bytes)`, `:read([ms])` the next response, `:close()`; `.received`
-- holds the raw bytes, `.is_closed` tells that the server ended it.
function http.connect(url)
  local host, port = split(url)
  local self = setmetatable({ host = host, port = port, responses = {}, received = "",
                              methods = {} }, methods)
  self.tcp = uv.new_tcp()
  local feed = http1.reader({
    kind = "response",
    method = function() return self.methods[1] end,
    on_message = function(response)
      if response.status >= 200 then
        table.remove(self.methods, 1)
      end
      self.responses[#self.responses + 1] = response
      if self.on_response then
        self.on_response(response)
      end
    end,
  })
  local function on_end(err)
    if self.is_closed then
      return
    end
    self.is_closed, self.error = true, err
    feed(nil)
    self:close()
    if self.on_end then
      self.on_end(err)
    end
  end
  self.tcp:connect(host, port, function(connect_error)
    if connect_error then
      return on_end(connect_error)
    end
    self.is_connected = true
    self.tcp:nodelay(true)
    self.tcp:read_start(function(err, bytes)
      if err or not bytes then
        return on_end(err)
      end
      self.received = self.keep_received ~= false and self.received .. bytes or ""
      feed(bytes)
    end)
    if self.on_connected then
      self.on_connected()
    end
  end)
  return self
end

function methods:write(bytes)
  if not self.tcp:is_closing() then
    self.tcp:write(bytes)
  end
end

--- Writes a request of which `:read()` gives the response.
function methods:send(method, target, headers, body)
  self.methods[#self.methods + 1] = method
  self:write(request_bytes(method, self.host, self.port, target, headers, body))
end

function methods:read(ms)
  return eventually(function()
    if #self.responses > 0 then
      return table.remove(self.responses, 1)
    end
    if self.is_closed then
      error("the connection ended without a response: " .. tostring(self.error or "end of file"), 0)
    end
  end, ms, "a response")
end

function methods:wait_closed(ms)
  return eventually(function() return self.is_closed end, ms, "the connection's end")
end

function methods:close()
  if not self.tcp:is_closing() then
    self.tcp:close()
  end
end

local function wait_connected(connection)
  eventually(function()
    return connection.is_connected or connection.is_closed
  end, nil, "a connection")
  if not connection.is_connected then
    error("could not connect: " .. tostring(connection.error), 3)
  end
end

--- One request on a connection of its own: { method, url, headers, body } -> { status, headers,
-- fields, body }. Headers are { name = value } or a list of { name, value }.
function http.request(options)
  local _, _, target = split(options.url)
  local connection = http.connect(options.url)
  wait_connected(connection)
  connection:send(options.method or "GET", target, options.headers, options.body)
  local ok, response = pcall(connection.read, connection, options.deadline_ms)
  connection:close()
  if not ok then
    error(response, 2)
  end
  return response
end

--- Sends bytes as they are and returns the connection: read responses, or wait for its end.
function http.raw(url, bytes)
  local connection = http.connect(url)
  wait_connected(connection)
  connection:write(bytes)
  return connection
end

local load_methods = {}
load_methods.__index = load_methods

local function load_next(self)
  if self.is_stopped or (self.total and self.sent >= self.total) then
    return nil
  end
  self.sent = self.sent + 1
  return self.sent
end

local function run_connection(self)
  local number
  local connection = http.connect(self.url)
  connection.keep_received = false
  local _, _, target = split(self.url)
  local function send_next()
    number = load_next(self)
    if not number then
      self.alive = self.alive - 1
      return connection:close()
    end
    local body = type(self.body) == "function" and self.body(number) or self.body
    connection:send(self.method or "POST", target, self.headers, body)
  end
  connection.on_connected = send_next
  connection.on_response = function(response)
    self.count = self.count + 1
    self.statuses[response.status] = (self.statuses[response.status] or 0) + 1
    if self.on_answer then
      self.on_answer(response, number)
    end
    if not self.every_ms then
      return send_next()
    end
    local timer = uv.new_timer()
    timer:start(self.every_ms, 0, function()
      timer:close()
      if not connection.is_closed then -- else its end has begun another
        send_next()
      end
    end)
  end
  connection.on_end = function(err)
    self.broken = self.broken + 1
    self.last_error = err
    if self.is_stopped or not self.reconnect then
      self.alive = self.alive - 1
      return
    end
    local timer = uv.new_timer()
    timer:start(10, 0, function()
      timer:close()
      run_connection(self)
    end)
  end
end

--- A load: { url, connections = 8, total = N or nil, body = text or function(n), headers,
-- on_answer = function(response, n), reconnect = true or false, every_ms = the rest of a connection
-- between an answer and its next request }. It runs while the loop turns;
-- `:wait()` until all are answered, `:stop()` ends it after what is on its way. `.statuses` counts
-- answers by status, `.broken` the connections that ended without one.
function http.load(options)
  local self = setmetatable({ sent = 0, count = 0, broken = 0, statuses = {} }, load_methods)
  for key, value in pairs(options) do
    self[key] = value
  end
  self.alive = options.connections or 8
  for _ = 1, self.alive do
    run_connection(self)
  end
  return self
end

function load_methods:wait(ms)
  eventually(function()
    return self.alive == 0, self.count
  end, ms or 60000, "the end of the load")
  return self
end

function load_methods:stop(ms)
  self.is_stopped = true
  return self:wait(ms)
end

return http
