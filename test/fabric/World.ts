/**
 * A simulated fleet, and the whole controller over it: everything is the real thing but the cables, the daemons and the guests.
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"
import * as AppLive from "../../layers/AppLive.ts"
import * as ImageStoreLive from "../../layers/ImageStoreLive.ts"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import { defaultConfig, type HostConfig } from "../../src/domain/Host.ts"
import * as Ids from "../../src/domain/Ids.ts"
import { isKept } from "../../src/domain/Image.ts"
import * as Quota from "../../src/domain/Quota.ts"
import type { Vm } from "../../src/domain/Vm.ts"
import type { Volume } from "../../src/domain/Volume.ts"
import * as Xml from "../../src/libvirt/Xml.ts"
import type { Hypervisor } from "../../src/services/Hypervisor.ts"
import type { ImageLibrary } from "../../src/services/ImageLibrary.ts"
import type { ImageStore } from "../../src/services/ImageStore.ts"
import { type FleetConfig, Inventory } from "../../src/services/Inventory.ts"
import type { Ssh } from "../../src/services/Ssh.ts"
import type { Storage } from "../../src/services/Storage.ts"
import * as Cluster from "../../src/simulator/Cluster.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"
import type * as SimulatedHost from "../../src/simulator/SimulatedHost.ts"
import * as Virtual from "../../src/simulator/Virtual.ts"
import { assert } from "../check/Equality.ts"
import * as Domains from "./Domains.ts"
import * as Writes from "./Writes.ts"

const address = (host: string) => ({ user: "root", host, port: 22 })

/** A disk that forgets nothing need not be asked to: what is tested is what survives a process, not a power cut. */
const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "vmfabric-world-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** What there is to look at. */
export interface World {
  readonly hosts: ReadonlyArray<SimulatedHost.SimulatedHost>
  readonly cluster: Cluster.Cluster
  /** where the controller keeps images itself; absent: nowhere that is known */
  readonly imageFolder?: string
}

export interface Options {
  readonly hosts: number
  /** disks and volumes are in a pool of 1 TiB, else on the hosts */
  readonly ceph?: boolean
  readonly undoWindow?: Duration.DurationInput
  /** by way of SSH, unless the transport is to cost nothing */
  readonly transport?: "ssh" | "memory"
  /** what the machine file says of the networks of a host, from 0 */
  readonly networks?: (host: number) => HostConfig["networks"] & {}
  /** a database to begin with; absent: a new one */
  readonly database?: string
}

/** Host `sim-1` … `sim-N` of 8 vCPUs and 32 GiB, one image, one type of 1 vCPU, 1 GiB, 1 GiB; gone with the scope. */
export const make = Effect.fn("World.make")(function* (options: Options) {
  const names = Array.from({ length: options.hosts }, (_, index) => `sim-${index + 1}`)
  const cluster = yield* Cluster.make()
  const fleet = yield* Fleet.make({
    hosts: [
      ...names.map((hostname) => ({ hostname, ceph: cluster, bootTime: "20 millis" as const })),
      { hostname: "sim-images", cephCommands: cluster }
    ],
    dialTimeout: "1 second"
  })
  const images = fleet.host("sim-images")!
  yield* images.putFile("/images/test.img", Fleet.diskImage(options.transport === "memory" ? 8192 : 512 * 1024, 1))
  const kept = yield* folder
  const database = join(kept, "vmfabric.sqlite")
  const imageFolder = join(kept, "images")
  if (options.database !== undefined) copyFileSync(options.database, database)
  const config: FleetConfig = {
    hosts: names.map((name, index) => ({
      ...defaultConfig(address(name)),
      ...(options.networks === undefined ? {} : { networks: options.networks(index) })
    })),
    images: [{ name: "test", source: { host: address("sim-images"), path: "/images/test.img" } }],
    types: [{ tid: Ids.InstanceTypeId.make(1), cpu: 1, ram: 1024, disk: 1 }]
  }
  const writes = Writes.make()
  const ssh =
    options.transport === "memory"
      ? SimulatedFleet.layerMemory(fleet)
      : SimulatedFleet.layerSsh(fleet, { keepalive: "300 millis" })
  const { undoWindow } = options
  /** Outlives the controller, as the folder does. */
  const store = ImageStoreLive.layer({ folder: imageFolder, paths: [], allow: [] })
  /** One life of the controller, on the database that all its lives share; ended by interruption it records nothing more. */
  const life = AppLive.layerOver<
    Hypervisor | Storage | ImageLibrary | ImageStore,
    never,
    Ssh | Inventory | FileSystem.FileSystem
  >({
    fleet: config,
    persistence: writes.watched(AppLive.persistence(database)),
    drivers: AppLive.drivers(options.ceph === true ? Fleet.cephOf(cluster, address("sim-images")) : null).pipe(
      Layer.merge(store)
    ),
    images: store,
    volumes: undoWindow === undefined ? {} : { undoWindow }
  }).pipe(Layer.provide(ssh), Layer.provide(NodeContext.layer), Layer.provide(Logger.minimumLogLevel(LogLevel.None)))
  /** `images`: where the image is, and Ceph's commands */
  const hosts = names.map((name) => fleet.host(name)!)
  return { fleet, hosts, images, imageFolder, config, life, cluster, database, writes }
})

