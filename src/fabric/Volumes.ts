/**
 * What can be done with volumes and their snapshots.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Errors from "../domain/Errors.ts"
import type { SnapshotId, VmId, VolumeId } from "../domain/Ids.ts"
import * as Resources from "../domain/Resources.ts"
import { type Snapshot, type Volume, VolumeName, VolumeSize } from "../domain/Volume.ts"
import { HostMonitor } from "../services/HostMonitor.ts"
import {
  type HostUsage,
  Inventory,
  type RequestKey,
  type Source,
  type VolumeChanged,
  type VolumeView
} from "../services/Inventory.ts"
import { Operations } from "../services/Operations.ts"
import { Storage } from "../services/Storage.ts"
import { Asker } from "./Asker.ts"
import * as Begun from "./Begun.ts"
import * as Candidates from "./Candidates.ts"
import * as Facts from "./Facts.ts"
import * as Intent from "./Intent.ts"
import * as Keys from "./Keys.ts"
import { Pools } from "./Pools.ts"
import * as Placing from "./Placing.ts"
import * as Queue from "./Queue.ts"
import type * as Revision from "./Revision.ts"
import * as Rules from "./VolumeRules.ts"

/**
 * `size` in GiB. With `source` the volume has that snapshot's content, and `size` may be absent: as large as the snapshot. With
 * `idempotencyKey` repeating the request is harmless: it is the same volume that is waited for, or the same failure.
 *
 * @since 0.2.0 @category models
 */
export interface CreateVolume {
  readonly name: string
  readonly size?: number
  readonly source?: SnapshotId
  readonly idempotencyKey?: string
}

/** What everything that changes a volume can fail with. @since 0.2.0 @category errors */
export type ChangeError =
  Errors.VolumeNotFound | Errors.VolumeConflict | Errors.OperationFailed | Errors.PersistenceError

/** What growing one can fail with besides. @since 0.9.0 @category errors */
export type GrowError = Errors.InvalidArgument | Errors.PoolFull | Errors.QuotaExceeded | Errors.StorageError

/** @since 0.2.0 @category errors */
export type CreateError =
  | Errors.InvalidArgument
  | Errors.SnapshotNotFound
  | Errors.VolumeConflict
  | Errors.NoFeasibleHost
  | Errors.PoolFull
  | Errors.QuotaExceeded
  | Errors.KeyReused
  | Errors.StorageError
  | Errors.OperationFailed
  | Errors.PersistenceError

/**
 * Each waits until it is done; interrupting the wait does not interrupt what was begun. What else is being done with the same volume or VM
 * is waited for first.
 *
 * @since 0.2.0 @category services
 */
