import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as fc from "fast-check"
import * as Xml from "../../src/libvirt/Xml.ts"
import { roundTrips } from "./roundTrip.ts"

const reason = (result: Either.Either<unknown, Xml.XmlError>): string =>
  Either.isLeft(result) ? result.left.message : assert.fail("was accepted")

describe("Xml.render", () => {
  it("escapes what has a meaning in XML, in texts and in attributes", () => {
    assert.deepStrictEqual(
      Xml.render(Xml.element("a", { b: `<&>"'\r\n\t`, n: 3, none: undefined }, ["x", 7, null, `]]>&\r`])),
      Either.right('<a b="&lt;&amp;&gt;&quot;&apos;&#13;&#10;&#9;" n="3">x7]]&gt;&amp;&#13;</a>')
    )
  })

  it.each(["\u0000", "\u000b", "\u001f", "\ud800", "\udc00x", "\ufffe", "\uffff"])("refuses %j", (text) => {
    assert.include(reason(Xml.render(Xml.element("a", {}, [text]))), "cannot carry")
    assert.include(reason(Xml.render(Xml.element("a", { b: text }))), "cannot carry")
  })

  it.each(["", "1a", "a b", "a>", "a/", "é", "a:b:c", "-a", "a=b"])("refuses the name %j", (name) => {
    assert.include(reason(Xml.render(Xml.element(name))), "cannot be a name")
    assert.include(reason(Xml.render(Xml.element("a", { [name]: "" }))), "cannot be a name")
  })
})

describe("Xml.parse", () => {
  it("gives elements, attributes and texts in order, as they stand", () => {
    assert.deepStrictEqual(
      Xml.parse(
        `<?xml version="1.0" encoding="UTF-8"?>\n<!-- c --><a x='1' y="a\tb"> 007 <b/>&lt;<![CDATA[<&amp;>]]>t<!-- < --><c>true</c></a>\n`
      ),
      Either.right({
        name: "a",
        attributes: { x: "1", y: "a b" },
        children: [
          " 007 ",
          { name: "b", attributes: {}, children: [] },
          "<<&amp;>t",
          { name: "c", attributes: {}, children: ["true"] }
        ]
      })
    )
  })

  it.each([
    ["a document type", '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'],
    ["a document type inside", "<a><!DOCTYPE b></a>"],
    ["a declared-looking entity", "<a>&x;</a>"],
    ["an entity from HTML", "<a>&nbsp;</a>"],
    ["a reference to no character", "<a>&#0;</a>"],
    ["a reference beyond Unicode", "<a>&#x110000;</a>"],
    ["half a reference", "<a>&amp</a>"],
    ["a bare ampersand", "<a b='&'/>"],
    ["an unclosed element", "<a><b></a>"],
    ["a crossed element", "<a><b></a></b>"],
    ["two roots", "<a/><b/>"],
    ["text after the root", "<a/>x"],
    ["an attribute twice", "<a b='1' b='2'/>"],
    ["an attribute without value", "<a b/>"],
    ["nothing", ""],
    ["only text", "abc"],
    ["a control character", "<a>\u0001</a>"],
    ["too deep", `${"<a>".repeat(70)}${"</a>".repeat(70)}`],
    ["too long", `<a>${"x".repeat(Xml.limits.length)}</a>`]
  ])("refuses %s", (_, text) => {
    assert.isNotEmpty(reason(Xml.parse(text)))
  })

  it("takes names that mean something to JavaScript for names", () => {
    const tree = Either.getOrThrow(Xml.parse("<constructor __proto__='1' toString='2'/>"))
    assert.strictEqual(tree.name, "constructor")
    assert.deepStrictEqual(Object.entries(tree.attributes), [
      ["__proto__", "1"],
      ["toString", "2"]
    ])
    assert.strictEqual(Object.getPrototypeOf(tree.attributes), Object.prototype)
    assert.strictEqual(Xml.attribute(Either.getOrThrow(Xml.parse("<a/>")), "__proto__"), undefined)
  })

  it("never throws, whatever the text", () => {
    const piece = fc.oneof(
      fc.constantFrom(
        "<",
        ">",
        "</",
        "/>",
        "<a",
        "<a>",
        "</a>",
        "&",
        ";",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "<?",
        "?>",
        "=",
        '"',
        "'"
      ),
      fc.fullUnicodeString({ maxLength: 4 })
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        Xml.parse(pieces.join(""))
      }),
      { numRuns: 5000 }
    )
  })

  it("finds its way", () => {
    const tree = Either.getOrThrow(Xml.parse("<d><os><type arch='x86_64'>hvm</type></os><x>1</x><x>2</x></d>"))
    assert.strictEqual(Xml.textOf(Xml.find(tree, "os", "type")), "hvm")
    assert.strictEqual(Xml.attribute(Xml.find(tree, "os", "type"), "arch"), "x86_64")
    assert.strictEqual(Xml.attribute(Xml.find(tree, "os", "type"), "toString"), undefined)
    assert.strictEqual(Xml.find(tree, "os", "boot"), undefined)
    assert.deepStrictEqual(Xml.children(tree, "x").map(Xml.textOf), ["1", "2"])
    assert.strictEqual(Xml.textOf(tree), "hvm12")
  })
})

it("a rendered tree is read back exactly as it was (100,000 random ones)", () => {
  const result = roundTrips(100_000, 20261123)
  assert.strictEqual(result.failure, undefined)
  // both outcomes were really met
  assert.isAbove(result.refused, 1_000)
  assert.isAbove(result.cases - result.refused, 50_000)
})
