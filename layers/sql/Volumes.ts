/**
 * Volumes, their snapshots and what is promised to them. All of it runs in the caller's transaction.
 *
 * @since 0.2.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Errors from "../../src/domain/Errors.ts"
import type { HostId, SnapshotId, VmId, VolumeId } from "../../src/domain/Ids.ts"
import { limitOf } from "../../src/domain/Pool.ts"
import * as Quota from "../../src/domain/Quota.ts"
import type { Vm } from "../../src/domain/Vm.ts"
import type { Volume } from "../../src/domain/Volume.ts"
import type {
  AdmitVolume,
  HostUsage,
  PoolReport,
  Source,
  VolumeChange,
  VolumeChanged,
  VolumeView
} from "../../src/services/Inventory.ts"
import * as Operations from "./Operations.ts"
import type { Quotas } from "./Quotas.ts"
import * as Rows from "./Rows.ts"

const gibibyte = 1024 ** 3

/** A pool with less than this share left is taken for full: Ceph stops all writing at 95 % of any disk. */
const reserve = 0.05

/** What the statements here need of the rest of the inventory. @since 0.2.0 @category models */
export interface Surroundings {
  readonly usage: (id: HostId) => Effect.Effect<ReadonlyArray<HostUsage>, SqlError>
  readonly operations: Operations.Operations
  readonly quotas: Quotas
  readonly vm: (id: VmId) => Effect.Effect<Vm, SqlError | Errors.VmNotFound>
}

