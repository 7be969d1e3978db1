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
import * as Fleet from "../../src/simulator/Fleet.ts"
import * as World from "../fabric/World.ts"
import type { Act, Place, Scenario, Setting } from "./Harness.ts"

const type = Ids.InstanceTypeId.make(1)
type Own = Place["own"]

const vms =
  <A, E>(use: (vms: Vms["Type"], own: Own) => Effect.Effect<A, E>): Act<A> =>
  ({ own }) =>
    Effect.flatMap(Vms, (it) => use(it, own))
const nics =
  <A, E>(use: (nics: Nics["Type"], own: Own) => Effect.Effect<A, E>): Act<A> =>
  ({ own }) =>
    Effect.flatMap(Nics, (it) => use(it, own))
const volumes =
  <A, E>(use: (volumes: Volumes["Type"], own: Own) => Effect.Effect<A, E>): Act<A> =>
  ({ own }) =>
    Effect.flatMap(Volumes, (it) => use(it, own))
const power =
  <A, E>(use: (power: Power["Type"], id: Ids.VmId) => Effect.Effect<A, E>): Act<A> =>
  ({ own }) =>
    Effect.flatMap(Power, (it) => use(it, own.vm))
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
const attach = volumes((it, { vm, volume }) => it.attach(volume, vm))
const detach = volumes((it, { volume }) => it.detach(volume))
const createSnapshot = volumes((it, { volume }) => it.snapshot(volume, "cut"))
const destroy = volumes((it, { volume }) => it.destroy(volume))
const restore = volumes((it, { volume }) => it.restore(volume))
const purge = volumes((it, { volume }) => it.purge(volume))
const grow = volumes((it, { volume }) => it.grow(volume, 2))
const start = power((it, id) => it.start(id))
const powerOff = power((it, id) => it.powerOff(id))
const pause = power((it, id) => it.pause(id))
const resume = power((it, id) => it.resume(id))
const isState = (state: string) =>
  volumes((it, own) => Effect.map(it.get(own.volume), (volume) => volume.state === state))
const count = (of: number) => volumes((it) => Effect.map(it.list(), (found) => found.length === of))
const snapshots = (of: number) =>
  volumes((it, { volume }) => Effect.map(it.snapshots(volume), (found) => found.length === of))
const sizeIs = (size: number) => volumes((it, own) => Effect.map(it.get(own.volume), (volume) => volume.size === size))

/** What the scenario is about from then on. */
const vm: Act<void> = (place) =>
  Effect.map(createVm(place), ({ id, nics: [nic] }) => {
    place.own.vm = id
    place.own.nic = nic?.id ?? 0
  })
const volume: Act<void> = (place) => Effect.map(createVolume(place), ({ id }) => void (place.own.volume = id))
const snapshot: Act<void> = (place) => Effect.map(createSnapshot(place), ({ id }) => void (place.own.snapshot = id))
const nic: Act<void> = (place) =>
  Effect.map(nics((it, own) => it.attach(own.vm, {}))(place), ({ id }) => void (place.own.nic = id))
const detachLastNic: Act<void> = ({ own }) =>
  Effect.gen(function* () {
    const last = (yield* Effect.flatMap(Vms, (it) => it.get(own.vm))).nics.at(-1)
    if (last !== undefined) yield* Effect.flatMap(Nics, (it) => it.detach(own.vm, last.id))
  })
const destroyLastSnapshot = volumes((it, { volume }) =>
  Effect.gen(function* () {
    const last = (yield* it.snapshots(volume)).at(-1)
    if (last !== undefined) yield* it.destroySnapshot(last.id)
  })
)
const unmakeVm = vms((it) =>
  Effect.flatMap(it.list(), (all) => Effect.forEach(all, ({ id }) => it.destroy(id), { discard: true }))
)
/** To hosts and pool the next VM is the first: they have neither the image's file, which is another one from now on, nor the pool's secret. */
const anew: Act<void> = ({ hosts, images, own }) => {
  for (const { state } of hosts) state.secrets.clear()
  own.image++
  // of another size: its time is told in whole seconds, and may be the same
  return images.putFile("/images/test.img", Fleet.diskImage(8192 + 1024 * own.image, own.image))
}
/** The last that was made is gone. */
const unmakeVolume = volumes((it) =>
  Effect.gen(function* () {
    const last = (yield* it.list()).at(-1)
    if (last === undefined) return
    yield* it.destroy(last.id)
    yield* it.purge(last.id)
  })
)

