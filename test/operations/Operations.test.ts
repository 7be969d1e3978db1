/**
 * Many operations at once, on hosts of which some do not answer: taking up, cancelling, telling.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as OperationsLive from "../../layers/OperationsLive.ts"
import { usual } from "../../src/domain/CloudInit.ts"
import * as Errors from "../../src/domain/Errors.ts"
import { defaultConfig, Host } from "../../src/domain/Host.ts"
import * as Ids from "../../src/domain/Ids.ts"
import * as Nic from "../../src/domain/Nic.ts"
import { Image } from "../../src/domain/Image.ts"
import { Operation, type OperationKind } from "../../src/domain/Operation.ts"
import { Vm } from "../../src/domain/Vm.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { Hypervisor } from "../../src/services/Hypervisor.ts"
import { ImageLibrary } from "../../src/services/ImageLibrary.ts"
import { ImageStore } from "../../src/services/ImageStore.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import * as Paced from "../../src/observability/Paced.ts"
import { Journal, type StepRecord } from "../../src/services/Journal.ts"
import { Operations } from "../../src/services/Operations.ts"
import { StepProgress } from "../../src/services/StepProgress.ts"
import { Storage } from "../../src/services/Storage.ts"
import { driverWith } from "./Driver.ts"

const idOf = (n: number) => Ids.OperationId.make(`6f1f3a52-2a0c-4b0e-9d7a-${String(n).padStart(12, "0")}`)

/** On a host that takes what it is given, one that takes it and never answers, and one that the monitor says is down. */
const hosts = { good: 1, hung: 2, down: 3 } as const
type Where = keyof typeof hosts

interface Row {
  operation: Operation
  readonly steps: Array<{ -readonly [K in keyof StepRecord]: StepRecord[K] }>
}

