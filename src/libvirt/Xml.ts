/**
 * XML as a tree: built from values, rendered by one function that escapes everything, and read back with hard limits. No XML text
 * is ever made anywhere else.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { SaxesParser } from "saxes"

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

/** What is said of XML that is not accepted, by us or by the reader; thrown by the reader's listeners, which have no other way out. */
class Refusal extends Error {}

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
  return Either.try({
    try: () => read(text),
    catch: (cause) =>
      new XmlError({
        reason:
          cause instanceof Refusal
            ? cause.message
            : `not well-formed XML: ${cause instanceof Error ? cause.message : String(cause)}`,
        cause
      })
  })
}

const read = (text: string): Element => {
  interface Open extends Element {
    readonly attributes: Record<string, string>
    readonly children: Array<Node>
  }
  let root: Open | undefined
  const open: Array<Open> = []
  // without namespaces, which no document of libvirt's needs to be understood
  const parser = new SaxesParser({ xmlns: false, position: false })
  const add = (text: string) => {
    const children = open.at(-1)?.children
    if (children === undefined) return
    const last = children.length - 1
    const before = children[last]
    if (typeof before === "string") children[last] = before + text
    else if (text !== "") children.push(text)
  }
  parser.on("error", (error) => {
    throw error
  })
  parser.on("doctype", () => {
    throw new Refusal("a document type is not accepted")
  })
  parser.on("opentag", ({ attributes, name }) => {
    if (open.length === limits.depth) throw new Refusal(`elements within elements, more than ${limits.depth} deep`)
    const element: Open = { name, attributes: { ...attributes }, children: [] }
    if (open.length === 0) root = element
    else open.at(-1)?.children.push(element)
    open.push(element)
  })
  parser.on("closetag", () => open.pop())
  parser.on("text", add)
  parser.on("cdata", add)
  parser.write(text).close()
  if (root === undefined) throw new Error("no root element")
  return root
}

/** The child elements, all or those of one name. @since 0.1.0 @category getters */
export const children = (parent: Element, name?: string): ReadonlyArray<Element> => {
  // most of what is looked at in a domain is found by this, so nothing is made beside what it gives
  const found: Array<Element> = []
  for (const node of parent.children) {
    if (typeof node !== "string" && (name === undefined || node.name === name)) found.push(node)
  }
  return found
}

/** The first child element of that name. @since 0.1.0 @category getters */
export const child = (parent: Element, name: string): Element | undefined => {
  for (const node of parent.children) if (typeof node !== "string" && node.name === name) return node
  return undefined
}

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
