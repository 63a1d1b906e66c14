--- What hooks cost a delivery: processor time of building a request and judging its answer.
--   MOONPOST_BUILD=build luajit spec/support/script_bench.lua [deliveries]
package.path = "./?.lua;./?/init.lua;" .. package.path
local ffi = require("ffi")
local uv = require("luv")
uv.os_setenv("MOONPOST_SECRET_BENCH", "key-of-thirty-two-bytes-or-more-x")
local script = require("spec.support.script")
local c = require("spec.support.cdef").load()

local COUNT = tonumber(arg[1]) or 100000
local ROUNDS = 7
local EVENT = [[{"click_id":"c-1234567890","goal":"signup","payout":1.50,"geo":"DE","user":{"email":"someone@example.com","id":123456},]]
  .. [["name":"purchase","items":[{"id":1,"price":9.99},{"id":2,"price":19.99}],"sub1":"abc","sub2":"def","ip":"192.0.2.1",]]
  .. [["ua":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"}]]
local HEAD = "return { url = \"https://a.example/pb?cid={click_id}&goal={goal}&payout={payout}\", method = \"POST\", "

local cases = {
  { "no functions", "" },
  { "request: query and header", [[request = function(event, request) request.query.v = "2" request.headers["X-Goal"] = event.goal end]] },
  { "verdict", [[verdict = function(response) if response.status == 200 then return "delivered" end end]] },
  { "header with hmac of the body", [[headers = { ["X-Signature"] = function(_, _, request) return hmac.sha256(secret "bench", request.body) end }]] },
  { "accepts", [[accepts = function(event) return (num(event, "payout") or 0) > 0, "no payout" end]] },
  { "all four", [[request = function(event, request) request.query.v = "2" request.headers["X-Goal"] = event.goal end,
    verdict = function(response) if response.status == 200 then return "delivered" end end,
    accepts = function(event) return (num(event, "payout") or 0) > 0, "no payout" end,
    headers = { ["X-Signature"] = function(_, _, request) return hmac.sha256(secret "bench", request.body) end }]] },
}

local function median(list)
  table.sort(list)
  return list[math.ceil(#list / 2)]
end

local function measure(text)
  local loaded = assert(script.load(HEAD .. text .. " }"))
  local state = loaded.has_functions and assert(script.state_of(loaded)) or nil
  local context, kept = script.context(EVENT)
  local request, verdict, err = ffi.new("struct mp_request"), ffi.new("struct mp_verdict"), ffi.new("struct mp_error")
  local response = ffi.new("struct mp_response", { status = 200 })
  response.body = script.slice("{\"ok\":true}")
  local by = ffi.new("const char *[1]")
  c.mp_request_init(request)
  local rounds = {}
  for round = 1, ROUNDS do
    local before = os.clock()
    for _ = 1, COUNT do
      c.mp_request_reset(request)
      assert(c.mp_request_build(loaded, state, context, request, verdict, err) == c.MP_OK, ffi.string(err.text))
      assert(c.mp_judge(loaded, state, context, response, verdict, nil, by, err) == c.MP_OK)
    end
    rounds[round] = (os.clock() - before) * 1e6 / COUNT
  end
  c.mp_request_fini(request)
  assert(kept)
  return median(rounds)
end

assert(c.mp_script_watchdog_start() == c.MP_OK)
local plain
for _, case in ipairs(cases) do
  if not arg[2] or case[1]:find(arg[2], 1, true) then
  local us = measure(case[2])
  plain = plain or us
  print(("%-30s %6.2f us a delivery, %6.2f more than without functions"):format(case[1], us, us - plain))
  end
end
c.mp_script_watchdog_stop()
