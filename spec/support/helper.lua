--- Loaded by busted before the specs (.busted). At the end every handle of the loop is closed and
-- seen to its end: one that is still closing when Lua ends takes the interpreter with it.
local uv = require("luv")
local busted = require("busted")

busted.subscribe({ "suite", "end" }, function()
  uv.walk(function(handle)
    if not handle:is_closing() then
      handle:close()
    end
  end)
  uv.run("nowait")
  return nil, true
end)
