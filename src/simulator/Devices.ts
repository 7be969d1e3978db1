/**
 * Devices that come and go while a domain is there: disks and NICs.
 *
 * @since 0.2.0
 */
import * as Either from "effect/Either"
import * as Xml from "../libvirt/Xml.ts"
import * as Disks from "./Disks.ts"
import * as Domains from "./Domains.ts"
import type { Device, HostState, LiveDomain, SimulatedDomain } from "./HostState.ts"
import * as Nics from "./Nics.ts"
import * as Pci from "./Pci.ts"
import { code, from, malformed, refuse, type Refusal, unsupportedFlags } from "./Refusal.ts"

type Answer<A> = Either.Either<A, Refusal>

const no = (number: number, detail: string, speaker: number = from.domain) =>
  Either.left(refuse(number, speaker, detail))

interface Affected {
  readonly live: LiveDomain | null
  readonly config: Xml.Element | null
}

/** Flags LIVE 1, CONFIG 2; neither: whichever is current. */
const affected = (domain: SimulatedDomain, flags: number, procedure: string): Answer<Affected> => {
  const live = (flags & 3) === 0 ? domain.live !== null : (flags & 1) === 1
  const config = (flags & 3) === 0 ? domain.live === null : (flags & 2) === 2
  if (live && domain.live === null) return no(code.operationInvalid, "domain is not running")
  if (config && domain.persistent === null) {
    return no(code.operationInvalid, "transient domains do not have any persistent config")
  }
  const unsupported = unsupportedFlags(flags, 3, procedure)
  return unsupported === undefined
    ? Either.right({ live: live ? domain.live : null, config: config ? domain.persistent : null })
    : Either.left(unsupported)
}

const others = [
  "lease",
  "filesystem",
  "input",
  "sound",
  "watchdog",
  "video",
  "hostdev",
  "controller",
  "graphics",
  "hub",
  "redirdev",
  "smartcard",
  "rng",
  "parallel",
  "serial",
  "console",
  "channel",
  "memballoon",
  "nvram",
  "tpm",
  "panic",
  "memory",
  "iommu",
  "vsock",
  "audio",
  "shmem"
]

const parse = (host: HostState, xml: string, whole: boolean): Answer<Xml.Element> =>
  Xml.parse(xml).pipe(
    Either.mapLeft((error) => malformed(from.domain, "device_definition", xml, error.reason)),
    Either.flatMap((root): Answer<Xml.Element> => {
      if (root.name === "disk") return Disks.parse(root, whole)
      if (root.name === "interface") return Nics.parse(host, root)
      return others.includes(root.name)
        ? no(code.noSupport, `the simulated daemon attaches and detaches disks and NICs, no ${root.name}`, from.qemu)
        : no(code.unsupported, `unknown device type '${root.name}'`)
    })
  )

const disksOf = (definition: Xml.Element): ReadonlyArray<Xml.Element> =>
  Domains.devicesOf(definition).filter(({ name }) => name === "disk")

const nicsOf = (definition: Xml.Element): ReadonlyArray<Xml.Element> =>
  Domains.devicesOf(definition).filter(({ name }) => name === "interface")

const unique = (definition: Xml.Element, disk: Xml.Element): Answer<void> => {
  const alias = Disks.aliasOf(disk)
  return alias !== undefined && Domains.devicesOf(definition).some((device) => Disks.aliasOf(device) === alias)
    ? no(code.unsupported, `non unique alias detected: ${alias}`)
    : Either.right(undefined)
}

const addToConfig = (config: Xml.Element, disk: Xml.Element): Answer<Xml.Element> =>
  Either.flatMap(unique(config, disk), () => {
    if (disk.name === "interface") {
      return Either.right(Domains.withDevices(config, [...Domains.devicesOf(config), disk]))
    }
    const target = Disks.targetOf(disk)
    return disksOf(config).some((other) => Disks.targetOf(other) === target)
      ? no(code.operationInvalid, `target ${target} already exists`, from.qemu)
      : Either.right(Domains.withDevices(config, Disks.insert(Domains.devicesOf(config), disk)))
  })

