/**
 * Domains as the QEMU driver of libvirt 9.0.0 keeps them.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Xml from "../libvirt/Xml.ts"
import { readHeader } from "./HostFiles.ts"
import { type HostState, newUuid, type SimulatedDomain, state } from "./HostState.ts"
import * as Metadata from "./Metadata.ts"
import { print } from "./PrintXml.ts"
import { code, errno, from, malformed, refuse, Refusal, systemError } from "./Refusal.ts"

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

/** KiB of memory a definition asks for. @since 0.1.0 @category getters */
export const memoryOf = (definition: Xml.Element): number => kibibytes(Xml.child(definition, "memory")) ?? 0

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
  const seen = new Map<string, string>()
  for (const disk of disksOf(root)) {
    const target = Xml.attribute(Xml.child(disk, "target"), "dev")
    const source = diskFile(disk) ?? ""
    if (target === undefined) {
      return Either.left(refuse(code.noTarget, from.domain, source))
    }
    const other = seen.get(target)
    if (other !== undefined) return bad(`target '${target}' duplicated for disk sources '${other}' and '${source}'`)
    seen.set(target, source)
  }
  for (const nic of Xml.children(Xml.child(root, "devices") ?? Xml.element("devices"), "interface")) {
    const mac = Xml.attribute(Xml.child(nic, "mac"), "address")
    if (mac !== undefined && !/^([0-9a-f]{1,2}:){5}[0-9a-f]{1,2}$/i.test(mac)) {
      return bad(`unable to parse mac address '${mac}'`)
    }
    if (mac !== undefined && (Number.parseInt(mac, 16) & 1) === 1) {
      return bad(`expected unicast mac address, found multicast '${mac}'`)
    }
  }
  return Either.right({ name, uuid, definition: complete(root, { type, uuid, memory, vcpus }) })
}

