/**
 * What a host says of itself, and its networks.
 *
 * @since 0.1.0
 */
import * as Xml from "./Xml.ts"

/** @since 0.1.0 @category models */
export interface Capabilities {
  /** the machine's UUID, lower case; null when it has none */
  readonly uuid: string | null
  readonly arch: string
  /** of its processor, as `EPYC-Rome` and `AMD`; null: libvirt knows none */
  readonly processor: { readonly model: string | null; readonly vendor: string | null }
  /** what it has beside those of its model */
  readonly features: ReadonlyArray<string>
  /** domain types for full virtualization of a guest of the host's own architecture: `qemu`, `kvm`, … */
  readonly domainTypes: ReadonlyArray<string>
}

/** From CONNECT_GET_CAPABILITIES. `undefined`: not capabilities. @since 0.1.0 @category getters */
export const readCapabilities = (root: Xml.Element): Capabilities | undefined => {
  const arch = Xml.textOf(Xml.find(root, "host", "cpu", "arch"))
  if (root.name !== "capabilities" || arch === undefined) return undefined
  const offered = Xml.children(root, "guest")
    .filter((guest) => Xml.textOf(Xml.child(guest, "os_type")) === "hvm")
    .flatMap((guest) => Xml.children(guest, "arch"))
    .filter((guest) => Xml.attribute(guest, "name") === arch)
    .flatMap((guest) => Xml.children(guest, "domain"))
    .flatMap((domain) => Xml.attribute(domain, "type") ?? [])
  return {
    uuid: Xml.textOf(Xml.find(root, "host", "uuid"))?.toLowerCase() ?? null,
    arch,
    processor: {
      model: Xml.textOf(Xml.find(root, "host", "cpu", "model")) ?? null,
      vendor: Xml.textOf(Xml.find(root, "host", "cpu", "vendor")) ?? null
    },
    features: featuresIn(Xml.find(root, "host", "cpu") ?? root),
    domainTypes: [...new Set(offered)]
  }
}

const featuresIn = (cpu: Xml.Element): ReadonlyArray<string> =>
  Xml.children(cpu, "feature").flatMap((feature) => {
    // what a host has says no policy
    const policy = Xml.attribute(feature, "policy") ?? "require"
    return policy === "require" || policy === "force" ? (Xml.attribute(feature, "name") ?? []) : []
  })

/** From CONNECT_BASELINE_CPU, asked to name them all: what such a processor has. `undefined`: no processor. @since 0.9.0 @category getters */
export const readFeatures = (root: Xml.Element): ReadonlyArray<string> | undefined =>
  root.name === "cpu" ? [...new Set(featuresIn(root))].toSorted() : undefined

/** From INTERFACE_GET_XML_DESC: `ethernet`, `bridge`, … `undefined`: no interface. @since 0.6.0 @category getters */
export const readInterface = (root: Xml.Element): { readonly name: string; readonly type: string } | undefined => {
  const name = Xml.attribute(root, "name")
  const type = Xml.attribute(root, "type")
  return root.name !== "interface" || name === undefined || type === undefined ? undefined : { name, type }
}

/** @since 0.1.0 @category models */
export interface Network {
  readonly name: string
  readonly uuid: string | null
  /** `nat`, `route`, `bridge`, …; null for an isolated network */
  readonly forward: string | null
  readonly bridge: string | null
}

/** From NETWORK_GET_XML_DESC. `undefined`: not a network. @since 0.1.0 @category getters */
export const readNetwork = (root: Xml.Element): Network | undefined => {
  const name = Xml.textOf(Xml.child(root, "name"))
  if (root.name !== "network" || name === undefined) return undefined
  const forward = Xml.child(root, "forward")
  return {
    name,
    uuid: Xml.textOf(Xml.child(root, "uuid"))?.toLowerCase() ?? null,
    // an empty <forward/> means nat
    forward: forward === undefined ? null : (Xml.attribute(forward, "mode") ?? "nat"),
    bridge: Xml.attribute(Xml.child(root, "bridge"), "name") ?? null
  }
}
