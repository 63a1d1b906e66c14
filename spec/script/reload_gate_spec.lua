--- The reload gate: a script is told of once its spec passes, as `moonpost test` runs it.
local uv = require("luv")
local eventually = require("spec.support.eventually")
local loader = require("spec.support.loader")

local patience = tonumber(os.getenv("MOONPOST_PATIENCE")) or 1

local function start(ms)
  return loader.start({ PROBE_GATE = loader.gate(), PROBE_GATE_MS = tostring(ms or 10000 * patience) })
end

-- A spec of scripts/<name>.lua that wants its path to be /<n>.
local function spec(name, n)
  return ([[
local testing = require("moonpost.testing")
describe("%s", function()
  it("is told", function()
    local partner = assert(testing.partner("scripts/%s.lua"))
    assert.equal("https://acme.example/%s?x=1", partner:render({ x = 1 }).url)
  end)
end)
]]):format(name, name, n)
end

local function save_spec(name, text)
  loader.save("spec/" .. name .. "_spec.lua", text)
end

-- The partner's next error, and its place.
local function hear_error(from, pattern)
  return loader.hear(function(news)
    return news.error and news.error:find(pattern) and news
  end, from, "the error " .. pattern)
end

-- Whether a process has that in its command line.
local function is_running(text)
  for entry in uv.fs_scandir_next, (uv.fs_scandir("/proc")) do
    local file = entry:find("^%d+$") and io.open("/proc/" .. entry .. "/cmdline")
    local words = file and file:read("*a")
    if file then
      file:close()
    end
    if words and words:gsub("%z", " "):find(text, 1, true) then
      return true
    end
  end
  return false
end

local function await_spec(expected)
  eventually(function()
    return is_running(loader.folder .. "/spec/acme_spec.lua") == expected
  end, nil, expected and "the spec to run" or "the spec to end")
end

