/**
 * A simulated fleet that other processes reach: its sshd listen on ports of the loopback interface.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Schedule from "effect/Schedule"
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as AppLive from "../../layers/AppLive.ts"
import * as Cluster from "../../src/simulator/Cluster.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"
import type * as SimulatedHost from "../../src/simulator/SimulatedHost.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Journal } from "../../src/services/Journal.ts"
import * as World from "../fabric/World.ts"

const portOf = Effect.fnUntraced(function* (host: SimulatedHost.SimulatedHost) {
  const run = yield* FiberSet.makeRuntime<never, void, never>()
  const serve = (socket: Socket) =>
    Effect.gen(function* () {
      const inside = yield* host.dial
      socket.on("error", () => inside.destroy())
      inside.on("error", () => socket.destroy())
      socket.pipe(inside)
      inside.pipe(socket)
      yield* Effect.async<void>((resume) => {
        socket.once("close", () => resume(Effect.void))
      })
    }).pipe(Effect.scoped, Effect.ignore)
  const server = yield* Effect.acquireRelease(
    Effect.async<ReturnType<typeof createServer>>((resume) => {
      const made = createServer((socket) => void run(serve(socket)))
      made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
    }),
    (made) => Effect.sync(() => made.close())
  )
  const address = server.address()
  assert(address !== null && typeof address === "object")
  return address.port
})

/** The instance types that the program is given. */
export const types = [
  { tid: 1, cpu: 1, ram: 512, disk: 1 },
  { tid: 2, cpu: 2, ram: 1024, disk: 1 }
] as const

/** One host with its disks in a pool or in a folder, one image, two types; `arguments` are what the program is started with. */
export const makeWith = Effect.fnUntraced(function* ({ ceph }: { readonly ceph: boolean }) {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-served-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  const cluster = yield* Cluster.make()
  const fleet = yield* Fleet.make({
    hosts: [
      {
        hostname: "sim-1",
        ceph: cluster,
        cpus: 64,
        memory: 64 * 1024 ** 3,
        bootTime: "20 millis",
        shutdownTime: "20 millis",
        releaseTime: "10 millis"
      },
      { hostname: "sim-images", cephCommands: cluster }
    ]
  })
  const [host, images] = fleet.hosts
  assert(host !== undefined && images !== undefined)
  yield* images.putFile("/images/test.img", Fleet.diskImage(8192, 1))
  const port = yield* portOf(host)
  const imagesPort = yield* portOf(images)
  const file = (name: string, text: string) => {
    const path = join(folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  const database = join(folder, "vmfabric.sqlite")
  const knownHosts = [`[127.0.0.1]:${port} ${host.hostKey}`, `[127.0.0.1]:${imagesPort} ${images.hostKey}`].join("\n")
  return {
    hosts: [host],
    cluster,
    imageFolder: `${database}.images`,
    database,
    folder,
    arguments: [
      ["--database", database],
      ["--ssh-key", file("key", fleet.credentials.privateKeys[0] ?? "")],
      ["--known-hosts", file("known_hosts", `${knownHosts}\n`)],
      ceph ? ["--ceph-pool", cluster.pool, "--ceph-host", `root@127.0.0.1:${imagesPort}`] : [],
      file("machines", `root@127.0.0.1:${port}\n`),
      file("images", `root@127.0.0.1:${imagesPort}:/images/test.img name=test\n`),
      file("types", JSON.stringify({ types }))
    ].flat()
  }
})

/** Its disks are in a pool. */
export const make = makeWith({ ceph: true })

export type Served = Effect.Effect.Success<typeof make>

/** What the program's database says at a moment at which it writes nothing: of a copy, since the program has the file for itself. */
export const look = <A, E>(served: Served, use: Effect.Effect<A, E, Inventory | Journal>) =>
  Effect.gen(function* () {
    const copy = join(served.folder, "copy.sqlite")
    for (const end of ["", "-wal"]) {
      rmSync(copy + end, { force: true })
      if (existsSync(served.database + end)) copyFileSync(served.database + end, copy + end)
    }
    return yield* Effect.provide(use, AppLive.persistence(copy))
  })

/** Waits until no operation is left, and hosts, pool and inventory are one: for two minutes at most, since it is real time that passes. */
export const atRest = (served: Served) =>
  Effect.sandbox(
    look(
      served,
      Effect.gen(function* () {
        const { unfinished } = yield* Journal
        assert.deepStrictEqual(
          (yield* unfinished).map(({ kind }) => kind),
          []
        )
        yield* World.agree(served)
        yield* World.told(served)
      })
    )
  ).pipe(Effect.retry(Schedule.spaced("100 millis").pipe(Schedule.upTo("2 minutes"))), Effect.unsandbox)
