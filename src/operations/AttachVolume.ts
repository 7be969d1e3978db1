/**
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Errors from "../domain/Errors.ts"
import type { Host } from "../domain/Host.ts"
import type { Vm } from "../domain/Vm.ts"
import type { Saga, Step } from "./Saga.ts"
import * as VmSaga from "./VmSaga.ts"
import * as VolumeSaga from "./VolumeSaga.ts"

/** @since 0.3.0 @category constants */
export const steps = ["volume on the VM's host", "volume on its former host", "attach", "seen"] as const

/**
 * A volume that is kept on another host and that nobody has written to goes along: it is made on the VM's host, then removed from where
 * it was. Undone, it is made again there, unless it still is.
 */
const moves = (subject: VolumeSaga.Subject): ReadonlyArray<Step<(typeof steps)[number]>> => {
  const { driver, formerHost, host, operation, volume } = subject
  if (formerHost === null || host === null) return []
  const there = { id: volume.id, host }
  const here = { id: volume.id, host: formerHost }
  const create = (at: typeof here) =>
    driver.createVolume(at, { size: volume.size, name: volume.name, operationId: operation.id, source: null })
  return [
    {
      name: "volume on the VM's host",
      description: `Make ${volume.serial} on ${host.name}, where the VM runs: nobody has written to it yet.`,
      act: create(there),
      undo: driver.discardVolume(there, operation.id),
      hosts: [host]
    },
    {
      name: "volume on its former host",
      description: `Remove ${volume.serial} from ${formerHost.name}.`,
      act: Effect.zipRight(driver.trashVolume(here, 0), driver.purgeVolume(here)),
      undo: Effect.flatMap(driver.volumeSize(here), (found) =>
        Option.isSome(found) ? Effect.void : Effect.zipRight(driver.purgeVolume(here), create(here))
      ),
      hosts: [formerHost]
    }
  ]
}

/**
 * (the volume on the VM's host →) in the domain → seen there. When it is undone and the guest does not let go any more, the volume stays attached,
 * and that it was asked is remembered: should it let go later, it is detached then.
 *
 * @since 0.2.0 @category operations
 */
export const saga = (
  subject: VolumeSaga.Subject,
  user: { readonly vm: Vm; readonly host: Host }
): Saga<(typeof steps)[number]> => {
  const { driver, hypervisor, volume } = subject
  const { host, vm } = user
  const domain = { uuid: vm.uuid, domainName: vm.domainName }
  const disk = VolumeSaga.diskOf(volume)
  const at = VolumeSaga.place(subject)
  const presence = hypervisor.diskPresence(host, domain, disk)
  return {
    hosts: VolumeSaga.hostsOf(subject),
    unreachable: "undo",
    steps: [
      ...moves(subject),
      {
        name: "attach",
        description: `Put ${volume.serial} into ${vm.domainName} as ${volume.target ?? "a disk"}, into the running guest, too.`,
        act: Effect.gen(function* () {
          const before = yield* presence
          const held = Option.exists(before, ({ live }) => live === true)
          const source = yield* driver.openVolume(at, { host, domainName: vm.domainName, held })
          yield* hypervisor.attachDisk(host, domain, { ...disk, source })
        }),
        undo: hypervisor.detachDisk(host, domain, disk),
        hosts: [host]
      },
      {
        name: "seen",
        description: `See that ${vm.domainName} has ${volume.serial}.`,
        act: Effect.flatMap(presence, (found) =>
          Option.isSome(found) && found.value.persistent && found.value.live !== false
            ? Effect.void
            : new Errors.HostFailure({
                host: host.name,
                action: `keep ${volume.serial} in ${vm.domainName}`,
                reason: Option.isNone(found)
                  ? "the domain is gone"
                  : "the disk is gone again right after it was attached"
              })
        ),
        hosts: [host]
      }
    ],
    succeeded: VolumeSaga.settle(subject, { state: "attached", releaseAsked: false }),
    kept: ({ message }) =>
      Effect.zipRight(
        VmSaga.tell(subject, `the volume stays attached: ${message}`),
        VolumeSaga.settle(subject, { state: "attached", releaseAsked: true })
      ),
    failed: VolumeSaga.settle(subject, {
      state: "available",
      attachment: null,
      // nobody has written to it: it can go along the next time too
      ...(subject.formerHost === null ? {} : { hostId: subject.formerHost.id, pristine: true })
    })
  }
}
