/**
 * A volume's snapshots, and when each was taken.
 *
 * @since 0.12.0
 */
import { Atom, type Result } from "@effect-atom/atom-react"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { Snapshot } from "../../api/Snapshots.ts"
import type { SnapshotId, VolumeId } from "../../domain/Ids.ts"
import { calls, runtime } from "./Api.ts"

/** As many as the API gives at once. */
const most = 1000

/** @since 0.12.0 @category models */
export interface Taken {
  readonly snapshot: Snapshot
  /** when that was asked for; null: it is not known */
  readonly at: DateTime.Utc | null
}

/** Those that are there: by what took them it is known when. @since 0.12.0 @category atoms */
export const snapshotsAtom = Atom.family((id: VolumeId): Atom.Atom<Result.Result<ReadonlyArray<Taken>, unknown>> =>
  runtime.atom(
    Effect.gen(function* () {
      const { operations, volumes } = yield* calls
      const [{ items }, { items: taking }] = yield* Effect.all(
        [
          volumes.listSnapshots({ path: { id } }),
          operations.listOperations({ urlParams: { volume: id, kind: "CreateSnapshot", limit: most } })
        ],
        { concurrency: "unbounded" }
      )
      const times = new Map<SnapshotId | null, DateTime.Utc>(
        taking.map(({ createdAt, snapshotId }) => [snapshotId, createdAt])
      )
      return items
        .filter(({ state }) => state !== "destroyed")
        .map((snapshot): Taken => ({ snapshot, at: times.get(snapshot.id) ?? null }))
    })
  )
)
