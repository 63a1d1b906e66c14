local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")
local templates = require("spec.support.template")

local url, drop, text, expand, from = templates.url, templates.drop, templates.text, templates.expand, templates.from
local OK, EINVAL, ELIMIT = 0, -2, -3

describe("a URL template", function()
  -- RFC 6570 section 3.2, with its variables.
  local rfc = [[{"count":["one","two","three"],"dom":["example","com"],"dub":"me/too","hello":"Hello World!",
    "half":"50%","var":"value","who":"fred","base":"http://example.com/home/","path":"/foo/bar","list":["red","green","blue"],
    "keys":{"semi":";","dot":".","comma":","},"v":"6","x":"1024","y":"768","empty":"","empty_keys":{},"undef":null}]]
  local examples = {
    { "{count}", "one,two,three" }, { "{count*}", "one,two,three" }, { "{/count}", "/one,two,three" },
    { "{/count*}", "/one/two/three" }, { "{;count}", ";count=one,two,three" }, { "{;count*}", ";count=one;count=two;count=three" },
    { "{?count}", "?count=one,two,three" }, { "{?count*}", "?count=one&count=two&count=three" }, { "{&count*}", "&count=one&count=two&count=three" },
    { "{half}", "50%25" }, { "O{empty}X", "OX" }, { "O{undef}X", "OX" }, { "?{x,empty}", "?1024," }, { "?{x,undef}", "?1024" },
    { "?{undef,y}", "?768" }, { "{var:30}", "value" }, { "{list}", "red,green,blue" }, { "{keys*}", "semi=%3B,dot=.,comma=%2C" },
    { "{base}index", "http%3A%2F%2Fexample.com%2Fhome%2Findex" }, { "{+base}index", "http://example.com/home/index" },
    { "{+half}", "50%25" }, { "{#half}", "#50%25" }, { "{#path,x}/here", "#/foo/bar,1024/here" }, { "foo{#empty}", "foo#" }, { "foo{#undef}", "foo" },
    { "{#path:6}/here", "#/foo/b/here" }, { "{.who,who}", ".fred.fred" }, { "{.half,who}", ".50%25.fred" }, { "www{.dom*}", "www.example.com" },
    { "X{.empty}", "X." }, { "X{.undef}", "X" }, { "X{.list}", "X.red,green,blue" }, { "X{.list*}", "X.red.green.blue" },
    { "X{.keys}", "X.semi,%3B,dot,.,comma,%2C" }, { "X{.keys*}", "X.semi=%3B.dot=..comma=%2C" }, { "X{.empty_keys}", "X" }, { "X{.empty_keys*}", "X" },
    { "{/half,who}", "/50%25/fred" }, { "{/who,dub}", "/fred/me%2Ftoo" }, { "{/var,empty}", "/value/" }, { "{/var,undef}", "/value" },
    { "{/var:1,var}", "/v/value" }, { "{/list*,path:4}", "/red/green/blue/%2Ffoo" }, { "{/keys*}", "/semi=%3B/dot=./comma=%2C" },
    { "{;half}", ";half=50%25" }, { "{;empty}", ";empty" }, { "{;v,empty,who}", ";v=6;empty;who=fred" }, { "{;v,bar,who}", ";v=6;who=fred" },
    { "{;hello:5}", ";hello=Hello" }, { "{;keys}", ";keys=semi,%3B,dot,.,comma,%2C" }, { "{;keys*}", ";semi=%3B;dot=.;comma=%2C" },
    { "{?half}", "?half=50%25" }, { "{?x,y,undef}", "?x=1024&y=768" }, { "{?var:3}", "?var=val" }, { "{?keys*}", "?semi=%3B&dot=.&comma=%2C" },
    { "{&who}", "&who=fred" }, { "{&x,y,empty}", "&x=1024&y=768&empty=" }, { "{&var:3}", "&var=val" }, { "{&list*}", "&list=red&list=green&list=blue" },
    { "{undef}{?undef,nothing}{;undef}{/undef}{+undef}", "" },
  }
  for _, example in ipairs(examples) do
    it("expands " .. example[1] .. " as section 3.2 has it", function()
      assert.equal(example[2], (from(example[1], rfc)))
    end)
  end

  it("lets numbers, true and false leave as they were sent", function()
    local event = '{"a":12345678901234567890,"b":1.50,"c":1e400,"d":true,"e":false,"f":-0,"g":1E+2}'
    assert.equal("12345678901234567890/1.50/1e400/true/false/-0/1E%2B2", (from("{a}/{b}/{c}/{d}/{e}/{f}/{g}", event)))
    assert.equal("?g=1E%2B2&b=1.50", (from("{?g,b}", event)))
    assert.equal("1E+2", (from("{+g}", event)))
    assert.equal("1.", (from("{b:2}", event)))
  end)

  it("takes null, [], {} and lists of nulls for undefined, and leaves nulls out of what has more", function()
    assert.equal("/x", (from("/x{?a,b,c,d,e}", '{"a":null,"b":[],"c":{},"d":[null,null],"e":{"k":null}}')))
    assert.equal("?a=1,2&b=k,1", (from("{?a,b}", '{"a":[1,null,2],"b":{"n":null,"k":1}}')))
    assert.equal("?a=1&a=2&k=1", (from("{?a*,b*}", '{"a":[null,1,2,null],"b":{"n":null,"k":1}}')))
    assert.equal("[]", (from("{+a}", '{"a":[[]]}')))
  end)

  it("keeps an empty string in lists and objects", function()
    assert.equal("?a=&a=x&k=", (from("{?a*,b*}", '{"a":["","x"],"b":{"k":""}}')))
    assert.equal(";a;a=x;k", (from("{;a*,b*}", '{"a":["","x"],"b":{"k":""}}')))
    assert.equal("/,x/k=", (from("{/a,b*}", '{"a":["","x"],"b":{"k":""}}')))
  end)

  it("expands a list or object inside another as its JSON", function()
    assert.equal("1,%5B2%2C%20%7B%22a%22%3A1.50%7D%5D", (from("{a}", '{"a":[1,[2, {"a":1.50}]]}')))
    assert.equal("?k=%7B%22a%22%3A%5B%5D%7D", (from("{?a*}", '{"a":{"k":{"a":[]}}}')))
  end)

  it("reaches into values, and a key with dots of its own wins", function()
    assert.equal("a%40b", (from("{user.email}", '{"user":{"email":"a@b"}}')))
    assert.equal("8", (from("{items.1.id}", '{"items":[{"id":7},{"id":8}]}')))
    assert.equal("Doe", (from("{last.name}", '{"last":{"name":"x"},"last.name":"Doe"}')))
    assert.equal("?last.name=Doe", (from("{?last.name}", '{"last.name":"Doe"}')))
  end)

  it("takes percent-encoded names as they are written", function()
    assert.equal("/test/foo", (from("/test{/Some%20Thing}", '{"Some%20Thing":"foo"}')))
    assert.equal("?Stra%C3%9Fe=Gr%C3%BCner%20Weg", (from("{?Stra%C3%9Fe}", '{"Stra%C3%9Fe":"Gr\195\188ner Weg"}')))
  end)

  it("takes names of digits", function()
    assert.equal("?42=a&1337=l&1337=e", (from("{?42,1337*}", '{"42":"a","1337":["l","e"]}')))
  end)

  it("keeps percent-encoded triplets in reserved expansion and nowhere else", function()
    local event = '{"id":"admin%2F","not_pct":"%foo","half":"50%","tail":"%2","list":["red%25","%2Fgreen","blue "],"split":"\\u00252F"}'
    assert.equal("admin%2F", (from("{+id}", event)))
    assert.equal("#admin%2F", (from("{#id}", event)))
    assert.equal("admin%252F", (from("{id}", event)))
    assert.equal("%25foo", (from("{+not_pct}", event)))
    assert.equal("%25foo", (from("{not_pct}", event)))
    assert.equal("50%25", (from("{+half}", event)))
    assert.equal("%252", (from("{+tail}", event)))
    assert.equal("red%25,%2Fgreen,blue%20", (from("{+list}", event)))
    assert.equal("red%2525,%252Fgreen,blue%20", (from("{list}", event)))
    assert.equal("%2F", (from("{+split}", event)))
  end)

  it("counts a prefix in characters, however they are written", function()
    assert.equal("%C3%BCb", (from("{a:2}", '{"a":"\195\188ber"}')))
    assert.equal("%C3%BCb", (from("{a:2}", '{"a":"\\u00fcber"}')))
    assert.equal("%F0%9F%98%80x", (from("{a:2}", '{"a":"\\ud83d\\ude00xyz"}')))
    assert.equal("%F0%9F%98%80", (from("{a:1}", '{"a":"\240\159\152\128xyz"}')))
    assert.equal("a%20b", (from("{+a:3}", '{"a":"a%20bcd"}')))
    assert.equal("%C3%BCb", (from("{+a:2}", '{"a":"%C3%BCber"}')))
    assert.equal("a%252", (from("{a:3}", '{"a":"a%20bcd"}')))
    assert.equal("abc", (from("{a:9999}", '{"a":"abc"}')))
    assert.equal("%EF%BF%BD", (from("{a:1}", '{"a":"\\ud800x"}')))
  end)

  it("refuses to expand a prefix of a list or object, and leaves the buffer as it was", function()
    for _, pattern in ipairs({ "ab{keys:1}", "ab{+keys:1}", "ab{?list:2}", "{/var}{list:1}" }) do
      local out = slice.buf()
      assert(c.mp_buf_append_text(out, "before") == OK)
      local got, status = expand(url(pattern), rfc, nil, false, out)
      assert.is_nil(got)
      assert.equal(EINVAL, status)
      assert.equal("before", slice.content(out))
    end
  end)

  it("encodes the bytes of UTF-8, in values, in an object's names and in literal text", function()
    assert.equal("%C5%A1%C3%B6%E2%82%AC%F0%9F%98%80", (from("{a}", '{"a":"\197\161\195\182\226\130\172\\ud83d\\ude00"}')))
    assert.equal("?%C5%A1=%C3%96", (from("{?a*}", '{"a":{"\197\161":"\\u00d6"}}')))
    assert.equal("/d%C3%BC/x%20y%22%3C%3E%5C%5E%60%7C", (from("/d\195\188/x y\"<>\\^`|")))
    assert.equal("/%41%zz%25" == nil, false)
    assert.equal("/%41/%25zz/100%25", (from("/%41/%zz/100%")))
    assert.equal("'!$&()*+,;=:/?#[]@-._~", (from("'!$&()*+,;=:/?#[]@-._~")))
  end)

  it("does not let an event's own names make parameters", function()
    assert.equal("?a%26b%3Dc=1%262", (from("{?a*}", '{"a":{"a&b=c":"1&2"}}')))
  end)

  it("expands a lone surrogate as U+FFFD, and a NUL as %00", function()
    assert.equal("%EF%BF%BDx%00", (from("{a}", '{"a":"\\udc00x\\u0000"}')))
  end)

  it("expands values longer than any inner buffer", function()
    local long = ("ab c/\\u00e9\195\169"):rep(500)
    assert.equal(("ab%20c%2F%C3%A9%C3%A9"):rep(500), (from("{a}", '{"a":"' .. long .. '"}')))
    assert.equal(("ab%20c/%C3%A9%C3%A9"):rep(500), (from("{+a}", '{"a":"' .. long .. '"}')))
  end)

  it("stops at the buffer's limit and leaves what was there", function()
    local template = url("/{a}/{b}")
    for limit = 0, 20 do
      local out = slice.buf(limit)
      local got, status = expand(template, '{"a":"x y","b":"\\u00e9"}', nil, false, out)
      if limit < 13 then
        assert.same({ nil, ELIMIT, "" }, { got, status, slice.content(out) })
      else
        assert.equal("/x%20y/%C3%A9", got)
      end
    end
  end)

  local wrong = {
    { "{", 1 }, { "}", 1 }, { "{}", 2 }, { "{hello", 1 }, { "abc{hello", 4 }, { "hello}", 6 }, { "{+}", 3 }, { "{?}", 3 }, { "{=x}", 2 }, { "{,x}", 2 },
    { "{!x}", 2 }, { "{@x}", 2 }, { "{|x}", 2 }, { "{$x}", 2 }, { "{var*:3}", 6 }, { "{var:3*}", 7 }, { "{var:}", 6 }, { "{var:0}", 6 }, { "{var:10000}", 10 },
    { "{var:prefix}", 6 }, { "{with space}", 6 }, { "{ lead}", 2 }, { "{tail }", 6 }, { "{/id*", 1 }, { "/id*}", 5 }, { "{/?id}", 3 },
    { "{??hello}", 3 }, { "{*keys?}", 2 }, { "{?empty=default,var}", 8 }, { "{var}{-prefix|/-/|var}", 7 }, { "?q={q}&c={example:color?}", 19 },
    { "x{?empty|foo=none}", 9 }, { "/h{#hello+}", 10 }, { "/h#{hello+}", 10 }, { "?{-join|&|var,list}", 3 }, { "/p/{~thing}", 5 },
    { "/{default-graph-uri}", 10 }, { "/sparql{?query,default-graph-uri}", 23 }, { "/sparql{?query){&default*}", 15 }, { "/r{?x, y}", 7 }, { "{a,}", 4 },
    { "{a,,b}", 4 }, { "{.}", 3 }, { "{a.}", 4 }, { "{a..b}", 4 }, { "{..a}", 3 }, { "{a%2}", 3 }, { "{a%zz}", 3 }, { "{{a}}", 2 }, { "{a}}", 4 }, { "{\195\188}", 2 },
    { "{a*b}", 4 }, { "{a:1:2}", 5 }, { "{a:-1}", 4 }, { "{a:1,b:2x}", 9 }, { "{a\0b}", 3 },
  }
  for _, case in ipairs(wrong) do
    it("refuses " .. case[1]:gsub("[%z\128-\255]", "?") .. " by column", function()
      local template, why = url(case[1])
      assert.is_nil(template)
      assert.equal(case[2], tonumber(why:match("^column (%d+): .+")), why)
    end)
  end

  it("says what is wrong and what may stand instead", function()
    local function why(pattern)
      return (select(2, url(pattern)))
    end
    assert.equal("column 5: `{` is not closed: write }, or %7B", why("abc {x"))
    assert.equal("column 2: the operator `=` is reserved: + # . / ; ? & may stand here", why("{=x}"))
    assert.equal("column 4: a prefix is a number from 1 to 9999", why("{a:0}"))
    assert.equal("column 3: a space may not stand in a name: letters, digits, _ and dots may", why("{a b}"))
    assert.equal("column 2: a name was expected between `{` and `}`", why("{}"))
  end)
end)

