/**
 * Placing with words: why something went where it went, and when it could go nowhere, what would help.
 *
 * @since 0.7.0
 */
import * as Effect from "effect/Effect"
import * as Errors from "../domain/Errors.ts"
import { type Barred, type Explanation, firstGroups, type Refusal, type Repair } from "../domain/Explanation.ts"
import type { HostId } from "../domain/Ids.ts"
import type { InstanceType } from "../domain/InstanceType.ts"
import * as Resources from "../domain/Resources.ts"
import type { Vm } from "../domain/Vm.ts"
import * as Score from "../scheduler/Score.ts"
import { Inventory } from "../services/Inventory.ts"
import { type Candidate, type PlacementRequest, Scheduler } from "../services/Scheduler.ts"
import { Storage } from "../services/Storage.ts"
import * as Nics from "./Nics.ts"

/** How many VMs are moved at most to make room, and how many are tried for a move of one alone. */
const most = { moves: 4, tries: 5 }

const plus = (a: Resources.Resources, b: Resources.Resources) => Resources.map((name) => a[name] + b[name])

/** How much of what is lacking a VM's leaving would give, from 0 to 1. */
const shareOf = (size: Resources.Resources, lacks: Resources.Resources): number => {
  const wanted = Resources.names.filter((name) => lacks[name] > 0)
  return wanted.reduce((sum, name) => sum + Math.min(1, size[name] / lacks[name]), 0) / Math.max(1, wanted.length)
}

/** Of a scheduler that gives a reason for each host and nothing else. */
const grouped = (refusals: ReadonlyArray<Errors.HostRefusal>): Refusal => {
  const groups = new Map<string, Barred>()
  for (const { host, reason } of refusals) {
    const known = groups.get(reason)
    groups.set(reason, { count: (known?.count ?? 0) + 1, host: known?.host ?? host, reasons: [reason] })
  }
  const all = [...groups.values()].toSorted((a, b) => b.count - a.count)
  return { hosts: refusals.length, ...firstGroups(all), repairs: [] }
}

/** @since 0.7.0 @category models */
export interface Placing {
  /**
   * The scheduler's `place`, whose refusal says what would help: one of `types` in place of the one that was asked for, a host that is not in
   * use, VMs elsewhere. It only reads what is in memory, so that it may be asked in a transaction.
   */
  readonly place: (types: ReadonlyArray<InstanceType>) => Scheduler["Type"]["place"]
  /**
   * To be called before a placement, outside of transactions: tells the scheduler, if it minds, which sizes are usual. Those are the sizes of all
   * VMs, and each of `types` counts as one more. They are counted again when the types are others, and after `Score.recountAfter` placements.
   */
  readonly learn: (types: ReadonlyArray<InstanceType>) => Effect.Effect<void, Errors.PersistenceError>
  /** Why it was that host; null: the scheduler does not say. */
  readonly explain: (
    request: PlacementRequest,
    candidates: ReadonlyArray<Candidate>,
    chosen: HostId
  ) => Effect.Effect<Explanation | null>
}

