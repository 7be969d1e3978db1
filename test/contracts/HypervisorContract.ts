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
import type { GuestHoldsDevice, GuestIgnores, HostError } from "../../src/domain/Errors.ts"
import { Host } from "../../src/domain/Host.ts"
import { DomainUuid, OperationId, VmId } from "../../src/domain/Ids.ts"
import { nicSlots } from "../../src/domain/Nic.ts"
import type { Power } from "../../src/domain/Vm.ts"
import {
  type DiskSource,
  type DomainChange,
  type DomainNic,
  type DomainPower,
  type DomainRef,
  type DomainShape,
  type DomainSpec,
  Hypervisor,
  type VolumeDisk,
  volumeSlots
} from "../../src/services/Hypervisor.ts"

/** A disk to attach. */
export type Attachable = VolumeDisk & { readonly source: DiskSource }

/** A host to work on, and what can be done and seen there by hand. */
export class HypervisorWorld extends Context.Tag("test/HypervisorWorld")<
  HypervisorWorld,
  {
    readonly host: Host
    /** nothing answers there */
    readonly unreachable: Host
    /** the network that VMs join there when the machine file names none */
    readonly network: string | null
    /** one that it has */
    readonly bridge: string
    /** with `{vlan}` in it: it has the one for VLAN 12 */
    readonly trunk: string
    /** a disk that a domain can start with */
    readonly root: (vmId: VmId) => Effect.Effect<DiskSource, HostError>
    /** something that a domain can have in its drive for a seed */
    readonly seed: (vmId: VmId) => Effect.Effect<DiskSource, HostError>
    readonly dropSeed: (vmId: VmId) => Effect.Effect<void, HostError>
    readonly dropRoot: (vmId: VmId) => Effect.Effect<void, HostError>
    /** defines a domain that is not ours */
    readonly defineForeign: (domain: DomainRef) => Effect.Effect<void>
    readonly undefineForeign: (domain: DomainRef) => Effect.Effect<void>
    readonly pause: (domain: DomainRef) => Effect.Effect<void>
    /** its QEMU dies; returns when the host has noticed */
    readonly kill: (domain: DomainRef) => Effect.Effect<void>
    /** its guest, which is up, turns itself off; returns when it is off */
    readonly shutDown: (domain: DomainRef) => Effect.Effect<void>
    /** changes its definition by hand */
    readonly edit: (domain: DomainRef, shape: { title: string; cpu: number; ram: number }) => Effect.Effect<void>
    readonly titleOf: (domain: DomainRef) => Effect.Effect<string | undefined>
    /** returns when the running domain's guest can let go of devices; `times`: has come up so often since it was defined, 1 unless given */
    readonly booted: (domain: DomainRef, times?: number) => Effect.Effect<void>
    /** a file of `volumeSize` bytes that domains there can have as a disk; whoever has it open */
    readonly volume: (serial: string) => Effect.Effect<DiskSource>
    readonly dropVolume: (source: DiskSource) => Effect.Effect<void>
    /** the defined domain's guest will not hear its power button once it is started, for some seconds at least */
    readonly deafen: (domain: DomainRef) => Effect.Effect<void>
    /** by hand, on one side only: into the running domain, or into its definition; and out of it */
    readonly plug: (domain: DomainRef, disk: Attachable, side: Side) => Effect.Effect<void>
    readonly unplug: (domain: DomainRef, disk: Attachable, side: "persistent") => Effect.Effect<void>
    /** bytes the running domain's disk has */
    readonly sizeOf: (domain: DomainRef, disk: Attachable) => Effect.Effect<number>
  }
>() {}

export type Side = "live" | "persistent"

/** What a world's volumes are made with. */
export const volumeSize = 64 * 1024 * 1024

/** `vdb` for the first volume of a domain, from 0. */
const targetAt = (index: number) => `vd${String.fromCharCode("b".charCodeAt(0) + index)}`

const sourceOf = (source: DiskSource) => (source._tag === "File" ? source.path : `${source.pool}/${source.image}`)

/** The NIC of a domain on the network of that name. */
const card = (id: number, network: string): DomainNic => ({
  alias: "ua-nic-1",
  mac: `52:54:00:00:01:${id.toString(16).padStart(2, "0")}`,
  source: { kind: "libvirt", name: network },
  model: "virtio",
  link: "up"
})

