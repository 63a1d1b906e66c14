local eventually = require("spec.support.eventually")
local probe = require("spec.support.ingest_probe")
local process = require("spec.support.process")
local raw = require("spec.support.raw_http")

local files = {}

local function write(text, path)
  path = path or os.tmpname()
  files[path] = true
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  return path
end

local server

local function start(...)
  server = probe.start({ ... })
  return server.address
end

local function status(method, path, headers, body)
  return raw.ask(server.address, raw.request(method, path, headers, body)).status
end

describe("who may use the ingest server", function()
  after_each(function()
    raw.close_all()
    if server then
      server:stop()
      server = nil
    end
    process.kill_all()
    for path in pairs(files) do
      os.remove(path)
      files[path] = nil
    end
  end)

  it("is everyone on a loopback address, unless there are tokens", function()
    start()
    assert.equal(202, status("POST", "/events/acme", {}, "{}"))
    server:records(1)
  end)

  it("must be decided before it listens off loopback", function()
    local name, why = probe.refused({ "--listen", "0.0.0.0:0" })
    assert.equal("EDENIED", name)
    assert.matches("%-%-ingest%-token%-file", why)
    assert.matches("%-%-no%-auth", why)
    name = probe.refused({ "--listen", "[::]:0" })
    assert.equal("EDENIED", name)
    start("--listen", "0.0.0.0:0", "--no-auth", "yes")
    assert.matches("^0%.0%.0%.0:%d+$", server.address)
    server:stop()
    start("--listen", "0.0.0.0:0", "--ingest-tokens", write("abc\n"))
  end)

  it("is told when the address is none, or taken", function()
    for _, listen in ipairs({ "4000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x",
      "nowhere.example:1", "[::1:0", "::1:0", ":4000" }) do
      local name, why = probe.refused({ "--listen", listen })
      assert.equal("EINVAL", name)
      assert.matches("could not listen on " .. listen, why, nil, true)
    end
    start()
    local name, why = probe.refused({ "--listen", server.address })
    assert.equal("EBUSY", name)
    assert.matches("could not listen on " .. server.address, why, nil, true)
  end)

  it("may come over IPv6", function()
    start("--listen", "[::1]:0")
    assert.matches("^%[::1%]:%d+$", server.address)
    assert.equal(200, status("GET", "/healthz"))
    assert.equal(200, status("GET", "/api/echo", { "Host: [::1]" }))
  end)

  it("is who has an ingest token, for the events alone", function()
    start("--ingest-tokens", write("# ours\n\n  first-token  \nsecond-token\r\n"))
    for _, path in ipairs({ "/events/acme", "/events", "/postback", "/i", "/ingest.php" }) do
      local answer = raw.ask(server.address, raw.request("POST", path, {}, "{}"))
      assert.equal(401, answer.status)
      assert.equal("Bearer", answer.headers["www-authenticate"])
      assert.equal(401, status("POST", path, { "Authorization: Bearer wrong" }, "{}"))
    end
    for _, value in ipairs({ "Bearer", "Bearer ", "Basic first-token", "first-token", "Bearer first-toke",
      "Bearer first-token2", "Bearer # ours", "Bearer first-token second-token" }) do
      assert.equal(401, status("POST", "/events/acme", { "Authorization: " .. value }, "{}"), value)
    end
    assert.equal(400, status("POST", "/events/acme",
      { "Authorization: Bearer first-token", "Authorization: Bearer wrong" }, "{}"))
    assert.equal(202, status("POST", "/events/acme", { "Authorization: Bearer first-token" }, "{}"))
    assert.equal(202, status("POST", "/events/acme", { "Authorization: bearer  second-token" }, "{}"))
    assert.equal(200, status("GET", "/healthz"))
    assert.equal(200, status("GET", "/metrics"))
    server:records(2)
    assert.equal(0, server:untaken())
  end)

  it("changes with the token file, and not with a broken one", function()
    local path = write("old-token\n")
    start("--ingest-tokens", path)
    local function with(token)
      return status("POST", "/events/acme", { "Authorization: Bearer " .. token }, "{}")
    end
    assert.equal(202, with("old-token"))
    write("new-token\n# and no other, so that its length differs\n", path)
    eventually(function()
      return with("new-token") == 202
    end, nil, "the new token")
    assert.equal(401, with("old-token"))
    write("", path)
    eventually(function()
      with("new-token")
      return server.child:text():find("there is none in it", 1, true)
    end, nil, "a complaint")
    assert.equal(202, with("new-token"))
    assert.is_nil(server.child:text():find("new-token", 1, true))
  end)

  it("is refused a start with a token file that is empty, missing or malformed", function()
    local _, why = probe.refused({ "--ingest-tokens", write("# none\n\n") })
    assert.matches("there is none in it", why)
    _, why = probe.refused({ "--ingest-tokens", "/nowhere/tokens" })
    assert.matches("could not read the tokens of /nowhere/tokens: No such file", why)
    _, why = probe.refused({ "--api-tokens", write("good\nhush hush\n") })
    assert.matches("line 2", why)
    assert.is_nil(why:find("hush", 1, true))
  end)

  it("uses the API under a loopback name on a loopback address", function()
    start()
    for _, host in ipairs({ "localhost", "LocalHost:4000", "127.0.0.1", "127.9.9.9:80", "[::1]:1" }) do
      assert.equal(200, status("GET", "/api/echo", { "Host: " .. host }), host)
    end
    for _, host in ipairs({ "evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
      "10.0.0.1", "[::2]", "", "0177.0.0.1", "128.0.0.1" }) do
      local answer = raw.ask(server.address, raw.request("GET", "/api/echo", { "Host: " .. host }))
      assert.equal(403, answer.status, host)
      assert.matches("%-%-api%-token%-file", answer.json.detail)
      assert.equal(403, status("GET", "/console/", { "Host: " .. host }))
    end
    assert.equal(403, status("GET", "http://evil.example/api/echo"))
    assert.equal(403, raw.ask(server.address, "GET /api/echo HTTP/1.0\r\n\r\n").status)
    assert.equal(404, status("GET", "/console/"))
    assert.equal(404, status("GET", "/console"))
  end)

  it("uses the API from elsewhere with an API token, never with an ingest token", function()
    start("--listen", "0.0.0.0:0", "--ingest-tokens", write("in\n"), "--api-tokens", write("api\n"))
    assert.equal(403, status("GET", "/api/echo", { "Host: localhost" }))
    assert.equal(403, status("GET", "/api/echo", { "Authorization: Bearer in" }))
    assert.equal(200, status("GET", "/api/echo", { "Authorization: Bearer api" }))
    assert.equal(200, status("GET", "/api/echo", { "Host: h.example", "Authorization: Bearer api" }))
    assert.equal(401, status("POST", "/events/acme", { "Authorization: Bearer api" }, "{}"))
  end)

  it("posts JSON to the API, and nothing that a page of another site could", function()
    start()
    for _, kind in ipairs({ "text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
      "application/jsonp", "" }) do
      assert.equal(415, status("POST", "/api/echo", { "Content-Type: " .. kind }, "{}"), kind)
    end
    assert.equal(415, status("POST", "/api/echo", {}, "{}"))
    assert.equal(200, status("POST", "/api/echo", { "Content-Type: application/json" }, "{}"))
    assert.equal(200, status("POST", "/api/echo", { "Content-Type: Application/JSON ; charset=utf-8" }, "{}"))
  end)

  it("hands the API its requests whole, and takes its answers later", function()
    start()
    local body = ("x"):rep(200000)
    local client = raw.connect(server.address)
    local bytes = raw.request("POST", "/api/later?y=1&x=a%20b%2fc&x=2",
      { "Content-Type: application/json", "User-Agent: me" }, body)
    client:send(bytes:sub(1, 1000)):send(bytes:sub(1001) .. bytes)
    for _ = 1, 2 do
      local answer = client:answer()
      assert.same({ method = "POST", path = "/api/later", body = body, agent = "me", x = "a b/c" }, answer.json)
      assert.equal("1", answer.headers["x-echo"])
    end
    client:close()
  end)
end)
