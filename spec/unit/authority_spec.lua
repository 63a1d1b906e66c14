local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")

local function authority(url)
  local out = ffi.new("char[320]")
  local err = ffi.new("struct mp_error")
  if c.mp_authority_of(slice.of(url), out, nil, err) ~= 0 then
    return nil, ffi.string(err.text)
  end
  return ffi.string(out)
end

describe("the authority of a url", function()
  it("is written in one way", function()
    assert.equal("https://host.example:443", authority("https://host.example"))
    assert.equal("http://host.example:80", authority("HTTP://HOST.example/a?b#c"))
    assert.equal("https://host.example:8443", authority("https://host.example:8443?x={y}"))
    assert.equal("http://[::1]:9000", authority("http://[0:0:0::1]:9000/"))
  end)

  it("ends where an expression brings its own delimiter", function()
    assert.equal("http://host.example:80", authority("http://host.example{/a}"))
    assert.equal("http://host.example:80", authority("http://host.example{/a*}{?x,y}{&z}"))
    assert.equal("http://host.example:80", authority("http://host.example{#x}/b"))
  end)

  it("takes no expression inside itself", function()
    for _, url in ipairs({
      "http://{x}.example/", "http://host.example{x}", "http://host.example{+x}", "http://host.example:{x}/",
      "http://host.example{.x}", "http://host.example{/a}.evil.example/", "http://host.example{/a}{x}/",
      "http://host.example{&x}", "http://{?x}host.example/",
    }) do
      local found, why = authority(url)
      assert.is_nil(found, url)
      assert.is_truthy(why:find("expression before its path", 1, true) or why:find("no host", 1, true), why)
    end
  end)

  it("refuses what readers of urls disagree about", function()
    for _, url in ipairs({
      "/relative", "ftp://host.example/", "http://user@host.example/", "http://host.example\\@evil.example/",
      "http:///path", "http://host.example:0/", "http://host.example:65536/", "http://host.example:8a/",
      "http://[::1/", "http://[::1%25eth0]/", "http://h\195\182st.example/", "http://host .example/", "http://a%2eb/",
    }) do
      assert.is_nil(authority(url), url)
    end
  end)
end)
