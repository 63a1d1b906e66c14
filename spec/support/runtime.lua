--- Moonpost itself, as a user starts it: the binary, a folder of its own, a port of its own.
--   local rt = runtime.start({ scripts = { acme = [[return { url = "…" }]] } })
--   rt:post("/events/acme", "{}")
local uv = require("luv")
local cjson = require("cjson")
local eventually = require("spec.support.eventually")
local http = require("spec.support.http")
local process = require("spec.support.process")

local runtime = {}
local methods = {}
methods.__index = methods
local started, folders = {}, {}

function runtime.binary()
  return uv.fs_realpath((os.getenv("MOONPOST_BUILD") or "build") .. "/moonpost")
    or error("there is no moonpost to start: build it first (./dev build)")
end

function runtime.write_file(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

--- A temporary folder that `runtime.clean` removes.
function runtime.folder()
  local path = assert(uv.fs_mkdtemp((os.getenv("TMPDIR") or "/tmp") .. "/moonpost-spec-XXXXXX"))
  folders[#folders + 1] = path
  return path
end

local function remove_tree(path)
  local scan = uv.fs_scandir(path)
  while scan do
    local name, kind = uv.fs_scandir_next(scan)
    if not name then
      break
    end
    if kind == "directory" then
      remove_tree(path .. "/" .. name)
    else
      uv.fs_unlink(path .. "/" .. name)
    end
  end
  uv.fs_rmdir(path)
end

local function launch(self)
  local args = { "run", "--listen", "127.0.0.1:" .. (self.port or 0), "--scripts", self.scripts,
                 "--data", self.data, "--egress-allow", "127.0.0.0/8,::1/128", "--workers", "2" }
  for _, flag in ipairs(self.flags) do
    args[#args + 1] = flag
  end
  self.child = process.spawn(self.binary, { args = args, env = self.env, cwd = self.root })
  self.children[#self.children + 1] = self.child
  local line = self.child:wait_for("listening on http://%S+")
  self.address = line:match("listening on (http://%S+)")
  self.port = tonumber(self.address:match(":(%d+)"))
  eventually(function()
    local answer = self:get("/readyz")
    return answer.status == 200, answer.body
  end, nil, "readiness")
  return self
end

--- Starts one and waits until it is ready. `options`: `scripts` { name = text }, `flags` (a list,
-- behind the usual ones), `env`, `folder` (another runtime's `root`, to find its data again).
function runtime.start(options)
  options = options or {}
  local root = options.folder or runtime.folder()
  local self = setmetatable({
    root = root, scripts = root .. "/scripts", data = root .. "/data", children = {},
    flags = options.flags or {}, env = options.env, binary = options.binary or runtime.binary(),
    expected = {}, log = {},
  }, methods)
  uv.fs_mkdir(self.scripts, 493)
  for name, text in pairs(options.scripts or {}) do
    self:write_script(name, text)
  end
  started[#started + 1] = self
  return launch(self)
end

function methods:url(path)
  return self.address .. path
end

function methods:request(method, path, headers, body)
  return http.request({ method = method, url = self:url(path), headers = headers, body = body })
end

function methods:get(path, headers)
  return self:request("GET", path, headers)
end

--- Posts JSON: `body` is text, or a table that is encoded. The answer also has `.json`.
function methods:post(path, body, headers)
  local fields = { ["Content-Type"] = "application/json" }
  for name, value in pairs(headers or {}) do
    fields[name] = value
  end
  local text = type(body) == "table" and cjson.encode(body) or body
  local answer = self:request("POST", path, fields, text)
  local ok, json = pcall(cjson.decode, answer.body)
  answer.json = ok and json or nil
  return answer
end

--- Posts what must be accepted and returns the ids.
function methods:accept(path, body, headers)
  local answer = self:post(path, body, headers)
  if answer.status ~= 202 then
    error(("%s answered %d: %s"):format(path, answer.status, answer.body), 2)
  end
  return answer.json.ids, answer.json
end

function methods:api(path)
  local answer = self:get(path)
  if answer.status ~= 200 then
    error(("%s answered %d: %s"):format(path, answer.status, answer.body), 2)
  end
  return cjson.decode(answer.body)
end

--- One partner as /api/partners tells it; nil when it is not listed.
function methods:partner(name)
  for _, item in ipairs(self:api("/api/partners?limit=1000").items) do
    if item.name == name then
      return item
    end
  end
end

-- Decodes what a child has said since the last time. Only a kill may leave half a line, and only
-- as the last.
local function read_attempts(self, child)
  for i = (child.lines_read or 0) + 1, #child.out do
    local ok, attempt = pcall(cjson.decode, child.out[i])
    if ok then
      self.log[#self.log + 1] = attempt
    elseif i < #child.out or child.code == 0 then
      error("no JSON line in the attempt log: " .. child.out[i], 3)
    end
    child.lines_read = i
  end
end

--- The attempt log so far, of all starts: the decoded lines of stdout.
function methods:attempts()
  for _, child in ipairs(self.children) do
    read_attempts(self, child)
  end
  return self.log
end

--- Waits for the attempt of delivery `id` (and of number `attempt`) and returns its line.
function methods:attempt(id, attempt, ms)
  return eventually(function()
    for _, line in ipairs(self:attempts()) do
      if line.id == id and (not attempt or line.attempt == attempt) then
        return line
      end
    end
  end, ms, "the attempt's line in the log")
end

--- Saves a script as editors do: written beside, then renamed over.
function methods:write_script(name, text)
  local path = ("%s/%s.lua"):format(self.scripts, name)
  runtime.write_file(path .. ".new", text)
  assert(os.rename(path .. ".new", path))
end

--- Lines of level error that match are not a failure of this spec.
function methods:expect_error(pattern)
  self.expected[#self.expected + 1] = pattern
end

local function unexpected_error(self)
  for _, child in ipairs(self.children) do
    for _, line in ipairs(child.err) do
      local is_expected = not line:find("^%S+ error ")
      for _, pattern in ipairs(self.expected) do
        is_expected = is_expected or line:find(pattern) ~= nil
      end
      if not is_expected then
        return line
      end
    end
  end
end

--- SIGTERM, once: a second one would end it on the spot.
function methods:terminate()
  if not self.child.is_told then
    self.child.is_told = true
    self.child:kill("sigterm")
  end
end

--- SIGTERM, and an orderly end: exit code 0, nothing leaked, no error in the log.
function methods:stop(ms)
  local child = self.child
  self:terminate()
  local code, signal = child:wait(ms)
  self.is_checked = true
  if code ~= 0 or signal ~= 0 then
    error(("moonpost ended with code %d, signal %d:\n%s"):format(code, signal, child:text()), 2)
  end
  local line = unexpected_error(self)
  if line then
    error("moonpost logged an error: " .. line, 2)
  end
end

function methods:kill9()
  self.child:kill("sigkill")
  self.child:wait()
  self.is_checked = true
end

--- Starts again on the same folder and the same port.
function methods:restart()
  if self.child.code == nil then
    self:stop()
  end
  self.is_checked = nil
  return launch(self)
end

--- Ends, checks and removes everything that was started; what was not stopped is stopped orderly.
-- A spec that started one has this as its after_each.
function runtime.clean()
  local first_error
  for _, self in ipairs(started) do
    if not self.is_checked and self.child then
      local ok, err = pcall(self.stop, self)
      first_error = first_error or (not ok and err) or nil
    end
  end
  process.kill_all()
  for _, path in ipairs(folders) do
    remove_tree(path)
  end
  started, folders = {}, {}
  if first_error then
    error(first_error, 0)
  end
end

return runtime
