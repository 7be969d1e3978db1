/**
 * Looks at what is on the hosts, beside what should be.
 *
 * It never takes an event's word for anything: an event says that a domain is worth a look, so that lost, late and doubled ones do no harm. What
 * no event tells (a definition that was changed by hand) is found by looking at every domain again and again, the fewer there are the more often.
 *
 * @since 0.3.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { defaultPolicies, type DriftKind, type DriftPolicies, type Foreign } from "../domain/Drift.ts"
import type * as Errors from "../domain/Errors.ts"
import type { Host, HostStatus } from "../domain/Host.ts"
import { type HostId, VmId } from "../domain/Ids.ts"
import type { OperationDetail } from "../domain/Operation.ts"
import * as Places from "../domain/Places.ts"
import { isByHand, isByOperation, type Vm, type VmSeen } from "../domain/Vm.ts"
import * as Locally from "../observability/Locally.ts"
import { byItself } from "../services/Author.ts"
import { HostMonitor } from "../services/HostMonitor.ts"
import { type DomainPower, Hypervisor } from "../services/Hypervisor.ts"
import { Inventory, type Observation } from "../services/Inventory.ts"
import { Journal } from "../services/Journal.ts"
import { Observer } from "../services/Observer.ts"
import { Operations } from "../services/Operations.ts"
import { Storage, type StorageDriver } from "../services/Storage.ts"
import * as Drift from "./Drift.ts"

/** @since 0.3.0 @category models */
export interface Options {
  readonly policies: DriftPolicies
  /** events that come together are looked into together */
  readonly gather: Duration.DurationInput
  /**
   * Every domain is looked at closely again and again: `perSecond` of them and their hosts, but none more often than every `shortest`, nor less
   * often than every `longest`.
   */
  readonly round: {
    readonly perSecond: number
    readonly shortest: Duration.DurationInput
    readonly longest: Duration.DurationInput
  }
  /** how often is looked for disks that nobody knows */
  readonly disks: Duration.DurationInput
  /** what is begun on a VM without anybody asking */
  readonly budget: Budget
  /** the same for one that is to be gone, and whose host has refused it */
  readonly removal: Budget
}

/** So many times within that time, each after twice the pause of the one before. @since 0.7.0 @category models */
export interface Budget {
  readonly times: number
  readonly within: Duration.DurationInput
  readonly pause: Duration.DurationInput
}

/** @since 0.3.0 @category constants */
export const defaults: Options = {
  policies: defaultPolicies,
  gather: "50 millis",
  round: { perSecond: 20, shortest: "1 second", longest: "5 minutes" },
  disks: "5 minutes",
  budget: { times: 5, within: "10 minutes", pause: "1 second" },
  removal: { times: 5, within: "1 hour", pause: "30 seconds" }
}

/** hosts whose domains are looked at closely at a time, and domains of a host */
const hostsAtATime = 16
const domainsAtATime = 2

type Begun = "StartVm" | "RepairVm" | "CleanVm" | "DestroyVm"

type LookError = Errors.HostError | Errors.StorageError | Errors.PersistenceError

interface Watched {
  readonly id: HostId
  /** domains that are worth a look, by uuid: their names, and since when */
  readonly changed: Map<string, { readonly name: string; readonly at: number }>
  /** whether somebody is looking into those */
  looking: boolean
  /** one close look at all of it at a time, which the round does not wait for */
  readonly closely: Effect.Semaphore
  inRound: boolean
  /** by uuid */
  domains: ReadonlyMap<string, Foreign>
  disks: ReadonlyArray<Foreign>
  disksAt: number
}

/** What a VM was when it was last looked at closely; 22 characters each. */
interface Looked {
  readonly digest: string
  readonly wanted: string
  readonly power: VmSeen["power"]
  /** what a repair is to mend */
  readonly mend: ReadonlyArray<DriftKind>
}

