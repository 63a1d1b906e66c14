local testing = require("moonpost.testing")
local receiver = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "fakes/standard-webhook.lua")

local NOW, KEY = testing.time("2026-01-31T10:00:05Z"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
local event = '{"type":"invoice.paid","timestamp":"2026-01-31T10:00:00Z","data":{"total":12.50}}'

local function partner(options)
  options = options or {}
  return assert(testing.partner("standard-webhook.lua",
    { now = options.now or NOW, id = options.id, secrets = { webhook_key = options.key or KEY } }))
end

describe("standard-webhook", function()
  it("sends the event's own bytes, signed", function()
    local request = assert(partner({ id = "018d" }):render(event))
    assert.same({ "POST", "https://hooks.acme.example/moonpost", event }, { request.method, request.url, request.body })
    assert.equal("application/json", request.headers["Content-Type"])
    assert.same({ "018d", "1769853605" }, { request.headers["webhook-id"], request.headers["webhook-timestamp"] })
    assert.equal(204, receiver({ key = KEY, now = NOW })(request).status)
  end)

  it("is believed by who knows the key, and by nobody else", function()
    local request = assert(partner():render(event))
    assert.equal(401, receiver({ key = "whsec_AAAA", now = NOW })(request).status)
    request.body = request.body .. " "
    assert.equal(401, receiver({ key = KEY, now = NOW })(request).status)
  end)

  it("has a fake that knows the specification's own example", function()
    local function answer(signature)
      return receiver({ key = KEY, now = 1614265330 })({ method = "POST", body = '{"test": 2432232314}', headers = {
        ["webhook-id"] = "msg_p5jXN8AQM9LWM0D4loKWxJek", ["webhook-timestamp"] = "1614265330",
        ["webhook-signature"] = signature } }).status
    end
    local known = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert.equal(400, answer("v1,AAAA " .. known)) -- signed, but without type and data
    assert.equal(401, answer("v1,AAAA v2," .. known:sub(4)))
  end)

  it("keeps the id over all attempts and signs each with its own time", function()
    local played = partner():deliver(event, { 500, "connection_refused", 204 })
    local first, last = played.requests[1].headers, played.requests[3].headers
    assert.is_true(played.delivered)
    assert.equal(first["webhook-id"], last["webhook-id"])
    assert.equal(35, last["webhook-timestamp"] - first["webhook-timestamp"])
    assert.equal(204, receiver({ key = KEY, now = NOW + 35 })(played.requests[3]).status)
    assert.equal(400, receiver({ key = KEY, now = NOW + 600 })(played.requests[3]).status)
  end)

  it("stops when the receiver says that it is gone", function()
    assert.equal("410 Gone", partner():deliver(event, 410).paused)
  end)

  it("waits as long as a busy receiver asks", function()
    local played = partner():deliver(event, { { status = 429, headers = { ["Retry-After"] = "90" } }, 200 })
    assert.same({ 90 }, played.waits)
  end)

  it("sends nothing that is no event of the specification", function()
    assert.same({ "missing data", "dead" },
                { select(2, partner():render({ type = "invoice.paid", timestamp = "2026-01-31T10:00:00Z" })) })
  end)

  it("sends nothing with a key that is none", function()
    local request, why = partner({ key = "whsec_!" }):render(event)
    assert.is_nil(request)
    assert.matches("standard%-webhook%.lua:%d+: webhook%.sign: key 1", why)
  end)
end)
