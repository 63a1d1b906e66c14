--- The modules in lib: who is loaded again when one changes, told by the loader alone.
local uv = require("luv")
local eventually = require("spec.support.eventually")
local loader = require("spec.support.loader")

local function user(module, more)
  return ('local m = require "%s"\nreturn { url = "https://acme.example/" .. m.path%s }\n'):format(module, more or "")
end

local function module(path)
  return ('return { path = "%s" }\n'):format(path)
end

local function save_lib(name, text)
  loader.write(loader.path_of("lib/" .. name), text)
end

-- The url that a partner's newest generation makes.
local function url_of(partner)
  local from = #loader.heard + 1
  loader.command("try " .. partner .. " {}")
  local answer = loader.hear(function(news) return news.try == partner end, from, "the answer of a try")
  return answer.url or answer.reason
end

local function hear_of(partner, from, with_error)
  return loader.hear(function(news)
    return news.change == partner and (news.error ~= nil) == (with_error or false)
  end, from, "news of " .. partner)
end

local function news_of_now(from)
  local names = {}
  for _, news in ipairs(loader.news_until_now(from)) do
    names[#names + 1] = news.change
  end
  table.sort(names)
  return names
end

describe("a module in lib", function()
  before_each(function()
    loader.open()
    loader.mkdir(loader.path_of("lib"))
  end)
  after_each(loader.close)

  it("that is saved makes new generations of those that require it, and of nobody else", function()
    save_lib("one.lua", module("1"))
    save_lib("two.lua", module("2"))
    save_lib("both.lua", 'return { path = require("one").path .. require("two").path }')
    loader.save("acme.lua", user("one"))
    loader.save("beta.lua", user("two"))
    loader.save("gamma.lua", user("both"))
    loader.save("none.lua", loader.script("n"))
    local from = loader.start() + 1
    local before = {}
    for _, news in ipairs(loader.heard) do
      before[news.change or 0] = news.generation
    end
    assert.equal("https://acme.example/12", url_of("gamma"))
    save_lib("one.lua", module("11"))
    local news = hear_of("gamma", from)
    assert.equal("https://acme.example/112", url_of("gamma"))
    assert.equal("https://acme.example/11", url_of("acme"))
    assert.are_not.equal(before.gamma, news.generation)
    assert.are_not.equal(before.acme, hear_of("acme", from).generation)
    local heard = {}
    loader.news_until_now(from)
    for i = from, #loader.heard do
      heard[loader.heard[i].change or 0] = true
    end
    assert.is_nil(heard.beta)
    assert.is_nil(heard.none)
  end)

  it("is live within 200 ms of a save", function()
    save_lib("one.lua", module("1"))
    loader.save("acme.lua", user("one"))
    local from = loader.start() + 1
    local last
    local function is_new(news)
      local is_it = news.change == "acme" and not news.error and news.generation ~= last
      last = is_it and news.generation or last
      return is_it
    end
    from = loader.assert_live(function(n) save_lib("one.lua", module(n)) end, from, is_new)
    loader.assert_live(function(n)
      save_lib(".one.new", module(100 + n))
      loader.rename(loader.path_of("lib/.one.new"), loader.path_of("lib/one.lua"))
    end, from, is_new)
    assert.equal("https://acme.example/112", url_of("acme"))
  end)

  it("that is broken is told of by its own line, and the old generation serves", function()
    save_lib("one.lua", module("1"))
    loader.save("acme.lua", user("one"))
    local from = loader.start() + 1
    local old = loader.heard[1].generation
    save_lib("one.lua", "return {\n\n  path = = 1 }\n")
    local news, at = hear_of("acme", from, true)
    assert.truthy(news.error:find("/scripts/lib/one.lua:3:", 1, true), news.error)
    assert.equal(old, news.generation)
    assert.equal("https://acme.example/1", url_of("acme"))
    save_lib("one.lua", module("2"))
    hear_of("acme", at + 1)
    assert.equal("https://acme.example/2", url_of("acme"))
  end)

  it("that is back as it was serves again without a new generation", function()
    save_lib("one.lua", module("1"))
    loader.save("acme.lua", user("one"))
    local from = loader.start() + 1
    save_lib("one.lua", "return {")
    local _, at = hear_of("acme", from, true)
    save_lib("one.lua", module("1"))
    assert.equal(loader.heard[1].generation, hear_of("acme", at + 1).generation)
  end)

  it("that goes is told of, and its users serve on until it is back", function()
    save_lib("one.lua", module("1"))
    loader.save("acme.lua", user("one"))
    local from = loader.start() + 1
    assert(os.remove(loader.path_of("lib/one.lua")))
    local news, at = hear_of("acme", from, true)
    assert.truthy(news.error:find("there is no file .*/scripts/lib/one%.lua"), news.error)
    assert.equal(loader.heard[1].generation, news.generation)
    save_lib("one.lua", module("2"))
    hear_of("acme", at + 1)
    assert.equal("https://acme.example/2", url_of("acme"))
  end)

  it("that comes later, with its folder, mends what asked for it", function()
    loader.run("rmdir", loader.path_of("lib"))
    loader.save("acme.lua", user("one"))
    local from = loader.start() + 1
    assert.truthy(loader.heard[1].error:find("lib/one.lua", 1, true), loader.heard[1].error)
    loader.mkdir(loader.path_of("lib"))
    save_lib("one.lua", module("1"))
    hear_of("acme", from)
    assert.equal("https://acme.example/1", url_of("acme"))
  end)

  it("saved beside a script that uses it loads the script once", function()
    save_lib("one.lua", module("1"))
    loader.save("acme.lua", user("one"))
    local from = loader.start() + 1
    save_lib("one.lua", module("2"))
    loader.save("acme.lua", user("one", ", method = 'GET'"))
    loader.hear_generation(user("one", ", method = 'GET'"), from)
    assert.same({ "acme" }, news_of_now(from))
    assert.equal("https://acme.example/2", url_of("acme"))
  end)

  it("among many saved at once loads each user once", function()
    local names = {}
    for n = 1, 20 do
      save_lib("m" .. n .. ".lua", module("1"))
    end
    for n = 1, 10 do
      local lines = {}
      for m = 1, 20 do
        lines[m] = ('local m%d = require "m%d"'):format(m, m)
      end
      loader.save("p" .. n .. ".lua", table.concat(lines, "\n") .. '\nreturn { url = "https://acme.example/" .. m20.path }\n')
      names[n] = "p" .. n
    end
    table.sort(names)
    local from = loader.start() + 1
    for n = 1, 20 do
      save_lib(".m" .. n, module("2"))
    end
    for n = 1, 20 do
      loader.rename(loader.path_of("lib/.m" .. n), loader.path_of("lib/m" .. n .. ".lua"))
    end
    local rest_at = uv.hrtime() + 300e6 -- a second load would have been told by then
    eventually(function() return uv.hrtime() > rest_at end)
    assert.same(names, news_of_now(from))
    assert.equal("https://acme.example/2", url_of("p7"))
  end)

  it("touched or saved unchanged loads nobody", function()
    save_lib("one.lua", module("1"))
    loader.save("acme.lua", user("one"))
    local from = loader.start() + 1
    save_lib("one.lua", module("1"))
    loader.run("touch", loader.path_of("lib/one.lua"))
    save_lib("unused.lua", "return {")
    assert.same({}, news_of_now(from))
  end)

  it("behind a ConfigMap's ..data is followed", function()
    loader.run("rmdir", loader.path_of("lib"))
    for n = 1, 2 do
      loader.mkdir(loader.path_of("..t" .. n))
      loader.mkdir(loader.path_of("..t" .. n .. "/lib"))
      loader.write(loader.path_of("..t" .. n .. "/lib/one.lua"), module(n))
    end
    loader.link("..t1", loader.path_of("..data"))
    loader.link("..data/lib", loader.path_of("lib"))
    loader.save("acme.lua", user("one"))
    local from = loader.start() + 1
    loader.link("..t2", loader.path_of("..data_tmp"))
    loader.rename(loader.path_of("..data_tmp"), loader.path_of("..data"))
    local _, at = hear_of("acme", from)
    assert.equal("https://acme.example/2", url_of("acme"))
    loader.write(loader.path_of("..t2/lib/one.lua"), module("3"))
    hear_of("acme", at + 1)
    assert.equal("https://acme.example/3", url_of("acme"))
  end)

  it("is polled where there is no inotify", function()
    save_lib("one.lua", module("1"))
    loader.save("acme.lua", user("one"))
    local from = loader.start({ PROBE_BLIND = "1" }) + 1
    save_lib("one.lua", module("2"))
    hear_of("acme", from)
    assert.equal("https://acme.example/2", url_of("acme"))
  end)

  it("is there for a check and a try without a server", function()
    save_lib("one.lua", module("1"))
    loader.save("acme.lua", user("one"))
    assert.equal(0, loader.run_probe({ "check", loader.path_of("acme.lua") }).code)
    assert.equal(0, loader.run_probe({ "check", loader.folder .. "/" }).code)
    assert.equal(0, loader.run_probe({ "try", loader.folder, "acme", "{}" }).code)
    assert.truthy(loader.child.out[1]:find('"https://acme.example/1"', 1, true))
    save_lib("one.lua", "\nreturn {")
    assert.equal(1, loader.run_probe({ "check", loader.folder }).code)
    assert.truthy(loader.child.out[1]:find("scripts/lib/one.lua:2:", 1, true), loader.child.out[1])
    assert.equal(1, loader.run_probe({ "try", loader.folder, "acme", "{}" }).code)
    assert.truthy(loader.child:text():find("scripts/lib/one.lua:2:", 1, true), loader.child:text())
  end)
end)
