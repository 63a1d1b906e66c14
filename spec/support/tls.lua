--- TLS for fake partners: OpenSSL between a luv handle and who reads and writes it.
--   local context = tls.context({ cert = path, key = path, ca = path })   -- ca: clients must have one of it
--   local stream = tls.wrap(tcp, context)   -- read_start, write, shutdown, close as of the handle
-- `stream.subject` is the client's certificate's, once it spoke.
local ffi = require("ffi")

local tls = {}
local methods = {}
methods.__index = methods

ffi.cdef([[
  typedef struct ssl_st SSL; typedef struct ssl_ctx_st SSL_CTX; typedef struct bio_st BIO;
  typedef struct spec_x509 spec_x509; typedef struct spec_name spec_name;
  const void *TLS_server_method(void);
  SSL_CTX *SSL_CTX_new(const void *method); void SSL_CTX_free(SSL_CTX *);
  int SSL_CTX_use_certificate_chain_file(SSL_CTX *, const char *);
  int SSL_CTX_use_PrivateKey_file(SSL_CTX *, const char *, int);
  int SSL_CTX_load_verify_locations(SSL_CTX *, const char *, const char *);
  void SSL_CTX_set_verify(SSL_CTX *, int, void *);
  int SSL_CTX_set_session_id_context(SSL_CTX *, const char *, unsigned);
  SSL *SSL_new(SSL_CTX *); void SSL_free(SSL *);
  void SSL_set_accept_state(SSL *); void SSL_set_bio(SSL *, BIO *, BIO *);
  int SSL_read(SSL *, void *, int); int SSL_write(SSL *, const void *, int); int SSL_get_error(const SSL *, int);
  int SSL_shutdown(SSL *); int SSL_is_init_finished(const SSL *); int SSL_do_handshake(SSL *);
  spec_x509 *SSL_get1_peer_certificate(const SSL *); spec_name *X509_get_subject_name(const spec_x509 *);
  char *X509_NAME_oneline(const spec_name *, char *, int); void X509_free(spec_x509 *);
  const void *BIO_s_mem(void); BIO *BIO_new(const void *); size_t BIO_ctrl_pending(BIO *);
  int BIO_read(BIO *, void *, int); int BIO_write(BIO *, const void *, int);
  void ERR_clear_error(void);
]])

local ssl, crypto

local function load()
  if not ssl then
    crypto = ffi.load("crypto.so.3", true)
    ssl = ffi.load("ssl.so.3", true)
  end
end

function tls.context(options)
  load()
  local context = ffi.gc(ssl.SSL_CTX_new(ssl.TLS_server_method()), ssl.SSL_CTX_free)
  assert(ssl.SSL_CTX_use_certificate_chain_file(context, options.cert) == 1, options.cert)
  assert(ssl.SSL_CTX_use_PrivateKey_file(context, options.key, 1) == 1, options.key)
  ssl.SSL_CTX_set_session_id_context(context, "spec", 4)
  if options.ca then
    assert(ssl.SSL_CTX_load_verify_locations(context, options.ca, nil) == 1, options.ca)
    ssl.SSL_CTX_set_verify(context, 3, nil) -- a certificate, or the handshake fails
  end
  return context
end

function tls.wrap(tcp, context)
  local self = setmetatable({ tcp = tcp, context = context }, methods)
  self.ssl = ffi.gc(ssl.SSL_new(context), ssl.SSL_free)
  self.input, self.output = crypto.BIO_new(crypto.BIO_s_mem()), crypto.BIO_new(crypto.BIO_s_mem())
  ssl.SSL_set_bio(self.ssl, self.input, self.output)
  ssl.SSL_set_accept_state(self.ssl)
  return self
end

local buffer = ffi.new("char[16384]")

local function flush(self, on_written)
  local parts = {}
  while crypto.BIO_ctrl_pending(self.output) > 0 do
    parts[#parts + 1] = ffi.string(buffer, crypto.BIO_read(self.output, buffer, 16384))
  end
  if #parts > 0 and not self.tcp:is_closing() then
    self.tcp:write(table.concat(parts), on_written)
  end
end

local function read_subject(self)
  local cert = ssl.SSL_get1_peer_certificate(self.ssl)
  if cert ~= nil then
    crypto.X509_NAME_oneline(crypto.X509_get_subject_name(cert), buffer, 256)
    self.subject = ffi.string(buffer)
    crypto.X509_free(cert)
  end
end

-- What is there in clear text; false: the connection is at its end.
local function decrypt(self)
  local parts = {}
  while true do
    crypto.ERR_clear_error()
    local count = ssl.SSL_read(self.ssl, buffer, 16384)
    if count > 0 then
      parts[#parts + 1] = ffi.string(buffer, count)
    else
      local why = ssl.SSL_get_error(self.ssl, count)
      return table.concat(parts), why == 2 -- it wants more
    end
  end
end

function methods:read_start(callback)
  self.tcp:read_start(function(err, bytes)
    if err or not bytes then
      return callback(err, bytes)
    end
    if self.has_ended then
      return
    end
    crypto.BIO_write(self.input, bytes, #bytes)
    local text, goes_on = decrypt(self)
    flush(self)
    if not self.subject and ssl.SSL_is_init_finished(self.ssl) == 1 then
      read_subject(self)
    end
    if #text > 0 then
      callback(nil, text)
    end
    if not goes_on then -- reads on until the client closes: a reset could overtake the alert
      self.has_ended = true
      self.tcp:shutdown()
    end
  end)
end

function methods:write(bytes, callback)
  crypto.ERR_clear_error()
  ssl.SSL_write(self.ssl, bytes, #bytes)
  flush(self, callback)
end

function methods:shutdown(callback)
  ssl.SSL_shutdown(self.ssl)
  flush(self)
  self.tcp:shutdown(callback)
end

for _, name in ipairs({ "close", "close_reset", "is_closing", "nodelay" }) do
  methods[name] = function(self, ...)
    return self.tcp[name](self.tcp, ...)
  end
end

return tls
