/**
 * Volumes and root disks in a real Ceph, on real hosts: seen by REST clients, by virsh and rbd, and from inside the guests.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { existsSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { beforeAll, beforeEach } from "vitest"
import * as Writes from "../fabric/Writes.ts"
import * as Crashing from "../program/Crashing.ts"
import type { Program } from "../program/Program.ts"
import * as Client from "./Client.ts"
import * as Lab from "./Lab.ts"

beforeAll(Crashing.build)
beforeEach(() => Effect.runPromise(Client.wipe))

const start = (file: string, options?: { readonly entry: string; readonly env: Readonly<Record<string, string>> }) =>
  Effect.tap(Client.start(file, Lab.cephFlags, options), Client.allHostsUp)

/** VMs on the first hosts, one on each, booted. */
const bootedVms = Effect.fnUntraced(function* (program: Program, count: number) {
  // ids begin anew with each database, and a guest's log goes on from the last guest of its name
  yield* Effect.forEach(Lab.status.hosts, ({ name }) =>
    Lab.onHost(name, "find", "/var/log/libvirt/qemu", "-name", "vm-*.serial.log", "-delete")
  )
  const made = yield* Effect.forEach(
    Array.from({ length: count }, (_, i) => `guest${i}`),
    (name) => Client.create(program, name),
    { concurrency: "unbounded" }
  )
  return yield* Effect.forEach(
    made,
    Effect.fnUntraced(function* ({ error, vmid }) {
      assert.isAbove(vmid, 0, error)
      const host = yield* Client.hostOf(program, vmid)
      yield* Client.guestReady(host, vmid)
      return { vmid, host }
    }),
    { concurrency: "unbounded" }
  )
})

const newVolume = Effect.fnUntraced(function* (program: Program, name: string, size = 1) {
  const { error, volumeid } = yield* Client.createVolume(program, name, size)
  assert.isAbove(volumeid, 0, error)
  return volumeid
})

const gibibyte = 1024 ** 3

