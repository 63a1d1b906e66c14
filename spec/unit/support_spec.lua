local support = require("spec.support")
local eventually, http, partner, process = support.eventually, support.http, support.partner, support.process

describe("the specs' own tools", function()
  after_each(support.clean)

  it("record what a fake partner gets, and give the client what it answers", function()
    local fake = partner.new({
      handler = function(request)
        return { status = 201, headers = { ["X-Seen"] = request.method }, body = request.body:upper() }
      end,
    })
    local answer = http.request({ method = "POST", url = fake:url("/a?b=c"), headers = { { "X-A", "1" } },
                                  body = "hello" })
    assert.equal(201, answer.status)
    assert.equal("HELLO", answer.body)
    assert.equal("POST", answer.headers["x-seen"])
    assert.equal("/a?b=c", fake.requests[1].target)
    assert.equal("b=c", fake.requests[1].query)
    assert.same({ "X-A", "1" }, fake.requests[1].fields[2])
  end)

  it("read chunked bodies, and responses that end with the connection", function()
    local raws = {
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Type: a\r\n\r\nto the end",
    }
    for i, body in ipairs({ "abcdefg", "to the end" }) do
      local fake = partner.new({ handler = function() return { raw = raws[i], close = i == 2 } end })
      assert.equal(body, http.request({ url = fake:url("/") }).body)
    end
  end)

  it("read pipelined responses in order, however the bytes are cut", function()
    local n = 0
    local fake = partner.new({
      handler = function()
        n = n + 1
        return { body = tostring(n), drip_ms = n == 1 and 1 or nil }
      end,
    })
    local connection = http.connect(fake:url("/"))
    connection:send("GET", "/1")
    assert.equal("1", connection:read().body)
    connection:send("GET", "/2")
    connection:send("GET", "/3")
    assert.equal("2", connection:read().body)
    assert.equal("3", connection:read().body)
    connection:close()
  end)

  it("collect every answer of a load", function()
    local fake = partner.new()
    local load = http.load({ url = fake:url("/l"), total = 500, connections = 4,
                             body = function(i) return "n" .. i end }):wait()
    assert.equal(500, load.statuses[200])
    assert.equal(500, fake:count("/l"))
  end)

  it("say what was waited for when it does not come", function()
    local ok, err = pcall(eventually, function() return nil, "seen so far" end, 20, "a miracle")
    assert.is_false(ok)
    assert.matches("a miracle did not come about", err)
    assert.matches("seen so far", err)
  end)

  it("collect a child's lines and its exit code", function()
    local child = process.run("/bin/sh", { args = { "-c", "echo one; echo two >&2; exit 7" } })
    assert.equal(7, child.code)
    assert.same({ "one" }, child.out)
    assert.same({ "two" }, child.err)
  end)

  it("fail at once when a child ends without the line waited for", function()
    local child = process.spawn("/bin/sh", { args = { "-c", "echo other >&2" } })
    assert.has_error(function() child:wait_for("ready") end)
  end)

  it("leave no child behind", function()
    local child = process.spawn("/bin/sleep", { args = { "600" } })
    process.kill_all()
    assert.equal(9, child.signal)
  end)
end)
