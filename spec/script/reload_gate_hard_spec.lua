--- The reload gate against specs and files that do not behave.
local uv = require("luv")
local eventually = require("spec.support.eventually")
local loader = require("spec.support.loader")

local patience = tonumber(os.getenv("MOONPOST_PATIENCE")) or 1

local function start(env)
  local all = { PROBE_GATE = loader.gate(), PROBE_GATE_MS = tostring(20000 * patience) }
  for name, value in pairs(env or {}) do
    all[name] = value
  end
  return loader.start(all)
end

local function save_spec(name, text)
  loader.save("spec/" .. name .. "_spec.lua", text)
end

-- One example, which first does `more`, then wants the script's path to be /<n>.
local function spec(n, more)
  return ([[
describe("acme", function()
  it("is told", function()
    %s
    local partner = assert(require("moonpost.testing").partner("scripts/acme.lua"))
    assert.equal("https://acme.example/%s?x=1", partner:render({ x = 1 }).url)
  end)
end)
]]):format(more or "", n)
end

local function hear_error(from, pattern)
  return loader.hear(function(news)
    return news.error and news.error:find(pattern) and news
  end, from, "the error " .. pattern)
end

-- The processes with that in their command line.
local function running(text)
  local found = 0
  for entry in uv.fs_scandir_next, (uv.fs_scandir("/proc")) do
    local file = entry:find("^%d+$") and io.open("/proc/" .. entry .. "/cmdline")
    local words = file and file:read("*a")
    if file then
      file:close()
    end
    if words and words:gsub("%z", " "):find(text, 1, true) then
      found = found + 1
    end
  end
  return found
end

local function await_running(text, expected)
  eventually(function()
    return (running(text) > 0) == expected
  end, nil, text .. (expected and " to run" or " to end"))
end

