--- The names of the topics, and the retry tier that a wait goes to.
local ffi = require("ffi")
local c = require("spec.support.cdef").load()

local function init(prefix)
  local topics, err = ffi.new("struct mp__kafka_topics"), ffi.new("struct mp_error")
  local status = c.mp__kafka_topics_init(topics, prefix, err)
  if status ~= 0 then
    assert.equal(c.MP_EINVAL, status)
    return nil, ffi.string(err.text)
  end
  return topics
end

local function names(topics)
  local list = {}
  for topic = 0, c.MP__KAFKA_TOPICS - 1 do
    list[#list + 1] = ffi.string(topics.names[topic])
  end
  return list
end

describe("the topics", function()
  it("have their names, with the prefix as it is", function()
    local plain = {
      "postbacks", "postbacks.retry.5s", "postbacks.retry.30s", "postbacks.retry.2m", "postbacks.retry.10m",
      "postbacks.retry.1h", "postbacks.retry.6h", "postbacks.retry.24h", "postbacks.dead", "postbacks.partners",
    }
    assert.same(plain, names(init("")))
    for index, name in ipairs(plain) do
      plain[index] = "Test_1-x." .. name
    end
    assert.same(plain, names(init("Test_1-x.")))
  end)

  it("are found by their whole name", function()
    local topics = init("p.")
    for topic = 0, c.MP__KAFKA_TOPICS - 1 do
      assert.equal(topic, tonumber(c.mp__kafka_topics_find(topics, topics.names[topic])))
    end
    for _, other in ipairs({ "", "postbacks", "p.postback", "p.postbacks.", "p.postbacks.retry", "P.postbacks" }) do
      assert.equal(c.MP__KAFKA_TOPICS, tonumber(c.mp__kafka_topics_find(topics, other)), other)
    end
  end)

  it("refuse a prefix that gives no topic's name", function()
    for _, prefix in ipairs({ "a/", "a ", "ä", "a\n", "{x}", "a:" }) do
      local none, why = init(prefix)
      assert.is_nil(none)
      assert.equal("could not use --topic-prefix: topics' names have only letters, digits, '.', '_' and '-'", why)
    end
    assert.equal(249, #names(init(("x"):rep(230)))[8])
    local none, why = init(("x"):rep(231))
    assert.is_nil(none)
    assert.equal("could not use --topic-prefix: with it the name of postbacks.retry.30s has more than 249 bytes", why)
  end)
end)

describe("a wait", function()
  local function tier(wait_ms)
    return names(init(""))[tonumber(c.mp__kafka_tier_for(wait_ms)) + 1]:match("[^.]+$")
  end

  it("goes to the largest tier that fits it", function()
    local s, m, h = 1000, 60000, 3600000
    for _, case in ipairs({
      { -1e15, "5s" }, { -1, "5s" }, { 0, "5s" }, { 4999, "5s" }, { 5 * s, "5s" }, { 30 * s - 1, "5s" }, { 30 * s, "30s" },
      { 2 * m - 1, "30s" }, { 2 * m, "2m" }, { 10 * m - 1, "2m" }, { 10 * m, "10m" }, { h - 1, "10m" }, { h, "1h" },
      { 6 * h - 1, "1h" }, { 6 * h, "6h" }, { 24 * h - 1, "6h" }, { 24 * h, "24h" }, { 1e15, "24h" },
    }) do
      assert.equal(case[2], tier(case[1]), case[1])
    end
  end)

  it("is in the topic that says so, and in no other", function()
    for topic = 0, c.MP__KAFKA_TOPICS do
      local ms = tonumber(c.mp__kafka_tier_ms(topic))
      assert.equal(topic >= c.MP__KAFKA_RETRY_5S and topic <= c.MP__KAFKA_RETRY_24H, ms > 0)
      if ms > 0 then
        assert.equal(topic, tonumber(c.mp__kafka_tier_for(ms)))
      end
    end
  end)
end)
