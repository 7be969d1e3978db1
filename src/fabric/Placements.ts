/**
 * Why VMs are where they are, and what else would fit.
 *
 * @since 0.7.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Errors from "../domain/Errors.ts"
import type { Explained } from "../domain/Explanation.ts"
import type { Host, HostStatus } from "../domain/Host.ts"
import type { HostId, VmId } from "../domain/Ids.ts"
import { limitOf } from "../domain/Pool.ts"
import * as Resources from "../domain/Resources.ts"
import type { Vm } from "../domain/Vm.ts"
import type { Volume } from "../domain/Volume.ts"
import * as Paced from "../observability/Paced.ts"
import * as FitsOf from "../scheduler/Fits.ts"
import * as Rebalance from "../scheduler/Rebalance.ts"
import type { Policy } from "../scheduler/Score.ts"
import * as Violations from "../scheduler/Violations.ts"
import { HostMonitor, statusOf } from "../services/HostMonitor.ts"
import { Inventory } from "../services/Inventory.ts"
import type { Candidate } from "../services/Scheduler.ts"
import { Storage } from "../services/Storage.ts"
import * as Candidates from "./Candidates.ts"
import * as Nics from "./Nics.ts"

/**
 * Must-rules of a VM that do not hold, the moves that would make them, and the names of the hosts. The plan has the VM in `stuck` when they do not
 * all hold after it.
 *
 * @since 0.8.0 @category models
 */
export interface RepairReport {
  readonly violations: ReadonlyArray<Violations.Violation>
  readonly plan: Rebalance.Plan
  readonly hosts: ReadonlyMap<HostId, string>
}

/**
 * A VM, its host, and why it was placed there; `explained` null: nobody has said so. `repair` null: all its must-rules hold.
 *
 * @since 0.7.0 @category models
 */
export interface PlacementReport {
  readonly vm: Vm
  readonly host: Host
  readonly explained: Explained | null
  readonly repair: RepairReport | null
}

/** As on hosts, but that a pool may be what there is least of. @since 0.7.0 @category models */
export interface TypeFit extends Omit<FitsOf.Fit, "limit"> {
  readonly limit: FitsOf.Fit["limit"] | "pool"
}

/**
 * What more fits at this moment: of `hosts` so many are `open` to new VMs, which keep so much `reserved`. `losses`: the hosts without which VMs would have no place, most VMs
 * first.
 *
 * @since 0.7.0 @category models
 */
export interface FitsReport {
  readonly hosts: number
  readonly open: number
  readonly reserved: Resources.Resources
  readonly types: ReadonlyArray<TypeFit>
  readonly losses: ReadonlyArray<FitsOf.Loss>
}

/**
 * What is to be planned: nearer to the policy's aim, one host `empty`, or must-rules that hold again. At most one of `empty` and `repair`.
 *
 * @since 0.7.0 @category models
 */
export interface RebalanceRequest {
  readonly policy?: Policy
  readonly empty?: HostId
  readonly repair?: boolean
  /** moves at most, 10 unless it is said */
  readonly most?: number
}

/** A plan, what it is for, and the names of the hosts. @since 0.7.0 @category models */
export interface RebalanceReport {
  readonly aim: Rebalance.Aim
  readonly policy: Policy
  readonly plan: Rebalance.Plan
  readonly hosts: ReadonlyMap<HostId, string>
}

/** @since 0.7.0 @category services */
export class Placements extends Context.Tag("vmfabric/Placements")<
  Placements,
  {
    readonly why: (id: VmId) => Effect.Effect<PlacementReport, Errors.VmNotFound | Errors.PersistenceError>
    /** Of each type on offer how many more fit, and which single host's VMs would not fit on the others. */
    readonly fits: Effect.Effect<FitsReport, Errors.PersistenceError>
    /** Which VMs would have to move where; nothing is moved. */
    readonly rebalance: (
      request: RebalanceRequest
    ) => Effect.Effect<RebalanceReport, Errors.InvalidArgument | Errors.HostNotFound | Errors.PersistenceError>
  }
>() {}

/** How many moves are told unless it is said. */
const shown = 10

/** After how many hosts others get their turn. */
const turn = 16

/** As many as a pool has room for too, of which so many GiB are left. `left` null: nothing is kept in one. @since 0.10.0 @category getters */
export const inPool = (fit: FitsOf.Fit, left: number | null): TypeFit => {
  const most = left === null ? fit.more : Math.floor(left / fit.type.disk)
  return most < fit.more ? { ...fit, more: most, hosts: most === 0 ? 0 : fit.hosts, limit: "pool" } : fit
}

/** Why a VM cannot be moved whatever the hosts, one clause; null: it can. */
const fixed = (vm: Vm, volumes: ReadonlyArray<Volume>, status: HostStatus): string | null => {
  if (!vm.settled) return `it is ${vm.state}`
  if (status._tag !== "Up") return "its host does not answer"
  // as with attaching: one that was used stays on its host
  const local = volumes.filter(({ hostId }) => hostId !== null)
  if (local.length === 0) return null
  const named = local.map(({ id, name }) => `volume ${id} (${name})`).join(", ")
  return `its ${named} ${local.length === 1 ? "is" : "are"} kept in a folder of its host, and without Ceph a volume stays on its host`
}

