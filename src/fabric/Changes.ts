/**
 * What operations that have not been begun would do: the steps of their sagas, and what would be different afterwards.
 *
 * @since 0.5.0
 */
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from "diff"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as Seed from "../cloudinit/Seed.ts"
import { type CloudInit, hostnameOf, usual } from "../domain/CloudInit.ts"
import type * as Errors from "../domain/Errors.ts"
import { formatAddress, type Host } from "../domain/Host.ts"
import type { Token, User } from "../domain/Identity.ts"
import { formatSource, type Image, isPublished } from "../domain/Image.ts"
import { type HostId, SnapshotId, VmId, VolumeId } from "../domain/Ids.ts"
import type { KnownType } from "../domain/InstanceType.ts"
import type { Nic } from "../domain/Nic.ts"
import { formatSource as formatNetwork } from "../domain/Network.ts"
import { Operation, type OperationKind } from "../domain/Operation.ts"
import { showAll, showAllRequired } from "../domain/Placement.ts"
import * as Quota from "../domain/Quota.ts"
import * as Resources from "../domain/Resources.ts"
import { type Labels, Vm } from "../domain/Vm.ts"
import type { Webhook } from "../domain/Webhook.ts"
import { Snapshot, Volume } from "../domain/Volume.ts"
import * as Kinds from "../operations/Kinds.ts"
import * as NicSaga from "../operations/NicSaga.ts"
import * as VolumeSaga from "../operations/VolumeSaga.ts"
import type { DiskSource } from "../services/Hypervisor.ts"
import type { PowerKind, VolumeChange } from "../services/Inventory.ts"
import type { DriverError } from "../services/Storage.ts"
import * as Facts from "./Facts.ts"
import type { Made } from "./Intent.ts"

/** A step of an operation's saga. `host` null: it is about storage that all hosts share. @since 0.5.0 @category models */
export interface Step {
  /** from 1 on, over all operations */
  readonly number: number
  readonly operation: OperationKind
  /** as the journal names it */
  readonly name: string
  readonly description: string
  readonly host: string | null
}

/**
 * One thing that would be different. `before` null: it is not there yet; `after` null: it is gone. `diff` is a unified diff of the two.
 *
 * @since 0.5.0 @category models
 */
export interface Change {
  readonly kind: "domain" | "disk" | "nic" | "root disk" | "seed" | "volume" | "snapshot" | "record" | "power"
  /** as in `domain vm-7 on root@h1` */
  readonly target: string
  readonly action: "create" | "change" | "remove"
  readonly before: string | null
  readonly after: string | null
  readonly diff: string
}

/** @since 0.5.0 @category models */
export interface Outcome {
  readonly steps: ReadonlyArray<Step>
  readonly changes: ReadonlyArray<Change>
}

/** With the volume as it would be, if it is about one. @since 0.5.0 @category models */
export interface OutcomeOfOne extends Outcome {
  readonly volume: Volume | undefined
}

/** @since 0.5.0 @category errors */
export type OutcomeError = Kinds.LoadError | DriverError

/**
 * Ids are given when something is begun, and what is planned may be begun after something else: such ids are shown by these words. The numbers
 * that stand for them meanwhile are as long as an id may be without the names made of it being cut.
 */
const standIns = {
  vm: { id: VmId.make(987_654_321_001), shown: "{vmid}" },
  volume: { id: VolumeId.make(987_654_321_002), shown: "{volumeid}" },
  snapshot: { id: SnapshotId.make(987_654_321_003), shown: "{snapshotid}" }
}

const unchecked = { disableValidation: true } as const

