import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as fc from "fast-check"
import { defaultPolicies, type DriftField } from "../../src/domain/Drift.ts"
import type { HostFacts } from "../../src/domain/Host.ts"
import { DomainUuid, HostId, ImageId, InstanceTypeId, OperationId, VmId, VolumeId } from "../../src/domain/Ids.ts"
import * as Network from "../../src/domain/Network.ts"
import * as Nic from "../../src/domain/Nic.ts"
import { rootSerial, Vm } from "../../src/domain/Vm.ts"
import { Volume } from "../../src/domain/Volume.ts"
import * as DomainXml from "../../src/libvirt/DomainXml.ts"
import * as Xml from "../../src/libvirt/Xml.ts"
import * as Drift from "../../src/observe/Drift.ts"
import type { DiskSource, DomainDetail, DomainShape } from "../../src/services/Hypervisor.ts"

const facts: HostFacts = {
  hostname: "h1",
  uuid: "aaaaaaaa-1111-4222-8333-444444444444",
  libvirtVersion: "9.0.0",
  resources: { cpu: 8, ram: 1024, disk: 100 },
  arch: "x86_64",
  domainType: "kvm",
  network: "default"
}

const operationId = OperationId.make("0d9e8c7b-6a5f-4e3d-8c2b-1a0f9e8d7c6b")

const sourceOf: Drift.Wanted["sourceOf"] = ({ driver }, name) =>
  driver === "rbd" ? `vms/${name}` : `/var/lib/vmfabric/${name}.qcow2`

const disk = (driver: string, name: string, serial: string): DiskSource =>
  driver === "rbd"
    ? {
        _tag: "Rbd",
        pool: "vms",
        image: name,
        monitors: [{ host: "10.0.0.2", port: 6789 }],
        client: "libvirt",
        secret: "11111111-2222-4333-8444-555555555555",
        serial
      }
    : { _tag: "File", path: `/var/lib/vmfabric/${name}.qcow2`, format: "qcow2", serial }

/** A VM with some volumes, as the inventory has them. */
const wanted: fc.Arbitrary<Drift.Wanted> = fc
  .record({
    id: fc.integer({ min: 1, max: 1e15 }),
    name: fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }).map((text) => `a${text}z`),
    cpu: fc.integer({ min: 1, max: 64 }),
    ram: fc.integer({ min: 1, max: 1e6 }),
    driver: fc.constantFrom("dir", "rbd"),
    volumes: fc.uniqueArray(fc.integer({ min: 1, max: 1e15 }), { maxLength: 5 }),
    nics: fc.array(
      fc.record({
        network: fc.constantFrom(null, "lan", "default"),
        link: fc.constantFrom<Nic.LinkState>("up", "down")
      }),
      {
        maxLength: 3
      }
    ),
    network: fc.boolean()
  })
  .map(({ cpu, driver, id, name, network, nics, ram, volumes }) => ({
    vm: new Vm(
      {
        id: VmId.make(id),
        uuid: DomainUuid.make("7b2f6e0a-6a5e-4a53-9d0c-3f1d2b7c9a07"),
        name,
        instanceType: InstanceTypeId.make(1),
        imageId: ImageId.make(1),
        hostId: HostId.make(1),
        resources: { cpu, ram, disk: 1 },
        driver,
        nics: nics.map((nic, index) => ({ ...Nic.usual(`52:54:00:12:34:0${index}`, index + 1), ...nic })),
        state: "running",
        onCrash: "leave",
        applied: { name, cpu, ram }
      },
      { disableValidation: true }
    ),
    volumes: volumes.map(
      (volume, index) =>
        new Volume({
          id: VolumeId.make(volume),
          name: "data",
          size: 1,
          driver,
          hostId: driver === "rbd" ? null : HostId.make(1),
          state: "attached",
          vmId: VmId.make(id),
          target: `vd${String.fromCharCode(98 + index)}`,
          sourceId: null,
          pristine: false,
          releaseAsked: false,
          purgeAt: null
        })
    ),
    sourceOf,
    networks: offer(network)
  }))

