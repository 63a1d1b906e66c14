---@meta moonpost.testing
-- Specs of partner scripts: for the Lua language server.

---@class moonpost.testing
---@field null any
local testing = {}

---@class moonpost.testing.Request
---@field method string
---@field url string
---@field host string "acme.example", with a port that is not the scheme's own
---@field query table<string, string|string[]>
---@field headers table<string, string> In any case.
---@field body? string
---@field json? any The body, decoded.
---@field form? table<string, string|string[]>
---@field places? integer[] Of which events of a list.

--- A status, an error's name ("timeout"), or all of an answer.
---@alias moonpost.testing.Response integer|string|{ status?: integer, error?: string, headers?: table<string, string>, body?: string, json?: any, duration_ms?: integer }
---@alias moonpost.testing.Answers moonpost.testing.Response[]|moonpost.testing.Response|fun(request: moonpost.testing.Request, number: integer): moonpost.testing.Response
--- A table, or JSON in a string.
---@alias moonpost.testing.Event table|string
---@alias moonpost.testing.Moment number|string

---@class moonpost.testing.Context
---@field id? string
---@field type? string
---@field source? string
---@field subject? string
---@field attempt? integer
---@field previous? { status?: integer, verdict?: moonpost.Word }
---@field received_at? moonpost.testing.Moment
---@field occurred_at? moonpost.testing.Moment
---@field endpoint? { method: string, url: string }

--- Of a list of events: verdicts and waits by place, delivered a list of places, the rest by place.
---@class moonpost.testing.Played
---@field verdicts string[]|string[][]
---@field waits number[]|number[][] Seconds.
---@field requests moonpost.testing.Request[]
---@field delivered boolean|integer[]
---@field dead? string|table<integer, string>
---@field skipped? string|table<integer, string>
---@field paused? string|table<integer, string>

---@class moonpost.testing.Partner
local partner = {}

--- The request, unsent; of a batch also what fell out. Or nil, why, and "dead", "skipped" or "error".
---@param events moonpost.testing.Event|moonpost.testing.Event[]
---@param ctx? moonpost.testing.Context
---@return moonpost.testing.Request?
---@return any why
---@return string? what
function partner:render(events, ctx) end

--- What goes together, and what falls out.
---@param events moonpost.testing.Event[]
---@param ctx? moonpost.testing.Context
---@return moonpost.testing.Event[][]?
---@return table<integer, string>|string fallen
function partner:batches(events, ctx) end

---@param event moonpost.testing.Event
---@param ctx? moonpost.testing.Context
---@return boolean?
---@return string? why
function partner:accepts(event, ctx) end

---@param response moonpost.testing.Response
---@param events? moonpost.testing.Event|moonpost.testing.Event[]
---@param ctx? moonpost.testing.Context
---@return moonpost.Word?
---@return string detail
---@return "answers"|"verdict"|"default" by
---@return table[]? each
function partner:verdict(response, events, ctx) end

--- Plays answers on a fake clock until nothing is left to send; the last answer repeats.
---@param events moonpost.testing.Event|moonpost.testing.Event[]
---@param answers? moonpost.testing.Answers
---@param ctx? moonpost.testing.Context
---@return moonpost.testing.Played
function partner:deliver(events, answers, ctx) end

---@param file string
---@param options? { now?: moonpost.testing.Moment, secrets?: table<string, string>, id?: string }
---@return moonpost.testing.Partner?
---@return string? why
function testing.partner(file, options) end

--- A token as the producer wrote it: testing.raw "1.50".
---@param token string
---@return any
function testing.raw(token) end

--- Seconds since 1970 of RFC 3339.
---@param text string
---@return number
function testing.time(text) end

return testing
