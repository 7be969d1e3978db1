/**
 * Disks that come and go while a domain exists, through libvirt's RPC.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { HostError, HostFailure } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import * as DomainXml from "../src/libvirt/DomainXml.ts"
import { code, failure, render } from "../src/libvirt/HostErrors.ts"
import {
  type DiskPresence,
  type DiskSource,
  type DomainRef,
  noDomain,
  type VolumeDisk,
  volumeSlots
} from "../src/services/Hypervisor.ts"
import type { Libvirt, LibvirtError } from "../src/services/Libvirt.ts"
import * as DeviceRelease from "./DeviceRelease.ts"
import { isMissing, unlessBusy } from "./DeviceRelease.ts"
import * as DomainSides from "./DomainSides.ts"
import * as HostCalls from "./HostCalls.ts"

const flags = {
  ...DomainSides.impact,
  /** virDomainBlockResizeFlags */
  bytes: 0x1
} as const

type Attached = VolumeDisk & { readonly source: DiskSource }

const find = (disks: ReadonlyArray<DomainXml.Disk>, { alias }: VolumeDisk): DomainXml.Disk | undefined =>
  disks.find((disk) => disk.alias === alias)

const nameOf = ({ alias }: VolumeDisk): string => alias.replace(/^ua-/, "")

/** Why the disk cannot be added to these, which do not have it. */
const obstacle = (
  domain: DomainRef,
  disks: ReadonlyArray<DomainXml.Disk>,
  { source, target }: Attached
): string | undefined => {
  const called = (disk: DomainXml.Disk) => disk.serial ?? disk.rbd ?? disk.path ?? disk.alias ?? "of no name"
  const there = disks.find((disk) => disk.target === target)
  if (there !== undefined) {
    return `${domain.domainName} has another disk at ${target}, ${called(there)}: detach that first`
  }
  const same = disks.find((disk) =>
    source._tag === "File" ? disk.path === source.path : disk.rbd === `${source.pool}/${source.image}`
  )
  // two devices on one disk destroy what is on it
  if (same !== undefined) {
    return `${domain.domainName} has it already, at ${same.target} and not by us: detach that first`
  }
  // into a definition libvirt would let more: it adds ports
  return disks.filter((disk) => /^vd[b-z]/.test(disk.target)).length >= volumeSlots
    ? `${domain.domainName} has no free slot: it has ${volumeSlots}, detach another volume first`
    : undefined
}

/** What libvirt and QEMU say of a disk that cannot be opened, with what to do about it. */
const inWords =
  (host: Host, action: string, domain: DomainRef, source: DiskSource) =>
  (error: LibvirtError): HostError => {
    if (error.reason._tag !== "LibvirtRefused" || error.refusedWith(code.operationTimeout)) {
      return unlessBusy(host, action, domain)(error)
    }
    const said = error.reason.reason
    const fail = (reason: string): HostFailure => failure(host, action, reason, error)
    const what = source._tag === "File" ? source.path : `${source.pool}/${source.image} in Ceph`
    if (said.includes("No more available PCI slots")) {
      return fail(
        `${domain.domainName} has no free slot: other devices have taken its PCI Express ports, detach a volume or one of them first`
      )
    }
    if (said.includes("No such file or directory")) return fail(`${what} is not there (${said})`)
    if (/Failed to get (shared )?"[a-z ]+" lock/.test(said)) {
      return fail(`${what} is open in another VM or program: close it there first (${said})`)
    }
    if (source._tag === "Rbd") {
      if (error.refusedWith(code.noSecret)) {
        return fail(
          `its libvirt has no key for Ceph client ${source.client} (${said}): has the secret been removed by hand? It is put back when the volume is attached again`
        )
      }
      const refused = /error connecting: (.*)/.exec(said)?.[1]
      if (refused !== undefined) {
        return fail(
          refused === "Connection timed out"
            ? `no Ceph monitor answers it at ${source.monitors.map(({ host, port }) => `${host} port ${port}`).join(", ")}: is the network between them up?`
            : `Ceph does not let its QEMU in as client ${source.client} (${refused}): is the key the client's, and may it use pool ${source.pool}?`
        )
      }
    }
    return fail(said)
  }

