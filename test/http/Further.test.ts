import { assert, describe, it } from "@effect/vitest"
import { afterAll } from "vitest"
import * as Further from "../../src/http/Further.ts"
import * as Fabric from "./Fabric.ts"

/** What is said of a pool that is full. */
const wayOut =
  ": ask for less, destroy VMs that are not needed, and destroy and purge such volumes (the trash counts), " +
  "or have the controller started with a higher --ceph-overcommit"

const { ask, calls, dispose } = Fabric.make()
const { errorOf, volumeIn } = Fabric
afterAll(dispose)

const available = volumeIn("available")
const attached = volumeIn("attached")
const deleted = volumeIn("deleted")

/** What each route answers when it is done, with what it has asked for; and when it is not. */
const routes: Record<
  (typeof Further.paths)[number],
  ReadonlyArray<readonly [query: string, body: object, call?: string]>
> = {
  "/volume/list": [
    [
      "",
      {
        volumes: [
          { volumeid: attached, name: "volume_attached", size: 13, status: "attached", vmid: 1011 },
          { volumeid: deleted, name: "volume_deleted", size: 16, status: "deleted" }
        ]
      }
    ]
  ],
  "/volume/grow": [
    [`volumeid=${available}&size=20`, { status: 1 }, `grow to 20 ${available}`],
    [`volumeid=${attached}&size=20`, { status: 0, error: `volume ${attached} is attached` }, `grow to 20 ${attached}`],
    ["volumeid=99&size=20", { status: 0, error: "volumeid : 99 does not exist" }],
    [`volumeid=${available}&size=65537`, { status: 0, error: "size is 65537: expected less" }],
    [`volumeid=${available}`, { status: 0, error: "size is missing: expected size=…" }],
    [
      `volumeid=${available}&size=0`,
      { status: 0, error: 'size is "0": expected a whole number from 1 on, in decimal digits' }
    ],
    ["size=20", { status: 0, error: "volumeid is missing: expected volumeid=…" }]
  ],
  "/volume/rename": [
    [`volumeid=${available}&name=a%20b`, { status: 1 }, `rename to a b ${available}`],
    [`volumeid=${available}`, { status: 0, error: "name is missing: expected name=…" }],
    [`volumeid=${available}&name=a&name=b`, { status: 0, error: "name is given 2 times: expected one name" }],
    ["name=a", { status: 0, error: "volumeid is missing: expected volumeid=…" }]
  ],
  "/volume/restore": [
    [`volumeid=${available}`, { status: 1 }, `restore ${available}`],
    ["volumeid=99", { status: 0, error: "volumeid : 99 does not exist" }],
    ["", { status: 0, error: "volumeid is missing: expected volumeid=…" }]
  ],
  "/volume/purge": [
    [`volumeid=${available}`, { status: 1 }, `purge ${available}`],
    [`volumeid=${deleted}`, { status: 0, error: `volume ${deleted} is deleted` }, `purge ${deleted}`],
    ["", { status: 0, error: "volumeid is missing: expected volumeid=…" }]
  ],
  "/volume/clone": [
    ["snapshotid=5&name=copy", { volumeid: 1 }, 'create {"name":"copy","source":5}'],
    ["snapshotid=5&name=copy&size=30", { volumeid: 1 }, 'create {"name":"copy","source":5,"size":30}'],
    [
      "snapshotid=5&name=full",
      { volumeid: 0, error: `pool vms has no room for 10 GiB: 95 of 100 GiB are promised${wayOut}` },
      'create {"name":"full","source":5}'
    ],
    ["name=copy", { volumeid: 0, error: "snapshotid is missing: expected snapshotid=…" }],
    ["snapshotid=5", { volumeid: 0, error: "name is missing: expected name=…" }],
    [
      "snapshotid=5&name=copy&size=",
      { volumeid: 0, error: "size is empty: expected a whole number from 1 on, in decimal digits" }
    ]
  ],
  "/volume/revert": [
    ["snapshotid=5", { status: 1 }, `revert to 5 ${available}`],
    ["snapshotid=9", { status: 0, error: "snapshotid : 9 does not exist" }],
    ["", { status: 0, error: "snapshotid is missing: expected snapshotid=…" }]
  ],
  "/snapshot/create": [
    [`volumeid=${available}&name=monday`, { snapshotid: 6 }, `snapshot monday of ${available}`],
    [
      `volumeid=${attached}&name=monday`,
      { snapshotid: 0, error: `volume ${attached} is attached` },
      `snapshot monday of ${attached}`
    ],
    [`volumeid=${available}`, { snapshotid: 0, error: "name is missing: expected name=…" }],
    ["name=monday", { snapshotid: 0, error: "volumeid is missing: expected volumeid=…" }]
  ],
  "/snapshot/list": [
    [
      `volumeid=${available}`,
      {
        snapshots: [
          { snapshotid: 5, name: "snapshot_ready", size: 11, status: "ready" },
          { snapshotid: 6, name: "snapshot_creating", size: 11, status: "creating" }
        ]
      }
    ],
    [`volumeid=${attached}`, { snapshots: [] }],
    ["volumeid=99", { snapshots: [], error: "volumeid : 99 does not exist" }],
    ["", { snapshots: [], error: "volumeid is missing: expected volumeid=…" }]
  ],
  "/snapshot/destroy": [
    ["snapshotid=5", { status: 1 }, "destroy snapshot 5"],
    ["snapshotid=9", { status: 0, error: "snapshotid : 9 does not exist" }],
    [
      "snapshotid=five",
      { status: 0, error: 'snapshotid is "five": expected a whole number from 1 on, in decimal digits' }
    ]
  ],
  "/pool/list": [
    [
      "",
      {
        pools: [
          { name: "vms", driver: "rbd", capacity: 100, used: 1.2, available: 98.7, promised: 42, overcommit: 1.5 }
        ]
      }
    ]
  ]
}

describe("routes that the original never had", () => {
  for (const [path, cases] of Object.entries(routes)) {
    for (const [query, body, call] of cases) {
      it(`${path}?${query}`, async () => {
        for (const [url, init] of [
          [`${path}?${query}`, { method: "GET" }],
          [`${path}?${query}`, { method: "POST" }],
          [path, { method: "POST", body: new URLSearchParams(query) }]
        ] as const) {
          calls.length = 0
          assert.deepStrictEqual(await ask(url, init), { status: 200, type: "application/json", body })
          assert.deepStrictEqual(calls, call === undefined ? [] : [call])
        }
      })
    }
  }

  it("are all there are, and none of them lacks its case", async () => {
    for (const path of Further.paths) {
      assert.isNotEmpty(routes[path])
      const { body, status } = await ask(path)
      assert.strictEqual(status, 200, path)
      assert.notInclude(errorOf(body), "there is no route", path)
    }
  })
})
