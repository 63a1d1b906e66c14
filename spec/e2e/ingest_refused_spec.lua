--- What ingest answers when the queue, or a script, is not there for an event.
local cjson = require("cjson")
local probe = require("spec.support.ingest_probe")
local process = require("spec.support.process")
local raw = require("spec.support.raw_http")

local server

local slug = probe.slug

local function ask(...)
  return server:post(...)
end

describe("what cannot be taken", function()
  local function start(...)
    server = probe.start({ ... })
  end
  after_each(function()
    raw.close_all()
    server:stop()
    process.kill_all()
  end)

  for name, expected in pairs({ EAGAIN = "queue-busy", EFULL = "disk-full", EIO = "queue-unavailable",
    ECLOSED = "shutting-down" }) do
    for _, how in ipairs({ "--refuse", "--fail" }) do
      it(("is answered 503 and when to come again (%s, %s)"):format(name, how), function()
        start(how, name)
        local answer = ask("/events/acme", "[{},{}]", "Idempotency-Key: k")
        assert.equal(503, answer.status)
        assert.equal(expected, slug(answer))
        assert.matches("^[1-5]$", answer.headers["retry-after"])
        assert.is_nil(cjson.decode(answer.body).ids)
      end)
    end
  end

  it("tells which deliveries of it were accepted all the same", function()
    start("--fail", "EIO", "--halves", "yes")
    local answer = ask("/events/acme", "[{},{},{},{}]")
    assert.same({ 503, "partly-accepted" }, { answer.status, slug(answer) })
    local list = cjson.decode(answer.body).accepted
    assert.same({ 1, "acme", 3, "acme" }, { list[1].index, list[1].partner,
                                            list[2].index, list[2].partner })
    assert.equal(36, #list[1].id)
    assert.is_nil(list[3])

    list = cjson.decode(ask("/events", '{"type":"conversion.x"}').body).accepted
    assert.same({ 0, "globex" }, { list[1].index, list[1].partner })

    answer = ask("/postback", '{"endpoint":{"url":"http://h/"},"data":[{},{}]}')
    list = cjson.decode(answer.body).accepted
    assert.same({ 1, "postback" }, { list[1].index, list[1].partner })
  end)

  it("is 413 when the queue can never hold an event", function()
    start("--refuse", "ELIMIT")
    local answer = ask("/events/acme", "{}")
    assert.same({ 413, "event-too-large" }, { answer.status, slug(answer) })
  end)

  it("is a postback without its script", function()
    start("--no-postback", "yes")
    local status, name, problem = server:problem("/postback", '{"endpoint":{"url":"http://h/"}}')
    assert.same({ 404, "unknown-partner" }, { status, name })
    assert.matches("scripts/postback.lua", problem.detail, nil, true)
  end)

  it("shows in /readyz, with the reason", function()
    start("--not-ready", "the disk is full")
    local answer = raw.ask(server.address, raw.request("GET", "/readyz"))
    assert.equal(503, answer.status)
    assert.equal("the disk is full", answer.json.detail)
    assert.equal(200, raw.ask(server.address, raw.request("GET", "/healthz")).status)
  end)
end)
