import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as CephLive from "../../layers/CephLive.ts"
import * as HypervisorLive from "../../layers/HypervisorLive.ts"
import type { Options } from "../../layers/StorageDriver.ts"
import * as StorageLive from "../../layers/StorageLive.ts"
import * as StorageRbd from "../../layers/StorageRbd.ts"
import type { Host } from "../../src/domain/Host.ts"
import { OperationId, SnapshotId, VmId, VolumeId } from "../../src/domain/Ids.ts"
import { Ceph } from "../../src/services/Ceph.ts"
import { Hypervisor } from "../../src/services/Hypervisor.ts"
import { Ssh } from "../../src/services/Ssh.ts"
import { Storage } from "../../src/services/Storage.ts"
import { storageContract, StorageWorld } from "../contracts/StorageContract.ts"
import { given } from "../storage/Given.ts"
import * as Holder from "../storage/Holder.ts"
import * as LiveWorld from "../storage/LiveWorld.ts"
import * as RbdWorld from "../storage/RbdWorld.ts"
import * as ScriptedImages from "../storage/ScriptedImages.ts"
import * as Hosts from "./Hosts.ts"
import * as Lab from "./Lab.ts"

const host = Hosts.host(0)

/** What a program on a host prints. */
const runOn = (on: Host, program: string, ...rest: ReadonlyArray<string>) =>
  Ssh.pipe(
    Effect.flatMap((ssh) => ssh.exec(on.config.address, [program, ...rest])),
    Effect.map(({ stdout }) => new TextDecoder().decode(stdout))
  )
const run = (program: string, ...rest: ReadonlyArray<string>) => runOn(host, program, ...rest)

/**
 * The first bytes that a guest sees, by QEMU's own program; `name`: the disk's for it. `print`: the command that prints all of it, and nothing when it is not there.
 */
const bytes = (
  format: "qcow2" | "raw",
  print: (path: string) => string,
  name: (path: string) => string = (path) => path
) =>
  Effect.map(Ssh, (ssh): LiveWorld.Bytes => {
    const qemu = (...argv: ReadonlyArray<string>) =>
      Effect.orDie(Effect.provideService(run("qemu-io", "-f", format, ...argv), Ssh, ssh))
    return {
      write: (path, byte) => Effect.asVoid(qemu("-c", `write -P ${byte} 0 64k`, name(path))),
      read: (path) =>
        Effect.map(qemu("-r", "-c", "read -v 0 1", name(path)), (printed) =>
          Number.parseInt(/^0+: +([0-9a-f]{2})/m.exec(printed)?.[1] ?? "", 16)
        ),
      start: (path) =>
        Effect.orDie(
          Effect.provideService(run("sh", "-c", `${print(path)} 2>&- | head -c 65536 | base64 -w 0`), Ssh, ssh)
        ).pipe(Effect.map((printed) => (printed === "" ? undefined : Buffer.from(printed, "base64"))))
    }
  })

const dirLayer = LiveWorld.layer({
  host,
  elsewhere: Hosts.host(1),
  unreachable: Hosts.unreachable,
  bytes: bytes("qcow2", (path) => `cat ${path}`)
}).pipe(
  Layer.provideMerge(HypervisorLive.layer),
  Layer.provideMerge(StorageLive.layerDirWith({ patience: "2 seconds" })),
  Layer.provideMerge(LiveWorld.counted(Hosts.libvirt)),
  Layer.provideMerge(ScriptedImages.layer(given)),
  Layer.provideMerge(Hosts.libvirt)
)

storageContract({ name: "folder on a real host", shared: false }, dirLayer)

const { client, conf, pool } = Lab.status.ceph
const ceph = CephLive.layer({ pool, client, conf, host: null }).pipe(Layer.provide(Hosts.libvirt))

/** over a Ceph that does not answer */
const silent = Layer.build(
  CephLive.layer({ pool, client, conf: "/etc/ceph/ceph.conf", host: Hosts.unreachable.config.address })
).pipe(Effect.flatMap((nothing) => Effect.provide(StorageRbd.make({ patience: "1 second" }), nothing)))