/** What is new, with what stands for its id; and how that is shown. */
const withStandIns = (made: Made) => {
  const { operation, snapshot, vm, volume } = made
  const words = new Map<string, string>(
    Object.values(standIns).map(({ id, shown }): [string, string] => [String(id), shown])
  )
  const newVm = vm !== undefined && vm.before === null
  const newVolume = volume !== undefined && volume.before === null
  const newSnapshot = snapshot !== undefined && snapshot !== null && operation?.kind === "CreateSnapshot"
  if (newVm) {
    words.set(vm.after.uuid, "{uuid}")
    if (operation !== null) words.set(operation.id, "{operation}")
  }
  // those of NICs that are new, but for what was asked for
  if (vm !== undefined) {
    const fixed = new Set([...(vm.before?.nics ?? []).map(({ mac }) => mac), ...(made.given ?? [])])
    for (const { mac } of vm.after.nics) if (!fixed.has(mac)) words.set(mac, "{mac}")
  }
  const changed: Made = {
    ...made,
    ...(newVm ? { vm: { before: null, after: new Vm({ ...vm.after, id: standIns.vm.id }, unchecked) } } : {}),
    ...(newVolume
      ? { volume: { before: null, after: new Volume({ ...volume.after, id: standIns.volume.id }, unchecked) } }
      : {}),
    ...(newSnapshot ? { snapshot: new Snapshot({ ...snapshot, id: standIns.snapshot.id }, unchecked) } : {}),
    operation:
      operation === null
        ? null
        : new Operation(
            {
              ...operation,
              ...(newVm ? { vmId: standIns.vm.id } : {}),
              ...(newVolume ? { volumeId: standIns.volume.id } : {}),
              ...(newSnapshot ? { snapshotId: standIns.snapshot.id } : {})
            },
            unchecked
          )
  }
  const shown = (text: string) => [...words].reduce((all, [value, word]) => all.replaceAll(value, word), text)
  return { changed, shown }
}

