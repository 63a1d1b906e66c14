--- What a script has in reach is told in four places beside the sandbox itself: to editors
-- (lua/moonpost/library), to luacheck in a user's folder (lua/moonpost/new/luacheckrc) and in this one
-- (.luacheckrc), and in the sandbox's own suggestions. None may drift from it.
local files = require("spec.support.files")
local runtime = require("spec.support.runtime")
local testing = require("moonpost.testing")

local library = files.read("lua/moonpost/library/moonpost.lua")

local function sorted(set)
  local list = {}
  for name in pairs(set) do
    list[#list + 1] = name
  end
  table.sort(list)
  return list
end

-- Every word that C gives a name to, and every name that Lua has: one of them is whatever is in reach.
local function candidates(within)
  local set = {}
  for _, path in ipairs(files.list({ "src/script" }, "%.c$")) do
    for word in files.read(path):gmatch('"([%a_][%w_]*)"') do
      set[word] = true
    end
  end
  for name in pairs(within or {}) do
    set[name] = true
  end
  local list = {}
  for _, name in ipairs(sorted(set)) do
    if loadstring(name .. " = 1") then -- no keyword
      list[#list + 1] = name
    end
  end
  return list
end

-- Those of `names` for which a script's `prefix .. name` is there.
local function in_reach(names, prefix)
  local lines = { "local found = \"\"", "local function try(name, read)",
                  "  local ok, value = pcall(read)", "  if ok and value ~= nil then found = found .. name .. \" \" end",
                  "end" }
  for _, name in ipairs(names) do
    lines[#lines + 1] = ("try(%q, function() return %s%s end)"):format(name, prefix, name)
  end
  lines[#lines + 1] = 'return { url = "https://a.example/", method = "POST", body = literal(found) }'
  local path = runtime.folder() .. "/acme.lua"
  runtime.write_file(path, table.concat(lines, "\n"))
  local set = {}
  for name in assert(assert(testing.partner(path)):render({})).body:gmatch("%S+") do
    set[name] = true
  end
  return set
end

local function globals()
  return in_reach(candidates(_G), "")
end

-- A configuration of luacheck as a table; the blanks of a new one may stay open.
local function config(path)
  local env = setmetatable({ files = {}, stds = {} }, { __index = _G })
  setfenv(assert(loadfile(path)), env)()
  return env
end

local function names_of(read_globals)
  local set = {}
  for key, value in pairs(read_globals) do
    set[type(key) == "number" and value or key] = true
  end
  return set
end

-- What luacheck knows of a user's scripts.
local function told()
  return config("lua/moonpost/new/luacheckrc").stds.moonpost.read_globals
end

-- "text" and "time.now" of `function time.now(…) end`, and what is no function.
local function annotated(prefix)
  local set = {}
  for name in ("\n" .. library):gmatch("\nfunction " .. prefix .. "([%w_]+)%(") do
    set[name] = true
  end
  if prefix == "" then
    for name in library:gmatch("\n([%l_]+) = [^\n]") do
      set[name] = true
    end
  end
  return set
end

describe("what a script has in reach", function()
  after_each(runtime.clean)

  it("is what a user's luacheck knows", function()
    assert.same(sorted(globals()), sorted(names_of(told())))
  end)

  it("is what our own luacheck knows", function()
    local own = config(".luacheckrc").files.scripts
    assert.equal("none", own.std)
    assert.same(sorted(globals()), sorted(names_of(own.read_globals)))
  end)

  it("is what an editor is told, beside Lua's own", function()
    local own = {}
    for name in pairs(globals()) do
      if _G[name] == nil or name == "require" then
        own[name] = true
      end
    end
    assert.same(sorted(own), sorted(annotated("")))
  end)

  it("is what a misspelt name is compared with", function()
    local list = files.read("src/script/sandbox.c"):match("suggestions%[%] = {(.-)NULL}")
    local set = {}
    for name in list:gmatch('"([%w_]+)"') do
      set[name] = true
    end
    assert.same(sorted(globals()), sorted(set))
  end)

  it("is the same inside each table, to luacheck and to editors", function()
    local tables = 0
    for name, of in pairs(told()) do
      if type(name) == "string" then
        tables = tables + 1
        local there = in_reach(candidates(_G[name]), name .. ".")
        assert.same(sorted(there), sorted(of.fields), name)
        if not _G[name] then
          there.null = nil -- a field, not a function
          assert.same(sorted(there), sorted(annotated(name .. "%.")), name)
        end
      end
    end
    assert.equal(9, tables)
    assert.truthy(library:find("@class moonpost.json\n---@field null any\njson = {}", 1, true))
  end)
end)

describe("what an editor is told", function()
  after_each(runtime.clean)

  -- The fields of a class of `text`.
  local function fields(text, class)
    local set = {}
    for name in text:match("%-%-%-@class " .. class .. "\n(.-)\n\n"):gmatch("%-%-%-@field ([%w_]+)") do
      set[name] = true
    end
    return sorted(set)
  end

  -- The words of a list in C.
  local function words(path, list)
    local set = {}
    for word in files.read(path):match("%f[%w_]" .. list .. "%[%] = {(.-)NULL"):gmatch('"([%w_]+)"') do
      set[word] = true
    end
    return sorted(set)
  end

  it("is every key of a partner's script, and no other", function()
    assert.same(words("src/script/plan.c", "known_keys"), fields(library, "moonpost.Partner"))
  end)

  it("is all of moonpost.testing, and no more", function()
    local text = files.read("lua/moonpost/library/testing.lua")
    local functions, methods = { null = true }, {}
    for name in text:gmatch("\nfunction testing%.([%w_]+)%(") do
      functions[name] = true
    end
    for name in text:gmatch("\nfunction partner:([%w_]+)%(") do
      methods[name] = true
    end
    assert.same(sorted(testing), sorted(functions))
    local path = runtime.folder() .. "/acme.lua"
    runtime.write_file(path, 'return { url = "https://a.example/" }')
    local public = {}
    for name in pairs(getmetatable(assert(testing.partner(path))).__index) do
      public[name] = name:sub(1, 1) ~= "_" or nil
    end
    assert.same(sorted(public), sorted(methods))
  end)

  it("is Lua that loads", function()
    for _, path in ipairs(files.list({ "lua/moonpost/library" }, "%.lua$")) do
      assert(loadfile(path))
    end
  end)
end)
