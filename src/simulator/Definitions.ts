/**
 * Domains that keep their definitions small. A definition is a tree of about a hundred elements, and a fleet has tens of thousands that nobody
 * looks at: those that were not used for a while are packed, and what they have in common with the first one takes no place.
 *
 * @since 0.3.0
 */
import { deflateRawSync, inflateRawSync } from "node:zlib"
import type * as Xml from "../libvirt/Xml.ts"
import type { LiveDomain, SimulatedDomain } from "./HostState.ts"

/** So many are kept as trees; the one used longest ago is packed first. */
const unpacked = 512

// characters that XML cannot carry, so no definition has them
const marks = { element: "\u0001", key: "\u0002", value: "\u0003", children: "\u0004", end: "\u0005", text: "\u0006" }
// eslint-disable-next-line no-control-regex
const word = /[^\u0001-\u0006]*/y

const write = (node: Xml.Node): string => {
  if (typeof node === "string") return marks.text + node
  let out = marks.element + node.name
  for (const [key, value] of Object.entries(node.attributes)) out += marks.key + key + marks.value + value
  out += marks.children
  for (const child of node.children) out += write(child)
  return out + marks.end
}

/** The inverse of `write`, for what that has written. */
const read = (text: string): Xml.Element => {
  let at = 0
  const next = (): string => {
    word.lastIndex = ++at
    const found = word.exec(text)?.[0] ?? ""
    at += found.length
    return found
  }
  const element = (): Xml.Element => {
    const name = next()
    const attributes: Record<string, string> = {}
    while (text[at] === marks.key) {
      const key = next()
      attributes[key] = next()
    }
    at++
    const children: Array<Xml.Node> = []
    while (at < text.length && text[at] !== marks.end) children.push(text[at] === marks.text ? next() : element())
    at++
    return { name, attributes, children }
  }
  return element()
}

/** What is left out of all others. */
let pattern: Buffer | undefined

const pack = (tree: Xml.Element): string => {
  const bytes = Buffer.from(write(tree))
  pattern ??= bytes
  return deflateRawSync(bytes, { dictionary: pattern }).toString("latin1")
}

const unpack = (packed: string): Xml.Element =>
  read(inflateRawSync(Buffer.from(packed, "latin1"), { dictionary: pattern ?? Buffer.alloc(0) }).toString())

/** Those that are trees, the one used longest ago first. What nobody else has is gone, though it was used of late. */
const recent = new Set<WeakRef<Definition>>()

/** A tree like any other to those who look at it, and to those who copy it; unpacked when somebody does. */
class Definition implements Xml.Element {
  readonly name: string
  declare readonly attributes: Xml.Element["attributes"]
  declare readonly children: Xml.Element["children"]
  #tree: Xml.Element | undefined
  /** undefined: never yet. It stays, for a definition never changes: most are only read, and packing takes longer than that. */
  #packed: string | undefined
  readonly #self = new WeakRef(this)

  // its own, and the same functions for all: what is its prototype's is not copied, and functions of its own take more room than it does
  static readonly #parts: PropertyDescriptorMap & ThisType<Definition> = {
    attributes: {
      enumerable: true,
      get() {
        return this.#whole().attributes
      }
    },
    children: {
      enumerable: true,
      get() {
        return this.#whole().children
      }
    }
  }

  constructor(tree: Xml.Element) {
    this.name = tree.name
    this.#tree = tree
    Object.defineProperties(this, Definition.#parts)
    this.#use()
  }

  /** It is needed no more. */
  drop(): void {
    recent.delete(this.#self)
  }

  #whole(): Xml.Element {
    const tree = (this.#tree ??= unpack(this.#packed ?? ""))
    this.#use()
    return tree
  }

  #pack(): void {
    if (this.#tree !== undefined) this.#packed ??= pack(this.#tree)
    this.#tree = undefined
  }

  #use(): void {
    recent.delete(this.#self)
    recent.add(this.#self)
    if (recent.size <= unpacked) return
    for (const oldest of recent) {
      recent.delete(oldest)
      const one = oldest.deref()
      if (one !== undefined) one.#pack()
      return
    }
  }
}

class PackedDomain implements SimulatedDomain {
  name: string
  readonly uuid: string
  live: LiveDomain | null
  state: number
  reason: number
  autostart: boolean
  private kept: Definition | null

  constructor(of: SimulatedDomain) {
    this.name = of.name
    this.uuid = of.uuid
    this.live = of.live
    this.state = of.state
    this.reason = of.reason
    this.autostart = of.autostart
    this.kept = of.persistent === null ? null : new Definition(of.persistent)
  }

  get persistent(): Xml.Element | null {
    return this.kept
  }
  set persistent(definition: Xml.Element | null) {
    this.kept?.drop()
    this.kept = definition === null ? null : new Definition(definition)
  }
}

class PackedLive implements LiveDomain {
  readonly id: number
  readonly serial: Array<string>
  readonly started: number
  readonly disks: LiveDomain["disks"]
  readonly nics: LiveDomain["nics"]
  nextNode: number
  clocked: boolean
  readonly guest: LiveDomain["guest"]
  private kept: Definition

  constructor(of: LiveDomain) {
    this.id = of.id
    this.serial = of.serial
    this.started = of.started
    this.disks = of.disks
    this.nics = of.nics
    this.nextNode = of.nextNode
    this.clocked = of.clocked
    this.guest = of.guest
    this.kept = new Definition(of.definition)
  }

  get definition(): Xml.Element {
    return this.kept
  }
  set definition(definition: Xml.Element) {
    this.kept.drop()
    this.kept = new Definition(definition)
  }
}

/** The same, packed when it is not used. @since 0.3.0 @category constructors */
export const domain = (of: SimulatedDomain): SimulatedDomain => new PackedDomain(of)

/** The same, packed when it is not used. @since 0.3.0 @category constructors */
export const live = (of: LiveDomain): LiveDomain => new PackedLive(of)
