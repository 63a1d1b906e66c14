---@meta
-- What a partner script may return, what its functions are given, and what is in reach: for the
-- Lua language server. `moonpost new` put this file here and may be run to put it again.

--- Text with the event's values, "{click_id}": in a url an RFC 6570 template. Or what gives it.
---@alias moonpost.Text string|moonpost.Secret|moonpost.By|fun(event: moonpost.Event, ctx: moonpost.Context): any
---@alias moonpost.HeaderText string|moonpost.Secret|moonpost.By|moonpost.Marker|fun(event: moonpost.Event, ctx: moonpost.Context, request: moonpost.Request): any
--- A table as JSON; a leaf that is one expression and nothing else takes the event's value as it is.
---@alias moonpost.Json string|number|boolean|table|moonpost.Secret|moonpost.By|moonpost.Marker|fun(event: moonpost.Event, ctx: moonpost.Context): any
--- "30s", "5m", "2h", "7d", or seconds.
---@alias moonpost.Duration string|number
---@alias moonpost.Word
---| "delivered"
---| "retry" # and when, "10m"
---| "dead" # and why
---| "skipped" # and why
---| "pause" # and why: it waits, the partner stops
---| "split" # of a batch: in two, at once

--- What a partner script returns. Everything is optional but `url` (or `request` with `hosts`).
---@class moonpost.Partner
---@field url? moonpost.Text The address: expressions begin after the authority.
---@field method? string Default: POST with a body, form or item, else GET.
---@field headers? table<string, moonpost.HeaderText> A function here also gets the request built so far.
---@field body? moonpost.Json A table is JSON; without one POST, PUT and PATCH send the event's own bytes.
---@field form? table<string, moonpost.Json> An urlencoded body.
---@field vars? table<string, moonpost.Json> Names for templates; they win over the event's.
---@field defaults? table<string, any> What a missing value is.
---@field required? string[] Missing, null or "": dead.
---@field missing? "drop"|"empty" Whether an empty {x} takes its name= out of the query.
---@field answers? moonpost.Answer[] What answers mean, without Lua; the first match wins.
---@field timeout? moonpost.Duration Of the whole exchange; default "15s".
---@field retry? moonpost.Retry
---@field limits? moonpost.Limits
---@field max_age? moonpost.Duration|moonpost.MaxAge Older is dead, "expired".
---@field hosts? string[] Where functions may lead: "https://eu.acme.example".
---@field batch? moonpost.Batch Several events in a request.
---@field item? moonpost.Json One event's piece of a batch; `items` in the body is their list.
---@field subscribes? string[] Types of events for POST /events: "conversion.*".
---@field accepts? fun(event: moonpost.Event, ctx: moonpost.Context): boolean?, string? False, and why: skipped.
---@field request? fun(event: moonpost.Event, request: moonpost.Request, ctx: moonpost.Context): moonpost.Request? The last word before it is sent.
---@field verdict? fun(response: moonpost.Response, ctx: moonpost.Context): (moonpost.Word|table|nil), string? What the answer means; nothing: the status decides. Of a batch also a table by place or id.
---@field oauth2? moonpost.OAuth2
---@field tls? moonpost.Tls
---@field proxy? string The name of one of the operator's --proxy.

---@class moonpost.Answer
---@field status? integer|integer[]
---@field body? string A part of the answer's body, letter for letter.
---@field json? table<string, any> Paths and their values: { ["error.code"] = { 4, 17 } }.
---@field [1] moonpost.Word
---@field [2]? string The wait of a retry, or why.

---@class moonpost.Retry
---@field schedule? moonpost.Duration[] The waits; attempts are one more.
---@field jitter? number 0.2 spreads each wait by ±20 %.

---@class moonpost.Limits
---@field concurrency? integer Requests at a time; default 32.
---@field rate? string "500/s", "10/m".

---@class moonpost.MaxAge
---@field [1] moonpost.Duration
---@field of? string The event's field that tells when it happened.

---@class moonpost.Batch
---@field size? integer The most events of a request.
---@field wait? moonpost.Duration How long the first waits for others.
---@field bytes? string|integer The most that all pieces have: "1MiB".
---@field by? string[] Only events that agree in these go together.
---@field format? "json"|"ndjson"

---@class moonpost.OAuth2
---@field token_url string|moonpost.Secret
---@field client_id string|moonpost.Secret
---@field client_secret string|moonpost.Secret
---@field refresh_token? string|moonpost.Secret With it that grant, else client credentials.
---@field scope? string|moonpost.Secret
---@field audience? string|moonpost.Secret
---@field auth? "basic"|"body"

--- PEM, as secrets.
---@class moonpost.Tls
---@field cert? moonpost.Secret
---@field key? moonpost.Secret
---@field ca? moonpost.Secret

-- What functions are given.

--- The event, decoded; JSON null reads as nil, numbers that a double would change are strings.
---@alias moonpost.Event table<string, any>

---@class moonpost.Context
---@field id string The delivery's, the same in each attempt.
---@field ids? string[] All of them, in a batch.
---@field partner string
---@field type? string
---@field source? string
---@field subject? string
---@field attempt integer From 1.
---@field last boolean No attempt is left after this one.
---@field received_at number Seconds since 1970, with milliseconds.
---@field occurred_at? number
---@field endpoint? { method: string, url: string } Of the partner postback.
---@field previous? { status: integer?, verdict: moonpost.Word } The attempt before.

---@class moonpost.Request
---@field method string
---@field url string|moonpost.Secret
---@field query table<string, any>
---@field headers table<string, any> In any case; false removes a default one.
---@field body any The wire's bytes; a table assigned is encoded at once.

