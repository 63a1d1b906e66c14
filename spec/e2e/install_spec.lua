--- Moonpost installed with `cmake --install`, used from a repository that is not this one.
local uv = require("luv")
local author = require("spec.support.author")
local process = require("spec.support.process")
local runtime = require("spec.support.runtime")

local function passed(child)
  return tonumber((child:text("out"):match("(%d+) success")))
end

describe("an installed Moonpost", function()
  local prefix, folder

  setup(function()
    prefix, folder = runtime.folder(), runtime.folder()
    local child = process.run("/usr/bin/env", { args = {
      "cmake", "--install", os.getenv("MOONPOST_BUILD") or "build", "--prefix", prefix } })
    assert.equal(0, child.code, child:text())
    assert.equal(0, author.run(folder, prefix .. "/bin/moonpost", { "new", "acme" }).code)
  end)

  teardown(runtime.clean)

  it("has the program, and moonpost.testing where LuaJIT looks", function()
    assert.same({
      "bin", "bin/moonpost", "lib", "lib/moonpost", "lib/moonpost/libmp_testing.so", "share", "share/lua",
      "share/lua/5.1", "share/lua/5.1/moonpost", "share/lua/5.1/moonpost/testing", "share/lua/5.1/moonpost/testing.lua",
      "share/lua/5.1/moonpost/testing/brief.lua", "share/lua/5.1/moonpost/testing/json.lua",
      "share/lua/5.1/moonpost/testing/native.lua", "share/lua/5.1/moonpost/testing/play.lua",
      "share/lua/5.1/moonpost/testing/request.lua", "share/moonpost", "share/moonpost/library",
      "share/moonpost/library/moonpost.lua", "share/moonpost/library/testing.lua",
    }, author.tree(prefix))
  end)

  it("runs the specs of a user's own repository", function()
    local child = author.run(folder, prefix .. "/bin/moonpost", { "test" })
    assert.equal(4, passed(child), child:text() .. child:text("out"))
  end)

  it("is found by the busted of a repository that `moonpost new` has seen", function()
    assert.truthy(author.read(folder .. "/.busted"):find(('lpath = "%s/share/lua/5.1/?.lua"'):format(prefix), 1, true))
    local child = author.run(folder, "busted", {})
    assert.equal(4, passed(child), child:text() .. child:text("out"))
  end)

  it("is found by plain busted through LUA_PATH", function()
    local own = runtime.folder()
    uv.fs_mkdir(own .. "/spec", 493)
    runtime.write_file(own .. "/acme.lua", assert(author.read(folder .. "/scripts/acme.lua")))
    runtime.write_file(own .. "/spec/acme_spec.lua", (assert(author.read(folder .. "/scripts/spec/acme_spec.lua"))
      :gsub("scripts/acme%.lua", "acme.lua")))
    local child = author.run(own, "busted", { "--lua=luajit" }, { LUA_PATH = prefix .. "/share/lua/5.1/?.lua;;" })
    assert.equal(4, passed(child), child:text() .. child:text("out"))
  end)

  it("can be moved, and says what it misses", function()
    assert(os.rename(prefix .. "/bin", prefix .. "/sbin"))
    local program = prefix .. "/sbin/moonpost"
    assert.equal(4, passed(author.run(folder, program, { "test" })))
    assert(os.rename(prefix .. "/lib", prefix .. "/lob"))
    local child = author.run(folder, program, { "test" })
    assert.equal(3, child.code)
    assert.equal(("moonpost: could not find moonpost.testing: it is neither in %s/share and %s/lib nor in %s/sbin: "
      .. "install Moonpost with cmake --install"):format(prefix, prefix, prefix), child:text())
  end)
end)
