/**
 * Domains as the QEMU driver of libvirt 9.0.0 keeps them.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import type { ParameterValue } from "../libvirt/Structs.ts"
import * as Xml from "../libvirt/Xml.ts"
import * as Definitions from "./Definitions.ts"
import * as Disks from "./Disks.ts"
import { type HostState, newUuid, type OpenDisk, type SimulatedDomain, state } from "./HostState.ts"
import * as Metadata from "./Metadata.ts"
import * as Nics from "./Nics.ts"
import * as Pci from "./Pci.ts"
import { print } from "./PrintXml.ts"
import * as Usage from "./Usage.ts"
import * as Screens from "./Screens.ts"
import * as SerialLine from "./SerialLine.ts"
import * as SerialLogs from "./SerialLogs.ts"
import { code, from, malformed, refuse, Refusal } from "./Refusal.ts"

/** What the wire calls a domain; the daemon looks at `uuid` only. @since 0.1.0 @category models */
export interface DomainRef {
  readonly name: string
  /** lower case with dashes */
  readonly uuid: string
  readonly id: number
}

type Answer<A> = Either.Either<A, Refusal>

/** @since 0.1.0 @category getters */
export const refOf = (domain: SimulatedDomain): DomainRef => ({
  name: domain.name,
  uuid: domain.uuid,
  id: domain.live?.id ?? -1
})

const tell = (host: HostState, domain: SimulatedDomain, event: number, detail: number, id?: number): void =>
  host.emit({
    _tag: "DomainLifecycle",
    domain: { ...refOf(domain), ...(id === undefined ? {} : { id }) },
    event,
    detail
  })

/** @since 0.1.0 @category lookups */
export const find = (host: HostState, ref: DomainRef): Answer<SimulatedDomain> => {
  const domain = host.domains.get(ref.uuid)
  return domain === undefined
    ? Either.left(
        refuse(
          code.noDomain,
          from.qemu,
          `no domain with matching uuid '${ref.uuid}'${ref.name === "" ? "" : ` (${ref.name})`}`
        )
      )
    : Either.right(domain)
}

/** @since 0.1.0 @category lookups */
export const byName = (host: HostState, name: string): Answer<SimulatedDomain> => {
  const domain = [...host.domains.values()].find((domain) => domain.name === name)
  return domain === undefined
    ? Either.left(refuse(code.noDomain, from.qemu, `no domain with matching name '${name}'`))
    : Either.right(domain)
}

/** @since 0.1.0 @category lookups */
export const byUuid = (host: HostState, uuid: string): Answer<SimulatedDomain> => find(host, { name: "", uuid, id: -1 })

/** @since 0.1.0 @category lookups */
export const byId = (host: HostState, id: number): Answer<SimulatedDomain> => {
  const domain = [...host.domains.values()].find((domain) => domain.live?.id === id)
  return domain === undefined
    ? Either.left(refuse(code.noDomain, from.qemu, `no domain with matching id ${id}`))
    : Either.right(domain)
}

// ------------------------------------------------------------------------------------------------------------- definition

const units: Readonly<Record<string, number>> = {
  b: 1,
  bytes: 1,
  KB: 1000,
  k: 1024,
  KiB: 1024,
  MB: 1e6,
  M: 1024 ** 2,
  MiB: 1024 ** 2,
  GB: 1e9,
  G: 1024 ** 3,
  GiB: 1024 ** 3
}

const kibibytes = (of: Xml.Element | undefined): number | undefined => {
  const value = Number(Xml.textOf(of) ?? "")
  const unit = units[Xml.attribute(of, "unit") ?? "KiB"]
  return of === undefined || unit === undefined || !Number.isSafeInteger(value)
    ? undefined
    : Math.ceil((value * unit) / 1024)
}

/** Asked of all guests of a host at every start of one. */
const memories = new WeakMap<Xml.Element, number>()

/** KiB of memory a definition asks for. @since 0.1.0 @category getters */
export const memoryOf = (definition: Xml.Element): number => {
  const known = memories.get(definition)
  if (known !== undefined) return known
  const memory = kibibytes(Xml.child(definition, "memory")) ?? 0
  memories.set(definition, memory)
  return memory
}

/** @since 0.1.0 @category getters */
export const vcpusOf = (definition: Xml.Element): number => Number(Xml.textOf(Xml.child(definition, "vcpu")) ?? "1")

const uuidPattern = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i