describe("what a template tells of itself", function()
  it("is whether it has expressions, and the literal text before the first", function()
    local plain, one = url("https://a.example/x?y=1"), url("https://a.example/x y{?z}&{w}")
    assert.is_false(c.mp_template_has_expression(plain))
    assert.is_true(c.mp_template_has_expression(one))
    assert.equal("https://a.example/x?y=1", slice.text(c.mp_template_prefix(plain)))
    assert.equal("https://a.example/x%20y", slice.text(c.mp_template_prefix(one)))
    assert.equal("https://a/?x=", slice.text(c.mp_template_prefix(drop("https://a/?x={a}&b=1"))))
    assert.equal("", slice.text(c.mp_template_prefix(url("{a}b"))))
    assert.equal("https://k.example/", slice.text(c.mp_template_prefix(url("https://", { secret = "h", value = "k.example" }, "/{a}"))))
  end)

  it("is whether it is one value and nothing else", function()
    local name = ffi.new("struct mp_str[1]")
    assert.is_true(c.mp_template_is_value(text("{user.email}"), name))
    assert.equal("user.email", slice.text(name[0]))
    for _, other in ipairs({ "{a}b", "b{a}", "{a}{b}", "a", "" }) do
      assert.is_false(c.mp_template_is_value(text(other), name))
    end
    for _, other in ipairs({ "{a,b}", "{a*}", "{a:3}", "{?a}" }) do
      assert.is_false(c.mp_template_is_value(url(other), name))
    end
  end)

  it("is every name in it, once, in order", function()
    local names = slice.buf()
    -- LuaJIT makes no callbacks that take a struct: appending to a buffer stands for one.
    local each = ffi.cast("void (*)(void *, struct mp_str)", c.mp_buf_append_str)
    c.mp_template_each_name(url("{z}{?b.c,a*}/{z:3}{d}"), each, names)
    assert.equal("zb.cad", slice.content(names))
  end)
end)