/** A world with its controller. */
export type Whole = Effect.Effect.Success<ReturnType<typeof make>>

/** Whose a disk or a file beside it is: `vm-7`, `volume-7`. */
const ownerOf = (name: string) => /^((?:vm|volume)-[0-9]+)(?![0-9])/.exec(name)?.[1] ?? []

/** Names of all domains, and of all that have something in a folder or in the pool, over all hosts. */
export const remains = (world: World) => ({
  domains: world.hosts.flatMap((host) => [...host.state.domains.values()].map((domain) => domain.name)).toSorted(),
  disks: [
    ...new Set([...world.hosts.flatMap(filesOf), ...imagesOf(world), ...trashOf(world)].flatMap(ownerOf))
  ].toSorted()
})

/** Names of the domains of which a host keeps what their consoles have said. */
const logged = ({ state }: SimulatedHost.SimulatedHost): ReadonlyArray<string> => [
  ...new Set([...state.files.files.keys()].flatMap((path) => logOf(path) ?? []))
]
/** Removes what the consoles of domains have said. */
export const forgetLogs = ({ hosts }: World): void => {
  for (const { state } of hosts) {
    for (const path of state.files.files.keys()) if (logOf(path) !== undefined) state.files.files.delete(path)
  }
}
const logOf = (path: string) => /^\/var\/log\/libvirt\/qemu\/(.+)\.serial\.log(?:\.\d)?$/.exec(path)?.[1]

/** Paths of the image files that the controller keeps. */
export const kept = ({ imageFolder }: World): ReadonlyArray<string> =>
  imageFolder === undefined || !existsSync(imageFolder)
    ? []
    : readdirSync(imageFolder)
        .map((name) => join(imageFolder, name))
        .toSorted()

/** Names of all files in a host's storage folder, also of those that its daemon does not know. */
const filesOf = ({ state }: SimulatedHost.SimulatedHost): ReadonlyArray<string> =>
  [...state.pools.values()].flatMap(({ path, volumes }) => [
    ...new Set([
      ...volumes.keys(),
      ...[...state.files.files.keys()].flatMap((file) => (dirname(file) === path ? [basename(file)] : []))
    ])
  ])

const imagesOf = ({ cluster }: World): ReadonlyArray<string> => Either.getOrThrow(cluster.calls.list({}))

const trashOf = ({ cluster }: World): ReadonlyArray<string> =>
  Either.getOrThrow(cluster.calls.trash({})).map(({ name }) => name)

/** A folder's files as they should be, where a volume's or a disk's maker is not known by its number. */
const withoutMakers = (files: ReadonlyArray<string>) =>
  files.map((name) => name.replace(/\.operation-[0-9a-f-]+$/, ".operation")).toSorted()

/** What a domain's definitions have of volumes: ids in the running one, and in the persistent one. */
const volumesIn = (definition: Xml.Element | null | undefined) =>
  [
    ...(definition === null || definition === undefined ? "" : Either.getOrThrow(Xml.render(definition))).matchAll(
      /name="ua-volume-([0-9]+)"/g
    )
  ]
    .map(([, id]) => Number(id))
    .toSorted((a, b) => a - b)

