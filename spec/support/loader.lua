--- The scripts folder, kept loaded by the loader alone (mp_scripts_probe): a folder to save into, and
-- what is told of it.
--   before_each(loader.open)
--   after_each(loader.close)
local cjson = require("cjson")
local ffi = require("ffi")
local uv = require("luv")
local eventually = require("spec.support.eventually")
local process = require("spec.support.process")

ffi.cdef([[
int rename(const char *from, const char *to);
int symlink(const char *target, const char *path);
int mkfifo(const char *path, unsigned mode);
]])

-- .home has .folder (the scripts) in it; .child is the probe, .heard its news, decoded, with the time
-- `at` (ns) they were heard.
local loader = {}
local probe = (os.getenv("MOONPOST_BUILD") or "build") .. "/mp_scripts_probe"
local fifo, fences

function loader.write(path, text)
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  assert(file:close())
end

function loader.path_of(name)
  return loader.folder .. "/" .. name
end

function loader.rename(from, to)
  assert(ffi.C.rename(from, to) == 0, from)
end

function loader.link(target, path)
  assert(ffi.C.symlink(target, path) == 0, path)
end

function loader.mkdir(path)
  assert(uv.fs_mkdir(path, 493))
end

function loader.save(name, text)
  loader.write(loader.path_of(name), text)
end

function loader.save_by_rename(name, text)
  loader.write(loader.path_of("." .. name .. ".new"), text)
  loader.rename(loader.path_of("." .. name .. ".new"), loader.path_of(name))
end

function loader.script(n)
  return ('return { url = "https://acme.example/%s?x={x}" }\n'):format(n)
end

function loader.run(...)
  assert(os.execute(table.concat({ ... }, " ")) == 0)
end

--- Tells the probe: "try PARTNER JSON", "rescan", "close", "abandon PARTNER JSON".
function loader.command(text)
  local file = assert(io.open(fifo, "w"))
  file:write(text, "\n")
  file:close()
end

function loader.decode_new()
  for i = #loader.heard + 1, #loader.child.out do
    loader.heard[i] = cjson.decode(loader.child.out[i])
    loader.heard[i].at = uv.hrtime()
  end
end

--- The first news from place `from` on for which `fn` holds, and its place.
function loader.hear(fn, from, what)
  return eventually(function()
    loader.decode_new()
    for i = from or 1, #loader.heard do
      if fn(loader.heard[i]) then
        return loader.heard[i], i
      end
    end
    assert(not loader.child:has_ended(), loader.child:text())
    return nil, loader.child.out[#loader.child.out]
  end, nil, what or "the news")
end

--- Starts the probe; the place of the end of the first pass.
function loader.start(env)
  loader.heard = {}
  loader.child = process.spawn(probe, { args = { loader.folder, fifo }, env = env })
  loader.hear(function(news) return news.loaded end, 1, "the first pass")
  return #loader.heard
end

--- Runs the probe to its end, with other words; it is `.child` then.
function loader.run_probe(args, env)
  loader.heard = {}
  loader.child = process.run(probe, { args = args, env = env })
  return loader.child
end

function loader.hear_generation(source, from)
  return loader.hear(function(news)
    return news.change and news.source == source and not news.error
  end, from, "the new generation")
end

--- Proof that nothing else was told: a file made after it all is told, and nothing before it.
function loader.news_until_now(from)
  fences = fences + 1
  local name = "fence" .. fences
  loader.save(name .. ".lua", loader.script(name))
  local _, at = loader.hear(function(news) return news.change == name end, from, "the fence")
  local list = {}
  for i = from, at - 1 do
    list[#list + 1] = loader.heard[i]
  end
  return list
end

--- The poll finds everything too, two seconds after it last looked: the quicker of two saves tells
-- which of the two it was, on a busy machine too. A save comes when the loader is at rest, which it is
-- a moment after it has told the last. `is_it(news, n)` knows the news of the save: without it, by
-- loader.script(n).
function loader.assert_live(save_nth, from, is_it)
  local quickest = math.huge
  for n = 11, 12 do
    local rest_at = uv.hrtime() + 150e6
    eventually(function() return uv.hrtime() > rest_at end)
    local saved_at = uv.hrtime()
    save_nth(n)
    local news, at = loader.hear(is_it and function(each) return is_it(each, n) end or function(each)
      return each.change and each.source == loader.script(n) and not each.error
    end, from, "the news of the save")
    quickest, from = math.min(quickest, (news.at - saved_at) / 1e6), at + 1
  end
  assert(quickest < 200, ("live after %d ms at best"):format(quickest))
  return from
end

--- The program for PROBE_GATE. Under a sanitizer the interpreter that runs a spec needs it preloaded,
-- as ours does, and leaks on purpose; what a spec begins starts with loader.ALONE, or not at all.
function loader.gate()
  local program = uv.fs_realpath((os.getenv("MOONPOST_BUILD") or "build") .. "/moonpost")
  local preload = os.getenv("DEV_PRELOAD")
  if not preload then
    return program
  end
  local path = loader.home .. "/gate"
  loader.write(path, ('#!/bin/sh\nLD_PRELOAD=%s ASAN_OPTIONS=detect_leaks=0 exec %s "$@"\n'):format(preload, program))
  assert(uv.fs_chmod(path, 493))
  return path
end
loader.ALONE = 'require("ffi").cdef("int unsetenv(const char *name);") require("ffi").C.unsetenv("LD_PRELOAD") '

function loader.open()
  loader.home = assert(uv.fs_mkdtemp("/tmp/moonpost-reload-XXXXXX"))
  loader.folder, fifo, fences = loader.home .. "/scripts", loader.home .. "/commands", 0
  loader.mkdir(loader.folder)
  assert(ffi.C.mkfifo(fifo, 384) == 0)
end

function loader.close()
  local crashed
  local child = loader.child
  if child and not child:has_ended() then
    loader.command("close")
    crashed = child:wait() ~= 0
  end
  local said = child and child:text()
  loader.child = nil
  process.kill_all()
  uv.run("nowait") -- what was closed last is let go before the state closes
  loader.run("rm -rf", loader.home)
  assert(not crashed, said)
end

return loader
