/** A host as the API shows one, for what needs no controller. */
import type { Host } from "../../src/api/Hosts.ts"
import { HostId } from "../../src/domain/Ids.ts"

export const anyHost: Host = {
  id: HostId.make(1),
  name: "root@h1",
  address: { user: "root", host: "h1", port: 22 },
  status: "up",
  reason: null,
  since: null,
  signs: null,
  maintenance: false,
  capacity: { cpu: 64, ram: 65536, disk: 2000 },
  promised: { cpu: 2, ram: 4096, disk: 20 },
  free: { cpu: 62, ram: 61440, disk: 1980 },
  vms: 1,
  facts: null,
  origin: "file",
  virt: "kvm",
  overcommit: { cpu: 4, ram: 1, disk: 1 },
  limit: {},
  reserved: { cpu: 0, ram: 0, disk: 0 },
  network: null,
  networks: {},
  path: "/var/lib/vmfabric",
  labels: {},
  traits: {}
}
