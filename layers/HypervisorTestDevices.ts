/**
 * Domains in memory: their volumes and NICs, which come and go while they run.
 *
 * @since 0.12.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { GuestHoldsDevice } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import { type LinkState, nicSlots } from "../src/domain/Nic.ts"
import * as DomainXml from "../src/libvirt/DomainXml.ts"
import { renderIndented } from "../src/libvirt/HostErrors.ts"
import {
  type DiskPresence,
  type DomainNic,
  type DomainRef,
  type Hypervisor,
  type NicRef,
  type VolumeDisk,
  volumeSlots
} from "../src/services/Hypervisor.ts"
import { fail, type Hosts, isRunning, type TestDisk, type TestDomain } from "./HypervisorTestHosts.ts"

interface Device {
  readonly alias: string
}

const has = (devices: ReadonlyArray<Device>, { alias }: Device): boolean => devices.some((one) => one.alias === alias)

const without = <A extends Device>(devices: ReadonlyArray<A>, { alias }: Device): ReadonlyArray<A> =>
  devices.filter((one) => one.alias !== alias)

const nameOf = ({ alias }: Device): string => alias.replace(/^ua-/, "")

const nicName = (nic: NicRef): string => `${nameOf(nic)} (${nic.mac})`

const diskPresence = (domain: TestDomain, disk: VolumeDisk): DiskPresence => ({
  live: isRunning(domain) ? has(domain.live, disk) : null,
  persistent: has(domain.persistent, disk)
})

const nicPresence = (domain: TestDomain, nic: NicRef): DiskPresence => ({
  live: isRunning(domain) ? has(domain.liveNics, nic) : null,
  persistent: has(domain.spec?.nics ?? [], nic)
})

/** @since 0.12.0 @category constructors */
export const make = ({ letGo, need, needSpec, owned, set, update }: Hosts) => {
  /** The guest lets go of a device that it runs with; `letting` and `again`: what it is to do, and whoever asks for it. */
  const release = Effect.fnUntraced(function* (
    host: Host,
    domain: TestDomain,
    { alias }: Device,
    { again, called, letting }: { readonly called: string; readonly letting: string; readonly again: string }
  ) {
    const holds = (reason: string) => new GuestHoldsDevice({ domain: domain.name, device: called, reason })
    if (domain.state === "paused") {
      return yield* holds(`it is paused: resume it, or stop the VM, and ${again} again`)
    }
    if (!domain.holding) return yield* letGo(host, domain, [alias])
    yield* set(host, domain.uuid, { ...domain, asked: [...new Set([...domain.asked, alias])] })
    return yield* holds(
      `it was asked for 20 seconds: let the guest's system ${letting}, or stop the VM, and ${again} again`
    )
  })

  /** As it is by now, when it is still there. */
  const redefine = (host: Host, { uuid }: DomainRef, change: (domain: TestDomain) => TestDomain) =>
    update(host, (there) => {
      const now = there.domains.get(uuid)
      return now === undefined ? there : { ...there, domains: new Map(there.domains).set(uuid, change(now)) }
    })

  return {
    describeDisk: (host, disk) => renderIndented(host, `describe ${disk.target}`, DomainXml.volumeDisk(disk)),
    attachDisk: Effect.fn("Hypervisor.attachDisk")(function* (
      host: Host,
      ref: DomainRef,
      disk: Omit<TestDisk, "size">
    ) {
      const action = `attach ${nameOf(disk)} to ${ref.domainName}`
      const domain = yield* need(host, action, ref)
      for (const disks of isRunning(domain) ? [domain.live, domain.persistent] : [domain.persistent]) {
        if (has(disks, disk)) continue
        const there = disks.find(({ target }) => target === disk.target)
        if (there !== undefined || disk.target === "vda") {
          const called = there?.source.serial ?? domain.spec?.root.serial
          return yield* fail(
            host,
            action,
            `${domain.name} has another disk at ${disk.target}, ${called}: detach that first`
          )
        }
        if (disks.length >= volumeSlots) {
          return yield* fail(
            host,
            action,
            `${domain.name} has no free slot: it has ${volumeSlots}, detach another volume first`
          )
        }
      }
      const added = { ...disk, size: null }
      const add = (disks: ReadonlyArray<TestDisk>) => (has(disks, disk) ? disks : [...disks, added])
      yield* set(host, ref.uuid, {
        ...domain,
        live: isRunning(domain) ? add(domain.live) : [],
        persistent: add(domain.persistent)
      })
    }),
    detachDisk: Effect.fn("Hypervisor.detachDisk")(function* (host: Host, ref: DomainRef, disk: VolumeDisk) {
      const domain = Option.getOrUndefined(yield* owned(host, `detach ${nameOf(disk)} from ${ref.domainName}`, ref))
      if (domain === undefined) return
      if (has(domain.live, disk)) {
        const words = { called: nameOf(disk), letting: "release it (unmount it)", again: "detach" }
        yield* release(host, domain, disk, words)
      }
      yield* redefine(host, ref, (now) => ({ ...now, persistent: without(now.persistent, disk) }))
    }),
    diskPresence: Effect.fn("Hypervisor.diskPresence")(function* (host: Host, ref: DomainRef, disk: VolumeDisk) {
      const found = yield* owned(host, `look for ${nameOf(disk)} in ${ref.domainName}`, ref)
      return Option.map(found, (domain) => diskPresence(domain, disk))
    }),
    growDisk: Effect.fn("Hypervisor.growDisk")(function* (host: Host, ref: DomainRef, disk: VolumeDisk, size: number) {
      const action = `grow ${nameOf(disk)} in ${ref.domainName}`
      const domain = yield* need(host, action, ref)
      if (!isRunning(domain)) return yield* fail(host, action, `${domain.name} does not run`)
      if (!has(domain.live, disk)) return yield* fail(host, action, `${domain.name} runs without it`)
      const grow = (disks: ReadonlyArray<TestDisk>) =>
        disks.map((one) => (one.alias === disk.alias ? { ...one, size: Math.max(one.size ?? 0, size) } : one))
      yield* set(host, ref.uuid, { ...domain, live: grow(domain.live), persistent: grow(domain.persistent) })
    }),
    describeNic: (host, nic) => renderIndented(host, `describe ${nic.alias}`, DomainXml.nic(nic)),
    attachNic: Effect.fn("Hypervisor.attachNic")(function* (host: Host, ref: DomainRef, nic: DomainNic) {
      const action = `attach ${nicName(nic)} to ${ref.domainName}`
      const { domain, spec } = yield* needSpec(host, action, ref)
      for (const nics of isRunning(domain) ? [domain.liveNics, spec.nics] : [spec.nics]) {
        if (has(nics, nic) || nics.length < nicSlots) continue
        return yield* fail(host, action, `${domain.name} has ${nicSlots} NICs, which is the most: remove one first`)
      }
      const add = (nics: ReadonlyArray<DomainNic>) => (has(nics, nic) ? nics : [...nics, nic])
      const liveNics = isRunning(domain) ? add(domain.liveNics) : []
      yield* set(host, ref.uuid, { ...domain, liveNics, spec: { ...spec, nics: add(spec.nics) } })
    }),
    detachNic: Effect.fn("Hypervisor.detachNic")(function* (host: Host, ref: DomainRef, nic: NicRef) {
      const domain = Option.getOrUndefined(yield* owned(host, `detach ${nicName(nic)} from ${ref.domainName}`, ref))
      if (domain === undefined) return
      if (has(domain.liveNics, nic)) {
        yield* release(host, domain, nic, { called: nicName(nic), letting: "let go of it", again: "remove it" })
      }
      yield* redefine(host, ref, (now) =>
        now.spec === null ? now : { ...now, spec: { ...now.spec, nics: without(now.spec.nics, nic) } }
      )
    }),
    nicPresence: Effect.fn("Hypervisor.nicPresence")(function* (host: Host, ref: DomainRef, nic: NicRef) {
      const found = yield* owned(host, `look for ${nicName(nic)} in ${ref.domainName}`, ref)
      return Option.map(found, (domain) => nicPresence(domain, nic))
    }),
    setLink: Effect.fn("Hypervisor.setLink")(function* (host: Host, ref: DomainRef, nic: NicRef, link: LinkState) {
      const action = `set the link of ${nicName(nic)} in ${ref.domainName} ${link}`
      const domain = Option.getOrUndefined(yield* owned(host, action, ref))
      if (domain === undefined || domain.spec === null) return Option.none<DiskPresence>()
      const linked = (nics: ReadonlyArray<DomainNic>) =>
        nics.map((one) => (one.alias === nic.alias ? { ...one, link } : one))
      const spec = { ...domain.spec, nics: linked(domain.spec.nics) }
      const changed = { ...domain, liveNics: linked(domain.liveNics), spec }
      yield* set(host, ref.uuid, changed)
      return Option.some(nicPresence(changed, nic))
    })
  } satisfies Partial<Hypervisor["Type"]>
}
