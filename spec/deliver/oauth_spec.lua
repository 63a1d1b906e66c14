--- oauth2: how a token is fetched, shared, used and lost, and what that costs the deliveries.
local uv = require("luv")
local cjson = require("cjson")
local deliver = require("spec.support.deliver")
local files = require("spec.support.files")
local token_endpoint = require("spec.support.token_endpoint")
local partner, eventually = deliver.partner, deliver.eventually

local folders = {}

local function folder()
  local path = assert(uv.fs_mkdtemp("/tmp/moonpost-XXXXXX"))
  folders[#folders + 1] = path
  return path
end

local function clean()
  deliver.clean()
  for _, path in ipairs(folders) do
    os.execute("rm -r " .. path)
  end
  folders = {}
end

local function script(fake, auth, oauth2, more)
  return ([[return { url = %q, method = "POST", %s
    oauth2 = { token_url = %q, client_id = "me", client_secret = "s3cret", %s } }]]):format(
    fake:url("/p"), more or "", auth:url(), oauth2 or "")
end

-- Answers 401 to every token but those it is told are good; none told: all are.
local function strict(good)
  local self
  self = partner.new({ handler = function(request)
    return good[request.headers.authorization] and 200 or 401
  end })
  return self
end

local function authorizations(fake)
  local seen = {}
  for i, request in ipairs(fake.requests) do
    seen[i] = request.headers.authorization
  end
  return seen
end

local function log_lines(room, text)
  local count = 0
  for _, line in ipairs(room.child.err) do
    count = count + (line:find(text, 1, true) and not line:find("^{") and 1 or 0)
  end
  return count
end

describe("the request for a token", function()
  after_each(clean)

  local function grant_of(oauth2)
    local fake, auth = partner.new(), token_endpoint.new()
    local room = deliver.start({ scripts = { acme = script(fake, auth, oauth2) } })
    assert.equal("settle", room:deliver({ id = "a" }).outcome)
    assert.equal("Bearer token-1", fake.requests[1].headers.authorization)
    return auth.grants[1]
  end

  it("is the client credentials grant when there is no refresh token", function()
    local grant = grant_of("")
    assert.same({ "POST", "/token", "grant_type=client_credentials" }, { grant.method, grant.path, grant.body })
    assert.same({ "application/x-www-form-urlencoded", "application/json", "Moonpost/0" },
      { grant.headers["content-type"], grant.headers.accept, grant.headers["user-agent"] })
    assert.same({ "me", "s3cret" }, { grant.client, grant.secret })
  end)

  it("is the refresh token grant when there is one, with scope and audience", function()
    local grant = grant_of([[refresh_token = "r/1 +", scope = "a b", audience = "https://api.example/"]])
    assert.same({ "refresh_token", "r/1 +", "a b", "https://api.example/" },
      { grant.grant_type, grant.refresh_token, grant.scope, grant.audience })
  end)

  it("names the client in the body when told to", function()
    local grant = grant_of([[auth = "body"]])
    assert.same({ "me", "s3cret" }, { grant.client_id, grant.client_secret })
    assert.is_nil(grant.headers.authorization)
  end)

  it("encodes the client's name and secret before it joins them", function()
    local fake, auth = partner.new(), token_endpoint.new()
    local room = deliver.start({ scripts = { acme = ([[return { url = %q, oauth2 = { token_url = %q,
      client_id = "a:b c", client_secret = "d%%é:" } }]]):format(fake:url("/"), auth:url()) } })
    room:deliver({ id = "a" })
    assert.same({ "a:b c", "d%é:" }, { auth.grants[1].client, auth.grants[1].secret })
    assert.equal("Basic YSUzQWIrYzpkJTI1JUMzJUE5JTNB", auth.grants[1].headers.authorization)
  end)

  it("goes nowhere that the egress rules close", function()
    local fake, auth = partner.new(), token_endpoint.new()
    local source = script(fake, auth):gsub("127.0.0.1(:%d+/token)", "127.0.0.2%1")
    local room = deliver.start({ allow = "127.0.0.1", scripts = { acme = source } })
    room:send({ id = "a" })
    assert.matches("^oauth2: blocked_address", room:paused().reason)
    assert.equal(0, #auth.grants)
  end)
end)

describe("a token", function()
  after_each(clean)

  it("is fetched once, however many deliveries, partners and workers wait", function()
    local fake, scripts = partner.new(), {}
    local auth = token_endpoint.new({ handler = function() return { hang = true } end })
    for i = 1, 8 do
      scripts["p" .. i] = script(fake, auth)
    end
    local room = deliver.start({ workers = 4, scripts = scripts })
    for i = 1, 8 do
      room:send({ id = "a" .. i .. "-", partner = "p" .. i, count = 10 })
    end
    eventually(function() return #auth.grants == 1 end)
    assert.equal(0, #fake.requests)
    auth:release(token_endpoint.token("shared"))
    eventually(function() return room:outcomes().settle == 80 end)
    assert.equal(1, #auth.grants)
    for _, seen in ipairs(authorizations(fake)) do
      assert.equal("Bearer shared", seen)
    end
  end)

  it("is another's for each other credential", function()
    local fake, auth = partner.new(), token_endpoint.new()
    local room = deliver.start({ scripts = {
      one = script(fake, auth), two = script(fake, auth, [[scope = "x"]]),
      three = script(fake, auth, [[audience = "x"]]), four = script(fake, auth, [[refresh_token = "x"]]),
    } })
    for _, name in ipairs({ "one", "two", "three", "four" }) do
      room:deliver({ id = name, partner = name })
    end
    assert.equal(4, #auth.grants)
    local seen = authorizations(fake)
    table.sort(seen)
    assert.same({ "Bearer token-1", "Bearer token-2", "Bearer token-3", "Bearer token-4" }, seen)
  end)

  it("keeps nobody waiting who needs none", function()
    local fake = partner.new()
    local auth = token_endpoint.new({ handler = function() return { hang = true } end })
    local room = deliver.start({ scripts = { acme = script(fake, auth), other = ("return { url = %q }"):format(fake:url("/")) } })
    room:send({ id = "a" })
    eventually(function() return #auth.grants == 1 end)
    assert.equal("settle", room:deliver({ id = "b", partner = "other" }).outcome)
    assert.equal(0, room:in_flight("acme"))
    auth:release(token_endpoint.token("late"))
    assert.equal("settle", room:outcome("a").outcome)
  end)

  it("is refreshed before its end, the old one being used meanwhile", function()
    local fake = partner.new()
    local auth = token_endpoint.new({ handler = function(_, n)
      return n == 1 and token_endpoint.token("first", { expires_in = 2 }) or { hang = true }
    end })
    local room = deliver.start({ scripts = { acme = script(fake, auth) } })
    room:deliver({ id = "a" })
    local sent = 0
    eventually(function() -- half of its two seconds
      sent = sent + 1
      room:deliver({ id = "b" .. sent })
      return #auth.grants == 2
    end)
    local before = #fake.requests
    assert.equal("settle", room:deliver({ id = "c" }).outcome)
    assert.equal("Bearer first", fake.requests[before + 1].headers.authorization)
    auth:release(token_endpoint.token("second"))
    eventually(function()
      sent = sent + 1
      room:deliver({ id = "d" .. sent })
      return fake.requests[#fake.requests].headers.authorization == "Bearer second"
    end)
    assert.equal(2, #auth.grants)
  end)

  it("is not used past its end", function()
    local fake = partner.new()
    local auth = token_endpoint.new({ handler = function(_, n)
      return n == 1 and token_endpoint.token("first", { expires_in = 0.2 }) or { hang = true }
    end })
    local room = deliver.start({ scripts = { acme = script(fake, auth) } })
    local sent, answered = 0, 0
    eventually(function() -- until one waits
      if room:outcomes().settle == sent or sent == 0 then
        sent = sent + 1
        room:send({ id = "a" .. sent })
        answered = uv.hrtime()
      end
      return uv.hrtime() - answered > 3e8
    end)
    assert.same({ 2, sent - 1 }, { #auth.grants, #fake.requests })
    auth:release(token_endpoint.token("second"))
    assert.equal("settle", room:outcome("a" .. sent).outcome)
    assert.equal("Bearer second", fake.requests[sent].headers.authorization)
  end)

  it("lives for an hour when nobody says how long", function()
    local fake = partner.new()
    local auth = token_endpoint.new({ handler = function()
      return { body = '{"access_token":"t","token_type":"bearer","expires_in":null}' }
    end })
    local room = deliver.start({ scripts = { acme = script(fake, auth) } })
    for i = 1, 5 do
      room:deliver({ id = "a" .. i })
    end
    assert.same({ 1, "Bearer t" }, { #auth.grants, fake.requests[5].headers.authorization })
  end)

  it("is shown as [oauth2 token], and no hook sees it", function()
    local fake, auth = partner.new(), token_endpoint.new()
    local room = deliver.start({ scripts = { acme = script(fake, auth, "", [[
      request = function(event, request, ctx) request.headers["X-Seen"] = request.headers["Authorization"] or "nothing" end,]]) } })
    room:deliver({ id = "a" })
    assert.same({ "Bearer token-1", "nothing" },
      { fake.requests[1].headers.authorization, fake.requests[1].headers["x-seen"] })
  end)

  it("leaves an Authorization alone that the request hook has set", function()
    local fake, auth = partner.new({ handler = function() return 401 end }), token_endpoint.new()
    local room = deliver.start({ scripts = { acme = script(fake, auth, "", [[
      request = function(event, request, ctx) request.headers.authorization = "Mine" end,]]) } })
    assert.equal("retry", room:deliver({ id = "a" }).outcome)
    assert.same({ "Mine" }, authorizations(fake))
    assert.equal(1, #auth.grants)
  end)
end)

describe("a token that the partner refuses", function()
  after_each(clean)

  it("is fetched again and the delivery goes at once, without spending an attempt", function()
    local fake, auth = strict({ ["Bearer token-2"] = true }), token_endpoint.new()
    local room = deliver.start({ scripts = { acme = script(fake, auth) } })
    local parked = room:deliver({ id = "a" })
    assert.same({ "park", 0 }, { parked.outcome, parked.attempts })
    local line = room:attempt("a")
    assert.same({ 401, "retry", "status 401: again with another oauth2 token", cjson.null },
      { line.status, line.verdict, line.why, line.next_at })
    local settled = room:deliver({ id = "a" }) -- the queue gives it back
    assert.same({ "settle", 1 }, { settled.outcome, settled.attempts })
    assert.same({ "Bearer token-1", "Bearer token-2" }, authorizations(fake))
    assert.equal(2, #auth.grants)
  end)

  it("is the usual 401 the second time", function()
    local fake, auth = strict({}), token_endpoint.new()
    local room = deliver.start({ scripts = { acme = script(fake, auth) } })
    assert.equal("park", room:deliver({ id = "a" }).outcome)
    local retried = room:deliver({ id = "a" })
    assert.same({ "retry", 1, 401 }, { retried.outcome, retried.attempts, retried.status })
    assert.equal("retry", room:deliver({ id = "b" }).outcome)
    assert.equal(2, #auth.grants)
  end)

  it("is fetched once for all that were refused with it", function()
    local fake = partner.new({ handler = function() return { hang = true } end })
    local auth = token_endpoint.new()
    local room = deliver.start({ scripts = { acme = script(fake, auth) } })
    room:send({ id = "a", count = 20 })
    eventually(function() return #fake.requests == 20 end)
    fake.handler = function(request)
      return request.headers.authorization == "Bearer token-2" and 200 or 401
    end
    fake:release({ status = 401 })
    eventually(function() return room:outcomes().park == 20 end)
    room:send({ id = "a", count = 20 })
    eventually(function() return room:outcomes().settle == 20 end)
    assert.equal(2, #auth.grants)
  end)

  it("may be fetched again after a while", function()
    local fake, auth = strict({}), token_endpoint.new()
    local room = deliver.start({ tune = { token_refused_ms = 0 }, scripts = { acme = script(fake, auth) } })
    for i = 1, 3 do
      assert.equal("park", room:deliver({ id = "a" .. i }).outcome)
    end
  end)

  it("pauses the partner when it is refused on and on", function()
    local fake, auth = strict({}), token_endpoint.new()
    local room = deliver.start({ scripts = { acme = script(fake, auth) } })
    for i = 1, 21 do
      room:deliver({ id = "a" .. i })
    end
    assert.matches("^auth: 20 answers", room:paused().reason)
  end)
end)

describe("a token endpoint that will give none", function()
  after_each(clean)

  for _, code in ipairs({ "invalid_grant", "invalid_client", "unauthorized_client" }) do
    it("pauses the partner: " .. code, function()
      local fake = partner.new()
      local auth = token_endpoint.new({ handler = function()
        return token_endpoint.error(code, "revoked by the user", code == "invalid_client" and 401 or 400)
      end })
      local room = deliver.start({ scripts = { acme = script(fake, auth) } })
      room:send({ id = "a" })
      local pause = room:paused()
      assert.same({ "auth", "oauth2: " .. code .. ": revoked by the user" }, { pause.kind, pause.reason })
      assert.same({ "park", 0 }, { room:outcome("a").outcome, room:outcome("a").attempts })
      assert.same({ 1, 0 }, { #auth.grants, #fake.requests })
      assert.equal(1, log_lines(room, "could not fetch an oauth2 token"))
    end)
  end

  it("is asked again when somebody resumes the partner", function()
    local fake = partner.new()
    local auth = token_endpoint.new({ handler = function(_, n)
      return n == 1 and token_endpoint.error("invalid_grant") or nil
    end })
    local room = deliver.start({ scripts = { acme = script(fake, auth) } })
    room:send({ id = "a" })
    room:paused()
    room:tell({ op = "resume", name = "acme" })
    eventually(function() return room:deliver({ id = "a" }).outcome == "settle" end)
    assert.equal(2, #auth.grants)
  end)

  it("is asked again for other credentials", function()
    local fake = partner.new()
    local auth = token_endpoint.new({ handler = function(grant)
      return grant.secret == "s3cret" and token_endpoint.error("invalid_client") or nil
    end })
    local room = deliver.start({ scripts = { acme = script(fake, auth) } })
    room:send({ id = "a" })
    room:paused()
    room:script("acme", (script(fake, auth):gsub("s3cret", "other")))
    room:tell({ op = "resume", name = "acme" })
    eventually(function() return room:deliver({ id = "a" }).outcome == "settle" end)
  end)

  it("does not take the old token away while that is good", function()
    local fake = partner.new()
    local auth = token_endpoint.new({ handler = function(_, n)
      return n == 1 and token_endpoint.token("first", { expires_in = 2 }) or token_endpoint.error("invalid_grant")
    end })
    local room = deliver.start({ scripts = { acme = script(fake, auth) } })
    local sent = 0
    eventually(function()
      sent = sent + 1
      room:deliver({ id = "a" .. sent })
      return #auth.grants == 2
    end)
    assert.equal("settle", room:deliver({ id = "b" }).outcome)
    eventually(function() -- until its end
      sent = sent + 1
      return room:deliver({ id = "a" .. sent }).outcome == "park"
    end)
    assert.equal("oauth2: invalid_grant", room:paused().reason)
    assert.equal(2, #auth.grants)
  end)
end)

describe("a token endpoint that fails for now", function()
  after_each(clean)

  local failures = {
    ["status 503"] = { status = 503, body = "busy" },
    ["status 429"] = { status = 429 },
    ["temporarily_unavailable: soon"] = token_endpoint.error("temporarily_unavailable", "soon"),
    ["invalid_grant: no, the server"] = token_endpoint.error("invalid_grant", "no, the server", 500),
    ["the answer is no JSON object"] = { body = "<html>" },
    ["the answer has no access_token"] = { body = '{"token":"x"}' },
    ["the answer is over 64 KiB"] = { body = ('{"access_token":"x","pad":%q}'):format(("x"):rep(65536)) },
    ["the access_token can not be sent"] = { body = '{"access_token":"a\\r\\nX-Evil: 1"}' },
    ["the token_type is not Bearer"] = { body = '{"access_token":"x","token_type":"mac"}' },
    ["connection_reset"] = { reset = true },
  }
  for why, answer in pairs(failures) do
    it("makes deliveries wait, spends none of their attempts, and says so once: " .. why, function()
      local fake = partner.new()
      local auth = token_endpoint.new({ handler = function(_, n) return n <= 4 and answer or nil end })
      local room = deliver.start({ tune = { token_wait_ms = 5 }, scripts = { acme = script(fake, auth) } })
      local outcome = room:deliver({ id = "a" })
      assert.same({ "settle", 1, 5 }, { outcome.outcome, outcome.attempts, #auth.grants })
      assert.equal(1, log_lines(room, "deliveries wait for one: " .. why))
      assert.equal(1, log_lines(room, "gives tokens again"))
      assert.matches('moonpost_oauth2_fetches_total{partner="acme",result="failed"} 4', room:metrics(), 1, true)
    end)
  end

  it("is asked ever more seldom", function()
    local fake, at = partner.new(), {}
    local auth = token_endpoint.new({ handler = function(_, n)
      at[n] = uv.hrtime() / 1e6
      return n <= 6 and 503 or nil
    end })
    local room = deliver.start({ tune = { token_wait_ms = 10, token_wait_max_ms = 80 }, scripts = { acme = script(fake, auth) } })
    room:deliver({ id = "a" })
    local least = { 10, 20, 40, 80, 80, 80 }
    for i, ms in ipairs(least) do
      assert.is_true(at[i + 1] - at[i] >= ms - 2, ("wait %d was %f ms"):format(i, at[i + 1] - at[i]))
    end
  end)

  it("is not asked before it said", function()
    local fake, at = partner.new(), {}
    local auth = token_endpoint.new({ handler = function(_, n)
      at[n] = uv.hrtime() / 1e6
      return n == 1 and { status = 429, headers = { ["Retry-After"] = "1" } } or nil
    end })
    local room = deliver.start({ tune = { token_wait_ms = 5 }, scripts = { acme = script(fake, auth) } })
    room:deliver({ id = "a" })
    assert.is_true(at[2] - at[1] >= 990)
  end)

  it("tells each failure that is another", function()
    local fake = partner.new()
    local auth = token_endpoint.new({ handler = function(_, n) return n <= 2 and 503 or n <= 4 and 502 or nil end })
    local room = deliver.start({ tune = { token_wait_ms = 5 }, scripts = { acme = script(fake, auth) } })
    room:deliver({ id = "a" })
    assert.same({ 1, 1 }, { log_lines(room, "for one: status 503"), log_lines(room, "for one: status 502") })
  end)
end)

describe("a refresh token", function()
  after_each(clean)

  -- Each is good for once.
  local function rotating(first)
    local good, n = first, 0
    return token_endpoint.new({ handler = function(grant)
      if grant.refresh_token ~= good then
        return token_endpoint.error("invalid_grant", "used before: " .. tostring(grant.refresh_token))
      end
      n = n + 1
      good = ("%s/%d"):format(first, n)
      return token_endpoint.token("access-" .. n, { refresh_token = good, expires_in = 0.2 })
    end })
  end

  local function kept(path)
    local list = {}
    for _, file in ipairs(files.list({ path }, "%.json$")) do
      list[#list + 1] = file
    end
    return list
  end

  local function deliver_until(room, auth, grants)
    local sent = 0
    eventually(function()
      sent = sent + 1
      assert.equal("settle", room:deliver({ id = "a" .. sent }).outcome)
      return #auth.grants >= grants
    end)
  end

  it("is the newest that the endpoint gave, in this process and the next", function()
    local fake, auth, data = partner.new(), rotating("r0"), folder()
    local source = script(fake, auth, [[refresh_token = "r0"]])
    local room = deliver.start({ data = data, scripts = { acme = source } })
    deliver_until(room, auth, 3)
    room:stop()
    local used = #auth.grants
    room = deliver.start({ data = data, scripts = { acme = source } })
    assert.equal("settle", room:deliver({ id = "z" }).outcome)
    assert.equal("r0/" .. used, auth.grants[used + 1].refresh_token)
  end)

  it("is on disk before its access token is used, for its owner's eyes alone", function()
    local data, seen = folder(), nil
    local fake = partner.new({ handler = function()
      seen = seen or files.read(kept(data .. "/oauth2")[1])
      return 200
    end })
    local auth = rotating("r0")
    local room = deliver.start({ data = data, scripts = { acme = script(fake, auth, [[refresh_token = "r0"]]) } })
    room:deliver({ id = "a" })
    assert.equal('{"refresh_token":"r0/1"}\n', seen)
    assert.equal("100600", ("%o"):format(uv.fs_stat(kept(data .. "/oauth2")[1]).mode))
    assert.equal("40700", ("%o"):format(uv.fs_stat(data .. "/oauth2").mode))
  end)

  it("begins anew when the script has another", function()
    local fake, data = partner.new(), folder()
    local auth = rotating("r0")
    local room = deliver.start({ data = data, scripts = { acme = script(fake, auth, [[refresh_token = "r0"]]) } })
    room:deliver({ id = "a" })
    local other = rotating("fresh")
    room:script("acme", script(fake, other, [[refresh_token = "fresh"]]))
    assert.equal("settle", room:deliver({ id = "b" }).outcome)
    assert.equal("fresh", other.grants[1].refresh_token)
    assert.equal(2, #kept(data .. "/oauth2"))
  end)

  it("is used by one fetch at a time, whatever scopes it is for", function()
    local fake, auth = partner.new(), rotating("r0")
    local room = deliver.start({ workers = 4, data = folder(), scripts = {
      one = script(fake, auth, [[refresh_token = "r0", scope = "one"]]),
      two = script(fake, auth, [[refresh_token = "r0", scope = "two"]]),
      three = script(fake, auth, [[refresh_token = "r0", scope = "three"]]),
    } })
    for _, name in ipairs({ "one", "two", "three" }) do
      room:send({ id = name, partner = name })
    end
    eventually(function() return room:outcomes().settle == 3 end)
  end)

  it("is kept in memory, with a warning, when there is no folder", function()
    local fake, auth = partner.new(), rotating("r0")
    local room = deliver.start({ scripts = { acme = script(fake, auth, [[refresh_token = "r0"]]) } })
    deliver_until(room, auth, 3)
    assert.is_true(log_lines(room, "kept in memory alone") >= 1)
  end)

  it("is the script's own when its file is damaged", function()
    local fake, auth, data = partner.new(), rotating("r0"), folder()
    local source = script(fake, auth, [[refresh_token = "r0"]])
    local room = deliver.start({ data = data, scripts = { acme = source } })
    room:deliver({ id = "a" })
    room:stop()
    local file = assert(io.open(kept(data .. "/oauth2")[1], "w"))
    file:write("{")
    file:close()
    room = deliver.start({ data = data, scripts = { acme = source } })
    room:send({ id = "b" })
    assert.equal("oauth2: invalid_grant: used before: r0", room:paused().reason)
    assert.equal(1, log_lines(room, "it holds no refresh_token"))
  end)

  it("is not lost to a shutdown that comes while it is rotated", function()
    local fake, data = partner.new(), folder()
    local auth = token_endpoint.new({ handler = function() return { hang = true } end })
    local room = deliver.start({ data = data, scripts = { acme = script(fake, auth, [[refresh_token = "r0"]]) } })
    room:send({ id = "a" })
    eventually(function() return #auth.grants == 1 end)
    room:tell({ op = "drain", ms = 20000 })
    room:outcome("a")
    auth:release(token_endpoint.token("t", { refresh_token = "r1" }))
    room:wait_for(function(value) return value.drained end, "the drain")
    assert.equal('{"refresh_token":"r1"}\n', files.read(kept(data .. "/oauth2")[1]))
  end)

  it("is hidden, like the access token, in what the endpoint says", function()
    local fake, data = partner.new(), folder()
    local auth = token_endpoint.new({ handler = function(grant, n)
      return n == 1 and token_endpoint.token("canary-access", { refresh_token = "canary-refresh", expires_in = 0.2 })
        or token_endpoint.error("invalid_grant", ("%s after canary-access"):format(grant.refresh_token))
    end })
    local room = deliver.start({ data = data, scripts = { acme = script(fake, auth, [[refresh_token = "r0"]]) } })
    local sent = 0
    eventually(function()
      sent = sent + 1
      return room:deliver({ id = "a" .. sent }).outcome == "park"
    end)
    assert.equal("oauth2: invalid_grant: [oauth2 token] after [oauth2 token]", room:paused().reason)
    room:stop()
    assert.is_nil((room.child:text() .. room.child:text("out")):find("canary", 1, true))
  end)
end)

describe("the end of a delivery room", function()
  after_each(clean)

  it("does not wait for a token that nobody would miss", function()
    local fake = partner.new()
    local auth = token_endpoint.new({ handler = function() return { hang = true } end })
    local room = deliver.start({ scripts = { acme = script(fake, auth) } })
    room:send({ id = "a" })
    eventually(function() return #auth.grants == 1 end)
    room:tell({ op = "drain", ms = 60000 })
    room:wait_for(function(value) return value.drained end, "the drain")
    assert.equal("park", room:outcome("a").outcome)
  end)
end)
