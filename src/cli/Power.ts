/**
 * The verbs of `vmfabric vm` that turn VMs on and off.
 *
 * @since 0.6.0
 */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Operation } from "../api/Operations.ts"
import type * as Client from "../client/Client.ts"
import type { VmId } from "../domain/Ids.ts"
import { type Failure, lines, Refused, sentence } from "./Failure.ts"
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
type Call = (calls: Calls, id: VmId) => Doing<[Operation, HttpClientResponse.HttpClientResponse]>

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
    // one that cannot be begun keeps none of the others from it, nor from being waited for
    const asked = yield* Effect.forEach(
      new Set(ids),
      (id) => Effect.map(Effect.either(answered(call(vms, id))), (answer) => ({ id, answer })),
      { concurrency: 16 }
    )
    const begun = asked.flatMap(({ answer }) => (Either.isRight(answer) ? [answer.right] : []))
    const refused = asked.flatMap(({ answer, id }) => (Either.isLeft(answer) ? [{ id, why: answer.left }] : []))
    const [one] = refused
    if (one !== undefined && begun.length === 0 && new Set(refused.map(({ why }) => sentence(why))).size === 1) {
      return yield* Effect.fail(one.why)
    }
    for (const { id, why } of refused) {
      yield* Effect.forEach(lines(why), (line, index) => note(index === 0 ? `VM ${id} was not begun: ${line}` : line))
    }
    const ended = noWait || begun.length === 0 ? [] : yield* Progress.waitAll(begun.map(({ value }) => value))
    const { operations } = yield* client
    const now = noWait
      ? begun
      : yield* Effect.forEach(begun, ({ value: { id } }) =>
          answered(operations.getOperation({ path: { id }, withResponse: true }))
        )
    yield* list(
      Operations.view,
      now.map(({ value }) => value),
      { items: now.map(({ body }) => body), next: null },
      "none was begun"
    )
    const failures = ended.filter(Exit.isFailure).length
    const told = [
      ...(failures === 0 ? [] : [`${failures} of ${begun.length} failed: ERROR says why`]),
      ...(refused.length === 0
        ? []
        : [
            `${refused.length} of ${asked.length} ${refused.length === 1 ? "was" : "were"} not begun: ` +
              `VM ${refused.map(({ id }) => id).join(", ")}`
          ])
    ]
    if (told.length > 0) return yield* new Refused({ why: "failed", message: told.join("; ") })
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