const lines = (fields: Readonly<Record<string, string | null>>): string =>
  Object.entries(fields)
    .flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}\n`]))
    .join("")

const labelsOf = (labels: Labels): string | null => {
  const all = Object.entries(labels).map(([key, value]) => `${key}=${value}`)
  return all.length === 0 ? null : all.join(", ")
}

/** What is kept of a host; null: it is not there. */
const hostText = (host: Host | null): string | null => {
  if (host === null) return null
  const { address, labels, limit, network, networks = {}, overcommit, path, reserved = {}, virt } = host.config
  return lines({
    maintenance: host.maintenance ? "on" : "off",
    lost: host.lostAt === null ? null : "yes",
    address: formatAddress(address),
    virt,
    overcommit: Resources.names.map((name) => `${name} ${overcommit[name]}`).join(", "),
    "at most":
      Resources.names.flatMap((name) => (limit[name] === undefined ? [] : [`${name} ${limit[name]}`])).join(", ") ||
      null,
    "kept free":
      Resources.names.flatMap((name) => (reserved[name] ? [`${name} ${reserved[name]}`] : [])).join(", ") || null,
    network: network ?? null,
    networks:
      Object.entries(networks)
        .map(([key, source]) => `${key}=${formatNetwork(source)}`)
        .join(", ") || null,
    path,
    labels: labelsOf(labels)
  })
}

const placeOf = (source: DiskSource): string =>
  source._tag === "File" ? source.path : `${source.pool}/${source.image}`

const sized = (text: string | null): string | null =>
  text === null ? null : `${new TextEncoder().encode(text).length} bytes, which are not shown`

/** What a seed says, but for what may be secret. */
const seedText = (vm: Vm, cloudInit: CloudInit, source: DiskSource): string => {
  const { hostname, networkConfig, revision, sshKeys, userData } = cloudInit
  return lines({
    at: placeOf(source),
    revision: String(revision),
    "instance-id": Seed.instanceId(vm, cloudInit),
    hostname: hostname ?? hostnameOf(vm),
    "SSH keys": sshKeys.length === 0 ? "none" : String(sshKeys.length),
    "user data": sized(userData === null ? null : Redacted.value(userData)) ?? "none",
    "network config": sized(networkConfig) ?? "none"
  })
}

/** Makes changes as they are told. */
const change = (
  kind: Change["kind"],
  target: string,
  before: string | null,
  after: string | null
): ReadonlyArray<Change> => {
  if (before === after) return []
  return [
    {
      kind,
      target,
      action: before === null ? "create" : after === null ? "remove" : "change",
      before,
      after,
      diff: createTwoFilesPatch(
        before === null ? "/dev/null" : target,
        after === null ? "/dev/null" : target,
        before ?? "",
        after ?? "",
        undefined,
        undefined,
        { context: 3, headerOptions: FILE_HEADERS_ONLY }
      )
    }
  ]
}

/** What becomes of a domain's power; `after` null: it stays what it is. */
const powers: Readonly<Record<PowerKind, { readonly after: string | null; readonly note: string }>> = {
  StartVm: { after: "running", note: "" },
  ShutDownVm: { after: "stopped", note: "" },
  PowerOffVm: { after: "stopped", note: "" },
  RebootVm: { after: "running", note: ", started anew" },
  ResetVm: { after: null, note: ", started anew" },
  PauseVm: { after: "paused", note: "" },
  ResumeVm: { after: "running", note: "" }
}
const isPower = (kind: OperationKind): kind is PowerKind => kind in powers

const applied = (volume: Volume, by: VolumeChange): Volume => {
  const { attachment, hostId, name, purgeAt, size, state } = by
  return new Volume(
    {
      ...volume,
      ...(state === undefined ? {} : { state }),
      ...(name === undefined ? {} : { name }),
      ...(size === undefined ? {} : { size }),
      ...(hostId === undefined ? {} : { hostId }),
      ...(purgeAt === undefined ? {} : { purgeAt }),
      ...(attachment === undefined ? {} : { vmId: attachment?.vmId ?? null, target: attachment?.target ?? null })
    },
    unchecked
  )
}

/** @since 0.5.0 @category getters */
export const of = Effect.fn("Changes.of")(function* (ports: Kinds.Ports, given: Made) {
  const { changed: made, shown } = withStandIns(given)
  const { inventory, storage } = ports
  const { operation, snapshot, vm, volume } = made

  const hostOf = (id: HostId): Effect.Effect<Host, Errors.HostNotFound | Errors.PersistenceError> =>
    Effect.map(inventory.host(id), ({ host }) => host)

  // ------------------------------------------------------------------------------------------- as its sagas would have it

  let vmNow = vm?.after
  let volumeNow = volume?.after
  let snapshotNow = snapshot ?? undefined
  const imageNew = made.image?.after
  /** What its transaction would have written is there for the saga, and what the saga would write is taken down here. */
  const rehearsal: Kinds.Ports = {
    ...ports,
    inventory: {
      ...inventory,
      vmRecord: (id) => (vmNow?.id === id ? Effect.succeed(vmNow) : inventory.vmRecord(id)),
      volumeRecord: (id) => (volumeNow?.id === id ? Effect.succeed(volumeNow) : inventory.volumeRecord(id)),
      image: (id) => (imageNew?.id === id ? Effect.succeed(imageNew) : inventory.image(id)),
      settleImage: () => Effect.void,
      snapshotRecord: (id) => (snapshotNow?.id === id ? Effect.succeed(snapshotNow) : inventory.snapshotRecord(id)),
      setVmState: (_, state) =>
        Effect.sync(() => {
          if (vmNow !== undefined) vmNow = new Vm({ ...vmNow, state }, unchecked)
        }),
      settleNic: (_, nic, outcome) =>
        Effect.sync(() => {
          if (vmNow === undefined) return
          const nics = vmNow.nics.flatMap((one) => {
            if (one.id !== nic) return [one]
            return outcome === null ? [] : [{ ...one, ...outcome }]
          })
          vmNow = new Vm({ ...vmNow, nics }, unchecked)
        }),
      // as it is written already, for whoever looks at it
      settleResize: () => Effect.void,
      setVmPower: (_, state) =>
        Effect.sync(() => {
          if (vmNow !== undefined) vmNow = new Vm({ ...vmNow, state }, unchecked)
        }),
      settleVolume: (_, by) =>
        Effect.sync(() => {
          if (volumeNow !== undefined) volumeNow = applied(volumeNow, by)
          if (snapshotNow !== undefined && by.snapshot !== undefined) {
            snapshotNow = new Snapshot({ ...snapshotNow, state: by.snapshot.state }, unchecked)
          }
        })
    }
  }
  const kinds = operation === null ? [] : [operation.kind, ...(made.follows ?? [])]
  const steps: Array<Step> = []
  for (const kind of kinds) {
    if (operation === null) break
    const saga = yield* Kinds.kinds[kind].saga(rehearsal, new Operation({ ...operation, kind }, unchecked))
    for (const { description, hosts = saga.hosts, name } of saga.steps) {
      const names = [...new Set(hosts.map((host) => host.name))]
      steps.push({
        number: steps.length + 1,
        operation: kind,
        name,
        description: shown(description),
        host: names.length === 0 ? null : names.join(", ")
      })
    }
    yield* saga.succeeded
  }

  // ----------------------------------------------------------------------------------------------------------- what differs

  const changes: Array<Change> = []
  const add = (...all: ReadonlyArray<ReadonlyArray<Change>>) => {
    for (const one of all.flat()) {
      changes.push({
        ...one,
        target: shown(one.target),
        before: one.before === null ? null : shown(one.before),
        after: one.after === null ? null : shown(one.after),
        diff: shown(one.diff)
      })
    }
  }

  const vmText = (one: Vm, host: Host) =>
    lines({
      name: one.name,
      state: one.state,
      host: host.name,
      "instance type": `${one.instanceType} (${Facts.amounts(one.resources)})`,
      image: String(one.imageId),
      "after a crash": one.onCrash,
      NICs: one.nics.length === 0 ? "none" : one.nics.map(Facts.nicText).join("; "),
      protected: one.protected ? "yes" : null,
      autostart: one.autostart ? "on" : null,
      tags: one.tags.length === 0 ? null : one.tags.join(", "),
      labels: labelsOf(one.labels),
      placement: showAll(one.placement),
      description: one.description === "" ? null : one.description
    })

  const rootText = (one: Vm, source: DiskSource, image: Image) =>
    lines({
      at: placeOf(source),
      size: `${one.resources.disk} GiB, or as large as the image when that is more`,
      over: `image ${image.id} (${image.config.name})`
    })

  const volumeText = Effect.fnUntraced(function* (one: Volume) {
    const host = one.hostId === null ? null : yield* hostOf(one.hostId)
    const driver = storage.driver(one.driver)
    const [anyHost] = host === null ? yield* inventory.hosts : [{ host }]
    const source =
      anyHost === undefined ? null : yield* driver.describeVolume({ id: one.id, host }, host ?? anyHost.host)
    const window = operation?.detail.window
    return lines({
      name: one.name,
      size: `${one.size} GiB`,
      state: one.state,
      at: source === null ? null : placeOf(source),
      host: host?.name ?? null,
      VM: one.vmId === null ? null : `${one.vmId} as ${one.target ?? "a disk"}`,
      "made from snapshot": one.sourceId === null ? null : String(one.sourceId),
      // the moment at which it comes into the trash is not known beforehand
      "purged from the trash":
        one.purgeAt === null
          ? null
          : window === undefined
            ? new Date(one.purgeAt).toISOString()
            : `${window} s after it came there`
    })
  })

  const addVolume = Effect.fnUntraced(function* (before: Volume | null, after: Volume) {
    const gone = after.state === "purged"
    add(
      change(
        "volume",
        `volume ${after.id} (${(before ?? after).name})`,
        before === null ? null : yield* volumeText(before),
        gone ? null : yield* volumeText(after)
      )
    )
  })

  /** The device in the domain of the VM that has the volume. */
  const deviceOf = Effect.fnUntraced(function* (one: Volume) {
    if (one.vmId === null) return null
    const user = yield* inventory.vmRecord(one.vmId)
    const host = yield* hostOf(user.hostId)
    const at = { id: one.id, host: one.hostId === null ? null : host }
    const source = yield* storage.driver(one.driver).describeVolume(at, host)
    return {
      target: `disk ${one.target ?? ""} of domain ${user.domainName} on ${host.name}`,
      text: yield* ports.hypervisor.describeDisk(host, { ...VolumeSaga.diskOf(one), source })
    }
  })

  /** The device of a NIC; null: it has none, or its host cannot say where it is plugged in. */
  const cardOf = Effect.fnUntraced(function* (host: Host, nic: Nic | undefined) {
    const found = nic === undefined || host.facts === null ? null : Either.getOrNull(NicSaga.onHost(host.facts, nic))
    return found === null ? null : yield* ports.hypervisor.describeNic(host, found)
  })

  if (vm !== undefined && vmNow !== undefined) {
    const host = yield* hostOf(vm.after.hostId)
    const { domainName } = vm.after
    if (operation !== null && (vm.before === null || operation.kind === "DestroyVm")) {
      const root = yield* storage.driver(vm.after.driver).describeRoot(host, vm.after.id)
      const image = yield* inventory.image(vm.after.imageId)
      const disk = rootText(vm.after, root, image)
      const where = root._tag === "File" ? `on ${host.name}` : `in pool ${root.pool}`
      const rootTarget = `root disk of ${domainName} ${where}`
      const seed = yield* storage.driver(vm.after.driver).describeSeed(host, vm.after.id)
      const seedTarget = `seed of ${domainName} ${where}`
      const domainTarget = `domain ${domainName} on ${host.name}`
      if (vm.before === null) {
        const { id, name, resources, uuid } = vm.after
        const nics = yield* NicSaga.allOnHost(ports.hypervisor, host, vm.after.nics, `define ${domainName}`)
        const spec = { vmId: id, uuid, domainName, title: name, resources, nics, root, seed, operationId: operation.id }
        add(
          change("root disk", rootTarget, null, disk),
          change("seed", seedTarget, null, seedText(vm.after, made.cloudInit?.after ?? usual, seed)),
          change("domain", domainTarget, null, yield* ports.hypervisor.describe(host, spec))
        )
      } else {
        const domain = lines({
          name: domainName,
          uuid: vm.before.uuid,
          title: vm.before.name,
          vCPUs: String(vm.before.resources.cpu),
          memory: `${vm.before.resources.ram} MiB`
        })
        add(
          change("domain", domainTarget, domain, null),
          change("seed", seedTarget, lines({ at: placeOf(seed) }), null),
          change("root disk", rootTarget, disk, null)
        )
      }
    }
    if (operation !== null && vm.before !== null && vmNow.nics !== vm.before.nics) {
      const numbers = new Set([...vm.before.nics, ...vmNow.nics].map(({ id }) => id))
      for (const number of numbers) {
        const had = yield* cardOf(
          host,
          vm.before.nics.find(({ id }) => id === number)
        )
        const has = yield* cardOf(
          host,
          vmNow.nics.find(({ id }) => id === number)
        )
        add(change("nic", `NIC ${number} of domain ${domainName} on ${host.name}`, had, has))
      }
    }
    if (operation?.kind === "SetCloudInit" && made.cloudInit !== undefined) {
      const { after, before } = made.cloudInit
      const seed = yield* storage.driver(vm.after.driver).describeSeed(host, vm.after.id)
      const where = seed._tag === "File" ? `on ${host.name}` : `in pool ${seed.pool}`
      add(
        change(
          "seed",
          `seed of ${domainName} ${where}`,
          before === null ? null : seedText(vm.after, before, seed),
          seedText(vm.after, after, seed)
        )
      )
    }
    if (operation?.kind === "RepairVm") {
      // nothing is taken away
      for (const { field, kind, seen, wanted } of yield* inventory.drift({ vms: [vm.after.id] })) {
        if (wanted === null || operation.detail.repair?.includes(kind) !== true) continue
        const told = kind === "power" ? "power" : kind === "disks" ? "disk" : "domain"
        const target = `${field} of domain ${domainName} on ${host.name}`
        add(change(told, target, seen === null ? null : `${seen}\n`, `${wanted}\n`))
      }
    }
    if (operation?.kind === "ResizeVm" && vm.before !== null) {
      const size = ({ resources: { cpu, ram } }: Vm) => `${cpu} vCPUs, ${ram} MiB\n`
      add(change("domain", `size of domain ${domainName} on ${host.name}`, size(vm.before), size(vm.after)))
    }
    if (operation?.kind === "ConfigureVm" && vm.before !== null) {
      const of = (field: string) => `${field} of domain ${domainName} on ${host.name}`
      const starts = (one: Vm) => (one.startsWithHost ? "on\n" : "off\n")
      add(
        change("domain", of("title"), `${vm.before.name}\n`, `${vm.after.name}\n`),
        change("domain", of("autostart"), starts(vm.before), starts(vm.after))
      )
    }
    if (operation !== null && isPower(operation.kind)) {
      const { after, note } = powers[operation.kind]
      const seen = (yield* inventory.seen).get(vm.after.id)?.power ?? "not seen yet"
      const same = after === null || after === seen
      const then = same && note === "" ? seen : `${after ?? seen}${note}`
      add(change("power", `power of domain ${domainName} on ${host.name}`, `${seen}\n`, `${then}\n`))
    }
    const gone = vmNow.state === "destroyed"
    add(
      change(
        "record",
        `VM ${vm.after.id} (${vm.after.name})`,
        vm.before === null ? null : vmText(vm.before, host),
        gone ? null : vmText(vmNow, host)
      )
    )
    for (const one of made.released ?? []) {
      yield* addVolume(one, applied(one, { state: "available", attachment: null }))
    }
  }

  if (volume !== undefined && volumeNow !== undefined) {
    const had = volume.before === null ? null : yield* deviceOf(volume.before)
    const has = yield* deviceOf(volumeNow)
    if (had?.target !== has?.target) {
      if (had !== null) add(change("disk", had.target, had.text, null))
      if (has !== null) add(change("disk", has.target, null, has.text))
    }
    if (snapshotNow !== undefined && operation !== null) {
      const { id, name, size } = snapshotNow
      const text = lines({ name, of: `volume ${volumeNow.id}`, size: `${size} GiB` })
      const target = `snapshot ${id} (${name}) of volume ${volumeNow.id}`
      if (operation.kind === "CreateSnapshot") add(change("snapshot", target, null, text))
      if (operation.kind === "DestroySnapshot") add(change("snapshot", target, text, null))
    }
    if (operation?.kind === "RevertVolume" && snapshotNow !== undefined) {
      const content = `content of volume ${volumeNow.id}`
      add(change("volume", content, "as it is now\n", `that of snapshot ${snapshotNow.id} (${snapshotNow.name})\n`))
    }
    yield* addVolume(volume.before, volumeNow)
  }

  if (made.host !== undefined) {
    const { after, before } = made.host
    const name = before === null ? `host ${after?.name ?? ""}` : `host ${before.id} (${before.name})`
    add(change("record", name, hostText(before), hostText(after)))
  }

  if (made.image !== undefined) {
    const { after, before } = made.image
    const text = ({ config, origin, wanted }: Image) =>
      lines({
        name: config.name,
        format: config.format ?? "as its header says",
        from:
          origin === "upload"
            ? `${wanted.size ?? 0} bytes that are sent`
            : isPublished(origin)
              ? `what ${origin} ${wanted.of ?? 0} holds`
              : (wanted.url ?? formatSource(config.source)),
        "SHA-256": wanted.sha256 ?? null
      })
    // the id of one that is new is not known yet
    const target = `image ${before === null ? (after?.config.name ?? "") : `${before.id} (${before.config.name})`}`
    add(change("record", target, before === null ? null : text(before), after === null ? null : text(after)))
  }

  if (made.type !== undefined) {
    const { after, before } = made.type
    const text = ({ origin, retired, ...size }: KnownType) =>
      lines({
        size: Facts.amounts(size),
        requires: showAllRequired(size.requires),
        from: origin === "file" ? "the types file" : "the API",
        state: retired ? "retired" : "on offer"
      })
    add(change("record", `instance type ${after.tid}`, before === null ? null : text(before), text(after)))
  }
  if (made.user !== undefined) {
    const { after, before, password = false } = made.user
    const name = (after ?? before)?.name ?? ""
    // it is how much they have before and after; of one that is removed nothing is held any more
    const used = after === null ? null : ((yield* inventory.uses).get(after.name) ?? Quota.nothing)
    const text = ({ disabled, hasPassword, quota, role }: User, sessions: string | null, also: string) =>
      lines({
        role,
        "may sign in": disabled ? "no" : "yes",
        password: hasPassword ? `set${also}` : "none",
        quota: Quota.isUnlimited(quota) ? null : Quota.showAll(quota),
        exceeded: used === null ? null : Quota.showExceeded(name, quota, used),
        sessions
      })
    // another role ends them, too
    const ends = before !== null && after !== null && (password || before.role !== after.role)
    add(
      change(
        "record",
        `user ${name}`,
        before === null ? null : text(before, ends ? "as they are" : null, ""),
        after === null ? null : text(after, ends ? "ended" : null, before !== null && password ? " anew" : "")
      )
    )
  }

  if (made.token !== undefined) {
    const { after, before } = made.token
    const text = ({ expiresAt, name, owner, role }: Token) =>
      lines({
        name,
        owner,
        role,
        "good until": expiresAt === null ? "it is removed" : new Date(expiresAt).toISOString()
      })
    // the id of one that is new is not known yet
    const target = before === null ? `token ${after?.name ?? ""}` : `token ${before.id} (${before.name})`
    add(change("record", target, before === null ? null : text(before), after === null ? null : text(after)))
  }

  if (made.webhook !== undefined) {
    const { after, before, secret = false } = made.webhook
    const text = ({ types, url }: Webhook, secret: string | null) =>
      lines({ URL: url, types: types === null ? "all" : types.join(", "), secret })
    const target = before === null ? "webhook" : `webhook ${before.id}`
    add(
      change(
        "record",
        target,
        before === null ? null : text(before, secret ? "as it is" : null),
        after === null ? null : text(after, secret ? "a new one; the one before signs for another 24 hours, too" : null)
      )
    )
  }

  if (made.cancelled !== undefined) {
    const { id, kind, state } = made.cancelled
    const now = { kind, state }
    add(
      change(
        "record",
        `operation ${id}`,
        lines(now),
        lines({ ...now, "is to stop": "yes, and what it made is undone" })
      )
    )
  }
  return { steps, changes, volume: volumeNow } satisfies OutcomeOfOne
})