describe("volumes in Ceph", () => {
  it.scopedLive(
    "a pattern goes from one guest to another on another host, into clones, and comes back from the trash",
    () =>
      Effect.gen(function* () {
        const program = yield* start(yield* Client.database)
        const [one, two] = yield* bootedVms(program, 2)
        assert(one !== undefined && two !== undefined)
        assert.notStrictEqual(one.host, two.host)
        const volume = yield* newVolume(program, "data")
        const serial = `volume-${volume}`
        assert.deepStrictEqual(yield* Client.volume(program, volume), {
          volumeid: volume,
          name: "data",
          size: 1,
          status: "available"
        })

        yield* Client.succeed(program, `/volume/attach?vmid=${one.vmid}&volumeid=${volume}`)
        assert.deepInclude(yield* Client.volume(program, volume), { status: "attached", vmid: one.vmid })
        // within a second of the answer
        yield* Lab.eventually(
          "the guest sees it",
          Client.guestLog(one.host, one.vmid),
          (log) => log.includes(`GUEST DISK + vdb size=${gibibyte} serial=${serial}`),
          "2 seconds"
        )
        yield* Client.pattern(one.host, one.vmid, volume, "write 11 8")
        yield* Client.agree(program)

        const snapshot = yield* program.get(`/snapshot/create?volumeid=${volume}&name=before`)
        assert.strictEqual(snapshot["snapshotid"], 1, JSON.stringify(snapshot))
        yield* Client.pattern(one.host, one.vmid, volume, "write 22 1")

        yield* Client.succeed(program, `/volume/grow?volumeid=${volume}&size=2`)
        yield* Lab.eventually(
          "the guest sees the new size",
          Client.guestLog(one.host, one.vmid),
          (log) => log.includes(`GUEST DISK = vdb size=${2 * gibibyte} serial=${serial}`),
          "5 seconds"
        )
        assert.deepInclude(yield* Client.volume(program, volume), { size: 2 })
        const running = yield* Client.act(program, "/volume/revert?snapshotid=1")
        assert.match(running.error ?? "", /cannot be reverted while vmid \d+ runs with it: stop the VM or detach/)

        yield* Client.succeed(program, `/volume/detach?volumeid=${volume}`)
        yield* Lab.eventually(
          "the guest has lost it",
          Client.guestLog(one.host, one.vmid),
          (log) => log.includes(`GUEST DISK - vdb`),
          "5 seconds"
        )
        assert.deepInclude(yield* Client.volume(program, volume), { status: "available" })
        yield* Client.agree(program)

        yield* Client.succeed(program, `/volume/attach?vmid=${two.vmid}&volumeid=${volume}`)
        yield* Client.pattern(two.host, two.vmid, volume, "check 22 1")
        yield* Client.pattern(two.host, two.vmid, volume, "check 11 7 1")
        const held = yield* Client.act(program, `/volume/destroy?volumeid=${volume}`)
        assert.deepStrictEqual(held, {
          status: 0,
          error: `volumeid : ${volume} is attached to vmid ${two.vmid}: detach it first`
        })

        // the clone has what the snapshot had, and goes to another guest
        const clone = yield* program.get("/volume/clone?snapshotid=1&name=clone")
        assert.isAbove(Number(clone["volumeid"]), volume, JSON.stringify(clone))
        yield* Client.succeed(program, `/volume/attach?vmid=${one.vmid}&volumeid=${String(clone["volumeid"])}`)
        yield* Client.pattern(one.host, one.vmid, Number(clone["volumeid"]), "check 11 8")
        yield* Client.agree(program)
        yield* Client.succeed(program, `/volume/detach?volumeid=${String(clone["volumeid"])}`)

        // reverted it is as it was, also in size
        yield* Client.succeed(program, `/volume/detach?volumeid=${volume}`)
        yield* Client.succeed(program, "/volume/revert?snapshotid=1")
        assert.deepInclude(yield* Client.volume(program, volume), { size: 1 })
        yield* Client.succeed(program, `/volume/attach?vmid=${two.vmid}&volumeid=${volume}`)
        yield* Client.pattern(two.host, two.vmid, volume, "check 11 8")
        yield* Client.succeed(program, `/volume/detach?volumeid=${volume}`)

        // needed by its clone it stays; after that it can go, and be had back
        const needed = yield* Client.act(program, `/volume/destroy?volumeid=${volume}`)
        assert.match(needed.error ?? "", /has snapshot 1 \(before\), from which volumeid \d+ \(clone\) was made/)
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
    300_000
  )

  it.scopedLive(
    "50 volumes created, attached and detached at once over 10 VMs: Ceph, QEMU and inventory agree",
    () =>
      Effect.gen(function* () {
        const program = yield* start(yield* Client.database)
        const vms = yield* bootedVms(program, 10)
        const volumes = yield* Effect.forEach(
          Array.from({ length: 50 }, (_, i) => `v${i}`),
          (name) => newVolume(program, name),
          { concurrency: "unbounded" }
        )
        yield* Effect.forEach(
          volumes,
          (id, i) => Client.succeed(program, `/volume/attach?vmid=${vms[i % 10]!.vmid}&volumeid=${id}`),
          { concurrency: "unbounded" }
        )
        yield* Client.agree(program)
        for (const { host, vmid } of vms) {
          yield* Lab.eventually(
            `vm-${vmid} sees five`,
            Client.guestLog(host, vmid),
            (text) => (text.match(/GUEST DISK \+/g) ?? []).length === 5,
            // ten emulated guests share what processors there are
            "180 seconds"
          )
        }
        yield* Effect.forEach(volumes, (id) => Client.succeed(program, `/volume/detach?volumeid=${id}`), {
          concurrency: "unbounded"
        })
        yield* Client.agree(program)
        yield* Client.cleanUp(program)
      }),
    480_000
  )

  it.scopedLive(
    "two VMs ask for one volume at once, again and again: one gets it each time, and no guest's data is touched",
    () =>
      Effect.gen(function* () {
        const program = yield* start(yield* Client.database)
        const [one, two] = yield* bootedVms(program, 2)
        assert(one !== undefined && two !== undefined)
        const volume = yield* newVolume(program, "wanted")
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
            /is attached to vmid \d+: detach it first/
          )
          // what the last owner wrote is there, and nothing else
          const checked = round === 0 ? [] : [`check ${round} 1`]
          yield* Client.pattern(host, vmid, volume, ...checked, `write ${round + 1} 1`)
          yield* Client.succeed(program, `/volume/detach?volumeid=${volume}`)
        }
        yield* Client.agree(program)
        yield* Client.cleanUp(program)
      }),
    600_000
  )

  it.scopedLive(
    "the OSD dies under creates and attaches and comes back: all end, as done or as clear errors, and nothing is left over",
    () =>
      Effect.gen(function* () {
        const program = yield* start(yield* Client.database)
        const [one] = yield* bootedVms(program, 1)
        assert(one !== undefined)
        const ready = yield* Effect.forEach([0, 1, 2], (i) => newVolume(program, `ready${i}`))
        yield* Effect.addFinalizer(() => Effect.orDie(Lab.lab("start-osd")))
        const paths = [
          ...ready.map((id) => `/volume/attach?vmid=${one.vmid}&volumeid=${id}`),
          ...Array.from({ length: 6 }, (_, i) => `/volume/create?name=more${i}&size=1`),
          ...Array.from({ length: 3 }, (_, i) => `/vm/create?name=more${i}&instance_type=1`)
        ]
        const open = new Set(paths)
        const work = yield* Effect.forEach(
          paths,
          (path) =>
            Effect.ensuring(
              Effect.timed(program.get(path)),
              Effect.sync(() => open.delete(path))
            ),
          { concurrency: "unbounded" }
        ).pipe(Effect.fork)
        yield* Lab.lab("stop-osd")
        const answers = yield* Fiber.join(work).pipe(
          Effect.timeoutFail({
            // an attach that has reached QEMU is given two minutes by its call's limit
            duration: "180 seconds",
            onTimeout: () => new Lab.LabError({ message: "" })
          }),
          Effect.catchTag("LabError", () =>
            Effect.flatMap(program.get("/operation/list?ended=0"), (left) => {
              const which = [...open].join(", ")
              return new Lab.LabError({ message: `still open: ${which}; unfinished: ${JSON.stringify(left)}` })
            })
          )
        )
        for (const [, answer] of answers) {
          const made = [answer["status"], answer["volumeid"], answer["vmid"]].some((value) => Number(value) > 0)
          if (!made) assert.match(String(answer["error"]), /^(Ceph pool vms|host \S+) (cannot be used|failed to)/)
        }
        // asked while it is away: refused at once, nothing is begun
        const refused = yield* Client.createVolume(program, "later")
        assert.match(refused.error ?? "", /^Ceph pool vms cannot be used: /)

        yield* Lab.lab("start-osd")
        yield* Effect.sandbox(Client.agree(program)).pipe(
          Effect.retry({ times: 60 }),
          Effect.unsandbox,
          Effect.timeout("90 seconds")
        )
        yield* newVolume(program, "again")
        // an OSD that has just come back serves some images before others: what is refused is asked for again
        yield* Effect.sandbox(Client.cleanUp(program)).pipe(
          Effect.retry({ times: 20 }),
          Effect.unsandbox,
          Effect.timeout("120 seconds")
        )
      }),
    480_000
  )
})

