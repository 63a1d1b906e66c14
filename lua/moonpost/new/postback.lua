-- What POST /postback sends: each request brings its own method and URL template.
---@type moonpost.Partner
return {
  missing = "drop", -- a value that is not there takes its name= out of the query
  retry   = { schedule = { "5s", "1m", "10m", "1h", "6h" } },
}
