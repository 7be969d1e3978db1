/** A VM as the API shows one, for what needs no controller. */
import * as DateTime from "effect/DateTime"
import type { Vm } from "../../src/api/Vms.ts"
import { HostId, ImageId, InstanceTypeId, VmId } from "../../src/domain/Ids.ts"
import { VmName } from "../../src/domain/Vm.ts"

export const anyVm: Vm = {
  id: VmId.make(1),
  name: VmName.make("web"),
  state: "running",
  instanceType: InstanceTypeId.make(1),
  imageId: ImageId.make(1),
  hostId: HostId.make(1),
  resources: { cpu: 1, ram: 512, disk: 5 },
  driver: "dir",
  uuid: "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
  mac: null,
  nics: [],
  addresses: null,
  onCrash: "leave",
  protected: false,
  autostart: false,
  description: "",
  tags: [],
  labels: {},
  placement: null,
  violations: [],
  createdAt: DateTime.unsafeMake(0),
  seen: null,
  hostStatus: "up",
  hostReason: null,
  drift: 0
}
