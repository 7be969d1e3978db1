/**
 * A simulated host: a machine with an SSH server, a libvirt daemon and guests, all in memory, that goes wrong when it is told to.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Scope from "effect/Scope"
import type { Duplex } from "node:stream"
import * as Keys from "./Keys.ts"
import * as Domains from "./Domains.ts"
import * as Faults from "./Faults.ts"
import { HostFile } from "./HostFiles.ts"
import * as HostState from "./HostState.ts"
import * as MemoryLink from "./MemoryLink.ts"
import * as SimulatedLibvirt from "./SimulatedLibvirt.ts"
import * as SimulatedSshd from "./SimulatedSshd.ts"
import * as Storage from "./Storage.ts"

/** @since 0.1.0 @category models */
export interface Options {
  readonly hostname: string
  /** the machine's, lower case with dashes; made from the seed unless given */
  readonly uuid?: string
  /** logical CPUs, 8 unless given */
  readonly cpus?: number
  /** bytes, 32 GiB unless given */
  readonly memory?: number
  /** bytes, 500 GiB unless given */
  readonly disk?: number
  /** one active `default` unless given */
  readonly networks?: ReadonlyArray<{ readonly name: string; readonly active: boolean }>
  /** as on the wire: 9000000 is 9.0.0 */
  readonly libvirtVersion?: number
  /** whether `kvm` is among its domain types; default: yes */
  readonly kvm?: boolean
  /** decides everything random about it */
  readonly seed?: number
  /** OpenSSH public keys that may log in */
  readonly authorizedKeys: ReadonlyArray<string>
  /** from power to the line on the serial port, 200 ms unless given */
  readonly bootTime?: Duration.DurationInput
  /** from the request to power off, 100 ms unless given */
  readonly shutdownTime?: Duration.DurationInput
  /** sshd's MaxSessions, 10 unless given */
  readonly maxSessions?: number
}

/** A guest that runs. @since 0.1.0 @category models */
export interface Guest {
  readonly name: string
  readonly uuid: string
  readonly id: number
  readonly paused: boolean
  /** what it has printed on its serial port: `GUEST READY vda=<bytes>` once it is up */
  readonly serial: ReadonlyArray<string>
}

/** Nothing answered; `code` as the kernel says it. @since 0.1.0 @category errors */
export class DialRefused extends Data.TaggedError("DialRefused")<{ readonly code: "ECONNREFUSED" }> {}

/** Everything that can be made to go wrong. @since 0.1.0 @category models */
export interface HostFaults extends Faults.CallFaults {
  /** Every SSH connection is reset. */
  readonly dropConnections: Effect.Effect<void>
  /** New connections are refused; those there are stay. */
  readonly refuseConnections: (on: boolean) => Effect.Effect<void>
  /** Nothing arrives, nothing leaves; who dials waits. */
  readonly cutNetwork: Effect.Effect<void>
  /** What was held up arrives. */
  readonly mendNetwork: Effect.Effect<void>
  /** Sockets are refused with reason 1, as with `AllowStreamLocalForwarding no`. */
  readonly forbidForwarding: (on: boolean) => Effect.Effect<void>
  /** Its connections end and its socket is gone; guests run on. */
  readonly stopLibvirtd: Effect.Effect<void>
  readonly startLibvirtd: Effect.Effect<void>
  /** QEMU of this guest dies; false: no such guest runs. */
  readonly crashGuest: (name: string) => Effect.Effect<boolean>
  /** The machine loses power: guests are gone, and as far as others can tell it is just silent. */
  readonly losePower: Effect.Effect<void>
  /** It boots: what is marked for it starts by itself. */
  readonly bootAgain: Effect.Effect<void>
  /** Other things take this much of the disk (bytes). */
  readonly fillDisk: (bytes: number) => Effect.Effect<void>
}

/** @since 0.1.0 @category models */
export interface SimulatedHost {
  readonly hostname: string
  readonly uuid: string
  /** `ssh-ed25519 …`, for known_hosts */
  readonly hostKey: string
  /** A connection to its sshd, closed with the scope. */
  readonly dial: Effect.Effect<Duplex, DialRefused, Scope.Scope>
  /** A connection to its libvirt socket from the host itself, without SSH. */
  readonly libvirtSocket: Effect.Effect<Duplex, DialRefused, Scope.Scope>
  readonly faults: HostFaults
  /** The guests that run. */
  readonly guests: () => ReadonlyArray<Guest>
  /** Its state itself: for tests to look at, and to change behind the daemon's back. */
  readonly state: HostState.HostState
  /** Puts a file there. */
  readonly putFile: (path: string, bytes: Uint8Array) => Effect.Effect<void>
  /** How many SSH connections there are. */
  readonly connections: () => number
}

const gibibyte = 1024 ** 3

