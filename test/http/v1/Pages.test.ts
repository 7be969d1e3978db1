/** Lists, page by page, while others create. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { InstanceTypeId } from "../../../src/domain/Ids.ts"
import { Inventory } from "../../../src/services/Inventory.ts"
import * as App from "./App.ts"

type Asked = Effect.Effect.Success<ReturnType<typeof App.make>>

/** Admitted and no more: a list does not ask whether they run. */
const admit = (context: Asked["context"], names: ReadonlyArray<string>) => {
  const inventory = Context.get(context, Inventory)
  return Effect.gen(function* () {
    const instanceType = yield* inventory.type(InstanceTypeId.make(1))
    const [image] = yield* inventory.images
    const [usage] = yield* inventory.hosts
    if (image === undefined || usage === undefined) return yield* Effect.dieMessage("there is no image or host")
    return yield* Effect.forEach(
      names,
      (name) =>
        inventory.admit(
          { name, instanceType, imageId: image.id, onCrash: "leave", disk: { driver: "dir", pool: null } },
          () => Effect.succeed(usage.host.id)
        ),
      { concurrency: "unbounded" }
    )
  })
}

const sorts = ["id", "-id", "name", "-name", "created", "-created"] as const

const keys = { id: "id", name: "name", created: "createdAt" } as const

/** Numbers, or times. */
const compare = (a: unknown, b: unknown) =>
  typeof a === "number" ? a - Number(b) : Date.parse(String(a)) - Date.parse(String(b))

describe("pages of VMs", () => {
  it.scopedLive(
    "have each of 500 once, in order, while others are created in between",
    () =>
      Effect.gen(function* () {
        const { ask, context, get } = yield* App.make(App.fleet(1, 10_000))
        // many have the same name, and many were created in the same millisecond
        const standing = yield* admit(
          context,
          Array.from({ length: 500 }, (_, index) => `${["web", "db", "ä", "😀", "Web"][index % 5] ?? ""}-${index % 50}`)
        )
        const ids = standing.map(({ vm }) => Number(vm.id)).toSorted((a, b) => a - b)
        let made = 0
        for (const sort of sorts) {
          const walked: Array<Readonly<Record<string, unknown>>> = []
          let cursor: string | null = null
          do {
            const page: App.Answer = yield* get(
              `/vms?limit=37&sort=${sort}${cursor === null ? "" : `&cursor=${cursor}`}`
            )
            walked.push(...App.items(page))
            assert.strictEqual(page.json.total, 500 + made)
            cursor = page.json.next === null ? null : String(page.json.next)
            const names = ["aa", "web-7", "zz"].map((name) => `${name}-${made}`)
            yield* admit(context, names)
            made += names.length
          } while (cursor !== null)
          const found = walked.map(({ id }) => Number(id))
          assert.lengthOf(new Set(found), found.length, `${sort}: nothing twice`)
          assert.deepStrictEqual(
            found.filter((id) => ids.includes(id)).toSorted((a, b) => a - b),
            ids,
            `${sort}: nothing missed`
          )
          const by = keys[sort.replace("-", "") === "name" ? "name" : sort.endsWith("id") ? "id" : "created"]
          const way = sort.startsWith("-") ? -1 : 1
          for (const [index, one] of walked.slice(1).entries()) {
            const before = walked[index] ?? {}
            const order =
              by === "name"
                ? Buffer.compare(Buffer.from(String(before.name)), Buffer.from(String(one.name)))
                : compare(before[by], one[by])
            assert.isAtMost(order * way, 0, `${sort}: ${String(before[by])} before ${String(one[by])}`)
          }
        }
        // a cursor is good for its own order only
        const { json } = yield* get("/vms?limit=1&sort=name")
        const other = yield* ask("GET", `/vms?limit=1&sort=-name&cursor=${String(json.next)}`)
        assert.deepInclude(other.json, { status: 400, code: "invalid_argument", field: "cursor" })
        assert.strictEqual((yield* ask("GET", "/vms?cursor=bm9uc2Vuc2U")).json.field, "cursor")
        assert.strictEqual((yield* ask("GET", "/operations?cursor=bm9uc2Vuc2U")).json.field, "cursor")
        // a prefix is of the whole name's beginning, and nothing in it means anything
        assert.strictEqual((yield* get("/vms?name=ä-4")).json.total, 20)
        assert.strictEqual((yield* get("/vms?name=%25")).json.total, 0)
        assert.strictEqual((yield* get("/vms?name=eb")).json.total, 0)
        assert.strictEqual((yield* get(`/vms?name=${encodeURIComponent("😀")}&limit=1`)).json.total, 100)
      }),
    60_000
  )
})

describe("pages of volumes", () => {
  it.scopedLive("are by what is asked for, and go on only in that order", () =>
    Effect.gen(function* () {
      const { ask, done, get } = yield* App.make()
      for (const [name, size] of [
        ["b", 2],
        ["a", 3],
        ["c", 1]
      ]) {
        yield* done("POST", "/volumes", { name, size })
      }
      const orders = {
        id: "bac",
        "-id": "cab",
        name: "abc",
        "-name": "cba",
        size: "cba",
        "-size": "abc",
        owner: "bac",
        "-owner": "cab"
      }
      for (const [sort, expected] of Object.entries(orders)) {
        const first = yield* get(`/volumes?limit=2&sort=${sort}`)
        const second = yield* get(`/volumes?limit=2&sort=${sort}&cursor=${String(first.json.next)}`)
        assert.strictEqual(
          [...App.items(first), ...App.items(second)].map(({ name }) => String(name)).join(""),
          expected,
          sort
        )
        assert.deepStrictEqual([first.json.total, second.json.next], [3, null])
        for (const other of Object.keys(orders)) {
          if (other === sort) continue
          const { json } = yield* ask("GET", `/volumes?sort=${other}&cursor=${String(first.json.next)}`)
          assert.deepInclude(json, { status: 400, field: "cursor" }, `${sort}, then ${other}`)
        }
      }
      const { json } = yield* ask("GET", "/volumes?sort=created")
      assert.deepInclude(json, { status: 400, field: "sort" })
    })
  )
})
