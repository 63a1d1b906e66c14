local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")

local OK, EINVAL, ELIMIT = 0, -2, -3

local function encoded(text, alphabet)
  local out = slice.buf()
  assert.equal(OK, c.mp_base64_encode(slice.of(text), alphabet or c.MP_BASE64, out))
  return slice.content(out)
end

local function decoded(text)
  local out = slice.buf()
  local status = c.mp_base64_decode(slice.of(text), out)
  if status ~= OK then
    assert.equal(EINVAL, status)
    assert.equal("", slice.content(out))
    return nil
  end
  return slice.content(out)
end

describe("base64", function()
  it("is as RFC 4648 section 10 has it", function()
    for text, want in pairs({ [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=", foobar = "Zm9vYmFy" }) do
      assert.equal(want, encoded(text))
      assert.equal(text, decoded(want))
      assert.equal((want:gsub("=", "")), encoded(text, c.MP_BASE64_URL))
      assert.equal(text, decoded((want:gsub("=", ""))))
    end
  end)

  it("has another alphabet for URLs", function()
    assert.equal("+/+/", encoded("\251\255\191"))
    assert.equal("-_-_", encoded("\251\255\191", c.MP_BASE64_URL))
  end)

  it("comes back from every byte and length", function()
    local bytes = {}
    for i = 0, 255 do
      bytes[#bytes + 1] = string.char(i, 255 - i, i * 7 % 256)
      local text = table.concat(bytes)
      assert.equal(text, decoded(encoded(text)))
    end
  end)

  it("is refused with any other byte or length, or its padding elsewhere", function()
    for _, text in ipairs({ "Z", "Zm9vY", "Zm9v\n", " Zm9v", "Zm-v", "Zm_v", "Zg=", "Zg===", "=", "==", "====", "Zg==Zg==", "Z===", "Zm9v=", "Zm9v====", "Zm9\0" }) do
      assert.is_nil(decoded(text), text)
    end
  end)

  it("leaves the buffer as it was when it has no room", function()
    local small = slice.buf(5)
    assert.equal(OK, c.mp_buf_append_text(small, "ab"))
    assert.equal(ELIMIT, c.mp_base64_encode(slice.of("foo"), c.MP_BASE64, small))
    assert.equal("ab", slice.content(small))
  end)
end)