const running: Act<boolean> = ({ hosts }) =>
  Effect.sync(() => hosts.flatMap((host) => host.guests()).filter(({ paused }) => !paused).length === 1)
const crash: Act<unknown> = ({ hosts, own }) =>
  Effect.forEach(hosts, ({ faults }) => faults.crashGuest(`vm-${own.vm}`), { discard: true })

const domains = (world: World.World) => world.hosts.flatMap(({ state }) => [...state.domains.values()])

/** What is wanted of the VM's power, and what its guest does. */
const powerIs =
  (state: "running" | "stopped" | "paused"): Act<boolean> =>
  ({ hosts, own }) =>
    Effect.flatMap(Vms, (it) =>
      Effect.map(it.get(own.vm), (vm) => {
        const [guest] = hosts.flatMap((host) => host.guests())
        const does = guest === undefined ? "stopped" : guest.paused ? "paused" : "running"
        return vm.state === state && does === state
      })
    )
const ignores: Act<void> = ({ hosts, own }) =>
  Effect.forEach(hosts, ({ faults }) => faults.ignorePowerButton(`vm-${own.vm}`, true), { discard: true })
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
      const disk = new RegExp(`<disk(?:(?!</disk>).)*ua-volume-${world.own.volume}(?!\\d).*?</disk>`, "su")
      domain.persistent = yield* Xml.parse(xml.replace(disk, ""))
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
  ({ cluster, hosts, own }) =>
    Effect.sync(() => {
      const kept = [
        ...hosts.flatMap(({ state }) =>
          [...state.files.files].flatMap(([path, file]) =>
            path.endsWith(`/vm-${own.vm}-seed.iso`) ? [file.read(0, Seed.capacity)] : []
          )
        ),
        ...Option.toArray(Either.getRight(cluster.read(`vm-${own.vm}-seed`, 0, Seed.capacity)))
      ]
      return kept.length === 1 && kept.every((seed) => Buffer.from(seed).includes(`local-hostname: "${hostname}"`))
    })