const extra = (number: number): DomainNic => ({
  alias: `ua-nic-${number}`,
  mac: `52:54:00:00:02:0${number}`,
  source: { kind: "libvirt", name: "default" },
  model: "virtio",
  link: "up"
})

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
            nics: world.network === null ? [] : [card(id, world.network)],
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
      /** disks for the first targets; made before the domain that uses them, so that they are cleared away after it */
      const volumes = (count: number) =>
        Effect.forEach(Array.from({ length: count }).keys(), (index) => {
          const serial = `volume-${index + 1}`
          return Effect.acquireRelease(world.volume(serial), world.dropVolume).pipe(
            Effect.map((source): Attachable => ({ alias: `ua-${serial}`, target: targetAt(index), source }))
          )
        })
      const volume = Effect.map(volumes(1), ([first]) => first!)
      const running = Effect.fn(function* (id: number) {
        const vm = yield* spec(id)
        yield* hypervisor.define(host, vm)
        yield* hypervisor.start(host, vm)
        return vm
      })
      /** `live` null: the domain does not run; absent: there is no domain */
      const presence = (domain: DomainRef, disk: Attachable) =>
        Effect.map(hypervisor.diskPresence(host, domain, disk), Option.getOrNull)
      /** Defines the domain, and gives every change of it from then on. */
      const listen = Effect.fn(function* (vm: DomainSpec, hear: (change: DomainChange) => Effect.Effect<unknown>) {
        const listening = yield* Deferred.make<void>()
        yield* hypervisor.changes(host).pipe(
          Stream.filter((change) => change.uuid === vm.uuid && change.name === vm.domainName),
          Stream.runForEach((change) => Effect.zipRight(hear(change), Deferred.succeed(listening, undefined))),
          Effect.forkScoped
        )
        // nothing says when the host has begun to tell: it is defined until that is heard
        yield* hypervisor
          .define(host, vm)
          .pipe(
            Effect.repeat({ until: () => Deferred.isDone(listening), schedule: Schedule.spaced("20 millis") }),
            Effect.timeout("60 seconds")
          )
      })
      const names = Effect.map(hypervisor.list(host), (all) => all.map((one) => one.name))
      return {
        hypervisor,
        world,
        host,
        withoutNetwork,
        spec,
        foreign,
        stateOf,
        volumes,
        volume,
        running,
        presence,
        listen,
        names
      }
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
        // of its model: capabilities do not name them
        assert.includeMembers([...(facts.features ?? [])], ["sse2", "sse4.2"])
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

    const seedsOf = (shape: DomainShape | null | undefined) =>
      shape?.disks.filter(({ target }) => target === "sda").map(({ serial, source }) => [serial, source])

    test("a domain with a seed has it in a drive of its own, and all of the places for volumes", ({
      host,
      hypervisor,
      presence,
      spec,
      volumes,
      world
    }) =>
      Effect.gen(function* () {
        const disks = yield* volumes(volumeSlots)
        const vmId = VmId.make(11)
        const seed = yield* Effect.acquireRelease(world.seed(vmId), () => Effect.orDie(world.dropSeed(vmId)))
        const vm = yield* spec(11, { seed })
        yield* hypervisor.define(host, vm)
        yield* hypervisor.start(host, vm)
        const detail = Option.getOrThrow(yield* hypervisor.detail(host, vm.uuid))
        assert.deepStrictEqual(seedsOf(detail.live), [["vm-11-seed", sourceOf(seed)]])
        assert.deepStrictEqual(seedsOf(detail.defined), [["vm-11-seed", sourceOf(seed)]])
        for (const disk of disks) yield* hypervisor.attachDisk(host, vm, disk)
        assert.deepStrictEqual(yield* presence(vm, disks[volumeSlots - 1]!), { live: true, persistent: true })
        yield* hypervisor.provideSeed(host, vm, seed)
        const after = Option.getOrThrow(yield* hypervisor.detail(host, vm.uuid))
        assert.deepStrictEqual(seedsOf(after.defined), [["vm-11-seed", sourceOf(seed)]])
      }))

    test("a domain without a seed is given a drive with one, which it has from its next start on", ({
      host,
      hypervisor,
      running,
      world
    }) =>
      Effect.gen(function* () {
        const vmId = VmId.make(11)
        const seed = yield* Effect.acquireRelease(world.seed(vmId), () => Effect.orDie(world.dropSeed(vmId)))
        const vm = yield* running(11)
        const look = Effect.map(hypervisor.detail(host, vm.uuid), Option.getOrThrow)
        assert.deepStrictEqual(seedsOf((yield* look).defined), [])
        yield* hypervisor.provideSeed(host, vm, seed)
        yield* hypervisor.provideSeed(host, vm, seed)
        assert.deepStrictEqual(seedsOf((yield* look).defined), [["vm-11-seed", sourceOf(seed)]])
        assert.deepStrictEqual(seedsOf((yield* look).live), [])
        yield* hypervisor.powerOff(host, vm)
        yield* hypervisor.start(host, vm)
        assert.deepStrictEqual(seedsOf((yield* look).live), [["vm-11-seed", sourceOf(seed)]])
        const absent = { uuid: uuid(), domainName: "vm-12" }
        assert.include(
          (yield* Effect.flip(hypervisor.provideSeed(host, absent, seed))).message,
          "it has no such domain"
        )
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
          nics: [],
          root,
          operationId: operation()
        }
        const disk: Attachable = { alias: "ua-volume-1", target: "vdb", source: { ...root, serial: "volume-1" } }
        const acts: ReadonlyArray<Effect.Effect<unknown, HostError | GuestHoldsDevice | GuestIgnores>> = [
          hypervisor.define(host, vm),
          hypervisor.start(host, other),
          hypervisor.powerOff(host, other),
          hypervisor.shutDown(host, other, "1 second"),
          hypervisor.reboot(host, other, "1 second"),
          hypervisor.reset(host, other),
          hypervisor.pause(host, other),
          hypervisor.resume(host, other),
          hypervisor.undefine(host, other),
          hypervisor.attachDisk(host, other, disk),
          hypervisor.detachDisk(host, other, disk),
          hypervisor.diskPresence(host, other, disk),
          hypervisor.growDisk(host, other, disk, volumeSize),
          hypervisor.redefine(host, other, { title: "web", cpu: 1, ram: 128 }),
          hypervisor.rename(host, other, "web"),
          hypervisor.setAutostart(host, other, true),
          hypervisor.provideSeed(host, other, disk.source)
        ]
        for (const act of acts) {
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

    test("changes are told as they happen", ({ host, hypervisor, listen, spec }) =>
      Effect.gen(function* () {
        const vm = yield* spec(11)
        const seen = yield* Ref.make<ReadonlyArray<string>>([])
        const gone = yield* Deferred.make<void>()
        yield* listen(vm, ({ change }) =>
          Effect.zipRight(
            Ref.update(seen, (all) => [...all, change]),
            change === "undefined" ? Deferred.succeed(gone, undefined) : Effect.void
          )
        )
        yield* hypervisor.start(host, vm)
        yield* hypervisor.powerOff(host, vm)
        yield* hypervisor.undefine(host, vm)
        yield* Deferred.await(gone).pipe(Effect.timeout("60 seconds"))
        const told = (yield* Ref.get(seen)).filter(
          (change, at, all) => change !== "defined" || all[at - 1] !== "defined"
        )
        // QEMU's own order of what belongs to a start and a stop is its business
        assert.deepStrictEqual(
          told.filter((change) => change !== "resumed" && change !== "shutdown"),
          ["defined", "started", "stopped", "undefined"]
        )
      }))

    test("a disk is put into the definition of a stopped domain, which starts with it", ({
      host,
      hypervisor,
      presence,
      spec,
      volume
    }) =>
      Effect.gen(function* () {
        const disk = yield* volume
        const vm = yield* spec(11)
        yield* hypervisor.define(host, vm)
        assert.deepStrictEqual(yield* presence(vm, disk), { live: null, persistent: false })
        yield* hypervisor.attachDisk(host, vm, disk)
        yield* hypervisor.attachDisk(host, vm, disk)
        assert.deepStrictEqual(yield* presence(vm, disk), { live: null, persistent: true })
        yield* hypervisor.start(host, vm)
        assert.deepStrictEqual(yield* presence(vm, disk), { live: true, persistent: true })
        yield* hypervisor.powerOff(host, vm)
        yield* hypervisor.detachDisk(host, vm, disk)
        yield* hypervisor.detachDisk(host, vm, disk)
        assert.deepStrictEqual(yield* presence(vm, disk), { live: null, persistent: false })
        yield* hypervisor.start(host, vm)
        assert.deepStrictEqual(yield* presence(vm, disk), { live: false, persistent: false })
      }))

    test("a disk is put into a running domain, and taken out of it when the guest lets go; each may be repeated", ({
      host,
      hypervisor,
      presence,
      running,
      volume,
      world
    }) =>
      Effect.gen(function* () {
        const disk = yield* volume
        const vm = yield* running(11)
        yield* hypervisor.attachDisk(host, vm, disk)
        yield* hypervisor.attachDisk(host, vm, disk)
        assert.deepStrictEqual(yield* presence(vm, disk), { live: true, persistent: true })
        yield* world.booted(vm)
        yield* hypervisor.detachDisk(host, vm, disk)
        yield* hypervisor.detachDisk(host, vm, disk)
        assert.deepStrictEqual(yield* presence(vm, disk), { live: false, persistent: false })
        // and its place is free again
        yield* hypervisor.attachDisk(host, vm, disk)
        assert.deepStrictEqual(yield* presence(vm, disk), { live: true, persistent: true })
      }))

    test("a paused domain takes a disk, but cannot let go of it until it goes on", ({
      host,
      hypervisor,
      presence,
      running,
      volume,
      world
    }) =>
      Effect.gen(function* () {
        const disk = yield* volume
        const vm = yield* running(11)
        yield* world.booted(vm)
        yield* world.pause(vm)
        yield* hypervisor.attachDisk(host, vm, disk)
        assert.deepStrictEqual(yield* presence(vm, disk), { live: true, persistent: true })
        const error = yield* Effect.flip(hypervisor.detachDisk(host, vm, disk)).pipe(Effect.timeout("15 seconds"))
        assert.strictEqual(error._tag, "GuestHoldsDevice")
        assert.strictEqual(
          error.message,
          "the guest of vm-11 does not let go of volume-1: it is paused: resume it, or stop the VM, and detach again"
        )
        assert.deepStrictEqual(yield* presence(vm, disk), { live: true, persistent: true })
        yield* hypervisor.start(host, vm)
        yield* hypervisor.detachDisk(host, vm, disk)
        assert.deepStrictEqual(yield* presence(vm, disk), { live: false, persistent: false })
      }))

    test("what was half done is finished, whichever half", ({ host, hypervisor, presence, running, volume, world }) =>
      Effect.gen(function* () {
        const disk = yield* volume
        const vm = yield* running(11)
        yield* world.booted(vm)
        yield* world.plug(vm, disk, "live")
        assert.deepStrictEqual(yield* presence(vm, disk), { live: true, persistent: false })
        yield* hypervisor.attachDisk(host, vm, disk)
        assert.deepStrictEqual(yield* presence(vm, disk), { live: true, persistent: true })
        yield* world.unplug(vm, disk, "persistent")
        yield* hypervisor.detachDisk(host, vm, disk)
        assert.deepStrictEqual(yield* presence(vm, disk), { live: false, persistent: false })
        yield* world.plug(vm, disk, "persistent")
        assert.deepStrictEqual(yield* presence(vm, disk), { live: false, persistent: true })
        yield* hypervisor.attachDisk(host, vm, disk)
        assert.deepStrictEqual(yield* presence(vm, disk), { live: true, persistent: true })
        yield* hypervisor.detachDisk(host, vm, disk)
        yield* world.plug(vm, disk, "persistent")
        yield* hypervisor.detachDisk(host, vm, disk)
        assert.deepStrictEqual(yield* presence(vm, disk), { live: false, persistent: false })
      }))

    test("a place that another disk has is refused in clear words", ({
      host,
      hypervisor,
      presence,
      running,
      volumes,
      world
    }) =>
      Effect.gen(function* () {
        const [first, second] = yield* volumes(2)
        const late = { ...second!, target: first!.target }
        const vm = yield* running(11)
        yield* hypervisor.attachDisk(host, vm, first!)
        const refused = Effect.gen(function* () {
          const error = yield* Effect.flip(hypervisor.attachDisk(host, vm, late))
          assert.strictEqual(error._tag, "HostFailure")
          assert.include(error.message, "failed to attach volume-2 to vm-11: vm-11 has another disk at vdb, volume-1")
        })
        yield* refused
        yield* hypervisor.powerOff(host, vm)
        yield* refused
        assert.deepStrictEqual(yield* presence(vm, late), { live: null, persistent: false })
        const onRoot = yield* Effect.flip(hypervisor.attachDisk(host, vm, { ...second!, target: "vda" }))
        assert.include(onRoot.message, "vm-11 has another disk at vda, vm-11-root")
        // of those half there as well
        yield* hypervisor.detachDisk(host, vm, first!)
        yield* hypervisor.start(host, vm)
        yield* world.plug(vm, first!, "persistent")
        yield* refused
        assert.deepStrictEqual(yield* presence(vm, late), { live: false, persistent: false })
      }))

    test("a domain takes as many disks as it has slots, and says when there are no more", ({
      host,
      hypervisor,
      presence,
      running,
      volumes
    }) =>
      Effect.gen(function* () {
        const all = yield* volumes(volumeSlots + 1)
        const last = all[volumeSlots]!
        const vm = yield* running(11)
        for (const disk of all.slice(0, volumeSlots)) yield* hypervisor.attachDisk(host, vm, disk)
        for (const disk of all.slice(0, volumeSlots)) {
          assert.deepStrictEqual(yield* presence(vm, disk), { live: true, persistent: true })
        }
        const refused = Effect.gen(function* () {
          const error = yield* Effect.flip(hypervisor.attachDisk(host, vm, last))
          assert.strictEqual(error._tag, "HostFailure")
          assert.include(error.message, `vm-11 has no free slot: it has ${volumeSlots}, detach another volume first`)
        })
        yield* refused
        assert.deepStrictEqual(yield* presence(vm, last), { live: false, persistent: false })
        yield* hypervisor.powerOff(host, vm)
        yield* refused
        yield* hypervisor.detachDisk(host, vm, all[3]!)
        yield* hypervisor.attachDisk(host, vm, { ...last, target: all[3]!.target })
        yield* hypervisor.start(host, vm)
        assert.deepStrictEqual(yield* presence(vm, last), { live: true, persistent: true })
      }))

    test("a running domain's disk grows and never shrinks", ({ host, hypervisor, running, volume, world }) =>
      Effect.gen(function* () {
        const disk = yield* volume
        const vm = yield* running(11)
        yield* hypervisor.attachDisk(host, vm, disk)
        assert.strictEqual(yield* world.sizeOf(vm, disk), volumeSize)
        yield* hypervisor.growDisk(host, vm, disk, 2 * volumeSize)
        yield* hypervisor.growDisk(host, vm, disk, 2 * volumeSize)
        assert.strictEqual(yield* world.sizeOf(vm, disk), 2 * volumeSize)
        yield* hypervisor.growDisk(host, vm, disk, volumeSize)
        assert.strictEqual(yield* world.sizeOf(vm, disk), 2 * volumeSize)
        yield* world.pause(vm)
        yield* hypervisor.growDisk(host, vm, disk, 3 * volumeSize)
        assert.strictEqual(yield* world.sizeOf(vm, disk), 3 * volumeSize)
        yield* hypervisor.powerOff(host, vm)
        const error = yield* Effect.flip(hypervisor.growDisk(host, vm, disk, 4 * volumeSize))
        assert.include(error.message, "failed to grow volume-1 in vm-11: vm-11 does not run")
      }))

    test("of what is not there nothing is found, taken out or grown", ({
      host,
      hypervisor,
      presence,
      running,
      volume
    }) =>
      Effect.gen(function* () {
        const disk = yield* volume
        const nobody = { uuid: uuid(), domainName: "vm-12" }
        yield* hypervisor.detachDisk(host, nobody, disk)
        assert.strictEqual(yield* presence(nobody, disk), null)
        const attach = yield* Effect.flip(hypervisor.attachDisk(host, nobody, disk))
        assert.include(attach.message, "failed to attach volume-1 to vm-12: it has no such domain")
        const grow = yield* Effect.flip(hypervisor.growDisk(host, nobody, disk, volumeSize))
        assert.include(grow.message, "failed to grow volume-1 in vm-12: it has no such domain")
        const vm = yield* running(11)
        yield* hypervisor.detachDisk(host, vm, disk)
        const without = yield* Effect.flip(hypervisor.growDisk(host, vm, disk, volumeSize))
        assert.include(without.message, "vm-11 runs without it")
      }))

    test("a domain's power is told with how it came to it", ({ host, hypervisor, spec, world }) =>
      Effect.gen(function* () {
        const vm = yield* spec(11)
        const { domainName: name, uuid } = vm
        const is = (power: Power, reason: string | null) =>
          Effect.gen(function* () {
            const expected: DomainPower = { uuid, name, power, reason }
            assert.deepStrictEqual(Option.getOrNull(yield* hypervisor.power(host, vm)), expected)
            assert.deepInclude(yield* hypervisor.powers(host), expected)
          })
        assert.deepStrictEqual(yield* hypervisor.power(host, vm), Option.none())
        yield* hypervisor.define(host, vm)
        yield* is("stopped", null)
        yield* hypervisor.start(host, vm)
        yield* is("running", null)
        yield* world.pause(vm)
        yield* is("paused", "paused by somebody")
        yield* hypervisor.start(host, vm)
        yield* is("running", null)
        yield* hypervisor.powerOff(host, vm)
        yield* is("stopped", "somebody powered it off")
        yield* hypervisor.start(host, vm)
        yield* world.kill(vm)
        yield* is("crashed", "its QEMU crashed or was killed")
        yield* hypervisor.start(host, vm)
        yield* world.booted(vm)
        yield* world.shutDown(vm)
        yield* is("stopped", "the guest shut itself down")
      }))

    test("a NIC comes and goes, in the running domain and in its definition; each may be repeated", ({
      host,
      hypervisor,
      spec,
      world
    }) =>
      Effect.gen(function* () {
        const more = { ...extra(2), source: { kind: "libvirt" as const, name: world.network ?? "default" } }
        const there = (vm: DomainRef) => Effect.map(hypervisor.nicPresence(host, vm, more), Option.getOrNull)
        const cards = (vm: DomainSpec) =>
          Effect.map(hypervisor.detail(host, vm.uuid), (detail) => {
            const { defined, live } = Option.getOrThrow(detail)
            return [defined?.nics.map(({ mac }) => mac), live?.nics.map(({ mac }) => mac)]
          })
        const vm = yield* spec(11)
        const own = vm.nics.map(({ mac }) => mac)
        assert.strictEqual(yield* there(vm), null)
        yield* hypervisor.define(host, vm)
        yield* hypervisor.attachNic(host, vm, more)
        assert.deepStrictEqual(yield* there(vm), { live: null, persistent: true })
        yield* hypervisor.detachNic(host, vm, more)
        assert.deepStrictEqual(yield* there(vm), { live: null, persistent: false })
        yield* hypervisor.start(host, vm)
        yield* world.booted(vm)
        yield* hypervisor.attachNic(host, vm, more)
        yield* hypervisor.attachNic(host, vm, more)
        assert.deepStrictEqual(yield* cards(vm), [
          [...own, more.mac],
          [...own, more.mac]
        ])
        yield* hypervisor.detachNic(host, vm, more)
        yield* hypervisor.detachNic(host, vm, more)
        assert.deepStrictEqual(yield* there(vm), { live: false, persistent: false })
        assert.deepStrictEqual(yield* cards(vm), [own, own])
      }))

    test("a cable is plugged in and out, in the running domain and in its definition, and the NIC keeps its name", ({
      host,
      hypervisor,
      running,
      world
    }) =>
      Effect.gen(function* () {
        const more = { ...extra(2), source: { kind: "libvirt" as const, name: world.network ?? "default" } }
        const vm = yield* running(11)
        yield* hypervisor.attachNic(host, vm, more)
        const links = Effect.map(hypervisor.detail(host, vm.uuid), (detail) => {
          const { defined, live } = Option.getOrThrow(detail)
          return [defined, live].map((shape) => shape?.nics.find(({ mac }) => mac === more.mac)?.link)
        })
        const both = Option.some({ live: true, persistent: true })
        assert.deepStrictEqual(yield* hypervisor.setLink(host, vm, more, "down"), both)
        assert.deepStrictEqual(yield* links, ["down", "down"])
        yield* hypervisor.setLink(host, vm, more, "down")
        yield* hypervisor.setLink(host, vm, more, "up")
        assert.deepStrictEqual(yield* links, ["up", "up"])
        assert.deepStrictEqual(yield* hypervisor.nicPresence(host, vm, { ...more, mac: "52:54:00:00:ff:ff" }), both)
        const nowhere = Option.some({ live: false, persistent: false })
        assert.deepStrictEqual(yield* hypervisor.setLink(host, vm, extra(3), "down"), nowhere)
        assert.deepStrictEqual(yield* hypervisor.setLink(host, { ...vm, uuid: uuid() }, more, "down"), Option.none())
      }))

    test("a domain takes as many NICs as there are slots beside as many volumes", ({
      host,
      hypervisor,
      running,
      volumes,
      world
    }) =>
      Effect.gen(function* () {
        const disks = yield* volumes(volumeSlots)
        const vm = yield* running(11)
        for (const disk of disks) yield* hypervisor.attachDisk(host, vm, disk)
        const source = { kind: "libvirt" as const, name: world.network ?? "default" }
        const free = nicSlots - vm.nics.length
        for (let number = 2; number <= free + 1; number++) {
          yield* hypervisor.attachNic(host, vm, { ...extra(number), source })
        }
        const error = yield* Effect.flip(hypervisor.attachNic(host, vm, { ...extra(free + 2), source }))
        assert.strictEqual(error._tag, "HostFailure")
        assert.include(error.message, `has ${nicSlots} NICs, which is the most`)
      }))

    test("a network that the machine file names is offered when it is there, and said to be missing when not", ({
      hypervisor,
      world
    }) =>
      Effect.gen(function* () {
        const own = { kind: "libvirt" as const, name: world.network ?? "default" }
        const networks = {
          named: own,
          lan: { kind: "bridge" as const, name: world.bridge },
          gone: { kind: "bridge" as const, name: "br-none" },
          trunk: { kind: "bridge" as const, name: world.trunk }
        }
        const facts = yield* hypervisor.facts(new Host({ ...world.host, config: { ...world.host.config, networks } }))
        const named = new Map((facts.networks ?? []).map((one) => [one.name, one]))
        assert.deepStrictEqual(named.get("named"), { name: "named", source: own, vlans: null, problem: null })
        assert.deepInclude(named.get("lan"), { vlans: null, problem: null })
        assert.strictEqual(named.get("gone")?.problem, "it has no bridge br-none")
        assert.deepInclude(named.get("trunk"), { vlans: [12], problem: null })
        assert.deepInclude(named.get(own.name), { source: own, problem: null })
        const usual = new Host({ ...world.host, config: { ...world.host.config, network: "gone", networks } })
        assert.include((yield* Effect.flip(hypervisor.facts(usual))).message, "it has no bridge br-none")
      }))

    test("a guest that is up shuts down when it is asked to; asked once more it is off", ({
      host,
      hypervisor,
      running,
      world
    }) =>
      Effect.gen(function* () {
        const vm = yield* running(11)
        yield* world.booted(vm)
        yield* hypervisor.shutDown(host, vm, "60 seconds")
        const { domainName: name, uuid } = vm
        const off: DomainPower = { uuid, name, power: "stopped", reason: "the guest shut itself down" }
        assert.deepStrictEqual(Option.getOrNull(yield* hypervisor.power(host, vm)), off)
        yield* hypervisor.shutDown(host, vm, "60 seconds")
        yield* hypervisor.shutDown(host, { uuid: DomainUuid.make(randomUUID()), domainName: "vm-12" }, "60 seconds")
      }))

    test("a guest starts anew when it is asked to, and by a reset without being asked", ({
      host,
      hypervisor,
      running,
      stateOf,
      world
    }) =>
      Effect.gen(function* () {
        const vm = yield* running(11)
        yield* world.booted(vm)
        yield* hypervisor.reboot(host, vm, "60 seconds")
        yield* world.booted(vm, 2)
        yield* hypervisor.reset(host, vm)
        yield* world.booted(vm, 3)
        assert.strictEqual(yield* stateOf(vm), "running")
        // one that is paused stays so, and comes up when it goes on
        yield* hypervisor.pause(host, vm)
        yield* hypervisor.reset(host, vm)
        assert.strictEqual(yield* stateOf(vm), "paused")
        yield* hypervisor.resume(host, vm)
        yield* world.booted(vm, 4)
      }))

    test("a guest that is not up hears nothing, and is told of as one that ignores it", ({
      host,
      hypervisor,
      spec,
      stateOf,
      world
    }) =>
      Effect.gen(function* () {
        const vm = yield* spec(11)
        yield* hypervisor.define(host, vm)
        yield* world.deafen(vm)
        yield* hypervisor.start(host, vm)
        const shutDown = yield* Effect.flip(hypervisor.shutDown(host, vm, "1 second"))
        assert.strictEqual(shutDown._tag, "GuestIgnores")
        assert.strictEqual(
          shutDown.message,
          "the guest of vm-11 has not shut down within 1 second although it was asked to: shut it down from inside, try again, or power it off"
        )
        const reboot = yield* Effect.flip(hypervisor.reboot(host, vm, "1 second"))
        assert.strictEqual(reboot._tag, "GuestIgnores")
        assert.include(reboot.message, "the guest of vm-11 has not started anew within 1 second")
        assert.strictEqual(yield* stateOf(vm), "running")
      }))

    test("a domain is paused and resumed, each as often as one likes; paused it hears nothing", ({
      host,
      hypervisor,
      running,
      stateOf
    }) =>
      Effect.gen(function* () {
        const vm = yield* running(11)
        yield* hypervisor.resume(host, vm)
        yield* hypervisor.pause(host, vm)
        yield* hypervisor.pause(host, vm)
        assert.strictEqual(yield* stateOf(vm), "paused")
        for (const ask of [hypervisor.shutDown, hypervisor.reboot]) {
          const error = yield* Effect.flip(ask(host, vm, "60 seconds"))
          assert.strictEqual(error._tag, "HostFailure")
          assert.include(error.message, "it is paused, so its guest hears nothing: resume it first, or power it off")
        }
        yield* hypervisor.resume(host, vm)
        yield* hypervisor.resume(host, vm)
        assert.strictEqual(yield* stateOf(vm), "running")
      }))

    test("what does not run is neither rebooted nor reset, paused or resumed", ({ host, hypervisor, spec }) =>
      Effect.gen(function* () {
        const vm = yield* spec(11)
        const acts = [
          hypervisor.reboot(host, vm, "60 seconds"),
          hypervisor.reset(host, vm),
          hypervisor.pause(host, vm),
          hypervisor.resume(host, vm)
        ]
        for (const reason of ["it has no such domain", "it does not run: start it"]) {
          for (const act of acts) {
            const error = yield* Effect.flip(act)
            assert.strictEqual(error._tag, "HostFailure")
            assert.include(error.message, reason)
          }
          yield* hypervisor.define(host, vm)
        }
      }))

    test("the power of domains that are not ours is told as well", ({ foreign, host, hypervisor }) =>
      Effect.gen(function* () {
        const other = { uuid: uuid(), domainName: "web-old" }
        yield* foreign(other)
        const expected: DomainPower = { uuid: other.uuid, name: "web-old", power: "stopped", reason: null }
        assert.deepInclude(yield* hypervisor.powers(host), expected)
        const detail = Option.getOrThrow(yield* hypervisor.detail(host, other.uuid))
        assert.strictEqual(detail.owner, null)
        assert.strictEqual(detail.live, null)
        assert.deepStrictEqual(detail.defined, { title: null, cpu: 1, ram: 64, disks: [], nics: [] })
      }))

    test("looked at closely a domain is what it was defined as", ({ host, hypervisor, spec, volume, world }) =>
      Effect.gen(function* () {
        const disk = yield* volume
        const vm = yield* spec(11, { title: "web <1> & 'more'" })
        assert.isTrue(Option.isNone(yield* hypervisor.detail(host, vm.uuid)))
        yield* hypervisor.define(host, vm)
        const owner = { vmId: 11, operationId: vm.operationId }
        const defined = {
          title: vm.title,
          cpu: 1,
          ram: 128,
          disks: [{ target: "vda", source: sourceOf(vm.root), serial: vm.root.serial }],
          nics: vm.nics.map(({ link, mac, source }) => ({ mac, source: `${source.kind}:${source.name}`, link }))
        }
        const detail = Effect.map(hypervisor.detail(host, vm.uuid), Option.getOrThrow)
        assert.deepStrictEqual(yield* detail, { owner, autostart: false, live: null, defined })
        yield* hypervisor.start(host, vm)
        assert.deepStrictEqual(yield* detail, { owner, autostart: false, live: defined, defined })
        yield* world.plug(vm, disk, "persistent")
        const added = { target: disk.target, source: sourceOf(disk.source), serial: disk.source.serial }
        const more = { ...defined, disks: [...defined.disks, added] }
        assert.deepStrictEqual(yield* detail, { owner, autostart: false, live: defined, defined: more })
      }))

    test("what has not changed since it was looked at is not read again", ({ host, hypervisor, spec, world }) =>
      Effect.gen(function* () {
        const vm = yield* spec(11)
        yield* hypervisor.define(host, vm)
        const look = (known: string | null) => Effect.map(hypervisor.glance(host, vm.uuid, known), Option.getOrThrow)
        const first = yield* look(null)
        assert.deepStrictEqual(first.detail, Option.getOrNull(yield* hypervisor.detail(host, vm.uuid)))
        assert.deepStrictEqual(yield* look(first.digest), { digest: first.digest, detail: null })
        yield* world.edit(vm, { title: "other", cpu: 1, ram: 128 })
        const second = yield* look(first.digest)
        assert.notStrictEqual(second.digest, first.digest)
        assert.strictEqual(second.detail?.defined?.title, "other")
        assert.isTrue(Option.isNone(yield* hypervisor.glance(host, uuid(), first.digest)))
      }))

    test("title, vCPUs and memory are given back to a definition, and nothing else changes", ({
      host,
      hypervisor,
      spec,
      volume,
      world
    }) =>
      Effect.gen(function* () {
        const disk = yield* volume
        const vm = yield* spec(11)
        yield* hypervisor.define(host, vm)
        yield* hypervisor.attachDisk(host, vm, disk)
        yield* hypervisor.start(host, vm)
        const detail = Effect.map(hypervisor.detail(host, vm.uuid), Option.getOrThrow)
        const before = yield* detail
        yield* world.edit(vm, { title: "other", cpu: 2, ram: 160 })
        const edited = yield* detail
        assert.deepStrictEqual(edited, {
          ...before,
          defined: { ...before.defined!, title: "other", cpu: 2, ram: 160 }
        })
        const shape = { title: "web", cpu: 1, ram: 128 }
        yield* hypervisor.redefine(host, vm, shape)
        yield* hypervisor.redefine(host, vm, shape)
        assert.deepStrictEqual(yield* detail, before)
        // a running guest has it from its next start on
        yield* hypervisor.redefine(host, vm, { title: "late", cpu: 2, ram: 160 })
        assert.deepStrictEqual((yield* detail).live, before.live)
        yield* hypervisor.powerOff(host, vm)
        yield* hypervisor.start(host, vm)
        const late = { ...before.defined!, title: "late", cpu: 2, ram: 160 }
        assert.deepStrictEqual(yield* detail, { ...before, live: late, defined: late })
        const nobody = { uuid: uuid(), domainName: "vm-12" }
        const error = yield* Effect.flip(hypervisor.redefine(host, nobody, shape))
        assert.include(error.message, "failed to change the definition of vm-12: it has no such domain")
      }))

    test("a title is given to what runs and to what is defined; whether it starts with its host is seen", ({
      host,
      hypervisor,
      spec
    }) =>
      Effect.gen(function* () {
        const vm = yield* spec(11)
        yield* hypervisor.define(host, vm)
        const title = `it's <new> & "other"`
        yield* hypervisor.rename(host, vm, title)
        const detail = Effect.map(hypervisor.detail(host, vm.uuid), Option.getOrThrow)
        assert.strictEqual((yield* detail).defined?.title, title)
        yield* hypervisor.start(host, vm)
        yield* hypervisor.rename(host, vm, "last")
        yield* hypervisor.rename(host, vm, "last")
        const { defined, live } = yield* detail
        assert.deepStrictEqual([live?.title, defined?.title], ["last", "last"])
        const look = (known: string | null) => Effect.map(hypervisor.glance(host, vm.uuid, known), Option.getOrThrow)
        const before = yield* look(null)
        yield* hypervisor.setAutostart(host, vm, true)
        yield* hypervisor.setAutostart(host, vm, true)
        assert.isTrue((yield* look(before.digest)).detail?.autostart)
        // a redefinition does not change it
        yield* hypervisor.redefine(host, vm, { title: "last", cpu: 1, ram: 128 })
        assert.isTrue((yield* detail).autostart)
        yield* hypervisor.setAutostart(host, vm, false)
        assert.isFalse((yield* detail).autostart)
        const nobody = { uuid: uuid(), domainName: "vm-12" }
        for (const act of [hypervisor.rename(host, nobody, "x"), hypervisor.setAutostart(host, nobody, true)]) {
          assert.include((yield* Effect.flip(act)).message, "it has no such domain")
        }
      }))

    test("a device that has gone is told, and which", ({ host, hypervisor, listen, spec, volume, world }) =>
      Effect.gen(function* () {
        const disk = yield* volume
        const vm = yield* spec(11)
        const told = yield* Deferred.make<DomainChange>()
        yield* listen(vm, (change) =>
          change.change === "device-removed" ? Deferred.succeed(told, change) : Effect.void
        )
        yield* hypervisor.start(host, vm)
        yield* hypervisor.attachDisk(host, vm, disk)
        yield* world.booted(vm)
        yield* hypervisor.detachDisk(host, vm, disk)
        assert.deepStrictEqual(yield* Deferred.await(told).pipe(Effect.timeout("60 seconds")), {
          uuid: vm.uuid,
          name: "vm-11",
          change: "device-removed",
          device: "ua-volume-1"
        })
      }))

    test("a host that does not answer is unreachable, and says why", ({ hypervisor, spec, world }) =>
      Effect.gen(function* () {
        const vm = yield* spec(11)
        const host = new Host({
          ...world.unreachable,
          facts: world.host.facts ?? (yield* hypervisor.facts(world.host))
        })
        const disk: Attachable = { alias: "ua-volume-1", target: "vdb", source: vm.root }
        const acts: ReadonlyArray<Effect.Effect<unknown, HostError | GuestHoldsDevice | GuestIgnores>> = [
          hypervisor.facts(host),
          hypervisor.define(host, vm),
          hypervisor.start(host, vm),
          hypervisor.shutDown(host, vm, "1 second"),
          hypervisor.reboot(host, vm, "1 second"),
          hypervisor.reset(host, vm),
          hypervisor.pause(host, vm),
          hypervisor.resume(host, vm),
          hypervisor.status(host, vm),
          hypervisor.powerOff(host, vm),
          hypervisor.undefine(host, vm),
          hypervisor.attachDisk(host, vm, disk),
          hypervisor.detachDisk(host, vm, disk),
          hypervisor.diskPresence(host, vm, disk),
          hypervisor.growDisk(host, vm, disk, volumeSize),
          hypervisor.list(host),
          hypervisor.powers(host),
          hypervisor.power(host, vm),
          hypervisor.detail(host, vm.uuid),
          hypervisor.glance(host, vm.uuid, null),
          hypervisor.redefine(host, vm, { title: "web", cpu: 1, ram: 128 }),
          hypervisor.rename(host, vm, "web"),
          hypervisor.setAutostart(host, vm, true),
          Stream.runDrain(hypervisor.changes(host))
        ]
        for (const act of acts) {
          const error = yield* Effect.flip(act)
          assert.strictEqual(error._tag, "HostUnreachable")
          assert.match(error.message, /^host \S+ cannot be used: \S/)
        }
      }))
  })
