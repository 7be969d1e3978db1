/**
 * The part of the inventory that VMs come into: each with its host, what is reserved for it there, and the operation that makes it.
 *
 * @since 0.12.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { HostId } from "../src/domain/Ids.ts"
import * as Quota from "../src/domain/Quota.ts"
import * as Uuid from "../src/domain/Uuid.ts"
import type { Vm } from "../src/domain/Vm.ts"
import type { AdmitVm, Confirm, HostUsage, Inventory, VmBegun } from "../src/services/Inventory.ts"
import type { Database } from "./Database.ts"
import type { Catalogue } from "./InventoryCatalogue.ts"
import type { HostUsages } from "./sql/HostUsages.ts"
import * as RequestKeys from "./sql/RequestKeys.ts"
import type { Tables } from "./sql/Tables.ts"

/** Calls of `Inventory`. `remember`: keeps the VM in memory as it is after a commit. @since 0.12.0 @category constructors */
export const make = (
  { sql }: Database["Type"],
  { cloudInits, explanations, nics: nicRows, operations, quotas, vms, volumes }: Tables,
  usages: HostUsages,
  { needUsable, typeNotFound, typeRow }: Pick<Catalogue, "needUsable" | "typeNotFound" | "typeRow">,
  remember: (vm: Vm) => void
) => {
  /** In a body. `hostId` null: it had been admitted before. */
  const admitted = Effect.fnUntraced(function* <E>(
    request: AdmitVm,
    usages: Effect.Effect<ReadonlyArray<HostUsage>>,
    place: (usage: ReadonlyArray<HostUsage>) => Effect.Effect<HostId, E>,
    confirm: Confirm<VmBegun> | undefined
  ) {
    const { key } = request
    const before = yield* RequestKeys.find(sql, key, "CreateVm")
    if (before?.vmId !== undefined && before.vmId !== null) {
      return { vm: yield* Effect.orDie(vms.find(before.vmId)), operation: before, hostId: null }
    }
    const { disk, tid } = request.instanceType
    // it may have been retired since it was looked up
    if ((yield* typeRow(tid))?.retired === true) return yield* typeNotFound(tid)
    yield* needUsable(request.imageId)
    const { following = 0, owner = null, planned, replaces } = request
    if (replaces !== undefined) yield* quotas.disown(replaces)
    yield* quotas.check(owner, Quota.ofVms(request.instanceType, 1 + following), planned)
    const usage = yield* usages
    const hostId = yield* place(usage)
    if (!usage.some(({ host }) => host.id === hostId)) {
      return yield* Effect.dieMessage(`pm ${hostId} was chosen, which was not among the hosts to choose from`)
    }
    const now = yield* Clock.currentTimeMillis
    const uuid = yield* Uuid.make
    const nics = yield* nicRows.ofNewVm(request.nics ?? [{}])
    const vm = yield* vms.insert({ request, uuid, hostId, nics }, now)
    yield* nicRows.keep(vm.id, nics, nics.length + 1)
    const { pool } = request.disk
    if (pool !== null) yield* volumes.checkPool(pool, disk, request.besides)
    if (request.cloudInit !== undefined) yield* cloudInits.put(vm.id, request.cloudInit)
    const explanation = request.explain === undefined ? null : yield* request.explain(usage, hostId)
    if (explanation !== null) yield* explanations.put(vm.id, now, explanation)
    const detail = request.cloudInit === undefined ? {} : { cloudInit: true }
    const operation = yield* operations.insert({ kind: "CreateVm", vmId: vm.id, detail }, now)
    yield* RequestKeys.keepOperation(sql, key, operation, now)
    if (replaces !== undefined) yield* operations.replace(replaces, operation.id)
    if (confirm !== undefined) yield* confirm({ vm, operation })
    return { vm, operation, hostId }
  })

  return {
    admit: (request, place, confirm) =>
      Effect.withSpan(
        usages.changing(
          "admit a VM",
          Effect.map(admitted(request, usages.now, place, confirm), ({ hostId, operation, vm }) => ({
            result: { vm, operation },
            hosts: hostId === null ? [] : [hostId]
          })),
          ({ vm }) => remember(vm)
        ),
        "Inventory.admit"
      ),
    admitAll: (wanted) =>
      Effect.withSpan(
        usages.changing(
          `admit ${wanted.length} VMs`,
          Effect.gen(function* () {
            const usage = [...(yield* usages.now)]
            const at = new Map(usage.map(({ host }, i) => [host.id, i]))
            const hosts = new Set<HostId>()
            const result: Array<VmBegun> = []
            for (const { confirm, place, request } of wanted) {
              const { hostId, operation, vm } = yield* admitted(
                request,
                Effect.sync(() => [...usage]),
                place,
                confirm
              )
              result.push({ vm, operation })
              if (hostId === null) continue
              hosts.add(hostId)
              // those after it see what it has taken
              const [now] = yield* usages.one(hostId)
              const index = at.get(hostId)
              if (now !== undefined && index !== undefined) usage[index] = now
            }
            return { result, hosts: [...hosts] }
          }),
          (all) => all.forEach(({ vm }) => remember(vm))
        ),
        "Inventory.admitAll"
      )
  } satisfies Partial<Inventory["Type"]>
}
