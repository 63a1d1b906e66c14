--- What only the embedded engine promises: its folder, its file, its disk and its memory.
local ffi = require("ffi")
local harness = require("spec.support.queue_harness")
local eventually = harness.eventually

local function sql(home, text)
  local pipe = assert(io.popen(("sqlite3 '%s/moonpost.db' \"%s\" 2>&1"):format(home, text)))
  local answer = pipe:read("*a")
  pipe:close()
  return (answer:gsub("\n$", ""))
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

describe("the embedded queue's folder", function()
  after_each(harness.clean)

  it("is made when it is missing, for its owner alone", function()
    local home = harness.home() .. "/deep/er"
    harness.open(home):close()
    local pipe = io.popen("stat -c %a '" .. home .. "'")
    assert.equal("700\n", pipe:read("*a"))
    pipe:close()
  end)

  it("belongs to one process, and a second is told which", function()
    local queue = harness.open(harness.home())
    local status, why = harness.refused(queue.home)
    assert.equal("EBUSY", status)
    assert.equal(("could not open the queue in %s: process %d holds it"):format(queue.home,
      queue.child.pid), why)
    queue:append("acme", "a1")
    queue:taken("a1")
    queue:die()
    queue = queue:again()
    queue:taken("a1")
    queue:close()
  end)

  it("can be looked at with sqlite3 while it runs", function()
    local queue = harness.open(harness.home())
    queue:append("acme", "a1", '{"n":1}')
    assert.equal('a1|acme|acme|{"n":1}', sql(queue.home, "select id, partner, lane, event from fresh"))
    queue:taken("a1")
    queue:tell("retry", "a1", 3600000)
    eventually(function()
      return sql(queue.home, "select id, attempts, last_status from retry") == "a1|1|503"
    end)
    assert.equal("0", sql(queue.home, "select count(*) from fresh"))
    queue:close()
    assert.equal("ok", sql(queue.home, "pragma integrity_check"))
    assert.is_nil(io.open(queue.home .. "/moonpost.db-wal"))
  end)

  it("is refused when a newer schema is in it, and left alone", function()
    local queue = harness.open(harness.home())
    queue:close()
    sql(queue.home, "pragma user_version = 99")
    local status, why = harness.refused(queue.home)
    assert.equal("EINVAL", status)
    assert.equal("could not open the queue in " .. queue.home
      .. ": a newer Moonpost wrote it (schema 99, this one knows up to 1)", why)
    assert.equal("99", sql(queue.home, "pragma user_version"))
  end)

  it("is refused when the file in it is somebody else's", function()
    local home = harness.home()
    sql(home, "create table t (x)")
    local status, why = harness.refused(home)
    assert.equal("EINVAL", status)
    assert.matches("its moonpost.db is not Moonpost's", why, 1, true)
    assert.equal("t", sql(home, ".tables"))
  end)

  it("is refused with what to do when the file in it is damaged", function()
    local home = harness.home()
    write(home .. "/moonpost.db", ("not a database "):rep(1000))
    local status, why = harness.refused(home)
    assert.equal("EIO", status)
    assert.equal("could not open the queue in " .. home .. ": moonpost.db is damaged; put a backup "
      .. "in its place, or move it away to begin with an empty queue", why)
  end)

  it("is refused with a reason when it cannot be made", function()
    local home = harness.home()
    write(home .. "/file", "")
    local status, why = harness.refused(home .. "/file/data")
    assert.equal("EIO", status)
    assert.equal("could not open the queue in " .. home .. "/file/data: Not a directory", why)
  end)
end)

describe("the embedded queue's disk", function()
  after_each(harness.clean)

  -- No byte more than the files have: every write that grows one fails.
  it("that takes nothing fails the append, keeps what was resolved, and comes back", function()
    local queue = harness.open(harness.home())
    queue:wait("ready", "yes")
    queue:append("acme", "a1,a2,a3,a4")
    queue:taken("a4")
    queue:tell("fsize", 1)
    queue:wait("fsize", "0")
    local status, why = queue:append("acme", "b1", nil, "key", "body", "answer")
    assert.is_true(status == "EFULL" or status == "EIO", status)
    assert.not_equal("", why)
    assert.equal(why, queue:wait("ready")[2])
    queue:tell("settle", "a1")
    queue:tell("retry", "a2", 3600000)
    queue:tell("bury", "a3", "no good")
    queue:tell("pause", "acme", 1, "kept as well")
    status = queue:append("acme", "b2")
    assert.is_true(status == "EFULL" or status == "EIO", status)
    assert.equal(2, queue:stat("acme").waiting)
    queue:tell("fsize", 0)
    queue:wait("ready", "yes")
    assert.equal("OK", (queue:append("acme", "b1", nil, "key", "body", "answer")))
    queue:taken("b1")
    queue:close()
    queue = queue:again()
    queue:taken("a4")
    queue:taken("b1")
    queue:wait("pause", "acme")
    assert.equal(3, queue:stat("acme").waiting)
    assert.equal("a3", queue:list()[1].id)
    assert.equal(0, queue:count("take"))
    queue:close()
    assert.equal("ok", sql(queue.home, "pragma integrity_check"))
  end)

  it("that is full says so, and gives what it has when there is room again", function()
    ffi.cdef("int geteuid(void);")
    local home = harness.home()
    if ffi.C.geteuid() ~= 0
      or os.execute("mount -t tmpfs -o size=1m tmpfs '" .. home .. "' 2>/dev/null") ~= 0 then
      pending("mounting a small tmpfs needs root")
    end
    finally(function()
      harness.stop()
      os.execute("umount -l '" .. home .. "' 2>/dev/null")
    end)
    local queue = harness.open(home)
    queue:wait("ready", "yes")
    queue:tell("quiet")
    local stored = 0
    local status
    for part = 1, 40 do
      status = queue:many("acme", "p" .. part .. "_", 10, 8000)
      if status ~= "OK" then
        break
      end
      stored = stored + 10
    end
    assert.equal("EFULL", status)
    assert.equal("no space left on the device", queue:wait("ready")[2])
    assert.is_true(stored > 0)
    assert.equal(stored, queue:stat("acme").waiting)
    os.execute("mount -o remount,size=16m '" .. home .. "'")
    queue:wait("ready", "yes")
    assert.equal("OK", queue:many("acme", "again", 1, 8000))
    queue:tell("auto", "settle")
    queue:wait_stat("waiting", 0)
    assert.equal(stored + 1, queue:stat().taken)
    queue:close()
  end)

  it("does not keep 100,000 waiting records in memory", function()
    local queue = harness.open(harness.home())
    queue:tell("quiet")
    local before = queue:stat().rss_kib
    for part = 1, 20 do
      queue:many("lane" .. part, "p" .. part .. "_", 5000, 1000)
    end
    local stat = queue:stat()
    assert.equal(100000, stat.waiting)
    -- 100 MB of events; one request's 5,000 pass through memory, a sanitizer keeps more.
    if not (os.getenv("MOONPOST_BUILD") or ""):find("san") then
      assert.is_true(stat.rss_kib - before < 60 * 1024, stat.rss_kib - before .. " KiB more")
    end
    queue:close()
  end)
end)
