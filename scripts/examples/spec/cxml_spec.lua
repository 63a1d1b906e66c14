local testing = require("moonpost.testing")
local buyer = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "fakes/cxml.lua")
local partner = assert(testing.partner("cxml.lua", { id = "018d", secrets = { cxml_secret = "a<b&c" } }))

local PAYLOAD = "1769853600.17@buyer.example"
local event = { order = 'PO "17" & <18>', payload = PAYLOAD, number = "C-1", time = "2026-01-31T10:00:00Z" }

local function orders(options)
  options = options or {}
  return buyer({ secret = options.secret or "a<b&c", orders = { [event.order] = PAYLOAD }, is_down = options.is_down })
end

describe("cxml", function()
  it("sends a document in which every value is escaped", function()
    local request = assert(partner:render(event))
    assert.same({ "POST", "https://orders.buyer.example/cxml", "text/xml; charset=UTF-8" },
                { request.method, request.url, request.headers["Content-Type"] })
    assert.equal('<?xml version="1.0" encoding="UTF-8"?>', request.body:match("^[^\n]*"))
    for _, part in ipairs({
      '<cXML payloadID="018d@acme.example" timestamp="2026-01-31T10:00:00Z">',
      "<SharedSecret>a&lt;b&amp;c</SharedSecret>",
      '<ConfirmationHeader confirmID="C-1" type="accept" noticeDate="2026-01-31T10:00:00Z"/>',
      '<OrderReference orderID="PO &quot;17&quot; &amp; &lt;18&gt;"><DocumentReference payloadID="' .. PAYLOAD .. '"/>',
    }) do
      assert.is_truthy(request.body:find(part, 1, true), part)
    end
  end)

  it("is delivered when the document of the answer says so", function()
    assert.is_true(partner:deliver(event, orders()).delivered)
  end)

  it("is dead when that says 4.., whatever the status", function()
    assert.equal("Unauthorized", partner:deliver(event, orders({ secret = "another" })).dead)
    assert.equal("Expectation Failed", partner:deliver({ order = "1", payload = "2", number = "3", time = "4" }, orders()).dead)
  end)

  it("is tried again when that says 5..", function()
    local played = partner:deliver(event, { orders({ is_down = true })(partner:render(event)), 503, 200 })
    assert.same({ "retry", "retry", "delivered" }, played.verdicts)
  end)

  it("reads the code in other spellings too", function()
    for status, word in pairs({ ["<Status\n  code='406' xml:lang='en'>No</Status>"] = "dead",
                                ['<Status text="1 < 2" code="550"></Status>'] = "retry",
                                ['<Status code="201" text="Accepted"/>'] = "delivered" }) do
      assert.equal(word, partner:verdict({ status = 200, body = "<cXML><Response>" .. status .. "</Response></cXML>" }))
    end
  end)

  it("keeps its payloadID over all attempts, by which a buyer knows repeats", function()
    local requests = partner:deliver(event, { 500, 200 }).requests
    assert.equal(requests[1].body, requests[2].body)
  end)

  it("sends nothing without the order", function()
    assert.same({ "missing order", "dead" }, { select(2, partner:render({ payload = "1", number = "2", time = "3" })) })
  end)
end)
