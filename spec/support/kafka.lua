--- A real Apache Kafka for the specs.
--   local kafka = require("spec.support.kafka")
--   kafka.it("…", function() local broker = kafka.shared(); broker:create(kafka.prefix() .. "x") … end)
--   kafka.it_with_nodes("…", function() local three = kafka.start({ nodes = 3 }); three:kill9(2) … end)
-- What a file started ends with it. Where there is no Kafka its specs are skipped and say why; with
-- CI=true they fail.
local uv = require("luv")
local client = require("spec.support.kafka.client")
local eventually = require("spec.support.eventually")
local home = require("spec.support.kafka.home")
local nodes = require("spec.support.kafka.nodes")

local kafka = { start = nodes.start, why_none = home.why_none, why_no_nodes = home.why_no_nodes }
local shared, prefixes, count = nil, {}, 0

local function must_be_there()
  return os.getenv("CI") == "true"
end

-- The broker that `./dev test` keeps for all files: kafka/keeper.lua starts it at the first call.
local function ask_keeper(folder)
  local pipe, answer, failure = uv.new_pipe(false), "", nil
  pipe:connect(folder .. "/socket", function(err)
    if err then
      failure = err
      return
    end
    pipe:read_start(function(read_err, chunk)
      failure = read_err or (not chunk and "it ended") or nil
      answer = answer .. (chunk or "")
    end)
  end)
  eventually(function() return failure or answer:find("\n", 1, true) end, 120000, "the shared broker")
  pipe:close()
  local address = answer:match("^at (%S+)\n")
  if not address then
    error("could not get the shared broker: " .. (answer:match("^no (.*)\n") or tostring(failure)), 0)
  end
  return address
end

local function find_shared()
  local folder = os.getenv("MOONPOST_KAFKA_RUN")
  if home.given() then
    return setmetatable({ bootstrap = home.given() }, client)
  elseif folder then
    return setmetatable({ bootstrap = ask_keeper(folder) }, client)
  end
  return nodes.start({ nodes = 1 })
end

--- The broker that all files of a run share: use topics and groups of names of your own. nil and why
-- when there is none.
function kafka.shared()
  local why = home.why_none()
  if why and must_be_there() then
    error("needs a broker: " .. why, 2)
  elseif why then
    return nil, why
  end
  shared = shared or find_shared()
  return shared
end

--- A beginning for names of topics and groups that no other spec has.
function kafka.prefix()
  count = count + 1
  local prefix = ("spec-%d-%d."):format(uv.os_getpid(), count)
  prefixes[#prefixes + 1] = prefix
  return prefix
end

-- Tail calls, here and below: busted names the line that called.
local function it_unless(why, name, fn)
  local words = require("busted")
  if not why then
    return words.it(name, fn)
  elseif must_be_there() and not home.given() then
    return words.it(name, function() error("needs a broker: " .. why, 0) end)
  end
  return words.pending(("%s (needs a broker: %s)"):format(name, why))
end

--- A spec that needs a broker.
function kafka.it(name, fn)
  return it_unless(home.why_none(), name, fn)
end

--- A spec that starts, and kills, nodes of its own.
function kafka.it_with_nodes(name, fn)
  return it_unless(home.why_no_nodes(), name, fn)
end

--- Ends what this file has started. Others' brokers lose our topics.
function kafka.stop_all()
  if shared and home.given() then
    for _, prefix in ipairs(prefixes) do
      shared:delete_prefix(prefix)
    end
  end
  nodes.stop_all()
  shared, prefixes = nil, {}
end

if package.loaded.busted then
  require("busted").subscribe({ "file", "end" }, function()
    kafka.stop_all()
    return nil, true
  end)
end

return kafka
