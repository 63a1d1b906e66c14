--- What passes in one attempt: verdicts, the request's header fields, the response's.
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice").of

local function text(str)
  return str.length == 0 and "" or ffi.string(str.data, str.length)
end

describe("a verdict", function()
  it("has a word, and is found by it", function()
    for _, word in ipairs({ "delivered", "retry", "dead", "skipped", "pause" }) do
      local kind = c.mp_verdict_of_name(slice(word))
      assert.not_equal(0, tonumber(kind))
      assert.equal(word, ffi.string(c.mp_verdict_name(kind)))
    end
    for _, word in ipairs({ "", "Retry", "retries", "none" }) do
      assert.equal(0, tonumber(c.mp_verdict_of_name(slice(word))))
    end
  end)

  it("has its reason on one line, cut to its room", function()
    local verdict = ffi.new("struct mp_verdict")
    c.mp_verdict_set(verdict, "MP_VERDICT_DEAD", "%s", "a\r\nb" .. ("x"):rep(500))
    assert.equal("a  b" .. ("x"):rep(251), ffi.string(verdict.why))
    assert.equal(-1, tonumber(verdict.delay_ms))
  end)
end)

describe("a request's header fields", function()
  local request, err

  before_each(function()
    request, err = ffi.new("struct mp_request"), ffi.new("struct mp_error")
    c.mp_request_init(request)
  end)
  after_each(function()
    c.mp_request_fini(request)
  end)

  local function set(name, value, shown)
    return c.mp_request_set_header(request, slice(name), slice(value), slice(shown or ""), err)
  end

  local function fields()
    local list = {}
    for i = 0, tonumber(request.header_count) - 1 do
      list[i + 1] = text(c.mp_header_name(request, i)) .. ": " .. text(c.mp_header_value(request, i))
    end
    return list
  end

  it("are found, replaced and removed in any case, and keep their order", function()
    assert.equal(0, set("Content-Type", "text/plain"))
    assert.equal(0, set("X-A", "1"))
    assert.equal(0, set("content-type", "application/json"))
    assert.same({ "content-type: application/json", "X-A: 1" }, fields())
    assert.equal(1, c.mp_request_find_header(request, slice("x-a")))
    assert.equal(-1, c.mp_request_find_header(request, slice("x-b")))
    c.mp_request_remove_header(request, slice("CONTENT-TYPE"))
    assert.same({ "X-A: 1" }, fields())
  end)

  it("show a secret's place instead of the secret", function()
    set("Authorization", "Bearer s3cret", "Bearer [secret token]")
    set("X-A", "1")
    assert.equal("Bearer [secret token]", text(c.mp_header_shown(request, 0)))
    assert.equal("1", text(c.mp_header_shown(request, 1)))
  end)

  it("take what RFC 9110 calls a token and a value", function()
    assert.equal(0, set("!#$%&'*+-.^_`|~09azAZ", ""))
    assert.equal(0, set("X-A", "a \t b\xff\x80"))
    for _, name in ipairs({ "", "a b", "a:", "a\r\nb", "a\0", "ä", "a(", "\"a\"" }) do
      assert.equal(c.MP_EINVAL, set(name, "v"), name)
    end
    for _, value in ipairs({ "a\r\nX: y", "a\n", "a\0b", "a\x7f", "\x01" }) do
      assert.equal(c.MP_EINVAL, set("X-B", value), value)
      assert.equal(c.MP_EINVAL, set("X-B", "good", value), value)
    end
    assert.matches("could not set the header X-B: its value", ffi.string(err.text), 1, true)
    assert.equal(2, tonumber(request.header_count))
  end)

  it("are refused with what they would break", function()
    for value, why in pairs({ ["a\r\nX: y"] = "header X-B has a line break", ["a\0"] = "header X-B has a NUL" }) do
      assert.equal(c.MP_EINVAL, set("X-B", value))
      assert.equal(why, ffi.string(err.text))
    end
    assert.equal(c.MP_EINVAL, set("X\nB", "a"))
    assert.equal("a header's name has a line break", ffi.string(err.text))
  end)

  it("lose the white space around a value", function()
    assert.equal(0, set("X-A", " \ta  b\t "))
    assert.equal(0, set("X-B", "  "))
    assert.same({ "X-A: a  b", "X-B: " }, fields())
  end)

  it("that are Moonpost's are refused by name", function()
    for _, name in ipairs({ "Host", "content-length", "TRANSFER-ENCODING", "Connection", "Expect",
                            "TE", "Trailer", "Upgrade" }) do
      assert.equal(c.MP_EDENIED, set(name, "x"))
      assert.equal("could not set the header " .. name .. ": Moonpost sets it itself",
        ffi.string(err.text))
    end
    assert.equal(0, tonumber(request.header_count))
  end)

  it("are a hundred at most", function()
    for i = 1, 100 do
      assert.equal(0, set("X-" .. i, "v"))
    end
    assert.equal(c.MP_ELIMIT, set("X-101", "v"))
    assert.equal("could not set the header X-101: there are 100 already", ffi.string(err.text))
    assert.equal(0, set("X-7", "again"))
    assert.equal("X-7: again", fields()[7])
  end)

  it("are 64 KiB at most, whatever was replaced before", function()
    for i = 1, 50 do
      assert.equal(0, set("X-Big", ("v"):rep(30000), i % 2 == 0 and ("s"):rep(2000) or ""))
      assert.equal(0, set("X-Small", tostring(i)))
    end
    assert.equal("X-Small: 50", fields()[2])
    assert.equal(30000, tonumber(c.mp_header_value(request, 0).length))
    assert.equal(2000, tonumber(c.mp_header_shown(request, 0).length))
    assert.is_true(request.text.capacity <= 2 * 65536 + 1)
    assert.equal(c.MP_ELIMIT, set("X-More", ("v"):rep(40000)))
    assert.equal("could not set the header X-More: the headers have more than 64 KiB",
      ffi.string(err.text))
    assert.equal(2, tonumber(request.header_count))
  end)

  it("are gone after a reset", function()
    set("X-A", "1")
    request.has_body = true
    c.mp_request_reset(request)
    assert.equal(0, tonumber(request.header_count))
    assert.is_false(request.has_body)
    assert.equal(0, tonumber(request.url.length))
  end)
end)

describe("a response's header field", function()
  local function header(lines, name, max)
    local response, out = ffi.new("struct mp_response"), ffi.new("struct mp_buf")
    response.headers = slice(lines)
    c.mp_buf_init(out, max or 1000)
    local found = c.mp_response_header(response, slice(name), out)
    local value = text(c.mp_buf_str(out))
    c.mp_buf_fini(out)
    return found, value
  end

  it("is every value of that name, in any case, without the blanks around it", function()
    local lines = "Retry-After:  120 \r\nX-A: 1\r\nx-a:\t2\r\nX-Ab: 3\r\nX-Empty:\r\nnonsense\r\n"
    assert.same({ true, "120" }, { header(lines, "retry-after") })
    assert.same({ true, "1, 2" }, { header(lines, "X-A") })
    assert.same({ true, "" }, { header(lines, "x-empty") })
    assert.same({ false, "" }, { header(lines, "nonsense") })
    assert.same({ false, "" }, { header("", "x") })
    assert.same({ true, "last" }, { header("X: last", "x") })
  end)

  it("leaves out a value that does not fit, whole", function()
    assert.same({ true, "1234" }, { header("X: 1234\r\nX: 567890\r\n", "x", 8) })
  end)
end)