export class Volumes extends Context.Tag("vmfabric/Volumes")<
  Volumes,
  {
    /** It is whoever's asks. */
    readonly create: (request: CreateVolume) => Effect.Effect<Volume, CreateError>
    /** One that was destroyed is told too, as long as its id is known. */
    readonly get: (id: VolumeId) => Effect.Effect<Volume, Errors.VolumeNotFound | Errors.PersistenceError>
    /** By id, those in the trash too. */
    readonly list: (filter?: { readonly vm?: VmId }) => Effect.Effect<ReadonlyArray<Volume>, Errors.PersistenceError>
    readonly page: Inventory["Type"]["volumePage"]
    /**
     * Into the trash, from where it can be had back until the undo window has passed. Refused while it is attached, or while volumes are
     * clones of its snapshots. Repeating it is fine. `HasChanged`: its revision is not the expected one.
     */
    readonly destroy: (id: VolumeId, expect?: Revision.Expect) => Effect.Effect<void, ChangeError | Errors.HasChanged>
    /** Back from the trash. One that is not there is left as it is. `HasChanged`: its revision is not the expected one. */
    readonly restore: (id: VolumeId, expect?: Revision.Expect) => Effect.Effect<Volume, ChangeError | Errors.HasChanged>
    /** Out of the trash for good, without waiting for the window to pass. `HasChanged`: its revision is not the expected one. */
    readonly purge: (id: VolumeId, expect?: Revision.Expect) => Effect.Effect<void, ChangeError | Errors.HasChanged>
    /**
     * To a VM, running or not; the guest finds it by its serial. Attached to that VM already is fine, to another is refused. A volume that
     * is kept on a host, empty and without snapshots, goes along to the VM's host; one that has been used or is a clone stays. `HasChanged`: the
     * volume's revision is not the expected one.
     */
    readonly attach: (
      id: VolumeId,
      vmId: VmId,
      expect?: Revision.Expect
    ) => Effect.Effect<Volume, ChangeError | Errors.HasChanged | Errors.VmNotFound | Errors.PoolFull>
    /**
     * Waits until the guest lets go; when it does not in time, the volume stays attached, and the failure says so. `HasChanged`: its revision is not the
     * expected one.
     */
    readonly detach: (id: VolumeId, expect?: Revision.Expect) => Effect.Effect<void, ChangeError | Errors.HasChanged>
    /** To `size` GiB, which its owner's quota has to have room for. A guest that has it sees the new size. Never smaller. */
    readonly grow: (id: VolumeId, size: number) => Effect.Effect<Volume, ChangeError | GrowError>
    readonly rename: (id: VolumeId, name: string) => Effect.Effect<Volume, ChangeError | Errors.InvalidArgument>
    /** Grows it, then renames it; what is absent stays. `HasChanged`: its revision is not the expected one. */
    readonly edit: (
      id: VolumeId,
      change: { readonly name?: string; readonly size?: number },
      expect?: Revision.Expect
    ) => Effect.Effect<Volume, ChangeError | Errors.HasChanged | GrowError>

    /**
     * The content at this moment: as after a power cut where a guest is writing. With a key repeating the request is harmless: it is the same
     * snapshot that is waited for, or the same failure. `HasChanged`: the volume's revision is not the expected one.
     */
    readonly snapshot: (
      id: VolumeId,
      name: string,
      idempotencyKey?: string,
      expect?: Revision.Expect
    ) => Effect.Effect<Snapshot, ChangeError | Errors.HasChanged | Errors.InvalidArgument | Errors.KeyReused>
    readonly getSnapshot: (id: SnapshotId) => Effect.Effect<Snapshot, Errors.SnapshotNotFound | Errors.PersistenceError>
    readonly snapshots: (
      id: VolumeId
    ) => Effect.Effect<ReadonlyArray<Snapshot>, Errors.VolumeNotFound | Errors.PersistenceError>
    /** Refused while volumes are clones of it. `HasChanged`: its revision is not the expected one. */
    readonly destroySnapshot: (
      id: SnapshotId,
      expect?: Revision.Expect
    ) => Effect.Effect<void, ChangeError | Errors.HasChanged | Errors.SnapshotNotFound>
    /** Content and size become the snapshot's. Refused while a running VM has the volume. `HasChanged`: the snapshot's revision is not the expected one. */
    readonly revert: (
      id: SnapshotId,
      expect?: Revision.Expect
    ) => Effect.Effect<
      Volume,
      ChangeError | Errors.HasChanged | Errors.SnapshotNotFound | Errors.PoolFull | Errors.QuotaExceeded
    >
  }
>() {}

const isName: (name: string) => boolean = Schema.is(VolumeName)
const isSize: (size: number) => boolean = Schema.is(VolumeSize)

