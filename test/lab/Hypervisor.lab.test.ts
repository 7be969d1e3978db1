import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readFileSync } from "node:fs"
import * as HypervisorLive from "../../layers/HypervisorLive.ts"
import * as StorageLive from "../../layers/StorageLive.ts"
import { Host } from "../../src/domain/Host.ts"
import { DomainUuid, OperationId, VmId } from "../../src/domain/Ids.ts"
import * as DomainXml from "../../src/libvirt/DomainXml.ts"
import { Hypervisor } from "../../src/services/Hypervisor.ts"
import { Ssh } from "../../src/services/Ssh.ts"
import { Storage } from "../../src/services/Storage.ts"
import { hypervisorContract } from "../contracts/HypervisorContract.ts"
import * as LiveWorld from "../hypervisor/LiveWorld.ts"
import * as ScriptedImages from "../storage/ScriptedImages.ts"
import * as Hosts from "./Hosts.ts"
import * as Lab from "./Lab.ts"

const host = Hosts.host(1)
const given: ReadonlyArray<ScriptedImages.Given> = [
  { name: "guest", bytes: readFileSync(`${Lab.status.dir}/images/guest.img`) }
]
const [guest] = given.map((one) => ScriptedImages.imageOf(one))
if (guest === undefined) throw new Error("no image")

const drivers = HypervisorLive.layer.pipe(
  Layer.provideMerge(StorageLive.layerDir),
  Layer.provideMerge(ScriptedImages.layer(given)),
  Layer.provideMerge(Hosts.libvirt)
)

hypervisorContract(
  "libvirt on a real host",
  LiveWorld.layer({ host, unreachable: Hosts.unreachable, network: "default", image: guest }).pipe(
    Layer.provideMerge(drivers)
  )
)

describe("a guest", () => {
  it.live("boots from its root disk, and sees the size of its type", () =>
    Effect.gen(function* () {
      const hypervisor = yield* Hypervisor
      const storage = yield* Storage
      const ssh = yield* Ssh
      const known = new Host({ ...host, facts: yield* hypervisor.facts(host) })
      const domain = { uuid: DomainUuid.make("5b0e3c52-9a43-4f3e-8f0f-3b6ad1c9e001"), domainName: "vm-51" }
      const vmId = VmId.make(51)
      const serial = ssh
        .exec(host.config.address, ["cat", DomainXml.serialLog(domain.domainName)])
        .pipe(Effect.map(({ stdout }) => new TextDecoder().decode(stdout)))
      yield* Effect.acquireRelease(
        Effect.gen(function* () {
          const root = yield* storage.createRoot(known, { vmId, image: guest, size: 3 })
          yield* hypervisor.define(known, {
            ...domain,
            vmId,
            title: "a guest",
            resources: { cpu: 2, ram: 128, disk: 3 },
            mac: "52:54:00:00:01:51",
            root,
            operationId: OperationId.make("5b0e3c52-9a43-4f3e-8f0f-3b6ad1c9e002")
          })
          yield* hypervisor.start(known, domain)
        }),
        () =>
          hypervisor
            .powerOff(known, domain)
            .pipe(
              Effect.zipRight(hypervisor.undefine(known, domain)),
              Effect.zipRight(storage.deleteRoot(known, vmId)),
              Effect.orDie
            )
      )
      yield* Lab.eventually("the guest is ready", serial, (text) => text.includes("GUEST READY"))
      assert.match(yield* serial, /GUEST READY vda=3221225472 cpus=2/)
      // it runs from the disk: that cannot be taken away
      const error = yield* Effect.flip(storage.deleteRoot(known, vmId))
      assert.include(error.message, "vm-51 runs from it")
      const other = yield* Effect.flip(storage.createRoot(known, { vmId, image: guest, size: 4 }))
      assert.include(other.message, "the running domain vm-51 uses it")
    }).pipe(Effect.scoped, Effect.provide(drivers))
  )
})
