/** Fingerprints of requests, as they are kept, and as they were kept before members had an order. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Keys from "../../src/fabric/Keys.ts"

const json = JSON.stringify

/** As the same request has been written. */
const same: ReadonlyArray<readonly [one: ReadonlyArray<unknown>, other: ReadonlyArray<unknown>]> = [
  [
    ["VM", "lo", 1, null, "leave", '{"labels":{"a":"1","b":"2"}}'],
    ["VM", "lo", 1, null, "leave", '{"labels":{"b":"2","a":"1"}}']
  ],
  [
    ["VM", "lo", 1, null, "leave"],
    [
      "VM",
      "lo",
      1,
      null,
      "leave",
      "[[null,null,null,null]]",
      '{"tags":[],"labels":{},"protected":false,"description":""}'
    ]
  ],
  [
    ["VMs", "lo", 1, null, "leave", 2, '{"tags":["x"]}'],
    ["VMs", "lo", 1, null, "leave", 2, '{"autostart":false,"tags":["x"],"placement":null}']
  ],
  [
    ["VM", "lo", 1, null, "leave", '{"tags":["a","b"]}'],
    ["VM", "lo", 1, null, "leave", '{"tags":["b","a"]}']
  ],
  [
    ["VM", "lo", 1, null, "leave"],
    ["VM", "lo", 1, null, "leave", '[[null,null,null,"virtio"]]']
  ],
  [
    ["VMs", "lo", 1, null, "leave", 2, '[["lan",12,null,null],[null,null,null,"e1000e"]]'],
    ["VMs", "lo", 1, null, "leave", 2, '[["lan",12,null,"virtio"],[null,null,null,"e1000e"]]']
  ],
  [
    ["NIC", 1, '[["lan",null,null,null]]'],
    ["NIC", 1, '[["lan",null,null,"virtio"]]']
  ],
  [
    [
      "VM",
      "lo",
      1,
      null,
      "leave",
      '{"placement":{"group":null,"rules":[{"strength":"should","weight":1,"kind":"on"}]}}'
    ],
    ["VM", "lo", 1, null, "leave", '{"placement":{"group":null,"rules":[{"strength":"should","kind":"on"}]}}']
  ],
  [
    ["POST", "/api/v1/vms/1/shut-down", '{"force":true,"timeout":3}'],
    ["POST", "//api/v1/vms/1//shut-down/?x", '{"timeout":3,"force":true}']
  ],
  [
    ["ada", "admin", "POST", "/api/v1/webhooks", '{"url":"https://a.example/","types":["a","b"]}'],
    ["ada", "admin", "POST", "/api//v1/webhooks", '{"types":["a","b"],"url":"https://a.example/"}']
  ]
]

const others: ReadonlyArray<readonly [one: ReadonlyArray<unknown>, other: ReadonlyArray<unknown>]> = [
  [
    ["VM", "lo", 1, null, "leave", '{"labels":{"a":"1","b":"2"}}'],
    ["VM", "lo", 1, null, "leave", '{"labels":{"a":"2","b":"1"}}']
  ],
  // only a VM's are a set
  [
    ["ada", "admin", "POST", "/api/v1/webhooks", '{"types":["a","b"]}'],
    ["ada", "admin", "POST", "/api/v1/webhooks", '{"types":["b","a"]}']
  ],
  [
    ["VM", "lo", 1, null, "leave"],
    ["VM", "lo", 1, null, "leave", '{"protected":true}']
  ],
  [
    ["VM", "lo", 1, null, "leave"],
    ["VMs", "lo", 1, null, "leave"]
  ],
  [
    ["NIC", 1, '[["lan",null,null,null]]'],
    ["NIC", 1, '[["lan",null,null,"e1000e"]]']
  ],
  [
    [
      "VM",
      "lo",
      1,
      null,
      "leave",
      '{"placement":{"group":null,"rules":[{"strength":"should","weight":2,"kind":"on"}]}}'
    ],
    ["VM", "lo", 1, null, "leave", '{"placement":{"group":null,"rules":[{"strength":"should","kind":"on"}]}}']
  ],
  // what only looks like settings
  [
    ["volume", '{"a":1,"b":2}', 1, null],
    ["volume", '{"b":2,"a":1}', 1, null]
  ],
  [
    ["volume", "//a", 1, null],
    ["volume", "/a", 1, null]
  ],
  [
    ["POST", "/api/v1/vms/1/start", "null"],
    ["POST", "/api/v1/vms/2/start", "null"]
  ],
  [
    ["ada", "admin", "POST", "/api/v1/tokens", "{}"],
    ["bob", "admin", "POST", "/api/v1/tokens", "{}"]
  ]
]

describe("a key's request", () => {
  for (const [one, other] of same) {
    it(`is the same: ${json(other)}`, () => {
      assert.isTrue(Keys.isSame(json(one), json(other)))
      assert.isTrue(Keys.isSame(json(other), json(one)))
    })
  }
  for (const [one, other] of others) {
    it(`is another: ${json(other)}`, () => {
      assert.isFalse(Keys.isSame(json(one), json(other)))
      assert.isFalse(Keys.isSame(json(other), json(one)))
    })
  }

  it("is itself, whatever was kept of it", () => {
    assert.isTrue(Keys.isSame("no JSON", "no JSON"))
    assert.isFalse(Keys.isSame("no JSON", '["VM"]'))
  })

  it("JSON says the same in one order, and nothing else does", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
        assert.deepStrictEqual(JSON.parse(Keys.canonical(value)), JSON.parse(json(value)))
      })
    )
    const turned = { b: [{ d: 1, c: null }], a: { y: "1", x: "2" } }
    assert.strictEqual(Keys.canonical(turned), '{"a":{"x":"2","y":"1"},"b":[{"c":null,"d":1}]}')
  })
})