/** A bridge, and libvirt's own network, which is the default or not. */
const offer = (isDefault: boolean): Network.Offer => ({
  network: isDefault ? "default" : null,
  networks: [
    { name: "default", source: { kind: "libvirt", name: "default" }, vlans: null, problem: null },
    { name: "lan", source: { kind: "bridge", name: "br0" }, vlans: null, problem: null }
  ]
})

/** What a host has when we have defined all of it. */
const defined = ({ networks, vm, volumes }: Drift.Wanted): DomainShape => {
  const domain = DomainXml.build(
    {
      vmId: vm.id,
      uuid: vm.uuid,
      domainName: vm.domainName,
      title: vm.name,
      resources: vm.resources,
      nics: vm.nics.flatMap((nic) => {
        const source = Either.getOrThrow(Network.connect(networks ?? offer(true), nic))
        return source === null ? [] : [{ ...nic, alias: Nic.aliasOf(nic), source }]
      }),
      root: disk(vm.driver, `${vm.domainName}-root`, rootSerial(vm.id)),
      operationId
    },
    facts
  )
  const disks = volumes.map(({ driver, id, serial, target }) =>
    DomainXml.volumeDisk({ alias: `ua-${serial}`, target: target!, source: disk(driver, `volume-${id}`, serial) })
  )
  const whole = {
    ...domain,
    children: domain.children.map((node) =>
      typeof node !== "string" && node.name === "devices" ? { ...node, children: [...node.children, ...disks] } : node
    )
  }
  return DomainXml.shape(Either.getOrThrow(Xml.parse(Either.getOrThrow(Xml.render(whole)))))
}

const detailOf = (given: Drift.Wanted, change: Partial<DomainDetail> = {}): DomainDetail => {
  const shape = defined(given)
  return { owner: { vmId: given.vm.id, operationId }, autostart: false, live: shape, defined: shape, ...change }
}

const fieldsOf = (given: Drift.Wanted, detail: DomainDetail | null, power: Drift.Found["power"] = "running") =>
  Drift.compare(given, { power, detail })

interface Edit {
  readonly field: (given: Drift.Wanted) => string
  readonly edit: (shape: DomainShape) => DomainShape
}

const edits: Readonly<Record<string, Edit>> = {
  title: { field: () => "title", edit: (shape) => ({ ...shape, title: `${shape.title}!` }) },
  "no title": { field: () => "title", edit: (shape) => ({ ...shape, title: null }) },
  vcpus: { field: () => "vcpus", edit: (shape) => ({ ...shape, cpu: shape.cpu + 1 }) },
  memory: { field: () => "memory", edit: (shape) => ({ ...shape, ram: shape.ram + 1 }) },
  "no root disk": { field: () => "root disk", edit: (shape) => ({ ...shape, disks: shape.disks.slice(1) }) },
  "another root disk": {
    field: () => "root disk",
    edit: (shape) => ({ ...shape, disks: shape.disks.with(0, { ...shape.disks[0]!, source: "/other" }) })
  },
  "the last disk under another serial": {
    field: ({ volumes }) => (volumes.length === 0 ? "root disk" : `volume-${volumes.at(-1)!.id}`),
    edit: (shape) => ({
      ...shape,
      disks: [...shape.disks.slice(0, -1), { ...shape.disks.at(-1)!, serial: null }]
    })
  },
  "the last disk at another place": {
    field: ({ volumes }) => (volumes.length === 0 ? "root disk" : `volume-${volumes.at(-1)!.id}`),
    edit: (shape) => ({
      ...shape,
      disks: [...shape.disks.slice(0, -1), { ...shape.disks.at(-1)!, target: "vdx" }]
    })
  },
  "the last disk missing": {
    field: ({ volumes }) => (volumes.length === 0 ? "root disk" : `volume-${volumes.at(-1)!.id}`),
    edit: (shape) => ({ ...shape, disks: shape.disks.slice(0, -1) })
  },
  "a disk of somebody else's": {
    field: () => "disk vdq",
    edit: (shape) => ({ ...shape, disks: [...shape.disks, { target: "vdq", source: "/mine", serial: null }] })
  },
  "an empty drive": {
    field: () => "disk sda",
    edit: (shape) => ({ ...shape, disks: [...shape.disks, { target: "sda", source: null, serial: null }] })
  },
  "another NIC": {
    field: () => "nic 52:54:00:00:00:01",
    edit: (shape) => ({
      ...shape,
      nics: [...shape.nics, { mac: "52:54:00:00:00:01", source: "libvirt:default", link: "up" }]
    })
  }
}

