--- Sizes and habits that a reader relies on.
local files = require("spec.support.files")

local function read_all(folders, pattern)
  local list = {}
  for _, path in ipairs(files.list(folders, pattern)) do
    list[#list + 1] = { path = path, text = files.read(path) }
  end
  return list
end

local c_files = read_all({ "src", "include" }, "%.[ch]$")
for _, pattern in ipairs({ "%.c$", "_probe[%l_]*%.h$" }) do
  for _, file in ipairs(read_all({ "spec/support" }, pattern)) do
    c_files[#c_files + 1] = file
  end
end
local lua_files = read_all({ "spec", "scripts", "lua" }, "%.lua$")

local function line_count(text)
  local _, count = text:gsub("\n", "\n")
  return count
end

local function offenders(list, find)
  local found = {}
  for _, file in ipairs(list) do
    local what = find(file)
    if what then
      found[#found + 1] = file.path .. ": " .. what
    end
  end
  return found
end

describe("the code", function()
  -- A spec is a list of sentences, read one at a time: it may be longer.
  it("has no file over 400 lines", function()
    for _, list in ipairs({ c_files, lua_files }) do
      assert.same({}, offenders(list, function(file)
        local count = line_count(file.text)
        return count > 400 and not file.path:find("_spec%.lua$") and count .. " lines" or nil
      end))
    end
  end)

  it("has no header over 120 lines", function()
    assert.same({}, offenders(c_files, function(file)
      local count = line_count(file.text)
      return file.path:find("%.h$") and count > 120 and count .. " lines" or nil
    end))
  end)

  -- The brace style puts a function's braces, and no others, alone at the start of a line.
  it("has no function over 60 lines", function()
    local functions = 0
    local long = offenders(c_files, function(file)
      local number, opened = 0, nil
      for line in file.text:gmatch("([^\n]*)\n") do
        number = number + 1
        if line == "{" then
          opened, functions = number, functions + 1
        elseif line == "}" and opened then
          if number - opened - 1 > 60 then
            return ("the function at line %d has %d lines"):format(opened, number - opened - 1)
          end
          opened = nil
        end
      end
    end)
    assert.same({}, long)
    assert.is_true(functions > 100)
  end)

  it("says its licence in its first line, and headers guard themselves in the second", function()
    assert.same({}, offenders(c_files, function(file)
      local head = "/* SPDX-License-Identifier: MIT */\n"
      if file.path:find("%.h$") then
        head = head .. "#pragma once\n"
      end
      return file.text:sub(1, #head) ~= head and "does not begin so" or nil
    end))
  end)

  it("has no tabs, no blanks at line ends, no notes to do something later", function()
    for _, list in ipairs({ c_files, lua_files }) do
      assert.same({}, offenders(list, function(file)
        local later = "TO" .. "DO"
        return file.text:find("\t", 1, true) and "has a tab"
          or file.text:find("[ \t]\n") and "has blanks at a line's end"
          or file.text:find("%f[%w]" .. later .. "%f[%W]") and "has a " .. later
          or file.text:find("%f[%w]FIX" .. "ME%f[%W]") and "has something to fix"
          or nil
      end))
    end
  end)

  it("hides no struct behind a typedef", function()
    assert.same({}, offenders(c_files, function(file)
      for line in file.text:gmatch("[^\n]+") do
        if line:find("^typedef%s+%l+%s") and not line:find("(", 1, true) then
          return line
        end
      end
    end))
  end)
end)
