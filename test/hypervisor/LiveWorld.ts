/** The hypervisor contract's world on any hosts that speak libvirt: simulated or real. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { Host } from "../../src/domain/Host.ts"
import { OperationId } from "../../src/domain/Ids.ts"
import type { Image } from "../../src/domain/Image.ts"
import * as DomainXml from "../../src/libvirt/DomainXml.ts"
import * as Xml from "../../src/libvirt/Xml.ts"
import * as StorageXml from "../../src/libvirt/StorageXml.ts"
import type { DiskSource, DomainRef } from "../../src/services/Hypervisor.ts"
import { Libvirt } from "../../src/services/Libvirt.ts"
import { Storage } from "../../src/services/Storage.ts"
import { type Attachable, HypervisorWorld, type Side, volumeSize } from "../contracts/HypervisorContract.ts"

const operationId = OperationId.make("3c1a7a52-0f0b-4a0e-9a41-8f7d0f1e2d11")

/** virDomainState SHUTOFF */
const stopped = 5

const eventually = <A, E>(look: Effect.Effect<A, E>, holds: (value: A) => boolean) =>
  look.pipe(Effect.repeat({ until: holds, schedule: Schedule.spaced("20 millis") }), Effect.timeout("30 seconds"))

export const layer = (options: {
  readonly host: Host
  readonly unreachable: Host
  readonly network: string | null
  readonly bridge: string
  readonly trunk: string
  readonly image: Image
  /** returns when the domain's guest can let go of devices, and has come up so many times */
  readonly booted?: (domain: DomainRef, times: number) => Effect.Effect<unknown, unknown>
  /** absent: a guest that is just coming up hears nothing for long enough */
  readonly deafen?: (domain: DomainRef) => Effect.Effect<unknown, unknown>
  readonly kill: (domain: DomainRef) => Effect.Effect<unknown, unknown>
  /** a domain of that name is about to be made */
  readonly anew?: (domainName: string) => Effect.Effect<unknown, unknown>
}) =>
  Layer.effect(
    HypervisorWorld,
    Effect.gen(function* () {
      const libvirt = yield* Libvirt
      const { preferred: storage } = yield* Storage
      const { bridge, host, image, network, trunk, unreachable } = options
      const address = host.config.address
      const impact = (side: Side) => (side === "live" ? 1 : 2)
      const dom = ({ domainName, uuid }: DomainRef) => ({ name: domainName, uuid, id: -1 })
      const stateOf = (domain: DomainRef) =>
        Effect.map(libvirt.call(address, "DOMAIN_GET_STATE", { dom: dom(domain), flags: 0 }), ({ state }) => state)
      return {
        host,
        unreachable,
        network,
        bridge,
        trunk,
        root: (vmId) =>
          storage
            .ensureImage(host, image)
            .pipe(Effect.zipRight(storage.createRoot(host, { vmId, image, size: 1, operationId })), Effect.orDie),
        seed: (vmId) =>
          Effect.orDie(
            storage.writeSeed(host, { vmId, operationId, content: new Uint8Array(2048).fill(1), replaces: false })
          ),
        dropSeed: (vmId) => Effect.orDie(storage.deleteSeed(host, vmId)),
        dropRoot: (vmId) => Effect.orDie(storage.deleteRoot(host, vmId)),
        defineForeign: ({ domainName, uuid }) =>
          Effect.gen(function* () {
            const xml = yield* Xml.render(
              Xml.element("domain", { type: "qemu" }, [
                Xml.element("name", {}, [domainName]),
                Xml.element("uuid", {}, [uuid]),
                Xml.element("memory", { unit: "MiB" }, [64]),
                Xml.element("os", {}, [Xml.element("type", { arch: "x86_64" }, ["hvm"])])
              ])
            )
            yield* libvirt.call(address, "DOMAIN_DEFINE_XML_FLAGS", { xml, flags: 0 })
          }).pipe(Effect.orDie),
        undefineForeign: (domain) =>
          Effect.orDie(libvirt.call(address, "DOMAIN_UNDEFINE_FLAGS", { dom: dom(domain), flags: 0 })),
        pause: (domain) => Effect.orDie(libvirt.call(address, "DOMAIN_SUSPEND", { dom: dom(domain) })),
        kill: (domain) =>
          Effect.zipRight(
            options.kill(domain),
            eventually(stateOf(domain), (state) => state === stopped)
          ).pipe(Effect.orDie),
        shutDown: (domain) =>
          // a guest that is not up yet does not hear it
          libvirt
            .call(address, "DOMAIN_SHUTDOWN", { dom: dom(domain) })
            .pipe(
              Effect.either,
              Effect.zipRight(Effect.sleep("1 second")),
              Effect.zipRight(stateOf(domain)),
              Effect.repeat({ until: (state) => state === stopped }),
              Effect.timeout("60 seconds"),
              Effect.orDie
            ),
        edit: (domain, { cpu, ram, title }) =>
          Effect.gen(function* () {
            const { xml } = yield* libvirt.call(address, "DOMAIN_GET_XML_DESC", { dom: dom(domain), flags: 2 })
            const edited = xml
              .replace(/ {2}<title>.*\n/, "")
              .replace("</uuid>", `</uuid><title>${title}</title>`)
              .replace(/<vcpu( [^>]*)>\d+</, `<vcpu$1>${cpu}<`)
              .replace(/<(memory|currentMemory) unit='KiB'>\d+</g, `<$1 unit='KiB'>${ram * 1024}<`)
            yield* libvirt.call(address, "DOMAIN_DEFINE_XML_FLAGS", { xml: edited, flags: 1 })
          }).pipe(Effect.orDie),
        titleOf: (domain) =>
          libvirt.call(address, "DOMAIN_GET_XML_DESC", { dom: dom(domain), flags: 0 }).pipe(
            Effect.flatMap(({ xml }) => Xml.parse(xml)),
            Effect.map(DomainXml.title),
            Effect.orDie
          ),
        booted: (domain, times = 1) => Effect.orDie(options.booted?.(domain, times) ?? Effect.void),
        deafen: (domain) => Effect.orDie(options.deafen?.(domain) ?? Effect.void),
        volume: (serial) =>
          Effect.gen(function* () {
            const { pool } = yield* libvirt.call(address, "STORAGE_POOL_LOOKUP_BY_NAME", { name: "vmfabric" })
            const xml = yield* Xml.render(StorageXml.qcow2Volume(`contract-${serial}.qcow2`, volumeSize))
            const { vol } = yield* libvirt.call(address, "STORAGE_VOL_CREATE_XML", { pool, xml, flags: 0 })
            return { _tag: "File", path: vol.key, format: "qcow2", serial } satisfies DiskSource
          }).pipe(Effect.orDie),
        dropVolume: (source) =>
          Effect.gen(function* () {
            if (source._tag !== "File") return
            const { vol } = yield* libvirt.call(address, "STORAGE_VOL_LOOKUP_BY_PATH", { path: source.path })
            yield* libvirt.call(address, "STORAGE_VOL_DELETE", { vol, flags: 0 })
          }).pipe(Effect.orDie),
        plug: (domain, disk, side) =>
          Effect.gen(function* () {
            const xml = yield* Xml.render(DomainXml.volumeDisk(disk))
            const args = { dom: dom(domain), xml, flags: impact(side) }
            yield* libvirt.call(address, "DOMAIN_ATTACH_DEVICE_FLAGS", args)
          }).pipe(Effect.orDie),
        unplug: (domain, { alias }, side) => {
          const args = { dom: dom(domain), alias, flags: impact(side) }
          return Effect.orDie(libvirt.call(address, "DOMAIN_DETACH_DEVICE_ALIAS", args))
        },
        sizeOf: (domain, { target }: Attachable) =>
          libvirt.call(address, "DOMAIN_GET_BLOCK_INFO", { dom: dom(domain), path: target, flags: 0 }).pipe(
            Effect.map(({ capacity }) => Number(capacity)),
            Effect.orDie
          )
      }
    })
  )
