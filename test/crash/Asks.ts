/**
 * How each kind of operation is asked of the program by its API, again and again, each of a VM and a volume of its own: so that one of every kind can
 * be under way at the same time.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Client } from "../../src/client/index.ts"
import * as Ids from "../../src/domain/Ids.ts"
import type { OperationKind } from "../../src/domain/Operation.ts"
import type { Vm } from "../../src/domain/Vm.ts"
import type { Snapshot, Volume } from "../../src/domain/Volume.ts"

/** The operation that was begun; nothing when there was nothing to do. */
type Begun = { readonly id: Ids.OperationId } | void

/** Somebody who asks, in one life of the program. */
export interface At {
  readonly client: Client.Client["Type"]
  /** a number of its own */
  readonly life: number
  /** its kind's own, if it has one */
  readonly vm: Vm
  readonly volume: Volume
  readonly snapshots: ReadonlyArray<Snapshot>
  /** What the host has of a VM's domain dies. */
  readonly crash: (vm: Ids.VmId) => Effect.Effect<void>
  /** Takes what the host has of a VM's domain as it is now, and gives what brings its definition back. */
  readonly keep: (vm: Ids.VmId) => Effect.Effect<Effect.Effect<unknown, unknown>, unknown>
}

export class NotDone extends Data.TaggedError("NotDone")<{ readonly message: string }> {}

/** Waits for its end. */
export const done = <E, R>(client: At["client"], asked: Effect.Effect<Begun, E, R>) =>
  Effect.flatMap(asked, (begun) =>
    begun === undefined
      ? Effect.succeed(null)
      : client.operations.getOperation({ path: { id: begun.id } }).pipe(
          Effect.filterOrFail(
            ({ endedAt }) => endedAt !== null,
            ({ kind, progress, state }) =>
              new NotDone({
                message: `${kind} is ${state} at ${progress?.step ?? "no step"}, ${progress?.waiting ?? "and does not wait"}`
              })
          ),
          Effect.retry({
            while: ({ _tag }) => _tag === "NotDone",
            schedule: Schedule.spaced("100 millis").pipe(Schedule.upTo("2 minutes"))
          }),
          Effect.filterOrFail(
            ({ state }) => state === "done",
            ({ error, kind }) => new NotDone({ message: `${kind} is not done: ${error ?? "no reason"}` })
          )
        )
  )

type Of = "vm" | "volume" | "both" | "nothing"

export interface Ask {
  /** what it has of its own */
  readonly of: Of
  /** Brings about what it needs; what it gives, asks. */
  readonly ready: (at: At) => Effect.Effect<Effect.Effect<unknown, unknown>, unknown>
  /** whether its VM is off from the beginning */
  readonly off?: true
}

/** It needs nothing. */
const always = (of: Of, ask: (at: At) => Effect.Effect<unknown, unknown>): Ask => ({
  of,
  ready: (at) => Effect.succeed(ask(at))
})

/** `first` is asked for before, unless there is no need. */
const after = (
  of: Of,
  needed: (at: At) => boolean,
  first: (at: At) => Effect.Effect<Begun, unknown>,
  ask: (at: At) => Effect.Effect<unknown, unknown>
): Ask => ({
  of,
  ready: (at) =>
    Effect.as(
      Effect.when(done(at.client, first(at)), () => needed(at)),
      ask(at)
    )
})

const byVm = ({ vm }: At) => ({ path: { id: vm.id } })
const byVolume = ({ volume }: At) => ({ path: { id: volume.id } })
const is =
  (...states: ReadonlyArray<string>) =>
  ({ vm }: At) =>
    states.includes(vm.state)
const volumeIs =
  (...states: ReadonlyArray<string>) =>
  ({ volume }: At) =>
    states.includes(volume.state)

const smallest = Ids.InstanceTypeId.make(1)
const larger = Ids.InstanceTypeId.make(2)
const within = { payload: { within: 5 } }

const start = (at: At) => at.client.vms.startVm(byVm(at))
const powerOff = (at: At) => at.client.vms.powerOffVm(byVm(at))
const pause = (at: At) => at.client.vms.pauseVm(byVm(at))
const resume = (at: At) => at.client.vms.resumeVm(byVm(at))
const createVm = ({ client }: At, name: string) => client.vms.createVm({ payload: { name, instanceType: smallest } })
const createVolume = ({ client }: At, name: string) => client.volumes.createVolume({ payload: { name, size: 1 } })
const destroyVolume = (at: At) => at.client.volumes.destroyVolume(byVolume(at))
const attach = (at: At) => at.client.volumes.attachVolume({ ...byVolume(at), payload: { vm: at.vm.id } })
const detach = (at: At) => at.client.volumes.detachVolume(byVolume(at))
const snapshot = (at: At) =>
  at.client.volumes.createSnapshot({ ...byVolume(at), payload: { name: `snapshot-${at.life}` } })

const number = <A>(id: A | null | undefined, of: string) =>
  id === null || id === undefined ? Effect.fail(new NotDone({ message: `there is no ${of}` })) : Effect.succeed(id)

