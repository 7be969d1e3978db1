/**
 * The XML of a VM's libvirt domain.
 *
 * @since 0.1.0
 */
import { formatSource } from "../domain/Network.ts"
import { type LinkState, nicSlots } from "../domain/Nic.ts"
import type { HostFacts } from "../domain/Host.ts"
import {
  type DiskSource,
  type DomainNic,
  type DomainShape,
  type DomainSpec,
  type DomainState,
  type VolumeDisk,
  volumeSlots
} from "../services/Hypervisor.ts"
import type { Capabilities } from "./HostXml.ts"
import * as SerialLog from "./SerialLog.ts"
import * as Xml from "./Xml.ts"

/** The namespace of what we write into a domain's metadata. @since 0.1.0 @category constants */
export const namespace = "https://vmfabric.org/xmlns/domain/1"

/** What we wrote there: whose domain it is and what made it. @since 0.1.0 @category models */
export interface Ownership {
  readonly vmId: number
  readonly operationId: string
}

/**
 * Where a guest's first serial port is written on its host. The folder is libvirt's own for guests' logs, so it is there on every
 * host with the QEMU driver, and virtlogd bounds the file as it does the others (2 MiB, three old ones by default).
 *
 * @since 0.1.0 @category constants
 */
export const serialLog = (domainName: string): string => `/var/log/libvirt/qemu/${domainName}.serial.log`

/** It, and what virtlogd may have made of it. @since 0.8.0 @category constants */
export const serialLogs = (domainName: string): ReadonlyArray<string> => {
  const log = serialLog(domainName)
  return [log, ...SerialLog.older(log)]
}

/**
 * A domain for `DOMAIN_DEFINE_XML_FLAGS`, made for `facts.arch` and `facts.domainType` of the host it is defined on. Every value
 * goes through the tree; nothing given by a user becomes an element or an attribute's name.
 *
 * @since 0.1.0 @category constructors
 */
export const build = (spec: DomainSpec, facts: HostFacts): Xml.Element => {
  const { element } = Xml
  const drives = spec.seed === undefined || spec.seed === null ? [] : seedDrive(spec.seed)
  const x86 = facts.arch === "x86_64" || facts.arch === "i686"
  return element("domain", { type: facts.domainType }, [
    element("name", {}, [spec.domainName]),
    element("uuid", {}, [spec.uuid]),
    element("title", {}, [spec.title]),
    element("metadata", {}, [
      element("vmfabric:vm", { "xmlns:vmfabric": namespace, id: spec.vmId, operation: spec.operationId })
    ]),
    element("memory", { unit: "MiB" }, [spec.resources.ram]),
    element("vcpu", {}, [spec.resources.cpu]),
    element("os", x86 ? {} : { firmware: "efi" }, [
      // q35 rather than pc: it boots BIOS images as well, has PCI Express, and distributions have begun to build QEMU without pc
      element("type", { arch: facts.arch, machine: x86 ? "q35" : "virt" }, ["hvm"])
    ]),
    element("features", {}, [element("acpi"), x86 ? element("apic") : null]),
    processor(facts),
    element("clock", { offset: "utc" }),
    element("on_poweroff", {}, ["destroy"]),
    element("on_reboot", {}, ["restart"]),
    element("on_crash", {}, ["destroy"]),
    element("devices", {}, [
      ...ports(portsOfOurs + nicSlots + (drives.length === 0 ? 0 : 1) + volumeSlots),
      disk("vda", spec.root, element("boot", { order: 1 })),
      ...drives,
      ...spec.nics.map(nic),
      element("serial", { type: "pty" }, [
        element("log", { file: serialLog(spec.domainName), append: "on" }),
        element("target", { port: 0 })
      ]),
      element("console", { type: "pty" }, [element("target", { type: "serial", port: 0 })]),
      element("channel", { type: "unix" }, [element("target", { type: "virtio", name: "org.qemu.guest_agent.0" })]),
      // a socket in libvirt's own folder: a port on loopback would be open to every local user of the host
      element("graphics", { type: "vnc" }, [element("listen", { type: "socket" })]),
      element("video", {}, [element("model", { type: x86 ? "vga" : "virtio" })]),
      // how often the guest tells what it uses of its memory, in seconds; without it only the host's side is known
      element("memballoon", { model: "virtio" }, [element("stats", { period: 10 })]),
      element("rng", { model: "virtio" }, [element("backend", { model: "random" }, ["/dev/urandom"])])
    ])
  ])
}

