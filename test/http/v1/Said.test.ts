/** What bodies say: the same, whether they say what is usual or leave it out. */
import * as HttpApi from "@effect/platform/HttpApi"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { api } from "../../../src/api/Api.ts"
import { Usual } from "../../../src/api/Common.ts"
import { InstanceTypeId } from "../../../src/domain/Ids.ts"
import { Asker } from "../../../src/fabric/Asker.ts"
import { InstanceTypes } from "../../../src/fabric/InstanceTypes.ts"
import * as Keys from "../../../src/fabric/Keys.ts"
import { Requests } from "../../../src/fabric/Requests.ts"
import * as App from "./App.ts"

const key = (value: string) => ({ "idempotency-key": value, prefer: "wait=20" })

interface Case {
  readonly path: string
  readonly one: object
  readonly same: ReadonlyArray<object | undefined>
  readonly other: ReadonlyArray<object>
}

const host = (address: object, more: object = {}) => ({ address: { user: "root", host: "h9", ...address }, ...more })
const type = { cpu: 3, ram: 1024, disk: 1 }
const rules = (...rules: ReadonlyArray<object>) => ({ placement: { group: "g", rules } })
const vm = { name: "web", instanceType: 1 }
const required = (...values: ReadonlyArray<string>) => ({ ...type, requires: { rack: values } })

const cases: ReadonlyArray<Case> = [
  {
    path: "/vms",
    one: vm,
    same: [
      { ...vm, nics: [{}] },
      { ...vm, nics: [{ model: "virtio" }] },
      { ...vm, tags: [], labels: {}, placement: {}, protected: false },
      { ...vm, sshKeys: [] },
      { ...vm, placement: { group: null, rules: [] }, onCrash: "leave" }
    ],
    other: [
      { ...vm, nics: [] },
      { ...vm, nics: [{ model: "e1000e" }] },
      { ...vm, tags: ["a"] }
    ]
  },
  {
    path: "/vms",
    one: { ...vm, name: "placed", tags: ["a", "b"], ...rules({ kind: "apart", strength: "should" }) },
    same: [
      {
        ...vm,
        name: "placed",
        tags: ["b", "a"],
        ...rules({ kind: "apart", strength: "should", weight: 1, over: "host" })
      }
    ],
    other: [
      { ...vm, name: "placed", tags: ["a", "b"], ...rules({ kind: "apart", strength: "should", weight: 2 }) },
      { ...vm, name: "placed", tags: ["a", "b"], ...rules({ kind: "near", strength: "should" }) }
    ]
  },
  {
    path: "/vms",
    one: { ...vm, name: "told", hostname: "told-1" },
    same: [{ ...vm, name: "told", hostname: "told-1", sshKeys: [] }],
    other: [
      { ...vm, name: "told", hostname: "told-2" },
      { ...vm, name: "told" }
    ]
  },
  {
    path: "/vms/batch",
    one: { ...vm, name: "many", count: 1 },
    same: [{ ...vm, name: "many", count: 1, nics: [{ model: "virtio" }], autostart: false }],
    other: [{ ...vm, name: "many", count: 1, autostart: true }]
  },
  {
    path: "/vms/1/nics",
    one: { mac: "52:54:00:00:00:7a" },
    same: [{ mac: "52:54:00:00:00:7A", model: "virtio" }],
    other: [{ mac: "52:54:00:00:00:7a", model: "e1000e" }]
  },
  {
    path: "/vms/1/reboot",
    one: {},
    same: [undefined, { force: true }, { within: 90 }, { within: 90, force: true }],
    other: [{ force: false }, { within: 91 }]
  },
  {
    path: "/instance-types",
    one: type,
    same: [{ ...type, requires: {} }],
    other: [required("1")]
  },
  {
    path: "/instance-types",
    one: required("1", "2"),
    same: [required("2", "1")],
    other: [required("2"), required("1", "3"), type]
  },
  {
    path: "/webhooks",
    one: { url: "https://receiver.example/" },
    same: [{ url: "https://receiver.example/", types: null }],
    other: [{ url: "https://receiver.example/", types: ["vm.created"] }]
  },
  {
    path: "/webhooks",
    one: { url: "https://receiver.example/", types: ["vm.created", "vm.changed"] },
    same: [{ url: "https://receiver.example/", types: ["vm.changed", "vm.created"] }],
    other: [{ url: "https://receiver.example/", types: ["vm.created"] }]
  },
  {
    path: "/users",
    one: { name: "ada", role: "admin" },
    same: [
      { name: "ada", role: "admin", quota: {} },
      { name: "ada", role: "admin", quota: { vms: null } }
    ],
    other: [{ name: "ada", role: "admin", quota: { vms: 1 } }]
  },
  {
    path: "/tokens",
    one: { name: "ci", owner: "ada" },
    same: [{ owner: "ada", name: "ci" }],
    // absent is as the token is that asks
    other: [
      { name: "ci", owner: "ada", expiresAt: null },
      { name: "ci", owner: "ada", expiresAt: "2999-01-01T00:00:00.000Z" }
    ]
  },
  {
    path: "/hosts",
    one: host({}),
    same: [
      host({ port: 22 }),
      host({ host: "H9" }, { virt: "auto", overcommit: { cpu: 4, ram: 1, disk: 1 }, limit: {}, reserved: {} }),
      host({}, { network: null, networks: {}, path: "/var/lib/vmfabric", labels: {} })
    ],
    other: [host({ port: 23 }), host({}, { labels: { a: "1" } })]
  },
  {
    path: "/hosts",
    one: host({ host: "fd00::9" }),
    same: [host({ host: "FD00:0:0::0:9" })],
    other: [host({ host: "fd00::8" })]
  }
]