/** @since 0.2.0 @category constructors */
export const make = (sql: SqlClient.SqlClient, around: Surroundings) => {
  const columns = sql.literal(
    "id, name, size, driver, host_id, state, vm_id, target, source_id, pristine, release_asked, purge_at, owner"
  )
  const snapshotColumns = sql.literal("id, volume_id, name, size, state, created_at")
  const live = sql.literal("state not in ('purged', 'failed')")
  const snapshotLive = sql.literal("state not in ('destroyed', 'failed')")

  const find = (id: VolumeId) =>
    Effect.flatMap(sql<Rows.Row>`select ${columns} from volumes where id = ${id}`, ([row]) =>
      row === undefined ? new Errors.VolumeNotFound({ volumeId: id }) : Rows.volumes.one(row)
    )

  const snapshotsOf = (id: VolumeId) =>
    Effect.flatMap(
      sql<Rows.Row>`select ${snapshotColumns} from snapshots where volume_id = ${id} and ${snapshotLive} order by id`,
      Rows.snapshots.all
    )

  const findSnapshot = (id: SnapshotId) =>
    Effect.flatMap(sql<Rows.Row>`select ${snapshotColumns} from snapshots where id = ${id}`, ([row]) =>
      row === undefined ? new Errors.SnapshotNotFound({ snapshotId: id }) : Rows.snapshots.one(row)
    )

  const withVm = (vmId: VmId) =>
    Effect.flatMap(sql<Rows.Row>`select ${columns} from volumes where vm_id = ${vmId} order by id`, Rows.volumes.all)

  // ---------------------------------------------------------------------------------------------------- what is promised

  const pools = Effect.gen(function* () {
    const known = yield* Effect.flatMap(
      sql<Rows.Row>`select name, driver, capacity, used, available, overcommit from pools order by name`,
      Rows.pools.all
    )
    return yield* Effect.forEach(known, (pool) =>
      Effect.gen(function* () {
        const rows = yield* sql<Rows.Row>`select
          (select coalesce(sum(promised), 0) from volumes where pool = ${pool.name} and ${live}) +
          (select coalesce(sum(disk), 0) from vms where pool = ${pool.name} and state not in ('destroyed', 'failed')) as sum`
        const { sum } = yield* Rows.sums.one(yield* Rows.only(rows, "there is no sum"))
        return { pool, promised: sum } satisfies PoolReport
      })
    )
  })

  /** Fails when the pool, as it is after `wanted` GiB have been written down and with `besides` GiB more, is promised beyond its limit or cannot take more. */
  const checkPool = Effect.fnUntraced(function* (name: string, wanted: number, besides = 0) {
    const report = (yield* pools).find(({ pool }) => pool.name === name)
    // nobody could look at it yet: then it is not known to be full either
    if (report === undefined) return
    const { available, capacity } = report.pool
    const limit = limitOf(report.pool)
    if (report.promised + besides <= limit && available > capacity * reserve) return
    return yield* new Errors.PoolFull({
      pool: name,
      wanted,
      promised: report.promised + besides - wanted,
      limit,
      available: Math.floor((available / gibibyte) * 10) / 10
    })
  })

  /** The same for a host's own disk. */
  const checkHost = Effect.fnUntraced(function* (id: VolumeId, name: string, hostId: HostId, wanted: number) {
    const [usage] = yield* around.usage(hostId)
    const capacity = usage?.host.capacity
    if (usage === undefined || capacity === undefined || capacity === null) return
    const short = usage.promised.disk - capacity.disk
    if (short <= 0) return
    return yield* new Errors.VolumeConflict({
      volumeId: id,
      called: name,
      reason: `needs ${wanted} GiB more on ${usage.host.name}, where ${Math.max(0, wanted - short)} GiB are free`
    })
  })

  /**
   * Writes down what the volume is promised: its size, and on a host's own disk that of its snapshots, which are full copies there.
   * Fails when it is more than before and there is no room.
   */
  const promise = Effect.fnUntraced(function* (id: VolumeId, before: number) {
    const rows = yield* sql<Rows.Row>`update volumes set promised = size + case when pool is not null then 0 else
        (select coalesce(sum(s.size), 0) from snapshots s where s.volume_id = volumes.id and s.state not in ('destroyed', 'failed')) end
      where id = ${id} returning promised as sum`
    const { sum } = yield* Rows.sums.one(yield* Rows.only(rows, `volume ${id} does not exist`))
    if (sum <= before) return
    const [kept] = yield* sql<{
      readonly name: string
      readonly pool: string | null
      readonly host_id: HostId | null
    }>`select name, pool, host_id
      from volumes where id = ${id}`
    if (kept?.pool !== undefined && kept.pool !== null) yield* checkPool(kept.pool, sum - before)
    if (kept?.host_id !== undefined && kept.host_id !== null) {
      yield* checkHost(id, kept.name, kept.host_id, sum - before)
    }
  })

  const promisedTo = (id: VolumeId) =>
    Effect.flatMap(sql<Rows.Row>`select promised as sum from volumes where id = ${id}`, (rows) =>
      Effect.flatMap(Rows.only(rows, `volume ${id} does not exist`), Rows.sums.one)
    )

  // ------------------------------------------------------------------------------------------------------------- changes

  const clonesOf = (snapshot: SnapshotId) =>
    Effect.flatMap(
      sql<Rows.Row>`select ${columns} from volumes where source_id = ${snapshot} and ${live} order by id`,
      Rows.volumes.all
    )

  const view = Effect.fnUntraced(function* (volume: Volume, vmId: VmId | null) {
    const snapshots = yield* Effect.forEach(yield* snapshotsOf(volume.id), (snapshot) =>
      Effect.map(clonesOf(snapshot.id), (clones) => ({ snapshot, clones }))
    )
    const holder = volume.vmId === null ? null : yield* around.vm(volume.vmId)
    if (vmId === null) {
      return { volume, snapshots, holder, vm: null, vmOperation: null, neighbours: [] } satisfies VolumeView
    }
    const vm = yield* around.vm(vmId)
    return {
      volume,
      snapshots,
      holder,
      vm,
      vmOperation: yield* around.operations.ofVmItself(vmId),
      neighbours: yield* withVm(vmId)
    } satisfies VolumeView
  })

  const addSnapshot = Effect.fnUntraced(function* (volume: Volume, name: string, now: number) {
    const rows = yield* sql<Rows.Row>`insert into snapshots (volume_id, name, size, state, created_at)
      values (${volume.id}, ${name}, ${volume.size}, 'creating', ${now}) returning ${snapshotColumns}`
    return yield* Rows.snapshots.one(yield* Rows.only(rows, "the snapshot was not written"))
  })

  const write = Effect.fnUntraced(function* (before: Volume, change: VolumeChange, now: number) {
    const attachment =
      change.attachment === undefined ? { vmId: before.vmId, target: before.target } : change.attachment
    const rows = yield* sql<Rows.Row>`update volumes set
        state = ${change.state ?? before.state},
        name = ${change.name ?? before.name},
        size = ${change.size ?? before.size},
        host_id = ${change.hostId ?? before.hostId},
        vm_id = ${attachment?.vmId ?? null},
        target = ${attachment?.target ?? null},
        pristine = ${(change.pristine ?? before.pristine) ? 1 : 0},
        release_asked = ${(change.releaseAsked ?? before.releaseAsked) ? 1 : 0},
        purge_at = ${change.purgeAt === undefined ? before.purgeAt : change.purgeAt},
        updated_at = ${now}
      where id = ${before.id} returning ${columns}`
    return yield* Rows.volumes.one(yield* Rows.only(rows, `volume ${before.id} does not exist`))
  })

  const apply = Effect.fnUntraced(function* (before: Volume, change: VolumeChange, now: number) {
    const { sum: promised } = yield* promisedTo(before.id)
    const more = (change.size ?? before.size) - before.size
    if (more > 0) yield* around.quotas.check(before.owner, { ...Quota.nothing, volumeSize: more })
    const volume = yield* write(before, change, now)
    if (change.snapshot !== undefined) {
      const { id, state } = change.snapshot
      yield* sql`update snapshots set state = ${state} where id = ${id} and volume_id = ${volume.id}`
    }
    const snapshot = change.newSnapshot === undefined ? null : yield* addSnapshot(before, change.newSnapshot.name, now)
    // on another host all of it is new
    yield* promise(volume.id, volume.hostId === before.hostId ? promised : 0)
    const { operation } = change
    return {
      volume,
      snapshot,
      operation:
        operation === undefined
          ? null
          : yield* around.operations.insert(
              {
                kind: operation.kind,
                vmId: operation.vmId ?? null,
                volumeId: volume.id,
                snapshotId: snapshot?.id ?? operation.snapshotId ?? null,
                ...(operation.detail === undefined ? {} : { detail: operation.detail })
              },
              now
            )
    } satisfies VolumeChanged
  })

  /** Fails while an operation on it has not ended. */
  const checkFree = Effect.fnUntraced(function* ({ id, name }: Volume) {
    const unfinished = yield* around.operations.ofVolume(id)
    if (unfinished === null) return
    return yield* new Errors.VolumeBusy({
      volumeId: id,
      called: name,
      operationId: unfinished.id,
      doing: Operations.doing[unfinished.kind]
    })
  })

  /**
   * Fails while the VM's definition is written anew from what was read of it, or its missing volumes are put back: a disk that came or went in between
   * would be lost from it, or be in it again.
   */
  const checkDefinition = Effect.fnUntraced(function* (
    { kind, vmId }: NonNullable<VolumeChange["operation"]>,
    { holder, vm }: VolumeView
  ) {
    if (vmId === undefined || vmId === null || Operations.definition[kind] !== "disks") return
    const own = yield* around.operations.ofVmItself(vmId)
    if (own === null || Operations.definition[own.kind] !== "whole") return
    // it is detached from the one, or attached to the other
    const of = [holder, vm].find((one) => one?.id === vmId)
    const called = of === undefined || of === null ? {} : { called: of.name }
    return yield* new Errors.VmBusy({ vmId, ...called, operationId: own.id, doing: Operations.doing[own.kind] })
  })

  const change = Effect.fnUntraced(function* <E>(
    id: VolumeId,
    vmId: VmId | null,
    decide: (view: VolumeView) => Effect.Effect<VolumeChange, E>,
    now: number
  ) {
    const volume = yield* find(id)
    if (volume.state === "failed") return yield* new Errors.VolumeNotFound({ volumeId: id })
    yield* checkFree(volume)
    const seen = yield* view(volume, vmId)
    const decided = yield* decide(seen)
    if (decided.operation !== undefined) yield* checkDefinition(decided.operation, seen)
    const changed = yield* apply(volume, decided, now)
    return { result: changed, hosts: [volume.hostId, changed.volume.hostId] }
  })

  /** Written after the fact: whether there is room was decided before. */
  const settle = Effect.fnUntraced(function* (id: VolumeId, change: VolumeChange, now: number) {
    const before = yield* Effect.orDie(find(id))
    // its VM was destroyed meanwhile, which has released it
    const released = change.state === "attached" && before.vmId === null && change.attachment === undefined
    const volume = yield* write(before, released ? { ...change, state: "available", releaseAsked: false } : change, now)
    if (volume.state === "purged") yield* sql`update snapshots set state = 'destroyed' where volume_id = ${id}`
    if (change.snapshot !== undefined) {
      yield* sql`update snapshots set state = ${change.snapshot.state} where id = ${change.snapshot.id}`
    }
    yield* promise(id, Number.MAX_SAFE_INTEGER).pipe(Effect.catchTag("PoolFull", "VolumeConflict", Effect.die))
    return { result: volume, hosts: [before.hostId, volume.hostId] }
  })

  const sourceOf = Effect.fnUntraced(function* (id: SnapshotId) {
    const snapshot = yield* findSnapshot(id)
    if (snapshot.state !== "ready") return yield* new Errors.SnapshotNotFound({ snapshotId: id })
    const volume = yield* Effect.orDie(find(snapshot.volumeId))
    return { snapshot, volume } satisfies Source
  })

  const admit = Effect.fnUntraced(function* <E>(
    request: AdmitVolume,
    place: (source: Source | null) => Effect.Effect<HostId | null, E>,
    now: number
  ) {
    const source = request.sourceId === null ? null : yield* sourceOf(request.sourceId)
    const { owner = null } = request
    yield* around.quotas.check(owner, Quota.ofVolume(request.size))
    const hostId = yield* place(source)
    const { driver, pool } = request.disk
    if ((hostId === null) === (pool === null)) {
      return yield* Effect.dieMessage(`a volume of driver ${driver} needs either a pool or a host`)
    }
    const rows = yield* sql<Rows.Row>`insert into volumes
      (name, size, driver, pool, host_id, state, source_id, pristine, promised, owner, created_at, updated_at)
      values (${request.name}, ${request.size}, ${driver}, ${pool}, ${hostId}, 'creating', ${request.sourceId},
        ${source === null ? 1 : 0}, 0, ${owner}, ${now}, ${now})
      returning ${columns}`
    const volume = yield* Rows.volumes.one(yield* Rows.only(rows, "the volume was not written"))
    // whoever chose the host has seen to it that there is room
    yield* Effect.catchTag(promise(volume.id, 0), "VolumeConflict", Effect.die)
    const operation = yield* around.operations.insert({ kind: "CreateVolume", vmId: null, volumeId: volume.id }, now)
    return { volume, operation }
  })

  /** The VM is gone: its volumes are available again. */
  const release = (vmId: VmId, now: number) =>
    Effect.flatMap(
      sql<Rows.Row>`update volumes set state = 'available', vm_id = null, target = null, release_asked = 0,
        updated_at = ${now} where vm_id = ${vmId} returning ${columns}`,
      Rows.volumes.all
    )

  /** Every one that exists for users. */
  const all = Effect.flatMap(sql<Rows.Row>`select ${columns} from volumes where ${live} order by id`, Rows.volumes.all)

  const due = (now: number) =>
    Effect.map(
      Effect.flatMap(
        sql<Rows.Row>`select ${columns} from volumes where state = 'deleted' and purge_at <= ${now} order by purge_at`,
        Rows.volumes.all
      ),
      (volumes) => volumes.map(({ id }) => id)
    )

  return {
    find,
    findSnapshot,
    snapshotsOf,
    withVm,
    pools,
    checkPool,
    checkFree,
    change,
    settle,
    admit,
    release,
    all,
    due
  }
}
