import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as fc from "fast-check"
import { readFileSync } from "node:fs"
import { isDeepStrictEqual } from "node:util"
import type { HostFacts } from "../../src/domain/Host.ts"
import { DomainUuid, OperationId, VmId } from "../../src/domain/Ids.ts"
import { nicSlots } from "../../src/domain/Nic.ts"
import * as DomainXml from "../../src/libvirt/DomainXml.ts"
import * as HostXml from "../../src/libvirt/HostXml.ts"
import * as SecretXml from "../../src/libvirt/SecretXml.ts"
import * as StorageXml from "../../src/libvirt/StorageXml.ts"
import * as Xml from "../../src/libvirt/Xml.ts"
import { type DiskSource, type DomainNic, type DomainSpec, volumeSlots } from "../../src/services/Hypervisor.ts"

/** As a real libvirtd 9.0.0 printed it. */
const sample = (name: string): Xml.Element =>
  Either.getOrThrow(Xml.parse(readFileSync(new URL(`../../fixtures/xml/${name}.xml`, import.meta.url), "utf8")))

const facts: HostFacts = {
  hostname: "h1",
  uuid: "aaaaaaaa-1111-4222-8333-444444444444",
  libvirtVersion: "9.0.0",
  resources: { cpu: 8, ram: 1024, disk: 100 },
  arch: "x86_64",
  domainType: "kvm",
  network: "default"
}

const card: DomainNic = {
  alias: "ua-nic-1",
  mac: "52:54:00:12:34:07",
  source: { kind: "libvirt", name: "default" },
  model: "virtio",
  link: "up"
}

const spec: DomainSpec = {
  vmId: VmId.make(7),
  uuid: DomainUuid.make("7b2f6e0a-6a5e-4a53-9d0c-3f1d2b7c9a07"),
  domainName: "vm-7",
  title: "web",
  resources: { cpu: 2, ram: 128, disk: 2 },
  nics: [card],
  root: { _tag: "File", path: "/var/lib/vmfabric/vm-7-root.qcow2", format: "qcow2", serial: "vm-7-root" },
  operationId: OperationId.make("0d9e8c7b-6a5f-4e3d-8c2b-1a0f9e8d7c6b")
}

const rbd: DiskSource = {
  _tag: "Rbd",
  pool: "vms",
  image: "volume-9",
  monitors: [
    { host: "10.0.0.2", port: 6789 },
    { host: "fd00::3", port: 3300 },
    { host: "[fd00::4]", port: 6789 }
  ],
  client: "libvirt",
  secret: "11111111-2222-4333-8444-555555555555",
  serial: "volume-9"
}

// everything a domain of ours may consist of; anything else would have come from a value
const allowed: Readonly<Record<string, ReadonlyArray<string>>> = {
  domain: ["type"],
  "domain/name": [],
  "domain/uuid": [],
  "domain/title": [],
  "domain/metadata": [],
  "domain/metadata/vmfabric:vm": ["xmlns:vmfabric", "id", "operation"],
  "domain/memory": ["unit"],
  "domain/vcpu": [],
  "domain/os": ["firmware"],
  "domain/os/type": ["arch", "machine"],
  "domain/features": [],
  "domain/features/acpi": [],
  "domain/features/apic": [],
  "domain/cpu": ["mode", "match", "check"],
  "domain/cpu/model": ["fallback"],
  "domain/clock": ["offset"],
  "domain/on_poweroff": [],
  "domain/on_reboot": [],
  "domain/on_crash": [],
  "domain/devices": [],
  "domain/devices/controller": ["type", "index", "model"],
  "domain/devices/disk": ["type", "device"],
  "domain/devices/disk/driver": ["name", "type", "cache", "discard"],
  "domain/devices/disk/auth": ["username"],
  "domain/devices/disk/auth/secret": ["type", "uuid"],
  "domain/devices/disk/source": ["file", "protocol", "name"],
  "domain/devices/disk/source/host": ["name", "port"],
  "domain/devices/disk/target": ["dev", "bus"],
  "domain/devices/disk/serial": [],
  "domain/devices/disk/boot": ["order"],
  "domain/devices/disk/alias": ["name"],
  "domain/devices/interface": ["type"],
  "domain/devices/interface/mac": ["address"],
  "domain/devices/interface/source": ["network", "bridge"],
  "domain/devices/interface/link": ["state"],
  "domain/devices/interface/alias": ["name"],
  "domain/devices/interface/model": ["type"],
  "domain/devices/serial": ["type"],
  "domain/devices/serial/log": ["file", "append"],
  "domain/devices/serial/target": ["port"],
  "domain/devices/console": ["type"],
  "domain/devices/console/target": ["type", "port"],
  "domain/devices/channel": ["type"],
  "domain/devices/channel/target": ["type", "name"],
  "domain/devices/graphics": ["type"],
  "domain/devices/graphics/listen": ["type"],
  "domain/devices/video": [],
  "domain/devices/video/model": ["type"],
  "domain/devices/memballoon": ["model"],
  "domain/devices/memballoon/stats": ["period"],
  "domain/devices/rng": ["model"],
  "domain/devices/rng/backend": ["model"]
}

