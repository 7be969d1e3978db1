/**
 * `vmfabric vm why`, and how it is told that no host can take something.
 *
 * @since 0.7.0
 */
import * as Effect from "effect/Effect"
import type { VmPlacement } from "../api/Placements.ts"
import { answered, type Answer, one, table, time, type View, written } from "./Output.ts"
import * as Resolve from "./Resolve.ts"
import { Screen } from "./Screen.ts"
import { client, Session } from "./Session.ts"
import * as Verb from "./Verb.ts"

const whole: View<VmPlacement> = {
  name: ({ hostId }) => hostId,
  columns: [
    { title: "VM", of: ({ name, vmId }) => `${name} (${vmId})` },
    { title: "HOST", of: ({ host, hostId }) => `${host} (${hostId})` },
    { title: "PLACED", of: ({ placedAt }) => time(placedAt) },
    {
      title: "WHY",
      of: ({ explanation }) =>
        explanation?.decided ?? "nobody has kept it: the VM is older than that is, or the scheduler does not say"
    },
    {
      title: "CHOICE",
      of: ({ explanation }) =>
        explanation === null
          ? null
          : `${explanation.candidates} of ${explanation.hosts} hosts could take it at that time`
    }
  ]
}

type Ranked = NonNullable<VmPlacement["explanation"]>["best"][number]

const points = (number: number): string => String(Number(number.toFixed(4)))

const best: View<Ranked> = {
  name: ({ hostId }) => hostId,
  columns: [
    { title: "HOST", of: ({ host, hostId }) => `${host} (${hostId})` },
    { title: "SCORE", of: ({ score }) => points(score) },
    { title: "FOR", of: ({ terms }) => terms.map((term) => `${term.of} ${points(term.points)}`).join(", ") }
  ]
}

type Barred = NonNullable<VmPlacement["explanation"]>["barred"][number]

const barred: View<Barred> = {
  name: ({ host }) => host,
  columns: [
    { title: "COULD NOT", of: ({ count, host }) => (count === 1 ? host : `${count} hosts`) },
    { title: "BECAUSE", of: ({ reasons }) => reasons.join("; ") }
  ]
}

const show = Effect.fn("Placements.show")(function* (answer: Answer<VmPlacement>) {
  const { mode } = yield* Session
  const { colour, out } = yield* Screen
  if (mode === "json" || mode === "yaml") return yield* out(yield* written(answer.body, mode))
  yield* one(whole, answer)
  const { explanation } = answer.value
  if (mode === "name" || explanation === null) return
  const section = <A>(view: View<A>, items: ReadonlyArray<A>) => {
    if (items.length === 0) return Effect.void
    const { head, row } = table(view, items, mode, colour)
    return out(["", head, ...items.map(row)].map((line) => `${line}\n`).join(""))
  }
  yield* section(best, explanation.best)
  yield* section(barred, explanation.barred)
  if (explanation.unnamed > 0) yield* out(`and ${explanation.unnamed} more hosts\n`)
})

/** @since 0.7.0 @category verbs */
export const verbs: ReadonlyArray<Verb.Verb> = [
  Verb.make({
    name: "why",
    about: "Tell why a VM is where it is: what could take it, what decided, and why the other hosts could not.",
    endpoints: ["getVmPlacement"],
    options: Verb.noOptions,
    args: Verb.word("vm", "Id or name of the VM."),
    run: (_, text) =>
      Effect.gen(function* () {
        const id = yield* Resolve.vm(text)
        const { placements } = yield* client
        yield* show(yield* answered(placements.getVmPlacement({ path: { id }, withResponse: true })))
      })
  })
]
