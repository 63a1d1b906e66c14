local testing = require("moonpost.testing")
local receiver = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "fakes/github-webhook.lua")

local KEY = "It's a Secret to Everybody"
local partner = assert(testing.partner("github-webhook.lua", { secrets = { github_key = KEY } }))
local push = '{"ref":"refs/heads/main","size":1.0}'

describe("github-webhook", function()
  it("looks like a delivery of GitHub's", function()
    local request = assert(partner:render(push, { type = "push" }))
    assert.same({ "POST", "https://ci.acme.example/github-webhook/", push }, { request.method, request.url, request.body })
    assert.equal("push", request.headers["X-GitHub-Event"])
    assert.equal(request.headers["Moonpost-Id"], request.headers["X-GitHub-Delivery"])
    assert.equal("application/json", request.headers["Content-Type"])
    assert.equal("sha256=6ead3024a17465a654ad948225e09a9788fd18ba18bcc1faf6b0ce8c0404d1ca",
                 request.headers["X-Hub-Signature-256"])
  end)

  it("is believed by who knows the key, and by nobody else", function()
    local request = assert(partner:render(push, { type = "push" }))
    assert.equal(202, receiver({ key = KEY })(request).status)
    assert.equal(403, receiver({ key = "another" })(request).status)
    request.body = request.body .. " "
    assert.equal(403, receiver({ key = KEY })(request).status)
  end)

  it("has a fake that knows GitHub's own example", function()
    local function answer(digest)
      return receiver({ key = KEY })({ method = "POST", url = "https://a.example/", body = "Hello, World!",
        headers = { ["x-hub-signature-256"] = "sha256=" .. digest, ["user-agent"] = "GitHub-Hookshot/1" } }).status
    end
    assert.equal(400, answer("757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")) -- signed, but no delivery
    assert.equal(403, answer("757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e18"))
  end)

  it("takes the type from the event when its sender named none", function()
    local request = assert(partner:render({ type = "pull_request", number = 7 }))
    assert.equal("pull_request", request.headers["X-GitHub-Event"])
  end)

  it("sends nothing that has no type", function()
    assert.same({ "missing ctx.type", "dead" }, { select(2, partner:render(push)) })
  end)

  it("is delivered with the same id and signature once the receiver is back", function()
    local played = partner:deliver(push, { 502, receiver({ key = KEY })(partner:render(push, { type = "push" })) },
                                   { type = "push" })
    local first, second = played.requests[1].headers, played.requests[2].headers
    assert.same({ "retry", "delivered" }, played.verdicts)
    assert.equal(first["X-GitHub-Delivery"], second["X-GitHub-Delivery"])
    assert.equal(first["X-Hub-Signature-256"], second["X-Hub-Signature-256"])
  end)

  it("is tried again after a 403, for a key that was changed on the other side only", function()
    local played = partner:deliver(push, receiver({ key = "another" }), { type = "push" })
    assert.equal("retry", played.verdicts[1])
    assert.equal("gave up after 11 attempts: status 403", played.dead)
  end)
end)
