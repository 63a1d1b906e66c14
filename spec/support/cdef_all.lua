--- The headers whose functions the unit specs call, in the order they need each other.
return {
  "status.h", "buf.h", "base64.h", "log.h", "clock.h", "id.h", "json.h", "template.h", "metrics.h", "options.h",
  "record.h", "exchange.h", "secrets.h", "leaf.h", "plan.h", "script.h", "dead.h", "queue.h", "engine.h", "scripts.h", "egress.h", "deliver.h", "testing.h",
  "src/deliver/health.h",
  "src/queue/kafka_tracker.h", "src/queue/kafka_topics.h", "src/queue/kafka_fields.h", "kafka.h",
  "src/queue/kafka_lanes.h",
  "src/queue/kafka_dead_index.h",
  "src/deliver/rate.h", "src/deliver/batch.h",
}
