--- A buyer's cXML endpoint: by the cXML User's Guide, "Status" (its codes) and "ConfirmationRequest". It says
-- in the document what became of a request; HTTP's status is 200.
--   local answer = buyer({ secret = "…", orders = { ["PO-17"] = "1769853600.17@buyer.example" } })
-- `options.is_down` answers as one under maintenance does.

local function say(code, text)
  return { status = 200, headers = { ["Content-Type"] = "text/xml; charset=UTF-8" }, body = ([[
<?xml version="1.0" encoding="UTF-8"?>
<cXML payloadID="1@buyer.example" timestamp="2026-01-31T10:00:01+00:00">
<Response><Status text="%s" code="%d"/></Response>
</cXML>
]]):format(text, code) }
end

-- Elements end in the order in which they began, and no & is bare. Enough to see what a value broke.
local function is_well_formed(text)
  local open = {}
  if text:gsub("&%a+;", ""):gsub("&#%d+;", ""):find("&") then
    return false
  end
  for slash, name, rest in text:gmatch("<(/?)([%a][%w:]*)([^<>]*)>") do
    if slash == "/" and table.remove(open) ~= name then
      return false
    elseif slash == "" and not rest:find("/$") then
      table.insert(open, name)
    end
    if rest:gsub('%s+[%w:]+%s*=%s*"[^"]*"', ""):find("[^%s/]") then
      return false
    end
  end
  return #open == 0 and text:find("^<%?xml ") ~= nil
end

local function decode(text)
  return text and (text:gsub("&lt;", "<"):gsub("&gt;", ">"):gsub("&quot;", '"'):gsub("&#39;", "'"):gsub("&amp;", "&"))
end

return function(options)
  return function(request)
    local text = request.body or ""
    local order = decode(text:match('<OrderReference orderID="([^"]*)"'))
    if options.is_down then
      return say(560, "Temporary server error")
    elseif request.method ~= "POST" or not (request.headers["content-type"] or ""):find("^text/xml")
      or not is_well_formed(text) or not text:find('<cXML payloadID="[^"]+@[^"]+" timestamp="[^"]+">')
      or not text:find('<ConfirmationHeader confirmID="[^"]+" type="accept" noticeDate="[^"]+"/>') then
      return say(406, "Not Acceptable")
    elseif decode(text:match("<SharedSecret>([^<]*)</SharedSecret>")) ~= options.secret then
      return say(401, "Unauthorized")
    elseif not options.orders[order or ""]
      or decode(text:match('<DocumentReference payloadID="([^"]*)"')) ~= options.orders[order] then
      return say(417, "Expectation Failed")
    end
    return say(200, "OK")
  end
end
