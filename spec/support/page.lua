--- A page of Markdown, taken apart: what its specs look at.
local uv = require("luv")
local files = require("spec.support.files")

local page = {}

--- The cells of a table's row; a bar inside `code` is none.
local function cells_of(line)
  local cells, cell, in_code = {}, "", false
  for char in line:gsub("^%s*|", ""):gmatch(".") do
    if char == "`" then
      in_code = not in_code
    end
    if char == "|" and not in_code then
      cells[#cells + 1], cell = cell:match("^%s*(.-)%s*$"), ""
    else
      cell = cell .. char
    end
  end
  return cells
end

--- The `code` in a text, in order.
function page.code(text)
  local spans = {}
  for span in text:gmatch("`([^`]*)`") do
    spans[#spans + 1] = span
  end
  return spans
end

local reader = {}
reader.__index = reader

function reader:begin(title)
  self.section = { title = title, line = self.number, parts = {} }
  table.insert(self.sections, self.section)
end

function reader:add(part)
  part.line = self.number
  table.insert(self.section.parts, part)
  return part
end

function reader:read_code(line)
  local code = self.open_code
  if line:find("^```") then
    code.text = table.concat(code.lines, "\n") .. "\n"
    self.open_code = nil
  else
    table.insert(code.lines, line)
  end
end

function reader:read_row(line)
  if not self.open_table then
    self.open_table = self:add({ kind = "table", header = cells_of(line), rows = {} })
  elseif not line:find("^|[%s|:-]+$") then
    table.insert(self.open_table.rows, { line = self.number, cells = cells_of(line) })
  end
end

function reader:read(line)
  if self.open_code then
    return self:read_code(line)
  elseif line:find("^|") then
    return self:read_row(line)
  end
  self.open_table = nil
  if line:find("^```") then
    self.open_code = self:add({ kind = "code", language = line:match("^```(.*)$"), lines = {} })
  elseif line:find("^##+ ") then
    self:begin(line:match("^##+ (.*)$"))
  end
end

--- A list of sections { title, line, parts }, by their headings. A part is of kind "code" { language, lines,
-- text } or "table" { header, rows of { line, cells } }; each knows its line.
function page.read(path)
  local self = setmetatable({ sections = {}, number = 0 }, reader)
  self:begin("")
  for line in (assert(files.read(path), "there is no " .. path)):gmatch("([^\n]*)\n") do
    self.number = self.number + 1
    self:read(line)
  end
  assert(not self.open_code, path .. " ends inside a code block")
  return self.sections
end

--- The section of that title.
function page.section(sections, title)
  for _, section in ipairs(sections) do
    if section.title == title then
      return section
    end
  end
  error("there is no section " .. title)
end

--- The section's blocks of code in a language, in order.
function page.blocks(section, language)
  local blocks = {}
  for _, part in ipairs(section.parts) do
    if part.kind == "code" and part.language == language then
      blocks[#blocks + 1] = part
    end
  end
  return blocks
end

-- As GitHub makes them of headings.
local function anchors_of(path)
  local anchors = {}
  for _, section in ipairs(page.read(path)) do
    anchors[section.title:lower():gsub("[^%w _-]", ""):gsub(" ", "-")] = true
  end
  return anchors
end

--- The page's links to files, folders and headings that are not there; and how many links there are.
function page.broken_links(path)
  local folder, broken, count = path:match("^(.*/)") or "", {}, 0
  for target in assert(files.read(path)):gmatch("%]%(([^)%s]+)%)") do
    local file, anchor = target:match("^([^#]*)#?(.*)$")
    if not file:find("^https?:") then
      local whole = file == "" and path or folder .. file
      local found = uv.fs_stat(whole) and (anchor == "" or anchors_of(whole)[anchor])
      broken[#broken + 1] = not found and target or nil
      count = count + 1
    end
  end
  return broken, count
end

return page
