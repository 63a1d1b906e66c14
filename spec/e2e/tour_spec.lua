--- The first things a newcomer does, done; and the words that lead through the house, checked.
local uv = require("luv")
local read = require("spec.support.files").read
local support = require("spec.support")
local eventually, process, runtime = support.eventually, support.process, support.runtime

local function spawn(args, options)
  options = options or {}
  options.args = args
  return process.spawn(runtime.binary(), options)
end

describe("the README", function()
  after_each(support.clean)

  it("has a first postback that leaves for its sink as it says", function()
    local text = read("README.md")
    local body = assert(text:match("curl %-s http://127%.0%.0%.1:4000/postback %-d '(.-)'"), "no curl line")
    local said = assert(text:match("the sink prints `([^`]+)`"), "no promise of what arrives")
    local sink = spawn({ "sink", "--listen", "127.0.0.1:0" })
    local port = sink:wait_for("127%.0%.0%.1:%d+"):match("127%.0%.0%.1:(%d+)")
    local rt = runtime.start({ scripts = { postback = read("scripts/postback.lua") } })
    local answer = rt:request("POST", "/postback", nil, (body:gsub("127%.0%.0%.1:9000", "127.0.0.1:" .. port)))
    assert.equal(202, answer.status, answer.body)
    local line = sink:wait_for("GET /data", nil, "out")
    assert.is_truthy(line:find(said, 1, true), line)
    eventually(function() return #rt:attempts() == 1 end, nil, "the attempt's line")
    sink:kill()
    sink:wait()
  end)

  it("names files that are there", function()
    local missing = {}
    for _, path in ipairs({ "README.md", "src/README.md", "scripts/README.md", "spec/README.md" }) do
      local folder = path:match("^(.*/)") or ""
      for target in (read(path) or ""):gmatch("%]%(([^)#]+)[^)]*%)") do
        if not target:find("^%a+:") and not uv.fs_stat(folder .. target) then
          missing[#missing + 1] = path .. " -> " .. target
        end
      end
    end
    assert.same({}, missing)
  end)
end)

describe("the tour", function()
  -- `room/file.c:function` is how it points; each must be there to be found.
  it("points only at functions that are where it says", function()
    local text = assert(read("src/README.md"), "src/README.md is missing")
    local wrong, seen = {}, 0
    for path, name in text:gmatch("([%w_/]+%.[ch]):([%a_][%w_]*)") do
      seen = seen + 1
      local code = read("src/" .. path) or read(path) or read("include/moonpost/" .. path)
      if not code or not code:find("%f[%w_]" .. name .. "%f[^%w_]") then
        wrong[#wrong + 1] = path .. ":" .. name
      end
    end
    assert.same({}, wrong)
    assert.is_true(seen >= 20, "the tour points at " .. seen .. " places")
  end)
end)

describe("the command line", function()
  after_each(support.clean)

  it("checks, tries and sends to a partner, and tells how it is", function()
    local rt = runtime.start({ scripts = {
      acme = 'return { url = "http://127.0.0.1:1/pb?c={click}", retry = { schedule = { "1h" } } }',
    } })
    local function moonpost(args)
      local child = process.run(runtime.binary(), { args = args, cwd = rt.root })
      assert.equal(0, child.code, table.concat(args, " ") .. ": " .. child:text() .. child:text("out"))
      return child:text("out")
    end
    moonpost({ "check", "scripts/acme.lua" })
    assert.matches("/pb%?c=7", moonpost({ "try", "acme", '{"click":7}', "--scripts", "scripts" }))
    assert.matches("acme", moonpost({ "partner", "list", "--server", rt.address }))
    moonpost({ "partner", "pause", "acme", "--server", rt.address })
    assert.equal("paused", rt:partner("acme").state)
    moonpost({ "partner", "resume", "acme", "--server", rt.address })
    assert.equal("ok", rt:partner("acme").state)
    assert.matches("moonpost %d", moonpost({ "version" }))
    assert.matches("run", moonpost({ "help" }))
  end)

  it("tells a broken script by file and line", function()
    local folder = runtime.folder()
    runtime.write_file(folder .. "/acme.lua", "return {\n  url = = 1,\n}\n")
    local child = process.run(runtime.binary(), { args = { "check", folder .. "/acme.lua" } })
    assert.equal(1, child.code)
    assert.matches("acme%.lua:2:", child:text() .. child:text("out"))
  end)

  it("refuses what it does not know, and names what it takes", function()
    local child = process.run(runtime.binary(), { args = { "run", "--lisen", "127.0.0.1:0" } })
    assert.equal(2, child.code)
    assert.matches("%-%-listen", child:text())
  end)

  it("tells who holds the data folder", function()
    local rt = runtime.start()
    local child = process.run(runtime.binary(), { args = { "run", "--listen", "127.0.0.1:0", "--data", rt.data,
                                                           "--scripts", rt.scripts } })
    assert.is_true(child.code ~= 0)
    assert.matches(tostring(rt.child.pid), child:text())
  end)
end)