const isIn: Act<boolean> = (world) =>
  Effect.forEach(domains(world), ({ persistent }) => Xml.render(persistent!)).pipe(
    Effect.map((all) => all.every((xml) => xml.includes(`ua-volume-${world.own.volume}"`)))
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
  (of: (own: Own) => Omit<PublishImage, "name">): Act<unknown> =>
  ({ own }) =>
    Effect.flatMap(ImagePublishing, (it) => it.publish({ name: "cut", ...of(own) }))
/** There is no image of that any more. */
const withdraw =
  (origin: ImageOrigin): Act<unknown> =>
  () =>
    Effect.flatMap(ImageIntake, (it) =>
      Effect.flatMap(it.list, (all) =>
        Effect.forEach(
          all.filter(({ image }) => image.origin === origin),
          ({ image }) => it.remove(image.id)
        )
      )
    )
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
const forgotten: Act<void> = ({ own }) =>
  Effect.flatMap(Inventory, (inventory) => inventory.setVmState(own.vm, "destroyed"))
const isGone: Act<boolean> = (world) =>
  Effect.sync(() => domains(world).length === 0 && World.remains(world).disks.length === 0)

/** Another instance type, of two vCPUs. */
const larger = Ids.InstanceTypeId.make(2)
const addLarger: Act<unknown> = () =>
  Effect.flatMap(Inventory, (inventory) => inventory.createType({ tid: larger, cpu: 2, ram: 2048, disk: 1 }))

/** An operation on the VM that the use cases begin by themselves, or for more than one reason. */
const onVm = (kind: "StartVm" | "RepairVm" | "CleanVm", detail?: OperationDetail): Act<void> =>
  Effect.fnUntraced(function* ({ own }) {
    const operations = yield* Operations
    const begun = yield* Effect.flatMap(Inventory, (inventory) => inventory.beginOnVm(own.vm, kind, detail)).pipe(
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
      back: all(unmakeVm, anew),
      // which points the copy of an image passes depends on what a controller that ended has left of it
      alone: true,
      done: both(
        vms((it) => Effect.map(it.list(), (found) => found.some(({ state }) => state === "running"))),
        running
      )
    }
  ],
  DestroyVm: [
    {
      name: "destroying a VM that has a volume",
      given: all(vm, volume, attach),
      work: vms((it, own) => it.destroy(own.vm)),
      back: all(vm, attach),
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
      given: all(vm, crash),
      work: onVm("StartVm"),
      back: crash,
      done: running
    }
  ],
  ResizeVm: [
    {
      name: "resizing a VM that is off",
      given: all(vm, powerOff, addLarger),
      work: vms((it, own) => it.resize(own.vm, larger)),
      back: vms((it, own) => it.resize(own.vm, type)),
      done: both(
        vms((it, own) =>
          Effect.map(it.get(own.vm), (vm) => vm.instanceType === larger && vm.applied?.cpu === vm.resources.cpu)
        ),
        domainsSay(">2</vcpu>")
      )
    }
  ],
  ConfigureVm: [
    {
      name: "renaming a VM that is to start with its host",
      given: vm,
      work: vms((it, own) => it.change(own.vm, { name: "new", autostart: true })),
      back: vms((it, own) => it.change(own.vm, { name: "cut", autostart: false })),
      done: both(
        vms((it, own) => Effect.map(it.get(own.vm), ({ applied, name }) => name === "new" && applied?.name === "new")),
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
      given: vm,
      work: power((it, id) => it.shutDown(id)),
      back: start,
      done: powerIs("stopped")
    },
    {
      name: "shutting a VM down whose guest does not want to",
      amiss: true,
      given: all(vm, ignores),
      work: power((it, id) => it.shutDown(id, { within: 2 })),
      back: start,
      done: powerIs("stopped")
    }
  ],
  PowerOffVm: [
    {
      name: "powering a VM off",
      amiss: true,
      given: vm,
      work: powerOff,
      back: start,
      done: powerIs("stopped")
    }
  ],
  RebootVm: [
    {
      name: "rebooting a VM",
      amiss: true,
      given: vm,
      work: power((it, id) => it.reboot(id)),
      back: all(powerOff, start),
      done: both(powerIs("running"), cameUp(2))
    },
    {
      name: "rebooting a VM whose guest does not want to",
      amiss: true,
      given: all(vm, ignores),
      work: power((it, id) => it.reboot(id, { within: 2 })),
      back: all(powerOff, start),
      done: both(powerIs("running"), cameUp(2))
    }
  ],
  ResetVm: [
    {
      name: "resetting a VM",
      amiss: true,
      given: vm,
      work: power((it, id) => it.reset(id)),
      back: all(powerOff, start),
      done: both(powerIs("running"), cameUp(2))
    }
  ],
  PauseVm: [
    {
      name: "pausing a VM",
      amiss: true,
      given: vm,
      work: pause,
      back: resume,
      done: powerIs("paused")
    }
  ],
  ResumeVm: [
    {
      name: "resuming a VM",
      amiss: true,
      given: all(vm, pause),
      work: resume,
      back: pause,
      done: powerIs("running")
    }
  ],
  RepairVm: [
    {
      name: "repairing a VM that lost its volume and its guest",
      amiss: true,
      given: all(vm, volume, attach, crash, takeOut),
      work: onVm("RepairVm", { repair: ["definition", "disks", "power"] }),
      back: all(crash, takeOut),
      done: both(running, isIn)
    },
    {
      name: "repairing a VM whose domain somebody has undefined",
      amiss: true,
      given: all(vm, volume, attach, crash, undefineAll),
      work: onVm("RepairVm", { repair: ["definition", "disks", "power"] }),
      back: all(crash, undefineAll),
      done: both(running, isIn)
    }
  ],
  CleanVm: [
    {
      name: "removing what is left of a VM",
      amiss: true,
      given: vm,
      // as one: what is found of a VM that should be gone is removed also when nobody asks
      work: all(forgotten, onVm("CleanVm")),
      back: vm,
      done: isGone
    }
  ],
  AttachNic: [
    {
      name: "attaching a NIC",
      given: vm,
      work: nics((it, own) => it.attach(own.vm, { mac: "52:54:00:00:00:77" })),
      back: detachLastNic,
      done: both(
        vms((it, own) => Effect.map(it.get(own.vm), ({ nics }) => nics.length === 2 && nics.every(isAttached))),
        domainsSay("52:54:00:00:00:77")
      )
    }
  ],
  DetachNic: [
    {
      name: "detaching a NIC",
      given: vm,
      work: nics((it, own) => it.detach(own.vm, own.nic)),
      back: nic,
      done: both(
        vms((it, own) => Effect.map(it.get(own.vm), ({ nics }) => nics.length === 0)),
        (world) => Effect.map(domainsSay("<interface")(world), (there) => !there)
      )
    }
  ],
  SetNicLink: [
    {
      name: "unplugging a cable",
      given: vm,
      work: nics((it, own) => it.setLink(own.vm, own.nic, "down")),
      back: nics((it, own) => it.setLink(own.vm, own.nic, "up")),
      done: both(
        vms((it, own) => Effect.map(it.get(own.vm), ({ nics }) => nics.every(({ link }) => link === "down"))),
        domainsSay("<link state='down'/>")
      )
    }
  ],
  SetCloudInit: [
    {
      name: "telling a guest something else at its next boot",
      given: vm,
      work: vms((it, own) => it.setCloudInit(own.vm, { hostname: "new" })),
      back: vms((it, own) => it.setCloudInit(own.vm, { hostname: "cut" })),
      done: seedSays("new")
    }
  ],
  CreateVolume: [
    { name: "creating a volume", given: nothing, work: createVolume, back: unmakeVolume, done: count(1) },
    {
      name: "creating a volume from a snapshot",
      given: all(volume, snapshot),
      work: volumes((it, own) => it.create({ name: "clone", source: own.snapshot, size: 2 })),
      back: unmakeVolume,
      done: count(2)
    }
  ],
  DestroyVolume: [
    { name: "destroying a volume", given: volume, work: destroy, back: restore, done: isState("deleted") }
  ],
  RestoreVolume: [
    {
      name: "restoring a volume",
      given: all(volume, destroy),
      work: restore,
      back: destroy,
      done: isState("available")
    }
  ],
  PurgeVolume: [
    {
      name: "purging a volume",
      given: all(volume, snapshot, destroy),
      work: purge,
      back: all(volume, snapshot, destroy),
      done: count(0)
    }
  ],
  AttachVolume: [
    { name: "attaching", given: all(vm, volume), work: attach, back: detach, done: isState("attached") },
    {
      name: "attaching to a VM elsewhere",
      hosts: 2,
      given: all(vm, volume),
      work: attach,
      // it stays where it was needed
      back: all(detach, unmakeVolume, volume),
      done: isState("attached")
    }
  ],
  DetachVolume: [
    {
      name: "detaching",
      given: all(vm, volume, attach),
      work: detach,
      back: attach,
      done: isState("available")
    }
  ],
  GrowVolume: [
    {
      name: "growing a volume",
      given: volume,
      work: grow,
      back: all(unmakeVolume, volume),
      done: sizeIs(2)
    },
    {
      name: "growing a volume that a guest has",
      given: all(vm, volume, attach),
      work: grow,
      back: all(detach, unmakeVolume, volume, attach),
      done: sizeIs(2)
    }
  ],
  RenameVolume: [
    {
      name: "renaming",
      given: volume,
      work: volumes((it, { volume }) => it.rename(volume, "new")),
      back: volumes((it, { volume }) => it.rename(volume, "cut")),
      done: volumes((it, { volume }) => Effect.map(it.get(volume), ({ name }) => name === "new"))
    }
  ],
  RevertVolume: [
    {
      name: "going back to a snapshot",
      given: all(volume, snapshot, grow),
      work: volumes((it, { snapshot }) => it.revert(snapshot)),
      back: grow,
      done: sizeIs(1)
    }
  ],
  CreateSnapshot: [
    { name: "making a snapshot", given: volume, work: createSnapshot, back: destroyLastSnapshot, done: snapshots(1) }
  ],
  DestroySnapshot: [
    {
      name: "destroying a snapshot",
      given: all(volume, snapshot),
      work: volumes((it, { snapshot }) => it.destroySnapshot(snapshot)),
      back: snapshot,
      done: snapshots(0)
    }
  ],
  PublishVm: [
    {
      name: "publishing a VM's disk",
      given: all(vm, powerOff),
      work: publishing(({ vm }) => ({ vm })),
      back: withdraw("vm"),
      done: published("vm")
    }
  ],
  PublishVolume: [
    {
      name: "publishing a volume",
      given: volume,
      work: publishing(({ volume }) => ({ volume })),
      back: withdraw("volume"),
      done: published("volume")
    },
    {
      name: "publishing a snapshot",
      given: all(volume, snapshot),
      work: publishing(({ snapshot }) => ({ snapshot })),
      back: withdraw("snapshot"),
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
