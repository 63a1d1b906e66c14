local ffi = require("ffi")
local uv = require("luv")
local c = require("spec.support.cdef").load()

ffi.cdef([[
int inet_pton(int family, const char *text, void *out);
]])
local AF_INET, AF_INET6 = 2, 10

local function sockaddr(text)
  local bytes = ffi.new("uint8_t[28]")
  local v6 = text:find(":", 1, true) ~= nil
  ffi.cast("uint16_t *", bytes)[0] = v6 and AF_INET6 or AF_INET
  assert(ffi.C.inet_pton(v6 and AF_INET6 or AF_INET, text, bytes + (v6 and 8 or 4)) == 1, text)
  return bytes
end

local function str(text)
  return ffi.new("struct mp_str", text, #text), text
end

local function new(allow)
  local out = ffi.new("struct mp_egress *[1]")
  assert(c.mp_egress_new(out) == 0)
  local egress = ffi.gc(out[0], c.mp_egress_free)
  if allow then
    assert(c.mp_egress_allow(egress, (str(allow)), nil) == 0)
  end
  return egress
end

local function permits(egress, text)
  return c.mp_egress_permits(egress, sockaddr(text))
end

describe("egress", function()
  assert(uv)
  local public = {
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
    "126.255.255.255", "128.0.0.0", "168.63.129.15", "168.63.129.17", "169.253.255.255",
    "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0",
    "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
    "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0",
    "223.255.255.255", "2606:4700::1111", "2001:200::1", "2001:db7:ffff::", "2001:db9::",
    "3ffe::1", "2400::1", "2a00::1",
  }
  for _, address in ipairs(public) do
    it("permits " .. address, function()
      assert.is_true(permits(new(), address))
    end)
  end

  local denied = {
    "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255",
    "100.100.100.200", "127.0.0.1", "127.255.255.255", "168.63.129.16", "169.254.0.0",
    "169.254.169.254", "169.254.170.2", "172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.192",
    "192.0.2.1", "192.88.99.1", "192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.0", "255.255.255.255",
    "::", "::1", "::2", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "febf::1", "fec0::1",
    "ff02::1", "2001:db8::1", "3fff::1", "3fff:fff:ffff::", "100::1", "64:ff9b:1::1", "5f00::1",
    "2001:1::1", "2001:20::1", "4000::1", "1fff::1",
  }
  for _, address in ipairs(denied) do
    it("refuses " .. address, function()
      assert.is_false(permits(new(), address))
    end)
  end

  -- IPv4 inside IPv6, public and private in the same dress.
  local dresses = {
    mapped = { "::ffff:8.8.8.8", "::ffff:127.0.0.1" },
    translated = { "::ffff:0:8.8.8.8", "::ffff:0:10.0.0.1" },
    compatible = { "::8.8.8.8", "::127.0.0.1" },
    NAT64 = { "64:ff9b::808:808", "64:ff9b::a9fe:a9fe" },
    ["6to4"] = { "2002:808:808::1", "2002:7f00:1::1" },
    Teredo = { "2001:0:808:808::f7f7:f7f7", "2001:0:808:808::80ff:fffe" },
  }
  for name, pair in pairs(dresses) do
    it("judges " .. name .. " addresses as the IPv4 they carry", function()
      assert.is_true(permits(new(), pair[1]))
      assert.is_false(permits(new(), pair[2]))
    end)
  end

  it("refuses Teredo through a private server", function()
    assert.is_false(permits(new(), "2001:0:a00:1::f7f7:f7f7"))
  end)

  it("refuses what is neither IPv4 nor IPv6", function()
    local unix = ffi.new("uint8_t[110]")
    ffi.cast("uint16_t *", unix)[0] = 1
    assert.is_false(c.mp_egress_permits(new("0.0.0.0/0,::/0"), unix))
  end)

  it("permits the networks that are allowed, to their last address", function()
    local egress = new("127.0.0.0/8, 10.1.2.0/23,::1/128,fd00::/9,192.168.7.7")
    for _, address in ipairs({ "127.0.0.1", "127.255.255.255", "10.1.2.0", "10.1.3.255", "::1",
      "fd00::1", "fd7f::1", "192.168.7.7" }) do
      assert.is_true(permits(egress, address), address)
    end
    for _, address in ipairs({ "10.1.1.255", "10.1.4.0", "fd80::1", "192.168.7.8" }) do
      assert.is_false(permits(egress, address), address)
    end
  end)

  it("permits an allowed IPv4 address in its IPv6 dress too", function()
    assert.is_true(permits(new("127.0.0.0/8"), "::ffff:127.0.0.1"))
    assert.is_true(permits(new("::ffff:10.0.0.0/104"), "10.1.2.3"))
    assert.is_false(permits(new("::ffff:10.0.0.0/104"), "11.0.0.1") and
      permits(new("::ffff:10.0.0.0/104"), "192.168.0.1"))
  end)

  it("permits everything when everything is allowed", function()
    local egress = new("0.0.0.0/0,::/0")
    assert.is_true(permits(egress, "169.254.169.254"))
    assert.is_true(permits(egress, "fe80::1"))
  end)

  for _, list in ipairs({ "10.0.0.0/33", "10.0.0/8", "::1/129", "10.0.0.1,", ",", "localhost",
    "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0//8", ("1"):rep(100), "1.2.3.4/0008" }) do
    it("names the entry it cannot read, and changes nothing: " .. list:sub(1, 20), function()
      local egress = new()
      local err = ffi.new("struct mp_error")
      local status = c.mp_egress_allow(egress, (str("127.0.0.0/8," .. list)), err)
      assert.equal("MP_EINVAL", "MP_" .. ffi.string(c.mp_status_name(status)))
      local text = ffi.string(err.text)
      assert.truthy(text:find("could not allow", 1, true), text)
      assert.is_false(permits(egress, "127.0.0.1"))
    end)
  end

  it("takes an empty list", function()
    assert.equal(0, c.mp_egress_allow(new(), (str("")), nil))
  end)
end)
