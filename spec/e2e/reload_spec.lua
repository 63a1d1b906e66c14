--- A saved script is live at once and under load, and a broken one changes nothing.
local uv = require("luv")
local support = require("spec.support")
local eventually, http, partner, runtime = support.eventually, support.http, support.partner, support.runtime

local function version(fake, n)
  return ('return {\n  method = "POST",\n  url = "%s",\n  headers = { ["X-Version"] = "%d" },\n}\n'):format(
    fake:url("/v" .. n), n)
end

local function load_on(rt)
  return http.load({ url = rt:url("/events/acme"), connections = 4, body = '{"a":1}',
                     headers = { ["Content-Type"] = "application/json" } })
end

-- The first request to `path`.
local function wait_for_path(fake, path)
  local seen = 0
  return eventually(function()
    while seen < #fake.requests do
      seen = seen + 1
      if fake.requests[seen].path == path then
        return fake.requests[seen]
      end
    end
  end, nil, "a request to " .. path)
end

describe("a saved script", function()
  after_each(support.clean)

  it("is live under load, and no delivery fails", function()
    local fake = partner.new()
    local rt = runtime.start({ scripts = { acme = version(fake, 1) } })
    local load = load_on(rt)
    wait_for_path(fake, "/v1")
    local slowest = 0
    for n = 2, 6 do
      local saved_at = uv.hrtime()
      rt:write_script("acme", version(fake, n))
      slowest = math.max(slowest, (wait_for_path(fake, "/v" .. n).at - saved_at) / 1e6)
    end
    load:stop()
    eventually(function() return rt:partner("acme").waiting == 0 end, nil, "an empty queue")
    print(("  live %.0f ms after saving at the latest, of 5 saves under load"):format(slowest))
    assert.equal(load.sent, load.statuses[202])
    eventually(function() return #rt:attempts() >= load.sent end, nil, "every attempt's line")
    for _, line in ipairs(rt:attempts()) do
      assert.equal("delivered", line.verdict, line.why)
    end
    assert.equal(load.sent, #fake.requests)
  end)

  it("that is broken is told by file and line, and the old one serves", function()
    local fake = partner.new()
    local rt = runtime.start({ scripts = { acme = version(fake, 1) } })
    rt:expect_error("acme%.lua:")
    local generation = rt:partner("acme").generation
    for _, case in ipairs({
      { "return {\n  url = = 1,\n}\n", "acme%.lua:2:" },
      { 'local t = nil\n\nlocal x = t.y\nreturn { url = "http://a.example/" }\n', "acme%.lua:3:" },
      { 'return {\n  urll = "http://a.example/",\n}\n', "acme%.lua" },
    }) do
      rt:write_script("acme", case[1])
      eventually(function()
        local item = rt:partner("acme")
        return type(item.error) == "string" and item.error:find(case[2]), item.error
      end, nil, "the error of the broken script")
      rt.child:wait_for(case[2])
      assert.equal("ok", rt:partner("acme").state)
      assert.equal(generation, rt:partner("acme").generation)
      local id = rt:accept("/events/acme", "{}")[1]
      assert.equal(generation, rt:attempt(id).generation)
    end
    rt:write_script("acme", version(fake, 2))
    eventually(function()
      local item = rt:partner("acme")
      return type(item.error) ~= "string" and item.generation ~= generation
    end, nil, "the new generation")
    rt:accept("/events/acme", "{}")
    wait_for_path(fake, "/v2")
  end)

  it("of a new partner makes it known", function()
    local fake = partner.new()
    local rt = runtime.start({ scripts = {} })
    assert.equal(404, rt:post("/events/acme", "{}").status)
    rt:write_script("acme", version(fake, 1))
    eventually(function() return rt:post("/events/acme", "{}").status == 202 end, nil, "the new partner")
    wait_for_path(fake, "/v1")
  end)

  it("that was broken from the start serves what waited once it is mended", function()
    local fake = partner.new()
    local rt = runtime.start({ scripts = { acme = "return {" } })
    rt:expect_error("acme%.lua:")
    assert.equal("broken", rt:partner("acme").state)
    local id = rt:accept("/events/acme", "{}")[1]
    rt:write_script("acme", version(fake, 1))
    eventually(function() return fake:count(id, "id") == 1 end, nil, "what waited")
    assert.equal("ok", rt:partner("acme").state)
  end)

  it("serves what waits in it when its file goes and comes back", function()
    local fake = partner.new({ handler = function() return 503 end })
    local rt = runtime.start({ scripts = {
      acme = ('return { url = "%s", retry = { schedule = { "1h" } } }'):format(fake:url("/v1")),
    } })
    rt:accept("/events/acme", "{}")
    eventually(function() return #fake.requests == 1 end, nil, "the first attempt")
    assert(os.remove(rt.scripts .. "/acme.lua"))
    eventually(function()
      local item = rt:partner("acme")
      return item and item.state == "paused" and item.reason:find("is gone"), item and item.reason
    end, nil, "the pause of a partner that is gone")
    local id = rt:accept("/events/acme", "{}")[1]
    fake.handler = function() return 200 end
    rt:write_script("acme", version(fake, 2))
    eventually(function() return fake:count(id, "id") == 1 end, nil, "the event that waited")
  end)

  it("goes live once its spec passes, with --reload-gate, and the old one serves till then", function()
    local fake = partner.new()
    local function spec(n)
      return ([[describe("acme", function() it("has a version", function()
        local acme = assert(require("moonpost.testing").partner("scripts/acme.lua"))
        assert.equal("%d", acme:render({}).headers["X-Version"]) end) end)]]):format(n)
    end
    local root = runtime.folder()
    for _, folder in ipairs({ "/scripts", "/scripts/spec" }) do
      assert(uv.fs_mkdir(root .. folder, 493))
    end
    runtime.write_file(root .. "/scripts/spec/acme_spec.lua", spec(1))
    -- Under a sanitizer the interpreter that runs the spec needs it preloaded, and leaks on purpose.
    local env = { LD_PRELOAD = os.getenv("DEV_PRELOAD"), ASAN_OPTIONS = os.getenv("DEV_PRELOAD") and "detect_leaks=0" }
    local rt = runtime.start({ folder = root, flags = { "--reload-gate" }, env = env, scripts = { acme = version(fake, 1) } })
    rt:write_script("acme", version(fake, 2))
    rt:expect_error("its spec fails")
    eventually(function()
      return tostring(rt:partner("acme").error):find("its spec fails: .*acme has a version"), rt:partner("acme").error
    end, nil, "the refusal")
    rt.child:wait_for("its spec fails: .*the older generation serves on")
    assert.equal("ok", rt:partner("acme").state)
    rt:accept("/events/acme", "{}")
    wait_for_path(fake, "/v1")
    runtime.write_file(root .. "/scripts/spec/acme_spec.lua", spec(2))
    eventually(function() return type(rt:partner("acme").error) ~= "string" end, nil, "the script to be live")
    rt:accept("/events/acme", "{}")
    wait_for_path(fake, "/v2")
  end)

  it("is not waited for with --reload-gate where nothing can run a spec", function()
    local root = runtime.folder()
    assert(uv.fs_mkdir(root .. "/scripts", 493))
    local child = support.process.run(runtime.binary(), { env = { PATH = root },
      args = { "run", "--listen", "127.0.0.1:0", "--scripts", root .. "/scripts", "--data", root .. "/data", "--reload-gate" } })
    assert.equal(3, child.code)
    assert.matches("could not open %-%-reload%-gate: could not find busted: specs run in busted, .*apt%-get install", child:text())
  end)
end)
