/**
 * What can be done with the fabric: at least one scenario for each kind of operation.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Seed from "../../src/cloudinit/Seed.ts"
import * as Ids from "../../src/domain/Ids.ts"
import type { ImageOrigin } from "../../src/domain/Image.ts"
import type { Nic } from "../../src/domain/Nic.ts"
import type { OperationDetail, OperationKind } from "../../src/domain/Operation.ts"
import { ImageIntake } from "../../src/fabric/ImageIntake.ts"
import { ImagePublishing, type PublishImage } from "../../src/fabric/ImagePublishing.ts"
import { Nics } from "../../src/fabric/Nics.ts"
import { Power } from "../../src/fabric/Power.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { Volumes } from "../../src/fabric/Volumes.ts"
import * as Xml from "../../src/libvirt/Xml.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Operations } from "../../src/services/Operations.ts"
import * as World from "../fabric/World.ts"
import type { Act, Scenario, Setting } from "./Harness.ts"

const type = Ids.InstanceTypeId.make(1)
const vmId = Ids.VmId.make(1)
const volumeId = Ids.VolumeId.make(1)
const snapshotId = Ids.SnapshotId.make(1)

const vms =
  <A, E>(use: (vms: Vms["Type"]) => Effect.Effect<A, E>): Act<A> =>
  () =>
    Effect.flatMap(Vms, use)
const nics =
  <A, E>(use: (nics: Nics["Type"]) => Effect.Effect<A, E>): Act<A> =>
  () =>
    Effect.flatMap(Nics, use)
const volumes =
  <A, E>(use: (volumes: Volumes["Type"]) => Effect.Effect<A, E>): Act<A> =>
  () =>
    Effect.flatMap(Volumes, use)
const power =
  <A, E>(use: (power: Power["Type"]) => Effect.Effect<A, E>): Act<A> =>
  () =>
    Effect.flatMap(Power, use)
const all =
  (...acts: ReadonlyArray<Act<unknown>>): Act<unknown> =>
  (world) =>
    Effect.forEach(acts, (act) => act(world), { discard: true })
const both =
  (...acts: ReadonlyArray<Act<boolean>>): Act<boolean> =>
  (world) =>
    Effect.map(
      Effect.forEach(acts, (act) => act(world)),
      (answers) => answers.every((answer) => answer)
    )

const nothing: Act<void> = () => Effect.void
const createVm = vms((it) => it.create({ name: "cut", instanceType: type }))
const createVolume = volumes((it) => it.create({ name: "cut", size: 1 }))
const attach = volumes((it) => it.attach(volumeId, vmId))
const snapshot = volumes((it) => it.snapshot(volumeId, "cut"))
const destroy = volumes((it) => it.destroy(volumeId))
const isState = (state: string) => volumes((it) => Effect.map(it.get(volumeId), (volume) => volume.state === state))
const count = (of: number) => volumes((it) => Effect.map(it.list(), (found) => found.length === of))
const snapshots = (of: number) => volumes((it) => Effect.map(it.snapshots(volumeId), (found) => found.length === of))
const sizeIs = (size: number) => volumes((it) => Effect.map(it.get(volumeId), (volume) => volume.size === size))

const running: Act<boolean> = ({ hosts }) =>
  Effect.sync(() => hosts.flatMap((host) => host.guests()).filter(({ paused }) => !paused).length === 1)
const crash: Act<unknown> = ({ hosts }) =>
  Effect.forEach(hosts, ({ faults }) => faults.crashGuest("vm-1"), { discard: true })

const domains = (world: World.World) => world.hosts.flatMap(({ state }) => [...state.domains.values()])

/** What is wanted of the VM's power, and what its guest does. */
const powerIs =
  (state: "running" | "stopped" | "paused"): Act<boolean> =>
  ({ hosts }) =>
    Effect.flatMap(Vms, (it) =>
      Effect.map(it.get(vmId), (vm) => {
        const [guest] = hosts.flatMap((host) => host.guests())
        const does = guest === undefined ? "stopped" : guest.paused ? "paused" : "running"
        return vm.state === state && does === state
      })
    )
const ignores: Act<void> = ({ hosts }) =>
  Effect.forEach(hosts, ({ faults }) => faults.ignorePowerButton("vm-1", true), { discard: true })
/** It has come up so often since it was given power; what has just begun anew is given its time. */
const cameUp =
  (times: number): Act<boolean> =>
  ({ hosts }) =>
    Effect.map(Effect.sleep("1 second"), () => {
      const lines = hosts.flatMap((host) => host.guests().flatMap(({ serial }) => serial))
      return lines.filter((line) => line.startsWith("GUEST READY")).length >= times
    })

