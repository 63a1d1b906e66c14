local testing = require("moonpost.testing")
local slack = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "fakes/slack.lua")

local HOOK = "https://hooks.slack.com/services/T0/B0/X"
local partner = assert(testing.partner("slack.lua", { secrets = { slack_url = HOOK } }))
local event = { customer = "Barnes & <Noble> \"Books\"", amount = testing.raw("1.50"), currency = "EUR" }

local function channel(says)
  return slack({ path = "/services/T0/B0/X", says = says })
end

describe("slack", function()
  it("says who paid what, with Slack's three entities", function()
    local request = assert(partner:render(event))
    assert.same({ "POST", HOOK }, { request.method, request.url })
    assert.same({ text = ':tada: *Barnes &amp; &lt;Noble&gt; "Books"* paid 1.50 EUR' }, request.json)
    assert.same({ status = 200, body = "ok" }, { status = channel()(request).status, body = channel()(request).body })
  end)

  it("is delivered", function()
    assert.is_true(partner:deliver(event, channel()).delivered)
    assert.is_true(partner:deliver({ customer = 17, amount = 0, currency = "EUR" }, channel()).delivered)
  end)

  it("waits as long as Slack asks", function()
    local played = partner:deliver(event, { channel("rate_limited")(partner:render(event)), 200 })
    assert.same({ "retry", "delivered" }, played.verdicts)
    assert.same({ 30 }, played.waits)
  end)

  it("tries again when it was Slack's fault", function()
    assert.same({ "retry", "status 500", "default" }, { partner:verdict(channel("rollup_error")(partner:render(event))) })
  end)

  it("stops, and loses nothing, when the webhook or its channel is gone", function()
    local gone = "the webhook or its channel is gone"
    for _, word in ipairs({ "no_service", "channel_not_found", "channel_is_archived", "action_prohibited", "invalid_token" }) do
      assert.same({ word, gone }, { word, partner:deliver(event, channel(word)).paused })
    end
    assert.equal(gone, partner:deliver(event, slack({ path = "/services/T0/B0/Y" })).paused)
  end)

  it("gives up on what Slack does not understand", function()
    assert.equal("status 400", partner:deliver(event, channel("invalid_payload")).dead)
  end)

  it("says nothing of who is not named", function()
    assert.same({ "missing customer", "dead" }, { select(2, partner:render({ amount = 1, currency = "EUR" })) })
  end)
end)
