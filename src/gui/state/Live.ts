/**
 * What there is, as it is now: listed once, then kept by the events.
 *
 * @since 0.7.0
 */
import { Atom, Registry, Result } from "@effect-atom/atom-react"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Event } from "../../api/Events.ts"
import type { Host } from "../../api/Hosts.ts"
import type { Image } from "../../api/Images.ts"
import type { InstanceType } from "../../api/InstanceTypes.ts"
import { Kind, type Operation, State as OperationState } from "../../api/Operations.ts"
import * as Problem from "../../api/Problem.ts"
import type { Vm } from "../../api/Vms.ts"
import type { Volume } from "../../api/Volumes.ts"
import * as EventStream from "../../client/EventStream.ts"
import { EventId } from "../../domain/Event.ts"
import { UserName } from "../../domain/Identity.ts"
import { HostId, OperationId, type VmId, type VolumeId } from "../../domain/Ids.ts"
import { Power, VmState } from "../../domain/Vm.ts"
import { Layered } from "./Layered.ts"
import { calls, Here, isUnknown, runtime, type Words, wordsOfCause } from "./Api.ts"
import { signedInAtom } from "./Session.ts"

/**
 * `loading`: nothing is known yet; `live`: what is shown is what is; `lost`: it is what was, and `since` when; `signedOut`: the session has ended.
 *
 * @since 0.7.0 @category models
 */
export type Connection =
  | { readonly _tag: "loading" }
  | { readonly _tag: "live" }
  | { readonly _tag: "lost"; readonly since: number; readonly words: Words }
  | { readonly _tag: "signedOut" }

/** @since 0.7.0 @category models */
export interface Snapshot {
  readonly connection: Connection
  readonly vms: Layered<VmId, Vm>
  readonly hosts: ReadonlyMap<HostId, Host>
  readonly volumes: ReadonlyMap<VolumeId, Volume>
  readonly images: ReadonlyArray<Image>
  readonly types: ReadonlyArray<InstanceType>
  /** the newest first, at most `mostOperations` */
  readonly operations: ReadonlyArray<Operation>
  /** whether there are operations beside those; null: it is not known yet */
  readonly hasOlder: boolean | null
  /** what VMs were called that are no longer there: those that have gone since it is looked */
  readonly gone: ReadonlyMap<VmId, string>
  readonly recent: Recent
  /** how many there are beside those that are here by now */
  readonly coming: { readonly vms: number; readonly volumes: number }
}

/** What happened while it was looked. @since 0.8.0 @category models */
export interface Recent {
  /** the newest first, at most `mostRecent` */
  readonly events: ReadonlyArray<Event>
  /** all after this one are among them; null: nothing is known yet */
  readonly after: number | null
}

/** As many events as are kept at hand. @since 0.8.0 @category constants */
export const mostRecent = 2000

/** As many as are kept at hand; older ones are read when they are asked for. @since 0.7.0 @category constants */
export const mostOperations = 500

/** Names of so many are remembered, and of others read. */
const mostGone = 2000

const empty: Snapshot = {
  connection: { _tag: "loading" },
  vms: Layered.of<VmId, Vm>([]),
  hosts: new Map(),
  volumes: new Map(),
  images: [],
  types: [],
  operations: [],
  hasOlder: null,
  gone: new Map(),
  recent: { events: [], after: null },
  coming: { vms: 0, volumes: 0 }
}

/** Times beside `DateTime`, as events and resources have them. */
type Time = DateTime.Utc

// ------------------------------------------------------------------------------------------------------------- listing

/** As many as a page shows at first, and then those that come after them: of so few at once that nothing waits for long. */
const firstPage = 100
const laterPage = 250

interface Page<A> {
  readonly items: ReadonlyArray<A>
  readonly next: string | null
  readonly total: number
}

const byId = <Id, A extends { readonly id: Id }>(items: ReadonlyArray<A>): ReadonlyMap<Id, A> =>
  new Map(items.map((item) => [item.id, item]))

const withAll = <Id, A extends { readonly id: Id }>(
  now: ReadonlyMap<Id, A>,
  items: ReadonlyArray<A>
): ReadonlyMap<Id, A> => {
  const all = new Map(now)
  for (const item of items) all.set(item.id, item)
  return all
}

