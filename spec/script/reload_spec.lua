--- The scripts folder, kept loaded: what each kind of save does, told by the loader alone.
local cjson = require("cjson")
local ffi = require("ffi")
local uv = require("luv")
local eventually = require("spec.support.eventually")
local process = require("spec.support.process")

ffi.cdef([[
int rename(const char *from, const char *to);
int symlink(const char *target, const char *path);
int chmod(const char *path, unsigned mode);
int mkfifo(const char *path, unsigned mode);
unsigned geteuid(void);
]])

local build = os.getenv("MOONPOST_BUILD") or "build"
local home, folder, fifo, child, heard

local function write(path, text)
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  assert(file:close())
end

local function path_of(name)
  return folder .. "/" .. name
end

local function rename(from, to)
  assert(ffi.C.rename(from, to) == 0, from)
end

local function save(name, text)
  write(path_of(name), text)
end

local function save_by_rename(name, text)
  write(path_of("." .. name .. ".new"), text)
  rename(path_of("." .. name .. ".new"), path_of(name))
end

local function script(n)
  return ('return { url = "https://acme.example/%s?x={x}" }\n'):format(n)
end

local function run(...)
  assert(os.execute(table.concat({ ... }, " ")) == 0)
end

local function command(text)
  local file = assert(io.open(fifo, "w"))
  file:write(text, "\n")
  file:close()
end

local function decode_new()
  for i = #heard + 1, #child.out do
    heard[i] = cjson.decode(child.out[i])
    heard[i].at = uv.hrtime()
  end
end