const rbdWorldOn = (host: Host, elsewhere: Host) =>
  RbdWorld.layer({
    host,
    elsewhere,
    unreachable: Hosts.unreachable,
    silent,
    bytes: bytes(
      "raw",
      (image) => `rbd --id ${client} -p ${pool} export ${image} -`,
      (image) => `rbd:${pool}/${image}:id=${client}`
    )
  })
const rbdWorld = rbdWorldOn(host, Hosts.host(1))

const rbdDrivers = (options: Partial<Options>) =>
  HypervisorLive.layer.pipe(
    Layer.provideMerge(StorageLive.layerRbdWith(options)),
    Layer.provideMerge(RbdWorld.counted(ceph)),
    Layer.provideMerge(ScriptedImages.layer(given)),
    Layer.provideMerge(Hosts.libvirt)
  )

const operationId = OperationId.make("0d9e8c7b-6a5f-4e3d-8c2b-1a0f9e8d7c6b")
const volume = { id: VolumeId.make(7), host: null }
const request = { size: 1, name: "data", operationId, source: null }
const use = { host, domainName: "vm-99", held: false }

/** What Ceph takes its time for, on hosts that no other test here uses, while the others have to do with folders. */
const slow = (() => {
  const host = Hosts.host(3)
  const elsewhere = Hosts.host(4)
  const use = { host, domainName: "vm-99", held: false }
  const layer = rbdWorldOn(host, elsewhere).pipe(Layer.provideMerge(rbdDrivers({})))
  return {
    killed: Lab.beside(
      Effect.gen(function* () {
        const { preferred: driver } = yield* Storage
        const { hold, image } = yield* StorageWorld
        const hypervisor = yield* Hypervisor
        const vmId = VmId.make(99)
        const kill = (on: Host, what: Effect.Effect<string, never, Scope.Scope>) =>
          Effect.gen(function* () {
            const name = yield* what
            yield* runOn(on, "sh", "-c", `kill -9 $(cat /run/libvirt/qemu/${name}.pid)`)
            yield* Lab.eventually(
              "libvirt knows it",
              hypervisor.status(on, { uuid: Holder.domain.uuid, domainName: name }),
              (status) => Option.exists(status, ({ state }) => state === "shutoff")
            )
          })
        // beside each other, on two hosts
        const root = yield* driver.createRoot(elsewhere, { vmId, image, size: 1, operationId })
        const rootGoes = Effect.scoped(
          Effect.gen(function* () {
            const held = Effect.provideService(Effect.orDie(Holder.hold(elsewhere, root)), Hypervisor, hypervisor)
            yield* kill(elsewhere, held)
            yield* driver.deleteRoot(elsewhere, vmId)
            assert.deepStrictEqual(yield* driver.listRoots(elsewhere), [])
          })
        )
        yield* driver.createVolume(volume, request)
        const volumeGoes = Effect.scoped(
          Effect.gen(function* () {
            yield* kill(host, hold(volume))
            const error = yield* Effect.flip(driver.openVolume(volume, use))
            assert.include(
              error.message,
              `failed to open volume-7: it is open on ${host.config.address.host}: detach it`
            )
            yield* driver.awaitReleased(volume)
            yield* driver.trashVolume(volume, 60)
          })
        )
        yield* Effect.all([rootGoes, volumeGoes], { concurrency: "unbounded" })
      }).pipe(Effect.provide(layer))
    ),
    osd: Lab.beside(
      Effect.gen(function* () {
        const { preferred: driver } = yield* Storage
        yield* driver.createVolume(volume, request)
        yield* driver.openVolume(volume, use)
        for (const [fail, mend] of [
          ["stop-osd", "start-osd"],
          ["freeze-osd", "thaw-osd"]
        ] as const) {
          yield* Effect.acquireUseRelease(
            Lab.lab(fail),
            () =>
              Effect.gen(function* () {
                const error = yield* Effect.timeout(Effect.flip(driver.openVolume(volume, use)), "120 seconds")
                assert.strictEqual(error._tag, "StorageUnreachable")
                assert.match(error.message, /^Ceph pool vms cannot be used: \S/)
              }),
            () => Effect.orDie(Lab.lab(mend))
          )
          yield* Lab.eventually(
            "it serves again",
            Effect.either(driver.openVolume(volume, use)),
            (opened) => opened._tag === "Right"
          )
        }
      }).pipe(Effect.provide(layer))
    )
  }
})()

