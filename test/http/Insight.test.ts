import { assert, describe, it } from "@effect/vitest"
import { afterAll } from "vitest"
import * as Insight from "../../src/http/Insight.ts"
import * as Fabric from "./Fabric.ts"

const { ask, calls, created, dispose } = Fabric.make()
afterAll(dispose)

const then = "2023-11-14T22:13:20.000Z"
const vm = {
  vmid: 38201,
  name: "test_vm",
  instance_type: 3,
  pmid: 2,
  status: "running",
  on_crash: "restart",
  seen: "stopped",
  since: then,
  reason: "the guest shut itself down",
  host: "up"
}
const vcpus = { vmid: 38201, kind: "definition", field: "vcpus", wanted: "1", applied: "1", seen: "4", since: then }
const running = {
  operation: "11111111-2222-4333-8444-555555555555",
  kind: "CreateVm",
  vmid: 38201,
  status: "running",
  cancel_asked: false,
  begun: then,
  progress: { step: "image", number: 1, of: 5, tries: 2, percent: 40 }
}
const ended = {
  operation: "11111111-2222-4333-8444-666666666666",
  kind: "AttachVolume",
  vmid: 38201,
  volumeid: 3,
  status: "failed",
  cancel_asked: true,
  begun: then,
  ended: "2023-11-14T22:13:21.500Z",
  reason: "it was cancelled"
}

/** What each route answers when it is done, with what it has asked for; and when it is not. */
const routes: Record<
  (typeof Insight.paths)[number],
  ReadonlyArray<readonly [query: string, body: object, call?: string]>
> = {
  "/vm/list": [
    [
      "",
      {
        vms: [
          { ...vm, drift: 1 },
          {
            vmid: 38201,
            name: "test_vm",
            instance_type: 3,
            pmid: 2,
            status: "running",
            on_crash: "restart",
            host: "down",
            host_reason: "sshd does not answer, from host 2 neither",
            drift: 0
          }
        ]
      }
    ]
  ],
  "/vm/status": [
    ["vmid=38201", { ...vm, drift: [vcpus] }],
    ["vmid=7", { error: "vmid : 7 does not exist" }],
    ["", { error: "vmid is missing: expected vmid=…" }]
  ],
  "/vm/repair": [
    ["vmid=38201", { status: 1 }, "repair 38201"],
    ["vmid=7", { status: 0, error: "vmid : 7 does not exist" }],
    ["", { status: 0, error: "vmid is missing: expected vmid=…" }]
  ],
  "/drift/list": [["", { drift: [vcpus] }]],
  "/foreign/list": [
    [
      "",
      {
        foreign: [
          { pmid: 1, what: "domain", name: "web-old", uuid: "u-1", reason: "no VM has this uuid" },
          { what: "volume", name: "volume-9", reason: "no volume has this id" }
        ]
      }
    ]
  ],
  "/pm/status": [
    ["pmid=1", { pmid: 1, name: "root@h1", status: "up", maintenance: false }],
    ["pmid=9", { error: "pmid : 9 does not exist" }],
    ["", { error: "pmid is missing: expected pmid=…" }]
  ],
  "/pm/maintenance": [
    ["pmid=1&on=1", { status: 1 }, "maintenance of 1 on"],
    ["pmid=1&on=0", { status: 1 }, "maintenance of 1 off"],
    ["pmid=9&on=1", { status: 0, error: "pmid : 9 does not exist" }],
    ["pmid=1&on=yes", { status: 0, error: 'on is "yes": expected 1 or 0' }],
    ["pmid=1", { status: 0, error: "on is missing: expected 1 or 0" }]
  ],
  "/pm/look": [
    ["pmid=1", { status: 1 }, "look at 1"],
    ["pmid=9", { status: 0, error: "pmid : 9 does not exist" }]
  ],
  "/operation/list": [
    ["", { operations: [running, ended] }, 'list {"limit":100}'],
    [
      "vmid=38201&volumeid=3&ended=1&limit=5",
      { operations: [running, ended] },
      'list {"limit":5,"vmId":38201,"volumeId":3,"ended":true}'
    ],
    ["ended=0&limit=9999", { operations: [running, ended] }, 'list {"limit":1000,"ended":false}'],
    ["ended=2", { operations: [], error: 'ended is "2": expected 1 or 0' }],
    ["limit=0", { operations: [], error: 'limit is "0": expected a whole number from 1 on, in decimal digits' }]
  ],
  "/operation/query": [
    [`operation=${running.operation}`, running],
    [`operation=${ended.operation}`, ended],
    ["operation=7", { error: "operation : 7 does not exist" }],
    ["", { error: "operation is missing: expected operation=…" }]
  ],
  "/operation/cancel": [
    [`operation=${running.operation}`, { status: 1 }, `cancel ${running.operation}`],
    [
      `operation=${ended.operation}`,
      { status: 0, error: `operation ${ended.operation} cannot be cancelled: it has ended` },
      `cancel ${ended.operation}`
    ],
    ["operation=7", { status: 0, error: "operation : 7 does not exist" }],
    ["", { status: 0, error: "operation is missing: expected operation=…" }]
  ]
}

describe("routes that tell what goes on", () => {
  for (const [path, cases] of Object.entries(routes)) {
    for (const [query, body, call] of cases) {
      it(`${path}?${query}`, async () => {
        calls.length = 0
        assert.deepStrictEqual(await ask(`${path}?${query}`), { status: 200, type: "application/json", body })
        assert.deepStrictEqual(calls, call === undefined ? [] : [call])
      })
    }
  }
})

describe("creating with more than the original knew", () => {
  it("takes what becomes of the VM after a crash, and refuses other words", async () => {
    created.length = 0
    await ask("/vm/create?name=a&instance_type=1&on_crash=restart")
    assert.strictEqual(created[0]?.onCrash, "restart")
    assert.deepStrictEqual((await ask("/vm/create?name=a&instance_type=1&on_crash=maybe")).body, {
      vmid: 0,
      error: 'on_crash is "maybe": expected leave or restart'
    })
    assert.lengthOf(created, 1)
  })

  it("passes the Idempotency-Key on", async () => {
    created.length = 0
    calls.length = 0
    const headers = { "Idempotency-Key": "once" }
    await ask("/vm/create?name=a&instance_type=1", { headers })
    await ask("/volume/create?name=a&size=2", { headers })
    await ask("/volume/clone?snapshotid=5&name=a", { headers })
    assert.strictEqual(created[0]?.idempotencyKey, "once")
    assert.deepStrictEqual(calls, [
      'create {"name":"a","size":2,"idempotencyKey":"once"}',
      'create {"name":"a","source":5,"idempotencyKey":"once"}'
    ])
  })
})