/** @since 0.7.0 @category constructors */
export const make: Effect.Effect<Placing, never, Scheduler | Inventory | Storage> = Effect.gen(function* () {
  const scheduler = yield* Scheduler
  const inventory = yield* Inventory
  const storage = yield* Storage

  /** What it takes of its host. */
  const sizeOf = ({ driver, resources }: Vm) => Resources.onHost(resources, storage.driver(driver).pool)

  /** for which types sizes were counted last, and for how many placements that will do */
  let counted = { types: "", left: 0 }
  const learn = Effect.fnUntraced(function* (types: ReadonlyArray<InstanceType>) {
    const { expect } = scheduler
    if (expect === undefined) return
    const key = JSON.stringify(types)
    counted.left--
    if (counted.types === key && counted.left > 0) return
    // whoever comes meanwhile need not count as well
    counted = { types: key, left: Score.recountAfter(0) }
    const sizes = (yield* inventory.vms()).map(sizeOf)
    counted = { types: key, left: Score.recountAfter(sizes.length) }
    const { pool } = storage.preferred
    yield* expect(Score.usualOf([...types.map((type) => Resources.onHost(type, pool)), ...sizes]))
  })

  /** Where a VM of that host could be instead; null: nowhere. */
  const elsewhere = (vm: Vm, hostId: HostId, candidates: ReadonlyArray<Candidate>) => {
    const networks = Nics.wishes(vm.nics)
    return scheduler
      .place(
        {
          resources: sizeOf(vm),
          exclude: new Map([[hostId, "it is there"]]),
          ...(networks.length === 0 ? {} : { networks })
        },
        candidates
      )
      .pipe(Effect.catchTag("NoFeasibleHost", () => Effect.succeed(null)))
  }

  /** VMs that could go elsewhere and leave as much room as the host lacks; none: no such were found. */
  const leaving = Effect.fnUntraced(function* (
    hostId: HostId,
    lacks: Resources.Resources,
    candidates: ReadonlyArray<Candidate>
  ): Effect.fn.Return<NonNullable<Repair["moves"]>, Errors.PersistenceError> {
    const names = new Map(candidates.map(({ host }) => [host.id, host.name]))
    const moved = ({ id, name }: Vm, to: HostId) => ({
      vmId: id,
      name,
      toHostId: to,
      toHost: names.get(to) ?? `host ${to}`
    })
    // rules of others may hold by where one of a group is: those stay
    const there = (yield* inventory.vms({ host: hostId })).filter(
      ({ placement, settled }) => settled && placement === null
    )
    const bySize = there.toSorted((a, b) => a.resources.ram - b.resources.ram || a.id - b.id)
    for (const vm of bySize.filter((vm) => shareOf(sizeOf(vm), lacks) === 1).slice(0, most.tries)) {
      const to = yield* elsewhere(vm, hostId, candidates)
      if (to !== null) return [moved(vm, to)]
    }
    const moves: Array<NonNullable<Repair["moves"]>[number]> = []
    let now = candidates
    let left = lacks
    const byShare = bySize.toSorted((a, b) => shareOf(sizeOf(b), lacks) - shareOf(sizeOf(a), lacks))
    for (const vm of byShare.slice(0, most.moves + most.tries)) {
      const size = sizeOf(vm)
      if (moves.length === most.moves || shareOf(size, left) === 0) continue
      const to = yield* elsewhere(vm, hostId, now)
      if (to === null) continue
      moves.push(moved(vm, to))
      now = now.map((one) => (one.host.id === to ? { ...one, promised: plus(one.promised, size) } : one))
      left = Resources.map((name) => Math.max(0, left[name] - size[name]))
      if (Resources.names.every((name) => left[name] === 0)) return moves
    }
    return []
  })

  const withMoves = Effect.fnUntraced(function* (refusal: Refusal, candidates: ReadonlyArray<Candidate>) {
    const room = refusal.repairs.find(({ kind }) => kind === "room")
    if (room?.lacks === undefined) return refusal
    const { host, hostId, lacks } = room
    const moves = yield* leaving(hostId, lacks, candidates)
    if (moves.length === 0) return refusal
    const vms = moves.map(({ name, toHost, vmId }) => `VM ${vmId} (${name}) is on ${toHost}`)
    const move: Repair = {
      kind: "move",
      text: `${host} has room for it once ${vms.join(" and ")}`,
      hostId,
      host,
      moves
    }
    return { ...refusal, repairs: refusal.repairs.flatMap((one) => (one === room ? [move, room] : [one])) }
  })

  return {
    learn,
    place: (types) => (request, candidates) =>
      Effect.catchTag(scheduler.place(request, candidates), "NoFeasibleHost", (error) =>
        (scheduler.refuse?.(request, candidates, types) ?? Effect.succeed(grouped(error.refusals))).pipe(
          Effect.flatMap((refusal) =>
            // when the VMs cannot be read it is still known why there is no room
            Effect.catchTag(withMoves(refusal, candidates), "PersistenceError", () => Effect.succeed(refusal))
          ),
          Effect.flatMap(
            (why) =>
              new Errors.NoFeasibleHost({
                refusals: error.refusals,
                ...(error.ruled === undefined ? {} : { ruled: error.ruled }),
                ...(error.cut === undefined ? {} : { cut: error.cut }),
                why
              })
          )
        )
      ),
    explain: (request, candidates, chosen) => scheduler.explain?.(request, candidates, chosen) ?? Effect.succeed(null)
  }
})
