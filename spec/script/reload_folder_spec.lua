--- The scripts folder as a whole: mounts, links, what comes and goes; tries and checks of what is in it.
local cjson = require("cjson")
local uv = require("luv")
local loader = require("spec.support.loader")

describe("the scripts folder", function()
  before_each(loader.open)
  after_each(loader.close)

  it("refuses to start without a folder", function()
    loader.run_probe({ loader.home .. "/none", loader.home .. "/commands" })
    assert.equal(1, loader.child.code)
    assert.truthy(loader.child:text():find("could not read the scripts folder " .. loader.home .. "/none: No such",
      1, true), loader.child:text())
  end)

  it("is live within 200 ms of a save where a link leads", function()
    loader.mkdir(loader.home .. "/elsewhere")
    loader.write(loader.home .. "/elsewhere/acme.lua", loader.script(1))
    loader.link(loader.home .. "/elsewhere/acme.lua", loader.path_of("acme.lua"))
    local from = loader.start()
    loader.assert_live(function(n) loader.write(loader.home .. "/elsewhere/acme.lua", loader.script(n)) end, from)
  end)

  it("is live within 200 ms in a folder that took another's place", function()
    loader.save("acme.lua", loader.script(1))
    local from = loader.start()
    loader.run("cp -r", loader.folder, loader.home .. "/next")
    loader.rename(loader.folder, loader.home .. "/old")
    loader.rename(loader.home .. "/next", loader.folder)
    loader.save("acme.lua", loader.script(2))
    local _, at = loader.hear_generation(loader.script(2), from)
    loader.assert_live(function(n) loader.save("acme.lua", loader.script(n)) end, at)
  end)

  it("ignores editors' files and warns once of a name that no partner has", function()
    local from = loader.start() + 1
    for _, name in ipairs({ ".acme.lua", "acme.lua~", "acme.lua.swp", "acme.lua.tmp", "4913",
      "#acme.lua#", ".#acme.lua", "notes.txt", "lua" }) do
      loader.save(name, loader.script(name))
    end
    loader.mkdir(loader.path_of("lib"))
    loader.mkdir(loader.path_of("folder.lua"))
    loader.write(loader.path_of("lib/help.lua"), "return {}")
    loader.save("Acme.lua", loader.script(1))
    assert.same({}, loader.news_until_now(from))
    loader.save("Acme.lua", loader.script(2))
    assert.same({}, loader.news_until_now(#loader.heard + 1))
    local _, warnings = loader.child:text():gsub("Acme%.lua is no partner", "")
    assert.equal(1, warnings)
  end)

  it("follows a ConfigMap's ..data", function()
    loader.mkdir(loader.path_of("..t1"))
    loader.mkdir(loader.path_of("..t2"))
    loader.save("..t1/acme.lua", loader.script(1))
    loader.save("..t2/acme.lua", loader.script(2))
    loader.link("..t1", loader.path_of("..data"))
    loader.link("..data/acme.lua", loader.path_of("acme.lua"))
    local from = loader.start()
    assert.equal(loader.script(1), loader.heard[1].source)
    loader.link("..t2", loader.path_of("..data_tmp"))
    loader.rename(loader.path_of("..data_tmp"), loader.path_of("..data"))
    loader.run("rm -rf", loader.path_of("..t1"))
    local _, at = loader.hear_generation(loader.script(2), from)
    loader.save("..t2/acme.lua", loader.script(3)) -- where the link leads, no event names the folder itself
    _, at = loader.hear_generation(loader.script(3), at)
    for i = from, at do
      assert.is_nil(loader.heard[i].gone)
    end
  end)

  it("polls where there is no inotify", function()
    loader.mkdir(loader.path_of("..t1"))
    loader.mkdir(loader.path_of("..t2"))
    loader.save("..t1/linked.lua", loader.script(1))
    loader.save("..t2/linked.lua", loader.script(2))
    loader.link("..t1", loader.path_of("..data"))
    loader.link("..data/linked.lua", loader.path_of("linked.lua"))
    loader.save("acme.lua", loader.script(1))
    local from = loader.start({ PROBE_BLIND = "1" })
    assert.truthy(loader.child:text():find("inotify cannot be had", 1, true))
    loader.save("acme.lua", loader.script(3))
    local _, at = loader.hear_generation(loader.script(3), from)
    loader.save_by_rename("acme.lua", loader.script(4))
    _, at = loader.hear_generation(loader.script(4), at)
    loader.link("..t2", loader.path_of("..data_tmp"))
    loader.rename(loader.path_of("..data_tmp"), loader.path_of("..data"))
    _, at = loader.hear_generation(loader.script(2), at)
    assert(os.remove(loader.path_of("acme.lua")))
    loader.hear(function(news) return news.gone end, at)
  end)

  it("tells that a file is gone, and that it is back", function()
    loader.save("acme.lua", loader.script(1))
    local from = loader.start()
    assert(os.remove(loader.path_of("acme.lua")))
    local gone, at = loader.hear(function(news) return news.gone end, from)
    assert.same({ "acme" }, { gone.change, gone.source, gone.error })
    loader.command("try acme {}")
    assert.equal("ENOTFOUND", loader.hear(function(news) return news.try end, at).status)
    loader.save("acme.lua", loader.script(1))
    loader.hear_generation(loader.script(1), at)
  end)

  it("does not take the gap of a slow rename for a file that is gone", function()
    loader.save("acme.lua", loader.script(1))
    local from = loader.start()
    local first, gap
    for _ = 1, 20 do
      local began = uv.hrtime()
      first = from + 1
      loader.rename(loader.path_of("acme.lua"), loader.path_of("aside"))
      loader.command("rescan")
      for _ = 1, 2 do -- the second is answered behind the scan
        loader.command("try acme {}")
        local _, at = loader.hear(function(news) return news.try end, from + 1)
        from = at
      end
      loader.rename(loader.path_of("aside"), loader.path_of("acme.lua"))
      gap = (uv.hrtime() - began) / 1e6
      if gap < 80 then -- else the machine slept, and gone is right
        break
      end
    end
    assert.is_true(gap < 80)
    for _, news in ipairs(loader.news_until_now(first)) do
      assert.is_nil(news.gone)
    end
  end)

  it("follows the folder when another takes its place", function()
    loader.save("acme.lua", loader.script(1))
    local from = loader.start()
    loader.mkdir(loader.home .. "/next")
    loader.write(loader.home .. "/next/acme.lua", loader.script(2))
    loader.rename(loader.folder, loader.home .. "/old")
    loader.rename(loader.home .. "/next", loader.folder)
    local _, at = loader.hear_generation(loader.script(2), from)
    loader.save("acme.lua", loader.script(3))
    loader.hear_generation(loader.script(3), at)
  end)

  it("waits for a folder that is removed, and takes what returns", function()
    loader.save("acme.lua", loader.script(1))
    local from = loader.start()
    loader.run("rm -rf", loader.folder)
    local _, at = loader.hear(function(news) return news.gone end, from)
    loader.mkdir(loader.folder)
    loader.save("acme.lua", loader.script(2))
    _, at = loader.hear_generation(loader.script(2), at)
    loader.save("acme.lua", loader.script(3))
    loader.hear_generation(loader.script(3), at)
  end)

  it("looks again when asked to, and tries what is broken once more", function()
    loader.save("acme.lua", loader.script(1))
    loader.save("bad.lua", "return {")
    local from = loader.start() + 1
    loader.command("rescan")
    assert.same({}, loader.news_until_now(from))
  end)

  it("answers a try with the newest generation", function()
    loader.save("acme.lua", loader.script(1))
    local from = loader.start()
    loader.command('try acme {"x":12345678901234567890}')
    local answer, at = loader.hear(function(news) return news.try end, from)
    assert.same({ "OK", "GET", "https://acme.example/1?x=12345678901234567890" },
      { answer.status, answer.method, answer.url })
    assert.equal(loader.heard[1].generation, answer.generation)
    loader.save("acme.lua", loader.script(2))
    loader.hear_generation(loader.script(2), at)
    loader.command('try acme {"x":"y z"}')
    answer = loader.hear(function(news) return news.try end, at + 1)
    assert.equal("https://acme.example/2?x=y%20z", answer.url)
  end)

  it("answers a try of a broken script with its last good generation, and of none at once", function()
    loader.save("acme.lua", loader.script(1))
    loader.save("bad.lua", "return {")
    local from = loader.start()
    loader.save("acme.lua", "return {")
    local _, at = loader.hear(function(news) return news.error end, from)
    loader.command('try acme {"x":1}')
    assert.equal("OK", loader.hear(function(news) return news.try == "acme" end, at).status)
    loader.command("try bad {}")
    assert.equal("ENOTFOUND", loader.hear(function(news) return news.try == "bad" end, at).status)
    loader.command("try nobody {}")
    assert.equal("ENOTFOUND", loader.hear(function(news) return news.try == "nobody" end, at).status)
  end)

  it("gives the reason when a try has no request", function()
    loader.save("acme.lua", 'return { url = "https://acme.example/", required = { "click_id" } }')
    local from = loader.start()
    loader.command("try acme {}")
    local answer = loader.hear(function(news) return news.try end, from)
    assert.same({ "EDEAD", "dead: missing click_id" }, { answer.status, answer.reason })
  end)

  it("answers every try that waits when it is closed", function()
    loader.save("acme.lua", loader.script(1))
    loader.start()
    loader.command('abandon acme {"x":1}')
    loader.child:wait()
    loader.decode_new()
    local answers = 0
    for _, news in ipairs(loader.heard) do
      if news.try then
        answers = answers + 1
        assert.is_true(news.status == "OK" or news.status == "ECLOSED")
      end
    end
    assert.equal(100, answers)
    assert.is_true(loader.heard[#loader.heard].closed)
    assert.equal(0, loader.child.code)
  end)

  it("closes while files change", function()
    loader.start()
    for n = 1, 50 do
      loader.save("p" .. n .. ".lua", loader.script(n))
    end
    loader.command("close")
    assert.equal(0, (loader.child:wait()))
  end)

  it("is checked file by file without a server", function()
    loader.save("acme.lua", loader.script(1))
    loader.save("bad.lua", "return {\n = }")
    loader.save("Wrong.lua", loader.script(1))
    loader.save(".hidden.lua", "return {")
    loader.run_probe({ "check", loader.folder .. "/" })
    loader.decode_new()
    assert.equal(2, loader.child.code)
    assert.same({ loader.folder .. "/Wrong.lua", loader.folder .. "/acme.lua", loader.folder .. "/bad.lua" },
      { loader.heard[1].file, loader.heard[2].file, loader.heard[3].file })
    assert.truthy(loader.heard[1].error:find("is no partner", 1, true))
    assert.is_nil(loader.heard[2].error)
    assert.truthy(loader.heard[3].error:find("bad.lua:2:", 1, true))
    loader.run_probe({ "check", loader.path_of("acme.lua") })
    assert.equal(0, loader.child.code)
    loader.run_probe({ "check", loader.path_of("none.lua") })
    assert.equal(1, loader.child.code)
    assert.truthy(loader.child.out[1]:find("No such file", 1, true))
  end)

  it("is tried from its file without a server", function()
    loader.save("acme.lua", loader.script(1))
    local function try(partner)
      loader.run_probe({ "try", loader.folder, partner, '{"x":1}' })
      return loader.child.code
    end
    assert.equal(0, try("acme"))
    assert.equal("https://acme.example/1?x=1", cjson.decode(loader.child.out[1]).url)
    for _, partner in ipairs({ "none", "../acme", "" }) do
      assert.equal(1, try(partner))
      assert.truthy(loader.child:text():find("could not try", 1, true))
    end
  end)
end)