-- The children of the loader's process, zombies among them.
local function children()
  local list = {}
  for entry in uv.fs_scandir_next, (uv.fs_scandir("/proc")) do
    local file = entry:find("^%d+$") and io.open("/proc/" .. entry .. "/stat")
    local state, parent = (file and file:read("*a") or ""):match("%) (%a) (%d+)")
    if file then
      file:close()
    end
    if tonumber(parent) == loader.child.pid then
      list[#list + 1] = state .. entry
    end
  end
  return list
end

local function descriptors()
  local count = 0
  for _ in uv.fs_scandir_next, (uv.fs_scandir("/proc/" .. loader.child.pid .. "/fd")) do
    count = count + 1
  end
  return count
end

describe("the reload gate", function()
  before_each(function()
    loader.open()
    loader.mkdir(loader.path_of("spec"))
    loader.mkdir(loader.path_of("lib"))
    loader.save("acme.lua", loader.script(1))
    save_spec("acme", spec(1))
  end)
  after_each(loader.close)

  local function refuse(text, pattern, from)
    save_spec("acme", text)
    loader.save("acme.lua", loader.script(2))
    local news, at = hear_error(from, pattern)
    return news.error, at
  end

  describe("tells in one line of harmless text", function()
    it("what a spec says in bytes that are none, and no secret", function()
      local from = start({ MOONPOST_SECRET_KEY = "canary-canary" })
      local error = refuse([[describe("x", function() it("y", function()
        error("a\0b\27[31mc\nd\r\194\155e canary-canary f") end) end)]], "its spec fails", from)
      assert.matches("x y: .*a b %[31mc d   e %[secret key%] f$", error)
      local _, at = hear_error(from, "its spec fails")
      error = refuse('io.write("\\0\\27]0;canary-canary\\7\\255") os.exit(3)', "could not be run", at + 1)
      assert.matches("after:   %]0;%[secret key%] ", error)
    end)

    it("which example failed, however much it says", function()
      local from = start()
      local error = refuse([[describe("x", function() it("y", function() error(("ü"):rep(5e5)) end) end)]], "its spec fails", from)
      assert.matches("acme_spec%.lua:1: x y: ü+", error)
    end)

    it("how many failed, the first of them by name", function()
      local from = start()
      local error = refuse([[describe("x", function() for i = 1, 512 do it("y" .. i, function() error(("z"):rep(300)) end) end end)]],
        "its spec fails", from)
      assert.matches("acme_spec%.lua:1: x y1: z+.*%(and 511 more%)$", error)
    end)
  end)

  it("asks again when what was refused is saved as it was", function()
    local from = start()
    save_spec("acme", spec(2, ("assert(io.open(%q))"):format(loader.home .. "/flag")))
    loader.save("acme.lua", loader.script(2))
    local _, at = hear_error(from, "its spec fails: .*flag")
    loader.write(loader.home .. "/flag", "")
    loader.save("acme.lua", loader.script(2))
    loader.hear_generation(loader.script(2), at + 1)
  end)

  it("does not ask again for what a spec writes beside itself", function()
    local notes = loader.path_of("spec/notes.txt")
    local from = start()
    local _, at = refuse(([[local file = io.open(%q, "a") file:write("run\n") file:close() error("no")]]):format(notes),
      "its spec fails: .*no", from)
    local function runs()
      local _, count = io.open(notes):read("*a"):gsub("run", "")
      return count
    end
    assert.is_true(runs() > 0)
    local before = runs()
    loader.news_until_now(at + 1)
    loader.news_until_now(#loader.heard + 1)
    assert.equal(before, runs())
  end)

  it("lets nothing live that its spec has seen otherwise", function()
    loader.save("lib/path.lua", "return '1'")
    loader.save("acme.lua", loader.script(1) .. "-- " .. ("x"):rep(9))
    local from = start()
    local lib, own = loader.path_of("lib/path.lua"), 'return { url = "https://acme.example/" .. require("path") .. "?x={x}" }'
    -- While it runs the module is another; then it is what it was.
    save_spec("acme", ([[
local function save(text) local file = io.open(%q, "w") file:write(text) file:close() end
save("return '2'")
teardown(function() save("return '1'") end)
]]):format(lib) .. spec(2))
    loader.save("acme.lua", own)
    local news = hear_error(from, "changes each time while the spec runs")
    assert.is_not.equal(own, news.source)
    for i = from, #loader.heard do
      assert.is_not.equal(own, loader.heard[i].source)
    end
    save_spec("acme", spec(1))
    loader.hear_generation(own, from)
  end)

  describe("ends what a spec began", function()
    it("also what leads a group of its own, and what says on for ever", function()
      local from = start()
      save_spec("acme", spec(2, loader.ALONE .. [[os.execute("timeout 70 sleep 62.5 & yes 62.5 &")]]))
      loader.save("acme.lua", loader.script(2))
      loader.hear_generation(loader.script(2), from)
      await_running("sleep 62.5", false)
      await_running("yes 62.5", false)
    end)

    it("and leaves no zombie as process 1, and no descriptor", function()
      local from = start({ PROBE_FIRST = "1", PROBE_GATE_MS = tostring(1500 * patience) })
      local before = descriptors()
      save_spec("acme", spec(2, loader.ALONE .. [[io.popen("exec timeout 70 sleep 63.5") while true do end]]))
      loader.save("acme.lua", loader.script(2))
      local _, at = hear_error(from, "takes longer than")
      assert.same({}, children())
      save_spec("acme", spec(2, loader.ALONE .. [[os.execute("sleep 63.5 &")]]))
      loader.hear_generation(loader.script(2), at + 1)
      assert.same({}, children())
      assert.equal(before, descriptors())
      assert.equal(0, running("sleep 63.5"))
    end)

    it("also when it is killed itself", function()
      start()
      save_spec("acme", spec(2, loader.ALONE .. [[io.popen("exec sleep 64.5") while true do end]]))
      loader.save("acme.lua", loader.script(2))
      await_running("sleep 64.5", true)
      assert(uv.kill(loader.child.pid, "sigkill"))
      await_running(loader.path_of("spec/acme_spec.lua"), false)
      await_running("sleep 64.5", false)
      loader.child:wait()
      loader.child = nil
    end)
  end)

  it("waits for specs also where children are not waited for", function()
    start({ PROBE_HEEDLESS = "1" })
    assert.is_nil(loader.heard[1].error)
    assert.equal(loader.script(1), loader.heard[1].source)
  end)

  it("works without inotify, without HOME, and with a dash in the name", function()
    loader.save("a-b_c.lua", loader.script(4))
    save_spec("a-b_c", (spec(4):gsub("scripts/acme", "scripts/a-b_c")))
    local from = start({ PROBE_BLIND = "1", HOME = false })
    assert.equal(loader.script(4), loader.heard[1].source)
    loader.save("a-b_c.lua", loader.script(5))
    local _, at = hear_error(from, "its spec fails")
    save_spec("a-b_c", (spec(5):gsub("scripts/acme", "scripts/a-b_c")))
    loader.hear_generation(loader.script(5), at + 1)
  end)
end)
