/**
 * Title, description and metadata elements of a domain.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Xml from "../libvirt/Xml.ts"
import type { SimulatedDomain } from "./HostState.ts"
import { printForeign } from "./PrintXml.ts"
import { badArgument, code, from, malformed, refuse, type Refusal, unsupportedFlags } from "./Refusal.ts"

type Answer<A> = Either.Either<A, Refusal>

const declaration = (name: string): string => (name.includes(":") ? `xmlns:${name.split(":")[0]}` : "xmlns")

/** The namespace of an element directly in `<metadata>`, wherever it was declared. */
const namespaceOf = (element: Xml.Element, ...above: ReadonlyArray<Xml.Element>): string | undefined =>
  [element, ...above].map((at) => Xml.attribute(at, declaration(element.name))).find((uri) => uri !== undefined)

/** What libvirt keeps of `<metadata>`: the first element of each namespace, none without. @since 0.1.0 @category combinators */
export const sanitize = (domain: Xml.Element, metadata: Xml.Element): Xml.Element => {
  const seen = new Set<string>()
  return {
    ...metadata,
    attributes: {},
    children: Xml.children(metadata).flatMap((element) => {
      const uri = namespaceOf(element, metadata, domain)
      if (uri === undefined || seen.has(uri)) return []
      seen.add(uri)
      return [{ ...element, attributes: { [declaration(element.name)]: uri, ...element.attributes } }]
    })
  }
}

const withoutPrefix = (node: Xml.Element, prefix: string): Xml.Element => ({
  name: node.name.startsWith(prefix) ? node.name.slice(prefix.length) : node.name,
  attributes: Object.fromEntries(Object.entries(node.attributes).filter(([name]) => !/^xmlns(:|$)/.test(name))),
  children: node.children.map((child) => (typeof child === "string" ? child : withoutPrefix(child, prefix)))
})

const withPrefix = (node: Xml.Element, prefix: string): Xml.Element => ({
  ...node,
  name: node.name.includes(":") ? node.name : `${prefix}:${node.name}`,
  children: node.children.map((child) => (typeof child === "string" ? child : withPrefix(child, prefix)))
})

const kinds = ["description", "title", "metadata"] as const

const absent = () => Either.left(refuse(code.noMetadata, from.domain, "Requested metadata element is not present"))

const notRunning = () => Either.left(refuse(code.operationInvalid, from.domain, "domain is not running"))

/** DOMAIN_GET_METADATA: an element comes without its namespace. @since 0.1.0 @category procedures */
export const get = (domain: SimulatedDomain, type: number, uri: string | null, flags: number): Answer<string> => {
  if ((flags & 3) === 3) {
    return Either.left(
      badArgument(
        from.domain,
        "virDomainGetMetadata",
        "ctl",
        "Flags 'VIR_DOMAIN_AFFECT_LIVE' and 'VIR_DOMAIN_AFFECT_CONFIG' are mutually exclusive"
      )
    )
  }
  const unsupported = unsupportedFlags(flags, 3, "virDomainObjGetMetadata", from.domain)
  if (unsupported !== undefined) return Either.left(unsupported)
  const kind = kinds[type]
  if (kind === undefined) return Either.left(refuse(code.invalidArg, from.domain, `unknown metadata type '${type}'`))
  if (kind === "metadata" && uri === null) {
    return Either.left(
      badArgument(from.domain, "virDomainGetMetadata", "uri", "uri in virDomainGetMetadata must not be NULL")
    )
  }
  if ((flags & 1) === 1 && domain.live === null) return notRunning()
  const definition =
    (flags & 2) === 2
      ? (domain.persistent ?? domain.live?.definition)
      : (domain.live?.definition ?? domain.persistent ?? undefined)
  if (definition === undefined) return absent()
  const found = Xml.child(definition, kind)
  if (found === undefined) return absent()
  if (kind !== "metadata") return Either.right(Xml.textOf(found) ?? "")
  const element = Xml.children(found).find((element) => namespaceOf(element) === uri)
  if (element === undefined) return absent()
  const colon = element.name.indexOf(":")
  return Either.right(printForeign(withoutPrefix(element, colon === -1 ? "" : element.name.slice(0, colon + 1))))
}

/** DOMAIN_SET_METADATA: null takes it away. @since 0.1.0 @category procedures */
export const set = (
  domain: SimulatedDomain,
  given: {
    readonly type: number
    readonly metadata: string | null
    readonly key: string | null
    readonly uri: string | null
    readonly flags: number
  }
): Answer<void> => {
  const kind = kinds[given.type]
  if (kind === undefined) {
    return Either.left(refuse(code.invalidArg, from.domain, `unknown metadata type '${given.type}'`))
  }
  if (kind === "title" && given.metadata?.includes("\n") === true) {
    return Either.left(
      badArgument(from.domain, "virDomainSetMetadata", "metadata", "metadata title can't contain newlines")
    )
  }
  if (kind === "metadata" && (given.uri === null || (given.metadata !== null && given.key === null))) {
    const missing = given.uri === null ? "uri" : "key"
    return Either.left(
      badArgument(from.domain, "virDomainSetMetadata", missing, `${missing} in virDomainSetMetadata must not be NULL`)
    )
  }
  if ((given.flags & 1) === 1 && domain.live === null) return notRunning()
  const content = kind === "metadata" && given.metadata !== null ? Xml.parse(given.metadata) : undefined
  if (content !== undefined && Either.isLeft(content)) {
    return Either.left(malformed(from.domain, "metadata_xml", given.metadata ?? "", content.left.reason))
  }
  const change = (definition: Xml.Element): Xml.Element => {
    const rest = definition.children.filter((node) => typeof node === "string" || node.name !== kind)
    const made =
      kind !== "metadata"
        ? given.metadata === null
          ? undefined
          : Xml.element(kind, {}, [given.metadata])
        : metadataElement(Xml.child(definition, "metadata"), given.uri ?? "", given.key ?? "", content?.right)
    if (made === undefined) return { ...definition, children: rest }
    // they stand in this order before everything else but name and uuid
    const before = {
      title: ["name", "uuid", "genid"],
      description: ["name", "uuid", "genid", "title"],
      metadata: ["name", "uuid", "genid", "title", "description"]
    }[kind]
    const at = rest.findIndex((node) => typeof node !== "string" && !before.includes(node.name))
    return { ...definition, children: [...rest.slice(0, at), made, ...rest.slice(at)] }
  }
  const toLive = (given.flags & 1) === 1 || ((given.flags & 3) === 0 && domain.live !== null)
  const toConfig = (given.flags & 2) === 2 || ((given.flags & 3) === 0 && domain.live === null)
  if (toLive && domain.live !== null) domain.live.definition = change(domain.live.definition)
  if (toConfig && domain.persistent !== null) domain.persistent = change(domain.persistent)
  return Either.right(undefined)
}

const metadataElement = (
  present: Xml.Element | undefined,
  uri: string,
  key: string,
  content: Xml.Element | undefined
): Xml.Element | undefined => {
  const others = present === undefined ? [] : Xml.children(present).filter((element) => namespaceOf(element) !== uri)
  const made = content === undefined ? undefined : withPrefix(content, key)
  const all =
    made === undefined ? others : [...others, { ...made, attributes: { [`xmlns:${key}`]: uri, ...made.attributes } }]
  return all.length === 0 ? undefined : Xml.element("metadata", {}, all)
}
