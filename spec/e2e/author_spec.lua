--- What a script's author does in a repository of their own, outside this tree: `moonpost new`, and then
-- `check`, `try`, `test`, luacheck and plain busted on what it wrote.
local uv = require("luv")
local author = require("spec.support.author")
local support = require("spec.support")
local eventually, runtime = support.eventually, support.runtime

local function moonpost(code, folder, args, env)
  local child = author.run(folder, nil, args, env)
  assert.equal(code, child.code, table.concat(args, " ") .. ": " .. child:text() .. "\n" .. child:text("out"))
  return child
end

local function new(folder, ...)
  return moonpost(0, folder, { "new", ... })
end

-- A repository with a partner in it.
local function with(...)
  local folder = runtime.folder()
  for _, name in ipairs({ ... }) do
    new(folder, name)
  end
  return folder
end

local function replace(path, from, to)
  local text = assert(author.read(path))
  local at, stop = text:find(from, 1, true)
  runtime.write_file(path, text:sub(1, assert(at) - 1) .. to .. text:sub(stop + 1))
end

local function passed(child)
  local count = child:text("out"):match("(%d+) success")
  return tonumber(count)
end

describe("moonpost new", function()
  after_each(support.clean)

  local whole = {
    ".busted", ".luacheckrc", ".luarc.json", ".moonpost", ".moonpost/library", ".moonpost/library/moonpost.lua",
    ".moonpost/library/testing.lua", "scripts", "scripts/acme.lua", "scripts/spec", "scripts/spec/acme_spec.lua",
  }

  it("writes a script, its spec and what editors, luacheck and busted look for", function()
    local folder = runtime.folder()
    local child = new(folder, "acme")
    assert.same(whole, author.tree(folder))
    assert.same({
      "wrote scripts/acme.lua", "wrote scripts/spec/acme_spec.lua", "wrote .luarc.json", "wrote .luacheckrc",
      "wrote .busted", "wrote .moonpost/library/moonpost.lua", "wrote .moonpost/library/testing.lua", "",
      "Now change scripts/acme.lua to what the partner wants, and its spec with it:",
      "  moonpost check scripts/acme.lua", [[  moonpost try acme '{"click_id":"c-1"}']], "  moonpost test acme",
    }, child.out)
    assert.equal("", child:text())
  end)

  it("writes what works as it is", function()
    local folder = with("acme", "postback")
    assert.equal(2, #moonpost(0, folder, { "check" }).out)
    assert.equal("GET https://partner.example/postback?click=c-1",
      moonpost(0, folder, { "try", "acme", '{"click_id":"c-1"}' }).out[1])
    assert.equal(4, passed(moonpost(0, folder, { "test", "acme" })))
    assert.equal(6, passed(author.run(folder, "busted", {})))
    local checked = author.run(folder, "luacheck", { ".", "--no-color" })
    assert.equal(0, checked.code, checked:text("out"))
    assert.truthy(checked:text("out"):find("0 warnings / 0 errors in 4 files", 1, true), checked:text("out"))
  end)

  it("tells what to do next with words that work", function()
    local folder = runtime.folder()
    for _, name in ipairs({ "acme", "postback" }) do
      local said = new(folder, name).out
      for i = #said - 2, #said do
        local words = assert(said[i]:match("^  moonpost (.*)$"), said[i])
        local child = author.run(folder, "sh", { "-c", runtime.binary() .. " " .. words })
        assert.equal(0, child.code, words .. ": " .. child:text())
      end
    end
  end)

  it("writes a spec that fails when the script is broken", function()
    local folder = with("acme")
    replace(folder .. "/scripts/acme.lua", "click={click_id}", "clock={click_id}")
    local child = moonpost(1, folder, { "test" })
    assert.truthy(child:text("out"):find("clock=c%201", 1, true), child:text("out"))
    assert.is_not.equal(0, author.run(folder, "busted", {}).code)
    replace(folder .. "/scripts/acme.lua", "return {", "return {{")
    child = moonpost(1, folder, { "test" })
    assert.truthy((child:text("out") .. child:text()):find("scripts/acme.lua:", 1, true), child:text("out"))
  end)

  it("is named in errors without the slashes that --scripts has", function()
    local folder = with("acme")
    runtime.write_file(folder .. "/scripts/bad.lua", "return {")
    for _, scripts in ipairs({ "scripts", "./scripts", "scripts/", "./scripts//" }) do
      for _, args in ipairs({ { "check" }, { "try", "bad", "{}" } }) do
        local child = moonpost(1, folder, { args[1], "--scripts", scripts, unpack(args, 2) })
        local said = child:text("out") .. child:text()
        assert.truthy(("\n" .. said):find("[\n ]scripts/bad%.lua:1: "), said)
      end
    end
  end)

  it("is known to luacheck: globals that a script has not are found", function()
    local folder = with("acme")
    replace(folder .. "/scripts/acme.lua", "return {", "local now = os.time() + time.noon()\nreturn { vars = { now = now },")
    local checked = author.run(folder, "luacheck", { "scripts/acme.lua", "--no-color" })
    for _, what in ipairs({ "undefined variable 'os'", "undefined field 'noon' of global 'time'" }) do
      assert.truthy(checked:text("out"):find("accessing " .. what, 1, true), checked:text("out"))
    end
  end)

  it("changes nothing and says so when the partner is there", function()
    local folder = with("acme")
    replace(folder .. "/scripts/acme.lua", "missing ", "-- mine\n  missing ")
    local mine = author.read(folder .. "/scripts/acme.lua")
    local child = moonpost(1, folder, { "new", "acme" })
    assert.equal("moonpost: scripts/acme.lua is there already: nothing was changed", child:text())
    assert.equal("", child:text("out"))
    assert.equal(mine, author.read(folder .. "/scripts/acme.lua"))
    os.remove(folder .. "/scripts/acme.lua")
    assert.equal("moonpost: scripts/spec/acme_spec.lua is there already: nothing was changed",
      moonpost(1, folder, { "new", "acme" }):text())
    assert(uv.fs_symlink("nowhere", folder .. "/scripts/beta.lua"))
    assert.equal("moonpost: scripts/beta.lua is there already: nothing was changed",
      moonpost(1, folder, { "new", "beta" }):text())
    assert.is_nil(author.read(folder .. "/scripts/spec/beta_spec.lua"))
  end)

  it("keeps settings that are there", function()
    local folder = runtime.folder()
    runtime.write_file(folder .. "/.luacheckrc", "-- mine\n")
    new(folder, "acme")
    local child = new(folder, "beta")
    assert.same({ "wrote scripts/beta.lua", "wrote scripts/spec/beta_spec.lua", "kept .luarc.json", "kept .luacheckrc",
                  "kept .busted" }, { unpack(child.out, 1, 5) })
    assert.equal("-- mine\n", author.read(folder .. "/.luacheckrc"))
    assert.equal(8, passed(moonpost(0, folder, { "test" })))
  end)

  it("takes back what it made when the rest cannot be written", function()
    for _, in_the_way in ipairs({ ".moonpost", "scripts/spec", "a/b" }) do
      local folder = runtime.folder()
      uv.fs_mkdir(folder .. "/scripts", 493)
      uv.fs_mkdir(folder .. "/a", 493)
      runtime.write_file(folder .. "/" .. in_the_way, "a file")
      local before = author.tree(folder)
      local scripts = in_the_way == "a/b" and "a/b/c" or "scripts"
      local child = moonpost(1, folder, { "new", "acme", "--scripts", scripts })
      assert.truthy(child:text():find("^moonpost: could not write .*: Not a directory$"), child:text())
      assert.equal("", child:text("out"))
      assert.same(before, author.tree(folder))
    end
  end)

  it("refuses what is no partner's name", function()
    local folder = runtime.folder()
    for _, name in ipairs({ "Acme", "-a", "a.b", "a/b", "../a", "", "é", ("a"):rep(65) }) do
      assert.equal(('moonpost: "%s" is no partner\'s name: [a-z0-9][a-z0-9_-]{0,63}'):format(name),
        moonpost(2, folder, { "new", "--", name }):text())
    end
    moonpost(2, folder, { "new" })
    moonpost(2, folder, { "new", "a", "b" })
    assert.same({}, author.tree(folder))
  end)

  it("takes any partner's name", function()
    local folder = with("a-b", "1x", "a_", "spec", "x_spec", ("n"):rep(64))
    assert.equal(6, #moonpost(0, folder, { "check" }).out)
    assert.equal(24, passed(moonpost(0, folder, { "test" })))
    assert.equal(4, passed(moonpost(0, folder, { "test", "x_spec" })))
    local checked = author.run(folder, "luacheck", { ".", "--no-color" })
    assert.equal(0, checked.code, checked:text("out"))
  end)

  it("knows its folder however it is called", function()
    for _, case in ipairs({ { "./scripts/", "scripts/" }, { "partners", "partners/" }, { "a/b/scripts", "a/b/scripts/" },
                            { '"quoted" \\', '"quoted" \\/' }, { ".", "" }, { "../%s/scripts", "scripts/" },
                            { "%s/absolute//", "absolute/" } }) do
      local folder = runtime.folder()
      local absolute = case[1]:find("^%%s") and folder or folder:match("[^/]+$")
      local child = moonpost(0, folder, { "new", "acme" }, { MOONPOST_SCRIPTS = case[1]:format(absolute) })
      assert.truthy(author.read(folder .. "/" .. case[2] .. "acme.lua"), child:text("out"))
      assert.equal(4, passed(author.run(folder, "busted", {})), case[1])
      local checked = author.run(folder, "luacheck", { ".", "--no-color" })
      assert.equal(0, checked.code, case[1] .. checked:text("out"))
    end
  end)

  it("writes no settings for scripts that lie elsewhere", function()
    for _, form in ipairs({ "/tmp/%s/scripts", "../%s/scripts" }) do
      local here, there = runtime.folder(), runtime.folder()
      local scripts = form:gsub("^/tmp", (there:match("^(.*)/"))):format(there:match("[^/]+$"))
      local child = moonpost(0, here, { "new", "acme", "--scripts", scripts })
      assert.same({}, author.tree(here))
      assert.same({ "scripts", "scripts/acme.lua", "scripts/spec", "scripts/spec/acme_spec.lua" }, author.tree(there))
      assert.truthy(child:text("out"):find("no settings", 1, true), child:text("out"))
      assert.equal(4, passed(moonpost(0, here, { "test", "--scripts", scripts })))
    end
  end)

  it("says which path is too long", function()
    local long = ("d/"):rep(2100)
    for _, command in ipairs({ { "new", "acme" }, { "test", "acme" }, { "test" }, { "try", "acme", "{}" } }) do
      local args = { command[1], "--scripts", long, command[2], command[3] }
      local child = author.run(runtime.folder(), nil, args)
      assert.truthy(child.code == 1 or child.code == 2)
      assert.truthy(child:text():find(": File name too long", 1, true), child:text())
    end
  end)
end)

describe("moonpost test", function()
  after_each(support.clean)

  it("takes a partner, a script, a spec and folders", function()
    local folder = with("acme", "beta")
    for words, count in pairs({
      ["acme"] = 4, ["acme beta acme"] = 8, ["scripts/acme.lua"] = 4, ["./scripts/acme.lua"] = 4,
      ["scripts/spec/beta_spec.lua"] = 4, ["scripts"] = 8, ["scripts/"] = 8, ["scripts/spec"] = 8,
      ["acme scripts/acme.lua"] = 4, [""] = 8,
    }) do
      local args = { "test" }
      for word in words:gmatch("%S+") do
        args[#args + 1] = word
      end
      assert.equal(count, passed(moonpost(0, folder, args)), words)
    end
  end)

  it("works from any folder", function()
    local folder = with("acme")
    uv.fs_mkdir(folder .. "/docs", 493)
    assert.equal(4, passed(moonpost(0, folder .. "/docs", { "test", "--scripts", "../scripts" })))
    assert.equal(4, passed(moonpost(0, folder .. "/docs", { "test", "../scripts/acme.lua" })))
    assert.equal(4, passed(moonpost(0, folder .. "/docs", { "test", folder .. "/scripts/" })))
    assert.equal(4, passed(moonpost(0, folder .. "/scripts", { "test", "acme.lua" })))
    assert.equal(4, passed(moonpost(0, folder .. "/scripts", { "test", "spec" })))
    assert.equal(4, passed(moonpost(0, "/", { "test" }, { MOONPOST_SCRIPTS = folder .. "/scripts" })))
  end)

  it("takes a partner before a folder of its name", function()
    local folder = with("acme", "beta")
    uv.fs_mkdir(folder .. "/acme", 493)
    assert.equal(4, passed(moonpost(0, folder, { "test", "acme" })))
  end)

  it("passes on what follows --", function()
    local folder = with("acme")
    local child = moonpost(0, folder, { "test", "acme", "--", "-o", "TAP", "--filter", "is told of" })
    assert.equal("ok 1 - acme is told of a click", child.out[1])
    assert.equal("1..1", child.out[2])
    assert.truthy(moonpost(0, folder, { "test", "--", "--version" }):text("out"):find("^2%.%d"))
  end)

  it("says which script has no spec, and that there is none to run", function()
    local folder = with("acme")
    runtime.write_file(folder .. "/scripts/bare.lua", [[return { url = "https://bare.example/" }]])
    local child = moonpost(0, folder, { "test" })
    assert.equal("moonpost: scripts/bare.lua has no spec: there is no scripts/spec/bare_spec.lua", child:text())
    assert.equal(4, passed(child))
    child = moonpost(0, folder, { "test", "bare" })
    assert.same({ "moonpost: scripts/bare.lua has no spec: there is no scripts/spec/bare_spec.lua",
                  "moonpost: there is no spec to run" }, child.err)
    assert.equal("", child:text("out"))
  end)

  it("says which word it could not read, and runs nothing", function()
    local folder = with("acme")
    for word, why in pairs({
      nobody = "could not read scripts/nobody.lua: No such file or directory",
      ["scripts/nobody.lua"] = "could not read scripts/nobody.lua: No such file or directory",
      [".busted"] = "could not test .busted: it is no Lua file",
    }) do
      local child = moonpost(2, folder, { "test", "acme", word })
      assert.equal("moonpost: " .. why, child:text())
      assert.equal("", child:text("out"))
    end
    assert.equal("moonpost: could not read none: No such file or directory",
      moonpost(2, folder, { "test", "--scripts", "none" }):text())
    assert.equal("moonpost: could not read .busted: Not a directory",
      moonpost(2, folder, { "test", "--scripts", ".busted" }):text())
  end)

  it("exits 1 however many specs fail", function()
    local folder = with("acme")
    replace(folder .. "/scripts/spec/acme_spec.lua", 'describe("acme", function()', [[describe("acme", function()
      for i = 1, 3 do it("fails " .. i, function() assert.equal(1, 2) end) end]])
    moonpost(1, folder, { "test" })
    runtime.write_file(folder .. "/scripts/spec/acme_spec.lua", "os.exit(3)")
    moonpost(1, folder, { "test" })
    runtime.write_file(folder .. "/scripts/spec/acme_spec.lua", "this is no Lua")
    moonpost(1, folder, { "test" })
  end)

  it("exits 3 and says what to install when busted or LuaJIT is missing", function()
    local folder, bin = with("acme"), runtime.folder()
    local advice = ": specs run in busted, under LuaJIT; on Debian apt-get install lua-busted luajit lua-cjson"
    assert.equal("moonpost: could not find busted" .. advice,
      moonpost(3, folder, { "test" }, { PATH = bin }):text())
    uv.fs_mkdir(bin .. "/busted", 493)
    assert.equal("moonpost: could not find busted" .. advice,
      moonpost(3, folder, { "test" }, { PATH = "/none:" .. bin }):text())
    uv.fs_rmdir(bin .. "/busted")
    assert(uv.fs_symlink("/bin/true", bin .. "/busted"))
    assert.equal("moonpost: could not find luajit" .. advice,
      moonpost(3, folder, { "test" }, { PATH = bin }):text())
    assert.equal("moonpost: could not find busted" .. advice, moonpost(3, folder, { "test" }, { PATH = false }):text())
  end)

  it("asks a busted that is a shell's to start LuaJIT", function()
    local folder, bin = with("acme"), runtime.folder()
    runtime.write_file(bin .. "/busted", "#!/bin/sh\necho \"$@\"\n")
    assert(uv.fs_chmod(bin .. "/busted", 493))
    local child = moonpost(0, folder, { "test", "--", "-v" }, { PATH = bin .. ":" .. os.getenv("PATH") })
    assert.equal("--lua=luajit -v scripts/spec/acme_spec.lua", child:text("out"))
  end)

  -- Both are started as a terminal does it: in a process group of their own.
  local waiting = [[
    local ffi = require("ffi")
    ffi.cdef("int getpid(void); void *signal(int number, intptr_t handler);")
    it("waits", function()
      if os.getenv("IGNORE_INT") then ffi.C.signal(2, 1) end
      local file = assert(io.open("pid.new", "w"))
      file:write(ffi.C.getpid())
      file:close()
      os.rename("pid.new", "pid")
      repeat local go = io.open("go") until go
    end)]]

  local function start_waiting(env)
    local folder = with("acme")
    runtime.write_file(folder .. "/scripts/spec/acme_spec.lua", waiting)
    local child = author.start(folder, "setsid", { runtime.binary(), "test", "acme" }, env)
    local busted = eventually(function()
      return tonumber((author.read(folder .. "/pid")))
    end)
    return folder, child, busted
  end

  it("lets busted have the last word on Ctrl-C", function()
    local folder, child = start_waiting({ IGNORE_INT = "1" })
    assert(uv.kill(-child.pid, "sigint"))
    runtime.write_file(folder .. "/go", "")
    assert.same({ 0, 0 }, { child:wait() }, child:text() .. child:text("out"))
    assert.equal(1, passed(child))
  end)

  it("leaves no busted behind when it is ended", function()
    for _, signal in ipairs({ "sigterm", "sigkill" }) do
      local _, child, busted = start_waiting()
      child:kill(signal)
      eventually(function()
        local stat = author.read(("/proc/%d/stat"):format(busted))
        return not stat or stat:match("%) (%a)") == "Z"
      end, nil, "the end of busted")
    end
  end)
end)
