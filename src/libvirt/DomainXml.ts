/**
 * The XML of a VM's libvirt domain.
 *
 * @since 0.1.0
 */
import type { HostFacts } from "../domain/Host.ts"
import type { DomainSpec, DomainState } from "../services/Hypervisor.ts"
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

/**
 * A domain for `DOMAIN_DEFINE_XML_FLAGS`, made for `facts.arch` and `facts.domainType` of the host it is defined on. Every value
 * goes through the tree; nothing given by a user becomes an element or an attribute's name.
 *
 * @since 0.1.0 @category constructors
 */
export const build = (spec: DomainSpec, facts: HostFacts): Xml.Element => {
  const { element } = Xml
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
    cpu(facts),
    element("clock", { offset: "utc" }),
    element("on_poweroff", {}, ["destroy"]),
    element("on_reboot", {}, ["restart"]),
    element("on_crash", {}, ["destroy"]),
    element("devices", {}, [
      element("disk", { type: "file", device: "disk" }, [
        element("driver", { name: "qemu", type: spec.root.format, discard: "unmap" }),
        element("source", { file: spec.root.path }),
        element("target", { dev: "vda", bus: "virtio" }),
        element("serial", {}, [spec.root.serial]),
        element("boot", { order: 1 })
      ]),
      facts.network === null ? null : nic(spec.mac, facts.network),
      element("serial", { type: "pty" }, [
        element("log", { file: serialLog(spec.domainName), append: "on" }),
        element("target", { port: 0 })
      ]),
      element("console", { type: "pty" }, [element("target", { type: "serial", port: 0 })]),
      element("channel", { type: "unix" }, [element("target", { type: "virtio", name: "org.qemu.guest_agent.0" })]),
      // a socket in libvirt's own folder: a port on loopback would be open to every local user of the host
      element("graphics", { type: "vnc" }, [element("listen", { type: "socket" })]),
      element("video", {}, [element("model", { type: x86 ? "vga" : "virtio" })]),
      element("memballoon", { model: "virtio" }),
      element("rng", { model: "virtio" }, [element("backend", { model: "random" }, ["/dev/urandom"])])
    ])
  ])
}

const nic = (mac: string, network: string): Xml.Element =>
  Xml.element("interface", { type: "network" }, [
    Xml.element("mac", { address: mac }),
    Xml.element("source", { network }),
    Xml.element("model", { type: "virtio" })
  ])

// With KVM the host's own model: nearly all of its speed, and unlike host-passthrough libvirt writes down what the guest really got
// when it starts, so that a migration can be checked against the target. In software a fixed model, for the same reason, and the oldest
// that still is an x86-64-v2, which today's distributions are built for; TCG emulates all of it (`check` none: it has a few of its
// own features besides).
const cpu = (facts: HostFacts): Xml.Element | null => {
  if (facts.domainType === "kvm") return Xml.element("cpu", { mode: "host-model", check: "partial" })
  if (facts.arch !== "x86_64") return null
  return Xml.element("cpu", { mode: "custom", match: "exact", check: "none" }, [
    Xml.element("model", { fallback: "forbid" }, ["Nehalem"])
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

/** A disk as the domain has it now. @since 0.1.0 @category models */
export interface Disk {
  /** `vda` */
  readonly target: string
  /** the file or device; null for anything else (an empty drive, a network disk) */
  readonly path: string | null
  readonly format: string | null
  readonly serial: string | null
  /** the images below it as a running domain shows them, nearest first */
  readonly backing: ReadonlyArray<string>
}

/** @since 0.1.0 @category getters */
export const disks = (domain: Xml.Element): ReadonlyArray<Disk> =>
  Xml.children(Xml.child(domain, "devices") ?? Xml.element("devices"), "disk").map((disk) => ({
    target: Xml.attribute(Xml.child(disk, "target"), "dev") ?? "",
    path: sourcePath(disk),
    format: Xml.attribute(Xml.child(disk, "driver"), "type") ?? null,
    serial: Xml.textOf(Xml.child(disk, "serial")) ?? null,
    backing: backing(disk)
  }))

const sourcePath = (disk: Xml.Element): string | null => {
  const source = Xml.child(disk, "source")
  return Xml.attribute(source, "file") ?? Xml.attribute(source, "dev") ?? null
}

const backing = (layer: Xml.Element): ReadonlyArray<string> => {
  const below = Xml.child(layer, "backingStore")
  if (below === undefined) return []
  const path = sourcePath(below)
  return path === null ? [] : [path, ...backing(below)]
}
