--- What `moonpost check` says of the mistakes that are made: the file and the line, what is wrong there, and
-- what to write instead. A case: the mistake, the script, and what is said behind the file's name.
local process = require("spec.support.process")
local runtime = require("spec.support.runtime")
local uv = require("luv")

local cases = {
  { "an unknown key", [[
return {
  url = "https://acme.example/pb?c={click_id}",
  retires = { schedule = { "5s" } },
}
]],
    [[:3: unknown key `retires` in a partner script: there are url, method, headers, body, form, vars, defaults, required, missing, answers, timeout, retry, limits, max_age, hosts, batch, item, subscribes, accepts, request, verdict, oauth2, tls, proxy]] },
  { "a word where a list belongs", [[
return {
  url = "https://acme.example/pb?c={click_id}",
  required = "click_id",
}
]],
    [[:3: required: it is a string: write a list, { "click_id" }]] },
  { "a url without a scheme", [[
return {
  url = "acme.example/pb?c={click_id}",
}
]],
    [[:2: url: could not use the url: it is not absolute: it begins with neither https:// nor http://: scheme, host and port are written out, expressions begin after them]] },
  { "an expression in the host", [[
return {
  url = "https://{geo}.acme.example/pb?c={click_id}",
}
]],
    [[:2: url: could not use the url: it has an expression before its path: scheme, host and port are written out, expressions begin after them]] },
  { "a bad duration", [[
return {
  url = "https://acme.example/pb",
  timeout = "5 sec",
}
]],
    [[:3: timeout: "5 sec" is no duration: write "30s", "5m", "2h"]] },
  { "a schedule that is no list", [[
return {
  url = "https://acme.example/pb",
  retry = { schedule = "5s, 1m, 10m" },
}
]],
    [[:3: retry.schedule: it is a string: write a list, { "5s", "1m", "10m" }]] },
  { "a secret that is missing", [[
return {
  url = "https://acme.example/pb?key=" .. secret "acme_key",
}
]],
    [[:2: there is no secret "acme_key": set MOONPOST_SECRET_ACME_KEY in the environment]] },
  { "an unknown marker", [[
return {
  url = "https://acme.example/pb",
  body = { n = integer "{n}" },
}
]],
    [[:3: unknown global `integer`: write local integer = … above it]] },
  { "a misspelt marker", [[
return {
  url = "https://acme.example/pb",
  body = { n = nubmer "{n}" },
}
]],
    [[:3: unknown global `nubmer`: did you mean `number`?]] },
  { "a text body with an expression", [[
return {
  url = "https://acme.example/pb",
  body = '{"click":"{click_id}"}',
}
]],
    [=[:3: body: a string cannot hold { or }: nothing would escape the value; write a table (sent as JSON), xml [[…]], text "…" (as it is) or literal "…" (no template)]=] },
  { "a number of retries", [[
return {
  url = "https://acme.example/pb",
  retry = 5,
}
]],
    [[:3: retry: it is a number: write { schedule = { "5s", "1m" } }]] },
  { "an unknown verdict", [[
return {
  url = "https://acme.example/pb",
  answers = { { status = 409, "ok" } },
}
]],
    [[:3: answers: entry 1: "ok" is no verdict: "delivered", "retry", "dead", "skipped" or "pause"]] },
  { "a header that is a table", [[
return {
  url = "https://acme.example/pb",
  headers = { Authorization = { "Bearer x" } },
}
]],
    [[:3: headers.Authorization: it is a table: write a string or a function, or json.string { … }]] },
  { "a forgotten comma", [[
return {
  url = "https://acme.example/pb"
  method = "POST",
}
]],
    [[:3: '}' expected (to close '{' at line 1) near 'method': a comma is missing before it]] },
  { "a forgotten return", [[
local acme = {
  url = "https://acme.example/pb",
}
]],
    [[:3: it returned nothing: end it with return { url = "https://…" }]] },
  { "a return of nothing", [[
local function acme()
end
return acme()
]],
    [[:3: it returned nothing: end it with return { url = "https://…" }]] },
  { "a module that is missing", [[
local money = require "money"
return {
  url = "https://acme.example/pb",
}
]],
    [[:1: could not require "money": there is no file scripts/lib/money.lua]] },
  { "a rate without a unit", [[
return {
  url = "https://acme.example/pb",
  limits = { rate = "10" },
}
]],
    [[:3: limits.rate: "10" is no rate: write "500/s", "10/m" or "100/h"]] },
  { "a GET with a body", [[
return {
  method = "GET",
  url = "https://acme.example/pb",
  body = { id = "{id}" },
}
]],
    [[:4: body: a GET has no body: set method = "POST" or remove it]] },
  { "the time from os", [[
return {
  url = "https://acme.example/pb?t=" .. os.time(),
}
]],
    [[:2: `os` is not available to scripts: write time.now(), time.format(…)]] },
  { "a brace that is left open", [[
return {
  url = "https://acme.example/pb?c={click_id",
}
]],
    [[:2: url: column 27: `{` is not closed: write }, or %7B]] },
  { "a condition instead of a function", [[
return {
  url = "https://acme.example/pb",
  accepts = "payout > 0",
}
]],
    [[:3: accepts: it is a string: write a function]] },
  { "an unknown word", [[
return {
  url = "https://acme.example/pb",
  missing = "remove",
}
]],
    [[:3: missing: "remove" is neither: write "drop" or "empty"]] },
  { "a method in small letters", [[
return {
  method = "post",
  url = "https://acme.example/pb",
}
]],
    [[:2: method: methods are in capitals: write "POST"]] },
  { "no url at all", [[
return {
  headers = { ["X-A"] = "b" },
}
]],
    [[:1: there is no url: add url = "https://…" (or a request hook with hosts)]] },
  { "one answer instead of a list", [[
return {
  url = "https://acme.example/pb",
  answers = { status = 409, "dead" },
}
]],
    [[:3: answers: it mixes list items and names: keep to one of the two, as in { { status = 409, "dead" } }]] },
  { "a header that Moonpost sets", [[
return {
  url = "https://acme.example/pb",
  headers = { ["Content-Length"] = "5" },
}
]],
    [[:3: headers.Content-Length: could not set the header Content-Length: Moonpost sets it itself]] },
  { "a number in quotes", [[
return {
  url = "https://acme.example/pb",
  limits = { concurrency = "8" },
}
]],
    [[:3: limits.concurrency: it is a string: write a whole number from 1 to 10000, without quotes]] },
  { "a forgotten end", [[
return {
  url = "https://acme.example/pb",
  verdict = function(response) if response.status == 200 then return "delivered" end,
}
]],
    [[:3: unexpected symbol near ',']] },
  { "a bad wait of a retry", [[
return {
  url = "https://acme.example/pb",
  answers = { { body = "LATER", "retry", "10 minutes" } },
}
]],
    [[:3: answers: entry 1: "retry" goes with a duration: "10m", or a number of seconds]] },
  { "a batch that is a number", [[
return {
  url = "https://acme.example/pb",
  batch = 100, item = { id = "{id}" },
}
]],
    [[:3: batch: it is a number: write { size = 100, wait = "1s" }]] },
  { "braces of another language", [[
return {
  url = "https://acme.example/pb?c={{click_id}}",
}
]],
    [[:2: url: column 28: braces are single: write {x}]] },
  { "a space in a name", [[
return {
  url = "https://acme.example/pb?c={click id}",
}
]],
    [[:2: url: column 33: a space may not stand in a name: letters, digits, _ and dots may]] },
  { "a form that is text", [[
return {
  url = "https://acme.example/pb",
  form = "a={a}&b={b}",
}
]],
    [[:3: form: it is a string: write { click = "{click_id}" }]] },
  { "a body and a form", [[
return {
  url = "https://acme.example/pb",
  body = { a = "{a}" }, form = { b = "{b}" },
}
]],
    [[:3: form: there is a body too: keep one of the two]] },
  { "a rate with a long unit", [[
return {
  url = "https://acme.example/pb",
  limits = { rate = "10/min" },
}
]],
    [[:3: limits.rate: "10/min" is no rate: write "500/s", "10/m" or "100/h"]] },
  { "a bad entry of a schedule", [[
return {
  url = "https://acme.example/pb",
  retry = { schedule = { "5s", "1min" } },
}
]],
    [[:3: retry.schedule: "1min" is no duration: write "30s", "5m", "2h"]] },
  { "names where a list belongs", [[
return {
  url = "https://acme.example/pb",
  required = { click_id = true },
}
]],
    [[:3: required: it is a table with names: write a list, { "click_id" }]] },
  { "a space in a header's name", [[
return {
  url = "https://acme.example/pb",
  headers = { ["X Key"] = "a" },
}
]],
    [[:3: headers.X Key: could not set a header: its name is no token: write letters, digits and -]] },
  { "an age in words", [[
return {
  url = "https://acme.example/pb",
  max_age = "week",
}
]],
    [[:3: max_age: "week" is no duration: write "30s", "5m", "2h"]] },
  { "a print", [[
print("loading")
return { url = "https://acme.example/pb" }
]],
    [[:1: `print` is not available to scripts: write log(…)]] },
  { "a return of a field that is not there", [[
partner = { url = "https://acme.example/pb" }
return partner.config
]],
    [[:2: it returned nothing: end it with return { url = "https://…" }]] },
  { "a by without cases", [[
return {
  url = by("geo", "https://de.acme.example/pb", "https://acme.example/pb"),
}
]],
    [[:2: `by` takes a key and a table of cases: by("geo", { DE = "…" }, "the default")]] },
  { "a misspelt key", [[
return {
  url = "https://acme.example/pb",
  hedaers = { ["X-A"] = "b" },
}
]],
    [[:3: unknown key `hedaers`: did you mean `headers`?]] },
  { "a misspelt key inside another", [[
return {
  url = "https://acme.example/pb",
  retry = { shedule = { "5s" } },
}
]],
    [[:3: unknown key `shedule`: did you mean `schedule`?]] },
  { "an item without a batch", [[
return {
  url = "https://acme.example/pb",
  item = { id = "{id}" },
}
]],
    [[:3: item: an item is a piece of a batch: add batch = { size = 100 }, or write body]] },
  { "what differs within a batch", [[
return {
  url = "https://acme.example/pb",
  batch = { size = 50 },
  item = { id = "{id}" },
  body = { source = "{source}", data = items },
}
]],
    [[:5: body.source: {source} may differ within a batch: write batch = { by = { "source" } }, or move it into item]] },
  { "a key in the wrong place", [[
return {
  url = "https://acme.example/pb",
  rate = "10/s",
}
]],
    [[:3: unknown key `rate`: write limits = { rate = "500/s" }]] },
  { "a url from a function, without hosts", [[
return {
  url = function(event) return "https://acme.example/" .. event.id end,
}
]],
    [[:2: url: a function needs hosts: add hosts = { "https://…" }]] },
}

describe("moonpost check", function()
  local said, folder = {}, nil

  local function path_of(number)
    return ("scripts/acme_%d.lua"):format(number)
  end

  setup(function()
    folder = runtime.folder()
    uv.fs_mkdir(folder .. "/scripts", 493)
    for i, case in ipairs(cases) do
      runtime.write_file(folder .. "/" .. path_of(i), case[2])
    end
    local child = process.run(runtime.binary(), { args = { "check" }, cwd = folder })
    assert.equal(1, child.code, child:text())
    for _, line in ipairs(child.out) do
      local path = assert(line:match("^scripts/acme_%d+%.lua"), line)
      said[path] = line
    end
  end)

  teardown(runtime.clean)

  for i, case in ipairs(cases) do
    it("says what to write instead of " .. case[1], function()
      assert.equal(path_of(i) .. case[3], said[path_of(i)])
    end)
  end

  it("says the same of a file that is named alone", function()
    for i = 1, 3 do
      local child = process.run(runtime.binary(), { args = { "check", path_of(i) }, cwd = folder })
      assert.equal(1, child.code, child:text())
      assert.equal(path_of(i) .. cases[i][3], child:text("out"))
    end
  end)
end)
