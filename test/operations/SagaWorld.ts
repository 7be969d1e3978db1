/**
 * A saga's surroundings in memory: a journal that keeps its rules, hosts that can be silent, and a list of all that happened.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Errors from "../../src/domain/Errors.ts"
import * as Ids from "../../src/domain/Ids.ts"
import { Operation, type Progress } from "../../src/domain/Operation.ts"
import * as Saga from "../../src/operations/Saga.ts"
import * as Watchdog from "../../src/operations/Watchdog.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { type Entry, Journal, type Phase, type StepRecord } from "../../src/services/Journal.ts"

export const operation = new Operation({
  id: Ids.OperationId.make("6f1f3a52-2a0c-4b0e-9d7a-111111111111"),
  kind: "CreateVm",
  vmId: Ids.VmId.make(7),
  volumeId: null,
  snapshotId: null,
  detail: {},
  state: "pending",
  error: null,
  cancelAsked: false,
  createdAt: 0,
  finishedAt: null
})
export const hostId = Ids.HostId.make(1)
export const oneHost = [{ id: hostId, name: "root@h1" }]
export const twoHosts = [...oneHost, { id: Ids.HostId.make(2), name: "root@h2" }]
export const silent = new Errors.HostUnreachable({ host: "root@h1", reason: "libvirt does not answer" })
export const refused = new Errors.HostFailure({ host: "root@h1", action: "start vm-7", reason: "no memory" })
export const silentStorage = new Errors.StorageUnreachable({ storage: "Ceph pool vms", reason: "no monitor answers" })
export const refusedByStorage = new Errors.StorageFailure({
  storage: "Ceph pool vms",
  action: "create volume-7",
  reason: "it is full"
})
export const held = new Errors.GuestHoldsDevice({
  domain: "vm-7",
  device: "volume-3",
  reason: "it runs without an agent"
})
export const broken = new Errors.PersistenceError({ action: "write a step", cause: new Error("disk full") })

type Act = Effect.Effect<void, Saga.StepError>

/** `alwaysUp`: the monitor finds a host that is suspect up again at once. */
export const make = (options: { readonly alwaysUp?: boolean } = {}) => {
  const happened: Array<string> = []
  const rows: Array<{ -readonly [K in keyof StepRecord]: StepRecord[K] }> = []
  const row: { -readonly [K in "state" | "error" | "cancelAsked" | "createdAt"]: Operation[K] } = {
    state: "pending",
    error: null,
    cancelAsked: false,
    createdAt: 0
  }
  let journalFails: ((entry: Entry) => boolean) | undefined
  const entries: Array<Entry> = []
  const blocks: Array<Saga.Blocked | null> = []
  const progress: Array<Progress> = []
  const down = new Map<Ids.HostId, { readonly reason: string; readonly up: Deferred.Deferred<void> }>()
  const watchdog = Watchdog.make(Effect.runSync(Scope.make()))
  const cancel = Deferred.unsafeMake<void>(FiberId.none)
  const note = (what: string) => Effect.sync(() => void happened.push(what))
  const find = (phase: Phase, name: string) => rows.find((r) => r.phase === phase && r.name === name)

  const journal = Journal.of({
    unfinished: Effect.succeed([]),
    busy: () => Effect.succeed(new Set()),
    steps: () => Effect.sync(() => rows.map((row) => ({ ...row }))),
    history: () => Effect.succeed([]),
    record: (_, entry, also = Effect.void) =>
      Effect.gen(function* () {
        if (journalFails?.(entry) === true) return yield* broken
        yield* also
        entries.push(entry)
        const { ended, started, state } = entry
        if (ended !== undefined) {
          const step = find(ended.phase, ended.name)
          if (step?.state !== "started") return yield* Effect.dieMessage(`${ended.name} was not started`)
          step.state = ended.state
        }
        if (state !== undefined) {
          if (row.state === "done" || row.state === "failed") return yield* Effect.dieMessage("it has ended")
          row.state = state.to
          row.error ??= state.error ?? null
        }
        if (started !== undefined) {
          const step = find(started.phase, started.name)
          if (step?.state === "done") return yield* Effect.dieMessage(`${started.name} is done already`)
          if (step === undefined) rows.push({ ...started, state: "started", tries: 1 })
          else Object.assign(step, { state: "started", tries: step.tries + 1 })
        }
      }),
    askCancel: () => Effect.succeed(Option.none()),
    list: () => Effect.succeed([])
  })

  const goDown = (id: Ids.HostId, reason: string) =>
    Effect.sync(() => {
      if (!down.has(id)) down.set(id, { reason, up: Deferred.unsafeMake<void>(FiberId.none) })
    })
  const monitor = HostMonitor.of({
    refresh: Effect.void,
    statuses: Effect.succeed(new Map()),
    settled: Effect.void,
    awaitUp: (id) => Effect.suspend(() => Effect.asVoid(Deferred.await(down.get(id)?.up ?? upAlready))),
    check: (id) =>
      Effect.suspend(() => {
        const found = down.get(id)
        const host = twoHosts.find((one) => one.id === id)?.name ?? "root@elsewhere"
        return found === undefined
          ? Effect.void
          : new Errors.HostUnreachable({ host, reason: `${found.reason} (not asked)` })
      }),
    events: Effect.succeed(Stream.never),
    changes: Effect.succeed(Stream.never),
    suspect: (id, reason) =>
      Effect.zipRight(note(`suspect ${id}: ${reason}`), options.alwaysUp === true ? Effect.void : goDown(id, reason))
  })

  const step = (name: string, act: Act = Effect.void, undo: Act = Effect.void): Saga.Step => ({
    name,
    description: `Do ${name}.`,
    act: Effect.zipRight(note(name), act),
    undo: Effect.zipRight(note(`undo ${name}`), undo)
  })

  const drive = (
    steps: ReadonlyArray<Saga.Step>,
    unreachable: Saga.Saga["unreachable"] = "undo",
    more: Partial<Saga.Saga> = {}
  ) =>
    Effect.suspend(() =>
      Saga.drive(
        { journal, monitor, watchdog },
        new Operation({ ...operation, ...row }),
        { hosts: oneHost, steps, unreachable, succeeded: note("succeeded"), failed: note("failed"), ...more },
        {
          onBlocked: (blocked) =>
            Effect.zipRight(
              Effect.sync(() => void blocks.push(blocked)),
              note(blocked === null ? "goes on" : `blocked: ${blocked.reason}`)
            ),
          onProgress: (one) => Effect.sync(() => void progress.push(one)),
          cancel
        }
      )
    )

  return {
    happened,
    /** how often the step was tried */
    tries: (name: string) => happened.filter((one) => one === name).length,
    blocks,
    progress,
    rows,
    row,
    entries,
    step,
    drive,
    goDown,
    hostComesBack: (id = hostId) =>
      Effect.suspend(() => {
        const found = down.get(id)
        down.delete(id)
        return found === undefined ? Effect.void : Deferred.succeed(found.up, undefined)
      }),
    cancel: Effect.asVoid(Deferred.succeed(cancel, undefined)),
    failJournal: (when: typeof journalFails) => void (journalFails = when)
  }
}

const upAlready = Deferred.unsafeMake<void>(FiberId.none)
Deferred.unsafeDone(upAlready, Effect.void)
