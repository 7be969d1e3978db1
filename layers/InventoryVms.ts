/**
 * The part of the inventory that is VMs, from when they have been admitted. Those that exist are also kept in memory, changed by commits alone.
 *
 * @since 0.12.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Errors from "../src/domain/Errors.ts"
import type { VmId } from "../src/domain/Ids.ts"
import type { Operation } from "../src/domain/Operation.ts"
import { changed as placed, ofType } from "../src/domain/Placement.ts"
import * as Quota from "../src/domain/Quota.ts"
import { changed, Vm, type VmState } from "../src/domain/Vm.ts"
import type { Volume } from "../src/domain/Volume.ts"
import * as Trail from "../src/observability/Trail.ts"
import type { Inventory } from "../src/services/Inventory.ts"
import { ById } from "./ById.ts"
import type { Database } from "./Database.ts"
import type { Catalogue } from "./InventoryCatalogue.ts"
import type { Seen } from "./InventorySeen.ts"
import type { HostUsages } from "./sql/HostUsages.ts"
import * as Operations from "./sql/Operations.ts"
import * as Pages from "./sql/Pages.ts"
import type { Tables } from "./sql/Tables.ts"

type Served =
  | "vm"
  | "vmRecord"
  | "vms"
  | "vmPage"
  | "explained"
  | "beginOnVm"
  | "beginDestroy"
  | "changeVm"
  | "beginResize"
  | "settleResize"
  | "cloudInit"
  | "changeCloudInit"
  | "setVmState"
  | "setVmPower"

const isOver = (state: VmState): boolean => state === "destroyed" || state === "failed"

/**
 * `remember`: keeps the VM in memory as it is after a commit. `rememberVolume`: the same for volumes. `service` are calls of `Inventory`.
 *
 * @since 0.12.0 @category constructors
 */
