import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { afterAll } from "vitest"
import * as Ids from "../../src/domain/Ids.ts"
import { VolumeState } from "../../src/domain/Volume.ts"
import * as Further from "../../src/http/Further.ts"
import * as Original from "../../src/http/Original.ts"
import * as Fabric from "./Fabric.ts"

/** What is said of a pool that is full. */
const wayOut =
  ": ask for less, destroy VMs that are not needed, and destroy and purge such volumes (the trash counts), " +
  "or have the controller started with a higher --ceph-overcommit"

const { ask, calls, created, dispose } = Fabric.make()
const { errorOf, volumeIn } = Fabric
afterAll(dispose)

describe("the original's routes", () => {
  it.each([
    ["/vm/create?name=test_vm&instance_type=1&image_id=100", { vmid: 38201 }],
    ["/vm/create?name=test_vm&instance_type=1", { vmid: 38201 }],
    ["/vm/query?vmid=38201", { vmid: 38201, name: "test_vm", instance_type: 3, pmid: 2 }],
    ["/vm/query?vmid=7", { error: "vmid : 7 does not exist" }],
    ["/vm/destroy?vmid=38201", { status: 1 }],
    ["/vm/destroy?vmid=7", { status: 0, error: "vmid : 7 does not exist" }],
    ["/vm/types", { types: [{ tid: 1, cpu: 1, ram: 512, disk: 1 }] }],
    [
      "/image/list",
      {
        images: [
          { id: 100, name: "Ubuntu-12.04-amd64" },
          { id: 101, name: "Fedora-17-x86_64" }
        ]
      }
    ],
    [
      "/pm/query?pmid=1",
      {
        pmid: 1,
        capacity: { cpu: 4, ram: 4096, disk: 160 },
        free: { cpu: 2, ram: 2048, disk: 157 },
        vms: 1
      }
    ],
    ["/pm/query?pmid=9", { error: "pmid : 9 does not exist" }],
    ["/pm/list", { pmids: [] }],
    ["/pm/listvms?pmid=1", { vmids: [38201] }]
  ])("GET and POST %s", async (path, expected) => {
    for (const method of ["GET", "POST"]) {
      assert.deepStrictEqual(await ask(path, { method }), { status: 200, type: "application/json", body: expected })
    }
  })

  it("takes a form's fields like the URL's", async () => {
    created.length = 0
    const body = new URLSearchParams({ name: "a b+c", instance_type: "2", image_id: "101" })
    assert.deepStrictEqual((await ask("/vm/create", { method: "POST", body })).body, { vmid: 38201 })
    assert.deepStrictEqual(created, [
      { name: "a b+c", instanceType: Ids.InstanceTypeId.make(2), imageId: Ids.ImageId.make(101) }
    ])
  })

  it("takes a form's media type in whatever case, and says so where a body of another is not read", async () => {
    const post = (type: string, body: string, path = "/vm/destroy") =>
      ask(path, { method: "POST", body, headers: { "content-type": type } })
    for (const type of ["APPLICATION/X-WWW-FORM-URLENCODED", "application/x-www-form-urlencoded ; charset=UTF-8"]) {
      assert.deepStrictEqual((await post(type, "vmid=38201")).body, { status: 1 }, type)
    }
    assert.deepStrictEqual((await post("Application/JSON; charset=utf-8", '{"vmid":38201}')).body, {
      status: 0,
      error:
        "vmid is missing: expected vmid=…; a body of application/json is not read here, only a form (application/x-www-form-urlencoded)"
    })
    // who has said all in the URL may send what they like
    assert.deepStrictEqual((await post("application/json", "{}", "/vm/destroy?vmid=38201")).body, { status: 1 })
  })

  it("refuses a parameter given in the URL and in the form", async () => {
    const body = new URLSearchParams({ name: "b" })
    const answer = await ask("/vm/create?name=a&instance_type=1", { method: "POST", body })
    assert.deepStrictEqual(answer.body, { vmid: 0, error: "name is given 2 times: expected one name" })
  })

  it.each([
    ["/vm/create?instance_type=1", "name is missing: expected name=…"],
    ["/vm/create?name=a", "instance_type is missing: expected instance_type=…"],
    [
      "/vm/create?name=a&instance_type=",
      "instance_type is empty: expected a whole number from 1 on, in decimal digits"
    ],
    ["/vm/create?name=a&name=b&instance_type=1", "name is given 2 times: expected one name"],
    [
      "/vm/create?name=a&instance_type=1&image_id=0x10",
      'image_id is "0x10": expected a whole number from 1 on, in decimal digits'
    ],
    ["/vm/create?name=full&instance_type=1", "no host can take the VM: host 1 (root@h1): memory short by 512 MiB"]
  ])("says why nothing was created: %s", async (path, error) => {
    assert.deepStrictEqual(await ask(path), { status: 200, type: "application/json", body: { vmid: 0, error } })
  })

  it.each(["0", "-1", "1.5", "1e3", "abc", "", " 1", "1e400", "１", "../1", "1\n"])(
    "an id of %j is refused, not guessed at",
    async (value) => {
      for (const path of [
        "/vm/query?vmid=",
        "/vm/destroy?vmid=",
        "/pm/query?pmid=",
        "/pm/listvms?pmid=",
        "/volume/query?volumeid=",
        "/volume/destroy?volumeid=",
        "/volume/detach?volumeid=",
        "/volume/attach?vmid=1011&volumeid=",
        "/volume/attach?volumeid=1&vmid=",
        "/volume/create?name=a&size="
      ]) {
        const { body, status } = await ask(path + encodeURIComponent(value))
        assert.strictEqual(status, 200)
        assert.match(errorOf(body), /expected a whole number from 1 on/)
      }
    }
  )

  it("keeps its insides to itself when something unforeseen happens", async () => {
    const { body, status } = await ask("/vm/create?name=defect&instance_type=1", {}, "silently")
    assert.strictEqual(status, 200)
    assert.deepStrictEqual(body, { vmid: 0, error: "internal error: the controller's log says more" })
  })

  it("answers JSON to an unknown route", async () => {
    for (const path of ["/", "/vm", "/../etc/passwd", "/%2e%2e/x"]) {
      const { body, status } = await ask(path)
      assert.strictEqual(status, 404, path)
      const words = errorOf(body)
      assert.match(words, /there is no route GET .*\/vm\/create/)
      for (const known of [...Original.paths, ...Further.paths]) assert.include(words, known)
    }
  })

  it("names the methods of a route that has others", async () => {
    for (const path of ["/vm/list", "/pm/list"]) {
      for (const method of ["PUT", "DELETE", "OPTIONS"]) {
        const { body, status } = await ask(path, { method })
        assert.strictEqual(status, 405, path)
        assert.strictEqual(errorOf(body), `${path} has no ${method}: use GET or HEAD or POST`)
      }
    }
  })

  it("answers whatever it is asked with its documented shape", async () => {
    const value = fc.oneof(
      fc.string({ unit: "binary", maxLength: 300 }),
      fc.constantFrom("%", "%ff", "%00", "&&", "=", "%u0041"),
      // some that are right
      fc.constantFrom("1", "2", "5", "38201", "full", "defect")
    )
    const parameters = ["name", "vmid", "instance_type", "image_id", "pmid", "volumeid", "snapshotid", "size", "x"]
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...Original.paths, ...Further.paths),
        fc.array(fc.tuple(fc.constantFrom(...parameters), value, fc.boolean())),
        async (path, pairs) => {
          const query = pairs
            .map(
              ([name, text, raw]) =>
                `${name}=${raw ? text.replace(/[^\x21-\x7e]|#/g, "") : encodeURIComponent(text.replace(/\p{Cs}/gu, ""))}`
            )
            .join("&")
          const { body, status } = await ask(`${path}?${query}`, {}, "silently")
          assert.strictEqual(status, 200)
          assert.isObject(body)
        }
      ),
      { numRuns: 500 }
    )
  })
})

