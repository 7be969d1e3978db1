/**
 * The part of the inventory that is NICs of VMs that exist.
 *
 * @since 0.12.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { NewNic, Nic } from "../src/domain/Nic.ts"
import type { Vm } from "../src/domain/Vm.ts"
import type { Inventory, NicChange, NicsChanged } from "../src/services/Inventory.ts"
import type { Database } from "./Database.ts"
import type { HostUsages } from "./sql/HostUsages.ts"
import * as RequestKeys from "./sql/RequestKeys.ts"
import type { Tables } from "./sql/Tables.ts"

/** What was asked of a NIC; its address only when that was, too. */
const askedOf = ({ mac }: NewNic, nic: Nic) => ({
  network: nic.network,
  vlan: nic.vlan,
  model: nic.model,
  ...(mac === undefined ? {} : { mac: nic.mac })
})

/** Calls of `Inventory`. `remember`: keeps the VM in memory as it is after a commit. @since 0.12.0 @category constructors */
export const make = (
  { sql, write, writeSimply }: Database["Type"],
  { nics: nicRows, operations, vms }: Pick<Tables, "nics" | "operations" | "vms">,
  usages: HostUsages,
  remember: (vm: Vm) => void
) => {
  /** The NICs, and the operation that makes them so; null: nothing changes. */
  const nicChange = Effect.fnUntraced(function* ({ id, nics }: Vm, change: NicChange) {
    const { _tag } = change
    if (_tag === "Nothing") return null
    if (_tag === "Attach") {
      const nic = yield* nicRows.another(id, change.nic)
      const detail = { nic: nic.id, asked: askedOf(change.nic, nic) }
      return { nics: [...nics, nic], operation: { kind: "AttachNic", detail } as const }
    }
    const nic = nics.find((one) => one.id === change.nic)
    if (nic === undefined) return yield* Effect.dieMessage(`VM ${id} has no NIC ${change.nic}`)
    if (_tag === "Detach") {
      const detaching = nics.map((one): Nic => (one === nic ? { ...nic, state: "detaching" } : one))
      return { nics: detaching, operation: { kind: "DetachNic", detail: { nic: nic.id } } as const }
    }
    const detail = { nic: nic.id, link: change.link, formerLink: nic.link }
    return { nics, operation: { kind: "SetNicLink", detail } as const }
  })

  return {
    changeNics: (id, decide, key, confirm) =>
      Effect.withSpan(
        write(
          `change the NICs of VM ${id}`,
          Effect.gen(function* () {
            const before = yield* vms.present(id)
            const repeated = yield* RequestKeys.find(sql, key, "AttachNic")
            if (repeated !== null) return { before, after: before, operation: repeated }
            const usage = usages.all.get(before.hostId)
            if (usage === undefined) return yield* Effect.dieMessage(`VM ${id} is on a host that is not there`)
            yield* vms.checkFree(before)
            const change = yield* decide(before, usage.host)
            const now = yield* Clock.currentTimeMillis
            const changed = yield* nicChange(before, change)
            const after = changed === null ? before : yield* vms.setNics(id, changed.nics, now)
            const operation =
              changed === null ? null : yield* operations.insert({ ...changed.operation, vmId: id }, now)
            yield* RequestKeys.keepOperation(sql, key, operation, now)
            const result: NicsChanged = { before, after, operation }
            if (confirm !== undefined) yield* confirm(result)
            return result
          }),
          ({ after }) => remember(after)
        ),
        "Inventory.changeNics"
      ),
    settleNic: Effect.fn("Inventory.settleNic")(function* (id, nicId, outcome) {
      const now = yield* Clock.currentTimeMillis
      yield* writeSimply(
        `change NIC ${nicId} of VM ${id}`,
        Effect.gen(function* () {
          const vm = yield* Effect.orDie(vms.find(id))
          const nic = vm.nics.find((one) => one.id === nicId)
          if (nic === undefined) return vm
          if (outcome === null) yield* nicRows.drop(id, nic)
          const nics = vm.nics.flatMap((one) =>
            one !== nic ? [one] : outcome === null ? [] : [{ ...nic, ...outcome }]
          )
          return yield* vms.setNics(id, nics, now)
        }),
        remember
      )
    })
  } satisfies Partial<Inventory["Type"]>
}