describe("a URL template that drops", function()
  local function dropped(pattern, json)
    return expand(assert(drop(pattern)), json)
  end

  it("leaves out parameters that are missing, null or empty, and keeps ? and & right", function()
    assert.equal("/p?b=1", (dropped("/p?a={a}&b=1")))
    assert.equal("/p?b=1", (dropped("/p?b=1&a={a}")))
    assert.equal("/p?b=1&c=2", (dropped("/p?b=1&a={a}&c=2")))
    assert.equal("/p?b=1&c=2", (dropped("/p?x={x}&b=1&a={a}&y={y}&c=2&z={z}")))
    assert.equal("/p", (dropped("/p?a={a}")))
    assert.equal("/p", (dropped("/p?a={a}&b={b}", '{"a":"","b":null}')))
    assert.equal("/p?a=0&b=false", (dropped("/p?a={a}&b={b}&c={c}&d={d}", '{"a":0,"b":false,"c":[],"d":{}}')))
    assert.equal("/p?a=1&b=2", (dropped("/p?a={a}&b={b}", '{"a":1,"b":2}')))
    assert.equal("/p?b=2", (dropped("/p?a={a}&b={b}", '{"b":2}')))
    assert.equal("/p?a=1", (dropped("/p?a={a}&b={b}", '{"a":1}')))
  end)

  it("keeps the fragment", function()
    assert.equal("/p#top", (dropped("/p?a={a}#top")))
    assert.equal("/p?b=1#top", (dropped("/p?a={a}&b=1#top")))
    assert.equal("/p#x", (dropped("/p?a={a}{#f}", '{"f":"x"}')))
    assert.equal("/p#q?a=&b=1", (dropped("/p#q?a={a}&b=1")))
  end)

  it("leaves alone what is not a whole parameter, or not in the query", function()
    assert.equal("/a=/p?b=1", (dropped("/a={a}/p?b=1")))
    assert.equal("/p?a=x", (dropped("/p?a=x{a}")))
    assert.equal("/p?a=-&c=1", (dropped("/p?a={a}-{b}&c=1")))
    assert.equal("/p?a=&c=1", (dropped("/p?a={a}{b}&c=1")))
    assert.equal("/p?a=&c=1", (dropped("/p?a={+a}&c=1")))
    assert.equal("/p?a=&c=1", (dropped("/p?a={x,y}&c=1")))
    assert.equal("/p?1=&c=1", (dropped("/p?{n}={a}&c=1", '{"n":1}')))
    assert.equal("/p?", (dropped("/p?")))
    assert.equal("/p?a&b=1", (dropped("/p?a&b=1")))
    assert.equal("/p?&b=1", (dropped("/p?&b=1")))
    assert.equal("/p?a=&b=?", (dropped("/p?a=&b=?")))
  end)

  it("keeps the separators right before expressions that bring their own", function()
    assert.equal("/p?y=1", (dropped("/p?a={a}{&y}", '{"y":1}')))
    assert.equal("/p?a=2&y=1", (dropped("/p?a={a}{&y}", '{"a":2,"y":1}')))
    assert.equal("/p", (dropped("/p?a={a}{&y}")))
    assert.equal("/p?x=1&y=1&z=3", (dropped("/p?x=1&a={a}{&y}&z={z}", '{"y":1,"z":3}')))
    assert.equal("/p?x=1&z=3", (dropped("/p{?x}&a={a}&z={z}", '{"x":1,"z":3}')))
  end)

  it("expands all else as the RFC says", function()
    assert.equal("/p?l=1,2&p=ab&k=a,1", (dropped("/p?l={l}&p={p:2}&k={k}", '{"l":[1,2],"p":"abc","k":{"a":1}}')))
    for _, case in ipairs(templates.read_suite("spec/fixtures/uritemplate/spec-examples.json")) do
      local got = dropped(case.template, case.variables)
      assert.is_true(case.answers[got] or false, case.template .. " expanded to " .. tostring(got))
    end
  end)

  it("keeps a secret's place in the query", function()
    local template = drop("/p?a={a}&token=", { secret = "k", value = "s&?#" }, "&b={b}")
    assert.equal("/p?token=s&?#&b=", (expand(template)))
    assert.equal("/p?a=1&token=s&?#&b=2", (expand(template, '{"a":1,"b":2}')))
    template = drop("/p?token=", { secret = "k", value = "s" }, "&b={b}")
    assert.equal("/p?token=s", (expand(template)))
  end)
end)

