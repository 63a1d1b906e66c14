--- Child processes on the spec's libuv loop: their lines, their end, and no child left behind, not
-- even by an interpreter that was killed.
local uv = require("luv")
local eventually = require("spec.support.eventually")

local process = {}
local methods = {}
methods.__index = methods
local running = {}
local wrapper = uv.fs_stat("/usr/bin/setpriv") and { "/usr/bin/setpriv", "--pdeathsig", "KILL" }

-- A child is the program under test, not the spec's interpreter: with leak detection, which the
-- interpreter itself could not stand, and without its preloaded sanitizer (spec/support/helper.lua).
local sanitizers = {
  ASAN_OPTIONS = "detect_leaks=1:exitcode=99:detect_stack_use_after_return=1",
  UBSAN_OPTIONS = "halt_on_error=1:print_stacktrace=1:exitcode=99",
  TSAN_OPTIONS = "exitcode=66:second_deadlock_stack=1:suppressions=" .. uv.cwd() .. "/spec/support/tsan.supp",
}

local function environment(extra)
  local merged = {}
  for name, value in pairs(uv.os_environ()) do
    if not name:find("^MOONPOST_") then
      merged[name] = value
    end
  end
  for name, value in pairs(sanitizers) do
    merged[name] = value
  end
  for name, value in pairs(extra or {}) do
    merged[name] = value or nil
  end
  local list = {}
  for name, value in pairs(merged) do
    list[#list + 1] = name .. "=" .. value
  end
  return list
end

local function collect_lines(pipe, lines, on_closed)
  local rest = ""
  pipe:read_start(function(_, chunk)
    if not chunk then
      if #rest > 0 then
        lines[#lines + 1] = rest
      end
      pipe:close()
      on_closed()
      return
    end
    rest = rest .. chunk
    local from = 1
    while true do
      local at = rest:find("\n", from, true)
      if not at then
        break
      end
      lines[#lines + 1] = rest:sub(from, at - 1)
      from = at + 1
    end
    rest = rest:sub(from)
  end)
end

-- Ends with us: setpriv asks the kernel for that, and becomes the program.
local function command(path, args)
  if not wrapper then
    return path, args
  end
  local list = { unpack(wrapper, 2) }
  list[#list + 1] = path
  for _, arg in ipairs(args) do
    list[#list + 1] = arg
  end
  return wrapper[1], list
end

local function collect_output(child, stdout, stderr)
  local function on_closed()
    child.open = child.open - 1
  end
  child.open = 2
  collect_lines(stdout, child.out, on_closed)
  collect_lines(stderr, child.err, on_closed)
end

--- Starts `path` with `options.args`, `.env` (added; false removes), `.cwd`, `.input` (its stdin;
-- with `.keep_input_open` more can be written to the child's `.input`, which its owner closes),
-- `.log` (an open file for what it says, which is not collected then), `.stays` (kill_all spares it).
-- The child has `.pid`, `.out` and `.err` (lists of lines), `.code` and `.signal` once it has ended.
function process.spawn(path, options)
  options = options or {}
  local child = setmetatable({ path = path, out = {}, err = {}, open = 0 }, methods)
  local stdout = options.log or uv.new_pipe(false)
  local stderr = options.log or uv.new_pipe(false)
  local stdin = options.input and uv.new_pipe(false) or nil
  local file, args = command(path, options.args or {})
  local handle, pid = uv.spawn(file, {
    args = args,
    env = environment(options.env),
    cwd = options.cwd,
    stdio = { stdin, stdout, stderr },
  }, function(code, signal)
    child.code, child.signal = code, signal
    running[child] = nil
    child.handle:close()
  end)
  if not handle then
    if not options.log then
      stdout:close()
      stderr:close()
    end
    error(("could not start %s: %s"):format(path, tostring(pid)), 2)
  end
  child.handle, child.pid, child.stays = handle, pid, options.stays
  running[child] = true
  if not options.log then
    collect_output(child, stdout, stderr)
  end
  if stdin and options.keep_input_open then
    stdin:write(options.input)
    child.input = stdin
  elseif stdin then
    stdin:write(options.input, function()
      stdin:close()
    end)
  end
  return child
end

--- Runs to the end and returns the child; for the short commands.
function process.run(path, options)
  local child = process.spawn(path, options)
  child:wait((options or {}).deadline_ms)
  return child
end

function methods:has_ended()
  return self.code ~= nil and self.open == 0
end

function methods:wait(ms)
  eventually(function()
    return self:has_ended()
  end, ms, "the end of " .. self.path)
  return self.code, self.signal
end

--- The first line of stderr (or of `self[stream]`) from line `from` on that matches; waits for it.
function methods:wait_for(pattern, ms, stream, from)
  local lines = self[stream or "err"]
  return eventually(function()
    for i = from or 1, #lines do
      if lines[i]:find(pattern) then
        return lines[i]
      end
    end
    if self:has_ended() then
      error(("%s ended (code %d, signal %d) without a line like %q:\n%s"):format(self.path,
        self.code, self.signal, pattern, self:text()), 0)
    end
    return nil, lines[#lines]
  end, ms, ("a line like %q"):format(pattern))
end

--- Everything it said on stderr (or of `self[stream]`), as one text.
function methods:text(stream)
  return table.concat(self[stream or "err"], "\n")
end

function methods:kill(signal)
  if self.code == nil then
    self.handle:kill(signal or "sigterm")
  end
end

local function runs_any()
  for child in pairs(running) do
    if not child.stays then
      return true
    end
  end
end

--- Ends whatever still runs, but what is to stay.
function process.kill_all()
  for child in pairs(running) do
    if not child.stays then
      child:kill("sigkill")
    end
  end
  while runs_any() do
    uv.run("once")
  end
end

-- Also when the spec process ends early. The loop may be gone by then: only a signal.
process.guard = newproxy(true)
getmetatable(process.guard).__gc = function()
  for child in pairs(running) do
    uv.kill(child.pid, "sigkill")
  end
end

return process
