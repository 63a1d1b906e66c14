--- Loads a script's text and makes its calls, through the testing library.
local ffi = require("ffi")
local c = require("spec.support.cdef").load()

local script = {}

local function slice(text)
  local out = ffi.new("struct mp_str")
  out.data, out.length = text, #text
  return out
end

local function text_of(str)
  return ffi.string(str.data, str.length)
end

local function buffer(max)
  local out = ffi.new("struct mp_buf")
  c.mp_buf_init(out, max or 16 * 1024 * 1024)
  return ffi.gc(out, c.mp_buf_fini)
end

script.slice, script.text_of, script.buffer = slice, text_of, buffer

-- Exactly the named ones.
local function secrets_of(given)
  local values, count = ffi.new("struct mp_secret_value[?]", 64), 0
  for name, value in pairs(given) do
    values[count].name, values[count].value = slice(name), slice(value)
    count = count + 1
  end
  local out = ffi.new("struct mp_secrets *[1]")
  assert(c.mp_secrets_of(values, count, false, out) == c.MP_OK)
  return ffi.gc(out[0], c.mp_secrets_unref)
end

--- What a script finds around it: { lib = folder, proxies = { names }, secrets = { name = value } }.
local function env_of(given)
  local env, kept = ffi.new("struct mp_script_env"), {}
  env.lib_folder = given.lib
  if given.proxies then
    kept.names = ffi.new("struct mp_str[?]", #given.proxies + 1)
    for i, name in ipairs(given.proxies) do
      kept.names[i - 1] = slice(name)
    end
    env.proxies, env.proxy_count = kept.names, #given.proxies
  end
  if given.secrets then
    kept.secrets = secrets_of(given.secrets)
    env.secrets = kept.secrets
  end
  kept.given = given
  return env, kept
end

local kept_of = setmetatable({}, { __mode = "k" })

--- The compiled script, or nil and the error's text.
function script.load(source, name, given)
  name = name or "acme"
  local out = ffi.new("struct mp_script *[1]")
  local err = ffi.new("struct mp_error")
  local env, kept = env_of(given or {})
  local status = c.mp_script_load(slice(name), slice(source), "scripts/" .. name .. ".lua", env, out, err)
  if status ~= c.MP_OK then
    return nil, ffi.string(err.text), status
  end
  local loaded = ffi.gc(out[0], c.mp_script_unref)
  kept_of[loaded] = kept
  return loaded
end

--- A state of a loaded script; or nil and the error's text.
function script.state_of(loaded)
  local out = ffi.new("struct mp_script_state *[1]")
  local err = ffi.new("struct mp_error")
  if c.mp_script_state_new(loaded, out, err) ~= c.MP_OK then
    return nil, ffi.string(err.text)
  end
  return ffi.gc(out[0], c.mp_script_state_free)
end

function script.state(source, name, given)
  local loaded = assert(script.load(source, name, given))
  local state, err = script.state_of(loaded)
  if not state then
    return nil, err
  end
  return state, loaded
end

--- A context for an event's text; `more` overrides fields of record and context. What it gives
-- keeps its strings alive.
function script.context(event, more)
  more = more or {}
  local kept = {}
  local record = ffi.new("struct mp_record")
  local function set(field, value)
    kept[#kept + 1] = value
    record[field] = slice(value)
  end
  set("id", more.id or "0191-id")
  set("partner", more.partner or "acme")
  set("event", event)
  for _, field in ipairs({ "type", "source", "subject", "endpoint_method", "endpoint_url" }) do
    if more[field] then
      set(field, more[field])
    end
  end
  record.first_ms = more.first_ms or 1700000000500
  record.occurred_ms = more.occurred_ms or -1
  record.attempts = more.attempts or 0
  record.last_status = more.last_status or 0
  record.last_verdict = more.last_verdict or 0
  local context = ffi.new("struct mp_context")
  context.record = record
  context.attempt = more.attempt or 1
  context.last = more.last or false
  context.now_ms = more.now_ms or 0
  if more.batch_id then
    local members = ffi.new("const struct mp_record *[1]", record)
    kept[#kept + 1], kept[#kept + 2] = more.batch_id, members
    context.members, context.member_count = members, 1
    context.batch_id = slice(more.batch_id)
  end
  kept[#kept + 1] = record
  return context, kept
end

--- text, kind, shown of a leaf function; or nil, the error, the status.
function script.leaf(state, number, event, as_json, more, request)
  local context, kept = script.context(event, more)
  local result = ffi.new("struct mp_leaf_result")
  result.bytes = buffer()
  local err = ffi.new("struct mp_error")
  local status = c.mp_script_call_leaf(state, number, context, request, as_json or false, result, err)
  assert(kept)
  if status ~= c.MP_OK then
    c.mp_buf_fini(result.bytes)
    return nil, ffi.string(err.text), status
  end
  local text = result.bytes.length > 0 and ffi.string(result.bytes.data, result.bytes.length) or ""
  local kind = ({ [0] = "none", "text", "json" })[tonumber(result.kind)]
  local shown = result.shown.length > 0 and text_of(result.shown) or nil
  c.mp_buf_fini(result.bytes)
  return text, kind, shown
end

--- Runs `code` as the body of function(event, ctx) in a fresh script.
function script.run(code, event, as_json, more)
  local state = assert(script.state("return { url = 'https://a.example', headers = { X = function(event, ctx)\n"
    .. code .. "\nend } }"))
  return script.leaf(state, 0, event or "{}", as_json, more)
end

function script.accepts(state, event, more)
  local context, kept = script.context(event, more)
  local accepted = ffi.new("bool[1]")
  local why = ffi.new("char[256]")
  local err = ffi.new("struct mp_error")
  local status = c.mp_script_call_accepts(state, context, accepted, why, err)
  assert(kept)
  if status ~= c.MP_OK then
    return nil, ffi.string(err.text), status
  end
  return accepted[0], ffi.string(why)
end

--- A request made from a table: method, url, url_shown, headers (a list of pairs), body.
function script.request(given)
  local request = ffi.new("struct mp_request")
  c.mp_request_init(request)
  ffi.gc(request, c.mp_request_fini)
  request.method = given.method or "POST"
  assert(c.mp_buf_append_text(request.url, given.url) == c.MP_OK)
  if given.url_shown then
    assert(c.mp_buf_append_text(request.url_shown, given.url_shown) == c.MP_OK)
  end
  for _, pair in ipairs(given.headers or {}) do
    local err = ffi.new("struct mp_error")
    assert(c.mp_request_set_header(request, slice(pair[1]), slice(pair[2]), slice(pair[3] or ""), err)
      == c.MP_OK, ffi.string(err.text))
  end
  if given.body then
    assert(c.mp_buf_append_text(request.body, given.body) == c.MP_OK)
    request.has_body = true
  end
  return request
end

function script.read(request)
  local out = { method = ffi.string(request.method), headers = {}, order = {} }
  out.url = text_of(c.mp_buf_str(request.url))
  out.url_shown = text_of(c.mp_request_url_shown(request))
  if request.has_body then
    out.body = text_of(c.mp_request_body(request))
  end
  for i = 0, tonumber(request.header_count) - 1 do
    local name = text_of(c.mp_header_name(request, i))
    out.headers[name] = text_of(c.mp_header_value(request, i))
    out.order[#out.order + 1] = name
    out.shown = out.shown or {}
    out.shown[name] = text_of(c.mp_header_shown(request, i))
  end
  return out
end

--- What the request hook makes of `given`; or nil, the error, the status.
function script.hook(state, given, event, more)
  local context, kept = script.context(event or "{}", more)
  local request = script.request(given)
  local err = ffi.new("struct mp_error")
  local status = c.mp_script_call_request(state, context, request, err)
  assert(kept)
  if status ~= c.MP_OK then
    return nil, ffi.string(err.text), status
  end
  return script.read(request)
end

--- { word, delay_ms, why } of the verdict hook; or nil, the error, the status.
function script.verdict(state, given, event, more)
  local context, kept = script.context(event or "{}", more)
  local response = ffi.new("struct mp_response")
  response.status = given.status or 0
  response.error = given.error
  response.headers, response.body = slice(given.headers or ""), slice(given.body or "")
  response.truncated, response.duration_ms = given.truncated or false, given.duration_ms or 12
  local verdict = ffi.new("struct mp_verdict")
  local err = ffi.new("struct mp_error")
  local status = c.mp_script_call_verdict(state, context, response, verdict, nil, err)
  assert(kept)
  if status ~= c.MP_OK then
    return nil, ffi.string(err.text), status
  end
  return ffi.string(c.mp_verdict_name(verdict.kind)), tonumber(verdict.delay_ms), ffi.string(verdict.why)
end

return script