describe("a text template", function()
  it("takes values as they are, escaped by their place", function()
    local event = '{"a":"x\\"y\\n\\u00e9/","n":1.50,"t":true,"z":null,"l":[1, "b"],"o":{"k":"\\""},"e":[],"s":"a b&c=d~*"}'
    local template = text("<{a}|{n}|{t}|{z}|{missing}|{l}|{o}|{e}>")
    assert.equal('<x"y\n\195\169/|1.50|true|||[1, "b"]|{"k":"\\""}|[]>', (expand(template, event)))
    assert.equal('<x\\"y\\n\195\169/|1.50|true|||[1, \\"b\\"]|{\\"k\\":\\"\\\\\\"\\"}|[]>', (expand(template, event, c.MP_ESCAPE_JSON)))
    assert.equal("%3Cp+q%3E%3Da+b%26c%3Dd%7E*", (expand(text("<p q>={s}"), event, c.MP_ESCAPE_FORM)))
    assert.equal('\\"lit\\"', (expand(text('"lit"'), event, c.MP_ESCAPE_JSON)))
  end)

  it("replaces a lone surrogate in every place", function()
    local event = '{"a":"\\ud800\\n"}'
    assert.equal("\239\191\189\n", (expand(text("{a}"), event)))
    assert.equal("\239\191\189\\n", (expand(text("{a}"), event, c.MP_ESCAPE_JSON)))
    assert.equal("%EF%BF%BD%0A", (expand(text("{a}"), event, c.MP_ESCAPE_FORM)))
  end)

  it("escapes its values for XML, and nothing else of it", function()
    local template = text('<a b="{s}">', { secret = "k", value = "<&>" }, "{t}</a>")
    local event = [[{"s":"<&>\"'\t\n\r","t":"\u0000\u001f\ufffe\uffff\ud800 \u00e9\ud83d\ude00"}]]
    local bad = "\239\191\189"
    assert.equal('<a b="&lt;&amp;&gt;&quot;&#39;&#9;&#10;&#13;">&lt;&amp;&gt;' .. bad:rep(5) .. " \195\169\240\159\152\128</a>",
      (expand(template, event, c.MP_ESCAPE_XML)))
    assert.equal('<a b="">[secret k]</a>', (expand(template, "{}", c.MP_ESCAPE_XML, true)))
    assert.equal(" [1, &quot;b&quot;]", (expand(text(" {s}"), '{"s":[1, "b"]}', c.MP_ESCAPE_XML)))
  end)

  it("refuses all but simple expressions, and says what is allowed", function()
    for pattern, column in pairs({ ["{?a}"] = 2, ["x{+a}"] = 3, ["{a,b}"] = 3, ["{a*}"] = 3, ["{a:3}"] = 3, ["{/a}"] = 2 }) do
      local template, why = text(pattern)
      assert.is_nil(template)
      assert.equal(
        ("column %d: only simple expressions such as `{user.email}` are allowed here: no operator, modifier or list of names"):format(column), why)
    end
    assert.is_nil((text("{")))
    assert.is_nil((text("}")))
    assert.is_nil((text("{}")))
    assert.is_nil((text("{a b}")))
  end)
end)

