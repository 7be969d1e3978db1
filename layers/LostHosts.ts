/**
 * Hosts that are declared lost, as the rest of the program meets them: each answers as one on which there is nothing. What is to be removed there
 * is gone, what is looked for is not found, and all else is refused; nothing connects to it. So whatever waits for such a host goes on by itself.
 *
 * What a pool keeps is asked of the pool as ever. Its own record of who has a disk open keeps a disk from being removed under a guest that still runs,
 * on a host that was merely cut off.
 *
 * @since 0.15.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { HostFailure } from "../src/domain/Errors.ts"
import { type Host, isLost } from "../src/domain/Host.ts"
import type { HostId } from "../src/domain/Ids.ts"
import { Hypervisor } from "../src/services/Hypervisor.ts"
import { Inventory } from "../src/services/Inventory.ts"
import { type DiskAt, Storage, type StorageDriver, type VolumeAt } from "../src/services/Storage.ts"

type Lost = ReadonlySet<HostId>

const refused = (host: Host, action: string): HostFailure =>
  new HostFailure({ host: host.name, action, reason: isLost, lost: true })

const hypervisor = (lost: Lost, live: Hypervisor["Type"]): Hypervisor["Type"] => {
  /** The call, or what a lost host answers. */
  const or =
    <Args extends ReadonlyArray<unknown>, A, E, B, E2>(
      call: (host: Host, ...args: Args) => Effect.Effect<A, E>,
      instead: (host: Host) => Effect.Effect<B, E2>
    ) =>
    (host: Host, ...args: Args): Effect.Effect<A | B, E | E2> =>
      Effect.suspend((): Effect.Effect<A | B, E | E2> => (lost.has(host.id) ? instead(host) : call(host, ...args)))
  const gone = () => Effect.void
  const absent = () => Effect.succeedNone
  const nothing = () => Effect.succeed([])
  const no = (action: string) => (host: Host) => refused(host, action)
  return Hypervisor.of({
    facts: or(live.facts, no("say what it is")),
    define: or(live.define, no("define a domain")),
    describe: or(live.describe, no("describe a domain")),
    describeDisk: or(live.describeDisk, no("describe a disk")),
    describeNic: or(live.describeNic, no("describe a NIC")),
    start: or(live.start, no("start a domain")),
    status: or(live.status, absent),
    powerOff: or(live.powerOff, gone),
    shutDown: or(live.shutDown, gone),
    reboot: or(live.reboot, no("reboot a domain")),
    reset: or(live.reset, no("reset a domain")),
    pause: or(live.pause, no("pause a domain")),
    resume: or(live.resume, no("resume a domain")),
    undefine: or(live.undefine, gone),
    attachDisk: or(live.attachDisk, no("attach a disk")),
    detachDisk: or(live.detachDisk, gone),
    diskPresence: or(live.diskPresence, absent),
    growDisk: or(live.growDisk, no("grow a disk")),
    attachNic: or(live.attachNic, no("attach a NIC")),
    detachNic: or(live.detachNic, gone),
    nicPresence: or(live.nicPresence, absent),
    setLink: or(live.setLink, absent),
    addresses: or(live.addresses, nothing),
    list: or(live.list, nothing),
    powers: or(live.powers, nothing),
    power: or(live.power, absent),
    detail: or(live.detail, absent),
    glance: or(live.glance, absent),
    redefine: or(live.redefine, no("redefine a domain")),
    rename: or(live.rename, no("rename a domain")),
    setAutostart: or(live.setAutostart, no("say whether a domain starts with it")),
    provideSeed: or(live.provideSeed, no("give a domain its seed")),
    changes: (host) =>
      Stream.suspend(() => (lost.has(host.id) ? Stream.fail(refused(host, "tell what changes")) : live.changes(host)))
  })
}

const hostOf = (disk: DiskAt): Host | null => (disk._tag === "Root" ? disk.host : disk.volume.host)