/** What is sent or imported once and stays for the next VM; parts of it may be left only as long as nobody has needed it since. */
const isOfImage = (name: string) => name.startsWith("image-")

const agreeOnFiles = Effect.fnUntraced(function* (
  host: SimulatedHost.SimulatedHost,
  vms: ReadonlyArray<Vm>,
  volumes: ReadonlyArray<Volume>
) {
  const inventory = yield* Inventory
  const files = filesOf(host)
  const snapshots = yield* Effect.forEach(volumes, ({ id }) => inventory.snapshots(id))
  assert.deepStrictEqual(
    withoutMakers(files.filter((name) => !isOfImage(name))),
    [
      ...vms.flatMap(({ id }) => [
        `vm-${id}-root.qcow2`,
        `vm-${id}-root.operation`,
        `vm-${id}-seed.iso`,
        `vm-${id}-seed.operation`
      ]),
      ...volumes.flatMap(({ id, state }, index) => [
        `volume-${id}.qcow2`,
        `volume-${id}.complete`,
        `volume-${id}.operation`,
        ...(state === "deleted" ? [`volume-${id}.deleted`] : []),
        ...(snapshots[index] ?? []).flatMap((snapshot) => [
          `volume-${id}-snapshot-${snapshot.id}.qcow2`,
          `volume-${id}-snapshot-${snapshot.id}.complete`
        ])
      ])
    ].toSorted(),
    `files of ${host.hostname}`
  )
  const images = files.filter((name) => isOfImage(name) && !name.endsWith(".complete"))
  const whole = files.filter((name) => isOfImage(name) && name.endsWith(".complete"))
  assert.isAtMost(whole.length, images.length, "an image that is said to be whole is there")
  const ids = new Map((yield* inventory.allImages).map(({ content, id }) => [content?.sha256, id]))
  for (const name of images) {
    const [sha256 = ""] = /[0-9a-f]{64}/.exec(name) ?? []
    if (whole.some((one) => one.includes(sha256))) continue
    // one that nobody knows by its content could be anybody's
    const users = vms.filter(({ imageId }) => (ids.get(sha256) ?? imageId) === imageId)
    assert.deepStrictEqual(
      users.map(({ domainName }) => domainName),
      [],
      `who is over the part of an image on ${host.hostname}`
    )
  }
})

const agreeOnPool = Effect.fnUntraced(function* (world: World, vms: ReadonlyArray<Vm>, volumes: ReadonlyArray<Volume>) {
  const inventory = yield* Inventory
  const look = (image: string) => Either.getOrThrow(world.cluster.calls.look({ image }))
  const guests = new Set(world.hosts.flatMap((host) => host.guests().map(({ name }) => name)))
  const there = volumes.filter(({ state }) => state !== "deleted")
  const images = imagesOf(world)
  assert.deepStrictEqual(
    images.filter((name) => !isOfImage(name)).toSorted(),
    [
      ...vms.flatMap(({ id }) => [`vm-${id}-root`, `vm-${id}-seed`]),
      ...there.map(({ id }) => `volume-${id}`)
    ].toSorted(),
    "images in the pool"
  )
  assert.deepStrictEqual(
    trashOf(world).toSorted(),
    volumes.flatMap(({ id, state }) => (state === "deleted" ? [`volume-${id}`] : [])).toSorted(),
    "images in the trash"
  )
  for (const { domainName, id } of vms) {
    assert.lengthOf(look(`vm-${id}-root`).snapshots, 0, `snapshots of vm-${id}-root`)
    assert.lengthOf(look(`vm-${id}-root`).watchers, guests.has(domainName) ? 1 : 0, `who has vm-${id}-root open`)
  }
  for (const { id, size, vmId } of there) {
    const image = look(`volume-${id}`)
    assert.lengthOf(image.watchers, guests.has(`vm-${vmId ?? 0}`) ? 1 : 0, `who has volume-${id} open`)
    assert.strictEqual(image.size, size * 1024 ** 3, `size of volume-${id}`)
    assert.deepStrictEqual(
      image.snapshots.map(({ name }) => name).toSorted(),
      (yield* inventory.snapshots(id)).map((snapshot) => `snapshot-${snapshot.id}`).toSorted(),
      `snapshots of volume-${id}`
    )
    assert.isTrue(
      image.snapshots.every((snapshot) => snapshot.protected),
      `snapshots of volume-${id} are protected`
    )
  }
  if (vms.length === 0) return
  for (const name of images.filter(isOfImage)) {
    assert.notInclude(name, ".new-", "no part of an image in the pool")
    assert.deepInclude(look(name).snapshots[0], { name: "base", protected: true }, name)
  }
})

