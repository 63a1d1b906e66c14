-- `moonpost test` runs this, and plain `busted`.
local testing = require("moonpost.testing")
local partner = assert(testing.partner("@SCRIPTS@@PARTNER@.lua"))

describe("@PARTNER@", function()
  it("is told of a click", function()
    local event = { click_id = "c 1", goal = "signup", payout = testing.raw("1.50") }
    local request = assert(partner:render(event))
    assert.equal("https://partner.example/postback?click=c%201&goal=signup&payout=1.50", request.url)
  end)

  it("is told nothing without a click", function()
    local request, why = partner:render({ goal = "signup" })
    assert.is_nil(request)
    assert.equal("missing click_id", why)
  end)

  it("knows some clicks already", function()
    assert.equal("delivered", partner:verdict({ status = 400, body = "DUPLICATE" }))
  end)

  it("is tried again while it is down", function()
    local played = partner:deliver({ click_id = "c-1" }, { 503, "timeout", 200 })
    assert.same({ "retry", "retry", "delivered" }, played.verdicts)
    assert.same({ 5, 60 }, played.waits)
  end)
end)
