/**
 * `--plan` and `--plan-id` of every command that changes something: its request is answered by what it would do, and is done later as planned.
 *
 * They are added to the request where it leaves, so that no command has to know of them.
 *
 * @since 0.5.0
 */
import * as Options from "@effect/cli/Options"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Plan } from "../api/Plans.ts"
import { brief, Refused, refusalIn, refusalLines } from "./Failure.ts"
import { type Answer, one, table, time, type View, written } from "./Output.ts"
import { Screen } from "./Screen.ts"
import { Session } from "./Session.ts"
import * as Text from "./Text.ts"

/** Endpoints whose requests can be planned. @since 0.5.0 @category constants */
export const plannable: ReadonlySet<string> = new Set([
  "addHost",
  "addNic",
  "attachVolume",
  "cancelOperation",
  "changeCloudInit",
  "changeHost",
  "changeNic",
  "changeUser",
  "changeVm",
  "changeVolume",
  "changeWebhook",
  "createImage",
  "createInstanceType",
  "createSnapshot",
  "createToken",
  "createUser",
  "createVm",
  "createVms",
  "createVolume",
  "createWebhook",
  "deleteImage",
  "destroySnapshot",
  "destroyVm",
  "destroyVolume",
  "detachVolume",
  "pauseVm",
  "powerOffVm",
  "publishImage",
  "purgeVolume",
  "rebootVm",
  "removeHost",
  "removeNic",
  "removeToken",
  "removeUser",
  "removeWebhook",
  "repairVm",
  "resetVm",
  "resizeVm",
  "restoreVolume",
  "resumeVm",
  "retireInstanceType",
  "retryOperation",
  "revertToSnapshot",
  "rotateWebhookSecret",
  "setPassword",
  "shutDownVm",
  "startVm"
])

/** @since 0.5.0 @category models */
export interface Planning {
  readonly plan: boolean
  readonly planId: Option.Option<string>
}

/** Of what cannot be planned. @since 0.5.0 @category options */
export const none: Options.Options<Planning> = Options.none.pipe(
  Options.map(() => ({ plan: false, planId: Option.none() }))
)

/** @since 0.5.0 @category options */
export const options: Options.Options<Planning> = Options.all({
  plan: Options.boolean("plan").pipe(Options.withDescription("Show what would be done, and do nothing.")),
  planId: Options.text("plan-id").pipe(
    Options.withPseudoName("ID"),
    Options.withDescription("Do what that plan of the same command says, or nothing if it is not possible any more."),
    Options.optional
  )
})

const isRead = (method: string): boolean => method === "GET" || method === "HEAD"

const decode = Schema.decodeUnknown(Plan)

/**
 * Asks as `planning` says. A plan goes to `planned`, and whoever made the request hears nothing more.
 *
 * @since 0.5.0 @category combinators
 */
export const through =
  ({ plan, planId }: Planning, planned: Deferred.Deferred<Answer<Plan>>) =>
  (http: HttpClient.HttpClient): HttpClient.HttpClient => {
    const asking = (parameter: string, value: string) =>
      HttpClient.mapRequest(http, (request) =>
        isRead(request.method) ? request : HttpClientRequest.setUrlParam(request, parameter, value)
      )
    if (!plan) return Option.match(planId, { onNone: () => http, onSome: (id) => asking("plan_id", id) })
    return HttpClient.transformResponse(
      asking("plan", "true"),
      Effect.tap((response) =>
        isRead(response.request.method) || response.status !== 200
          ? Effect.void
          : response.json.pipe(
              Effect.flatMap((body) => Effect.map(decode(body), (value) => ({ value, body }))),
              Effect.flatMap((answer) => Deferred.succeed(planned, answer)),
              Effect.zipRight(Effect.never),
              // told by whoever decodes it: it is no plan
              Effect.catchTag("ParseError", () => Effect.void)
            )
      )
    )
  }

type Placement = Plan["placements"][number]["considered"][number] & { readonly name: string }
type Step = Plan["steps"][number]

