--- A small HTTP proxy: tunnels (CONNECT) and forwards requests in absolute form (RFC 9112 section 3.2.2).
--   local via = proxy.new({ user = "me", password = "pw", hosts = { ["acme.example:80"] = fake.port } })
--   via.requests[1].target; via:url("me:pw@")
local uv = require("luv")
local http1 = require("spec.support.http1")
local tls = require("spec.support.tls")

local proxy = {}
local methods = {}
methods.__index = methods
local open = {}

local function close(handle)
  if not handle:is_closing() then
    handle:close()
  end
end

local function pipe(from, to)
  from:read_start(function(err, bytes)
    if err or not bytes then
      close(from)
      close(to)
    elseif not to:is_closing() then
      to:write(bytes)
    end
  end)
end

-- A name is looked up here and nowhere else, as proxies do.
local function connect(self, authority, client, on_connected)
  local port = self.hosts[authority] or tonumber(authority:match(":(%d+)$") or 80)
  local server = uv.new_tcp()
  self.handles[server] = true
  server:connect("127.0.0.1", port, function(err)
    if err then
      client:write("HTTP/1.1 502 No Way\r\nContent-Length: 0\r\n\r\n")
      return close(server)
    end
    on_connected(server)
  end)
end

local function origin_form(request, path)
  local lines = { ("%s %s HTTP/1.1"):format(request.method, path) }
  for _, field in ipairs(request.fields) do
    if not field[1]:lower():find("^proxy%-") then
      lines[#lines + 1] = field[1] .. ": " .. field[2]
    end
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. request.body
end

local function base64(text)
  local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  return (text:gsub("..?.?", function(three)
    local a, b, c = three:byte(1, 3)
    local bits = a * 65536 + (b or 0) * 256 + (c or 0)
    local out = ""
    for i = 3, 0, -1 do
      local at = math.floor(bits / 64 ^ i) % 64 + 1
      out = out .. alphabet:sub(at, at)
    end
    return out:sub(1, #three + 1) .. ("="):rep(3 - #three)
  end))
end

local function refuse(client, status)
  client:write(("HTTP/1.1 %d Refused\r\nContent-Length: 6\r\nProxy-Authenticate: Basic realm=x\r\n\r\nproxy!"):format(status))
end

local function serve(self, client, request)
  self.requests[#self.requests + 1] = request
  local wanted = self.user and "Basic " .. base64(self.user .. ":" .. self.password)
  if wanted and request.headers["proxy-authorization"] ~= wanted then
    return refuse(client, 407)
  end
  if self.status then
    return refuse(client, self.status)
  end
  if self.hangs_up then
    return close(client)
  end
  local authority, path = request.target:match("^http://([^/]+)(.*)$")
  connect(self, authority or request.target, client, function(server)
    if authority then
      server:write(origin_form(request, path))
      pipe(server, client)
    else
      client:read_stop()
      client:write("HTTP/1.1 200 Connected\r\n\r\n")
      pipe(server, client)
      pipe(client, server)
    end
  end)
end

--- `options.user`, `.password`; `.hosts` are ports by authority; `.status` answers every request so;
-- `.hangs_up` closes instead; `.tls` as of a partner. `.requests` is what arrived, as of a partner.
function proxy.new(options)
  local self = setmetatable({ requests = {}, handles = {}, hosts = {} }, methods)
  for name, value in pairs(options or {}) do
    self[name] = value
  end
  self.server = uv.new_tcp()
  assert(self.server:bind("127.0.0.1", 0))
  self.port = self.server:getsockname().port
  assert(self.server:listen(128, function()
    local client = uv.new_tcp()
    self.server:accept(client)
    self.handles[client] = true
    if self.tls then
      client = tls.wrap(client, tls.context(self.tls))
    end
    local feed = http1.reader({ kind = "request", on_message = function(request)
      serve(self, client, request)
    end })
    client:read_start(function(err, bytes)
      if err or not bytes then
        return close(client)
      end
      feed(bytes)
    end)
  end))
  open[self] = true
  return self
end

--- Its address, with `userinfo` ("me:pw@") in it.
function methods:url(userinfo)
  return ("%s://%s127.0.0.1:%d"):format(self.tls and "https" or "http", userinfo or "", self.port)
end

function proxy.close_all()
  for self in pairs(open) do
    close(self.server)
    for handle in pairs(self.handles) do
      close(handle)
    end
  end
  open = {}
  uv.run("nowait")
end

return proxy
