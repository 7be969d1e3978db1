/**
 * Plans: what a request would do, and that it then does that and nothing else.
 *
 * A plan is made by the use case itself, whose transaction is taken back at its end: what it would be refused with it is refused with, and nothing is
 * held or promised meanwhile. It is applied by the same use case, which finds out in its transaction whether all that the plan depended on is still
 * so. Plans are kept in memory: a process that starts anew knows none, and whoever has one plans again.
 *
 * @since 0.5.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Errors from "../domain/Errors.ts"
import type { HostId, VmId } from "../domain/Ids.ts"
import type { OperationKind } from "../domain/Operation.ts"
import { countedIn, showAll } from "../domain/Placement.ts"
import * as Quota from "../domain/Quota.ts"
import * as Resources from "../domain/Resources.ts"
import * as Uuid from "../domain/Uuid.ts"
import { Volume } from "../domain/Volume.ts"
import type { Ports } from "../operations/Kinds.ts"
import { reasons } from "../scheduler/Kept.ts"
import * as Violations from "../scheduler/Violations.ts"
import { HostMonitor } from "../services/HostMonitor.ts"
import { Hypervisor } from "../services/Hypervisor.ts"
import { ImageLibrary } from "../services/ImageLibrary.ts"
import { ImageStore } from "../services/ImageStore.ts"
import { Inventory } from "../services/Inventory.ts"
import type { Candidate, PlacementRequest, Scheduler } from "../services/Scheduler.ts"
import { Storage } from "../services/Storage.ts"
import * as Begun from "./Begun.ts"
import * as Candidates from "./Candidates.ts"
import * as Changes from "./Changes.ts"
import * as Intent from "./Intent.ts"

/** What was asked, and by whom. `content`: all else that it says, in a fixed order. @since 0.5.0 @category models */
export interface Request {
  readonly owner: string
  readonly method: string
  readonly path: string
  readonly content: string
}

/** A host that was looked at for something. @since 0.5.0 @category models */
export interface Considered {
  readonly hostId: HostId
  readonly host: string
  readonly chosen: boolean
  /** why it was chosen, or was not, one clause */
  readonly reason: string
}

/** Where something goes. `considered`: the chosen one first, then those that cannot take it, at most 20 of `total`. @since 0.5.0 @category models */
export interface Placement {
  readonly name: string
  readonly hostId: HostId
  readonly host: string
  readonly considered: ReadonlyArray<Considered>
  readonly total: number
}

/** A rule that would not hold where its VM is. @since 0.9.0 @category models */
export interface Broken extends Violations.Violation {
  readonly vmId: VmId
  readonly name: string
}

/**
 * `expiresAt` in milliseconds since 1970. `alike`: how many more of the same kind it makes, of which steps and changes are not shown. `refused`: how
 * many of those asked for would not be begun, and why; null: all would.
 *
 * @since 0.5.0 @category models
 */
export interface Plan<E = never> extends Changes.Outcome {
  readonly id: string
  readonly expiresAt: number
  readonly placements: ReadonlyArray<Placement>
  /** of VMs that are there and get other rules: which of them do not hold where they are */
  readonly violations: ReadonlyArray<Broken>
  readonly alike: number
  readonly refused: { readonly count: number; readonly error: E } | null
}

/** What is kept of a plan: enough to tell whether it can still be applied. @since 0.5.0 @category models */
export interface Kept {
  readonly id: string
  readonly request: Request
  readonly expiresAt: number
  readonly facts: ReadonlyMap<string, string>
  /** by the name of what goes there */
  readonly hosts: ReadonlyMap<string, { readonly id: HostId; readonly name: string }>
  /** what its parts begin, in their order; null: nothing */
  readonly parts: ReadonlyArray<OperationKind | null>
  /** how many of those that were asked for it makes */
  readonly size: number
  /** who has applied it, or is about to */
  appliedBy: object | null
}

/** @since 0.5.0 @category errors */
export type PlanError = Errors.VmBusy | Errors.VolumeBusy | Changes.OutcomeError

