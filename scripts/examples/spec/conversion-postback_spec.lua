local testing = require("moonpost.testing")
local tune = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "fakes/conversion-postback.lua")
local partner = assert(testing.partner("conversion-postback.lua"))

local CLICK = "1027c887059b47bc69c699f45466b9"
local event = { click_id = CLICK, offer = 26, payout = testing.raw("1.50"), order = "A-17/b" }

describe("conversion-postback", function()
  it("puts the conversion into the network's own url", function()
    local request = assert(partner:render(event))
    assert.equal("GET", request.method)
    assert.equal("https://acme.go2cloud.org/aff_lsr?offer_id=26&transaction_id=" .. CLICK
      .. "&amount=1.50&adv_sub=A-17%2Fb&security_token=test-tune_token", request.url)
    assert.is_nil(request.body)
  end)

  it("leaves out what the event does not have", function()
    local request = assert(partner:render({ click_id = CLICK, offer = 26, payout = "" }))
    assert.equal("https://acme.go2cloud.org/aff_lsr?offer_id=26&transaction_id=" .. CLICK
      .. "&security_token=test-tune_token", request.url)
  end)

  it("sends nothing without a click", function()
    assert.same({ "missing click_id", "dead" }, { select(2, partner:render({ offer = 26 })) })
  end)

  it("is delivered once the network has it, however many attempts that took", function()
    local network = tune({ token = "test-tune_token", clicks = { [CLICK] = true } })
    local played = partner:deliver(event, function(request, number)
      local answer = network(request)
      return number == 1 and "timeout" or number == 2 and 503 or answer -- taken, and its answer lost
    end)
    assert.same({ "retry", "retry", "delivered" }, played.verdicts)
    assert.equal("success=false; err_msg=Duplicate conversion;", network(played.requests[3]).body)
  end)

  it("is dead when the network refuses it, though the status is 200", function()
    local network = tune({ token = "test-tune_token", clicks = {} })
    assert.equal("refused by TUNE", partner:deliver(event, network).dead)
    assert.equal("success=false; err_msg=Invalid Trans. ID #" .. CLICK .. ";", network(partner:render(event)).body)
    assert.equal("refused by TUNE", partner:deliver(event, tune({ token = "another", clicks = { [CLICK] = true } })).dead)
  end)
end)
