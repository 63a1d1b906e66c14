--- scripts/README.md, the contract of partner scripts: what it shows is what happens.
local ffi = require("ffi")
local uv = require("luv")
local support = require("spec.support")
local files = require("spec.support.files")
local page = require("spec.support.page")
local script = require("spec.support.script")
local shown = require("spec.support.shown")
local c = require("spec.support.cdef").load()
local process, runtime = support.process, support.runtime

local PATH = "scripts/README.md"
local sections = page.read(PATH)
local cases, prose = shown.cases(sections)
local first = page.section(sections, "The first page")
local acme, commands = page.blocks(first, "lua")[1], page.blocks(first, "sh")[1]

describe("scripts/README.md", function()
  after_each(runtime.clean)

  for _, case in ipairs(cases) do
    it(case.name, case.run)
  end

  it("shows enough to be worth checking", function()
    assert.is_true(#cases >= 80, #cases .. " cases")
  end)

  it("has no table beside these that nothing checks", function()
    assert.same({
      "key | default | what", "marker | means", "hook | is called | returns", "word | means", "of `batch` | default | most | ",
      "of the testing module | gives", "script | shows",
    }, prose)
  end)

  it("links to what is there, as README.md and docs/ do", function()
    local paths, all = files.list({ "docs" }, "%.md$"), 0
    for _, path in ipairs({ PATH, "README.md", unpack(paths) }) do
      local broken, count = page.broken_links(path)
      assert.same({}, broken, path)
      all = all + count
    end
    assert.is_true(all > 25, all .. " links")
  end)
end)

describe("README.md", function()
  after_each(runtime.clean)

  it("shows a partner that does what it says", function()
    local blocks = page.blocks(page.section(page.read("README.md"), "A partner"), "lua")
    assert.equal(1, #blocks)
    local partner = assert(shown.load(blocks[1].text))
    assert.equal("https://postback.acme.example/pb?cid=c-1&goal=17&payout=1.50", partner:render('{"click_id":"c-1","goal":17,"payout":1.50}').url)
    assert.equal("missing click_id", select(2, partner:render({})))
    assert.equal("https://postback.acme.example/pb?cid=c-1", partner:render({ click_id = "c-1" }).url)
    assert.same({ "delivered", "retry" }, { (partner:verdict({ status = 400, body = "DUPLICATE" })), (partner:verdict({ status = 200, body = "TRY LATER" })) })
  end)
end)

describe("its first page", function()
  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)
  after_each(support.clean)

  local conversion = { click_id = "c 1", goal = "purchase", payout = 1.5, type = "conversion.sale" }
  local click = { click_id = "c1", goal = "signup" }

  -- What the compiled script says, which no request shows.
  local function plan(text, name)
    local loaded = script.load(text, name, { secrets = { acme_key = "k1" } })
    return loaded and {
      subscribes = loaded.subscribe_count == 1 and script.text_of(loaded.subscribes[0]), rate = loaded.rate_per_second,
      concurrency = tonumber(loaded.concurrency), jitter = loaded.jitter,
    }
  end

  -- All that the script does, or nil when it is none.
  local function facts(text)
    local name = text:match("^%-%- scripts/([%w_-]+)%.lua ")
    local planned = name and plan(text, name)
    if not planned then
      return nil
    end
    local partner = assert(shown.load(text))
    local request = partner:render(conversion) or { headers = {} }
    local played = partner:deliver(click, 503)
    return {
      name = name, plan = planned, url = request.url, event = request.headers["x-event"], method = request.method,
      bare = partner:render(click) and partner:render(click).url, waits = played.waits, dead = played.dead,
      no_click = select(2, partner:render({ goal = "signup" })), no_goal = select(2, partner:render({ click_id = 1, goal = "view" })),
      test = { select(2, partner:render({ click_id = 1, goal = "signup", test = true })) },
      old = { select(2, partner:render(click, { received_at = "2026-01-24T09:59:59Z" })) },
      young = partner:render(click, { received_at = "2026-01-24T10:00:01Z" }) ~= nil,
      duplicate = { partner:verdict({ status = 400, body = "a DUPLICATE" }) }, error = { partner:verdict({ status = 200, body = "ERROR" }) },
    }
  end

  local wanted = {
    name = "acme", plan = { subscribes = "conversion.*", rate = 50, concurrency = 8, jitter = 0.2 }, method = "GET",
    url = "https://acme.example/pb?cid=c%201&goal=42&payout=1.5&key=test-acme_key", event = "conversion.sale",
    bare = "https://acme.example/pb?cid=c1&goal=17&key=test-acme_key", waits = { 5, 60, 600, 3600, 21600 },
    dead = "gave up after 6 attempts: status 503", no_click = "missing click_id", no_goal = "missing goal_id",
    test = { "a test", "skipped" }, old = { "expired", "dead" }, young = true,
    duplicate = { "delivered", 'answers: body "DUPLICATE"', "answers" }, error = { "dead", "acme said ERROR", "answers" },
  }

  it("has twenty lines", function()
    assert.equal(20, #acme.lines + #commands.lines)
  end)

  it("does what it says", function()
    assert.same(wanted, facts(acme.text))
  end)

  it("quotes in its remarks what is really said", function()
    local said = table.concat({ wanted.no_click, wanted.test[1], wanted.old[1], wanted.dead }, "\n")
    local count = 0
    for _, line in ipairs(acme.lines) do
      for quote in (line:match("%-%- (.*)$") or ""):gmatch('"(%a[^"]+)"') do
        count = count + 1
        assert.truthy(said:find(quote, 1, true), quote)
      end
    end
    assert.equal(4, count)
  end)

  for number, line in ipairs(acme.lines) do
    it(("needs its line %d: %s"):format(number, line:sub(1, 40)), function()
      local without = { unpack(acme.lines) }
      table.remove(without, number)
      assert.are_not.same(wanted, facts(table.concat(without, "\n") .. "\n"))
    end)
  end

  -- Runs the lines as somebody would: `#` says a part of what each prints, or the files that it writes.
  local function run(lines, rt)
    local bin = assert(uv.fs_realpath(os.getenv("MOONPOST_BUILD") or "build"))
    local before = ""
    for _, line in ipairs(lines) do
      local command, remark = line:match("^(.-)%s+# (.*)$")
      if command:find("^export ") then
        before = before .. command .. "\n"
      else
        local child = process.run("/bin/sh", { args = { "-c", before .. command }, cwd = rt.root, env = {
          PATH = bin .. ":" .. os.getenv("PATH"), MOONPOST_SERVER = rt.address, LD_PRELOAD = os.getenv("DEV_PRELOAD"),
          ASAN_OPTIONS = "detect_leaks=0",
        } })
        local printed = child:text("out")
        assert.equal(0, child.code, command .. ": " .. printed .. child:text())
        for part in remark:gsub(" … %a.*$", ""):gsub(" … ", "\n"):gmatch("[^\n]+") do
          assert.truthy(printed:find(part, 1, true), ("%s: %q is not in %s"):format(command, part, printed))
        end
        coroutine.yield(command)
      end
    end
  end

  it("has commands that work as they are, on its script and its spec", function()
    local rt = runtime.start({ env = { MOONPOST_SECRET_ACME_KEY = "k1" } })
    local seen = {}
    for command in coroutine.wrap(function() run(commands.lines, rt) end) do
      seen[#seen + 1] = command:match("^moonpost %a+")
      if #seen == 1 then -- `new` wrote both; now the page's
        assert.truthy(files.read(rt.scripts .. "/spec/acme_spec.lua"))
        rt:write_script("acme", acme.text)
        runtime.write_file(rt.scripts .. "/spec/acme_spec.lua", page.blocks(page.section(sections, "Testing a script"), "lua")[1].text)
        support.eventually(function() return (rt:partner("acme") or {}).state == "ok" end)
      end
    end
    assert.same({ "moonpost new", "moonpost check", "moonpost try", "moonpost test", "moonpost send" }, seen)
  end)
end)

describe("its reference", function()
  local text = files.read(PATH)

  local function quoted(path, pattern)
    local list = assert(files.read(path):match(pattern), pattern)
    local names = {}
    for name in list:gmatch('"([^"]+)"') do
      names[#names + 1] = name
    end
    assert.is_true(#names > 20)
    return names
  end

  it("has every key that a script may have, and no other", function()
    local known, listed = {}, {}
    for _, name in ipairs(quoted("src/script/plan.c", "known_keys%[%] = {(.-)}")) do
      known[name] = true
    end
    for _, part in ipairs(page.section(sections, "The file").parts) do
      for _, row in ipairs(part.rows or {}) do
        for _, name in ipairs(page.code(row.cells[1])) do
          listed[name] = true
        end
      end
    end
    assert.same(known, listed)
  end)

  it("lists every example there is, and no other", function()
    local listed, there = {}, {}
    for _, part in ipairs(page.section(sections, "Examples to paste").parts) do
      for _, row in ipairs(part.rows or {}) do
        for _, name in ipairs(page.code(row.cells[1])) do
          listed[#listed + 1] = name
        end
      end
    end
    for _, path in ipairs(files.list({ "scripts/examples" }, "%.lua$")) do
      there[#there + 1] = path:match("^scripts/examples/([^/]+)%.lua$")
    end
    table.sort(listed)
    table.sort(there)
    assert.is_true(#there >= 8)
    assert.same(there, listed)
  end)

  it("has every function that is in reach", function()
    local missing = {}
    for _, name in ipairs(quoted("src/script/sandbox.c", '"assert",%s+"error",%s+"ipairs",%s+"next".-}')) do
      missing[#missing + 1] = not text:find("%f[%w_]" .. name .. "%f[^%w_]") and name or nil
    end
    assert.same({}, missing)
  end)

  it("has access that is compiled as it says", function()
    local pem, key = "-----BEGIN CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----"
    local block = page.blocks(page.section(sections, "OAuth2, client certificates, proxies"), "lua")[1]
    local loaded = assert(script.load(block.text, "acme", { proxies = { "eu" },
      secrets = { acme_client = "c", acme_cert = pem, acme_cert_key = key, acme_ca = pem .. " of an authority" } }))
    local oauth2, tls = loaded.oauth2, loaded.tls
    local said = {}
    for i, hidden in ipairs({ oauth2.token_url, oauth2.client_id, oauth2.client_secret, oauth2.scope, tls.cert, tls.key, tls.ca }) do
      said[i] = script.text_of(hidden.text)
    end
    assert.same({ "https://login.acme.example/token", "moonpost", "c", "events", pem, key, pem .. " of an authority" }, said)
    assert.equal("eu", script.text_of(loaded.proxy))
  end)

  it("tells the defaults as they are", function()
    local loaded = assert(script.load('return { url = "https://acme.example/", batch = {} }'))
    assert.equal(15000, tonumber(loaded.timeout_ms))
    assert.equal(32, tonumber(loaded.concurrency))
    assert.equal(0, loaded.rate_per_second)
    assert.equal(0.2, loaded.jitter)
    assert.equal("POST", ffi.string(loaded.method))
    local waits = {}
    for i = 0, tonumber(loaded.schedule_count) - 1 do
      waits[#waits + 1] = tonumber(loaded.schedule_ms[i]) / 1000
    end
    assert.same({ 5, 30, 120, 600, 1800, 7200, 18000, 36000, 36000, 50400 }, waits)
    assert.truthy(text:find("5s 30s 2m 10m 30m 2h 5h 10h 10h 14h", 1, true))
    assert.same({ 100, 1000, 1024 * 1024 }, { tonumber(loaded.batch.size), tonumber(loaded.batch.wait_ms), tonumber(loaded.batch.bytes) })
  end)
end)
