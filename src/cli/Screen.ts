/**
 * Where a command is typed and read: a port, so that tests can look at it.
 *
 * @since 0.5.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Refused } from "./Failure.ts"

/** @since 0.5.0 @category services */
export class Screen extends Context.Tag("vmfabric/cli/Screen")<
  Screen,
  {
    /** whether standard output is a terminal, and may have colours */
    readonly colour: boolean
    /** whether somebody looks at standard error as it is written */
    readonly live: boolean
    /** how many characters a line of it has room for @since 0.15.0 */
    readonly columns: Effect.Effect<number>
    /** whether somebody can be asked: both standard input and standard error are a terminal */
    readonly attended: boolean
    /** whole lines to standard output, line ends included */
    readonly out: (text: string) => Effect.Effect<void>
    /** to standard output as they are: what they are is for whoever asked for them so */
    readonly raw: (bytes: Uint8Array) => Effect.Effect<void>
    /** text to standard error */
    readonly err: (text: string) => Effect.Effect<void>
    /** each key as it is typed, Ctrl-C too, without an echo, until the scope closes; fails without a terminal. Ends when the terminal does */
    readonly keyboard: Effect.Effect<Stream.Stream<Uint8Array>, Refused, Scope.Scope>
    /** a line that somebody types; fails without a terminal */
    readonly ask: (question: string) => Effect.Effect<string, Refused>
    /** the same without an echo; without a terminal the first line of standard input */
    readonly askSecret: (question: string) => Effect.Effect<Redacted.Redacted<string>, Refused>
  }
>() {}