/** `undoWindow`: seconds for which a destroyed volume can be had back; 0: not at all. @since 0.2.0 @category layers */
export const layer = (options: { readonly undoWindow: number }) =>
  Layer.effect(
    Volumes,
    Effect.gen(function* () {
      const inventory = yield* Inventory
      const placing = yield* Placing.make
      const monitor = yield* HostMonitor
      const operations = yield* Operations
      const storage = yield* Storage
      const pools = yield* Pools
      const queue = yield* Queue.Queue
      const candidatesOf = Candidates.make()

      const checkName = (name: string) =>
        isName(name)
          ? Effect.void
          : new Errors.InvalidArgument({
              field: "name",
              problem: name === "" ? "is empty" : "is not a name",
              expected: "1 to 255 characters without control characters, and no blanks at the ends"
            })

      const checkSize = (size: number) =>
        isSize(size)
          ? Effect.void
          : new Errors.InvalidArgument({
              field: "size",
              problem: `is ${size}`,
              expected: "a whole number of GiB from 1 to 65536"
            })

      /** Decided and started as one, when it is the volume's turn, and driven to its end. Gives what the change made. */
      const changeWith = (id: VolumeId, vmId: VmId | null, rule: Rules.Rule, key?: RequestKey) =>
        Effect.gen(function* () {
          const intent = yield* Intent.Intent
          let seen: VolumeView | undefined
          const decide = (view: VolumeView) =>
            Effect.zipRight(
              intent.depends(() => {
                seen = view
                const { snapshots, vm, volume } = view
                return {
                  ...Facts.ofVolume(volume),
                  ...Facts.ofSnapshots(volume, snapshots),
                  ...(vm === null ? {} : Facts.ofVm(vm))
                }
              }),
              rule(view)
            )
          const confirm = (changed: VolumeChanged) =>
            Effect.zipRight(
              intent.depends(() => ({ "place in the VM": changed.volume.target ?? "none" })),
              intent.confirm(() => madeOf(seen, changed))
            )
          const begun = yield* queue.whenFree(
            { volumeId: id, vmId },
            inventory.changeVolume(id, vmId, decide, key, confirm).pipe(
              Effect.tap(({ operation }) => (operation === null ? Effect.void : Begun.start(operations, operation))),
              Effect.uninterruptible
            )
          )
          if (begun.operation !== null) yield* operations.await(begun.operation.id)
          return begun
        })

      /** What was written, for whoever plans. */
      const madeOf = (view: VolumeView | undefined, { operation, snapshot, volume }: VolumeChanged): Intent.Made => ({
        operation,
        // destroyed without a window, it does not stay in the trash
        ...(operation?.kind === "DestroyVolume" && options.undoWindow === 0 ? { follows: ["PurgeVolume"] } : {}),
        volume: { before: view?.volume ?? volume, after: volume },
        snapshot: snapshot ?? view?.snapshots.find((one) => one.snapshot.id === operation?.snapshotId)?.snapshot ?? null
      })

      /** The same where there is no key. */
      const change = (id: VolumeId, vmId: VmId | null, rule: Rules.Rule) =>
        Effect.catchTag(changeWith(id, vmId, rule), "KeyReused", Effect.die)

      /** For what needs no VM and no more room: those refusals cannot come. */
      const ofSnapshot = (id: VolumeId, rule: Rules.Rule, key?: RequestKey) =>
        Effect.catchTag(changeWith(id, null, rule, key), "VmNotFound", "PoolFull", "QuotaExceeded", Effect.die)

      /** The same for what is about no snapshot that is there already. */
      const inPlace = (id: VolumeId, rule: Rules.Rule) =>
        Effect.catchTag(
          change(id, null, rule),
          "VmNotFound",
          "PoolFull",
          "QuotaExceeded",
          "SnapshotNotFound",
          Effect.die
        )

      /** Whether its snapshots are copies, as are clones of those, which need them no more. */
      const hasCopies = (volume: Volume) => storage.driver(volume.driver).pool === null

      /** On which host a new volume is kept; a clone where its snapshot is. */
      const chooseHost = (name: string, size: number) =>
        Effect.fnUntraced(function* (usage: ReadonlyArray<HostUsage>, source: Source | null) {
          const intent = yield* Intent.Intent
          const statuses = yield* monitor.statuses
          const elsewhere =
            source === null
              ? []
              : usage.filter(({ host }) => host.id !== source.volume.hostId).map(({ host }) => host.id)
          return yield* intent
            .choose(
              { what: "volume", name },
              {
                resources: { ...Resources.zero, disk: size },
                exclude: new Map(elsewhere.map((id) => [id, "the snapshot is on another host"]))
              },
              candidatesOf(usage, statuses),
              placing.place([])
            )
            .pipe(
              Effect.mapError(
                ({ refusals, why }) =>
                  new Errors.NoFeasibleHost({ refusals, what: "volume", ...(why === undefined ? {} : { why }) })
              )
            )
        })

      const create = Effect.fn("Volumes.create")(function* (request: CreateVolume) {
        yield* checkName(request.name)
        const said = ["volume", request.name, request.size ?? null, request.source ?? null]
        const key = yield* Effect.flatMap(Keys.make(request.idempotencyKey, said), (key) =>
          Keys.unlessPlanned(inventory, key)
        )
        const from = request.source === undefined ? null : yield* inventory.snapshot(request.source)
        const size = request.size ?? from?.size
        if (size === undefined) {
          return yield* new Errors.InvalidArgument({ field: "size", problem: "is missing", expected: "size=…, in GiB" })
        }
        yield* checkSize(size)
        if (from !== null && size < from.size) {
          return yield* new Errors.InvalidArgument({
            field: "size",
            problem: `is ${size}, less than the snapshot has`,
            expected: `${from.size} GiB or more`
          })
        }
        // a clone is kept where its snapshot is
        const driver =
          from === null
            ? storage.preferred
            : yield* inventory.volumeRecord(from.volumeId).pipe(
                Effect.orDie,
                Effect.map((volume) => storage.driver(volume.driver))
              )
        if (driver.pool === null) yield* Effect.timeoutOption(monitor.settled, patience)
        else yield* pools.refresh
        const intent = yield* Intent.Intent
        const disk = { driver: driver.name, pool: driver.pool }
        const owner = yield* Asker
        const admitted = yield* inventory
          .admitVolume(
            { ...Keys.field(key), name: request.name, size, disk, sourceId: request.source ?? null, owner },
            Effect.fnUntraced(function* (usage, source) {
              yield* intent.depends(() => ({
                ...Facts.ofStorage(disk),
                ...(source === null ? {} : Facts.ofSource(source.snapshot, source.volume))
              }))
              if (source !== null) yield* Rules.clone(source)
              return driver.pool === null ? yield* chooseHost(request.name, size)(usage, source) : null
            }),
            ({ operation, volume }) => intent.confirm(() => ({ operation, volume: { before: null, after: volume } }))
          )
          .pipe(
            Effect.tap(({ operation }) => Begun.start(operations, operation)),
            Effect.uninterruptible
          )
        yield* Effect.annotateCurrentSpan({ volumeId: admitted.volume.id })
        yield* operations.await(admitted.operation.id)
        return yield* Effect.orDie(inventory.volumeRecord(admitted.volume.id))
      })

      const purge = (id: VolumeId, expect?: Revision.Expect) =>
        Effect.asVoid(inPlace(id, Rules.expecting(expect, Rules.purge)))

      const get = (id: VolumeId) => inventory.volume(id)

      return Volumes.of({
        create,
        get,
        list: inventory.volumes,
        page: inventory.volumePage,
        destroy: Effect.fn("Volumes.destroy")(function* (id, expect) {
          const volume = yield* get(id)
          const rule = Rules.expecting(expect, Rules.destroy(options.undoWindow, hasCopies(volume)))
          const begun = yield* Effect.catchTag(ofSnapshot(id, rule), "SnapshotNotFound", "KeyReused", Effect.die)
          if (begun.operation !== null && options.undoWindow === 0) yield* purge(id)
        }),
        restore: Effect.fn("Volumes.restore")((id, expect) =>
          Effect.zipRight(inPlace(id, Rules.expecting(expect, Rules.restore)), get(id))
        ),
        purge: Effect.fn("Volumes.purge")(purge),
        attach: Effect.fn("Volumes.attach")((id, vmId, expect) =>
          Effect.zipRight(
            Effect.catchTag(
              change(id, vmId, Rules.expecting(expect, Rules.attach)),
              "SnapshotNotFound",
              "QuotaExceeded",
              Effect.die
            ),
            get(id)
          )
        ),
        detach: Effect.fn("Volumes.detach")((id, expect) =>
          Effect.asVoid(inPlace(id, Rules.expecting(expect, Rules.detach)))
        ),
        grow: Effect.fn("Volumes.grow")(function* (id, size) {
          yield* checkSize(size)
          const volume = yield* get(id)
          if (!hasCopies(volume)) yield* pools.refresh
          yield* Effect.catchTag(
            change(id, null, Rules.grow(size)),
            "VmNotFound",
            "SnapshotNotFound",
            "HasChanged",
            Effect.die
          )
          return yield* get(id)
        }),
        rename: Effect.fn("Volumes.rename")(function* (id, name) {
          yield* checkName(name)
          yield* Effect.catchTag(inPlace(id, Rules.rename(name)), "HasChanged", Effect.die)
          return yield* get(id)
        }),
        edit: Effect.fn("Volumes.edit")(function* (id, { name, size }, expect) {
          if (name !== undefined) yield* checkName(name)
          if (size !== undefined) yield* checkSize(size)
          const volume = yield* get(id)
          const apply = (rule: Rules.Rule) =>
            Effect.catchTag(changeWith(id, null, rule), "VmNotFound", "SnapshotNotFound", "KeyReused", Effect.die)
          let expected = expect
          const grow = (size: number) =>
            Effect.gen(function* () {
              if (!hasCopies(volume)) yield* pools.refresh
              const { operation } = yield* apply(Rules.expecting(expected, Rules.grow(size)))
              // it is our own change that has made it another
              if (operation !== null) expected = undefined
            })
          const rename = (name: string) =>
            Effect.asVoid(Effect.suspend(() => apply(Rules.expecting(expected, Rules.rename(name)))))
          const { inSequence } = yield* Intent.Intent
          yield* inSequence([
            ...(size === undefined ? [] : [grow(size)]),
            ...(name === undefined ? [] : [rename(name)])
          ])
          return yield* get(id)
        }),
        getSnapshot: inventory.snapshot,
        snapshot: Effect.fn("Volumes.snapshot")(function* (id, name, idempotencyKey, expect) {
          yield* checkName(name)
          const key = yield* Effect.flatMap(Keys.make(idempotencyKey, ["snapshot", id, name]), (key) =>
            Keys.unlessPlanned(inventory, key)
          )
          const seen = yield* inventory.seen
          const rule: Rules.Rule = (view) => Rules.snapshot(name, hasCopies(view.volume), seen)(view)
          const { snapshot } = yield* Effect.catchTag(
            ofSnapshot(id, Rules.expecting(expect, rule), key),
            "SnapshotNotFound",
            Effect.die
          )
          if (snapshot === null) return yield* Effect.dieMessage(`no snapshot of volume ${id} was written`)
          return yield* Effect.orDie(inventory.snapshotRecord(snapshot.id))
        }),
        snapshots: (id) => Effect.zipRight(get(id), inventory.snapshots(id)),
        destroySnapshot: Effect.fn("Volumes.destroySnapshot")(function* (id, expect) {
          const { volumeId } = yield* inventory.snapshot(id)
          const volume = yield* get(volumeId)
          const rule = Rules.expecting(expect, Rules.destroySnapshot(id, hasCopies(volume)), id)
          yield* Effect.catchTag(ofSnapshot(volumeId, rule), "KeyReused", Effect.die)
        }),
        revert: Effect.fn("Volumes.revert")(function* (id, expect) {
          const { volumeId } = yield* inventory.snapshot(id)
          const seen = yield* inventory.seen
          const rule = Rules.expecting(expect, Rules.revert(id, seen), id)
          yield* Effect.catchTag(change(volumeId, null, rule), "VmNotFound", Effect.die)
          return yield* get(volumeId)
        })
      })
    })
  ).pipe(Layer.provide(Queue.layer))

/** How long a creation waits for hosts that nobody has tried yet. */
const patience = "10 seconds"
