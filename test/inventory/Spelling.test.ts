/** Hosts and images of a database of before 0.10, where another spelling of an address made another host. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Database } from "../../layers/Database.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { fleet, host, layerTemporary } from "./Fleet.ts"

const old = "2001:db8:0:0:0:0:0:14"
const image = (written: string) => ({
  name: "debian",
  source: { host: { user: "root", host: written, port: 22 }, path: "/images/debian.raw" }
})
const written = (name: string) => ({ ...fleet, hosts: [host(name)], images: [image(name)] })

describe("rows with an address as it was written", () => {
  it.effect("are found by every way to write it, and keep their ids", () =>
    Effect.gen(function* () {
      const inventory = yield* Inventory
      const { read, sql } = yield* Database
      yield* inventory.applyFleet(written(old))
      yield* read("set", sql`update hosts set host = ${old}`)
      yield* read("set", sql`update images set source = ${`${old}:22:/images/debian.raw`}`)
      const before = yield* inventory.hosts
      const images = yield* inventory.images
      yield* inventory.applyFleet(written("2001:DB8::14"))
      assert.deepStrictEqual(
        (yield* inventory.hosts).map(({ host }) => host.id),
        before.map(({ host }) => host.id)
      )
      assert.deepStrictEqual(
        (yield* inventory.images).map(({ id }) => id),
        images.map(({ id }) => id)
      )
      assert.include((yield* Effect.flip(inventory.addHost(host("2001:db8:0::14")))).message, "already")
    }).pipe(Effect.provide(layerTemporary))
  )

  it.effect("of one machine twice: the one that is used stays, and the machine file's goes before another", () =>
    Effect.gen(function* () {
      const inventory = yield* Inventory
      const { read, sql } = yield* Database
      yield* inventory.applyFleet(written(old))
      const [{ host: first } = assert.fail("none")] = yield* inventory.hosts
      yield* read("set", sql`update hosts set host = ${old} where id = ${first.id}`)
      // as it was added by its other spelling, once to stay and once to be removed
      for (const [name, active] of [
        ["2001:db8::14", 1],
        ["2001:db8:0::14", 0]
      ] as const) {
        yield* read(
          "copy",
          sql`insert into hosts (host, port, config, active, origin)
            select ${name}, port, replace(config, ${old}, ${name}), ${active}, 'api' from hosts where id = ${first.id}`
        )
      }
      yield* inventory.applyFleet(written("2001:db8:0:0::14"))
      const now = yield* inventory.hosts
      assert.strictEqual(now.find(({ host }) => host.id === first.id)?.host.origin, "file")
      assert.lengthOf(now, 2)
      const other = now.find(({ host }) => host.id !== first.id) ?? assert.fail("the other one is gone")
      // it can be removed, and then nothing is in the way
      yield* inventory.removeHost(other.host.id)
      yield* inventory.applyFleet(written(old))
      assert.deepStrictEqual(
        (yield* inventory.hosts).map(({ host }) => host.id),
        [first.id]
      )
    }).pipe(Effect.provide(layerTemporary))
  )
})
