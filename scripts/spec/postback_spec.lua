-- What POST /postback sends: `moonpost test postback`.
local testing = require("moonpost.testing")
local partner = assert(testing.partner("scripts/postback.lua"))

local function to(method, url)
  return { endpoint = { method = method, url = url } }
end

describe("postback", function()
  it("sends each request's own template", function()
    local ctx = to("GET", "http://a.example/data?title={mascot}&image={location}&foo={bar}")
    local event = { mascot = "Gopher", location = "https://blog.golang.org/gopher/gopher.png" }
    local request = assert(partner:render(event, ctx))
    assert.equal("GET", request.method)
    assert.equal("http://a.example/data?title=Gopher&image=https%3A%2F%2Fblog.golang.org%2Fgopher%2Fgopher.png&foo=",
                 request.url)
  end)

  it("sends the event itself with POST", function()
    local request = assert(partner:render({ n = testing.raw("1.50") }, to("POST", "https://b.example:8443/{n}")))
    assert.equal("b.example:8443", request.host)
    assert.equal('{"n":1.50}', request.body)
  end)

  it("tries eleven times while nobody answers", function()
    local played = partner:deliver({}, "connection_refused", to("GET", "http://a.example/"))
    assert.equal(11, #played.requests)
    assert.equal("gave up after 11 attempts: connection_refused", played.dead)
  end)
end)
