--- One HTTP exchange as the partner sees it, and what comes of those that go wrong.
local ffi = require("ffi")
local uv = require("luv")
local deliver = require("spec.support.deliver")
local partner, eventually = deliver.partner, deliver.eventually

local function script(url, more)
  return ("return { url = %q, %s }"):format(url, more or "")
end

local function field_names(request)
  local names = {}
  for _, field in ipairs(request.fields) do
    names[#names + 1] = field[1]
  end
  return table.concat(names, " ")
end

-- Says something before it is asked, and not in TLS.
local function clear_text_server()
  local server = uv.new_tcp()
  assert(server:bind("127.0.0.1", 0))
  server:listen(8, function()
    local tcp = uv.new_tcp()
    server:accept(tcp)
    tcp:read_start(function(err, bytes)
      if err or not bytes then
        tcp:close()
      end
    end)
    tcp:write("HTTP/1.1 400 Bad Request\r\n\r\n")
  end)
  return server, server:getsockname().port
end

-- Listens, and has no place for another connection: who connects waits for ever.
local function full_backlog()
  ffi.cdef([[
    typedef struct { uint16_t family, port; uint32_t address; char zero[8]; } spec_address;
    int socket(int, int, int); int bind(int, const void *, unsigned); int listen(int, int);
    int getsockname(int, void *, unsigned *); int connect(int, const void *, unsigned); int close(int);
    uint16_t htons(uint16_t); uint32_t htonl(uint32_t);]])
  local fds = { ffi.C.socket(2, 1, 0) }
  local address = ffi.new("spec_address", { family = 2, address = ffi.C.htonl(0x7f000001) })
  assert(ffi.C.bind(fds[1], address, 16) == 0 and ffi.C.listen(fds[1], 0) == 0)
  ffi.C.getsockname(fds[1], address, ffi.new("unsigned[1]", 16))
  for i = 2, 5 do
    fds[i] = ffi.C.socket(2, 1 + 2048, 0) -- SOCK_NONBLOCK
    ffi.C.connect(fds[i], address, 16)
  end
  return ffi.C.htons(address.port), function()
    for _, fd in ipairs(fds) do
      ffi.C.close(fd)
    end
  end
end

describe("a request", function()
  after_each(deliver.clean)

  it("goes out with the script's fields in order and none of curl's own", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = { acme = script(fake:url("/p"),
      "method = 'POST', headers = { ['X-Empty'] = '', ['X-One'] = '{a}' }") } })
    assert.equal("settle", room:deliver({ id = "d1", attempts = 2, event = { a = "é 1" } }).outcome)
    local request = fake.requests[1]
    local headers = request.headers
    assert.same({ "d1", "3", "Moonpost/0", "é 1", "" },
      { headers["moonpost-id"], headers["moonpost-attempt"], headers["user-agent"], headers["x-one"], headers["x-empty"] })
    assert.is_nil(headers["expect"])
    assert.equal("Host", field_names(request):match("^%S+"))
    assert.equal('{"a":"é 1"}', request.body)
  end)

  it("keeps the bytes of its path and query as the script wrote them", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = { acme = script(fake:url("/a/../b%2fC%2F/x?u={u}&v=%c3%A9#part"), "method = 'GET'") } })
    assert.equal("settle", room:deliver({ id = "a", event = { u = "https://x/é" } }).outcome)
    assert.equal("/a/../b%2fC%2F/x?u=https%3A%2F%2Fx%2F%C3%A9&v=%c3%A9", fake.requests[1].target)
  end)

  it("has the method it was given, with the length of its body said", function()
    local fake = partner.new()
    local rows = {
      { "GET", "", nil }, { "HEAD", "", nil }, { "DELETE", "", nil },
      { "POST", "{}", "2" }, { "PUT", "{}", "2" }, { "PATCH", "{}", "2" },
    }
    local scripts = {}
    for _, row in ipairs(rows) do
      scripts[row[1]:lower()] = script(fake:url("/"), ("method = %q"):format(row[1]))
    end
    scripts.empty = script(fake:url("/"), "method = 'POST', body = ''")
    local room = deliver.start({ scripts = scripts })
    rows[#rows + 1] = { "POST", "", "0", "empty" }
    for turn = 1, 2 do -- twice: the same handles take every method in turn
      for i, row in ipairs(rows) do
        local got = room:deliver({ id = row[1] .. turn .. i, partner = row[4] or row[1]:lower(), event = require("cjson").decode("{}") })
        assert.equal("settle", got.outcome)
        local request = fake.requests[#fake.requests]
        assert.same({ row[1], row[2], row[3] }, { request.method, request.body, request.headers["content-length"] })
      end
    end
  end)

  it("sends a big body whole, without asking first", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = { acme = script(fake:url("/"), "method = 'POST'") } })
    local text = ("x"):rep(1500000)
    assert.equal("settle", room:deliver({ id = "a", event = { text = text } }).outcome)
    assert.equal(#text + 11, #fake.requests[1].body)
    assert.is_nil(fake.requests[1].headers.expect)
    assert.not_equal("application/x-www-form-urlencoded", fake.requests[1].headers["content-type"])
  end)

  it("uses a connection again", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = { acme = script(fake:url("/"), "limits = { concurrency = 2 }, method = 'POST'") } })
    room:send({ id = "a", count = 50 })
    eventually(function() return room:outcomes().settle == 50 end)
    assert.is_true(fake.accepted <= 2, fake.accepted)
  end)

  it("opens another connection when the partner closed the last", function()
    local fake = partner.new({ handler = function() return { status = 200, headers = { Connection = "close" }, close = true } end })
    local room = deliver.start({ scripts = { acme = script(fake:url("/"), "method = 'POST'") } })
    for i = 1, 5 do
      assert.equal("settle", room:deliver({ id = "a" .. i }).outcome)
    end
    assert.equal(5, fake.accepted)
  end)

  it("costs no attempt when the partner closed the connection meanwhile, unsaid", function()
    local fake = partner.new({ handler = function() return { status = 200, close = true } end })
    local room = deliver.start({ scripts = { acme = script(fake:url("/"), "method = 'POST'") } })
    for round = 1, 10 do
      room:send({ id = "a" .. round, count = 40 })
      eventually(function()
        assert.is_nil(room:outcomes().retry)
        return room:outcomes().settle == 40 * round
      end)
    end
  end)

  it("finds a partner by name", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = { acme = script(("http://localhost:%d/"):format(fake.port), "method = 'GET'") } })
    room:send({ id = "a", count = 40 })
    eventually(function() return room:outcomes().settle == 40 end)
  end)

  it("minds no proxy of the environment", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = { acme = script(fake:url("/"), "method = 'GET'") },
      env = { http_proxy = "http://127.0.0.1:1", ALL_PROXY = "http://127.0.0.1:1" } })
    assert.equal("settle", room:deliver({ id = "a" }).outcome)
  end)