describe("a secret in a template", function()
  local key = { secret = "acme_key", value = "s3 {a} %zz \"é" }

  it("stands as it is, is never read as an expression, and is not shown", function()
    local template = url("/x?k=", key, "&a={a}")
    assert.is_true(c.mp_template_has_secret(template))
    assert.equal('/x?k=s3 {a} %zz "é&a=1', (expand(template, '{"a":1}')))
    assert.equal("/x?k=[secret acme_key]&a=1", (expand(template, '{"a":1}', nil, true)))
    assert.is_false(c.mp_template_has_secret(url("/x{a}")))
  end)

  it("is escaped by its place in text, as all literal text is", function()
    local template = text("k=", key)
    assert.equal('k=s3 {a} %zz "é', (expand(template)))
    assert.equal('k=s3 {a} %zz \\"é', (expand(template, "{}", c.MP_ESCAPE_JSON)))
    assert.equal("k=[secret acme_key]", (expand(template, "{}", c.MP_ESCAPE_JSON, true)))
  end)

  it("may be empty, and may be all there is", function()
    assert.equal("", (expand(url({ secret = "e", value = "" }))))
    assert.equal("https://a.example/{x}", (expand(url({ secret = "u", value = "https://a.example/{x}" }))))
  end)

  it("counts as it is shown in an error's column, and does not close or open expressions", function()
    local _, why = url("ab", { secret = "k", value = "a long value }" }, "{x")
    assert.equal("column 13: `{` is not closed: write }, or %7B", why)
    assert.is_nil((url("{a", { secret = "k", value = "}" }, "}")))
    assert.is_falsy(why:find("long value", 1, true))
  end)
end)

