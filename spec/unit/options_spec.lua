local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")

ffi.cdef([[
  int setenv(const char *name, const char *value, int overwrite);
  int unsetenv(const char *name);
  struct spec_settings {
    bool no_auth; const char *data; int64_t workers; int64_t max_body; int64_t drain; struct mp_option_texts set;
  };
]])

local OK, EINVAL = 0, -2
local RUN, SEND = 1, 2

local kept = {}
local function static(text)
  kept[#kept + 1] = text and ffi.new("char[?]", #text + 1, text)
  return text and kept[#kept]
end

local rows = {
  { "no-auth", nil, "FLAG", nil, nil, "answer without a token", "no_auth" },
  { "data", "d", "TEXT", "DIR", "./data", "where the queue is kept", "data" },
  { "workers", nil, "NUMBER", "N", nil, "delivery threads", "workers", 1, 64 },
  { "max-body", nil, "SIZE", "SIZE", "1MiB", "the largest body", "max_body", 1024, 67108864 },
  { "drain", nil, "DURATION", "DURATION", "30s", "how long to wait", "drain", 0, 3600000 },
  { "set", "X", "REPEATED", "NAME=VALUE", nil, "a setting of the queue", "set" },
}
local send_row = { "listen", nil, "TEXT", "HOST:PORT", nil, "where to listen", "data" }

local function build()
  local all = { unpack(rows) }
  all[#all + 1] = send_row
  local table_ = ffi.new("struct mp_option[?]", #all)
  for i, row in ipairs(all) do
    local option = table_[i - 1]
    option.name, option.letter = static(row[1]), row[2] and row[2]:byte() or 0
    option.kind, option.argument = c["MP_OPTION_" .. row[3]], static(row[4])
    option.fallback, option.help = static(row[5]), static(row[6])
    option.commands = row == send_row and SEND or RUN
    option.offset = ffi.offsetof("struct spec_settings", row[7])
    option.min, option.max = row[8] or 0, row[9] or 0
  end
  return table_, #all
end
local options, count = build()

local function parse(args, command, words_max)
  local argv = ffi.new("char *[?]", #args + 1)
  for i, arg in ipairs(args) do
    argv[i - 1] = static(arg)
  end
  local settings, err = ffi.new("struct spec_settings"), ffi.new("struct mp_error")
  local words, word_count = ffi.new("const char *[?]", 8), ffi.new("size_t[1]")
  local status = c.mp_options_parse(options, count, command or RUN, #args, argv, settings, words, words_max or 8, word_count, err)
  if status ~= OK then
    assert.equal(EINVAL, status)
    return nil, ffi.string(err.text)
  end
  local list = {}
  for i = 0, tonumber(word_count[0]) - 1 do
    list[#list + 1] = ffi.string(words[i])
  end
  return settings, list
end

local function why(...)
  return (select(2, parse({ ... })))
end

describe("the options", function()
  after_each(function()
    for _, name in ipairs({ "DATA", "WORKERS", "MAX_BODY", "NO_AUTH", "SET", "DRAIN" }) do
      ffi.C.unsetenv("MOONPOST_" .. name)
    end
  end)

  it("are what the defaults say when nothing is given", function()
    local settings, words = parse({})
    assert.same({}, words)
    assert.equal("./data", ffi.string(settings.data))
    assert.equal(1048576, tonumber(settings.max_body))
    assert.equal(30000, tonumber(settings.drain))
    assert.equal(0, tonumber(settings.workers))
    assert.is_false(settings.no_auth)
    assert.equal(0, tonumber(settings.set.count))
  end)

  it("are read as --name value, --name=value and by their letter, among words", function()
    local settings, words = parse({ "one", "--data", "/a", "--workers=8", "--max-body", "64KiB", "--drain=5m", "--no-auth", "two" })
    assert.equal("/a", ffi.string(settings.data))
    assert.equal(8, tonumber(settings.workers))
    assert.equal(65536, tonumber(settings.max_body))
    assert.equal(300000, tonumber(settings.drain))
    assert.is_true(settings.no_auth)
    assert.same({ "one", "two" }, words)
    assert.equal("/b", ffi.string(parse({ "-d", "/b" }).data))
    assert.equal("/b", ffi.string(parse({ "-d/b" }).data))
    assert.equal("--odd", ffi.string(parse({ "--data=--odd" }).data))
    assert.equal("", ffi.string(parse({ "--data=" }).data))
    assert.equal("/2", ffi.string(parse({ "--data=/1", "--data", "/2" }).data))
    assert.is_false(parse({ "--no-auth=no" }).no_auth)
  end)

  it("add up when they may be repeated", function()
    local settings = parse({ "-X", "a=1", "--set=b=2", "-Xc=3" })
    local list = {}
    for i = 0, tonumber(settings.set.count) - 1 do
      list[#list + 1] = ffi.string(settings.set.items[i])
    end
    assert.same({ "a=1", "b=2", "c=3" }, list)
  end)

  it("end at --, and a dash alone is a word", function()
    local settings, words = parse({ "-", "--", "--data", "-x", "--" })
    assert.equal("./data", ffi.string(settings.data))
    assert.same({ "-", "--data", "-x", "--" }, words)
  end)

  it("take a flag before the environment, and that before the default", function()
    ffi.C.setenv("MOONPOST_DATA", "/env", 1)
    ffi.C.setenv("MOONPOST_MAX_BODY", "2MiB", 1)
    ffi.C.setenv("MOONPOST_NO_AUTH", "yes", 1)
    ffi.C.setenv("MOONPOST_SET", "e=1", 1)
    ffi.C.setenv("MOONPOST_DRAIN", "", 1)
    local settings = parse({ "--data", "/flag" })
    assert.equal("/flag", ffi.string(settings.data))
    assert.equal(2097152, tonumber(settings.max_body))
    assert.is_true(settings.no_auth)
    assert.equal("e=1", ffi.string(settings.set.items[0]))
    assert.equal(30000, tonumber(settings.drain))
    ffi.C.setenv("MOONPOST_NO_AUTH", "0", 1)
    assert.is_false(parse({}).no_auth)
  end)

  it("name what is wrong in the environment by its name there", function()
    ffi.C.setenv("MOONPOST_WORKERS", "many", 1)
    assert.equal("could not read MOONPOST_WORKERS: `many` is not a whole number", why())
    ffi.C.setenv("MOONPOST_WORKERS", "65", 1)
    assert.equal("could not read MOONPOST_WORKERS: `65` is out of range, it takes 1 to 64", why())
    assert.is_table(select(2, parse({ "--workers", "2" })))
    ffi.C.unsetenv("MOONPOST_WORKERS")
    ffi.C.setenv("MOONPOST_NO_AUTH", "maybe", 1)
    assert.equal("could not read MOONPOST_NO_AUTH: `maybe` is not 1, true, yes or 0, false, no", why())
  end)

  it("tell the range of numbers, sizes and durations, whose ends belong to it", function()
    assert.equal(64, tonumber(parse({ "--workers", "64" }).workers))
    assert.equal(1, tonumber(parse({ "--workers", "1" }).workers))
    assert.equal(67108864, tonumber(parse({ "--max-body", "64MiB" }).max_body))
    assert.equal("could not read --workers: `0` is out of range, it takes 1 to 64", why("--workers", "0"))
    assert.equal("could not read --workers: `-1` is out of range, it takes 1 to 64", why("--workers", "-1"))
    assert.equal("could not read --workers: `99999999999999999999` is out of range, it takes 1 to 64", why("--workers=99999999999999999999"))
    assert.equal("could not read --max-body: `1GiB` is out of range, it takes 1KiB to 64MiB", why("--max-body", "1GiB"))
    assert.equal("could not read --drain: `2h` is out of range, it takes 0s to 1h", why("--drain", "2h"))
  end)

  it("tell what they take when they are malformed", function()
    assert.equal("could not read --workers: `x` is not a whole number", why("--workers", "x"))
    assert.equal("could not read --workers: `` is not a whole number", why("--workers="))
    assert.equal("could not read --workers: `1.5` is not a whole number", why("--workers=1.5"))
    assert.equal("could not read --max-body: `1MB` is not a size such as 64KiB, 1MiB or 1000 (bytes)", why("--max-body=1MB"))
    assert.equal("could not read --drain: `soon` is not a duration such as 250ms, 30s, 5m or 2h", why("--drain=soon"))
    assert.equal("could not read --data: it takes DIR", why("--data"))
    assert.equal("could not read --data: it takes DIR", why("--data", "--no-auth"))
  end)

  it("suggest what is near, and do not guess what is not", function()
    assert.equal("could not read the options: unknown option --dat (did you mean --data?)", why("--dat"))
    assert.equal("could not read the options: unknown option --wrokers (did you mean --workers?)", why("--wrokers=3"))
    assert.equal("could not read the options: unknown option --max_body (did you mean --max-body?)", why("--max_body", "1"))
    assert.equal("could not read the options: unknown option -workers (did you mean --workers?)", why("-workers"))
    assert.equal("could not read the options: unknown option --completely-else", why("--completely-else"))
    assert.equal("could not read the options: unknown option -q", why("-q"))
    assert.truthy(why("--" .. ("x"):rep(5000)):find("unknown option %-%-xxx"))
  end)

  it("belong to their commands", function()
    assert.equal("could not read the options: --listen belongs to another command", why("--listen", "x"))
    assert.equal("x", ffi.string(parse({ "--listen", "x" }, SEND).data))
    assert.is_true(parse({}, SEND).data == nil)
  end)

  it("take no more words than there is room for", function()
    local settings, reason = parse({ "a", "b" }, RUN, 1)
    assert.is_nil(settings)
    assert.equal("could not read the command line: `b` was not expected", reason)
  end)

  it("print their help with default and environment name, within 100 columns", function()
    local out = slice.buf()
    assert.equal(OK, c.mp_options_help(options, count, RUN, out))
    local text = slice.content(out)
    assert.truthy(text:find("  -d, --data DIR\n      where the queue is kept (default ./data; MOONPOST_DATA)\n", 1, true))
    assert.truthy(text:find("  --no-auth\n      answer without a token (MOONPOST_NO_AUTH)\n", 1, true))
    assert.truthy(text:find("MOONPOST_MAX_BODY", 1, true))
    assert.is_falsy(text:find("--listen", 1, true))
    local long = ffi.new("struct mp_option[1]", { options[0] })
    long[0].help = static(("words that wrap "):rep(20))
    c.mp_buf_reset(out)
    assert.equal(OK, c.mp_options_help(long, 1, RUN, out))
    for line in slice.content(out):gmatch("[^\n]+") do
      assert.is_true(#line <= 100, line)
    end
    assert.truthy(slice.content(out):find("MOONPOST_NO_AUTH)\n", 1, true))
  end)
end)
