--- The secrets' folder: who goes live with which value when one changes, told by the loader alone.
local cjson = require("cjson")
local ffi = require("ffi")
local uv = require("luv")
local eventually = require("spec.support.eventually")
local loader = require("spec.support.loader")

local secrets

local function put(name, value)
  loader.write(secrets .. "/" .. name, value)
end

local function user(name, more)
  return ('return { method = "POST", url = "https://acme.example/", body = secret "%s"%s }\n'):format(name, more or "")
end

local function start(env)
  env = env or {}
  env.PROBE_SECRETS = secrets
  return loader.start(env) + 1
end

-- The body that a partner's newest generation would send.
local function body_of(partner)
  local from = #loader.heard + 1
  loader.command("try " .. partner .. " {}")
  local answer = loader.hear(function(news) return news.try == partner end, from, "the answer of a try")
  return answer.body or answer.reason
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

-- As Kubernetes mounts and swaps them: a folder a version, ..data leads to the newest.
local function mount(version, values)
  loader.mkdir(secrets .. "/..t" .. version)
  for name, value in pairs(values) do
    loader.write(secrets .. "/..t" .. version .. "/" .. name, value)
  end
  loader.link("..t" .. version, secrets .. "/..data_tmp")
  loader.rename(secrets .. "/..data_tmp", secrets .. "/..data")
end

