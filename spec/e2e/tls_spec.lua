--- https: a partner whose certificate nobody vouches for gets nothing.
local uv = require("luv")
local support = require("spec.support")
local eventually, process, runtime = support.eventually, support.process, support.runtime

local openssl = "/usr/bin/openssl"

local function free_port()
  local socket = uv.new_tcp()
  assert(socket:bind("127.0.0.1", 0))
  local port = socket:getsockname().port
  socket:close()
  return port
end

-- A TLS server that answers every GET with 200, under a certificate of its own making.
local function serve()
  local folder = runtime.folder()
  local key, cert = folder .. "/key.pem", folder .. "/cert.pem"
  local made = process.run(openssl, { args = {
    "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
  } })
  assert.equal(0, made.code, made:text())
  local port = free_port()
  local server = process.spawn(openssl, { args = {
    "s_server", "-accept", "127.0.0.1:" .. port, "-cert", cert, "-key", key, "-www",
  } })
  server:wait_for("ACCEPT", nil, "out")
  return port, server
end

describe("a partner over https", function()
  after_each(support.clean)

  it("is sent nothing when its certificate is not vouched for", function()
    local port, server = serve()
    local rt = runtime.start({ scripts = { acme = ([[
      return { url = "https://127.0.0.1:%d/pb?c={c}", retry = { schedule = { "1h" } } }
    ]]):format(port) } })
    local attempt = rt:attempt(rt:accept("/events/acme", '{"c":1}')[1])
    assert.equal("tls_error", attempt.error)
    assert.equal("retry", attempt.verdict)
    assert.equal(require("cjson").null, attempt.status)
    eventually(function() return rt:partner("acme").waiting == 1 end, nil, "the delivery waits")
    assert.is_nil(server:text("out"):find("GET", 1, true))
    server:kill()
    server:wait()
  end)
end)
