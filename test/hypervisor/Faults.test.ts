/** What the hypervisor tells of a host that does not do what it should. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as HypervisorLive from "../../layers/HypervisorLive.ts"
import * as StorageLive from "../../layers/StorageLive.ts"
import { Host, type HostConfig } from "../../src/domain/Host.ts"
import { DomainUuid, OperationId, VmId } from "../../src/domain/Ids.ts"
import { type DomainSpec, Hypervisor } from "../../src/services/Hypervisor.ts"
import { Storage } from "../../src/services/Storage.ts"
import { given, imageNamed } from "../storage/Given.ts"
import * as ScriptedImages from "../storage/ScriptedImages.ts"
import * as Simulated from "./Simulated.ts"

const { here: host } = Simulated
const layer = HypervisorLive.layer.pipe(
  Layer.provideMerge(StorageLive.layerDir),
  Layer.provideMerge(ScriptedImages.layer(given)),
  Layer.provideMerge(Simulated.libvirt),
  Layer.provideMerge(Logger.remove(Logger.defaultLogger))
)

const at = Effect.all({
  hypervisor: Hypervisor,
  storage: Storage,
  simulated: Effect.map(Simulated.Simulated, ({ host }) => host)
})
type At = Effect.Effect.Success<typeof at>

const test = <E>(title: string, body: (at: At) => Effect.Effect<void, E>) =>
  it.live(title, () => Effect.flatMap(at, body).pipe(Effect.provide(layer)))

const configured = (change: Partial<HostConfig>) => Simulated.host("sim-1", change)

const defined = Effect.fn(function* ({ hypervisor, storage }: At) {
  const known = new Host({ ...host, facts: yield* hypervisor.facts(host) })
  const spec: DomainSpec = {
    vmId: VmId.make(7),
    uuid: DomainUuid.make("7b2f6e0a-6a5e-4a53-9d0c-3f1d2b7c9a07"),
    domainName: "vm-7",
    title: "web",
    resources: { cpu: 1, ram: 128, disk: 1 },
    mac: "52:54:00:12:34:07",
    root: yield* storage.createRoot(host, { vmId: VmId.make(7), image: imageNamed("small"), size: 1 }),
    operationId: OperationId.make("0d9e8c7b-6a5f-4e3d-8c2b-1a0f9e8d7c6b")
  }
  yield* hypervisor.define(known, spec)
  return { known, spec }
})

describe("facts", () => {
  test("are the machine's", ({ hypervisor, simulated }) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* hypervisor.facts(host), {
        hostname: "sim-1",
        uuid: simulated.uuid,
        libvirtVersion: "9.0.0",
        resources: { cpu: 8, ram: 32 * 1024, disk: 500 },
        arch: "x86_64",
        domainType: "kvm",
        network: "default"
      })
    }))

  test("no network: none unless the machine file names one", ({ hypervisor, simulated }) =>
    Effect.gen(function* () {
      for (const network of simulated.state.networks.values()) network.active = false
      assert.strictEqual((yield* hypervisor.facts(host)).network, null)
      const inactive = yield* Effect.flip(hypervisor.facts(configured({ network: "default" })))
      assert.include(inactive.message, 'its libvirt network "default" is not active')
      simulated.state.networks.clear()
      assert.strictEqual((yield* hypervisor.facts(host)).network, null)
    }))

  test("a virtualization that is not there is refused", ({ hypervisor, simulated }) =>
    Effect.gen(function* () {
      yield* simulated.faults.lieAbout("CONNECT_GET_CAPABILITIES", ({ capabilities }) => ({
        capabilities: capabilities.replaceAll(/<domain type=['"]kvm['"]\/?>/g, "")
      }))
      assert.strictEqual((yield* hypervisor.facts(host)).domainType, "qemu")
      const error = yield* Effect.flip(hypervisor.facts(configured({ virt: "kvm" })))
      assert.include(error.message, "does not offer kvm for x86_64 guests, only qemu")
    }))

  test("what is no XML, another one or a bomb is refused, not believed", ({ hypervisor, simulated }) =>
    Effect.gen(function* () {
      for (const capabilities of [
        "",
        "<capabilities>",
        "<pool/>",
        '<!DOCTYPE a [<!ENTITY b "c">]><capabilities>&b;</capabilities>',
        `<capabilities>${"<a>".repeat(1000)}${"</a>".repeat(1000)}</capabilities>`
      ]) {
        yield* simulated.faults.lieAbout("CONNECT_GET_CAPABILITIES", () => ({ capabilities }))
        const error = yield* Effect.flip(hypervisor.facts(host))
        assert.strictEqual(error._tag, "HostFailure")
        assert.include(error.message, "libvirt sent")
      }
    }))
})

describe("a daemon", () => {
  test("that is stopped makes the host unreachable, and says so", ({ hypervisor, simulated }) =>
    Effect.gen(function* () {
      yield* hypervisor.list(host)
      yield* simulated.faults.stopLibvirtd
      const error = yield* Effect.flip(hypervisor.list(host))
      assert.strictEqual(error._tag, "HostUnreachable")
      // the host's name is said once
      assert.strictEqual(error.message.split("root@sim-1").length, 2)
      yield* simulated.faults.startLibvirtd
      yield* hypervisor.list(host)
    }))

  test("that refuses is quoted", (at) =>
    Effect.gen(function* () {
      const { known, spec } = yield* defined(at)
      yield* at.simulated.faults.fail("DOMAIN_CREATE_WITH_FLAGS", {
        code: 1,
        message: "internal error: no memory left"
      })
      const error = yield* Effect.flip(at.hypervisor.start(known, spec))
      assert.strictEqual(error.message, "host root@sim-1 failed to start vm-7: internal error: no memory left")
    }))

  test("whose answer is lost leaves it open what happened; asking again finds it done", (at) =>
    Effect.gen(function* () {
      const { known, spec } = yield* defined(at)
      const { faults } = at.simulated
      for (const [procedure, act] of [
        ["DOMAIN_CREATE_WITH_FLAGS", at.hypervisor.start(known, spec)],
        ["DOMAIN_DESTROY", at.hypervisor.powerOff(known, spec)],
        ["DOMAIN_UNDEFINE_FLAGS", at.hypervisor.undefine(known, spec)],
        ["DOMAIN_DEFINE_XML_FLAGS", at.hypervisor.define(known, spec)]
      ] as const) {
        yield* faults.clear
        yield* faults.onCall(procedure, "after", faults.dropConnections, { nth: 1 })
        assert.strictEqual((yield* Effect.flip(act))._tag, "HostUnreachable")
        yield* act
      }
      assert.strictEqual(Option.getOrThrow(yield* at.hypervisor.status(known, spec)).state, "shutoff")
    }))

  test("that goes away ends the stream of changes with a failure", (at) =>
    Effect.gen(function* () {
      const { known, spec } = yield* defined(at)
      const listening = yield* Deferred.make<void>()
      const changes = yield* at.hypervisor.changes(host).pipe(
        Stream.tap(() => Deferred.succeed(listening, undefined)),
        Stream.runDrain,
        Effect.flip,
        Effect.fork
      )
      yield* at.hypervisor
        .define(known, spec)
        .pipe(
          Effect.repeat({ until: () => Deferred.isDone(listening), schedule: Schedule.spaced("20 millis") }),
          Effect.timeout("10 seconds")
        )
      yield* at.simulated.faults.dropConnections
      assert.strictEqual((yield* changes)._tag, "HostUnreachable")
    }))
})
