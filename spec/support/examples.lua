--- The partner scripts of scripts/examples, as their files tell of them.
--   for _, example in ipairs(examples.list()) do … example.name, .path, .text, .event, .secrets … end
local files = require("spec.support.files")

local examples = { folder = "scripts/examples" }

--- `.comment` is what the file begins with, `.event` the JSON that ends it, `.code` the lines that say
-- something, `.secrets` their names, sorted.
function examples.read(name)
  local path = ("%s/%s.lua"):format(examples.folder, name)
  local text = assert(files.read(path), path)
  local example = { name = name, path = path, text = text, comment = {}, code = {}, secrets = {} }
  for line in text:gmatch("[^\n]+") do
    local comment = line:match("^%-%- ?(.*)$")
    if comment and #example.code == 0 then
      table.insert(example.comment, comment)
    elseif line:find("^%s*%-%-") == nil then
      table.insert(example.code, line)
    end
  end
  example.event = table.concat(example.comment, "\n"):match("\n({.*})$")
  for secret in text:gmatch('secret "([%w_]+)"') do
    table.insert(example.secrets, secret)
  end
  table.sort(example.secrets)
  return example
end

function examples.list()
  local list = {}
  for _, path in ipairs(files.list({ examples.folder }, "%.lua$")) do
    local name = path:sub(#examples.folder + 2):match("^([^/]+)%.lua$")
    list[#list + 1] = name and examples.read(name)
  end
  return list
end

--- The environment that has the secrets: as given, else "test-<name>".
function examples.environment(example, given)
  local env = {}
  for _, secret in ipairs(example.secrets) do
    env["MOONPOST_SECRET_" .. secret:upper()] = (given or {})[secret] or "test-" .. secret
  end
  return env
end

--- The script as it stands, but for its hosts: `hosts` has for each what takes its place.
function examples.move(example, hosts)
  local lines = {}
  for i, line in ipairs(example.code) do
    lines[i] = line:gsub('"(https://[^/"]+)', function(host)
      return '"' .. (hosts[host] or error(("%s goes to %s: where is that?"):format(example.path, host)))
    end)
  end
  return table.concat(lines, "\n") .. "\n"
end

return examples