/** One application of a plan, which may run several use cases. @since 0.5.0 @category models */
export interface Application {
  /**
   * Runs the use case as it was planned. `PlanOutdated`: it cannot be any more, and nothing was begun. What it fails with after it has begun
   * something is its own.
   */
  readonly run: <A, E, R>(useCase: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Errors.PlanOutdated, R>
  /** Whether all of them could be begun as planned at this moment: each in its turn, and taken back. Nothing is begun. */
  readonly check: <A, E, R>(
    useCases: ReadonlyArray<Effect.Effect<A, E, R>>
  ) => Effect.Effect<void, E | Errors.PlanOutdated | Errors.VmBusy | Errors.VolumeBusy, R>
  /** how many of those that were asked for the plan makes */
  readonly size: number
}

/** @since 0.5.0 @category services */
export class Plans extends Context.Tag("vmfabric/Plans")<
  Plans,
  {
    /**
     * What the use cases would do, each after the ones before it; as a rule it is one. They are asked until one is refused: when that is the first,
     * its refusal is the plan's, and with `whole` that of any. `VmBusy`, `VolumeBusy`: the request itself would wait, and what it would find then is not known.
     */
    readonly plan: <A, E, R>(
      request: Request,
      useCases: ReadonlyArray<Effect.Effect<A, E, R>>,
      whole?: boolean
    ) => Effect.Effect<Plan<E>, E | PlanError, R>
    /** To apply a plan of that request. */
    readonly apply: (
      id: string,
      request: Request
    ) => Effect.Effect<Application, Errors.PlanNotFound | Errors.PlanMismatch>
  }
>() {}

/** For how long a plan can be applied. @since 0.5.0 @category constants */
export const lifetime = Duration.minutes(10)

/** How many are kept, the newest: one that is dropped for that is as one that has expired. @since 0.5.0 @category constants */
export const most = 1000

/** Of how many of a batch steps, changes and hosts are shown. */
const shown = 20

/** How many hosts are listed of those that were considered. */
const listed = 20

const show = ({ method, path }: Request): string => `${method} ${path}`

const considered = (
  chosen: HostId,
  request: PlacementRequest,
  candidates: ReadonlyArray<Candidate>
): ReadonlyArray<Considered> => {
  const refusals = reasons(request, candidates)
  const all = candidates.map((candidate): Considered & { readonly rank: number } => {
    const { id, name } = candidate.host
    const refusal = refusals.get(id) ?? null
    return id === chosen
      ? { hostId: id, host: name, chosen: true, reason: "the scheduler's choice among those that can take it", rank: 0 }
      : {
          hostId: id,
          host: name,
          chosen: false,
          reason: refusal ?? "it could take it, too",
          rank: refusal === null ? 2 : 1
        }
  })
  return all
    .toSorted((a, b) => a.rank - b.rank || a.hostId - b.hostId)
    .slice(0, listed)
    .map(({ chosen, host, hostId, reason }) => ({ hostId, host, chosen, reason }))
}

const plus = (a: Resources.Resources, b: Resources.Resources) => Resources.map((name) => a[name] + b[name])

/** What a plan gathers while its use cases are rehearsed. */
const makeDraft = (pinned: Kept | null) => {
  const facts = new Map<string, string>()
  const hosts = new Map<string, { readonly id: HostId; readonly name: string }>()
  const placements: Array<Placement> = []
  const made: Array<Intent.Made> = []
  const taken = new Map<
    HostId,
    { readonly resources: Resources.Resources; readonly vms: number; readonly groups: ReadonlyArray<string> }
  >()
  let pooled = 0
  let counted = Quota.nothing

  const mode: Intent.Mode = {
    waits: false,
    choose: Effect.fnUntraced(function* ({ name, what }, request, candidates, place) {
      const now = candidates.map((candidate): Candidate => {
        const others = taken.get(candidate.host.id)
        if (others === undefined) return candidate
        const { groups = [], promised, vms } = candidate
        return {
          ...candidate,
          promised: plus(promised, others.resources),
          vms: vms + others.vms,
          ...(others.groups.length === 0 ? {} : { groups: [...groups, ...others.groups] })
        }
      })
      const hostId = yield* pinned === null ? place(request, now) : pin(pinned, name, request, now, place)
      const others = taken.get(hostId) ?? { resources: Resources.zero, vms: 0, groups: [] }
      taken.set(hostId, {
        resources: plus(others.resources, request.resources),
        vms: others.vms + (what === "VM" ? 1 : 0),
        groups: [...others.groups, ...countedIn(request.placement ?? null)]
      })
      const host = now.find((candidate) => candidate.host.id === hostId)?.host.name ?? `host ${hostId}`
      hosts.set(name, { id: hostId, name: host })
      if (placements.length < shown && pinned === null) {
        const all = considered(hostId, request, now)
        placements.push({ name, hostId, host, considered: all, total: candidates.length })
      }
      return hostId
    }),
    besides: () => pooled,
    planned: () => counted,
    depends: (found) =>
      Effect.suspend(() => {
        const now = found()
        if (pinned !== null) return stillSo(pinned, now)
        for (const [what, value] of Object.entries(now)) facts.set(what, value)
        return Effect.void
      }),
    confirm: (result) =>
      Effect.suspend(() => {
        const one = result()
        made.push(one)
        if (one.vm !== undefined && one.vm.before === null) {
          const { resources } = one.vm.after
          pooled += resources.disk
          counted = Quota.plus(counted, Quota.ofVms(resources))
        }
        return Intent.stop(new Intent.Rehearsed())
      }),
    inSequence: (parts) =>
      Effect.gen(function* () {
        for (const part of parts) yield* rehearsed(part)
        return yield* Intent.stop(new Intent.Rehearsed())
      })
  }

  return { facts, hosts, placements, made, mode }
}

/** Ends as nothing when it was rehearsed, and as it ended else. */
const rehearsed = <A, E, R>(useCase: Effect.Effect<A, E, R>): Effect.Effect<void, E, R> =>
  Effect.flatMap(
    Intent.stopped(useCase),
    Either.match({
      onLeft: (ending) => (ending._tag === "Rehearsed" ? Effect.void : Intent.stop(ending)),
      onRight: () => Effect.void
    })
  )

const outdated = (planId: string, ...moved: ReadonlyArray<Errors.Moved>) =>
  Intent.stop(new Errors.PlanOutdated({ planId, moved }))

const stillSo = ({ facts, id }: Kept, now: Intent.Facts): Effect.Effect<void> => {
  const moved = Object.entries(now).flatMap(([what, value]): ReadonlyArray<Errors.Moved> => {
    const planned = facts.get(what)
    return planned === undefined || planned === value ? [] : [{ what, planned, now: value }]
  })
  return moved.length === 0 ? Effect.void : outdated(id, ...moved)
}

/** Where it was planned, if it still can be there. */
const pin = (
  { hosts, id }: Kept,
  name: string,
  request: PlacementRequest,
  candidates: ReadonlyArray<Candidate>,
  place: Scheduler["Type"]["place"]
): Effect.Effect<HostId> => {
  const planned = hosts.get(name)
  if (planned === undefined) {
    return outdated(id, {
      what: name,
      planned: "not made, for there was no room for it",
      now: "asked for all the same"
    })
  }
  // the others are left in: what is there counts for rules about groups
  const elsewhere = candidates.flatMap(({ host: { id } }) =>
    id === planned.id ? [] : [[id, "it is planned elsewhere"] as const]
  )
  const there = { ...request, exclude: new Map([...elsewhere, ...request.exclude]) }
  return Effect.catchTag(place(there, candidates), "NoFeasibleHost", ({ refusals }) =>
    outdated(id, {
      what: `host ${planned.id} (${planned.name})`,
      planned: `can take ${name}`,
      now: refusals.find(({ hostId }) => hostId === planned.id)?.reason ?? "it is not in the machine file any more"
    })
  )
}

/** What a refusal says has moved; null: it says nothing of that. */
const movedBy = (error: unknown): Errors.Moved | null => {
  if (error instanceof Errors.VmNotFound) return { what: `VM ${error.vmId}`, planned: "there", now: error.message }
  if (error instanceof Errors.VolumeNotFound) {
    return { what: `volume ${error.volumeId}`, planned: "there", now: error.message }
  }
  if (error instanceof Errors.SnapshotNotFound) {
    return { what: `snapshot ${error.snapshotId}`, planned: "there", now: error.message }
  }
  if (error instanceof Errors.HostNotFound)
    return { what: `host ${error.hostId}`, planned: "there", now: error.message }
  if (error instanceof Errors.ImageNotFound) return { what: "image", planned: "on offer", now: error.message }
  if (error instanceof Errors.InstanceTypeNotFound) {
    return { what: `instance type ${error.tid}`, planned: "on offer", now: error.message }
  }
  if (error instanceof Errors.ImageConflict) {
    return { what: `image ${error.image}`, planned: "such that it can be done", now: error.message }
  }
  if (error instanceof Errors.InstanceTypeConflict) {
    return { what: `instance type ${error.tid}`, planned: "such that it can be done", now: error.message }
  }
  if (error instanceof Errors.VmProtected) {
    return { what: `VM ${error.vmId}`, planned: "not protected", now: error.message }
  }
  if (error instanceof Errors.VmConflict) {
    return { what: `VM ${error.vmId}`, planned: "such that it can be done", now: error.message }
  }
  if (error instanceof Errors.HostConflict) {
    return { what: `host ${error.host}`, planned: "such that it can be done", now: error.message }
  }
  if (error instanceof Errors.VolumeConflict) {
    return { what: `volume ${error.volumeId}`, planned: "such that it can be done", now: error.message }
  }
  if (error instanceof Errors.NotRetryable) {
    return { what: `operation ${error.operationId}`, planned: "such that it can be retried", now: error.message }
  }
  if (error instanceof Errors.NicNotFound) {
    return { what: `VM ${error.vmId}: NIC ${error.nic}`, planned: "there", now: error.message }
  }
  if (error instanceof Errors.NicConflict) {
    return { what: `VM ${error.vmId}`, planned: "such that it can be done", now: error.message }
  }
  if (error instanceof Errors.MacTaken) return { what: error.mac, planned: "free", now: error.message }
  if (error instanceof Errors.UserNotFound) return { what: `user ${error.name}`, planned: "there", now: error.message }
  if (error instanceof Errors.UserConflict) {
    return { what: `user ${error.name}`, planned: "such that it can be done", now: error.message }
  }
  if (error instanceof Errors.TokenNotFound) {
    return { what: `token ${error.tokenId}`, planned: "there", now: error.message }
  }
  if (error instanceof Errors.WebhookNotFound) {
    return { what: `webhook ${error.webhookId}`, planned: "there", now: error.message }
  }
  if (error instanceof Errors.NotAllowed) return { what: "this", planned: "allowed", now: error.message }
  if (error instanceof Errors.NotCancellable) {
    return { what: `operation ${error.operationId}`, planned: "such that it can be cancelled", now: error.message }
  }
  if (error instanceof Errors.PoolFull) return { what: `pool ${error.pool}`, planned: "has room", now: error.message }
  if (error instanceof Errors.QuotaExceeded) {
    return { what: `quota of ${error.user}`, planned: "has room", now: error.message }
  }
  if (error instanceof Errors.NoFeasibleHost) return { what: "hosts", planned: "one can take it", now: error.message }
  return null
}

const asOutdated =
  ({ id }: Kept) =>
  <E>(error: E): E | Errors.PlanOutdated => {
    const moved = movedBy(error)
    return moved === null ? error : new Errors.PlanOutdated({ planId: id, moved: [moved] })
  }

const kindInWords = (kind: OperationKind | null): string => (kind === null ? "nothing to begin" : `begins ${kind}`)

/** The same volume as the operation before it leaves it, with what this one changes. */
const after = (made: Intent.Made, volume: Volume | undefined): Intent.Made => {
  if (volume === undefined || made.volume === undefined || made.volume.before === null) return made
  const { after, before } = made.volume
  if (before.id !== volume.id) return made
  const { name, size, state } = after
  const changed = {
    ...(name === before.name ? {} : { name }),
    ...(size === before.size ? {} : { size }),
    ...(state === before.state ? {} : { state })
  }
  return {
    ...made,
    volume: { before: volume, after: new Volume({ ...volume, ...changed }, { disableValidation: true }) }
  }
}

/** @since 0.5.0 @category layers */
export const layer = Layer.effect(
  Plans,
  Effect.gen(function* () {
    const ports: Ports = {
      inventory: yield* Inventory,
      hypervisor: yield* Hypervisor,
      storage: yield* Storage,
      store: yield* ImageStore,
      library: yield* ImageLibrary
    }
    const monitor = yield* HostMonitor
    const candidatesOf = Candidates.make()
    const plans = new Map<string, Kept>()

    const keep = (plan: Kept, now: number) => {
      for (const [id, { expiresAt }] of plans) if (expiresAt <= now) plans.delete(id)
      const [oldest] = plans.keys()
      if (oldest !== undefined && plans.size >= most) plans.delete(oldest)
      plans.set(plan.id, plan)
    }

    const outcomeOf = Effect.fnUntraced(function* (made: ReadonlyArray<Intent.Made>) {
      const steps: Array<Changes.Step> = []
      const changes: Array<Changes.Change> = []
      let volume: Volume | undefined
      for (const one of made) {
        const outcome = yield* Changes.of(ports, after(one, volume))
        volume = outcome.volume
        steps.push(...outcome.steps.map((step, index) => ({ ...step, number: steps.length + index + 1 })))
        changes.push(...outcome.changes)
      }
      return { steps, changes }
    })

    const brokenOf = Effect.fnUntraced(function* (
      made: ReadonlyArray<Intent.Made>
    ): Effect.fn.Return<ReadonlyArray<Broken>, Errors.PersistenceError> {
      const changed = made.flatMap(({ vm }) =>
        vm === undefined || vm.before === null || showAll(vm.before.placement) === showAll(vm.after.placement)
          ? []
          : [vm.after]
      )
      if (changed.length === 0) return []
      const candidates = candidatesOf(yield* ports.inventory.hosts, yield* monitor.statuses)
      const after = new Map(changed.map((vm) => [vm.id, vm]))
      const all = (yield* ports.inventory.vms()).map((vm) => after.get(vm.id) ?? vm)
      const broken = Violations.of(changed, all, candidates)
      return changed.flatMap(({ id, name }) => (broken.get(id) ?? []).map((one) => ({ ...one, vmId: id, name })))
    })

    const plan = Effect.fn("Plans.plan")(function* <A, E, R>(
      request: Request,
      useCases: ReadonlyArray<Effect.Effect<A, E, R>>,
      whole: boolean = false
    ) {
      const draft = makeDraft(null)
      let refused: Plan<E>["refused"] = null
      let done = 0
      for (const useCase of useCases) {
        const rehearsal = Intent.stopped(rehearsed(Effect.provideService(useCase, Intent.Intent, draft.mode)))
        const ended = yield* Effect.either(rehearsal)
        if (Either.isLeft(ended)) {
          if (done === 0 || whole) return yield* Effect.fail(ended.left)
          refused = { count: useCases.length - done, error: ended.left }
          break
        }
        const ending = Either.flip(ended.right)
        if (Either.isRight(ending)) {
          const { right } = ending
          if (right._tag === "VmBusy" || right._tag === "VolumeBusy") return yield* Effect.fail(right)
          return yield* Effect.dieMessage(`a plan ended as ${right._tag}`)
        }
        done++
      }
      const outcome = yield* outcomeOf(draft.made.slice(0, shown))
      const violations = yield* brokenOf(draft.made)
      const now = yield* Clock.currentTimeMillis
      const id = yield* Uuid.make
      const expiresAt = now + Duration.toMillis(lifetime)
      const parts = draft.made.map(({ operation }) => operation?.kind ?? null)
      keep({ id, request, expiresAt, facts: draft.facts, hosts: draft.hosts, parts, size: done, appliedBy: null }, now)
      const alike = Math.max(0, draft.made.length - shown)
      return { id, expiresAt, ...outcome, placements: draft.placements, violations, alike, refused } satisfies Plan<E>
    })

    const apply = Effect.fn("Plans.apply")(function* (id: string, request: Request) {
      const now = yield* Clock.currentTimeMillis
      const kept = plans.get(id)
      if (kept === undefined || kept.expiresAt <= now || kept.request.owner !== request.owner) {
        return yield* new Errors.PlanNotFound({ planId: id })
      }
      const same = show(kept.request) === show(request) && kept.request.content === request.content
      if (!same) return yield* new Errors.PlanMismatch({ planId: id, planned: show(kept.request) })
      const self = {}
      let anyBegun = false

      const run = <A, E, R>(useCase: Effect.Effect<A, E, R>): Effect.Effect<A, E | Errors.PlanOutdated, R> =>
        Effect.gen(function* () {
          const tell = yield* Begun.Begun
          let begun = false
          let part = 0
          /** What comes after the first operation is what it leads to, and no decision of the plan. */
          const until = <B>(effect: () => Effect.Effect<B>, otherwise: Effect.Effect<B>) =>
            Effect.suspend(() => (begun ? otherwise : effect()))
          const mode: Intent.Mode = {
            waits: true,
            choose: ({ name }, wanted, candidates, place) =>
              Effect.suspend(() => (begun ? place(wanted, candidates) : pin(kept, name, wanted, candidates, place))),
            besides: () => 0,
            planned: () => Quota.nothing,
            depends: (facts) => until(() => stillSo(kept, facts()), Effect.void),
            confirm: (made) =>
              until(() => {
                const planned = kept.parts[part++] ?? null
                const kind = made().operation?.kind ?? null
                if (kept.appliedBy !== null && kept.appliedBy !== self) {
                  return outdated(id, { what: "this plan", planned: "applied once", now: "it has been applied" })
                }
                if (planned !== kind) {
                  const [what, now] = [show(kept.request), kindInWords(kind)]
                  return outdated(id, { what, planned: kindInWords(planned), now })
                }
                kept.appliedBy = self
                return Effect.void
              }, Effect.void),
            inSequence: (all) => Effect.all(all, { discard: true })
          }
          const ended = yield* Effect.suspend(() => useCase).pipe(
            Effect.provideService(Intent.Intent, mode),
            Effect.provideService(Begun.Begun, (operation) => {
              begun = true
              anyBegun = true
              return tell(operation)
            }),
            Intent.stopped,
            Effect.mapError((error): E | Errors.PlanOutdated => (begun ? error : asOutdated(kept)(error)))
          )
          if (Either.isRight(ended)) return ended.right
          if (ended.left._tag === "PlanOutdated") return yield* ended.left
          return yield* Effect.dieMessage(`an application of a plan ended as ${ended.left._tag}`)
        }).pipe(
          Effect.mapError((error) =>
            error instanceof Errors.PlanOutdated && kept.appliedBy !== null && kept.appliedBy !== self
              ? new Errors.PlanOutdated({ planId: id, moved: error.moved, applied: true })
              : error
          ),
          // it has come to nothing, and can be tried again
          Effect.onExit((exit) =>
            Effect.sync(() => {
              if (Exit.isFailure(exit) && !anyBegun && kept.appliedBy === self) kept.appliedBy = null
            })
          )
        )

      const check = <A, E, R>(useCases: ReadonlyArray<Effect.Effect<A, E, R>>) =>
        Effect.gen(function* () {
          // then it is for those that were begun to say so, and the others are refused
          if (kept.appliedBy !== null) return
          const draft = makeDraft(kept)
          for (const useCase of useCases) {
            const ended = yield* rehearsed(Effect.provideService(useCase, Intent.Intent, draft.mode)).pipe(
              Intent.stopped,
              Effect.mapError(asOutdated(kept))
            )
            if (Either.isRight(ended)) continue
            const { left } = ended
            if (left._tag === "Rehearsed") continue
            return yield* Effect.fail(left)
          }
        })

      return { run, check, size: kept.size } satisfies Application
    })

    return Plans.of({ plan, apply })
  })
)