---@class moonpost.Response
---@field status? integer nil: there was no answer.
---@field error? "timeout"|"dns_error"|"connection_refused"|"connection_reset"|"network_unreachable"|"tls_error"|"proxy_error"|"blocked_address"|"network_error"
---@field headers table<string, string> In any case.
---@field body string The first 64 KiB.
---@field truncated boolean
---@field json any The body decoded, or nil.
---@field duration_ms integer

--- Opaque; `..` with one gives another.
---@class moonpost.Secret
---@operator concat(string): moonpost.Secret
---@operator concat(moonpost.Secret): moonpost.Secret
---@class moonpost.Marker
---@class moonpost.By
---@alias moonpost.Bytes string|moonpost.Secret
---@alias moonpost.Encoding "hex"|"base64"|"base64url"|"raw"

-- What is in reach, beside string, table, math, bit and the plain base functions.

--- MOONPOST_SECRET_NAME in the environment, or the file `name` in --secrets.
---@param name string
---@return moonpost.Secret
function secret(name) end

--- Chooses by the event's own value, without Lua: by("geo", { DE = "…" }, "otherwise").
---@param key string|fun(event: moonpost.Event, ctx: moonpost.Context): any
---@param results table<any, any>
---@param default? any
---@return moonpost.By
function by(key, results, default) end

--- Always a string, whatever the event has.
---@param template moonpost.Bytes
---@return moonpost.Marker
function text(template) end

--- A number, or the delivery is dead.
---@param template string
---@return moonpost.Marker
function number(template) end

--- Trimmed, in lower case, SHA-256 in hex.
---@param template moonpost.Bytes
---@return moonpost.Marker
function hashed(template) end

--- Escaped for XML.
---@param template moonpost.Bytes
---@return moonpost.Marker
function xml(template) end

--- Text whose braces are no expressions.
---@param text moonpost.Bytes
---@return moonpost.Marker
function literal(text) end

--- The list of a batch's pieces, in its body.
---@type moonpost.Marker
items = nil

--- The event's value at a path; nil when it is not there.
---@param event moonpost.Event
---@param path string "user.email", "items.0.id"
---@return any
function get(event, path) end

--- The same as a number, or nil.
---@param event moonpost.Event
---@param path string
---@return number?
function num(event, path) end

--- A value as the producer wrote it: a string's text, else its JSON; without a path the whole event.
---@param event moonpost.Event
---@param path? string
---@return string?
function as_sent(event, path) end

---@class moonpost.json
---@field null any
json = {}
---@param value any
---@return string
function json.encode(value) end
---@param text string
---@return any
function json.decode(text) end
--- A token that is written unquoted, as it is.
---@param token string
---@return any
function json.raw(token) end
--- In a body: JSON inside a string.
---@param value table
---@return moonpost.Marker
function json.string(value) end

hmac = {}
---@param key moonpost.Bytes
---@param data moonpost.Bytes
---@param encoding? moonpost.Encoding hex by default
---@return string
function hmac.sha256(key, data, encoding) end
---@param key moonpost.Bytes
---@param data moonpost.Bytes
---@param encoding? moonpost.Encoding
---@return string
function hmac.sha1(key, data, encoding) end
---@param key moonpost.Bytes
---@param data moonpost.Bytes
---@param encoding? moonpost.Encoding
---@return string
function hmac.sha512(key, data, encoding) end

---@param data moonpost.Bytes
---@param encoding? moonpost.Encoding
---@return string
function sha256(data, encoding) end
---@param data moonpost.Bytes
---@param encoding? moonpost.Encoding
---@return string
function sha1(data, encoding) end
---@param data moonpost.Bytes
---@param encoding? moonpost.Encoding
---@return string
function md5(data, encoding) end

---@param data moonpost.Bytes
---@return string|moonpost.Secret
function base64(data) end
---@param data moonpost.Bytes
---@return string|moonpost.Secret
function hex(data) end
--- The value of Authorization: Basic.
---@param user moonpost.Bytes
---@param password moonpost.Bytes
---@return moonpost.Secret
function basic(user, password) end

webhook = {}
--- Standard Webhooks 1.0: whsec_ signs v1, whsk_ v1a. Sets the three headers.
---@param request moonpost.Request
---@param keys moonpost.Bytes|moonpost.Bytes[]
function webhook.sign(request, keys) end

time = {}
--- Seconds since 1970 with milliseconds, the same throughout a call. `time.format(t, "%s")` is whole.
---@return number
function time.now() end
--- RFC 3339, an HTTP date, seconds or milliseconds; nil when it is none.
---@param value any
---@return number?
function time.parse(value) end
---@param moment number
---@param format string "%Y-%m-%d %H:%M:%S.%L%z"
---@param offset? string "+03:00"
---@return string
function time.format(moment, format, offset) end

--- Rounds half up on the digits.
---@param value string|number
---@param places integer
---@param factor? string|number
---@return string?
function decimal(value, places, factor) end

---@return string
function uuid() end

uri = {}
--- Percent-encodes all but unreserved characters.
---@param text moonpost.Bytes
---@return string|moonpost.Secret
function uri.encode(text) end
--- RFC 6570.
---@param template moonpost.Bytes
---@param values table<string, any>
---@return string|moonpost.Secret
function uri.expand(template, values) end
--- A url with another platform's macros ({x} {{x}} ${x} %%x%% (x) [x] #x#) as a template of ours.
---@param url moonpost.Bytes
---@param names? table<string, string> { CLICK_ID = "click_id" }
---@return string|moonpost.Secret
function uri.macros(url, names) end

--- A line in Moonpost's own log.
---@param ... any
function log(...) end

--- A module of this folder's lib: require "money" is lib/money.lua.
---@param name string
---@return any
function require(name) end
