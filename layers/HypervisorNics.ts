/**
 * NICs that come and go while a domain exists, and the addresses of guests, through libvirt's RPC.
 *
 * libvirt takes any number of NICs with one address, and forgets the alias of one whose update does not repeat it: so domains are looked at first, and
 * an update repeats all that was there.
 *
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { HostError } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import { type LinkState, nicSlots } from "../src/domain/Nic.ts"
import * as DomainXml from "../src/libvirt/DomainXml.ts"
import { code, failure, render } from "../src/libvirt/HostErrors.ts"
import {
  type DiskPresence,
  type DomainNic,
  type DomainRef,
  type GuestAddress,
  type NicRef,
  noDomain
} from "../src/services/Hypervisor.ts"
import type { Libvirt, LibvirtError } from "../src/services/Libvirt.ts"
import * as DeviceRelease from "./DeviceRelease.ts"
import { isMissing, unlessBusy } from "./DeviceRelease.ts"
import * as DomainSides from "./DomainSides.ts"
import * as HostCalls from "./HostCalls.ts"

/** virDomainInterfaceAddressesSource, in the order in which they are asked: what the guest itself says is truest, and only it knows all. */
const sources: ReadonlyArray<readonly [number, GuestAddress["source"]]> = [
  [1, "agent"],
  [0, "lease"],
  [2, "arp"]
]

const find = (nics: ReadonlyArray<DomainXml.FoundNic>, { alias, mac }: NicRef): DomainXml.FoundNic | undefined =>
  nics.find((nic) => nic.alias === alias) ?? nics.find((nic) => nic.mac === mac)

const nameOf = ({ alias, mac }: NicRef): string => `${alias.replace(/^ua-/, "")} (${mac})`

const inWords =
  (host: Host, action: string, domain: DomainRef) =>
  (error: LibvirtError): HostError =>
    error.reason._tag === "LibvirtRefused" && error.reason.reason.includes("No more available PCI slots")
      ? failure(
          host,
          action,
          `${domain.domainName} has no free slot: other devices have taken its PCI Express ports, remove one of them first`,
          error
        )
      : unlessBusy(host, action, domain)(error)