const vmsFrom = (limit: number, page: { readonly cursor?: string }) =>
  Effect.flatMap(calls, ({ vms }) => vms.listVms({ urlParams: { limit, sort: "name", ...page } }))

const volumesFrom = (limit: number, page: { readonly cursor?: string }) =>
  Effect.flatMap(calls, ({ volumes }) => volumes.listVolumes({ urlParams: { limit, ...page } }))

const operationsOf = (limit: number) =>
  Effect.flatMap(calls, ({ operations }) => operations.listOperations({ urlParams: { limit } }))

/** What is needed to show something, and where the rest of it is. */
const list = Effect.gen(function* () {
  const client = yield* calls
  const [vms, volumes, hosts, images, types, operations] = yield* Effect.all(
    [
      vmsFrom(firstPage, {}),
      volumesFrom(firstPage, {}),
      client.hosts.listHosts(),
      client.images.listImages(),
      client.instanceTypes.listInstanceTypes(),
      operationsOf(firstPage)
    ],
    { concurrency: "unbounded" }
  )
  const snapshot: Snapshot = {
    connection: { _tag: "live" },
    vms: Layered.of(byId(vms.items)),
    volumes: byId(volumes.items),
    hosts: byId(hosts.items),
    images: images.items,
    types: types.items,
    operations: operations.items,
    hasOlder: operations.next === null ? false : null,
    gone: empty.gone,
    recent: empty.recent,
    coming: { vms: restOf(vms, vms.items.length), volumes: restOf(volumes, volumes.items.length) }
  }
  return { snapshot, vms: vms.next, volumes: volumes.next }
})

const restOf = <A>({ next, total }: Page<A>, here: number): number => (next === null ? 0 : Math.max(0, total - here))

/** Asked for again until it is read; none: whoever is here has signed out. */
const patiently = <A, E, R>(read: Effect.Effect<A, E, R>): Effect.Effect<Option.Option<A>, never, R> =>
  read.pipe(
    Effect.tapError(() => Effect.sleep("1 second")),
    Effect.retry({ while: (error) => !isUnknown(error) }),
    Effect.option
  )

/** What comes after the first page, one page after the other. */
const following = <A, E, R>(
  from: string | null,
  read: (page: { readonly cursor: string }) => Effect.Effect<Page<A>, E, R>,
  add: (page: Page<A>) => Effect.Effect<void>
): Effect.Effect<void, never, R> =>
  from === null
    ? Effect.void
    : Effect.flatMap(
        patiently(read({ cursor: from })),
        Option.match({
          onNone: () => Effect.void,
          onSome: (page) => Effect.zipRight(add(page), following(page.next, read, add))
        })
      )

// -------------------------------------------------------------------------------------------------------------- events

/** What has to be read again, for an event does not tell all of it. */
interface Stale {
  readonly vms: Set<VmId>
  readonly volumes: Set<VolumeId>
  readonly operations: Set<OperationId>
  hosts: boolean
  images: boolean
}

const isKind = Schema.is(Kind)
const isOperationState = Schema.is(OperationState)
const isVmState = Schema.is(VmState)
const isPower = Schema.is(Power)
const isHostId = Schema.is(HostId)
const isOperationId = Schema.is(OperationId)
const isUser = Schema.is(UserName)

const seenOf = (data: Event["data"], since: Time): Vm["seen"] =>
  isPower(data["power"])
    ? { power: data["power"], reason: typeof data["reason"] === "string" ? data["reason"] : null, since }
    : null

/**
 * What the event itself tells, at once: with a thousand a second nothing else could be. While they are listed, of one that is not here yet that will.
 * `vms`: those that have changed since `before`; null: they are gone.
 */
const withVm = (
  before: Snapshot["vms"],
  vms: Map<VmId, Vm | null>,
  { data, time, type, vmId }: Event,
  stale: Stale,
  listing: boolean
) => {
  if (vmId === null) return
  const changed = vms.get(vmId)
  const now = changed === undefined ? before.get(vmId) : (changed ?? undefined)
  const { state } = data
  if (type === "vm.changed" && (state === "destroyed" || state === "failed")) {
    vms.set(vmId, null)
    stale.vms.delete(vmId)
    stale.hosts = true
    return
  }
  if (now === undefined) {
    if (!listing) {
      stale.vms.add(vmId)
      stale.hosts = true
    }
    return
  }
  switch (type) {
    case "vm.seen":
      vms.set(vmId, { ...now, seen: seenOf(data, time) ?? now.seen })
      return
    case "vm.drift":
      vms.set(vmId, { ...now, drift: typeof data["count"] === "number" ? data["count"] : now.drift })
      return
    default: {
      const { hostId, name } = data
      vms.set(vmId, {
        ...now,
        state: isVmState(state) ? state : now.state,
        name: typeof name === "string" ? name : now.name,
        hostId: isHostId(hostId) ? hostId : now.hostId
      })
      stale.vms.add(vmId)
      if (isHostId(hostId) && hostId !== now.hostId) stale.hosts = true
    }
  }
}

