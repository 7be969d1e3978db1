/** What every Hypervisor must do, whatever it is made of. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import type { HostError } from "../../src/domain/Errors.ts"
import { Host } from "../../src/domain/Host.ts"
import { DomainUuid, OperationId, VmId } from "../../src/domain/Ids.ts"
import { type DiskSource, type DomainRef, type DomainSpec, Hypervisor } from "../../src/services/Hypervisor.ts"

/** A host to work on, and what can be done and seen there by hand. */
export class HypervisorWorld extends Context.Tag("test/HypervisorWorld")<
  HypervisorWorld,
  {
    readonly host: Host
    /** nothing answers there */
    readonly unreachable: Host
    /** the network that VMs join there when the machine file names none */
    readonly network: string | null
    /** a disk that a domain can start with */
    readonly root: (vmId: VmId) => Effect.Effect<DiskSource, HostError>
    readonly dropRoot: (vmId: VmId) => Effect.Effect<void, HostError>
    /** defines a domain that is not ours */
    readonly defineForeign: (domain: DomainRef) => Effect.Effect<void>
    readonly undefineForeign: (domain: DomainRef) => Effect.Effect<void>
    readonly pause: (domain: DomainRef) => Effect.Effect<void>
    readonly titleOf: (domain: DomainRef) => Effect.Effect<string | undefined>
  }
>() {}

const quiet = Logger.withMinimumLogLevel(LogLevel.Warning)
const uuid = () => DomainUuid.make(randomUUID())
const operation = () => OperationId.make(randomUUID())