// What takes a port of the root complex in every domain of ours, beside NICs and volumes: root disk, virtio-serial, balloon, rng, and the USB
// controller that libvirt adds on x86; elsewhere the screen.
const portsOfOurs = 5

// A PCI Express port takes one device, and cannot be added while the domain runs. Left to itself libvirt makes as many as are
// needed and a single spare one. With those that are written down it adds none, as long as they are enough; it puts them together
// eight to a slot, and the devices into the first.
const ports = (count: number): ReadonlyArray<Xml.Element> => [
  Xml.element("controller", { type: "pci", index: 0, model: "pcie-root" }),
  ...Array.from({ length: count }, () => Xml.element("controller", { type: "pci", model: "pcie-root-port" }))
]

/** Where a seed stands in a domain. @since 0.6.0 @category constants */
export const seedTarget = "sda"

// A CD-ROM, for then the volumes' names in the guest (vdb, vdc, …) are what they would be without it, and nobody can write to it. On virtio's SCSI
// controller, because cloud images have its driver wherever they have virtio at all; AHCI, where q35 has its CD-ROMs, Debian's cloud kernel has
// not. It costs one port. libvirt would make a controller of another model by itself.
const seedDrive = (source: DiskSource): ReadonlyArray<Xml.Element> => [
  Xml.element("controller", { type: "scsi", index: 0, model: "virtio-scsi" }),
  drive({ device: "cdrom", bus: "scsi", target: seedTarget, discard: undefined }, source, Xml.element("readonly"))
]

const disk = (target: string, source: DiskSource, last: Xml.Element): Xml.Element =>
  drive({ device: "disk", bus: "virtio", target, discard: "unmap" }, source, last)

interface Drive {
  readonly device: "disk" | "cdrom"
  readonly bus: "virtio" | "scsi"
  readonly target: string
  readonly discard: "unmap" | undefined
}

const drive = ({ bus, device, discard, target }: Drive, source: DiskSource, last: Xml.Element): Xml.Element => {
  const { element } = Xml
  const place = [element("target", { dev: target, bus }), element("serial", {}, [source.serial]), last]
  return source._tag === "File"
    ? element("disk", { type: "file", device }, [
        element("driver", { name: "qemu", type: source.format, discard }),
        element("source", { file: source.path }),
        ...place
      ])
    : element("disk", { type: "network", device }, [
        element("driver", { name: "qemu", type: "raw", cache: "none", discard }),
        element("auth", { username: source.client }, [element("secret", { type: "ceph", uuid: source.secret })]),
        element(
          "source",
          { protocol: "rbd", name: `${source.pool}/${source.image}` },
          // an IPv6 address goes without the brackets it may be written in: QEMU puts them around it itself
          source.monitors.map(({ host, port }) => element("host", { name: host.replace(/^\[(.*)\]$/, "$1"), port }))
        ),
        ...place
      ])
}

/**
 * A definition with the seed as its CD-ROM; undefined: it has it already. Another drive at its place goes.
 *
 * @since 0.6.0 @category combinators
 */
export const withSeed = (domain: Xml.Element, source: DiskSource): Xml.Element | undefined => {
  const wanted = source._tag === "File" ? source.path : `${source.pool}/${source.image}`
  const there = disks(domain).find(({ target }) => target === seedTarget)
  if (there !== undefined && (there.rbd ?? there.path) === wanted) return undefined
  const isScsi = (node: Xml.Node) =>
    typeof node !== "string" && node.name === "controller" && Xml.attribute(node, "type") === "scsi"
  const isThere = (node: Xml.Node) =>
    typeof node !== "string" && node.name === "disk" && Xml.attribute(Xml.child(node, "target"), "dev") === seedTarget
  return {
    ...domain,
    children: domain.children.map((node) => {
      if (typeof node === "string" || node.name !== "devices") return node
      const kept = node.children.filter((device) => !isThere(device))
      const added = seedDrive(source).filter((device) => !isScsi(device) || !kept.some(isScsi))
      return { ...node, children: [...kept, ...added] }
    })
  }
}

