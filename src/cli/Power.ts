/**
 * The verbs of `vmfabric vm` that turn VMs on and off.
 *
 * @since 0.6.0
 */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Operation } from "../api/Operations.ts"
import type * as Client from "../client/Client.ts"
import type { VmId } from "../domain/Ids.ts"
import { type Failure, Refused } from "./Failure.ts"
import * as Operations from "./Operations.ts"
import { answered, list, note } from "./Output.ts"
import type { Planning } from "./Planning.ts"
import * as Progress from "./Progress.ts"
import * as Resolve from "./Resolve.ts"
import type { Screen } from "./Screen.ts"
import { client, type Needs, type Session } from "./Session.ts"
import * as Verb from "./Verb.ts"

type Calls = Client.Groups["vms"]

type Doing<A> = Effect.Effect<A, Failure, Session | Needs | Screen>

/** Begins it for one VM. */
type Call = (calls: Calls, id: VmId) => Doing<[Operation | void, HttpClientResponse.HttpClientResponse]>

/** Ids or names of VMs, at least one. */
const words = Args.text({ name: "vm" }).pipe(
  Args.withDescription("Id or name of the VM; several at once."),
  Args.atLeast(1)
)

/** Does it to each of the VMs, at once, and says what became of each. One alone is shown as it is then. */
const toAll = (
  texts: ReadonlyArray<string>,
  noWait: boolean,
  { plan }: Planning,
  call: Call,
  show: (id: VmId) => Doing<void>
) =>
  Effect.gen(function* () {
    const ids = yield* Effect.forEach(texts, Resolve.vm)
    const { vms }: { readonly vms: Calls } = yield* client
    const [first, ...others] = ids
    if (first === undefined) return
    if (others.length === 0) {
      return yield* Operations.begin(noWait, call(vms, first), (operation) =>
        Effect.gen(function* () {
          if (operation !== undefined) {
            const { operations } = yield* client
            const { outcome } = yield* operations.getOperation({ path: { id: operation.id } })
            if (outcome !== null) yield* note(outcome)
          }
          yield* show(first)
        })
      )
    }
    if (plan) {
      return yield* new Refused({ why: "usage", message: "--plan plans for one VM at a time: give one", field: "vm" })
    }
    const begun = yield* Effect.forEach([...new Set(ids)], (id) => answered(call(vms, id)), { concurrency: 16 })
    const all = begun.flatMap(({ value }) => (value === undefined ? [] : [value]))
    const ended = noWait ? [] : yield* Progress.waitAll(all)
    const { operations } = yield* client
    const now = noWait
      ? begun
      : yield* Effect.forEach(all, ({ id }) => answered(operations.getOperation({ path: { id }, withResponse: true })))
    yield* list(
      Operations.view,
      now.flatMap(({ value }) => (value === undefined ? [] : [value])),
      { items: now.map(({ body }) => body), next: null },
      "none was begun"
    )
    const failures = ended.filter(Exit.isFailure).length
    if (failures > 0) {
      return yield* new Refused({ why: "failed", message: `${failures} of ${all.length} failed: ERROR says why` })
    }
  })

const patience = {
  within: Options.optional(
    Verb.number("within", "SECONDS", "How long its guest has for it; 90 unless it is said, at most 3600.")
  ),
  noForce: Verb.toggle("no-force", "Fail when its guest has not done it by then, and let it go on.")
}

/** `show`: what a VM is afterwards. @since 0.6.0 @category constructors */
export const verbs = (show: (id: VmId) => Doing<void>): ReadonlyArray<Verb.Verb> => {
  const simple = (
    name: string,
    about: string,
    endpoint: "startVm" | "powerOffVm" | "resetVm" | "pauseVm" | "resumeVm"
  ): Verb.Verb =>
    Verb.make({
      name,
      about,
      endpoints: [endpoint],
      options: Options.all({ noWait: Verb.noWait }),
      args: words,
      run: ({ noWait }, texts, planning) =>
        toAll(texts, noWait, planning, (vms, id) => vms[endpoint]({ path: { id }, withResponse: true }), show)
    })
  const asking = (name: string, about: string, endpoint: "shutDownVm" | "rebootVm"): Verb.Verb =>
    Verb.make({
      name,
      about,
      endpoints: [endpoint],
      options: Options.all({ ...patience, noWait: Verb.noWait }),
      args: words,
      run: ({ noForce, noWait, within }, texts, planning) => {
        const payload = { ...Option.match(within, seconds), ...(noForce ? { force: false } : {}) }
        return toAll(
          texts,
          noWait,
          planning,
          (vms, id) => vms[endpoint]({ path: { id }, payload, withResponse: true }),
          show
        )
      }
    })
  return [
    simple("start", "Start VMs; those that are paused go on.", "startVm"),
    asking("stop", "Ask the guests of VMs to shut down, and take the power from those that do not.", "shutDownVm"),
    asking("reboot", "Ask the guests of VMs to start anew, and reset those that do not.", "rebootVm"),
    simple("reset", "Make guests begin anew without asking them.", "resetVm"),
    simple("power-off", "Take the power from VMs without asking their guests.", "powerOffVm"),
    simple("pause", "Make guests stand still, with their memory where it is.", "pauseVm"),
    simple("resume", "Let paused VMs go on.", "resumeVm")
  ]
}

const seconds = { onNone: () => ({}), onSome: (within: number) => ({ within }) }