/** `keeps`: whether what the driver keeps is on hosts, and lost with them. */
const driver = (lost: Lost, live: StorageDriver): StorageDriver => {
  const keeps = live.pool === null
  const or = <A, E, B, E2>(
    host: Host | null,
    call: () => Effect.Effect<A, E>,
    instead: (host: Host) => Effect.Effect<B, E2>
  ): Effect.Effect<A | B, E | E2> =>
    Effect.suspend((): Effect.Effect<A | B, E | E2> => (host !== null && lost.has(host.id) ? instead(host) : call()))
  /** What is done for a domain on the host. */
  const forHost =
    <Args extends ReadonlyArray<unknown>, A, E>(
      action: string,
      call: (host: Host, ...args: Args) => Effect.Effect<A, E>
    ) =>
    (host: Host, ...args: Args) =>
      or(
        host,
        () => call(host, ...args),
        (host) => refused(host, action)
      )
  const onHost = <Args extends ReadonlyArray<unknown>, A, E, B>(
    call: (host: Host, ...args: Args) => Effect.Effect<A, E>,
    instead: Effect.Effect<B>
  ): ((host: Host, ...args: Args) => Effect.Effect<A | B, E>) =>
    keeps
      ? (host, ...args) =>
          or(
            host,
            () => call(host, ...args),
            () => instead
          )
      : call
  const ofVolume = <Args extends ReadonlyArray<unknown>, A, E, B, E2>(
    call: (volume: VolumeAt, ...args: Args) => Effect.Effect<A, E>,
    instead: (host: Host) => Effect.Effect<B, E2>
  ): ((volume: VolumeAt, ...args: Args) => Effect.Effect<A | B, E | E2>) =>
    keeps ? (volume, ...args) => or(volume.host, () => call(volume, ...args), instead) : call
  const ofDisk = <Args extends ReadonlyArray<unknown>, A, E, B, E2>(
    call: (disk: DiskAt, ...args: Args) => Effect.Effect<A, E>,
    instead: (host: Host) => Effect.Effect<B, E2>
  ): ((disk: DiskAt, ...args: Args) => Effect.Effect<A | B, E | E2>) =>
    keeps ? (disk, ...args) => or(hostOf(disk), () => call(disk, ...args), instead) : call
  const gone = () => Effect.void
  const no = (action: string) => (host: Host) => refused(host, action)
  return {
    name: live.name,
    pool: live.pool,
    usage: live.usage,
    ensureImage: forHost("receive an image", live.ensureImage),
    listImages: onHost(live.listImages, Effect.succeed([])),
    removeImage: onHost(live.removeImage, Effect.succeed(true)),
    createRoot: forHost("create a root disk", live.createRoot),
    deleteRoot: onHost(live.deleteRoot, Effect.void),
    describeRoot: live.describeRoot,
    openRoot: forHost("open a root disk", live.openRoot),
    listRoots: onHost(live.listRoots, Effect.succeed([])),
    writeSeed: forHost("write a seed", live.writeSeed),
    deleteSeed: onHost(live.deleteSeed, Effect.void),
    describeSeed: live.describeSeed,
    createVolume: ofVolume(live.createVolume, no("create a volume")),
    discardVolume: ofVolume(live.discardVolume, gone),
    listVolumes: (host) =>
      or(
        keeps ? host : null,
        () => live.listVolumes(host),
        () => Effect.succeed([])
      ),
    volumeSize: ofVolume(live.volumeSize, () => Effect.succeedNone),
    openVolume: (volume, use) => or(use.host, () => live.openVolume(volume, use), no("open a volume")),
    describeVolume: live.describeVolume,
    awaitReleased: ofVolume(live.awaitReleased, gone),
    growVolume: ofVolume(live.growVolume, no("grow a volume")),
    renameVolume: ofVolume(live.renameVolume, no("rename a volume")),
    createSnapshot: ofVolume(live.createSnapshot, no("make a snapshot")),
    deleteSnapshot: ofVolume(live.deleteSnapshot, gone),
    revertVolume: ofVolume(live.revertVolume, no("revert a volume")),
    listSnapshots: ofVolume(live.listSnapshots, () => Effect.succeed([])),
    trashVolume: ofVolume(live.trashVolume, gone),
    restoreVolume: ofVolume(live.restoreVolume, no("bring a volume back")),
    purgeVolume: ofVolume(live.purgeVolume, gone),
    holdDisk: ofDisk(live.holdDisk, no("keep what a disk holds")),
    readDisk: ofDisk(live.readDisk, no("read a disk")),
    releaseDisk: ofDisk(live.releaseDisk, gone)
  }
}

const storage = (lost: Lost, live: Storage["Type"]): Storage["Type"] => {
  const known = new Map<StorageDriver, StorageDriver>()
  const aware = (one: StorageDriver): StorageDriver => {
    const before = known.get(one)
    if (before !== undefined) return before
    const made = driver(lost, one)
    known.set(one, made)
    return made
  }
  return Storage.of({
    prepare: (host) => Effect.suspend(() => (lost.has(host.id) ? refused(host, "be prepared") : live.prepare(host))),
    preferred: aware(live.preferred),
    driver: (name) => aware(live.driver(name))
  })
}

/** The same two services, which take lost hosts for empty ones. @since 0.15.0 @category layers */
export const layer: Layer.Layer<Hypervisor | Storage, never, Hypervisor | Storage | Inventory> = Layer.effectContext(
  Effect.gen(function* () {
    const lost = yield* Effect.flatMap(Inventory, ({ lostHosts }) => lostHosts)
    return Context.make(Hypervisor, hypervisor(lost, yield* Hypervisor)).pipe(
      Context.add(Storage, storage(lost, yield* Storage))
    )
  })
)
