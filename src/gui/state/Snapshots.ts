/**
 * A volume's snapshots.
 *
 * @since 0.12.0
 */
import { Atom, type Result } from "@effect-atom/atom-react"
import * as Effect from "effect/Effect"
import type { Snapshot } from "../../api/Snapshots.ts"
import type { SnapshotId, VolumeId } from "../../domain/Ids.ts"
import { calls, runtime } from "./Api.ts"

/** Those that are there. @since 0.12.0 @category atoms */
export const snapshotsAtom = Atom.family((id: VolumeId): Atom.Atom<Result.Result<ReadonlyArray<Snapshot>, unknown>> =>
  runtime.atom(
    Effect.gen(function* () {
      const { volumes } = yield* calls
      const { items } = yield* volumes.listSnapshots({ path: { id } })
      return items.filter(({ state }) => state !== "destroyed")
    })
  )
)

/** One of whatever volume. @since 0.15.0 @category atoms */
export const keptAtom = Atom.family((id: SnapshotId): Atom.Atom<Result.Result<Snapshot, unknown>> =>
  runtime.atom(Effect.flatMap(calls, ({ snapshots }) => snapshots.getSnapshot({ path: { id } })))
)
