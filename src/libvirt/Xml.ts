/**
 * XML as a tree: built from values, rendered by one function that escapes everything, and read back with hard limits. No XML text
 * is ever made anywhere else.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { XMLParser } from "fast-xml-parser"

/** A tree that cannot be written, or a text that is not XML we accept. @since 0.1.0 @category errors */
export class XmlError extends Schema.TaggedError<XmlError>()("XmlError", {
  reason: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return this.reason
  }
}

/** A piece of text or an element. @since 0.1.0 @category models */
export type Node = string | Element

/**
 * An element. `name` and the attributes' names carry their prefix as written (`vmfabric:vm`). `children` has no empty and no
 * neighbouring texts.
 *
 * @since 0.1.0 @category models
 */
export interface Element {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly children: ReadonlyArray<Node>
}

/** Values an attribute is made from; `undefined` and `null` leave it out. @since 0.1.0 @category models */
export type AttributeValue = string | number | undefined | null

/**
 * Makes an element. Numbers are written in decimal; `null` and `undefined` children are left out, texts that touch become one.
 *
 * @since 0.1.0 @category constructors
 */
export const element = (
  name: string,
  attributes: Readonly<Record<string, AttributeValue>> = {},
  children: ReadonlyArray<Node | number | null | undefined> = []
): Element => {
  // made by the thousand: no arrays in between
  const written: Record<string, string> = {}
  for (const key of Object.keys(attributes)) {
    const value = attributes[key]
    if (value !== undefined && value !== null) written[key] = String(value)
  }
  return {
    name,
    attributes: written,
    children:
      children.length === 0
        ? []
        : joinTexts(children.flatMap((child) => (child === undefined || child === null ? [] : [toNode(child)])))
  }
}

const toNode = (child: Node | number): Node => (typeof child === "number" ? String(child) : child)

const joinTexts = (nodes: ReadonlyArray<Node>): ReadonlyArray<Node> => {
  const joined: Array<Node> = []
  for (const node of nodes) {
    const last = joined[joined.length - 1]
    if (typeof node === "string" && typeof last === "string") joined[joined.length - 1] = last + node
    else if (node !== "") joined.push(node)
  }
  return joined
}

// ---------------------------------------------------------------------------------------------------------------- writing

// the names we write are our own: plain ASCII, at most one prefix
const plainName = /^[A-Za-z_][A-Za-z0-9_.-]*(:[A-Za-z_][A-Za-z0-9_.-]*)?$/

// what XML 1.0 cannot carry in any form: most control characters, halves of surrogate pairs, U+FFFE and U+FFFF
const impossible = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u

// CR, LF and TAB survive a reader only as character references (a reader turns them into LF or blanks otherwise)
const references: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
  "\r": "&#13;",
  "\n": "&#10;",
  "\t": "&#9;"
}
const escape = (text: string): string => text.replace(/[&<>"'\r\n\t]/g, (character) => references[character] ?? "")

/**
 * The element as XML text without declaration and without added blanks. Fails for a character that XML 1.0 cannot carry and for a name
 * that is not a plain one.
 *
 * @since 0.1.0 @category conversions
 */
export const render = (root: Element): Either.Either<string, XmlError> => write(root, false)

/**
 * The same for people: an element a line, further in the deeper it is. Text stays on the line of its element.
 *
 * @since 0.5.0 @category conversions
 */
export const renderIndented = (root: Element): Either.Either<string, XmlError> => write(root, true)

const write = (root: Element, indented: boolean): Either.Either<string, XmlError> => {
  let out = ""
  let problem: string | undefined
  const name = (text: string): string => {
    if (!plainName.test(text)) problem ??= `${JSON.stringify(text)} cannot be a name in XML`
    return text
  }
  const value = (text: string): string => {
    const bad = impossible.exec(text)
    if (bad !== null) problem ??= `XML cannot carry the character ${codePoint(bad[0])} in ${JSON.stringify(text)}`
    return escape(text)
  }
  const add = (node: Node, depth: number): void => {
    if (typeof node === "string") {
      out += value(node)
      return
    }
    out += `<${name(node.name)}`
    for (const [key, text] of Object.entries(node.attributes)) out += ` ${name(key)}="${value(text)}"`
    if (node.children.length === 0) {
      out += "/>"
      return
    }
    out += ">"
    // blanks beside text would be part of it
    const apart = indented && node.children.every((child) => typeof child !== "string")
    for (const child of node.children) {
      if (apart) out += `\n${"  ".repeat(depth + 1)}`
      add(child, depth + 1)
    }
    if (apart) out += `\n${"  ".repeat(depth)}`
    out += `</${node.name}>`
  }
  add(root, 0)
  return problem === undefined ? Either.right(out) : Either.left(new XmlError({ reason: problem }))
}

const codePoint = (character: string): string =>
  `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`

// ---------------------------------------------------------------------------------------------------------------- reading

/** Bounds of what is read: `length` in UTF-16 units, libvirt's own limit of one string is 4 MiB. @since 0.1.0 @category models */
export const limits = { length: 4 * 1024 * 1024, depth: 64 } as const

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  textNodeName: "#text",
  cdataPropName: "#cdata",
  ignoreDeclaration: true,
  ignorePiTags: true,
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  // references are decoded here, so that nothing but the five named and the numeric ones exists
  processEntities: false,
  maxNestedTags: limits.depth,
  onDangerousProperty: (name) => {
    throw new Error(`the name ${name} is not accepted`)
  }
})

