/** The hypervisor contract's world on any hosts that speak libvirt: simulated or real. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Host } from "../../src/domain/Host.ts"
import type { Image } from "../../src/domain/Image.ts"
import * as DomainXml from "../../src/libvirt/DomainXml.ts"
import * as Xml from "../../src/libvirt/Xml.ts"
import type { DomainRef } from "../../src/services/Hypervisor.ts"
import { Libvirt } from "../../src/services/Libvirt.ts"
import { Storage } from "../../src/services/Storage.ts"
import { HypervisorWorld } from "../contracts/HypervisorContract.ts"

export const layer = (options: {
  readonly host: Host
  readonly unreachable: Host
  readonly network: string | null
  readonly image: Image
}) =>
  Layer.effect(
    HypervisorWorld,
    Effect.gen(function* () {
      const libvirt = yield* Libvirt
      const storage = yield* Storage
      const { host, image, network, unreachable } = options
      const address = host.config.address
      const dom = ({ domainName, uuid }: DomainRef) => ({ name: domainName, uuid, id: -1 })
      return {
        host,
        unreachable,
        network,
        root: (vmId) =>
          storage
            .createRoot(host, { vmId, image, size: 1 })
            .pipe(Effect.catchTag("ImageRefused", "PersistenceError", Effect.die)),
        dropRoot: (vmId) => storage.deleteRoot(host, vmId),
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
        titleOf: (domain) =>
          libvirt.call(address, "DOMAIN_GET_XML_DESC", { dom: dom(domain), flags: 0 }).pipe(
            Effect.flatMap(({ xml }) => Xml.parse(xml)),
            Effect.map(DomainXml.title),
            Effect.orDie
          )
      }
    })
  )