const withOperation = (operations: Map<OperationId, Operation>, event: Event, stale: Stale) => {
  const { data, imageId, operationId: id, snapshotId, time, vmId, volumeId } = event
  if (id === null) return
  const { error, kind, state } = data
  const now = operations.get(id)
  if (!isKind(kind) || !isOperationState(state)) return
  const ended = state === "done" || state === "failed"
  // that it is retried comes after its end
  const retriedBy = isOperationId(data["retriedBy"]) ? data["retriedBy"] : null
  // a repeated event tells of what was before
  if (now !== undefined && now.endedAt !== null) {
    if (retriedBy !== null) operations.set(id, { ...now, retriedBy })
    return
  }
  operations.set(id, {
    ...(now ?? {
      id,
      kind,
      vmId,
      volumeId,
      snapshotId,
      imageId,
      createdAt: time,
      endedAt: null,
      outcome: null,
      replacedBy: null,
      retryOf: null,
      retriedBy: null,
      user: isUser(data["user"]) ? data["user"] : null,
      cause: typeof data["cause"] === "string" ? data["cause"] : null,
      progress: null
    }),
    state,
    error: typeof error === "string" ? error : null,
    cancelAsked: data["cancelAsked"] === true,
    endedAt: ended ? time : null
  })
  stale.operations.add(id)
  if (ended) stale.hosts = true
}

const apply = (snapshot: Snapshot, events: ReadonlyArray<Event>, stale: Stale): Snapshot => {
  const vms = new Map<VmId, Vm | null>()
  // what no event is about stays as it is
  const operations = events.some(({ type }) => type.startsWith("operation."))
    ? new Map(snapshot.operations.map((one) => [one.id, one]))
    : null
  for (const event of events) {
    if (event.type.startsWith("vm.")) withVm(snapshot.vms, vms, event, stale, snapshot.coming.vms > 0)
    else if (operations !== null && event.type.startsWith("operation.")) withOperation(operations, event, stale)
    else if (event.type.startsWith("volume.") && event.volumeId !== null) stale.volumes.add(event.volumeId)
    else if (event.type.startsWith("host.")) stale.hosts = true
    else if (event.type.startsWith("image.")) stale.images = true
  }
  return {
    ...snapshot,
    ...withVms(snapshot, vms),
    ...(operations === null ? {} : newest(snapshot, operations.values()))
  }
}

const withRecent = ({ after, events: before }: Recent, more: ReadonlyArray<Event>): Recent => {
  const events = [...more.toReversed(), ...before]
  const kept = events.slice(0, mostRecent)
  const last = kept.at(-1)
  return { events: kept, after: kept.length === events.length || last === undefined ? after : last.id - 1 }
}

/** What is told of a VM's host is the host's, and no event tells it of each of its VMs: those of which it is another by now, with that. */
const withHosts = (vms: Snapshot["vms"], hosts: Snapshot["hosts"]): Snapshot["vms"] => {
  const changed: Array<readonly [VmId, Vm]> = []
  for (const [id, vm] of vms) {
    const host = hosts.get(vm.hostId)
    if (host === undefined || (host.status === vm.hostStatus && host.reason === vm.hostReason)) continue
    changed.push([id, { ...vm, hostStatus: host.status, hostReason: host.reason }])
  }
  return changed.length === 0 ? vms : vms.with(changed)
}