/** A kind of operation that nobody can ask for here does not compile. */
export const asks: Readonly<Record<OperationKind, Ask>> = {
  CreateVm: always("nothing", (at) => createVm(at, `born-${at.life}`)),
  DestroyVm: {
    of: "volume",
    ready: (at) =>
      Effect.gen(function* () {
        const { client, life } = at
        const made = yield* done(client, createVm(at, `doomed-${life}`))
        const id = yield* number(made?.vmId, "VM to destroy")
        // one that has a volume
        yield* done(client, client.volumes.attachVolume({ ...byVolume(at), payload: { vm: id } }))
        return client.vms.destroyVm({ path: { id } })
      })
  },
  // somebody brings back the definition of one that was destroyed
  CleanVm: {
    of: "nothing",
    ready: (at) =>
      Effect.gen(function* () {
        const made = yield* done(at.client, createVm(at, `left-${at.life}`))
        const id = yield* number(made?.vmId, "VM to destroy")
        const back = yield* at.keep(id)
        yield* done(at.client, at.client.vms.destroyVm({ path: { id } }))
        return back
      })
  },
  StartVm: after("vm", is("running"), powerOff, start),
  ShutDownVm: after("vm", is("stopped"), start, (at) => at.client.vms.shutDownVm({ ...byVm(at), ...within })),
  PowerOffVm: after("vm", is("stopped"), start, powerOff),
  RebootVm: always("vm", (at) => at.client.vms.rebootVm({ ...byVm(at), ...within })),
  ResetVm: always("vm", (at) => at.client.vms.resetVm(byVm(at))),
  PauseVm: after("vm", is("paused"), resume, pause),
  ResumeVm: after("vm", is("running"), pause, resume),
  ConfigureVm: always("vm", (at) =>
    at.client.vms.changeVm({ ...byVm(at), payload: { name: `called-${at.life}`, autostart: at.life % 2 === 0 } })
  ),
  ResizeVm: {
    ...always("vm", (at) =>
      at.client.vms.resizeVm({
        ...byVm(at),
        payload: { instanceType: at.vm.instanceType === smallest ? larger : smallest }
      })
    ),
    off: true
  },
  RepairVm: {
    of: "vm",
    ready: (at) => Effect.as(at.crash(at.vm.id), at.client.vms.repairVm(byVm(at)))
  },
  AttachNic: {
    of: "vm",
    ready: (at) =>
      Effect.gen(function* () {
        // a few are the most
        for (const { id } of at.vm.nics.slice(1)) {
          yield* done(at.client, at.client.nics.removeNic({ path: { id: at.vm.id, nic: id } }))
        }
        return at.client.nics.addNic({ ...byVm(at), payload: {} })
      })
  },
  DetachNic: {
    of: "vm",
    ready: (at) =>
      Effect.gen(function* () {
        const [first] = at.vm.nics
        if (first !== undefined) return at.client.nics.removeNic({ path: { id: at.vm.id, nic: first.id } })
        yield* done(at.client, at.client.nics.addNic({ ...byVm(at), payload: {} }))
        const { nics } = yield* at.client.vms.getVm(byVm(at))
        const nic = yield* number(nics[0]?.id, "NIC")
        return at.client.nics.removeNic({ path: { id: at.vm.id, nic } })
      })
  },
  SetNicLink: {
    of: "vm",
    ready: (at) =>
      Effect.map(number(at.vm.nics[0], "NIC"), ({ id, link }) =>
        at.client.nics.changeNic({
          path: { id: at.vm.id, nic: id },
          payload: { link: link === "up" ? "down" : "up" }
        })
      )
  },
  SetCloudInit: always("vm", (at) =>
    at.client.vms.changeCloudInit({ ...byVm(at), payload: { hostname: `told-${at.life}` } })
  ),
  CreateVolume: always("nothing", (at) => createVolume(at, `born-${at.life}`)),
  DestroyVolume: after(
    "volume",
    volumeIs("deleted"),
    (at) => at.client.volumes.restoreVolume(byVolume(at)),
    destroyVolume
  ),
  RestoreVolume: after("volume", volumeIs("available"), destroyVolume, (at) =>
    at.client.volumes.restoreVolume(byVolume(at))
  ),
  PurgeVolume: {
    of: "nothing",
    ready: (at) =>
      Effect.gen(function* () {
        const { client, life } = at
        const made = yield* done(client, createVolume(at, `doomed-${life}`))
        const path = { id: yield* number(made?.volumeId, "volume to purge") }
        yield* done(client, client.volumes.destroyVolume({ path }))
        return client.volumes.purgeVolume({ path })
      })
  },
  AttachVolume: after("both", volumeIs("attached"), detach, attach),
  DetachVolume: after("both", volumeIs("available"), attach, detach),
  GrowVolume: always("volume", (at) =>
    at.client.volumes.changeVolume({ ...byVolume(at), payload: { size: at.volume.size + 1 } })
  ),
  RenameVolume: always("volume", (at) =>
    at.client.volumes.changeVolume({ ...byVolume(at), payload: { name: `called-${at.life}` } })
  ),
  RevertVolume: {
    of: "volume",
    ready: (at) =>
      Effect.gen(function* () {
        if (at.snapshots.length === 0) yield* done(at.client, snapshot(at))
        const { items } = yield* at.client.volumes.listSnapshots(byVolume(at))
        const id = yield* number(items[0]?.id, "snapshot")
        return at.client.snapshots.revertToSnapshot({ path: { id } })
      })
  },
  CreateSnapshot: always("volume", snapshot),
  DestroySnapshot: {
    of: "volume",
    ready: (at) =>
      Effect.gen(function* () {
        yield* done(at.client, snapshot(at))
        const { items } = yield* at.client.volumes.listSnapshots(byVolume(at))
        const id = yield* number(items.at(-1)?.id, "snapshot")
        return at.client.snapshots.destroySnapshot({ path: { id } })
      })
  },
  PublishVm: {
    ...always("vm", (at) => at.client.images.publishImage({ payload: { name: `vm-${at.life}`, vm: at.vm.id } })),
    off: true
  },
  PublishVolume: always("volume", (at) =>
    at.client.images.publishImage({ payload: { name: `volume-${at.life}`, volume: at.volume.id } })
  )
}
