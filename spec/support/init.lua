--- What an end-to-end spec needs, in one require, and one thing to say after each test:
--   local support = require("spec.support")
--   after_each(support.clean)
local partner = require("spec.support.partner")
local runtime = require("spec.support.runtime")

return {
  eventually = require("spec.support.eventually"),
  http = require("spec.support.http"),
  partner = partner,
  process = require("spec.support.process"),
  runtime = runtime,
  clean = function()
    local ok, err = pcall(runtime.clean)
    partner.close_all()
    if not ok then
      error(err, 0)
    end
  end,
}
