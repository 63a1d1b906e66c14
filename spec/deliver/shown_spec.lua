--- A partner that repeats what it was sent, and hooks that repeat the partner: what is told of it.
local deliver = require("spec.support.deliver")
local partner = deliver.partner

local KEY = "canary/" .. ("s3cr3t+&"):rep(12)

local function start(fake, more)
  return deliver.start({ env = { MOONPOST_SECRET_KEY = KEY }, scripts = {
    acme = ("return { url = %q, method = 'POST', headers = { ['X-Key'] = secret 'key' }, retry = { schedule = { '5s' }, jitter = 0 }, %s }")
      :format(fake:url("/"), more or ""),
  } })
end

local function echoing(status, before)
  return partner.new({ handler = function(request)
    return { status = status, body = (before or "you sent ") .. request.headers["x-key"] .. "!" }
  end })
end

-- Nothing that the room has said, by then, has any of it.
local function assert_hidden(room)
  room:stop()
  local said = room.child:text() .. room.child:text("out")
  for _, part in ipairs({ "canary/", "s3cr3t", "Y2FuYXJ5" }) do
    assert.is_nil(said:find(part, 1, true), said)
  end
end

describe("a secret that a partner repeats", function()
  after_each(deliver.clean)

  it("is not in the attempt's line", function()
    local fake = echoing(200)
    local room = start(fake)
    room:deliver({ id = "a" })
    assert.equal(KEY, fake.requests[1].headers["x-key"])
    assert.equal("you sent [secret key]!", room:attempt("a").body)
    assert_hidden(room)
  end)

  it("is in no line at whatever byte the body is cut, written otherwise too", function()
    local at = 0
    local fake = partner.new({ handler = function(request)
      local key = request.headers["x-key"]
      local written = at % 2 == 0 and key or key:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)
      return { status = 200, body = ("x"):rep(900 + at * 7) .. written:rep(60) }
    end })
    local room = start(fake)
    for i = 0, 19 do
      at = i
      room:deliver({ id = "a" .. i })
    end
    assert_hidden(room)
  end)

  for name, hook in pairs({
    dead = "return 'dead', response.body", skipped = "return 'skipped', response.body", pause = "return 'pause', response.body",
    thrown = "error(response.body)", ["thrown in a table"] = "error({ message = response.body })", ["no word"] = "return response.body",
    logged = "log(response.body, { response.body })",
  }) do
    it("is in no reason or error of a hook: " .. name, function()
      local room = start(echoing(500), ("verdict = function(response) %s end"):format(hook))
      local outcome = room:deliver({ id = "a" })
      room:attempt("a")
      if outcome.reason then
        assert.equal("you sent [secret key]!", outcome.reason)
      end
      assert_hidden(room)
    end)
  end

  it("is in no reason where it is cut", function()
    local room = start(echoing(422, ("x"):rep(200)), "verdict = function(response) return 'dead', response.body end")
    assert.equal(("x"):rep(200) .. "[secret key]", room:deliver({ id = "a" }).reason)
    assert_hidden(room)
  end)

  it("is in no line of a batch's members", function()
    local room = start(echoing(200), [[batch = { size = 3, wait = "1s" },
      verdict = function(response, ctx) return { [1] = { "dead", response.body }, [2] = "retry", [3] = { "skipped", response.body } } end]])
    for i = 1, 3 do
      room:send({ id = "a" .. i })
    end
    assert.equal("you sent [secret key]!", room:outcome("a1").reason)
    for i = 1, 3 do
      assert.equal("you sent [secret key]!", room:attempt("a" .. i).body)
    end
    assert_hidden(room)
  end)
end)