describe("the original's volumes", () => {
  const available = volumeIn("available")
  const attached = volumeIn("attached")

  it.each<readonly [string, object]>([
    ["/volume/create?name=testvolume&size=10", { volumeid: 1 }],
    [
      `/volume/query?volumeid=${attached}`,
      { volumeid: attached, name: "volume_attached", size: 13, status: "attached", vmid: 1011 }
    ],
    [
      `/volume/query?volumeid=${available}`,
      { volumeid: available, name: "volume_available", size: 11, status: "available" }
    ],
    ["/volume/query?volumeid=38201", { error: "volumeid : 38201 does not exist" }],
    [`/volume/destroy?volumeid=${available}`, { status: 1 }],
    [`/volume/destroy?volumeid=${attached}`, { status: 0, error: `volume ${attached} is attached` }],
    ["/volume/destroy?volumeid=38201", { status: 0, error: "volumeid : 38201 does not exist" }],
    [`/volume/attach?vmid=38201&volumeid=${available}`, { status: 1 }],
    [`/volume/attach?vmid=1011&volumeid=${available}`, { status: 0, error: "vmid : 1011 does not exist" }],
    ["/volume/attach?vmid=38201&volumeid=99", { status: 0, error: "volumeid : 99 does not exist" }],
    [`/volume/detach?volumeid=${available}`, { status: 1 }],
    ["/volume/detach?volumeid=99", { status: 0, error: "volumeid : 99 does not exist" }]
  ])("GET and POST %s", async (path, expected) => {
    const [route = "", query = ""] = path.split("?")
    for (const [url, init] of [
      [path, { method: "GET" }],
      [path, { method: "POST" }],
      [route, { method: "POST", body: new URLSearchParams(query) }]
    ] as const) {
      const answer = await ask(url, init)
      assert.deepStrictEqual(answer, { status: 200, type: "application/json", body: expected })
      // old clients may look for the keys in their order
      assert.deepStrictEqual(JSON.stringify(answer.body), JSON.stringify(expected))
    }
  })

  it("pass on what they were given", async () => {
    calls.length = 0
    await ask("/volume/create?name=a%20b&size=65536")
    await ask(`/volume/attach?volumeid=${available}&vmid=38201`)
    assert.deepStrictEqual(calls, ['create {"name":"a b","size":65536}', `attach to 38201 ${available}`])
  })

  const shown: Record<VolumeState, string> = {
    creating: "available",
    available: "available",
    attaching: "available",
    attached: "attached",
    detaching: "attached",
    destroying: "deleted",
    deleted: "deleted",
    restoring: "deleted",
    purging: "deleted",
    purged: "deleted",
    failed: "available"
  }
  it.each([...VolumeState.literals])(
    "show the state %s as one of three, with a vmid only when attached",
    async (state) => {
      const id = volumeIn(state)
      const status = shown[state]
      assert.deepStrictEqual((await ask(`/volume/query?volumeid=${id}`)).body, {
        volumeid: id,
        name: `volume_${state}`,
        size: id + 9,
        status,
        ...(status === "attached" ? { vmid: 1011 } : {})
      })
    }
  )

  it.each([
    ["/volume/create?size=10", { volumeid: 0, error: "name is missing: expected name=…" }],
    ["/volume/create?name=a", { volumeid: 0, error: "size is missing: expected size=…" }],
    ["/volume/create?name=a&size=1&size=2", { volumeid: 0, error: "size is given 2 times: expected one size" }],
    [
      "/volume/create?name=a&size=1.5",
      { volumeid: 0, error: 'size is "1.5": expected a whole number from 1 on, in decimal digits' }
    ],
    [
      "/volume/create?name=full&size=10",
      { volumeid: 0, error: `pool vms has no room for 10 GiB: 95 of 100 GiB are promised${wayOut}` }
    ],
    [
      "/volume/create?name=nowhere&size=10",
      { volumeid: 0, error: "no host can take the volume: host 1 (root@h1): disk short by 9 GiB" }
    ],
    ["/volume/query", { error: "volumeid is missing: expected volumeid=…" }],
    ["/volume/query?volumeid=", { error: "volumeid is empty: expected a whole number from 1 on, in decimal digits" }],
    ["/volume/query?volumeid=99999999999999999999", { error: "volumeid : 99999999999999999999 does not exist" }],
    ["/vm/query?vmid=99999999999999999999", { error: "vmid : 99999999999999999999 does not exist" }],
    ["/volume/detach?volumeid=9007199254740992", { status: 0, error: "volumeid : 9007199254740992 does not exist" }],
    [
      "/volume/create?name=a&size=99999999999999999999",
      { volumeid: 0, error: 'size is "99999999999999999999": expected a whole number from 1 to 9007199254740991' }
    ],
    ["/volume/query?volumeid=1&volumeid=1", { error: "volumeid is given 2 times: expected one volumeid" }],
    ["/volume/destroy", { status: 0, error: "volumeid is missing: expected volumeid=…" }],
    ["/volume/detach", { status: 0, error: "volumeid is missing: expected volumeid=…" }],
    ["/volume/attach?volumeid=1", { status: 0, error: "vmid is missing: expected vmid=…" }],
    ["/volume/attach?vmid=1", { status: 0, error: "volumeid is missing: expected volumeid=…" }],
    ["/volume/attach?vmid=1&vmid=1&volumeid=1", { status: 0, error: "vmid is given 2 times: expected one vmid" }]
  ])("say why not: %s", async (path, body) => {
    for (const method of ["GET", "POST"]) assert.deepStrictEqual((await ask(path, { method })).body, body)
  })

  it("keep their insides to themselves", async () => {
    assert.deepStrictEqual((await ask("/volume/create?name=defect&size=1", {}, "silently")).body, {
      volumeid: 0,
      error: "internal error: the controller's log says more"
    })
  })
})
