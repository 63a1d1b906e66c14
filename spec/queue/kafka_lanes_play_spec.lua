--- Kafka's lanes with whole partners and a log to read, on a simulated clock: what is spilled, and
-- how long others wait for it. And at random, against a plain list of each lane.
local probe = (os.getenv("MOONPOST_BUILD") or "build") .. "/mp_lanes_probe"

local function run(words)
  local pipe = assert(io.popen(probe .. " " .. words .. " 2>&1"))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

--- Figures by group, and `all`.
local function simulate(words)
  local figures = { text = run("simulate " .. words) }
  for line in figures.text:gmatch("[^\n]+") do
    local group = {}
    for name, number in line:gmatch("(%S+)=(%d+)") do
      group[name] = tonumber(number)
    end
    figures[line:match("^%S+")] = group
  end
  assert(figures.all, figures.text)
  return figures
end

describe("a busy healthy partner with a backlog of a million", function()
  it("is read at its own pace and never spilled, from the first moment, at any speed", function()
    for speed, traits in pairs({
      [20000] = "burst_ms=5 a:at_once=100:takes_ms=5", [5000] = "burst_ms=10 a:at_once=50:takes_ms=10",
      [2000] = "burst_ms=10 a:at_once=40:takes_ms=20", [1100] = "burst_ms=10 a:at_once=11:takes_ms=10",
      [2200] = "burst_ms=10 a:at_once=250:takes_ms=100",
    }) do
      local f = simulate("ms=3000 backlog=1000000 " .. traits)
      assert.equal(0, f.a.spilled, f.text)
      assert.is_true(f.a.finished > speed * 3 * 0.9, speed .. "\n" .. f.text)
    end
  end)

  it("shares it with another one", function()
    local f = simulate("ms=3000 backlog=1000000 burst_ms=10 a:at_once=50:takes_ms=10 b:at_once=50:takes_ms=10")
    assert.same({ 0, 0 }, { f.a.spilled, f.b.spilled }, f.text)
    assert.is_true(f.a.finished > 13500 and f.b.finished > 13500, f.text)
  end)

  it("is not spilled for a pause of 300 ms, and only meanwhile for one of 700 ms", function()
    local words = "ms=10000 backlog=1000000 returns=1 burst_ms=10 a:at_once=50:takes_ms=10:stall_from=5000:stall_to="
    local f = simulate(words .. 5300)
    assert.equal(0, f.a.spilled, f.text)
    f = simulate(words .. 5700)
    assert.is_true(f.a.spilled < 25000 and f.a.spilled_by <= 5700, f.text)
  end)

  it("has what was spilled in such a pause back within 10 s", function()
    local f = simulate("ms=20000 rate=3000 returns=1 burst_ms=10 " ..
      "a:at_once=50:takes_ms=10:stall_from=5000:stall_to=7000")
    assert.is_true(f.a.spilled > 5000 and f.a.trips == f.a.spilled, f.text)
    assert.is_true(f.a.finished > 20 * 3000 - 100, f.text)
  end)
end)

describe("hanging partners", function()
  for _, count in ipairs({ 1, 10, 100, 1000 }) do
    it(("keep the others' records waiting for no more than 600 ms: %d of them"):format(count), function()
      local f = simulate("ms=20000 rate=20000 returns=1 most_out=24576 bad:lanes=" .. count ..
        ":share=1:at_once=32:takes_ms=15000 good:lanes=10:share=1:at_once=32:takes_ms=10")
      assert.equal(0, f.good.spilled, f.text)
      assert.is_true(f.good.lag_ms <= 600, f.text)
      assert.is_true(f.good.finished > 199000, f.text)
    end)
  end

  it("of a backlog of 200,000 are spilled as fast as it is read", function()
    local f = simulate("ms=8000 backlog=200000 rate=1000 bad:share=100:at_once=32:takes_ms=15000 " ..
      "good:lanes=10:at_once=32:takes_ms=10")
    assert.is_true(f.all.backlog_read_ms <= 2000 + 600, f.text)
    assert.equal(0, f.good.spilled, f.text)
  end)

  it("of any size one after the other keep the others' waiting for about a second", function()
    local words = {}
    for i, name in ipairs({ "a", "b", "c", "d", "e", "f" }) do
      words[i] = ("%s:lanes=%d:share=64:at_once=32:takes_ms=15000"):format(name, 2 ^ (i - 1))
    end
    local f = simulate("ms=20000 rate=20000 returns=1 good:lanes=10:share=64:at_once=32:takes_ms=10 " ..
      table.concat(words, " "))
    assert.is_true(f.good.lag_ms <= 1100, f.text)
    assert.equal(0, f.good.spilled, f.text)
  end)

  it("with large records leave the others theirs", function()
    local f = simulate("ms=10000 rate=2000 returns=1 bad:at_once=32:takes_ms=15000:bytes=300000 " ..
      "good:lanes=10:at_once=32:takes_ms=10:bytes=300000")
    assert.is_true(f.good.lag_ms <= 600 and f.good.spilled == 0, f.text)
  end)
end)

describe("slow partners", function()
  it("keep the others' records waiting for no more than a second: a hundred of 20 a second", function()
    local f = simulate("ms=20000 rate=22000 returns=1 slow:lanes=100:share=20:at_once=4:takes_ms=200 " ..
      "good:at_once=32:takes_ms=10")
    assert.is_true(f.good.lag_ms <= 1000 and f.good.spilled == 0, f.text)
    assert.is_true(f.slow.finished > 0.97 * 20 * 100 * 20, f.text)
  end)

  it("are kept busy by what comes back, each record spilled once", function()
    local f = simulate("ms=60000 backlog=20000 returns=1 a:at_once=8:takes_ms=20")
    assert.same({ 20000, f.a.spilled }, { f.a.finished, f.a.trips }, f.text)
    f = simulate("ms=20000 backlog=4000 returns=1 a:at_once=8:takes_ms=10")
    assert.same({ 4000, f.a.spilled }, { f.a.finished, f.a.trips }, f.text)
  end)

  it("of 2 s an answer are slow and not dead", function()
    local f = simulate("ms=60000 rate=100 returns=1 a:at_once=32:takes_ms=2000")
    assert.is_true(f.a.finished >= 900, f.text)
    assert.is_true(f.a.last_due_ms < 600000, f.text)
  end)
end)

describe("whatever the owner does, also from inside give and spill,", function()
  it("nothing is lost, given twice, out of turn, while held, or counted wrongly", function()
    for seed = 1, 12 do
      local text = run(("random %d 1500"):format(seed))
      assert.truthy(text:find("^random\t"), ("seed %d: %s"):format(seed, text))
      for _, kind in ipairs({ "parked", "forgotten", "paused", "breaker" }) do
        assert.truthy(text:find(kind .. "=[1-9]"), text)
      end
    end
  end)
end)

describe("a hundred thousand lanes", function()
  it("are given all that came", function()
    local f = simulate("ms=2000 rate=50000 good:lanes=100000:at_once=4:takes_ms=20")
    assert.is_true(f.good.finished > 98000 and f.good.spilled == 0 and f.good.lag_ms < 20, f.text)
  end)
end)
