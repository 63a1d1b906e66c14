--- The command line itself: what needs no server.
local support = require("spec.support")
local process, runtime = support.process, support.runtime

local commands = { "run", "check", "try", "new", "test", "send", "sink", "partner", "dead", "topics", "health",
                   "version", "help" }

local function moonpost(args, options)
  options = options or {}
  options.args = args
  return process.run(runtime.binary(), options)
end

-- Under sanitizers a child that fails has said so on stderr, and its code is none of ours.
local function ends(code, args, options)
  local child = moonpost(args, options)
  assert.equal(code, child.code, table.concat(args, " ") .. ": " .. child:text())
  return child
end

describe("the command line", function()
  after_each(support.clean)

  it("prints the overview and exits 2 when no command is given", function()
    local out = ends(2, {}):text("out")
    for _, name in ipairs(commands) do
      assert.truthy(out:find("\n  " .. name .. " ", 1, true), name .. " is not in the overview")
    end
    assert.equal(out, ends(0, { "help" }):text("out"))
    assert.equal(out, ends(0, { "--help" }):text("out"))
  end)

  it("prints the same help for `help x` and `x --help`, with the exit codes", function()
    for _, name in ipairs(commands) do
      local out = ends(0, { "help", name }):text("out")
      assert.truthy(out:find("Usage: moonpost " .. name, 1, true))
      assert.truthy(out:find("Exit codes:\n  0 ", 1, true))
      assert.equal(out, ends(0, { name, "--help" }):text("out"))
    end
  end)

  it("tells each option with its default and its name in the environment", function()
    local out = ends(0, { "help", "run" }):text("out"):gsub("%s+", " ")
    for option, default in pairs({
      listen = "127.0.0.1:4000", scripts = "scripts", data = "./data", workers = "0",
      drain = "30s", ["idempotency-window"] = "24h", ["log-level"] = "info", ["json-depth"] = "128",
      ["body-limit"] = "1MiB", ["header-limit"] = "16KiB", ["header-count"] = "100",
      ["header-timeout"] = "10s", ["body-timeout"] = "30s", ["idle-timeout"] = "75s",
      connections = "10000", role = "all", ["kafka-timeout"] = "15s", ["kafka-window"] = "8192",
      ["kafka-memory"] = "256MiB", ["unknown-partner"] = "24h",
    }) do
      local name = "MOONPOST_" .. option:upper():gsub("-", "_")
      assert.truthy(out:find("--" .. option .. " ", 1, true), option)
      assert.truthy(out:find(("default %s; %s)"):format(default, name), 1, true), option)
    end
  end)

  it("stays within 100 columns", function()
    for _, name in ipairs(commands) do
      for _, line in ipairs(ends(0, { "help", name }).out) do
        assert.is_true(#line:gsub("[\128-\191]", "") <= 100, line)
      end
    end
  end)

  it("suggests the command that was meant", function()
    assert.truthy(ends(2, { "chekc" }):text():find("did you mean `check`?", 1, true))
    assert.truthy(ends(2, { "partners" }):text():find("did you mean `partner`?", 1, true))
    assert.truthy(ends(2, { "xyzzy" }):text():find("`moonpost help` lists them", 1, true))
  end)

  it("suggests the option that was meant", function()
    assert.truthy(ends(2, { "run", "--lisen", "x" }):text():find("--listen", 1, true))
  end)

  it("names the option and its range when a value is out of it", function()
    for _, case in ipairs({
      { "json-depth", "0" }, { "json-depth", "10001" }, { "body-limit", "1023" },
      { "body-limit", "65MiB" }, { "workers", "257" }, { "workers", "-1" }, { "drain", "2h" },
      { "connections", "0" }, { "header-limit", "lots" }, { "role", "both" },
      { "kafka-timeout", "999ms" }, { "kafka-window", "15" }, { "kafka-memory", "15MiB" },
      { "unknown-partner", "31d" },
    }) do
      local said = ends(2, { "run", "--" .. case[1] .. "=" .. case[2] }):text()
      assert.truthy(said:find("--" .. case[1], 1, true), said)
    end
  end)

  it("tells no password that was given to a command without the option", function()
    local said = ends(2, { "send", "-Xsasl.password=canary-7f3a", "{}" }):text()
    assert.truthy(said:find("-Xsasl.password", 1, true), said)
    assert.falsy(said:find("canary", 1, true), said)
  end)

  it("prints the version and the libraries'", function()
    for _, word in ipairs({ "version", "--version" }) do
      local out = ends(0, { word }).out
      assert.equal("moonpost 0.1.0", out[1])
      local text = table.concat(out, "\n")
      for _, name in ipairs({ "libuv 1.", "libcurl ", "LuaJIT 2.", "SQLite 3.",
                           "librdkafka " }) do
        assert.truthy(text:find(name, 1, true), name)
      end
    end
  end)

  it("says that the output could not be written", function()
    local child = process.run("/bin/sh", {
      args = { "-c", "exec \"$0\" version >/dev/full", runtime.binary() } })
    assert.equal(1, child.code)
    assert.truthy(child:text():find("could not write the output: No space left", 1, true))
  end)

  it("says nothing when the reader is gone", function()
    local child = process.run("/bin/sh", {
      args = { "-c", "(trap '' PIPE; while printf . 2>/dev/null; do :; done; exec \"$0\" help) | true", runtime.binary() } })
    assert.equal("", child:text())
  end)

  it("refuses a wrong number of words", function()
    for _, args in ipairs({ { "try", "acme" }, { "send" }, { "topics" },
                            { "topics", "delete" }, { "topics", "create" }, { "partner" }, { "partner", "pause" },
                            { "partner", "stop", "acme" }, { "dead" }, { "dead", "show" },
                            { "dead", "replay" }, { "dead", "purge", "--json" },
                            { "dead", "replay", "x", "--partner", "acme" },
                            { "dead", "list", "--since", "2h" } }) do
      ends(2, args)
    end
  end)
end)
