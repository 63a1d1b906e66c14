--- A user's own repository, and the programs that its owner runs in it.
local uv = require("luv")
local process = require("spec.support.process")
local runtime = require("spec.support.runtime")

local author = {}

-- libmp_testing.so of a build with a sanitizer is for an interpreter with that sanitizer.
local function environment(extra)
  local preload = os.getenv("DEV_PRELOAD")
  local env = {
    LD_PRELOAD = preload or false, ASAN_OPTIONS = preload and "detect_leaks=0" or nil,
    LUA_PATH = false, LUA_CPATH = false,
  }
  for name, value in pairs(extra or {}) do
    env[name] = value
  end
  return env
end

--- Runs a program of PATH, or Moonpost's with `path` nil, in `folder`. `env` is added.
function author.run(folder, path, args, env)
  local file = path and "/usr/bin/env" or runtime.binary()
  return process.run(file, { cwd = folder, args = path and { path, unpack(args) } or args,
                             env = environment(env), deadline_ms = 60000 })
end

--- The same, still running.
function author.start(folder, path, args, env)
  return process.spawn("/usr/bin/env", { cwd = folder, args = { path, unpack(args) }, env = environment(env) })
end

function author.read(path)
  local file = io.open(path)
  local text = file and file:read("*a")
  return text, file and file:close()
end

local function walk(folder, prefix, list)
  local scan = assert(uv.fs_scandir(folder))
  while true do
    local name, kind = uv.fs_scandir_next(scan)
    if not name then
      return list
    end
    list[#list + 1] = prefix .. name
    if kind == "directory" then
      walk(folder .. "/" .. name, prefix .. name .. "/", list)
    end
  end
end

--- Every file and folder in it, sorted.
function author.tree(folder)
  local list = walk(folder, "", {})
  table.sort(list)
  return list
end

return author