// the order in which libvirt prints what stands directly in <domain>
const order = [
  "name",
  "uuid",
  "genid",
  "title",
  "description",
  "metadata",
  "maxMemory",
  "memory",
  "currentMemory",
  "memoryBacking",
  "vcpu",
  "iothreads",
  "cputune",
  "resource",
  "sysinfo",
  "os",
  "features",
  "cpu",
  "clock",
  "on_poweroff",
  "on_reboot",
  "on_crash",
  "pm",
  "devices",
  "seclabel"
]

const rank = (name: string): number => {
  const at = order.indexOf(name)
  return at === -1 ? order.length : at
}

const leaf = (name: string, text: string, attributes: Readonly<Record<string, string>> = {}): Xml.Element =>
  Xml.element(name, attributes, [text])

/** Parses and completes a domain's XML as `virDomainDefParse` does, or says what it does not accept. */
const parseDefinition = (
  host: HostState,
  xml: string
): Answer<{ readonly name: string; readonly uuid: string; readonly definition: Xml.Element }> => {
  const parsed = Xml.parse(xml)
  if (Either.isLeft(parsed)) {
    return Either.left(malformed(from.domain, "domain_definition", xml, parsed.left.reason))
  }
  const root = parsed.right
  const bad = (detail: string) => Either.left(refuse(code.xml, from.domain, detail))
  if (root.name !== "domain") {
    return Either.left(refuse(code.xml, from.xml, `expecting root element of 'domain', not '${root.name}'`))
  }
  const name = Xml.textOf(Xml.child(root, "name")) ?? ""
  if (name === "") {
    return Either.left(
      new Refusal({
        code: code.noName,
        domain: from.domain,
        message: "missing name information",
        str1: "missing name information",
        str2: null,
        int1: -1
      })
    )
  }
  if (name.includes("/")) return bad(`name ${name} cannot contain '/'`)
  if (name.includes("\n")) return bad(`name ${name} cannot contain '\\n'`)
  const givenUuid = Xml.textOf(Xml.child(root, "uuid"))
  if (givenUuid !== undefined && !uuidPattern.test(givenUuid)) {
    return Either.left(refuse(code.internal, from.domain, "malformed uuid element"))
  }
  const uuid = givenUuid === undefined ? newUuid(host.random) : dashed(givenUuid)
  const title = Xml.textOf(Xml.child(root, "title"))
  if (title?.includes("\n") === true) return bad("Domain title can't contain newlines")
  const type = Xml.attribute(root, "type")
  if (type === undefined) return Either.left(refuse(code.internal, from.domain, "missing domain type attribute"))
  if (type !== "qemu" && type !== "kvm") {
    return Either.left(refuse(code.unsupported, from.domain, `invalid domain type ${type}`))
  }
  const memoryElement = Xml.child(root, "memory")
  const memory = kibibytes(memoryElement)
  if (memoryElement !== undefined && memory === undefined) {
    return Either.left(
      refuse(
        code.xml,
        from.xml,
        `Invalid value '${Xml.textOf(memoryElement) ?? ""}' for element or attribute './memory[1]'`
      )
    )
  }
  if (memory === undefined || memory === 0)
    return bad("Memory size must be specified via <memory> or in the <numa> configuration")
  const vcpus = Number(Xml.textOf(Xml.child(root, "vcpu")) ?? "1")
  if (!Number.isSafeInteger(vcpus) || vcpus < 0) return bad("maximum vcpus count must be an integer")
  if (vcpus === 0) {
    return Either.left(refuse(code.internal, from.domain, "CPU IDs in <numa> exceed the <vcpu> count"))
  }
  if (vcpus > 255) {
    return Either.left(
      refuse(code.unsupported, from.qemu, `Maximum CPUs greater than specified machine type limit 255`)
    )
  }
  const osType = Xml.find(root, "os", "type")
  if (Xml.textOf(osType) === undefined) return bad("an os <type> must be specified")
  if (type === "kvm" && !host.machine.kvm) {
    return Either.left(
      refuse(code.invalidArg, from.none, "could not get preferred machine for /usr/bin/qemu-system-x86_64 type=kvm")
    )
  }
  const disks: Array<Xml.Element> = []
  for (const given of Xml.children(devicesElement(root), "disk")) {
    const disk = Disks.parse(given, true)
    if (Either.isLeft(disk)) return Either.left(disk.left)
    const other = disks.find((other) => Disks.targetOf(other) === Disks.targetOf(disk.right))
    if (other !== undefined) return Either.left(Disks.duplicated(other, disk.right))
    disks.push(disk.right)
  }
  const nics = new Map<Xml.Element, Xml.Element>()
  for (const given of Xml.children(devicesElement(root), "interface")) {
    const nic = Nics.parse(host, given)
    if (Either.isLeft(nic)) return Either.left(nic.left)
    nics.set(given, nic.right)
  }
  const definition = complete(root, { type, uuid, memory, vcpus, disks, nics })
  const misplaced = Pci.misplacedRoot(devicesOf(definition), machineOf(definition))
  if (misplaced !== undefined) return Either.left(refuse(code.xml, from.qemu, misplaced))
  const aliases = devicesOf(definition).flatMap((device) => Disks.aliasOf(device) ?? [])
  const twice = aliases.find((alias, at) => aliases.indexOf(alias) !== at)
  return twice === undefined
    ? Either.right({ name, uuid, definition })
    : Either.left(refuse(code.unsupported, from.domain, `non unique alias detected: ${twice}`))
}

