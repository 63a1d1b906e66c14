local probe = require("spec.support.ingest_probe")
local process = require("spec.support.process")
local raw = require("spec.support.raw_http")

local function chunked(body)
  local lines = { "POST /events/acme HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", "", body }
  return table.concat(lines, "\r\n")
end

describe("a chunked body", function()
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

  it("is read to the letter", function()
    local function ask(body)
      return raw.ask(server.address, chunked(body)).status
    end
    assert.equal(202, ask("2\r\n{}\r\n0\r\n\r\n"))
    assert.equal(202, ask("1\r\n{\r\n1\r\n}\r\n000\r\nA: b\r\nC:\r\n\r\n"))
    assert.equal(202, ask("2;a;b=c;d=\"e\\\"f\"\r\n{}\r\n0;x\r\n\r\n"))
    server:records(3)
    for _, body in ipairs({
      "2\n{}\r\n0\r\n\r\n", "2\r\n{}\n0\r\n\r\n", "2\r\n{}\r\n0\n\r\n", "2\r\n{}\r\n0\r\n\n",
      "2\rx{}\r\n0\r\n\r\n", "2\r\n{}0\r\n\r\n", "2\r\n{} \r\n0\r\n\r\n", "\r\n{}\r\n0\r\n\r\n",
      "2 \r\n{}\r\n0\r\n\r\n", " 2\r\n{}\r\n0\r\n\r\n", "+2\r\n{}\r\n0\r\n\r\n", "-2\r\n{}\r\n0\r\n\r\n",
      "0x2\r\n{}\r\n0\r\n\r\n", "2g\r\n{}\r\n0\r\n\r\n", "2;\r\n{}\r\n0\r\n\r\n", "2;a=\r\n{}\r\n0\r\n\r\n",
      "2;a=\"b\r\n{}\r\n0\r\n\r\n", "2;a=\"b\"c\r\n{}\r\n0\r\n\r\n", "2;a\n{}\r\n0\r\n\r\n",
      "2;a b\r\n{}\r\n0\r\n\r\n", "10000000000000002\r\n{}\r\n0\r\n\r\n",
      "0000000000000002\r\n{}\r\n0\r\n\r\n", "2\r\n{}\r\n0\r\nA : b\r\n\r\n",
      "2\r\n{}\r\n0\r\n A: b\r\n\r\n", "2\r\n{}\r\n0\r\nA\r\n\r\n", "2\r\n{}\r\n0\r\nA: \0\r\n\r\n",
    }) do
      assert.equal(400, refused(chunked(body)), ("%q"):format(body))
    end
  end)

  it("loses its trailers", function()
    local answer = raw.ask(server.address,
      chunked('2\r\n{}\r\n0\r\nIdempotency-Key: k\r\nContent-Length: 9\r\n\r\n'))
    assert.is_nil(answer.json.duplicate)
    answer = raw.ask(server.address, chunked('2\r\n{}\r\n0\r\nIdempotency-Key: k\r\n\r\n'))
    assert.is_nil(answer.json.duplicate)
    server:records(2)
  end)

  it("may have 64 KiB of framing beyond its data", function()
    local tiny = {}
    for i = 1, 40000 do
      tiny[i] = "1\r\n \r\n"
    end
    local answer = select(2, refused(chunked(table.concat(tiny))))
    assert.equal(400, answer.status)
    assert.matches("chunk%-overhead$", answer.json.type)
    local extension = ";a=" .. ("b"):rep(70000)
    assert.equal(400, refused(chunked("2" .. extension .. "\r\n{}\r\n0\r\n\r\n")))
    assert.equal(400, refused(chunked("2\r\n{}\r\n0\r\nA: " .. ("b"):rep(70000) .. "\r\n\r\n")))
    local fine = { "1\r\n{\r\n" }
    for i = 2, 20000 do
      fine[i] = "a\r\n          \r\n"
    end
    fine[#fine + 1] = "1\r\n}\r\n0\r\n\r\n"
    assert.equal(202, raw.ask(server.address, chunked(table.concat(fine))).status)
    server:records(1)
  end)
end)
