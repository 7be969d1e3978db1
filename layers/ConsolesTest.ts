/**
 * Ways into guests in memory, whose serial ports have a shell that knows `echo`, and whose screens greet as QEMU's do.
 *
 * @since 0.7.0
 */
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type HostError, HostUnreachable } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import { Consoles, type Opened } from "../src/services/Consoles.ts"
import type { DomainRef, Hypervisor } from "../src/services/Hypervisor.ts"
import { Shell } from "../src/simulator/SerialLine.ts"
import { isRunning, reached, type TestHost } from "./HypervisorTestHosts.ts"

interface Place {
  readonly host: Host
  readonly domain: DomainRef
}

const opened = (result: Opened): Opened => result

/** Over hosts that are values. `print`: what its guest prints on its serial port goes there, too. @since 0.7.0 @category constructors */
export const make = (
  look: (host: Host) => Effect.Effect<TestHost>,
  changes: Hypervisor["Type"]["changes"],
  print: (domain: DomainRef, text: string) => Effect.Effect<void>
) => {
  /** who is on a domain's serial line, by uuid */
  const holders = new Map<string, Mailbox.Mailbox<Uint8Array, HostError>>()

  const runs = ({ domain, host }: Place) =>
    Effect.map(
      Effect.flatMap(look(host), (there) => reached(host, there)),
      ({ domains }) => {
        const known = domains.get(domain.uuid)
        return known !== undefined && isRunning(known)
      }
    )

  /** Ends what comes from a guest when it stops, and fails it when its host is lost. */
  const line = (at: Place, began: string | null, typed: (bytes: Uint8Array) => string | null) =>
    Effect.gen(function* () {
      const incoming = yield* Mailbox.make<Uint8Array, HostError>()
      if (began !== null) incoming.unsafeOffer(Buffer.from(began))
      yield* changes(at.host).pipe(
        Stream.filter(({ uuid }) => uuid === at.domain.uuid),
        Stream.mapEffect(() => runs(at)),
        Stream.takeWhile((still) => still),
        Stream.runDrain,
        Effect.exit,
        Effect.flatMap((exit) => incoming.done(Exit.asVoid(exit))),
        Effect.forkScoped
      )
      return {
        incoming,
        line: {
          incoming: Mailbox.toStream(incoming),
          send: (bytes: Uint8Array) =>
            Effect.suspend(() => {
              const answer = typed(bytes)
              if (answer === null) return Effect.void
              incoming.unsafeOffer(Buffer.from(answer))
              return began === null ? print(at.domain, answer) : Effect.void
            })
        }
      }
    })

  const whenRunning = (
    at: Place,
    open: Effect.Effect<Opened, HostError, Scope.Scope>
  ): Effect.Effect<Opened, HostError, Scope.Scope> =>
    Effect.flatMap(runs(at), (running) => (running ? open : Effect.succeed(opened({ _tag: "Off" }))))

  return Consoles.of({
    serial: (host, domain, force) => {
      const at = { host, domain }
      return whenRunning(
        at,
        Effect.gen(function* () {
          const before = holders.get(domain.uuid)
          if (before !== undefined && !force) return opened({ _tag: "Busy" })
          const shell = new Shell()
          const { incoming, line: made } = yield* line(at, null, (bytes) => {
            const lines = shell.typed(bytes)
            return lines.length === 0 ? null : lines.map((text) => `${text}\r\n`).join("")
          })
          holders.set(domain.uuid, incoming)
          if (before !== undefined) {
            yield* before.fail(new HostUnreachable({ host: host.name, reason: "stream had I/O failure" }))
          }
          yield* Effect.addFinalizer(() =>
            Effect.sync(() => holders.get(domain.uuid) === incoming && holders.delete(domain.uuid))
          )
          return opened({ _tag: "Open", line: made })
        })
      )
    },
    vnc: (host, domain) => {
      const at = { host, domain }
      return whenRunning(
        at,
        Effect.map(
          line(at, "RFB 003.008\n", () => null),
          ({ line }) => opened({ _tag: "Open", line })
        )
      )
    }
  })
}
