/**
 * What the inventory says of a VM beside its disks, held against its domain on the simulated host: title, size, start with the host, NICs, power,
 * and what cloud-init reads.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Iso9660 from "../../src/cloudinit/Iso9660.ts"
import * as Seed from "../../src/cloudinit/Seed.ts"
import type { Host } from "../../src/domain/Host.ts"
import * as Network from "../../src/domain/Network.ts"
import * as Nic from "../../src/domain/Nic.ts"
import { seedSerial, type Vm, type WantedPower } from "../../src/domain/Vm.ts"
import * as DomainXml from "../../src/libvirt/DomainXml.ts"
import * as Xml from "../../src/libvirt/Xml.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import type * as Cluster from "../../src/simulator/Cluster.ts"
import * as HostState from "../../src/simulator/HostState.ts"
import type * as SimulatedHost from "../../src/simulator/SimulatedHost.ts"
import { assert } from "../check/Equality.ts"

interface Places {
  readonly hosts: ReadonlyArray<SimulatedHost.SimulatedHost>
  readonly cluster: Cluster.Cluster
}

type Domain = HostState.SimulatedDomain

/** What a domain does, whoever had it do so, and however it came to be off. */
export const powerOf = ({ live, state }: Domain): WantedPower => {
  if (live === null) return "stopped"
  return state === HostState.state.paused ? "paused" : "running"
}

const withoutCause = (power: string | null | undefined) => (power === "crashed" ? "stopped" : power)

const card = (mac: string, alias: string | null, source: string, model: string, link: string) =>
  `${mac} as ${alias ?? "no alias"} on ${source}, ${model}, ${link}`

/** Those that a domain on that host has to have: one on a default network that the host has not got is not there at all. */
const cardsWanted = (vm: Vm, { facts, name }: Host) => {
  assert(facts !== null, `it is known what ${name} is`)
  return vm.nics
    .flatMap((nic) => {
      const source = Either.getOrThrow(Network.connect(facts, nic))
      return source === null ? [] : [card(nic.mac, Nic.aliasOf(nic), Network.formatSource(source), nic.model, nic.link)]
    })
    .toSorted()
}

const cardsIn = (definition: Xml.Element) =>
  DomainXml.nics(definition)
    .map(({ alias, element, link, mac, source }) =>
      card(mac, alias, source, Xml.attribute(Xml.child(element, "model"), "type") ?? "no model", link)
    )
    .toSorted()

/** The files of its seed; a hostname that was made of the VM's name is of the name that it had then, and left out. */
const seedFiles = (files: ReadonlyMap<string, string>, hostname: string | null) =>
  Object.fromEntries(
    [...files].map(([name, text]) => [name, hostname === null ? text.replace(/^local-hostname: .*\n/mu, "") : text])
  )

const seedIn = ({ cluster, hosts }: Places, { domainName, driver }: Vm): Uint8Array | undefined => {
  if (driver === "rbd") return Either.getOrThrow(cluster.read(`${domainName}-seed`, 0, Seed.capacity))
  const found = hosts.flatMap(({ state }) =>
    [...state.files.files].flatMap(([path, file]) =>
      path.endsWith(`/${domainName}-seed.iso`) ? [file.read(0, Seed.capacity)] : []
    )
  )
  return found.length === 1 ? found[0] : undefined
}

/** What its guest would be called after its next boot; empty: there is no seed that says so. */
export const hostnameIn = (places: Places, vm: Vm): string => {
  const metaData = Iso9660.read(seedIn(places, vm) ?? new Uint8Array())?.get("meta-data")
  return /^local-hostname: "(.*)"$/mu.exec(new TextDecoder().decode(metaData))?.[1] ?? ""
}

/** A VM's seed is what is to be read at its next boot, and in the drive of its definition. */
export const agreeOnSeed = Effect.fnUntraced(function* (places: Places, vm: Vm) {
  const wanted = yield* Effect.flatMap(Inventory, (inventory) => inventory.cloudInit(vm.id))
  const found = Iso9660.read(seedIn(places, vm) ?? new Uint8Array())
  assert(found !== undefined, `there is a seed of ${vm.domainName}, and it can be read`)
  const texts = new Map([...found].map(([name, content]) => [name, new TextDecoder().decode(content)]))
  assert.deepStrictEqual(
    seedFiles(texts, wanted.hostname),
    seedFiles(new Map(Object.entries(Seed.files(vm, wanted))), wanted.hostname),
    `what cloud-init reads in ${vm.domainName}`
  )
})

/** A domain is as the inventory says of its VM, as it is defined and as it runs. That it runs, or does not, is for `told`. */
export const agree = (vm: Vm, host: Host, { autostart, live, persistent }: Domain): void => {
  const { domainName, id, name, resources } = vm
  const cards = cardsWanted(vm, host)
  for (const [of, definition] of [
    ["as it is defined", persistent],
    ["as it runs", live?.definition ?? null]
  ] as const) {
    if (definition === null) continue
    assert.strictEqual(DomainXml.ownership(definition)?.vmId, Number(id), `whose ${domainName} is, ${of}`)
    assert.strictEqual(DomainXml.title(definition), name, `title of ${domainName}, ${of}`)
    assert.deepStrictEqual(cardsIn(definition), cards, `NICs of ${domainName}, ${of}`)
    assert(
      DomainXml.disks(definition).some(({ serial }) => serial === seedSerial(id)),
      `${domainName} has the drive with its seed, ${of}`
    )
  }
  if (persistent !== null) {
    const { cpu, ram } = DomainXml.shape(persistent)
    assert.deepStrictEqual({ cpu, ram }, { cpu: resources.cpu, ram: resources.ram }, `size of ${domainName}`)
  }
  assert.strictEqual(autostart, vm.startsWithHost, `whether ${domainName} starts with ${host.name}`)
}

/**
 * What is told of a VM's power is what its domain does, and that it is not what is wanted of it is told as drift: guests crash, hosts lose their power,
 * and people start what was off.
 */
export const told = Effect.fnUntraced(function* (vm: Vm, domain: Domain) {
  const inventory = yield* Inventory
  const power = powerOf(domain)
  const seen = (yield* inventory.seen).get(vm.id)?.power
  assert.strictEqual(withoutCause(seen), power, `what is told of the power of ${vm.domainName}`)
  assert.deepStrictEqual(
    (yield* inventory.drift({ vms: [vm.id] })).map(({ field, seen, wanted }) => ({
      field,
      seen: withoutCause(seen),
      wanted
    })),
    vm.state === power ? [] : [{ field: "power", seen: power, wanted: vm.state }],
    `drift of ${vm.domainName}`
  )
})
