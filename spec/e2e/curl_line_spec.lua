--- The line for curl that `moonpost try` prints: run in sh, it sends what Moonpost itself sends.
local uv = require("luv")
local cjson = require("cjson")
local support = require("spec.support")
local eventually, partner, process, runtime = support.eventually, support.partner, support.process,
  support.runtime

-- Scripts by name; their address is the fake partner's. Each is tried with its event, or {}.
local cases = {
  get = { [[url = "$/pb?c={click_id}&n={n}", headers = { ["X-Who"] = "{who}", Accept = "text/plain" }]],
          { click_id = "a b/ü&", n = 17, who = "O'Brien \"$HOME\" `id` \\n !1" } },
  post_json = { [[url = "$/json", body = { text = "{text}", list = { "{a}", 1, true }, null = json.null }]],
                { text = "it's \"quoted\"\nand $HOME `id` $(id) \\ \\n @file ü € 𝄞 !! \t end\n", a = "@a" } },
  at_sign = { [[url = "$/at", method = "POST", headers = { ["Content-Type"] = "text/plain" }, body = text "{text}"]],
              { text = "@/etc/passwd" } },
  no_type = { [[url = "$/plain", method = "PUT", request = function(event, request)
                request.headers["Content-Type"] = false; request.body = "a=b" end]] },
  control = { [[url = "$/control", method = "POST", body = function() return "\r\n\1\27[2J\127\t'\r'\255 end\n\n" end]] },
  form = { [[url = "$/form", form = { a = "{a}", ["b c"] = "x y", list = "{list}" }]], { a = "1&2=3'", list = { "p", "q" } } },
  event = { [[url = "$/event", method = "PATCH"]], { text = "as it 'is'" } },
  empty_header = { [[url = "$/empty", headers = { ["X-Empty"] = "", ["X-After"] = "a;b" }]] },
  head = { [[url = "$/head?x={x}", method = "HEAD"]], { x = "1" } },
  delete = { [[url = "$/items/{id}", method = "DELETE"]], { id = "a/b" } },
  delete_body = { [[url = "$/items", method = "DELETE", body = { id = "{id}" }]], { id = 5 } },
  get_body = { [[url = "$/search", method = "GET", request = function(event, request)
                 request.body = "q" end]] },
  own_method = { [[url = "$/cache/*", method = "PURGE"]] },
  brackets = { [[url = "$/a[1]/%7Bx%7D/{a}?list[]={a}&set={+b}{&x,y}"]], { a = "[0-9]", b = "{1,2}", x = "#", y = "%" } },
  dots = { [[url = "$/.well-known/a..b/.../{a}?up=../x"]], { a = "..c" } },
  dot_segments = { [[url = "$/a/./b/../{c}"]], { c = "d" } },
  no_body = { [[url = "$/bare", method = "PUT", request = function(event, request) request.body = nil end]] },
  put_empty = { [[url = "$/put", method = "PUT", body = ""]] },
  post_empty = { [[url = "$/post", method = "POST", body = ""]] },
  agent = { [[url = "$/agent", headers = { ["User-Agent"] = "Mozilla/5.0 (X11; Linux)" }]] },
  secrets = { [[url = "$/s/" .. secret "path_key" .. "?t=" .. secret "token",
                headers = { Authorization = "Bearer " .. secret "token", ["X-Note"] = "[secret note]" },
                body = { key = secret "token", said = "{said}" }]], { said = "[secret said]" } },
}
local env = { MOONPOST_SECRET_TOKEN = "s3cr-et_T", MOONPOST_SECRET_PATH_KEY = "p4th" }

-- Those that do not load are this spec's own fault.
local function scripts_for(address)
  local scripts = {}
  for name, case in pairs(cases) do
    scripts[name] = ("return { %s }"):format((case[1]:gsub("%$/", function() return address .. "/" end)))
  end
  return scripts
end

local function event_of(name)
  return cases[name][2] and cjson.encode(cases[name][2]) or "{}"
end