/** Lives as long as the scope. @since 0.1.0 @category constructors */
export const make = (options: Options): Effect.Effect<SimulatedHost, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const now = () => clock.unsafeCurrentTimeMillis()
    const seed = options.seed ?? 1
    const random = HostState.randomFrom(seed ^ 0x5eed)
    const state = HostState.make({
      machine: {
        hostname: options.hostname,
        uuid: options.uuid ?? HostState.newUuid(random),
        cpus: options.cpus ?? 8,
        memory: options.memory ?? 32 * gibibyte,
        disk: options.disk ?? 500 * gibibyte,
        libvirtVersion: options.libvirtVersion ?? 9_000_000,
        kvm: options.kvm ?? true
      },
      networks: options.networks ?? [{ name: "default", active: true }],
      seed,
      now
    })
    const gate = yield* Faults.make
    const run = yield* FiberSet.makeRuntime<never, void, never>()
    const keys = Keys.make()

    const bootTime = Duration.decode(options.bootTime ?? "200 millis")
    const shutdownTime = Duration.decode(options.shutdownTime ?? "100 millis")

    const guests: SimulatedLibvirt.GuestControl = {
      boot: (domain) => {
        const live = domain.live
        if (live === null) return
        const size = Domains.rootDiskSize(state, live.definition)
        run(
          Effect.sleep(bootTime).pipe(
            Effect.zipRight(
              Effect.sync(() => {
                if (domain.live?.serial === live.serial)
                  live.serial.push(`GUEST READY${size === undefined ? "" : ` vda=${size}`}`)
              })
            )
          )
        )
      },
      shutDown: (domain) => {
        const live = domain.live
        run(
          Effect.sleep(shutdownTime).pipe(
            Effect.zipRight(
              Effect.sync(() => {
                if (live !== null && domain.live?.serial === live.serial) Domains.powerOffByGuest(state, domain)
              })
            )
          )
        )
      }
    }

    const scope = yield* Effect.scope
    const startDaemon = Scope.extend(SimulatedLibvirt.make({ state, gate, guests }), scope)
    let daemon: SimulatedLibvirt.Libvirtd | undefined = yield* startDaemon

    const sshd = yield* SimulatedSshd.make({
      world: { hostname: options.hostname, files: state.files, now },
      hostKey: keys.private,
      authorizedKeys: () => options.authorizedKeys,
      maxSessions: options.maxSessions ?? 10,
      socket: (path) =>
        path === "/run/libvirt/libvirt-sock" || path === "/var/run/libvirt/libvirt-sock" ? daemon?.serve : undefined
    })

    const links = new Set<MemoryLink.MemoryLink>()
    let refusing = false
    let silent = false
    let powered = true

    const cutNetwork = Effect.sync(() => {
      silent = true
      for (const link of links) link.cut()
    })
    const mendNetwork = Effect.sync(() => {
      silent = false
      if (powered) for (const link of links) link.mend()
    })

    const dropConnections = Effect.sync(() => {
      for (const link of links) link.reset()
      links.clear()
    })

    const stopLibvirtd = Effect.suspend(() => {
      const running = daemon
      daemon = undefined
      return running === undefined ? Effect.void : running.stop
    })
    const startLibvirtd = Effect.suspend(() =>
      daemon === undefined
        ? Effect.map(startDaemon, (started) => {
            daemon = started
          })
        : Effect.void
    )

    yield* Effect.addFinalizer(() => Effect.zipRight(dropConnections, stopLibvirtd))

    const faults: HostFaults = {
      ...gate.faults,
      dropConnections,
      refuseConnections: (on) =>
        Effect.sync(() => {
          refusing = on
        }),
      cutNetwork,
      mendNetwork,
      forbidForwarding: (on) => Effect.sync(() => sshd.allowForwarding(!on)),
      stopLibvirtd,
      startLibvirtd,
      crashGuest: (name) =>
        Effect.sync(() => {
          const domain = [...state.domains.values()].find((domain) => domain.name === name)
          if (domain === undefined || domain.live === null) return false
          Domains.crash(state, domain)
          return true
        }),
      losePower: Effect.zipRight(
        Effect.sync(() => {
          powered = false
          for (const link of links) link.cut()
          state.emit = () => {}
          Domains.losePower(state)
        }),
        stopLibvirtd
      ),
      bootAgain: Effect.gen(function* () {
        if (powered) return
        powered = true
        yield* dropConnections
        for (const pool of state.pools.values()) {
          pool.active = false
          pool.volumes = new Map()
          if (pool.autostart) Storage.start(state, pool, 0)
        }
        for (const network of state.networks.values()) network.active = network.autostart
        yield* startLibvirtd
        for (const domain of state.domains.values()) {
          if (domain.autostart && Domains.start(state, domain, 0)._tag === "Right") guests.boot(domain)
        }
      }),
      fillDisk: (bytes) =>
        Effect.sync(() => {
          state.files.other = bytes
        })
    }

    const dial: SimulatedHost["dial"] = Effect.suspend(() => {
      if (silent || !powered) return Effect.never
      if (refusing) return Effect.fail(new DialRefused({ code: "ECONNREFUSED" }))
      return Effect.acquireRelease(
        Effect.sync(() => {
          const link = MemoryLink.make()
          links.add(link)
          link.client.on("error", () => {})
          link.server.on("error", () => {})
          link.server.once("close", () => links.delete(link))
          sshd.accept(link.server)
          return link.client
        }),
        (client) => Effect.sync(() => client.destroy())
      )
    })

    return {
      hostname: options.hostname,
      uuid: state.machine.uuid,
      hostKey: keys.public,
      dial,
      libvirtSocket: Effect.suspend(() => {
        const serve = daemon?.serve
        if (serve === undefined) return Effect.fail(new DialRefused({ code: "ECONNREFUSED" }))
        return Effect.acquireRelease(
          Effect.sync(() => {
            const link = MemoryLink.make()
            run(serve(link.server))
            return link.client
          }),
          (client) => Effect.sync(() => client.destroy())
        )
      }),
      faults,
      guests: () =>
        [...state.domains.values()].flatMap((domain) =>
          domain.live === null
            ? []
            : [
                {
                  name: domain.name,
                  uuid: domain.uuid,
                  id: domain.live.id,
                  paused: domain.state === HostState.state.paused,
                  serial: [...domain.live.serial]
                }
              ]
        ),
      state,
      putFile: (path, bytes) =>
        Effect.sync(() => {
          state.files.makeFolder(path.slice(0, path.lastIndexOf("/")))
          state.files.files.set(path, new HostFile(now(), bytes))
        }),
      connections: () => links.size
    }
  })
