--- Reads HTTP/1.1 messages from bytes as they come: requests for the fake partner, responses for
-- the client. Plain and forgiving, for it judges nothing: what arrived is what the specs look at.
local http1 = {}

local function parse_head(head)
  local message = { headers = {}, fields = {} }
  local first = true
  for line in (head .. "\r\n"):gmatch("(.-)\r\n") do
    if first then
      message.line = line
      first = false
    else
      local name, value = line:match("^([^:]*):%s*(.-)%s*$")
      if name then
        local lower = name:lower()
        message.fields[#message.fields + 1] = { name, value }
        local seen = message.headers[lower]
        message.headers[lower] = seen and (seen .. ", " .. value) or value
      end
    end
  end
  return message
end

local function parse_request_line(message)
  message.method, message.target, message.version = message.line:match("^(%S+) (%S+) (%S+)$")
  if message.target then
    message.path, message.query = message.target:match("^([^?]*)%??(.*)$")
  end
end

local function parse_status_line(message)
  message.version, message.status = message.line:match("^(%S+) (%d%d%d)")
  message.status = tonumber(message.status)
end

-- Each returns the body and the rest, or nil while bytes are missing.
local function take_sized(buffer, size)
  if #buffer >= size then
    return buffer:sub(1, size), buffer:sub(size + 1)
  end
end

local function take_chunked(buffer)
  local parts, from = {}, 1
  while true do
    local at, stop, size = buffer:find("^(%x+)[^\r\n]*\r\n", from)
    if not at then
      return nil
    end
    size = tonumber(size, 16)
    if size == 0 then
      local _, finish = buffer:find("\r\n", stop + 1, true)
      if not finish then
        return nil
      end
      return table.concat(parts), buffer:sub(finish + 1)
    end
    if #buffer < stop + size + 2 then
      return nil
    end
    parts[#parts + 1] = buffer:sub(stop + 1, stop + size)
    from = stop + size + 3
  end
end

local function has_no_body(message, options)
  if options.kind == "request" then
    return not message.headers["content-length"] and not message.headers["transfer-encoding"]
  end
  return message.status < 200 or message.status == 204 or message.status == 304
    or (options.method and options.method() == "HEAD")
end

local function take_body(message, buffer, options, at_end)
  if has_no_body(message, options) then
    return "", buffer
  end
  if (message.headers["transfer-encoding"] or ""):lower():find("chunked", 1, true) then
    return take_chunked(buffer)
  end
  local size = tonumber(message.headers["content-length"])
  if size then
    return take_sized(buffer, size)
  end
  if at_end then
    return buffer, ""
  end
end

--- Returns feed(bytes or nil at the end). `options.kind` is "request" or "response";
-- `options.on_message(message)` gets each whole one; `options.method()` names the method a
-- response answers; `options.on_head(message)` hears of a head before its body.
function http1.reader(options)
  local pieces, size, needed, message = {}, 0, 0, nil
  return function(bytes)
    local at_end = bytes == nil
    if bytes then
      pieces[#pieces + 1] = bytes
      size = size + #bytes
      if size < needed then
        return
      end
    end
    local buffer = table.concat(pieces)
    while true do
      if not message then
        local head_end, body_start = buffer:find("\r\n\r\n", 1, true)
        if not head_end then
          break
        end
        message = parse_head(buffer:sub(1, head_end - 1))
        buffer = buffer:sub(body_start + 1);
        (options.kind == "request" and parse_request_line or parse_status_line)(message)
        if options.on_head then
          options.on_head(message)
        end
      end
      local body, rest = take_body(message, buffer, options, at_end)
      if not body then
        break
      end
      message.body, buffer = body, rest
      local whole = message
      message = nil
      options.on_message(whole)
    end
    pieces, size = { buffer }, #buffer
    needed = message and tonumber(message.headers["content-length"]) or 0
  end
end

--- The bytes of a head: `first` line, then fields ({name = value}, or a list of {name, value}).
function http1.head(first, fields)
  local lines = { first }
  for key, value in pairs(fields or {}) do
    if type(key) == "number" then
      lines[#lines + 1] = value[1] .. ": " .. value[2]
    else
      lines[#lines + 1] = key .. ": " .. tostring(value)
    end
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

return http1
