/**
 * What an SSH connection to a simulated host carries, without SSH: each socket and each program on a byte stream of its own. What befalls the
 * host's connections (cut, mended, reset) befalls this one and all it carries.
 *
 * @since 0.3.0
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Duplex } from "node:stream"
import type { HostFile } from "./HostFiles.ts"
import type * as RemoteProgram from "../ssh/RemoteProgram.ts"
import * as MemoryLink from "./MemoryLink.ts"
import * as Programs from "./Programs.ts"
import { soon } from "./Soon.ts"

/** The host does not open that channel; `code` as in RFC 4254: 1 not allowed, 2 nothing there, 4 too many. @since 0.3.0 @category errors */
export class ChannelRefused extends Data.TaggedError("ChannelRefused")<{
  readonly code: number
  readonly reason: string
}> {}

/** The connection broke. @since 0.3.0 @category errors */
export class SessionLost extends Data.TaggedError("SessionLost")<{ readonly reason: string }> {}

/** @since 0.3.0 @category errors */
export type SessionError = ChannelRefused | SessionLost

/** How a program ended. @since 0.3.0 @category models */
export interface Ending {
  readonly exitCode: number
  readonly stderr: string
}

/** A program that runs on the host. @since 0.3.0 @category models */
export interface Running {
  /** its stdin and stdout; ends when it has ended */
  readonly stream: Duplex
  /** once the stream has ended */
  readonly ending: () => Ending | undefined
  readonly kill: () => void
}

/** What a program writes. @since 0.3.0 @category models */
export interface Output {
  /** undefined: that was all */
  readonly next: Effect.Effect<Uint8Array | undefined, SessionLost>
  readonly ending: Ending
}

/** What can be cut, mended and reset. @since 0.3.0 @category models */
export type Carrier = Pick<MemoryLink.MemoryLink, "cut" | "mend" | "reset">

/** @since 0.3.0 @category models */
export interface Session {
  /** why it is lost; undefined: it is not */
  readonly lost: () => SessionLost | undefined
  /** Calls the listener when it is lost, at once if it is; gives what takes the listener away. */
  readonly onLost: (listener: (lost: SessionLost) => void) => () => void
  readonly close: () => void
  readonly openSocket: (path: string) => Effect.Effect<Duplex, SessionError>
  readonly openTcp: (target: { readonly host: string; readonly port: number }) => Effect.Effect<Duplex, SessionError>
  readonly start: (argv: RemoteProgram.Argv) => Effect.Effect<Running, SessionError>
  /** What a file is at this moment, whole; or why it is not to be had. */
  readonly file: (path: string) => Effect.Effect<HostFile | "missing" | "forbidden", SessionLost>
  /** What became of each of these. */
  readonly remove: (
    paths: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<"removed" | "missing" | "forbidden">, SessionLost>
  /** A program that needs nothing from its stdin. Its output is taken piece by piece, each when it is asked for. */
  readonly output: (argv: RemoteProgram.Argv) => Effect.Effect<Output, SessionLost>
}

/** What the host is to a session. @since 0.3.0 @category models */
export interface Host {
  readonly world: Programs.World
  readonly run: (effect: Effect.Effect<void>) => unknown
  readonly forwards: () => boolean
  readonly socket: (path: string) => ((stream: Duplex) => Effect.Effect<void>) | undefined
  /** a program that speaks on its stdin and stdout, and gives its exit status */
  readonly dialogue: (argv: ReadonlyArray<string>) => ((stream: Duplex) => Effect.Effect<number>) | undefined
  /** serves a TCP connection to another machine; never ends while that does not answer, fails when it refuses */
  readonly reach: (target: { readonly host: string; readonly port: number }) => Effect.Effect<void, unknown>
  /** what a connection to another machine's sshd hears first */
  readonly banner: string
  readonly add: (carrier: Carrier) => void
  readonly remove: (carrier: Carrier) => void
}

/** How long nothing is heard until an SSH client gives a connection up: three keepalives of 5 s. */
const patience = Duration.seconds(15)

/** Messages one way: each is acted on in the event loop's next round, in their order; none while the network is cut. */
class Wire {
  private readonly waiting: Array<() => void> = []
  private scheduled = false
  private held = false

  send(act: () => void): void {
    this.waiting.push(act)
    this.schedule()
  }

  hold(): void {
    this.held = true
  }

  release(): void {
    this.held = false
    this.schedule()
  }

