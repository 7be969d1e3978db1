/**
 * Logs what becomes of hosts. Their statuses are kept in memory only, so that nothing else would.
 *
 * @since 0.4.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { HostStatus } from "../domain/Host.ts"
import type { HostId } from "../domain/Ids.ts"
import { EventLog, type NewEvent } from "../services/EventLog.ts"
import { HostMonitor, type HostStatusChange } from "../services/HostMonitor.ts"

const nameOf = ({ _tag }: HostStatus): string => _tag.toLowerCase()

const eventOf = ({ hostId, status }: HostStatusChange): NewEvent => ({
  type: "host.changed",
  hostId,
  data: { status: nameOf(status), reason: "reason" in status ? status.reason : null }
})

const make = Effect.gen(function* () {
  const log = yield* EventLog
  const monitor = yield* HostMonitor
  // what an earlier process told is not told again
  const told = new Map<HostId, string>(
    yield* Effect.catchAll(log.hostStatuses, (error) => Effect.as(Effect.logError(error.message), []))
  )

  const tell = (changes: ReadonlyArray<HostStatusChange>) => {
    const news = changes.filter(({ hostId, status }) => {
      const name = nameOf(status)
      if (status._tag === "Connecting" || told.get(hostId) === name) return false
      told.set(hostId, name)
      return true
    })
    if (news.length === 0) return Effect.void
    return Effect.catchAll(log.append(...news.map(eventOf)), (error) => Effect.logError(error.message))
  }

  const changes = yield* monitor.changes
  // what hosts had become before anybody listened
  const before = Effect.map(monitor.statuses, (all) => Array.from(all, ([hostId, status]) => ({ hostId, status })))
  yield* Effect.flatMap(before, tell).pipe(
    Effect.zipRight(Stream.runForEachChunk(changes, (chunk) => tell(Chunk.toReadonlyArray(chunk)))),
    Effect.forkScoped
  )
})

/** Works as long as the layer's scope is open. @since 0.4.0 @category layers */
export const layer = Layer.scopedDiscard(make)
