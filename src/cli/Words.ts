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
  "backup",
  "context"
] as const

/** What is asked of the whole program, not of the server. */
const whole = ["--help", "-h", "--version", "--completions"]

/** Flags of every command of a client, which may stand before its noun; all take a value. @since 0.5.0 @category constants */
export const connecting = ["--url", "--context", "--token-file", "--ca-file", "--output", "-o"]

/** What a controller is started with. @since 0.8.0 @category constants */
export const controllers = ["simulate", "bootstrap"] as const

/**
 * Whether arguments, without the program's own name, are a client's; else they are the server's. One word or two that are no flags are a
 * client's, misspelt: the server takes three files. Help is a client's, too, for the server need not be loaded for it.
 *
 * @since 0.5.0 @category predicates
 */
export const isClient = (args: ReadonlyArray<string>): boolean => {
  if (args.some((arg) => arg === "--help" || arg === "-h")) return true
  const [first = ""] = args
  if (controllers.some((word) => word === first)) return false
  const flag = args.findIndex((arg) => arg.startsWith("-"))
  const begin = args.slice(0, flag === -1 ? args.length : flag)
  if ([1, 2].includes(begin.length) && begin.every((word) => /^[a-z][a-z-]*$/.test(word))) return true
  return [...words, ...whole, ...connecting].some((word) => word === first || first.startsWith(`${word}=`))
}
