/**
 * Routes that the original program never had, in its manner.
 *
 * @since 0.2.0
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as Effect from "effect/Effect"
import * as Ids from "../domain/Ids.ts"
import { Pools } from "../fabric/Pools.ts"
import { Volumes } from "../fabric/Volumes.ts"
import * as Original from "./Original.ts"
import * as Parameters from "./Parameters.ts"
import * as Route from "./Route.ts"

/** @since 0.2.0 @category constants */
export const paths = [
  "/volume/list",
  "/volume/grow",
  "/volume/rename",
  "/volume/restore",
  "/volume/purge",
  "/volume/clone",
  "/volume/revert",
  "/snapshot/create",
  "/snapshot/list",
  "/snapshot/destroy",
  "/pool/list"
] as const

const gibibyte = 1024 ** 3

/** GiB to a tenth. */
const shown = (bytes: number): number => Math.floor((bytes / gibibyte) * 10) / 10

/** @since 0.2.0 @category layers */
export const layer = HttpLayerRouter.addAll(
  Effect.gen(function* () {
    const volumes = yield* Volumes
    const pools = yield* Pools
    const volumeId = (given: Parameters.Parameters) => Parameters.requiredId(given, "volumeid", Ids.VolumeId)
    const snapshotId = (given: Parameters.Parameters) => Parameters.requiredId(given, "snapshotid", Ids.SnapshotId)
    return [
      ...Route.make("/volume/list", () =>
        Effect.map(volumes.list(), (all) => ({ volumes: all.map(Original.volumeBody) }))
      ),
      ...Route.make(
        "/volume/grow",
        Effect.fnUntraced(function* (given) {
          const id = yield* volumeId(given)
          yield* volumes.grow(id, yield* Parameters.requiredAmount(given, "size"))
          return { status: 1 }
        })
      ),
      ...Route.make(
        "/volume/rename",
        Effect.fnUntraced(function* (given) {
          const id = yield* volumeId(given)
          yield* volumes.rename(id, yield* Parameters.requiredText(given, "name"))
          return { status: 1 }
        })
      ),
      ...Route.make("/volume/restore", (given) =>
        Effect.as(Effect.flatMap(volumeId(given), volumes.restore), { status: 1 })
      ),
      ...Route.make("/volume/purge", (given) =>
        Effect.as(Effect.flatMap(volumeId(given), volumes.purge), { status: 1 })
      ),
      ...Route.make(
        "/volume/clone",
        Effect.fnUntraced(function* (given) {
          const source = yield* snapshotId(given)
          const name = yield* Parameters.requiredText(given, "name")
          const size = yield* Parameters.amount(given, "size")
          const idempotencyKey = yield* Route.idempotencyKey
          const volume = yield* volumes.create({
            name,
            source,
            ...(size === undefined ? {} : { size }),
            ...(idempotencyKey === undefined ? {} : { idempotencyKey })
          })
          return { volumeid: volume.id }
        })
      ),
      ...Route.make("/volume/revert", (given) =>
        Effect.as(Effect.flatMap(snapshotId(given), volumes.revert), { status: 1 })
      ),
      ...Route.make(
        "/snapshot/create",
        Effect.fnUntraced(function* (given) {
          const id = yield* volumeId(given)
          return { snapshotid: (yield* volumes.snapshot(id, yield* Parameters.requiredText(given, "name"))).id }
        })
      ),
      ...Route.make("/snapshot/list", (given) =>
        Effect.map(Effect.flatMap(volumeId(given), volumes.snapshots), (all) => ({
          snapshots: all.map(({ id, name, size, state }) => ({ snapshotid: id, name, size, status: state }))
        }))
      ),
      ...Route.make("/snapshot/destroy", (given) =>
        Effect.as(Effect.flatMap(snapshotId(given), volumes.destroySnapshot), { status: 1 })
      ),
      ...Route.make("/pool/list", () =>
        Effect.map(pools.list, (all) => ({
          pools: all.map(({ pool, promised }) => ({
            name: pool.name,
            driver: pool.driver,
            capacity: shown(pool.capacity),
            used: shown(pool.used),
            available: shown(pool.available),
            promised,
            overcommit: pool.overcommit
          }))
        }))
      )
    ]
  })
)
