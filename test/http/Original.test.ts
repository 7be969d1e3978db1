import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as fc from "fast-check"
import { afterAll } from "vitest"
import * as Errors from "../../src/domain/Errors.ts"
import { defaultConfig, Host } from "../../src/domain/Host.ts"
import * as Ids from "../../src/domain/Ids.ts"
import { Image } from "../../src/domain/Image.ts"
import { Vm } from "../../src/domain/Vm.ts"
import { Hosts } from "../../src/fabric/Hosts.ts"
import { Images } from "../../src/fabric/Images.ts"
import { Vms, type CreateVm } from "../../src/fabric/Vms.ts"
import * as Original from "../../src/http/Original.ts"
import * as Router from "../../src/http/Router.ts"

const vm = Vm.make({
  id: Ids.VmId.make(38201),
  uuid: Ids.DomainUuid.make("00112233-4455-6677-8899-aabbccddeeff"),
  name: "test_vm",
  instanceType: Ids.InstanceTypeId.make(3),
  imageId: Ids.ImageId.make(100),
  hostId: Ids.HostId.make(2),
  resources: { cpu: 1, ram: 512, disk: 1 },
  mac: "52:54:00:00:00:01",
  state: "running"
})

const host = Host.make({
  id: Ids.HostId.make(1),
  config: defaultConfig({ user: "root", host: "h1", port: 22 }),
  facts: null
})

const created: Array<CreateVm> = []

const fabric = Layer.mergeAll(
  Layer.succeed(
    Vms,
    Vms.of({
      create: (request) => {
        created.push(request)
        switch (request.name) {
          case "full":
            return new Errors.NoFeasibleHost({
              refusals: [{ hostId: host.id, host: host.name, reason: "memory short by 512 MiB" }]
            })
          case "defect":
            return Effect.die(new Error("secret insides"))
          default:
            return Effect.succeed(vm)
        }
      },
      destroy: (id) => (id === vm.id ? Effect.void : new Errors.VmNotFound({ vmId: id })),
      get: (id) => (id === vm.id ? Effect.succeed(vm) : new Errors.VmNotFound({ vmId: id })),
      list: () => Effect.succeed([vm])
    })
  ),
  Layer.succeed(
    Images,
    Images.of({
      list: Effect.succeed(
        ["Ubuntu-12.04-amd64", "Fedora-17-x86_64"].map((name, i) =>
          Image.make({
            id: Ids.ImageId.make(100 + i),
            config: { name, source: { host: null, path: `/images/${name}.img` } },
            content: null
          })
        )
      ),
      types: Effect.succeed([{ tid: Ids.InstanceTypeId.make(1), cpu: 1, ram: 512, disk: 1 }])
    })
  ),
  Layer.succeed(
    Hosts,
    Hosts.of({
      list: Effect.succeed([]),
      get: (id) =>
        id === host.id
          ? Effect.succeed({
              host,
              status: { _tag: "Up" },
              capacity: { cpu: 4, ram: 4096, disk: 160 },
              free: { cpu: 2, ram: 2048, disk: 157 },
              vms: 1
            })
          : new Errors.HostNotFound({ hostId: id })
    })
  )
)

const { dispose, handler } = HttpLayerRouter.toWebHandler(Router.routes.pipe(Layer.provide(fabric)), {
  disableLogger: true
})
const { dispose: disposeQuiet, handler: quiet } = HttpLayerRouter.toWebHandler(
  Router.routes.pipe(Layer.provide(fabric), Layer.provide(Logger.remove(Logger.defaultLogger))),
  { disableLogger: true }
)
afterAll(async () => {
  await dispose()
  await disposeQuiet()
})

const ask = async (path: string, init?: RequestInit, by = handler) => {
  const response = await by(new Request(`http://controller${path}`, init))
  const body: unknown = await response.json()
  return { status: response.status, type: response.headers.get("content-type"), body }
}

const errorOf = (body: unknown): string =>
  typeof body === "object" && body !== null && "error" in body ? String(body.error) : ""

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
    ["/vm/create?name=full&instance_type=1", "no host can take the VM: pm 1 (root@h1): memory short by 512 MiB"]
  ])("says why nothing was created: %s", async (path, error) => {
    assert.deepStrictEqual(await ask(path), { status: 200, type: "application/json", body: { vmid: 0, error } })
  })

  it.each(["0", "-1", "1.5", "1e3", "abc", "", " 1", "9007199254740992", "99999999999999999999", "１", "../1", "1\n"])(
    "an id of %j is refused, not guessed at",
    async (value) => {
      for (const path of ["/vm/query?vmid=", "/vm/destroy?vmid=", "/pm/query?pmid=", "/pm/listvms?pmid="]) {
        const { body, status } = await ask(path + encodeURIComponent(value))
        assert.strictEqual(status, 200)
        assert.match(errorOf(body), /expected a whole number from 1 on/)
      }
    }
  )

  it("keeps its insides to itself when something unforeseen happens", async () => {
    const { body, status } = await ask("/vm/create?name=defect&instance_type=1", {}, quiet)
    assert.strictEqual(status, 200)
    assert.deepStrictEqual(body, { vmid: 0, error: "internal error: the controller's log says more" })
  })

  it("answers JSON to an unknown route", async () => {
    for (const path of ["/", "/vm", "/../etc/passwd", "/%2e%2e/x"]) {
      const { body, status } = await ask(path)
      assert.strictEqual(status, 404, path)
      assert.match(errorOf(body), /there is no route GET .*\/vm\/create/)
    }
  })

  it("answers whatever it is asked with its documented shape", async () => {
    const value = fc.oneof(
      fc.string({ unit: "binary", maxLength: 300 }),
      fc.constantFrom("%", "%ff", "%00", "&&", "=", "%u0041")
    )
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...Original.paths),
        fc.array(
          fc.tuple(fc.constantFrom("name", "vmid", "instance_type", "image_id", "pmid", "x"), value, fc.boolean())
        ),
        async (path, pairs) => {
          const query = pairs
            .map(
              ([name, text, raw]) =>
                `${name}=${raw ? text.replace(/[^\x21-\x7e]|#/g, "") : encodeURIComponent(text.replace(/\p{Cs}/gu, ""))}`
            )
            .join("&")
          const { body, status } = await ask(`${path}?${query}`, {}, quiet)
          assert.strictEqual(status, 200)
          assert.isObject(body)
        }
      ),
      { numRuns: 500 }
    )
  })
})
