--- The partner scripts of scripts/examples as they stand, in the whole runtime, against fakes of their
-- partners that are built from the partners' own documentation.
local cjson = require("cjson")
local examples = require("spec.support.examples")
local support = require("spec.support")
local token_endpoint = require("spec.support.token_endpoint")
local eventually, partner, runtime = support.eventually, support.partner, support.runtime

local KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
local rt, fake, example

local function fake_of(name)
  return dofile(("%s/spec/fakes/%s.lua"):format(examples.folder, name))
end

-- Starts Moonpost with the example `name`, whose `host` is a fake that `answer` speaks for.
local function start(name, host, answer, options)
  options = options or {}
  example = examples.read(name)
  fake = partner.new({ handler = answer })
  local hosts = options.hosts or {}
  hosts[host] = fake:url("")
  local env = examples.environment(example, options.secrets and options.secrets(fake))
  rt = runtime.start({ env = env, scripts = { [name] = examples.move(example, hosts) } })
end

-- The first line of a delivery that is as wanted.
local function line_of(id, is_wanted)
  return eventually(function()
    for _, line in ipairs(rt:attempts()) do
      if line.id == id and is_wanted(line) then
        return line
      end
    end
  end, nil, "the attempt's line in the log")
end

local function is_no_split(line)
  return line.verdict ~= "split"
end

-- Posts events (their texts) together and tells what each one's first attempt came to, as in
-- "200 delivered: status 200".
local function first_attempts(...)
  local told = {}
  for i, id in ipairs(rt:accept("/events/" .. example.name, "[" .. table.concat({ ... }, ",") .. "]")) do
    local line = line_of(id, is_no_split)
    told[i] = ("%s %s: %s"):format(line.status == cjson.null and "no answer" or line.status, line.verdict, line.why)
  end
  return told
end

-- The example's own event, with other values where `changes` says so.
local function event(changes)
  local text = example.event
  for name, value in pairs(changes or {}) do
    local count
    text, count = text:gsub(('("%s":)("?)[^",}]*"?'):format(name), function(key)
      return key .. value
    end)
    assert(count == 1, "no " .. name .. " in " .. text)
  end
  return text
end

