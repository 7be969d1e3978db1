/**
 * Text as a terminal may be given it, and tables of it.
 *
 * @since 0.5.0
 */
import stringWidth from "fast-string-width"

/** Control characters, and those that change the direction or break a line: with them a name could write what it likes over the screen. */
const unsafe = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

/** Every control character as `\u001b`. @since 0.5.0 @category constructors */
export const plain = (text: string): string => text.replace(unsafe, escaped)

/** The same of text of several lines, such as JSON, where an escape within a string is the same string. @since 0.5.0 @category constructors */
export const plainLines = (text: string): string => text.split("\n").map(plain).join("\n")

/** What sets colours or moves the cursor, whole; what is left of an escape is shown as one. */
const sequences = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[ -/]*[0-Z\\^-~])/g

/**
 * What was printed for a terminal, for another one: colours and cursor movements are left out, every other control character is escaped, and a line that
 * was written over is one of its own.
 *
 * @since 0.6.0 @category constructors
 */
export const printed = (text: string): string =>
  text
    .replace(sequences, "")
    .replace(/\r+\n/g, "\n")
    .replace(/\r+/g, "\n")
    .split("\n")
    .map((line) => line.split("\t").map(plain).join("\t"))
    .join("\n")

/** Where an escape sequence or a line end begins at the end of a text that goes on; the length when none does. @since 0.6.0 @category getters */
export const unfinished = (text: string): number => {
  const escape = text.lastIndexOf("\u001b", text.length - 1)
  if (escape !== -1 && text.length - escape < 64 && text.slice(escape).replace(sequences, "") === text.slice(escape)) {
    return escape
  }
  return text.endsWith("\r") ? text.length - 1 : text.length
}

/** Whether it holds anything that `plain` escapes. @since 0.5.0 @category predicates */
export const isPlain = (text: string): boolean => text.search(unsafe) === -1

/** No wider than `most`: of what is, the beginning. @since 0.15.0 @category constructors */
export const cut = (text: string, most: number): string => {
  if (stringWidth(text) <= most) return text
  let kept = ""
  let wide = 0
  for (const character of text) {
    wide += stringWidth(character)
    if (wide >= most) break
    kept += character
  }
  return `${kept}…`
}

/** What a cell says of itself by its colour. @since 0.5.0 @category models */
export type Tone = "good" | "bad" | "moving" | "head"

const codes: Record<Tone, string> = { good: "32", bad: "31", moving: "33", head: "1" }

const painted = (text: string, tone: Tone | undefined, colour: boolean): string =>
  tone === undefined || !colour || text === "" ? text : `\u001b[${codes[tone]}m${text}\u001b[0m`

/** @since 0.5.0 @category models */
export interface Cell {
  readonly text: string
  readonly tone?: Tone
  /** numbers stand at the right */
  readonly right?: boolean
}

/** As wide as the widest cell of each column. @since 0.5.0 @category constructors */
export const widths = (rows: ReadonlyArray<ReadonlyArray<Cell>>): ReadonlyArray<number> =>
  (rows[0] ?? []).map((_, index) => Math.max(...rows.map((row) => stringWidth(row[index]?.text ?? ""))))

/** One line, without a line end. @since 0.5.0 @category constructors */
export const line = (row: ReadonlyArray<Cell>, wide: ReadonlyArray<number>, colour: boolean): string =>
  row
    .map(({ right, text, tone }, index) => {
      const blanks = " ".repeat(Math.max(0, (wide[index] ?? 0) - stringWidth(text)))
      const shown = painted(text, tone, colour)
      return right === true ? blanks + shown : index === row.length - 1 ? shown : shown + blanks
    })
    .join("  ")
    .trimEnd()
