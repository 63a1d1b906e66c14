local examples = require("spec.support.examples")
local files = require("spec.support.files")
local process = require("spec.support.process")
local runtime = require("spec.support.runtime")
local script = require("spec.support.script")
local testing = require("moonpost.testing")
local c = require("spec.support.cdef").load()

local text = script.text_of
local SECRETS = { acme_token = "canary-token", partner_key = "canary-key", meta_token = "canary-meta" }

local ACME = [==[
-- Acme: GET postback; EU clicks have a host of their own; empty parameters must not be sent.
local pb = "/pb?cid={click_id}&goal={goal_id}&payout={payout}&sub1={sub1}&token=" .. secret "acme_token"
return {
  subscribes = { "conversion.*" },                       -- for POST /events
  url      = by("geo", { DE = "https://eu.acme.example" .. pb }, "https://us.acme.example" .. pb),
  vars     = { goal_id = by("goal", { signup = 17, purchase = 42 }) },
  required = { "click_id", "goal_id" },
  missing  = "drop",
  limits   = { concurrency = 32, rate = "500/s" },
  retry    = { schedule = { "5s", "30s", "2m", "10m", "30m", "2h", "5h", "10h" }, jitter = 0.2 },
  answers  = { { body = "DUPLICATE", "delivered" }, { body = "TRY LATER", "retry", "10m" }, { body = "ERROR", "dead" } },
}
]==]

local WEBHOOK = [==[
-- A signed webhook with its own mind.
return {
  method  = "POST",
  url     = "https://hooks.partner.example/v1/{tenant}",
  headers = { ["X-Signature"] = function(event, ctx, request) return hmac.sha256(secret "partner_key", request.body) end },
  accepts = function(event, ctx) return (num(event, "payout") or 0) > 0, "no payout" end,
  request = function(event, request, ctx) request.query.v = "2" end,
  verdict = function(response, ctx) if response.json and response.json.code == 17 then return "retry", "10m" end end,
}
]==]

local META = [==[
-- Meta Conversions API: one bad event refuses the whole call, so the batch is split around it.
return {
  url     = "https://graph.facebook.com/v21.0/1234567890/events",
  batch   = { size = 1000, wait = "1s" },
  max_age = { "7d", of = "event_time" },
  item    = { event_name = "{name}", event_id = "{ctx.id}", event_time = number "{event_time}", action_source = "website",
              user_data = { em = { hashed "{user.email}" }, ph = { hashed "{user.phone}" } },
              custom_data = { value = number "{value}", currency = "{currency}" } },
  body    = { data = items, access_token = secret "meta_token" },
  answers = { { json = { ["error.code"] = 190 }, "pause", "access token refused" }, { json = { ["error.code"] = { 1, 2, 4, 17 } }, "retry" } },
}
]==]

local function load(source)
  return assert(script.load(source, "acme", { secrets = SECRETS }))
end

describe("the contract's examples", function()
  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)

  it("load: a postback that never enters Lua", function()
    local s = load(ACME)
    assert.is_false(s.has_functions)
    assert.is_true(s.has_secrets)
    assert.equal(2, tonumber(s.host_count))
    assert.equal("https://eu.acme.example:443", text(s.hosts[0]))
    assert.equal("https://us.acme.example:443", text(s.hosts[1]))
    assert.equal(500, s.rate_per_second)
    assert.equal(8, tonumber(s.schedule_count))
    assert.is_true(s.missing_drop)
    local goal = s.vars[0].leaf.by
    assert.equal("purchase 42", text(goal.cases[0].value) .. " " .. text(goal.cases[0].result.leaf.text))
    assert.equal(0, tonumber(goal.otherwise.leaf.kind))
    local out = script.buffer()
    assert.equal(c.MP_OK, c.mp_template_expand_shown(s.url.by.cases[0].result.leaf.template_, c.mp_lookup_json,
      script.slice("{}"), c.MP_ESCAPE_NONE, out))
    assert.equal("https://eu.acme.example/pb?token=[secret acme_token]", text(c.mp_buf_str(out)))
  end)

  it("load: a webhook with hooks", function()
    local s = load(WEBHOOK)
    assert.is_true(s.has_functions)
    assert.equal(7, tonumber(s.hooks))
    assert.is_truthy(script.state_of(s))
  end)

  it("load: a batch of the Conversions API", function()
    local s = load(META)
    assert.is_false(s.has_functions)
    assert.equal(1000, tonumber(s.batch.size))
    assert.equal(7 * 86400000, tonumber(s.max_age_ms))
    assert.equal("event_time", text(s.max_age_of))
    assert.equal(6, tonumber(s.batch.item.count))
    local user = s.batch.item.children[5]
    assert.equal(c.MP_NODE_LIST, user.children[0].kind)
    assert.equal(c.MP_MARK_HASHED, user.children[0].children[0].leaf.mark)
    assert.equal(c.MP_LEAF_ITEMS, s.body.children[1].leaf.kind)
    assert.equal(c.MP_VERDICT_PAUSE, s.answers[0].verdict.kind)
  end)

  it("need their secrets, and show none of them", function()
    for _, source in ipairs({ ACME, META }) do
      local loaded, err = script.load(source, "acme", { secrets = { partner_key = "canary-key" } })
      assert.is_nil(loaded)
      assert.is_truthy(err:find("there is no secret", 1, true), err)
      assert.is_nil(err:find("canary", 1, true))
    end
  end)
end)

describe("scripts/examples", function()
  local list = examples.list()
  local given = { slack_url = "https://hooks.slack.com/services/T/B/X", webhook_key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }

  it("are there", function()
    assert.is_true(#list >= 8)
  end)

  for _, example in ipairs(list) do
    it(example.name .. " loads, and has a spec and a fake of its partner", function()
      local checked = process.run(runtime.binary(),
        { args = { "check", example.path }, env = examples.environment(example, given) })
      assert.equal(0, checked.code, checked:text())
      assert.is_truthy(files.read(("%s/spec/%s_spec.lua"):format(examples.folder, example.name)))
      assert.is_truthy(files.read(("%s/spec/fakes/%s.lua"):format(examples.folder, example.name)))
    end)

    it(example.name .. " begins with what it is, its secrets, and an event that it takes", function()
      local comment = table.concat(example.comment, " ")
      assert.is_true(#example.comment >= 2 and #example.comment <= 4, comment)
      for _, secret in ipairs(example.secrets) do
        assert.is_truthy(comment:find(secret, 1, true), secret)
      end
      local partner = assert(testing.partner(example.path, { now = "2026-01-31T10:00:01Z", secrets = given }))
      assert(partner:render(example.event))
    end)
  end

  it("take ten lines or fewer where a partner takes one event in JSON or a url", function()
    for _, name in ipairs({ "appsflyer", "conversion-postback", "github-webhook", "slack", "standard-webhook" }) do
      local lines = #examples.read(name).code
      assert.is_true(lines <= 10, ("%s has %d lines"):format(name, lines))
    end
  end)
end)