/** How often two VMs ask for one volume; the simulated fleet is asked 100 times. */
const rounds = 30

/** Every point at which the controller can end while it does `path`. */
const pointsOf = Effect.fnUntraced(function* (file: string, path: string) {
  const points = join(tmpdir(), `vmfabric-points-${process.pid}`)
  rmSync(points, { force: true })
  const program = yield* start(file, { entry: Crashing.entry, env: { POINTS: points } })
  const answer = yield* program.get(path)
  const reached = existsSync(points) ? readFileSync(points, "utf8").trim().split("\n") : []
  rmSync(points, { force: true })
  assert.isAbove(reached.length, 3, JSON.stringify(answer))
  // an image is looked at once; and before the first write nothing is begun, so there is nothing to finish
  return [...new Set(reached)].filter((point) => !point.startsWith("setImageContent") && !Writes.isBeginning(point))
}, Effect.scoped)

describe("kill -9 of the controller", () => {
  /**
   * Each life is armed for a point of one thing to do, and first finishes what the life before it died at. `there` and `back` undo each
   * other, so that all goes on with the same VM and volume; `wanted` is what they lead to.
   */
  const chain = Effect.fnUntraced(function* (
    file: string,
    there: { readonly path: string; readonly wanted: (program: Program) => Effect.Effect<boolean, unknown> },
    back: typeof there
  ) {
    const plan = [
      ...(yield* pointsOf(file, there.path)).map((point) => ({ point, what: there })),
      ...(yield* pointsOf(file, back.path)).map((point) => ({ point, what: back }))
    ]
    // in turn, as long as both have points; what is left over is led up to
    const queue = [plan.filter(({ what }) => what === there), plan.filter(({ what }) => what === back)] as const
    let last: typeof there = back
    const killed: Array<string> = []
    while (queue[0].length + queue[1].length > 0) {
      const side = last === back ? 0 : 1
      const due = queue[side].shift()
      const program = yield* start(file, {
        entry: Crashing.entry,
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

  const volumeIs = (id: number, status: string) => (program: Program) =>
    Effect.map(Client.volume(program, id), (found) => found.status === status)

  it.scopedLive(
    "at every step of attach and detach, of destroy and restore: the next one finishes",
    () =>
      Effect.gen(function* () {
        const file = yield* Client.database
        const { vmid, volume } = yield* Effect.gen(function* () {
          const program = yield* start(file)
          const [vm] = yield* bootedVms(program, 1)
          assert(vm !== undefined)
          return { vmid: vm.vmid, volume: yield* newVolume(program, "survivor") }
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
          "record done: before"
        ])
        const trashed = yield* chain(
          file,
          { path: `/volume/destroy?volumeid=${volume}`, wanted: volumeIs(volume, "deleted") },
          { path: `/volume/restore?volumeid=${volume}`, wanted: volumeIs(volume, "available") }
        )
        assert.includeMembers(trashed, ["record do trash done: before", "record do restore done: before"])
        yield* Client.cleanUp(yield* start(file))
      }),
    600_000
  )

  it.scopedLive(
    "at every step of creating and destroying VMs and volumes: each is whole or gone, and none is there twice",
    () =>
      Effect.gen(function* () {
        const file = yield* Client.database
        for (const what of ["vm", "volume"] as const) {
          const path = what === "vm" ? "/vm/create?name=born&instance_type=1" : "/volume/create?name=born&size=1"
          let made = 1
          const destroy = () => `/${what}/destroy?${what}id=${made}`
          const there = (program: Program, id: number) =>
            Effect.map(program.get(`/${what}/query?${what}id=${id}`), (answer) =>
              what === "vm" ? answer["error"] === undefined : answer["status"] === "available"
            )
          const creating = yield* pointsOf(file, path)
          const destroying = yield* pointsOf(file, destroy())
          for (let i = 0; i < Math.max(creating.length, destroying.length); i++) {
            made++
            for (const [point, work, wanted] of [
              [creating[i], () => path, true],
              [destroying[i], destroy, false]
            ] as const) {
              yield* Effect.gen(function* () {
                const program = yield* start(file, {
                  entry: Crashing.entry,
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
            const program = yield* start(file)
            yield* Lab.eventually("the last is gone", there(program, made), (found) => !found)
            yield* Client.agree(program)
          }).pipe(Effect.scoped)
        }
        yield* Client.cleanUp(yield* start(file))
      }),
    900_000
  )
})