/** Somebody has taken the volume out of the domain's definition with virsh. */
const takeOut: Act<void> = (world) =>
  Effect.gen(function* () {
    for (const domain of domains(world)) {
      const xml = yield* Xml.render(domain.persistent!)
      domain.persistent = yield* Xml.parse(xml.replace(/<disk(?:(?!<\/disk>).)*ua-volume-1(?!\d).*?<\/disk>/su, ""))
    }
  })
/** Somebody has taken the domains away with virsh. */
const undefineAll: Act<void> = ({ hosts }) =>
  Effect.sync(() => {
    for (const { state } of hosts) state.domains.clear()
  })
/** What a guest on a host with folders would read at its next boot. */
const seedSays =
  (hostname: string): Act<boolean> =>
  ({ cluster, hosts }) =>
    Effect.sync(() => {
      const kept = [
        ...hosts.flatMap(({ state }) =>
          [...state.files.files].flatMap(([path, file]) =>
            path.endsWith("/vm-1-seed.iso") ? [file.read(0, Seed.capacity)] : []
          )
        ),
        ...Option.toArray(Either.getRight(cluster.read("vm-1-seed", 0, Seed.capacity)))
      ]
      return kept.length === 1 && kept.every((seed) => Buffer.from(seed).includes(`local-hostname: "${hostname}"`))
    })
const isIn: Act<boolean> = (world) =>
  Effect.forEach(domains(world), ({ persistent }) => Xml.render(persistent!)).pipe(
    Effect.map((all) => all.every((xml) => xml.includes("ua-volume-1")))
  )

/** All definitions, and all domains that run, have that in their XML. */
const domainsSay =
  (text: string): Act<boolean> =>
  (world) =>
    Effect.forEach(
      domains(world).flatMap(({ live, persistent }) => [persistent!, ...(live === null ? [] : [live.definition])]),
      Xml.render
    ).pipe(Effect.map((all) => all.length > 0 && all.every((xml) => xml.replaceAll('"', "'").includes(text))))
const isAttached = ({ state }: Nic) => state === "attached"

const publishing =
  (of: Omit<PublishImage, "name">): Act<unknown> =>
  () =>
    Effect.flatMap(ImagePublishing, (it) => it.publish({ name: "cut", ...of }))
/** There is one image of that, and VMs can be made of it. */
const published =
  (origin: ImageOrigin): Act<boolean> =>
  () =>
    Effect.map(
      Effect.flatMap(ImageIntake, (it) => it.list),
      (all) => {
        const made = all.flatMap(({ image }) => (image.origin === origin ? [image] : []))
        return made.length === 1 && made.every(({ content, state }) => state === "available" && content !== null)
      }
    )

/** The VM is destroyed as far as anybody knows, and its domain and its disk are there. */
const forgotten: Act<void> = () => Effect.flatMap(Inventory, (inventory) => inventory.setVmState(vmId, "destroyed"))
const isGone: Act<boolean> = (world) =>
  Effect.sync(() => domains(world).length === 0 && World.remains(world).disks.length === 0)

/** Another instance type, of two vCPUs. */
const larger = Ids.InstanceTypeId.make(2)
const addLarger: Act<unknown> = () =>
  Effect.flatMap(Inventory, (inventory) => inventory.createType({ tid: larger, cpu: 2, ram: 2048, disk: 1 }))

/** An operation on the VM that the use cases begin by themselves, or for more than one reason. */
const onVm = (kind: "StartVm" | "RepairVm" | "CleanVm", detail?: OperationDetail): Act<void> =>
  Effect.fnUntraced(function* () {
    const operations = yield* Operations
    const begun = yield* Effect.flatMap(Inventory, (inventory) => inventory.beginOnVm(vmId, kind, detail)).pipe(
      Effect.tap(operations.start),
      Effect.uninterruptible
    )
    yield* operations.await(begun.id)
  })

