/** What people are told when something cannot be. */
import { assert, describe, it } from "@effect/vitest"
import * as Errors from "../../src/domain/Errors.ts"
import { HostId } from "../../src/domain/Ids.ts"

const refused = (reasons: ReadonlyArray<string>): Errors.NoFeasibleHost =>
  new Errors.NoFeasibleHost({
    refusals: reasons.map((reason, i) => ({ hostId: HostId.make(i + 1), host: `root@h${i + 1}`, reason }))
  })

describe("why no host can take something", () => {
  it("is said once of all hosts of which it is true, those of most first", () => {
    assert.strictEqual(
      refused(["it is in maintenance"]).message,
      "no host can take the VM: host 1 (root@h1): it is in maintenance"
    )
    assert.strictEqual(
      refused(["it is away", ...Array.from({ length: 9 }, () => "it is in maintenance")]).message,
      "no host can take the VM: 9 hosts (host 2 (root@h2), host 3 (root@h3), host 4 (root@h4), host 5 (root@h5), host 6 (root@h6), …): " +
        "it is in maintenance; host 1 (root@h1): it is away"
    )
  })
})

describe("a pool that has no room", () => {
  const pool = { pool: "vms", wanted: 400, promised: 500, limit: 500, available: 300 }

  it("is told with what would make some", () => {
    const free = "destroy VMs that are not needed, and destroy and purge such volumes (the trash counts)"
    assert.strictEqual(
      new Errors.PoolFull(pool).message,
      `pool vms has no room for 400 GiB: 500 of 500 GiB are promised: ask for less, ${free}, or have the controller started with a higher --ceph-overcommit`
    )
    assert.strictEqual(
      new Errors.PoolFull({ ...pool, limit: 5000, available: 1.5 }).message,
      `pool vms is full: only 1.5 GiB can still be written: ${free}, or add disks to Ceph`
    )
  })
})