/** Operation `n` is about VM `n`. */
const make = (
  given: ReadonlyArray<{ readonly kind: OperationKind; readonly where: Where }>,
  image: Effect.Effect<void> = Effect.void
) => {
  const rows = new Map<Ids.OperationId, Row>()
  const where = new Map<number, Where>()
  given.forEach(({ kind, where: on }, index) => {
    const n = index + 1
    where.set(n, on)
    const operation = new Operation({
      id: idOf(n),
      kind,
      vmId: Ids.VmId.make(n),
      volumeId: null,
      snapshotId: null,
      detail: {},
      state: "pending",
      error: null,
      cancelAsked: false,
      createdAt: 0,
      finishedAt: null
    })
    rows.set(operation.id, { operation, steps: [] })
  })
  const set = (id: Ids.OperationId, change: Partial<Operation>) => {
    const row = rows.get(id)!
    row.operation = new Operation({ ...row.operation, ...change })
  }
  const began: Array<string> = []
  let loading = 0
  let mostLoading = 0
  const isUp = Deferred.unsafeMake<void>(FiberId.none)

  const call = (what: string) => (host: Host, domain: { readonly domainName: string }) =>
    Effect.suspend(() => {
      began.push(`${what} ${domain.domainName}`)
      return host.id === hosts.hung ? Effect.never : Effect.void
    })
  const ofDisk = { _tag: "File", path: "/disk", format: "qcow2", serial: "vm" } as const
  const driver = driverWith({
    ensureImage: () => image,
    createRoot: () => Effect.succeed(ofDisk),
    writeSeed: () => Effect.succeed(ofDisk),
    describeSeed: () => Effect.succeed(ofDisk),
    deleteSeed: () => Effect.void,
    deleteRoot: (_, vmId) => Effect.sync(() => void began.push(`delete root vm-${vmId}`))
  })
  const layer = Layer.mergeAll(
    Layer.mock(Inventory, {
      operation: (id) => Effect.sync(() => Option.map(Option.fromNullable(rows.get(id)), ({ operation }) => operation)),
      cloudInit: () => Effect.succeed(usual),
      vmRecord: (id) =>
        Effect.gen(function* () {
          mostLoading = Math.max(mostLoading, ++loading)
          yield* Effect.yieldNow()
          loading--
          return new Vm({
            id,
            uuid: Ids.DomainUuid.make("00112233-4455-6677-8899-aabbccddeeff"),
            name: "web",
            instanceType: Ids.InstanceTypeId.make(1),
            imageId: Ids.ImageId.make(100),
            hostId: Ids.HostId.make(hosts[where.get(id)!]),
            resources: { cpu: 1, ram: 512, disk: 1 },
            driver: "dir",
            nics: [Nic.usual("52:54:00:00:00:01")],
            state: "running",
            onCrash: "leave",
            applied: null
          })
        }),
      host: (id) =>
        Effect.succeed({
          host: new Host({
            id,
            config: defaultConfig({ user: "root", host: `h${id}`, port: 22 }),
            facts: null,
            maintenance: false
          }),
          promised: { cpu: 0, ram: 0, disk: 0 },
          vms: 0
        }),
      image: (id) =>
        Effect.succeed(new Image({ id, config: { name: "test", source: { host: null, path: "/a" } }, content: null })),
      setVmState: () => Effect.void,
      setVmPower: () => Effect.void
    }),
    Layer.succeed(
      Journal,
      Journal.of({
        unfinished: Effect.sync(() =>
          [...rows.values()].map(({ operation }) => operation).filter(({ ended }) => !ended)
        ),
        busy: () => Effect.succeed(new Set()),
        steps: (id) => Effect.sync(() => rows.get(id)!.steps.map((step) => ({ ...step }))),
        history: () => Effect.succeed([]),
        record: (id, { ended, started, state }, also = Effect.void) =>
          Effect.andThen(also, () => {
            const { operation, steps } = rows.get(id)!
            for (const step of steps) {
              if (step.phase === ended?.phase && step.name === ended.name) step.state = ended.state
            }
            if (state !== undefined) set(id, { state: state.to, error: operation.error ?? state.error ?? null })
            if (started !== undefined) steps.push({ ...started, state: "started", tries: 1 })
          }),
        askCancel: (id) =>
          Effect.sync(() => {
            const row = rows.get(id)
            if (row === undefined) return Option.none()
            if (["pending", "running"].includes(row.operation.state)) set(id, { cancelAsked: true })
            return Option.some(row.operation)
          }),
        list: ({ limit }) =>
          Effect.sync(() =>
            [...rows.values()]
              .toReversed()
              .slice(0, limit)
              .map((row) => row.operation)
          )
      })
    ),
    Layer.mock(HostMonitor, {
      awaitUp: (id) => (id === hosts.down ? Deferred.await(isUp) : Effect.void),
      check: (id) =>
        Effect.flatMap(Deferred.isDone(isUp), (up) =>
          id === hosts.down && !up ? new Errors.HostUnreachable({ host: "root@h3", reason: "no route" }) : Effect.void
        ),
      suspect: () => Effect.void
    }),
    Layer.mock(Hypervisor, {
      define: call("define"),
      start: call("start"),
      power: () => Effect.succeedNone,
      powerOff: call("power off"),
      undefine: call("undefine"),
      status: () => Effect.succeed(Option.some({ state: "running", operationId: null }))
    }),
    Layer.mock(ImageStore, {}),
    Layer.mock(ImageLibrary, {}),
    Layer.succeed(
      Storage,
      Storage.of({ prepare: () => Effect.succeed({ capacity: 0 }), preferred: driver, driver: () => driver })
    ),
    Logger.minimumLogLevel(LogLevel.None)
  )
  return {
    rows,
    set,
    began,
    ports: layer,
    layer: Layer.provide(OperationsLive.layer, layer),
    /** An earlier process has begun it, and that step of it. */
    begun: (id: Ids.OperationId, name: string) => {
      set(id, { state: "running" })
      rows.get(id)!.steps.push({ phase: "do", name, state: "started", tries: 1 })
    },
    hostComesBack: Deferred.succeed(isUp, undefined),
    mostLoading: () => mostLoading,
    states: (from: number, to: number) => {
      const found = [...rows.values()].slice(from, to).map(({ operation }) => operation.state)
      return Object.fromEntries([...new Set(found)].map((state) => [state, found.filter((s) => s === state).length]))
    }
  }
}

