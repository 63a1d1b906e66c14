--- What the fakes share. A request is one that moonpost.testing rendered, or one that arrived over HTTP.
local ffi = require("ffi")
local json = require("moonpost.testing.json")

local tools = {}

ffi.cdef([[
  const void *EVP_sha256(void);
  unsigned char *HMAC(const void *type, const void *key, int key_length, const char *data, size_t length,
                      unsigned char *out, unsigned int *out_length);
  int EVP_EncodeBlock(unsigned char *out, const char *data, int length);
  int EVP_DecodeBlock(unsigned char *out, const char *data, int length);
]])
local crypto = ffi.load("crypto.so.3")

--- The path, and what the query has by name; a name that is there twice is none of ours.
function tools.target(request)
  local target = (request.target or request.url):gsub("^%a+://[^/?#]*", "")
  local path, query = target:match("^([^?]*)%??(.*)$")
  local values = {}
  for name, value in query:gmatch("([^&=]+)=([^&]*)") do
    assert(not values[name], name .. " is there twice")
    values[name] = value:gsub("%%(%x%x)", function(digits)
      return string.char(tonumber(digits, 16))
    end)
  end
  return path, values
end

--- The body decoded, or nil when it is no JSON object.
function tools.read_json(request)
  local ok, value = pcall(json.decode, request.body)
  return ok and type(value) == "table" and value or nil
end

function tools.json(status, value, headers)
  return { status = status, headers = headers or { ["Content-Type"] = "application/json" }, body = json.encode(value) }
end

--- The raw bytes.
function tools.hmac_sha256(key, data)
  local out = ffi.new("unsigned char[32]")
  crypto.HMAC(crypto.EVP_sha256(), key, #key, data, #data, out, nil)
  return ffi.string(out, 32)
end

function tools.hex(bytes)
  return (bytes:gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end))
end

function tools.base64(bytes)
  local out = ffi.new("unsigned char[?]", #bytes * 2 + 4)
  return ffi.string(out, crypto.EVP_EncodeBlock(out, bytes, #bytes))
end

function tools.from_base64(text)
  local out = ffi.new("unsigned char[?]", #text + 4)
  local length = crypto.EVP_DecodeBlock(out, text, #text)
  assert(length >= 0, "this is no base64")
  return ffi.string(out, length - #text:match("=*$"))
end

return tools
