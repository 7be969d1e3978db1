/**
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Host } from "../domain/Host.ts"
import type { Image } from "../domain/Image.ts"
import type { OperationId } from "../domain/Ids.ts"
import type { Vm } from "../domain/Vm.ts"
import * as Errors from "../domain/Errors.ts"
import type { Hypervisor } from "../services/Hypervisor.ts"
import type { Inventory } from "../services/Inventory.ts"
import type { Storage } from "../services/Storage.ts"
import type { Saga } from "./Saga.ts"

interface Services {
  readonly inventory: Inventory["Type"]
  readonly hypervisor: Hypervisor["Type"]
  readonly storage: Storage["Type"]
}

/** image → root disk → define → start → seen running. @since 0.1.0 @category operations */
export const saga = (
  { hypervisor, inventory, storage }: Services,
  operationId: OperationId,
  vm: Vm,
  host: Host,
  image: Image
): Saga => {
  const domain = { uuid: vm.uuid, domainName: vm.domainName }
  const root = { vmId: vm.id, image, size: vm.resources.disk }
  return {
    hostId: host.id,
    unreachable: "undo",
    steps: [
      // the image stays for the next VM, so there is nothing to undo
      { name: "image", act: storage.ensureImage(host, image) },
      {
        name: "root disk",
        act: Effect.asVoid(storage.createRoot(host, root)),
        undo: storage.deleteRoot(host, vm.id)
      },
      {
        name: "define",
        // asked for again, not remembered: the disk is what the host has now, also after a restart
        act: Effect.flatMap(storage.createRoot(host, root), (disk) =>
          hypervisor.define(host, {
            ...domain,
            vmId: vm.id,
            title: vm.name,
            resources: vm.resources,
            mac: vm.mac,
            root: disk,
            operationId
          })
        ),
        undo: hypervisor.undefine(host, domain)
      },
      { name: "start", act: hypervisor.start(host, domain), undo: hypervisor.powerOff(host, domain) },
      {
        name: "running",
        act: Effect.flatMap(hypervisor.status(host, domain), (status) =>
          status._tag === "Some" && (status.value.state === "running" || status.value.state === "blocked")
            ? Effect.void
            : new Errors.HostFailure({
                host: host.name,
                action: `keep ${vm.domainName} running`,
                reason:
                  status._tag === "None"
                    ? "its domain vanished after the start"
                    : `it is ${status.value.state} right after the start`
              })
        )
      }
    ],
    succeeded: inventory.setVmState(vm.id, "running"),
    failed: inventory.setVmState(vm.id, "failed")
  }
}
