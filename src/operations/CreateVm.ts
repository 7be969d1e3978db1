/**
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Seed from "../cloudinit/Seed.ts"
import type { Host } from "../domain/Host.ts"
import type { Image } from "../domain/Image.ts"
import type { Vm } from "../domain/Vm.ts"
import * as Errors from "../domain/Errors.ts"
import type { DiskSource, DomainSpec, Hypervisor } from "../services/Hypervisor.ts"
import * as NicSaga from "./NicSaga.ts"
import { limits, type Saga } from "./Saga.ts"
import * as VmSaga from "./VmSaga.ts"

/** @since 0.3.0 @category constants */
export const steps = ["image", "root disk", "seed", "define", "start", "running"] as const

/** Sees that it runs once it was started. Gives when it was asked, where there is nothing else to tell of it; null: there is. @since 0.3.0 @category steps */
export const seenRunning = (hypervisor: Hypervisor["Type"], host: Host, { domainName, uuid }: Vm) => {
  const status = Effect.flatMap(hypervisor.status(host, { uuid, domainName }), (status) =>
    status._tag === "Some" && (status.value.state === "running" || status.value.state === "blocked")
      ? Effect.void
      : new Errors.HostFailure({
          host: host.name,
          action: `keep ${domainName} running`,
          reason:
            status._tag === "None"
              ? "its domain vanished after the start"
              : `it is ${status.value.state} right after the start`
        })
  )
  // one call, where there is nothing to tell of it
  return Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.flatMap(hypervisor.power(host, { uuid, domainName }), (found) =>
      found._tag === "Some" && found.value.power === "running" && found.value.reason === null
        ? Effect.succeed(now)
        : Effect.as(status, null)
    )
  )
}

/** Writes the VM's seed, unless this operation has already. `replaces`: also over one that another operation made for it. @since 0.9.0 @category steps */
export const writeSeed = ({ driver, host, inventory, operation, vm }: VmSaga.Subject, replaces: boolean) =>
  Effect.flatMap(inventory.cloudInit(vm.id), (cloudInit) =>
    driver.writeSeed(host, { vmId: vm.id, operationId: operation.id, content: Seed.build(vm, cloudInit), replaces })
  )

/** Defines the VM's domain over that root disk and the seed beside it, without volumes. `isNew`: as `Hypervisor.define` has it. @since 0.9.0 @category steps */
export const define = Effect.fnUntraced(function* (subject: VmSaga.Subject, root: DiskSource, isNew = false) {
  const { driver, host, hypervisor, operation, vm } = subject
  const spec: DomainSpec = {
    uuid: vm.uuid,
    domainName: vm.domainName,
    vmId: vm.id,
    title: vm.name,
    resources: vm.resources,
    nics: yield* NicSaga.allOnHost(hypervisor, host, vm.nics, `define ${vm.domainName}`),
    root,
    seed: yield* driver.describeSeed(host, vm.id),
    operationId: operation.id
  }
  yield* hypervisor.define(host, spec, isNew)
})

/** image → root disk → seed → define → start → seen running. @since 0.1.0 @category operations */
export const saga = (subject: VmSaga.Subject, image: Image): Saga<(typeof steps)[number]> => {
  const { driver, host, hypervisor, inventory, vm } = subject
  const operationId = subject.operation.id
  const domain = { uuid: vm.uuid, domainName: vm.domainName }
  const root = { vmId: vm.id, image, size: vm.resources.disk, operationId }
  /** null: not by this process */
  let made: DiskSource | null = null
  /** whether that was the last thing this process has done with it */
  let justDefined = false
  /** when it was asked and ran; null: there is more to tell of it */
  let ranAt: number | null = null
  const makeRoot = Effect.map(driver.createRoot(host, root), (disk) => (made = disk))
  return {
    hosts: [host],
    unreachable: "undo",
    limit: limits.sagaWithCopy,
    steps: [
      // the image stays for the next VM, so there is nothing to undo
      {
        name: "image",
        description: `Send image ${image.id} (${image.config.name}) to where ${host.name} uses it, unless it is there.`,
        act: driver.ensureImage(host, image),
        cancellable: true,
        limit: limits.copy
      },
      {
        name: "root disk",
        description: `Make the root disk of ${vm.domainName} over the image, ${root.size} GiB or as large as the image.`,
        act: Effect.asVoid(makeRoot),
        undo: driver.deleteRoot(host, vm.id, operationId),
        // it sends an image that has vanished meanwhile
        limit: limits.copy
      },
      {
        name: "seed",
        description: `Write what cloud-init in ${vm.domainName} reads, beside its root disk.`,
        act: Effect.asVoid(writeSeed(subject, false)),
        undo: driver.deleteSeed(host, vm.id, operationId)
      },
      {
        name: "define",
        description: `Define the domain ${vm.domainName}.`,
        // asked for again after a restart
        act: Effect.gen(function* () {
          // its uuid was made for it, so that nobody else has it
          yield* define(subject, yield* made === null ? makeRoot : Effect.succeed(made), true)
          if (vm.autostart) yield* hypervisor.setAutostart(host, domain, true)
          justDefined = true
        }),
        undo: VmSaga.undefine(subject, domain)
      },
      {
        name: "start",
        description: `Start ${vm.domainName}.`,
        act: Effect.suspend(() => {
          const isNew = justDefined
          justDefined = false
          return hypervisor.start(host, domain, isNew)
        }),
        undo: hypervisor.powerOff(host, domain)
      },
      {
        name: "running",
        description: `See that ${vm.domainName} runs.`,
        act: Effect.map(seenRunning(hypervisor, host, vm), (at) => void (ranAt = at))
      }
    ],
    succeeded: Effect.suspend(() =>
      inventory.setVmState(vm.id, "running", ranAt === null ? undefined : { ...VmSaga.running, at: ranAt })
    ),
    failed: inventory.setVmState(vm.id, "failed")
  }
}
