--- Makes the JVM's archive of Kafka's classes: luajit spec/support/kafka/archive.lua, run by `fetch`. A node
-- is started and ended once; the classes it had loaded need not be read and verified again.
local home = require("spec.support.kafka.home")
local nodes = require("spec.support.kafka.nodes")

local path = home.archive() .. "." .. require("luv").os_getpid()
local node = nodes.start({ nodes = 1, archive = path })
node:stop(true)
assert(os.rename(path, home.archive()))
nodes.leave()
