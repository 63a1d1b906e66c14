std = "luajit"
max_line_length = 110
-- Specs have tables of cases, a case a line.
files["spec"] = { std = "+busted", max_line_length = false }
-- What `moonpost new` writes, and what only declares.
files["lua/moonpost/new"] = { std = "+busted" }
exclude_files = { "lua/moonpost/library" }
-- What a partner script finds in reach; spec/script/reach_spec.lua compares.
files["scripts"] = {
  std = "none",
  read_globals = {
    "assert", "error", "ipairs", "next", "pairs", "pcall", "require", "select", "tonumber", "tostring",
    "type", "unpack", "xpcall", "bit", "math", "string", "table",
    "as_sent", "base64", "basic", "by", "decimal", "get", "hashed", "hex", "hmac", "items", "json",
    "literal", "log", "md5", "num", "number", "secret", "sha1", "sha256", "text", "time", "uri", "uuid",
    "webhook", "xml",
  },
}
for _, folder in ipairs({ "scripts/spec", "scripts/examples/spec" }) do
  files[folder] = { std = "luajit+busted", max_line_length = false }
end
