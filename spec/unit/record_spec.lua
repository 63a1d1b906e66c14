--- The record that travels, its lists, partners' names, and the lane of a URL.
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice").of

local function record_of(fields)
  local draft = ffi.new("struct mp_record")
  local anchors = {}
  for name, value in pairs(fields) do
    if type(value) == "string" then
      anchors[name] = value
      draft[name].data, draft[name].length = value, #value
    else
      draft[name] = value
    end
  end
  local out = ffi.new("struct mp_record *[1]")
  assert.equal(0, c.mp_record_new(draft, out))
  return out[0], anchors
end

local function text(str)
  return str.length == 0 and "" or ffi.string(str.data, str.length)
end

describe("a record", function()
  local fields = {
    id = "id-1", partner = "acme", lane = "acme 2", event = '{"n":1.50}', type = "order.paid",
    source = "shop", subject = "s", event_id = "e", partition_key = "k", endpoint_method = "GET",
    endpoint_url = "http://x/{n}",
  }

  it("has every slice of its draft in its own block", function()
    local record = record_of(fields)
    for name, value in pairs(fields) do
      assert.equal(value, text(record[name]))
      local from = ffi.cast("char *", record)
      assert.is_true(record[name].data > from)
      assert.is_true(record[name].data + record[name].length <= from + record.size_bytes)
    end
    c.mp_record_free(record)
  end)

  it("without a lane has its partner's", function()
    local record = record_of({ id = "1", partner = "acme" })
    assert.equal("acme", text(record.lane))
    assert.equal(0, tonumber(record.event.length))
    c.mp_record_free(record)
  end)

  it("keeps its order in lists, which know their count and bytes", function()
    local first, second = ffi.new("struct mp_record_list"), ffi.new("struct mp_record_list")
    for _, id in ipairs({ "a", "b" }) do
      c.mp_record_list_push(first, (record_of({ id = id, partner = "p" })))
    end
    c.mp_record_list_append(first, second)
    assert.equal(2, tonumber(first.count))
    c.mp_record_list_push(second, (record_of({ id = "c", partner = "p" })))
    local bytes = first.bytes + second.bytes
    c.mp_record_list_append(first, second)
    assert.equal(0, tonumber(second.count))
    assert.equal(bytes, first.bytes)
    local order = {}
    while first.count > 0 do
      local record = c.mp_record_list_pop(first)
      order[#order + 1] = text(record.id)
      c.mp_record_free(record)
    end
    assert.same({ "a", "b", "c" }, order)
    assert.equal(0, tonumber(first.bytes))
    assert.is_true(c.mp_record_list_pop(first) == nil)
    c.mp_record_list_push(first, (record_of({ id = "d", partner = "p" })))
    c.mp_record_list_free(first)
    assert.equal(0, tonumber(first.count))
  end)
end)

describe("a partner's name", function()
  it("is 1 to 64 of a-z 0-9 - _ and begins with a letter or digit", function()
    for _, name in ipairs({ "a", "0", "acme", "a-b_c9", ("x"):rep(64) }) do
      assert.is_true(c.mp_partner_name_is_valid(slice(name)), name)
    end
    for _, name in ipairs({ "", "-a", "_a", "A", "a.b", "a b", "a/b", "ä", "a\0", ("x"):rep(65) }) do
      assert.is_false(c.mp_partner_name_is_valid(slice(name)), name)
    end
  end)
end)

describe("the authority of a URL", function()
  local function authority(url)
    local out, at = ffi.new("char[320]"), ffi.new("size_t[1]")
    local err = ffi.new("struct mp_error")
    local status = c.mp_authority_of(slice(url), out, at, err)
    if status ~= 0 then
      assert.equal(c.MP_EINVAL, status)
      return nil, ffi.string(err.text)
    end
    return ffi.string(out), url:sub(tonumber(at[0]) + 1)
  end

  it("is its scheme, host and port, in one spelling", function()
    for url, want in pairs({
      ["http://host"] = { "http://host:80", "" },
      ["https://host/"] = { "https://host:443", "/" },
      ["HTTPS://Host.Example:8443/a?b#c"] = { "https://host.example:8443", "/a?b#c" },
      ["http://h:080?x={x}"] = { "http://h:80", "?x={x}" },
      ["http://h#f"] = { "http://h:80", "#f" },
      ["http://127.0.0.1:1/{a}@b"] = { "http://127.0.0.1:1", "/{a}@b" },
      ["http://[::1]:65535/"] = { "http://[::1]:65535", "/" },
      ["https://[2001:DB8:0::1]{?x}"] = { "https://[2001:db8::1]:443", "{?x}" },
      ["http://host{/path}{?q}{&r}"] = { "http://host:80", "{/path}{?q}{&r}" },
      ["https://[2001:DB8:0::1]/x"] = { "https://[2001:db8::1]:443", "/x" },
      ["http://a_b-c.d~e/"] = { "http://a_b-c.d~e:80", "/" },
    }) do
      assert.same(want, { authority(url) }, url)
    end
  end)

  it("is refused, with why, where two readers might see two hosts", function()
    for url, why in pairs({
      [""] = "it is not absolute: it begins with neither https:// nor http://",
      ["/path"] = "it is not absolute: it begins with neither https:// nor http://",
      ["http:/host"] = "it is not absolute: it begins with neither https:// nor http://",
      ["ftp://host/"] = "it is not absolute: it begins with neither https:// nor http://",
      ["{scheme}://host/"] = "it is not absolute: it begins with neither https:// nor http://",
      ["http:///path"] = "it has no host",
      ["http://:80/"] = "it has no host",
      ["http://user@host/"] = "it has user information",
      ["http://a:b@host/"] = "it has user information",
      ["http://{host}/"] = "it has an expression before its path",
      ["http://host{?q}.evil/"] = "it has an expression before its path",
      ["http://host{&q}/"] = "it has an expression before its path",
      ["http://host:{port}/"] = "it has an expression before its path",
      ["http://ho st/"] = "it has a space or control byte in its host",
      ["http://ho\tst/"] = "it has a space or control byte in its host",
      ["http://host\0.evil/"] = "it has a space or control byte in its host",
      ["http://host\r\nX: y/"] = "it has a space or control byte in its host",
      ["http://good\\@evil/"] = "it has a backslash in its host",
      ["http://h%6fst/"] = "its host has a character that no host name has",
      ["http://h,i/"] = "its host has a character that no host name has",
      ["http://bücher.example/"] = "its host is not ASCII; write it in its xn-- form",
      ["http://host:/"] = "its port is not a number from 1 to 65535",
      ["http://host:0/"] = "its port is not a number from 1 to 65535",
      ["http://host:65536/"] = "its port is not a number from 1 to 65535",
      ["http://host:+80/"] = "its port is not a number from 1 to 65535",
      ["http://host:80:80/"] = "its port is not a number from 1 to 65535",
      ["http://[::1/"] = "its host has a bracket that is not closed",
      ["http://[::1]x/"] = "something follows its host",
      ["http://[fe80::1%25eth0]/"] = "its host in brackets is no IPv6 address",
      ["http://[127.0.0.1]/"] = "its host in brackets is no IPv6 address",
      ["http://[]/"] = "its host in brackets is no IPv6 address",
      ["http://" .. ("a"):rep(254) .. "/"] = "its host has more than 253 bytes",
    }) do
      local none, said = authority(url)
      assert.is_nil(none, url)
      assert.equal("could not use the url: " .. why, said, url)
    end
  end)

  it("of the longest host fits its room", function()
    local host = ("a"):rep(253)
    assert.equal("https://" .. host .. ":65535", (authority("https://" .. host .. ":65535/")))
  end)
end)