const dashed = (uuid: string): string => {
  const hex = uuid.toLowerCase().replaceAll("-", "")
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

const complete = (
  root: Xml.Element,
  facts: { readonly type: string; readonly uuid: string; readonly memory: number; readonly vcpus: number }
): Xml.Element => {
  const osType = Xml.find(root, "os", "type")
  const machine = Xml.attribute(osType, "machine") ?? "pc"
  const os = Xml.element("os", {}, [
    leaf("type", Xml.textOf(osType) ?? "hvm", {
      arch: Xml.attribute(osType, "arch") ?? "x86_64",
      machine: machine === "pc" ? "pc-i440fx-7.2" : machine === "q35" ? "pc-q35-7.2" : machine
    }),
    ...Xml.children(Xml.child(root, "os") ?? Xml.element("os")).filter((node) => node.name !== "type"),
    ...(Xml.find(root, "os", "boot") === undefined ? [Xml.element("boot", { dev: "hd" })] : [])
  ])
  const given = Xml.child(root, "devices") ?? Xml.element("devices")
  const devices = Xml.element("devices", {}, [
    ...(Xml.child(given, "emulator") === undefined ? [leaf("emulator", "/usr/bin/qemu-system-x86_64")] : []),
    ...Xml.children(given)
  ])
  const current = kibibytes(Xml.child(root, "currentMemory")) ?? facts.memory
  const fixed: ReadonlyArray<Xml.Element> = [
    leaf("uuid", facts.uuid),
    leaf("memory", String(facts.memory), { unit: "KiB" }),
    leaf("currentMemory", String(Math.min(current, facts.memory)), { unit: "KiB" }),
    leaf("vcpu", String(facts.vcpus), { placement: "static" }),
    os,
    devices
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
  return Xml.element(
    "domain",
    { type: facts.type },
    [...fixed, ...defaults, ...rest].sort((a, b) => rank(a.name) - rank(b.name))
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
    const domain: SimulatedDomain = {
      name,
      uuid,
      persistent: definition,
      live: null,
      state: state.shutoff,
      reason: 0,
      autostart: false
    }
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

const disksOf = (definition: Xml.Element): ReadonlyArray<Xml.Element> =>
  Xml.children(Xml.child(definition, "devices") ?? Xml.element("devices"), "disk")

const diskFile = (disk: Xml.Element): string | undefined => Xml.attribute(Xml.child(disk, "source"), "file")

// QEMU is given whole MiB
const roundedUp = (definition: Xml.Element): Xml.Element => ({
  ...definition,
  children: definition.children.map((node) =>
    typeof node !== "string" && (node.name === "memory" || node.name === "currentMemory")
      ? leaf(node.name, String(Math.ceil(Number(Xml.textOf(node)) / 1024) * 1024), { unit: "KiB" })
      : node
  )
})

const checkDisks = (host: HostState, definition: Xml.Element): Answer<void> => {
  for (const disk of disksOf(definition)) {
    const path = diskFile(disk)
    if (path === undefined) continue
    const visited = new Set<string>()
    for (let at: string | undefined = path; at !== undefined;) {
      const file = host.files.files.get(at)
      if (file === undefined) {
        return Either.left(
          systemError(
            from.storage,
            errno.ENOENT,
            at === path
              ? `Cannot access storage file '${at}' (as uid:0, gid:0)`
              : `Cannot access backing file '${at}' of storage file '${path}' (as uid:0, gid:0)`
          )
        )
      }
      visited.add(at)
      const header = readHeader(file)
      // a disk given as raw is not looked into
      const format: string | undefined = at === path ? Xml.attribute(Xml.child(disk, "driver"), "type") : header.format
      at = format === "raw" ? undefined : header.backing?.path
      if (at !== undefined && visited.has(at)) {
        return Either.left(refuse(code.internal, from.storage, `backing store for ${path} is self-referential`))
      }
    }
  }
  return Either.right(undefined)
}

const checkNetworks = (host: HostState, definition: Xml.Element): Answer<void> => {
  for (const nic of Xml.children(Xml.child(definition, "devices") ?? Xml.element("devices"), "interface")) {
    if (Xml.attribute(nic, "type") !== "network") continue
    const name = Xml.attribute(Xml.child(nic, "source"), "network") ?? ""
    const network = [...host.networks.values()].find((network) => network.name === name)
    if (network === undefined) {
      return Either.left(refuse(code.noNetwork, from.network, `no network with matching name '${name}'`))
    }
    if (!network.active) {
      return Either.left(refuse(code.operationInvalid, from.network, `network '${name}' is not active`))
    }
  }
  return Either.right(undefined)
}

/** Bytes of memory that no running guest has. @since 0.1.0 @category getters */
export const freeMemory = (host: HostState): number => {
  let taken = 0
  for (const { live } of host.domains.values()) if (live !== null) taken += memoryOf(live.definition) * 1024
  return Math.max(0, host.machine.memory - taken)
}

/**
 * DOMAIN_CREATE_WITH_FLAGS (1: paused). The guest's own boot is the caller's: `running` is told as soon as QEMU runs.
 *
 * @since 0.1.0 @category procedures
 */
export const start = (host: HostState, domain: SimulatedDomain, flags: number): Answer<void> => {
  if (domain.live !== null) return Either.left(refuse(code.operationInvalid, from.qemu, "domain is already running"))
  const definition = domain.persistent
  if (definition === null) return Either.left(refuse(code.operationInvalid, from.qemu, "domain is transient"))
  const ready = checkNetworks(host, definition).pipe(
    Either.flatMap(() => checkDisks(host, definition)),
    Either.flatMap(() =>
      memoryOf(definition) * 1024 > freeMemory(host)
        ? Either.left(
            refuse(
              code.internal,
              from.qemu,
              "qemu unexpectedly closed the monitor: qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory"
            )
          )
        : Either.right(undefined)
    )
  )
  if (Either.isLeft(ready)) domain.reason = 6
  return Either.map(ready, () => {
    const paused = (flags & 1) === 1
    domain.live = { id: host.nextId++, definition: roundedUp(definition), serial: [], started: host.now() }
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

/** The machine loses power: nobody is told, and transient domains are gone. @since 0.1.0 @category procedures */
export const losePower = (host: HostState): void => {
  for (const domain of host.domains.values()) {
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

/** DOMAIN_GET_XML_DESC; flag 2: the persistent definition of a running domain. @since 0.1.0 @category procedures */
export const xmlOf = (domain: SimulatedDomain, flags: number): string => {
  const live = (flags & 2) === 2 && domain.persistent !== null ? null : domain.live
  if (live === null) return print(domain.persistent ?? definitionOf(domain))
  const counters = new Map<string, number>()
  const alias = (node: Xml.Element): Xml.Element => {
    const kind =
      node.name === "interface"
        ? "net"
        : node.name === "disk"
          ? `${Xml.attribute(Xml.child(node, "target"), "bus") ?? "virtio"}-disk`
          : node.name
    if (node.name === "emulator" || Xml.child(node, "alias") !== undefined) return node
    const number = counters.get(kind) ?? 0
    counters.set(kind, number + 1)
    return { ...node, children: [...node.children, Xml.element("alias", { name: `${kind}${number}` })] }
  }
  return print({
    ...live.definition,
    attributes: { ...live.definition.attributes, id: String(live.id) },
    children: live.definition.children.map((node) =>
      typeof node !== "string" && node.name === "devices" ? { ...node, children: Xml.children(node).map(alias) } : node
    )
  })
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
    cpuTime: domain.live === null ? 0 : Math.max(0, host.now() - domain.live.started) * 10_000
  }
}

/** Bytes of the first disk as the guest sees it; undefined: it has none. @since 0.1.0 @category getters */
export const rootDiskSize = (host: HostState, definition: Xml.Element): number | undefined => {
  const disk = disksOf(definition)[0]
  const file = host.files.files.get((disk === undefined ? undefined : diskFile(disk)) ?? "")
  if (file === undefined || disk === undefined) return undefined
  return Xml.attribute(Xml.child(disk, "driver"), "type") === "raw" ? file.size : readHeader(file).virtualSize
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
