--- POST /postback: the request brings its own template, and what was sent is what arrives.
local support = require("spec.support")
local eventually, partner, runtime = support.eventually, support.partner, support.runtime

local shipped = assert(io.open("scripts/postback.lua")):read("*a")

local function start()
  return runtime.start({ scripts = { postback = shipped } }), partner.new()
end

local function arrived(fake, count)
  eventually(function() return #fake.requests >= count, #fake.requests end, nil, count .. " requests")
  return fake.requests
end

local function postback(method, url, data)
  return ('{"endpoint":{"method":"%s","url":"%s"}%s}'):format(method, url,
    data and (',"data":' .. data) or "")
end

describe("a postback", function()
  after_each(support.clean)

  it("arrives as the README says, one request a data object", function()
    local rt, fake = start()
    local url = fake:url("/data?title={mascot}&image={location}&foo={bar}")
    local ids = rt:accept("/postback", postback("GET", url,
      '[{"mascot":"Gopher","location":"https://blog.golang.org/gopher/gopher.png"},'
      .. '{"mascot":"Tux & co","location":""}]'))
    arrived(fake, 2)
    local by_id = {}
    for _, request in ipairs(fake.requests) do
      by_id[request.headers["moonpost-id"]] = request
    end
    assert.equal(2, #ids)
    assert.equal("GET /data?title=Gopher&image=https%3A%2F%2Fblog.golang.org%2Fgopher%2Fgopher.png&foo= HTTP/1.1",
      by_id[ids[1]].line)
    assert.equal("/data?title=Tux%20%26%20co&image=&foo=", by_id[ids[2]].target)
    assert.equal("", by_id[ids[1]].body)
    assert.equal("1", by_id[ids[1]].headers["moonpost-attempt"])
    assert.matches("^Moonpost/%d", by_id[ids[1]].headers["user-agent"])
  end)

  it("is taken at /i and /ingest.php as well, whatever its content type", function()
    local rt, fake = start()
    for i, path in ipairs({ "/i", "/ingest.php", "/postback" }) do
      local answer = rt:request("POST", path, { ["Content-Type"] = i == 1
        and "application/x-www-form-urlencoded" or nil }, postback("GET", fake:url("/{n}"), '[{"n":1}]'))
      assert.equal(202, answer.status, path .. ": " .. answer.body)
    end
    arrived(fake, 3)
    assert.equal(3, fake:count("/1"))
  end)

  it("without data is one request with an empty event", function()
    local rt, fake = start()
    assert.equal(1, #rt:accept("/postback", postback("GET", fake:url("/a?x={x}"))))
    assert.equal(1, #rt:accept("/postback", postback("GET", fake:url("/b?x={x}"), "[]")))
    arrived(fake, 2)
    assert.equal(1, fake:count("/a"))
    assert.equal(1, fake:count("/b"))
    assert.equal("x=", fake.requests[1].query)
  end)

  it("with POST carries the data object byte for byte", function()
    local rt, fake = start()
    local object = '{ "n" : 12345678901234567890,\n "d":1.50,"e" :1e400, "s":"\\u00e9\\/\\ud83d\\ude00", "n":1 }'
    rt:accept("/postback", postback("POST", fake:url("/p"), "[" .. object .. "]"))
    local request = arrived(fake, 1)[1]
    assert.equal("POST", request.method)
    assert.equal(object, request.body)
    assert.matches("^application/json", request.headers["content-type"])
  end)

  it("keeps numbers digit for digit in the URL", function()
    local rt, fake = start()
    rt:accept("/postback", postback("GET", fake:url("/n/{a}/{b}/{c}/{d}{?a,l*}"),
      '[{"a":12345678901234567890,"b":1.50,"c":1e400,"d":-0.0,"l":[1.10,2E+3]}]'))
    assert.equal("/n/12345678901234567890/1.50/1e400/-0.0?a=12345678901234567890&l=1.10&l=2E%2B3",
      arrived(fake, 1)[1].target)
  end)

  it("is refused whole when it is malformed, and says where", function()
    local rt, fake = start()
    local url = fake:url("/x")
    for _, case in ipairs({
      { 400, '{"endpoint":' }, { 400, postback("GET", url, "[{},]") },
      { 422, "{}" }, { 422, postback("TRACE", url) }, { 422, postback("GET", "/relative") },
      { 422, postback("GET", "http://{host}/") }, { 422, postback("GET", url, "[{},7]") },
    }) do
      local answer = rt:post("/postback", case[2])
      assert.equal(case[1], answer.status, case[2] .. " was answered " .. answer.body)
      assert.matches("^application/problem%+json", answer.headers["content-type"])
    end
    rt:accept("/postback", postback("GET", url .. "/last"))
    arrived(fake, 1)
    rt:stop()
    assert.equal(1, #fake.requests)
  end)
end)