/** A volume's disk, for DOMAIN_ATTACH_DEVICE_FLAGS. @since 0.2.0 @category constructors */
export const volumeDisk = ({ alias, source, target }: VolumeDisk & { readonly source: DiskSource }): Xml.Element =>
  disk(target, source, Xml.element("alias", { name: alias }))

/** A NIC, for DOMAIN_ATTACH_DEVICE_FLAGS. @since 0.6.0 @category constructors */
export const nic = ({ alias, link, mac, model, source }: DomainNic): Xml.Element => {
  const { element } = Xml
  return element("interface", { type: source.kind === "bridge" ? "bridge" : "network" }, [
    element("mac", { address: mac }),
    element("source", source.kind === "bridge" ? { bridge: source.name } : { network: source.name }),
    element("model", { type: model }),
    // `up` is what it is when nothing is said
    link === "up" ? null : element("link", { state: link }),
    element("alias", { name: alias })
  ])
}

// With KVM the host's own model: nearly all of its speed, and unlike host-passthrough libvirt writes down what the guest really got
// when it starts, so that a migration can be checked against the target. In software a fixed model, for the same reason, and the oldest
// that still is an x86-64-v2, which today's distributions are built for; TCG emulates all of it (`check` none: it has a few of its
// own features besides).
/** What VMs of a host get as their processor; null: libvirt's own. @since 0.7.0 @category constructors */
export const processor = ({ arch, domainType }: Pick<HostFacts, "arch" | "domainType">): Xml.Element | null => {
  if (domainType === "kvm") return Xml.element("cpu", { mode: "host-model", check: "partial" })
  if (arch !== "x86_64") return null
  return Xml.element("cpu", { mode: "custom", match: "exact", check: "none" }, [
    Xml.element("model", { fallback: "forbid" }, ["Nehalem"])
  ])
}

/**
 * What guests of a host have as their processor, as CONNECT_BASELINE_CPU is asked about it: under KVM the host's, else the one that is emulated.
 * null: it is not known.
 *
 * @since 0.9.0 @category constructors
 */
export const guestProcessor = (
  { arch, features, processor: { model, vendor } }: Pick<Capabilities, "arch" | "features" | "processor">,
  domainType: HostFacts["domainType"]
): Xml.Element | null => {
  const emulated = domainType === "kvm" ? null : processor({ arch, domainType })
  const name = emulated === null ? model : (Xml.textOf(Xml.child(emulated, "model")) ?? null)
  if (name === null || (domainType !== "kvm" && emulated === null)) return null
  return Xml.element("cpu", {}, [
    Xml.element("arch", {}, [arch]),
    Xml.element("model", {}, [name]),
    ...(emulated === null
      ? [
          vendor === null ? null : Xml.element("vendor", {}, [vendor]),
          ...features.map((feature) => Xml.element("feature", { name: feature }))
        ]
      : [])
  ])
}

/** virDomainState by number. @since 0.1.0 @category getters */
export const state = (number: number): DomainState => states[number] ?? "nostate"

const states: ReadonlyArray<DomainState> = [
  "nostate",
  "running",
  "blocked",
  "paused",
  "shutdown",
  "shutoff",
  "crashed",
  "pmsuspended"
]

/**
 * Whose a domain is, from its XML. `undefined`: nothing of ours is in it. Whatever prefix libvirt or a person gave our namespace is
 * understood.
 *
 * @since 0.1.0 @category getters
 */
export const ownership = (domain: Xml.Element): Ownership | undefined => {
  const metadata = Xml.child(domain, "metadata")
  for (const element of metadata === undefined ? [] : Xml.children(metadata)) {
    const prefix = element.name.includes(":") ? element.name.slice(0, element.name.indexOf(":")) : ""
    const declaration = prefix === "" ? "xmlns" : `xmlns:${prefix}`
    const uri = [element, metadata, domain]
      .map((at) => Xml.attribute(at, declaration))
      .find((value) => value !== undefined)
    if (uri === namespace) return readOwnership(element)
  }
  return undefined
}

/**
 * The same from the one element that DOMAIN_GET_METADATA answers when asked for our namespace; libvirt takes the namespace out of it.
 *
 * @since 0.1.0 @category getters
 */
