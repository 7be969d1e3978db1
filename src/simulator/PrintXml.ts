/**
 * XML as libvirt prints it: single quotes, two blanks a level. What stands in `<metadata>` is kept as it was written.
 *
 * @since 0.1.0
 */
import * as Xml from "../libvirt/Xml.ts"

const escape = (value: string): string =>
  value
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&apos;")
    .replaceAll("\r", "&#xD;")

// libxml2's own printing
const verbatim = (node: Xml.Node): string => {
  if (typeof node === "string") {
    return node.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\r", "&#13;")
  }
  const attributes = Object.entries(node.attributes)
    .map(
      ([name, value]) =>
        ` ${name}="${verbatim(value).replaceAll('"', "&quot;").replaceAll("\t", "&#9;").replaceAll("\n", "&#10;")}"`
    )
    .join("")
  return node.children.length === 0
    ? `<${node.name}${attributes}/>`
    : `<${node.name}${attributes}>${node.children.map(verbatim).join("")}</${node.name}>`
}

/** The element with everything below it, ending in a line feed. @since 0.1.0 @category encoding */
export const print = (node: Xml.Element, depth = 0): string => {
  const pad = "  ".repeat(depth)
  const open = `<${node.name}${Object.entries(node.attributes)
    .map(([name, value]) => ` ${name}='${escape(value)}'`)
    .join("")}`
  const inner = Xml.children(node)
  if (inner.length > 0) {
    const printed =
      node.name === "metadata"
        ? inner.map((child) => `${pad}  ${verbatim(child)}\n`)
        : inner.map((child) => print(child, depth + 1))
    return `${pad}${open}>\n${printed.join("")}${pad}</${node.name}>\n`
  }
  const content = Xml.textOf(node) ?? ""
  return content === "" ? `${pad}${open}/>\n` : `${pad}${open}>${escape(content)}</${node.name}>\n`
}