describe("a secret in the folder", function()
  before_each(function()
    loader.open()
    secrets = loader.home .. "/secrets"
    loader.mkdir(secrets)
  end)
  after_each(loader.close)

  it("that changes goes live in the same generation, for those that use it", function()
    put("one", "first")
    put("two", "second\n")
    loader.save("acme.lua", user("one"))
    loader.save("beta.lua", user("two"))
    loader.save("none.lua", loader.script("n"))
    start()
    assert.same({ "first", "second" }, { body_of("acme"), body_of("beta") })
    local from = #loader.heard + 1
    put("one", "changed")
    local news = hear_of("acme", from)
    assert.is_true(news.secrets_changed)
    assert.equal(loader.heard[1].generation, news.generation)
    assert.equal("changed", body_of("acme"))
    loader.news_until_now(from)
    for i = from, #loader.heard do
      assert.is_true(loader.heard[i].change ~= "beta" and loader.heard[i].change ~= "none")
    end
  end)

  it("is live within 200 ms, written in place, where a link leads, by renaming, or swapped as a mount", function()
    put("one", "first")
    loader.save("acme.lua", user("one"))
    local from = start()
    local function is_it(news) return news.change == "acme" and news.secrets_changed end
    from = loader.assert_live(function(n) put("one", "in place " .. n) end, from, is_it)
    from = loader.assert_live(function(n)
      put(".one", "renamed " .. n)
      loader.rename(secrets .. "/.one", secrets .. "/one")
    end, from, is_it)
    mount(0, { one = "renamed 12" })
    assert(os.remove(secrets .. "/one"))
    loader.link("..data/one", secrets .. "/one")
    from = loader.assert_live(function(n) mount(n, { one = "mounted " .. n }) end, from, is_it)
    assert.equal("mounted 12", body_of("acme"))
    loader.assert_live(function(n) loader.write(secrets .. "/..t12/one", "led to " .. n) end, from, is_it)
  end)

  it("is followed through Kubernetes' ..data, and in what that leads to", function()
    mount(1, { one = "first", two = "same" })
    loader.link("..data/one", secrets .. "/one")
    loader.link("..data/two", secrets .. "/two")
    loader.save("acme.lua", user("one"))
    loader.save("beta.lua", user("two"))
    local from = start()
    mount(2, { one = "second", two = "same" })
    loader.run("rm -rf", secrets .. "/..t1")
    local _, at = hear_of("acme", from)
    assert.equal("second", body_of("acme"))
    loader.write(secrets .. "/..t2/one", "third")
    hear_of("acme", at + 1)
    assert.equal("third", body_of("acme"))
    loader.news_until_now(from)
    for i = from, #loader.heard do
      assert.is_nil(loader.heard[i].error)
      assert.are_not.equal("beta", loader.heard[i].change)
    end
  end)

  it("is polled where there is no inotify", function()
    put("one", "first")
    loader.save("acme.lua", user("one"))
    local from = start({ PROBE_BLIND = "1" })
    put("one", "second")
    assert.is_true(hear_of("acme", from).secrets_changed)
    assert.equal("second", body_of("acme"))
  end)

  it("that goes is told of by name, and the old value serves on", function()
    put("one", "first")
    loader.save("acme.lua", user("one"))
    local from = start()
    assert(os.remove(secrets .. "/one"))
    local news, at = hear_of("acme", from, true)
    assert.truthy(news.error:find('scripts/acme.lua:1: there is no secret "one": put it into ' .. secrets .. "/one, or set", 1, true),
      news.error)
    assert.equal(loader.heard[1].generation, news.generation)
    assert.is_nil(news.secrets_changed)
    assert.equal("first", body_of("acme"))
    put("one", "second")
    assert.is_true(hear_of("acme", at + 1).secrets_changed)
    assert.equal("second", body_of("acme"))
  end)

  it("that goes and comes back as it was changes nothing", function()
    put("one", "first")
    loader.save("acme.lua", user("one"))
    local from = start()
    assert(os.remove(secrets .. "/one"))
    local _, at = hear_of("acme", from, true)
    put("one", "first")
    local news = hear_of("acme", at + 1)
    assert.is_nil(news.secrets_changed)
    assert.equal("first", body_of("acme"))
  end)

  it("that is emptied counts as gone", function()
    put("one", "first")
    loader.save("acme.lua", user("one"))
    local from = start()
    put("one", "\n")
    local news = hear_of("acme", from, true)
    assert.truthy(news.error:find('the secret "one" is empty: look at ' .. secrets .. "/one", 1, true), news.error)
    assert.equal("first", body_of("acme"))
  end)

  it("that comes later mends what asked for it", function()
    loader.save("acme.lua", user("one"))
    local from = start()
    assert.truthy(loader.heard[1].error:find('no secret "one"', 1, true))
    assert.is_nil(loader.heard[1].generation)
    put("one", "late")
    hear_of("acme", from)
    assert.equal("late", body_of("acme"))
  end)

  it("that only a function names changes and goes like any other", function()
    put("one", "first")
    local text = 'return { method = "POST", url = "https://acme.example/", body = function() return secret "one" end }\n'
    loader.save("acme.lua", text)
    local from = start()
    assert.equal("first", body_of("acme"))
    put("one", "second")
    local news, at = hear_of("acme", from)
    assert.is_true(news.secrets_changed)
    assert.equal("second", body_of("acme"))
    assert(os.remove(secrets .. "/one"))
    news = hear_of("acme", at + 1, true)
    assert.truthy(news.error:find('acme.lua:1: there is no secret "one"', 1, true), news.error)
    assert.equal("second", body_of("acme"))
  end)

  it("whose name a function makes changes too", function()
    put("key_eu", "first")
    loader.save("acme.lua", [[return { method = "POST", url = "https://acme.example/",
      body = function(event) return secret("key_" .. (event.geo or "eu")) end }]])
    local from = start()
    put("key_eu", "second")
    assert.is_true(hear_of("acme", from).secrets_changed)
    assert.equal("second", body_of("acme"))
  end)

  it("that a module of lib asks for changes its users", function()
    put("one", "first")
    loader.mkdir(loader.path_of("lib"))
    loader.write(loader.path_of("lib/auth.lua"), 'return { body = secret "one" }')
    loader.save("acme.lua", 'return { method = "POST", url = "https://acme.example/", body = require("auth").body }')
    local from = start()
    put("one", "second")
    assert.is_true(hear_of("acme", from).secrets_changed)
    assert.equal("second", body_of("acme"))
  end)

  it("among many changed at once loads each user once", function()
    local names = {}
    for n = 1, 20 do
      put("s" .. n, "first")
    end
    for n = 1, 10 do
      loader.save("p" .. n .. ".lua", ('return { method = "POST", url = "https://acme.example/", body = secret "s%d" .. secret "s%d" }\n'):format(
        n, n + 10))
      names[n] = "p" .. n
    end
    table.sort(names)
    local from = start()
    for n = 1, 20 do
      put("s" .. n, "second")
    end
    local rest_at = uv.hrtime() + 300e6 -- a second load would have been told by then
    eventually(function() return uv.hrtime() > rest_at end)
    assert.same(names, news_of_now(from))
    assert.equal("secondsecond", body_of("p7"))
  end)

  it("saved unchanged, or used by nobody, loads nobody", function()
    put("one", "first")
    loader.save("acme.lua", user("one"))
    local from = start()
    put("one", "first")
    put("two", "new")
    assert.same({}, news_of_now(from))
  end)

  it("keeps its value while the folder is away or cannot be read, which is told once", function()
    put("one", "first")
    loader.save("acme.lua", user("one"))
    local from = start()
    loader.rename(secrets, loader.home .. "/away")
    local warning = "could not read the secrets folder " .. secrets
    eventually(function() return loader.child:text():find(warning, 1, true) end, nil, "the warning")
    assert.equal("first", body_of("acme"))
    assert.same({}, news_of_now(#loader.heard + 1))
    loader.mkdir(secrets)
    put("one", "second")
    hear_of("acme", from)
    assert.equal("second", body_of("acme"))
    put("big", ("v"):rep(65537))
    eventually(function() return loader.child:text():find(secrets .. "/big: a secret has at most 64 KiB", 1, true) end, nil,
      "the warning of the big one")
    put("one", "third")
    assert.same({}, news_of_now(#loader.heard + 1))
    assert.equal("second", body_of("acme"))
    from = #loader.heard + 1
    assert(os.remove(secrets .. "/big"))
    hear_of("acme", from)
    assert.equal("third", body_of("acme"))
    local _, warnings = loader.child:text():gsub("the values read before stay", "")
    assert.equal(2, warnings)
  end)

  it("is needed at the start: a folder that cannot be read is named", function()
    local child = loader.run_probe({ loader.folder, loader.home .. "/commands" }, { PROBE_SECRETS = secrets .. "/none" })
    assert.equal(1, child.code)
    assert.truthy(child:text():find("could not read the secrets folder " .. secrets .. "/none: No such", 1, true), child:text())
  end)

  it("is there for a check and a try without a server", function()
    put("one", "first")
    loader.save("acme.lua", user("one"))
    local env = { PROBE_SECRETS = secrets }
    assert.equal(0, loader.run_probe({ "check", loader.folder }, env).code)
    assert.equal(0, loader.run_probe({ "try", loader.folder, "acme", "{}" }, env).code)
    assert.equal("first", cjson.decode(loader.child.out[1]).body)
    assert.equal(1, loader.run_probe({ "check", loader.folder }).code)
    assert.truthy(loader.child.out[1]:find('no secret \\"one\\"', 1, true), loader.child.out[1])
    env.PROBE_SECRETS = secrets .. "/none"
    for _, args in ipairs({ { "check", loader.folder }, { "try", loader.folder, "acme", "{}" } }) do
      assert.equal(1, loader.run_probe(args, env).code)
      local said = loader.child:text() .. table.concat(loader.child.out, "\n")
      assert.truthy(said:find("could not read the secrets folder", 1, true), said)
    end
  end)

  it("is read again when asked to", function()
    put("one", "first")
    loader.save("acme.lua", user("one"))
    local from = start()
    put("one", "second")
    loader.command("rescan")
    hear_of("acme", from)
    assert.equal("second", body_of("acme"))
  end)

  it("of a tmpfs is followed", function()
    local shm = assert(uv.fs_mkdtemp("/dev/shm/moonpost-spec-XXXXXX"))
    ffi.gc(ffi.new("char[1]"), function() os.execute("rm -rf " .. shm) end)
    secrets = shm
    put("one", "first")
    loader.save("acme.lua", user("one"))
    local from = start()
    put("one", "second")
    hear_of("acme", from)
    assert.equal("second", body_of("acme"))
    os.execute("rm -rf " .. shm)
  end)
end)
