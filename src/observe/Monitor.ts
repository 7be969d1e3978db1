/**
 * Watches every host: asks it what it is, then listens to it until it falls silent, and finds out why.
 *
 * A host falls silent when its event stream breaks (the RPC connection beneath it pings and is pinged, so that a hung daemon or a cut cable is
 * noticed within 15 to 30 seconds even when nobody asks the host for anything), or when somebody says so. Then it is suspect: nothing new is
 * begun on it, it is asked again at once, and if it goes on being silent its sshd is asked too, and other hosts whether they reach it. Down it is
 * when two of these say so, or one of them twice. It is up again as soon as it has said what it is. Silence counts only for as long as the
 * controller itself gets on: one that is too busy to hear says so, and does not call its hosts down.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Errors from "../domain/Errors.ts"
import { type Host, HostConfig, type HostStatus, lostStatus, type Sign } from "../domain/Host.ts"
import type { HostId } from "../domain/Ids.ts"
import * as Places from "../domain/Places.ts"
import * as HostErrors from "../libvirt/HostErrors.ts"
import * as Paced from "../observability/Paced.ts"
import { type HostEvent, HostMonitor, type HostStatusChange } from "../services/HostMonitor.ts"
import { Hypervisor } from "../services/Hypervisor.ts"
import { Inventory } from "../services/Inventory.ts"
import { Ssh } from "../services/Ssh.ts"
import * as Lag from "./Lag.ts"
import * as Signs from "./Signs.ts"

interface Watched {
  host: Host
  /** watches it; undefined: not begun yet, or it is lost */
  keeper: Fiber.RuntimeFiber<never> | undefined
  /** completed when it has been found up, suspect or down for the first time */
  readonly tried: Deferred.Deferred<void>
  status: HostStatus
  /** completed when the host is up; a new one is made when it no longer is */
  up: Deferred.Deferred<void>
  /** completed to end the present wait or watch and look at once */
  recheck: Deferred.Deferred<void>
  /** how often in a row it was tried and was not up for good */
  tries: number
  /** whether the last contact found no answer, or none in time */
  silent: boolean
  /** since when it is up, or was the last time */
  upSince: number
  /** when it went down, for as long as that counts */
  falls: ReadonlyArray<number>
  /** what was found of it that is not certain: another round has to agree */
  doubt: { readonly signs: string; readonly since: number } | undefined
  /** what other hosts said of it, and when */
  peers: { readonly at: number; readonly answers: ReadonlyArray<readonly [HostId, Sign]> } | undefined
}

/** How hosts are watched; durations in milliseconds. */
const limits = {
  /** Facts change while a host is up: a network is started, memory is added. */
  facts: 60_000,
  /** between tries to reach a host that is not up: doubled from the first to the longest */
  pause: { first: 250, longest: 1000, refused: 5000 },
  /** tries a second over all hosts that are not up: a hundred of them are found again within two seconds, more of them take longer */
  tries: 60,
  /** and over those that have not been down for long, which are tried sooner */
  soon: { tries: 100, doublings: 7 },
  /** a contact that takes longer makes us ask its sshd */
  doubt: 1000,
  /** and for so long libvirt may take to say what the host is before that counts as silence */
  patience: 8000,
  /** between two rounds that have to agree */
  round: 3000,
  /** an answer that did not come says nothing when the controller has lost more than this meanwhile */
  lost: 500,
  /** other hosts are not asked more often of one that is down */
  peers: 30_000,
  /** a host that was up for less has not proved anything */
  steady: 5000,
  /** so often within this time may a host go down until it has to wait before it is used again, longer each time */
  flapping: { falls: 5, within: 600_000, waits: [15_000, 30_000, 60_000] }
} as const

/**
 * Hosts whose first contact may be under way at the same time, so that a fleet that is reached again all at once does not bring the controller to
 * its knees. A place is held until the host has said what it is, but never for long (milliseconds). Those that were silent the last time have places of their own,
 * where they keep nobody waiting but each other.
 */