/** VMs with what has changed, null of those that are gone, and the names of these. */
const withVms = ({ gone, vms }: Snapshot, changed: ReadonlyMap<VmId, Vm | null>): Pick<Snapshot, "vms" | "gone"> => {
  if (changed.size === 0) return { vms, gone }
  const names: Array<readonly [VmId, string]> = []
  for (const [id, vm] of changed) {
    const was = vm === null ? vms.get(id) : undefined
    if (was !== undefined) names.push([id, was.name])
  }
  return { vms: vms.with(changed), gone: names.length === 0 ? gone : new Map([...gone, ...names].slice(-mostGone)) }
}

/** The newest first. @since 0.12.0 @category ordering */
export const inOrder = (operations: Iterable<Operation>): ReadonlyArray<Operation> =>
  [...operations].toSorted((a, b) => b.createdAt.epochMillis - a.createdAt.epochMillis || (a.id < b.id ? 1 : -1))

const newest = ({ hasOlder }: Snapshot, operations: Iterable<Operation>): Pick<Snapshot, "operations" | "hasOlder"> => {
  const all = inOrder(operations)
  return { operations: all.slice(0, mostOperations), hasOlder: all.length > mostOperations || hasOlder }
}

/** Of each kind so many at once: the rest has its turn next time. */
const mostRead = 25

const taken = <A>(set: Set<A>): ReadonlyArray<A> => {
  const some = [...set].slice(0, mostRead)
  for (const one of some) set.delete(one)
  return some
}

type Change = (snapshot: Snapshot) => Snapshot

/** Reads some of what is stale again, and says what that changes. */
const freshen = (stale: Stale) =>
  Effect.gen(function* () {
    const client = yield* calls
    const { hosts, images } = stale
    stale.hosts = false
    stale.images = false
    // those that are gone by now are not among them; one by one they would cost a page that tells of a thousand changes a second a third of its time
    const read = <Id, A extends { readonly id: Id }, E>(
      stale: Set<Id>,
      list: (urlParams: { readonly ids: ReadonlyArray<Id> }) => Effect.Effect<{ readonly items: ReadonlyArray<A> }, E>
    ) => {
      const ids = taken(stale)
      if (ids.length === 0) return Effect.succeed([])
      return Effect.map(list({ ids }), ({ items }) => {
        const found = byId(items)
        return ids.map((id) => [id, Option.fromNullable(found.get(id))] as const)
      })
    }
    const [vms, volumes, operations, hostList, imageList] = yield* Effect.all(
      [
        read(stale.vms, (urlParams) => client.vms.listVms({ urlParams })),
        read(stale.volumes, (urlParams) => client.volumes.listVolumes({ urlParams })),
        read(stale.operations, (urlParams) => client.operations.listOperations({ urlParams })),
        hosts ? Effect.asSome(client.hosts.listHosts()) : Effect.succeedNone,
        images ? Effect.asSome(client.images.listImages()) : Effect.succeedNone
      ],
      { concurrency: "unbounded" }
    )
    const into = <Id, A>(before: ReadonlyMap<Id, A>, found: ReadonlyArray<readonly [Id, Option.Option<A>]>) => {
      if (found.length === 0) return before
      const after = new Map(before)
      for (const [id, one] of found) {
        if (Option.isSome(one)) after.set(id, one.value)
        else after.delete(id)
      }
      return after
    }
    const change: Change = (snapshot) => {
      const isThere = ({ state }: Vm) => state !== "destroyed" && state !== "failed"
      const there = withVms(
        snapshot,
        new Map(vms.map(([id, vm]) => [id, Option.getOrNull(Option.filter(vm, isThere))]))
      )
      const all = Option.match(hostList, {
        onNone: () => snapshot.hosts,
        onSome: ({ items }): Snapshot["hosts"] => byId(items)
      })
      return {
        ...snapshot,
        vms: Option.isSome(hostList) ? withHosts(there.vms, all) : there.vms,
        gone: there.gone,
        volumes: into(
          snapshot.volumes,
          volumes.map(([id, volume]) => [id, Option.filter(volume, ({ state }) => state !== "purged")])
        ),
        ...(operations.length === 0
          ? {}
          : newest(snapshot, into(new Map(snapshot.operations.map((one) => [one.id, one])), operations).values())),
        hosts: all,
        images: Option.match(imageList, { onNone: () => snapshot.images, onSome: ({ items }) => items })
      }
    }
    return change
  })

const isStale = ({ hosts, images, operations, vms, volumes }: Stale): boolean =>
  hosts || images || operations.size + vms.size + volumes.size > 0

// ---------------------------------------------------------------------------------------------------------- connection

