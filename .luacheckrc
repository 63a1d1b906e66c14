std = "luajit"
max_line_length = 110
-- Specs have tables of cases, a case a line.
files["spec"] = { std = "+busted", max_line_length = false }
-- What `moonpost new` writes, and what only declares.
files["lua/moonpost/new"] = { std = "+busted" }
exclude_files = { "lua/moonpost/library" }
-- What a partner script finds in reach: see scripts/README.md.
files["scripts"] = {
  std = "lua51",
  read_globals = {
    "as_sent", "base64", "basic", "bit", "by", "decimal", "get", "hashed", "hex", "hmac", "item",
    "items", "json", "literal", "log", "md5", "num", "number", "secret", "sha1", "sha256", "text",
    "time", "uri", "uuid", "webhook", "xml",
  },
}
for _, folder in ipairs({ "scripts/spec", "scripts/examples/spec" }) do
  files[folder] = { std = "luajit+busted", max_line_length = false }
end
