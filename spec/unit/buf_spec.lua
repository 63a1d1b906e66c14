local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")

local OK, ELIMIT = 0, -3

describe("a buffer", function()
  it("takes exactly its limit, and what does not fit changes nothing", function()
    local buf = slice.buf(5)
    assert.equal(OK, c.mp_buf_append_text(buf, "abc"))
    assert.equal(ELIMIT, c.mp_buf_append_text(buf, "def"))
    assert.equal("abc", slice.content(buf))
    assert.equal(OK, c.mp_buf_append(buf, "de", 2))
    assert.equal(ELIMIT, c.mp_buf_append_char(buf, 33))
    assert.equal(ELIMIT, c.mp_buf_reserve(buf, 1))
    assert.equal(OK, c.mp_buf_reserve(buf, 0))
    assert.equal("abcde", ffi.string(c.mp_buf_cstr(buf)))
    assert.equal(5, tonumber(buf[0].length))
  end)

  it("may be given no room at all, or all there is", function()
    local none = slice.buf(0)
    assert.equal(ELIMIT, c.mp_buf_append_char(none, 33))
    assert.equal(OK, c.mp_buf_append_text(none, ""))
    assert.equal("", ffi.string(c.mp_buf_cstr(none)))
    local all = slice.buf(ffi.cast("size_t", -1))
    assert.equal(OK, c.mp_buf_append_text(all, "x"))
    assert.equal(ELIMIT, c.mp_buf_reserve(all, ffi.cast("size_t", -1)))
    assert.equal("x", slice.content(all))
  end)

  it("grows over many appends and keeps every byte", function()
    local buf, expected = slice.buf(), {}
    for i = 1, 3000 do
      assert.equal(OK, c.mp_buf_append_int(buf, i))
      assert.equal(OK, c.mp_buf_append_str(buf, slice.of(",")))
      expected[#expected + 1] = i .. ","
    end
    assert.equal(table.concat(expected), slice.content(buf))
  end)

  it("keeps its memory when it is emptied", function()
    local buf = slice.buf()
    assert.equal(OK, c.mp_buf_append_text(buf, ("x"):rep(1000)))
    local data = buf[0].data
    c.mp_buf_reset(buf)
    assert.equal(OK, c.mp_buf_append_text(buf, "y"))
    assert.equal(data, buf[0].data)
    assert.equal("y", slice.content(buf))
  end)

  it("writes the whole range of 64-bit numbers", function()
    for text, number in pairs({ ["0"] = 0, ["7"] = 7, ["-1"] = -1, ["9223372036854775807"] = 9223372036854775807LL,
      ["-9223372036854775808"] = -9223372036854775807LL - 1 }) do
      local buf = slice.buf()
      assert.equal(OK, c.mp_buf_append_int(buf, number))
      assert.equal(text, slice.content(buf))
    end
  end)

  it("formats, and to its limit to the byte", function()
    local buf = slice.buf(6)
    assert.equal(OK, c.mp_buf_printf(buf, "%d-%s", ffi.cast("int", 12), "abc"))
    assert.equal("12-abc", slice.content(buf))
    assert.equal(ELIMIT, c.mp_buf_printf(buf, "%s", "d"))
    assert.equal("12-abc", slice.content(buf))
    assert.equal(OK, c.mp_buf_printf(buf, "%s", ""))
  end)

  it("has room for the NUL of a formatted text, wherever its memory ends", function()
    for before = 100, 130 do
      local buf = slice.buf()
      assert.equal(OK, c.mp_buf_append_text(buf, ("x"):rep(before)))
      assert.equal(OK, c.mp_buf_printf(buf, "%s", ("y"):rep(28)))
      assert.is_true(buf[0].capacity > buf[0].length)
      assert.equal(("x"):rep(before) .. ("y"):rep(28), slice.content(buf))
    end
  end)
end)

describe("a slice", function()
  it("trims all white space of ASCII when asked to", function()
    assert.equal("a\tb\194\160", slice.text(c.mp_str_trim_space(slice.of(" \t\n\v\f\ra\tb\194\160\r\n "))))
    assert.equal("\0", slice.text(c.mp_str_trim_space(slice.of(" \0 "))))
    assert.equal("", slice.text(c.mp_str_trim_space(slice.of(" \n"))))
  end)

  it("orders by bytes, then by length", function()
    local given = { "b", "", "ab", "a\255", "a", "\195" }
    table.sort(given, function(a, b)
      return c.mp_str_order(slice.of(a), slice.of(b)) < 0
    end)
    assert.same({ "", "a", "ab", "a\255", "b", "\195" }, given)
    assert.equal(0, c.mp_str_order(slice.of("ab"), slice.of("ab")))
  end)

  it("is cut between characters, and only where it does not fit", function()
    for _, case in ipairs({ { "aü", 3, 3 }, { "aü", 2, 1 }, { "a€b", 4, 4 }, { "a€b", 3, 1 }, { "€", 2, 0 }, { "abc", 2, 2 }, { "", 5, 0 }, { "ab", 0, 0 } }) do
      assert.equal(case[3], tonumber(c.mp_str_fit(slice.of(case[1]), case[2])), case[1])
    end
  end)

  it("lowers the letters of UTF-8, and keeps what is none", function()
    for given, lower in pairs({ ["Gopher@Example.COM"] = "gopher@example.com", ["ÄÖÜ ŁÓDŹ ПРИВЕТ ΣΑΣ"] = "äöü łódź привет σασ",
      ["A\195\255[@`{\0Z"] = "a\195\255[@`{\0z", ["𐐀"] = "𐐨", [""] = "" }) do
      local out = slice.buf()
      assert.equal(c.MP_OK, c.mp_buf_append_lower(out, slice.of(given)))
      assert.equal(lower, slice.content(out))
    end
    local out = slice.buf(3)
    assert.equal(c.MP_ELIMIT, c.mp_buf_append_lower(out, slice.of("ABCD")))
    assert.equal("", slice.content(out))
  end)

  it("trims spaces and tabs, and nothing else", function()
    for given, left in pairs({ ["  a b\t"] = "a b", ["\na "] = "\na", [" \t "] = "", [""] = "" }) do
      assert.equal(left, slice.text(c.mp_str_trim(slice.of(given))))
    end
  end)

  it("compares by bytes, and without case for ASCII letters only", function()
    assert.is_true(c.mp_str_equal(slice.of("a\0b"), slice.of("a\0b")))
    assert.is_false(c.mp_str_equal(slice.of("a\0b"), slice.of("a\0c")))
    assert.is_true(c.mp_str_equal(slice.of(""), c.mp_str_of(nil)))
    assert.is_true(c.mp_str_is(slice.of("abc"), "abc"))
    assert.is_false(c.mp_str_is(slice.of("abcd"), "abc"))
    assert.is_true(c.mp_str_equal_nocase(slice.of("Content-TYPE"), slice.of("content-type")))
    assert.is_false(c.mp_str_equal_nocase(slice.of("[a"), slice.of("{a")))
    assert.is_false(c.mp_str_equal_nocase(slice.of("\195\137"), slice.of("\195\169")))
  end)
end)

describe("an explanation", function()
  local err
  before_each(function()
    err = ffi.new("struct mp_error[1]")
  end)

  it("names each status, and does not know others", function()
    assert.equal("ELIMIT", ffi.string(c.mp_status_name(-3)))
    assert.equal("over a limit", ffi.string(c.mp_status_text(-3)))
    assert.equal("OK", ffi.string(c.mp_status_name(0)))
    assert.equal("UNKNOWN", ffi.string(c.mp_status_name(-999)))
    assert.equal("UNKNOWN", ffi.string(c.mp_status_text(1)))
  end)

  it("gives its status back, with nowhere to put the text too", function()
    assert.equal(-7, c.mp_error_set(err, -7, "could not open %s: %s", "a", "b"))
    assert.equal("could not open a: b", ffi.string(err[0].text))
    assert.equal(-7, err[0].status)
    assert.equal(-7, c.mp_error_set(nil, -7, "x"))
    assert.equal(OK, c.mp_error_wrap(nil, "x"))
  end)

  it("is wrapped from outside, and cut at its end", function()
    c.mp_error_set(err, -7, "inner")
    assert.equal(-7, c.mp_error_wrap(err, "could not load %s", "acme"))
    assert.equal("could not load acme: inner", ffi.string(err[0].text))
    c.mp_error_wrap(err, "%s", ("x"):rep(500))
    assert.equal(511, #ffi.string(err[0].text))
    c.mp_error_set(err, -1, "%s", ("y"):rep(600))
    assert.equal(("y"):rep(511), ffi.string(err[0].text))
    c.mp_error_wrap(err, "%s", ("z"):rep(600))
    assert.equal(("z"):rep(511), ffi.string(err[0].text))
  end)

  it("may be made from itself", function()
    c.mp_error_set(err, -7, "inner")
    c.mp_error_set(err, -2, "outer %s", ffi.cast("const char *", err[0].text))
    assert.equal("outer inner", ffi.string(err[0].text))
  end)
end)