const addToLive = (host: HostState, live: LiveDomain, disk: Xml.Element): Answer<Xml.Element> =>
  Either.Do.pipe(
    Either.bind("unique", () => unique(live.definition, disk)),
    Either.bind("layers", () => Disks.chainOf(host, disk)),
    Either.bind("placed", (): Answer<Xml.Element> => {
      const devices = Domains.devicesOf(live.definition)
      const other = disksOf(live.definition).find((other) => Disks.targetOf(other) === Disks.targetOf(disk))
      if (other !== undefined) return Either.left(Disks.duplicated(other, disk))
      const placed = Pci.place(disk, devices, Domains.machineOf(live.definition))
      return placed === undefined ? no(code.internal, "No more available PCI slots") : Either.right(placed)
    }),
    Either.bind("key", () => Disks.keyOf(host, disk)),
    Either.flatMap(({ key, layers, placed }) => {
      const node = live.nextNode
      live.nextNode += Disks.nodesOf(layers)
      return Either.mapLeft(Disks.open(host, live.disks, placed, { layers, key }, node), ({ problem, step }) =>
        refuse(
          code.internal,
          from.qemu,
          `unable to execute QEMU command '${step === "blockdev" ? "blockdev-add" : "device_add"}': ${problem}`
        )
      )
    })
  )

/** libvirt takes any number with the same address. */
const plugIn = (host: HostState, live: LiveDomain, nic: Xml.Element): Answer<Xml.Element> =>
  Either.Do.pipe(
    Either.bind("unique", () => unique(live.definition, nic)),
    Either.bind("plugged", () => Nics.plug(host, nic)),
    Either.flatMap((): Answer<Xml.Element> => {
      const devices = Domains.devicesOf(live.definition)
      const named =
        Disks.aliasOf(nic) === undefined
          ? { ...nic, children: [...nic.children, Xml.element("alias", { name: Nics.freeAlias(devices) })] }
          : nic
      const placed = Pci.place(named, devices, Domains.machineOf(live.definition))
      return placed === undefined ? no(code.internal, "No more available PCI slots") : Either.right(placed)
    }),
    Either.map((placed) => {
      live.nics.add(Nics.open(placed))
      return placed
    })
  )

/** DOMAIN_ATTACH_DEVICE_FLAGS: into both, or into neither. @since 0.2.0 @category procedures */
export const attach = (host: HostState, domain: SimulatedDomain, xml: string, flags: number): Answer<void> =>
  Either.Do.pipe(
    Either.bind("affected", () => affected(domain, flags, "qemuDomainAttachDeviceLiveAndConfig")),
    Either.bind("disk", () => parse(host, xml, true)),
    Either.bind("config", ({ affected: { config }, disk }) =>
      config === null ? Either.right(null) : addToConfig(config, disk)
    ),
    Either.bind("shown", ({ affected: { live }, disk }) =>
      live === null
        ? Either.right(null)
        : disk.name === "interface"
          ? plugIn(host, live, disk)
          : addToLive(host, live, disk)
    ),
    Either.map(({ affected: { live }, config, shown }) => {
      if (config !== null) domain.persistent = config
      if (live === null || shown === null) return
      const devices = Domains.devicesOf(live.definition)
      const more = shown.name === "disk" ? Disks.insert(devices, shown) : Domains.inOrder([...devices, shown])
      live.definition = Domains.replaceDevices(live.definition, more)
      tell(host, domain, "DeviceAdded", shown)
    })
  )

const tell = (
  host: HostState,
  domain: SimulatedDomain,
  what: "DeviceAdded" | "DeviceRemoved" | "DeviceRemovalFailed",
  device: Xml.Element
): void => host.emit({ _tag: what, domain: Domains.refOf(domain), alias: Disks.aliasOf(device) ?? "" })