-- From "curl" to the timetable.
local function curl_line(name, folder)
  local child = process.run(runtime.binary(), {
    args = { "try", name, event_of(name), "--scripts", folder, "--type", "t" }, env = env })
  assert.equal(0, child.code, name .. ": " .. child:text())
  local out = child:text("out")
  return assert(out:match("\n(curl .*)\n\n2nd attempt after"), out)
end

local function run_in_sh(line, shell)
  local child = process.run(shell or "/bin/sh", { args = { "-c", line }, env = env })
  assert.equal(0, child.code, line .. "\n" .. child:text())
end

-- All that an exchange consists of, but what differs from one to the next.
local function essence(request)
  local headers = {}
  for field, value in pairs(request.headers) do
    headers[field] = value
  end
  headers["moonpost-id"] = headers["moonpost-id"] and "an id"
  return { method = request.method, target = request.target, headers = headers, body = request.body,
           version = request.version }
end

describe("the line for curl", function()
  local fake, rt

  setup(function()
    fake = partner.new({ handler = function() return { status = 200, body = "thanks" } end })
    rt = runtime.start({ scripts = scripts_for(fake:url("")), env = env })
  end)

  teardown(support.clean)

  local function next_request(fn)
    local before = #fake.requests
    fn()
    return essence(eventually(function()
      return fake.requests[before + 1]
    end, nil, "a request"))
  end

  local function of_moonpost(name)
    return next_request(function()
      rt:accept("/events/" .. name, event_of(name))
    end)
  end

  local names = {}
  for name in pairs(cases) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    it("sends what Moonpost sends: " .. name, function()
      local sent = of_moonpost(name)
      local line = curl_line(name, rt.scripts)
      assert.same(sent, next_request(function()
        run_in_sh(line)
      end), line)
      assert.falsy(line:find("[^\n\t\32-\126\128-\255]"), "it has control bytes: " .. line)
    end)
  end

  it("is the same to bash", function()
    if not uv.fs_stat("/bin/bash") then
      return pending("there is no bash")
    end
    for _, name in ipairs({ "control", "post_json" }) do
      local sent = of_moonpost(name)
      assert.same(sent, next_request(function()
        run_in_sh(curl_line(name, rt.scripts), "/bin/bash")
      end))
    end
  end)

  it("reads well", function()
    local line = curl_line("secrets", rt.scripts):gsub("%x+%-%x+%-%x+%-%x+%-%x+", "ID"):gsub("127.0.0.1:%d+", "HOST")
    assert.equal([[
curl --globoff 'http://HOST/s/'"$MOONPOST_SECRET_PATH_KEY"'?t='"$MOONPOST_SECRET_TOKEN"'' \
  -H 'Moonpost-Id: ID' \
  -H 'Moonpost-Attempt: 1' \
  -H 'User-Agent: Moonpost/0.1.0' \
  -H 'Content-Type: application/json' \
  -H 'Authorization: Bearer '"$MOONPOST_SECRET_TOKEN"'' \
  -H 'X-Note: [secret note]' \
  --data-raw '{"key":"'"$MOONPOST_SECRET_TOKEN"'","said":"[secret said]"}'
# MOONPOST_SECRET_… must hold what is sent: encoded, where the script encodes it]], line)
    line = curl_line("get", rt.scripts)
    assert.truthy(line:find("^curl 'http://"), line)
  end)

  it("names oauth2's token, and says that a NUL is lost", function()
    rt:write_script("oauth", ([[return { url = "%s/", method = "POST", body = function() return "a\0b" end,
      oauth2 = { token_url = "https://a.example/t", client_id = "i", client_secret = secret "token" } }]])
      :format(fake:url("")))
    cases.oauth = {}
    local line = curl_line("oauth", rt.scripts)
    cases.oauth = nil
    assert.truthy(line:find([[-H 'Authorization: Bearer '"$OAUTH2_TOKEN"'']], 1, true), line)
    assert.truthy(line:find("--data-raw 'ab'\n# its NUL bytes are left out", 1, true), line)
  end)
end)