describe("a folder on a real host", () => {
  it.live("copies again what was being copied when nobody waited for it any more", () =>
    Effect.gen(function* () {
      const { preferred: driver } = yield* Storage
      const at = { ...volume, host }
      const snapshot = SnapshotId.make(3)
      const path = `${host.config.path}/volume-7-snapshot-3.qcow2`
      yield* driver.createVolume(at, { ...request, size: 3 })
      yield* run(
        "qemu-io",
        "-f",
        "qcow2",
        "-c",
        "write -P 1 0 512M",
        "-c",
        "write -P 2 1G 512M",
        `${host.config.path}/volume-7.qcow2`
      )
      const begun = yield* Effect.fork(driver.createSnapshot(at, snapshot))
      yield* Lab.eventually(
        "the copy has begun",
        Effect.either(run("test", "-s", path)),
        (found) => found._tag === "Right"
      )
      yield* Fiber.interrupt(begun)
      assert.deepStrictEqual(yield* driver.listSnapshots(at), [])
      yield* driver.createSnapshot(at, snapshot)
      assert.deepStrictEqual(yield* driver.listSnapshots(at), [snapshot])
      const compared = yield* run("qemu-img", "compare", path, `${host.config.path}/volume-7.qcow2`)
      assert.include(compared, "Images are identical")
    }).pipe(Effect.scoped, Effect.provide(dirLayer))
  )

  it.live("opens no volume whose file has been taken away", () =>
    Effect.gen(function* () {
      const { preferred: driver } = yield* Storage
      const at = { ...volume, host }
      yield* driver.createVolume(at, request)
      yield* driver.openVolume(at, use)
      yield* run("rm", `${host.config.path}/volume-7.qcow2`)
      const error = yield* Effect.flip(driver.openVolume(at, use))
      assert.include(error.message, "failed to open volume-7: volume-7.qcow2 vanished from")
    }).pipe(Effect.provide(dirLayer))
  )
})

describe("a real Ceph", () => {
  it.live("lets a disk go half a minute after its QEMU was killed, and that is waited for", slow.killed)
  it.live("whose OSD is dead or stands still makes nothing hang", slow.osd)
})

storageContract(
  { name: "real Ceph", shared: true },
  rbdWorld.pipe(Layer.provideMerge(rbdDrivers({ patience: "2 seconds" })))
)

describe("a real Ceph", () => {
  const layer = rbdWorld.pipe(Layer.provideMerge(rbdDrivers({})))

  it.live("gives each host its key in a secret that tells it nobody", () =>
    Effect.gen(function* () {
      const { preferred: driver } = yield* Storage
      const key = yield* Effect.flatMap(Ceph, ({ cluster }) => Effect.map(cluster, ({ key }) => Redacted.value(key)))
      yield* driver.createVolume(volume, request)
      const disk = yield* driver.openVolume(volume, use)
      const secret = disk._tag === "Rbd" ? disk.secret : ""
      const virsh = (...argv: ReadonlyArray<string>) => run("virsh", ...argv)
      assert.include(yield* virsh("secret-dumpxml", secret), "private='yes'")
      const refused = yield* Effect.flip(virsh("secret-get-value", secret))
      assert.include(refused.message, "private")
      // taken away by hand it is there again
      yield* virsh("secret-undefine", secret)
      assert.deepStrictEqual(yield* driver.openVolume(volume, use), disk)
      yield* virsh("secret-dumpxml", secret)
      const printed = yield* run("sh", "-c", "cat /var/log/libvirt/*/*.log /etc/libvirt/qemu/*.xml; true")
      assert.notInclude(printed, key)
    }).pipe(Effect.provide(layer))
  )
})
