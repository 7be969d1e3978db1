/**
 * parse(render(tree)) is the tree, for random Unicode in every place text can stand: shared by the test and the benchmark.
 */
import * as Either from "effect/Either"
import * as Xml from "../../src/libvirt/Xml.ts"

/** mulberry32: a generator of 32-bit numbers that is fast and repeatable from a seed */
const generator = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }
}

const nasty = [
  "&",
  "<",
  ">",
  '"',
  "'",
  "\r",
  "\n",
  "\t",
  " ",
  "]]>",
  "<![CDATA[",
  "<!--",
  "-->",
  "<?x ?>",
  "<!DOCTYPE a>",
  "&amp;",
  "&#0;",
  "&#x41;",
  "</title>",
  "<a b='c'/>",
  "/>",
  "=",
  "%",
  "\u0085",
  "\u00a0",
  "\u2028",
  "\ufeff",
  "\ufffd",
  "\u{1f600}",
  "\u{10ffff}",
  "__proto__",
  "#text",
  ":@",
  "0x10",
  "1e3",
  "true"
] as const

const text = (next: () => number): string => {
  let out = ""
  for (let n = next() % 8; n > 0; n--) {
    const pick = next()
    if (pick % 2 === 0) {
      out += nasty[(pick >>> 1) % nasty.length] ?? ""
    } else {
      const plane = (pick >>> 1) % 4
      const value = next()
      const code =
        plane === 0
          ? 0x20 + (value % 0x5f)
          : plane === 1
            ? value % 0x400
            : plane === 2
              ? value % 0x10000
              : value % 0x110000
      out += String.fromCodePoint(code)
    }
  }
  return out
}

// what the renderer has to refuse, said in another way than it does: code point by code point
const carriable = (value: string): boolean => {
  for (const character of value) {
    const code = character.codePointAt(0) ?? 0
    const fine =
      code === 9 ||
      code === 10 ||
      code === 13 ||
      (code >= 0x20 && code < 0xd800) ||
      (code >= 0xe000 && code <= 0xfffd) ||
      code >= 0x10000
    if (!fine) return false
  }
  return true
}

const same = (a: Xml.Node, b: Xml.Node): boolean => {
  if (typeof a === "string" || typeof b === "string") return a === b
  const keys = Object.keys(a.attributes)
  return (
    a.name === b.name &&
    keys.length === Object.keys(b.attributes).length &&
    keys.every((key) => a.attributes[key] === b.attributes[key]) &&
    a.children.length === b.children.length &&
    a.children.every((node, i) => {
      const other = b.children[i]
      return other !== undefined && same(node, other)
    })
  )
}

/** What came of a run: `refused` trees were not XML's to carry and were refused; `failure` is the first wrong one. */
export interface RoundTrips {
  readonly cases: number
  readonly refused: number
  readonly failure: string | undefined
}

/** Runs `cases` random trees from `seed`, and stops at the first that does not come back as it was. */
export const roundTrips = (cases: number, seed: number): RoundTrips => {
  const next = generator(seed)
  let refused = 0
  for (let i = 0; i < cases; i++) {
    const texts = [text(next), text(next), text(next), text(next)] as const
    const tree = Xml.element("domain", { type: texts[0], "vmfabric:id": texts[1] }, [
      next() % 2 === 0 ? texts[2] : null,
      Xml.element("title", {}, [texts[3]]),
      next() % 2 === 0 ? texts[1] : null,
      Xml.element("leaf", { a: texts[2] })
    ])
    const used = (node: Xml.Node): boolean =>
      typeof node === "string"
        ? carriable(node)
        : Object.values(node.attributes).every(carriable) && node.children.every(used)
    const rendered = Xml.render(tree)
    if (Either.isLeft(rendered)) {
      refused++
      if (used(tree)) return { cases: i + 1, refused, failure: `refused without need: ${JSON.stringify(tree)}` }
      continue
    }
    if (!used(tree)) return { cases: i + 1, refused, failure: `not refused: ${JSON.stringify(tree)}` }
    const parsed = Xml.parse(rendered.right)
    if (Either.isLeft(parsed)) {
      return { cases: i + 1, refused, failure: `${parsed.left.message} in ${JSON.stringify(rendered.right)}` }
    }
    if (!same(tree, parsed.right)) {
      return { cases: i + 1, refused, failure: `${JSON.stringify(tree)} came back as ${JSON.stringify(parsed.right)}` }
    }
  }
  return { cases, refused, failure: undefined }
}