export const hypervisorContract = <E>(name: string, layer: Layer.Layer<Hypervisor | HypervisorWorld, E>) =>
  describe(`Hypervisor: ${name}`, () => {
    const started = Effect.gen(function* () {
      const hypervisor = yield* Hypervisor
      const world = yield* HypervisorWorld
      const host = new Host({ ...world.host, facts: yield* hypervisor.facts(world.host) })
      const { network: _, ...withoutNetwork } = world.host.config

      /** a VM's spec with its disk; whatever became of it is cleared away in the end */
      const spec = (id: number, change: Partial<DomainSpec> = {}) =>
        Effect.acquireRelease(
          Effect.map(world.root(VmId.make(id)), (root): DomainSpec => ({
            vmId: VmId.make(id),
            uuid: uuid(),
            domainName: `vm-${id}`,
            title: "web",
            resources: { cpu: 1, ram: 128, disk: 1 },
            mac: `52:54:00:00:01:${id.toString(16).padStart(2, "0")}`,
            root,
            operationId: operation(),
            ...change
          })),
          (spec) =>
            hypervisor
              .powerOff(host, spec)
              .pipe(
                Effect.zipRight(hypervisor.undefine(host, spec)),
                Effect.zipRight(world.dropRoot(spec.vmId)),
                Effect.orDie
              )
        )
      const foreign = (domain: DomainRef) =>
        Effect.acquireRelease(world.defineForeign(domain), () => world.undefineForeign(domain))
      const stateOf = (domain: DomainRef) =>
        Effect.map(hypervisor.status(host, domain), (status) => Option.getOrUndefined(status)?.state ?? "absent")
      const names = Effect.map(hypervisor.list(host), (all) => all.map((one) => one.name))
      return { hypervisor, world, host, withoutNetwork, spec, foreign, stateOf, names }
    })

    const test = <A, E2>(
      title: string,
      body: (at: Effect.Effect.Success<typeof started>) => Effect.Effect<A, E2, Scope.Scope>
    ) =>
      // the scope closes before the layer does, so that what is cleared up still has it
      it.live(title, () => Effect.flatMap(started, body).pipe(Effect.scoped, quiet, Effect.provide(layer)))

    test("facts tell what the host is", ({ host, hypervisor, world }) =>
      Effect.gen(function* () {
        const facts = yield* hypervisor.facts(world.host)
        assert.isNotEmpty(facts.hostname)
        assert.match(facts.uuid, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
        assert.match(facts.libvirtVersion, /^\d+\.\d+\.\d+$/)
        assert.isAbove(facts.resources.cpu, 0)
        assert.isAbove(facts.resources.ram, 100)
        assert.isAbove(facts.resources.disk, 0)
        assert.strictEqual(facts.arch, "x86_64")
        assert.strictEqual(facts.network, world.network)
        assert.deepStrictEqual(facts, host.facts)
      }))

    test("facts follow what the machine file says of virtualization and network", ({
      hypervisor,
      withoutNetwork,
      world
    }) =>
      Effect.gen(function* () {
        const emulated = new Host({ ...world.host, config: { ...withoutNetwork, virt: "qemu" } })
        assert.strictEqual((yield* hypervisor.facts(emulated)).domainType, "qemu")
        const misnamed = new Host({ ...world.host, config: { ...withoutNetwork, network: "no-such-net" } })
        const error = yield* Effect.flip(hypervisor.facts(misnamed))
        assert.strictEqual(error._tag, "HostFailure")
        assert.include(error.message, "no-such-net")
      }))

    test("a domain is defined, started, powered off and undefined; each may be repeated", ({
      host,
      hypervisor,
      names,
      spec,
      stateOf
    }) =>
      Effect.gen(function* () {
        const vm = yield* spec(11)
        yield* hypervisor.define(host, vm)
        yield* hypervisor.define(host, vm)
        assert.deepStrictEqual(
          yield* hypervisor.status(host, vm),
          Option.some({ state: "shutoff" as const, operationId: vm.operationId })
        )
        assert.deepInclude(yield* hypervisor.list(host), { uuid: vm.uuid, name: "vm-11" })
        yield* hypervisor.start(host, vm)
        yield* hypervisor.start(host, vm)
        assert.strictEqual(yield* stateOf(vm), "running")
        yield* hypervisor.powerOff(host, vm)
        yield* hypervisor.powerOff(host, vm)
        assert.strictEqual(yield* stateOf(vm), "shutoff")
        yield* hypervisor.undefine(host, vm)
        yield* hypervisor.undefine(host, vm)
        yield* hypervisor.powerOff(host, vm)
        assert.strictEqual(yield* stateOf(vm), "absent")
        assert.notInclude(yield* names, "vm-11")
      }))

    test("a domain is redefined by another operation", ({ host, hypervisor, spec }) =>
      Effect.gen(function* () {
        const vm = yield* spec(11)
        yield* hypervisor.define(host, vm)
        const later = operation()
        yield* hypervisor.define(host, { ...vm, operationId: later })
        assert.strictEqual(Option.getOrThrow(yield* hypervisor.status(host, vm)).operationId, later)
      }))

    test("a title is any text, and stays text", ({ host, hypervisor, spec, world }) =>
      Effect.gen(function* () {
        const title = `</title><devices/> <!-- ]]> & &lt; "q" 'a' %s $(id) \u{1f5a5}\u00a0é\u202e`
        const vm = yield* spec(11, { title })
        yield* hypervisor.define(host, vm)
        assert.strictEqual(yield* world.titleOf(vm), title)
      }))

    test("a title that XML cannot carry is refused", ({ host, hypervisor, spec, stateOf }) =>
      Effect.gen(function* () {
        const vm = yield* spec(11, { title: "a\u0000b" })
        // in memory anything can be kept; what counts is that no half of it is
        const outcome = yield* Effect.either(hypervisor.define(host, vm))
        if (outcome._tag === "Left") {
          assert.strictEqual(outcome.left._tag, "HostFailure")
          assert.strictEqual(yield* stateOf(vm), "absent")
        }
      }))

    test("a paused domain is resumed by a start, and powered off like any other", ({
      host,
      hypervisor,
      spec,
      stateOf,
      world
    }) =>
      Effect.gen(function* () {
        const vm = yield* spec(11)
        yield* hypervisor.define(host, vm)
        yield* hypervisor.start(host, vm)
        yield* world.pause(vm)
        assert.strictEqual(yield* stateOf(vm), "paused")
        yield* hypervisor.start(host, vm)
        assert.strictEqual(yield* stateOf(vm), "running")
        yield* world.pause(vm)
        yield* hypervisor.powerOff(host, vm)
        assert.strictEqual(yield* stateOf(vm), "shutoff")
      }))

    test("a running domain is not undefined", ({ host, hypervisor, spec, stateOf }) =>
      Effect.gen(function* () {
        const vm = yield* spec(11)
        yield* hypervisor.define(host, vm)
        yield* hypervisor.start(host, vm)
        const error = yield* Effect.flip(hypervisor.undefine(host, vm))
        assert.strictEqual(error._tag, "HostFailure")
        assert.include(error.message, "running")
        assert.strictEqual(yield* stateOf(vm), "running")
      }))

    test("what is not there cannot be started", ({ host, hypervisor }) =>
      Effect.gen(function* () {
        const nobody = { uuid: uuid(), domainName: "vm-12" }
        const error = yield* Effect.flip(hypervisor.start(host, nobody))
        assert.strictEqual(error._tag, "HostFailure")
        assert.include(error.message, "start vm-12")
        assert.deepStrictEqual(yield* hypervisor.status(host, nobody), Option.none())
      }))

    test("a name that another domain has is refused in clear words", ({ foreign, host, hypervisor, spec, stateOf }) =>
      Effect.gen(function* () {
        const other = { uuid: uuid(), domainName: "vm-11" }
        yield* foreign(other)
        const vm = yield* spec(11)
        const error = yield* Effect.flip(hypervisor.define(host, vm))
        assert.strictEqual(error._tag, "HostFailure")
        assert.include(error.message, "another domain vm-11 that is not ours has that name")
        assert.strictEqual(yield* stateOf(vm), "absent")
        assert.strictEqual(yield* stateOf(other), "shutoff")
      }))

    test("a domain that is not ours is left alone, whatever its uuid and name", ({
      foreign,
      host,
      hypervisor,
      spec,
      stateOf
    }) =>
      Effect.gen(function* () {
        const other = { uuid: uuid(), domainName: "vm-13" }
        yield* foreign(other)
        assert.deepStrictEqual(
          yield* hypervisor.status(host, other),
          Option.some({ state: "shutoff" as const, operationId: null })
        )
        // its root is another VM's, so that clearing up does not depend on it
        const { root } = yield* spec(14)
        const vm = {
          ...other,
          vmId: VmId.make(13),
          title: "web",
          resources: { cpu: 1, ram: 128, disk: 1 },
          mac: "52:54:00:00:01:0d",
          root,
          operationId: operation()
        }
        for (const act of [
          hypervisor.define(host, vm),
          hypervisor.start(host, other),
          hypervisor.powerOff(host, other),
          hypervisor.undefine(host, other)
        ]) {
          const error = yield* Effect.flip(act)
          assert.strictEqual(error._tag, "HostFailure")
          assert.include(error.message, "left alone")
        }
        assert.strictEqual(yield* stateOf(other), "shutoff")
      }))

    test("ours under another VM's name is not touched either", ({ host, hypervisor, spec, stateOf }) =>
      Effect.gen(function* () {
        const vm = yield* spec(11)
        yield* hypervisor.define(host, vm)
        const mistaken = { uuid: vm.uuid, domainName: "vm-12" }
        assert.strictEqual((yield* Effect.flip(hypervisor.undefine(host, mistaken)))._tag, "HostFailure")
        assert.strictEqual(Option.getOrThrow(yield* hypervisor.status(host, mistaken)).operationId, null)
        assert.strictEqual(yield* stateOf(vm), "shutoff")
      }))

    test("changes are told as they happen", ({ host, hypervisor, spec }) =>
      Effect.gen(function* () {
        const vm = yield* spec(11)
        const seen = yield* Ref.make<ReadonlyArray<string>>([])
        const listening = yield* Deferred.make<void>()
        const gone = yield* Deferred.make<void>()
        yield* hypervisor.changes(host).pipe(
          Stream.filter((change) => change.uuid === vm.uuid && change.name === "vm-11"),
          Stream.runForEach(({ change }) =>
            Ref.update(seen, (all) => [...all, change]).pipe(
              Effect.zipRight(Deferred.succeed(listening, undefined)),
              Effect.zipRight(change === "undefined" ? Deferred.succeed(gone, undefined) : Effect.void)
            )
          ),
          Effect.forkScoped
        )
        // nothing says when the host has begun to tell: it is defined until that is heard
        yield* hypervisor
          .define(host, vm)
          .pipe(
            Effect.repeat({ until: () => Deferred.isDone(listening), schedule: Schedule.spaced("20 millis") }),
            Effect.timeout("10 seconds")
          )
        yield* hypervisor.start(host, vm)
        yield* hypervisor.powerOff(host, vm)
        yield* hypervisor.undefine(host, vm)
        yield* Deferred.await(gone).pipe(Effect.timeout("10 seconds"))
        const told = (yield* Ref.get(seen)).filter(
          (change, at, all) => change !== "defined" || all[at - 1] !== "defined"
        )
        // QEMU's own order of what belongs to a start and a stop is its business
        assert.deepStrictEqual(
          told.filter((change) => change !== "resumed" && change !== "shutdown"),
          ["defined", "started", "stopped", "undefined"]
        )
      }))

    test("a host that does not answer is unreachable, and says why", ({ hypervisor, spec, world }) =>
      Effect.gen(function* () {
        const vm = yield* spec(11)
        const host = new Host({
          ...world.unreachable,
          facts: world.host.facts ?? (yield* hypervisor.facts(world.host))
        })
        const acts: ReadonlyArray<Effect.Effect<unknown, HostError>> = [
          hypervisor.facts(host),
          hypervisor.define(host, vm),
          hypervisor.start(host, vm),
          hypervisor.status(host, vm),
          hypervisor.powerOff(host, vm),
          hypervisor.undefine(host, vm),
          hypervisor.list(host),
          Stream.runDrain(hypervisor.changes(host))
        ]
        for (const act of acts) {
          const error = yield* Effect.flip(act)
          assert.strictEqual(error._tag, "HostUnreachable")
          assert.match(error.message, /^host \S+ cannot be used: \S/)
        }
      }))
  })
