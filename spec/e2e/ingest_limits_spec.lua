local eventually = require("spec.support.eventually")
local probe = require("spec.support.ingest_probe")
local process = require("spec.support.process")
local raw = require("spec.support.raw_http")

local server

local function start(...)
  server = probe.start({ ... })
  return server.address
end

local function slug(answer)
  return answer.json.type:match("[%w-]+$")
end

local function post(body, ...)
  return raw.request("POST", "/events/acme", { ... }, body)
end

describe("the limits of the ingest server", function()
  after_each(function()
    raw.close_all()
    if server then
      server:stop()
      server = nil
    end
    process.kill_all()
  end)

  -- The refusal names its limit, and what is still being sent does not hide it from the sender.
  local function refused(bytes)
    local client = raw.connect(server.address)
    client.tcp:write(bytes)
    local answer = client:answer()
    assert.equal("close", answer.headers["connection"])
    client:close()
    return answer
  end

  it("bound the request line to 8 KiB", function()
    local address = start()
    local longest = "/healthz?" .. ("x"):rep(8192 - #"GET /healthz? HTTP/1.1\r\n")
    assert.equal(200, raw.ask(address, raw.request("GET", longest)).status)
    local answer = refused(raw.request("GET", longest .. "x"))
    assert.equal(414, answer.status)
    assert.matches("8192", answer.json.detail)
    assert.equal(414, refused("GET /" .. ("x"):rep(9000)).status)
  end)

  it("bound the header section to --header-limit", function()
    local address = start()
    local bytes = raw.request("GET", "/healthz", { "X: " .. ("y"):rep(16000) })
    local longest = bytes:gsub("X: ", "X: " .. ("z"):rep(16384 - #bytes))
    assert.equal(200, raw.ask(address, longest).status)
    local answer = refused((longest:gsub("X: ", "X: z")))
    assert.equal(431, answer.status)
    assert.matches("%-%-header%-limit", answer.json.detail)
    assert.equal(431, refused("GET / HTTP/1.1\r\nX: " .. ("y"):rep(17000)).status)
  end)

  it("bound the fields to --header-count", function()
    local address = start("--header-count", "5")
    local lines = { "A: 1", "B: 2", "C: 3", "D: 4" }
    assert.equal(200, raw.ask(address, raw.request("GET", "/healthz", lines)).status)
    lines[5] = "E: 5"
    local answer = refused(raw.request("GET", "/healthz", lines))
    assert.equal(431, answer.status)
    assert.matches("%-%-header%-count", answer.json.detail)
  end)

  it("bound the fields to 100 by default", function()
    local address = start()
    local lines = {}
    for i = 1, 99 do
      lines[i] = "A" .. i .. ": 1"
    end
    assert.equal(200, raw.ask(address, raw.request("GET", "/healthz", lines)).status)
    lines[100] = "B: 1"
    assert.equal(431, refused(raw.request("GET", "/healthz", lines)).status)
  end)

  it("bound the body to --body-limit, by its length and as its chunks come", function()
    local address = start("--body-limit", "1024")
    local longest = '{"a":"' .. ("x"):rep(1024 - 8) .. '"}'
    assert.equal(202, raw.ask(address, post(longest)).status)
    local answer = refused("POST /events/acme HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\n\r\n")
    assert.equal(413, answer.status)
    assert.matches("%-%-body%-limit", answer.json.detail)
    local head = "POST /events/acme HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert.equal(202, raw.ask(address, head .. "400\r\n" .. longest .. "\r\n0\r\n\r\n").status)
    assert.equal(413, refused(head .. "401\r\n").status)
    assert.equal(413, refused(head .. "400\r\n" .. longest .. "\r\n1\r\n").status)
    assert.equal(413, refused(head .. "fffffffffffffff\r\n").status)
    server:records(2)
    assert.equal(0, server:untaken())
  end)

  it("let a body of 1 MiB in by default, and tell a longer one while it is still sent", function()
    local address = start()
    local longest = '{"a":"' .. ("x"):rep(1048576 - 8) .. '"}'
    assert.equal(202, raw.ask(address, post(longest)).status)
    local client = raw.connect(address)
    client:send(post(("x"):rep(8000000))):finish()
    assert.is_nil(client.write_failed)
    assert.equal(413, client:answer().status)
    client:wait_end()
    assert.is_nil(client.failed)
    server:records(1)
  end)

  it("bound the nesting of JSON to --json-depth", function()
    local address = start("--json-depth", "4")
    assert.equal(202, raw.ask(address, post('{"a":[[[]]]}')).status)
    local answer = raw.ask(address, post('{"a":[[[[]]]]}'))
    assert.equal(400, answer.status)
    assert.equal(1, answer.json.line)
    assert.equal(9, answer.json.column)
    assert.matches("nested deeper than 4 (--json-depth)", answer.json.detail, nil, true)
    server:records(1)
  end)

  it("bound the requests with events to --ingest-rate, and no others", function()
    local address = start("--ingest-rate", "2/h")
    assert.equal(202, raw.ask(address, post("{}")).status)
    local answer = raw.ask(address, post("{}"))
    assert.equal(429, answer.status)
    assert.matches("--ingest-rate", answer.json.detail, nil, true)
    local wait = tonumber(answer.headers["retry-after"])
    assert.is_true(wait > 1700 and wait <= 1800, tostring(wait))
    assert.equal(200, raw.ask(address, raw.request("GET", "/healthz")).status)
    server:records(1)
  end)

  it("bound the time of a header section, also when bytes keep coming", function()
    local client = raw.connect(start("--header-timeout", "150"))
    local tick = require("luv").new_timer()
    client:send("GET /healthz HTTP/1.1\r\nHost: x\r\nX: ")
    tick:start(10, 10, function()
      client.tcp:write("y")
    end)
    local answer = client:answer()
    tick:close()
    assert.equal(408, answer.status)
    assert.equal("close", answer.headers["connection"])
    assert.matches("%-%-header%-timeout", answer.json.detail)
  end)

  it("bound the time of a body, also when bytes keep coming", function()
    local client = raw.connect(start("--body-timeout", "150"))
    local tick = require("luv").new_timer()
    client:send("POST /events/acme HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
    tick:start(10, 10, function()
      client.tcp:write(" ")
    end)
    local answer = client:answer()
    tick:close()
    assert.equal(408, answer.status)
    assert.matches("%-%-body%-timeout", answer.json.detail)
  end)

  it("end a connection on which nothing was sent without a word", function()
    local client = raw.connect(start("--header-timeout", "100"))
    assert.equal("", client:wait_end())
  end)

  it("end an idle connection without a word, after --idle-timeout", function()
    local client = raw.connect(start("--idle-timeout", "100"))
    client:send(raw.request("GET", "/healthz"))
    assert.equal(200, client:answer().status)
    assert.equal("", client:wait_end())
  end)

  it("do not count the time that an answer takes", function()
    local client = raw.connect(start("--delay", "300", "--header-timeout", "50", "--body-timeout", "50",
      "--idle-timeout", "50"))
    client:send(post("{}"))
    assert.equal(202, client:answer().status)
    server:records(1)
  end)

  it("end a connection whose answers nobody reads", function()
    local client = raw.connect(start("--body-timeout", "200"))
    client.tcp:read_stop()
    local many = raw.request("GET", "/metrics"):rep(500)
    for _ = 1, 20 do
      client.tcp:write(many)
    end
    local function connections()
      local answer = raw.ask(server.address, raw.request("GET", "/metrics"))
      return tonumber(answer.body:match("\nmoonpost_ingest_connections (%d+)"))
    end
    eventually(function()
      return connections() == 1
    end, nil, "a closed connection")
  end)

  it("answer 503 to connections over --connections, and serve again when one is gone", function()
    local address = start("--connections", "2")
    local first, second = raw.connect(address), raw.connect(address)
    first:send(raw.request("GET", "/healthz"))
    second:send(raw.request("GET", "/healthz"))
    assert.equal(200, first:answer().status)
    assert.equal(200, second:answer().status)
    local answer = raw.ask(address, raw.request("GET", "/healthz"))
    assert.equal(503, answer.status)
    assert.equal("too-many-connections", slug(answer))
    assert.matches("%-%-connections", answer.json.detail)
    assert.equal("1", answer.headers["retry-after"])
    second:close()
    eventually(function()
      return raw.ask(address, raw.request("GET", "/healthz")).status == 200
    end, nil, "a place")
    first:send(raw.request("GET", "/healthz"))
    assert.equal(200, first:answer().status)
  end)

  it("stop one request at 100000 deliveries", function()
    local address = start("--silent", "yes")
    local answer = raw.ask(address, post("[" .. ("{},"):rep(100000) .. "{}]"))
    assert.equal(413, answer.status)
    assert.equal("too-many-deliveries", slug(answer))
    answer = raw.ask(address, post("[" .. ("{},"):rep(99999) .. "{}]"))
    assert.equal(100000, answer.json.accepted)
  end)
end)

describe("closing the ingest server", function()
  after_each(function()
    raw.close_all()
    process.kill_all()
  end)

  it("answers what is under way, refuses what is half here, and ends what is idle", function()
    local closing = probe.start({ "--delay", "300" })
    local under_way, half, idle = raw.connect(closing.address), raw.connect(closing.address),
      raw.connect(closing.address)
    idle:send(raw.request("GET", "/healthz"))
    assert.equal(200, idle:answer().status)
    half:send("POST /events/acme HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
    assert.equal(100, half:answer().status)
    under_way:send(raw.request("POST", "/events/acme", {}, '{"last":1}'))
    under_way:send(raw.request("POST", "/events/acme", {}, '{"later":1}'))
    -- Once another connection is answered, the first request has been read.
    idle:send(raw.request("GET", "/healthz"))
    assert.equal(200, idle:answer().status)
    closing.child:kill("sigterm")
    assert.equal("", idle:wait_end())
    assert.equal(503, half:answer().status)
    local answer = under_way:answer()
    assert.equal(202, answer.status)
    assert.equal("close", answer.headers["connection"])
    assert.equal("", under_way:wait_end())
    raw.close_all()
    assert.equal(answer.json.ids[1], closing:records(1)[1].id)
    assert.equal(0, (closing.child:wait()))
    assert.equal(1, closing:untaken()) -- "closed"
  end)
end)
