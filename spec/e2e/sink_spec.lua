--- `moonpost sink`: a partner to try against.
local cjson = require("cjson")
local support = require("spec.support")
local eventually, http, process, runtime = support.eventually, support.http, support.process,
  support.runtime

local function sink(...)
  local child = process.spawn(runtime.binary(),
    { args = { "sink", "--listen", "127.0.0.1:0", ... } })
  child.address = child:wait_for("listening on http://%S+"):match("(http://%S+)")
  return child
end

-- Ended orderly, which is also when a sanitizer speaks.
local function stop(child)
  child:kill("sigterm")
  assert.equal(0, (child:wait()), child:text())
end

local function post(child, target, body, headers)
  return http.request({ method = "POST", url = child.address .. target, body = body,
                        headers = headers })
end

-- Reads the connection to its end and gives the bytes.
local function exchange(child, bytes)
  local connection = http.raw(child.address, bytes)
  connection:wait_closed()
  return connection.received
end

describe("the sink", function()
  after_each(support.clean)

  it("prints each request and answers 200", function()
    local child = sink()
    local answer = post(child, "/hook?a=1", '{"x":1}', { ["X-Signature"] = "abc" })
    assert.equal(200, answer.status)
    stop(child)
    local out = child:text("out")
    assert.truthy(out:find("POST /hook?a=1 -> 200\n", 1, true), out)
    assert.truthy(out:find("X-Signature: abc\n", 1, true))
    assert.truthy(out:find('{"x":1}', 1, true))
    assert.falsy(out:lower():find("content-length", 1, true))
  end)

  it("answers the status and body it was told", function()
    local child = sink("--status", "299", "--body", "DUPLICATE")
    local answer = post(child, "/", "x")
    assert.equal(299, answer.status)
    assert.equal("DUPLICATE", answer.body)
    stop(child)
  end)

  it("fails the first n", function()
    local child = sink("--fail", "2")
    local seen = {}
    for i = 1, 4 do
      seen[i] = post(child, "/", "").status
    end
    assert.same({ 500, 500, 200, 200 }, seen)
    stop(child)
  end)

  it("fails a percentage, evenly spread", function()
    local child = sink("--fail", "30%")
    local failed = 0
    for _ = 1, 20 do
      failed = failed + (post(child, "/", "").status == 500 and 1 or 0)
    end
    assert.equal(6, failed)
    stop(child)
  end)

  it("waits before it answers, and holds nobody else up", function()
    local child = sink("--delay", "200ms")
    local uv = require("luv")
    local from = uv.hrtime()
    local first, second = http.connect(child.address), http.connect(child.address)
    eventually(function() return first.is_connected and second.is_connected end)
    first:send("GET", "/1")
    second:send("GET", "/2")
    first:read()
    assert.is_true(uv.hrtime() - from >= 190e6)
    second:read()
    first:close()
    second:close()
    stop(child)
    assert.equal(2, select(2, child:text("out"):gsub("GET /%d", "")))
  end)

  it("prints a line of JSON a request", function()
    local child = sink("--json")
    post(child, "/a", '{"n":1.50}', { ["Moonpost-Id"] = "id-1" })
    stop(child)
    assert.equal(1, #child.out)
    local line = cjson.decode(child.out[1])
    assert.equal("POST", line.method)
    assert.equal("/a", line.target)
    assert.equal("id-1", line.headers["Moonpost-Id"])
    assert.equal('{"n":1.50}', line.body)
    assert.equal(10, line.body_bytes)
    assert.equal(200, line.status)
    assert.truthy(line.time:match("^%d+%-%d+%-%d+T%d+:%d+:%d+%.%d+Z$"))
  end)

  it("shows the first KiB of a body and says how long it is", function()
    local child = sink("--json")
    post(child, "/", ("a"):rep(200000))
    stop(child)
    local line = cjson.decode(child.out[1])
    assert.equal(("a"):rep(1024), line.body)
    assert.equal(200000, line.body_bytes)
  end)

  it("lets no control byte through to the terminal", function()
    local child = sink()
    post(child, "/", "\27[2J\194\155bell\7", { ["X-A"] = "\194\155x" })
    stop(child)
    local out = child:text("out")
    assert.falsy(out:find("[\1-\8\11-\31\127]"))
    assert.falsy(out:find("\194\155", 1, true))
    assert.truthy(out:find("?[2J?bell?", 1, true), out)
  end)

  it("reads chunks, continues when asked to, and answers pipelined requests in order", function()
    local child = sink("--json")
    local received = exchange(child, "POST /1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
      .. "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n"
      .. "HEAD /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert.truthy(received:find("^HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 "))
    assert.equal(3, select(2, received:gsub("HTTP/1.1 200 ", "")))
    stop(child)
    local targets = {}
    for i, line in ipairs(child.out) do
      targets[i] = cjson.decode(line).target
    end
    assert.same({ "/1", "/2", "/3" }, targets)
    assert.equal("abcde", cjson.decode(child.out[1]).body)
  end)

  it("survives what is no HTTP", function()
    local child = sink()
    local cases = {
      ["400"] = { "GARBAGE\r\n\r\n", "GET  HTTP/1.1\r\n\r\n", "\0\1\2\3\4\255\r\n\r\n",
                  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n" },
      ["431"] = { "GET /" .. ("a"):rep(70000) .. " HTTP/1.1\r\n\r\n" },
    }
    for status, list in pairs(cases) do
      for _, bytes in ipairs(list) do
        local received = exchange(child, bytes)
        -- With bytes left unread the reset may overtake the answer.
        if #bytes < 60000 or received ~= "" then
          assert.truthy(received:find("^HTTP/1.1 " .. status), bytes:sub(1, 40))
        end
      end
    end
    assert.equal(200, post(child, "/after", "x").status)
    stop(child)
    assert.equal(1, select(2, child:text("out"):gsub(" %-> ", "")))
  end)

  it("ends on SIGINT with a request under way", function()
    local child = sink("--delay", "1h")
    local connection = http.raw(child.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    child:wait_for("GET /", nil, "out")
    child:kill("sigint")
    assert.equal(0, (child:wait()), child:text())
    connection:wait_closed()
  end)

  it("says that the port is taken, and exits 3", function()
    local child = sink()
    local other = process.run(runtime.binary(),
      { args = { "sink", "--listen", (child.address:gsub("http://", "")) } })
    assert.equal(3, other.code)
    assert.truthy(other:text():find("could not listen on 127.0.0.1:%d+: address already in use"))
    stop(child)
  end)

  it("refuses what it cannot read, and exits 2", function()
    for _, args in ipairs({ { "--fail", "some" }, { "--fail", "101%" }, { "--fail=-1" },
                            { "--listen", "9000" }, { "--listen", "127.0.0.1:70000" },
                            { "--status", "99" }, { "--delay", "soon" } }) do
      local child = process.run(runtime.binary(), { args = { "sink", unpack(args) } })
      assert.equal(2, child.code, child:text())
      assert.truthy(child:text():find(args[1]:match("%-%-%a+"), 1, true), child:text())
    end
  end)
end)
