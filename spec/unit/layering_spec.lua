--- Folders are the path of a delivery, and the #include lines show it: which room may know which.
local files = require("spec.support.files")

local read = files.read
local sources = files.list({ "src", "include" }, "%.[ch]$")

-- The room of each public header.
local header_room = {
  status = "base", buf = "base", base64 = "base", clock = "base", id = "base", json = "base", log = "base",
  metrics = "base", options = "base", template = "base", secrets = "base",
  record = "record", exchange = "record",
  queue = "queue", dead = "queue", engine = "queue", kafka = "queue",
  script = "script", plan = "script", leaf = "script", scripts = "script",
  deliver = "deliver", egress = "deliver", ingest = "ingest", console = "console", cli = "cli", testing = "testing",
}

local every = { base = true, record = true, queue = true, script = true, deliver = true, ingest = true,
                console = true, cli = true, testing = true }
local arrows = {
  base = { base = true },
  record = { base = true, record = true },
  queue = { base = true, record = true, queue = true },
  script = { base = true, record = true, script = true },
  deliver = { base = true, record = true, queue = true, script = true, deliver = true },
  ingest = { base = true, record = true, queue = true, ingest = true },
  testing = every, console = every, cli = every, app = every,
}

-- Borders: a library's header, and the files that may see it (version.c only asks how old it is).
local borders = {
  { "^curl/", { "^src/deliver/curl_", "^src/deliver/transfer",
                "^src/cli/http_client", "^src/cli/version%.c" } },
  { "^sqlite3%.h$", { "^src/queue/embedded_sql", "^src/cli/version%.c" } },
  { "^librdkafka/", { "^src/queue/kafka_" } },
  { "^lua[%w]*%.h", { "^src/script/", "^src/cli/version%.c" } },
  { "^llhttp%.h$", { "^src/ingest/", "^src/cli/sink" } },
  { "^openssl/", { "^src/base/digest", "^src/script/" } },
}

local function room_of(path)
  return path:match("^src/([^/]+)/") or (path:find("^src/") and "app")
    or header_room[path:match("^include/moonpost/([^/]+)%.h$") or ""]
end

local function each_include(visit)
  for _, path in ipairs(sources) do
    for kind, name in read(path):gmatch('\n#%s*include%s+([<"])([^>"]+)[>"]') do
      visit(path, name, kind == '"')
    end
  end
end

local function matches_any(path, patterns)
  for _, pattern in ipairs(patterns) do
    if path:find(pattern) then
      return true
    end
  end
  return false
end

describe("the house", function()
  it("has a room for every file", function()
    local strays = {}
    for _, path in ipairs(sources) do
      if not arrows[room_of(path) or ""] then
        strays[#strays + 1] = path
      end
    end
    assert.same({}, strays)
    assert.is_true(#sources > 0)
  end)

  it("lets a room include only what stands before it on the path", function()
    local wrong, seen = {}, 0
    each_include(function(path, name)
      local header = name:match("^moonpost/([^/]+)%.h$")
      if header then
        seen = seen + 1
        if not (header_room[header] and arrows[room_of(path)][header_room[header]]) then
          wrong[#wrong + 1] = path .. " includes " .. name
        end
      end
    end)
    assert.same({}, wrong)
    assert.is_true(seen > 20)
  end)

  it("keeps a room's own headers in the room", function()
    local wrong = {}
    each_include(function(path, name, is_quoted)
      if not is_quoted or name:find("^moonpost/") then
        return
      end
      -- Beside it, or written with the room's own name.
      local folder = path:match("^(.*/)")
      local own = name:gsub("^" .. (path:match("^src/([^/]+/)") or "/"), "")
      local file = not own:find("/") and io.open(folder .. own)
      if file then
        file:close()
      else
        wrong[#wrong + 1] = path .. " includes " .. name
      end
    end)
    assert.same({}, wrong)
  end)

  it("lets a foreign library in only at its border", function()
    local wrong = {}
    each_include(function(path, name)
      for _, border in ipairs(borders) do
        if name:find(border[1]) and not matches_any(path, border[2]) then
          wrong[#wrong + 1] = path .. " includes " .. name
        end
      end
    end)
    assert.same({}, wrong)
  end)

  -- So that they can be tried with millions of random steps, and by specs that have no broker.
  it("keeps what needs no broker free of the broker's library", function()
    local free = { "kafka_tracker", "kafka_lane", "kafka_links", "kafka_topics", "kafka_fields", "kafka_record_" }
    local includes, wrong, seen = {}, {}, 0
    each_include(function(path, name)
      includes[path] = includes[path] or {}
      table.insert(includes[path], name)
    end)
    local function reaches(path, been)
      been[path] = true
      for _, name in ipairs(includes[path] or {}) do
        local header = name:find("^moonpost/") and "include/" .. name or path:match("^(.*/)") .. name
        if name:find("^librdkafka/") or (not been[header] and reaches(header, been)) then
          return true
        end
      end
      return false
    end
    for path in pairs(includes) do
      for _, name in ipairs(free) do
        if path:find("^src/queue/" .. name) then
          seen = seen + 1
          wrong[#wrong + 1] = reaches(path, {}) and path or nil
        end
      end
    end
    assert.same({}, wrong)
    assert.is_true(seen >= 8)
  end)

  it("never asks the HTTP parser to be lenient", function()
    for _, path in ipairs(sources) do
      assert.is_nil(read(path):find("llhttp_set_lenient", 1, true), path)
    end
  end)

  it("ends the process only in main.c", function()
    local wrong = {}
    for _, path in ipairs(sources) do
      local code = read(path):gsub("/%*.-%*/", ""):gsub('"[^"\n]*"', '""')
      if path ~= "src/main.c" then
        for _, word in ipairs({ "exit", "_exit", "_Exit", "quick_exit" }) do
          -- A child that could not become busted has no other way.
          local is_child = path == "src/cli/busted.c" and word == "_exit"
          if not is_child and code:find("%f[%w_]" .. word .. "%s*%(") then
            wrong[#wrong + 1] = path .. " calls " .. word
          end
        end
      end
    end
    assert.same({}, wrong)
  end)
end)