/**
 * What should be: users with what they own, VMs that have been made, one domain and one disk for each, nothing promised beside them; volumes at rest, in the domains of the VMs
 * that they are attached to and in no others, running and defined, and open in the pool where a domain runs with them; domains with the title, the
 * size, the NICs, the seed and the start with their host that the inventory has of their VMs; nothing else in the folders, the pool and the controller's own, no parts, no marks of what has not
 * ended; on each host one secret at most, and no console log of a domain that is gone.
 */
export const agree = Effect.fn("World.agree")(function* (world: World) {
  const inventory = yield* Inventory
  const vms = yield* inventory.vms()
  const volumes = yield* inventory.volumes()
  const names = vms.map((vm) => vm.domainName).toSorted()
  assert.deepStrictEqual(remains(world), {
    domains: names,
    disks: [...names, ...volumes.map(({ id }) => `volume-${id}`)].toSorted()
  })
  const unsettled = vms.flatMap(({ id, settled, state }) => (settled ? [] : [{ id, state }]))
  assert.deepStrictEqual(unsettled, [], "what is not as it is to stay, with nothing under way")
  assert.deepStrictEqual(
    volumes.filter(({ state }) => state !== "available" && state !== "attached" && state !== "deleted"),
    []
  )
  if (world.imageFolder !== undefined) {
    const images = (yield* inventory.allImages).filter(({ origin }) => isKept(origin))
    assert.deepStrictEqual(
      images.filter(({ state }) => state !== "available"),
      [],
      "images that are not as they stay"
    )
    assert.deepStrictEqual(kept(world), images.map(({ config }) => config.source.path).toSorted(), "files of images")
  }
  const usage = yield* inventory.hosts
  for (const { host, promised } of usage) {
    const there = vms.filter(({ hostId }) => hostId === host.id)
    const sum = (of: (vm: Vm) => number) => there.reduce((all, vm) => all + of(vm), 0)
    assert.strictEqual(
      promised.cpu,
      sum(({ resources }) => resources.cpu),
      `vCPUs promised on ${host.name}`
    )
    assert.strictEqual(
      promised.ram,
      sum(({ resources }) => resources.ram),
      `memory promised on ${host.name}`
    )
    const kept = volumes.filter(({ hostId }) => hostId === host.id)
    const copies = yield* Effect.forEach(kept, ({ id }) => inventory.snapshots(id))
    const disks = [...kept, ...copies.flat()].reduce((all, { size }) => all + size, 0)
    const roots = there.reduce((all, vm) => all + (vm.driver === "dir" ? vm.resources.disk : 0), 0)
    assert.strictEqual(promised.disk, roots + disks, `GiB promised on ${host.name}`)
  }
  const owned = new Map<string, Quota.Use>()
  const count = (owner: string | null, use: Quota.Use) => {
    if (owner !== null) owned.set(owner, Quota.plus(owned.get(owner) ?? Quota.nothing, use))
  }
  for (const { owner, resources } of vms) count(owner, Quota.ofVms(resources))
  for (const { owner, size } of volumes) count(owner, Quota.ofVolume(size))
  const byOwner = (uses: ReadonlyMap<string, Quota.Use>) => Object.fromEntries([...uses].toSorted())
  assert.deepStrictEqual(byOwner(yield* inventory.uses), byOwner(owned), "what users have")
  for (const { pool, promised } of yield* inventory.pools) {
    const disks = vms.reduce((all, vm) => all + (vm.driver === "dir" ? 0 : vm.resources.disk), 0)
    const sizes = volumes.reduce((all, { hostId, size }) => all + (hostId === null ? size : 0), 0)
    assert.strictEqual(promised, disks + sizes, `GiB promised of pool ${pool.name}`)
  }
  for (const [index, host] of world.hosts.entries()) {
    const { id } = usage[index]!.host
    for (const domain of host.state.domains.values()) {
      const vm = vms.find(({ uuid }) => uuid === domain.uuid)
      assert(vm !== undefined, `${domain.name} is a VM`)
      assert.strictEqual(vm.hostId, id, `the host of ${domain.name}`)
      const wanted = volumes.flatMap(({ id, vmId }) => (vmId === vm.id ? [Number(id)] : [])).toSorted((a, b) => a - b)
      assert.deepStrictEqual(volumesIn(domain.persistent), wanted, `${domain.name}, its definition`)
      Domains.agree(vm, usage[index]!.host, domain)
      yield* Domains.agreeOnSeed(world, vm)
      if (domain.live !== null)
        assert.deepStrictEqual(volumesIn(domain.live.definition), wanted, `${domain.name}, as it runs`)
    }
    const there = new Set([...host.state.domains.values()].map(({ name }) => name))
    assert.deepStrictEqual(
      logged(host).filter((name) => !there.has(name)),
      [],
      `console logs of domains that are gone on ${host.hostname}`
    )
    yield* agreeOnFiles(
      host,
      vms.filter(({ driver, hostId }) => driver === "dir" && hostId === id),
      volumes.filter(({ hostId }) => hostId === id)
    )
    assert.isAtMost(host.state.secrets.size, 1, `secrets of ${host.hostname}`)
    if (vms.some(({ driver, hostId }) => driver === "rbd" && hostId === id)) {
      assert.isTrue(
        [...host.state.secrets.values()].every(({ value }) => value !== null),
        `the secret of ${host.hostname} has a value`
      )
    }
  }
  yield* agreeOnPool(
    world,
    vms.filter(({ driver }) => driver === "rbd"),
    volumes.filter(({ hostId }) => hostId === null)
  )
})