const many = (length: number, kind: OperationKind, where: Where = "good") =>
  Array.from({ length }, () => ({ kind, where }))

/** What is ready to be done without the clock going on is done, also what leaves the event loop to others in between. */
const settle = Effect.repeatN(Effect.zipRight(Paced.others, TestClock.adjust(0)), 100)

describe("what an earlier process left unfinished", () => {
  it.effect("is taken up in the background: 990 end, though 10 are on a host that never answers", () =>
    Effect.gen(function* () {
      for (const [kind, where] of [
        ["StartVm", "hung"],
        ["DestroyVm", "hung"],
        ["DestroyVm", "down"]
      ] as const) {
        const world = make([...many(10, kind, where), ...many(990, "StartVm")])
        yield* Effect.gen(function* () {
          const operations = yield* Operations
          assert.strictEqual(yield* operations.resume, 1000)
          yield* settle
          yield* settle
          assert.deepStrictEqual(world.states(0, 10), { running: 10 })
          assert.deepStrictEqual(world.states(10, 1000), { done: 990 })
        }).pipe(Effect.provide(world.layer))
      }
    })
  )

  it.effect("gives the number at once, before anything was done", () =>
    Effect.gen(function* () {
      const world = make(many(100, "StartVm"))
      yield* Effect.gen(function* () {
        const operations = yield* Operations
        assert.strictEqual(yield* operations.resume, 100)
        assert.deepStrictEqual(world.began, [])
        yield* settle
        assert.deepStrictEqual(world.states(0, 100), { done: 100 })
        assert.deepStrictEqual(yield* operations.resume, 0)
      }).pipe(Effect.provide(world.layer))
    })
  )

  it.effect("is taken up oldest first, so many at a time", () =>
    Effect.gen(function* () {
      const world = make(many(1000, "StartVm"))
      yield* Effect.gen(function* () {
        const operations = yield* Operations
        yield* operations.resume
        // who asks for something meanwhile is answered before all of it has been begun with
        yield* Effect.zipRight(Paced.others, Paced.others)
        assert.isAbove(world.began.length, 0)
        assert.isBelow(world.began.length, 100)
        yield* settle
        assert.deepStrictEqual(
          world.began,
          Array.from({ length: 1000 }, (_, index) => `start vm-${index + 1}`)
        )
        assert.isAtMost(world.mostLoading(), 256)
        assert.isAbove(world.mostLoading(), 8)
      }).pipe(Effect.provide(world.layer))
    })
  )

  it.effect("is not held up by hosts that hang: those give their places away after some seconds", () =>
    Effect.gen(function* () {
      const world = make([...many(300, "StartVm", "hung"), ...many(10, "StartVm")])
      yield* Effect.gen(function* () {
        yield* Effect.flatMap(Operations, (operations) => operations.resume)
        yield* settle
        assert.deepStrictEqual(world.states(300, 310), { pending: 10 })
        yield* TestClock.adjust("6 seconds")
        assert.deepStrictEqual(world.states(300, 310), { done: 10 })
      }).pipe(Effect.provide(world.layer))
    })
  )

  it.effect("goes on at once when somebody waits for it, and is driven once", () =>
    Effect.gen(function* () {
      const world = make([...many(100, "StartVm", "hung"), ...many(1, "StartVm")])
      yield* Effect.gen(function* () {
        const operations = yield* Operations
        yield* operations.resume
        // all places are taken by those that hang
        yield* operations.await(idOf(101))
        assert.deepStrictEqual(world.states(100, 101), { done: 1 })
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(world.began.filter((one) => one === "start vm-101").length, 1)
      }).pipe(Effect.provide(world.layer))
    })
  )

  it.effect("stays as it is when the process stops again", () =>
    Effect.gen(function* () {
      const world = make([...many(3, "StartVm", "hung"), ...many(3, "DestroyVm", "down")])
      yield* Effect.gen(function* () {
        yield* Effect.flatMap(Operations, (operations) => operations.resume)
        yield* settle
      }).pipe(Effect.provide(world.layer))
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(world.states(0, 6), { running: 6 })
    })
  )
})

