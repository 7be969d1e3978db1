/** A domain that has a volume open. */
import * as Effect from "effect/Effect"
import { Host } from "../../src/domain/Host.ts"
import { DomainUuid, OperationId, VmId } from "../../src/domain/Ids.ts"
import { type DiskSource, Hypervisor } from "../../src/services/Hypervisor.ts"

export const domain = { uuid: DomainUuid.make("7b2f6e0a-6a5e-4a53-9d0c-3f1d2b7c9a99"), domainName: "vm-99" }

/** Runs until the scope ends; gives the domain's name. */
export const hold = Effect.fn(function* (host: Host, root: DiskSource) {
  const hypervisor = yield* Hypervisor
  const known = new Host({ ...host, facts: yield* hypervisor.facts(host) })
  yield* Effect.acquireRelease(
    hypervisor
      .define(known, {
        ...domain,
        vmId: VmId.make(99),
        title: "holds",
        resources: { cpu: 1, ram: 64, disk: 1 },
        nics: [],
        root,
        operationId: OperationId.make("0d9e8c7b-6a5f-4e3d-8c2b-1a0f9e8d7c6b")
      })
      .pipe(Effect.zipRight(hypervisor.start(known, domain))),
    () => Effect.orDie(Effect.zipRight(hypervisor.powerOff(known, domain), hypervisor.undefine(known, domain)))
  )
  return domain.domainName
})
