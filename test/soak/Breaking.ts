/**
 * What goes wrong in a soak: on hosts, links, daemons, guests and in the pool, and with the controller.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { ProcedureName } from "../../src/libvirt/Procedures.ts"
import type * as Cluster from "../../src/simulator/Cluster.ts"
import type { SimulatedHost } from "../../src/simulator/SimulatedHost.ts"
import { below, interval, pick, weighed } from "./Chance.ts"

const onFiles: ReadonlyArray<ProcedureName> = [
  "STORAGE_VOL_CREATE_XML",
  "STORAGE_VOL_CREATE_XML_FROM",
  "STORAGE_VOL_DELETE",
  "STORAGE_VOL_DOWNLOAD",
  "STORAGE_VOL_UPLOAD"
]
const onDomains: ReadonlyArray<ProcedureName> = [
  "DOMAIN_DEFINE_XML_FLAGS",
  "DOMAIN_UNDEFINE_FLAGS",
  "DOMAIN_CREATE_WITH_FLAGS",
  "DOMAIN_DESTROY",
  "DOMAIN_ATTACH_DEVICE_FLAGS",
  "DOMAIN_DETACH_DEVICE_ALIAS",
  "DOMAIN_DETACH_DEVICE_FLAGS",
  "DOMAIN_UPDATE_DEVICE_FLAGS",
  "DOMAIN_SHUTDOWN_FLAGS",
  "DOMAIN_REBOOT",
  "DOMAIN_RESET",
  "DOMAIN_SUSPEND",
  "DOMAIN_RESUME",
  "DOMAIN_SET_AUTOSTART",
  "DOMAIN_SET_METADATA",
  "DOMAIN_GET_STATE",
  "DOMAIN_GET_XML_DESC"
]
const requests = [
  "create",
  "clone",
  "remove",
  "look",
  "grow",
  "rename",
  "moveToTrash",
  "purge",
  "createSnapshot",
  "protectSnapshot",
  "readSnapshot",
  "removeSnapshot",
  "rollback",
  "restore"
] as const

/** A call that somebody's request comes to: to the daemon of a host, or to the pool. */
export type Call =
  | { readonly on: "host"; readonly procedure: ProcedureName }
  | { readonly on: "pool"; readonly request: (typeof requests)[number] }

export interface Options {
  readonly hosts: ReadonlyArray<SimulatedHost>
  readonly cluster: Cluster.Cluster
  /** disks in a pool, or on the hosts */
  readonly ceph: boolean
  /** seconds of virtual time between ends of the controller, on average; 0: never */
  readonly killEvery: number
  /** milliseconds that a call takes when all is well */
  readonly pace: number
  readonly note: (line: string) => Effect.Effect<void>
  /** These domains, by name, are about to be running or not running by something else than an operation. */
  readonly disturb: (domains: ReadonlyArray<string>) => void
}

