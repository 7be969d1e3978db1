/**
 * A simulated host: a machine with an SSH server, a libvirt daemon and guests, all in memory, that goes wrong when it is told to.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Scope from "effect/Scope"
import type { Duplex } from "node:stream"
import * as CephSession from "./CephSession.ts"
import type * as Cluster from "./Cluster.ts"
import * as Keys from "./Keys.ts"
import type { TypedParameter } from "../libvirt/Structs.ts"
import * as Agents from "./Agents.ts"
import * as Domains from "./Domains.ts"
import * as Faults from "./Faults.ts"
import * as Guests from "./Guests.ts"
import { HostFile } from "./HostFiles.ts"
import * as HostState from "./HostState.ts"
import * as MemoryLink from "./MemoryLink.ts"
import * as MemorySession from "./MemorySession.ts"
import * as Secrets from "./Secrets.ts"
import * as Screens from "./Screens.ts"
import * as SerialLine from "./SerialLine.ts"
import * as SerialLogs from "./SerialLogs.ts"
import * as SimulatedLibvirt from "./SimulatedLibvirt.ts"
import * as SimulatedSshd from "./SimulatedSshd.ts"
import * as Storage from "./Storage.ts"
import type * as Usage from "./Usage.ts"

/** @since 0.1.0 @category models */
export interface Options {
  readonly hostname: string
  /** the machine's, lower case with dashes; made from the seed unless given */
  readonly uuid?: string
  /** logical CPUs, 8 unless given */
  readonly cpus?: number
  /** as libvirt names it, `EPYC-Rome` unless given */
  readonly cpuModel?: string
  /** bytes, 32 GiB unless given */
  readonly memory?: number
  /** bytes, 500 GiB unless given */
  readonly disk?: number
  /** one active `default` unless given */
  readonly networks?: ReadonlyArray<{ readonly name: string; readonly active: boolean }>
  /** of its own, beside those of libvirt's networks; `br0` and `br12` unless given */
  readonly bridges?: ReadonlyArray<string>
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
  /** from the request to let go of a device, 50 ms unless given */
  readonly releaseTime?: Duration.DurationInput
  /** the Ceph cluster whose images its guests can use; absent: it has no way to one */
  readonly ceph?: HostState.CephCluster
  /** the cluster that Ceph's commands work with here; absent: they are not installed */
  readonly cephCommands?: Cluster.Cluster
  /** how long the cluster takes a guest that died for alive; nothing unless given, about 30 s in a real one */
  readonly watchTimeout?: Duration.DurationInput
  /** IPv4: what the cluster knows its guests by; made from the seed unless given */
  readonly address?: string
  /** sshd's MaxSessions, 10 unless given */
  readonly maxSessions?: number
  /**
   * A TCP connection from here to another machine: completes once that answers, fails when it refuses, waits while it is silent. Unless given,
   * there is no other.
   */
  readonly reach?: (target: { readonly host: string; readonly port: number }) => Effect.Effect<void, DialRefused>
}

