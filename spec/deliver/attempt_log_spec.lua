--- The attempt log: its members, and a reader that is slow or gone.
local cjson = require("cjson")
local uv = require("luv")
local deliver = require("spec.support.deliver")
local partner, eventually = deliver.partner, deliver.eventually

local function script(fake, more)
  return ("return { url = %q, method = 'POST', retry = { schedule = { '1m' }, jitter = 0 }, %s }"):format(
    fake:url("/hook?a={a}"), more or "")
end

describe("a line of the attempt log", function()
  after_each(deliver.clean)

  it("has these members, and no others", function()
    local fake = partner.new({ handler = function() return { status = 503, body = "busy\n\"now\"" } end })
    local room = deliver.start({ scripts = { acme = script(fake) } })
    room:send({ id = "a", event = { a = "x y" } })
    local line = room:attempt("a")
    assert.truthy(line.time:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$"))
    assert.truthy(line.next_at:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$"))
    assert.truthy(line.generation:find("^%x%x%x%x%x%x%x%x%x%x%x%x$"))
    assert.is_true(line.duration_ms > 0)
    line.time, line.next_at, line.generation, line.duration_ms = nil, nil, nil, nil
    assert.same({ partner = "acme", id = "a", attempt = 1, method = "POST", url = fake:url("/hook?a=x%20y"),
                  status = 503, error = cjson.null, body = 'busy\n"now"', verdict = "retry", why = "status 503" }, line)
  end)

  it("has null for what was not there", function()
    local room = deliver.start({ scripts = { acme = ("return { url = %q, method = 'GET' }"):format(partner.refused_url("/")) } })
    room:send({ id = "a" })
    local line = room:attempt("a")
    assert.same({ cjson.null, "connection_refused", "" }, { line.status, line.error, line.body })
    room:send({ id = "a", attempts = 10 })
    assert.equal(cjson.null, room:attempt("a", 2).next_at)
  end)

  it("has a KiB of the answer, cut between characters, and U+FFFD for what is no UTF-8", function()
    local body = ("x"):rep(1023) .. "é and more"
    local fake = partner.new({ handler = function() return { body = body } end })
    local room = deliver.start({ scripts = { acme = script(fake) } })
    room:send({ id = "a" })
    assert.equal(("x"):rep(1023), room:attempt("a").body)
    body = "a\255b\0c"
    room:send({ id = "b" })
    assert.equal("a\239\191\189b\0c", room:attempt("b").body)
  end)

  it("never shows a secret of the url", function()
    local fake = partner.new()
    local room = deliver.start({ env = { MOONPOST_SECRET_KEY = "hush" }, scripts = { acme =
      ("return { url = %q .. secret 'key', method = 'GET' }"):format(fake:url("/?k=")) } })
    room:send({ id = "a" })
    assert.equal(fake:url("/?k=[secret key]"), room:attempt("a").url)
    assert.equal("/?k=hush", fake.requests[1].target)
  end)
end)

describe("the reader of the attempt log", function()
  after_each(deliver.clean)

  it("may stall: lanes stop taking, and when it goes on no line is missing", function()
    local fifo = os.tmpname()
    os.remove(fifo)
    assert(os.execute("mkfifo " .. fifo))
    local fake = partner.new({ handler = function() return { body = ("b"):rep(1000) } end })
    local room = deliver.start({ tune = { log_bytes_max = 50000 }, scripts = { acme = script(fake) },
      wrap = "exec 9<>" .. fifo .. "; exec \"$@\" >&9" })
    room:send({ id = "a", count = 1000 })
    local before
    eventually(function() -- until nothing moves any more
      local count = #fake.requests
      local still = count > 0 and count == before
      before = count
      return still and room:in_flight() == 0 and count == #fake.requests
    end)
    assert.is_true(#fake.requests < 900, #fake.requests)
    local pipe, bytes, lines = uv.new_pipe(false), {}, 0
    pipe:open(assert(uv.fs_open(fifo, "r", 0)))
    pipe:read_start(function(_, chunk)
      bytes[#bytes + 1] = chunk
      lines = lines + select(2, (chunk or ""):gsub("\n", ""))
    end)
    eventually(function() return room:outcomes().settle == 1000 and lines == 1000 end)
    for line in table.concat(bytes):gmatch("[^\n]+") do
      assert.equal("delivered", cjson.decode(line).verdict)
    end
    room:stop()
    pipe:close()
    os.remove(fifo)
  end)

  it("may be gone: that is said once, and deliveries go on", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = { acme = script(fake) }, wrap = "\"$@\" | true" })
    local n = 0
    local function deliver_one()
      n = n + 1
      assert.equal("settle", room:deliver({ id = "a" .. n }).outcome)
    end
    eventually(function()
      deliver_one()
      return room.child:text():find("its lines are lost from here on", 1, true)
    end)
    deliver_one()
    room:stop()
    assert.equal(1, select(2, room.child:text():gsub("could not write the attempt log", "")))
  end)

  it("may be a disk that is full: that is said once, and lanes wait", function()
    local fake = partner.new()
    local room = deliver.start({ tune = { log_bytes_max = 5000, log_stop_ms = 100 },
      scripts = { acme = script(fake, "limits = { concurrency = 1 }") }, wrap = "\"$@\" >/dev/full" })
    room:send({ id = "a", count = 500 })
    room.child:wait_for("No space left on device; lanes wait for room")
    room:stop()
    assert.is_true(#fake.requests < 500, #fake.requests)
    assert.equal(500, room:outcomes().settle + room:outcomes().park)
    assert.equal(1, select(2, room.child:text():gsub("lanes wait for room", "")))
  end)

  it("does not keep the room from ending when it takes nothing", function()
    local fifo = os.tmpname()
    os.remove(fifo)
    assert(os.execute("mkfifo " .. fifo))
    local fake = partner.new({ handler = function() return { body = ("b"):rep(1000) } end })
    local room = deliver.start({ tune = { log_stop_ms = 100 }, scripts = { acme = script(fake) },
      wrap = "exec 9<>" .. fifo .. "; exec \"$@\" >&9" })
    room:send({ id = "a", count = 200 })
    eventually(function() return room:outcomes().settle == 200 end)
    room:stop()
    assert.truthy(room.child:text():find("its lines are lost from here on", 1, true))
    os.remove(fifo)
  end)
end)
