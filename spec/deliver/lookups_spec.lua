--- Name lookups: a silent name server holds up those who need it, a few at a time, and nobody else.
local deliver = require("spec.support.deliver")
local partner, eventually = deliver.partner, deliver.eventually

local function script(fake, host)
  return ("return { url = %q, method = 'GET', timeout = '10m', limits = { concurrency = 50 } }"):format(fake:url("/", host))
end

-- Nobody gives up while lookups are held, however busy the machine is.
local function start(scripts, lookups_max)
  return deliver.start({ tune = { connect_max_ms = 600000, lookups_max = lookups_max }, scripts = scripts })
end

local function lookups(room)
  local names = {}
  for i, value in ipairs(room:all(function(value) return value.lookup end)) do
    names[i] = value.lookup
  end
  table.sort(names)
  return names
end

describe("name lookups", function()
  after_each(deliver.clean)

  it("are one for a host, however many deliveries and partners wait for it", function()
    local fake = partner.new()
    local room = start({ one = script(fake, "a.spec"), two = script(fake, "a.spec"), three = script(fake, "b.spec") })
    room:tell({ op = "hold_lookups" })
    for _, name in ipairs({ "one", "two", "three" }) do
      room:send({ id = name, partner = name, count = 40 })
    end
    eventually(function() return #lookups(room) == 2 and room:in_flight("two") > 0 end)
    room:tell({ op = "let_lookups" })
    eventually(function() return room:outcomes().settle == 120 end)
    assert.same({ "a.spec", "b.spec" }, lookups(room))
  end)

  it("are so many at a time on one worker, and the others' turn comes", function()
    local fake, scripts = partner.new(), {}
    for i = 1, 12 do
      scripts["p" .. i] = script(fake, ("h%d.spec"):format(i))
    end
    local room = start(scripts, 4)
    room:tell({ op = "hold_lookups" })
    for i = 1, 12 do
      room:send({ id = "d" .. i .. "-", partner = "p" .. i, count = 5 })
    end
    eventually(function() return #lookups(room) == 4 end)
    room:send({ id = "more", partner = "p1" })
    assert.is_true(room:in_flight("p1") >= 0) -- a turn of the loop later
    assert.equal(4, #lookups(room))
    room:tell({ op = "let_lookups" })
    eventually(function() return room:outcomes().settle == 61 end)
    assert.equal(12, #lookups(room))
  end)

  it("are sixteen at a time unless told otherwise", function()
    local fake, scripts = partner.new(), {}
    for i = 1, 20 do
      scripts["p" .. i] = script(fake, ("h%d.spec"):format(i))
    end
    local room = start(scripts)
    room:tell({ op = "hold_lookups" })
    for i = 1, 20 do
      room:send({ id = "d" .. i, partner = "p" .. i })
    end
    eventually(function() return #lookups(room) == 16 end)
    room:send({ id = "more", partner = "p1" })
    assert.is_true(room:in_flight("p1") >= 0)
    assert.equal(16, #lookups(room))
    room:tell({ op = "let_lookups" })
    eventually(function() return room:outcomes().settle == 21 end)
  end)

  it("are not in the way of who needs none", function()
    local fake = partner.new()
    local room = start({ stuck = script(fake, "a.spec"), next_one = script(fake, "b.spec"), acme = script(fake) }, 1)
    room:tell({ op = "hold_lookups" })
    room:send({ id = "s", partner = "stuck", count = 10 })
    room:send({ id = "n", partner = "next_one", count = 10 })
    eventually(function() return #lookups(room) == 1 end)
    room:send({ id = "a", count = 30 })
    eventually(function() return room:outcomes().settle == 30 end)
    assert.equal(1, #lookups(room))
    room:tell({ op = "let_lookups" })
    eventually(function() return room:outcomes().settle == 50 end)
  end)
end)