/** @since 0.6.0 @category constructors */
export const make = (libvirt: Libvirt["Type"], domains: DomainSides.Domains, options: DeviceRelease.Options) => {
  const { raw } = HostCalls.make(libvirt)
  const { present, stateOf } = domains
  const released = DeviceRelease.make(libvirt, stateOf, options)

  const look = DomainSides.look(libvirt, DomainXml.nics)

  const attachNic = Effect.fn("Hypervisor.attachNic")(function* (host: Host, domain: DomainRef, nic: DomainNic) {
    const action = `attach ${nameOf(nic)} to ${domain.domainName}`
    const absent = failure(host, action, noDomain)
    if (!(yield* present(host, action, domain))) return yield* absent
    const xml = yield* render(host, action, DomainXml.nic(nic))
    let refused: LibvirtError | undefined
    // what was done is looked at: a domain that was started, or stopped, in between still lacks it on one side
    for (let attempt = 0; attempt <= DomainSides.attempts; attempt++) {
      const seen = yield* look(host, action, domain)
      if (Option.isNone(seen)) return yield* absent
      const { live, persistent } = seen.value
      const lacking = [
        ...(live !== null && find(live, nic) === undefined ? [{ nics: live, flag: DomainSides.impact.live }] : []),
        ...(find(persistent, nic) === undefined ? [{ nics: persistent, flag: DomainSides.impact.config }] : [])
      ]
      if (lacking.length === 0) return
      // into a definition libvirt would let more: it adds ports
      if (lacking.some(({ nics }) => nics.length >= nicSlots)) {
        return yield* failure(
          host,
          action,
          `${domain.domainName} has ${nicSlots} NICs, which is the most: remove one first`
        )
      }
      // in one call libvirt changes the definition only when the running domain has taken it
      const which = lacking.reduce((all, { flag }) => all | flag, 0)
      const attached = yield* Effect.either(
        raw(host, "DOMAIN_ATTACH_DEVICE_FLAGS", { dom: HostCalls.wire(domain), xml, flags: which })
      )
      refused = attached._tag === "Left" ? attached.left : undefined
      // stopped meanwhile; or there meanwhile
      const changed = [code.operationInvalid, code.configUnsupported, code.noDomain]
      if (refused !== undefined && !changed.some((number) => refused?.refusedWith(number))) break
    }
    return yield* refused === undefined
      ? DomainSides.restless(host, action, domain)
      : inWords(host, action, domain)(refused)
  })

  const detachNic = Effect.fn("Hypervisor.detachNic")(function* (host: Host, domain: DomainRef, nic: NicRef) {
    const action = `detach ${nameOf(nic)} from ${domain.domainName}`
    if (!(yield* present(host, action, domain))) return
    const isThere = Effect.map(look(host, action, domain), (seen) => {
      const live = Option.getOrNull(seen)?.live ?? null
      return live !== null && find(live, nic) !== undefined
    })
    let refused: LibvirtError | undefined
    // one that was started in between runs with what its definition had
    for (let attempt = 0; attempt <= DomainSides.attempts; attempt++) {
      const seen = yield* look(host, action, domain)
      if (Option.isNone(seen)) return
      const { live, persistent } = seen.value
      const running = live === null ? undefined : find(live, nic)
      const defined = find(persistent, nic)
      if (running !== undefined) {
        yield* released(host, action, domain, {
          alias: running.alias ?? nic.alias,
          name: nameOf(nic),
          isThere,
          undo: { release: "let go of it", refused: "let it go there", again: "remove it again" }
        })
      } else if (defined === undefined) return
      else {
        const xml = yield* render(host, action, defined.element)
        const removed = yield* Effect.either(
          raw(host, "DOMAIN_DETACH_DEVICE_FLAGS", {
            dom: HostCalls.wire(domain),
            xml,
            flags: DomainSides.impact.config
          })
        )
        refused = removed._tag === "Left" ? removed.left : undefined
        if (refused !== undefined && !isMissing(refused)) break
      }
    }
    return yield* refused === undefined
      ? DomainSides.restless(host, action, domain)
      : inWords(host, action, domain)(refused)
  })

  const nicPresence = Effect.fn("Hypervisor.nicPresence")(function* (host: Host, domain: DomainRef, nic: NicRef) {
    const action = `look for ${nameOf(nic)} in ${domain.domainName}`
    if (!(yield* present(host, action, domain))) return Option.none<DiskPresence>()
    return Option.map(yield* look(host, action, domain), ({ live, persistent }) => ({
      live: live === null ? null : find(live, nic) !== undefined,
      persistent: find(persistent, nic) !== undefined
    }))
  })

  const setLink = Effect.fn("Hypervisor.setLink")(function* (
    host: Host,
    domain: DomainRef,
    nic: NicRef,
    link: LinkState
  ) {
    const action = `set the link of ${nameOf(nic)} in ${domain.domainName} ${link}`
    if (!(yield* present(host, action, domain))) return Option.none<DiskPresence>()
    let refused: LibvirtError | undefined
    for (let attempt = 0; attempt <= DomainSides.attempts; attempt++) {
      const seen = yield* look(host, action, domain)
      if (Option.isNone(seen)) return Option.none<DiskPresence>()
      const live = seen.value.live === null ? null : find(seen.value.live, nic)
      const persistent = find(seen.value.persistent, nic)
      const [first] = [
        { nic: live, flag: DomainSides.impact.live },
        { nic: persistent, flag: DomainSides.impact.config }
      ].flatMap(({ flag, nic }) => (nic === undefined || nic === null || nic.link === link ? [] : [{ nic, flag }]))
      if (first === undefined) {
        return Option.some({ live: live === null ? null : live !== undefined, persistent: persistent !== undefined })
      }
      const xml = yield* render(host, action, DomainXml.withLink(first.nic.element, link))
      const updated = yield* Effect.either(
        raw(host, "DOMAIN_UPDATE_DEVICE_FLAGS", { dom: HostCalls.wire(domain), xml, flags: first.flag })
      )
      refused = updated._tag === "Left" ? updated.left : undefined
      // started or stopped meanwhile
      if (refused !== undefined && !refused.refusedWith(code.operationInvalid) && !isMissing(refused)) break
    }
    return yield* refused === undefined
      ? DomainSides.restless(host, action, domain)
      : inWords(host, action, domain)(refused)
  })

  const addresses = Effect.fn("Hypervisor.addresses")(function* (host: Host, domain: DomainRef) {
    const action = `tell the addresses of ${domain.domainName}`
    if (!(yield* present(host, action, domain))) return []
    for (const [number, source] of sources) {
      const asked = { dom: HostCalls.wire(domain), source: number, flags: 0 }
      // each refuses in its own way what it does not know: no agent in the guest, no leases, no table of neighbours
      const found = yield* raw(host, "DOMAIN_INTERFACE_ADDRESSES", asked).pipe(
        Effect.catchIf(
          (error) => error.reason._tag === "LibvirtRefused",
          () => Effect.succeed({ ifaces: [] })
        ),
        Effect.mapError(unlessBusy(host, action, domain))
      )
      const all = found.ifaces.flatMap(({ addrs, hwaddr }) =>
        addrs.flatMap(({ addr, prefix }): ReadonlyArray<GuestAddress> =>
          isLoopback(addr) ? [] : [{ mac: hwaddr?.toLowerCase() ?? null, address: addr, prefix, source }]
        )
      )
      if (all.length > 0) return all
    }
    return []
  })

  return { attachNic, detachNic, nicPresence, setLink, addresses }
}

const isLoopback = (address: string): boolean => address === "::1" || address.startsWith("127.")