/** A guest that runs. @since 0.1.0 @category models */
export interface Guest {
  readonly name: string
  readonly uuid: string
  readonly id: number
  readonly paused: boolean
  /**
   * What it has printed on its serial port: `GUEST READY vda=<bytes> …` once it is up, then `GUEST DISK + vdb size=<bytes> serial=…`
   * for each disk that came (`-` went, `=` changed its size).
   */
  readonly serial: ReadonlyArray<string>
  /** its disks as it sees them */
  readonly disks: ReadonlyArray<HostState.SeenDisk>
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
  /** The same, but only between it and the controller: other hosts reach it. */
  readonly blockController: (on: boolean) => Effect.Effect<void>
  /** Sockets are refused with reason 1, as with `AllowStreamLocalForwarding no`. */
  readonly forbidForwarding: (on: boolean) => Effect.Effect<void>
  /** Its connections end and its socket is gone; guests run on. */
  readonly stopLibvirtd: Effect.Effect<void>
  readonly startLibvirtd: Effect.Effect<void>
  /** QEMU of this guest dies; false: no such guest runs. */
  readonly crashGuest: (name: string) => Effect.Effect<boolean>
  /** Somebody who takes them for broken starts all domains that do not run. @since 0.6.0 */
  readonly startByHand: Effect.Effect<void>
  /** This guest turns itself off; false: no such guest runs. */
  readonly guestShutsDown: (name: string) => Effect.Effect<boolean>
  /** The storage of this guest's disks fails for a moment, and QEMU pauses it; false: no such guest runs. */
  readonly ioError: (name: string) => Effect.Effect<boolean>
  /** The guest does not let go of its devices; off: it does, also of those it was asked for meanwhile. */
  readonly holdDevices: (name: string, on: boolean) => Effect.Effect<void>
  /** The guest says that it does not let go of its devices. */
  readonly refuseDevices: (name: string, on: boolean) => Effect.Effect<void>
  /** The guest does not care for its power button. */
  readonly ignorePowerButton: (name: string, on: boolean) => Effect.Effect<void>
  /** The guest takes so long to turn itself off when it is asked to; zero: as long as others. */
  readonly slowToTurnOff: (name: string, by: Duration.DurationInput) => Effect.Effect<void>
  /** The Ceph cluster takes guests that died for alive until this is switched off. */
  readonly keepWatchers: (on: boolean) => Effect.Effect<void>
  /** The machine loses power: guests are gone, and as far as others can tell it is just silent. */
  readonly losePower: Effect.Effect<void>
  /** It boots: what is marked for it starts by itself. */
  readonly bootAgain: Effect.Effect<void>
  /** Whoever logs in may not read that file. */
  readonly forbidFile: (path: string, on: boolean) => Effect.Effect<void>
  /** Other things take this much of the disk (bytes). */
  readonly fillDisk: (bytes: number) => Effect.Effect<void>
  /** It has a route to nowhere for that machine, by the name it is reached by. @since 0.7.0 */
  readonly loseRoute: (to: string, on: boolean) => Effect.Effect<void>
  /** Its package manager keeps this much (bytes) of what it can fetch again. @since 0.7.0 */
  readonly keepPackages: (bytes: number) => Effect.Effect<void>
  /** Other things take this many of the disk's inodes. @since 0.7.0 */
  readonly takeInodes: (count: number) => Effect.Effect<void>
  /** Its clock is so far ahead. @since 0.7.0 */
  readonly setClockAhead: (by: Duration.DurationInput) => Effect.Effect<void>
  /** Guests that run by kvm start, and then do nothing. @since 0.7.0 */
  readonly hangKvm: (on: boolean) => Effect.Effect<void>
  /** A bridge of its own is there, with frames of so many bytes; null: it is not. @since 0.7.0 */
  readonly setBridge: (name: string, mtu: number | null) => Effect.Effect<void>
}