export const make = Effect.fnUntraced(function* (
  { read, sql, write, writeSimply }: Database["Type"],
  tables: Tables,
  { changing, changingSimply, one: usageOf }: HostUsages,
  { typeNotFound, typeRow }: Pick<Catalogue, "typeNotFound" | "typeRow">,
  seen: Pick<Seen, "forget" | "remember">,
  rememberVolume: (volume: Volume) => void
) {
  const { cloudInits, explanations, observations, operations, quotas, vms, volumes } = tables

  const existing = new ById<VmId, Vm>()
  const remember = (vm: Vm): void => {
    if (vm.exists) return existing.set(vm)
    existing.delete(vm.id)
    seen.forget(vm.id)
  }
  for (const vm of yield* read("read the VMs", vms.all)) remember(vm)

  const service: Pick<Inventory["Type"], Served> = {
    // the hot path: no span, no statement
    vm: (id) =>
      Effect.suspend(() => {
        const vm = existing.get(id)
        return vm === undefined ? new Errors.VmNotFound({ vmId: id }) : Effect.succeed(vm)
      }),
    // one that exists is as its row
    vmRecord: (id) =>
      Effect.suspend(() => {
        const vm = existing.get(id)
        return vm === undefined ? read(`read VM ${id}`, vms.find(id)) : Effect.succeed(vm)
      }),
    vms: (filter) =>
      Effect.sync(() => {
        const all = [...existing]
        return filter?.host === undefined ? all : all.filter((vm) => vm.hostId === filter.host)
      }),
    // the hot path: no span
    vmPage: (filter, order, after, limit) =>
      order.by === "id"
        ? Effect.sync(() => Pages.vmsById(existing, filter, order.descending, after, limit))
        : Effect.withSpan(
            read("read a page of VMs", Pages.vms(sql, existing, filter, order, after, limit)),
            "Inventory.vmPage"
          ),
    explained: (id) => read(`read why VM ${id} was placed where it was`, explanations.find(id)),

    beginOnVm: Effect.fn("Inventory.beginOnVm")(function* (vmId, kind, detail, confirm, check) {
      const identified = yield* Operations.identified
      const now = yield* Clock.currentTimeMillis
      return yield* writeSimply(
        `begin ${kind} of VM ${vmId}`,
        Effect.gen(function* () {
          const vm = yield* vms.find(vmId)
          if (vm.exists !== (kind !== "CleanVm")) {
            if (!vm.exists) return yield* new Errors.VmNotFound({ vmId })
            return yield* Effect.dieMessage(`VM ${vmId} is ${vm.state}: nothing of it may be removed`)
          }
          yield* vms.checkFree(vm)
          if (check !== undefined) yield* check(vm)
          const begun = { kind, vmId, ...(detail === undefined ? {} : { detail }) }
          const operation = yield* operations.insertAs(identified, begun, now)
          if (confirm !== undefined) yield* confirm({ vm, operation })
          return operation
        })
      )
    }),
    beginDestroy: (id, check, confirm) =>
      write(
        `begin to destroy VM ${id}`,
        Effect.gen(function* () {
          const vm = yield* vms.find(id)
          if (vm.state === "failed") return yield* new Errors.VmNotFound({ vmId: id })
          const unfinished = yield* vms.unfinished(id)
          const asked = (operation: Operation | null) =>
            confirm === undefined
              ? Effect.void
              : Effect.flatMap(volumes.withVm(id), (volumes) => confirm({ vm, operation, volumes }))
          if (unfinished?.kind === "DestroyVm") {
            yield* asked(null)
            return { vm, operation: Option.some(unfinished) }
          }
          // whatever else is done there, also to what was left of it
          if (vm.state === "destroyed") {
            yield* asked(null)
            return { vm, operation: Option.none() }
          }
          if (unfinished !== null) return yield* vms.busy(vm, unfinished)
          if (check !== undefined) yield* check(vm)
          const now = yield* Clock.currentTimeMillis
          const destroying = yield* vms.setState(id, "destroying", now)
          const operation = yield* operations.insert({ kind: "DestroyVm", vmId: id }, now)
          yield* asked(operation)
          return { vm: destroying, operation: Option.some(operation) }
        }),
        ({ vm }) => remember(vm)
      ).pipe(
        Effect.map(({ operation }) => operation),
        Effect.withSpan("Inventory.beginDestroy")
      ),

    changeVm: (id, change, check, confirm) =>
      changing(
        `change VM ${id}`,
        Effect.gen(function* () {
          const before = yield* vms.present(id)
          if (check !== undefined) yield* check(before)
          const { placement } = change
          const settings = changed(
            before,
            placement === undefined ? change : { ...change, placement: placed(before.placement, placement) }
          )
          // asked for again it is told again: the first time may have come to nothing
          const told = change.name !== undefined || change.autostart !== undefined
          if (told) yield* vms.checkFree(before)
          const now = yield* Clock.currentTimeMillis
          const after = yield* vms.setSettings(id, settings, now)
          const operation =
            told && before.settled ? yield* operations.insert({ kind: "ConfigureVm", vmId: id }, now) : null
          const result = { before, after, operation }
          if (confirm !== undefined) yield* confirm(result)
          if (placement === undefined) return { result, hosts: [] }
          yield* vms.reserveGroups(after)
          return { result, hosts: [after.hostId] }
        }),
        ({ after }) => remember(after)
      ).pipe(Effect.withSpan("Inventory.changeVm")),

    beginResize: (id, tid, check, confirm) =>
      Effect.withSpan(
        changing(
          `resize VM ${id}`,
          Effect.gen(function* () {
            const vm = yield* vms.present(id)
            yield* vms.checkFree(vm)
            const type = yield* typeRow(tid)
            if (type === null || type.retired) return yield* typeNotFound(tid)
            const [usage] = yield* usageOf(vm.hostId)
            if (usage === undefined) return yield* Effect.dieMessage(`VM ${id} is on a host that is no more`)
            const { cpu, ram } = vm.resources
            const promised = { ...usage.promised, cpu: usage.promised.cpu - cpu, ram: usage.promised.ram - ram }
            yield* check(vm, type, { ...usage, promised, vms: usage.vms - 1 })
            const now = yield* Clock.currentTimeMillis
            yield* quotas.check(vm.owner, { ...Quota.nothing, cpu: type.cpu - cpu, ram: type.ram - ram })
            yield* vms.reserve(id, Math.max(cpu, type.cpu), Math.max(ram, type.ram))
            const detail = { type: tid, cpu: type.cpu, ram: type.ram }
            const operation = yield* operations.insert({ kind: "ResizeVm", vmId: id, detail }, now)
            const resources = { ...vm.resources, cpu: type.cpu, ram: type.ram }
            const placement = ofType(vm.placement, tid, type.requires)
            const after = new Vm({ ...vm, instanceType: tid, resources, placement }, { disableValidation: true })
            if (confirm !== undefined) yield* confirm({ before: vm, after, operation })
            return { result: operation, hosts: [vm.hostId] }
          })
        ),
        "Inventory.beginResize"
      ),
    settleResize: Effect.fn("Inventory.settleResize")(function* (id, to) {
      const now = yield* Clock.currentTimeMillis
      yield* changingSimply(
        `settle the size of VM ${id}`,
        Effect.gen(function* () {
          const before = yield* Effect.orDie(vms.find(id))
          const { cpu, ram } = to ?? before.resources
          yield* vms.reserve(id, cpu, ram)
          if (to === null) return { result: before, hosts: [before.hostId] }
          const type = yield* typeRow(to.instanceType)
          const placement = ofType(before.placement, to.instanceType, type?.requires)
          const after = yield* vms.setSize(id, { ...to, placement }, now)
          return { result: after, hosts: [after.hostId] }
        }),
        remember
      )
    }),

    cloudInit: Trail.traced("Inventory.cloudInit")((id) =>
      read(`read what VM ${id} is told by cloud-init`, cloudInits.find(id))
    ),
    changeCloudInit: Effect.fn("Inventory.changeCloudInit")(function* (vmId, decide, confirm) {
      const identified = yield* Operations.identified
      return yield* writeSimply(
        `change what VM ${vmId} is told by cloud-init`,
        Effect.gen(function* () {
          const vm = yield* vms.present(vmId)
          yield* vms.checkFree(vm)
          const before = yield* cloudInits.find(vmId)
          const after = yield* decide(before, vm)
          yield* cloudInits.put(vmId, after)
          const now = yield* Clock.currentTimeMillis
          const operation = yield* operations.insertAs(identified, { kind: "SetCloudInit", vmId }, now)
          if (confirm !== undefined) yield* confirm({ vm, operation, cloudInit: { before, after } })
          return operation
        })
      )
    }),

    setVmState: Trail.traced("Inventory.setVmState")(
      Effect.fnUntraced(function* (id, state, sight) {
        const now = yield* Clock.currentTimeMillis
        yield* changingSimply(
          `set VM ${id} to ${state}`,
          Effect.gen(function* () {
            const before = yield* Effect.orDie(vms.find(id))
            // its reservation is gone, so it cannot come back
            if (isOver(before.state) && !isOver(state)) {
              return yield* Effect.dieMessage(`VM ${id} is ${before.state} and cannot become ${state}`)
            }
            const vm = yield* vms.setState(id, state, now)
            const none: ReadonlyArray<Volume> = []
            if (!isOver(state)) {
              const noted =
                sight === undefined
                  ? []
                  : yield* observations.observe([{ vmId: id, seen: sight, drift: null }], sight.at)
              return { result: { vm, released: none, noted }, hosts: [] }
            }
            yield* vms.release(id)
            yield* tables.nics.dropAll(id)
            yield* observations.forget(id)
            yield* cloudInits.remove(id)
            yield* explanations.remove(id)
            return { result: { vm, released: yield* volumes.release(id, now), noted: [] }, hosts: [vm.hostId] }
          }),
          ({ noted, released, vm }) => {
            remember(vm)
            seen.remember(noted)
            released.forEach(rememberVolume)
          }
        )
      })
    ),
    setVmPower: Effect.fn("Inventory.setVmPower")(function* (id, power, sight) {
      const now = yield* Clock.currentTimeMillis
      yield* writeSimply(
        `want VM ${id} ${power}`,
        Effect.gen(function* () {
          const vm = yield* Effect.orDie(vms.find(id))
          if (!vm.settled) return { vm, noted: [] }
          const noted =
            sight === undefined ? [] : yield* observations.observe([{ vmId: id, seen: sight, drift: null }], now)
          return { vm: vm.state === power ? vm : yield* vms.setPower(id, power, now), noted }
        }),
        ({ noted, vm }) => {
          remember(vm)
          seen.remember(noted)
        }
      )
    })
  }

  return { remember, service }
})
