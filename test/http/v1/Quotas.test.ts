/** Users who may have so much, and ask for more. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { type Principal, TokenId, UserName } from "../../../src/domain/Identity.ts"
import * as Quota from "../../../src/domain/Quota.ts"
import { Identity } from "../../../src/services/Identity.ts"
import * as App from "./App.ts"
import * as Contract from "./Contract.ts"

const ada: Principal = { user: UserName.make("ada"), role: "operator", via: "session", tokenId: null }
const byToken = (id: number): Principal => ({ ...ada, via: "token", tokenId: TokenId.make(id) })

/** Ada may have so much; `as` says who asks from then on, and `admin` does at first. */
const made = Effect.fnUntraced(function* (quota: Quota.Change, hosts = 2, room = 200) {
  let who = App.admin
  const app = yield* App.make(App.fleet(hosts, room), () => who)
  yield* Context.get(app.context, Identity).createUser({ name: UserName.make("root"), role: "admin" })
  const user = yield* app.ask("POST", "/users", { name: "ada", role: "operator", quota })
  assert.strictEqual(user.status, 201, JSON.stringify(user.body))
  who = ada
  return {
    ...app,
    as: (one: Principal) => {
      who = one
    }
  }
})

const vm = (name: string, more: object = {}) => ({ name, instanceType: 1, ...more })

