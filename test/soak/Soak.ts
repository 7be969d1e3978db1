/**
 * A soak: clients that ask for anything at any time, on hosts, links, daemons, guests and a pool that fail at any time, under a controller that
 * is killed at any time. Now and then everything is mended, and then every promise has to be true: nothing lost, nothing doubled, nothing
 * left over, nothing stuck.
 *
 * All of it in virtual time and by one seed, so that what is found can be seen again.
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as AppLive from "../../layers/AppLive.ts"
import * as ImageStoreLive from "../../layers/ImageStoreLive.ts"
import * as ObserverLive from "../../layers/ObserverLive.ts"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import { defaultConfig } from "../../src/domain/Host.ts"
import * as Ids from "../../src/domain/Ids.ts"
import { UserName } from "../../src/domain/Identity.ts"
import type { OperationKind } from "../../src/domain/Operation.ts"
import * as Quota from "../../src/domain/Quota.ts"
import { Asker } from "../../src/fabric/Asker.ts"
import { ImageIntake } from "../../src/fabric/ImageIntake.ts"
import { ImagePublishing } from "../../src/fabric/ImagePublishing.ts"
import { Power } from "../../src/fabric/Power.ts"
import { Reality } from "../../src/fabric/Reality.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { Volumes } from "../../src/fabric/Volumes.ts"
import type { Hypervisor } from "../../src/services/Hypervisor.ts"
import { Identity } from "../../src/services/Identity.ts"
import type { ImageLibrary } from "../../src/services/ImageLibrary.ts"
import type { ImageStore } from "../../src/services/ImageStore.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Operations } from "../../src/services/Operations.ts"
import type { Ssh } from "../../src/services/Ssh.ts"
import type { Storage } from "../../src/services/Storage.ts"
import * as Cluster from "../../src/simulator/Cluster.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"
import * as Virtual from "../../src/simulator/Virtual.ts"
import * as World from "../fabric/World.ts"
import * as Breaking from "./Breaking.ts"
import { below, interval, pick, weighed } from "./Chance.ts"
import * as Daily from "./Daily.ts"
import * as Flat from "./Flat.ts"
import * as Images from "./Images.ts"
import { type Fate, type KnownImage, type KnownVm, type KnownVolume, Model } from "./Model.ts"

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
  /** as many VMs, and as many volumes, may there be before clients rather destroy one than create one: a long soak would else only ever grow */
  readonly things: number
  /** settlements between two samples of what this process holds, which has to stay as much; 0: that is not looked at */
  readonly sampleEvery: number
  /** milliseconds that a call to a daemon or to the pool takes: what takes no time is never in the middle of anything when something breaks */
  readonly pace: number
}

export const defaults: Settings = {
  seed: 1,
  hosts: 4,
  ceph: true,
  operations: 1000,
  perSecond: 20,
  faultEvery: 10,
  killEvery: 30,
  settleEvery: 250,
  things: 24,
  sampleEvery: 0,
  pace: 40
}

/** What has to hold whatever happens. */
export type Invariant =
  | "every request ends"
  | "every operation ends"
  | "nothing stops by a defect"
  | "one key makes one VM"
  | "promises are kept"
  | "hosts are as the inventory says"
  | "nobody has more than they may"
  | "all can be done when all is well"
  | "nothing grows"

/** What a soak has found. `seed` and the same settings bring it about again. */
export class Violation extends Data.TaggedError("Violation")<{
  readonly seed: number
  readonly requests: number
  readonly invariant: Invariant
  readonly what: string
}> {
  override get message(): string {
    return `seed ${this.seed}, after ${this.requests} requests, against "${this.invariant}": ${this.what}`
  }
}

type Thing = KnownVm | KnownVolume | KnownImage

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
  /** promises that were looked at, in all settlements */
  readonly checks: number
  /** seconds */
  readonly virtual: number
  /** what the process held, in the order of time */
  readonly samples: ReadonlyArray<Flat.Sample>
}

/** as the simulated hosts have them */
const networks = { lan: { kind: "bridge", name: "br0" } } as const
const address = (host: string) => ({ user: "root", host, port: 22 })
const type = Ids.InstanceTypeId.make(1)

