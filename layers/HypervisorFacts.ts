/**
 * What a host says that it is, through libvirt's RPC.
 *
 * @since 0.15.0
 */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { Host, HostFacts } from "../src/domain/Host.ts"
import * as DomainXml from "../src/libvirt/DomainXml.ts"
import { failure, fromLibvirt, parse, render } from "../src/libvirt/HostErrors.ts"
import * as HostXml from "../src/libvirt/HostXml.ts"
import type { Hypervisor } from "../src/services/Hypervisor.ts"
import type { Libvirt } from "../src/services/Libvirt.ts"
import type { Storage } from "../src/services/Storage.ts"
import * as HostCalls from "./HostCalls.ts"
import * as HypervisorNetworks from "./HypervisorNetworks.ts"

/** virConnectBaselineCPUFlags */
const expandFeatures = 0x1

const mebibyteInKibibytes = 1024
const gibibyte = 1024 ** 3

const versionText = (version: number): string =>
  `${Math.floor(version / 1_000_000)}.${Math.floor(version / 1000) % 1000}.${version % 1000}`

/** @since 0.15.0 @category constructors */
export const make = (libvirt: Libvirt["Type"], storage: Storage["Type"]): Hypervisor["Type"]["facts"] => {
  const { call, raw } = HostCalls.make(libvirt)

  const networksOf = HypervisorNetworks.make(libvirt)

  // Capabilities name kvm when /dev/kvm can be opened, which proves little: it may be there and guests hang on it all the same (nested
  // machines). `virt=qemu` in the machine file is for those.
  const domainTypeOf = (host: Host, action: string, capabilities: HostXml.Capabilities) => {
    const offered = capabilities.domainTypes
    const wanted = host.config.virt === "auto" ? (offered.includes("kvm") ? "kvm" : "qemu") : host.config.virt
    return offered.includes(wanted)
      ? Effect.succeed(wanted)
      : failure(
          host,
          action,
          `its libvirt does not offer ${wanted} for ${capabilities.arch} guests, only ${offered.join(", ") || "nothing"}`
        )
  }

  /**
   * What the processor has that guests get there, its model's own features among them, which capabilities leave out. A libvirt that cannot say
   * it for that architecture leaves what capabilities name; null: it is not known.
   */
  const featuresOf = Effect.fnUntraced(function* (
    host: Host,
    action: string,
    capabilities: HostXml.Capabilities,
    domainType: HostFacts["domainType"]
  ) {
    const processor = DomainXml.guestProcessor(capabilities, domainType)
    if (processor === null) return null
    const xml = yield* render(host, action, processor)
    const told = yield* Effect.either(raw(host, "CONNECT_BASELINE_CPU", { xmlCPUs: [xml], flags: expandFeatures }))
    if (told._tag === "Right") return yield* parse(host, action, told.right.cpu, HostXml.readFeatures)
    if (told.left.reason._tag !== "LibvirtRefused") return yield* Effect.fail(fromLibvirt(host, action)(told.left))
    return domainType === "kvm" && capabilities.features.length > 0 ? capabilities.features.toSorted() : null
  })

  /** by host, what it said it can, by a hash of its XML: tens of KiB, and the same for as long as nobody changes the machine */
  const capable = new Map<string, { readonly version: string; readonly capabilities: HostXml.Capabilities }>()

  const capabilitiesOf = (host: Host, action: string, xml: string) =>
    Effect.suspend(() => {
      const version = createHash("sha256").update(xml).digest("base64url")
      const known = capable.get(host.name)
      if (known?.version === version) return Effect.succeed(known.capabilities)
      return Effect.tap(parse(host, action, xml, HostXml.readCapabilities), (capabilities) =>
        Effect.sync(() => void capable.set(host.name, { version, capabilities }))
      )
    })

  return Effect.fn("Hypervisor.facts")(function* (host: Host) {
    const action = "tell what it is"
    const { capabilities, hostname, node, offer, pool, version } = yield* Effect.all(
      {
        hostname: call(host, action, "CONNECT_GET_HOSTNAME", undefined),
        version: call(host, action, "CONNECT_GET_LIB_VERSION", undefined),
        node: call(host, action, "NODE_GET_INFO", undefined),
        capabilities: Effect.flatMap(call(host, action, "CONNECT_GET_CAPABILITIES", undefined), (reply) =>
          capabilitiesOf(host, action, reply.capabilities)
        ),
        offer: networksOf(host, action),
        pool: storage.prepare(host)
      },
      { concurrency: "unbounded" }
    )
    if (capabilities.uuid === null) {
      return yield* failure(host, action, "its libvirt knows no uuid of the machine: set host_uuid in libvirtd.conf")
    }
    const domainType = yield* domainTypeOf(host, action, capabilities)
    const features = yield* featuresOf(host, action, capabilities, domainType)
    const facts: HostFacts = {
      hostname: hostname.hostname,
      uuid: capabilities.uuid,
      libvirtVersion: versionText(Number(version.lib_ver)),
      resources: {
        cpu: node.cpus,
        ram: Math.floor(Number(node.memory) / mebibyteInKibibytes),
        disk: Math.floor(pool.capacity / gibibyte)
      },
      arch: capabilities.arch,
      processor: capabilities.processor,
      ...(features === null ? {} : { features }),
      domainType,
      ...offer
    }
    return facts
  })
}