end)

describe("an exchange that fails", function()
  after_each(deliver.clean)

  local function error_of(url, more, options)
    options = options or {}
    options.scripts = { acme = script(url, (more or "") .. " method = 'GET'") }
    local room = deliver.start(options)
    local outcome = room:deliver({ id = "a" })
    local line = room:attempt("a")
    assert.equal(require("cjson").null, line.status)
    return line.error, outcome, line
  end

  it("says what failed", function()
    assert.equal("connection_refused", (error_of(partner.refused_url("/"))))
    local reset = partner.new({ handler = function() return { reset = true } end })
    assert.equal("connection_reset", (error_of(reset:url("/"))))
    local short = partner.new({ handler = function()
      return { raw = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", close = true }
    end })
    assert.equal("connection_reset", (error_of(short:url("/"))))
    local noise = partner.new({ handler = function() return { raw = "220 smtp ready\r\n", close = true } end })
    assert.equal("network_error", (error_of(noise:url("/"))))
    local plain, port = clear_text_server()
    assert.equal("tls_error", (error_of("https://127.0.0.1:" .. port .. "/")))
    plain:close()
  end)

  it("ends at the timeout when the partner hangs, or dawdles", function()
    local hang = partner.new({ handler = function() return { hang = true } end })
    local kind, outcome = error_of(hang:url("/"), "timeout = '200ms',")
    assert.same({ "timeout", "retry" }, { kind, outcome.outcome })
    local slow = partner.new({ handler = function() return { body = ("x"):rep(1000), drip_ms = 20 } end })
    assert.equal("timeout", (error_of(slow:url("/"), "timeout = '200ms',")))
  end)

  it("leaves no descriptor behind that another connection could stumble over", function()
    local port, close = full_backlog()
    local fake = partner.new({ handler = function() return { status = 200, close = true } end })
    local scripts = { acme = script(fake:url("/"), "method = 'GET'") }
    for round = 1, 6 do -- a partner each, so that no breaker opens
      scripts["stuck" .. round] = script(("http://127.0.0.1:%d/"):format(port), "timeout = '50ms', method = 'GET'")
    end
    local room = deliver.start({ scripts = scripts })
    for round = 1, 5 do
      room:send({ id = "s" .. round, partner = "stuck" .. round, count = 9 })
      room:send({ id = "a" .. round, count = 40 })
      eventually(function() return room:outcomes().settle == 40 * round end)
    end
    eventually(function() return room:outcomes().retry == 45 end)
    room:send({ id = "z", partner = "stuck6", count = 9 })
    room:stop()
    close()
  end)

  it("never reaches an address that is not allowed", function()
    local fake = partner.new()
    local kind, outcome = error_of(fake:url("/"), nil, { allow = "10.0.0.0/8" })
    assert.same({ "blocked_address", "bury", 0 }, { kind, outcome.outcome, fake.accepted })
    kind = error_of(("http://localhost:%d/"):format(fake.port), nil, { allow = "10.0.0.0/8" })
    assert.same({ "blocked_address", 0 }, { kind, fake.accepted })
  end)

  it("tells a name that is not there", function()
    local kind = error_of("http://nowhere.invalid/", "timeout = '3s',")
    assert.is_true(kind == "dns_error" or kind == "timeout", kind)
  end)
end)

describe("an answer's body", function()
  after_each(deliver.clean)

  it("is read to 64 KiB and no further, and the connection is left", function()
    local body = ("0123456789abcdef"):rep(8192)
    local fake = partner.new({ handler = function()
      return { raw = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" .. body }
    end })
    local room = deliver.start({ scripts = { acme = script(fake:url("/"), [[method = "GET",
      verdict = function(response) return "dead", #response.body .. tostring(response.truncated) end]]) } })
    assert.equal("65536true", room:deliver({ id = "a" }).reason)
    assert.equal("65536true", room:deliver({ id = "b" }).reason)
    assert.equal(2, fake.accepted)
  end)

  it("is whole at 64 KiB to the byte, and keeps its connection", function()
    local fake = partner.new({ handler = function() return { body = ("x"):rep(65536) } end })
    local room = deliver.start({ scripts = { acme = script(fake:url("/"), [[method = "GET",
      verdict = function(response) return "dead", #response.body .. tostring(response.truncated) end]]) } })
    assert.equal("65536false", room:deliver({ id = "a" }).reason)
    room:deliver({ id = "b" })
    assert.equal(1, fake.accepted)
  end)

  it("may come in chunks, with trailers that are no headers", function()
    local fake = partner.new({ handler = function()
      return { raw = "HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\n"
        .. "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Late: 1\r\n\r\n" }
    end })
    local room = deliver.start({ scripts = { acme = script(fake:url("/"), [[method = "GET", verdict = function(r)
      return "dead", table.concat({ r.body, r.headers["X-A"], tostring(r.headers["x-late"]), tostring(r.headers["x-interim"]) }, "|")
    end]]) } })
    assert.equal("abcde|1, 2|nil|nil", room:deliver({ id = "a" }).reason)
  end)

  it("cannot be preceded by headers without end", function()
    local fake = partner.new({ handler = function()
      return { raw = "HTTP/1.1 200 OK\r\n" .. ("X-Much: " .. ("x"):rep(1000) .. "\r\n"):rep(100) .. "\r\n" }
    end })
    local room = deliver.start({ scripts = { acme = script(fake:url("/"), "method = 'GET'") } })
    assert.equal("retry", room:deliver({ id = "a" }).outcome)
    assert.equal("network_error", room:attempt("a").error)
  end)
end)