describe("the example", function()
  after_each(support.clean)

  it("conversion-postback is delivered once, dead for an unknown click", function()
    local answer = fake_of("conversion-postback")({
      token = "test-tune_token", clicks = { ["1027c887059b47bc69c699f45466b9"] = true } })
    start("conversion-postback", "https://acme.go2cloud.org", answer)
    assert.same({ "200 delivered: status 200" }, first_attempts(event()))
    assert.same({ "200 delivered: answers: body \"Duplicate conversion\"", "200 dead: refused by TUNE" },
                first_attempts(event(), event({ click_id = '"unknown"' })))
    assert.equal("GET", fake.requests[1].method)
    assert.matches("&amount=1.50&adv_sub=A%-17&security_token=test%-tune_token$", fake.requests[1].target)
  end)

  it("standard-webhook is believed, and tried again by who has another key", function()
    local options = { key = KEY }
    start("standard-webhook", "https://hooks.acme.example", fake_of("standard-webhook")(options),
      { secrets = function() return { webhook_key = KEY } end })
    assert.same({ "204 delivered: status 204" }, first_attempts(event()))
    assert.equal(example.event, fake.requests[1].body)
    options.key = "whsec_AAAA"
    assert.same({ "401 retry: status 401" }, first_attempts(event()))
  end)

  it("github-webhook is believed, whoever named the type", function()
    start("github-webhook", "https://ci.acme.example", fake_of("github-webhook")({ key = "test-github_key" }))
    assert.same({ "202 delivered: status 202", "no answer dead: missing ctx.type" }, first_attempts(event(), "{}"))
    local id = rt:accept("/events/github-webhook", '{"zen":"Design for failure."}',
      { ["ce-specversion"] = "1.0", ["ce-id"] = "1", ["ce-source"] = "/ci", ["ce-type"] = "ping" })[1]
    assert.equal("delivered", rt:attempt(id).verdict)
    assert.equal("ping", fake.requests[2].headers["x-github-event"])
    assert.equal(id, fake.requests[2].headers["x-github-delivery"])
  end)

  it("slack is delivered, and paused when the channel is archived", function()
    local options = { path = "/services/T0/B0/X" }
    start("slack", "https://hooks.slack.com", fake_of("slack")(options),
      { secrets = function(hook) return { slack_url = hook:url(options.path) } end })
    assert.same({ "200 delivered: status 200" }, first_attempts(event()))
    assert.equal(":tada: *Barnes &amp; Noble* paid 1.50 EUR", cjson.decode(fake.requests[1].body).text)
    options.says = "channel_is_archived"
    assert.same({ "410 pause: the webhook or its channel is gone" }, first_attempts(event()))
    assert.equal("paused", eventually(function()
      return rt:partner("slack").state ~= "ok" and rt:partner("slack").state
    end))
  end)

  it("meta is delivered in one call, and split around what Meta refuses", function()
    start("meta", "https://graph.facebook.com", fake_of("meta")({ token = "test-meta_token" }))
    local now = os.time()
    local told = first_attempts(event({ time = now }), event({ time = now, currency = '"euros"' }), event({ time = now }),
      event({ time = now - 8 * 86400 }))
    assert.same({ "200 delivered: status 200", "400 dead: status 400", "200 delivered: status 200", "no answer dead: expired" }, told)
    local most = cjson.decode(fake.requests[1].body)
    assert.same({ 3, "test-meta_token" }, { #most.data, most.access_token })
  end)

  it("google-ads fetches its token, again when it is refused, and reads each conversion's fate", function()
    local auth = token_endpoint.new()
    local answer = fake_of("google-ads")({ developer_token = "test-google_developer_token", manager = "9876543210",
      tokens = { ["token-2"] = true }, clicks = { good = true, old = "EXPIRED_EVENT", young = "TOO_RECENT_EVENT" } })
    start("google-ads", "https://googleads.googleapis.com", answer, { hosts = { ["https://oauth2.googleapis.com"] = auth:url("") } })
    local ids = rt:accept("/events/google-ads",
      ("[%s,%s,%s]"):format(event({ gclid = '"good"' }), event({ gclid = '"old"' }), event({ gclid = '"young"' })))
    local fates = {}
    for i, id in ipairs(ids) do
      local line = line_of(id, function(each) return each.status == 200 end)
      fates[i] = line.verdict .. ": " .. line.why
    end
    assert.same({ "delivered: status 200", "dead: EXPIRED_EVENT: gclid was refused.", "retry: " }, fates)
    assert.same({ 401, 200 }, { fake.requests[1].status, fake.requests[2].status })
    local grant = auth.grants[2]
    assert.same({ "/token", "refresh_token", "test-google_refresh_token", "test-google_client_id", "test-google_client_secret" },
                { grant.path, grant.grant_type, grant.refresh_token, grant.client_id, grant.client_secret })
  end)

  it("appsflyer is recorded, and dead when the device is none", function()
    local recorded = {}
    start("appsflyer", "https://api3.appsflyer.com",
      fake_of("appsflyer")({ key = "test-appsflyer_key", app = "id123456789", recorded = recorded }))
    assert.same({ "200 delivered: status 200", "400 dead: status 400" }, first_attempts(event(), event({ device = '"none"' })))
    assert.same({ "2026-01-31 10:00:00.000", '{"af_content_id":"15854","af_revenue":6.00}' },
                { recorded[1].eventTime, recorded[1].eventValue })
  end)

  it("cxml is delivered, dead or tried again as the answer's document says", function()
    local options = { secret = "test-cxml_secret", orders = { ["PO-17"] = "1769853600.17@buyer.example" } }
    start("cxml", "https://orders.buyer.example", fake_of("cxml")(options))
    assert.same({ "200 delivered: status 200", "200 dead: Expectation Failed" },
                first_attempts(event(), event({ order = '"a<b & c"' })))
    options.is_down = true
    assert.same({ "200 retry: " }, first_attempts(event()))
  end)
end)
