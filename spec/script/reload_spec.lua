--- The scripts folder, kept loaded: what each kind of save of a script does, told by the loader alone.
local ffi = require("ffi")
local loader = require("spec.support.loader")

ffi.cdef([[
int chmod(const char *path, unsigned mode);
unsigned geteuid(void);
]])

describe("a script in the folder", function()
  before_each(loader.open)
  after_each(loader.close)

  it("is told whole before the first pass ends, broken files too", function()
    loader.save("zeta.lua", loader.script("z"))
    loader.save("acme.lua", loader.script("a"))
    loader.save("bad.lua", "return {\n  url = = 1 }\n")
    local last = loader.start()
    assert.equal(4, last)
    assert.same({ "acme", "bad", "zeta" }, { loader.heard[1].change, loader.heard[2].change, loader.heard[3].change })
    assert.equal(loader.script("a"), loader.heard[1].source)
    assert.truthy(loader.heard[2].error:find("scripts/bad.lua:2:", 1, true), loader.heard[2].error)
    assert.is_nil(loader.heard[2].source)
    assert.equal(12, #loader.heard[1].generation)
  end)

  it("takes an empty folder and a file that comes later", function()
    assert.equal(1, loader.start())
    loader.save("acme.lua", loader.script(1))
    loader.hear_generation(loader.script(1), 1)
  end)

  it("takes a file saved in place", function()
    loader.save("acme.lua", loader.script(1))
    local from = loader.start()
    for n = 2, 4 do
      loader.save("acme.lua", loader.script(n))
      local _, at = loader.hear_generation(loader.script(n), from)
      from = at
    end
  end)

  it("is live within 200 ms of a save, in place or by renaming", function()
    loader.save("acme.lua", loader.script(1))
    local from = loader.start()
    from = loader.assert_live(function(n) loader.save("acme.lua", loader.script(n)) end, from)
    loader.assert_live(function(n) loader.save_by_rename("acme.lua", loader.script(n)) end, from)
  end)

  it("takes a file of the same size saved twice within a moment", function()
    loader.save("acme.lua", loader.script(1))
    local from = loader.start()
    for n = 2, 9 do
      loader.save("acme.lua", loader.script(n))
    end
    loader.hear_generation(loader.script(9), from)
  end)

  it("takes a file saved by renaming another over it", function()
    loader.save("acme.lua", loader.script(1))
    local from = loader.start()
    loader.save_by_rename("acme.lua", loader.script(2))
    loader.hear_generation(loader.script(2), from)
  end)

  it("takes a file saved as vim does, and nothing of what lies beside it", function()
    loader.save("acme.lua", loader.script(1))
    local from = loader.start() + 1
    loader.save(".acme.lua.swp", "swap")
    loader.save("4913", "")
    loader.rename(loader.path_of("acme.lua"), loader.path_of("acme.lua~"))
    loader.save("acme.lua", loader.script(2))
    assert(os.remove(loader.path_of("acme.lua~")))
    loader.hear_generation(loader.script(2), from)
    for _, news in ipairs(loader.news_until_now(from)) do
      assert.equal("acme", news.change)
      assert.is_nil(news.gone)
      assert.is_nil(news.error)
    end
  end)

  it("keeps the old script when the new one does not compile", function()
    loader.save("acme.lua", loader.script(1))
    local from = loader.start()
    local old = loader.heard[1].generation
    loader.save("acme.lua", "return {\n\n  url = = 1 }\n")
    local broken, at = loader.hear(function(news) return news.error end, from)
    assert.truthy(broken.error:find("/scripts/acme.lua:3:", 1, true), broken.error)
    assert.equal(old, broken.generation)
    loader.save("acme.lua", loader.script(2))
    local fixed = loader.hear_generation(loader.script(2), at)
    assert.are_not.equal(old, fixed.generation)
  end)

  it("takes the old content back after a broken one", function()
    loader.save("acme.lua", loader.script(1))
    local from = loader.start()
    loader.save("acme.lua", "return {")
    local _, at = loader.hear(function(news) return news.error end, from)
    loader.save("acme.lua", loader.script(1))
    assert.equal(loader.heard[1].generation, loader.hear_generation(loader.script(1), at + 1).generation)
  end)

  it("does not tell of half a save", function()
    loader.save("acme.lua", loader.script(1))
    local from = loader.start() + 1
    local whole = loader.script(2)
    local file = assert(io.open(loader.path_of("acme.lua"), "w"))
    file:write(whole:sub(1, 20))
    file:flush()
    assert.same({}, loader.news_until_now(from))
    file:write(whole:sub(21))
    file:close()
    local _, at = loader.hear_generation(whole, from)
    for i = from, at do
      -- Under load the second half may come later than a fault is held back, but never half a script.
      assert.is_true(loader.heard[i].source == nil or loader.heard[i].source == loader.script(1)
        or loader.heard[i].source == whole or loader.heard[i].change ~= "acme")
    end
  end)

  it("tells of a half-written file that stays half", function()
    loader.save("acme.lua", loader.script(1))
    local from = loader.start()
    local file = assert(io.open(loader.path_of("acme.lua"), "w"))
    file:write("return {")
    file:flush()
    local broken = loader.hear(function(news) return news.error end, from)
    file:close()
    assert.equal(loader.heard[1].generation, broken.generation)
  end)

  it("says nothing when the content is the same", function()
    loader.save("acme.lua", loader.script(1))
    local from = loader.start() + 1
    loader.save("acme.lua", loader.script(1))
    loader.save_by_rename("acme.lua", loader.script(1))
    ffi.C.chmod(loader.path_of("acme.lua"), 384)
    assert.same({}, loader.news_until_now(from))
  end)

  it("never loads half a script while a thousand are swapped in", function()
    local pad = ("-- padding\n"):rep(3000)
    local function long(n)
      return ("-- %d\n"):format(n) .. pad .. ('return { url = "https://acme.example/%d" }\n-- %d\n'):format(n, n)
    end
    loader.save("acme.lua", long(0))
    local from = loader.start()
    for n = 1, 1000 do
      loader.save_by_rename("acme.lua", long(n))
    end
    local _, last = loader.hear_generation(long(1000), from)
    for i = 1, last do
      local source = loader.heard[i].source
      if source then
        assert.equal(long(tonumber(source:match("^%-%- (%d+)\n"))), source)
      end
      assert.is_nil(loader.heard[i].error)
      assert.is_nil(loader.heard[i].gone)
    end
  end)

  it("names the limit when a script is over it", function()
    loader.save("acme.lua", loader.script(1) .. ("-"):rep(1024 * 1024))
    loader.start()
    assert.truthy(loader.heard[1].error:find("acme.lua:1: a script has at most 1024 KiB", 1, true),
      loader.heard[1].error)
  end)

  if ffi.C.geteuid() ~= 0 then
    it("serves the old one while a file cannot be read", function()
      loader.save("acme.lua", loader.script(1))
      local from = loader.start()
      ffi.C.chmod(loader.path_of("acme.lua"), 0)
      local told, at = loader.hear(function(news) return news.error end, from)
      assert.truthy(told.error:find("Permission denied", 1, true))
      assert.equal(loader.script(1), told.source)
      ffi.C.chmod(loader.path_of("acme.lua"), 384)
      loader.hear_generation(loader.script(1), at + 1)
    end)
  end
end)
