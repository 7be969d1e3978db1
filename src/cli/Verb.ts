/**
 * One command of a client, as all of them are made.
 *
 * @since 0.5.0
 */
import * as Args from "@effect/cli/Args"
import * as CommandDescriptor from "@effect/cli/CommandDescriptor"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { flow } from "effect/Function"
import * as Option from "effect/Option"
import type { ApiGroup } from "../client/Client.ts"
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import type * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import type { Plan } from "../api/Plans.ts"
import type { Failure } from "./Failure.ts"
import type { Answer } from "./Output.ts"
import * as Keys from "./Keys.ts"
import * as Planning from "./Planning.ts"
import type { Screen } from "./Screen.ts"
import * as Session from "./Session.ts"
import * as Sizes from "./Sizes.ts"

/** What a command does when it is run. @since 0.5.0 @category models */
export type Act = Effect.Effect<void, Failure, Session.Needs | Screen>

/** The API's endpoints by name. @since 0.5.0 @category models */
export type Endpoint = HttpApiEndpoint.HttpApiEndpoint.Name<HttpApiGroup.HttpApiGroup.Endpoints<ApiGroup>>

/** @since 0.5.0 @category models */
export interface Verb {
  readonly name: string
  /** one sentence, for the list of verbs */
  readonly about: string
  /** the endpoints it calls for what it is about */
  readonly endpoints: ReadonlyArray<Endpoint>
  readonly descriptor: CommandDescriptor.Command<Act>
}

/** Verbs of one noun. One without a noun is the only verb of its own word, by the same name. @since 0.5.0 @category models */
export interface Noun {
  readonly name: string
  readonly about: string
  readonly verbs: ReadonlyArray<Verb>
}

/** @since 0.5.0 @category constructors */
export const make = <O, A>(given: {
  readonly name: string
  readonly about: string
  readonly endpoints: ReadonlyArray<Endpoint>
  readonly options: Options.Options<O>
  readonly args: Args.Args<A>
  readonly run: (
    options: O,
    args: A,
    planning: Planning.Planning
  ) => Effect.Effect<void, Failure, Session.Session | Session.Needs | Screen>
}): Verb => ({
  name: given.name,
  about: given.about,
  endpoints: given.endpoints,
  descriptor: CommandDescriptor.make(
    given.name,
    Options.all({
      own: given.options,
      planning: given.endpoints.some((endpoint) => Planning.plannable.has(endpoint)) ? Planning.options : Planning.none,
      key: given.endpoints.some((endpoint) => Keys.keyed.has(endpoint)) ? Keys.options : Keys.none,
      common: Session.options
    }),
    given.args
  ).pipe(
    CommandDescriptor.withDescription(given.about),
    CommandDescriptor.map(({ args, options }) =>
      Effect.gen(function* () {
        yield* Planning.checked(options.planning)
        const planned = yield* Deferred.make<Answer<Plan>>()
        const session = Session.make(
          options.common,
          flow(Keys.through(options.key), Planning.through(options.planning, planned))
        )
        yield* Effect.raceFirst(
          given.run(options.own, args, options.planning),
          Effect.flatMap(Deferred.await(planned), Planning.show)
        ).pipe(Effect.provideServiceEffect(Session.Session, session))
      })
    )
  )
})

/** No flags of its own. @since 0.5.0 @category options */
export const noOptions = Options.none

// ------------------------------------------------------------------------------------------------------------------ flags

/** Flags without a value: all others take one, which is how the order of a command's words is told. @since 0.5.0 @category constants */
export const switches = [
  "no-wait",
  "watch",
  "yes",
  "no-expiry",
  "plan",
  "no-force",
  "reapply",
  "no-reapply",
  "follow",
  "raw",
  "defined",
  "protect",
  "unprotect",
  "force",
  "jump",
  "autostart",
  "no-autostart",
  "retired",
  "anywhere",
  "no-group",
  "no-rules",
  "repair",
  "all-types"
] as const

/** @since 0.5.0 @category options */
export const toggle = (name: (typeof switches)[number], description: string) =>
  Options.boolean(name).pipe(Options.withDescription(description))

/** @since 0.5.0 @category options */
export const text = (name: string, pseudoName: string, description: string) =>
  Options.text(name).pipe(Options.withPseudoName(pseudoName), Options.withDescription(description))

/** @since 0.5.0 @category options */
export const number = (name: string, pseudoName: string, description: string) =>
  text(name, pseudoName, description).pipe(
    Options.mapEffect((written) =>
      /^-?[0-9]{1,15}$/.test(written)
        ? Effect.succeed(Number(written))
        : Effect.fail(
            ValidationError.invalidValue(HelpDoc.p(`--${name} is ${JSON.stringify(written)}: expected a whole number`))
          )
    )
  )

/** So many of the unit, which a plain number is; or as in `4GiB`. @since 0.15.0 @category options */
export const size = (name: string, unit: Sizes.Unit, description: string) =>
  text(name, "SIZE", `${description}, as in 40GiB; a plain number is ${unit}.`).pipe(
    Options.mapEffect((written) => {
      const read = Sizes.read(written, unit)
      if (read !== undefined) return Effect.succeed(read)
      const wrong = `--${name} is ${JSON.stringify(written)}: expected a whole number of ${unit}, or a size as in 40GiB that is one`
      return Effect.fail(ValidationError.invalidValue(HelpDoc.p(wrong)))
    })
  )

/** @since 0.5.0 @category options */
export const choice = <const C extends ReadonlyArray<string>>(name: string, choices: C, description: string) =>
  Options.choice(name, choices).pipe(Options.withDescription(description))

/** Goes on by itself until it is interrupted. @since 0.5.0 @category options */
export const watch = toggle("watch", "Then prints what changes, until Ctrl-C.")

/** Of a mutation. @since 0.5.0 @category options */
export const noWait = toggle("no-wait", "Print the operation that was begun, and do not wait for its end.")

/** @since 0.5.0 @category arguments */
export const word = (name: string, description: string) => Args.text({ name }).pipe(Args.withDescription(description))

/** Only what was given, as requests have it. @since 0.5.0 @category conversions */
export const given = <K extends string, A>(key: K, value: Option.Option<A>): { readonly [_ in K]?: A } | {} =>
  Option.match(value, { onNone: () => ({}), onSome: (value) => ({ [key]: value }) })