/** @since 0.7.0 @category layers */
export const layer = Layer.effect(
  Placements,
  Effect.gen(function* () {
    const inventory = yield* Inventory
    const monitor = yield* HostMonitor
    const storage = yield* Storage
    const { preferred } = storage
    const candidatesOf = Candidates.make()

    /** GiB that can be promised of the pool for new disks; null: there is none, or nobody could look at it yet. */
    const leftOfPool = Effect.map(inventory.pools, (pools) => {
      const report = pools.find(({ pool }) => pool.name === preferred.pool)
      return report === undefined ? null : Math.max(0, limitOf(report.pool) - report.promised)
    })

    const guests = Effect.fnUntraced(function* (vms: ReadonlyArray<Vm>, statuses: ReadonlyMap<HostId, HostStatus>) {
      const volumes = new Map<VmId, Array<Volume>>()
      for (const volume of yield* inventory.volumes()) {
        if (volume.vmId === null) continue
        const others = volumes.get(volume.vmId)
        if (others === undefined) volumes.set(volume.vmId, [volume])
        else others.push(volume)
      }
      return vms.map((vm): Rebalance.Guest => {
        const { driver, hostId, id, name, nics, placement, resources } = vm
        const { pool } = storage.driver(driver)
        return {
          id,
          name,
          hostId,
          nics,
          placement,
          resources: Resources.onHost(resources, pool),
          networks: Nics.wishes(nics),
          disk: pool === null ? resources.disk : 0,
          fixed: fixed(vm, volumes.get(id) ?? [], statusOf(statuses, hostId))
        }
      })
    })

    const namesOf = (candidates: ReadonlyArray<Candidate>) =>
      new Map(candidates.map(({ host }): [HostId, string] => [host.id, host.name]))

    const repairOf = Effect.fnUntraced(function* (
      vm: Vm
    ): Effect.fn.Return<RepairReport | null, Errors.PersistenceError> {
      // a VM without such rules costs nothing
      if (vm.placement === null || vm.placement.rules.every(({ strength }) => strength === "should")) return null
      const statuses = yield* monitor.statuses
      const candidates = candidatesOf(yield* inventory.hosts, statuses)
      const vms = yield* inventory.vms()
      const all = Violations.of([vm], vms, candidates).get(vm.id) ?? []
      const violations = all.filter(({ rule }) => rule.strength === "must")
      if (violations.length === 0) return null
      const there = yield* guests(vms, statuses)
      const types = yield* inventory.types
      const options: Rebalance.Options = {
        aim: { kind: "repair", vm: vm.id },
        policy: "spread",
        moves: shown,
        types
      }
      const plan = yield* Paced.run(() => Rebalance.steps(candidates, there, options))
      return { violations, plan, hosts: namesOf(candidates) }
    })

    return Placements.of({
      why: Effect.fn("Placements.why")(function* (id) {
        const vm = yield* inventory.vm(id)
        // a host with VMs on it cannot be removed
        const { host } = yield* Effect.catchTag(inventory.host(vm.hostId), "HostNotFound", Effect.die)
        return { vm, host, explained: yield* inventory.explained(id), repair: yield* repairOf(vm) }
      }),
      fits: Effect.gen(function* () {
        const candidates = candidatesOf(yield* inventory.hosts, yield* monitor.statuses)
        const left = yield* leftOfPool
        const types = FitsOf.types(candidates, yield* inventory.types, (type) =>
          Resources.onHost(type, preferred.pool)
        ).map((fit) => inPool(fit, left))
        const guests = (yield* inventory.vms()).map(({ driver, hostId, id, name, nics, placement, resources }) => ({
          id,
          name,
          hostId,
          placement,
          resources: Resources.onHost(resources, storage.driver(driver).pool),
          networks: Nics.wishes(nics)
        }))
        const lossOf = FitsOf.losses(candidates, guests)
        const losses: Array<FitsOf.Loss> = []
        for (const [i, candidate] of candidates.entries()) {
          const loss = lossOf(candidate)
          if (loss !== undefined) losses.push(loss)
          if (i % turn === turn - 1) yield* Paced.others
        }
        return {
          hosts: candidates.length,
          open: candidates.filter(FitsOf.isOpen).length,
          reserved: FitsOf.reserved(candidates),
          types,
          losses: losses.toSorted((a, b) => b.homeless.length - a.homeless.length || a.hostId - b.hostId)
        }
      }).pipe(Effect.withSpan("Placements.fits")),
      rebalance: Effect.fn("Placements.rebalance")(function* (request) {
        const { empty, most = shown, policy = "spread", repair = false } = request
        if (empty !== undefined && repair) {
          return yield* new Errors.InvalidArgument({
            field: "empty",
            problem: "is given together with the aim repair",
            expected: "one of them"
          })
        }
        if (empty !== undefined) yield* inventory.host(empty)
        const statuses = yield* monitor.statuses
        const candidates = candidatesOf(yield* inventory.hosts, statuses)
        const there = yield* guests(yield* inventory.vms(), statuses)
        const aim: Rebalance.Aim =
          empty !== undefined ? { kind: "empty", host: empty } : { kind: repair ? "repair" : "policy" }
        const types = yield* inventory.types
        return {
          aim,
          policy,
          plan: yield* Paced.run(() => Rebalance.steps(candidates, there, { aim, policy, moves: most, types })),
          hosts: namesOf(candidates)
        }
      })
    })
  })
)
