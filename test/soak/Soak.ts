/**
 * A soak: clients that ask for anything at any time, on hosts, links, daemons, guests and a pool that fail at any time, under a controller that
 * is killed at any time. Now and then everything is mended, and then every promise has to be true: nothing lost, nothing doubled, nothing
 * left over, nothing stuck.
 *
 * All of it in virtual time and by one seed, so that what is found can be seen again.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as AppLive from "../../layers/AppLive.ts"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import { defaultConfig } from "../../src/domain/Host.ts"
import * as Ids from "../../src/domain/Ids.ts"
import { Reality } from "../../src/fabric/Reality.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { Volumes } from "../../src/fabric/Volumes.ts"
import type { ProcedureName } from "../../src/libvirt/Procedures.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Operations } from "../../src/services/Operations.ts"
import * as Cluster from "../../src/simulator/Cluster.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"
import * as Virtual from "../../src/simulator/Virtual.ts"
import * as World from "../fabric/World.ts"
import { type Fate, type KnownVm, type KnownVolume, Model } from "./Model.ts"

export interface Settings {
  readonly seed: number
  readonly hosts: number
  /** disks in a pool, or on the hosts */
  readonly ceph: boolean
  /** how many requests in all */
  readonly operations: number
  /** how many of them arrive in a second of virtual time, whether or not earlier ones have ended */
  readonly perSecond: number
  /** seconds of virtual time between faults, on average; 0: none */
  readonly faultEvery: number
  /** seconds of virtual time between ends of the controller, on average; 0: never */
  readonly killEvery: number
  /** requests between two settlements */
  readonly settleEvery: number
}

export const defaults: Settings = {
  seed: 1,
  hosts: 4,
  ceph: true,
  operations: 1000,
  perSecond: 20,
  faultEvery: 10,
  killEvery: 30,
  settleEvery: 250
}

/** What a soak has found. `seed` and the same settings bring it about again. */
export class Violation extends Data.TaggedError("Violation")<{
  readonly seed: number
  readonly requests: number
  readonly what: string
}> {
  override get message(): string {
    return `seed ${this.seed}, after ${this.requests} requests: ${this.what}`
  }
}

class Unfinished extends Data.TaggedError("Unfinished")<{ readonly message: string }> {}

export interface Report {
  readonly requests: number
  readonly succeeded: number
  readonly refused: number
  /** nobody was told how they ended */
  readonly cutOff: number
  readonly faults: number
  readonly lives: number
  readonly settlements: number
  /** seconds */
  readonly virtual: number
}

const address = (host: string) => ({ user: "root", host, port: 22 })
const type = Ids.InstanceTypeId.make(1)

/** A disk that forgets nothing need not be asked to: what is soaked is what survives a process, not a power cut. */
const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "vmfabric-soak-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const makeWorld = Effect.fnUntraced(function* (settings: Settings) {
  const names = Array.from({ length: settings.hosts }, (_, index) => `sim-${index + 1}`)
  const cluster = yield* Cluster.make({ seed: settings.seed })
  const fleet = yield* Fleet.make({
    seed: settings.seed,
    hosts: [
      ...names.map((hostname) => ({ hostname, ceph: cluster, cpus: 16, memory: 64 * 1024 ** 3 })),
      { hostname: "sim-images", cephCommands: cluster }
    ]
  })
  yield* fleet.host("sim-images")!.putFile("/images/test.img", Fleet.diskImage(64 * 1024, 1))
  const config = {
    hosts: names.map((name) => defaultConfig(address(name))),
    images: [{ name: "test", source: { host: address("sim-images"), path: "/images/test.img" } }],
    types: [{ tid: type, cpu: 1, ram: 1024, disk: 1 }]
  }
  const database = join(yield* folder, "vmfabric.sqlite")
  const life = AppLive.layer({
    fleet: config,
    database,
    ceph: settings.ceph ? Fleet.cephOf(cluster, address("sim-images")) : null,
    volumes: { undoWindow: "10 minutes" }
  }).pipe(Layer.provide(SimulatedFleet.layerMemory(fleet)), Layer.provide(NodeContext.layer))
  return { hosts: names.map((name) => fleet.host(name)!), config, life, cluster }
})

const below = (n: number) => Random.nextIntBetween(0, n)
const pick = <A>(from: ReadonlyArray<A>) => Effect.map(below(from.length), (index) => from[index])
/** seconds, as between things that happen by themselves */
const interval = (mean: number) => Effect.map(Random.next, (x) => Duration.seconds(-Math.log(1 - x) * mean))