describe("a quota", () => {
  it.scopedLive(
    "for twenty lets twenty of two hundred through that are asked for at once, by whatever credentials of the user",
    () =>
      Effect.gen(function* () {
        const { as, ask, get } = yield* made({ vms: 20 })
        const answers = yield* Effect.forEach(
          Array.from({ length: 200 }, (_, index) => index),
          (index) =>
            Effect.suspend(() => {
              as(index % 3 === 0 ? ada : byToken(index % 3))
              return ask("POST", "/vms", vm(`vm-${index}`), { prefer: "wait=60" })
            }),
          { concurrency: "unbounded" }
        )
        const through = answers.filter(({ status }) => status === 200)
        assert.lengthOf(through, 20)
        for (const { json, status } of answers) {
          if (status === 200) continue
          assert.deepInclude(json, {
            status: 409,
            code: "quota_exceeded",
            detail:
              "the quota of ada has 20 VMs (20 used, 1 more asked for): ask for less, destroy VMs that ada does not need, or have an admin raise the quota",
            short: [{ resource: "vms", has: 20, used: 20, asked: 1 }]
          })
        }
        const known = App.items(yield* get("/vms?limit=1000"))
        assert.lengthOf(known, 20)
        for (const { owner } of known) assert.strictEqual(owner, "ada")
        assert.deepInclude((yield* get("/session")).json, {
          quota: { ...Quota.unlimited, vms: 20 },
          used: { vms: 20, cpu: 20, ram: 20 * 5000, volumes: 0, volumeSize: 0 },
          exceeded: []
        })
      }),
    60_000
  )

  it.scopedLive("says how much is used, and that it was lowered below that; what gives back makes room again", () =>
    Effect.gen(function* () {
      const { as, ask, done, get } = yield* made({ cpu: 3, volumes: 1, volumeSize: 10 })
      yield* done("POST", "/vms", vm("one"))
      yield* done("POST", "/vms", vm("two"))
      yield* done("POST", "/volumes", { name: "data", size: 4 })
      assert.strictEqual((yield* get("/volumes/1")).json.owner, "ada")

      as(App.admin)
      const before = yield* get("/users/ada")
      const used = { vms: 2, cpu: 2, ram: 10_000, volumes: 1, volumeSize: 4 }
      assert.deepInclude(before.json, {
        quota: { ...Quota.unlimited, cpu: 3, volumes: 1, volumeSize: 10 },
        used,
        exceeded: []
      })
      assert.deepInclude(App.items(yield* get("/users"))[0] ?? {}, { name: "ada", used })
      const tag = before.headers.get("etag") ?? ""
      const planned = yield* ask("PATCH", "/users/ada?plan=true", { quota: { cpu: 1 } })
      assert.strictEqual(planned.status, 200, JSON.stringify(planned.body))
      const [change] = Array.isArray(planned.json.changes) ? planned.json.changes.map(Contract.members) : []
      assert.include(
        String(change?.diff),
        "-quota: 3 vCPUs, 1 volume, 10 GiB of volumes\n+quota: 1 vCPU, 1 volume, 10 GiB of volumes\n" +
          "+exceeded: ada has 2 vCPUs, and may have 1: all of it stays, and there can be no more of that until there is less\n"
      )
      assert.deepInclude((yield* get("/users/ada")).json, { exceeded: [] })
      const lowered = yield* ask("PATCH", "/users/ada", { quota: { cpu: 1 } }, { "if-match": tag })
      assert.deepInclude(lowered.json, {
        quota: { ...Quota.unlimited, cpu: 1, volumes: 1, volumeSize: 10 },
        used,
        exceeded: ["cpu"]
      })
      // it is another user than was read
      const stale = yield* ask("PATCH", "/users/ada", { quota: { cpu: null } }, { "if-match": tag })
      assert.strictEqual(stale.status, 412)
      // what is used is none of the tag
      const revision = Effect.map(get("/users/ada"), ({ headers }) => headers.get("etag")?.split(".")[0])
      const after = yield* revision
      for (const wrong of [{ quota: { vms: -1 } }, { quota: { vms: 1.5 } }, { quota: { vmz: 1 } }]) {
        assert.deepInclude((yield* ask("PATCH", "/users/ada", wrong)).json, { status: 400, code: "invalid_body" })
      }

      as(ada)
      const refused = yield* ask("POST", "/vms", vm("three"))
      assert.deepInclude(refused.json, { status: 409, code: "quota_exceeded" })
      yield* done("DELETE", "/vms/1")
      yield* done("DELETE", "/vms/2")
      yield* done("POST", "/vms", vm("three"))
      const grown = yield* ask("PATCH", "/volumes/1", { size: 11 })
      assert.match(
        String(grown.json.detail),
        /^the quota of ada has 10 GiB of volumes \(4 GiB used, 7 GiB more asked for\): /
      )
      yield* done("PATCH", "/volumes/1", { size: 10 })
      yield* done("DELETE", "/volumes/1")
      // it can be had back, so it takes its room
      assert.deepInclude((yield* ask("POST", "/volumes", { name: "more", size: 1 })).json, { code: "quota_exceeded" })
      yield* done("POST", "/volumes/1/restore")
      yield* done("DELETE", "/volumes/1")
      yield* done("POST", "/volumes/1/purge")
      yield* done("POST", "/volumes", { name: "more", size: 10 })
      as(App.admin)
      assert.strictEqual(yield* revision, after)
    })
  )

  it.scopedLive("is held by whoever asks for more of what is somebody's, and not by what others make", () =>
    Effect.gen(function* () {
      const { as, ask, done, get } = yield* made({ ram: 10_000 })
      yield* done("POST", "/vms", vm("one"))
      yield* done("POST", "/vms/1/power-off")
      as(App.admin)
      yield* done("POST", "/vms", vm("other"))
      assert.strictEqual((yield* get("/vms/2")).json.owner, "local")
      const volume = yield* done("POST", "/volumes", { name: "data", size: 4 })
      assert.strictEqual((yield* get(`/volumes/${String(volume.json.volumeId)}`)).json.owner, "local")
      yield* done("POST", "/vms/1/resize", { instanceType: 2 })
      yield* done("POST", "/vms/1/resize", { instanceType: 1 })
      yield* ask("PATCH", "/users/ada", { quota: { ram: 9999 } })
      for (const path of ["/vms/1/resize", "/vms/1/resize?plan=true"]) {
        assert.deepInclude((yield* ask("POST", path, { instanceType: 2 })).json, {
          status: 409,
          code: "quota_exceeded",
          detail:
            "the quota of ada has 9999 MiB of memory (5000 MiB used, 5000 MiB more asked for): ask for less, destroy VMs that ada does not need, or have an admin raise the quota"
        })
      }
      // who is removed leaves what they have
      assert.strictEqual((yield* ask("DELETE", "/users/ada")).status, 204)
      assert.strictEqual((yield* get("/vms/1")).json.owner, "ada")
      yield* done("POST", "/vms/1/resize", { instanceType: 2 })
    })
  )

  it.scopedLive("lets a batch through as far as it goes, a group as a whole or not, and a plan as what it plans", () =>
    Effect.gen(function* () {
      const { ask, done, get } = yield* made({ vms: 3 })
      const planned = yield* ask("POST", "/vms/batch?plan=true", { ...vm("web"), count: 5 })
      assert.deepInclude(Contract.members(planned.json.refused), { count: 2 })
      assert.deepInclude(Contract.members(Contract.members(planned.json.refused).problem), {
        code: "quota_exceeded",
        short: [{ resource: "vms", has: 3, used: 3, asked: 1 }]
      })
      const apart = { placement: { rules: [{ kind: "apart", group: "web", strength: "should" }] } }
      for (const query of ["", "?plan=true"]) {
        const group = yield* ask("POST", `/vms/batch${query}`, { ...vm("web", apart), count: 4 })
        assert.deepInclude(group.json, {
          status: 409,
          code: "quota_exceeded",
          short: [{ resource: "vms", has: 3, used: 0, asked: 4 }]
        })
      }
      const batch = yield* ask("POST", "/vms/batch", { ...vm("web"), count: 5 }, { prefer: "wait=20" })
      assert.lengthOf(Array.isArray(batch.json.operations) ? batch.json.operations : [], 3)
      assert.deepInclude(Contract.members(batch.json.refused), { count: 2 })
      assert.lengthOf(App.items(yield* get("/vms")), 3)
      assert.deepInclude((yield* ask("POST", "/vms?plan=true", vm("more"))).json, { code: "quota_exceeded" })

      // planned while there was room, and applied when there is none any more
      yield* done("DELETE", "/vms/1")
      const plan = yield* ask("POST", "/vms?plan=true", vm("more"))
      assert.strictEqual(plan.status, 200)
      yield* done("POST", "/vms", vm("quicker"))
      const late = yield* ask("POST", `/vms?plan_id=${String(plan.json.id)}`, vm("more"))
      assert.deepInclude(late.json, { status: 409, code: "plan_outdated" })
      assert.match(JSON.stringify(late.json.moved), /"what":"quota of ada","planned":"has room"/)
    })
  )
})
