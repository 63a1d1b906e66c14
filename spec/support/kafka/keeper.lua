--- Keeps the one broker that all spec files of a run share: luajit keeper.lua FOLDER, run by `./dev`. Who
-- connects to FOLDER/socket is told where it is, and the first to do so has it started. Ends, and the
-- broker with it, on SIGTERM and SIGINT.
local uv = require("luv")
local nodes = require("spec.support.kafka.nodes")

local folder = assert(arg[1], "usage: luajit spec/support/kafka/keeper.lua FOLDER")
local waiting, answer = {}, nil

local server = uv.new_pipe(false)
assert(server:bind(folder .. "/socket"))
assert(server:listen(64, function()
  local pipe = uv.new_pipe(false)
  server:accept(pipe)
  waiting[#waiting + 1] = pipe
end))

for _, name in ipairs({ "sigterm", "sigint" }) do
  uv.new_signal():start(name, function() nodes.is_interrupted = true end)
end

while not nodes.is_interrupted do
  uv.run("once")
  if #waiting > 0 and not answer then
    local ok, broker = pcall(nodes.start, { nodes = 1 })
    answer = ok and "at " .. broker.bootstrap .. "\n" or "no " .. tostring(broker):gsub("\n", " | ") .. "\n"
  end
  for _, pipe in ipairs(waiting) do
    pipe:write(answer, function() pipe:close() end)
  end
  waiting = {}
end
nodes.leave()
