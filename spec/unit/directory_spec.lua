--- Who there is to deliver to, and who takes events of a type.
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice").of

describe("the directory", function()
  local directory

  local function set(partner, patterns)
    local list = ffi.new("struct mp_str[?]", math.max(#patterns, 1))
    for i, pattern in ipairs(patterns) do
      list[i - 1].data, list[i - 1].length = pattern, #pattern
    end
    assert.equal(0, c.mp_directory_set(directory, slice(partner), list, #patterns))
  end

  local function subscribers(kind)
    local names = {}
    -- LuaJIT's callbacks take no structs; the two words of a slice travel as two arguments.
    local each = ffi.cast("void (*)(void *, const char *, size_t)", function(_, data, length)
      names[#names + 1] = ffi.string(data, length)
    end)
    c.mp_directory_subscribers(directory, slice(kind),
      ffi.cast("void (*)(void *, struct mp_str)", ffi.cast("void *", each)), nil)
    each:free()
    return names
  end

  before_each(function()
    local out = ffi.new("struct mp_directory *[1]")
    assert.equal(0, c.mp_directory_new(out))
    directory = out[0]
  end)
  after_each(function()
    c.mp_directory_free(directory)
  end)

  it("knows whom it was told of and not those removed", function()
    for i = 1, 100 do
      set("p" .. (i * 37 % 101), {})
    end
    for i = 1, 100 do
      assert.is_true(c.mp_directory_has(directory, slice("p" .. i)))
    end
    assert.is_false(c.mp_directory_has(directory, slice("p0")))
    assert.is_false(c.mp_directory_has(directory, slice("p")))
    c.mp_directory_remove(directory, slice("p50"))
    c.mp_directory_remove(directory, slice("nobody"))
    assert.is_false(c.mp_directory_has(directory, slice("p50")))
    assert.is_true(c.mp_directory_has(directory, slice("p51")))
  end)

  it("names subscribers in order, each once", function()
    set("zeta", { "order.*", "*.paid" })
    set("beta", { "order.paid" })
    set("alpha", { "user.*" })
    assert.same({ "beta", "zeta" }, subscribers("order.paid"))
    assert.same({ "alpha" }, subscribers("user.new"))
    assert.same({}, subscribers("order"))
    set("beta", { "user.*" })
    assert.same({ "zeta" }, subscribers("order.paid"))
    assert.same({ "alpha", "beta" }, subscribers("user.new"))
  end)

  it("lets a star match any run, also none and dots", function()
    for pattern, types in pairs({
      ["*"] = { yes = { "a", "a.b" }, no = {} },
      ["a*c"] = { yes = { "ac", "abc", "a.c.c" }, no = { "a", "acd", "bac" } },
      ["*a*b"] = { yes = { "ab", "xaab", "a.b.b" }, no = { "ba", "abx" } },
      ["a**"] = { yes = { "a", "ab" }, no = { "b" } },
      ["order.paid"] = { yes = { "order.paid" }, no = { "order.paidx", "order", "Order.paid" } },
    }) do
      set("p", { pattern })
      for _, kind in ipairs(types.yes) do
        assert.same({ "p" }, subscribers(kind), pattern .. " takes " .. kind)
      end
      for _, kind in ipairs(types.no) do
        assert.same({}, subscribers(kind), pattern .. " leaves " .. kind)
      end
    end
  end)

  it("gives an event without a type to a bare star only", function()
    set("bare", { "*" })
    set("stars", { "**" })
    set("none", {})
    assert.same({ "bare" }, subscribers(""))
  end)

  it("takes no time over a pattern of stars", function()
    set("p", { ("*a"):rep(60) .. "b" })
    local from = os.clock()
    assert.same({}, subscribers(("a"):rep(2000)))
    assert.is_true(os.clock() - from < 2)
  end)
end)