-- The first news from place `from` on for which `fn` holds.
local function hear(fn, from, what)
  return eventually(function()
    decode_new()
    for i = from or 1, #heard do
      if fn(heard[i]) then
        return heard[i], i
      end
    end
    assert(not child:has_ended(), child:text())
    return nil, child.out[#child.out]
  end, nil, what or "the news")
end

local function start(env)
  heard = {}
  child = process.spawn(build .. "/mp_scripts_probe", { args = { folder, fifo }, env = env })
  hear(function(news) return news.loaded end, 1, "the first pass")
  return #heard
end

local function hear_generation(source, from)
  return hear(function(news)
    return news.change and news.source == source and not news.error
  end, from, "the new generation")
end

-- Proof that nothing else was told: a file made after it all is told, and nothing before it.
local fences = 0
local function news_until_now(from)
  fences = fences + 1
  local name = "fence" .. fences
  save(name .. ".lua", script(name))
  local _, at = hear(function(news) return news.change == name end, from, "the fence")
  local list = {}
  for i = from, at - 1 do
    list[#list + 1] = heard[i]
  end
  return list
end

describe("the scripts folder", function()
  before_each(function()
    home = assert(uv.fs_mkdtemp("/tmp/moonpost-reload-XXXXXX"))
    folder, fifo = home .. "/scripts", home .. "/commands"
    assert(uv.fs_mkdir(folder, 493))
    assert(ffi.C.mkfifo(fifo, 384) == 0)
  end)

  after_each(function()
    local crashed
    if child and not child:has_ended() then
      command("close")
      crashed = child:wait() ~= 0
    end
    local said = child and child:text()
    child = nil
    process.kill_all()
    uv.run("nowait") -- what was closed last is let go before the state closes
    run("rm -rf", home)
    assert(not crashed, said)
  end)

  it("is told whole before the first pass ends, broken files too", function()
    save("zeta.lua", script("z"))
    save("acme.lua", script("a"))
    save("bad.lua", "return {\n  url = = 1 }\n")
    local last = start()
    assert.equal(4, last)
    assert.same({ "acme", "bad", "zeta" }, { heard[1].change, heard[2].change, heard[3].change })
    assert.equal(script("a"), heard[1].source)
    assert.truthy(heard[2].error:find("scripts/bad.lua:2:", 1, true), heard[2].error)
    assert.is_nil(heard[2].source)
    assert.equal(12, #heard[1].generation)
  end)

  it("takes an empty folder and a file that comes later", function()
    assert.equal(1, start())
    save("acme.lua", script(1))
    hear_generation(script(1), 1)
  end)

  it("refuses to start without a folder", function()
    child = process.run(build .. "/mp_scripts_probe", { args = { home .. "/none", fifo } })
    assert.equal(1, child.code)
    assert.truthy(child:text():find("could not read the scripts folder " .. home .. "/none: No such",
      1, true), child:text())
  end)

  it("takes a file saved in place", function()
    save("acme.lua", script(1))
    local from = start()
    for n = 2, 4 do
      save("acme.lua", script(n))
      local _, at = hear_generation(script(n), from)
      from = at
    end
  end)

  -- The poll finds everything too, two seconds after it last looked: the quicker of two saves tells
  -- which of the two it was, on a busy machine too. A save comes when the loader is at rest, which
  -- it is a moment after it has told the last.
  local function assert_live(save_nth, from)
    local quickest = math.huge
    for n = 11, 12 do
      local rest_at = uv.hrtime() + 150e6
      eventually(function() return uv.hrtime() > rest_at end)
      local saved_at = uv.hrtime()
      save_nth(n)
      local news, at = hear_generation(script(n), from)
      quickest, from = math.min(quickest, (news.at - saved_at) / 1e6), at
    end
    assert.is_true(quickest < 200, ("live after %d ms at best"):format(quickest))
    return from
  end

  it("is live within 200 ms of a save, in place or by renaming", function()
    save("acme.lua", script(1))
    local from = start()
    from = assert_live(function(n) save("acme.lua", script(n)) end, from)
    assert_live(function(n) save_by_rename("acme.lua", script(n)) end, from + 1)
  end)

  it("is live within 200 ms of a save where a link leads", function()
    assert(uv.fs_mkdir(home .. "/elsewhere", 493))
    write(home .. "/elsewhere/acme.lua", script(1))
    assert(ffi.C.symlink(home .. "/elsewhere/acme.lua", path_of("acme.lua")) == 0)
    local from = start()
    assert_live(function(n) write(home .. "/elsewhere/acme.lua", script(n)) end, from)
  end)

  it("is live within 200 ms in a folder that took another's place", function()
    save("acme.lua", script(1))
    local from = start()
    run("cp -r", folder, home .. "/next")
    rename(folder, home .. "/old")
    rename(home .. "/next", folder)
    save("acme.lua", script(2))
    local _, at = hear_generation(script(2), from)
    assert_live(function(n) save("acme.lua", script(n)) end, at)
  end)

  it("takes a file of the same size saved twice within a moment", function()
    save("acme.lua", script(1))
    local from = start()
    for n = 2, 9 do
      save("acme.lua", script(n))
    end
    hear_generation(script(9), from)
  end)

  it("takes a file saved by renaming another over it", function()
    save("acme.lua", script(1))
    local from = start()
    save_by_rename("acme.lua", script(2))
    hear_generation(script(2), from)
  end)

  it("takes a file saved as vim does, and nothing of what lies beside it", function()
    save("acme.lua", script(1))
    local from = start() + 1
    save(".acme.lua.swp", "swap")
    save("4913", "")
    rename(path_of("acme.lua"), path_of("acme.lua~"))
    save("acme.lua", script(2))
    assert(os.remove(path_of("acme.lua~")))
    hear_generation(script(2), from)
    for _, news in ipairs(news_until_now(from)) do
      assert.equal("acme", news.change)
      assert.is_nil(news.gone)
      assert.is_nil(news.error)
    end
  end)

  it("ignores editors' files and warns once of a name that no partner has", function()
    local from = start() + 1
    for _, name in ipairs({ ".acme.lua", "acme.lua~", "acme.lua.swp", "acme.lua.tmp", "4913",
      "#acme.lua#", ".#acme.lua", "notes.txt", "lua" }) do
      save(name, script(name))
    end
    assert(uv.fs_mkdir(path_of("lib"), 493))
    assert(uv.fs_mkdir(path_of("folder.lua"), 493))
    write(path_of("lib/help.lua"), "return {}")
    save("Acme.lua", script(1))
    assert.same({}, news_until_now(from))
    save("Acme.lua", script(2))
    assert.same({}, news_until_now(#heard + 1))
    local _, warnings = child:text():gsub("Acme%.lua is no partner", "")
    assert.equal(1, warnings)
  end)

  it("keeps the old script when the new one does not compile", function()
    save("acme.lua", script(1))
    local from = start()
    local old = heard[1].generation
    save("acme.lua", "return {\n\n  url = = 1 }\n")
    local broken, at = hear(function(news) return news.error end, from)
    assert.truthy(broken.error:find("/scripts/acme.lua:3:", 1, true), broken.error)
    assert.equal(old, broken.generation)
    save("acme.lua", script(2))
    local fixed = hear_generation(script(2), at)
    assert.are_not.equal(old, fixed.generation)
  end)

  it("takes the old content back after a broken one", function()
    save("acme.lua", script(1))
    local from = start()
    save("acme.lua", "return {")
    local _, at = hear(function(news) return news.error end, from)
    save("acme.lua", script(1))
    assert.equal(heard[1].generation, hear_generation(script(1), at + 1).generation)
  end)

  it("does not tell of half a save", function()
    save("acme.lua", script(1))
    local from = start() + 1
    local whole = script(2)
    local file = assert(io.open(path_of("acme.lua"), "w"))
    file:write(whole:sub(1, 20))
    file:flush()
    assert.same({}, news_until_now(from))
    file:write(whole:sub(21))
    file:close()
    local _, at = hear_generation(whole, from)
    for i = from, at do
      -- Under load the second half may come later than a fault is held back, but never half a script.
      assert.is_true(heard[i].source == nil or heard[i].source == script(1)
        or heard[i].source == whole or heard[i].change ~= "acme")
    end
  end)

  it("tells of a half-written file that stays half", function()
    save("acme.lua", script(1))
    local from = start()
    local file = assert(io.open(path_of("acme.lua"), "w"))
    file:write("return {")
    file:flush()
    local broken = hear(function(news) return news.error end, from)
    file:close()
    assert.equal(heard[1].generation, broken.generation)
  end)

  it("says nothing when the content is the same", function()
    save("acme.lua", script(1))
    local from = start() + 1
    save("acme.lua", script(1))
    save_by_rename("acme.lua", script(1))
    ffi.C.chmod(path_of("acme.lua"), 384)
    assert.same({}, news_until_now(from))
  end)

  it("follows a ConfigMap's ..data", function()
    assert(uv.fs_mkdir(path_of("..t1"), 493))
    assert(uv.fs_mkdir(path_of("..t2"), 493))
    save("..t1/acme.lua", script(1))
    save("..t2/acme.lua", script(2))
    assert(ffi.C.symlink("..t1", path_of("..data")) == 0)
    assert(ffi.C.symlink("..data/acme.lua", path_of("acme.lua")) == 0)
    local from = start()
    assert.equal(script(1), heard[1].source)
    assert(ffi.C.symlink("..t2", path_of("..data_tmp")) == 0)
    rename(path_of("..data_tmp"), path_of("..data"))
    run("rm -rf", path_of("..t1"))
    local _, at = hear_generation(script(2), from)
    save("..t2/acme.lua", script(3)) -- where the link leads, no event names the folder itself
    _, at = hear_generation(script(3), at)
    for i = from, at do
      assert.is_nil(heard[i].gone)
    end
  end)

  it("polls where there is no inotify", function()
    assert(uv.fs_mkdir(path_of("..t1"), 493))
    assert(uv.fs_mkdir(path_of("..t2"), 493))
    save("..t1/linked.lua", script(1))
    save("..t2/linked.lua", script(2))
    assert(ffi.C.symlink("..t1", path_of("..data")) == 0)
    assert(ffi.C.symlink("..data/linked.lua", path_of("linked.lua")) == 0)
    save("acme.lua", script(1))
    local from = start({ PROBE_BLIND = "1" })
    assert.truthy(child:text():find("inotify cannot be had", 1, true))
    save("acme.lua", script(3))
    local _, at = hear_generation(script(3), from)
    save_by_rename("acme.lua", script(4))
    _, at = hear_generation(script(4), at)
    assert(ffi.C.symlink("..t2", path_of("..data_tmp")) == 0)
    rename(path_of("..data_tmp"), path_of("..data"))
    _, at = hear_generation(script(2), at)
    assert(os.remove(path_of("acme.lua")))
    hear(function(news) return news.gone end, at)
  end)

  it("tells that a file is gone, and that it is back", function()
    save("acme.lua", script(1))
    local from = start()
    assert(os.remove(path_of("acme.lua")))
    local gone, at = hear(function(news) return news.gone end, from)
    assert.same({ "acme" }, { gone.change, gone.source, gone.error })
    command("try acme {}")
    assert.equal("ENOTFOUND", hear(function(news) return news.try end, at).status)
    save("acme.lua", script(1))
    hear_generation(script(1), at)
  end)

  it("does not take the gap of a slow rename for a file that is gone", function()
    save("acme.lua", script(1))
    local from = start()
    local first, gap
    for _ = 1, 20 do
      local began = uv.hrtime()
      first = from + 1
      rename(path_of("acme.lua"), path_of("aside"))
      command("rescan")
      for _ = 1, 2 do -- the second is answered behind the scan
        command("try acme {}")
        local _, at = hear(function(news) return news.try end, from + 1)
        from = at
      end
      rename(path_of("aside"), path_of("acme.lua"))
      gap = (uv.hrtime() - began) / 1e6
      if gap < 80 then -- else the machine slept, and gone is right
        break
      end
    end
    assert.is_true(gap < 80)
    for _, news in ipairs(news_until_now(first)) do
      assert.is_nil(news.gone)
    end
  end)

  it("follows the folder when another takes its place", function()
    save("acme.lua", script(1))
    local from = start()
    assert(uv.fs_mkdir(home .. "/next", 493))
    write(home .. "/next/acme.lua", script(2))
    rename(folder, home .. "/old")
    rename(home .. "/next", folder)
    local _, at = hear_generation(script(2), from)
    save("acme.lua", script(3))
    hear_generation(script(3), at)
  end)

  it("waits for a folder that is removed, and takes what returns", function()
    save("acme.lua", script(1))
    local from = start()
    run("rm -rf", folder)
    local _, at = hear(function(news) return news.gone end, from)
    assert(uv.fs_mkdir(folder, 493))
    save("acme.lua", script(2))
    _, at = hear_generation(script(2), at)
    save("acme.lua", script(3))
    hear_generation(script(3), at)
  end)

  it("never loads half a script while a thousand are swapped in", function()
    local pad = ("-- padding\n"):rep(3000)
    local function long(n)
      return ("-- %d\n"):format(n) .. pad .. ('return { url = "https://acme.example/%d" }\n-- %d\n'):format(n, n)
    end
    save("acme.lua", long(0))
    local from = start()
    for n = 1, 1000 do
      save_by_rename("acme.lua", long(n))
    end
    local _, last = hear_generation(long(1000), from)
    for i = 1, last do
      local source = heard[i].source
      if source then
        assert.equal(long(tonumber(source:match("^%-%- (%d+)\n"))), source)
      end
      assert.is_nil(heard[i].error)
      assert.is_nil(heard[i].gone)
    end
  end)

  it("names the limit when a script is over it", function()
    save("acme.lua", script(1) .. ("-"):rep(1024 * 1024))
    start()
    assert.truthy(heard[1].error:find("acme.lua:1: a script has at most 1024 KiB", 1, true),
      heard[1].error)
  end)

  if ffi.C.geteuid() ~= 0 then
    it("serves the old one while a file cannot be read", function()
      save("acme.lua", script(1))
      local from = start()
      ffi.C.chmod(path_of("acme.lua"), 0)
      local told, at = hear(function(news) return news.error end, from)
      assert.truthy(told.error:find("Permission denied", 1, true))
      assert.equal(script(1), told.source)
      ffi.C.chmod(path_of("acme.lua"), 384)
      hear_generation(script(1), at + 1)
    end)
  end

  it("looks again when asked to, and tries what is broken once more", function()
    save("acme.lua", script(1))
    save("bad.lua", "return {")
    local from = start() + 1
    command("rescan")
    assert.same({}, news_until_now(from))
  end)

  it("answers a try with the newest generation", function()
    save("acme.lua", script(1))
    local from = start()
    command('try acme {"x":12345678901234567890}')
    local answer, at = hear(function(news) return news.try end, from)
    assert.same({ "OK", "GET", "https://acme.example/1?x=12345678901234567890" },
      { answer.status, answer.method, answer.url })
    assert.equal(heard[1].generation, answer.generation)
    save("acme.lua", script(2))
    hear_generation(script(2), at)
    command('try acme {"x":"y z"}')
    answer = hear(function(news) return news.try end, at + 1)
    assert.equal("https://acme.example/2?x=y%20z", answer.url)
  end)

  it("answers a try of a broken script with its last good generation, and of none at once", function()
    save("acme.lua", script(1))
    save("bad.lua", "return {")
    local from = start()
    save("acme.lua", "return {")
    local _, at = hear(function(news) return news.error end, from)
    command('try acme {"x":1}')
    assert.equal("OK", hear(function(news) return news.try == "acme" end, at).status)
    command("try bad {}")
    assert.equal("ENOTFOUND", hear(function(news) return news.try == "bad" end, at).status)
    command("try nobody {}")
    assert.equal("ENOTFOUND", hear(function(news) return news.try == "nobody" end, at).status)
  end)

  it("gives the reason when a try has no request", function()
    save("acme.lua", 'return { url = "https://acme.example/", required = { "click_id" } }')
    local from = start()
    command("try acme {}")
    local answer = hear(function(news) return news.try end, from)
    assert.same({ "EDEAD", "dead: missing click_id" }, { answer.status, answer.reason })
  end)

  it("answers every try that waits when it is closed", function()
    save("acme.lua", script(1))
    start()
    command('abandon acme {"x":1}')
    child:wait()
    decode_new()
    local answers = 0
    for _, news in ipairs(heard) do
      if news.try then
        answers = answers + 1
        assert.is_true(news.status == "OK" or news.status == "ECLOSED")
      end
    end
    assert.equal(100, answers)
    assert.is_true(heard[#heard].closed)
    assert.equal(0, child.code)
  end)

  it("closes while files change", function()
    start()
    for n = 1, 50 do
      save("p" .. n .. ".lua", script(n))
    end
    command("close")
    assert.equal(0, (child:wait()))
  end)

  it("is checked file by file without a server", function()
    save("acme.lua", script(1))
    save("bad.lua", "return {\n = }")
    save("Wrong.lua", script(1))
    save(".hidden.lua", "return {")
    heard = {}
    child = process.run(build .. "/mp_scripts_probe", { args = { "check", folder .. "/" } })
    decode_new()
    assert.equal(2, child.code)
    assert.same({ folder .. "/Wrong.lua", folder .. "/acme.lua", folder .. "/bad.lua" },
      { heard[1].file, heard[2].file, heard[3].file })
    assert.truthy(heard[1].error:find("is no partner", 1, true))
    assert.is_nil(heard[2].error)
    assert.truthy(heard[3].error:find("bad.lua:2:", 1, true))
    child = process.run(build .. "/mp_scripts_probe", { args = { "check", path_of("acme.lua") } })
    assert.equal(0, child.code)
    child = process.run(build .. "/mp_scripts_probe", { args = { "check", path_of("none.lua") } })
    assert.equal(1, child.code)
    assert.truthy(child.out[1]:find("No such file", 1, true))
  end)

  it("is tried from its file without a server", function()
    save("acme.lua", script(1))
    heard = {}
    local function try(partner)
      child = process.run(build .. "/mp_scripts_probe", { args = { "try", folder, partner, '{"x":1}' } })
      return child.code
    end
    assert.equal(0, try("acme"))
    assert.equal("https://acme.example/1?x=1", cjson.decode(child.out[1]).url)
    for _, partner in ipairs({ "none", "../acme", "" }) do
      assert.equal(1, try(partner))
      assert.truthy(child:text():find("could not try", 1, true))
    end
  end)
end)
