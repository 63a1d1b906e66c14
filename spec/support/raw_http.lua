--- HTTP/1.1 as bytes: what is sent is exactly what the spec says, in the pieces it says, and what
-- comes back is read strictly. For specs of a server's manners; spec.support.http is for the rest.
--   local raw = require("spec.support.raw_http")
--   local answer = raw.ask("127.0.0.1:4000", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
--   answer.status, answer.headers["content-type"], answer.body, answer.json
local uv = require("luv")
local cjson = require("cjson")
local eventually = require("spec.support.eventually")

local raw = {}
local methods = {}
methods.__index = methods
local open = {}

--- Opens a connection to "127.0.0.1:4000" or "[::1]:4000". It has `.received`, `.eof` (their side
-- ended) and `.failed` (an error's name).
function raw.connect(address)
  local host, port = address:match("^%[?(.-)%]?:(%d+)$")
  local self = setmetatable({ received = "", tcp = uv.new_tcp() }, methods)
  open[self] = true
  self.tcp:connect(host, tonumber(port), function(err)
    if err then
      self.failed = err
      return
    end
    self.connected = true
    self.tcp:nodelay(true)
    self.tcp:read_start(function(read_err, chunk)
      if read_err then
        self.failed, self.eof = read_err, true
      elseif chunk then
        self.received = self.received .. chunk
      else
        self.eof = true
      end
    end)
  end)
  eventually(function()
    return self.connected or self.failed
  end, nil, "a connection to " .. address)
  return self
end

--- Writes the bytes and waits until the kernel has them, so that pieces stay pieces.
function methods:send(bytes)
  local written = false
  self.tcp:write(bytes, function(err)
    self.write_failed = err
    written = true
  end)
  eventually(function()
    return written
  end, nil, "a write")
  return self
end

--- Ends our side only.
function methods:finish()
  self.tcp:shutdown()
  return self
end

function methods:close()
  open[self] = nil
  if not self.tcp:is_closing() then
    self.tcp:close()
  end
end

--- Closes what failed tests left open: call it after each.
function raw.close_all()
  for client in pairs(open) do
    client:close()
  end
  uv.run("nowait")
end

--- Waits until the other side has ended.
function methods:wait_end(ms)
  eventually(function()
    return self.eof
  end, ms, "the end of the connection")
  return self.received
end

local function parse_head(text)
  local first, rest = text:match("^(.-)\r\n(.*)$")
  local version, status, reason = first:match("^HTTP/(1%.1) (%d%d%d) (.+)$")
  assert(version, "not a status line: " .. first)
  local answer = { status = tonumber(status), reason = reason, headers = {}, names = {} }
  for line in rest:gmatch("(.-)\r\n") do
    local name, value = line:match("^([%w%-]+): ([\32-\126]*)$")
    assert(name, "not a field line: " .. line)
    assert(not answer.headers[name:lower()], "twice: " .. name)
    answer.headers[name:lower()] = value
    answer.names[#answer.names + 1] = name
  end
  return answer
end

--- Takes one answer off `text`; nil while it is not whole. `has_body` is false after HEAD.
function raw.parse(text, has_body)
  local head_end = select(2, text:find("\r\n\r\n", 1, true))
  if not head_end then
    return nil, text
  end
  local answer = parse_head(text:sub(1, head_end - 2))
  local length = tonumber(answer.headers["content-length"]) or 0
  if has_body == false or answer.status < 200 or answer.status == 204 then
    length = 0
  end
  if #text < head_end + length then
    return nil, text
  end
  answer.body = text:sub(head_end + 1, head_end + length)
  if (answer.headers["content-type"] or ""):find("json", 1, true) and length > 0 then
    answer.json = cjson.decode(answer.body)
  end
  return answer, text:sub(head_end + length + 1)
end

--- Waits for the next whole answer and takes it.
function methods:answer(has_body, ms)
  return eventually(function()
    local answer, rest = raw.parse(self.received, has_body)
    if answer then
      self.received = rest
      return answer
    end
    assert(not self.eof, ("the connection ended after %q (%s)"):format(self.received,
      tostring(self.failed)))
    return nil, self.received
  end, ms, "an answer")
end

--- One request, one answer, on a connection of its own.
function raw.ask(address, bytes, has_body)
  local client = raw.connect(address)
  client:send(bytes)
  local answer = client:answer(has_body)
  client:close()
  return answer
end

--- The bytes of a well-formed request. `headers` is a list of lines; Host and Content-Length are
-- added unless they are in it.
function raw.request(method, target, headers, body)
  local lines = { method .. " " .. target .. " HTTP/1.1" }
  local all = ""
  for _, line in ipairs(headers or {}) do
    lines[#lines + 1] = line
    all = all .. line:lower() .. "\n"
  end
  if not all:find("host:", 1, true) then
    lines[#lines + 1] = "Host: localhost"
  end
  if body and not all:find("content-length:", 1, true) then
    lines[#lines + 1] = "Content-Length: " .. #body
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or "")
end

return raw