describe("cancelling", () => {
  it.effect("stops an operation that sends an image at once, and tells who waits", () =>
    Effect.gen(function* () {
      const world = make(many(1, "CreateVm"), Effect.never)
      yield* Effect.gen(function* () {
        const operations = yield* Operations
        const waiting = yield* Effect.fork(Effect.flip(operations.await(idOf(1))))
        yield* settle
        const asked = yield* operations.cancel(idOf(1))
        assert.deepInclude(asked, { state: "running", cancelAsked: true })
        const error = yield* Fiber.join(waiting)
        assert.deepInclude(error, { _tag: "OperationFailed", undone: true, unreachableHost: null })
        assert.strictEqual(error.message, "it was cancelled")
        assert.deepInclude(world.rows.get(idOf(1))!.operation, { state: "failed", error: "it was cancelled" })
        assert.deepStrictEqual(world.began, [])
      }).pipe(Effect.provide(world.layer))
    })
  )

  it.effect("is fine more than once, until it has ended", () =>
    Effect.gen(function* () {
      const world = make(many(1, "CreateVm", "down"))
      world.begun(idOf(1), "root disk")
      yield* Effect.gen(function* () {
        const operations = yield* Operations
        yield* operations.cancel(idOf(1))
        yield* settle
        // its undo waits for the host
        assert.deepInclude(yield* operations.cancel(idOf(1)), { state: "undoing", cancelAsked: true })
        const waiting = yield* Effect.fork(Effect.flip(operations.await(idOf(1))))
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(
          (yield* Fiber.join(waiting)).message,
          "it was cancelled; what it began is removed when the host answers again, or is declared lost"
        )
        yield* world.hostComesBack
        yield* settle
        assert.deepStrictEqual(world.began, ["delete root vm-1"])
        const late = yield* Effect.flip(operations.cancel(idOf(1)))
        assert.strictEqual(late.message, `operation ${idOf(1)} cannot be cancelled: it has ended`)
      }).pipe(Effect.provide(world.layer))
    })
  )

  it.effect("takes up what nobody drives, to undo it", () =>
    Effect.gen(function* () {
      const world = make(many(1, "CreateVm"))
      world.begun(idOf(1), "root disk")
      yield* Effect.gen(function* () {
        const operations = yield* Operations
        yield* operations.cancel(idOf(1))
        yield* settle
        assert.deepStrictEqual(world.began, ["delete root vm-1"])
        assert.deepStrictEqual(world.states(0, 1), { failed: 1 })
      }).pipe(Effect.provide(world.layer))
    })
  )

  it.effect("is refused, with the reason, where it is too late or there is no way back", () =>
    Effect.gen(function* () {
      const world = make([...many(2, "CreateVm"), ...many(1, "DestroyVm", "down"), ...many(1, "CreateVm")])
      world.set(idOf(1), { state: "done" })
      world.set(idOf(2), { state: "undoing", error: "no memory" })
      yield* Effect.gen(function* () {
        const operations = yield* Operations
        const refused = (n: number) => Effect.map(Effect.flip(operations.cancel(idOf(n))), ({ message }) => message)
        assert.match(yield* refused(1), /cannot be cancelled: it has ended$/)
        assert.match(yield* refused(2), /cannot be cancelled: it has failed and is being undone already$/)
        assert.match(
          yield* refused(3),
          /cannot be cancelled: a DestroyVm only goes forward, for what it has begun cannot be taken back$/
        )
        assert.isFalse(world.rows.get(idOf(3))!.operation.cancelAsked)
        assert.match(yield* refused(5), /^operation .* does not exist$/)
        assert.deepStrictEqual(world.began, [])
      }).pipe(Effect.provide(world.layer))
    })
  )

  it.effect("is refused where the operation came to its end in between", () =>
    Effect.gen(function* () {
      const world = make(many(1, "CreateVm"))
      const ends = Layer.mock(Journal, {
        askCancel: (id) =>
          Effect.sync(() => {
            world.set(id, { state: "done" })
            return Option.some(world.rows.get(id)!.operation)
          })
      })
      yield* Effect.gen(function* () {
        const error = yield* Effect.flip(Effect.flatMap(Operations, (operations) => operations.cancel(idOf(1))))
        assert.strictEqual(error._tag, "NotCancellable")
      }).pipe(Effect.provide(Layer.provide(OperationsLive.layer, Layer.merge(world.ports, ends))))
    })
  )
})

