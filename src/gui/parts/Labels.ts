/**
 * Labels, as they are filled in.
 *
 * @since 0.12.0
 */
import { linesIn } from "./Lines.ts"

/** Of `key=value`, one a line; what has no `=` has no value. @since 0.12.0 @category parsing */
export const labelsOf = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    linesIn(text).map((line) => {
      const at = line.indexOf("=")
      return at === -1 ? [line, ""] : [line.slice(0, at).trim(), line.slice(at + 1).trim()]
    })
  )

/** The same the other way. @since 0.12.0 @category formatting */
export const linesOf = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join("\n")
