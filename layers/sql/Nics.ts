/**
 * NICs of VMs, written in the caller's transaction.
 *
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Errors from "../../src/domain/Errors.ts"
import type { VmId } from "../../src/domain/Ids.ts"
import { type NewNic, type Nic, NicId, type NicState } from "../../src/domain/Nic.ts"
import type { Database } from "../Database.ts"
import * as Rows from "./Rows.ts"

/** `52:54:00` is QEMU's own prefix. */
const randomMac = Effect.map(Random.nextIntBetween(0, 2 ** 24), (n) => {
  const hex = n.toString(16).padStart(6, "0")
  return `52:54:00:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}`
})

/** @since 0.6.0 @category constructors */
export const make = (statement: Database["Type"]["statement"]) => {
  const selectMac = statement("select id, name from vms where id = (select vm_id from nic_macs where mac = ?)")
  const insertMac = statement("insert into nic_macs (mac, vm_id) values (?, ?)")
  const deleteMac = statement("delete from nic_macs where mac = ? and vm_id = ?")
  const deleteMacs = statement("delete from nic_macs where vm_id = ?")
  const selectNext = statement("select id, next_nic from vms where id = ?")
  const updateNext = statement("update vms set next_nic = ? where id = ?")

  const freshMac = (besides: ReadonlySet<string>) =>
    Effect.gen(function* () {
      // even with a million NICs one address in seventeen is taken
      for (;;) {
        const mac = yield* randomMac
        if (besides.has(mac)) continue
        const taken = yield* selectMac(mac)
        if (taken.length === 0) return mac
      }
    })

  /** Nobody else's; of several in one request, each its own. */
  const addressed = Effect.fnUntraced(function* (wanted: ReadonlyArray<NewNic>, first: number, state: NicState) {
    const given = new Set(wanted.flatMap(({ mac }) => mac ?? []))
    const made: Array<Nic> = []
    for (const [index, { mac, model = "virtio", network = null, vlan = null }] of wanted.entries()) {
      if (mac !== undefined) {
        const [row] = yield* selectMac(mac)
        if (row !== undefined) {
          const { id, name } = yield* Rows.macOwners.one(row)
          return yield* new Errors.MacTaken({ mac, vmId: id, called: name })
        }
      }
      const address = mac ?? (yield* freshMac(given))
      given.add(address)
      made.push({
        id: NicId.make(first + index),
        mac: address,
        network,
        vlan,
        model,
        link: "up",
        state,
        releaseAsked: false
      })
    }
    return made
  })

  return {
    /** Those of a new VM. */
    ofNewVm: (wanted: ReadonlyArray<NewNic>) => addressed(wanted, 1, "attached"),
    /** They are the VM's from now on. */
    keep: (vmId: VmId, nics: ReadonlyArray<Nic>, next: number) =>
      Effect.zipRight(
        Effect.forEach(nics, ({ mac }) => insertMac(mac, vmId), { discard: true }),
        updateNext(next, vmId)
      ),
    /** One more, about to be attached, which is the VM's from now on. */
    another: Effect.fnUntraced(function* (vmId: VmId, wanted: NewNic) {
      const { next_nic } = yield* Rows.nextNics.one(
        yield* Rows.only(yield* selectNext(vmId), `VM ${vmId} does not exist`)
      )
      const made = yield* addressed([wanted], next_nic, "attaching")
      const nic = yield* Effect.fromNullable(made[0]).pipe(Effect.orDie)
      yield* insertMac(nic.mac, vmId)
      yield* updateNext(next_nic + 1, vmId)
      return nic
    }),
    /** Its address is free again. */
    drop: (vmId: VmId, { mac }: Nic) => deleteMac(mac, vmId),
    /** Those of a VM that is no more. */
    dropAll: (vmId: VmId) => deleteMacs(vmId)
  }
}
