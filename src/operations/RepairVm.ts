/**
 * @since 0.3.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Volume } from "../domain/Volume.ts"
import type { DriverName } from "../domain/Pool.ts"
import type { StorageDriver } from "../services/Storage.ts"
import type { Saga } from "./Saga.ts"
import * as CreateVm from "./CreateVm.ts"
import * as VmSaga from "./VmSaga.ts"
import * as VolumeSaga from "./VolumeSaga.ts"

/** @since 0.3.0 @category constants */
export const steps = ["definition", "disks", "power"] as const

type Name = (typeof steps)[number]

/**
 * Those of definition → missing volumes → start that are to be mended. A domain that is gone is defined anew over the root disk that is left of the
 * VM. Nothing is taken away, so there is nothing to undo.
 *
 * @since 0.3.0 @category operations
 */
export const saga = (subject: VmSaga.Subject, driverOf: (name: DriverName) => StorageDriver): Saga<Name> => {
  const { driver, host, hypervisor, inventory, operation, vm } = subject
  const domain = { uuid: vm.uuid, domainName: vm.domainName }

  const attach = Effect.fnUntraced(function* (volume: Volume) {
    const disk = VolumeSaga.diskOf(volume)
    const found = yield* hypervisor.diskPresence(host, domain, disk)
    if (Option.exists(found, ({ live, persistent }) => persistent && live !== false)) return
    const held = Option.exists(found, ({ live }) => live === true)
    const at = { id: volume.id, host: volume.hostId === null ? null : host }
    const source = yield* driverOf(volume.driver).openVolume(at, { host, domainName: vm.domainName, held })
    yield* hypervisor.attachDisk(host, domain, { ...disk, source })
  })

  const defineAnew = Effect.gen(function* () {
    // before anything is written: without it there is nothing to define a domain over
    const root = yield* driver.openRoot(host, vm.id)
    yield* CreateVm.writeSeed(subject, true)
    yield* CreateVm.define(subject, root)
    yield* VmSaga.tell(subject, `${vm.domainName} was gone, and was defined anew`)
  })

  const acts = {
    definition: Effect.flatMap(
      hypervisor.status(host, domain),
      Option.match({
        onNone: () => defineAnew,
        onSome: () =>
          hypervisor.redefine(host, domain, { title: vm.name, cpu: vm.resources.cpu, ram: vm.resources.ram })
      })
    ).pipe(Effect.zipRight(hypervisor.setAutostart(host, domain, vm.startsWithHost))),
    disks: Effect.flatMap(inventory.volumes({ vm: vm.id }), (volumes) =>
      Effect.forEach(
        volumes.filter(({ state }) => state === "attached"),
        attach,
        { discard: true }
      )
    ),
    power: vm.state === "running" ? hypervisor.start(host, domain) : Effect.void
  }
  const descriptions = {
    definition: `Give title, vCPUs, memory and autostart back to the definition of ${vm.domainName}, or define it anew if it is gone.`,
    disks: `Put the volumes that are missing into ${vm.domainName}.`,
    power: `Start ${vm.domainName} if it should run and does not.`
  }
  const asked = steps.filter((name) => operation.detail.repair?.includes(name) === true)
  return {
    hosts: [host],
    unreachable: "undo",
    steps: asked.map((name) => ({ name, description: descriptions[name], act: acts[name] })),
    // what was applied is what was wanted, but only if the definition was among it
    succeeded: vm.settled && asked.includes("definition") ? inventory.setVmState(vm.id, vm.state) : Effect.void,
    failed: Effect.void
  }
}
