/**
 * What is on the hosts, beside what should be.
 *
 * @since 0.3.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Drift, DriftKind, Foreign } from "../domain/Drift.ts"
import type * as Errors from "../domain/Errors.ts"
import type { HostStatus } from "../domain/Host.ts"
import type { HostId, VmId } from "../domain/Ids.ts"
import type { Operation } from "../domain/Operation.ts"
import type { Vm, VmSeen } from "../domain/Vm.ts"
import * as Violations from "../scheduler/Violations.ts"
import { HostMonitor, statusOf } from "../services/HostMonitor.ts"
import type { GuestAddress } from "../services/Hypervisor.ts"
import { Inventory, type Page } from "../services/Inventory.ts"
import { Observer } from "../services/Observer.ts"
import { Operations } from "../services/Operations.ts"
import { Addresses } from "./Addresses.ts"
import * as Begun from "./Begun.ts"
import * as Candidates from "./Candidates.ts"
import * as Facts from "./Facts.ts"
import * as Intent from "./Intent.ts"
import * as Queue from "./Queue.ts"
import * as Revision from "./Revision.ts"

/** A VM with what was last seen of it: as true as the status of its host. `seen` null: never yet. @since 0.3.0 @category models */
export interface VmReport {
  readonly vm: Vm
  readonly seen: VmSeen | null
  readonly host: HostStatus
  readonly drift: ReadonlyArray<Drift>
  /** of its guest, as they were last read; null: not since this process began */
  readonly addresses: ReadonlyArray<GuestAddress> | null
  /** its rules that do not hold where it is */
  readonly violations: ReadonlyArray<Violations.Violation>
}

/** @since 0.3.0 @category services */
export class Reality extends Context.Tag("vmfabric/Reality")<
  Reality,
  {
    readonly vm: (id: VmId) => Effect.Effect<VmReport, Errors.VmNotFound | Errors.PersistenceError>
    /** As the inventory's own pages. */
    readonly page: (
      ...query: Parameters<Inventory["Type"]["vmPage"]>
    ) => Effect.Effect<Page<VmReport>, Errors.PersistenceError>
    /** All that exist, by id. */
    readonly vms: Effect.Effect<ReadonlyArray<VmReport>, Errors.PersistenceError>
    /** By VM, then field. */
    readonly drift: Effect.Effect<ReadonlyArray<Drift>, Errors.PersistenceError>
    /** What the inventory does not know, on the hosts that can be reached and in the pool. */
    readonly foreign: Effect.Effect<ReadonlyArray<Foreign>>
    /** Looks at everything on the host now. */
    readonly look: (
      id: HostId
    ) => Effect.Effect<void, Errors.HostNotFound | Errors.HostError | Errors.StorageError | Errors.PersistenceError>
    /**
     * Makes the VM's domain what it should be, as far as nothing is taken from a running guest: title, vCPUs and memory of its definition,
     * volumes that are missing, and started when it does not run. Waits for the end of it. `HasChanged`: the VM's revision is not the expected one.
     */
    readonly repair: (
      id: VmId,
      expect?: Revision.Expect
    ) => Effect.Effect<void, Errors.VmNotFound | Errors.HasChanged | Errors.OperationFailed | Errors.PersistenceError>
  }
>() {}

const everything: ReadonlyArray<DriftKind> = ["definition", "disks", "power"]

/** @since 0.3.0 @category layers */
export const layer = Layer.effect(
  Reality,
  Effect.gen(function* () {
    const inventory = yield* Inventory
    const monitor = yield* HostMonitor
    const observer = yield* Observer
    const addresses = yield* Addresses
    const operations = yield* Operations
    const queue = yield* Queue.Queue
    const candidatesOf = Candidates.make()

    const violationsOf = Effect.fnUntraced(function* (
      vms: ReadonlyArray<Vm>,
      statuses: ReadonlyMap<HostId, HostStatus>
    ): Effect.fn.Return<ReturnType<typeof Violations.of>, Errors.PersistenceError> {
      const ruled = vms.filter(({ placement }) => placement !== null && placement.rules.length > 0)
      if (ruled.length === 0) return new Map()
      return Violations.of(ruled, yield* inventory.vms(), candidatesOf(yield* inventory.hosts, statuses))
    })

    const report = Effect.fnUntraced(function* (vms: ReadonlyArray<Vm>, drift: ReadonlyArray<Drift>) {
      const statuses = yield* monitor.statuses
      const seen = yield* inventory.seen
      const violations = yield* violationsOf(vms, statuses)
      const differing = new Map<VmId, Array<Drift>>()
      for (const one of drift) {
        const before = differing.get(one.vmId)
        if (before === undefined) differing.set(one.vmId, [one])
        else before.push(one)
      }
      return vms.map((vm): VmReport => ({
        vm,
        seen: seen.get(vm.id) ?? null,
        host: statusOf(statuses, vm.hostId),
        drift: differing.get(vm.id) ?? [],
        addresses: addresses.known(vm.id),
        violations: violations.get(vm.id) ?? []
      }))
    })

    return Reality.of({
      // the hot path: no span
      vm: Effect.fnUntraced(function* (id) {
        const vm = yield* inventory.vm(id)
        const [only] = yield* report([vm], yield* inventory.drift({ vms: [id] }))
        return only ?? (yield* Effect.dieMessage(`no report of VM ${id}`))
      }),
      page: Effect.fn("Reality.page")(function* (...query) {
        const page = yield* inventory.vmPage(...query)
        const drift = yield* inventory.drift({ vms: page.items.map(({ id }) => id) })
        return { ...page, items: yield* report(page.items, drift) }
      }),
      vms: Effect.flatMap(Effect.all([inventory.vms(), inventory.drift()]), ([vms, drift]) => report(vms, drift)),
      drift: inventory.drift(),
      foreign: observer.foreign,
      look: Effect.fn("Reality.look")((id) => Effect.zipRight(inventory.host(id), observer.look(id))),
      repair: Effect.fn("Reality.repair")(function* (id, expect) {
        yield* inventory.vm(id)
        const check = Revision.checkVm(expect)
        const intent = yield* Intent.Intent
        const confirm = Effect.fnUntraced(function* ({
          operation,
          vm
        }: {
          readonly vm: Vm
          readonly operation: Operation
        }) {
          // what was seen is no part of the transaction
          const drift = yield* inventory.drift({ vms: [id] })
          const volumes = yield* inventory.volumes({ vm: id })
          yield* intent.depends(() => ({
            ...Facts.ofVm(vm),
            ...Facts.ofDisks(vm, volumes),
            ...Facts.ofDrift(vm, drift)
          }))
          yield* intent.confirm(() => ({ operation, vm: { before: vm, after: vm } }))
        }, Effect.orDie)
        const operation = yield* queue.whenFree(
          { vmId: id },
          inventory.beginOnVm(id, "RepairVm", { repair: everything }, confirm, check).pipe(
            Effect.tap((operation) => Begun.start(operations, operation)),
            Effect.uninterruptible
          )
        )
        yield* operations.await(operation.id)
      })
    })
  })
).pipe(Layer.provide(Queue.layer))
