/**
 * The lab's Ceph pool and its first host, by our ports and by the commands one would type.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import { randomUUID } from "node:crypto"
import * as AppLive from "../../layers/AppLive.ts"
import * as CephLive from "../../layers/CephLive.ts"
import * as HypervisorLive from "../../layers/HypervisorLive.ts"
import * as ImageLibraryLive from "../../layers/ImageLibraryLive.ts"
import * as LibvirtLive from "../../layers/LibvirtLive.ts"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import * as SshLive from "../../layers/SshLive.ts"
import * as StorageLive from "../../layers/StorageLive.ts"
import { defaultConfig, Host } from "../../src/domain/Host.ts"
import { DomainUuid, HostId, OperationId, type VmId } from "../../src/domain/Ids.ts"
import type { Image } from "../../src/domain/Image.ts"
import { Ceph } from "../../src/services/Ceph.ts"
import { type DiskSource, type DomainSpec, Hypervisor } from "../../src/services/Hypervisor.ts"
import { ImageLibrary } from "../../src/services/ImageLibrary.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Libvirt } from "../../src/services/Libvirt.ts"
import { Storage } from "../../src/services/Storage.ts"
import type { Lab } from "./Lab.ts"
import { type Argv, BenchError } from "./Process.ts"

/** What a domain over the lab's first host is made of: the smallest guest there is. */
export const resources = { cpu: 1, ram: 128, disk: 1 }

/** Every layer that a VM or volume in the pool needs. `files`: images on this machine, by path. */
export const open = (lab: Lab, files: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const [{ address }] = lab.hosts
    const ssh = SshLive.layer(lab.sshOptions).pipe(Layer.provide(SshDialerTcp.layer))
    const context = yield* Layer.build(
      HypervisorLive.layer.pipe(
        Layer.provideMerge(StorageLive.layerRbd),
        Layer.provideMerge(
          Layer.mergeAll(ImageLibraryLive.layer, LibvirtLive.layer, CephLive.layer({ ...lab.ceph, host: null }))
        ),
        Layer.provideMerge(Layer.mergeAll(ssh, AppLive.persistence(":memory:"))),
        Layer.provide(NodeFileSystem.layer)
      )
    )
    const inventory = Context.get(context, Inventory)
    const library = Context.get(context, ImageLibrary)
    const hypervisor = Context.get(context, Hypervisor)
    const ceph = Context.get(context, Ceph)
    const driver = Context.get(context, Storage).preferred

    const config = { ...defaultConfig(address), virt: "qemu" as const }
    yield* inventory.applyFleet({
      hosts: [config],
      images: files.map((path) => ({
        source: { host: null, path },
        name: path,
        format: path.endsWith(".qcow2") ? ("qcow2" as const) : ("raw" as const)
      })),
      types: []
    })
    const unknown = new Host({ id: HostId.make(1), config, facts: null })
    const facts = yield* hypervisor.facts(unknown)
    const host = new Host({ id: unknown.id, config, facts })
    const images = yield* inventory.images

    return {
      ceph,
      driver,
      hypervisor,
      libvirt: Context.get(context, Libvirt),
      host,
      facts,
      /** in the order of `files` */
      image: (index: number): Effect.Effect<Image, BenchError> => {
        const image = images[index]
        return image === undefined ? new BenchError({ message: `there is no image ${index}` }) : Effect.succeed(image)
      },
      /** Reads, hashes and imports it, once. */
      ensureImage: (image: Image) => Logger.withMinimumLogLevel(driver.ensureImage(host, image), LogLevel.Warning),
      /** The snapshot in the pool that root disks of the image are clones of. */
      base: (image: Image) =>
        Effect.map(library.resolve(image), ({ sha256 }) => ({ image: `image-${sha256}`, snapshot: "base" })),
      /** Waits for a QEMU that is about to close it. */
      remove: (name: string) =>
        Effect.retry(ceph.remove(name), {
          while: (error) => error.refusedWith("EBUSY"),
          schedule: Schedule.spaced("100 millis"),
          times: 400
        })
    }
  })

export const newOperation = Effect.sync(() => OperationId.make(randomUUID()))

/** A domain named `domainName` with this root disk. */
export const domain = (vmId: VmId, domainName: string, root: DiskSource): Effect.Effect<DomainSpec> =>
  Effect.map(newOperation, (operationId) => ({
    vmId,
    uuid: DomainUuid.make(randomUUID()),
    domainName,
    title: domainName,
    resources,
    nics: [],
    root,
    operationId
  }))

/** Ceph's command for the pool, as the program's client: on the lab's first host, or on this machine. */
export const rbd = {
  onHost: ({ ceph }: Lab): Argv => ["rbd", "--id", ceph.client, "-p", ceph.pool],
  here: ({ ceph }: Lab): Argv => ["rbd", "-c", ceph.conf, "--id", ceph.client, "-p", ceph.pool]
}

export const virsh: Argv = ["virsh", "-q", "-c", "qemu:///system"]
