/** A VM, where a test needs one and not how it came to be. */
import * as Ids from "../../src/domain/Ids.ts"
import * as Nic from "../../src/domain/Nic.ts"
import { Vm } from "../../src/domain/Vm.ts"

/** VM 7, which runs. */
export const named = (name: string, uuid = "00112233-4455-6677-8899-aabbccddeeff") =>
  Vm.make({
    id: Ids.VmId.make(7),
    uuid: Ids.DomainUuid.make(uuid),
    name,
    instanceType: Ids.InstanceTypeId.make(1),
    imageId: Ids.ImageId.make(100),
    hostId: Ids.HostId.make(1),
    resources: { cpu: 1, ram: 512, disk: 1 },
    driver: "dir",
    nics: [Nic.usual("52:54:00:00:00:01")],
    state: "running",
    onCrash: "leave",
    applied: null
  })
