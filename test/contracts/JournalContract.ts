/** What every Journal must do. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { HostId, ImageId, OperationId, type VmId } from "../../src/domain/Ids.ts"
import { UserName } from "../../src/domain/Identity.ts"
import { Asker } from "../../src/fabric/Asker.ts"
import { Author, byItself } from "../../src/services/Author.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Journal, type OperationFilter } from "../../src/services/Journal.ts"
import { dir, fleet, type } from "../inventory/Fleet.ts"

const started = Effect.gen(function* () {
  const inventory = yield* Inventory
  const journal = yield* Journal
  yield* inventory.applyFleet(fleet)
  const begin = Effect.map(
    inventory.admit(
      { name: "web", instanceType: type(1), imageId: ImageId.make(100), disk: dir, onCrash: "leave" as const },
      () => Effect.succeed(HostId.make(1))
    ),
    ({ operation }) => operation
  )
  return { inventory, journal, begin }
})

const unknown = OperationId.make("6f1b8b52-5df1-4a43-9a3c-0d1b6f0d3a11")

export const journalContract = <E>(name: string, layer: Layer.Layer<Inventory | Journal, E>) =>
  describe(`Journal: ${name}`, () => {
    it.effect("tells the steps in the order they were first started, with their tries", () =>
      Effect.gen(function* () {
        const { begin, journal } = yield* started
        const { id } = yield* begin
        const other = yield* begin
        assert.deepStrictEqual(yield* journal.steps(id), [])
        yield* journal.record(id, { started: { phase: "do", name: "root disk" } })
        yield* journal.record(other.id, { started: { phase: "do", name: "image" } })
        yield* journal.record(id, { ended: { phase: "do", name: "root disk", state: "done" } })
        yield* journal.record(id, { started: { phase: "do", name: "define" } })
        yield* journal.record(id, { ended: { phase: "do", name: "define", state: "failed", error: "refused" } })
        yield* journal.record(id, { started: { phase: "do", name: "define" } })
        yield* journal.record(id, { started: { phase: "undo", name: "define" } })
        // started again after a restart: its place does not change
        yield* journal.record(id, { started: { phase: "do", name: "root disk" } })
        yield* journal.record(id, { ended: { phase: "do", name: "root disk", state: "done" } })
        yield* journal.record(id, { ended: { phase: "undo", name: "define", state: "failed", error: "busy" } })
        assert.deepStrictEqual(yield* journal.steps(id), [
          { phase: "do", name: "root disk", state: "done", tries: 2 },
          { phase: "do", name: "define", state: "started", tries: 2 },
          { phase: "undo", name: "define", state: "failed", tries: 1 }
        ])
        assert.strictEqual((yield* journal.steps(other.id)).length, 1)
        // the same with why they failed, also where there is another try, and when they ended
        assert.deepStrictEqual(
          (yield* journal.history(id)).map(({ endedAt, error, name, phase, startedAt, tries }) => {
            assert.isTrue(endedAt === null || endedAt >= startedAt)
            return [phase, name, tries, error, endedAt === null]
          }),
          [
            ["do", "root disk", 2, null, false],
            ["do", "define", 2, "refused", true],
            ["undo", "define", 1, "busy", false]
          ]
        )
        assert.deepStrictEqual(yield* journal.history(unknown), [])
      }).pipe(Effect.provide(layer))
    )

    it.effect("tells what has not ended, oldest first", () =>
      Effect.gen(function* () {
        const { begin, journal } = yield* started
        const operations = yield* Effect.all(Array.from({ length: 5 }, () => begin))
        const [first, second, third, fourth] = operations
        if (!first || !second || !third || !fourth) return assert.fail("five were begun")
        yield* journal.record(fourth.id, { state: { to: "running" } })
        yield* journal.record(second.id, { state: { to: "undoing", error: "the host is full" } })
        yield* journal.record(first.id, { state: { to: "done" } })
        yield* journal.record(third.id, { state: { to: "failed", error: "no" } })
        const unfinished = yield* journal.unfinished
        assert.deepStrictEqual(
          unfinished.map(({ error, state, vmId }) => [vmId, state, error]),
          [
            [second.vmId, "undoing", "the host is full"],
            [fourth.vmId, "running", null],
            [operations[4]?.vmId, "pending", null]
          ]
        )
      }).pipe(Effect.provide(layer))
    )

    it.effect("tells what each unfinished operation is about, and what else it has to know", () =>
      Effect.gen(function* () {
        const { begin, inventory, journal } = yield* started
        const ofVm = yield* begin
        const admitted = yield* inventory.admitVolume({ name: "data", size: 1, disk: dir, sourceId: null }, () =>
          Effect.succeed(HostId.make(1))
        )
        const id = admitted.volume.id
        yield* journal.record(admitted.operation.id, { state: { to: "done" } })
        const detail = { window: 90, name: "new", formerName: "data", formerHost: HostId.make(2) }
        const { operation, snapshot } = yield* inventory.changeVolume(id, null, () =>
          Effect.succeed({
            newSnapshot: { name: "monday" },
            operation: { kind: "CreateSnapshot" as const, vmId: ofVm.vmId, detail }
          })
        )
        yield* journal.record(operation!.id, { state: { to: "running" } })
        const unfinished = yield* journal.unfinished
        assert.deepStrictEqual(
          unfinished.map(({ detail, kind, snapshotId, vmId, volumeId }) => [kind, vmId, volumeId, snapshotId, detail]),
          [
            ["CreateVm", ofVm.vmId, null, null, {}],
            ["CreateSnapshot", ofVm.vmId, id, snapshot!.id, detail]
          ]
        )
      }).pipe(Effect.provide(layer))
    )

    it.effect("tells which of some VMs something is done with, on them or on a volume with them", () =>
      Effect.gen(function* () {
        const { begin, inventory, journal } = yield* started
        const operations = [yield* begin, yield* begin, yield* begin]
        const [first, second, third] = operations.map(({ vmId }) => vmId!)
        const busy = (...vms: ReadonlyArray<VmId | undefined>) =>
          Effect.map(journal.busy(vms.flatMap((id) => id ?? [])), (found) => [...found].sort((a, b) => a - b))
        assert.deepStrictEqual(yield* busy(first, third), [first, third])
        for (const { id } of operations) yield* journal.record(id, { state: { to: "done" } })
        assert.deepStrictEqual(yield* busy(first, second, third), [])
        const { operation: made, volume } = yield* inventory.admitVolume(
          { name: "data", size: 1, disk: dir, sourceId: null },
          () => Effect.succeed(HostId.make(1))
        )
        // a volume that is with no VM
        assert.deepStrictEqual(yield* busy(first, second, third), [])
        yield* journal.record(made.id, { state: { to: "done" } })
        const { operation } = yield* inventory.changeVolume(volume.id, second!, () =>
          Effect.succeed({
            state: "attaching",
            attachment: { vmId: second!, target: "vdb" },
            operation: { kind: "AttachVolume", vmId: second! }
          })
        )
        assert.deepStrictEqual(yield* busy(first, second, third), [second])
        assert.deepStrictEqual(yield* busy(first), [])
        assert.deepStrictEqual(yield* busy(), [])
        yield* journal.record(operation!.id, { state: { to: "failed" } })
        assert.deepStrictEqual(yield* busy(first, second, third), [])
      }).pipe(Effect.provide(layer))
    )

    it.effect("keeps the first error", () =>
      Effect.gen(function* () {
        const { begin, inventory, journal } = yield* started
        const { id } = yield* begin
        yield* journal.record(id, { state: { to: "undoing", error: "the first" } })
        yield* journal.record(id, { state: { to: "failed", error: "the second" } })
        const operation = Option.getOrThrow(yield* inventory.operation(id))
        assert.deepStrictEqual([operation.state, operation.error], ["failed", "the first"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("lets what has ended stay ended", () =>
      Effect.gen(function* () {
        const { begin, inventory, journal } = yield* started
        const { id } = yield* begin
        yield* journal.record(id, { state: { to: "done" } })
        yield* journal.record(id, { state: { to: "done" } })
        for (const state of ["pending", "running", "undoing", "failed"] as const) {
          assert.isTrue(Exit.isFailure(yield* Effect.exit(journal.record(id, { state: { to: state } }))), state)
        }
        assert.strictEqual(Option.getOrThrow(yield* inventory.operation(id)).state, "done")
      }).pipe(Effect.provide(layer))
    )

    it.effect("records nothing of an operation or a step that was not begun", () =>
      Effect.gen(function* () {
        const { begin, journal } = yield* started
        const { id } = yield* begin
        yield* journal.record(id, { started: { phase: "do", name: "image" } })
        const wrong = [
          journal.record(unknown, { state: { to: "running" } }),
          journal.record(unknown, { started: { phase: "do", name: "image" } }),
          journal.record(unknown, { ended: { phase: "do", name: "image", state: "done" } }),
          journal.record(id, { ended: { phase: "undo", name: "image", state: "done" } }),
          journal.record(id, { ended: { phase: "do", name: "define", state: "failed", error: "no" } })
        ]
        for (const effect of wrong) assert.isTrue(Exit.isFailure(yield* Effect.exit(effect)))
        assert.deepStrictEqual(yield* journal.steps(unknown), [])
        assert.deepStrictEqual(yield* journal.steps(id), [{ phase: "do", name: "image", state: "started", tries: 1 }])
      }).pipe(Effect.provide(layer))
    )

    it.effect("records an entry whole: what ended, what it is now, and what begins", () =>
      Effect.gen(function* () {
        const { begin, inventory, journal } = yield* started
        const { id } = yield* begin
        yield* journal.record(id, { state: { to: "running" }, started: { phase: "do", name: "image" } })
        yield* journal.record(id, {
          ended: { phase: "do", name: "image", state: "done" },
          started: { phase: "do", name: "define" }
        })
        yield* journal.record(id, {
          ended: { phase: "do", name: "define", state: "failed", error: "refused" },
          state: { to: "undoing", error: "refused" },
          started: { phase: "undo", name: "define" }
        })
        yield* journal.record(id, {})
        assert.deepStrictEqual(yield* journal.steps(id), [
          { phase: "do", name: "image", state: "done", tries: 1 },
          { phase: "do", name: "define", state: "failed", tries: 1 },
          { phase: "undo", name: "define", state: "started", tries: 1 }
        ])
        const operation = Option.getOrThrow(yield* inventory.operation(id))
        assert.deepStrictEqual([operation.state, operation.error, operation.ended], ["undoing", "refused", false])
      }).pipe(Effect.provide(layer))
    )

    it.effect("records nothing of an entry of which one part cannot be", () =>
      Effect.gen(function* () {
        const { begin, inventory, journal } = yield* started
        const { id } = yield* begin
        const other = yield* begin
        yield* journal.record(other.id, { state: { to: "done" } })
        yield* journal.record(id, { started: { phase: "do", name: "image" } })
        const done = { phase: "do", name: "image", state: "done" } as const
        const define = { phase: "do", name: "define" } as const
        const wrong = [
          journal.record(id, { ended: { ...done, name: "define" }, state: { to: "running" }, started: define }),
          journal.record(other.id, { state: { to: "running" }, started: define }),
          journal.record(unknown, { state: { to: "running" }, started: define }),
          journal.record(unknown, { started: define })
        ]
        // beside others that share their commit
        yield* Effect.all(
          [
            ...wrong.map((effect) => Effect.map(Effect.exit(effect), (exit) => assert.isTrue(Exit.isFailure(exit)))),
            journal.record(id, { ended: done })
          ],
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(yield* journal.steps(id), [{ ...done, tries: 1 }])
        assert.deepStrictEqual(yield* journal.steps(other.id), [])
        assert.deepStrictEqual(yield* journal.steps(unknown), [])
        assert.strictEqual(Option.getOrThrow(yield* inventory.operation(id)).state, "pending")
        assert.strictEqual(Option.getOrThrow(yield* inventory.operation(other.id)).state, "done")
      }).pipe(Effect.provide(layer))
    )

    it.effect("tells when an operation was begun and when it ended", () =>
      Effect.gen(function* () {
        const { begin, inventory, journal } = yield* started
        yield* TestClock.setTime(5000)
        const operation = yield* begin
        assert.deepStrictEqual([operation.createdAt, operation.finishedAt], [5000, null])
        yield* TestClock.setTime(6000)
        yield* journal.record(operation.id, { state: { to: "done" } })
        yield* TestClock.setTime(7000)
        yield* journal.record(operation.id, { state: { to: "done" } })
        const ended = Option.getOrThrow(yield* inventory.operation(operation.id))
        assert.deepStrictEqual([ended.createdAt, ended.finishedAt, ended.ended], [5000, 6000, true])
      }).pipe(Effect.provide(layer))
    )

    it.effect("keeps who an operation is by, and lists those of one user", () =>
      Effect.gen(function* () {
        const { begin, inventory, journal } = yield* started
        const ada = UserName.make("ada")
        const nobodys = yield* begin
        const owners = yield* Effect.provideService(begin, Asker, ada)
        const byToken = yield* begin.pipe(
          Effect.provideService(Asker, UserName.make("bob")),
          Effect.provideService(Author, { user: ada, token: "nightly", cause: null })
        )
        const own = yield* byItself("it was time")(begin)
        const [vmId, other] = [owners.vmId!, byToken.vmId!]
        // where the writer runs the body itself it is known, too
        for (const { id } of [owners, byToken]) yield* journal.record(id, { state: { to: "done" } })
        yield* inventory.setVmState(vmId, "running")
        yield* inventory.setVmState(other, "running")
        const started2 = yield* Effect.provideService(inventory.beginOnVm(vmId, "RebootVm"), Asker, ada)
        const told = yield* inventory
          .changeCloudInit(other, (before) => Effect.succeed(before))
          .pipe(byItself("it had to be"))
        const of = ({ cause, token, user }: { readonly [Name in "user" | "token" | "cause"]: string | null }) => [
          user,
          token,
          cause
        ]
        const expected = [
          [nobodys, [null, null, null]],
          [owners, ["ada", null, null]],
          [byToken, ["ada", "nightly", null]],
          [own, [null, null, "it was time"]],
          [started2, ["ada", null, null]],
          [told, [null, null, "it had to be"]]
        ] as const
        for (const [operation, by] of expected) {
          assert.deepStrictEqual(of(operation), [...by])
          assert.deepStrictEqual(of(Option.getOrThrow(yield* inventory.operation(operation.id))), [...by])
        }
        const listed = (filter: Partial<OperationFilter>) =>
          Effect.map(journal.list({ limit: 100, ...filter }), (operations) => operations.map(({ id }) => id))
        assert.deepStrictEqual(yield* listed({ user: ada }), [started2.id, byToken.id, owners.id])
        assert.deepStrictEqual(yield* listed({ user: ada, before: byToken.id }), [owners.id])
        assert.deepStrictEqual(yield* listed({ user: ada, vmId, kind: "RebootVm" }), [started2.id])
        assert.deepStrictEqual(yield* listed({ user: UserName.make("bob") }), [])
      }).pipe(Effect.provide(layer))
    )

    it.effect("asks what still goes forward to be cancelled, and nothing else", () =>
      Effect.gen(function* () {
        const { begin, inventory, journal } = yield* started
        assert.deepStrictEqual(yield* journal.askCancel(unknown), Option.none())
        for (const state of ["pending", "running", "undoing", "done", "failed"] as const) {
          const { id } = yield* begin
          if (state !== "pending") yield* journal.record(id, { state: { to: state } })
          const asked = yield* journal.askCancel(id)
          const { cancelAsked, state: now } = Option.getOrThrow(asked)
          assert.deepStrictEqual([now, cancelAsked], [state, state === "pending" || state === "running"])
          assert.deepStrictEqual(yield* journal.askCancel(id), asked)
          assert.deepStrictEqual(yield* inventory.operation(id), asked)
        }
      }).pipe(Effect.provide(layer))
    )

    it.effect("tells unfinished operations as they have become since it was last asked", () =>
      Effect.gen(function* () {
        const { begin, journal } = yield* started
        const { id } = yield* begin
        const now = Effect.map(journal.unfinished, (all) =>
          all.map(({ cancelAsked, error, state }) => [state, error, cancelAsked])
        )
        assert.deepStrictEqual(yield* now, [["pending", null, false]])
        yield* journal.record(id, { state: { to: "running" } })
        assert.deepStrictEqual(yield* now, [["running", null, false]])
        yield* journal.askCancel(id)
        assert.deepStrictEqual(yield* now, [["running", null, true]])
        yield* journal.record(id, { state: { to: "undoing", error: "no" } })
        assert.deepStrictEqual(yield* now, [["undoing", "no", true]])
        yield* journal.record(id, { state: { to: "failed" } })
        assert.deepStrictEqual(yield* now, [])
      }).pipe(Effect.provide(layer))
    )

    it.effect("lists the newest first, of one VM or volume, ended or not, and no more than was asked for", () =>
      Effect.gen(function* () {
        const { begin, inventory, journal } = yield* started
        const first = yield* begin
        const second = yield* begin
        const { operation: third, volume } = yield* inventory.admitVolume(
          { name: "data", size: 1, disk: dir, sourceId: null },
          () => Effect.succeed(HostId.make(1))
        )
        yield* journal.record(third.id, { state: { to: "done" } })
        yield* journal.record(first.id, { state: { to: "failed", error: "no" } })
        const vmId = first.vmId!
        const { operation: fourth } = yield* inventory.changeVolume(volume.id, vmId, () =>
          Effect.succeed({
            state: "attaching",
            attachment: { vmId, target: "vdb" },
            operation: { kind: "AttachVolume", vmId }
          })
        )
        const listed = (filter: Partial<OperationFilter>) =>
          Effect.map(journal.list({ limit: 100, ...filter }), (operations) => operations.map(({ id }) => id))
        const [a, b, c, d] = [first.id, second.id, third.id, fourth!.id]
        assert.deepStrictEqual(yield* listed({}), [d, c, b, a])
        assert.deepStrictEqual(yield* listed({ before: c }), [b, a])
        assert.deepStrictEqual(yield* listed({ before: a }), [])
        assert.deepStrictEqual(yield* listed({ before: d, limit: 2 }), [c, b])
        assert.deepStrictEqual(yield* listed({ kind: "CreateVm" }), [b, a])
        assert.deepStrictEqual(yield* listed({ kind: "RevertVolume" }), [])
        assert.deepStrictEqual(yield* listed({ state: "pending" }), [d, b])
        assert.deepStrictEqual(yield* listed({ state: "failed" }), [a])
        assert.deepStrictEqual(yield* listed({ state: "done", kind: "CreateVolume", volumeId: volume.id }), [c])
        assert.deepStrictEqual(yield* listed({ limit: 3 }), [d, c, b])
        assert.deepStrictEqual(yield* listed({ limit: 0 }), [])
        assert.deepStrictEqual(yield* listed({ ended: true }), [c, a])
        assert.deepStrictEqual(yield* listed({ ended: false, limit: 1 }), [d])
        assert.deepStrictEqual(yield* listed({ vmId }), [d, a])
        assert.deepStrictEqual(yield* listed({ vmId, ended: true }), [a])
        assert.deepStrictEqual(yield* listed({ volumeId: volume.id }), [d, c])
        assert.deepStrictEqual(yield* listed({ volumeId: volume.id, vmId, ended: false }), [d])
        assert.deepStrictEqual(yield* listed({ vmId: second.vmId!, ended: true }), [])
        const [attach] = yield* journal.list({ limit: 1 })
        assert.deepStrictEqual(attach, fourth)
      }).pipe(Effect.provide(layer))
    )

    it.effect("keeps the steps of many operations apart that are written at once", () =>
      Effect.gen(function* () {
        const { begin, journal } = yield* started
        const operations = yield* Effect.all(Array.from({ length: 40 }, () => begin))
        const names = ["image", "root disk", "define", "start"]
        yield* Effect.forEach(
          operations,
          ({ id }) =>
            Effect.forEach(names, (step) =>
              Effect.zipRight(
                journal.record(id, { started: { phase: "do", name: step } }),
                journal.record(id, { ended: { phase: "do", name: step, state: "done" } })
              )
            ),
          { concurrency: "unbounded" }
        )
        for (const { id } of operations) {
          assert.deepStrictEqual(
            yield* journal.steps(id),
            names.map((step) => ({ phase: "do", name: step, state: "done", tries: 1 }) as const)
          )
        }
      }).pipe(Effect.provide(layer))
    )
  })
