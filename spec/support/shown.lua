--- Whether what a page shows is what happens: each script on it loads, each event under a script makes the
-- request under it, and tables say what comes of what.
local assert = require("luassert")
local cjson = require("cjson")
local page = require("spec.support.page")
local runtime = require("spec.support.runtime")
local testing = require("moonpost.testing")
local outcomes = require("spec.support.shown_outcomes")

local shown = {
  now = "2026-01-31T10:00:00Z",
  id = "0198f3a0-0000-7000-8000-000000000001",
}
-- What each request has, so that no page shows it.
local usual = { ["moonpost-id"] = true, ["moonpost-attempt"] = true, ["user-agent"] = true }

--- The kind of a block of Lua: a "module" and its name, a "spec", a "script", or a "fragment" of one.
function shown.kind(block)
  local module = block.lines[1]:match("^%-%- scripts/lib/([%w_-]+)%.lua$")
  if module then
    return "module", module
  elseif block.text:find("moonpost.testing", 1, true) then
    return "spec"
  end
  return ("\n" .. block.text):find("\nreturn ") and "script" or "fragment"
end

--- A partner loaded from a script's text: { modules = { name = text }, secrets }.
function shown.load(text, context)
  context = context or {}
  local folder, name_of_it = runtime.folder(), text:match("^%-%- scripts/([%w_-]+)%.lua") or "acme"
  for name, module in pairs(context.modules or {}) do
    require("luv").fs_mkdir(folder .. "/lib", 493)
    runtime.write_file(("%s/lib/%s.lua"):format(folder, name), module)
  end
  local path = ("%s/%s.lua"):format(folder, name_of_it)
  runtime.write_file(path, text)
  return testing.partner(path, { now = shown.now, id = shown.id, secrets = context.secrets })
end

local function whole(fragment)
  local url = ("\n" .. fragment):find("\n%s*url%s*=") and "" or 'url = "https://acme.example/", '
  return "return { " .. url .. fragment .. " }"
end

-- An event, or the events of a batch, each as its own text; of a request of /postback also its endpoint.
local function events_of(text)
  local endpoint, data = text:match('^%s*{ "endpoint": (%b{}), "data": %[(%b{})%] }%s*$')
  if endpoint then
    return data, { endpoint = cjson.decode(endpoint) }
  elseif not text:find("^%s*%[") then
    return text
  end
  local events = {}
  for event in text:match("^%s*%[(.*)%]%s*$"):gmatch("%b{}") do
    events[#events + 1] = event
  end
  return events
end

-- "POST url", fields, and the body behind an empty line.
local function request_of(text)
  local head, body = text:match("^(.-)\n\n(.*)$")
  head = head or text
  local method, url = head:match("^(%u+) (%S+)")
  local request = { method = method, url = url, headers = {}, body = body and body:gsub("%s+$", "") }
  for name, value in head:gmatch("\n([%w-]+): ([^\n]*)") do
    request.headers[name:lower()] = value
  end
  return request
end

local function seen(request)
  local out = { method = request.method, url = request.url, headers = {}, body = request.body }
  for name, value in pairs(request.headers) do
    if not usual[name:lower()] then
      out.headers[name:lower()] = value
    end
  end
  out.body = out.body and out.body:gsub("%s+$", "") or nil
  return out
end

local function check_request(context, text)
  local partner = assert(shown.load(context.script, context))
  assert.same(request_of(text), seen(assert(partner:render(context.event, context.ctx))))
end

local function evaluate(context, code)
  local script = ('return { url = "https://acme.example/", body = function(event) return tostring(%s) end }'):format(code)
  return assert(assert(shown.load(script, context)):render(context.event)).body
end

local function macros(_, text)
  local _, why = shown.load(("error('<' .. uri.macros(%q) .. '>')"):format(text))
  return why:match("<(.*)>")
end

local function expand(context, template)
  local partner = assert(shown.load(('return { url = "https://acme.example/%s" }'):format(template)))
  return assert(partner:render(context.event)).url:sub(#"https://acme.example/" + 1)
end

local function body(context, code)
  return assert(assert(shown.load(('return { url = "https://acme.example/", body = %s }'):format(code))):render(context.event)).body
end

-- Both cells have as many pieces of code: each gives the other.
local function each_gives(make)
  return function(context, row)
    local given, wanted = page.code(row.cells[1]), page.code(row.cells[2])
    assert.equal(#given, #wanted)
    assert.is_true(#given > 0)
    for i, code in ipairs(given) do
      assert.equal(wanted[i], make(context, code), code)
    end
  end
end

local function check_answer(context, row)
  local partner = assert(shown.load(context.script, context))
  assert.equal(row.cells[2], outcomes.of_answer(partner, context.event, row.cells[1]))
end

local function check_event(context, row)
  local partner = assert(shown.load(context.script, context))
  assert.equal(row.cells[2], outcomes.of_event(partner, page.code(row.cells[1])[1]))
end

local tables = {
  ["template | gives"] = each_gives(expand),
  ["in a body | sends"] = each_gives(body),
  ["call | gives"] = each_gives(evaluate),
  ["theirs | ours"] = each_gives(macros),
  ["answer | means"] = check_answer,
  ["event | becomes"] = check_event,
}

local function read_lua(context, block)
  local kind, name = shown.kind(block)
  if kind == "module" then
    context.modules[name] = block.text
    return function() assert(shown.load(('local _ = require %q\nreturn { url = "https://a.example/" }'):format(name), context)) end
  elseif kind == "spec" then
    return function() assert(loadstring(block.text)) end
  end
  context.script = kind == "script" and block.text or whole(block.text)
  return function() assert(shown.load(context.script, context)) end
end

local function snapshot(context)
  local copy = {}
  for key, value in pairs(context) do
    copy[key] = value
  end
  return copy
end

local function read_code(context, block)
  if block.language == "lua" then
    return read_lua(context, block), "loads"
  elseif block.language == "http" then
    return function(now) check_request(now, block.text) end, "is the request of its event"
  elseif block.language == "json" then
    context.event, context.ctx = events_of(block.text)
  elseif block.language ~= "sh" then
    error(("line %d: there is no checking ```%s"):format(block.line, block.language))
  end
end

local function read_table(context, part, add)
  local header = table.concat(part.header, " | ")
  if header == "secret | is" then
    for _, row in ipairs(part.rows) do
      context.secrets[page.code(row.cells[1])[1]] = page.code(row.cells[2])[1]
    end
  elseif tables[header] then
    for _, row in ipairs(part.rows) do
      add(row.line, header .. ": " .. row.cells[1], function(now) tables[header](now, row) end)
    end
  end
  return tables[header] or header == "secret | is"
end

--- The cases of a page { name, run }; then the headers of the tables that are prose.
function shown.cases(sections)
  local cases, prose = {}, {}
  for _, section in ipairs(sections) do
    local context = { modules = {}, secrets = {} }
    local function add(line, what, run)
      local now = snapshot(context)
      cases[#cases + 1] = { name = ("line %d (%s): %s"):format(line, section.title, what), run = function() run(now) end }
    end
    for _, part in ipairs(section.parts) do
      if part.kind == "code" then
        local run, what = read_code(context, part)
        if run then
          add(part.line, what, run)
        end
      elseif not read_table(context, part, add) then
        prose[#prose + 1] = table.concat(part.header, " | ")
      end
    end
  end
  return cases, prose
end

return shown
