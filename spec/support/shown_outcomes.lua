--- What becomes of a delivery, in the words of a page's tables: "retry in 10m", "dead: expired".
local outcomes = {}

local function span_of(seconds)
  for _, unit in ipairs({ { 3600, "h" }, { 60, "m" } }) do
    if seconds >= unit[1] and seconds % unit[1] == 0 then
      return ("%d%s"):format(seconds / unit[1], unit[2])
    end
  end
  return ("%gs"):format(seconds)
end

-- "`503` with `Retry-After: 120`", "`200` saying `ERROR`", "`timeout`".
local function response_of(cell)
  local response = { headers = {} }
  for before, code in cell:gmatch("([^`]*)`([^`]*)`") do
    if before:find("saying", 1, true) then
      response.body = code
    elseif before:find("with", 1, true) then
      local name, value = code:match("^([%w-]+): (.*)$")
      response.headers[name] = value
    elseif tonumber(code) then
      response.status = tonumber(code)
    else
      response.error = code
    end
  end
  return response
end

-- The first attempt's.
local function told(verdicts, waits, dead, skipped, paused)
  local word = verdicts[1]
  if word == "retry" then
    return "retry in " .. span_of(waits[1])
  end
  local why = dead or skipped or paused
  return why and ("%s: %s"):format(word, why) or word
end

--- What a partner's answer means for an event; for each of a batch's: "1: delivered · 2: dead: why".
function outcomes.of_answer(partner, event, cell)
  local played = partner:deliver(event, { response_of(cell), 200 })
  if type(event) ~= "table" then
    return told(played.verdicts, played.waits, played.dead, played.skipped, played.paused)
  end
  local each = {}
  for i in ipairs(event) do
    each[i] = ("%d: %s"):format(i, told(played.verdicts[i], played.waits[i], played.dead[i], played.skipped[i], played.paused[i]))
  end
  return table.concat(each, " · ")
end

--- What is sent for an event, "`https://…`" and, when there is one, its body; or what becomes of it instead.
function outcomes.of_event(partner, event)
  local request, why, what = partner:render(event)
  if not request then
    return ("%s: %s"):format(what, why)
  end
  return request.body and ("`%s`"):format(request.body) or ("`%s`"):format(request.url)
end

return outcomes
