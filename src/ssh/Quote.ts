/**
 * Words for a POSIX shell: the only place where something becomes part of a shell command.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Option from "effect/Option"

/** A word that no argument can carry; `problem` is one clause about the word at `index`. @since 0.1.0 @category errors */
export interface UnquotableWord {
  readonly index: number
  readonly problem: string
}

// Linux takes at most 128 KiB in one argument, and sshd hands the whole command to the login shell as one
const maximumBytes = 120 * 1024

const problemOf = (word: string): string | null =>
  word.includes("\0")
    ? "contains a NUL, which no argument can"
    : // it would reach the host as U+FFFD: another word than was meant
      /\p{Surrogate}/u.test(word)
      ? "contains half a surrogate pair, which UTF-8 cannot carry"
      : null

// inside single quotes every byte but the quote itself is literal, newlines and backslashes too
const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`

/** One word in single quotes, so that a POSIX shell takes it for nothing but itself. @since 0.1.0 @category quoting */
export const word = (text: string): Either.Either<string, UnquotableWord> => {
  const problem = problemOf(text)
  return problem === null ? Either.right(quote(text)) : Either.left({ index: 0, problem })
}

/** All words quoted, with a space between them. @since 0.1.0 @category quoting */
export const commandLine = (argv: ReadonlyArray<string>): Either.Either<string, UnquotableWord> => {
  for (const [index, text] of argv.entries()) {
    const problem = problemOf(text)
    if (problem !== null) return Either.left({ index, problem })
  }
  const line = argv.map(quote).join(" ")
  return Buffer.byteLength(line) > maximumBytes
    ? Either.left({ index: argv.length - 1, problem: `makes the command longer than ${maximumBytes} bytes` })
    : Either.right(line)
}

/**
 * A command for people to read and paste: words that mean nothing to a shell stay as they are, others are quoted.
 *
 * @since 0.1.0 @category quoting
 */
export const display = (argv: ReadonlyArray<string>): string =>
  argv.map((text) => (/^[A-Za-z0-9_@%+:,./-]+$/.test(text) ? text : quote(text))).join(" ")

/**
 * Reads back what `commandLine` wrote, and nothing else: None when a word is not in single quotes. For servers in tests and simulations.
 *
 * @since 0.1.0 @category parsing
 */
export const words = (line: string): Option.Option<ReadonlyArray<string>> => {
  if (!/^(?:'[^']*'(?:\\''[^']*')*(?: |$))*$/.test(line) || line.endsWith(" ")) return Option.none()
  const found = line.match(/'[^']*'(?:\\''[^']*')*/g) ?? []
  return Option.some(found.map((quoted) => quoted.slice(1, -1).replaceAll(`'\\''`, "'")))
}