const dashed = (uuid: string): string => {
  const hex = uuid.toLowerCase().replaceAll("-", "")
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

const devicesElement = (definition: Xml.Element): Xml.Element =>
  Xml.child(definition, "devices") ?? Xml.element("devices")

/** @since 0.2.0 @category getters */
export const devicesOf = (definition: Xml.Element): ReadonlyArray<Xml.Element> =>
  Xml.children(devicesElement(definition))

/** As the definition names it, as `pc-q35-7.2`. @since 0.2.0 @category getters */
export const machineOf = (definition: Xml.Element): string =>
  Xml.attribute(Xml.find(definition, "os", "type"), "machine") ?? ""

// the order in which libvirt prints what stands in <devices>
const deviceOrder = [
  "emulator",
  "disk",
  "controller",
  "lease",
  "filesystem",
  "interface",
  "smartcard",
  "serial",
  "parallel",
  "console",
  "channel",
  "input",
  "tpm",
  "graphics",
  "sound",
  "audio",
  "video",
  "hostdev",
  "redirdev",
  "redirfilter",
  "hub",
  "watchdog",
  "memballoon",
  "rng",
  "nvram",
  "panic",
  "shmem",
  "memory",
  "iommu",
  "vsock"
]

const deviceRank = (device: Xml.Element): number => {
  const at = deviceOrder.indexOf(device.name)
  return at === -1 ? deviceOrder.length : at
}

/** The definition with other devices. @since 0.2.0 @category combinators */
export const replaceDevices = (definition: Xml.Element, devices: ReadonlyArray<Xml.Element>): Xml.Element => ({
  ...definition,
  children: definition.children.map((node) =>
    typeof node !== "string" && node.name === "devices" ? Xml.element("devices", {}, devices) : node
  )
})

/** In the order in which libvirt prints them. @since 0.6.0 @category combinators */
export const inOrder = (devices: ReadonlyArray<Xml.Element>): ReadonlyArray<Xml.Element> =>
  [...devices].sort((a, b) => deviceRank(a) - deviceRank(b))

/** The definition with other devices, each in its slot. @since 0.2.0 @category combinators */
export const withDevices = (definition: Xml.Element, devices: ReadonlyArray<Xml.Element>): Xml.Element =>
  replaceDevices(definition, inOrder(Pci.complete(devices, machineOf(definition))))

const usersAlias = (device: Xml.Element): Xml.Element => ({
  ...device,
  children: device.children.filter(
    (node) => typeof node === "string" || node.name !== "alias" || (Xml.attribute(node, "name") ?? "").startsWith("ua-")
  )
})

const complete = (
  root: Xml.Element,
  facts: {
    readonly type: string
    readonly uuid: string
    readonly memory: number
    readonly vcpus: number
    readonly disks: ReadonlyArray<Xml.Element>
    /** as they are kept, by what was given */
    readonly nics: ReadonlyMap<Xml.Element, Xml.Element>
  }
): Xml.Element => {
  const osType = Xml.find(root, "os", "type")
  const machine = Xml.attribute(osType, "machine") ?? "pc"
  const given = devicesOf(root)
  const has = (name: string) => given.some((device) => device.name === name)
  const os = Xml.element("os", {}, [
    leaf("type", Xml.textOf(osType) ?? "hvm", {
      arch: Xml.attribute(osType, "arch") ?? "x86_64",
      machine: machine === "pc" ? "pc-i440fx-7.2" : machine === "q35" ? "pc-q35-7.2" : machine
    }),
    ...Xml.children(Xml.child(root, "os") ?? Xml.element("os")).filter((node) => node.name !== "type"),
    ...(Xml.find(root, "os", "boot") === undefined && !given.some((device) => Xml.child(device, "boot") !== undefined)
      ? [Xml.element("boot", { dev: "hd" })]
      : [])
  ])
  const devices = [
    ...(has("emulator") ? [] : [leaf("emulator", "/usr/bin/qemu-system-x86_64")]),
    ...facts.disks.reduce<ReadonlyArray<Xml.Element>>(Disks.insert, []),
    ...given.filter(({ name }) => name !== "disk").map((device) => usersAlias(facts.nics.get(device) ?? device)),
    ...["mouse", "keyboard"]
      .filter((type) => !given.some((one) => one.name === "input" && Xml.attribute(one, "type") === type))
      .map((type) => Xml.element("input", { type, bus: "ps2" })),
    ...(has("audio") ? [] : [Xml.element("audio", { id: 1, type: "none" })]),
    ...(has("memballoon") ? [] : [Xml.element("memballoon", { model: "virtio" })])
  ]
  const current = kibibytes(Xml.child(root, "currentMemory")) ?? facts.memory
  const online = Number(Xml.attribute(Xml.child(root, "vcpu"), "current") ?? facts.vcpus)
  const fixed: ReadonlyArray<Xml.Element> = [
    leaf("uuid", facts.uuid),
    leaf("memory", String(facts.memory), { unit: "KiB" }),
    leaf("currentMemory", String(Math.min(current, facts.memory)), { unit: "KiB" }),
    leaf("vcpu", String(facts.vcpus), {
      placement: "static",
      ...(online < facts.vcpus ? { current: String(online) } : {})
    }),
    os,
    Xml.element("devices")
  ]
  const defaults = [
    Xml.element("clock", { offset: "utc" }),
    leaf("on_poweroff", "destroy"),
    leaf("on_reboot", "restart"),
    leaf("on_crash", "destroy")
  ].filter((node) => Xml.child(root, node.name) === undefined)
  const rest = Xml.children(root)
    .filter((node) => !fixed.some((made) => made.name === node.name))
    .map((node) => (node.name === "metadata" ? Metadata.sanitize(root, node) : node))
  return withDevices(
    Xml.element(
      "domain",
      { type: facts.type },
      [...fixed, ...defaults, ...rest].sort((a, b) => rank(a.name) - rank(b.name))
    ),
    devices
  )
}

/** DOMAIN_DEFINE_XML_FLAGS. @since 0.1.0 @category procedures */
export const define = (host: HostState, xml: string): Answer<SimulatedDomain> =>
  Either.flatMap(parseDefinition(host, xml), ({ definition, name, uuid }) => {
    const known = host.domains.get(uuid)
    if (known !== undefined && known.name !== name) {
      return Either.left(
        refuse(code.operationFailed, from.domain, `domain '${known.name}' is already defined with uuid ${uuid}`)
      )
    }
    const namesake = [...host.domains.values()].find((domain) => domain.name === name && domain.uuid !== uuid)
    if (namesake !== undefined) {
      return Either.left(
        refuse(code.operationFailed, from.domain, `domain '${name}' already exists with uuid ${namesake.uuid}`)
      )
    }
    if (known !== undefined) {
      known.persistent = definition
      tell(host, known, 0, 1)
      return Either.right(known)
    }
    const domain = Definitions.domain({
      name,
      uuid,
      persistent: definition,
      live: null,
      state: state.shutoff,
      reason: 0,
      autostart: false
    })
    host.domains.set(uuid, domain)
    tell(host, domain, 0, 0)
    return Either.right(domain)
  })

/** DOMAIN_UNDEFINE_FLAGS: a running domain goes on as a transient one. @since 0.1.0 @category procedures */
export const undefine = (host: HostState, domain: SimulatedDomain): Answer<void> => {
  if (domain.persistent === null) {
    return Either.left(refuse(code.operationInvalid, from.qemu, "cannot undefine transient domain"))
  }
  domain.persistent = null
  domain.autostart = false
  tell(host, domain, 1, 0)
  if (domain.live === null) host.domains.delete(domain.uuid)
  return Either.right(undefined)
}

// -------------------------------------------------------------------------------------------------------------- lifecycle

/** @since 0.7.0 @category predicates */
export const runsByKvm = (definition: Xml.Element): boolean => Xml.attribute(definition, "type") === "kvm"

/** One without disks that is not started anew when its firmware has found none. @since 0.7.0 @category predicates */
export const endsAtReboot = (definition: Xml.Element): boolean =>
  disksOf(definition).length === 0 &&
  Xml.textOf(Xml.child(definition, "on_reboot")) === "destroy" &&
  Xml.attribute(Xml.find(definition, "os", "bios"), "rebootTimeout") === "0"

const disksOf = (definition: Xml.Element): ReadonlyArray<Xml.Element> =>
  devicesOf(definition).filter(({ name }) => name === "disk")

// QEMU is given whole MiB
const roundedUp = (definition: Xml.Element): Xml.Element => ({
  ...definition,
  children: definition.children.map((node) =>
    typeof node !== "string" && (node.name === "memory" || node.name === "currentMemory")
      ? leaf(node.name, String(Math.ceil(Number(Xml.textOf(node)) / 1024) * 1024), { unit: "KiB" })
      : node
  )
})

const checkNetworks = (host: HostState, definition: Xml.Element): Answer<void> => {
  for (const nic of Xml.children(devicesElement(definition), "interface")) {
    const plugged = Nics.plug(host, nic)
    if (Either.isLeft(plugged)) return plugged
  }
  return Either.right(undefined)
}

/** Bytes of memory that no running guest has. @since 0.1.0 @category getters */
export const freeMemory = (host: HostState): number => {
  let taken = 0
  for (const { live } of host.domains.values()) if (live !== null) taken += memoryOf(live.definition) * 1024
  return Math.max(0, host.machine.memory - taken)
}

const enoughMemory = (host: HostState, definition: Xml.Element): Answer<void> =>
  memoryOf(definition) * 1024 > freeMemory(host)
    ? Either.left(
        refuse(
          code.internal,
          from.qemu,
          "qemu unexpectedly closed the monitor: qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory"
        )
      )
    : Either.right(undefined)

const counted = [
  "interface",
  "serial",
  "console",
  "channel",
  "input",
  "sound",
  "video",
  "memballoon",
  "rng",
  "watchdog"
]
const aliasNames: Readonly<Record<string, string>> = { interface: "net", memballoon: "balloon" }

const controllerAlias = (controller: Xml.Element): string => {
  const type = Xml.attribute(controller, "type") ?? ""
  const index = Xml.attribute(controller, "index") ?? "0"
  if (type === "usb" && index === "0") return "usb"
  if (type === "sata" && index === "0") return "ide"
  if (type !== "pci") return `${type}${index}`
  return Xml.attribute(controller, "model") === "pcie-root" ? "pcie.0" : `pci.${index}`
}

/** The devices with the names that QEMU knows them by; disks have got theirs when they were opened. */
const aliased = (devices: ReadonlyArray<Xml.Element>): ReadonlyArray<Xml.Element> => {
  const counts = new Map<string, number>()
  return devices.map((device) => {
    if (Disks.aliasOf(device) !== undefined) return device
    const count = counts.get(device.name) ?? 0
    counts.set(device.name, count + 1)
    const name =
      device.name === "controller"
        ? controllerAlias(device)
        : device.name === "console" && Xml.attribute(Xml.child(device, "target"), "type") === "serial"
          ? `serial${count}`
          : counted.includes(device.name)
            ? `${aliasNames[device.name] ?? device.name}${count}`
            : undefined
    if (name === undefined) return device
    const address = Xml.child(device, "address")
    return {
      ...device,
      children: [
        ...device.children.filter((node) => node !== address),
        Xml.element("alias", { name }),
        ...(address === undefined ? [] : [address])
      ]
    }
  })
}

const notOpened = (host: HostState, node: number, { problem, step, taken }: Disks.NotOpened): Refusal =>
  refuse(
    code.internal,
    from.qemu,
    `qemu unexpectedly closed the monitor: ${new Date(host.now()).toISOString()} qemu-system-x86_64: -${step} {"${
      step === "device" ? "drive" : "node-name"
    }":"libvirt-${node}-format"}: ${problem}${taken === undefined ? "" : `\nIs another process using the image [${taken}]?`}`
  )

/** Opens all disks, or none; the definition is the live one then. `given` is what each disk needs, in the same order. */
const openDisks = (
  host: HostState,
  definition: Xml.Element,
  disks: Map<string, OpenDisk>,
  given: ReadonlyArray<Disks.Needs>
): Answer<{ readonly definition: Xml.Element; readonly nextNode: number }> => {
  // libvirt counts its disks' images from the last disk to the first
  let nextNode = 1
  const nodes = new Map<number, number>()
  for (let at = given.length - 1; at >= 0; at--) {
    nodes.set(at, nextNode)
    nextNode += Disks.nodesOf(given[at]?.layers ?? [])
  }
  const shown = new Map<Xml.Element, Xml.Element>()
  for (const [at, disk] of disksOf(definition).entries()) {
    const node = nodes.get(at) ?? 0
    const opened = Disks.open(host, disks, disk, given[at] ?? { layers: [], key: undefined }, node)
    if (Either.isLeft(opened)) {
      for (const open of disks.values()) open.close()
      return Either.left(notOpened(host, node, opened.left))
    }
    shown.set(disk, opened.right)
  }
  const devices = devicesOf(definition).map((device) => shown.get(device) ?? device)
  return Either.right({ definition: replaceDevices(definition, aliased(devices)), nextNode })
}

/**
 * DOMAIN_CREATE_WITH_FLAGS (1: paused). The guest's own boot is the caller's: `running` is told as soon as QEMU runs.
 *
 * @since 0.1.0 @category procedures
 */
export const start = (host: HostState, domain: SimulatedDomain, flags: number): Answer<void> => {
  if (domain.live !== null) return Either.left(refuse(code.operationInvalid, from.qemu, "domain is already running"))
  const persistent = domain.persistent
  if (persistent === null) return Either.left(refuse(code.operationInvalid, from.qemu, "domain is transient"))
  const disks = new Map<string, OpenDisk>()
  const ready = Either.Do.pipe(
    Either.bind("keys", () => Either.all(disksOf(persistent).map((disk) => Disks.keyOf(host, disk)))),
    Either.bind("networks", () => checkNetworks(host, persistent)),
    Either.bind("layers", () => Either.all(disksOf(persistent).map((disk) => Disks.chainOf(host, disk)))),
    Either.bind("memory", () => enoughMemory(host, persistent)),
    Either.flatMap(({ keys, layers }) =>
      openDisks(
        host,
        roundedUp(persistent),
        disks,
        layers.map((layers, at) => ({ layers, key: keys[at] }))
      )
    )
  )
  if (Either.isLeft(ready)) domain.reason = 6
  return Either.map(ready, ({ definition, nextNode }) => {
    const paused = (flags & 1) === 1
    const id = host.nextId++
    const socket = Screens.socketOf(id, domain.name)
    const live = Definitions.live({
      id,
      definition: replaceDevices(
        definition,
        devicesOf(definition).map((device) => Screens.started(device, socket))
      ),
      serial: [],
      started: host.now(),
      disks,
      nics: new Set(
        devicesOf(definition).flatMap((device) => (device.name === "interface" ? [Nics.open(device)] : []))
      ),
      nextNode,
      clocked: !paused,
      guest: { phase: "booting", boots: 0, pressed: null, seen: new Map(), cards: new Map(), removals: new Map() }
    })
    domain.live = live
    // asked for at every other start there, when this one is packed
    sizeOf(live.definition)
    domain.state = paused ? state.paused : state.running
    domain.reason = 1
    if (!paused) tell(host, domain, 4, 0)
    tell(host, domain, 2, 0)
    if (paused) tell(host, domain, 3, 0)
  })
}

const notRunning = () => refuse(code.operationInvalid, from.domain, "domain is not running")

/** virDomainShutoffReason with what is told of it. */
const stop = (
  host: HostState,
  domain: SimulatedDomain,
  how: { readonly reason: number; readonly detail: number; readonly keepId: boolean }
): void => {
  const id = domain.live?.id ?? -1
  SerialLogs.flush(host, domain)
  for (const disk of domain.live?.disks.values() ?? []) {
    // a QEMU that died has not closed its disks
    if (how.reason === 3) host.abandon(disk)
    else disk.close()
  }
  SerialLine.stopped(domain.live)
  domain.live = null
  domain.state = state.shutoff
  domain.reason = how.reason
  tell(host, domain, 5, how.detail, how.keepId ? id : -1)
  if (domain.persistent === null) host.domains.delete(domain.uuid)
}

/** DOMAIN_DESTROY_FLAGS. @since 0.1.0 @category procedures */
export const destroy = (host: HostState, domain: SimulatedDomain): Answer<void> => {
  if (domain.live === null) return Either.left(notRunning())
  tell(host, domain, 6, 2)
  stop(host, domain, { reason: 2, detail: 1, keepId: false })
  return Either.right(undefined)
}

/** The guest turns itself off. @since 0.1.0 @category procedures */
export const powerOffByGuest = (host: HostState, domain: SimulatedDomain): void => {
  if (domain.live === null) return
  domain.state = state.shutdown
  domain.reason = 1
  tell(host, domain, 6, 1)
  stop(host, domain, { reason: 1, detail: 0, keepId: true })
}

/** QEMU dies. @since 0.1.0 @category procedures */
export const crash = (host: HostState, domain: SimulatedDomain): void => {
  if (domain.live !== null) stop(host, domain, { reason: 3, detail: 5, keepId: false })
}

/** A disk's storage fails under QEMU, which stops the guest until somebody resumes it. @since 0.3.0 @category procedures */
export const ioError = (host: HostState, domain: SimulatedDomain): void => {
  if (domain.live === null || domain.state !== state.running) return
  domain.state = state.paused
  domain.reason = 5
  tell(host, domain, 3, 2)
}

/** The daemon ends: how a stopped domain came to be so is not written down anywhere. @since 0.3.0 @category procedures */
export const forgetReasons = (host: HostState): void => {
  for (const domain of host.domains.values()) if (domain.live === null) domain.reason = 0
}

/** The machine loses power: nobody is told, and transient domains are gone. @since 0.1.0 @category procedures */
export const losePower = (host: HostState): void => {
  for (const domain of host.domains.values()) {
    SerialLogs.flush(host, domain)
    for (const disk of domain.live?.disks.values() ?? []) host.abandon(disk)
    SerialLine.stopped(domain.live)
    domain.live = null
    domain.state = state.shutoff
    domain.reason = 0
    if (domain.persistent === null) host.domains.delete(domain.uuid)
  }
  host.nextId = 1
}

/** DOMAIN_SUSPEND. @since 0.1.0 @category procedures */
export const suspend = (host: HostState, domain: SimulatedDomain): Answer<void> => {
  if (domain.live === null) return Either.left(notRunning())
  if (domain.state === state.running) {
    domain.state = state.paused
    domain.reason = 1
    tell(host, domain, 3, 0)
  }
  return Either.right(undefined)
}

/** DOMAIN_RESUME. @since 0.1.0 @category procedures */
export const resume = (host: HostState, domain: SimulatedDomain): Answer<void> => {
  if (domain.live === null) return Either.left(notRunning())
  if (domain.state === state.running) {
    return Either.left(refuse(code.operationInvalid, from.qemu, "domain is already running"))
  }
  domain.live.clocked = true
  domain.state = state.running
  domain.reason = 5
  tell(host, domain, 4, 0)
  return Either.right(undefined)
}

/** Whether it runs; `speaker` is who says that it does not. @since 0.1.0 @category procedures */
export const needLive = (domain: SimulatedDomain, speaker: number): Answer<void> =>
  domain.live === null
    ? Either.left(refuse(code.operationInvalid, speaker, "domain is not running"))
    : Either.right(undefined)

/**
 * Whether a guest can be asked for something by its power button. One that is paused can be asked to start anew, and does when it goes on; a
 * request to shut down is refused.
 *
 * @since 0.6.0 @category procedures
 */
export const needAwake = (domain: SimulatedDomain): Answer<void> =>
  domain.live === null || domain.state === state.paused
    ? Either.left(refuse(code.operationInvalid, from.qemu, "domain is not running"))
    : Either.right(undefined)

/** @since 0.1.0 @category procedures */
export const reset = (host: HostState, domain: SimulatedDomain): Answer<void> =>
  Either.map(needLive(domain, from.domain), () => host.emit({ _tag: "DomainReboot", domain: refOf(domain) }))

/** @since 0.1.0 @category procedures */
export const setAutostart = (domain: SimulatedDomain, on: boolean): Answer<void> => {
  if (domain.persistent === null) {
    return Either.left(refuse(code.operationInvalid, from.qemu, "cannot set autostart for transient domain"))
  }
  domain.autostart = on
  return Either.right(undefined)
}

// ---------------------------------------------------------------------------------------------------------------- looking

const definitionOf = (domain: SimulatedDomain): Xml.Element =>
  domain.live?.definition ?? domain.persistent ?? Xml.element("domain")

const withoutPasswords = (definition: Xml.Element): Xml.Element =>
  devicesOf(definition).some((device) => device.name === "graphics" && Xml.attribute(device, "passwd") !== undefined)
    ? replaceDevices(
        definition,
        devicesOf(definition).map((device) => {
          const { passwd: _, ...rest } = device.attributes
          return device.name === "graphics" ? { ...device, attributes: rest } : device
        })
      )
    : definition

/** DOMAIN_GET_XML_DESC; flag 1: with passwords; flag 2: the persistent definition of a running domain. @since 0.1.0 @category procedures */
export const xmlOf = (domain: SimulatedDomain, flags: number): string => {
  const live = (flags & 2) === 2 && domain.persistent !== null ? null : domain.live
  const shown = (definition: Xml.Element) => print((flags & 1) === 1 ? definition : withoutPasswords(definition))
  if (live === null) return shown(domain.persistent ?? definitionOf(domain))
  return shown({ ...live.definition, attributes: { ...live.definition.attributes, id: String(live.id) } })
}

/** DOMAIN_GET_INFO: KiB, nanoseconds. @since 0.1.0 @category procedures */
export const infoOf = (host: HostState, domain: SimulatedDomain) => {
  const definition = definitionOf(domain)
  const memory = memoryOf(definition)
  return {
    state: domain.state,
    maxMem: memory,
    memory: kibibytes(Xml.child(definition, "currentMemory")) ?? memory,
    nrVirtCpu: vcpusOf(definition),
    cpuTime: domain.live === null ? 0 : Usage.cpuTime(host, domain.live, vcpusOf(definition))
  }
}

/** Asked of all guests again and again: their definitions, which are packed, are not looked into each time. */
const sizes = new WeakMap<Xml.Element, Usage.Size>()

const sizeOf = (definition: Xml.Element): Usage.Size => {
  const known = sizes.get(definition)
  if (known !== undefined) return known
  const devices = devicesOf(definition)
  const balloon = devices.find(({ name }) => name === "memballoon")
  const size = {
    vcpus: vcpusOf(definition),
    memory: memoryOf(definition) * 1024,
    nics: devices.filter(({ name }) => name === "interface").length,
    reports: balloon !== undefined && Xml.child(balloon, "stats") !== undefined
  }
  sizes.set(definition, size)
  return size
}

/** What its guest does from now on, or once. @since 0.6.0 @category combinators */
export const work = (host: HostState, domain: SimulatedDomain, given: Usage.Work): void => {
  if (domain.live !== null) Usage.work(host, domain.live, sizeOf(domain.live.definition).vcpus, given)
}

/** CONNECT_GET_ALL_DOMAIN_STATS of one domain: its state, and what it uses while it runs. @since 0.3.0 @category procedures */
export const statsOf = (
  host: HostState,
  domain: SimulatedDomain,
  groups: number
): ReadonlyArray<{ readonly field: string; readonly value: ParameterValue }> => {
  const states = [
    { field: "state.state", value: { type: "int", value: domain.state } },
    { field: "state.reason", value: { type: "int", value: domain.reason } }
  ] as const
  const { live } = domain
  // asked for all the time of all: nothing is looked at for it
  if (groups === 1 || live === null) return (groups & 1) === 1 || groups === 0 ? states : []
  return [
    ...((groups & 1) === 1 || groups === 0 ? states : []),
    ...Usage.parameters(host, live, sizeOf(live.definition), groups)
  ]
}

/** CONNECT_LIST_ALL_DOMAINS with its filters. @since 0.1.0 @category procedures */
export const listAll = (host: HostState, flags: number): ReadonlyArray<SimulatedDomain> => {
  const groups = (domain: SimulatedDomain): ReadonlyArray<readonly [mask: number, bits: number]> => [
    [0x3, domain.live === null ? 0x2 : 0x1],
    [0xc, domain.persistent === null ? 0x8 : 0x4],
    [
      0xf0,
      domain.state === state.running
        ? 0x10
        : domain.state === state.paused
          ? 0x20
          : domain.state === state.shutoff
            ? 0x40
            : 0x80
    ],
    [0x300, 0x200],
    [0xc00, domain.autostart ? 0x400 : 0x800],
    [0x3000, 0x2000],
    [0xc000, 0x8000]
  ]
  return [...host.domains.values()].filter((domain) =>
    groups(domain).every(([mask, bits]) => (flags & mask) === 0 || (flags & bits) !== 0)
  )
}
