/** Rows as the driver gives them, and what is made of them. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Rows from "../../layers/sql/Rows.ts"

const nic = {
  id: 1,
  mac: "52:54:00:00:00:01",
  network: null,
  vlan: null,
  model: "virtio",
  link: "up",
  state: "attached"
}

const row = (id: number, others: Rows.Row = {}): Rows.Row => ({
  id,
  uuid: `00000000-0000-4000-8000-00000000000${id}`,
  name: `vm-${id}`,
  tid: 1,
  image_id: 100,
  host_id: id,
  cpu: 2,
  ram: 512,
  disk: 5,
  nics: JSON.stringify([nic]),
  driver: "dir",
  state: "running",
  on_crash: "leave",
  protected: 0,
  autostart: 1,
  description: "",
  tags: '["web"]',
  labels: '{"tier":"1"}',
  placement: null,
  applied: null,
  created_at: id,
  owner: null,
  ...others
})

const read = (...rows: ReadonlyArray<Rows.Row>) => Rows.vms.all(rows)

describe("rows of VMs", () => {
  it.effect("each has what its own row says, whatever is the same in others", () =>
    Effect.gen(function* () {
      const other = { cpu: 4, protected: 1, tags: "[]", description: "other", owner: "ann" }
      const vms = yield* read(row(1), row(2), row(3, other), row(4))
      assert.deepStrictEqual(
        vms.map(({ hostId, id, name, createdAt }) => [id, name, hostId, createdAt]),
        [1, 2, 3, 4].map((n) => [n, `vm-${n}`, n, n])
      )
      assert.deepStrictEqual(
        vms.map(({ resources, protected: kept, autostart, tags, description, owner }) => [
          resources.cpu,
          kept,
          autostart,
          [...tags],
          description,
          owner
        ]),
        [1, 2, 3, 4].map((n) => (n === 3 ? [4, true, true, [], "other", "ann"] : [2, false, true, ["web"], "", null]))
      )
    })
  )

  it.effect("what they have in common is there once", () =>
    Effect.gen(function* () {
      const [first, second] = yield* read(row(1), row(2))
      assert.strictEqual(first?.labels, second?.labels)
      assert.strictEqual(first?.tags, second?.tags)
    })
  )

  it.effect("one that cannot be read is named, also when others like it were", () =>
    Effect.gen(function* () {
      yield* read(row(1))
      for (const [column, value] of [
        ["state", "flying"],
        ["labels", "no JSON"],
        ["name", ""],
        ["nics", "[{}]"]
      ] as const) {
        const exit = yield* Effect.exit(read(row(2, { [column]: value })))
        if (Exit.isSuccess(exit)) return assert.fail(`${column} was taken`)
        const told = Cause.pretty(exit.cause)
        assert.include(told, "the stored row vms id=2 cannot be read")
        assert.include(told, column)
      }
    })
  )
})
