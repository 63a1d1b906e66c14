local probe = require("spec.support.ingest_probe")
local process = require("spec.support.process")
local raw = require("spec.support.raw_http")

local function post(body, ...)
  return raw.request("POST", "/events/acme", { ... }, body)
end

local function head_of(...)
  return table.concat({ ... }, "\r\n") .. "\r\n\r\n"
end

local function chunked(body)
  return head_of("POST /events/acme HTTP/1.1", "Host: x", "Transfer-Encoding: chunked") .. body
end

describe("the ingest server on the wire", function()
  local server

  setup(function()
    server = probe.start()
  end)
  after_each(raw.close_all)
  teardown(function()
    server:stop()
    process.kill_all()
  end)

  local function refused(bytes)
    return server:refused(bytes)
  end

  it("answers with a date, a length and its type", function()
    local answer = raw.ask(server.address, raw.request("GET", "/healthz"))
    assert.equal(200, answer.status)
    assert.equal("OK", answer.reason)
    assert.matches("^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$", answer.headers["date"])
    assert.equal("application/json", answer.headers["content-type"])
    assert.is_nil(answer.headers["connection"])
  end)

  it("answers HEAD as GET, without the body", function()
    local client = raw.connect(server.address)
    for _, path in ipairs({ "/healthz", "/readyz", "/api/echo", "/nowhere" }) do
      client:send(raw.request("GET", path))
      local full = client:answer()
      client:send(raw.request("HEAD", path))
      local bare = client:answer(false)
      assert.equal(full.status, bare.status)
      assert.equal(full.headers["content-length"], bare.headers["content-length"])
      assert.equal("", bare.body)
    end
    client:send(raw.request("GET", "/healthz"))
    assert.equal(200, client:answer().status)
    client:close()
  end)

  it("reads requests that come in two pieces, wherever they are cut", function()
    local requests = {
      post('{"type":"a","n":1.50}'),
      chunked("5;a=\"b;\\\"c\"\r\n{\"a\":\r\n00003\r\n1}\n\r\n0\r\nX: y\r\n\r\n"),
    }
    local client = raw.connect(server.address)
    for _, bytes in ipairs(requests) do
      for cut = 1, #bytes - 1 do
        client:send(bytes:sub(1, cut)):send(bytes:sub(cut + 1))
        local answer = client:answer()
        assert.equal(202, answer.status, "cut at " .. cut)
      end
    end
    client:close()
    for _, record in ipairs(server:records(#requests[1] + #requests[2] - 2)) do
      assert.is_true(record.event == '{"type":"a","n":1.50}' or record.event == '{"a":1}')
    end
  end)

  it("reads a request that comes byte by byte", function()
    local client = raw.connect(server.address)
    for byte in post('{"b":2}'):gmatch(".") do
      client:send(byte)
    end
    assert.equal(202, client:answer().status)
    client:close()
    assert.equal('{"b":2}', server:records(1)[1].event)
  end)

  it("answers a hundred pipelined requests in order", function()
    local bytes = {}
    for i = 1, 100 do
      bytes[#bytes + 1] = post('{"i":' .. i .. "}")
      bytes[#bytes + 1] = raw.request("GET", "/healthz")
      bytes[#bytes + 1] = raw.request("GET", "/api/later?x=" .. i)
    end
    local client = raw.connect(server.address)
    client:send(table.concat(bytes, "", 1, 30))
    client:send(table.concat(bytes, "", 31))
    for i = 1, 100 do
      local id = client:answer().json.ids[1]
      assert.equal("ok", client:answer().json.status)
      assert.equal(tostring(i), client:answer().json.x)
      local record = server:records(1)[1]
      assert.equal(id, record.id)
      assert.equal('{"i":' .. i .. "}", record.event)
    end
    client:close()
  end)

  it("answers what was asked before the asker ended its side", function()
    local client = raw.connect(server.address)
    client:send(post('{"half":1}')):finish()
    assert.equal(202, client:answer().status)
    client:wait_end()
    client:close()
    assert.equal('{"half":1}', server:records(1)[1].event)
    client = raw.connect(server.address)
    client:send("POST /events/acme HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{}"):finish()
    assert.equal("incomplete-request", client:answer().json.type:match("[%w-]+$"))
    client:wait_end()
    client:close()
  end)

  it("survives askers that vanish before their answer", function()
    for _ = 1, 20 do
      local client = raw.connect(server.address)
      client:send(post('{"gone":1}'))
      client:close()
      client = raw.connect(server.address)
      client:send(raw.request("GET", "/api/later"))
      client:close()
    end
    assert.equal(20, #server:records(20))
  end)

  it("keeps connections, and closes them when asked to", function()
    local client = raw.connect(server.address)
    client:send(raw.request("GET", "/healthz", { "Connection: Close" }))
    assert.equal("close", client:answer().headers["connection"])
    client:wait_end()
    client:close()
    client = raw.connect(server.address)
    client:send("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert.equal("keep-alive", client:answer().headers["connection"])
    client:send("GET /healthz HTTP/1.0\r\n\r\n")
    assert.equal("close", client:answer().headers["connection"])
    client:wait_end()
    client:close()
  end)

  it("skips empty lines before a request", function()
    local answer = raw.ask(server.address, "\r\n\r\n" .. raw.request("GET", "/healthz"))
    assert.equal(200, answer.status)
  end)

  it("takes targets in absolute form, and * for OPTIONS alone", function()
    local function ask(target, method)
      return raw.ask(server.address, raw.request(method or "GET", target)).status
    end
    assert.equal(200, ask("http://h.example:80/healthz"))
    assert.equal(200, ask("HTTPS://[::1]/healthz?x"))
    assert.equal(404, ask("http://h.example"))
    assert.equal(204, ask("*", "OPTIONS"))
    for _, target in ipairs({ "*", "ftp://h/", "h.example:80", "http:///", "http://u@h/", "//[",
      "http://h:99999/", "/a#b" }) do
      local expected = target == "//[" and 404 or 400
      assert.equal(expected, ask(target), target)
    end
    assert.equal(400, refused("GET /a\128 HTTP/1.1\r\nHost: x\r\n\r\n"))
  end)

  it("ignores an offer to upgrade", function()
    local client = raw.connect(server.address)
    client:send(raw.request("GET", "/healthz", { "Connection: Upgrade", "Upgrade: h2c" }))
    assert.equal(200, client:answer().status)
    client:send(raw.request("GET", "/healthz"))
    assert.equal(200, client:answer().status)
    client:close()
  end)

  it("says 100 Continue only when it will read the body", function()
    local client = raw.connect(server.address)
    local expects = { "Expect: 100-Continue", "Content-Length: 7" }
    client:send(raw.request("POST", "/events/acme", expects))
    assert.equal(100, client:answer().status)
    client:send('{"e":1}')
    assert.equal(202, client:answer().status)
    client:send(raw.request("POST", "/events/acme", { "Expect: 100-continue" }, '{"e":2}'))
    assert.equal(202, client:answer().status)
    client:close()
    server:records(2)
    assert.equal(404, refused(raw.request("POST", "/events/nobody", expects)))
    assert.equal(415, refused(raw.request("POST", "/events/acme",
      { "Content-Type: image/png", unpack(expects) })))
    assert.equal(413, refused(raw.request("POST", "/events/acme",
      { "Expect: 100-continue", "Content-Length: 1048577" })))
    assert.equal(417, refused(raw.request("POST", "/events/acme", { "Expect: 200-ok" }, "{}")))
  end)

  it("refuses methods that it does not know, and other protocols", function()
    assert.equal(501, refused("CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n"))
    assert.equal(501, refused(raw.request("TRACE", "/healthz")))
    assert.equal(501, refused(raw.request("BREW", "/healthz")))
    assert.equal(501, refused(raw.request("get", "/healthz")))
    assert.equal(505, refused("GET / HTTP/2.0\r\nHost: x\r\n\r\n"))
    assert.equal(505, refused("GET / HTTP/0.9\r\nHost: x\r\n\r\n"))
    assert.equal(505, refused("GET / HTTP/1.2\r\nHost: x\r\n\r\n"))
    assert.equal(400, refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
    assert.equal(400, refused("GET / RTSP/1.0\r\nHost: x\r\n\r\n"))
    assert.equal(400, refused("GET / http/1.1\r\nHost: x\r\n\r\n"))
    assert.equal(400, refused("GET /\r\n\r\n"))
    assert.equal(400, refused("GET  / HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert.equal(400, refused("GET / HTTP/1.1 \r\nHost: x\r\n\r\n"))
    assert.equal(400, refused(" GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert.equal(400, refused("\22\3\1\2\0\1\0\1\252\3\3"))
  end)

  it("wants exactly one good Host", function()
    local function with(...)
      return refused(head_of("GET /healthz HTTP/1.1", ...))
    end
    assert.equal(400, with())
    assert.equal(400, with("Host: a", "Host: a"))
    for _, host in ipairs({ "a b", "a/b", "a,b@", "a:b", "a:99999", "[::1", "[::g]", "a%zz", "a:80:80",
      "<a>", "a\\b", "[::1]x" }) do
      assert.equal(400, with("Host: " .. host), host)
    end
    for _, host in ipairs({ "", "a.example", "a:", "a:80", "[::1]:80", "1.2.3.4", "a_b", "%41" }) do
      local answer = raw.ask(server.address, head_of("GET /healthz HTTP/1.1", "Host: " .. host))
      assert.equal(200, answer.status, host)
    end
    assert.equal(200, raw.ask(server.address, "GET /healthz HTTP/1.0\r\n\r\n").status)
  end)

  it("refuses lines that another reader would read otherwise", function()
    local good = "GET /healthz HTTP/1.1\r\nHost: x\r\n"
    local cases = {
      "GET /healthz HTTP/1.1\nHost: x\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\n\r\n",
      good .. "\n",
      "\n" .. good .. "\r\n",
      good .. "A: b\rC: d\r\n\r\n",
      good .. "A: b\r\rC: d",
      good .. "A : b\r\n\r\n",
      good .. "A\t: b\r\n\r\n",
      good .. " A: b\r\n\r\n",
      good .. "A: b\r\n c\r\n\r\n",
      good .. "A: b\r\n\tc\r\n\r\n",
      good .. "A\r\n\r\n",
      good .. ": b\r\n\r\n",
      good .. "A(: b\r\n\r\n",
      good .. "A\0: b\r\n\r\n",
      good .. "A: b\0\r\n\r\n",
      good .. "A: b\1\r\n\r\n",
      good .. "A: b\127\r\n\r\n",
      good .. "\195\164: b\r\n\r\n",
    }
    for _, bytes in ipairs(cases) do
      assert.equal(400, refused(bytes), ("%q"):format(bytes))
    end
    local fine = raw.ask(server.address, good .. "A:\t b \t\r\nB:\r\nC: \195\164\r\n\r\n")
    assert.equal(200, fine.status)
  end)

  it("refuses every doubt about a body's length", function()
    local function with(...)
      return refused(head_of("POST /events/acme HTTP/1.1", "Host: x", ...) .. "{}")
    end
    for _, length in ipairs({ "+2", "-2", "2 2", "2,2", "2, 2", "0x2", "2.0", "", " ", "two",
      "99999999999999999999", "18446744073709551618", "2\t3", "\"2\"" }) do
      assert.equal(400, with("Content-Length: " .. length), length)
    end
    assert.equal(400, with("Content-Length: 2", "Content-Length: 2"))
    assert.equal(400, with("Content-Length: 2", "content-length: 3"))
    assert.equal(400, with("Content-Length: 2", "Transfer-Encoding: chunked"))
    assert.equal(400, with("Transfer-Encoding: chunked", "Content-Length: 2"))
    assert.equal(400, with("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"))
    assert.equal(400, with("Transfer-Encoding: chunked, chunked"))
    assert.equal(400, with("Transfer-Encoding: chunked, identity"))
    assert.equal(400, with("Transfer-Encoding: chunked", "Transfer-Encoding: identity"))
    assert.equal(400, with("Transfer-Encoding:"))
    assert.equal(501, with("Transfer-Encoding: gzip, chunked"))
    assert.equal(501, with("Transfer-Encoding: gzip"))
    assert.equal(501, with("Transfer-Encoding: identity"))
    assert.equal(501, with("Transfer-Encoding: xchunked"))
    assert.equal(400, refused("POST /events/acme HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
    for _, byte in ipairs({ 1, 4, 8, 9, 10, 11, 12, 13, 31, 32, 127, 160, 255 }) do
      local c = string.char(byte)
      for _, line in ipairs({ "%sTransfer-Encoding: chunked", "Transfer-Encoding%s: chunked",
        "Transfer%s-Encoding: chunked", "Transfer-Encoding: %schunked", "Transfer-Encoding: chunked%s",
        "Transfer-Encoding: chu%snked", "X: y%sTransfer-Encoding: chunked" }) do
        local spaces = (byte == 9 or byte == 32) and
          (line:find(": %schunked", 1, true) or line:find("chunked%s", 1, true))
        local field = line:gsub("%%s", function() return c end)
        local client = raw.connect(server.address)
        client:send(head_of("POST /events/acme HTTP/1.1", "Host: x", field) .. "0\r\n\r\n")
        local answer = client:answer()
        -- With white space around its value it may be the field; otherwise the
        -- request is refused, or, as a field of another name, has no body: never read as chunked.
        if spaces and answer.headers["connection"] == nil then
          assert.equal("malformed-json", answer.json.type:match("[%w-]+$"), field)
        elseif line:find("^X") and (byte == 9 or byte == 32 or byte >= 160) then
          assert.equal(400, answer.status, field)
          assert.equal("malformed-json", answer.json.type:match("[%w-]+$"))
        else
          assert.is_true(answer.status == 400 or answer.status == 501, field)
          assert.equal("close", answer.headers["connection"], field)
        end
        client:close()
      end
    end
  end)

  it("serves nothing that follows a refused request", function()
    local smuggled = post('{"smuggled":1}')
    refused("POST /events/acme HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. "0\r\n\r\n" .. smuggled)
    refused(chunked("2\n{}" .. smuggled))
    refused("GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\r\n\tc\r\n\r\n" .. smuggled)
    assert.equal(200, raw.ask(server.address, raw.request("GET", "/healthz")).status)
    assert.equal(0, server:untaken())
  end)

  it("tells why after a HEAD too", function()
    local client = raw.connect(server.address)
    client:send("HEAD /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    client:answer(false)
    client:send("nonsense\r\n\r\n")
    assert.equal("malformed-request", client:answer().json.type:match("[%w-]+$"))
    client:wait_end()
  end)

  it("keeps the connection after an error that left nothing unread", function()
    local client = raw.connect(server.address)
    for _, bytes in ipairs({ post("nonsense"), raw.request("POST", "/events/nobody", {}, "{}"),
      raw.request("DELETE", "/events/acme", {}, "{}"), raw.request("GET", "/nowhere") }) do
      client:send(bytes)
      assert.is_nil(client:answer().headers["connection"])
    end
    client:send(raw.request("GET", "/healthz"))
    assert.equal(200, client:answer().status)
    client:close()
  end)

  it("never asks the parser to be lenient", function()
    local pipe = io.popen("grep -rlE 'llhttp_set_lenient|lenient_flags' src")
    assert.equal("", pipe:read("*a"))
    pipe:close()
  end)
end)
