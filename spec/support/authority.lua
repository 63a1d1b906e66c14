--- A certificate authority of the spec's own: makes keys and certificates with OpenSSL's command.
--   local ca = authority.new(folder)
--   local server = ca:issue("localhost", { names = { "DNS:localhost" } })   -- .cert, .key: paths
--   ca.cert; authority.text(server.cert)
local files = require("spec.support.files")
local process = require("spec.support.process")

local authority = {}
local methods = {}
methods.__index = methods

local new_key = { "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes" }

local function openssl(...)
  local args = {}
  for _, list in ipairs({ ... }) do
    for _, word in ipairs(list) do
      args[#args + 1] = word
    end
  end
  local made = process.run("/usr/bin/openssl", { args = args })
  assert(made.code == 0, made:text())
end

--- `folder` is where its files go; `name` tells two of one folder apart.
function authority.new(folder, name)
  name = name or "ca"
  local self = setmetatable({ folder = folder, name = name, issued = 0,
                              cert = folder .. "/" .. name .. ".pem", key = folder .. "/" .. name .. ".key" }, methods)
  openssl({ "req", "-x509", "-keyout", self.key, "-out", self.cert, "-days", "2", "-subj", "/CN=" .. name,
            "-addext", "basicConstraints=critical,CA:TRUE" }, new_key)
  return self
end

--- A certificate for `common_name`. `options.names` (a list, as in "DNS:localhost" or "IP:127.0.0.1"),
-- `options.expired`.
function methods:issue(common_name, options)
  options = options or {}
  self.issued = self.issued + 1
  local base = ("%s/%s-%d"):format(self.folder, self.name, self.issued)
  local made = { cert = base .. ".pem", key = base .. ".key" }
  local request, extensions = base .. ".csr", base .. ".ext"
  openssl({ "req", "-new", "-keyout", made.key, "-out", request, "-subj", "/CN=" .. common_name }, new_key)
  local file = assert(io.open(extensions, "w"))
  file:write("basicConstraints=critical,CA:FALSE\n")
  if options.names then
    file:write("subjectAltName=", table.concat(options.names, ","), "\n")
  end
  file:close()
  openssl({ "x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial",
            "-days", options.expired and "-1" or "2", "-extfile", extensions, "-out", made.cert })
  return made
end

--- A file's text, as a script's secret or literal.
function authority.text(path)
  return assert(files.read(path), path)
end

return authority
