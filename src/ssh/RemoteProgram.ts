/**
 * The command that is sent for an argv, and how a simulated host reads it back.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { SshCommandFailed } from "../services/Ssh.ts"
import * as Quote from "./Quote.ts"

/** @since 0.1.0 @category models */
export type Argv = readonly [string, ...Array<string>]

/** A program as a host is asked to run it. @since 0.1.0 @category models */
export interface RemoteProgram {
  readonly argv: Argv
  /** `watched`: /dev/null, and the channel's stdin closing ends the program; `channel`: the channel's own */
  readonly stdin: "watched" | "channel"
}

/**
 * Closing a channel does not end what runs behind it: sshd only closes the pipes, and refuses to signal root's programs. So a watchdog
 * reads the channel's stdin, which ends when the channel is closed, when the connection is lost, and (sshd does that) when the program
 * has ended. Then it ends the process group, which sshd made for this session: with TERM, and 2 s later KILL when the
 * program is still there. The program itself replaces the shell, so that sshd reports its own exit status or signal.
 */
const watchdog = `exec 3<&0 </dev/null
(
  trap '' TERM HUP PIPE
  read -r _ <&3
  kill -s TERM -- "-$$" || kill -s TERM "$$"
  i=0
  while kill -0 "$$" && [ "$i" -lt 20 ]; do i=$((i + 1)); sleep 0.1; done
  kill -s KILL -- "-$$" || kill -s KILL "$$"
) >/dev/null 2>&1 &
exec 3<&-
exec "$@"`

const watched = `exec /bin/sh -c '${watchdog.replaceAll("'", `'\\''`)}' vmfabric `
const direct = "exec "

/**
 * The command line for a program; each word of argv reaches it as it is.
 *
 * @since 0.1.0 @category formatting
 */
export const commandLine = (program: RemoteProgram): Either.Either<string, Quote.UnquotableWord> => {
  // `exec` would take it for an option of its own
  if (program.argv[0] === "" || program.argv[0].startsWith("-")) {
    return Either.left({ index: 0, problem: "is not the name of a program" })
  }
  return Either.map(
    Quote.commandLine(program.argv),
    (words) => (program.stdin === "watched" ? watched : direct) + words
  )
}

/** What is told of a program that was not started, since a word of it cannot be quoted. @since 0.3.0 @category errors */
export const notStarted = ({ index, problem }: Quote.UnquotableWord): SshCommandFailed =>
  new SshCommandFailed({
    exitCode: null,
    signal: null,
    stderr: `it was not started: word ${index + 1} ${problem}`
  })

/** The inverse of `commandLine`; None for any other command. @since 0.1.0 @category parsing */
export const parse = (command: string): Option.Option<RemoteProgram> => {
  const stdin = command.startsWith(watched) ? "watched" : "channel"
  const prefix = stdin === "watched" ? watched : direct
  if (!command.startsWith(prefix)) return Option.none()
  return Option.flatMap(Quote.words(command.slice(prefix.length)), ([program, ...rest]) =>
    program === undefined ? Option.none() : Option.some({ argv: [program, ...rest], stdin })
  )
}