describe("Drift.compare", () => {
  it("finds nothing in what we have defined ourselves", () => {
    fc.assert(
      fc.property(wanted, (given) => {
        assert.deepStrictEqual(fieldsOf(given, detailOf(given)), [])
        assert.deepStrictEqual(
          fieldsOf(given, detailOf(given, { live: null }), "stopped").map(({ field, seen }) => [field, seen]),
          [["power", "stopped"]]
        )
      }),
      { numRuns: 200 }
    )
  })

  for (const [title, { edit, field }] of Object.entries(edits)) {
    it(`finds one edit, where it is: ${title}`, () => {
      fc.assert(
        fc.property(wanted, (given) => {
          const shape = defined(given)
          const names = (fields: ReadonlyArray<DriftField>) => fields.map((one) => one.field)
          assert.deepStrictEqual(names(fieldsOf(given, detailOf(given, { defined: edit(shape) }))), [field(given)])
          assert.deepStrictEqual(names(fieldsOf(given, detailOf(given, { live: edit(shape) }))), [
            `${field(given)} (running)`
          ])
        }),
        { numRuns: 30 }
      )
    })
  }

  const [given] = fc.sample(wanted, { numRuns: 1, seed: 7 })
  const one = {
    ...given!,
    vm: new Vm({ ...given!.vm, nics: [{ ...Nic.usual("52:54:00:12:34:07"), network: "lan" }] }),
    networks: offer(true),
    volumes: [
      new Volume({
        ...fc.sample(
          wanted.filter(({ volumes }) => volumes.length > 0),
          { numRuns: 1, seed: 1 }
        )[0]!.volumes[0]!,
        id: VolumeId.make(7),
        driver: "rbd",
        hostId: null,
        target: "vdb"
      })
    ]
  }

  it("says what was wanted, what was applied and what is seen", () => {
    const vm = new Vm({ ...one.vm, name: "new", applied: { name: "old", cpu: 1, ram: 512 } })
    const detail = detailOf({ ...one, vm: new Vm({ ...vm, name: "mine" }) }, { live: null })
    assert.deepStrictEqual(fieldsOf({ ...one, vm }, detail), [
      { kind: "definition", field: "title", wanted: "new", applied: "old", seen: "mine" }
    ])
    const without = { ...one, volumes: [] }
    assert.deepStrictEqual(fieldsOf(one, detailOf(without, { live: null })), [
      { kind: "disks", field: "volume-7", wanted: "vms/volume-7 at vdb", applied: "vms/volume-7 at vdb", seen: null }
    ])
    assert.deepStrictEqual(fieldsOf(without, detailOf(one, { live: null })), [
      { kind: "disks", field: "disk vdb", wanted: null, applied: null, seen: "vms/volume-7 at vdb, serial volume-7" }
    ])
    const nic = (seen: Partial<Nic.Nic> | null) => {
      const nics = seen === null ? [] : one.vm.nics.map((nic) => ({ ...nic, ...seen }))
      return fieldsOf(one, detailOf({ ...one, vm: new Vm({ ...one.vm, nics }) }, { live: null }))
    }
    const wanted = "52:54:00:12:34:07 on bridge:br0"
    const same = { kind: "network", field: "nic-1", wanted, applied: wanted } as const
    assert.deepStrictEqual(nic(null), [{ ...same, seen: null }])
    assert.deepStrictEqual(nic({ network: "default" }), [{ ...same, seen: "52:54:00:12:34:07 on libvirt:default" }])
    assert.deepStrictEqual(nic({ link: "down" }), [{ ...same, seen: `${wanted}, link down` }])
    assert.deepStrictEqual(nic({ mac: "52:54:00:12:34:08" }), [
      { ...same, seen: null },
      {
        kind: "network",
        field: "nic 52:54:00:12:34:08",
        wanted: null,
        applied: null,
        seen: "52:54:00:12:34:08 on bridge:br0"
      }
    ])
  })

  it("tells of a domain that is gone, transient or not ours", () => {
    const names = (fields: ReadonlyArray<DriftField>) => fields.map(({ field, seen }) => `${field} ${seen}`)
    assert.deepStrictEqual(names(fieldsOf(one, null, "absent")), ["power absent", "domain null"])
    assert.deepStrictEqual(names(fieldsOf(one, detailOf(one, { defined: null }))), ["domain transient"])
    assert.deepStrictEqual(names(fieldsOf(one, detailOf(one, { owner: null }))), ["owner null"])
  })

  it("does not ask for what is in flight, be it there or not", () => {
    for (const state of ["attaching", "detaching"] as const) {
      const moving = { ...one, volumes: [new Volume({ ...one.volumes[0]!, state })] }
      assert.deepStrictEqual(fieldsOf(moving, detailOf(one)), [])
      assert.deepStrictEqual(fieldsOf(moving, detailOf({ ...one, volumes: [] })), [])
    }
    for (const state of ["attaching", "detaching"] as const) {
      const moving = { ...one, vm: new Vm({ ...one.vm, nics: one.vm.nics.map((nic) => ({ ...nic, state })) }) }
      assert.deepStrictEqual(fieldsOf(moving, detailOf(one)), [])
      assert.deepStrictEqual(fieldsOf(moving, detailOf({ ...one, vm: new Vm({ ...one.vm, nics: [] }) })), [])
    }
    const asked = { ...one, volumes: [new Volume({ ...one.volumes[0]!, releaseAsked: true })] }
    assert.deepStrictEqual(fieldsOf(asked, detailOf({ ...one, volumes: [] })), [])
  })

  it("only what a repair can mend, and is to be repaired, is", () => {
    const repair = { power: "repair", definition: "repair", disks: "repair", network: "repair" } as const
    const shape = defined(one)
    const mend = (detail: DomainDetail | null, power: Drift.Found["power"] = "running", policies = repair) =>
      Drift.mendable(fieldsOf(one, detail, power), policies)
    assert.deepStrictEqual(mend(detailOf(one, { live: null }), "stopped"), ["power"])
    assert.deepStrictEqual(mend(detailOf(one, { defined: { ...shape, cpu: 65 } })), ["definition"])
    assert.deepStrictEqual(mend(detailOf(one, { defined: null })), ["definition"])
    assert.deepStrictEqual(mend(detailOf(one, { defined: { ...shape, disks: shape.disks.slice(0, 1) } })), ["disks"])
    // what runs is left as it runs, what others added stays, and what is not there or not ours is nothing to work on
    assert.deepStrictEqual(mend(detailOf(one, { live: { ...shape, cpu: 65 } })), [])
    const more = { ...shape, disks: [...shape.disks, { target: "vdq", source: "/mine", serial: null }], nics: [] }
    assert.deepStrictEqual(mend(detailOf(one, { defined: more })), [])
    assert.deepStrictEqual(mend(null, "absent"), [])
    assert.deepStrictEqual(mend(detailOf(one, { owner: null, live: null }), "stopped"), [])
    const all = fieldsOf(one, detailOf(one, { live: null, defined: { ...shape, cpu: 65 } }), "stopped")
    assert.deepStrictEqual(Drift.mendable(all, defaultPolicies), [])
    assert.deepStrictEqual(
      Drift.reported(all, { ...defaultPolicies, power: "ignore" }).map(({ field }) => field),
      ["vcpus"]
    )
  })
})
