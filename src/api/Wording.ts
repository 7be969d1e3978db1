/**
 * What is wrong with a request that cannot be decoded, in words: the same from the controller, and from a client that does not even send it.
 *
 * @since 0.10.0
 */
import type { ArrayFormatterIssue } from "effect/ParseResult"

/** How much is said of what is wrong with one field: messages of ours may have what was given in them. */
const shown = 500

const isLiteral = (expected: string): boolean => /^(?:"[^"]*"|-?[0-9.]+)$/.test(expected)

/** What is expected, without the notation of types. `whole`: of all of a body. */
const expectation = (expected: string, whole: boolean): string => {
  if (whole) return "a JSON object"
  if (/^(?:readonly|ReadonlyArray)\b/.test(expected)) return "a list"
  if (expected === "boolean") return "true or false"
  if (expected.startsWith("an array of "))
    return expected.replace("an array of ", "a list of ").replace("item(s)", "items")
  if (/^[A-Z][A-Za-z]*$/.test(expected)) return `an object as the API's description has ${expected}`
  if (expected.includes('" | "')) return either(expected.split(" | "))
  if (!expected.startsWith("{")) return expected
  const names = [...expected.matchAll(/readonly "?([^":?[\]]+)"?\??:/g)].map(([, name]) => name)
  return names.length === 0 ? "an object" : `an object with ${names.join(", ")}`
}

const either = (words: ReadonlyArray<string>): string =>
  words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1) ?? ""}`

const expectedIn = (said: string): string | undefined => /^Expected ([^]*?), actual [^]*$/.exec(said)?.[1]

/**
 * What a decoder says where nobody has given it words. What was given instead is never said: it may be a password of the wrong type, and what is said is
 * kept in the record of who did what.
 */
const inWords = (said: string, whole: boolean): string => {
  const into = /^Unable to decode [^]* into an? ([A-Za-z.]+)$/.exec(said)?.[1]
  if (into !== undefined)
    return `expected a ${into.startsWith("DateTime") ? "time, such as 2026-12-31T12:00:00Z" : into}`
  const expected = expectedIn(said)
  return expected === undefined ? said : `expected ${expectation(expected, whole)}`
}

/** @since 0.10.0 @category models */
export interface Wrong {
  /** where, empty: the whole of it */
  readonly path: ReadonlyArray<string>
  /** the same with dots between */
  readonly field: string
  /** one sentence */
  readonly detail: string
  /** there is something of a name that is not known */
  readonly isUnexpected: boolean
}

/** The first of what is wrong; undefined: nothing is. @since 0.10.0 @category conversions */
export const of = (issues: ReadonlyArray<ArrayFormatterIssue>): Wrong | undefined => {
  const [issue] = issues
  if (issue === undefined) return undefined
  const path = issue.path.map(String)
  const field = path.join(".")
  // of a choice the decoder says what is wrong with each
  const choices = issues.flatMap(({ message, path }) => {
    const expected = expectedIn(message)
    return expected !== undefined && isLiteral(expected) && path.map(String).join(".") === field ? [expected] : []
  })
  const isUnexpected = issue._tag === "Unexpected"
  const words = choices.length > 1 ? `expected ${either(choices)}` : inWords(issue.message, path.length === 0)
  const said = isUnexpected ? "is not known here" : words.charAt(0).toLowerCase() + words.slice(1)
  const problem = said.length > shown ? `${said.slice(0, shown)}…` : said
  const detail =
    path.length === 0
      ? `the body cannot be used: ${problem}`
      : `${field}${problem.startsWith("is ") ? "" : ":"} ${problem}`
  return { path, field, detail, isUnexpected }
}
