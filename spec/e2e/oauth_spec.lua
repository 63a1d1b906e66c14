--- oauth2 in the whole runtime: what an operator sees of it, and that nobody sees a token.
local cjson = require("cjson")
local support = require("spec.support")
local partner = require("spec.support.partner")
local token_endpoint = require("spec.support.token_endpoint")
local eventually, runtime = support.eventually, support.runtime

local function clean()
  support.clean()
  partner.close_all()
end

local function script(fake, auth, more)
  return ([[return { url = %q, method = "POST", retry = { schedule = { "1h" } },
    oauth2 = { token_url = %q, client_id = "me", client_secret = secret "acme_secret", %s } }]]):format(
    fake:url("/p"), auth:url(), more or "")
end

local env = { MOONPOST_SECRET_ACME_SECRET = "canary-secret", MOONPOST_SECRET_ACME_REFRESH = "canary-refresh" }

describe("oauth2", function()
  after_each(clean)

  it("loses no delivery while the endpoint is away, and delivers when it is back", function()
    local fake, away = partner.new(), true
    local auth = token_endpoint.new({ handler = function() return away and 503 or nil end })
    local rt = runtime.start({ env = env, scripts = { acme = script(fake, auth) } })
    local ids = rt:accept("/events/acme", '[{"a":1},{"a":2},{"a":3}]')
    eventually(function() return #auth.grants >= 2 end)
    assert.same({ 3, 0, "ok" }, { rt:partner("acme").waiting, rt:partner("acme").in_flight, rt:partner("acme").state })
    away = false
    for _, id in ipairs(ids) do
      local attempt = rt:attempt(id)
      assert.same({ 1, 200 }, { attempt.attempt, attempt.status })
    end
    assert.matches('moonpost_oauth2_fetches_total{partner="acme",result="failed"}', rt:get("/metrics").body, 1, true)
  end)

  it("sends a delivery again at once, with another token, when the partner refuses the first", function()
    local auth = token_endpoint.new()
    local fake = partner.new({ handler = function(request)
      return request.headers.authorization == "Bearer token-2" and 200 or 401
    end })
    local rt = runtime.start({ env = env, scripts = { acme = script(fake, auth) } })
    local id = rt:accept("/events/acme", '{"a":1}')[1]
    eventually(function() return rt:partner("acme").waiting == 0 end)
    local lines = {}
    for _, line in ipairs(rt:attempts()) do
      lines[#lines + 1] = line.id == id and { line.attempt, line.status, line.verdict } or nil
    end
    assert.same({ { 1, 401, "retry" }, { 1, 200, "delivered" } }, lines)
  end)

  it("pauses on invalid_grant until a person, or another script, says otherwise", function()
    local fake, dead = partner.new(), true
    local auth = token_endpoint.new({ handler = function()
      return dead and token_endpoint.error("invalid_grant", "canary-secret was revoked") or nil
    end })
    local rt = runtime.start({ env = env, scripts = { acme = script(fake, auth, [[refresh_token = secret "acme_refresh"]]) } })
    rt:accept("/events/acme", '{"a":1}')
    eventually(function() return rt:partner("acme").state == "paused" end)
    assert.equal("oauth2: invalid_grant: [secret acme_secret] was revoked", rt:partner("acme").reason)
    rt:restart()
    assert.equal("paused", rt:partner("acme").state)
    local asked = #auth.grants
    dead = false
    rt:write_script("acme", script(fake, auth, [[refresh_token = secret "acme_refresh", scope = "more"]]))
    eventually(function() return #fake.requests == 1 end)
    assert.equal(asked + 1, #auth.grants)
  end)

  it("keeps a rotated refresh token in --data, over a kill", function()
    local fake = partner.new()
    local auth = token_endpoint.new({ handler = function(_, n)
      return token_endpoint.token("t" .. n, { refresh_token = "rotated-" .. n })
    end })
    local rt = runtime.start({ env = env, scripts = { acme = script(fake, auth, [[refresh_token = secret "acme_refresh"]]) } })
    rt:accept("/events/acme", '{"a":1}')
    eventually(function() return #fake.requests == 1 end)
    rt:kill9()
    rt:restart()
    rt:accept("/events/acme", '{"a":1}')
    eventually(function() return #fake.requests >= 2 and #auth.grants == 2 end)
    assert.same({ "canary-refresh", "rotated-1" }, { auth.grants[1].refresh_token, auth.grants[2].refresh_token })
  end)

  it("shows a token to nobody", function()
    local fake = partner.new({ handler = function(request)
      return { status = 500, body = '{"you":"' .. request.headers.authorization .. '"}' }
    end })
    local auth = token_endpoint.new({ handler = function() return token_endpoint.token("canary-token") end })
    local rt = runtime.start({ env = env, scripts = { acme = script(fake, auth) } })
    local id = rt:accept("/events/acme", '{"a":1}')[1]
    assert.equal('{"you":"Bearer ************"}', rt:attempt(id).body)
    local tried = rt:post("/api/try", { partner = "acme", event = cjson.decode('{"a":1}') })
    assert.equal("Bearer [oauth2 token]", tried.json.headers.Authorization)
    rt:stop()
    assert.equal("Bearer canary-token", fake.requests[1].headers.authorization)
    for _, stream in ipairs({ "out", "err" }) do
      assert.is_nil(rt.child:text(stream):find("canary", 1, true))
    end
  end)
end)
