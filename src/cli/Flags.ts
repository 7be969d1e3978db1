/**
 * The flags of a command, and what is wrong with those that somebody gave.
 *
 * @since 0.8.0
 */
import type * as Usage from "@effect/cli/Usage"
import * as Option from "effect/Option"

/** @since 0.8.0 @category models */
export interface Flag {
  /** as in `-o` and `--output`, the short one first */
  readonly names: ReadonlyArray<string>
  /** what its value is, as in `NAME` or `table | wide`; null: it takes none */
  readonly value: string | null
  /** the values it may have; none: others than these few */
  readonly choices: ReadonlyArray<string>
  readonly required: boolean
  /** whether it may be given more than once */
  readonly repeated: boolean
}

/** What a command takes without a flag, in the order it is given. @since 0.9.0 @category constructors */
export const bareOf = (usage: Usage.Usage): ReadonlyArray<string> => {
  switch (usage._tag) {
    case "Empty":
    case "Mixed":
      return []
    case "Named":
      return usage.names.flatMap((name) => /^<(.*)>$/.exec(name)?.[1] ?? [])
    case "Optional":
    case "Repeated":
      return bareOf(usage.usage)
    case "Alternation":
    case "Concat":
      return [...bareOf(usage.left), ...bareOf(usage.right)]
  }
}

/** Values that say something by being empty: all else is empty by mistake, as of a variable that is not set. */
const clearable = ["--description"]

/** All that a command takes. @since 0.8.0 @category constructors */
export const of = (usage: Usage.Usage, required: boolean = true, repeated: boolean = false): ReadonlyArray<Flag> => {
  switch (usage._tag) {
    case "Empty":
    case "Mixed":
      return []
    case "Named": {
      const { acceptedValues, names } = usage
      if (!names.every((name) => name.startsWith("-"))) return []
      const value = Option.getOrNull(acceptedValues)
      const choices = value?.split(" | ") ?? []
      return [{ names, value, choices: choices.length > 1 ? choices : [], required, repeated }]
    }
    case "Optional":
      return of(usage.usage, false, repeated)
    case "Repeated":
      return of(usage.usage, false, true)
    case "Alternation":
      return [...of(usage.left, false, repeated), ...of(usage.right, false, repeated)]
    case "Concat":
      return [...of(usage.left, required, repeated), ...of(usage.right, required, repeated)]
  }
}

const listed = (words: ReadonlyArray<string>, last: "and" | "or"): string =>
  words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} ${last} ${words[words.length - 1] ?? ""}`

/** How many letters have to be put in, taken out, changed or swapped with their neighbour to make one word of another. */
const distance = (from: string, to: string): number => {
  let older: ReadonlyArray<number> = []
  let row: ReadonlyArray<number> = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const cost = from[i - 1] === to[j - 1] ? 0 : 1
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      next.push(
        Math.min(
          (row[j] ?? 0) + 1,
          (next[j - 1] ?? 0) + 1,
          (row[j - 1] ?? 0) + cost,
          swapped ? (older[j - 2] ?? 0) + 1 : Infinity
        )
      )
    }
    older = row
    row = next
  }
  return row[to.length] ?? 0
}

/** What was probably meant; undefined: nothing is like it. @since 0.8.0 @category conversions */
export const nearest = (word: string, known: ReadonlyArray<string>): string | undefined => {
  if (word.replace(/^-+/, "") === "") return undefined
  const begins = known.find((candidate) => candidate.startsWith(word) || word.startsWith(candidate))
  if (begins !== undefined) return begins
  const most = word.length > 4 ? 2 : 1
  return known
    .map((candidate) => [candidate, distance(word, candidate)] as const)
    .filter(([, apart]) => apart <= most)
    .sort(([, one], [, other]) => one - other)[0]?.[0]
}

/**
 * What is wrong with the flags in a command's words, up to `--`; undefined: nothing. The library drops an empty value without a word where a flag
 * may be repeated, which would make of a narrow command a wide one. `bare`: what the command takes without a flag; `noun`: what it is about.
 *
 * @since 0.8.0 @category conversions
 */
export const problem = (
  flags: ReadonlyArray<Flag>,
  args: ReadonlyArray<string>,
  bare: ReadonlyArray<string> = [],
  noun: string | null = null
): string | undefined => {
  const known = flags.flatMap(({ names }) => names)
  const given = new Set<Flag>()
  for (let index = 0; index < args.length; index += 1) {
    const word = args[index] ?? ""
    if (word === "--") break
    if (!word.startsWith("-") || word === "-") continue
    const equals = word.startsWith("--") ? word.indexOf("=") : -1
    const name = equals === -1 ? word : word.slice(0, equals)
    const flag = flags.find(({ names }) => names.includes(name))
    if (flag === undefined) {
      const called = name.replace(/^-+/, "")
      // what a thing is called by says which it is
      const without = ["name", "id"].includes(called) && noun !== null && !bare.includes(called) ? noun : called
      if (bare.includes(without)) {
        const meant = without === called ? called : `the ${without}'s ${called}`
        return `there is no flag ${name} here: ${meant} is given without one`
      }
      const meant = nearest(name, known)
      return `there is no flag ${name} here${meant === undefined ? "" : `: did you mean ${meant}?`}`
    }
    if (given.has(flag) && !flag.repeated) return `${name} is given twice: give it once`
    given.add(flag)
    if (flag.value === null) {
      if (equals !== -1) return `${name} takes no value`
      continue
    }
    if (equals === -1) index += 1
    const value = equals === -1 ? args[index] : word.slice(equals + 1)
    const expected = flag.choices.length === 0 ? flag.value : listed(flag.choices, "or")
    if (value === undefined || (equals === -1 && value.startsWith("--") && known.includes(value)))
      return `the value of ${name} is missing: expected ${expected}`
    if (value === "" && !clearable.includes(name)) return `the value of ${name} is empty: expected ${expected}`
    if (flag.choices.length > 0 && !flag.choices.includes(value))
      return `${name} is ${JSON.stringify(value)}: expected ${expected}`
  }
  const missing = flags.filter((flag) => flag.required && !given.has(flag))
  return missing.length === 0
    ? undefined
    : `${listed(
        missing.map(({ names, value }) => `${names[names.length - 1] ?? ""} ${value ?? ""}`),
        "and"
      )} ${missing.length === 1 ? "is" : "are"} missing`
}

/** Where the words are that are neither flags nor their values. @since 0.8.0 @category conversions */
export const positions = (flags: ReadonlyArray<Flag>, args: ReadonlyArray<string>): ReadonlyArray<number> => {
  const found: Array<number> = []
  for (let index = 0; index < args.length; index += 1) {
    const word = args[index] ?? ""
    if (!word.startsWith("-") || word === "-") found.push(index)
    else if (flags.some(({ names, value }) => value !== null && names.includes(word))) index += 1
  }
  return found
}