describe("percent-encoding", function()
  it("leaves only unreserved characters", function()
    local all = {}
    for byte = 0, 255 do
      all[#all + 1] = string.char(byte)
    end
    local out = slice.buf()
    assert.equal(OK, c.mp_percent_encode(slice.of(table.concat(all)), out))
    local expected = table.concat(all):gsub("[^%w%-%._~]", function(byte)
      return ("%%%02X"):format(byte:byte())
    end)
    assert.equal(expected, slice.content(out))
  end)

  it("leaves the buffer as it was when it does not fit", function()
    local out = slice.buf(5)
    assert.equal(ELIMIT, c.mp_percent_encode(slice.of("ab  "), out))
    assert.equal("", slice.content(out))
  end)
end)

describe("a form's and XML's text", function()
  local function written(call, given, max)
    local out = slice.buf(max)
    local status = call(slice.of(given), out)
    return status == OK and slice.content(out) or status, slice.content(out)
  end

  it("is encoded as browsers do", function()
    assert.equal("a+b%26%7E*-._%C3%A9%00", (written(c.mp_form_encode, "a b&~*-._\195\169\0")))
  end)

  it("has none of what XML cannot hold", function()
    assert.equal("a\239\191\189\239\191\189&amp;\195\169\239\191\189", (written(c.mp_xml_escape, "a\0\255&\195\169\239\191\190")))
  end)

  it("leaves the buffer as it was when it does not fit", function()
    assert.same({ ELIMIT, "" }, { written(c.mp_form_encode, "ab  ;", 5) })
    assert.same({ ELIMIT, "" }, { written(c.mp_xml_escape, "ab&", 5) })
  end)
end)