/** What is told of VMs is so: what they do, and where that is not what is wanted of them. It is told a moment after it has become so. */
export const told = Effect.fn("World.told")(function* (world: World) {
  const vms = yield* Effect.flatMap(Inventory, (inventory) => inventory.vms())
  const domains = new Map(world.hosts.flatMap(({ state }) => [...state.domains]))
  for (const vm of vms) {
    const domain = domains.get(vm.uuid)
    assert(domain !== undefined, `${vm.domainName} is there`)
    yield* Domains.told(vm, domain)
  }
})

/** What VMs do, and what they would read that they are called, on their hosts. */
export const hostsOf = (world: World) => {
  const domains = new Map(world.hosts.flatMap(({ state }) => [...state.domains]))
  return {
    power: (vm: Vm) => {
      const domain = domains.get(vm.uuid)
      return domain === undefined ? undefined : Domains.powerOf(domain)
    },
    hostname: (vm: Vm) => Domains.hostnameIn(world, vm)
  }
}

/** A world of its own inside, whose `transport` is `memory`, in virtual time: a time limit passes as soon as nothing else is to be done. */
export const virtually = <A, E>(use: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E | Virtual.Stuck> =>
  Virtual.run(1, Effect.scoped(use))

/** Which of its guest's starts, by whomever, that VM is in: another one as soon as it begins anew; undefined: it does not run. */
export const startOf = ({ hosts }: World, id: Ids.VmId): string | undefined => {
  for (const { state } of hosts) {
    for (const { live, name } of state.domains.values()) {
      if (name === `vm-${id}` && live !== null) return `${live.started} ${live.id} ${live.guest.boots}`
    }
  }
  return undefined
}

/** Looks again until `check` holds, for ten seconds at most; then fails with what it found. */
export const eventually = <A, E, R>(check: Effect.Effect<A, E, R>) =>
  Effect.sandbox(check).pipe(
    Effect.retry(Schedule.spaced("20 millis").pipe(Schedule.upTo("10 seconds"))),
    Effect.unsandbox
  )
