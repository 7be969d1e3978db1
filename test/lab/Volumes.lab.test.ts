/**
 * Volumes and root disks in a real Ceph, on real hosts: seen by REST clients, by virsh and rbd, and from inside the guests.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { beforeEach } from "vitest"
import * as Writes from "../fabric/Writes.ts"
import * as Built from "../program/Built.ts"
import type { Options } from "../program/Program.ts"
import * as Client from "./Client.ts"
import * as Lab from "./Lab.ts"

beforeEach(() => Effect.runPromise(Client.wipe(Client.fleet)))

const start = (file: string, options?: Options) => Client.startWithCeph(file, Client.fleet, options)

const gibibyte = 1024 ** 3

/** Every point at which the controller can end while it does `path`. */
const pointsOf = Effect.fnUntraced(function* (begin: typeof start, file: string, path: string) {
  const points = join(file, "..", "points")
  rmSync(points, { force: true })
  const program = yield* begin(file, { entry: Built.crashing, env: { POINTS: points } })
  const answer = yield* program.get(path)
  const reached = existsSync(points) ? readFileSync(points, "utf8").trim().split("\n") : []
  rmSync(points, { force: true })
  assert.isAbove(reached.length, 3, JSON.stringify(answer))
  // an image is looked at once; and before the first write nothing is begun, so there is nothing to finish
  return [...new Set(reached)].filter((point) => !point.startsWith("setImageContent") && !Writes.isBeginning(point))
}, Effect.scoped)

const startOther: typeof start = (file, options) => Client.startWithCeph(file, Client.otherFleet, options)

const bornAndGone = Lab.beside(
  Effect.gen(function* () {
    yield* Client.wipe(Client.otherFleet)
    const file = yield* Client.database
    for (const what of ["vm", "volume"] as const) {
      const path = what === "vm" ? `/vm/create?name=born&${Client.blank()}` : "/volume/create?name=born&size=1"
      let made = 1
      const destroy = () => `/${what}/destroy?${what}id=${made}`
      const there = (program: Client.Program, id: number) =>
        Effect.map(program.get(`/${what}/query?${what}id=${id}`), (answer) =>
          what === "vm" ? answer["error"] === undefined : answer["status"] === "available"
        )
      const creating = yield* pointsOf(startOther, file, path)
      const destroying = yield* pointsOf(startOther, file, destroy())
      for (let i = 0; i < Math.max(creating.length, destroying.length); i++) {
        made++
        for (const [point, work, wanted] of [
          [creating[i], () => path, true],
          [destroying[i], destroy, false]
        ] as const) {
          yield* Effect.gen(function* () {
            const program = yield* startOther(file, {
              entry: Built.crashing,
              env: point === undefined ? {} : { CRASH_AT: point }
            })
            // what the life before it left undone
            const before = wanted ? made - 1 : made
            yield* Lab.eventually(`${what} ${before}`, there(program, before), (found) => found === !wanted)
            yield* Client.agree(program)
            yield* Effect.either(program.get(work()))
            if (point !== undefined) assert.isNull(yield* program.exited, point)
          }).pipe(Effect.scoped)
        }
      }
      yield* Effect.gen(function* () {
        const program = yield* startOther(file)
        yield* Lab.eventually("the last is gone", there(program, made), (found) => !found)
        yield* Client.agree(program)
      }).pipe(Effect.scoped)
    }
    yield* Client.cleanUp(yield* startOther(file))
  }).pipe(Effect.scoped)
)