/** How a call says which device it means. @since 0.2.0 @category models */
export type Which = { readonly _tag: "Xml"; readonly xml: string } | { readonly _tag: "Alias"; readonly alias: string }

const found = (
  host: HostState,
  definition: Xml.Element,
  which: Which,
  missing: (target: string) => string
): Answer<Xml.Element> => {
  if (which._tag === "Alias") {
    const device = Domains.devicesOf(definition).find((device) => Disks.aliasOf(device) === which.alias)
    if (device === undefined) return no(code.internal, `no device found with alias ${which.alias}`)
    return device.name === "disk" || device.name === "interface"
      ? Either.right(device)
      : no(code.noSupport, `the simulated daemon detaches disks and NICs, no ${device.name}`, from.qemu)
  }
  return Either.flatMap(parse(host, which.xml, false), (given) => {
    if (given.name === "interface") return Nics.named(nicsOf(definition), given)
    const target = Disks.targetOf(given)
    const disk = disksOf(definition).find((disk) => Disks.targetOf(disk) === target)
    return disk === undefined ? no(code.deviceMissing, missing(target), from.qemu) : Either.right(disk)
  })
}

/** QEMU takes a second request once its clock has moved on from the first; that of a domain started paused stands at its beginning. */
const askable = (live: LiveDomain, disk: Xml.Element): Answer<Device | null> => {
  const open =
    disk.name === "disk"
      ? live.disks.get(Disks.targetOf(disk))
      : [...live.nics].find(({ alias }) => alias === Disks.aliasOf(disk))
  return open !== undefined && !live.clocked && live.guest.removals.has(open)
    ? no(
        code.internal,
        `unable to execute QEMU command 'device_del': Device ${Disks.aliasOf(disk)} is already in the process of unplug`,
        from.qemu
      )
    : Either.right(open ?? null)
}

/**
 * DOMAIN_DETACH_DEVICE_FLAGS and DOMAIN_DETACH_DEVICE_ALIAS. Out of the definition it is at once; the device that the running guest has to
 * be asked for is the answer.
 *
 * @since 0.2.0 @category procedures
 */
export const detach = (host: HostState, domain: SimulatedDomain, which: Which, flags: number): Answer<Device | null> =>
  Either.Do.pipe(
    Either.bind("affected", () =>
      affected(
        domain,
        flags,
        which._tag === "Xml" ? "qemuDomainDetachDeviceLiveAndConfig" : "qemuDomainDetachDeviceAliasLiveAndConfig"
      )
    ),
    Either.bind("config", ({ affected: { config } }) =>
      config === null
        ? Either.right(null)
        : Either.map(
            found(host, config, which, (target) => `no target device ${target}`),
            (disk) =>
              Domains.replaceDevices(
                config,
                Domains.devicesOf(config).filter((device) => device !== disk)
              )
          )
    ),
    Either.bind("disk", ({ affected: { live } }) =>
      live === null
        ? Either.right(null)
        : Either.flatMap(
            found(host, live.definition, which, (target) => `disk ${target} not found`),
            (disk) => askable(live, disk)
          )
    ),
    Either.map(({ config, disk }) => {
      if (config !== null) domain.persistent = config
      return disk
    })
  )

const shownOf = (live: LiveDomain, open: Device): Xml.Element | undefined => {
  if ("mac" in open) {
    return live.nics.has(open) ? nicsOf(live.definition).find((nic) => Disks.aliasOf(nic) === open.alias) : undefined
  }
  return live.disks.get(open.target) === open
    ? disksOf(live.definition).find((disk) => Disks.targetOf(disk) === open.target)
    : undefined
}

/** The guest has let go of a device. @since 0.2.0 @category procedures */
export const removed = (host: HostState, domain: SimulatedDomain, open: Device): void => {
  const { live } = domain
  const disk = live === null ? undefined : shownOf(live, open)
  if (live === null || disk === undefined) return
  if ("mac" in open) live.nics.delete(open)
  else {
    live.disks.delete(open.target)
    open.close()
  }
  live.definition = Domains.replaceDevices(
    live.definition,
    Domains.devicesOf(live.definition).filter((device) => device !== disk)
  )
  tell(host, domain, "DeviceRemoved", disk)
}