/** @since 0.2.0 @category constructors */
export const make = (libvirt: Libvirt["Type"], domains: DomainSides.Domains, options: DeviceRelease.Options) => {
  const { raw } = HostCalls.make(libvirt)
  const { present } = domains
  const released = DeviceRelease.make(libvirt, domains.stateOf, options)

  const look = DomainSides.look(libvirt, DomainXml.disks)

  const attachDisk = Effect.fn("Hypervisor.attachDisk")(function* (host: Host, domain: DomainRef, disk: Attached) {
    const action = `attach ${nameOf(disk)} to ${domain.domainName}`
    const absent = failure(host, action, noDomain)
    if (!(yield* present(host, action, domain))) return yield* absent
    const xml = yield* render(host, action, DomainXml.volumeDisk(disk))
    let refused: LibvirtError | undefined
    // What was done is looked at: a domain that was started, or stopped, between the look and the call still lacks the disk on one side.
    for (let attempt = 0; attempt <= DomainSides.attempts; attempt++) {
      const seen = yield* look(host, action, domain)
      if (Option.isNone(seen)) return yield* absent
      const { live, persistent } = seen.value
      const lacking = [
        ...(live !== null && find(live, disk) === undefined ? [{ disks: live, flag: flags.live }] : []),
        ...(find(persistent, disk) === undefined ? [{ disks: persistent, flag: flags.config }] : [])
      ]
      if (lacking.length === 0) return
      for (const { disks } of lacking) {
        const reason = obstacle(domain, disks, disk)
        if (reason !== undefined) return yield* failure(host, action, reason)
      }
      // in one call libvirt changes the definition only when the running domain has taken it
      const which = lacking.reduce((all, { flag }) => all | flag, 0)
      const attached = yield* Effect.either(
        raw(host, "DOMAIN_ATTACH_DEVICE_FLAGS", { dom: HostCalls.wire(domain), xml, flags: which })
      )
      refused = attached._tag === "Left" ? attached.left : undefined
      // stopped meanwhile; or there meanwhile, whether as this disk or as another
      const changed = [code.operationInvalid, code.configUnsupported, code.xml, code.noDomain]
      if (refused !== undefined && !changed.some((number) => refused?.refusedWith(number))) break
    }
    return yield* refused === undefined
      ? DomainSides.restless(host, action, domain)
      : inWords(host, action, domain, disk.source)(refused)
  })

  /** Returns when the domain does not run with the disk. */
  const release = (host: Host, action: string, domain: DomainRef, disk: VolumeDisk) =>
    released(host, action, domain, {
      alias: disk.alias,
      name: nameOf(disk),
      isThere: Effect.map(look(host, action, domain), (seen) => {
        const live = Option.getOrNull(seen)?.live ?? null
        return live !== null && find(live, disk) !== undefined
      }),
      undo: { release: "release it (unmount it)", refused: "unmount the disk there", again: "detach again" }
    })

  const detachDisk = Effect.fn("Hypervisor.detachDisk")(function* (host: Host, domain: DomainRef, disk: VolumeDisk) {
    const action = `detach ${nameOf(disk)} from ${domain.domainName}`
    if (!(yield* present(host, action, domain))) return
    let refused: LibvirtError | undefined
    // An attach that was given up may still be under way, waiting for its storage. Calls that change a domain have their turns, so that
    // it has ended when one of ours has had its.
    let hadTurn = false
    // one that was started in between runs with what its definition had
    for (let attempt = 0; attempt <= DomainSides.attempts; attempt++) {
      const seen = yield* look(host, action, domain)
      if (Option.isNone(seen)) return
      const { live, persistent } = seen.value
      if (live !== null && find(live, disk) !== undefined) {
        yield* release(host, action, domain, disk)
      } else if (hadTurn && find(persistent, disk) === undefined) {
        return
      } else {
        const args = { dom: HostCalls.wire(domain), alias: disk.alias, flags: flags.config }
        const removed = yield* Effect.either(raw(host, "DOMAIN_DETACH_DEVICE_ALIAS", args))
        refused = removed._tag === "Left" ? removed.left : undefined
        if (refused !== undefined && !isMissing(refused)) break
        hadTurn = true
      }
    }
    return yield* refused === undefined
      ? DomainSides.restless(host, action, domain)
      : unlessBusy(host, action, domain)(refused)
  })

  const diskPresence = Effect.fn("Hypervisor.diskPresence")(function* (
    host: Host,
    domain: DomainRef,
    disk: VolumeDisk
  ) {
    const action = `look for ${nameOf(disk)} in ${domain.domainName}`
    if (!(yield* present(host, action, domain))) return Option.none<DiskPresence>()
    return Option.map(yield* look(host, action, domain), ({ live, persistent }) => ({
      live: live === null ? null : find(live, disk) !== undefined,
      persistent: find(persistent, disk) !== undefined
    }))
  })

  const growDisk = Effect.fn("Hypervisor.growDisk")(function* (
    host: Host,
    domain: DomainRef,
    disk: VolumeDisk,
    size: number
  ) {
    const action = `grow ${nameOf(disk)} in ${domain.domainName}`
    const seen = (yield* present(host, action, domain))
      ? yield* look(host, action, domain)
      : Option.none<DomainSides.Seen<DomainXml.Disk>>()
    if (Option.isNone(seen)) return yield* failure(host, action, noDomain)
    const { live } = seen.value
    if (live === null) return yield* failure(host, action, `${domain.domainName} does not run`)
    const found = find(live, disk)
    if (found === undefined) return yield* failure(host, action, `${domain.domainName} runs without it`)
    const { target } = found
    const dom = HostCalls.wire(domain)
    yield* Effect.gen(function* () {
      const { capacity } = yield* raw(host, "DOMAIN_GET_BLOCK_INFO", { dom, path: target, flags: 0 })
      // libvirt would make it smaller as well
      if (capacity >= BigInt(size)) return
      yield* raw(host, "DOMAIN_BLOCK_RESIZE", { dom, disk: target, size: BigInt(size), flags: flags.bytes })
    }).pipe(Effect.mapError(unlessBusy(host, action, domain)))
  })

  return { attachDisk, detachDisk, diskPresence, growDisk }
}