describe("what is told of operations", () => {
  it.effect("is the row, with how far it is while it is driven", () =>
    Effect.gen(function* () {
      const percent = Effect.flatMap(StepProgress, ({ tell }) => tell(42))
      const sending = Effect.zipRight(percent, Effect.never)
      const world = make([...many(1, "CreateVm"), ...many(1, "DestroyVm", "down"), ...many(2, "StartVm")], sending)
      yield* Effect.gen(function* () {
        const operations = yield* Operations
        for (const n of [1, 2, 3]) yield* operations.start(world.rows.get(idOf(n))!.operation)
        yield* settle
        const progress = (n: number) => Effect.map(operations.report(idOf(n)), (report) => report.progress)
        assert.deepStrictEqual(yield* progress(1), {
          phase: "do",
          step: "image",
          description: "Send image 100 (test) to where root@h1 uses it, unless it is there.",
          number: 1,
          of: 6,
          percent: 42,
          tries: 1,
          waiting: null
        })
        assert.deepStrictEqual(yield* progress(2), {
          phase: "do",
          step: "power off",
          description: "Take the power from vm-2.",
          number: 1,
          of: 4,
          percent: null,
          tries: 0,
          waiting: "host root@h3 does not answer: no route"
        })
        // one has ended, one was not taken up
        assert.isNull(yield* progress(3))
        assert.isNull(yield* progress(4))
        assert.strictEqual((yield* operations.report(idOf(3))).operation.state, "done")
        const newest = yield* operations.list({ limit: 3 })
        assert.deepStrictEqual(
          newest.map(({ operation, progress }) => [operation.id, progress?.step ?? null]),
          [
            [idOf(4), null],
            [idOf(3), null],
            [idOf(2), "power off"]
          ]
        )
        assert.strictEqual((yield* Effect.flip(operations.report(idOf(9))))._tag, "OperationNotFound")
      }).pipe(Effect.provide(world.layer))
    })
  )

  it.effect("an operation that has ended is not driven again", () =>
    Effect.gen(function* () {
      const world = make(many(1, "CreateVm"))
      const stale = world.rows.get(idOf(1))!.operation
      world.set(idOf(1), { state: "failed", error: "no memory" })
      yield* Effect.gen(function* () {
        const operations = yield* Operations
        yield* operations.start(world.rows.get(idOf(1))!.operation)
        // by somebody who has read it before it ended
        yield* operations.start(stale)
        yield* settle
        assert.strictEqual((yield* Effect.flip(operations.await(idOf(1)))).message, "no memory")
        assert.deepStrictEqual(world.began, [])
      }).pipe(Effect.provide(world.layer))
    })
  )
})
