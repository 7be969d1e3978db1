/**
 * What shells are told, so that they can complete a command's words.
 *
 * @since 0.8.0
 */
import type * as Flags from "./Flags.ts"

/** @since 0.8.0 @category models */
export interface Command {
  /** its words with blanks between them, as in `vm list`; empty: the program itself */
  readonly path: string
  readonly flags: ReadonlyArray<Flags.Flag>
  /** words that may follow: nouns or verbs; none: it is whole */
  readonly next: ReadonlyArray<string>
}

/** Flags that every command has, or the program alone. */
const anywhere = ["--help"]
const first = ["--help", "--version", "--completions"]

/** Without line ends; words of a shell need no quotes among names of commands and flags. */
const cases = (subject: string, branches: ReadonlyArray<readonly [pattern: string, doing: string]>) => [
  `    case "${subject}" in`,
  ...branches.map(([pattern, doing]) => `        ${pattern}) ${doing} ;;`),
  "    esac"
]

/**
 * A script for bash. The library's own one has no command below a noun, and makes one word of all values of a flag.
 *
 * @since 0.8.0 @category constructors
 */
export const bash = (commands: ReadonlyArray<Command>): ReadonlyArray<string> => {
  const flags = commands.flatMap((command) => command.flags)
  const switches = new Set(flags.filter(({ value }) => value === null).flatMap(({ names }) => names))
  const valued = [...new Set(flags.filter(({ value }) => value !== null).flatMap(({ names }) => names))]
    .filter((name) => !switches.has(name))
    .concat("--completions")
  return [
    "_vmfabric_completions() {",
    '    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" cmd="" last="" word opts=""',
    `    local valued=" ${valued.join(" ")} "`,
    "    COMPREPLY=()",
    '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
    '        if [[ -n "${last}" && "${valued}" == *" ${last} "* ]]; then last=""; continue; fi',
    '        last="${word}"',
    ...cases(
      "${cmd}/${word}",
      commands.flatMap(({ next, path }) =>
        next.map((word) => [`"${path}/${word}"`, `cmd="${path === "" ? word : `${path} ${word}`}"`] as const)
      )
    ).map((line) => `    ${line}`),
    "    done",
    ...cases("${cmd}:${prev}", [
      ['":--completions"', 'opts="bash fish zsh"'],
      ...commands.flatMap(({ flags, path }) =>
        flags
          .filter(({ choices }) => choices.length > 0)
          .map(
            ({ choices, names }) =>
              [names.map((name) => `"${path}:${name}"`).join("|"), `opts="${choices.join(" ")}"`] as const
          )
      )
    ]),
    '    if [[ -z "${opts}" ]]; then',
    "        # what else a flag has as its value, and things, may be files",
    '        if [[ "${valued}" == *" ${prev} "* ]]; then return 0; fi',
    ...cases(
      "${cmd}",
      commands.map(({ flags, next, path }) => {
        const names = flags.flatMap((flag) => flag.names)
        const opts = [...next, ...names, ...(path === "" ? first : anywhere)]
        return [`"${path}"`, `opts="${opts.join(" ")}"`] as const
      })
    ).map((line) => `    ${line}`),
    "    fi",
    '    COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )',
    "}",
    "complete -F _vmfabric_completions -o nosort -o default vmfabric"
  ]
}

/** Lines of the library's for flags of its own, which no command takes; and those for what the program alone is asked. */
const own = /(?:--|-l )(?:wizard|log-level)\b.*(?:Start wizard mode for|Sets the minimum log level for) a command/
const ofProgram = /(?:--|-l )(?:completions|version)(?:\[| )/

/** A script of the library's for fish or zsh, without the flags that are refused. @since 0.8.0 @category conversions */
export const trimmed = (lines: ReadonlyArray<string>): ReadonlyArray<string> => {
  const seen = new Set<string>()
  return lines.filter((line) => {
    if (own.test(line)) return false
    const [flag] = ofProgram.exec(line) ?? []
    if (flag === undefined) return true
    // the program's own come first
    const again = seen.has(flag)
    seen.add(flag)
    return !again
  })
}
