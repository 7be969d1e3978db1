/** What every Scheduler must do, whatever its preferences. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import type * as Layer from "effect/Layer"
import { Host, type HostStatus } from "../../src/domain/Host.ts"
import { HostId } from "../../src/domain/Ids.ts"
import * as Resources from "../../src/domain/Resources.ts"
import { type Candidate, type PlacementRequest, Scheduler } from "../../src/services/Scheduler.ts"
import { facts, host } from "../inventory/Fleet.ts"

export const up: HostStatus = { _tag: "Up" }

export const candidate = (
  id: number,
  has: Resources.Resources | null,
  {
    maintenance = false,
    ...more
  }: {
    readonly promised?: Resources.Resources
    readonly vms?: number
    readonly status?: HostStatus
    readonly maintenance?: boolean
  } = {}
): Candidate => ({
  host: new Host({
    id: HostId.make(id),
    config: host(`node${id}`),
    facts: has === null ? null : facts(has),
    maintenance
  }),
  status: up,
  promised: Resources.zero,
  vms: 0,
  ...more
})

const away = (tag: "Suspect" | "Down", reason: string): HostStatus => ({
  _tag: tag,
  reason,
  signs: { ssh: "silent", libvirt: "unknown", peers: "silent" },
  since: 0
})

export const request = (
  resources: Resources.Resources,
  exclude: ReadonlyArray<readonly [number, string]> = []
): PlacementRequest => ({
  resources,
  exclude: new Map(exclude.map(([id, reason]) => [HostId.make(id), reason]))
})

const arbitraryAmounts = (min: number, max: number) =>
  FastCheck.record({
    cpu: FastCheck.integer({ min, max }),
    ram: FastCheck.integer({ min, max }),
    disk: FastCheck.integer({ min, max })
  })

const arbitraryStatus: FastCheck.Arbitrary<HostStatus> = FastCheck.oneof(
  { weight: 8, arbitrary: FastCheck.constant(up) },
  { weight: 1, arbitrary: FastCheck.constant({ _tag: "Connecting" } as const) },
  { weight: 1, arbitrary: FastCheck.constant(away("Suspect", "it has just fallen silent")) },
  { weight: 1, arbitrary: FastCheck.constant(away("Down", "no route to it")) }
)

/** Hosts in any order, some full, some over-promised, some unknown. */
export const arbitraryCandidates = FastCheck.uniqueArray(
  FastCheck.record({
    id: FastCheck.integer({ min: 1, max: 50 }),
    has: FastCheck.option(arbitraryAmounts(0, 20), { freq: 8 }),
    promised: arbitraryAmounts(0, 22),
    vms: FastCheck.nat(5),
    maintenance: FastCheck.nat(7).map((n) => n === 0),
    status: arbitraryStatus
  }),
  { selector: ({ id }) => id, maxLength: 12 }
).map((hosts) => hosts.map(({ has, id, ...more }) => candidate(id, has, more)))

export const arbitraryRequest = FastCheck.record({
  resources: arbitraryAmounts(1, 12),
  exclude: FastCheck.array(FastCheck.tuple(FastCheck.integer({ min: 1, max: 50 }), FastCheck.constant("not wanted")), {
    maxLength: 8
  })
}).map(({ exclude, resources }) => request(resources, exclude))

/** Written apart from the scheduler's own filters. */
const hasRoom = ({ exclude, resources }: PlacementRequest, { host, promised, status }: Candidate): boolean => {
  const capacity = host.capacity
  return (
    status._tag === "Up" &&
    !host.maintenance &&
    !exclude.has(host.id) &&
    capacity !== null &&
    promised.cpu + resources.cpu <= capacity.cpu &&
    promised.ram + resources.ram <= capacity.ram &&
    promised.disk + resources.disk <= capacity.disk
  )
}

export const schedulerContract = (name: string, layer: Layer.Layer<Scheduler>) =>
  describe(`Scheduler: ${name}`, () => {
    it.effect.prop(
      "chooses a host with room if and only if there is one, and else tells every host's reason once",
      { candidates: arbitraryCandidates, wanted: arbitraryRequest },
      ({ candidates, wanted }) =>
        Effect.gen(function* () {
          const scheduler = yield* Scheduler
          const exit = yield* Effect.exit(scheduler.place(wanted, candidates))
          const feasible = candidates.filter((one) => hasRoom(wanted, one)).map((one) => one.host.id)
          if (Exit.isSuccess(exit)) {
            assert.include(feasible, exit.value)
            return
          }
          assert.deepStrictEqual(feasible, [])
          const { refusals } = yield* Effect.flip(exit)
          const byId = (a: number, b: number) => a - b
          assert.deepStrictEqual(
            refusals.map(({ hostId }) => hostId).sort(byId),
            candidates.map(({ host }) => host.id).sort(byId)
          )
          for (const { host, reason } of refusals) {
            assert.match(host, /^root@node\d+$/)
            assert.match(reason, /\S/)
          }
        }).pipe(Effect.provide(layer)),
      { fastCheck: { numRuns: 300 } }
    )

    it.effect("tells the reason of each host in a user's words", () =>
      Effect.gen(function* () {
        const scheduler = yield* Scheduler
        const has = { cpu: 4, ram: 4096, disk: 160 }
        const error = yield* Effect.flip(
          scheduler.place(request({ cpu: 2, ram: 1024, disk: 10 }, [[4, "it is being emptied"]]), [
            candidate(1, has, { status: away("Down", "its libvirt does not answer") }),
            candidate(2, null, { status: { _tag: "Connecting" } }),
            candidate(3, null),
            candidate(4, has),
            candidate(5, has, { promised: { cpu: 1, ram: 3584, disk: 20 } }),
            candidate(6, has, { promised: { cpu: 3, ram: 5000, disk: 155 } }),
            candidate(7, has, { status: away("Suspect", "it has just fallen silent") }),
            candidate(8, has, { maintenance: true })
          ])
        )
        assert.deepStrictEqual(
          error.refusals.map(({ reason }) => reason),
          [
            "its libvirt does not answer",
            "has not been reached yet",
            "what it has is not known yet",
            "it is being emptied",
            "memory short by 512 MiB (needs 1024, 512 of 4096 free)",
            "vCPUs short by 1 (needs 2, 1 of 4 free), memory short by 1928 MiB (needs 1024, 904 more than its 4096 promised), " +
              "disk short by 5 GiB (needs 10, 5 of 160 free)",
            "it has just fallen silent",
            "it is in maintenance"
          ]
        )
        assert.include(error.message, "host 5 (root@node5): memory short by 512 MiB")
      }).pipe(Effect.provide(layer))
    )

    it.effect("says so when there are no hosts", () =>
      Effect.gen(function* () {
        const scheduler = yield* Scheduler
        const error = yield* Effect.flip(scheduler.place(request({ cpu: 1, ram: 1, disk: 1 }), []))
        assert.strictEqual(
          error.message,
          "no host can take the VM: the fabric has no hosts yet, and POST /api/v1/hosts or vmfabric host add adds one"
        )
      }).pipe(Effect.provide(layer))
    )
  })