describe("what is usual, said explicitly", () => {
  it.scopedLive("is the same request of a key, and of a plan", () =>
    Effect.gen(function* () {
      const { ask, done } = yield* App.make()
      yield* done("POST", "/vms", { name: "first", instanceType: 1 })
      for (const [index, { one, other, path, same }] of cases.entries()) {
        const mine = key(`case-${index}`)
        const plan = yield* ask("POST", `${path}?plan=true`, same.at(-1))
        for (const body of other) {
          const { json } = yield* ask("POST", `${path}?plan_id=${String(plan.json.id)}`, body)
          assert.deepInclude(json, { status: 409, code: "plan_mismatch" }, `${path} ${JSON.stringify(body)}`)
        }
        // the plan of the one is the other's, and the other's key the one's
        const first = yield* ask("POST", `${path}?plan_id=${String(plan.json.id)}`, one, mine)
        assert.include([200, 201], first.status, `${path} ${JSON.stringify(first.json)}`)
        for (const body of same) {
          const { json } = yield* ask("POST", path, body, mine)
          assert.deepStrictEqual(json, first.json, `${path} ${JSON.stringify(body)}`)
        }
        for (const body of other) {
          const { json } = yield* ask("POST", path, body, mine)
          assert.deepInclude(json, { status: 409, code: "key_reused" }, `${path} ${JSON.stringify(body)}`)
        }
      }
    })
  )

  it.scopedLive("is the same request of a key that was kept before that was so", () =>
    Effect.gen(function* () {
      const { ask, context } = yield* App.make()
      const body = required("2", "1")
      const kept = ["local", "admin", "POST", "/api/v1/instance-types", Keys.canonical(body)]
      const create = Context.get(context, InstanceTypes).create({ ...type, tid: InstanceTypeId.make(7) })
      yield* Context.get(context, Requests)
        .made("old", kept, create, () => Effect.succeed(null))
        .pipe(Effect.provideService(Asker, App.admin.user))
      const { json } = yield* ask("POST", "/instance-types", body, key("old"))
      assert.deepInclude(json, { id: 7 }, JSON.stringify(json))
      const other = yield* ask("POST", "/instance-types", required("3", "1"), key("old"))
      assert.deepInclude(other.json, { code: "key_reused" })
    })
  )

  it("is said of fields that may be absent, in values that they can have", () => {
    const wrong: Array<string> = []
    const seen = new Set<AST.AST>()
    let found = 0
    const look = (ast: AST.AST, where: string): void => {
      if (seen.has(ast)) return
      seen.add(ast)
      if (AST.isRefinement(ast)) return look(ast.from, where)
      if (AST.isTransformation(ast)) return look(ast.to, where)
      if (AST.isUnion(ast)) return ast.types.forEach((type) => look(type, where))
      if (AST.isTupleType(ast)) return ast.rest.forEach(({ type }) => look(type, where))
      if (!AST.isTypeLiteral(ast)) return
      for (const { name, type } of ast.propertySignatures) look(type, `${where}.${String(name)}`)
      const usual = Option.getOrNull(AST.getAnnotation<Readonly<Record<string, unknown>>>(ast, Usual))
      for (const [name, value] of Object.entries(usual ?? {})) {
        found++
        const property = ast.propertySignatures.find((property) => property.name === name)
        const fits = property !== undefined && ParseResult.is(Schema.make(AST.typeAST(property.type)))(value)
        if (!fits || !property.isOptional) wrong.push(`${where}.${name}`)
      }
    }
    HttpApi.reflect(api, {
      onGroup: () => undefined,
      onEndpoint: ({ endpoint }) => {
        if (Option.isSome(endpoint.payloadSchema)) look(endpoint.payloadSchema.value.ast, endpoint.name)
      }
    })
    assert.deepStrictEqual(wrong, [])
    assert.isAbove(found, 30)
  })
})
