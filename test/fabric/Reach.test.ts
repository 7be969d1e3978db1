/** Whose console a ticket opens, whatever becomes of VMs meanwhile. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { VmNotFound } from "../../src/domain/Errors.ts"
import { defaultConfig, Host } from "../../src/domain/Host.ts"
import { UserName } from "../../src/domain/Identity.ts"
import type { Vm } from "../../src/domain/Vm.ts"
import * as Ids from "../../src/domain/Ids.ts"
import * as Reach from "../../src/fabric/Reach.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { Consoles } from "../../src/services/Consoles.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { Hypervisor } from "../../src/services/Hypervisor.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import * as Given from "../domain/Vm.ts"
import * as World from "./World.ts"

const ada = { user: UserName.make("ada"), role: "operator", via: "session", tokenId: null } as const

const web = (uuid: string) => Given.named("web", uuid)

describe("a ticket", () => {
  it.scopedLive("is for the very VM it was asked for, not for another that is called and numbered like it", () => {
    const reached: Array<string> = []
    const host = Host.make({
      id: Ids.HostId.make(1),
      config: defaultConfig({ user: "root", host: "h", port: 22 }),
      facts: null
    })
    let now: Vm | null = web("00112233-4455-6677-8899-aabbccddeeff")
    const line = { _tag: "Open", line: { send: () => Effect.void, incoming: Stream.empty } } as const
    const around = Layer.mergeAll(
      Layer.mock(Inventory, {
        vm: (id) => (now === null ? new VmNotFound({ vmId: id }) : Effect.succeed(now)),
        host: () => Effect.succeed({ host, promised: { cpu: 1, ram: 512, disk: 1 }, vms: 1 })
      }),
      Layer.mock(HostMonitor, { check: () => Effect.void }),
      Layer.mock(Hypervisor, {
        power: (_, { domainName: name, uuid }) => Effect.succeedSome({ uuid, name, power: "running", reason: null })
      }),
      Layer.succeed(
        Consoles,
        Consoles.of({
          serial: (_, { uuid }) => Effect.sync(() => (reached.push(`serial ${uuid}`), line)),
          vnc: (_, { uuid }) => Effect.sync(() => (reached.push(`vnc ${uuid}`), line))
        })
      )
    )
    return Effect.gen(function* () {
      const reach = yield* Reach.Reach
      for (const kind of ["serial", "vnc"] as const) {
        now = web("00112233-4455-6677-8899-aabbccddeeff")
        const ask = Effect.map(reach.ticket(ada, now.id, { kind }), ({ secret }) => secret)
        const [good, late, gone] = [yield* ask, yield* ask, yield* ask]
        yield* reach.open(ada, now.id, kind, good)
        assert.deepStrictEqual(reached.splice(0), [`${kind} ${now.uuid}`])

        // another has taken its place
        now = web("ffeeddcc-bbaa-9988-7766-554433221100")
        const refused = yield* Effect.flip(reach.open(ada, now.id, kind, late))
        assert.strictEqual(refused._tag, "TicketRefused")
        assert.include(refused.message, "the VM that it was for is gone")
        const { id } = now
        now = null
        assert.strictEqual((yield* Effect.flip(reach.open(ada, id, kind, gone)))._tag, "VmNotFound")
        // and each was used up by that
        now = web("00112233-4455-6677-8899-aabbccddeeff")
        for (const secret of [good, late, gone]) {
          assert.strictEqual((yield* Effect.flip(reach.open(ada, id, kind, secret)))._tag, "TicketRefused")
        }
        assert.deepStrictEqual(reached, [])
      }
    }).pipe(Effect.provide(Layer.provide(Reach.layer, around)))
  })

  it.scopedLive(
    "leads to no other VM while hundreds are created, entered and destroyed at once",
    () =>
      Effect.gen(function* () {
        const world = yield* World.make({ hosts: 4, transport: "memory" })
        yield* Effect.gen(function* () {
          const vms = yield* Vms
          const reach = yield* Reach.Reach
          yield* (yield* HostMonitor).settled
          const create = (name: string) => vms.create({ name, instanceType: Ids.InstanceTypeId.make(1) })
          const ticket = (vm: Vm) => Effect.map(reach.ticket(ada, vm.id, { kind: "serial" }), ({ secret }) => secret)
          const open = (id: Ids.VmId, secret: Redacted.Redacted) => Effect.either(reach.open(ada, id, "serial", secret))

          /** Those guests that have printed it: what is typed there reaches nobody else. */
          const printed = (words: string) =>
            world.hosts.flatMap(({ state }) =>
              [...state.domains.values()].flatMap(({ live, uuid }) =>
                live?.serial.includes(words) === true ? [uuid] : []
              )
            )
          let heard = 0
          /** Says something there that nobody else says, until it is heard or the line ends. */
          const speak = (vm: Vm, secret: Redacted.Redacted, id = vm.id) =>
            Effect.gen(function* () {
              const result = yield* open(id, secret)
              if (Either.isLeft(result)) return result.left._tag
              const words = `this is ${vm.uuid}`
              const { incoming, send } = result.right
              const seen = Stream.runFoldWhile(
                Stream.decodeText(incoming),
                "",
                (all) => !all.includes(`${words}\r\n`),
                (all, more) => all + more
              ).pipe(
                Effect.map((all) => {
                  if (!all.includes(words)) return
                  heard++
                  for (const uuid of printed(words)) assert.strictEqual(uuid, vm.uuid, "who has heard it")
                })
              )
              // nobody who is not up yet hears it
              const saying = send(Buffer.from(`echo ${words}\n`)).pipe(
                Effect.repeat(Schedule.spaced("50 millis")),
                Effect.ignore,
                Effect.zipRight(Effect.never)
              )
              yield* Effect.ignore(Effect.raceFirst(seen, saying)).pipe(Effect.timeout("1 minute"))
              return "opened"
            }).pipe(Effect.scoped)

          const lives: ReadonlyArray<(name: string) => Effect.Effect<void, unknown>> = [
            // entered, and destroyed later
            (name) =>
              Effect.gen(function* () {
                const vm = yield* create(name)
                assert.strictEqual(yield* speak(vm, yield* ticket(vm)), "opened")
                yield* vms.destroy(vm.id)
              }),
            // destroyed while it is entered
            (name) =>
              Effect.gen(function* () {
                const vm = yield* create(name)
                const secret = yield* ticket(vm)
                const [said] = yield* Effect.all([speak(vm, secret), vms.destroy(vm.id)], { concurrency: 2 })
                assert.include(["opened", "VmNotFound", "VmConflict"], said)
              }),
            // destroyed before, with another in its place
            (name) =>
              Effect.gen(function* () {
                const vm = yield* create(name)
                const secrets = [yield* ticket(vm), yield* ticket(vm)] as const
                yield* vms.destroy(vm.id)
                const other = yield* create(name)
                assert.strictEqual(yield* speak(vm, secrets[0]), "VmNotFound")
                assert.strictEqual(yield* speak(vm, secrets[1], other.id), "TicketRefused")
                yield* vms.destroy(other.id)
              }),
            // entered twice by one ticket, at once
            (name) =>
              Effect.gen(function* () {
                const vm = yield* create(name)
                const secret = yield* ticket(vm)
                const said = yield* Effect.all([speak(vm, secret), speak(vm, secret)], { concurrency: 2 })
                assert.sameMembers(said, ["opened", "TicketRefused"])
                yield* vms.destroy(vm.id)
              })
          ]
          yield* Effect.forEach(
            Array.from({ length: 100 }, (_, index) => ({ index, life: lives[index % lives.length] })),
            ({ index, life }) => life?.(`web-${index}`) ?? Effect.void,
            { concurrency: 40, discard: true }
          )
          assert.isAtLeast(heard, 50)
          assert.deepStrictEqual(yield* vms.list(), [])
          assert.deepStrictEqual(World.remains(world), { domains: [], disks: [] })
        }).pipe(Effect.provide(world.life))
      }),
    120_000
  )
})