describe("the reload gate", function()
  before_each(function()
    loader.open()
    loader.mkdir(loader.path_of("spec"))
    loader.save("acme.lua", loader.script(1))
    save_spec("acme", spec("acme", 1))
  end)
  after_each(loader.close)

  it("lets a script live whose spec passes, at the start too", function()
    local from = start()
    assert.equal(2, from)
    assert.equal(loader.script(1), loader.heard[1].source)
    assert.is_nil(loader.heard[1].error)
    save_spec("acme", spec("acme", 2))
    loader.save("acme.lua", loader.script(2))
    loader.hear_generation(loader.script(2), from)
  end)

  it("keeps the old script when the spec fails, and says which example and why", function()
    local from = start()
    loader.save("acme.lua", loader.script(2))
    local news = hear_error(from, "its spec fails")
    assert.equal(loader.script(1), news.source)
    assert.matches("scripts/acme%.lua: its spec fails: .*scripts/spec/acme_spec%.lua:5: acme is told: Expected objects to be equal",
                   news.error)
  end)

  it("asks again when the spec is mended, and of the specs that fail only", function()
    loader.save("other.lua", loader.script(7))
    save_spec("other", spec("other", 7))
    local from = start()
    loader.save("acme.lua", loader.script(2))
    local _, at = hear_error(from, "its spec fails")
    save_spec("acme", spec("acme", 2))
    _, at = loader.hear_generation(loader.script(2), at + 1)
    for i = from + 1, at do
      assert.equal("acme", loader.heard[i].change)
    end
    -- A live script is not asked for what its spec has become since.
    save_spec("acme", spec("acme", 3))
    save_spec("fence1", spec("fence1", "fence1"))
    assert.same({}, loader.news_until_now(at + 1))
  end)

  it("lets the script live that was live before, without asking", function()
    local from = start()
    loader.save("acme.lua", loader.script(2))
    local _, at = hear_error(from, "its spec fails")
    save_spec("acme", "error('never run')")
    loader.save("acme.lua", loader.script(1))
    loader.hear_generation(loader.script(1), at + 1)
  end)

  it("refuses a script without a spec, and names the file to write", function()
    local from = start()
    loader.save("other.lua", loader.script(3))
    local news, at = hear_error(from, "it has no spec")
    assert.is_nil(news.source)
    assert.equal(loader.path_of("other.lua") .. ": it has no spec: write " .. loader.path_of("spec/other_spec.lua")
      .. ", or run without --reload-gate", news.error)
    save_spec("other", spec("other", 3))
    loader.hear_generation(loader.script(3), at + 1)
  end)

  it("asks for a script when a module of it changes", function()
    loader.mkdir(loader.path_of("lib"))
    loader.save("lib/path.lua", "return '1'")
    local function script(module)
      return ('return { url = "https://acme.example/" .. require("%s") .. "?x={x}" }'):format(module)
    end
    loader.save("acme.lua", script("path"))
    local from = start()
    loader.save("lib/path.lua", "return '2'")
    local news, at = hear_error(from, "its spec fails")
    assert.equal(script("path"), news.source)
    loader.save("lib/path.lua", "return '1'")
    loader.hear_generation(script("path"), at + 1)
  end)

  it("refuses specs that show nothing", function()
    local from = start()
    for _, case in ipairs({
      { "", "its spec shows nothing" },
      { "describe('x', function() end)", "its spec shows nothing" },
      { "os.exit(0)", "its spec shows nothing" },
      { "describe('x', function() it('is pending', function() pending('later') end) end)", "its spec shows nothing" },
      { "describe('x', function() it('ends early', function() os.exit(7) end) end)", "could not be run: it ended with code 1" },
      { "describe(", "its spec fails: .*acme_spec%.lua:1: unexpected symbol" },
      { "error('at once')", "its spec fails: .*acme_spec%.lua:1: at once" },
      { "describe('x', function() before_each(function() error('before') end) it('y', function() end) end)",
        "its spec fails: .*acme_spec%.lua:1: before" },
      { "describe('x', function() for i = 1, 3 do it('y' .. i, function() error({}) end) end end)",
        "its spec fails: .*acme_spec%.lua:1: x y1: .* %(and 2 more%)" },
      { "for i = 1, 3e4 do print('noise') end describe('x', function() it('y', function() error('still heard') end) end)",
        "acme_spec%.lua:1: x y: still heard" },
    }) do
      save_spec("acme", case[1])
      loader.save("acme.lua", loader.script(2))
      local _, at = hear_error(from + 1, case[2])
      loader.save("acme.lua", loader.script(1))
      _, from = loader.hear_generation(loader.script(1), at + 1)
    end
  end)

  it("gives a spec its time and no more, and answers tries meanwhile", function()
    local from = start(700 * patience)
    save_spec("acme", "describe('x', function() it('hangs', function() " .. loader.ALONE
      .. "io.popen('exec sleep 61.5') while true do end end) end)")
    loader.save("acme.lua", loader.script(2))
    await_spec(true)
    loader.command('try acme {"x":"5"}')
    local _, at = loader.hear(function(news) return news.try end, from, "the try's answer")
    assert.equal("https://acme.example/1?x=5", loader.heard[at].url)
    local news, after = hear_error(from, "takes longer than")
    assert.is_true(after > at)
    assert.matches("acme_spec%.lua takes longer than [%d.]+ s %(%-%-reload%-gate%-timeout%)", news.error)
    await_spec(false)
    eventually(function() return not is_running("sleep 61.5") end, nil, "what the spec began to end")
  end)

  it("ends with the loader, and the spec with it", function()
    start()
    save_spec("acme", "describe('x', function() it('hangs', function() while true do end end) end)")
    loader.save("acme.lua", loader.script(2))
    await_spec(true)
    loader.command("close")
    assert.equal(0, loader.child:wait())
    await_spec(false)
  end)

  it("shows a spec nothing of the runtime's own secrets", function()
    save_spec("acme", [[describe("x", function() it("looks", function()
      error(tostring(os.getenv("MOONPOST_SECRET_KEY")) .. " " .. tostring(os.getenv("PATH") ~= nil)) end) end)]])
    loader.start({ PROBE_GATE = loader.gate(), PROBE_GATE_MS = "10000", MOONPOST_SECRET_KEY = "canary" })
    hear_error(1, "x looks: nil true")
  end)
end)