/** @since 0.1.0 @category models */
export interface SimulatedHost {
  readonly hostname: string
  readonly uuid: string
  /** `ssh-ed25519 …`, for known_hosts */
  readonly hostKey: string
  /** A connection to its sshd, closed with the scope. */
  readonly dial: Effect.Effect<Duplex, DialRefused, Scope.Scope>
  /**
   * What such a connection would carry, without SSH and its cryptography, closed with the scope. `broken`: what the streams it carries fail with
   * when it is lost.
   */
  readonly session: (
    broken: (lost: MemorySession.SessionLost) => Error
  ) => Effect.Effect<MemorySession.Session, DialRefused, Scope.Scope>
  /** Whether its sshd takes a connection: waits while nothing is heard of it. */
  readonly knock: Effect.Effect<void, DialRefused>
  /** A connection to its libvirt socket from the host itself, without SSH. */
  readonly libvirtSocket: Effect.Effect<Duplex, DialRefused, Scope.Scope>
  readonly faults: HostFaults
  /** The guests that run. */
  readonly guests: () => ReadonlyArray<Guest>
  /** Whether any runs. */
  readonly hasGuests: () => boolean
  /** Its state itself: for tests to look at, and to change behind the daemon's back. */
  readonly state: HostState.HostState
  /** The guest of that name has an agent that says this; null: it has none, as in the beginning. */
  readonly agent: (name: string, says: ReadonlyArray<TypedParameter> | null) => Effect.Effect<void>
  /** The guest of that name prints a line on its serial port; false: no such guest runs. */
  readonly print: (name: string, line: string) => Effect.Effect<boolean>
  /** The guest of that name does so from now on, or once; false: no such guest runs. */
  readonly work: (name: string, work: Usage.Work) => Effect.Effect<boolean>
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
        cpuModel: options.cpuModel ?? "EPYC-Rome",
        memory: options.memory ?? 32 * gibibyte,
        disk: options.disk ?? 500 * gibibyte,
        libvirtVersion: options.libvirtVersion ?? 9_000_000,
        kvm: options.kvm ?? true,
        address: options.address ?? `10.${[0, 0, 0].map(() => 1 + Math.floor(random() * 254)).join(".")}`
      },
      networks: options.networks ?? [{ name: "default", active: true }],
      bridges: options.bridges ?? ["br0", "br12"],
      ceph: options.ceph,
      seed,
      now
    })
    const gate = yield* Faults.make
    const run = yield* FiberSet.makeRuntime<never, void, never>()
    // both cost more than all else an idle host has, and are for those who come by SSH
    let madeKeys: Keys.KeyPair | undefined
    const keys = () => (madeKeys ??= Keys.make())

    const guests = Guests.make({
      state,
      run,
      bootTime: Duration.decode(options.bootTime ?? "200 millis"),
      shutdownTime: Duration.decode(options.shutdownTime ?? "100 millis"),
      releaseTime: Duration.decode(options.releaseTime ?? "50 millis")
    })

    // disks of guests that died, as long as the cluster has not noticed
    const kept = new Set<HostState.OpenDisk>()
    let keeping = false
    const watchTimeout = Duration.decode(options.watchTimeout ?? 0)
    const forget = (disk: HostState.OpenDisk): void => {
      if (keeping) kept.add(disk)
      else disk.close()
    }
    state.abandon = (disk) => {
      if (Duration.equals(watchTimeout, Duration.zero)) forget(disk)
      else
        run(
          Effect.zipRight(
            Effect.sleep(watchTimeout),
            Effect.sync(() => forget(disk))
          )
        )
    }

    const scope = yield* Effect.scope
    const runtime = yield* Effect.runtime<never>()
    /** In a scope of its own: one that was stopped leaves nothing with the host, which may have had many. */
    const startDaemon = Effect.gen(function* () {
      const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
      const libvirtd = yield* SimulatedLibvirt.make({ state, gate, guests: guests.control }).pipe(Scope.extend(own))
      return { ...libvirtd, stop: Effect.zipRight(libvirtd.stop, Scope.close(own, Exit.void)) }
    }).pipe(
      // whoever starts it, it runs as the host does, and keeps nothing of theirs
      Effect.interruptible,
      Effect.provide(runtime),
      Effect.mapInputContext((_theirs: Context.Context<never>) => runtime.context)
    )
    let daemon: SimulatedLibvirt.Libvirtd | undefined = yield* startDaemon

    const unreachable = new Set<string>()
    const world = {
      hostname: options.hostname,
      files: state.files,
      now,
      clock: () => now() + state.clockAhead,
      unreachable,
      mtuOf: (bridge: string) => (state.bridges.has(bridge) ? (state.mtus.get(bridge) ?? 1500) : undefined),
      settle: (path: string) => SerialLogs.settle(state, path)
    }
    const socket = (path: string) =>
      path === "/run/libvirt/libvirt-sock" || path === "/var/run/libvirt/libvirt-sock"
        ? daemon?.serve
        : Screens.at(state, path, (domain) => guests.control.press(domain, "anew"))
    const dialogue = (argv: ReadonlyArray<string>) => {
      const cluster = options.cephCommands
      return cluster !== undefined && CephSession.matches(argv)
        ? (stream: Duplex) => CephSession.serve(cluster, stream)
        : undefined
    }
    const reach: NonNullable<Options["reach"]> = (target) =>
      Effect.suspend(() =>
        options.reach === undefined || unreachable.has(target.host)
          ? Effect.fail(new DialRefused({ code: "ECONNREFUSED" }))
          : options.reach(target)
      )
    let forwarding = true
    const sshd = yield* SimulatedSshd.make({
      world,
      hostKey: () => keys().private,
      authorizedKeys: () => options.authorizedKeys,
      maxSessions: options.maxSessions ?? 10,
      socket,
      reach,
      dialogue
    })

    const links = new Set<MemorySession.Carrier>()
    let refusing = false
    let silent = false
    let powered = true
    let blocked = false
    /** open while it can be reached from other hosts, and while it can be reached from the controller */
    const reachable = Effect.unsafeMakeLatch(true)
    const unblocked = Effect.unsafeMakeLatch(true)
    const update = Effect.suspend(() => {
      const open = !silent && powered
      for (const link of links) {
        if (open && !blocked) link.mend()
        else link.cut()
      }
      return Effect.zipRight(
        open ? reachable.open : reachable.close,
        open && !blocked ? unblocked.open : unblocked.close
      )
    })

    const cutNetwork = Effect.suspend(() => {
      silent = true
      return update
    })
    const mendNetwork = Effect.suspend(() => {
      silent = false
      return update
    })
    const blockController = (on: boolean) =>
      Effect.suspend(() => {
        blocked = on
        return update
      })

    const dropConnections = Effect.sync(() => {
      for (const link of links) link.reset()
      links.clear()
    })

    const stopLibvirtd = Effect.suspend(() => {
      const running = daemon
      daemon = undefined
      Secrets.forget(state)
      Domains.forgetReasons(state)
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

    const onGuest =
      (act: (state: HostState.HostState, domain: HostState.SimulatedDomain) => void) =>
      (name: string): Effect.Effect<boolean> =>
        Effect.sync(() => {
          const domain = [...state.domains.values()].find((domain) => domain.name === name)
          if (domain === undefined || domain.live === null) return false
          act(state, domain)
          return true
        })

    const faults: HostFaults = {
      ...gate.faults,
      dropConnections,
      refuseConnections: (on) =>
        Effect.sync(() => {
          refusing = on
        }),
      cutNetwork,
      mendNetwork,
      blockController,
      forbidForwarding: (on) =>
        Effect.sync(() => {
          forwarding = !on
          sshd.allowForwarding(!on)
        }),
      stopLibvirtd,
      startLibvirtd,
      crashGuest: onGuest(Domains.crash),
      startByHand: Effect.sync(() => {
        for (const domain of state.domains.values()) {
          if (domain.live === null && Domains.start(state, domain, 0)._tag === "Right") guests.control.boot(domain)
        }
      }),
      guestShutsDown: onGuest(Domains.powerOffByGuest),
      ioError: onGuest(Domains.ioError),
      holdDevices: (name, on) => Effect.sync(() => guests.hold(name, on)),
      refuseDevices: (name, on) => Effect.sync(() => guests.refuse(name, on)),
      ignorePowerButton: (name, on) => Effect.sync(() => guests.ignore(name, on)),
      slowToTurnOff: (name, by) =>
        Effect.sync(() => {
          const time = Duration.decode(by)
          guests.delay(name, Duration.equals(time, Duration.zero) ? undefined : time)
        }),
      keepWatchers: (on) =>
        Effect.sync(() => {
          keeping = on
          if (on) return
          for (const disk of kept) disk.close()
          kept.clear()
        }),
      losePower: Effect.zipRight(
        Effect.suspend(() => {
          powered = false
          state.emit = () => {}
          Domains.losePower(state)
          return update
        }),
        stopLibvirtd
      ),
      bootAgain: Effect.gen(function* () {
        if (powered) return
        powered = true
        yield* dropConnections
        yield* update
        for (const pool of state.pools.values()) {
          pool.active = false
          pool.volumes = new Map()
          if (pool.autostart) Storage.start(state, pool, 0)
        }
        for (const network of state.networks.values()) network.active = network.autostart
        yield* startLibvirtd
        for (const domain of state.domains.values()) {
          if (domain.autostart && Domains.start(state, domain, 0)._tag === "Right") guests.control.boot(domain)
        }
      }),
      forbidFile: (path, on) =>
        Effect.sync(() => void (on ? state.files.forbidden.add(path) : state.files.forbidden.delete(path))),
      setClockAhead: (by) => Effect.sync(() => void (state.clockAhead = Duration.toMillis(by))),
      hangKvm: (on) => Effect.sync(() => void (state.kvmHangs = on)),
      setBridge: (name, mtu) =>
        Effect.sync(() => {
          if (mtu === null) return void state.bridges.delete(name)
          state.bridges.add(name)
          state.mtus.set(name, mtu)
        }),
      loseRoute: (to, on) => Effect.sync(() => void (on ? unreachable.add(to) : unreachable.delete(to))),
      keepPackages: (bytes) =>
        Effect.sync(() => {
          const folder = "/var/cache/apt/archives"
          const file = new HostFile(state.now())
          file.size = file.allocation = bytes
          state.files.makeFolder(folder)
          state.files.files.set(`${folder}/large_1_all.deb`, file)
        }),
      takeInodes: (count) => Effect.sync(() => void (state.files.otherInodes = count)),
      fillDisk: (bytes) =>
        Effect.sync(() => {
          state.files.other = bytes
        })
    }

    /** As far as a SYN gets. */
    const knock: SimulatedHost["knock"] = Effect.zipRight(
      reachable.await,
      Effect.suspend(() => (refusing ? Effect.fail(new DialRefused({ code: "ECONNREFUSED" })) : Effect.void))
    )
    const knockFromController = Effect.zipRight(unblocked.await, knock)

    const dial: SimulatedHost["dial"] = Effect.zipRight(
      knockFromController,
      Effect.acquireRelease(
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
    )

    const session: SimulatedHost["session"] = (broken) =>
      Effect.zipRight(
        knockFromController,
        Effect.acquireRelease(
          Effect.sync(() =>
            MemorySession.make(
              {
                world,
                run,
                socket,
                dialogue,
                reach,
                forwards: () => forwarding,
                banner: SimulatedSshd.banner,
                add: (carrier) => void links.add(carrier),
                remove: (carrier) => void links.delete(carrier)
              },
              broken
            )
          ),
          ({ close }) => Effect.sync(close)
        )
      )

    return {
      hostname: options.hostname,
      uuid: state.machine.uuid,
      get hostKey() {
        return keys().public
      },
      dial,
      session,
      knock,
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
                  serial: [...domain.live.serial],
                  disks: [...domain.live.guest.seen.values()]
                }
              ]
        ),
      hasGuests: () => [...state.domains.values()].some(({ live }) => live !== null),
      state,
      work: (name, work) => onGuest((host, domain) => Domains.work(host, domain, work))(name),
      agent: (name, says) => Effect.sync(() => Agents.set(state, name, says)),
      print: (name, line) =>
        Effect.sync(() => {
          const live = [...state.domains.values()].find((domain) => domain.name === name)?.live ?? null
          if (live !== null) SerialLine.print(live, line)
          return live !== null
        }),
      putFile: (path, bytes) =>
        Effect.sync(() => {
          state.files.makeFolder(path.slice(0, path.lastIndexOf("/")))
          state.files.files.set(path, new HostFile(now(), bytes))
        }),
      connections: () => links.size
    }
  })
