/**
 * What the operations on NICs have in common.
 *
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Errors from "../domain/Errors.ts"
import type { Host, HostFacts } from "../domain/Host.ts"
import * as Network from "../domain/Network.ts"
import * as Nic from "../domain/Nic.ts"
import type { DomainNic, Hypervisor } from "../services/Hypervisor.ts"
import type { Subject } from "./VmSaga.ts"

/**
 * A NIC as a domain on a host with these facts has it. Null: it is not there at all, since it is on the default network and the host has none. Left:
 * why it cannot be, one clause.
 *
 * @since 0.6.0 @category getters
 */
export const onHost = (facts: HostFacts, nic: Nic.Nic): Either.Either<DomainNic | null, string> =>
  Either.map(Network.connect(facts, nic), (source) =>
    source === null ? null : { alias: Nic.aliasOf(nic), mac: nic.mac, source, model: nic.model, link: nic.link }
  )

/** All NICs of a VM as its domain on that host has them. @since 0.6.0 @category getters */
export const allOnHost = (
  hypervisor: Hypervisor["Type"],
  host: Host,
  nics: ReadonlyArray<Nic.Nic>,
  action: string
): Effect.Effect<ReadonlyArray<DomainNic>, Errors.HostError> =>
  Effect.gen(function* () {
    const facts = host.facts ?? (yield* hypervisor.facts(host))
    const all: Array<DomainNic> = []
    for (const nic of nics) {
      const found = onHost(facts, nic)
      if (Either.isLeft(found)) {
        return yield* new Errors.HostFailure({ host: host.name, action, reason: found.left })
      }
      if (found.right !== null) all.push(found.right)
    }
    return all
  })

/** The NIC that the operation is about. Null: it has been settled already, and only the operation's own end is not written down. @since 0.6.0 @category getters */
export const nicOf = ({ operation, vm }: Subject): Nic.Nic | null =>
  vm.nics.find(({ id }) => id === operation.detail.nic) ?? null

/** As people are told of it. @since 0.6.0 @category formatting */
export const shown = ({ operation }: Subject, nic: Nic.Nic | null): string =>
  nic === null ? `NIC ${operation.detail.nic ?? 0}` : Nic.show(nic)

/** How its device is found. @since 0.6.0 @category getters */
export const refOf = (nic: Nic.Nic) => ({ alias: Nic.aliasOf(nic), mac: nic.mac })
