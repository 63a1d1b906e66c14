--- Batches through the whole of Moonpost: from many POSTs to few, whatever happens meanwhile.
local cjson = require("cjson")
local support = require("spec.support")
local eventually, http, partner, runtime = support.eventually, support.http, support.partner, support.runtime

-- `batch` is the text inside its braces.
local function script(fake, batch, more)
  return ("return { url = %q, batch = { %s }, item = { n = '{n}', id = '{ctx.id}' }, %s }"):format(
    fake:url("/hook"), batch, more or "")
end

local function start(fake, batch, more, flags)
  return runtime.start({ flags = flags, scripts = { acme = script(fake, batch, more) } })
end

local function events(from, to, more)
  local list = {}
  for n = from, to do
    list[#list + 1] = ('{"n":%d%s}'):format(n, more or "")
  end
  return "[" .. table.concat(list, ",") .. "]"
end

-- How often each n was in a request that was answered 200.
local function delivered(fake)
  local count = {}
  for _, request in ipairs(fake.requests) do
    for _, event in ipairs(request.status == 200 and cjson.decode(request.body) or {}) do
      count[event.n] = (count[event.n] or 0) + 1
    end
  end
  return count
end

local function sizes(fake)
  local list = {}
  for i, request in ipairs(fake.requests) do
    list[i] = #cjson.decode(request.body)
  end
  return list
end

local function wait_until_empty(rt, ms)
  eventually(function() return rt:partner("acme").waiting == 0 end, ms, "an empty queue")
end

-- The dead letters, once there are so many: they are stored a moment after the queue has let go.
local function dead_of(rt, count)
  return eventually(function()
    local items = rt:api("/api/dead?limit=1000").items
    return #items >= count and items
  end, nil, "dead letters")
end

describe("batches", function()
  after_each(support.clean)

  it("fill beyond what a lane has in hand otherwise, also from the disk", function()
    local is_hanging = true
    local fake = partner.new({ handler = function() return is_hanging and { hang = true } or 200 end })
    local rt = start(fake, "size = 500, wait = '1h'", "limits = { concurrency = 1 }")
    rt:accept("/events/acme", events(1, 1500))
    eventually(function() return #fake.requests == 1 end)
    rt:accept("/events/acme", events(1501, 3000))
    is_hanging = false
    fake:release()
    wait_until_empty(rt)
    assert.same({ 500, 500, 500, 500, 500, 500 }, sizes(fake))
    local count = delivered(fake)
    for n = 1, 3000 do
      assert.equal(1, count[n], n)
    end
  end)

  it("go when they have waited, with what there is", function()
    local fake = partner.new()
    local rt = start(fake, "size = 500, wait = '100ms'")
    local ids = rt:accept("/events/acme", events(1, 7))
    wait_until_empty(rt)
    assert.same({ 7 }, sizes(fake))
    local batch = fake.requests[1].headers["moonpost-id"]
    for _, id in ipairs(ids) do
      assert.same({ batch, "delivered" }, { rt:attempt(id).batch, rt:attempt(id).verdict })
    end
  end)

  it("hold one customer's events each", function()
    local fake = partner.new()
    local rt = start(fake, "size = 3, wait = '1h', by = { 'c' }", "headers = { ['X-Customer'] = '{c}' }")
    rt:accept("/events/acme", events(1, 3, ',"c":"x"'))
    rt:accept("/events/acme", events(4, 5, ',"c":"y"'))
    rt:accept("/events/acme", events(6, 9, ',"c":"z"'))
    eventually(function() return #fake.requests == 2 end)
    local customers = { fake.requests[1].headers["x-customer"], fake.requests[2].headers["x-customer"] }
    table.sort(customers)
    assert.same({ "x", "z" }, customers)
    eventually(function() return rt:partner("acme").waiting == 3 end)
  end)

  it("are split around one bad event: it alone is dead, all others arrive once", function()
    local fake = partner.new({
      handler = function(request)
        return request.body:find('"n":7[,}]') and { status = 400, body = "bad email" } or 200
      end,
    })
    local rt = start(fake, "size = 10, wait = '1h'")
    local ids = rt:accept("/events/acme", events(1, 10))
    wait_until_empty(rt)
    local dead = dead_of(rt, 1)
    assert.equal(1, #dead)
    assert.same({ ids[7], "status 400", 1 }, { dead[1].id, dead[1].reason, dead[1].attempts })
    local count = delivered(fake)
    for n = 1, 10 do
      assert.equal(n ~= 7 and 1 or nil, count[n], n)
    end
    local lines = 0
    for _, line in ipairs(rt:attempts()) do
      lines = lines + (line.id == ids[7] and 1 or 0)
      assert.equal(1, line.attempt)
    end
    assert.equal(5, lines) -- of 10, 5, 3, 2 and 1
  end)

  it("have each member's own verdict from a table", function()
    local fake = partner.new({ handler = function() return { body = '{"bad":[2],"later":[3]}' } end })
    local rt = start(fake, "size = 4, wait = '1h'", [[
      verdict = function(response)
        local out = {}
        for _, place in ipairs(response.json.bad) do out[place] = { "dead", "bad" } end
        for _, place in ipairs(response.json.later) do out[place] = { "retry", "6h" } end
        return out
      end]])
    local ids = rt:accept("/events/acme", events(1, 4))
    for i, word in ipairs({ "delivered", "dead", "retry", "delivered" }) do
      assert.equal(word, rt:attempt(ids[i]).verdict)
    end
    eventually(function() return rt:partner("acme").waiting == 1 end)
    assert.equal(ids[2], dead_of(rt, 1)[1].id)
  end)

  it("end their wait at a shutdown", function()
    local fake = partner.new()
    local rt = start(fake, "size = 2, wait = '1h', by = { 'c' }")
    rt:accept("/events/acme", events(1, 1, ',"c":1'))
    rt:accept("/events/acme", events(2, 3, ',"c":2'))
    eventually(function() return #fake.requests == 1 end) -- so the first one has joined its group
    rt:stop()
    assert.same({ 2, 1 }, sizes(fake))
    rt:restart()
    assert.equal(0, rt:partner("acme").waiting)
  end)

  it("are made anew when their script changes meanwhile", function()
    local fake = partner.new()
    local rt = start(fake, "size = 4, wait = '1h'")
    rt:accept("/events/acme", events(1, 3))
    local before = rt:partner("acme").generation
    rt:write_script("acme", (script(fake, "size = 4, wait = '1h'"):gsub("item = {", "item = { new = true,")))
    eventually(function() return rt:partner("acme").generation ~= before end)
    rt:accept("/events/acme", events(4, 4))
    wait_until_empty(rt)
    assert.same({ 4 }, sizes(fake))
    for _, event in ipairs(cjson.decode(fake.requests[1].body)) do
      assert.is_true(event.new)
    end
  end)

  it("lose nothing when Moonpost is killed in the middle", function()
    -- Some are refused, so that halves and retries are among what must survive.
    local fake = partner.new({
      handler = function(request)
        if request.body:find('"n":%d*13[,}]') then
          return 400
        end
        return request.headers["moonpost-attempt"] == "1" and request.body:find('"n":%d*77[,}]') and 503 or 200
      end,
    })
    local rt = start(fake, "size = 20, wait = '20ms'", "retry = { schedule = { '1s', '1s', '1s' } }")
    local accepted = {}
    local load = http.load({
      url = rt:url("/events/acme"), connections = 4, reconnect = true,
      headers = { ["Content-Type"] = "application/json" },
      body = function(n) return ('[{"n":%d},{"n":%d}]'):format(2 * n, 2 * n + 1) end,
      on_answer = function(response)
        if response.status == 202 then
          for _, id in ipairs(cjson.decode(response.body).ids) do
            accepted[#accepted + 1] = id
          end
        end
      end,
    })
    for round = 1, 3 do
      local waited_for = #accepted + 200 * round
      eventually(function() return #accepted >= waited_for end, nil, "answers under load")
      rt:kill9()
      rt:restart()
    end
    load:stop()
    wait_until_empty(rt, 60000)
    local ended = {}
    for _, request in ipairs(fake.requests) do
      for _, event in ipairs(request.status == 200 and cjson.decode(request.body) or {}) do
        ended[event.id] = "delivered"
      end
    end
    local refused = 0
    for _, line in ipairs(rt:attempts()) do
      if line.verdict == "dead" and not ended[line.id] then
        ended[line.id], refused = "dead", refused + 1
        assert.equal("status 400", line.why)
      end
    end
    dead_of(rt, math.min(refused, 1000))
    local lost = 0
    for _, id in ipairs(accepted) do
      lost = lost + (ended[id] and 0 or 1)
    end
    assert.equal(0, lost)
  end)
end)
