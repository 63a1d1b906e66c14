local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")

local OK, ELIMIT = 0, -3

local function labels(list)
  local out = ffi.new("struct mp_label[?]", #list + 1)
  for i, label in ipairs(list) do
    out[i - 1].name, out[i - 1].value = label[1], slice.of(label[2])
  end
  return out, #list
end

describe("the metrics", function()
  local metrics, kept
  -- Names and help texts are static in C: here they live as long as the metrics do.
  local function static(text)
    kept[#kept + 1] = ffi.new("char[?]", #text + 1, text)
    return kept[#kept]
  end
  local function make(kind, name, help, list)
    local array, count = labels(list or {})
    kept[#kept + 1] = array
    return c["mp_metrics_" .. kind](metrics, static(name), static(help), array, count)
  end
  local function written()
    local out = slice.buf()
    assert.equal(OK, c.mp_metrics_write(metrics, out))
    return slice.content(out)
  end

  before_each(function()
    kept = {}
    local out = ffi.new("struct mp_metrics *[1]")
    assert.equal(OK, c.mp_metrics_new(out))
    metrics = ffi.gc(out[0], nil)
  end)
  after_each(function()
    c.mp_metrics_free(metrics)
  end)

  it("keep a family's series together, under one HELP and TYPE", function()
    local a = make("counter", "mp_a_total", "How many a.", { { "partner", "acme" } })
    local b = make("gauge", "mp_b", "How many b.")
    local other = make("counter", "mp_a_total", "How many a.", { { "partner", "zeta" }, { "verdict", "dead" } })
    c.mp_series_add(a, 2)
    c.mp_series_add(a, 3)
    c.mp_series_set(b, -7)
    c.mp_series_add(other, 1)
    assert.equal(table.concat({
      "# HELP mp_a_total How many a.",
      "# TYPE mp_a_total counter",
      'mp_a_total{partner="acme"} 5',
      'mp_a_total{partner="zeta",verdict="dead"} 1',
      "# HELP mp_b How many b.",
      "# TYPE mp_b gauge",
      "mp_b -7",
      "",
    }, "\n"), written())
    assert.equal(5, tonumber(c.mp_series_get(a)))
  end)

  it("find the series that was made", function()
    local first = {}
    for i = 1, 500 do
      first[i] = make("counter", "mp_many_total", "Many.", { { "partner", "p" .. i } })
    end
    for i = 1, 500 do
      assert.equal(first[i], make("counter", "mp_many_total", "Many.", { { "partner", "p" .. i } }))
    end
    assert.are_not.equal(first[1], first[2])
  end)

  it("do not give a counter where a gauge of that name is", function()
    assert.is_true(make("counter", "mp_x", "X.") ~= nil)
    assert.is_true(make("gauge", "mp_x", "X.") == nil)
  end)

  it("escape label values and help as the format demands", function()
    make("counter", "mp_e_total", "A \\ and\na line.", { { "name", 'a"b\\c\nd\0e\195\169' } })
    local text = written()
    assert.truthy(text:find("# HELP mp_e_total A \\\\ and\\na line.\n", 1, true))
    assert.truthy(text:find('mp_e_total{name="a\\"b\\\\c\\nde\195\169"} 0\n', 1, true))
  end)

  it("write a histogram's buckets as they add up, in seconds", function()
    local histogram = make("histogram", "mp_s", "Seconds.", { { "partner", "acme" } })
    for _, us in ipairs({ 0, 500, 501, 1000, 30000000, 30000001, -5 }) do
      c.mp_histogram_observe_us(histogram, us)
    end
    local text = written()
    assert.truthy(text:find('# TYPE mp_s histogram\nmp_s_bucket{partner="acme",le="0.0005"} 3\nmp_s_bucket{partner="acme",le="0.001"} 5\n', 1, true))
    assert.truthy(text:find('mp_s_bucket{partner="acme",le="30"} 6\nmp_s_bucket{partner="acme",le="+Inf"} 7\n', 1, true))
    assert.truthy(text:find('mp_s_sum{partner="acme"} 60.002002\nmp_s_count{partner="acme"} 7\n', 1, true))
    local bare = make("histogram", "mp_bare", "Bare.")
    c.mp_histogram_observe_us(bare, 1)
    assert.truthy(written():find('mp_bare_bucket{le="0.0005"} 1\n', 1, true))
    assert.truthy(written():find("mp_bare_sum 0.000001\nmp_bare_count 1\n", 1, true))
  end)

  it("run the collectors before each writing", function()
    local gauge = make("gauge", "mp_g", "G.")
    local calls = 0
    local collect = ffi.cast("void (*)(void *)", function()
      calls = calls + 1
      c.mp_series_set(gauge, calls)
      make("gauge", "mp_late", "Made while collecting.")
    end)
    c.mp_metrics_on_collect(metrics, collect, nil)
    assert.truthy(written():find("mp_g 1\n", 1, true))
    assert.truthy(written():find("mp_g 2\n", 1, true))
    assert.truthy(written():find("mp_late 0\n", 1, true))
    collect:free()
  end)

  it("leave the buffer as it was when it is too small", function()
    make("counter", "mp_a_total", "A.")
    local out = slice.buf(20)
    assert.equal(OK, c.mp_buf_append_text(out, "ab"))
    assert.equal(ELIMIT, c.mp_metrics_write(metrics, out))
    assert.equal("ab", slice.content(out))
  end)

  it("take no series for nothing to count", function()
    c.mp_series_add(nil, 1)
    c.mp_series_set(nil, 1)
    c.mp_histogram_observe_us(nil, 1)
    assert.equal(0, tonumber(c.mp_series_get(nil)))
    assert.equal("", written())
  end)
end)
