/**
 * The part of the inventory that is volumes, their snapshots and pools. Volumes that exist are also kept in memory, changed by commits alone.
 *
 * @since 0.3.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Errors from "../src/domain/Errors.ts"
import type { VolumeId } from "../src/domain/Ids.ts"
import type { Volume } from "../src/domain/Volume.ts"
import type { Inventory } from "../src/services/Inventory.ts"
import { ById } from "./ById.ts"
import type { Database } from "./Database.ts"
import * as Fleet from "./sql/Fleet.ts"
import type * as HostUsages from "./sql/HostUsages.ts"
import * as Pages from "./sql/Pages.ts"
import * as RequestKeys from "./sql/RequestKeys.ts"
import type { Tables } from "./sql/Tables.ts"

type Served =
  | "admitVolume"
  | "changeVolume"
  | "settleVolume"
  | "volume"
  | "volumeRecord"
  | "volumes"
  | "volumePage"
  | "volumesToPurge"
  | "snapshot"
  | "snapshotRecord"
  | "snapshots"
  | "usePool"
  | "setPool"
  | "pools"

/** `service` are calls of `Inventory`. @since 0.8.0 @category constructors */
export const make = Effect.fnUntraced(function* (
  { read, sql, write }: Database["Type"],
  { volumes: volumeRows }: Pick<Tables, "volumes">,
  usages: HostUsages.HostUsages
) {
  const existingVolumes = new ById<VolumeId, Volume>()
  const rememberVolume = (volume: Volume): void => {
    if (volume.state === "purged" || volume.state === "failed") existingVolumes.delete(volume.id)
    else existingVolumes.set(volume)
  }
  for (const volume of yield* read("read the volumes", volumeRows.all)) rememberVolume(volume)

  const service: Pick<Inventory["Type"], Served> = {
    admitVolume: (request, place, confirm) =>
      Effect.withSpan(
        usages.changing(
          "admit a volume",
          Effect.gen(function* () {
            const { key } = request
            const before = yield* RequestKeys.find(sql, key, "CreateVolume")
            if (before?.volumeId !== undefined && before.volumeId !== null) {
              const volume = yield* Effect.orDie(volumeRows.find(before.volumeId))
              return { result: { volume, operation: before }, hosts: [] }
            }
            const now = yield* Clock.currentTimeMillis
            const usage = yield* usages.now
            const result = yield* volumeRows.admit(request, (source) => place(usage, source), now)
            yield* RequestKeys.keepOperation(sql, key, result.operation, now)
            if (confirm !== undefined) yield* confirm(result)
            return { result, hosts: [result.volume.hostId] }
          }),
          ({ volume }) => rememberVolume(volume)
        ),
        "Inventory.admitVolume"
      ),
    changeVolume: (id, vmId, decide, key, confirm) =>
      Effect.withSpan(
        usages.changing(
          `change volume ${id}`,
          Effect.gen(function* () {
            const before = yield* RequestKeys.find(sql, key, "CreateSnapshot")
            if (before?.snapshotId !== undefined && before.snapshotId !== null) {
              const snapshot = yield* Effect.orDie(volumeRows.findSnapshot(before.snapshotId))
              return { result: { volume: yield* volumeRows.find(id), operation: before, snapshot }, hosts: [] }
            }
            const now = yield* Clock.currentTimeMillis
            const changed = yield* volumeRows.change(id, vmId, decide, now)
            yield* RequestKeys.keepOperation(sql, key, changed.result.operation, now)
            if (confirm !== undefined) yield* confirm(changed.result)
            return changed
          }),
          ({ volume }) => rememberVolume(volume)
        ),
        "Inventory.changeVolume"
      ),
    settleVolume: Effect.fn("Inventory.settleVolume")((id, change) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.asVoid(usages.changingSimply(`change volume ${id}`, volumeRows.settle(id, change, now), rememberVolume))
      )
    ),
    // asked for as often as VMs: no span, and no statement where it exists
    volume: (id) =>
      Effect.suspend(() => {
        const volume = existingVolumes.get(id)
        if (volume !== undefined) return Effect.succeed(volume)
        return Effect.filterOrFail(
          read(`read volume ${id}`, volumeRows.find(id)),
          ({ state }) => state !== "failed",
          () => new Errors.VolumeNotFound({ volumeId: id })
        )
      }),
    volumeRecord: Effect.fn("Inventory.volumeRecord")((id) => read(`read volume ${id}`, volumeRows.find(id))),
    volumes: (filter) =>
      Effect.sync(() => [...existingVolumes].filter(({ vmId }) => filter?.vm === undefined || vmId === filter.vm)),
    volumePage: (filter, after, limit, order = { by: "id", descending: false }) =>
      Effect.sync(() => Pages.volumes(existingVolumes, filter, order, after, limit)),
    volumesToPurge: Effect.fn("Inventory.volumesToPurge")((now) =>
      read("read the volumes to purge", volumeRows.due(now))
    ),
    snapshot: Effect.fn("Inventory.snapshot")((id) =>
      Effect.filterOrFail(
        read(`read snapshot ${id}`, volumeRows.findSnapshot(id)),
        ({ state }) => state !== "failed" && state !== "destroyed",
        () => new Errors.SnapshotNotFound({ snapshotId: id })
      )
    ),
    snapshotRecord: Effect.fn("Inventory.snapshotRecord")((id) =>
      read(`read snapshot ${id}`, volumeRows.findSnapshot(id))
    ),
    snapshots: Effect.fn("Inventory.snapshots")((volume) =>
      read(`read the snapshots of volume ${volume}`, volumeRows.snapshotsOf(volume))
    ),

    usePool: Effect.fn("Inventory.usePool")((wanted) => write("check the pool", Fleet.checkPool(sql, wanted))),
    setPool: Effect.fn("Inventory.setPool")(({ available, capacity, driver, name, overcommit, used }) =>
      write(
        `keep what is known of pool ${name}`,
        sql`insert into pools (name, driver, capacity, used, available, overcommit)
          values (${name}, ${driver}, ${capacity}, ${used}, ${available}, ${overcommit})
          on conflict (name) do update set driver = ${driver}, capacity = ${capacity}, used = ${used},
            available = ${available}, overcommit = ${overcommit}`.pipe(Effect.asVoid)
      )
    ),
    pools: Effect.withSpan(read("read the pools", volumeRows.pools), "Inventory.pools")
  }

  return { remember: rememberVolume, service }
})