export const make = ({ ceph, cluster, disturb, hosts, killEvery, note, pace }: Options) => {
  const host = Effect.map(below(hosts.length), (index) => {
    const { faults, guests, hostname, state } = hosts[index]!
    const disturbAll = Effect.sync(() => disturb([...state.domains.values()].map(({ name }) => name)))
    return { faults, guests, disturbAll, name: hostname }
  })
  const procedures = ceph ? onDomains : [...onDomains, ...onFiles]
  const moment = Effect.map(Random.nextBoolean, (early) => (early ? ("before" as const) : ("after" as const)))

  // several at a time, since most of what goes wrong for users does so in the middle of something
  const several = 6
  const refusals = Effect.gen(function* () {
    const { faults, name } = yield* host
    for (let i = 0; i < several; i++) {
      const procedure = (yield* pick(procedures))!
      const effect = yield* Random.nextBoolean
      yield* note(`FAULT ${name} refuses ${procedure}${effect ? " after doing it" : ""}`)
      yield* faults.fail(procedure, { code: 38, message: "something went wrong", int1: 5, nth: 1, effect })
    }
  })
  const lostAnswers = Effect.gen(function* () {
    const { faults, name } = yield* host
    for (let i = 0; i < several; i++) {
      const procedure = (yield* pick(procedures))!
      const when = yield* moment
      yield* note(`FAULT ${name} loses its connections ${when} ${procedure}`)
      yield* faults.onCall(procedure, when, faults.dropConnections, { nth: 1 })
    }
  })
  /** Comes to its end when the controller is to be killed: at any moment, or before a call has taken effect, or before its answer is heard. */
  const dying = Effect.gen(function* () {
    if (killEvery === 0) return yield* Effect.never
    yield* Effect.sleep(yield* interval(killEvery))
    if (yield* Random.nextBoolean) return
    const { faults, name } = yield* host
    const procedure = (yield* pick(procedures))!
    const when = yield* moment
    yield* note(`FAULT the controller will be killed ${when} ${procedure} on ${name}`)
    const called = yield* Deferred.make<void>()
    const die = Effect.zipRight(Deferred.succeed(called, undefined), Effect.sleep("1 second"))
    yield* faults.onCall(procedure, when, die, { nth: 1 })
    yield* Effect.timeoutOption(Deferred.await(called), "5 seconds")
  })
  const { faults: pool } = cluster
  const poolRefuses = Effect.gen(function* () {
    const request = (yield* pick(requests))!
    const effect = yield* Random.nextBoolean
    yield* note(`FAULT the pool refuses ${request}${effect ? " after doing it" : ""}`)
    yield* pool.fail(request, { errno: "EIO", nth: 1, effect })
  })
  /** More often than is tried. */
  const poolRefusesForGood = Effect.gen(function* () {
    const request = (yield* pick(["create", "grow", "rename", "createSnapshot"] as const))!
    yield* note(`FAULT the pool refuses ${request} again and again`)
    for (let nth = 1; nth <= 8; nth++) yield* pool.fail(request, { errno: "EDQUOT", nth })
  })
  const poolLosesAnswer = Effect.gen(function* () {
    const request = (yield* pick(requests))!
    const when = yield* moment
    yield* note(`FAULT Ceph sessions will die ${when} ${request}`)
    yield* pool.onCall(request, when, pool.killSessions, { nth: 1 })
  })

  /** Something breaks, and after a while is whole again. */
  const faults: ReadonlyArray<readonly [weight: number, fault: Effect.Effect<void>]> = [
    [8, refusals],
    [6, lostAnswers],
    [
      1,
      Effect.flatMap(host, ({ faults, name }) =>
        Effect.zipRight(note(`FAULT ${name} loses its connections`), faults.dropConnections)
      )
    ],
    [
      1,
      Effect.gen(function* () {
        const { faults, name } = yield* host
        yield* note(`FAULT ${name} is cut off`)
        yield* faults.cutNetwork
        yield* Effect.sleep(yield* interval(10))
        yield* faults.mendNetwork
      })
    ],
    [
      1,
      Effect.gen(function* () {
        const { faults, name } = yield* host
        yield* note(`FAULT libvirtd of ${name} stops`)
        yield* faults.stopLibvirtd
        yield* Effect.sleep(yield* interval(6))
        yield* faults.startLibvirtd
      })
    ],
    [
      1,
      Effect.gen(function* () {
        const { faults, name } = yield* host
        const when = yield* moment
        yield* note(`FAULT libvirtd of ${name} hangs ${when} its calls`)
        yield* faults.hang("all", true, when)
        yield* Effect.sleep(yield* interval(15))
        yield* faults.hang("all", false)
      })
    ],
    [
      1,
      Effect.gen(function* () {
        const { disturbAll, faults, name } = yield* host
        yield* note(`FAULT ${name} loses power`)
        yield* disturbAll
        yield* faults.losePower
        yield* Effect.sleep(yield* interval(15))
        yield* disturbAll
        yield* faults.bootAgain
      })
    ],
    [
      1,
      Effect.gen(function* () {
        const { faults, name } = yield* host
        yield* note(`FAULT ${name} is slow`)
        yield* faults.slow("all", yield* interval(2))
        yield* Effect.sleep(yield* interval(10))
        yield* faults.slow("all", pace)
      })
    ],
    [
      1,
      Effect.gen(function* () {
        const { faults, guests, name } = yield* host
        const guest = yield* pick(guests())
        if (guest === undefined) return
        yield* note(`FAULT ${guest.name} crashes on ${name}`)
        disturb([guest.name])
        yield* faults.crashGuest(guest.name)
      })
    ],
    [
      2,
      Effect.gen(function* () {
        const { disturbAll, faults, name } = yield* host
        yield* note(`FAULT what loses its power on ${name} will be started by hand`)
        yield* faults.onCall("DOMAIN_DESTROY", "after", Effect.zipRight(disturbAll, faults.startByHand), { nth: 1 })
      })
    ],
    [
      8,
      Effect.gen(function* () {
        const { faults, guests, name } = yield* host
        yield* note(`FAULT guests on ${name} hold their devices`)
        const held = guests().map((guest) => guest.name)
        for (const guest of held) yield* faults.holdDevices(guest, true)
        // longer than they are asked to let go
        yield* Effect.sleep(Duration.sum("20 seconds", yield* interval(20)))
        for (const guest of held) yield* faults.holdDevices(guest, false)
      })
    ],
    ...(ceph
      ? [
          [6, poolRefuses] as const,
          [1, poolRefusesForGood] as const,
          [4, poolLosesAnswer] as const,
          [1, Effect.zipRight(note("FAULT Ceph sessions die"), pool.killSessions)] as const,
          [
            1,
            Effect.gen(function* () {
              yield* note("FAULT the OSDs are dead")
              yield* pool.osdsDead(true)
              yield* Effect.sleep(yield* interval(10))
              yield* pool.osdsDead(false)
            })
          ] as const
        ]
      : [])
  ]

  /**
   * The next of these calls is refused, on the host of the domain of that name or by the pool, and half the time it takes effect all the same. What goes
   * wrong anywhere at any time seldom meets what is seldom asked for. Gives whether it takes effect.
   */
  const spoil = Effect.fnUntraced(function* (domain: string, calls: ReadonlyArray<Call>) {
    const call = yield* pick(calls)
    const at = hosts.find(({ state }) => [...state.domains.values()].some(({ name }) => name === domain))
    if (call === undefined || at === undefined) return false
    const effect = yield* Random.nextBoolean
    const after = effect ? " after doing it" : ""
    if (call.on === "pool") {
      yield* note(`FAULT the pool will refuse ${call.request}${after}`)
      yield* pool.fail(call.request, { errno: "EIO", nth: 1, effect })
    } else {
      yield* note(`FAULT ${at.hostname} will refuse ${call.procedure}${after}`)
      yield* at.faults.fail(call.procedure, { code: 38, message: "something went wrong", int1: 5, nth: 1, effect })
    }
    return effect
  })

  /** Whole, and as fast as can be expected. */
  const mend = Effect.gen(function* () {
    yield* pool.clear
    yield* pool.osdsDead(false)
    for (const request of requests) yield* pool.onCall(request, "before", Effect.sleep(pace))
    for (const { faults, guests } of hosts) {
      yield* faults.clear
      yield* faults.slow("all", pace)
      yield* faults.mendNetwork
      yield* faults.bootAgain
      yield* faults.startLibvirtd
      for (const { name } of guests()) yield* faults.holdDevices(name, false)
    }
  })

  return {
    /** One of them; what it breaks is whole again after a while. */
    draw: weighed(faults),
    spoil,
    dying,
    mend
  }
}