const decodeEvent = Schema.decodeOption(Schema.parseJson(Event))
const isEventId = Schema.is(EventId)

/** Milliseconds in which what happens is drawn together. */
const batch = 50

const pauses = ["500 millis", "1 second", "2 seconds", "4 seconds"] as const

type Needed = Effect.Effect.Context<typeof list> | Here | Registry.AtomRegistry

/** Emits what there is whenever that changes, and does not end but with the page. */
const follow: Stream.Stream<Snapshot, never, Needed> = Stream.unwrapScoped(
  Effect.gen(function* () {
    const http = yield* Here
    const registry = yield* Registry.AtomRegistry
    const out = yield* Queue.sliding<Snapshot>(1)
    let snapshot = empty
    let cursor: EventId | undefined
    let failures = 0
    const stale: Stale = { vms: new Set(), volumes: new Set(), operations: new Set(), hosts: false, images: false }
    /** what is still being listed */
    const rest = yield* FiberHandle.make<void, never>()
    /** whether what is shown was read, and is brought up to date by the cursor's events */
    let listed = false
    /** what was told meanwhile, and is told again in the end: a page may be of before; null: all is here */
    let meanwhile: Array<Event> | null = null

    /** what was read and is not shown yet; null: nothing */
    let read: Change | null = null
    /** when events came last: others are about to */
    let toldAt = Number.NEGATIVE_INFINITY

    const show = (next: Snapshot) =>
      Effect.suspend(() => {
        snapshot = next
        return Queue.offer(out, next)
      })

    /** With what was read before: whatever was told since then is newer. */
    const withRead = (): Snapshot => {
      if (read !== null) snapshot = read(snapshot)
      read = null
      return snapshot
    }

    /** A list of all that there is, of moments after the stream's begin: its events bring it up to date. */
    const opened = Effect.gen(function* () {
      failures = 0
      if (listed) {
        yield* show({ ...snapshot, connection: { _tag: "live" } })
        return
      }
      yield* FiberHandle.clear(rest)
      const first = yield* list
      listed = true
      meanwhile = []
      read = null
      yield* show(first.snapshot)
      const vms = following(
        first.vms,
        (page) => vmsFrom(laterPage, page),
        (page) => {
          const vms = snapshot.vms.with(byId(page.items))
          return show({ ...snapshot, vms, coming: { ...snapshot.coming, vms: restOf(page, vms.size) } })
        }
      )
      const volumes = following(
        first.volumes,
        (page) => volumesFrom(laterPage, page),
        (page) => {
          const volumes = withAll(snapshot.volumes, page.items)
          return show({ ...snapshot, volumes, coming: { ...snapshot.coming, volumes: restOf(page, volumes.size) } })
        }
      )
      const older = Effect.flatMap(
        patiently(operationsOf(mostOperations)),
        Option.match({
          onNone: () => Effect.void,
          onSome: ({ items, next }) => {
            const all = new Map([...items, ...snapshot.operations].map((one) => [one.id, one]))
            return show({ ...snapshot, ...newest({ ...snapshot, hasOlder: next !== null }, all.values()) })
          }
        })
      )
      yield* FiberHandle.run(
        rest,
        Effect.zipRight(
          Effect.all([vms, volumes, older], { discard: true }),
          Effect.suspend(() => {
            const told = meanwhile ?? []
            meanwhile = null
            return told.length === 0 ? Effect.void : show(apply(snapshot, told, stale))
          })
        )
      )
    })

    const take = (messages: ReadonlyArray<EventStream.Message>) =>
      Effect.gen(function* () {
        const events: Array<Event> = []
        for (const message of messages) {
          if (message.event === "lost") {
            cursor = undefined
            listed = false
            snapshot = { ...snapshot, connection: { _tag: "loading" } }
            return yield* new Problem.Gone({ status: 410, code: "events_lost", title: "Events are lost", detail: "" })
          }
          const number = Number(message.id)
          if (message.id !== undefined && isEventId(number)) cursor = number
          // one of a type that only a newer controller has is none of ours
          if (message.data !== undefined) events.push(...Option.toArray(decodeEvent(message.data)))
        }
        if (events.length === 0) return
        toldAt = Date.now()
        meanwhile?.push(...events)
        const before = withRead()
        yield* show({ ...apply(before, events, stale), recent: withRecent(before.recent, events) })
      })

    /** What comes first says from where on: what there is then is asked for at once, and what happens after it waits until that is here. */
    const begin = ({ data, event, id }: EventStream.Message) =>
      Effect.gen(function* () {
        if (event === "lost") return
        const number = Number(id)
        const named = id !== undefined && isEventId(number) ? number : null
        // one with something to tell is taken after this
        if (named !== null && data === undefined) cursor = named
        const first = !listed
        yield* opened
        if (!first) return
        const after = named === null ? (cursor ?? null) : data === undefined ? named : named - 1
        yield* show({ ...snapshot, recent: { events: [], after } })
      })

    /** How often somebody had signed in when it was connected last. */
    let signedIn = 0

    const connected = Stream.suspend(() => {
      signedIn = registry.get(signedInAtom)
      return EventStream.connection(http, cursor === undefined ? {} : { after: cursor })
    }).pipe(
      Stream.mapChunksEffect((messages) => {
        const first = snapshot.connection._tag === "live" ? Option.none() : Chunk.head(messages)
        return Option.isNone(first) ? Effect.succeed(messages) : Effect.as(begin(first.value), messages)
      }),
      Stream.groupedWithin(2000, batch),
      Stream.runForEach((messages) => take(Chunk.toReadonlyArray(messages)))
    )

    const reading = Effect.gen(function* () {
      if (!isStale(stale) || snapshot.connection._tag !== "live") return
      read = yield* freshen(stale)
      // a page that is told of very much is drawn once for both
      if (Date.now() - toldAt < 2 * batch) yield* Effect.sleep(batch)
      if (read !== null) yield* show(withRead())
    }).pipe(
      // the connection itself tells what is wrong, and then everything is read anew
      Effect.catchAll(() =>
        Effect.sync(() => {
          stale.hosts = true
        })
      ),
      Effect.zipRight(Effect.sleep("150 millis")),
      Effect.forever
    )

    const staying: Effect.Effect<void, never, Effect.Effect.Context<typeof list>> = connected.pipe(
      // a mistake of the page's own, too: it would say to be connecting for ever
      Effect.catchAllCause((cause) => {
        if (Cause.isInterruptedOnly(cause)) return Effect.interrupt
        const error = Option.getOrNull(Cause.failureOption(cause))
        if (isUnknown(error)) {
          // who has signed in meanwhile was not asked as who they are now
          if (registry.get(signedInAtom) !== signedIn) return staying
          const told = show({ ...snapshot, connection: { _tag: "signedOut" } })
          // what happens until then is caught up with
          const again = Effect.async<void>((resume) =>
            Effect.sync(registry.subscribe(signedInAtom, () => resume(Effect.void)))
          )
          return Effect.zipRight(told, Effect.zipRight(again, staying))
        }
        // what a mistake left half done is read anew
        if (error === null) listed = false
        if (!listed) cursor = undefined
        if (error instanceof Problem.Gone) {
          cursor = undefined
          listed = false
          snapshot = { ...snapshot, connection: { _tag: "loading" } }
          return staying
        }
        const since = snapshot.connection._tag === "lost" ? snapshot.connection.since : Date.now()
        const pause = pauses[Math.min(failures++, pauses.length - 1)] ?? "4 seconds"
        const told =
          snapshot.connection._tag === "loading" && error !== null
            ? Effect.void
            : show({ ...snapshot, connection: { _tag: "lost", since, words: wordsOfCause(cause) } })
        return Effect.zipRight(told, Effect.zipRight(Effect.sleep(pause), staying))
      })
    )

    yield* Effect.forkScoped(staying)
    yield* Effect.forkScoped(reading)
    return Stream.fromQueue(out)
  })
)

/** Kept for as long as the page is open. @since 0.7.0 @category atoms */
export const liveAtom = Atom.keepAlive(runtime.atom(follow, { initialValue: empty }))

/** How it is connected: what is drawn by this alone is not drawn again for what happens to things. @since 0.15.0 @category atoms */
export const connectionAtom = Atom.keepAlive(Atom.make((get): Connection => get(snapshotAtom).connection))

/** @since 0.7.0 @category atoms */
export const snapshotAtom = Atom.keepAlive(Atom.make((get): Snapshot => Result.getOrElse(get(liveAtom), () => empty)))