export const readOwnership = (element: Xml.Element): Ownership | undefined => {
  const vmId = Xml.attribute(element, "id")
  const operationId = Xml.attribute(element, "operation")
  return !/^([^:]+:)?vm$/.test(element.name) ||
    vmId === undefined ||
    operationId === undefined ||
    !/^[1-9][0-9]{0,15}$/.test(vmId)
    ? undefined
    : { vmId: Number(vmId), operationId }
}

/** @since 0.1.0 @category getters */
export const title = (domain: Xml.Element): string | undefined => Xml.textOf(Xml.child(domain, "title"))

/** Whether the XML is of a domain that has a QEMU: it runs, or is paused. @since 0.2.0 @category getters */
export const isActive = (domain: Xml.Element): boolean => Xml.attribute(domain, "id") !== undefined

/** A disk as the domain has it now. @since 0.1.0 @category models */
export interface Disk {
  /** `vda` */
  readonly target: string
  /** the file or device; null for anything else (an empty drive, a network disk) */
  readonly path: string | null
  /** `pool/image` of a disk in Ceph */
  readonly rbd: string | null
  readonly format: string | null
  readonly serial: string | null
  /** libvirt gives one to every device of a running domain; in a definition only those of users are kept (`ua-…`) */
  readonly alias: string | null
  /** the images below it as a running domain shows them, nearest first */
  readonly backing: ReadonlyArray<string>
}

/** @since 0.1.0 @category getters */
export const disks = (domain: Xml.Element): ReadonlyArray<Disk> =>
  Xml.children(Xml.child(domain, "devices") ?? Xml.element("devices"), "disk").map((disk) => ({
    target: Xml.attribute(Xml.child(disk, "target"), "dev") ?? "",
    path: sourcePath(disk),
    rbd: rbdName(disk),
    format: Xml.attribute(Xml.child(disk, "driver"), "type") ?? null,
    serial: Xml.textOf(Xml.child(disk, "serial")) ?? null,
    alias: Xml.attribute(Xml.child(disk, "alias"), "name") ?? null,
    backing: backing(disk)
  }))

const sourcePath = (disk: Xml.Element): string | null => {
  const source = Xml.child(disk, "source")
  return Xml.attribute(source, "file") ?? Xml.attribute(source, "dev") ?? null
}

const rbdName = (disk: Xml.Element): string | null => {
  const source = Xml.child(disk, "source")
  return Xml.attribute(source, "protocol") === "rbd" ? (Xml.attribute(source, "name") ?? null) : null
}

const backing = (layer: Xml.Element): ReadonlyArray<string> => {
  const below = Xml.child(layer, "backingStore")
  if (below === undefined) return []
  const path = sourcePath(below)
  return path === null ? [] : [path, ...backing(below)]
}

/** A NIC as the domain has it now. @since 0.6.0 @category models */
export interface FoundNic {
  /** lower case */
  readonly mac: string
  /** libvirt gives one to every device of a running domain; in a definition only those of users are kept (`ua-…`) */
  readonly alias: string | null
  /** as in `bridge:br0` or `libvirt:default`; of any other kind, its type alone */
  readonly source: string
  readonly link: LinkState
  /** all of it */
  readonly element: Xml.Element
}

/** @since 0.6.0 @category getters */
export const nics = (domain: Xml.Element): ReadonlyArray<FoundNic> =>
  Xml.children(Xml.child(domain, "devices") ?? Xml.element("devices"), "interface").map((nic) => ({
    mac: (Xml.attribute(Xml.child(nic, "mac"), "address") ?? "").toLowerCase(),
    alias: Xml.attribute(Xml.child(nic, "alias"), "name") ?? null,
    source: sourceOfNic(nic),
    link: Xml.attribute(Xml.child(nic, "link"), "state") === "down" ? "down" : "up",
    element: nic
  }))

const sourceOfNic = (nic: Xml.Element): string => {
  const type = Xml.attribute(nic, "type") ?? ""
  const source = Xml.child(nic, "source")
  if (type === "bridge") return formatSource({ kind: "bridge", name: Xml.attribute(source, "bridge") ?? "" })
  if (type === "network") return formatSource({ kind: "libvirt", name: Xml.attribute(source, "network") ?? "" })
  return type
}