/** Who asks every other time, and may have few of what there may be: also a short soak comes up against that. */
const limited = UserName.make("ada")
const quotaOf = ({ things }: Settings): Quota.Quota => {
  const few = Math.ceil(things / 12)
  return { vms: few, cpu: few + 1, ram: null, volumes: few, volumeSize: 3 * few }
}

/** What an assertion compared, whose own words leave out most of it; a line of its own. */
const differenceOf = (cause: Cause.Cause<unknown>): string => {
  const first = Cause.squash(cause)
  const error = Cause.isCause(first) ? Cause.squash(first) : first
  return typeof error === "object" && error !== null && "actual" in error && "expected" in error
    ? `${JSON.stringify(error.actual)} instead of ${JSON.stringify(error.expected)}\n`
    : ""
}

/** Without the zeros at its end. */
const trimmed = (disk: Uint8Array) => disk.subarray(0, disk.findLastIndex((byte) => byte !== 0) + 1)

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
  const disk = Fleet.diskImage(64 * 1024, 1)
  yield* fleet.host("sim-images")!.putFile("/images/test.img", disk)
  const config = {
    hosts: names.map((name) => ({ ...defaultConfig(address(name)), networks })),
    images: [{ name: "test", source: { host: address("sim-images"), path: "/images/test.img" } }],
    types: [
      { tid: type, cpu: 1, ram: 1024, disk: 1 },
      { tid: Ids.InstanceTypeId.make(2), cpu: 2, ram: 2048, disk: 1 }
    ]
  }
  const kept = yield* folder
  const imageFolder = join(kept, "images")
  const store = ImageStoreLive.layer({ folder: imageFolder, paths: [], allow: [] })
  const database = join(kept, "vmfabric.sqlite")
  yield* Effect.gen(function* () {
    const identity = yield* Identity
    yield* identity.createUser({ name: UserName.make("root"), role: "admin" })
    yield* identity.createUser({ name: limited, role: "operator", quota: quotaOf(settings) })
  }).pipe(Effect.provide(AppLive.persistence(database)), Effect.orDie)
  const life = AppLive.layerOver<
    Hypervisor | Storage | ImageLibrary | ImageStore,
    never,
    Ssh | Inventory | FileSystem.FileSystem
  >({
    fleet: config,
    persistence: AppLive.persistence(database),
    drivers: AppLive.drivers(settings.ceph ? Fleet.cephOf(cluster, address("sim-images")) : null).pipe(
      Layer.merge(store)
    ),
    images: store,
    volumes: { undoWindow: "10 minutes" },
    // most of the time would else go into looking at the same few domains again and again
    observer: { round: { ...ObserverLive.defaults.round, perSecond: 2 } }
  }).pipe(Layer.provide(SimulatedFleet.layerMemory(fleet)), Layer.provide(NodeContext.layer))
  return { hosts: names.map((name) => fleet.host(name)!), imageFolder, config, life, cluster, disk: trimmed(disk) }
})

/** Of these there is much to undo in the middle. */
const undone: ReadonlyArray<OperationKind> = ["CreateVm", "AttachVolume", "PublishVm"]

/** seconds between a last request and the mending of all, on average */
const afterLast = 30

/** When all is well again, what has not come by then will not come. */
const patience = "10 minutes"

/** At first it may be a matter of a moment. */
const often = Schedule.exponential("200 millis", 1.3).pipe(
  Schedule.union(Schedule.spaced("20 seconds")),
  Schedule.upTo(patience)
)