/** A kind of operation without a scenario does not compile. */
export const scenarios: Readonly<Record<OperationKind, NonEmptyReadonlyArray<Scenario>>> = {
  CreateVm: [
    {
      name: "creating a VM",
      given: nothing,
      work: createVm,
      done: both(
        vms((it) => Effect.map(it.list(), (found) => found.some(({ state }) => state === "running"))),
        running
      )
    }
  ],
  DestroyVm: [
    {
      name: "destroying a VM that has a volume",
      given: all(createVm, createVolume, attach),
      work: vms((it) => it.destroy(vmId)),
      done: both(
        vms((it) => Effect.map(it.list(), (found) => found.length === 0)),
        isState("available")
      )
    }
  ],
  StartVm: [
    {
      name: "starting a VM whose guest died",
      amiss: true,
      given: all(createVm, crash),
      work: onVm("StartVm"),
      done: running
    }
  ],
  ResizeVm: [
    {
      name: "resizing a VM that is off",
      given: all(
        createVm,
        power((it) => it.powerOff(vmId)),
        addLarger
      ),
      work: vms((it) => it.resize(vmId, larger)),
      done: both(
        vms((it) =>
          Effect.map(it.get(vmId), (vm) => vm.instanceType === larger && vm.applied?.cpu === vm.resources.cpu)
        ),
        domainsSay(">2</vcpu>")
      )
    }
  ],
  ConfigureVm: [
    {
      name: "renaming a VM that is to start with its host",
      given: createVm,
      work: vms((it) => it.change(vmId, { name: "new", autostart: true })),
      done: both(
        vms((it) => Effect.map(it.get(vmId), ({ applied, name }) => name === "new" && applied?.name === "new")),
        (world) =>
          Effect.forEach(domains(world), ({ autostart, live, persistent }) =>
            Effect.map(Effect.all([Xml.render(persistent!), Xml.render(live!.definition)]), (all) =>
              all.every((xml) => autostart && xml.includes("<title>new</title>"))
            )
          ).pipe(Effect.map((all) => all.every((one) => one)))
      )
    }
  ],
  // what was done to a guest cannot be taken back: until it is asked for again it may be done, or not
  ShutDownVm: [
    {
      name: "shutting a VM down",
      amiss: true,
      given: createVm,
      work: power((it) => it.shutDown(vmId)),
      done: powerIs("stopped")
    },
    {
      name: "shutting a VM down whose guest does not want to",
      amiss: true,
      given: all(createVm, ignores),
      work: power((it) => it.shutDown(vmId, { within: 2 })),
      done: powerIs("stopped")
    }
  ],
  PowerOffVm: [
    {
      name: "powering a VM off",
      amiss: true,
      given: createVm,
      work: power((it) => it.powerOff(vmId)),
      done: powerIs("stopped")
    }
  ],
  RebootVm: [
    {
      name: "rebooting a VM",
      amiss: true,
      given: createVm,
      work: power((it) => it.reboot(vmId)),
      done: both(powerIs("running"), cameUp(2))
    },
    {
      name: "rebooting a VM whose guest does not want to",
      amiss: true,
      given: all(createVm, ignores),
      work: power((it) => it.reboot(vmId, { within: 2 })),
      done: both(powerIs("running"), cameUp(2))
    }
  ],
  ResetVm: [
    {
      name: "resetting a VM",
      amiss: true,
      given: createVm,
      work: power((it) => it.reset(vmId)),
      done: both(powerIs("running"), cameUp(2))
    }
  ],
  PauseVm: [
    {
      name: "pausing a VM",
      amiss: true,
      given: createVm,
      work: power((it) => it.pause(vmId)),
      done: powerIs("paused")
    }
  ],
  ResumeVm: [
    {
      name: "resuming a VM",
      amiss: true,
      given: all(
        createVm,
        power((it) => it.pause(vmId))
      ),
      work: power((it) => it.resume(vmId)),
      done: powerIs("running")
    }
  ],
  RepairVm: [
    {
      name: "repairing a VM that lost its volume and its guest",
      amiss: true,
      given: all(createVm, createVolume, attach, crash, takeOut),
      work: onVm("RepairVm", { repair: ["definition", "disks", "power"] }),
      done: both(running, isIn)
    },
    {
      name: "repairing a VM whose domain somebody has undefined",
      amiss: true,
      given: all(createVm, createVolume, attach, crash, undefineAll),
      work: onVm("RepairVm", { repair: ["definition", "disks", "power"] }),
      done: both(running, isIn)
    }
  ],
  CleanVm: [
    {
      name: "removing what is left of a VM",
      amiss: true,
      given: createVm,
      // as one: what is found of a VM that should be gone is removed also when nobody asks
      work: all(forgotten, onVm("CleanVm")),
      done: isGone
    }
  ],
  AttachNic: [
    {
      name: "attaching a NIC",
      given: createVm,
      work: nics((it) => it.attach(vmId, { mac: "52:54:00:00:00:77" })),
      done: both(
        vms((it) => Effect.map(it.get(vmId), ({ nics }) => nics.length === 2 && nics.every(isAttached))),
        domainsSay("52:54:00:00:00:77")
      )
    }
  ],
  DetachNic: [
    {
      name: "detaching a NIC",
      given: createVm,
      work: nics((it) => it.detach(vmId, 1)),
      done: both(
        vms((it) => Effect.map(it.get(vmId), ({ nics }) => nics.length === 0)),
        (world) => Effect.map(domainsSay("<interface")(world), (there) => !there)
      )
    }
  ],
  SetNicLink: [
    {
      name: "unplugging a cable",
      given: createVm,
      work: nics((it) => it.setLink(vmId, 1, "down")),
      done: both(
        vms((it) => Effect.map(it.get(vmId), ({ nics }) => nics.every(({ link }) => link === "down"))),
        domainsSay("<link state='down'/>")
      )
    }
  ],
  SetCloudInit: [
    {
      name: "telling a guest something else at its next boot",
      given: createVm,
      work: vms((it) => it.setCloudInit(vmId, { hostname: "new" })),
      done: seedSays("new")
    }
  ],
  CreateVolume: [
    { name: "creating a volume", given: nothing, work: createVolume, done: count(1) },
    {
      name: "creating a volume from a snapshot",
      given: all(createVolume, snapshot),
      work: volumes((it) => it.create({ name: "clone", source: snapshotId, size: 2 })),
      done: count(2)
    }
  ],
  DestroyVolume: [{ name: "destroying a volume", given: createVolume, work: destroy, done: isState("deleted") }],
  RestoreVolume: [
    {
      name: "restoring a volume",
      given: all(createVolume, destroy),
      work: volumes((it) => it.restore(volumeId)),
      done: isState("available")
    }
  ],
  PurgeVolume: [
    {
      name: "purging a volume",
      given: all(createVolume, snapshot, destroy),
      work: volumes((it) => it.purge(volumeId)),
      done: count(0)
    }
  ],
  AttachVolume: [
    { name: "attaching", given: all(createVm, createVolume), work: attach, done: isState("attached") },
    {
      name: "attaching to a VM elsewhere",
      hosts: 2,
      given: all(createVm, createVolume),
      work: attach,
      done: isState("attached")
    }
  ],
  DetachVolume: [
    {
      name: "detaching",
      given: all(createVm, createVolume, attach),
      work: volumes((it) => it.detach(volumeId)),
      done: isState("available")
    }
  ],
  GrowVolume: [
    {
      name: "growing a volume",
      given: createVolume,
      work: volumes((it) => it.grow(volumeId, 2)),
      done: sizeIs(2)
    },
    {
      name: "growing a volume that a guest has",
      given: all(createVm, createVolume, attach),
      work: volumes((it) => it.grow(volumeId, 2)),
      done: sizeIs(2)
    }
  ],
  RenameVolume: [
    {
      name: "renaming",
      given: createVolume,
      work: volumes((it) => it.rename(volumeId, "new")),
      done: volumes((it) => Effect.map(it.get(volumeId), ({ name }) => name === "new"))
    }
  ],
  RevertVolume: [
    {
      name: "going back to a snapshot",
      given: all(
        createVolume,
        snapshot,
        volumes((it) => it.grow(volumeId, 2))
      ),
      work: volumes((it) => it.revert(snapshotId)),
      done: sizeIs(1)
    }
  ],
  CreateSnapshot: [{ name: "making a snapshot", given: createVolume, work: snapshot, done: snapshots(1) }],
  DestroySnapshot: [
    {
      name: "destroying a snapshot",
      given: all(createVolume, snapshot),
      work: volumes((it) => it.destroySnapshot(snapshotId)),
      done: snapshots(0)
    }
  ],
  PublishVm: [
    {
      name: "publishing a VM's disk",
      given: all(
        createVm,
        power((it) => it.powerOff(vmId))
      ),
      work: publishing({ vm: vmId }),
      done: published("vm")
    }
  ],
  PublishVolume: [
    {
      name: "publishing a volume",
      given: createVolume,
      work: publishing({ volume: volumeId }),
      done: published("volume")
    },
    {
      name: "publishing a snapshot",
      given: all(createVolume, snapshot),
      work: publishing({ snapshot: snapshotId }),
      done: published("snapshot")
    }
  ]
}

/** They touch no disk, so that it is the same to them where disks are: it would all be done twice. */
const diskless: ReadonlyArray<OperationKind> = [
  "ConfigureVm",
  "ResizeVm",
  "ShutDownVm",
  "PowerOffVm",
  "RebootVm",
  "ResetVm",
  "PauseVm",
  "ResumeVm",
  "AttachNic",
  "DetachNic",
  "SetNicLink"
]

/** With disks and volumes in a pool, and on the hosts. */
export const settingsOf = (kind: OperationKind): ReadonlyArray<Setting> =>
  (diskless.includes(kind) ? [false] : [true, false]).flatMap((ceph) =>
    scenarios[kind].map((scenario) => ({ scenario, ceph }))
  )