const strangers = (element: Xml.Element, above = ""): ReadonlyArray<string> => {
  const path = above === "" ? element.name : `${above}/${element.name}`
  const attributes = allowed[path]
  return [
    ...(attributes === undefined
      ? [path]
      : Object.keys(element.attributes).filter((name) => !attributes.includes(name))),
    ...Xml.children(element).flatMap((child) => strangers(child, path))
  ]
}

describe("DomainXml.build", () => {
  it("says of the VM what it is made of", () => {
    const domain = DomainXml.build(spec, facts)
    const text = (...path: ReadonlyArray<string>) => Xml.textOf(Xml.find(domain, ...path))
    assert.strictEqual(Xml.attribute(domain, "type"), "kvm")
    assert.strictEqual(text("name"), "vm-7")
    assert.strictEqual(text("uuid"), spec.uuid)
    assert.strictEqual(text("memory"), "128")
    assert.strictEqual(text("vcpu"), "2")
    assert.deepStrictEqual(DomainXml.ownership(domain), { vmId: 7, operationId: spec.operationId })
    assert.deepStrictEqual(DomainXml.disks(domain), [
      {
        target: "vda",
        path: "/var/lib/vmfabric/vm-7-root.qcow2",
        rbd: null,
        format: "qcow2",
        serial: "vm-7-root",
        alias: null,
        backing: []
      }
    ])
    assert.strictEqual(Xml.attribute(Xml.find(domain, "devices", "interface", "mac"), "address"), card.mac)
    assert.deepStrictEqual(strangers(domain), [])
  })

  it("has the NICs that it is to have, and says of each what it is", () => {
    const more: DomainNic = {
      alias: "ua-nic-2",
      mac: "52:54:00:12:34:08",
      source: { kind: "bridge", name: "br0" },
      model: "e1000e",
      link: "down"
    }
    const domain = DomainXml.build({ ...spec, nics: [card, more] }, facts)
    assert.deepStrictEqual(
      DomainXml.nics(domain).map(({ element, ...nic }) => [nic, element.attributes.type]),
      [
        [{ mac: card.mac, alias: "ua-nic-1", source: "libvirt:default", link: "up" }, "network"],
        [{ mac: more.mac, alias: "ua-nic-2", source: "bridge:br0", link: "down" }, "bridge"]
      ]
    )
    assert.deepStrictEqual(strangers(domain), [])
    assert.strictEqual(Xml.find(DomainXml.build({ ...spec, nics: [] }, facts), "devices", "interface"), undefined)
  })

  it("asks for another processor when it is emulated", () => {
    const mode = (given: HostFacts) => Xml.attribute(Xml.child(DomainXml.build(spec, given), "cpu"), "mode")
    assert.strictEqual(mode(facts), "host-model")
    assert.strictEqual(mode({ ...facts, domainType: "qemu" }), "custom")
  })

  it("has a port for each volume and each NIC that it can have beside those that it needs itself", () => {
    const ports = (given: DomainSpec) =>
      Xml.children(Xml.child(DomainXml.build(given, facts), "devices")!, "controller").map((controller) =>
        [Xml.attribute(controller, "index"), Xml.attribute(controller, "model")].join(" ")
      )
    assert.deepStrictEqual(ports(spec), [
      "0 pcie-root",
      ...Array.from({ length: 5 + nicSlots + volumeSlots }, () => " pcie-root-port")
    ])
    assert.deepStrictEqual(ports({ ...spec, nics: [] }), ports(spec))
  })

  it("starts from a root disk in Ceph as well", () => {
    const domain = DomainXml.build({ ...spec, root: { ...rbd, image: "vm-7-root", serial: "vm-7-root" } }, facts)
    assert.deepStrictEqual(DomainXml.disks(domain), [
      { target: "vda", path: null, rbd: "vms/vm-7-root", format: "raw", serial: "vm-7-root", alias: null, backing: [] }
    ])
    assert.strictEqual(Xml.attribute(Xml.find(domain, "devices", "disk", "boot"), "order"), "1")
    assert.deepStrictEqual(strangers(domain), [])
  })

  it("opens no port: the screen is a socket in libvirt's own folder", () => {
    const listen = Xml.find(DomainXml.build(spec, facts), "devices", "graphics", "listen")
    assert.deepStrictEqual(listen, Xml.element("listen", { type: "socket" }))
  })

  it("no value becomes an element or an attribute, whatever it is", () => {
    const hostile = fc.oneof(
      fc.fullUnicodeString(),
      fc
        .array(
          fc.constantFrom(
            "</title>",
            "<devices>",
            "<hostdev mode='subsystem'/>",
            "'",
            '"',
            "/>",
            "]]>",
            "<!--",
            "&lt;",
            "&#60;",
            "\r\n",
            " file='/etc/shadow'",
            "<!ENTITY x SYSTEM 'file:///etc/shadow'>"
          )
        )
        .map((parts) => parts.join(""))
    )
    fc.assert(
      fc.property(
        hostile,
        hostile,
        hostile,
        hostile,
        hostile,
        fc.boolean(),
        (title, path, serial, network, mac, file) => {
          const root: DiskSource = file
            ? { _tag: "File", path, format: "qcow2", serial }
            : {
                _tag: "Rbd",
                pool: path,
                image: title,
                monitors: [{ host: network, port: 6789 }],
                client: mac,
                secret: network,
                serial
              }
          const tree = DomainXml.build(
            {
              ...spec,
              title,
              nics: [{ ...card, mac, alias: serial, source: { kind: file ? "bridge" : "libvirt", name: network } }],
              domainName: title,
              root
            },
            facts
          )
          const rendered = Xml.render(tree)
          if (Either.isLeft(rendered)) return
          const read = Either.getOrThrow(Xml.parse(rendered.right))
          assert.deepStrictEqual(strangers(read), [])
          // chai's own takes ten times as long
          assert.isTrue(isDeepStrictEqual(read, tree))
          assert.strictEqual(DomainXml.title(read) ?? "", title)
        }
      ),
      { numRuns: 2000 }
    )
  })
})