const short = (text: string): string => createHash("sha256").update(text).digest("base64url").slice(0, 22)

/**
 * What is seen, made of what the host says and what was seen before. libvirt forgets how a stopped domain came to be so when its daemon is
 * started anew, and we do not. One that ran before, and is just stopped now, lost its QEMU with its host: a stop that anybody saw has a reason, and
 * one that was asked for needs none.
 */
const settle = (
  { state }: Vm,
  before: VmSeen | undefined,
  { power, reason }: DomainPower
): Pick<VmSeen, "power" | "reason"> => {
  // libvirt does not know who that was, and we do
  if (isByHand({ power, reason }) && before?.power === power && isByOperation(before)) {
    return { power, reason: before.reason }
  }
  if (power !== "stopped" || reason !== null) return { power, reason }
  switch (before?.power) {
    case undefined:
    case "absent":
      return { power, reason }
    case "stopped":
    case "crashed":
      return { power: before.power, reason: before.reason }
    case "running":
    case "paused":
    case "suspended":
      if (state === "stopped") return { power, reason }
      return { power: "crashed", reason: "its QEMU was gone when its host could be looked at again" }
  }
}

/** Watches as long as the scope is open. @since 0.3.0 @category constructors */
export const make = Effect.fnUntraced(function* (given: Partial<Options> = {}) {
  const options: Options = { ...defaults, ...given }
  const { policies } = options
  const inventory = yield* Inventory
  const journal = yield* Journal
  const hypervisor = yield* Hypervisor
  const storage = yield* Storage
  const monitor = yield* HostMonitor
  const operations = yield* Operations
  const scope = yield* Effect.scope
  const clock = yield* Effect.clock

  const hosts = new Map<HostId, Watched>()
  const looked = new Map<VmId, Looked>()
  /** VMs that are looked at again in a moment */
  const waiting = new Set<VmId>()
  /** VMs for which too much was begun, so that it is said once */
  const exhausted = new Set<VmId>()
  let pooled: ReadonlyArray<Foreign> = []
  let pooledAt = 0
  const atATime = yield* Places.make(hostsAtATime)

  const entryOf = (id: HostId): Watched => {
    const known = hosts.get(id)
    if (known !== undefined) return known
    const entry: Watched = {
      id,
      changed: new Map(),
      looking: false,
      closely: Effect.unsafeMakeSemaphore(1),
      inRound: false,
      domains: new Map(),
      disks: [],
      disksAt: 0
    }
    hosts.set(id, entry)
    return entry
  }

  const about = (host: Host) => ({ host: host.name, pmid: host.id })

  /** Nobody waits for it. What a host does not answer is the monitor's business, and looked at when it is up again. */
  const quietly = (effect: Effect.Effect<unknown, LookError>) =>
    effect.pipe(
      Effect.catchTag("HostUnreachable", (error) => Effect.logDebug(error.message)),
      Effect.catchAll((error) => Effect.logWarning(error.message)),
      Effect.asVoid
    )
  const inBackground = (effect: Effect.Effect<unknown, LookError>) =>
    quietly(effect).pipe(Locally.within(Locally.untraced), Effect.forkIn(scope), Effect.asVoid)

  const isBusy = (id: VmId) => Effect.map(journal.busy([id]), (busy) => busy.has(id))

  const isNow = (id: HostId, status: HostStatus["_tag"]) =>
    Effect.map(monitor.statuses, (statuses) => statuses.get(id)?._tag === status)
  const isUp = (id: HostId) => isNow(id, "Up")

  /** A name in the form of ours says which VM to look for; whether it is that one, the uuid tells. */
  const numberOf = (name: string): Option.Option<VmId> => {
    const number = Number(/^vm-([1-9][0-9]{0,15})$/.exec(name)?.[1])
    return Number.isSafeInteger(number) ? Option.some(VmId.make(number)) : Option.none()
  }

  // ------------------------------------------------------------------------------------------------------- what is begun

  /** Looks at the VM again in a moment, once however often that is asked for. `at`: when something happened to it; absent: then. */
  const later = (vm: Vm, delay: number, at?: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (waiting.has(vm.id)) return Effect.void
      waiting.add(vm.id)
      return Effect.sleep(Duration.millis(delay)).pipe(
        Effect.ensuring(Effect.sync(() => waiting.delete(vm.id))),
        Effect.zipRight(Effect.suspend(() => touch(vm.hostId, vm.uuid, vm.domainName, at))),
        Effect.forkIn(scope),
        Effect.asVoid
      )
    })

  /** How often is looked whether a VM is still being created. */
  const creating = Duration.millis(500)

  /** VMs that are being created, and when something happened to them the last time */
  const coming = new Map<VmId, number>()

  /**
   * Looks at the VM when it is no longer being created. Its host need not be bothered before, so many may be created at once; nor afterwards, when the
   * creation itself has seen it since.
   */
  const onceCreated = (vm: Vm, at: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const isWaiting = coming.has(vm.id)
      coming.set(vm.id, Math.max(at, coming.get(vm.id) ?? 0))
      if (isWaiting) return Effect.void
      const created = Effect.match(inventory.vm(vm.id), {
        onFailure: () => true,
        onSuccess: ({ state }) => state !== "creating"
      })
      const look = Effect.gen(function* () {
        do yield* Effect.sleep(creating)
        while (!(yield* created))
        const happened = coming.get(vm.id) ?? at
        coming.delete(vm.id)
        const seen = (yield* inventory.seen).get(vm.id)
        if (seen === undefined || seen.since <= happened) yield* touch(vm.hostId, vm.uuid, vm.domainName, happened)
      })
      return Effect.asVoid(Effect.forkIn(look, scope))
    })

  /** Whether it may be begun now. What was begun before is in the journal, so that a restart of this program forgets nothing. */
  const mayBegin = Effect.fnUntraced(function* (vm: Vm, kind: Begun) {
    const budget = kind === "DestroyVm" ? options.removal : options.budget
    const now = yield* Clock.currentTimeMillis
    const since = now - Duration.toMillis(budget.within)
    const newest = yield* journal.list({ vmId: vm.id, limit: budget.times * 4 })
    // another one is busy with it, and what is done when it has ended is decided then
    if (newest.some(({ ended }) => !ended)) {
      yield* later(vm, Duration.toMillis(budget.pause))
      return false
    }
    const recent = newest.filter((one) => one.kind === kind && one.createdAt > since)
    const [last] = recent
    if (recent.length >= budget.times) {
      if (exhausted.has(vm.id)) return false
      exhausted.add(vm.id)
      yield* Effect.logWarning(
        `VM ${vm.id} is left as it is: ${kind} was begun ${recent.length} times within ${Duration.format(budget.within)}, and did not last`
      )
      return false
    }
    exhausted.delete(vm.id)
    if (last === undefined) return true
    const next = last.createdAt + Duration.toMillis(budget.pause) * 2 ** (recent.length - 1)
    if (now >= next) return true
    yield* later(vm, next - now)
    return false
  })

  const begin = Effect.fnUntraced(
    function* (vm: Vm, kind: Begun, why: string, detail?: OperationDetail) {
      // nothing is begun on a host that cannot be used: what is there then is looked at when it is up; of one that is lost the pool may have a disk
      const possible = (yield* isUp(vm.hostId)) || (kind === "DestroyVm" && (yield* isNow(vm.hostId, "Lost")))
      if (!possible || !(yield* mayBegin(vm, kind))) return
      const by = byItself(why)
      const begun =
        kind === "DestroyVm"
          ? yield* by(inventory.beginDestroy(vm.id))
          : Option.some(yield* by(inventory.beginOnVm(vm.id, kind, detail)))
      // it is gone
      if (Option.isNone(begun)) return
      const operation = begun.value
      yield* Effect.logInfo(`${kind} of VM ${vm.id}: ${why}`)
      yield* operations.start(operation)
      yield* operations.await(operation.id).pipe(
        Effect.catchAll((error) => Effect.logWarning(`${kind} of VM ${vm.id} failed: ${error.message}`)),
        Effect.zipRight(touch(vm.hostId, vm.uuid, vm.domainName)),
        Effect.forkIn(scope)
      )
    },
    // somebody was quicker
    Effect.catchTags({ VmBusy: () => Effect.void, VmNotFound: () => Effect.void })
  )

  const removeAgain = (vm: Vm) => begin(vm, "DestroyVm", "it is to be gone, and that was refused")

  const restart = (vm: Vm, { power, reason }: Pick<VmSeen, "power" | "reason">) =>
    power === "crashed" && vm.onCrash === "restart" && vm.state === "running"
      ? begin(vm, "StartVm", `its onCrash is restart, and ${reason ?? "it has crashed"}`)
      : Effect.void

  const repair = (vm: Vm, mend: ReadonlyArray<DriftKind>) =>
    mend.length === 0 || !vm.settled
      ? Effect.void
      : begin(vm, "RepairVm", `its ${mend.join(", ")} drifted, and the policy for that is repair`, { repair: mend })

  // --------------------------------------------------------------------------------------------------------------- looking

  /**
   * Notes the powers of a host's VMs, as they were asked for at `asked` (milliseconds since 1970): what was seen since is newer. `found` undefined: no such
   * domain, which is no news of one that something is being done with.
   */
  const note = Effect.fnUntraced(function* (
    vms: ReadonlyArray<Vm>,
    found: (vm: Vm) => DomainPower | undefined,
    inFlight: ReadonlySet<VmId>,
    asked: number
  ) {
    const seen = yield* inventory.seen
    const news: Array<Observation & { readonly seen: Pick<VmSeen, "power" | "reason"> }> = []
    const crashed: Array<readonly [Vm, Pick<VmSeen, "power" | "reason">]> = []
    for (const vm of vms) {
      const domain = found(vm)
      if (!vm.settled || (domain === undefined && inFlight.has(vm.id))) continue
      const before = seen.get(vm.id)
      if (before !== undefined && before.since > asked) continue
      const sight = domain === undefined ? { power: "absent" as const, reason: null } : settle(vm, before, domain)
      // it may be what is being done with it: that says so itself when it has ended
      const now = inFlight.has(vm.id) && isByHand(sight) ? { ...sight, reason: null } : sight
      if (now.power === "crashed") crashed.push([vm, now])
      if (before?.power === now.power && before.reason === now.reason) continue
      news.push({ vmId: vm.id, seen: now, drift: null })
    }
    if (news.length > 0) {
      yield* inventory.observe(news, yield* Clock.currentTimeMillis)
      for (const { seen: now, vmId } of news) {
        if (inFlight.has(vmId) || now.power === "running") continue
        yield* Effect.logInfo(`VM ${vmId} is ${now.power}${now.reason === null ? "" : `: ${now.reason}`}`)
      }
    }
    for (const [vm, now] of crashed) yield* restart(vm, now)
  })

  const sourceOf =
    (host: Host): Drift.Wanted["sourceOf"] =>
    ({ driver }, name, ending = "qcow2") => {
      const { pool } = storage.driver(driver)
      return pool === null ? `${host.config.path.replace(/\/+$/, "")}/${name}.${ending}` : `${pool}/${name}`
    }

  /** Compares one VM with what it should be. `swept`: its power, seen a moment ago. */
  const compare = Effect.fnUntraced(function* (host: Host, vm: Vm, swept?: DomainPower) {
    const known = looked.get(vm.id)
    // what is known of a VM that goes is forgotten with it
    looked.delete(vm.id)
    if (yield* isBusy(vm.id)) return
    if (vm.state === "destroying") return yield* removeAgain(vm)
    if (!vm.settled) return
    const volumes = yield* inventory.volumes({ vm: vm.id })
    const networks = host.facts
    const offered = [networks?.network ?? null, networks?.networks ?? null]
    const wanted = short(
      JSON.stringify([vm.name, vm.state, vm.autostart, vm.resources, vm.applied, vm.nics, offered, volumes])
    )
    const current = known?.wanted === wanted ? known : undefined
    const glance = yield* hypervisor.glance(host, vm.uuid, current?.digest ?? null)
    const before = (yield* inventory.seen).get(vm.id)
    const same = Option.isSome(glance) && glance.value.detail === null
    // what is known of its power may be newer than what was told of it then
    const sweptPower = swept === undefined ? undefined : settle(vm, before, swept).power
    if (same && current !== undefined && sweptPower === before?.power && sweptPower === current.power) {
      looked.set(vm.id, current)
      return yield* repair(vm, current.mend)
    }
    const power = yield* hypervisor.power(host, vm)
    const detail = same
      ? yield* hypervisor.detail(host, vm.uuid)
      : Option.flatMap(glance, ({ detail }) => Option.fromNullable(detail))
    const now = yield* Effect.option(inventory.vm(vm.id))
    if (Option.isNone(now) || (yield* isBusy(vm.id))) return
    // it came or went in between
    if (Option.isSome(detail) !== Option.isSome(power)) return yield* later(vm, 100)
    const seen = Option.match(power, {
      onNone: () => ({ power: "absent" as const, reason: null }),
      onSome: (domain) => settle(vm, before, domain)
    })
    const fields = Drift.compare(
      { vm, volumes, sourceOf: sourceOf(host), networks },
      { power: seen.power, detail: Option.getOrNull(detail) }
    )
    const drift = Drift.reported(fields, policies)
    yield* inventory.observe([{ vmId: vm.id, seen, drift }], yield* Clock.currentTimeMillis)
    const mend = Drift.mendable(fields, policies)
    if (Option.isSome(glance)) looked.set(vm.id, { digest: glance.value.digest, wanted, power: seen.power, mend })
    yield* restart(vm, seen)
    yield* repair(vm, mend)
  })

  /** What a domain is that is none of the host's VMs. None: nothing to tell of it. */
  const stranger = Effect.fnUntraced(function* (host: Host, { name, uuid }: DomainPower) {
    const foreign = (reason: string): Option.Option<Foreign> =>
      Option.some({ hostId: host.id, what: "domain", name, uuid, reason })
    const number = numberOf(name)
    const vm = yield* Option.match(number, {
      onNone: () => Effect.succeedNone,
      onSome: (id) =>
        inventory.vmRecord(id).pipe(
          Effect.asSome,
          Effect.catchTag("VmNotFound", () => Effect.succeedNone)
        )
    })
    if (Option.isNone(vm)) return foreign("it is no VM of this fabric")
    const { exists, hostId, id, state } = vm.value
    if (vm.value.uuid !== uuid) return foreign(`it has the name of VM ${id}, but is another domain`)
    if (exists && hostId === host.id) return Option.none()
    if ((yield* journal.list({ vmId: id, ended: false, limit: 1 })).length > 0) return Option.none()
    if (hostId !== host.id) {
      return foreign(
        `it is VM ${id}, which ${exists ? "should be" : "was"} on host ${hostId}: has it been moved by hand?`
      )
    }
    const detail = yield* hypervisor.detail(host, uuid)
    if (Option.isNone(detail)) return Option.none()
    if (detail.value.owner?.vmId !== id) return foreign(`it has the uuid of VM ${id}, but does not say that it is`)
    yield* begin(vm.value, "CleanVm", `it is ${state}, and its domain is still on ${host.name}`)
    return Option.none()
  })

  const strangers = Effect.fnUntraced(function* (
    entry: Watched,
    host: Host,
    vms: ReadonlyArray<Vm>,
    powers: ReadonlyArray<DomainPower>
  ) {
    const ours = new Set<string>(vms.map(({ uuid }) => uuid))
    const found = new Map<string, Foreign>()
    for (const domain of powers) {
      if (ours.has(domain.uuid)) continue
      const foreign = yield* stranger(host, domain)
      if (Option.isSome(foreign)) found.set(domain.uuid, foreign.value)
    }
    entry.domains = found
  })

  const hostOf = (id: HostId) =>
    inventory.host(id).pipe(
      Effect.catchTag("HostNotFound", (error) => Effect.die(error)),
      Effect.map(({ host }) => host)
    )

  /** All powers of a host in one call. */
  const sweep = Effect.fnUntraced(function* (host: Host) {
    const busy = Effect.flatMap(inventory.vms({ host: host.id }), (vms) => journal.busy(vms.map(({ id }) => id)))
    const before = yield* busy
    const asked = yield* Clock.currentTimeMillis
    const powers = yield* hypervisor.powers(host)
    const inFlight = new Set([...before, ...(yield* busy)])
    const vms = yield* inventory.vms({ host: host.id })
    const byUuid = new Map<string, DomainPower>(powers.map((domain) => [domain.uuid, domain]))
    const found = ({ uuid }: Vm) => byUuid.get(uuid)
    yield* note(vms, found, inFlight, asked)
    return { vms, powers, found }
  })

  // ------------------------------------------------------------------------------------------------------------ their disks

  /** What the driver has there, and the inventory does not. What is made or removed meanwhile is in flight. */
  const strayDisks = Effect.fnUntraced(function* (driver: StorageDriver, host: Host) {
    const shared = driver.pool !== null
    const where = shared ? `pool ${driver.pool}` : "the host"
    const list = Effect.all({ roots: driver.listRoots(host), volumes: driver.listVolumes(shared ? null : host) })
    const there = yield* list
    const isHere = (disk: { readonly driver: string; readonly hostId: HostId | null }) =>
      disk.driver === driver.name && (shared || disk.hostId === host.id)
    const vms = new Set((yield* inventory.vms()).filter(isHere).map(({ id }) => id))
    const volumes = new Set((yield* inventory.volumes()).filter(isHere).map(({ id }) => id))
    const roots = there.roots.filter((id) => !vms.has(id))
    const others = there.volumes.filter((id) => !volumes.has(id))
    if (roots.length === 0 && others.length === 0) return []
    const unfinished = yield* journal.unfinished
    // those that were removed after they were listed
    const still = yield* list
    const hostId = shared ? null : host.id
    return [
      ...roots
        .filter((id) => still.roots.includes(id) && !unfinished.some(({ vmId }) => vmId === id))
        .map((id): Foreign => {
          const reason = `no VM of this fabric has its root disk in ${where} under that name`
          return { hostId, what: "root disk", name: `vm-${id}-root`, uuid: null, reason }
        }),
      ...others
        .filter((id) => still.volumes.includes(id) && !unfinished.some(({ volumeId }) => volumeId === id))
        .map((id): Foreign => {
          const reason = `no volume of this fabric is in ${where} under that name`
          return { hostId, what: "volume", name: `volume-${id}`, uuid: null, reason }
        })
    ]
  })

  const onHosts = [...new Set([storage.preferred, storage.driver("dir")])].filter(({ pool }) => pool === null)

  const lookAtDisks = Effect.fnUntraced(function* (entry: Watched, host: Host) {
    entry.disksAt = yield* Clock.currentTimeMillis
    const found = yield* Effect.forEach(onHosts, (driver) => strayDisks(driver, host))
    entry.disks = found.flat()
  })
  const lookAtPool = Effect.fnUntraced(function* (host: Host) {
    if (storage.preferred.pool === null) return
    pooledAt = yield* Clock.currentTimeMillis
    pooled = yield* strayDisks(storage.preferred, host)
  })

  // ------------------------------------------------------------------------------------------------------------- who looks

  /** Closely, at everything on the host; from where a sweep has left off, if there was one. */
  const lookAt = (
    entry: Watched,
    host: Host,
    disks: "all" | "due",
    swept?: Effect.Effect.Success<ReturnType<typeof sweep>>
  ) =>
    Effect.gen(function* () {
      // a host that hangs does so here, before it takes a place of others
      const { found, powers, vms } = swept ?? (yield* sweep(host))
      yield* Effect.gen(function* () {
        yield* strangers(entry, host, vms, powers)
        yield* Effect.forEach(vms, (vm) => compare(host, vm, found(vm)), {
          concurrency: domainsAtATime,
          discard: true
        })
      }).pipe(atATime.within)
      const now = yield* Clock.currentTimeMillis
      const since = now - Duration.toMillis(options.disks)
      if (disks === "all" || entry.disksAt <= since) yield* lookAtDisks(entry, host)
      if (disks === "all" || pooledAt <= since) yield* lookAtPool(host)
    }).pipe(entry.closely.withPermits(1), Locally.within(Locally.annotations(about(host))))

  /** The VM that a domain on the host may be of, as far as name and uuid say. */
  const vmOf = Effect.fnUntraced(function* (host: Host, uuid: string, name: string) {
    const id = numberOf(name)
    const vm = Option.isSome(id) ? yield* Effect.option(inventory.vm(id.value)) : Option.none<Vm>()
    const matches = (vm: Vm) => vm.uuid === uuid && vm.hostId === host.id
    // renamed by hand
    return Option.exists(vm, matches)
      ? vm
      : Option.fromNullable((yield* inventory.vms({ host: host.id })).find(matches))
  })

  /** One domain that something happened to. */
  const lookInto = Effect.fnUntraced(function* (entry: Watched, host: Host, uuid: string, name: string, at: number) {
    const vm = Option.getOrUndefined(yield* vmOf(host, uuid, name))
    if (vm === undefined) {
      const found = (yield* hypervisor.powers(host)).find((domain) => domain.uuid === uuid)
      const foreign = found === undefined ? Option.none<Foreign>() : yield* stranger(host, found)
      const domains = new Map(entry.domains)
      if (Option.isSome(foreign)) domains.set(uuid, foreign.value)
      else domains.delete(uuid)
      entry.domains = domains
      return
    }
    // what it is when it is there counts
    if (vm.state === "creating") return yield* onceCreated(vm, at)
    if (!vm.settled) return
    const asked = yield* Clock.currentTimeMillis
    const power = yield* hypervisor.power(host, vm)
    const [newest] = yield* journal.list({ vmId: vm.id, limit: 1 })
    const inFlight = newest !== undefined && !newest.ended
    yield* note([vm], () => Option.getOrUndefined(power), new Set(inFlight ? [vm.id] : []), asked)
    const differs = yield* inventory.drift({ vms: [vm.id] })
    if (inFlight) {
      // whether it is as it should be is asked when that has ended
      return differs.length === 0 && Option.exists(power, ({ power }) => power === "running")
        ? undefined
        : yield* later(vm, 1000)
    }
    // what our own operation has done to it was no surprise; if it was not alone in that, the round finds it
    if (newest !== undefined && (newest.finishedAt ?? 0) > at && differs.length === 0) return
    yield* compare(host, vm)
  })

  const drainChanges = (entry: Watched) =>
    Effect.gen(function* () {
      const host = yield* hostOf(entry.id)
      while (entry.changed.size > 0) {
        yield* Effect.sleep(options.gather)
        const all = [...entry.changed]
        entry.changed.clear()
        yield* Effect.forEach(all, ([uuid, { at, name }]) => lookInto(entry, host, uuid, name, at), {
          concurrency: domainsAtATime,
          discard: true
        }).pipe(Locally.within(Locally.annotations(about(host))))
      }
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          entry.looking = false
        })
      )
    )

  const touch = (hostId: HostId, uuid: string, name: string, happened?: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const entry = entryOf(hostId)
      const at = happened ?? clock.unsafeCurrentTimeMillis()
      entry.changed.set(uuid, { name, at: Math.max(at, entry.changed.get(uuid)?.at ?? 0) })
      if (entry.looking) return Effect.void
      entry.looking = true
      return inBackground(drainChanges(entry))
    })

  /** First what everybody asks for, then all the rest. */
  const greet = (id: HostId) =>
    Effect.gen(function* () {
      const host = yield* hostOf(id)
      const swept = yield* Effect.annotateLogs(sweep(host), about(host))
      yield* lookAt(entryOf(id), host, "due", swept)
    })

  const events = yield* monitor.events
  yield* Stream.runForEach(events, (event) =>
    event._tag === "Up" ? inBackground(greet(event.hostId)) : touch(event.hostId, event.change.uuid, event.change.name)
  ).pipe(Effect.forkScoped)
  // hosts that were up before anybody listened; of the others an event tells, and to look at all that a host has twice takes long
  for (const [id, status] of yield* monitor.statuses) if (status._tag === "Up") yield* inBackground(greet(id))

  /** What is to be gone from a host that is lost: the pool refuses that as long as a guest there is alive. */
  const removeFrom = Effect.fnUntraced(function* (id: HostId) {
    for (const vm of yield* inventory.vms({ host: id })) {
      if (vm.state === "destroying" && !(yield* isBusy(vm.id))) yield* removeAgain(vm)
    }
  })

  /** One host after the other, evenly over the time that the round takes; one that hangs is passed over. */
  const round = Effect.gen(function* () {
    const { longest, perSecond, shortest } = options.round
    const statuses = [...(yield* monitor.statuses)]
    const up = statuses.flatMap(([id, { _tag }]) => (_tag === "Up" ? [id] : []))
    for (const [id, { _tag }] of statuses) if (_tag === "Lost") yield* removeFrom(id)
    // a host is asked for all its domains at once, and that costs about as much as to look at one of them
    const count = (yield* inventory.vms()).length + up.length
    const length = Duration.clamp(Duration.seconds(count / perSecond), {
      minimum: Duration.decode(shortest),
      maximum: Duration.decode(longest)
    })
    if (up.length === 0) return yield* Effect.sleep(length)
    for (const id of up) {
      const jitter = yield* Random.nextRange(0.5, 1.5)
      yield* Effect.sleep(Duration.times(length, jitter / up.length))
      const entry = entryOf(id)
      if (entry.inRound || !(yield* isUp(id))) continue
      entry.inRound = true
      yield* Effect.flatMap(hostOf(id), (host) => lookAt(entry, host, "due")).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            entry.inRound = false
          })
        ),
        inBackground
      )
    }
  })
  yield* round.pipe(
    Effect.catchAll((error) => Effect.zipRight(Effect.logError(error.message), Effect.sleep("1 second"))),
    Effect.forever,
    Effect.withTracerEnabled(false),
    Effect.forkScoped
  )

  return Observer.of({
    foreign: Effect.map(monitor.statuses, (statuses) => {
      const here = [...hosts.values()].flatMap((entry) =>
        statuses.get(entry.id)?._tag === "Up" ? [...entry.domains.values(), ...entry.disks] : []
      )
      return [...here, ...pooled].sort(
        (a, b) => (a.hostId ?? Infinity) - (b.hostId ?? Infinity) || a.name.localeCompare(b.name)
      )
    }),
    look: Effect.fn("Observer.look")(function* (id: HostId) {
      // where everything counts as gone there is nothing to be seen
      if (yield* isNow(id, "Lost")) yield* monitor.check(id)
      yield* lookAt(entryOf(id), yield* hostOf(id), "all")
    })
  })
})
