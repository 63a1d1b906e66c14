--- A hundred destinations, one of which hangs, longer than the spec waits: the others do not notice.
local uv = require("luv")
local support = require("spec.support")
local eventually, http, partner, runtime = support.eventually, support.http, support.partner, support.runtime

local hosts, each, stuck_host = 100, 5, 50

local function address(i)
  return "127.0.0." .. i
end

local function percentile(list, share)
  table.sort(list)
  return list[math.max(1, math.ceil(#list * share))] or 0
end

-- Posts `each` events to every destination, the hanging one first and with more than its lane can
-- begin, and returns the delays in ms of those that arrived elsewhere.
local function measure(rt, fake, body_of, path_of, hanging)
  fake.requests = {}
  local sent_at, waves = {}, {}
  if hanging then
    for n = 1, 40 do
      waves[#waves + 1] = { stuck_host, "h" .. n }
    end
  end
  for n = 1, each do
    for i = 1, hosts do
      if i ~= stuck_host then
        waves[#waves + 1] = { i, ("%d-%d"):format(i, n) }
      end
    end
  end
  local by_path = {}
  for _, wave in ipairs(waves) do
    by_path[path_of(wave[1])] = by_path[path_of(wave[1])] or {}
    table.insert(by_path[path_of(wave[1])], wave)
  end
  local expected = each * (hosts - 1)
  for path, list in pairs(by_path) do
    http.load({ url = rt:url(path), connections = 1, total = #list,
                headers = { ["Content-Type"] = "application/json" },
                body = function(n)
                  sent_at[list[n][2]] = uv.hrtime()
                  return body_of(list[n][1], list[n][2])
                end })
  end
  local delays, next_request = {}, 1
  eventually(function()
    while fake.requests[next_request] do
      local request = fake.requests[next_request]
      local key = request.target:match("k=(.+)$")
      if not key:find("^h") then
        delays[#delays + 1] = (request.at - sent_at[key]) / 1e6
      end
      next_request = next_request + 1
    end
    return #delays == expected, #delays
  end, 20000, expected .. " deliveries beside the one that hangs")
  return delays
end

local function hold(fake)
  fake.handler = function(request)
    return request.target:find("k=h", 1, true) and { hang = true } or 200
  end
end

local function compare(name, rt, fake, body_of, path_of)
  measure(rt, fake, body_of, path_of, false) -- connections are made
  local alone = measure(rt, fake, body_of, path_of, false)
  local beside = measure(rt, fake, body_of, path_of, true)
  print(("  %s: p99 %.1f ms without, %.1f ms beside a destination that hangs (p50 %.1f, %.1f)"):format(name,
    percentile(alone, 0.99), percentile(beside, 0.99), percentile(alone, 0.5), percentile(beside, 0.5)))
  assert.is_true(#fake.hanging > 0, "nothing hung: the spec showed nothing")
  fake:release()
end

describe("one that hangs", function()
  after_each(support.clean)

  it("among a hundred hosts behind /postback holds up no other", function()
    local fake = partner.new({ host = "0.0.0.0" })
    hold(fake)
    local rt = runtime.start({ flags = { "--drain", "1s" },
                               scripts = { postback = 'return { timeout = "10m" }' } })
    compare("hosts", rt, fake, function(i, key)
      return ('{"endpoint":{"method":"GET","url":"http://%s:%d/?k={k}"},"data":[{"k":"%s"}]}'):format(
        address(i), fake.port, key)
    end, function() return "/postback" end)
  end)

  it("among a hundred partners holds up no other", function()
    local fake = partner.new({ host = "0.0.0.0" })
    hold(fake)
    local scripts = {}
    for i = 1, hosts do
      scripts["p" .. i] = ('return { url = "http://%s:%d/?k={k}", timeout = "10m" }'):format(address(i), fake.port)
    end
    local rt = runtime.start({ flags = { "--drain", "1s" }, scripts = scripts })
    compare("partners", rt, fake, function(_, key) return ('{"k":"%s"}'):format(key) end,
      function(i) return "/events/p" .. i end)
  end)
end)