describe("DomainXml.volumeDisk", () => {
  const volume = { alias: "ua-volume-9", target: "vdc" }

  it("is a file's", () => {
    const source: DiskSource = { _tag: "File", path: "/srv/a&b.qcow2", format: "qcow2", serial: "volume-9" }
    assert.strictEqual(
      Either.getOrThrow(Xml.render(DomainXml.volumeDisk({ ...volume, source }))),
      '<disk type="file" device="disk"><driver name="qemu" type="qcow2" discard="unmap"/><source file="/srv/a&amp;b.qcow2"/>' +
        '<target dev="vdc" bus="virtio"/><serial>volume-9</serial><alias name="ua-volume-9"/></disk>'
    )
  })

  it("is one in Ceph, with every monitor, and of IPv6 addresses what libvirt takes", () => {
    assert.strictEqual(
      Either.getOrThrow(Xml.render(DomainXml.volumeDisk({ ...volume, source: rbd }))),
      '<disk type="network" device="disk"><driver name="qemu" type="raw" cache="none" discard="unmap"/>' +
        '<auth username="libvirt"><secret type="ceph" uuid="11111111-2222-4333-8444-555555555555"/></auth>' +
        '<source protocol="rbd" name="vms/volume-9"><host name="10.0.0.2" port="6789"/><host name="fd00::3" port="3300"/>' +
        '<host name="fd00::4" port="6789"/></source>' +
        '<target dev="vdc" bus="virtio"/><serial>volume-9</serial><alias name="ua-volume-9"/></disk>'
    )
  })

  it("has nothing else in it", () => {
    for (const source of [rbd, spec.root]) {
      assert.deepStrictEqual(strangers(DomainXml.volumeDisk({ ...volume, source }), "domain/devices"), [])
    }
  })
})

