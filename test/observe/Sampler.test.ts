/** Statistics of simulated hosts, whose guests do what they are told. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Inspections } from "../../src/fabric/Inspections.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import * as Watching from "./Watching.ts"

const mebibyte = 1024 ** 2

/** Sampled five times a second. */
const interval = 200

const until = <A, E, R>(look: Effect.Effect<A, E, R>, holds: (value: A) => boolean): Effect.Effect<A, E, R> =>
  Effect.flatMap(look, (value) =>
    holds(value) ? Effect.succeed(value) : Effect.zipRight(Effect.sleep("20 millis"), until(look, holds))
  )

const eventually = <A, E, R>(look: Effect.Effect<A, E, R>, holds: (value: A) => boolean) =>
  Effect.timeout(until(look, holds), "15 seconds")

describe("statistics", () => {
  it.scopedLive("follow what a guest does, and end with it", () =>
    Effect.gen(function* () {
      const { hosts, life } = yield* Watching.make({ hosts: 2, statistics: { interval } })
      yield* Effect.gen(function* () {
        const vms = yield* Vms
        const inspections = yield* Inspections
        const vm = yield* vms.create({ name: "web", instanceType: Watching.type })
        const other = yield* vms.create({ name: "idle", instanceType: Watching.type })
        const host = hosts.find((one) => one.guests().some(({ name }) => name === vm.domainName))!
        const usage = Effect.map(inspections.usage(vm.id), Option.getOrUndefined)
        yield* eventually(usage, (sample) => (sample?.rates ?? null) !== null)
        yield* host.work(vm.domainName, { busy: 0.5, memory: 300 * mebibyte })
        const busy = yield* eventually(usage, (sample) => (sample?.rates?.cpu ?? 0) > 45)
        assert.isBelow(busy?.rates?.cpu ?? 0, 60)
        assert.closeTo(busy?.counters.memory.used ?? 0, 300 * mebibyte, mebibyte)
        const before = yield* usage
        yield* host.work(vm.domainName, {
          write: { target: "vda", bytes: 10 * mebibyte },
          send: 5 * mebibyte,
          receive: mebibyte
        })
        const after = yield* eventually(usage, (sample) => (sample?.rates?.diskWritten ?? 0) > 0)
        const [disk] = after?.counters.disks ?? []
        assert.deepInclude(disk, { target: "vda", writtenBytes: 10 * mebibyte, writtenRequests: 80 })
        assert.deepInclude(after?.counters.nics[0], { sentBytes: 5 * mebibyte, receivedBytes: mebibyte })
        const seconds = ((after?.at ?? 0) - (before?.at ?? 0)) / 1000
        assert.isAbove(seconds, 0)

        // the busier one first
        const top = yield* inspections.top("cpu", undefined, 10)
        assert.deepStrictEqual(
          top.map(({ name }) => name),
          ["web", "idle"]
        )
        assert.lengthOf(yield* inspections.top("cpu", undefined, 1), 1)
        const sums = yield* inspections.hostUsage(vm.hostId)
        assert.closeTo(sums.rates.cpu, 0.5, 0.1)
        assert.strictEqual(sums.domains, vm.hostId === other.hostId ? 2 : 1)
        const past = yield* inspections.history(vm.id, 20, Date.now() - 60_000)
        assert.isTrue(past.series.cpu.some((value) => value !== null && value > 0))

        yield* host.faults.crashGuest(vm.domainName)
        yield* eventually(usage, (sample) => sample === undefined)
      }).pipe(Effect.provide(life))
    })
  )

  it.scopedLive("of a slow host delay no other's, and go on when it is well again", () =>
    Effect.gen(function* () {
      const { hosts, life } = yield* Watching.make({ hosts: 2, statistics: { interval } })
      yield* Effect.gen(function* () {
        const inspections = yield* Inspections
        const [slow] = hosts
        const ages = Effect.map(
          inspections.hostUsages,
          (all) => new Map(all.map(({ at, hostId }) => [hostId, at ?? 0]))
        )
        const both = yield* eventually(ages, (all) => all.size === 2)
        const [first, second] = [...both.keys()].toSorted((a, b) => a - b)
        assert(first !== undefined && second !== undefined)
        yield* slow!.faults.hang("CONNECT_GET_ALL_DOMAIN_STATS", true)
        const stuck = yield* ages
        // five samples of the other one later
        const later = yield* eventually(ages, (all) => (all.get(second) ?? 0) > (stuck.get(second) ?? 0) + 5 * interval)
        assert.isAtMost((later.get(first) ?? 0) - (stuck.get(first) ?? 0), 2 * interval)
        yield* slow!.faults.hang("CONNECT_GET_ALL_DOMAIN_STATS", false)
        yield* eventually(ages, (all) => (all.get(first) ?? 0) > (later.get(first) ?? 0) + interval)
      }).pipe(Effect.provide(life))
    })
  )
})
