--- docs/cookbook.md: what partners ask for. Each answer is run, and makes the request that is shown.
local page = require("spec.support.page")
local runtime = require("spec.support.runtime")
local script = require("spec.support.script")
local shown = require("spec.support.shown")

local sections = page.read("docs/cookbook.md")
local cases, prose = shown.cases(sections)

describe("docs/cookbook.md", function()
  after_each(runtime.clean)

  for _, case in ipairs(cases) do
    it(case.name, case.run)
  end

  it("answers at least twenty questions, each with a script and with what comes of it", function()
    local questions = 0
    for i = 2, #sections do
      local section, has = sections[i], {}
      questions = questions + 1
      for _, part in ipairs(section.parts) do
        local kind = part.kind == "code" and part.language or table.concat(part.header, " | ")
        has[kind] = true
        has.outcome = has.outcome or kind == "http" or kind == "answer | means" or kind == "event | becomes"
      end
      assert.is_true(has.lua and has.outcome, section.title)
      assert.is_true(has["event | becomes"] or has.json, section.title)
    end
    assert.is_true(questions >= 20)
  end)

  it("has no table that nothing checks, and no fragment of a script", function()
    assert.same({}, prose)
    for _, section in ipairs(sections) do
      for _, block in ipairs(page.blocks(section, "lua")) do
        assert.are_not.equal("fragment", shown.kind(block), section.title)
      end
    end
  end)

  local function load(title, given)
    local block = page.blocks(page.section(sections, title), "lua")[1]
    return assert(script.load(block.text, "acme", given))
  end

  it("limits what it says", function()
    local limited = load("At most ten requests a second, four at a time")
    assert.same({ 10, 4, 30000 }, { limited.rate_per_second, tonumber(limited.concurrency), tonumber(limited.timeout_ms) })
    local batch = load("Send up to 500 events in one request").batch
    assert.same({ 500, 1000, 1 }, { tonumber(batch.size), tonumber(batch.wait_ms), tonumber(batch.by_count) })
    local lines = load("One JSON object a line, please").batch
    assert.same({ 1000, 4 * 1024 * 1024 }, { tonumber(lines.size), tonumber(lines.bytes) })
    local patient = load("Try again when we say so")
    assert.same({ 5, 0.1 }, { tonumber(patient.schedule_count), patient.jitter })
  end)

  it("asks for a token and shows a certificate as it says", function()
    local oauth2 = load("Get a token from our OAuth2 server first", { secrets = { acme_client = "c" } }).oauth2
    assert.same({ "https://login.acme.example/oauth/token", "moonpost", "c", "events:write" }, { script.text_of(oauth2.token_url.text),
      script.text_of(oauth2.client_id.text), script.text_of(oauth2.client_secret.text), script.text_of(oauth2.scope.text) })
    local given = { proxies = { "fixed" }, secrets = { acme_cert = "-----BEGIN CERTIFICATE-----", acme_cert_key = "-----BEGIN PRIVATE KEY-----" } }
    local certified = load("Show a client certificate, and come from a fixed address", given)
    assert.equal("fixed", script.text_of(certified.proxy))
    assert.equal(given.secrets.acme_cert, script.text_of(certified.tls.cert.text))
    assert.equal(given.secrets.acme_cert_key, script.text_of(certified.tls.key.text))
  end)
end)
