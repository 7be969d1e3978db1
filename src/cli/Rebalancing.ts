/**
 * `vmfabric rebalance`: which VMs would have to move where.
 *
 * @since 0.7.0
 */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { policies, type Rebalancing } from "../api/Placements.ts"
import * as Moves from "./Moves.ts"
import { answered, list, note, type View } from "./Output.ts"
import * as Placements from "./Placements.ts"
import * as Resolve from "./Resolve.ts"
import { Screen } from "./Screen.ts"
import { client, Session } from "./Session.ts"
import * as Verb from "./Verb.ts"

const percent = (share: number): string => `${Number((100 * share).toFixed(1))} %`

const gainOf = ({ aim, policy }: Rebalancing, gain: number): string => {
  if (aim === "repair") return Moves.repaired(gain)
  if (aim === "empty" || policy === "pack") return `${percent(gain)} of the host emptied`
  return `${percent(gain)} off the higher share`
}

interface Figure {
  readonly name: string
  readonly before: string
  readonly after: string
}

const figures: View<Figure> = {
  name: ({ name }) => name,
  columns: [
    { title: "OF THE HOSTS IN USE", of: ({ name }) => name },
    { title: "NOW", of: ({ before }) => before },
    { title: "AFTERWARDS", of: ({ after }) => after }
  ]
}

const figuresOf = ({ after, before }: Rebalancing): ReadonlyArray<Figure> => [
  { name: "highest share", before: percent(before.highest), after: percent(after.highest) },
  { name: "mean share", before: percent(before.mean), after: percent(after.mean) },
  { name: "with VMs", before: String(before.occupied), after: String(after.occupied) },
  { name: "empty", before: String(before.empty), after: String(after.empty) },
  { name: "broken must-rules", before: String(before.broken), after: String(after.broken) }
]

const none = ({ aim, before, stuck }: Rebalancing): string => {
  if (aim === "repair") return before.broken === 0 ? "all must-rules hold" : "no move would make a broken rule hold"
  if (aim === "empty") return stuck.length === 0 ? "there are no VMs on it" : "none of its VMs can leave"
  return "no move would gain anything"
}

/** @since 0.7.0 @category nouns */
export const noun: Verb.Noun = {
  name: "rebalance",
  about: "plan which VMs to move where: to spread or pack them, to empty a host, to repair broken rules",
  verbs: [
    Verb.make({
      name: "rebalance",
      about:
        "Plan which VMs to move where, with gain and cost of each move. Nothing is moved: the moves are shown in an order in which each can be made.",
      endpoints: ["getRebalancing"],
      options: Options.all({
        most: Verb.number("most", "N", "How many moves at most, up to 100; 10 unless it is said.").pipe(
          Options.optional
        ),
        empty: Verb.text("empty", "HOST", "Plan to empty this host.").pipe(Options.optional),
        policy: Verb.choice(
          "policy",
          policies,
          "spread and balance lower the highest shares, pack empties hosts; spread unless it is said."
        ).pipe(Options.optional),
        repair: Verb.toggle("repair", "Plan to make must-rules hold again that do not.")
      }),
      args: Args.none,
      run: ({ empty, most, policy, repair }) =>
        Effect.gen(function* () {
          const { placements } = yield* client
          const { mode } = yield* Session
          const { out } = yield* Screen
          const host = yield* Effect.transposeOption(Option.map(empty, Resolve.host))
          const { body, value } = yield* answered(
            placements.getRebalancing({
              urlParams: {
                ...Verb.given("most", most),
                ...Verb.given("empty", host),
                ...Verb.given("policy", policy),
                ...(repair ? { aim: "repair" as const } : {})
              },
              withResponse: true
            })
          )
          yield* list(
            Moves.moves((gain) => gainOf(value, gain)),
            value.moves,
            body,
            none(value)
          )
          if (mode === "json" || mode === "yaml" || mode === "name") return
          if (value.further > 0) yield* out(`and ${value.further} more moves (--most)\n`)
          yield* Placements.section(Moves.stuck, value.stuck)
          if (value.moves.length > 0) yield* Placements.section(figures, figuresOf(value))
          if (!value.complete) yield* note("the search was cut short: there may be more or better moves")
        })
    })
  ]
}