const procedures: ReadonlyArray<ProcedureName> = [
  "STORAGE_VOL_CREATE_XML",
  "STORAGE_VOL_DELETE",
  "STORAGE_VOL_UPLOAD",
  "DOMAIN_DEFINE_XML_FLAGS",
  "DOMAIN_UNDEFINE_FLAGS",
  "DOMAIN_CREATE_WITH_FLAGS",
  "DOMAIN_DESTROY",
  "DOMAIN_ATTACH_DEVICE_FLAGS",
  "DOMAIN_DETACH_DEVICE_ALIAS",
  "DOMAIN_GET_STATE",
  "DOMAIN_GET_XML_DESC"
]
const requests = ["create", "clone", "remove", "look", "rename", "moveToTrash", "purge", "createSnapshot"] as const

export const run = Effect.fn("Soak.run")(function* (settings: Settings, log: (line: string) => void) {
  const world = yield* makeWorld(settings)
  const model = new Model()
  const counts = { requests: 0, succeeded: 0, refused: 0, cutOff: 0, faults: 0, lives: 0, settlements: 0 }
  const defects: Array<string> = []
  const began = yield* Clock.currentTimeMillis

  const note = (line: string) => Effect.map(Clock.currentTimeMillis, (now) => log(`${Virtual.formatTime(now)} ${line}`))
  const violation = (what: string) => new Violation({ seed: settings.seed, requests: counts.requests, what })

  // an operation that stops by a defect is a bug, whatever else becomes of it
  const watch = Logger.make(({ logLevel, message }) => {
    const text = Array.isArray(message) ? message.map(String).join(" ") : String(message)
    if (LogLevel.greaterThanEqual(logLevel, LogLevel.Error)) defects.push(text)
  })
  const life = world.life.pipe(Layer.provide(Logger.replace(Logger.defaultLogger, watch)))

  /** A request on things that are known: `before` says what is unsure from now on, `after` what is sure when nobody else asked meanwhile. */
  const ask = <A, E extends { readonly message: string }, R>(
    what: string,
    things: ReadonlyArray<KnownVm | KnownVolume>,
    effect: Effect.Effect<A, E, R>,
    after: (answer: A) => void
  ) =>
    Effect.gen(function* () {
      for (const thing of things) {
        thing.users++
        if (thing.users > 1) thing.clashed = true
      }
      const exit = yield* Effect.exit(effect).pipe(
        Effect.onInterrupt(() => {
          counts.cutOff++
          return note(`${what}: cut off`)
        })
      )
      const alone = things.every(({ clashed }) => !clashed)
      for (const thing of things) if (--thing.users === 0) thing.clashed = false
      if (Exit.isSuccess(exit)) {
        counts.succeeded++
        if (alone) after(exit.value)
        yield* note(`${what}: done`)
      } else {
        const failure = Cause.failureOption(exit.cause)
        if (failure._tag === "None") return yield* violation(`${what} died: ${Cause.pretty(exit.cause)}`)
        counts.refused++
        yield* note(`${what}: ${failure.value.message}`)
      }
    })

  const known = <A extends KnownVm | KnownVolume>(
    all: ReadonlyMap<unknown, A>,
    fates: ReadonlyArray<Fate> = ["here"]
  ) => pick([...all.values()].filter(({ fate }) => fates.includes(fate)))

  let names = 0
  const createVm = Effect.gen(function* () {
    const name = `m${++names}`
    const vms = yield* Vms
    const onCrash = (yield* Random.nextBoolean) ? ("restart" as const) : ("leave" as const)
    yield* ask(
      `create VM ${name}`,
      [],
      vms.create({ name, instanceType: type, onCrash, idempotencyKey: name }),
      (vm) => {
        model.vm(vm.id)
      }
    )
  })
  const createTwice = Effect.gen(function* () {
    const name = `m${++names}`
    const vms = yield* Vms
    const create = vms.create({ name, instanceType: type, idempotencyKey: name })
    const twice = Effect.all([create, create], { concurrency: 2 })
    yield* ask(`create VM ${name} twice`, [], twice, ([one, two]) => {
      if (one.id !== two.id) defects.push(`one key made VM ${one.id} and VM ${two.id}`)
      model.vm(one.id)
    })
  })
  const destroyVm = Effect.gen(function* () {
    const vm = yield* known(model.vms)
    if (vm === undefined) return
    const vms = yield* Vms
    vm.fate = "unsure"
    model.release(vm.id)
    yield* ask(`destroy VM ${vm.id}`, [vm], vms.destroy(vm.id), () => {
      vm.fate = "gone"
    })
  })
  const createVolume = Effect.gen(function* () {
    const name = `d${++names}`
    const volumes = yield* Volumes
    const size = 1 + (yield* below(4))
    yield* ask(`create volume ${name}`, [], volumes.create({ name, size, idempotencyKey: name }), (volume) => {
      model.volume(volume.id, size)
    })
  })
  const attach = Effect.gen(function* () {
    const volume = yield* known(model.volumes)
    const vm = yield* known(model.vms)
    if (volume === undefined || vm === undefined) return
    const volumes = yield* Volumes
    volume.vm = "unsure"
    yield* ask(`attach volume ${volume.id} to VM ${vm.id}`, [volume, vm], volumes.attach(volume.id, vm.id), () => {
      volume.vm = vm.id
    })
  })
  const detach = Effect.gen(function* () {
    const volume = yield* known(model.volumes)
    if (volume === undefined) return
    const volumes = yield* Volumes
    volume.vm = "unsure"
    yield* ask(`detach volume ${volume.id}`, [volume], volumes.detach(volume.id), () => {
      volume.vm = null
    })
  })
  const onVolume = (
    what: string,
    fates: ReadonlyArray<Fate>,
    then: Fate,
    act: (id: KnownVolume) => Effect.Effect<unknown, { readonly message: string }, Volumes>,
    size: "same" | "unsure" = "same"
  ) =>
    Effect.gen(function* () {
      const volume = yield* known(model.volumes, fates)
      if (volume === undefined) return
      if (then !== volume.fate) volume.fate = "unsure"
      if (size === "unsure") volume.size = null
      yield* ask(`${what} volume ${volume.id}`, [volume], act(volume), () => {
        volume.fate = then
      })
    })
  const volumes = <A, E>(use: (volumes: Volumes["Type"]) => Effect.Effect<A, E>) => Effect.flatMap(Volumes, use)

  const actions: ReadonlyArray<
    readonly [
      weight: number,
      action: Effect.Effect<unknown, Violation, Vms | Volumes | Operations | Reality | Inventory>
    ]
  > = [
    [20, createVm],
    [3, createTwice],
    [16, destroyVm],
    [12, createVolume],
    [14, attach],
    [10, detach],
    [
      5,
      onVolume(
        "grow",
        ["here"],
        "here",
        ({ id }) => volumes((it) => Effect.flatMap(it.get(id), ({ size }) => it.grow(id, size + 1))),
        "unsure"
      )
    ],
    [4, onVolume("rename", ["here"], "here", ({ id }) => volumes((it) => it.rename(id, `r${++names}`)))],
    [4, onVolume("snapshot", ["here"], "here", ({ id }) => volumes((it) => it.snapshot(id, `s${++names}`)))],
    [
      2,
      onVolume(
        "revert",
        ["here"],
        "here",
        ({ id }) =>
          volumes((it) =>
            Effect.flatMap(it.snapshots(id), ([first]) => (first === undefined ? Effect.void : it.revert(first.id)))
          ),
        "unsure"
      )
    ],
    [
      2,
      onVolume("clone", ["here"], "here", ({ id }) =>
        volumes((it) =>
          Effect.flatMap(it.snapshots(id), ([first]) =>
            first === undefined ? Effect.void : it.create({ name: `c${++names}`, source: first.id })
          )
        )
      )
    ],
    [
      2,
      onVolume("destroy a snapshot of", ["here"], "here", ({ id }) =>
        volumes((it) =>
          Effect.flatMap(it.snapshots(id), ([first]) =>
            first === undefined ? Effect.void : it.destroySnapshot(first.id)
          )
        )
      )
    ],
    [8, onVolume("destroy", ["here"], "gone", ({ id }) => volumes((it) => it.destroy(id)))],
    [4, onVolume("restore", ["gone"], "here", ({ id }) => volumes((it) => it.restore(id)))],
    [3, onVolume("purge", ["gone"], "gone", ({ id }) => volumes((it) => it.purge(id)))],
    [
      4,
      Effect.gen(function* () {
        const operations = yield* Operations
        const running = yield* Effect.orElseSucceed(operations.list({ ended: false, limit: 50 }), () => [])
        const one = yield* pick(running)
        // what becomes of it is told to whoever waits for it
        if (one !== undefined)
          yield* ask(`cancel ${one.operation.kind}`, [], operations.cancel(one.operation.id), () => {})
      })
    ],
    [
      2,
      Effect.gen(function* () {
        const vm = yield* known(model.vms)
        const reality = yield* Reality
        if (vm !== undefined) yield* ask(`repair VM ${vm.id}`, [], reality.repair(vm.id), () => {})
      })
    ]
  ]
  const weights = actions.reduce((sum, [weight]) => sum + weight, 0)
  const act = Effect.gen(function* () {
    let at = yield* below(weights)
    for (const [weight, action] of actions) {
      at -= weight
      if (at >= 0) continue
      yield* action
      return
    }
  })

  const host = Effect.map(below(world.hosts.length), (index) => ({
    name: world.config.hosts[index]!.address.host,
    ...world.hosts[index]!
  }))
  const moment = Effect.map(Random.nextBoolean, (early) => (early ? ("before" as const) : ("after" as const)))
  /** Something breaks, and after a while is whole again. */
  const faults: ReadonlyArray<Effect.Effect<void, never, never>> = [
    Effect.flatMap(host, ({ faults, name }) =>
      Effect.zipRight(note(`FAULT ${name} loses its connections`), faults.dropConnections)
    ),
    Effect.gen(function* () {
      const { faults, name } = yield* host
      yield* note(`FAULT ${name} is cut off`)
      yield* faults.cutNetwork
      yield* Effect.sleep(yield* interval(20))
      yield* faults.mendNetwork
    }),
    Effect.gen(function* () {
      const { faults, name } = yield* host
      yield* note(`FAULT libvirtd of ${name} stops`)
      yield* faults.stopLibvirtd
      yield* Effect.sleep(yield* interval(10))
      yield* faults.startLibvirtd
    }),
    Effect.gen(function* () {
      const { faults, name } = yield* host
      const when = yield* moment
      yield* note(`FAULT libvirtd of ${name} hangs ${when} its calls`)
      yield* faults.hang("all", true, when)
      yield* Effect.sleep(yield* interval(30))
      yield* faults.hang("all", false)
    }),
    Effect.gen(function* () {
      const { faults, name } = yield* host
      yield* note(`FAULT ${name} loses power`)
      yield* faults.losePower
      yield* Effect.sleep(yield* interval(30))
      yield* faults.bootAgain
    }),
    Effect.gen(function* () {
      const { faults, name } = yield* host
      // several, since most of what goes wrong for users does so in the middle of something
      for (let i = 0; i < 4; i++) {
        const procedure = (yield* pick(procedures))!
        const effect = yield* Random.nextBoolean
        yield* note(`FAULT ${name} refuses ${procedure}${effect ? " after doing it" : ""}`)
        yield* faults.fail(procedure, { code: 38, message: "something went wrong", int1: 5, nth: 1, effect })
      }
    }),
    Effect.gen(function* () {
      const { faults, name } = yield* host
      for (let i = 0; i < 4; i++) {
        const procedure = (yield* pick(procedures))!
        const when = yield* moment
        yield* note(`FAULT ${name} loses its connections ${when} ${procedure}`)
        yield* faults.onCall(procedure, when, faults.dropConnections, { nth: 1 })
      }
    }),
    Effect.gen(function* () {
      const { faults, name } = yield* host
      yield* note(`FAULT ${name} is slow`)
      yield* faults.slow("all", yield* interval(2))
      yield* Effect.sleep(yield* interval(10))
      yield* faults.slow("all", 0)
    }),
    Effect.gen(function* () {
      const { faults, guests, name } = yield* host
      const guest = yield* pick(guests())
      if (guest === undefined) return
      yield* note(`FAULT ${guest.name} crashes on ${name}`)
      yield* faults.crashGuest(guest.name)
    }),
    Effect.gen(function* () {
      const { faults, guests, name } = yield* host
      const guest = yield* pick(guests())
      if (guest === undefined) return
      yield* note(`FAULT ${guest.name} on ${name} holds its devices`)
      yield* faults.holdDevices(guest.name, true)
      yield* Effect.sleep(yield* interval(30))
      yield* faults.holdDevices(guest.name, false)
    }),
    ...(settings.ceph
      ? [
          Effect.zipRight(note("FAULT Ceph sessions die"), world.cluster.faults.killSessions),
          Effect.gen(function* () {
            yield* note("FAULT the OSDs are dead")
            yield* world.cluster.faults.osdsDead(true)
            yield* Effect.sleep(yield* interval(15))
            yield* world.cluster.faults.osdsDead(false)
          }),
          Effect.gen(function* () {
            const request = (yield* pick(requests))!
            const effect = yield* Random.nextBoolean
            yield* note(`FAULT the pool refuses ${request}${effect ? " after doing it" : ""}`)
            yield* world.cluster.faults.fail(request, { errno: "EIO", nth: 1, effect })
          })
        ]
      : [])
  ]

  const mend = Effect.gen(function* () {
    yield* world.cluster.faults.clear
    yield* world.cluster.faults.osdsDead(false)
    for (const { faults, guests } of world.hosts) {
      yield* faults.clear
      yield* faults.mendNetwork
      yield* faults.bootAgain
      yield* faults.startLibvirtd
      for (const { name } of guests()) yield* faults.holdDevices(name, false)
    }
  })

  /** When all is well again everything has to end, and to be as it was promised. */
  const settle = Effect.gen(function* () {
    const inventory = yield* Inventory
    const operations = yield* Operations
    const limit = <A, E, R>(what: () => string, effect: Effect.Effect<A, E, R>) =>
      effect.pipe(
        Effect.retry(Schedule.spaced("1 second").pipe(Schedule.upTo("30 minutes"))),
        Effect.catchAllCause((cause) => violation(`${what()}: ${Cause.pretty(cause)}`))
      )
    const unfinished = Effect.flatMap(operations.list({ ended: false, limit: 1000 }), (all) =>
      all.length === 0
        ? Effect.void
        : Effect.fail(
            new Unfinished({
              message: all
                .map(
                  ({ operation: { id, kind, vmId, volumeId }, progress }) =>
                    `${kind} ${id} VM ${String(vmId)} volume ${String(volumeId)} at ${progress?.step ?? "?"}: ${progress?.waiting ?? "not waiting"}`
                )
                .join("\n")
            })
          )
    )
    yield* limit(() => "operations do not end", unfinished)
    yield* limit(
      () => "the hosts are not what the inventory says",
      Effect.sandbox(Effect.provideService(World.agree(world), Inventory, inventory))
    )
    const broken = model.settle(yield* inventory.vms(), yield* inventory.volumes())
    if (broken.length > 0) return yield* violation(broken.join("; "))
    if (defects.length > 0) return yield* violation(defects.join("; "))
    counts.settlements++
    yield* note(`SETTLED ${model.vms.size} VMs, ${model.volumes.size} volumes`)
  })

  /** One life of the controller: requests arrive until it is killed, or until it is time to settle. */
  const live = Effect.gen(function* () {
    counts.lives++
    const dies = settings.killEvery === 0 ? null : yield* interval(settings.killEvery)
    const until = Math.min(settings.operations, (counts.settlements + 1) * settings.settleEvery)
    const arriving = Effect.gen(function* () {
      const clients = yield* FiberSet.make<unknown, Violation>()
      while (counts.requests < until) {
        counts.requests++
        yield* FiberSet.run(clients, act)
        yield* Effect.sleep(yield* interval(1 / settings.perSecond))
      }
      yield* Effect.raceFirst(FiberSet.awaitEmpty(clients), FiberSet.join(clients)).pipe(
        // every fault is over some time, so nobody can have to wait for long
        Effect.timeoutFail({ duration: "1 hour", onTimeout: () => violation("requests do not end") })
      )
    }).pipe(Effect.scoped)
    const breaking =
      settings.faultEvery === 0
        ? Effect.never
        : Effect.gen(function* () {
            const broken = yield* FiberSet.make()
            for (;;) {
              yield* Effect.sleep(yield* interval(settings.faultEvery))
              counts.faults++
              yield* FiberSet.run(broken, (yield* pick(faults))!)
            }
          }).pipe(Effect.scoped)
    const work = Effect.raceFirst(Effect.as(arriving, "arrived" as const), breaking)
    const end =
      dies === null ? yield* work : yield* Effect.raceFirst(work, Effect.as(Effect.sleep(dies), "killed" as const))
    yield* note(`the controller is ${end === "killed" ? "KILLED" : "left alone"}`)
    if (end === "killed" && counts.requests < until) return
    yield* mend
    yield* settle
  }).pipe(Effect.provide(life), Effect.catchTags({ FleetConflict: Effect.die, PersistenceError: Effect.die }))

  while (counts.requests < settings.operations || counts.settlements * settings.settleEvery < settings.operations) {
    yield* live
    if (defects.length > 0) return yield* violation(defects.join("; "))
  }
  const virtual = ((yield* Clock.currentTimeMillis) - began) / 1000
  return { ...counts, virtual } satisfies Report
}, Effect.scoped)

/** In virtual time, by the settings' seed. */
export const virtually = (settings: Settings, log: (line: string) => void) =>
  Virtual.run(settings.seed, run(settings, log))
