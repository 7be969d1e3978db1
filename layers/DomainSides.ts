/**
 * A domain as it runs and as it is defined, which libvirt changes one by one: what its devices need to be added and removed on both sides.
 *
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { HostError, HostFailure } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import * as DomainXml from "../src/libvirt/DomainXml.ts"
import { code, failure, parse } from "../src/libvirt/HostErrors.ts"
import type * as Xml from "../src/libvirt/Xml.ts"
import type { DomainRef, DomainState } from "../src/services/Hypervisor.ts"
import type { Libvirt } from "../src/services/Libvirt.ts"
import * as HostCalls from "./HostCalls.ts"

/** How domains are found, whatever is done with them. @since 0.6.0 @category models */
export interface Domains {
  /** whether the domain is there; fails when it is not ours */
  readonly present: (host: Host, action: string, domain: DomainRef) => Effect.Effect<boolean, HostError>
  readonly stateOf: (
    host: Host,
    action: string,
    domain: DomainRef
  ) => Effect.Effect<Option.Option<DomainState>, HostError>
}

/** virDomainModificationImpact. @since 0.6.0 @category constants */
export const impact = { live: 0x1, config: 0x2 } as const

/** How often a domain that changes under our hands is looked at again before libvirt's own words are the answer. @since 0.6.0 @category constants */
export const attempts = 5

/** After so many attempts, none of which was refused for good. @since 0.6.0 @category constructors */
export const restless = (host: Host, action: string, { domainName }: DomainRef): HostFailure =>
  failure(host, action, `${domainName} is started and stopped all the time: try again when that has ended`)

/** What a domain has. `live` null: it does not run. @since 0.6.0 @category models */
export interface Seen<A> {
  readonly live: ReadonlyArray<A> | null
  readonly persistent: ReadonlyArray<A>
}

/** Gives what looks at both sides: for the devices that `read` finds in either. None: no such domain. @since 0.6.0 @category constructors */
export const look = <A>(libvirt: Libvirt["Type"], read: (domain: Xml.Element) => ReadonlyArray<A>) => {
  const { unless } = HostCalls.make(libvirt)
  const describe = (host: Host, action: string, domain: DomainRef, which: number) =>
    Effect.flatMap(
      unless(host, action, "DOMAIN_GET_XML_DESC", { dom: HostCalls.wire(domain), flags: which }, code.noDomain),
      Effect.transposeMapOption(({ xml }) =>
        parse(host, action, xml, (root) =>
          root.name === "domain" ? { active: DomainXml.isActive(root), devices: read(root) } : undefined
        )
      )
    )
  return (host: Host, action: string, domain: DomainRef): Effect.Effect<Option.Option<Seen<A>>, HostError> =>
    Effect.gen(function* () {
      const current = yield* describe(host, action, domain, 0)
      if (Option.isNone(current)) return Option.none()
      const { active, devices } = current.value
      if (!active) return Option.some({ live: null, persistent: devices })
      const definition = yield* describe(host, action, domain, HostCalls.describing.inactive)
      return Option.map(definition, (defined) => ({ live: devices, persistent: defined.devices }))
    })
}
