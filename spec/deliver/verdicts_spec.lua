--- What an answer means for a delivery: the status's own verdict, the schedule, `answers`, `verdict`.
local deliver = require("spec.support.deliver")
local partner = deliver.partner

local function script(fake, more)
  return ("return { url = %q, method = 'POST', %s }"):format(fake:url("/hook"), more or "")
end

describe("an answer", function()
  after_each(deliver.clean)

  it("means by its status what the contract says", function()
    local fake = partner.new({ handler = function(request)
      return tonumber(request.body:match("%d+"))
    end })
    -- A pause would stop the partner: 410 is asked elsewhere.
    local room = deliver.start({ scripts = { acme = script(fake) } })
    local expected = {
      [200] = "settle", [204] = "settle", [299] = "settle",
      [301] = "bury", [304] = "bury", [400] = "bury", [404] = "bury", [413] = "bury", [422] = "bury",
      [401] = "retry", [403] = "retry", [408] = "retry", [425] = "retry", [429] = "retry",
      [500] = "retry", [503] = "retry", [599] = "retry",
    }
    for status, outcome in pairs(expected) do
      local got = room:deliver({ id = "s" .. status, event = { status = status } })
      assert.same({ status, outcome, status }, { status, got.outcome, got.status })
      assert.equal(1, got.attempts)
    end
  end)

  it("is waited for by the schedule, and after the last attempt the delivery dies", function()
    local fake = partner.new({ handler = function() return 503 end })
    local room = deliver.start({ scripts = { acme = script(fake, "retry = { schedule = { '7s', '1m' }, jitter = 0 }") } })
    assert.equal(7000, room:deliver({ id = "a" }).wait_ms)
    assert.equal(60000, room:deliver({ id = "a", attempts = 1 }).wait_ms)
    local last = room:deliver({ id = "a", attempts = 2 })
    assert.equal("bury", last.outcome)
    assert.equal("gave up after 3 attempts: status 503", last.reason)
    assert.equal(3, last.attempts)
    assert.equal("dead", last.verdict)
    local line = room:attempt("a", 3)
    assert.same({ 3, "dead", "gave up after 3 attempts: status 503" }, { line.attempt, line.verdict, line.why })
  end)

  it("that gives no reason leaves none to the dead letter", function()
    local fake = partner.new({ handler = function() return 200 end })
    local room = deliver.start({ scripts = { acme = script(fake,
      "retry = { schedule = {} }, verdict = function() return 'retry' end") } })
    assert.equal("gave up after 1 attempt", room:deliver({ id = "a" }).reason)
  end)

  it("may ask for a longer wait than the schedule's, not for a shorter one", function()
    local wait = "30"
    local fake = partner.new({ handler = function()
      return { status = 503, headers = { ["Retry-After"] = wait } }
    end })
    local room = deliver.start({ scripts = { acme = script(fake, "retry = { schedule = { '10s', '10s' }, jitter = 0 }") } })
    assert.equal(30000, room:deliver({ id = "a" }).wait_ms)
    wait = "3"
    assert.equal(10000, room:deliver({ id = "b" }).wait_ms)
    wait = "90000000"
    assert.equal(24 * 3600 * 1000, room:deliver({ id = "c" }).wait_ms)
    wait = os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + 3600)
    local ms = room:deliver({ id = "d" }).wait_ms
    assert.is_true(ms > 3500000 and ms <= 3600000, ms)
  end)

  it("is read by `answers` before anything else", function()
    local body = "DUPLICATE"
    local fake = partner.new({ handler = function() return { status = 500, body = body } end })
    local room = deliver.start({ scripts = { acme = script(fake, [[
      answers = { { body = "DUPLICATE", "delivered" }, { body = "LATER", "retry", "10m" }, { body = "ERROR", "dead", "told so" } },
      verdict = function() return "skipped", "the hook was asked" end]]) } })
    assert.equal("settle", room:deliver({ id = "a" }).outcome)
    body = "TRY LATER"
    assert.equal(600000, room:deliver({ id = "b" }).wait_ms)
    body = "ERROR 17"
    assert.equal("told so", room:deliver({ id = "c" }).reason)
    body = "?"
    room:deliver({ id = "d" })
    assert.equal("the hook was asked", room:attempt("d").why)
  end)

  it("is shown to the verdict hook, and so is its absence", function()
    local fake = partner.new({ handler = function()
      return { status = 200, body = '{"code":17}', headers = { ["X-Trace"] = "t1" } }
    end })
    local room = deliver.start({ scripts = {
      acme = script(fake, [[verdict = function(response, ctx)
        if response.json and response.json.code == 17 then
          return "dead", ctx.attempt .. response.headers["x-trace"] .. response.status
        end
      end]]),
      gone = ([[return { url = %q, method = "GET", verdict = function(response)
        return "dead", "saw " .. tostring(response.status) .. " " .. response.error
      end }]]):format(partner.refused_url("/")),
    } })
    assert.equal("3t1200", room:deliver({ id = "a", attempts = 2 }).reason)
    assert.equal("saw nil connection_refused", room:deliver({ id = "b", partner = "gone" }).reason)
  end)

  it("keeps its own meaning when the verdict hook throws", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = { acme = script(fake, "verdict = function() error('boom') end") } })
    assert.equal("settle", room:deliver({ id = "a" }).outcome)
    local why = room:attempt("a").why
    assert.truthy(why:find("^status 200; verdict threw: .*acme.lua:1: boom"), why)
    assert.truthy(room:metrics():find('moonpost_script_errors_total{partner="acme"} 1', 1, true))
  end)
end)

describe("a delivery whose script fails", function()
  after_each(deliver.clean)

  it("follows the schedule and then dies with file and line", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = { acme = script(fake, "retry = { schedule = { '5s' }, jitter = 0 }, accepts = function(e) error('no ' .. e.a) end") } })
    assert.equal(5000, room:deliver({ id = "a" }).wait_ms)
    local last = room:deliver({ id = "a", attempts = 1 })
    assert.truthy(last.reason:find("^gave up after 2 attempts: .*acme.lua:1: no 1"), last.reason)
    local line = room:attempt("a")
    assert.same({ "retry", require("cjson").null, require("cjson").null }, { line.verdict, line.method, line.url })
    assert.equal(0, #fake.requests)
  end)

  it("leaves a working state behind when it overran", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = { acme = script(fake, "accepts = function(e) while e.loop do end return true end") } })
    assert.equal("retry", room:deliver({ id = "a", event = { loop = true } }).outcome)
    assert.equal("settle", room:deliver({ id = "b" }).outcome)
  end)

  it("is skipped or dead without a request, and that is an attempt too", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = { acme = script(fake, "required = { 'id' }, accepts = function(e) return e.pay, 'no payout' end") } })
    local dead = room:deliver({ id = "a", event = { pay = true } })
    assert.same({ "bury", "missing id", 1 }, { dead.outcome, dead.reason, dead.attempts })
    assert.equal("settle", room:deliver({ id = "b", event = { id = 1, pay = false } }).outcome)
    local line = room:attempt("b")
    assert.same({ "skipped", "no payout" }, { line.verdict, line.why })
    assert.equal(0, #fake.requests)
  end)
end)
