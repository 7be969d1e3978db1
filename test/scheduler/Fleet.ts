/** Hosts and VMs for rules: every VM takes one of each resource. */
import { Host } from "../../src/domain/Host.ts"
import { DomainUuid, type HostId, ImageId, InstanceTypeId, VmId } from "../../src/domain/Ids.ts"
import * as Placement from "../../src/domain/Placement.ts"
import * as Resources from "../../src/domain/Resources.ts"
import { Vm } from "../../src/domain/Vm.ts"
import type { Candidate } from "../../src/services/Scheduler.ts"
import { candidate } from "../contracts/SchedulerContract.ts"

export const size = { cpu: 1, ram: 1, disk: 1 }

/** `room`: for so many VMs. */
export interface Place {
  readonly room: number
  readonly labels: Readonly<Record<string, string>>
}

export const fleetOf = (places: ReadonlyArray<Place>): ReadonlyArray<Candidate> =>
  places.map(({ labels, room }, index) => {
    const one = candidate(
      index + 1,
      Resources.map(() => room)
    )
    return { ...one, host: new Host({ ...one.host, config: { ...one.host.config, labels } }) }
  })

export const vmOf = (id: number, hostId: HostId, placement: Placement.Placement | null): Vm =>
  new Vm({
    id: VmId.make(id),
    uuid: DomainUuid.make(`00000000-0000-4000-8000-${String(id).padStart(12, "0")}`),
    name: `vm${id}`,
    instanceType: InstanceTypeId.make(1),
    imageId: ImageId.make(100),
    hostId,
    resources: size,
    driver: "dir",
    nics: [],
    state: "running",
    placement
  })

/** With one more on the host. */
export const after = (
  candidates: ReadonlyArray<Candidate>,
  id: HostId,
  placement: Placement.Placement | null
): ReadonlyArray<Candidate> => {
  const names = Placement.countedIn(placement)
  return candidates.map((one) =>
    one.host.id === id
      ? {
          ...one,
          promised: Resources.map((name) => one.promised[name] + size[name]),
          vms: one.vms + 1,
          ...(names.length === 0 ? {} : { groups: [...(one.groups ?? []), ...names] })
        }
      : one
  )
}
