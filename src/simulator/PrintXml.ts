/**
 * XML as libvirt prints it: single quotes, two blanks a level. What stands in `<metadata>` is kept as it was written.
 *
 * @since 0.1.0
 */
import * as Xml from "../libvirt/Xml.ts"

const special = /[&<>"'\r]/

const escape = (value: string): string =>
  // hardly any has one
  special.test(value)
    ? value
        .replaceAll("&", "&amp;")
        .replaceAll("<", "&lt;")
        .replaceAll(">", "&gt;")
        .replaceAll('"', "&quot;")
        .replaceAll("'", "&apos;")
        .replaceAll("\r", "&#xD;")
    : value

const text = (value: string): string =>
  value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\r", "&#13;")

const attributeText = (value: string): string =>
  text(value).replaceAll('"', "&quot;").replaceAll("\t", "&#9;").replaceAll("\n", "&#10;")

/**
 * The element as libxml2 prints it: double quotes, indented where there is no text between the elements, without a line feed at the
 * end.
 *
 * @since 0.1.0 @category encoding
 */
export const printForeign = (node: Xml.Element, depth = 0): string => {
  const open = `<${node.name}${Object.entries(node.attributes)
    .map(([name, value]) => ` ${name}="${attributeText(value)}"`)
    .join("")}`
  if (node.children.length === 0) return `${open}/>`
  const elements = Xml.children(node)
  const bare = node.children.every((child) => typeof child !== "string" || child.trim() === "")
  if (elements.length > 0 && bare) {
    const pad = "  ".repeat(depth + 1)
    return `${open}>\n${elements.map((child) => `${pad}${printForeign(child, depth + 1)}\n`).join("")}${"  ".repeat(depth)}</${node.name}>`
  }
  const content = node.children.map((child) => (typeof child === "string" ? text(child) : printForeign(child, depth)))
  return `${open}>${content.join("")}</${node.name}>`
}

/** At this depth are the devices of a domain: most of its text, and the same at each look but for those that were changed. */
const keptDepth = 2

/** What elements at that depth were printed as: an element is never changed, only replaced. */
const kept = new WeakMap<Xml.Element, string>()

/** The element with everything below it, ending in a line feed. @since 0.1.0 @category encoding */
export const print = (node: Xml.Element, depth = 0): string => {
  if (depth !== keptDepth) return printed(node, depth)
  let text = kept.get(node)
  if (text === undefined) {
    text = printed(node, depth)
    kept.set(node, text)
  }
  return text
}

const printed = (node: Xml.Element, depth: number): string => {
  const pad = "  ".repeat(depth)
  let open = `<${node.name}`
  for (const [name, value] of Object.entries(node.attributes)) open += ` ${name}='${escape(value)}'`
  const inner = Xml.children(node)
  if (inner.length > 0) {
    const parts =
      node.name === "metadata"
        ? inner.map((child) => `${pad}  ${printForeign(child, depth + 1)}\n`)
        : inner.map((child) => print(child, depth + 1))
    return `${pad}${open}>\n${parts.join("")}${pad}</${node.name}>\n`
  }
  const content = Xml.textOf(node) ?? ""
  return content === "" ? `${pad}${open}/>\n` : `${pad}${open}>${escape(content)}</${node.name}>\n`
}
