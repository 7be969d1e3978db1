/**
 * The words a command may begin with. Nothing is imported here: by them it is decided what is loaded at all.
 *
 * @since 0.5.0
 */

/** Nouns, and the verbs that need none. @since 0.5.0 @category constants */
export const words = [
  "vm",
  "nic",
  "network",
  "volume",
  "snapshot",
  "host",
  "image",
  "type",
  "pool",
  "fits",
  "rebalance",
  "operation",
  "event",
  "drift",
  "foreign",
  "webhook",
  "console",
  "vnc",
  "ssh",
  "user",
  "token",
  "audit",
  "login",
  "logout",
  "whoami",
  "context"
] as const

/** What is asked of the whole program, not of the server. */
const whole = ["--help", "-h", "--version", "--completions"]

/** Flags of every command of a client, which may stand before its noun; all take a value. @since 0.5.0 @category constants */
export const connecting = ["--url", "--context", "--token-file", "--ca-file", "--output", "-o"]

/**
 * Whether arguments, without the program's own name, are a client's; else they are the server's. Two words that are no flags are
 * a client's, misspelt: the server takes three files.
 *
 * @since 0.5.0 @category predicates
 */
export const isClient = (args: ReadonlyArray<string>): boolean => {
  const [first = "", second = ""] = args
  if (args.length === 2 && /^[a-z]+$/.test(first) && /^[a-z]+$/.test(second))
    return !["simulate", "bootstrap"].includes(first)
  return [...words, ...whole, ...connecting].some((word) => word === first || first.startsWith(`${word}=`))
}