describe("volumes in Ceph", () => {
  it.scopedLive(
    "a pattern goes from one guest to another on another host, into clones, and comes back from the trash",
    () =>
      Effect.gen(function* () {
        const program = yield* start(yield* Client.database)
        const [one, two] = yield* Client.bootedVms(program, 2)
        assert(one !== undefined && two !== undefined)
        assert.notStrictEqual(one.host, two.host)
        const volume = yield* Client.newVolume(program, "data")
        const serial = `volume-${volume}`
        assert.deepStrictEqual(yield* Client.volume(program, volume), {
          volumeid: volume,
          name: "data",
          size: 1,
          status: "available"
        })

        yield* Client.succeed(program, `/volume/attach?vmid=${one.vmid}&volumeid=${volume}`)
        assert.deepInclude(yield* Client.volume(program, volume), { status: "attached", vmid: one.vmid })
        yield* Lab.eventually("the guest sees it", Client.guestLog(one.host, one.vmid), (log) =>
          log.includes(`GUEST DISK + vdb size=${gibibyte} serial=${serial}`)
        )
        yield* Client.pattern(one.host, one.vmid, volume, "write 11 8")
        yield* Client.agree(program)

        const snapshot = yield* program.get(`/snapshot/create?volumeid=${volume}&name=before`)
        assert.strictEqual(snapshot["snapshotid"], 1, JSON.stringify(snapshot))
        yield* Client.pattern(one.host, one.vmid, volume, "write 22 1")

        yield* Client.succeed(program, `/volume/grow?volumeid=${volume}&size=2`)
        yield* Lab.eventually("the guest sees the new size", Client.guestLog(one.host, one.vmid), (log) =>
          log.includes(`GUEST DISK = vdb size=${2 * gibibyte} serial=${serial}`)
        )
        assert.deepInclude(yield* Client.volume(program, volume), { size: 2 })
        const running = yield* Client.act(program, "/volume/revert?snapshotid=1")
        assert.match(running.error ?? "", /cannot be reverted while VM \d+ \(.*\) runs with it: stop the VM or detach/)

        yield* Client.detach(program, volume)
        yield* Lab.eventually("the guest has lost it", Client.guestLog(one.host, one.vmid), (log) =>
          log.includes(`GUEST DISK - vdb`)
        )
        assert.deepInclude(yield* Client.volume(program, volume), { status: "available" })
        yield* Client.agree(program)

        yield* Client.succeed(program, `/volume/attach?vmid=${two.vmid}&volumeid=${volume}`)
        yield* Client.pattern(two.host, two.vmid, volume, "check 22 1")
        yield* Client.pattern(two.host, two.vmid, volume, "check 11 7 1")
        const held = yield* Client.act(program, `/volume/destroy?volumeid=${volume}`)
        assert.strictEqual(held.status, 0)
        assert.match(
          held.error ?? "",
          new RegExp(`^volume ${volume} \\(data\\) is attached to VM ${two.vmid} \\(.*\\): detach it first$`)
        )

        // the clone has what the snapshot had, and goes to another guest
        const clone = yield* program.get("/volume/clone?snapshotid=1&name=clone")
        assert.isAbove(Number(clone["volumeid"]), volume, JSON.stringify(clone))
        yield* Client.succeed(program, `/volume/attach?vmid=${one.vmid}&volumeid=${String(clone["volumeid"])}`)
        yield* Client.pattern(one.host, one.vmid, Number(clone["volumeid"]), "check 11 8")
        yield* Client.agree(program)
        yield* Client.detach(program, Number(clone["volumeid"]))

        // reverted it is as it was, also in size
        yield* Client.detach(program, volume)
        yield* Client.succeed(program, "/volume/revert?snapshotid=1")
        assert.deepInclude(yield* Client.volume(program, volume), { size: 1 })
        yield* Client.succeed(program, `/volume/attach?vmid=${two.vmid}&volumeid=${volume}`)
        yield* Client.pattern(two.host, two.vmid, volume, "check 11 8")
        yield* Client.detach(program, volume)

        // needed by its clone it stays; after that it can go, and be had back
        const needed = yield* Client.act(program, `/volume/destroy?volumeid=${volume}`)
        assert.match(needed.error ?? "", /has snapshot 1 \(before\), from which volume \d+ \(clone\) was made/)
        yield* Client.succeed(program, `/volume/destroy?volumeid=${String(clone["volumeid"])}`)
        yield* Client.succeed(program, `/volume/purge?volumeid=${String(clone["volumeid"])}`)
        yield* Client.succeed(program, `/volume/destroy?volumeid=${volume}`)
        assert.deepInclude(yield* Client.volume(program, volume), { status: "deleted" })
        yield* Client.agree(program)
        yield* Client.succeed(program, `/volume/restore?volumeid=${volume}`)
        yield* Client.succeed(program, `/volume/attach?vmid=${one.vmid}&volumeid=${volume}`)
        yield* Client.pattern(one.host, one.vmid, volume, "check 11 8")
        yield* Client.agree(program)

        // a VM that goes leaves its volumes
        yield* Client.succeed(program, `/vm/destroy?vmid=${one.vmid}`)
        assert.deepInclude(yield* Client.volume(program, volume), { status: "available" })
        yield* Client.agree(program)
        yield* Client.cleanUp(program)
      }),
    600_000
  )

  it.scopedLive(
    "50 volumes created, attached and detached at once over 10 VMs: Ceph, QEMU and inventory agree",
    () =>
      Effect.gen(function* () {
        const program = yield* start(yield* Client.database)
        const vms = yield* Client.bootedVms(program, 10)
        const volumes = yield* Effect.forEach(
          Array.from({ length: 50 }, (_, i) => `v${i}`),
          (name) => Client.newVolume(program, name),
          { concurrency: "unbounded" }
        )
        yield* Effect.forEach(
          volumes,
          (id, i) => Client.succeed(program, `/volume/attach?vmid=${vms[i % 10]!.vmid}&volumeid=${id}`),
          { concurrency: "unbounded" }
        )
        yield* Client.agree(program)
        yield* Effect.forEach(
          vms,
          ({ host, vmid }) =>
            Lab.eventually(
              `vm-${vmid} sees five`,
              Client.guestLog(host, vmid),
              (text) => (text.match(/GUEST DISK \+/g) ?? []).length === 5,
              // ten emulated guests share what processors there are
              "300 seconds"
            ),
          { concurrency: 4 }
        )
        yield* Effect.forEach(volumes, (id) => Client.detach(program, id), {
          concurrency: "unbounded"
        })
        yield* Client.agree(program)
        yield* Client.cleanUp(program)
      }),
    900_000
  )

  it.scopedLive(
    "two VMs ask for one volume at once, again and again: one gets it each time, and no guest's data is touched",
    () =>
      Effect.gen(function* () {
        const program = yield* start(yield* Client.database)
        const [one, two] = yield* Client.bootedVms(program, 2)
        assert(one !== undefined && two !== undefined)
        const volume = yield* Client.newVolume(program, "wanted")
        for (let round = 0; round < rounds; round++) {
          const answers = yield* Effect.forEach(
            [one, two],
            ({ vmid }) => Client.act(program, `/volume/attach?vmid=${vmid}&volumeid=${volume}`),
            { concurrency: "unbounded" }
          )
          const winner = [one, two].filter((_, i) => answers[i]?.status === 1)
          assert.lengthOf(winner, 1, JSON.stringify(answers))
          const { host, vmid } = winner[0]!
          assert.match(
            answers.find(({ status }) => status === 0)?.error ?? "",
            /is attached to VM \d+ \(.*\): detach it first/
          )
          // what the last owner wrote is there, and nothing else
          const checked = round === 0 ? [] : [`check ${round} 1`]
          yield* Client.pattern(host, vmid, volume, ...checked, `write ${round + 1} 1`)
          yield* Client.detach(program, volume)
        }
        yield* Client.agree(program)
        yield* Client.cleanUp(program)
      }),
    600_000
  )
})

