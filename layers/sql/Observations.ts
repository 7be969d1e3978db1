/**
 * What was last seen of VMs, and where they differ from what they should be. All of it runs in the caller's transaction.
 *
 * Many VMs are written with one statement, from a JSON list: a sweep brings thousands.
 *
 * @since 0.3.0
 */
import * as Effect from "effect/Effect"
import { Drift } from "../../src/domain/Drift.ts"
import type { VmId } from "../../src/domain/Ids.ts"
import type { VmSeen } from "../../src/domain/Vm.ts"
import type { Observation } from "../../src/services/Inventory.ts"
import type { Database } from "../Database.ts"
import * as Rows from "./Rows.ts"

/** Of one VM, as it is after a change; what was not looked at is absent. @since 0.3.0 @category models */
export interface Noted {
  readonly vmId: VmId
  readonly seen?: VmSeen
  /** by field */
  readonly drift?: ReadonlyMap<string, Drift>
}

const sameValues = (a: Drift, b: Drift): boolean =>
  a.kind === b.kind && a.wanted === b.wanted && a.applied === b.applied && a.seen === b.seen

const list = (rows: Iterable<ReadonlyArray<unknown>>): string | null => {
  const all = [...rows]
  return all.length === 0 ? null : JSON.stringify(all)
}

/** @since 0.3.0 @category constructors */
export const make = (statement: Database["Type"]["statement"]) => {
  const driftColumns = "d.vm_id, d.field, d.kind, d.wanted, d.applied, d.seen, d.since"
  const ofThose = "from json_each(?) j cross join"
  const selectAllSeen = statement("select vm_id, power, reason, since from vm_seen")
  const selectAllDrift = statement(`select ${driftColumns} from drift d`)
  const selectExisting = statement(`select v.id as vm_id ${ofThose} vms v on v.id = j.value
    where v.state not in ('destroyed', 'failed')`)
  const selectSeen = statement(`select s.vm_id, s.power, s.reason, s.since ${ofThose} vm_seen s on s.vm_id = j.value`)
  const selectDrift = statement(`select ${driftColumns} ${ofThose} drift d on d.vm_id = j.value`)
  const keepSeen = statement(`insert into vm_seen (vm_id, power, reason, since)
    select value ->> 0, value ->> 1, value ->> 2, ? from json_each(?) where true
    on conflict (vm_id) do update set power = excluded.power, reason = excluded.reason, since = excluded.since`)
  const dropDrift = statement(`delete from drift where (vm_id, field) in (
    select value ->> 0, value ->> 1 from json_each(?))`)
  const keepDrift = statement(`insert into drift (vm_id, field, kind, wanted, applied, seen, since)
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
    from json_each(?) where true
    on conflict (vm_id, field) do update set kind = excluded.kind, wanted = excluded.wanted,
      applied = excluded.applied, seen = excluded.seen`)
  const tellDrift = statement(`insert into events (type, vm_id, host_id, data)
    select 'vm.drift', value ->> 0, (select host_id from vms where id = value ->> 0),
      json_object('count', value ->> 1, 'fields', value ->> 2) from json_each(?)`)
  const forgetSeen = statement("delete from vm_seen where vm_id = ?")
  const forgetDrift = statement("delete from drift where vm_id = ?")

  const byVm = (all: ReadonlyArray<Drift>): Map<VmId, Map<string, Drift>> => {
    const grouped = new Map<VmId, Map<string, Drift>>()
    for (const one of all) {
      const fields = grouped.get(one.vmId)
      if (fields === undefined) grouped.set(one.vmId, new Map([[one.field, one]]))
      else fields.set(one.field, one)
    }
    return grouped
  }

  /** All there is, at start. */
  const all = Effect.gen(function* () {
    const seen = yield* Effect.flatMap(selectAllSeen(), Rows.seen.all)
    const drift = yield* Effect.flatMap(selectAllDrift(), Rows.drift.all)
    return { seen, drift: byVm(drift) }
  })

  /** What is new is written, and given. */
  const observe = Effect.fnUntraced(function* (observations: ReadonlyArray<Observation>, now: number) {
    const asked = JSON.stringify(observations.map(({ vmId }) => vmId))
    const existing = yield* Effect.flatMap(selectExisting(asked), Rows.vmIds.all)
    const known = new Set(existing.map(({ vmId }) => vmId))
    const seenBefore = yield* Effect.flatMap(selectSeen(asked), Rows.seen.all)
    const seen = new Map(seenBefore.map(({ power, reason, since, vmId }) => [vmId, { power, reason, since }]))
    const driftBefore = yield* Effect.flatMap(selectDrift(asked), Rows.drift.all)
    const byVmBefore = byVm(driftBefore)
    const drift = new Map(byVmBefore)

    const noted = new Map<VmId, Noted>()
    const newSeen = new Map<VmId, ReadonlyArray<unknown>>()
    const newDrift = new Map<string, ReadonlyArray<unknown>>()
    const gone = new Map<string, ReadonlyArray<unknown>>()
    for (const { drift: differs, seen: sight, vmId } of observations) {
      if (!known.has(vmId)) continue
      const before = seen.get(vmId)
      if (sight !== null && (before?.power !== sight.power || before.reason !== sight.reason)) {
        const one = { power: sight.power, reason: sight.reason, since: now }
        seen.set(vmId, one)
        newSeen.set(vmId, [vmId, one.power, one.reason])
        noted.set(vmId, { ...noted.get(vmId), vmId, seen: one })
      }
      if (differs === null) continue
      const fields = drift.get(vmId) ?? new Map<string, Drift>()
      const after = new Map<string, Drift>()
      let changed = false
      for (const field of differs) {
        const known = fields.get(field.field)
        const one = new Drift({ ...field, vmId, since: known?.since ?? now }, { disableValidation: true })
        if (known !== undefined && sameValues(known, one)) {
          after.set(field.field, known)
          continue
        }
        changed = true
        after.set(field.field, one)
        newDrift.set(keyOf(one), [vmId, one.field, one.kind, one.wanted, one.applied, one.seen, one.since])
        gone.delete(keyOf(one))
      }
      for (const one of fields.values()) {
        if (after.has(one.field)) continue
        changed = true
        gone.set(keyOf(one), [vmId, one.field])
        newDrift.delete(keyOf(one))
      }
      if (!changed) continue
      drift.set(vmId, after)
      noted.set(vmId, { ...noted.get(vmId), vmId, drift: after })
    }

    const seenRows = list(newSeen.values())
    if (seenRows !== null) yield* keepSeen(now, seenRows)
    const goneRows = list(gone.values())
    if (goneRows !== null) yield* dropDrift(goneRows)
    const driftRows = list(newDrift.values())
    if (driftRows !== null) yield* keepDrift(driftRows)
    const others = list(
      [...noted.values()].flatMap(({ drift: after, vmId }) => {
        if (after === undefined) return []
        const fields = fieldsOf(after)
        return fields === fieldsOf(byVmBefore.get(vmId)) ? [] : [[vmId, after.size, fields]]
      })
    )
    if (others !== null) yield* tellDrift(others)
    return [...noted.values()]
  })

  /** The VM is gone, and what was seen of it. */
  const forget = (vmId: VmId) => Effect.zipRight(forgetSeen(vmId), forgetDrift(vmId))

  return { all, observe, forget }
}

/** In order, as an event tells them. */
const fieldsOf = (drift: ReadonlyMap<string, Drift> = new Map()): string => [...drift.keys()].toSorted().join(", ")

const keyOf = ({ field, vmId }: Drift): string => `${vmId} ${field}`