const contacts = {
  fresh: { places: 48, held: 500 },
  silent: { places: 4, held: 250 }
} as const

/** Hosts that are begun with at once, before others are let in. */
const atOnce = 8

const sameSettings = Schema.equivalence(HostConfig)

/** How many other hosts are asked. */
const peersAsked = 2

/** Watches the hosts the inventory has at this moment and after each `refresh`, for as long as the scope lives. @since 0.1.0 @category constructors */
export const make = Effect.gen(function* () {
  const inventory = yield* Inventory
  const hypervisor = yield* Hypervisor
  // hosts that are values in memory have no sshd
  const ssh = yield* Effect.serviceOption(Ssh)
  const lag = yield* Lag.make
  const watched = new Map<HostId, Watched>()
  const events = yield* Effect.acquireRelease(PubSub.unbounded<HostEvent>(), PubSub.shutdown)
  const changes = yield* Effect.acquireRelease(PubSub.unbounded<HostStatusChange>(), PubSub.shutdown)
  const places = {
    fresh: yield* Places.make(contacts.fresh.places),
    silent: yield* Places.make(contacts.silent.places)
  }

  // ---- states

  /** asked for with every placement, and changed seldom; null: not as it is now */
  let statuses: ReadonlyMap<HostId, HostStatus> | null = null
  /** once is for ever */
  let allTried = false

  /** Told in the same moment, so that no interruption comes in between. */
  const become = (entry: Watched, status: HostStatus): void => {
    const before = entry.status
    entry.status = status
    statuses = null
    if (before._tag !== status._tag) changes.unsafeOffer({ hostId: entry.host.id, status })
  }

  const leaveUp = Effect.fnUntraced(function* (entry: Watched) {
    if (entry.status._tag === "Up") entry.up = yield* Deferred.make<void>()
  })

  const setSuspect = Effect.fnUntraced(function* (entry: Watched, { reason, signs }: Omit<Signs.Finding, "certain">) {
    const before = entry.status
    yield* leaveUp(entry)
    const since = before._tag === "Suspect" ? before.since : yield* Clock.currentTimeMillis
    become(entry, { _tag: "Suspect", reason, signs, since })
    yield* Deferred.succeed(entry.tried, undefined)
    if (before._tag !== "Suspect" || before.reason !== reason) yield* Effect.log(`host is suspect: ${reason}`)
  })

  /** What is wrong with the controller itself, as it was told last: one line, and not one of each host; undefined: nothing is. */
  let ownFault: string | undefined

  const setDown = Effect.fnUntraced(function* (entry: Watched, { own, reason, signs }: Omit<Signs.Finding, "certain">) {
    const before = entry.status
    const now = yield* Clock.currentTimeMillis
    yield* leaveUp(entry)
    if (before._tag !== "Down" && entry.upSince >= 0) {
      entry.falls = [...entry.falls.filter((at) => now - at < limits.flapping.within), now]
    }
    become(entry, { _tag: "Down", reason, signs, since: before._tag === "Down" ? before.since : now })
    yield* Deferred.succeed(entry.tried, undefined)
    if (before._tag === "Down" && before.reason === reason) return
    if (own !== true) return yield* Effect.logWarning(`host is down: ${reason}`)
    if (ownFault === reason) return yield* Effect.logDebug(`host is down: ${reason}`)
    ownFault = reason
    yield* Effect.logWarning(`no host can be logged in to: ${reason}`)
  })

  const setUp = Effect.fnUntraced(function* (entry: Watched) {
    entry.silent = false
    entry.doubt = undefined
    entry.peers = undefined
    if (entry.status._tag === "Up") return
    become(entry, { _tag: "Up" })
    ownFault = undefined
    entry.upSince = yield* Clock.currentTimeMillis
    yield* Deferred.succeed(entry.tried, undefined)
    yield* Effect.log("host is up")
    yield* Deferred.succeed(entry.up, undefined)
    yield* PubSub.publish(events, { _tag: "Up", hostId: entry.host.id })
  })

  // ---- finding out what is wrong

  /** The next ones by id that are up, so that the same hosts are not asked of all. */
  const peersOf = (entry: Watched): ReadonlyArray<Host> => {
    const all = [...watched.values()]
    const at = all.indexOf(entry)
    return [...all.slice(at + 1), ...all.slice(0, at)]
      .filter(({ status }) => status._tag === "Up")
      .slice(0, peersAsked)
      .map(({ host }) => host)
  }

  const askPeers = Effect.fnUntraced(function* (entry: Watched, ssh: Ssh["Type"]) {
    const known = entry.peers
    const now = yield* Clock.currentTimeMillis
    if (known !== undefined && entry.status._tag === "Down" && now - known.at < limits.peers) return known.answers
    const answers = yield* Effect.forEach(
      peersOf(entry),
      (peer) => Effect.map(Signs.askPeer(ssh, peer, entry.host), (sign) => [peer.id, sign] as const),
      { concurrency: peersAsked }
    )
    entry.peers = { at: now, answers }
    return answers
  })

  /** `error` null: the host has been asked what it is, `waited` milliseconds ago. */
  const diagnose = Effect.fnUntraced(function* (entry: Watched, error: Errors.HostError | null, waited: number) {
    const told =
      error === null
        ? {
            ssh: { sign: "unknown", detail: null } as const,
            libvirt:
              waited < limits.patience
                ? ({ sign: "unknown", detail: null } as const)
                : ({ sign: "silent", detail: `it has not answered for ${Math.round(waited / 1000)} s` } as const)
          }
        : Signs.ofError(error)
    if (Option.isNone(ssh)) return Signs.conclude({ ...told, peers: [] })
    const asked = told.ssh.sign === "unknown" ? yield* Signs.askSsh(ssh.value, entry.host) : told.ssh
    return Signs.conclude({
      ssh: asked,
      libvirt: asked.sign === "answers" ? told.libvirt : { sign: "unknown", detail: null },
      peers: asked.sign === "silent" ? yield* askPeers(entry, ssh.value) : []
    })
  })

  /** `lost`: what the controller had lost when it began to wait for what is told by `error`, or now. */
  const judge = Effect.fnUntraced(function* (
    entry: Watched,
    error: Errors.HostError | null,
    waited: number,
    lost = lag.lost()
  ) {
    const finding = Option.getOrNull(yield* diagnose(entry, error, waited))
    if (finding === null || entry.status._tag === "Up") return
    if (Signs.isSilence(finding.signs) && lag.lost() - lost > limits.lost) {
      if (entry.status._tag !== "Down") yield* setSuspect(entry, tooBusy)
      return
    }
    const now = yield* Clock.currentTimeMillis
    entry.silent = finding.signs.ssh === "silent" || finding.signs.libvirt === "silent"
    const signs = `${finding.signs.ssh} ${finding.signs.libvirt}`
    if (entry.doubt === undefined || entry.doubt.signs !== signs) entry.doubt = { signs, since: now }
    const agreed = finding.certain || now - entry.doubt.since >= limits.round
    yield* agreed || entry.status._tag === "Down" ? setDown(entry, finding) : setSuspect(entry, finding)
  })

  /** While a contact takes its time, since `began`. */
  const doubt = Effect.fnUntraced(function* (entry: Watched, began: number) {
    while (true) {
      yield* judge(entry, null, (yield* Clock.currentTimeMillis) - lag.lost() - began)
      yield* Effect.sleep(limits.round)
    }
  })

  // ---- contact

  /** Which host goes by which machine's uuid. */
  const machines = new Map<string, Watched>()

  /**
   * Two lines of the machine file may name one machine; it would then be filled twice. The first line has it, in whatever order they are
   * reached.
   */
  const claim = Effect.fnUntraced(function* (entry: Watched, uuid: string) {
    const owner = machines.get(uuid)
    if (owner !== undefined && owner.host.id < entry.host.id) {
      return yield* new Errors.HostFailure({
        host: entry.host.name,
        action: "be used",
        reason:
          `it is the same machine as host ${owner.host.id} (${owner.host.name}), both have the uuid ${uuid}; ` +
          `remove one of the lines, or give each its own host_uuid in libvirtd.conf`
      })
    }
    machines.set(uuid, entry)
    // the later line was quicker: it looks again, and finds that the machine is taken
    if (owner !== undefined && owner !== entry) yield* Deferred.succeed(owner.recheck, undefined)
  })

  const learn = Effect.fnUntraced(function* (entry: Watched) {
    const facts = yield* hypervisor.facts(entry.host)
    yield* claim(entry, facts.uuid)
    // the host is none the worse for it, and is asked again in a while
    yield* inventory
      .setHostFacts(entry.host.id, facts)
      .pipe(Effect.catchAll((error) => Effect.logError(`what the host is could not be kept: ${error.message}`)))
  })

  /** One that goes down again and again has to prove itself before anything is built on it. */
  const prove = Effect.fnUntraced(function* (entry: Watched) {
    const { falls: most, waits, within } = limits.flapping
    const now = yield* Clock.currentTimeMillis
    const falls = entry.falls.filter((at) => now - at < within).length
    const wait = falls < most ? undefined : (waits[falls - most] ?? waits.at(-1))
    if (entry.status._tag === "Up" || wait === undefined) return
    const reason =
      `it answers again, but went down ${falls} times within ${Duration.format(Duration.millis(within))}: ` +
      `it is used again if it stays up for ${Duration.format(Duration.millis(wait))}`
    yield* setSuspect(entry, { reason, signs: { ssh: "answers", libvirt: "answers", peers: "unknown" } })
    yield* Effect.sleep(wait)
  })

  const listen = (entry: Watched) =>
    Stream.runForEach(hypervisor.changes(entry.host), (change) =>
      Effect.zipRight(
        Effect.logDebug(`${change.name} ${change.change}${change.device === null ? "" : ` ${change.device}`}`),
        PubSub.publish(events, { _tag: "Changed", hostId: entry.host.id, change })
      )
    ).pipe(
      Effect.zipRight(
        new Errors.HostUnreachable({ host: entry.host.name, reason: "it has stopped telling what changes on it" })
      )
    )

  /** What all else goes over: a host that nothing listens on is asked for that and for nothing more. */
  const reach = (entry: Watched): Effect.Effect<void, Errors.HostUnreachable> =>
    Option.match(ssh, {
      onNone: () => Effect.void,
      onSome: ({ connect }) =>
        Effect.mapError(connect(entry.host.config.address), (error) => HostErrors.unconnected(entry.host, error))
    })

  /** Has the host be up, and ends when it no longer can be. */
  const attend = (entry: Watched) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const kind = entry.silent ? "silent" : "fresh"
        let held = false
        const release = Effect.suspend(() => {
          if (!held) return Effect.void
          held = false
          return places[kind].leave
        })
        const watcher = Effect.gen(function* () {
          const began = (yield* Clock.currentTimeMillis) - lag.lost()
          yield* Effect.sleep(contacts[kind].held)
          yield* release
          yield* Effect.sleep(limits.doubt - contacts[kind].held)
          return yield* doubt(entry, began)
        })
        const contact = Effect.gen(function* () {
          const watching = yield* Effect.fork(watcher)
          yield* reach(entry)
          const stay = Effect.gen(function* () {
            yield* learn(entry)
            yield* Fiber.interrupt(watching)
            yield* release
            yield* prove(entry)
            yield* setUp(entry)
            return yield* learn(entry).pipe(Effect.delay(limits.facts), Effect.forever)
          })
          // listened to first, so that nothing happens between what is looked at once it is up and what is told from then on
          return yield* Effect.raceFirst(listen(entry), stay)
        })
        return Effect.zipRight(
          places[kind].enter(restore),
          Effect.ensuring(
            Effect.suspend(() => {
              held = true
              return restore(contact)
            }),
            release
          )
        )
      })
    )

  const pause = Effect.fnUntraced(function* (entry: Watched) {
    const refused = entry.status._tag === "Down" && entry.status.signs.libvirt === "answers"
    let others = 0
    let soon = 0
    for (const one of watched.values()) {
      const { _tag } = one.status
      if (_tag !== "Up") others++
      // those that nobody has tried yet come first, and wait for none of these
      if ((_tag === "Suspect" || _tag === "Down") && one.tries < limits.soon.doublings) soon++
    }
    const longest = Math.max(refused ? limits.pause.refused : limits.pause.longest, (others * 1000) / limits.tries)
    const jitter = yield* Random.nextRange(0.8, 1.2)
    const wanted = Math.min(limits.pause.first * 2 ** Math.min(entry.tries, 10), longest)
    return Math.max(wanted, (soon * 1000) / limits.soon.tries) * jitter
  })

  /** For ever. */
  const keep = (entry: Watched): Effect.Effect<never> =>
    Effect.gen(function* () {
      let wait = 0
      while (true) {
        const recheck = yield* Deferred.make<void>()
        entry.recheck = recheck
        const began = yield* Clock.currentTimeMillis
        const wasUp = entry.status._tag === "Up"
        let lost = lag.lost()
        const attempt = Effect.suspend(() => {
          lost = lag.lost()
          return Effect.flip(attend(entry))
        })
        // in one race: it is run again and again for a host that is not there
        const error = yield* Effect.raceFirst(
          wait === 0 ? attempt : Effect.zipRight(Effect.sleep(wait), attempt),
          Effect.as(Deferred.await(recheck), null)
        )
        wait = 0
        const isUp = entry.status._tag === "Up"
        if (isUp || wasUp || entry.upSince >= began) {
          // somebody's report has made it suspect, or it is now: a new contact tells whether that is anything
          if (isUp && error !== null) {
            yield* setSuspect(entry, { reason: reasonOf(error), signs: Signs.unknown })
          }
          const now = yield* Clock.currentTimeMillis
          entry.tries = now - entry.upSince < limits.steady ? entry.tries + 1 : 0
          if (entry.tries === 0) continue
        } else if (error === null) continue
        else yield* judge(entry, error, 0, lost)
        if (yield* Deferred.isDone(recheck)) continue
        wait = yield* pause(entry)
        entry.tries++
      }
    }).pipe(Effect.annotateLogs({ host: entry.host.name, pmid: entry.host.id }))

  const scope = yield* Effect.scope

  const enter = Effect.fnUntraced(function* (host: Host) {
    const lost = lostStatus(host)
    const entry: Watched = {
      host,
      keeper: undefined,
      status: lost ?? { _tag: "Connecting" },
      tried: yield* Deferred.make<void>(),
      up: yield* Deferred.make<void>(),
      recheck: yield* Deferred.make<void>(),
      tries: 0,
      silent: false,
      upSince: Number.NEGATIVE_INFINITY,
      falls: [],
      doubt: undefined,
      peers: undefined
    }
    if (lost !== undefined) {
      yield* Deferred.succeed(entry.tried, undefined)
      yield* Deferred.succeed(entry.up, undefined)
    }
    watched.set(host.id, entry)
    statuses = null
    return entry
  })

  const begin = Effect.fnUntraced(function* (entry: Watched) {
    if (entry.status._tag === "Lost") return
    entry.keeper = yield* Effect.forkIn(Effect.interruptible(keep(entry)), scope)
  })

  const leave = Effect.fnUntraced(function* (entry: Watched) {
    const { host, keeper } = entry
    watched.delete(host.id)
    statuses = null
    for (const [uuid, owner] of machines) if (owner === entry) machines.delete(uuid)
    yield* Deferred.succeed(entry.tried, undefined)
    if (keeper !== undefined) yield* Fiber.interrupt(keeper)
    if (Option.isSome(ssh)) yield* ssh.value.close(host.config.address)
    yield* Effect.annotateLogs(Effect.log("host is not watched any more"), { host: host.name, pmid: host.id })
  })

  for (const { host } of yield* inventory.hosts) yield* enter(host)
  // a few at a time: who asks for something while a large fleet is reached does not wait until all of it has been begun with
  yield* Effect.forEach(
    [...watched.values()],
    (entry, index) =>
      Effect.zipRight(
        index % atOnce === 0 ? Paced.others : Effect.void,
        Effect.suspend(() => (watched.get(entry.host.id) === entry ? begin(entry) : Effect.void))
      ),
    { discard: true }
  ).pipe(Effect.forkScoped)

  /** It is declared lost, which ends every wait for it; or is no longer, and is watched as one that is new. */
  const turn = Effect.fnUntraced(function* (before: Watched, host: Host) {
    yield* leave(before)
    const entry = yield* enter(host)
    changes.unsafeOffer({ hostId: host.id, status: entry.status })
    yield* Deferred.succeed(before.up, undefined)
    yield* begin(entry)
  })

  const refreshing = yield* Effect.makeSemaphore(1)
  const refresh = Effect.gen(function* () {
    const hosts = new Map((yield* inventory.hosts).map(({ host }) => [host.id, host] as const))
    for (const entry of watched.values()) {
      const now = hosts.get(entry.host.id)
      if (now === undefined || now.name !== entry.host.name) yield* leave(entry)
      else if ((now.lostAt === null) !== (entry.host.lostAt === null)) yield* turn(entry, now)
      else if (!sameSettings(now.config, entry.host.config)) {
        entry.host = now
        yield* Deferred.succeed(entry.recheck, undefined)
      }
    }
    for (const host of hosts.values()) if (!watched.has(host.id)) yield* Effect.flatMap(enter(host), begin)
  }).pipe(Effect.uninterruptible, refreshing.withPermits(1))

  return HostMonitor.of({
    statuses: Effect.sync(() => (statuses ??= new Map(Array.from(watched, ([id, { status }]) => [id, status])))),
    settled: Effect.suspend(() =>
      allTried
        ? Effect.void
        : Effect.zipRight(
            Effect.forEach(watched.values(), (entry) => Deferred.await(entry.tried), { discard: true }),
            Effect.sync(() => void (allTried = true))
          )
    ),
    awaitUp: (id) =>
      Effect.suspend(() => {
        const entry = watched.get(id)
        return entry === undefined ? Effect.never : Deferred.await(entry.up)
      }),
    events: Stream.fromPubSub(events, { scoped: true }),
    changes: Stream.fromPubSub(changes, { scoped: true }),
    check: (id) =>
      Effect.suspend((): Effect.Effect<void, Errors.HostError> => {
        const entry = watched.get(id)
        if (entry === undefined) return Effect.void
        const { host, status } = entry
        if (status._tag === "Lost") {
          return new Errors.HostFailure({
            host: host.name,
            action: "be asked for anything",
            reason: status.reason,
            lost: true
          })
        }
        return status._tag === "Suspect" || status._tag === "Down"
          ? new Errors.HostUnreachable({ host: host.name, reason: status.reason })
          : Effect.void
      }),
    refresh,
    suspect: Effect.fnUntraced(function* (id, reason) {
      const entry = watched.get(id)
      if (entry === undefined || entry.status._tag !== "Up") return
      yield* Effect.annotateLogs(setSuspect(entry, { reason, signs: Signs.unknown }), {
        host: entry.host.name,
        pmid: id
      })
      yield* Deferred.succeed(entry.recheck, undefined)
    })
  })
})

const tooBusy: Omit<Signs.Finding, "certain"> = {
  signs: Signs.unknown,
  reason: "the controller is too busy to hear whether it answers: that says nothing of the host"
}

const reasonOf = (error: Errors.HostError): string => (error._tag === "HostUnreachable" ? error.reason : error.message)
