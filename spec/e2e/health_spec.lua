--- `moonpost health`: what a container's health check runs.
local uv = require("luv")
local support = require("spec.support")
local process, runtime = support.process, support.runtime

local function health(address)
  return process.run(runtime.binary(), { args = { "health", "--server", address } })
end

-- Answers each connection with `text`, or never when there is none.
local function fake(text)
  local server = uv.new_tcp()
  server:bind("127.0.0.1", 0)
  server:listen(16, function()
    local client = uv.new_tcp()
    server:accept(client)
    client:read_start(function(_, data)
      if data and text then
        client:write(text)
      elseif not data then
        client:close()
      end
    end)
  end)
  return "http://127.0.0.1:" .. server:getsockname().port, function() server:close() end
end

describe("moonpost health", function()
  after_each(support.clean)

  it("exits 0 and says nothing when the server is ready", function()
    local child = health(runtime.start().address)
    assert.equal(0, child.code)
    assert.equal("", child:text("out") .. child:text())
  end)

  it("exits 1 and prints the reason when it is not", function()
    local body = '{"status":503,"title":"Service Unavailable","detail":"Kafka has no broker"}'
    local address, close = fake(("HTTP/1.1 503 Service Unavailable\r\nContent-Type: "
      .. "application/problem+json\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body))
    local child = health(address)
    close()
    assert.equal(1, child.code)
    assert.equal("Kafka has no broker", child:text("out"))
  end)

  it("exits 3 when nobody listens, and when no answer comes within 3 s", function()
    local address, close = fake()
    local child = health(address)
    close()
    assert.equal(3, child.code)
    assert.truthy(child:text():find("no answer in time", 1, true), child:text())
    child = health(address)
    assert.equal(3, child.code)
    assert.truthy(child:text():find("could not reach " .. address, 1, true), child:text())
  end)

  it("takes no words", function()
    assert.equal(2, process.run(runtime.binary(), { args = { "health", "now" } }).code)
  end)
end)
