--- librdkafka's settings: which a user may make, where they come from, and what an error tells.
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local files = require("spec.support.files")
local runtime = require("spec.support.runtime")

ffi.cdef([[
  void *mp__kafka_conf_new(const struct mp_kafka_cluster *cluster, int role, struct mp_error *err);
  void mp__kafka_force_idempotence(bool is_forced);
  int rd_kafka_conf_get(const void *conf, const char *name, char *dest, size_t *dest_size);
  void rd_kafka_conf_destroy(void *conf);
  void rd_kafka_conf_properties_show(void *file);
  int rd_kafka_version(void);
  void *fopen(const char *path, const char *mode);
  int fclose(void *file);
]])
local rdkafka = ffi.load("rdkafka", true)

local EINVAL = -2
local PRODUCER, CONSUMER, FOLLOWER = 0, 1, 2
local CANARY = "canary-7f3a"

local kept = {}
local function keep(text)
  kept[#kept + 1] = ffi.new("char[?]", #text + 1, text)
  return kept[#kept]
end

local function cluster_of(options)
  local cluster = ffi.new("struct mp_kafka_cluster")
  cluster.bootstrap = keep(options.bootstrap or "127.0.0.1:9092")
  cluster.topic_prefix = keep(options.prefix or "")
  cluster.settings_file = options.file and keep(options.file)
  local settings = options.settings or {}
  local items = ffi.new("const char *[?]", math.max(#settings, 1))
  for i, setting in ipairs(settings) do
    items[i - 1] = keep(setting)
  end
  kept[#kept + 1] = items
  cluster.settings.items, cluster.settings.count = items, #settings
  return cluster
end

-- nil when it is taken, else the error.
local function check(options)
  local err = ffi.new("struct mp_error")
  local status = c.mp_kafka_cluster_check(cluster_of(options), err)
  if status == 0 then
    return nil
  end
  assert.equal(EINVAL, status)
  return ffi.string(err.text)
end

local function refuses(setting, reason)
  local said = check({ settings = { setting } })
  local name = setting:match("^[^=]+")
  assert.is_truthy(said, setting .. " is taken")
  assert.truthy(said:find("setting " .. name .. " (-X): ", 1, true), said)
  if reason then
    assert.truthy(said:find(reason, 1, true), said)
  end
  return said
end

-- What a handle of this role would have.
local function value_of(options, role, name)
  local err = ffi.new("struct mp_error")
  local conf = c.mp__kafka_conf_new(cluster_of(options), role, err)
  assert.is_true(conf ~= nil, ffi.string(err.text))
  local size = ffi.new("size_t[1]", 256)
  local text = ffi.new("char[256]")
  assert.equal(0, rdkafka.rd_kafka_conf_get(conf, name, text, size), name)
  rdkafka.rd_kafka_conf_destroy(conf)
  return ffi.string(text)
end

local function settings_file(text)
  local path = runtime.folder() .. "/client.properties"
  runtime.write_file(path, text)
  return path
end

-- librdkafka's own list: alias → what it stands for.
local function aliases()
  local path = runtime.folder() .. "/properties"
  local file = ffi.C.fopen(path, "w")
  rdkafka.rd_kafka_conf_properties_show(file)
  ffi.C.fclose(file)
  local found = {}
  for alias, name in files.read(path):gmatch("\n([%w._]+)%s*|[^\n]-Alias for `([%w._]+)`") do
    found[alias] = name
  end
  return found
end

local broken = {
  "bootstrap.servers=a:1", "metadata.broker.list=a:1", "acks=1", "request.required.acks=0",
  "enable.auto.commit=true", "auto.commit.enable=true", "enable.auto.offset.store=true",
  "offset.store.method=file", "auto.offset.reset=latest", "message.timeout.ms=1",
  "delivery.timeout.ms=1", "api.version.request=false", "api.version.fallback.ms=1",
  "broker.version.fallback=0.9.0", "delivery.report.only.error=true", "transactional.id=x",
  "enable.gapless.guarantee=true", "partitioner=random", "enable.partition.eof=true",
  "enabled_events=1", "log.queue=false", "allow.auto.create.topics=true", "topic.blacklist=.*",
  "group.instance.id=x", "internal.termination.signal=9", "opaque=1", "default_topic_conf=1",
  "interceptors=1", "msg_order_cmp=1", "ssl_key=1", "ssl_certificate=1", "ssl_ca=1",
  "ssl_engine_callback_data=1", "error_cb=1", "log_cb=1", "dr_msg_cb=1", "rebalance_cb=1",
  "partitioner_cb=1", "socket_cb=1", "test.mock.num.brokers=3",
  "ut_handle_ProduceResponse=1",
  "partition.assignment.strategy=cooperative-sticky",
  "partition.assignment.strategy=range,cooperative-sticky", "group.protocol=consumer",
  "message.max.bytes=1000000", "queue.buffering.max.kbytes=1",
  "queue.buffering.max.messages=1", "message.send.max.retries=0", "retries=0",
}

describe("librdkafka's settings", function()
  after_each(function()
    c.mp__kafka_force_idempotence(false)
    runtime.clean()
    kept = {}
  end)

  it("are refused by name where a promise rests on them", function()
    for _, setting in ipairs(broken) do
      refuses(setting)
    end
    refuses("acks=0", "an event is accepted when every in-sync replica has it")
    refuses("bootstrap.servers=a:1", "--kafka")
    refuses("delivery.timeout.ms=1", "--kafka-timeout")
  end)

  it("are refused by their other names too", function()
    local refused, seen = {}, 0
    for _, setting in ipairs(broken) do
      refused[setting:match("^[^=]+")] = true
    end
    for alias, name in pairs(aliases()) do
      seen = seen + 1
      assert.equal(refused[name] or false, refused[alias] or false,
                   alias .. " is another name of " .. name)
    end
    assert.is_true(seen > 5)
  end)

  it("are refused when idempotence is asked of a library where it is not sound", function()
    if rdkafka.rd_kafka_version() < 0x020500ff then
      refuses("enable.idempotence=true", "before librdkafka 2.5")
      assert.equal("false", value_of({}, PRODUCER, "enable.idempotence"))
      c.mp__kafka_force_idempotence(true)
    end
    assert.equal("true", value_of({}, PRODUCER, "enable.idempotence"))
  end)

  it("may be anything else, TLS and SASL above all", function()
    assert.is_nil(check({ settings = {
      "security.protocol=SASL_SSL", "sasl.mechanism=SCRAM-SHA-512", "sasl.username=u",
      "sasl.password=p", "ssl.ca.location=/nowhere", "ssl.key.password=k",
      "enable.ssl.certificate.verification=false", "sasl.mechanisms=OAUTHBEARER",
      "group.id=g", "client.rack=r", "isolation.level=read_uncommitted", "linger.ms=20",
      "compression.codec=lz4", "session.timeout.ms=30000", "max.in.flight=5",
      "message.max.bytes=4000000", "queue.buffering.max.messages=0", "debug=broker,topic",
      "partition.assignment.strategy=roundrobin" } }))
  end)

  it("are told apart from those that there are not", function()
    local said = refuses("sasl.pasword=" .. CANARY, "has none of that name")
    assert.falsy(said:find(CANARY, 1, true), said)
  end)

  it("never show a value in an error", function()
    for _, setting in ipairs({ "acks", "linger.ms", "sasl.mechanisms", "security.protocol",
                               "compression.codec", "nothing.of.that.name", "debug",
                               "log_cb", "socket.timeout.ms", "enable.idempotence",
                               "ssl.engine.location" }) do
      local said = check({ settings = { setting .. "=" .. CANARY } })
      assert.falsy((said or ""):find(CANARY, 1, true), said)
    end
    for _, setting in ipairs({ CANARY, "sasl.password:" .. CANARY, "=" .. CANARY,
                               "sasl password " .. CANARY .. "=x" }) do
      local said = check({ settings = { setting } })
      assert.truthy(said and said:find("-X", 1, true), said)
      assert.falsy(said:find(CANARY, 1, true), said)
    end
  end)

  it("come from a file, and then from -X, which wins", function()
    local file = settings_file("\239\187\191# ours\r\n\r\n  linger.ms = 7 \r\n"
      .. "#acks=0\nsasl.password=a=b#c\nclient.id=  two words\t\nsocket.timeout.ms=20000")
    assert.equal("7", value_of({ file = file }, PRODUCER, "linger.ms"))
    assert.equal("a=b#c", value_of({ file = file }, PRODUCER, "sasl.password"))
    assert.equal("two words", value_of({ file = file }, CONSUMER, "client.id"))
    assert.equal("20000", value_of({ file = file }, CONSUMER, "socket.timeout.ms"))
    local both = { file = file, settings = { "linger.ms=8", "linger.ms=9" } }
    assert.equal("9", value_of(both, PRODUCER, "linger.ms"))
  end)

  it("tell the file's line when one is wrong, and not what is in it", function()
    for text, line in pairs({ ["a\n"] = 1, ["linger.ms=1\n\nacks=" .. CANARY] = 3,
                              ["#\nsasl.password " .. CANARY .. "\n"] = 2,
                              ["linger.ms=1\0" .. CANARY .. "\n"] = 1,
                              ["linger.ms=" .. CANARY] = 1 }) do
      local file = settings_file(text)
      local said = check({ file = file })
      assert.truthy(said and said:find(file .. ":" .. line, 1, true), said)
      assert.falsy(said:find(CANARY, 1, true), said)
    end
  end)

  it("name the file that cannot be read", function()
    local missing = check({ file = "/nowhere/client.properties" })
    assert.truthy(missing:find("--kafka-config /nowhere/client.properties: No such file", 1, true))
    local folder = runtime.folder()
    assert.truthy(check({ file = folder }):find(folder .. ": Is a directory", 1, true))
  end)

  it("are ours where a promise rests on them, whoever reads", function()
    assert.equal("-1", value_of({}, PRODUCER, "acks"))
    assert.equal("murmur2_random", value_of({}, PRODUCER, "partitioner"))
    assert.equal("zstd", value_of({}, PRODUCER, "compression.codec"))
    assert.equal("2228224", value_of({}, PRODUCER, "message.max.bytes"))
    for _, role in ipairs({ CONSUMER, FOLLOWER }) do
      assert.equal("false", value_of({}, role, "enable.auto.commit"))
      assert.equal("false", value_of({}, role, "auto.commit.enable"))
      assert.equal("false", value_of({}, role, "enable.auto.offset.store"))
      assert.equal("smallest", value_of({}, role, "auto.offset.reset"))
      assert.equal("P.moonpost", value_of({ prefix = "P." }, role, "group.id"))
      assert.equal("mine", value_of({ prefix = "P.", settings = { "group.id=mine" } }, role,
                                    "group.id"))
    end
    assert.equal("range,roundrobin", value_of({}, CONSUMER, "partition.assignment.strategy"))
  end)
end)

describe("--kafka", function()
  after_each(function() kept = {} end)

  it("takes brokers by name, address and port", function()
    for _, text in ipairs({ "kafka-1:9092", "kafka-1", "127.0.0.1:1", "[::1]:9092", "[::1]",
                            "a:1,b:2", "a:1, b:65535" }) do
      assert.is_nil(check({ bootstrap = text }), text)
    end
  end)

  it("names what is none", function()
    for _, text in ipairs({ "", ":9092", "a:", "a:0", "a:65536", "a:9o92", "a:1,", ",a:1", "a b:1",
                            "::1", "[::1:9092", "a:1:2", "http://a:1", "u:p@a:1" }) do
      local said = check({ bootstrap = text })
      assert.truthy(said and said:find("could not read --kafka: `", 1, true), text)
    end
  end)

  it("goes with a prefix that topics can have", function()
    assert.truthy(check({ prefix = "a/" }):find("prefix", 1, true))
    assert.truthy(check({ prefix = ("x"):rep(240) }):find("249 bytes", 1, true))
    assert.is_nil(check({ prefix = "team-a_1." }))
  end)
end)