/** The guest has said that it does not let go of a device. @since 0.2.0 @category procedures */
export const kept = (host: HostState, domain: SimulatedDomain, open: Device): void => {
  const disk = domain.live === null ? undefined : shownOf(domain.live, open)
  if (disk !== undefined) tell(host, domain, "DeviceRemovalFailed", disk)
}

/**
 * DOMAIN_UPDATE_DEVICE_FLAGS of a NIC: of the running one its cable, and in the definition all of it, whose alias is lost unless it is given again.
 *
 * @since 0.6.0 @category procedures
 */
export const update = (host: HostState, domain: SimulatedDomain, xml: string, flags: number): Answer<void> =>
  Either.Do.pipe(
    Either.bind("affected", () => affected(domain, flags, "qemuDomainUpdateDeviceFlags")),
    Either.bind("nic", () => parse(host, xml, true)),
    Either.filterOrLeft(
      ({ nic }) => nic.name === "interface",
      ({ nic }) => refuse(code.noSupport, from.qemu, `the simulated daemon updates NICs, no ${nic.name}`)
    ),
    Either.bind("config", ({ affected: { config }, nic }) =>
      config === null
        ? Either.right(null)
        : Either.map(Nics.named(nicsOf(config), nic), (old) =>
            Domains.withDevices(
              config,
              Domains.devicesOf(config).map((device) => (device === old ? nic : device))
            )
          )
    ),
    Either.bind("live", ({ affected: { live }, nic }) =>
      live === null
        ? Either.right(null)
        : Either.flatMap(Nics.named(nicsOf(live.definition), nic), (old) =>
            Either.map(Nics.plug(host, nic), () =>
              Domains.replaceDevices(
                live.definition,
                Domains.devicesOf(live.definition).map((device) => (device === old ? Nics.linkedAs(old, nic) : device))
              )
            )
          )
    ),
    Either.map(({ affected, config, live }) => {
      if (config !== null) domain.persistent = config
      if (affected.live !== null && live !== null) affected.live.definition = live
    })
  )

// KiB in what 64 bits can count in bytes
const mostKibibytes = 18014398509481983n

/** DOMAIN_BLOCK_RESIZE; flag 1: in bytes, else KiB. @since 0.2.0 @category procedures */
export const resize = (domain: SimulatedDomain, path: string, size: bigint, flags: number): Answer<void> => {
  const unsupported = unsupportedFlags(flags, 1, "qemuDomainBlockResize")
  if (unsupported !== undefined) return Either.left(unsupported)
  if ((flags & 1) === 0 && size > mostKibibytes) {
    return no(code.overflow, `size must be less than ${mostKibibytes}`, from.qemu)
  }
  const { live } = domain
  if (live === null) return no(code.operationInvalid, "domain is not running")
  const disk = Disks.named(disksOf(live.definition), path)
  const open = disk === undefined ? undefined : live.disks.get(Disks.targetOf(disk))
  return open === undefined
    ? no(code.invalidArg, `disk '${path}' was not found in the domain config`, from.qemu)
    : Disks.resize(open, Number(size) * ((flags & 1) === 1 ? 1 : 1024))
}

/** DOMAIN_GET_BLOCK_INFO: bytes. @since 0.2.0 @category procedures */
export const blockInfo = (host: HostState, domain: SimulatedDomain, path: string, flags: number) => {
  const unsupported = unsupportedFlags(flags, 0, "qemuDomainGetBlockInfo")
  if (unsupported !== undefined) return Either.left(unsupported)
  const definition = domain.live?.definition ?? domain.persistent
  const disk = definition === null ? undefined : Disks.named(disksOf(definition), path)
  return disk === undefined
    ? no(code.invalidArg, `invalid path ${path} not assigned to domain`, from.qemu)
    : Disks.infoOf(host, domain.live, disk)
}
