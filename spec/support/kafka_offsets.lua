--- A group's offsets, read and set from outside as an operator's tool does it.
local ffi = require("ffi")

ffi.cdef([[
typedef struct rd_kafka_s rd_kafka_t;
typedef struct rd_kafka_conf_s rd_kafka_conf_t;
typedef struct {
  char *topic; int32_t partition; int64_t offset; void *metadata; size_t metadata_size;
  void *opaque; int err; void *_private;
} rd_kafka_topic_partition_t;
typedef struct { int cnt; int size; rd_kafka_topic_partition_t *elems; } rd_kafka_topic_partition_list_t;
rd_kafka_conf_t *rd_kafka_conf_new(void);
int rd_kafka_conf_set(rd_kafka_conf_t *, const char *, const char *, char *, size_t);
rd_kafka_t *rd_kafka_new(int, rd_kafka_conf_t *, char *, size_t);
void rd_kafka_destroy(rd_kafka_t *);
const char *rd_kafka_err2str(int);
rd_kafka_topic_partition_list_t *rd_kafka_topic_partition_list_new(int);
rd_kafka_topic_partition_t *rd_kafka_topic_partition_list_add(rd_kafka_topic_partition_list_t *,
  const char *, int32_t);
void rd_kafka_topic_partition_list_destroy(rd_kafka_topic_partition_list_t *);
int rd_kafka_committed(rd_kafka_t *, rd_kafka_topic_partition_list_t *, int);
int rd_kafka_commit(rd_kafka_t *, const rd_kafka_topic_partition_list_t *, int);
]])

local offsets = {}
local consumer = 1
local library

-- One short life each: a handle that stays would keep the loop's deadline from holding.
local function with_group(bootstrap, group, fn)
  library = library or ffi.load("rdkafka.so.1")
  local conf, why = library.rd_kafka_conf_new(), ffi.new("char[512]")
  library.rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, 512)
  library.rd_kafka_conf_set(conf, "group.id", group, why, 512)
  local handle = library.rd_kafka_new(consumer, conf, why, 512)
  assert(handle ~= nil, ffi.string(why))
  local ok, a, b = pcall(fn, handle)
  library.rd_kafka_destroy(handle)
  return assert(ok, a) and a, b
end

local function with_partition(topic, partition, fn)
  local list = library.rd_kafka_topic_partition_list_new(1)
  local element = library.rd_kafka_topic_partition_list_add(list, topic, partition)
  local code = fn(list, element)
  local offset = tonumber(element.offset)
  local metadata = ffi.string(element.metadata, element.metadata_size)
  library.rd_kafka_topic_partition_list_destroy(list)
  assert(code == 0, ffi.string(library.rd_kafka_err2str(code)))
  return offset, metadata
end

--- What the group has of a partition: its offset (nil: none) and what was stored with it.
function offsets.read(bootstrap, group, topic, partition)
  return with_group(bootstrap, group, function(handle)
    local offset, metadata = with_partition(topic, partition, function(list)
      return library.rd_kafka_committed(handle, list, 5000)
    end)
    return offset >= 0 and offset or nil, metadata
  end)
end

--- Sets it; the group has no members then.
function offsets.set(bootstrap, group, topic, partition, offset)
  with_group(bootstrap, group, function(handle)
    with_partition(topic, partition, function(list, element)
      element.offset = offset
      return library.rd_kafka_commit(handle, list, 0)
    end)
  end)
end

return offsets