const whole: View<Plan> = {
  name: ({ id }) => id,
  columns: [
    { title: "PLAN", of: ({ id }) => id },
    { title: "OF", of: ({ request }) => `${request.summary} (${request.method} ${request.path})` },
    { title: "UNTIL", of: ({ expiresAt }) => time(expiresAt) }
  ]
}

const placements: View<Placement> = {
  name: ({ host }) => host,
  columns: [
    { title: "NAME", of: ({ name }) => name },
    { title: "HOST", of: ({ host }) => host },
    {
      title: "CHOSEN",
      of: ({ chosen }) => (chosen ? "yes" : "no"),
      tone: ({ chosen }) => (chosen ? "good" : undefined)
    },
    { title: "WHY", of: ({ reason }) => reason }
  ]
}

const steps: View<Step> = {
  name: ({ name }) => name,
  columns: [
    { title: "NO", of: ({ number }) => number },
    { title: "OPERATION", of: ({ operation }) => operation },
    { title: "STEP", of: ({ name }) => name },
    { title: "HOST", of: ({ host }) => host },
    { title: "WHAT", of: ({ description }) => description }
  ]
}

const violations: View<Plan["violations"][number]> = {
  name: ({ name }) => name,
  columns: [
    { title: "VM", of: ({ name }) => name },
    { title: "WOULD NOT HOLD", of: ({ rule }) => `it ${rule}`, tone: () => "bad" },
    { title: "BECAUSE", of: ({ reason }) => reason }
  ]
}

const painted = (line: string, colour: boolean): string => {
  const text = Text.plain(line)
  if (!colour || !/^[+-]/.test(text)) return text
  return Text.line([{ text, tone: text.startsWith("+") ? "good" : "bad" }], [0], true)
}

/** Shows a plan, and how it is applied. @since 0.5.0 @category programs */
export const show = Effect.fn("Planning.show")(function* (answer: Answer<Plan>) {
  const { mode } = yield* Session
  const { colour, err, out } = yield* Screen
  const { body, value } = answer
  if (mode === "json" || mode === "yaml") return yield* out(yield* written(body, mode))
  yield* one(whole, answer)
  if (mode === "name") return
  const section = <A>(view: View<A>, items: ReadonlyArray<A>) => {
    if (items.length === 0) return Effect.void
    const { head, row } = table(view, items, mode, colour)
    return out(["", head, ...items.map(row)].map((line) => `${line}\n`).join(""))
  }
  yield* section(
    placements,
    value.placements.flatMap(({ considered, name }) => considered.map((one) => ({ ...one, name })))
  )
  yield* section(steps, value.steps)
  for (const { action, diff, target } of value.changes) {
    const [, , ...lines] = diff.trimEnd().split("\n")
    yield* out(
      ["", `${action} ${Text.plain(target)}`, ...lines.map((line) => painted(line, colour))]
        .map((line) => `${line}\n`)
        .join("")
    )
  }
  yield* section(violations, value.violations)
  if (value.steps.length === 0 && value.changes.length === 0) yield* err("nothing would be done\n")
  if (value.alike > 0) yield* out(`\nand ${value.alike} more like these\n`)
  if (value.refused !== null) {
    const { count, problem } = value.refused
    const { refusal } = refusalIn(problem)
    const more = refusal === undefined ? [] : refusalLines(refusal)
    yield* out(`\n${[`${count} would not be begun: ${brief(problem)}`, ...more].join("\n")}\n`)
  }
  yield* err(`\nthe same command with --plan-id ${value.id} in place of --plan does this, or nothing\n`)
})

/** Both at once say nothing. @since 0.5.0 @category combinators */
export const checked = ({ plan, planId }: Planning): Effect.Effect<void, Refused> =>
  plan && Option.isSome(planId)
    ? new Refused({ why: "usage", message: "--plan makes a plan, and --plan-id does one: give one of them" })
    : Effect.void