describe("SecretXml", () => {
  const secret = { uuid: rbd.secret, usage: 'client.<libvirt> & "co"' }

  it("is kept, and told nobody", () => {
    const xml = SecretXml.ceph(secret)
    assert.deepStrictEqual(SecretXml.read(xml), { ...secret, type: "ceph", ephemeral: false, private: true })
    assert.deepStrictEqual(Xml.parse(Either.getOrThrow(Xml.render(xml))), Either.right(xml))
    assert.isUndefined(Xml.child(xml, "value"))
  })

  it("reads what libvirt prints", () => {
    const printed = `<secret ephemeral='no' private='yes'>
  <uuid>11111111-2222-4333-8444-555555555555</uuid>
  <usage type='ceph'>
    <name>client.libvirt</name>
  </usage>
</secret>
`
    assert.deepStrictEqual(SecretXml.read(Either.getOrThrow(Xml.parse(printed))), {
      uuid: rbd.secret,
      type: "ceph",
      usage: "client.libvirt",
      ephemeral: false,
      private: true
    })
    const bare = Either.getOrThrow(Xml.parse("<secret ephemeral='yes' private='no'><uuid>a</uuid></secret>"))
    assert.deepStrictEqual(SecretXml.read(bare), {
      uuid: "a",
      type: null,
      usage: null,
      ephemeral: true,
      private: false
    })
    assert.isUndefined(SecretXml.read(sample("pool-dir")))
    assert.isUndefined(SecretXml.read(Xml.element("secret")))
  })
})