/** How often two VMs ask for one volume; the simulated fleet is asked 100 times. */
const rounds = 10

describe("kill -9 of the controller", () => {
  /**
   * Each life is armed for a point of one thing to do, and first finishes what the life before it died at. `there` and `back` undo each
   * other, so that all goes on with the same VM and volume; `wanted` is what they lead to.
   */
  const chain = Effect.fnUntraced(function* (
    file: string,
    there: { readonly path: string; readonly wanted: (program: Client.Program) => Effect.Effect<boolean, unknown> },
    back: typeof there
  ) {
    const plan = [
      ...(yield* pointsOf(start, file, there.path)).map((point) => ({ point, what: there })),
      ...(yield* pointsOf(start, file, back.path)).map((point) => ({ point, what: back }))
    ]
    // in turn, as long as both have points; what is left over is led up to
    const queue = [plan.filter(({ what }) => what === there), plan.filter(({ what }) => what === back)] as const
    let last: typeof there = back
    const killed: Array<string> = []
    while (queue[0].length + queue[1].length > 0) {
      const side = last === back ? 0 : 1
      const due = queue[side].shift()
      const program = yield* start(file, {
        entry: Built.crashing,
        env: due === undefined ? {} : { CRASH_AT: due.point }
      })
      yield* Lab.eventually("the work of the life before is finished", last.wanted(program), (done) => done)
      yield* Client.agree(program)
      const what = side === 0 ? there : back
      const answer = yield* Effect.either(program.get(what.path))
      if (due !== undefined) {
        assert.strictEqual(answer._tag, "Left", `it lived on beyond ${due.point}`)
        assert.isNull(yield* program.exited)
        killed.push(due.point)
      }
      yield* program.kill("SIGKILL")
      yield* program.exited
      last = what
    }
    const program = yield* start(file)
    yield* Lab.eventually("the last work is finished", last.wanted(program), (done) => done)
    yield* Client.agree(program)
    return killed
  }, Effect.scoped)

  const volumeIs = (id: number, status: string) => (program: Client.Program) =>
    Effect.map(Client.volume(program, id), (found) => found.status === status)

  it.scopedLive(
    "at every step of attach and detach, of destroy and restore: the next one finishes",
    () =>
      Effect.gen(function* () {
        const file = yield* Client.database
        const { vmid, volume } = yield* Effect.gen(function* () {
          const program = yield* start(file)
          const [vm] = yield* Client.bootedVms(program, 1)
          assert(vm !== undefined)
          return { vmid: vm.vmid, volume: yield* Client.newVolume(program, "survivor") }
        }).pipe(Effect.scoped)
        const moved = yield* chain(
          file,
          { path: `/volume/attach?vmid=${vmid}&volumeid=${volume}`, wanted: volumeIs(volume, "attached") },
          { path: `/volume/detach?volumeid=${volume}`, wanted: volumeIs(volume, "available") }
        )
        assert.includeMembers(moved, [
          "record running, do attach started: after",
          "record do attach done, do seen started: before",
          "record do detach done, do released started: before",
          "record do released done, done: before"
        ])
        const trashed = yield* chain(
          file,
          { path: `/volume/destroy?volumeid=${volume}`, wanted: volumeIs(volume, "deleted") },
          { path: `/volume/restore?volumeid=${volume}`, wanted: volumeIs(volume, "available") }
        )
        assert.includeMembers(trashed, ["record do trash done, done: before", "record do restore done, done: before"])
        yield* Client.cleanUp(yield* start(file))
      }),
    600_000
  )

  it.live(
    "at every step of creating and destroying VMs and volumes: each is whole or gone, and none is there twice",
    bornAndGone
  )
})
