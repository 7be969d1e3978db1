/**
 * The PCI slots of a domain's devices as libvirt 9.0.0 gives them out: on `q35` (and `virt`) a root port for each device, on `pc` the
 * slots of one bus.
 *
 * @since 0.2.0
 */
import * as Xml from "../libvirt/Xml.ts"

const e = Xml.element

interface Place {
  readonly bus: number
  readonly slot: number
  readonly function: number
}

const hex = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, "0")}`

const pciAddress = (place: Place, multifunction = false): Xml.Element =>
  e("address", {
    type: "pci",
    domain: hex(0, 4),
    bus: hex(place.bus, 2),
    slot: hex(place.slot, 2),
    function: hex(place.function, 1),
    multifunction: multifunction ? "on" : undefined
  })

const placeOf = (device: Xml.Element): Place | undefined => {
  const address = Xml.child(device, "address")
  if (Xml.attribute(address, "type") !== "pci") return undefined
  const number = (name: string) => Number(Xml.attribute(address, name) ?? "0")
  return { bus: number("bus"), slot: number("slot"), function: number("function") }
}

/** Where a device stands on its guest's bus, for comparing; 0: nowhere. @since 0.2.0 @category getters */
export const slotOf = (device: Xml.Element): number => {
  const place = placeOf(device)
  return place === undefined ? 0 : place.bus * 256 + place.slot * 8 + place.function
}

const placed = (device: Xml.Element, address: Xml.Element): Xml.Element => ({
  ...device,
  children: [...device.children, address]
})

const isPcie = (machine: string): boolean => /(^|-)q35|^virt/.test(machine)

const isController = (device: Xml.Element, type: string, model?: string): boolean =>
  device.name === "controller" &&
  Xml.attribute(device, "type") === type &&
  (model === undefined || Xml.attribute(device, "model") === model)

const indexOf = (controller: Xml.Element): number => Number(Xml.attribute(controller, "index") ?? "0")

// the order in which libvirt gives devices their slots
const order = [
  "filesystem",
  "interface",
  "sound",
  "controller",
  "disk",
  "hostdev",
  "memballoon",
  "rng",
  "watchdog",
  "video"
]

/** Whether a device stands on the bus that devices come and go on. */
const takesSlot = (device: Xml.Element, primaryVideo: Xml.Element | undefined): boolean => {
  switch (device.name) {
    case "disk":
      return Xml.attribute(Xml.child(device, "target"), "bus") === "virtio"
    case "controller":
      return (
        ["usb", "virtio-serial", "scsi"].includes(Xml.attribute(device, "type") ?? "") &&
        Xml.attribute(device, "model") !== "none" &&
        Xml.attribute(device, "model") !== "piix3-uhci"
      )
    case "memballoon":
    case "rng":
      return (Xml.attribute(device, "model") ?? "virtio").startsWith("virtio")
    case "video":
      return device !== primaryVideo
    default:
      return order.includes(device.name)
  }
}

const onRootBus = (device: Xml.Element | undefined): boolean =>
  device !== undefined && Xml.attribute(Xml.child(device, "model"), "type") !== "virtio"

/** The controllers that a domain has without having asked for them. */
const implied = (devices: ReadonlyArray<Xml.Element>, machine: string): ReadonlyArray<Xml.Element> => {
  const has = (type: string) => devices.some((device) => isController(device, type))
  const virtioPort = devices.some(
    (device) =>
      (device.name === "channel" || device.name === "console") &&
      Xml.attribute(Xml.child(device, "target"), "type") === "virtio"
  )
  const pcie = isPcie(machine)
  const root = devices.some((device) => isController(device, "pci") && indexOf(device) === 0)
  const q35 = pcie && !machine.startsWith("virt")
  return [
    ...(has("usb") || (pcie && !q35)
      ? []
      : [
          e(
            "controller",
            { type: "usb", index: 0, model: q35 ? "qemu-xhci" : "piix3-uhci" },
            q35 ? [] : [pciAddress({ bus: 0, slot: 1, function: 2 })]
          )
        ]),
    ...(q35 && !has("sata")
      ? [e("controller", { type: "sata", index: 0 }, [pciAddress({ bus: 0, slot: 0x1f, function: 2 })])]
      : []),
    ...(root ? [] : [e("controller", { type: "pci", index: 0, model: pcie ? "pcie-root" : "pci-root" })]),
    ...(virtioPort && !has("virtio-serial") ? [e("controller", { type: "virtio-serial", index: 0 })] : [])
  ]
}

const isRootPort = (device: Xml.Element): boolean => isController(device, "pci", "pcie-root-port")

const isRoot = (device: Xml.Element): boolean =>
  isController(device, "pci", "pcie-root") || isController(device, "pci", "pci-root")

/** Controllers of one type stand together, in the order of their indices. */
const grouped = (controllers: ReadonlyArray<Xml.Element>): ReadonlyArray<Xml.Element> => {
  const types = [...new Set(controllers.map((controller) => Xml.attribute(controller, "type")))]
  return types.flatMap((type) =>
    controllers
      .filter((controller) => Xml.attribute(controller, "type") === type)
      .sort((a, b) => indexOf(a) - indexOf(b))
  )
}

/** The first controller where it cannot be, in libvirt's words; undefined: it is none or the right one. @since 0.2.0 @category getters */
export const misplacedRoot = (devices: ReadonlyArray<Xml.Element>, machine: string): string | undefined => {
  const expected = isPcie(machine) ? "pcie-root" : "pci-root"
  const first = devices.find((device) => isController(device, "pci") && indexOf(device) === 0)
  const model = Xml.attribute(first, "model")
  return model === undefined || model === expected
    ? undefined
    : `The PCI controller with index='0' must be model='${expected}' for this machine type, but model='${model}' was found instead`
}

/**
 * The devices of a definition with the controllers they need and an address for each. Root ports are added where there are too few; a
 * domain that names none itself gets a spare one.
 *
 * @since 0.2.0 @category combinators
 */
export const complete = (given: ReadonlyArray<Xml.Element>, machine: string): ReadonlyArray<Xml.Element> => {
  const pcie = isPcie(machine)
  const numbered = new Map<Xml.Element, Xml.Element>()
  let highest = -1
  for (const device of given.filter((device) => isController(device, "pci"))) {
    const index = Xml.attribute(device, "index") === undefined && !isRoot(device) ? highest + 1 : indexOf(device)
    highest = Math.max(highest, index)
    const { type = "pci", ...rest } = device.attributes
    numbered.set(device, { ...device, attributes: { type, index: String(index), ...rest } })
  }
  const known = given.map((device) => numbered.get(device) ?? device)
  const added = implied(known, machine)
  const all = [
    ...known.filter((device) => device.name !== "controller"),
    ...grouped(known.filter((device) => device.name === "controller")),
    ...added
  ]
  const video = all.find((device) => device.name === "video")
  const primary = onRootBus(video) ? video : undefined
  const taken = new Set(all.flatMap((device) => placeOf(device)?.bus ?? []))
  const waiting = order.flatMap((name) =>
    all.filter((device) => device.name === name && placeOf(device) === undefined && takesSlot(device, primary))
  )
  const addresses = new Map<Xml.Element, Xml.Element>()
  if (primary !== undefined && placeOf(primary) === undefined) {
    addresses.set(primary, pciAddress({ bus: 0, slot: pcie ? 1 : 2, function: 0 }))
  }
  highest = Math.max(highest, 0)
  let ports = all.filter(isRootPort)
  if (pcie) {
    const free = (): ReadonlyArray<number> => ports.map(indexOf).filter((index) => !taken.has(index))
    const lacking = Math.max(0, waiting.length - free().length)
    const own = known.some((device) => isController(device, "pci") && indexOf(device) > 0)
    for (let more = own || lacking === 0 ? lacking : lacking + 1; more > 0; more--) {
      highest++
      ports = [...ports, e("controller", { type: "pci", index: highest, model: "pcie-root-port" })]
    }
    const buses = free()
    waiting.forEach((device, at) => addresses.set(device, pciAddress({ bus: buses[at] ?? 0, slot: 0, function: 0 })))
  } else {
    const slots = new Set(all.flatMap((device) => placeOf(device)?.slot ?? []))
    if (primary !== undefined) slots.add(2)
    let slot = 2
    for (const device of waiting) {
      while (slots.has(slot)) slot++
      slots.add(slot)
      addresses.set(device, pciAddress({ bus: 0, slot, function: 0 }))
    }
  }
  const built = portPlaces(ports, primary === undefined ? 1 : 2)
  const old = all.map((device) => {
    const address = addresses.get(device)
    return isRootPort(device) ? (built.get(device) ?? device) : address === undefined ? device : placed(device, address)
  })
  return [...old, ...ports.filter((port) => !all.includes(port)).map((port) => built.get(port) ?? port)]
}

/** Root ports share slots of the root bus, eight to a slot. */
const portPlaces = (ports: ReadonlyArray<Xml.Element>, firstSlot: number): ReadonlyMap<Xml.Element, Xml.Element> => {
  const taken = new Set(
    ports.flatMap((port) => {
      const place = placeOf(port)
      return place === undefined ? [] : [place.slot * 8 + place.function]
    })
  )
  const fresh: Array<readonly [Xml.Element, number]> = []
  let at = firstSlot * 8
  for (const port of ports) {
    if (placeOf(port) !== undefined) continue
    while (taken.has(at)) at++
    taken.add(at)
    fresh.push([port, at])
  }
  return new Map(
    fresh.map(([port, place]) => {
      const index = indexOf(port)
      return [
        port,
        {
          ...port,
          children: [
            e("model", { name: "pcie-root-port" }),
            e("target", { chassis: index, port: hex(place, 1) }),
            pciAddress(
              { bus: 0, slot: Math.floor(place / 8), function: place % 8 },
              place % 8 === 0 && taken.has(place + 1)
            )
          ]
        }
      ]
    })
  )
}

/** The device with the first free slot of a running domain, which gets no further ports; undefined: there is none. @since 0.2.0 @category combinators */
export const place = (
  device: Xml.Element,
  devices: ReadonlyArray<Xml.Element>,
  machine: string
): Xml.Element | undefined => {
  const places = devices.flatMap((other) => placeOf(other) ?? [])
  if (isPcie(machine)) {
    const bus = devices
      .filter(isRootPort)
      .map(indexOf)
      .sort((a, b) => a - b)
      .find((index) => !places.some((place) => place.bus === index))
    return bus === undefined ? undefined : placed(device, pciAddress({ bus, slot: 0, function: 0 }))
  }
  const slots = new Set(places.map(({ slot }) => slot))
  const slot = Array.from({ length: 30 }, (_, index) => index + 2).find((slot) => !slots.has(slot))
  return slot === undefined ? undefined : placed(device, pciAddress({ bus: 0, slot, function: 0 }))
}
