/**
 * The part of the inventory that is what was seen of VMs, and where they differ from what they should be; kept in memory, changed by commits alone.
 *
 * @since 0.12.0
 */
import * as Effect from "effect/Effect"
import type { Drift } from "../src/domain/Drift.ts"
import type { VmId } from "../src/domain/Ids.ts"
import type { VmSeen } from "../src/domain/Vm.ts"
import * as Trail from "../src/observability/Trail.ts"
import type { Inventory, Observation } from "../src/services/Inventory.ts"
import type { Database } from "./Database.ts"
import type { Noted } from "./sql/Observations.ts"
import type { Tables } from "./sql/Tables.ts"

const byField = (a: Drift, b: Drift): number => (a.field < b.field ? -1 : 1)

/** `service` are calls of `Inventory`. @since 0.12.0 @category constructors */
export const make = Effect.fnUntraced(function* (
  { read, writeSimply }: Database["Type"],
  { observations }: Pick<Tables, "observations">
) {
  const lastSeen = new Map<VmId, VmSeen>()
  const differing = new Map<VmId, ReadonlyMap<string, Drift>>()
  const remember = (noted: ReadonlyArray<Noted>): void => {
    for (const { drift, seen, vmId } of noted) {
      if (seen !== undefined) lastSeen.set(vmId, seen)
      if (drift !== undefined) {
        if (drift.size === 0) differing.delete(vmId)
        else differing.set(vmId, drift)
      }
    }
  }
  const forget = (id: VmId): void => {
    lastSeen.delete(id)
    differing.delete(id)
  }

  /** observations that are being written */
  let writing = 0

  /** As it was when it was last written: nothing of it is to be written again. */
  const isKnown = ({ drift, seen, vmId }: Observation): boolean => {
    const before = lastSeen.get(vmId)
    return (
      (seen === null || (before?.power === seen.power && before.reason === seen.reason)) &&
      (drift === null || (drift.length === 0 && !differing.has(vmId)))
    )
  }

  const sights = yield* read("read what was seen of the VMs", observations.all)
  for (const { power, reason, since, vmId } of sights.seen) lastSeen.set(vmId, { power, reason, since })
  for (const [vmId, fields] of sights.drift) differing.set(vmId, fields)

  const service = {
    observe: Trail.traced("Inventory.observe")((observed, now) =>
      Effect.suspend(() => {
        // what is being written may be something else
        if (writing === 0 && observed.every(isKnown)) return Effect.void
        writing++
        return writeSimply("remember what was seen of VMs", observations.observe(observed, now), remember).pipe(
          Effect.ensuring(Effect.sync(() => void writing--)),
          Effect.asVoid
        )
      })
    ),
    // as it is at any moment: a copy of it would be made for each VM that is asked for
    seen: Effect.succeed(lastSeen),
    drift: (filter) =>
      Effect.sync(() => {
        const vms = filter?.vms ?? [...differing.keys()].sort((a, b) => a - b)
        const found: Array<Drift> = []
        for (const id of vms) {
          const fields = differing.get(id)
          if (fields !== undefined) found.push(...[...fields.values()].sort(byField))
        }
        return found
      })
  } satisfies Partial<Inventory["Type"]>

  return { forget, remember, service }
})

/** @since 0.12.0 @category models */
export type Seen = Effect.Effect.Success<ReturnType<typeof make>>
