/**
 * Help as people need it, of what the library makes.
 *
 * @since 0.8.0
 */
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Usage from "@effect/cli/Usage"
import * as Arr from "effect/Array"

/** What a terminal paints with. @since 0.8.0 @category conversions */
export const uncoloured = (text: string): string => text.replace(/\u001b\[[0-9;]*m/g, "")

/** What the library says of every flag of a kind; the usage says it in a word. */
const said = new Set([
  "A user-defined piece of text.",
  "A true or false value.",
  "An integer.",
  "This setting is optional.",
  "This option may be repeated zero or more times."
])

const isSaid = (paragraph: HelpDoc.Paragraph): boolean => said.has(uncoloured(HelpDoc.toAnsiText(paragraph)).trim())

/** Without what goes without saying, and without the list of commands, whose lines are as long as all flags of the longest. @since 0.8.0 @category conversions */
export const tidied = (doc: HelpDoc.HelpDoc): HelpDoc.HelpDoc => {
  switch (doc._tag) {
    case "Empty":
      return doc
    case "Header":
      return uncoloured(HelpDoc.toAnsiText(doc)).trim() === "COMMANDS" ? HelpDoc.empty : doc
    case "Enumeration":
      return HelpDoc.empty
    case "Paragraph":
      return isSaid(doc) ? HelpDoc.empty : doc
    case "DescriptionList":
      return HelpDoc.descriptionList(Arr.map(doc.definitions, ([span, about]) => [span, tidied(about)]))
    case "Sequence":
      return HelpDoc.sequence(tidied(doc.left), tidied(doc.right))
  }
}

/** A flag that may be repeated need not be given at all. */
const spared = (usage: Usage.Usage): Usage.Usage => {
  switch (usage._tag) {
    case "Repeated":
      return usage.usage._tag === "Named" && usage.usage.names.every((name) => name.startsWith("-"))
        ? Usage.optional(usage)
        : usage
    case "Concat":
      return Usage.concat(spared(usage.left), spared(usage.right))
    default:
      return usage
  }
}

/** In one line. @since 0.8.0 @category conversions */
export const usage = (of: Usage.Usage): string => uncoloured(HelpDoc.toAnsiText(Usage.getHelp(spared(of)))).trim()
