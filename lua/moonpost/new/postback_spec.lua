-- `moonpost test` runs this, and plain `busted`.
local testing = require("moonpost.testing")
local partner = assert(testing.partner("@SCRIPTS@@PARTNER@.lua"))
local ctx = { endpoint = { method = "GET", url = "https://partner.example/?click={click_id}&goal={goal}" } }

describe("@PARTNER@", function()
  it("sends what the request asks for", function()
    local request = assert(partner:render({ click_id = "c 1" }, ctx))
    assert.equal("https://partner.example/?click=c%201", request.url)
  end)

  it("tries again while the endpoint is down", function()
    local played = partner:deliver({ click_id = "c-1" }, { 503, "timeout", 200 }, ctx)
    assert.same({ "retry", "retry", "delivered" }, played.verdicts)
    assert.same({ 5, 60 }, played.waits)
  end)
end)
