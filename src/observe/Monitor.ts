/**
 * Watches every host: asks it what it is, then listens to it until it falls silent, and begins again.
 *
 * A host falls silent when its event stream breaks; the RPC connection beneath it pings and is pinged, so that a hung daemon or a cut
 * cable is noticed within 15 to 30 seconds even when nobody asks the host for anything.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Errors from "../domain/Errors.ts"
import type { Host, HostStatus } from "../domain/Host.ts"
import type { HostId } from "../domain/Ids.ts"
import { HostMonitor } from "../services/HostMonitor.ts"
import { Hypervisor } from "../services/Hypervisor.ts"
import { Inventory } from "../services/Inventory.ts"

interface Watched {
  readonly host: Host
  /** completed when it has been up or down for the first time */
  readonly tried: Deferred.Deferred<void>
  status: HostStatus
  /** completed when the host is up; a new one is made when it goes down */
  up: Deferred.Deferred<void>
  /** completed to end the present wait or watch and look at once */
  recheck: Deferred.Deferred<void>
}

/** Between tries to reach a host that is down. */
const pause = Schedule.exponential("500 millis", 2).pipe(
  Schedule.jittered,
  Schedule.union(Schedule.spaced("10 seconds"))
)

/** Facts change while a host is up: a network is started, memory is added. */
const factsInterval = "1 minute"

/** Watches the hosts the inventory has at this moment, for as long as the scope lives. @since 0.1.0 @category constructors */
export const make = Effect.gen(function* () {
  const inventory = yield* Inventory
  const hypervisor = yield* Hypervisor
  const watched = new Map<HostId, Watched>()

  const setDown = Effect.fnUntraced(function* (entry: Watched, reason: string) {
    const before = entry.status
    if (before._tag === "Up") entry.up = yield* Deferred.make<void>()
    entry.status = { _tag: "Down", reason }
    yield* Deferred.succeed(entry.tried, undefined)
    if (before._tag !== "Down" || before.reason !== reason) yield* Effect.logWarning(`host is down: ${reason}`)
  })

  const setUp = Effect.fnUntraced(function* (entry: Watched) {
    if (entry.status._tag === "Up") return
    entry.status = { _tag: "Up" }
    yield* Deferred.succeed(entry.tried, undefined)
    yield* Effect.log("host is up")
    yield* Deferred.succeed(entry.up, undefined)
  })

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
          `it is the same machine as pm ${owner.host.id} (${owner.host.name}), both have the uuid ${uuid}; ` +
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
    yield* inventory.setHostFacts(entry.host.id, facts)
  })

  const watch = Effect.fnUntraced(function* (entry: Watched) {
    const recheck = yield* Deferred.make<void>()
    entry.recheck = recheck
    yield* learn(entry)
    yield* setUp(entry)
    const listen = Stream.runForEach(hypervisor.changes(entry.host), (change) =>
      Effect.logDebug(`${change.name} ${change.change}`)
    )
    const learnAgain = learn(entry).pipe(Effect.delay(factsInterval), Effect.forever)
    yield* Effect.raceFirst(Effect.raceFirst(listen, learnAgain), Deferred.await(recheck))
  })

  /** For ever; between tries that fail it waits longer and longer, up to the pause's limit. */
  const keep = (entry: Watched): Effect.Effect<never> =>
    Effect.gen(function* () {
      const driver = yield* Schedule.driver(pause)
      while (true) {
        yield* watch(entry).pipe(
          Effect.zipRight(driver.reset),
          Effect.catchAll((error) =>
            Effect.gen(function* () {
              if (entry.status._tag === "Up") yield* driver.reset
              yield* setDown(entry, reasonOf(error))
              const recheck = yield* Deferred.make<void>()
              entry.recheck = recheck
              yield* Effect.raceFirst(Effect.orDie(driver.next(undefined)), Deferred.await(recheck))
            })
          )
        )
      }
    }).pipe(Effect.annotateLogs({ host: entry.host.name, pmid: entry.host.id }))

  for (const { host } of yield* inventory.hosts) {
    const entry: Watched = {
      host,
      status: { _tag: "Connecting" },
      tried: yield* Deferred.make<void>(),
      up: yield* Deferred.make<void>(),
      recheck: yield* Deferred.make<void>()
    }
    watched.set(host.id, entry)
    yield* Effect.forkScoped(keep(entry))
  }

  return HostMonitor.of({
    statuses: Effect.sync(() => new Map(Array.from(watched, ([id, { status }]) => [id, status]))),
    settled: Effect.suspend(() =>
      Effect.forEach(watched.values(), (entry) => Deferred.await(entry.tried), { discard: true })
    ),
    awaitUp: (id) =>
      Effect.suspend(() => {
        const entry = watched.get(id)
        return entry === undefined ? Effect.never : Deferred.await(entry.up)
      }),
    suspect: Effect.fnUntraced(function* (id, reason) {
      const entry = watched.get(id)
      if (entry === undefined || entry.status._tag !== "Up") return
      yield* Effect.annotateLogs(setDown(entry, reason), { host: entry.host.name, pmid: id })
      yield* Deferred.succeed(entry.recheck, undefined)
    })
  })
})

const reasonOf = (error: Errors.HostError | Errors.PersistenceError): string =>
  error._tag === "HostUnreachable" ? error.reason : error.message