export const run = Effect.fn("Soak.run")(function* (settings: Settings, log: (line: string) => void) {
  const world = yield* makeWorld(settings)
  const model = new Model()
  const counts = { requests: 0, succeeded: 0, refused: 0, cutOff: 0, faults: 0, lives: 0, settlements: 0, checks: 0 }
  const broken: Array<Violation> = []
  const samples: Array<Flat.Sample> = []
  const began = yield* Clock.currentTimeMillis

  const note = (line: string) => Effect.map(Clock.currentTimeMillis, (now) => log(`${Virtual.formatTime(now)} ${line}`))
  const violation = (invariant: Invariant, what: string) =>
    new Violation({ seed: settings.seed, requests: counts.requests, invariant, what })

  // an operation that stops by a defect is a bug, whatever else becomes of it
  const watch = Logger.make(({ logLevel, message }) => {
    const text = Array.isArray(message) ? message.map(String).join(" ") : String(message)
    if (LogLevel.greaterThanEqual(logLevel, LogLevel.Error)) broken.push(violation("nothing stops by a defect", text))
  })
  const life = world.life.pipe(Layer.provide(Logger.replace(Logger.defaultLogger, watch)))

  /** A request on things that are known: `before` says what is unsure from now on, `after` what is sure when nobody else asked meanwhile, or when it was `refused`. */
  const ask = <A, E extends { readonly message: string }, R>(
    what: string,
    things: ReadonlyArray<Thing>,
    effect: Effect.Effect<A, E, R>,
    after: (answer: A) => void,
    refused: () => void = () => {}
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
        if (failure._tag === "None") {
          return yield* violation("nothing stops by a defect", `${what} died: ${Cause.pretty(exit.cause)}`)
        }
        counts.refused++
        if (alone) refused()
        yield* note(`${what}: ${failure.value.message}`)
      }
    })

  const known = <A extends Thing>(all: ReadonlyMap<unknown, A>, fates: ReadonlyArray<Fate> = ["here"]) =>
    pick([...all.values()].filter(({ fate }) => fates.includes(fate)))

  /** What makes sense, but not always. */
  const usually = <A extends Thing>(all: ReadonlyMap<unknown, A>, sensible: (one: A) => boolean) =>
    Effect.gen(function* () {
      const here = [...all.values()].filter(({ fate }) => fate === "here")
      const some = here.filter(sensible)
      if (some.length === here.length) return yield* pick(here)
      return yield* pick(some.length === 0 || (yield* below(8)) === 0 ? here : some)
    })

  /** Whether there are as many as there may be. */
  const full = (all: ReadonlyMap<unknown, Thing>) =>
    Effect.sync(() => [...all.values()].filter(({ fate }) => fate !== "gone").length >= settings.things)

  let names = 0
  const name = () => `n${++names}`

  const breakage = Breaking.make({ ...settings, ...world, note, disturb: (domains) => model.disturb(domains) })

  /** About as often as anything else goes wrong, but at most with every fourth request. */
  const spoiled = settings.faultEvery === 0 ? 0 : Math.min(1 / 4, 2 / (settings.faultEvery * settings.perSecond))
  const spoil = (vm: Ids.VmId, calls: ReadonlyArray<Breaking.Call>) =>
    Effect.flatMap(Random.next, (drawn) => {
      if (drawn >= spoiled) return Effect.succeed(false)
      counts.faults++
      return breakage.spoil(`vm-${vm}`, calls)
    })

  const createVm = Effect.gen(function* () {
    const name = `m${++names}`
    const vms = yield* Vms
    const onCrash = (yield* Random.nextBoolean) ? ("restart" as const) : ("leave" as const)
    const autostart = yield* Random.nextBoolean
    const before = model.disturbances
    yield* ask(
      `create VM ${name}`,
      [],
      vms.create({ name, instanceType: type, onCrash, autostart, idempotencyKey: name }),
      (vm) => {
        const made = model.vm(vm)
        if (model.disturbances === before) made.does = "running"
      }
    )
  })
  const createTwice = Effect.gen(function* () {
    const name = `m${++names}`
    const vms = yield* Vms
    const create = vms.create({ name, instanceType: type, idempotencyKey: name })
    const twice = Effect.all([create, create], { concurrency: 2 })
    yield* ask(`create VM ${name} twice`, [], twice, ([one, two]) => {
      if (one.id !== two.id) broken.push(violation("one key makes one VM", `it made VM ${one.id} and VM ${two.id}`))
      model.vm(one)
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
    const volume = yield* usually(model.volumes, ({ vm }) => vm === null)
    const vm = yield* known(model.vms)
    if (volume === undefined || vm === undefined) return
    const volumes = yield* Volumes
    volume.vm = "unsure"
    yield* ask(`attach volume ${volume.id} to VM ${vm.id}`, [volume, vm], volumes.attach(volume.id, vm.id), () => {
      volume.vm = vm.id
    })
  })
  const detach = Effect.gen(function* () {
    const volume = yield* usually(model.volumes, ({ vm }) => vm !== null && vm !== "unsure")
    if (volume === undefined) return
    const volumes = yield* Volumes
    volume.vm = "unsure"
    // at the moment at which that is said
    const isKept = Effect.map(volumes.get(volume.id), ({ state }) => {
      if (state === "available") {
        broken.push(violation("promises are kept", `volume ${volume.id} was said to stay attached and is available`))
      }
    })
    const detached = Effect.tapError(volumes.detach(volume.id), ({ message }) =>
      message.includes("does not let go") ? isKept : Effect.void
    )
    yield* ask(`detach volume ${volume.id}`, [volume], detached, () => {
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

  const destroyVolume = onVolume("destroy", ["here"], "gone", ({ id }) => volumes((it) => it.destroy(id)))

  const actions: ReadonlyArray<
    readonly [
      weight: number,
      action: Effect.Effect<unknown, Violation, Daily.Needs | Images.Needs | Volumes | Operations | Reality | Inventory>
    ]
  > = [
    [20, Effect.if(full(model.vms), { onTrue: () => destroyVm, onFalse: () => createVm })],
    [3, createTwice],
    [6, destroyVm],
    [12, Effect.if(full(model.volumes), { onTrue: () => destroyVolume, onFalse: () => createVolume })],
    [22, attach],
    [18, detach],
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
    [5, destroyVolume],
    [4, onVolume("restore", ["gone"], "here", ({ id }) => volumes((it) => it.restore(id)))],
    [3, onVolume("purge", ["gone"], "gone", ({ id }) => volumes((it) => it.purge(id)))],
    [
      10,
      Effect.gen(function* () {
        const operations = yield* Operations
        const running = yield* Effect.orElseSucceed(operations.list({ ended: false, limit: 50 }), () => [])
        const some = running.filter(({ operation: { kind } }) => undone.includes(kind))
        const one = yield* pick(some.length === 0 || (yield* below(4)) === 0 ? running : some)
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
    ],
    // as often as all else
    ...Daily.make({
      known: (sensible = () => true) => usually(model.vms, sensible),
      ask: (what, vm, effect, after, refused) => ask(what, [vm], effect, after, refused),
      name,
      spoil,
      startOf: (id) => World.startOf(world, id),
      untrue: (what) => void broken.push(violation("promises are kept", what))
    }).map(([weight, action]) => [weight * 2, action] as const),
    ...Images.make({
      type,
      ceph: settings.ceph,
      vm: usually(model.vms, ({ power }) => power === "stopped"),
      image: Effect.suspend(() => known(model.images)),
      images: () => [...model.images.values()].filter(({ fate }) => fate !== "gone").length,
      ask: (what, image, effect, after) => ask(what, image === null ? [] : [image], effect, after),
      name,
      spoil,
      published: (id) => model.image(id),
      unpublished: (name) => void model.unpublished.add(name),
      untrue: (what) => void broken.push(violation("promises are kept", what)),
      made: (vm) => void model.vm(vm)
    })
  ]
  const act = Effect.flatten(weighed(actions))

  const unbroken = Effect.suspend(() => broken[0] ?? Effect.void)

  /** Whether the last of these operations on the VM did not come to its end. */
  const failed = (kind: OperationKind, vmId: Ids.VmId) =>
    Effect.flatMap(Operations, (operations) =>
      Effect.map(
        operations.list({ kind, vmId, limit: 1 }),
        ([last]) => last !== undefined && last.operation.state !== "done"
      )
    )

  /** When all is well again everything has to end, and to be as it was promised. */
  const withinQuota = Effect.gen(function* () {
    const used = yield* Effect.flatMap(Inventory, ({ use }) => Effect.orDie(use(limited)))
    const more = Quota.showExceeded(limited, quotaOf(settings), used)
    if (more !== null) return yield* violation("nobody has more than they may", more)
  })

  const within = <A, E, R>(invariant: Invariant, effect: Effect.Effect<A, E, R>) =>
    effect.pipe(
      Effect.retry(often),
      Effect.catchAllCause((cause) => violation(invariant, `${differenceOf(cause)}${Cause.pretty(cause)}`))
    )

  const agree = Effect.flatMap(Inventory, (inventory) =>
    within(
      "hosts are as the inventory says",
      Effect.sandbox(
        Effect.provideService(Effect.zipRight(World.agree(world), World.told(world)), Inventory, inventory)
      )
    )
  )

  /**
   * The host of the VM, or the pool, refuses one of these calls when this is asked for and nothing else is: what is refused to the client has not been. `again`:
   * a reset that is refused after it was done has begun the guest anew all the same. None: it was done in spite of the refusal.
   */
  const refusing = <A, E extends { readonly message: string }, R>(
    what: string,
    id: Ids.VmId,
    calls: ReadonlyArray<Breaking.Call>,
    asked: Effect.Effect<A, E, R>,
    again: boolean
  ) =>
    Effect.gen(function* () {
      const inventory = yield* Inventory
      const state = Effect.gen(function* () {
        const images = (yield* inventory.allImages).filter((one) => one.state !== "deleted")
        return JSON.stringify([yield* inventory.vmRecord(id), images.map((one) => one.config), World.kept(world)])
      }).pipe(Effect.orDie)
      const before = yield* state
      const start = World.startOf(world, id)
      const effect = yield* breakage.spoil(`vm-${id}`, calls)
      const answer = yield* Effect.either(asked)
      yield* breakage.mend
      const wrong = (how: string) => violation("promises are kept", `${what} VM ${id} at rest, refused, ${how}`)
      if (Either.isRight(answer)) {
        return again && !effect ? yield* wrong("was said to be done") : Option.some(answer.right)
      }
      yield* note(`${what} VM ${id} at rest: ${answer.left.message}`)
      yield* agree
      const now = yield* state
      if (now !== before) return yield* wrong(`left ${now} of ${before}`)
      const anew = World.startOf(world, id) !== start
      if (anew !== (again && effect)) return yield* wrong(anew ? "has begun its guest anew" : "was not even begun")
      return Option.none<A>()
    })

  /** What is always refused would break no promise, and what is refused now and then must break none. */
  const use = Effect.gen(function* () {
    const vm = yield* known(model.vms)
    if (vm === undefined) return
    const power = yield* Power
    const publishing = yield* ImagePublishing
    const intake = yield* ImageIntake
    const possible = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>) =>
      effect.pipe(
        Effect.retry(often),
        Effect.mapError(({ message }) => violation("all can be done when all is well", `with VM ${vm.id}: ${message}`))
      )
    yield* possible(power.powerOff(vm.id))
    const called = name()
    const publish = publishing.publish({ name: called, vm: vm.id })
    const refused = yield* refusing("publish", vm.id, Images.meets(settings.ceph), publish, false)
    // of the same name, which was not taken by what was refused
    const image = Option.isSome(refused) ? refused.value : yield* possible(publish)
    const [untrue] = Images.untrue([image], settings.ceph ? world.disk : null)
    if (untrue !== undefined) return yield* violation("promises are kept", untrue)
    yield* possible(intake.remove(image.id))
    yield* possible(power.start(vm.id))
    yield* refusing("reset", vm.id, [{ on: "host", procedure: "DOMAIN_RESET" }], power.reset(vm.id), true)
    yield* possible(power.reset(vm.id))
    vm.power = "running"
    vm.does = "running"
  })

  const settle = Effect.gen(function* () {
    const inventory = yield* Inventory
    const operations = yield* Operations
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
    yield* within("every operation ends", unfinished)
    // a destroy that a host refused is to be asked for once more, and then has to be done
    const vms = yield* Vms
    const refused = (yield* inventory.vms()).filter(({ state }) => state === "destroying")
    yield* within(
      "every operation ends",
      Effect.forEach(refused, ({ id }) => vms.destroy(id), { discard: true })
    )
    // and so is what a VM was to be told, or to be called, which is wanted from then on
    yield* within(
      "every operation ends",
      Effect.forEach(
        yield* inventory.vms(),
        Effect.fnUntraced(function* ({ autostart, id, name }) {
          if (yield* failed("ConfigureVm", id)) yield* vms.change(id, { name, autostart })
          if (yield* failed("SetCloudInit", id)) {
            const { hostname } = yield* inventory.cloudInit(id)
            yield* vms.setCloudInit(id, hostname === null ? {} : { hostname })
          }
        }),
        { discard: true }
      )
    )
    yield* agree
    const images = yield* inventory.allImages
    const untrue = [
      ...model.settle(
        { vms: yield* inventory.vms(), volumes: yield* inventory.volumes(), images },
        World.hostsOf(world)
      ),
      ...Images.untrue(images, settings.ceph ? world.disk : null)
    ]
    if (untrue.length > 0) return yield* violation("promises are kept", untrue.join("; "))
    yield* use
    yield* unbroken
    counts.settlements++
    counts.checks += model.vms.size + model.volumes.size + model.images.size
    yield* note(`SETTLED ${model.vms.size} VMs, ${model.volumes.size} volumes, ${model.images.size} images`)
    if (settings.sampleEvery > 0 && counts.settlements % settings.sampleEvery === 0) samples.push(Flat.measure())
  })

  /** Faults go on whatever becomes of the controller. */
  const breaking = yield* FiberSet.make()
  const breakThings =
    settings.faultEvery === 0
      ? Effect.never
      : Effect.forever(
          Effect.gen(function* () {
            yield* Effect.sleep(yield* interval(settings.faultEvery))
            counts.faults++
            yield* FiberSet.run(breaking, yield* breakage.draw)
          })
        )

  /** when it is time to mend all and to settle; null: not all requests have been made that have to be before */
  let mendAt: number | null = null

  /** One life of the controller: requests arrive until it is killed, or until it is time to settle. */
  const live = Effect.gen(function* () {
    counts.lives++
    const until = Math.min(settings.operations, (counts.settlements + 1) * settings.settleEvery)
    const clients = yield* FiberSet.make<unknown, Violation>()
    const arriving = Effect.gen(function* () {
      while (counts.requests < until) {
        counts.requests++
        const owner = counts.requests % 2 === 0 ? limited : null
        const asked = Effect.zipRight(Effect.provideService(act, Asker, owner), withinQuota)
        yield* FiberSet.run(clients, asked)
        yield* Effect.sleep(yield* interval(1 / settings.perSecond))
      }
      const now = yield* Clock.currentTimeMillis
      mendAt ??= now + Duration.toMillis(yield* interval(afterLast))
      yield* Effect.sleep(Math.max(0, mendAt - now))
      mendAt = null
    })
    const ended = yield* Effect.raceFirst(
      Effect.raceFirst(Effect.as(arriving, "left alone" as const), Effect.as(breakage.dying, "KILLED" as const)),
      Effect.raceFirst(breakThings, Effect.zipRight(FiberSet.join(clients), Effect.never))
    )
    yield* note(`the controller is ${ended}`)
    if (ended === "KILLED") return
    yield* FiberSet.clear(breaking)
    yield* breakage.mend
    yield* Effect.raceFirst(FiberSet.awaitEmpty(clients), FiberSet.join(clients)).pipe(
      Effect.timeoutFail({
        duration: patience,
        onTimeout: () => violation("every request ends", `some wait for ${patience}`)
      })
    )
    yield* settle
  }).pipe(
    Effect.scoped,
    Effect.provide(life),
    Effect.catchTags({ FleetConflict: Effect.die, PersistenceError: Effect.die })
  )

  yield* breakage.mend
  while (counts.requests < settings.operations || counts.settlements * settings.settleEvery < settings.operations) {
    yield* live
    yield* unbroken
  }
  const grown = Flat.grown(samples)
  if (grown !== null) return yield* violation("nothing grows", grown)
  const virtual = ((yield* Clock.currentTimeMillis) - began) / 1000
  return { ...counts, virtual, samples } satisfies Report
}, Effect.scoped)

/** In virtual time, by the settings' seed. */
export const virtually = (settings: Settings, log: (line: string) => void) =>
  Virtual.run(settings.seed, run(settings, log))