/** The same NIC with its cable plugged in or out. @since 0.6.0 @category combinators */
export const withLink = (nic: Xml.Element, link: LinkState): Xml.Element => ({
  ...nic,
  children: [
    ...nic.children.filter((node) => typeof node === "string" || node.name !== "link"),
    Xml.element("link", { state: link })
  ]
})

/** Where a running domain's screen is served on its host. @since 0.7.0 @category models */
export type VncPlace =
  | { readonly _tag: "Socket"; readonly path: string }
  | { readonly _tag: "Port"; readonly host: string; readonly port: number }

/** Every address of a machine, and its own loopback. */
const reachedAt: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" }

/** Of a running domain's XML; null: its screen is not served by VNC. @since 0.7.0 @category getters */
export const vnc = (domain: Xml.Element): VncPlace | null => {
  const devices = Xml.child(domain, "devices") ?? Xml.element("devices")
  for (const graphics of Xml.children(devices, "graphics")) {
    if (Xml.attribute(graphics, "type") !== "vnc") continue
    const listen = Xml.child(graphics, "listen")
    const path = Xml.attribute(graphics, "socket") ?? Xml.attribute(listen, "socket")
    if (path !== undefined && path.startsWith("/")) return { _tag: "Socket", path }
    const port = Number(Xml.attribute(graphics, "port") ?? "")
    if (!Number.isInteger(port) || port < 1 || port > 65_535) continue
    const host = Xml.attribute(listen, "address") ?? Xml.attribute(graphics, "listen") ?? "127.0.0.1"
    return { _tag: "Port", host: reachedAt[host] ?? host, port }
  }
  return null
}

const units: Readonly<Record<string, number>> = {
  b: 1,
  bytes: 1,
  KB: 1e3,
  k: 1024,
  KiB: 1024,
  MB: 1e6,
  M: 1024 ** 2,
  MiB: 1024 ** 2,
  GB: 1e9,
  G: 1024 ** 3,
  GiB: 1024 ** 3,
  TB: 1e12,
  T: 1024 ** 4,
  TiB: 1024 ** 4
}

/** Whole MiB, upwards: that is what QEMU is given. */
const mebibytes = (of: Xml.Element | undefined): number =>
  Math.ceil((Number(Xml.textOf(of) ?? "0") * (units[Xml.attribute(of, "unit") ?? "KiB"] ?? 1024)) / 1024 ** 2)

/**
 * What can drift of a domain, from its XML: of one that runs, or of a definition. vCPUs are those that are online.
 *
 * @since 0.3.0 @category getters
 */
export const shape = (domain: Xml.Element): DomainShape => {
  const vcpu = Xml.child(domain, "vcpu")
  return {
    title: title(domain) ?? null,
    cpu: Number(Xml.attribute(vcpu, "current") ?? Xml.textOf(vcpu) ?? "1"),
    ram: mebibytes(Xml.child(domain, "memory")),
    disks: disks(domain).map(({ path, rbd, serial, target }) => ({ target, source: rbd ?? path, serial })),
    nics: nics(domain).map(({ link, mac, source }) => ({ mac, source, link }))
  }
}

/**
 * A definition with another title, number of vCPUs and memory (MiB), all else as it is; what says which vCPUs are plugged and how the
 * balloon is filled goes, since it was said of other numbers.
 *
 * @since 0.3.0 @category combinators
 */
export const reshape = (
  domain: Xml.Element,
  to: { readonly title: string; readonly cpu: number; readonly ram: number }
): Xml.Element => {
  const { current: _, ...placement } = Xml.child(domain, "vcpu")?.attributes ?? {}
  const shaped = [
    Xml.element("title", {}, [to.title]),
    Xml.element("memory", { ...Xml.child(domain, "memory")?.attributes, unit: "MiB" }, [to.ram]),
    Xml.element("currentMemory", { unit: "MiB" }, [to.ram]),
    Xml.element("vcpu", placement, [to.cpu])
  ]
  const replaced = new Set(["vcpus", ...shaped.map(({ name }) => name)])
  return {
    ...domain,
    children: [...shaped, ...domain.children.filter((node) => typeof node === "string" || !replaced.has(node.name))]
  }
}
