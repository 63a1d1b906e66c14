--- RFC 6570, by the examples it gives.
local templates = require("spec.support.template")

local from, read_suite = templates.from, templates.read_suite

describe("RFC 6570's own examples", function()
  local cases = read_suite("spec/fixtures/uritemplate/spec-examples.json")
  assert(#cases > 60)
  for i, case in ipairs(cases) do
    it(("%d: %s, %s"):format(i, case.title, case.template), function()
      local got = from(case.template, case.variables)
      assert.is_true(case.answers[got] or false, "expanded to " .. tostring(got))
    end)
  end
end)
