/**
 * Who may come in from elsewhere: nobody, until there is TLS and somebody to sign in; and how the first one is made.
 *
 * @since 0.4.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as AppLive from "../../layers/AppLive.ts"
import type * as Cli from "../cli/Cli.ts"
import * as AppConfig from "../config/AppConfig.ts"
import { Identity } from "../services/Identity.ts"

/** @since 0.4.0 @category errors */
export class NotAdmitted extends Data.TaggedError("NotAdmitted")<{ readonly message: string }> {}

/** A failure that the user has been told of. @since 0.4.0 @category errors */
export class Told extends Data.TaggedError("Told")<{ readonly message: string }> {}

/**
 * Certificate and key to serve with; null: none are needed. Fails with how to go on where serving would let everybody in, or have everybody
 * on the way read along.
 *
 * @since 0.4.0 @category programs
 */
export const tls = Effect.fn("Admission.tls")(function* (config: AppConfig.AppConfig["Type"], database: string) {
  const files = yield* AppConfig.tlsOf(config)
  if (AppConfig.isLoopback(config.listen)) return files
  const address = AppConfig.formatListen(config.listen)
  if (files === null) {
    return yield* new NotAdmitted({
      message:
        `listening on ${address} needs TLS: give --tls-cert cert.pem --tls-key key.pem, which for a trial ` +
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=NAME " +
        "-addext subjectAltName=DNS:NAME -keyout key.pem -out cert.pem makes, or listen on 127.0.0.1"
    })
  }
  const anybody =
    database !== ":memory:" &&
    (yield* Effect.provide(
      Effect.flatMap(Identity, (identity) => identity.anybody),
      AppLive.identity(database)
    ))
  if (!anybody) {
    return yield* new NotAdmitted({
      message:
        `listening on ${address} needs somebody who can sign in: make an admin with a token by ` +
        (database === ":memory:"
          ? "vmfabric bootstrap --database FILE, and start with the same --database FILE"
          : `vmfabric bootstrap --database ${database}, then start again`)
    })
  }
  return files
})

const print = (stream: NodeJS.WriteStream, line: string) => Effect.sync(() => void stream.write(`${line}\n`))

/** An admin with a token; the token's secret, and nothing else, goes to standard output. @since 0.4.0 @category programs */
export const bootstrap = Effect.fn("Admission.bootstrap")(
  function* ({ database, user: name }: Cli.Bootstrap) {
    const identity = yield* Identity
    const known = (yield* identity.users).find((user) => user.name === name)
    if (known !== undefined && known.role !== "admin") {
      return yield* new NotAdmitted({
        message: `user ${name} exists with the role ${known.role}: give --user another name`
      })
    }
    if (known?.disabled === true) {
      return yield* new NotAdmitted({
        message: `user ${name} is disabled, and no token of theirs is good: give --user another name`
      })
    }
    if (known === undefined) yield* identity.createUser({ name, role: "admin" })
    const { secret } = yield* identity.createToken({ name: "bootstrap", owner: name, role: "admin", expiresAt: null })
    yield* print(
      process.stderr,
      `${known === undefined ? `user ${name} with the role admin was created` : `user ${name} has one more token`} in ` +
        `${database}. This is the token, shown this once; send it as "Authorization: Bearer TOKEN":`
    )
    yield* print(process.stdout, Redacted.value(secret))
  },
  (program, { database }) =>
    program.pipe(
      Effect.provide(AppLive.identity(database)),
      // standard output is for the token alone
      Effect.catchAll((error) => Effect.zipRight(print(process.stderr, error.message), new Told(error)))
    )
)