/**
 * Reads one document. Refused: any DOCTYPE (so entities cannot be declared), unknown references, more than `limits`, text that is not well
 * formed. Comments and processing instructions are dropped, CDATA is text like any other, blanks are kept.
 *
 * @since 0.1.0 @category conversions
 */
export const parse = (text: string): Either.Either<Element, XmlError> => {
  if (text.length > limits.length) {
    return Either.left(new XmlError({ reason: `more than ${limits.length} characters of XML` }))
  }
  // in well-formed XML `<!D` occurs outside comments and CDATA only as a document type; refusing it everywhere is the safe side
  if (/<!(?!--|\[CDATA\[)/.test(text)) return Either.left(new XmlError({ reason: "a document type is not accepted" }))
  return Either.try({
    try: () => {
      const top = nodes(parser.parse(text, true))
      const roots = top.filter((node) => typeof node !== "string")
      const [root] = roots
      if (root === undefined || roots.length !== 1) throw new Error("not one root element")
      // the parser itself lets text beside the root pass, and drops it at the very end
      if (!text.trimEnd().endsWith(">") || top.some((node) => typeof node === "string" && node.trim() !== "")) {
        throw new Error("text outside the root element")
      }
      return root
    },
    catch: (cause) =>
      new XmlError({ reason: `not well-formed XML: ${cause instanceof Error ? cause.message : String(cause)}`, cause })
  })
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null

// fast-xml-parser's ordered form: [{ "#text": "…" }, { "#cdata": [{ "#text": "…" }] }, { name: [children], ":@": { "@key": "…" } }]
const nodes = (ordered: unknown): ReadonlyArray<Node> => {
  if (!Array.isArray(ordered)) throw new Error("no content")
  const items: ReadonlyArray<unknown> = ordered
  return joinTexts(
    items.flatMap((item): ReadonlyArray<Node> => {
      if (!isRecord(item)) throw new Error("unexpected content")
      const name = Object.keys(item).find((key) => key !== ":@")
      if (name === undefined) return []
      const content = item[name]
      if (name === "#text") return [decode(String(content))]
      if (name === "#cdata") return [cdata(content)]
      const attributes = item[":@"]
      return [
        {
          name,
          attributes: isRecord(attributes)
            ? Object.fromEntries(
                // a literal line end or tab in an attribute is a blank (XML 1.0, 3.3.3)
                Object.entries(attributes).map(([key, value]) => [
                  key.slice(1),
                  decode(String(value).replace(/[\t\n\r]/g, " "))
                ])
              )
            : {},
          children: nodes(content)
        }
      ]
    })
  )
}

const cdata = (content: unknown): string =>
  Array.isArray(content)
    ? content.map((part: unknown) => (isRecord(part) ? String(part["#text"] ?? "") : "")).join("")
    : ""

const named: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" }

const decode = (text: string): string => {
  if (text.includes("<")) throw new Error("an unescaped <")
  if (impossible.test(text)) throw new Error("a character that XML cannot carry")
  return text.replace(/&([^;&]{0,12};)?/g, (whole, inner: string | undefined) => {
    const body = inner?.slice(0, -1) ?? ""
    const number = /^#(?:x([0-9a-fA-F]+)|([0-9]+))$/.exec(body)
    const code =
      number === null ? undefined : number[1] === undefined ? Number(number[2]) : Number.parseInt(number[1], 16)
    const character =
      code === undefined
        ? Object.hasOwn(named, body)
          ? named[body]
          : undefined
        : code <= 0x10ffff
          ? String.fromCodePoint(code)
          : undefined
    if (character === undefined || impossible.test(character)) throw new Error(`the reference ${whole} is not accepted`)
    return character
  })
}

/** The child elements, all or those of one name. @since 0.1.0 @category getters */
export const children = (parent: Element, name?: string): ReadonlyArray<Element> =>
  parent.children.flatMap((node) =>
    typeof node !== "string" && (name === undefined || node.name === name) ? [node] : []
  )

/** The first child element of that name. @since 0.1.0 @category getters */
export const child = (parent: Element, name: string): Element | undefined => children(parent, name)[0]

/** The first element at the end of a path of child names, as in `find(domain, "os", "type")`. @since 0.1.0 @category getters */
export const find = (root: Element, ...path: ReadonlyArray<string>): Element | undefined =>
  path.reduce<Element | undefined>((at, name) => (at === undefined ? undefined : child(at, name)), root)

/** An attribute's value. @since 0.1.0 @category getters */
export const attribute = (of: Element | undefined, name: string): string | undefined =>
  of !== undefined && Object.hasOwn(of.attributes, name) ? of.attributes[name] : undefined

/** All text below an element, joined; `undefined` for no element. @since 0.1.0 @category getters */
export const textOf = (of: Element | undefined): string | undefined =>
  of === undefined
    ? undefined
    : of.children.map((node) => (typeof node === "string" ? node : (textOf(node) ?? ""))).join("")