  private schedule(): void {
    if (this.scheduled || this.held || this.waiting.length === 0) return
    this.scheduled = true
    soon(() => {
      this.scheduled = false
      if (this.held) return
      for (const act of this.waiting.splice(0)) act()
    })
  }
}

/** `broken`: what the streams it carries fail with when it is lost. @since 0.3.0 @category constructors */
export const make = (host: Host, broken: (lost: SessionLost) => Error): Session => {
  const there = new Wire()
  const back = new Wire()
  const listeners = new Set<(lost: SessionLost) => void>()
  let lostBy: SessionLost | undefined
  let silences = 0

  const lose = (reason: string): void => {
    if (lostBy !== undefined) return
    lostBy = new SessionLost({ reason })
    host.remove(carrier)
    for (const listener of listeners) listener(lostBy)
    listeners.clear()
  }

  const carrier: Carrier = {
    cut: () => {
      there.hold()
      back.hold()
      const silence = ++silences
      host.run(
        Effect.zipRight(
          Clock.sleep(patience),
          Effect.sync(() => {
            if (silence === silences) lose("Keepalive timeout")
          })
        )
      )
    },
    mend: () => {
      silences++
      there.release()
      back.release()
    },
    reset: () => {
      silences++
      lose("read ECONNRESET")
    }
  }
  host.add(carrier)

  const onLost: Session["onLost"] = (listener) => {
    if (lostBy !== undefined) {
      listener(lostBy)
      return () => {}
    }
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  /** Has the host act, and waits for what it answers; `late` gets an answer that nobody waits for any more. */
  const request = <A, E>(
    act: (answer: (result: Effect.Effect<A, E>) => void) => void,
    late: (result: Effect.Effect<A, E>) => void
  ): Effect.Effect<A, E | SessionLost> =>
    Effect.async<A, E | SessionLost>((resume) => {
      let waits = true
      let answered: Effect.Effect<A, E> | undefined
      const unwatch = onLost((lost) => {
        waits = false
        resume(Effect.fail(lost))
      })
      if (!waits) return
      there.send(() => {
        // what a lost connection still had to carry never arrives
        if (lostBy !== undefined) return
        act((result) =>
          back.send(() => {
            if (!waits) return late(result)
            unwatch()
            waits = false
            answered = result
            resume(result)
          })
        )
      })
      return Effect.sync(() => {
        waits = false
        unwatch()
        // it arrived together with the interruption
        if (answered !== undefined) late(answered)
      })
    })

  /** Has the host do something that takes it no time. */
  const ask = <A>(act: () => A): Effect.Effect<A, SessionLost> =>
    request<A, never>(
      (answer) => answer(Effect.succeed(act())),
      () => {}
    )

  const output: Session["output"] = (argv) =>
    Effect.map(
      ask(() => Programs.run(host.world, argv)),
      ({ exitCode, stderr, stdout }) => {
        const pieces = stdout[Symbol.iterator]()
        return {
          next: ask(() => {
            const { done, value } = pieces.next()
            return done === true ? undefined : value
          }),
          ending: { exitCode, stderr }
        }
      }
    )

  /** A stream between the client and what serves it on the host. */
  const link = (halfOpen: boolean): MemoryLink.MemoryLink => {
    const made = MemoryLink.make({ halfOpen })
    host.add(made)
    made.client.on("error", () => {})
    made.server.on("error", () => {})
    made.server.once("close", () => host.remove(made))
    const unwatch = onLost((lost) => made.client.destroy(broken(lost)))
    made.client.once("close", unwatch)
    return made
  }

  const refused = (code: number, reason: string) => Effect.fail(new ChannelRefused({ code, reason }))

  const hangUp = (result: Effect.Effect<Duplex, ChannelRefused>): void => {
    host.run(
      Effect.ignore(
        Effect.map(result, (stream) => {
          stream.destroy()
        })
      )
    )
  }

  const serveProgram = (argv: RemoteProgram.Argv, stream: Duplex): Effect.Effect<Ending> => {
    const ended = (exitCode: number, stderr = ""): Ending => ({ exitCode, stderr })
    if (argv[0] === "virt-ssh-helper" && argv[1] === "qemu:///system") {
      const serve = host.socket("/run/libvirt/libvirt-sock")
      return serve === undefined
        ? Effect.succeed(
            ended(
              1,
              "virt-ssh-helper: cannot connect to '/run/libvirt/libvirt-sock': Failed to connect socket to '/run/libvirt/libvirt-sock': No such file or directory\n"
            )
          )
        : Effect.as(serve(stream), ended(1, "End of file while reading data: Input/output error\n"))
    }
    const dialogue = host.dialogue(argv)
    if (dialogue !== undefined) return Effect.map(dialogue(stream), (exitCode) => ended(exitCode))
    return Effect.sync(() => {
      const outcome = Programs.run(host.world, argv)
      for (const bytes of outcome.stdout) stream.write(bytes)
      return ended(outcome.exitCode, outcome.stderr)
    })
  }

  const start: Session["start"] = (argv) =>
    request<Running, never>(
      (answer) => {
        const made = link(true)
        let ending: Ending | undefined
        let killed = false
        host.run(
          Effect.raceFirst(
            serveProgram(argv, made.server),
            Effect.async<never>((resume) => {
              made.server.once("close", () => resume(Effect.interrupt))
            })
          ).pipe(
            Effect.tap((ended) =>
              Effect.sync(() => {
                ending = ended
                if (!killed) made.server.end()
              })
            ),
            Effect.ignore
          )
        )
        answer(
          Effect.succeed({
            stream: made.client,
            ending: () => ending,
            kill: () => {
              killed = true
              made.client.destroy()
              there.send(() => made.server.destroy())
            }
          })
        )
      },
      (result) => void host.run(Effect.map(result, (running) => running.kill()))
    )

  return {
    lost: () => lostBy,
    onLost,
    close: () => {
      silences++
      lose("it was closed on this side")
    },
    output,
    file: (path) => ask(() => Programs.openFile(host.world, path)),
    remove: (paths) => ask(() => paths.map((path) => Programs.removeFile(host.world, path))),
    openSocket: (path) =>
      request<Duplex, ChannelRefused>((answer) => {
        if (!host.forwards()) return answer(refused(1, "forwarding is not allowed"))
        const serve = host.socket(path)
        if (serve === undefined) return answer(refused(2, `nothing listens at ${path}`))
        const made = link(false)
        host.run(serve(made.server))
        answer(Effect.succeed(made.client))
      }, hangUp),
    openTcp: (target) =>
      request<Duplex, ChannelRefused>((answer) => {
        if (!host.forwards()) return answer(refused(1, "forwarding is not allowed"))
        host.run(
          Effect.match(host.reach(target), {
            onFailure: () => answer(refused(2, `nothing answers at ${target.host} port ${target.port}`)),
            onSuccess: () => {
              const made = link(false)
              made.server.write(host.banner)
              made.server.resume()
              answer(Effect.succeed(made.client))
            }
          })
        )
      }, hangUp),
    start
  }
}
