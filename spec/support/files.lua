--- The repository's own files, for the specs that look at them.
local uv = require("luv")

local files = {}

--- The whole text; nil when there is no such file.
function files.read(path)
  local file = io.open(path)
  if not file then
    return nil
  end
  local text = file:read("*a")
  file:close()
  return text
end

local function walk(folder, pattern, list)
  local scan = assert(uv.fs_scandir(folder))
  while true do
    local name, kind = uv.fs_scandir_next(scan)
    if not name then
      return list
    end
    local path = folder .. "/" .. name
    if kind == "directory" then
      walk(path, pattern, list)
    elseif name:find(pattern) then
      list[#list + 1] = path
    end
  end
end

--- The paths under `folders` whose name matches the Lua pattern, sorted.
function files.list(folders, pattern)
  local list = {}
  for _, folder in ipairs(folders) do
    walk(folder, pattern, list)
  end
  table.sort(list)
  return list
end

return files
