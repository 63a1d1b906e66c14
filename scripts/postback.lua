-- What POST /postback (also /i and /ingest.php) sends. Each request brings its own endpoint: the
-- method and the URL template are in it, so none is written here. Concurrency, breaker and pauses
-- count for each scheme://host:port apart.
return {
  -- defaults = { country = "ZZ" },   -- what a missing {country} expands to (else: nothing)
  -- missing  = "drop",               -- a missing value takes its `name=` out of the query as well
  timeout = "15s",
  limits = { concurrency = 32 },
  retry = {
    schedule = { "5s", "30s", "2m", "10m", "30m", "2h", "5h", "10h", "10h", "14h" },
    jitter = 0.2,
  },
}
