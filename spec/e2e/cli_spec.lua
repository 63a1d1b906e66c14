--- The commands that ask a server, or load scripts, end to end. Their server is the real one where
-- its answer matters, and a fake one where the command's own conduct does.
local cjson = require("cjson")
local support = require("spec.support")
local eventually, partner, process, runtime = support.eventually, support.partner, support.process,
  support.runtime

local function moonpost(args, options)
  options = options or {}
  options.args = args
  return process.run(runtime.binary(), options)
end

local function ends(code, args, options)
  local child = moonpost(args, options)
  assert.equal(code, child.code, table.concat(args, " ") .. ": " .. child:text() .. child:text("out"))
  return child
end

-- A folder with scripts in it: { acme = text }.
local function scripts_folder(scripts)
  local folder = runtime.folder()
  for name, text in pairs(scripts) do
    runtime.write_file(("%s/%s.lua"):format(folder, name), text)
  end
  return folder
end

local acme = [[return { url = "https://acme.example/pb?c={click_id}&n={n}", method = "GET",
  headers = { ["X-Key"] = secret "acme_key" },
  accepts = function(event) return event.click_id ~= nil, "no click" end,
  retry = { schedule = { "5s", "30s", "2h" } } }]]
local keyed = { env = { MOONPOST_SECRET_ACME_KEY = "canary-7f3a" } }