describe("reading what libvirt prints", () => {
  it("a domain that runs: title, owner, disks with what is below them", () => {
    const domain = sample("domain-running")
    assert.strictEqual(DomainXml.title(domain), `Ann's <web> & "db"`)
    assert.deepStrictEqual(DomainXml.ownership(domain), {
      vmId: 7,
      operationId: "0d9e8c7b-6a5f-4e3d-8c2b-1a0f9e8d7c6b"
    })
    assert.deepStrictEqual(DomainXml.disks(domain), [
      {
        target: "vda",
        path: "/var/lib/libvirt/vmfabric/vm-7-root.qcow2",
        rbd: null,
        format: "qcow2",
        serial: "vm-7-root",
        alias: "virtio-disk0",
        backing: [`/var/lib/libvirt/vmfabric/image-${"0".repeat(64)}.raw`]
      }
    ])
  })

  it("whether it runs", () => {
    assert.isTrue(DomainXml.isActive(sample("domain-running")))
    assert.isFalse(DomainXml.isActive(sample("domain-inactive")))
  })

  it("a disk in Ceph, as a running domain shows it", () => {
    const printed = `<domain type='qemu' id='3'><devices>
    <disk type='network' device='disk'>
      <driver name='qemu' type='raw' cache='none' discard='unmap'/>
      <auth username='libvirt'>
        <secret type='ceph' uuid='11111111-2222-4333-8444-555555555555'/>
      </auth>
      <source protocol='rbd' name='vms/volume-31' index='9'>
        <host name='10.0.0.2' port='6789'/>
        <host name='10.0.0.3' port='6789'/>
      </source>
      <target dev='vdc' bus='virtio'/>
      <serial>volume-31</serial>
      <alias name='ua-volume-31'/>
      <address type='pci' domain='0x0000' bus='0x07' slot='0x00' function='0x0'/>
    </disk>
    <disk type='network' device='disk'>
      <source protocol='nbd' name='export'/>
      <target dev='vdd' bus='virtio'/>
    </disk></devices></domain>`
    assert.deepStrictEqual(DomainXml.disks(Either.getOrThrow(Xml.parse(printed))), [
      {
        target: "vdc",
        path: null,
        rbd: "vms/volume-31",
        format: "raw",
        serial: "volume-31",
        alias: "ua-volume-31",
        backing: []
      },
      { target: "vdd", path: null, rbd: null, format: null, serial: null, alias: null, backing: [] }
    ])
  })

  it("a domain that does not", () => {
    assert.strictEqual(DomainXml.ownership(sample("domain-inactive"))?.vmId, 8)
    assert.strictEqual(DomainXml.disks(sample("domain-inactive")).length, 1)
  })

  it("the metadata element alone, which has lost its namespace", () => {
    assert.deepStrictEqual(DomainXml.readOwnership(sample("metadata-element")), {
      vmId: 7,
      operationId: "0d9e8c7b-6a5f-4e3d-8c2b-1a0f9e8d7c6b"
    })
  })

  it.each([
    ["none", "<domain><metadata/></domain>"],
    ["no metadata", "<domain/>"],
    [
      "another namespace",
      "<domain><metadata><a:vm xmlns:a='https://example.org/' id='7' operation='x'/></metadata></domain>"
    ],
    ["no namespace", "<domain><metadata><vm id='7' operation='x'/></metadata></domain>"],
    [
      "no number",
      `<domain><metadata><a:vm xmlns:a='${DomainXml.namespace}' id='07' operation='x'/></metadata></domain>`
    ],
    [
      "another element",
      `<domain><metadata><a:x xmlns:a='${DomainXml.namespace}' id='7' operation='x'/></metadata></domain>`
    ],
    ["elsewhere", `<domain><a:vm xmlns:a='${DomainXml.namespace}' id='7' operation='x'/></domain>`]
  ])("an owner: %s", (_, text) => {
    assert.strictEqual(DomainXml.ownership(Either.getOrThrow(Xml.parse(text))), undefined)
  })

  it("an owner under any prefix", () => {
    for (const text of [
      `<domain><metadata><vm xmlns='${DomainXml.namespace}' id='7' operation='x'/></metadata></domain>`,
      `<domain xmlns:q='${DomainXml.namespace}'><metadata><o/><q:vm id='7' operation='x'/></metadata></domain>`
    ]) {
      assert.deepStrictEqual(DomainXml.ownership(Either.getOrThrow(Xml.parse(text))), { vmId: 7, operationId: "x" })
    }
  })

  it("states by number", () => {
    assert.deepStrictEqual([1, 3, 5, 99].map(DomainXml.state), ["running", "paused", "shutoff", "nostate"])
  })

  it("capabilities", () => {
    const read = HostXml.readCapabilities(sample("capabilities"))
    assert.strictEqual(read?.features.length, 74)
    assert.includeMembers([...(read?.features ?? [])], ["vme", "avx512f"])
    assert.notInclude(read?.features ?? [], "sse2", "that one is of its model")
    assert.deepStrictEqual(read === undefined ? undefined : { ...read, features: [] }, {
      uuid: "aaaaaaaa-1111-4222-8333-444444444444",
      arch: "x86_64",
      processor: { model: "kvm64", vendor: "AMD" },
      features: [],
      domainTypes: ["qemu", "kvm"]
    })
    assert.strictEqual(HostXml.readCapabilities(sample("pool-dir")), undefined)
  })

  it("what guests get as their processor: the host's under KVM, the emulated one in software", () => {
    const read = HostXml.readCapabilities(sample("capabilities"))
    if (read === undefined) return assert.fail("they are capabilities")
    const text = (domainType: "kvm" | "qemu", of = read) => {
      const processor = DomainXml.guestProcessor(of, domainType)
      return processor === null ? null : Either.getOrThrow(Xml.render(processor))
    }
    const one = { ...read, features: ["vme", "ht"] }
    assert.strictEqual(
      text("kvm", one),
      '<cpu><arch>x86_64</arch><model>kvm64</model><vendor>AMD</vendor><feature name="vme"/><feature name="ht"/></cpu>'
    )
    assert.strictEqual(text("qemu", one), "<cpu><arch>x86_64</arch><model>Nehalem</model></cpu>")
    assert.isNull(text("kvm", { ...read, processor: { model: null, vendor: null } }))
    assert.isNull(text("qemu", { ...read, arch: "aarch64" }), "libvirt's own choice")
  })

  it("all that a processor has, its model's features among them", () => {
    const features = HostXml.readFeatures(sample("baseline-cpu"))
    assert.strictEqual(features?.length, 100)
    assert.includeMembers([...(features ?? [])], ["sse2", "avx512f"])
    const disabled = "<cpu><feature policy='disable' name='svm'/><feature policy='force' name='aes'/></cpu>"
    assert.deepStrictEqual(HostXml.readFeatures(Either.getOrThrow(Xml.parse(disabled))), ["aes"])
    assert.strictEqual(HostXml.readFeatures(sample("pool-dir")), undefined)
  })

  it("a network", () => {
    const network = HostXml.readNetwork(sample("network-isolated"))
    assert.deepInclude(network, { name: "default", forward: null, bridge: "virbr0" })
  })

  it("pools and volumes", () => {
    assert.deepStrictEqual(StorageXml.readPool(sample("pool-dir")), {
      name: "vmfabric",
      type: "dir",
      path: "/var/lib/libvirt/vmfabric"
    })
    assert.deepInclude(StorageXml.readVolume(sample("volume-raw")), {
      format: "raw",
      capacity: 41_943_040,
      backing: null
    })
    assert.deepStrictEqual(StorageXml.readVolume(sample("volume-overlay")), {
      name: "vm-7-root.qcow2",
      path: "/var/lib/libvirt/vmfabric/vm-7-root.qcow2",
      format: "qcow2",
      capacity: 2 * 1024 ** 3,
      backing: { path: `/var/lib/libvirt/vmfabric/image-${"0".repeat(64)}.raw`, format: "raw" }
    })
    assert.strictEqual(StorageXml.readVolume(sample("domain-running")), undefined)
  })

  it.each([
    ["<capacity>7</capacity>", 7],
    ["<capacity unit='KiB'>2</capacity>", 2048],
    ["<capacity unit='M'>1</capacity>", 1_048_576],
    ["<capacity unit='GB'>1</capacity>", 1_000_000_000],
    ["<capacity unit='furlong'>1</capacity>", undefined],
    ["<capacity>-1</capacity>", undefined],
    ["", undefined]
  ])("a volume's size: %s", (capacity, expected) => {
    const volume = Either.getOrThrow(Xml.parse(`<volume><name>a</name>${capacity}</volume>`))
    assert.strictEqual(StorageXml.readVolume(volume)?.capacity, expected)
  })

  it("what is built reads back", () => {
    const path = "/srv/a b/i.raw"
    assert.deepStrictEqual(StorageXml.readPool(StorageXml.dirPool("p", "/srv")), {
      name: "p",
      type: "dir",
      path: "/srv"
    })
    assert.deepInclude(StorageXml.readVolume(StorageXml.rawVolume("v", 512)), {
      name: "v",
      format: "raw",
      capacity: 512
    })
    assert.deepInclude(StorageXml.readVolume(StorageXml.overlayVolume("v", 2048, { path, format: "raw" })), {
      format: "qcow2",
      capacity: 2048,
      backing: { path, format: "raw" }
    })
  })
})
