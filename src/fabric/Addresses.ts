/**
 * The addresses of guests: read from their hosts when somebody asks for one VM, and remembered for lists.
 *
 * A list never waits for hosts, and asking for every guest in turns would cost each host a call a guest all the time, for the sake of what hardly
 * anybody looks at; so what a list shows is what was last read.
 *
 * @since 0.6.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Errors from "../domain/Errors.ts"
import type { VmId } from "../domain/Ids.ts"
import type { Vm } from "../domain/Vm.ts"
import { HostMonitor, statusOf } from "../services/HostMonitor.ts"
import { type GuestAddress, Hypervisor } from "../services/Hypervisor.ts"
import { Inventory } from "../services/Inventory.ts"

/** @since 0.6.0 @category services */
export class Addresses extends Context.Tag("vmfabric/Addresses")<
  Addresses,
  {
    /** As they were last read; null: they have not been since this process began. */
    readonly known: (id: VmId) => ReadonlyArray<GuestAddress> | null
    /** As its host tells them now. Left: why it cannot, one clause; waited for some seconds only. */
    readonly read: (
      vm: Vm
    ) => Effect.Effect<Either.Either<ReadonlyArray<GuestAddress>, string>, Errors.PersistenceError>
  }
>() {}

/** libvirt waits 5 s for a guest's agent that does not answer. */
const patience = "8 seconds"

/** Of so many VMs they are remembered, those that were read last. */
const most = 10_000

/** @since 0.6.0 @category layers */
export const layer = Layer.effect(
  Addresses,
  Effect.gen(function* () {
    const hypervisor = yield* Hypervisor
    const inventory = yield* Inventory
    const monitor = yield* HostMonitor
    const remembered = new Map<VmId, ReadonlyArray<GuestAddress>>()

    const remember = (id: VmId, addresses: ReadonlyArray<GuestAddress>): void => {
      remembered.delete(id)
      remembered.set(id, addresses)
      const [oldest] = remembered.keys()
      if (oldest !== undefined && remembered.size > most) remembered.delete(oldest)
    }

    const read = Effect.fn("Addresses.read")(function* (vm: Vm) {
      const status = statusOf(yield* monitor.statuses, vm.hostId)
      if (status._tag !== "Up") {
        return Either.left(
          "reason" in status ? `its host is not up: ${status.reason}` : "its host has not been reached yet"
        )
      }
      const usage = yield* Effect.option(inventory.host(vm.hostId))
      if (usage._tag === "None") return Either.left("its host is not in the machine file any more")
      const asked = yield* hypervisor
        .addresses(usage.value.host, { uuid: vm.uuid, domainName: vm.domainName })
        .pipe(Effect.timeoutOption(patience), Effect.either)
      if (Either.isLeft(asked)) return Either.left(asked.left.message)
      if (asked.right._tag === "None") return Either.left(`its host did not answer within ${patience}`)
      remember(vm.id, asked.right.value)
      return Either.right(asked.right.value)
    })

    return Addresses.of({ known: (id) => remembered.get(id) ?? null, read })
  })
)