describe("moonpost check", function()
  after_each(support.clean)

  it("prints each script's generation when all load", function()
    local folder = scripts_folder({ a = [[return { url = "http://a.example/" }]],
                                    b = [[return { url = "http://b.example/" }]] })
    local child = ends(0, { "check", "--scripts", folder })
    assert.equal(2, #child.out)
    for i, name in ipairs({ "a", "b" }) do
      assert.truthy(child.out[i]:find(name .. "%.lua: ok %(generation %x+%)$"), child.out[i])
    end
  end)

  it("prints file, line and reason and exits 1 when one does not", function()
    local folder = scripts_folder({ good = [[return { url = "http://a.example/" }]],
                                    bad = "return {\n  url = 'http://a.example/',\n  oops\n" })
    local child = ends(1, { "check", "--scripts", folder })
    assert.truthy(child:text("out"):find("bad%.lua:%d+: "), child:text("out"))
    assert.truthy(child:text("out"):find("good.lua: ok", 1, true))
    ends(0, { "check", folder .. "/good.lua" })
    ends(1, { "check", folder .. "/good.lua", folder .. "/bad.lua" })
  end)

  it("prints JSON for programs", function()
    local folder = scripts_folder({ good = [[return { url = "http://a.example/" }]], bad = "return 7" })
    local child = ends(1, { "check", "--scripts", folder, "--json" })
    local items = cjson.decode(child:text("out")).items
    assert.equal(2, #items)
    for _, item in ipairs(items) do
      assert.equal(item.file:find("good", 1, true) ~= nil, item.ok)
      assert.truthy(item.ok and item.generation or item.error)
    end
  end)

  it("does not call an empty or missing folder good", function()
    ends(1, { "check", "--scripts", runtime.folder() })
    ends(1, { "check", "--scripts", "/nowhere/at/all" })
    ends(1, { "check", "/nowhere/acme.lua" })
  end)
end)

describe("moonpost try", function()
  after_each(support.clean)

  local function try(code, args, options)
    local merged = { env = keyed.env }
    for name, value in pairs(options or {}) do
      merged[name] = value
    end
    return ends(code, { "try", unpack(args) }, merged)
  end

  it("prints the request, secrets hidden, and the timetable", function()
    local folder = scripts_folder({ acme = acme })
    local child = try(0, { "acme", '{"click_id":"a b","n":1.50}', "--scripts", folder })
    local out = child:text("out")
    assert.equal("GET https://acme.example/pb?c=a%20b&n=1.50", child.out[1])
    assert.truthy(out:find("\nX-Key: [secret acme_key]\n", 1, true), out)
    assert.truthy(out:find("\n2nd attempt after 5s\n3rd attempt after 30s\n4th attempt after 2h\n"
      .. "in all 2h35s", 1, true), out)
    assert.falsy((out .. child:text()):find("canary", 1, true))
  end)

  it("takes the event from a file and from stdin", function()
    local folder = scripts_folder({ acme = acme })
    runtime.write_file(folder .. "/event.json", ' {"click_id":"f"}\n')
    local from_file = try(0, { "acme", folder .. "/event.json", "--scripts", folder })
    assert.truthy(from_file.out[1]:find("c=f&", 1, true))
    local from_stdin = try(0, { "acme", "-", "--scripts", folder }, { input = '{"click_id":"s"}' })
    assert.truthy(from_stdin.out[1]:find("c=s&", 1, true))
  end)

  it("prints the API's JSON", function()
    local folder = scripts_folder({ acme = [[return { url = "https://a.example/", body = { n = "{n}" } }]] })
    local answer = cjson.decode(try(0, { "acme", '{"n":1}', "--scripts", folder, "--json" }):text("out"))
    assert.equal("acme", answer.partner)
    assert.equal("POST", answer.method)
    assert.equal("https://a.example/", answer.url)
    assert.equal('{"n":1}', answer.body)
    assert.equal(10, #answer.retry)
    assert.truthy(answer.generation:match("^%x+$"))
  end)

  it("shows a postback's request from its own template", function()
    local folder = scripts_folder({ postback = "return {}" })
    local child = try(0, { "postback", '{"x":"1 2"}', "--scripts", folder,
                           "--endpoint", "GET http://p.example/pb?x={x}&y={y}" })
    assert.equal("GET http://p.example/pb?x=1%202&y=", child.out[1])
    try(2, { "postback", "{}", "--scripts", folder })
    try(2, { "postback", "{}", "--scripts", folder, "--endpoint", "http://p.example/" })
    try(2, { "postback", "{}", "--scripts", folder, "--endpoint", "GET ftp://p.example/" })
  end)

  it("says why an event would not be sent, and exits 1", function()
    local folder = scripts_folder({ acme = acme, broken = "return {" })
    local child = try(1, { "acme", "{}", "--scripts", folder })
    assert.truthy(child:text():find("no click", 1, true), child:text())
    assert.truthy(try(1, { "broken", "{}", "--scripts", folder }):text():find("broken%.lua:%d"))
    assert.truthy(try(1, { "nobody", "{}", "--scripts", folder }):text():find("nobody", 1, true))
  end)

  it("says what is wrong with the event, and exits 2", function()
    local folder = scripts_folder({ acme = acme })
    local said = try(2, { "acme", '{"a":}', "--scripts", folder }):text()
    assert.truthy(said:find("line 1, column 6", 1, true), said)
    try(2, { "acme", "[1]", "--scripts", folder })
    assert.truthy(try(2, { "acme", "none.json", "--scripts", folder }):text()
      :find("could not open none.json: No such file", 1, true))
  end)
end)

describe("a client command", function()
  after_each(support.clean)

  local function fake(answer)
    return partner.new({ handler = function() return answer end })
  end

  it("says whom it could not reach, and exits 3", function()
    for _, args in ipairs({ { "partner", "list" }, { "dead", "list" }, { "send", "acme", "{}" } }) do
      args[#args + 1] = "--server=http://127.0.0.1:1"
      assert.equal("moonpost: could not reach http://127.0.0.1:1: connection refused; is `moonpost run` up?",
        ends(3, args):text())
    end
  end)

  it("tells the problem's detail, and exits 1", function()
    local server = fake({ status = 422, body = [[{"title":"no","detail":"item 3 is no object"}]] })
    local child = ends(1, { "send", "acme", "{}", "--server", server:url("") })
    assert.equal("moonpost: the server answered 422: item 3 is no object", child:text())
    assert.equal("", child:text("out"))
  end)

  it("survives an answer that is no JSON", function()
    local server = fake({ status = 200, body = "<html>" })
    ends(1, { "partner", "list", "--server", server:url("") })
    ends(1, { "dead", "list", "--server", server:url("") })
  end)

  it("sends the token of its file", function()
    local server = fake({ status = 202, body = "{}" })
    local file = runtime.folder() .. "/token"
    runtime.write_file(file, "t0ken-a\nt0ken-b\n")
    ends(0, { "send", "acme", "{}", "--server", server:url(""), "--token-file", file })
    assert.equal("Bearer t0ken-a", server.requests[1].headers["authorization"])
    assert.truthy(ends(2, { "send", "acme", "{}", "--server", server:url(""), "--token-file", "/nowhere" })
      :text():find("--token-file /nowhere", 1, true))
  end)

  it("reads every page of a list, as a table and as JSON", function()
    local server = partner.new({ handler = function(request)
      local second = request.target:find("cursor=a%2Fb", 1, true)
      return { status = 200, body = second and [[{"items":[{"name":"b","state":"paused","reason":"late\u001b[2J"}]}]]
        or [[{"items":[{"name":"a","state":"ok","waiting":7,"in_flight":1,"generation":"abc"}],"next":"a/b"}]] }
    end })
    local child = ends(0, { "partner", "list", "--server", server:url("") })
    assert.same({
      "NAME  STATE   WAITING  IN_FLIGHT  GENERATION  WHY",
      "a     ok      7        1          abc         -",
      "b     paused  -        -          -           late?[2J",
    }, child.out)
    local items = cjson.decode(ends(0, { "partner", "list", "--json", "--server", server:url("") })
      :text("out")).items
    assert.same({ "a", "b" }, { items[1].name, items[2].name })
  end)

  it("asks for what was meant", function()
    local server = fake({ status = 200, body = [[{"matched":2,"replayed":0,"purged":2,"unknown":["x"]}]] })
    local url = server:url("")
    ends(0, { "partner", "pause", "acme", "--server", url })
    ends(1, { "dead", "replay", "a", "b/c", "--dry-run", "--server", url })
    ends(1, { "dead", "purge", "--partner", "acme", "--since", "2026-01-01T00:00:00Z", "--server", url })
    ends(0, { "dead", "show", "b/c", "--server", url })
    ends(2, { "dead", "purge", "--since", "yesterday", "--server", url })
    local requests = server.requests
    assert.equal("/api/partners/acme/pause", requests[1].target)
    assert.equal("application/json", requests[1].headers["content-type"])
    assert.equal("/api/dead/replay", requests[2].target)
    assert.same({ ids = { "a", "b/c" }, dry_run = true }, cjson.decode(requests[2].body))
    assert.equal("/api/dead/purge", requests[3].target)
    assert.same({ partner = "acme", since = "2026-01-01T00:00:00.000Z", dry_run = false },
      cjson.decode(requests[3].body))
    assert.equal("/api/dead/b%2Fc", requests[4].target)
    assert.equal(4, #requests)
  end)
end)

describe("moonpost send", function()
  after_each(support.clean)

  it("posts where the words and the content say", function()
    local server = partner.new({ handler = function() return { status = 202, body = [[{"accepted":1}]] } end })
    local folder, url = runtime.folder(), server:url("")
    runtime.write_file(folder .. "/postback.json",
      [[{"endpoint":{"method":"GET","url":"http://a.example/"},"data":[{"n":1.50}]}]])
    runtime.write_file(folder .. "/lines", '{"a":1}\n{"a":2}\n')
    local cases = {
      { { "acme", '{"n":1.50}' }, "/events/acme", '{"n":1.50}' },
      { { "acme", folder .. "/lines" }, "/events/acme", '{"a":1}\n{"a":2}\n', "application/x-ndjson" },
      { { folder .. "/postback.json" }, "/postback" },
      { { "--endpoint", "GET http://a.example/?n={n}", '{"n":1.50}' }, "/postback",
        [[{"endpoint":{"method":"GET","url":"http://a.example/?n={n}"},"data":[{"n":1.50}]}]] },
      { { "--type", "signup", "{}" }, "/events", "{}" },
      { { '{"type":"signup"}' }, "/events" },
      { { "acme", "-" }, "/events/acme", '{"from":"stdin"}' },
    }
    for i, case in ipairs(cases) do
      local args = { "send", "--server", url, unpack(case[1]) }
      local child = ends(0, args, { input = '{"from":"stdin"}' })
      assert.equal([[{"accepted":1}]], child:text("out"))
      local request = server.requests[i]
      assert.equal(case[2], request.target)
      assert.equal(case[4] or "application/json", request.headers["content-type"])
      if case[3] then
        assert.equal(case[3], request.body)
      end
    end
    assert.equal("signup", server.requests[5].headers["ce-type"])
  end)

  it("asks no server when the words or the content are wrong", function()
    local server = partner.new({ handler = function() return 202 end })
    for _, args in ipairs({ { "{}" }, { "acme", '{"a":' }, { "acme", "none.json" },
                            { "acme", "--type", "t", "[]" }, { "acme", "--endpoint", "GET x", "{}" } }) do
      ends(2, { "send", "--server", server:url(""), unpack(args) })
    end
    assert.equal(0, #server.requests)
  end)

  it("delivers an event and a postback through the real thing", function()
    local fake = partner.new({ handler = function() return 200 end })
    local rt = runtime.start({ scripts = {
      acme = ([[return { url = "%s/acme?n={n}", method = "GET" }]]):format(fake:url("")),
      postback = "return {}",
    } })
    local child = ends(0, { "send", "acme", '{"n":1e400}', "--server", rt.address })
    assert.equal(1, cjson.decode(child:text("out")).accepted)
    ends(0, { "send", "--endpoint", ("GET %s/pb?x={x}"):format(fake:url("")), '{"x":"a&b"}',
              "--server", rt.address })
    eventually(function() return #fake.requests == 2 end)
    local targets = { fake.requests[1].target, fake.requests[2].target }
    table.sort(targets)
    assert.same({ "/acme?n=1e400", "/pb?x=a%26b" }, targets)
    local refused = ends(1, { "send", "nobody", "{}", "--server", rt.address })
    assert.truthy(refused:text():find("the server answered 404: ", 1, true), refused:text())
  end)
end)

describe("moonpost partner and dead", function()
  after_each(support.clean)

  it("pause, resume, list, show, replay and purge on the real thing", function()
    local fake = partner.new({ handler = function() return 400 end })
    local rt = runtime.start({ scripts = {
      acme = ([[return { url = "%s/" }]]):format(fake:url("")) } })
    local function run(code, ...)
      local args = { ... }
      args[#args + 1] = "--server=" .. rt.address
      return ends(code, args)
    end
    assert.equal("acme is paused", run(0, "partner", "pause", "acme"):text("out"))
    local id = rt:accept("/events/acme", "{}")[1]
    assert.truthy(run(0, "partner", "list").out[2]:find("^acme +paused +1 +0 "))
    assert.equal("acme is resumed", run(0, "partner", "resume", "acme"):text("out"))
    assert.truthy(run(1, "partner", "pause", "nobody"):text():find("404", 1, true))
    eventually(function() return #rt:api("/api/dead").items == 1 end)
    assert.truthy(run(0, "dead", "list", "--partner", "acme").out[2]:find("^" .. id:gsub("%-", "%%-") .. " +acme "))
    assert.equal(id, cjson.decode(run(0, "dead", "show", id):text("out")).id)
    assert.equal("1 matched, 0 replayed (dry run)", run(0, "dead", "replay", id, "--dry-run").out[1])
    local missed = run(1, "dead", "replay", "no-such-id")
    assert.equal("0 matched, 0 replayed", missed.out[1])
    assert.equal('not among the dead letters: "no-such-id"', missed.out[2])
    assert.equal("1 matched, 1 purged", run(0, "dead", "purge", "--partner", "acme").out[1])
    assert.equal(1, #run(0, "dead", "list").out)
  end)
end)
