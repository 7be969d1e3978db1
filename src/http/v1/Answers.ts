/**
 * How operations are answered: at once, or when they have ended.
 *
 * @since 0.4.0
 */
import type * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { CurrentPrincipal } from "../../api/Access.ts"
import { prefix } from "../../api/Api.ts"
import { Operation } from "../../api/Operations.ts"
import type { Planning } from "../../api/Plans.ts"
import { InvalidArgument, type PlanOutdated, SecretNotKept } from "../../domain/Errors.ts"
import type { OperationId } from "../../domain/Ids.ts"
import type { OperationReport } from "../../domain/Operation.ts"
import { Asker } from "../../fabric/Asker.ts"
import * as Begun from "../../fabric/Begun.ts"
import * as Keys from "../../fabric/Keys.ts"
import * as Plans from "../../fabric/Plans.ts"
import type { Expect } from "../../fabric/Revision.ts"
import { type MadeError, type RequestError, Requests } from "../../fabric/Requests.ts"
import type * as Told from "../../fabric/Told.ts"
import { Operations } from "../../services/Operations.ts"
import * as Json from "../Json.ts"
import * as Problems from "./Problems.ts"
import { withExpectation } from "./Revisions.ts"
import * as Views from "./Views.ts"

const longest = 300
const usual = 30

/** What a use case is asked with: the request's own parts, and what it is for in a few words. @since 0.5.0 @category models */
export interface Asked {
  readonly headers: { readonly prefer?: string; readonly "idempotency-key"?: string }
  readonly urlParams: Planning
  readonly payload?: unknown
}

/** Seconds that `Prefer` asks to wait (RFC 7240), within what is allowed; undefined: it does not. @since 0.4.0 @category parsing */
export const waitOf = (prefer: string | undefined): number | undefined => {
  for (const preference of (prefer ?? "").split(",")) {
    const [, seconds = usual] = /^\s*wait(?:\s*=\s*"?([0-9]{1,9})"?)?\s*(?:;|$)/i.exec(preference) ?? [null, null]
    if (seconds !== null) return Math.min(Number(seconds), longest)
  }
  return undefined
}

/** @since 0.4.0 @category conversions */
export const applied = (wait: number | undefined): Record<string, string> =>
  wait === undefined ? {} : { "preference-applied": `wait=${wait}` }

const encode = Schema.encodeSync(Operation)

/** What is known of the request itself. */
type InRoute = HttpServerRequest.HttpServerRequest | HttpRouter.RouteContext

/** Two who use the same key have two. */
const ofAsker = (key: string) => Effect.map(Asker, (asker) => JSON.stringify([asker, key]))

const respond = (report: OperationReport, wait: number | undefined) =>
  Json.answer(encode(Views.operation(report)), {
    status: report.operation.ended ? 200 : 202,
    headers: { location: `${prefix}/operations/${report.operation.id}`, ...applied(wait) }
  })

/** @since 0.4.0 @category constructors */
export const make = Effect.gen(function* () {
  const begin = yield* Begun.make
  const operations = yield* Operations
  const plans = yield* Plans.Plans
  const requests = yield* Requests

  /** What is asked, as a plan of it is kept. */
  const requestOf = Effect.fnUntraced(function* ({ payload = null }: Pick<Asked, "payload">) {
    const { method, url } = yield* HttpServerRequest.HttpServerRequest
    const principal = yield* CurrentPrincipal
    const content = Keys.canonical(yield* Problems.said(payload))
    return { owner: principal?.user ?? "", method, path: Keys.pathOf(url), content }
  })

  /** The plan of one use case, or of several. */
  const plan = Effect.fnUntraced(function* <A, E extends Problems.Known, R>(
    asked: Pick<Asked, "payload">,
    useCases: ReadonlyArray<Effect.Effect<A, E, R>>,
    whole?: boolean
  ) {
    const request = yield* requestOf(asked)
    const made = yield* plans.plan(request, useCases, whole)
    return Views.plan(made, request, yield* Problems.summary)
  })

  /** Undefined: no plan is applied. */
  const application = Effect.fnUntraced(function* (asked: Pick<Asked, "payload" | "urlParams">) {
    const { plan, plan_id: id } = asked.urlParams
    if (id === undefined) return undefined
    if (plan !== undefined) {
      return yield* new InvalidArgument({
        field: "plan_id",
        problem: "came together with plan",
        expected: "plan=true to plan, or plan_id=… to apply a plan"
      })
    }
    return yield* plans.apply(id, yield* requestOf(asked))
  })

  /** Planned, or with `otherwise` done, as it was planned or as it comes. */
  const decide = <A, E extends Problems.Known, R, B, E2, R2>(
    asked: Pick<Asked, "payload" | "urlParams">,
    useCase: Effect.Effect<A, E, R>,
    otherwise: (useCase: Effect.Effect<A, E | PlanOutdated, R>) => Effect.Effect<B, E2, R2>
  ) =>
    Effect.gen(function* () {
      const applied = yield* application(asked)
      if (asked.urlParams.plan === true) return yield* plan(asked, [useCase])
      return yield* otherwise(applied === undefined ? useCase : applied.run(useCase))
    })

  /** As it is at this moment. */
  const report = (id: OperationId) => Effect.catchTag(operations.report(id), "OperationNotFound", Effect.die)

  const created = <A, E extends Problems.Known, R, B = never, E2 extends Problems.Known = never, R2 = never>(
    asked: Asked,
    useCase: Effect.Effect<A, E, R>,
    otherwise?: () => Effect.Effect<B, E2, R2>
  ) =>
    Problems.told(
      decide(asked, useCase, (useCase) =>
        Effect.gen(function* () {
          const beginning = yield* begin(useCase)
          if (beginning._tag === "Nothing") {
            return otherwise === undefined ? HttpServerResponse.empty({ status: 204 }) : yield* otherwise()
          }
          const wait = waitOf(asked.headers.prefer)
          if (wait === undefined) return respond({ operation: beginning.first, progress: null }, wait)
          yield* Effect.timeoutOption(beginning.ended, `${wait} seconds`)
          return respond(yield* report(yield* beginning.latest), wait)
        })
      )
    )

  /** Begun once, however often it is asked for with its key. */
  const once = <A, E, R>(
    asked: Asked,
    useCase: Effect.Effect<A, E, R>
  ): Effect.Effect<A | void, E | RequestError, R | InRoute> => {
    const key = asked.headers["idempotency-key"]
    if (key === undefined) return useCase
    return Effect.flatMap(requestOf(asked), ({ content, method, path }) =>
      requests.once(key, [method, path, content], useCase, [method, path, Keys.canonical(asked.payload)])
    )
  }

  /** Made once, however often it is asked for with its key, by whoever asks with the same role. `again`: what was made, by its id; null: it is there no more. */
  const made = <A, E, R, E2 = never, R2 = never>(
    asked: Asked,
    useCase: Effect.Effect<A, E, R>,
    again: (id: string, key: string) => Effect.Effect<A | null, E2, R2>
  ): Effect.Effect<A, E | E2 | MadeError, R | R2 | InRoute> => {
    const key = asked.headers["idempotency-key"]
    if (key === undefined) return useCase
    return Effect.gen(function* () {
      const { content, method, owner, path } = yield* requestOf(asked)
      const role = (yield* CurrentPrincipal)?.role ?? ""
      const by = [owner, role, method, path]
      const formerly = [...by, Keys.canonical(asked.payload)]
      return yield* requests.made(key, [...by, content], useCase, (id) => again(id, key), formerly)
    })
  }

  /** The same for what tells a secret. `idOf`: the id of what has it; `named`: what has it, and what is to be done when it did not arrive; null: it is there no more. */
  const sealed = <A, E, R, E2, R2>(
    asked: Asked,
    told: Told.Told<A>,
    useCase: Effect.Effect<A, E, R>,
    idOf: (value: A) => string,
    named: (id: string) => Effect.Effect<{ readonly made: string; readonly instead: string } | null, E2, R2>
  ) => {
    const key = asked.headers["idempotency-key"]
    return made(
      asked,
      key === undefined
        ? useCase
        : Effect.tap(useCase, (value) => Effect.flatMap(ofAsker(key), (mine) => told.remember(mine, value))),
      Effect.fnUntraced(function* (id, key) {
        const name = yield* named(id)
        if (name === null) return null
        const value = yield* told.recall(yield* ofAsker(key))
        // that of the key may be what somebody of that name was told before they were removed
        return value !== null && idOf(value) === id ? value : yield* new SecretNotKept({ key, ...name })
      })
    )
  }

  /**
   * What the use case began: 202 while it has not ended, 200 when it has, waited for as `Prefer` says. 204, or what `otherwise` gives: nothing had to be begun.
   */
  const begun = <A, E extends Problems.Known, R, B = never, E2 extends Problems.Known = never, R2 = never>(
    asked: Asked,
    useCase: Effect.Effect<A, E, R>,
    otherwise?: () => Effect.Effect<B, E2, R2>
  ) => created(asked, once(asked, useCase), otherwise)

  return {
    begin,
    made,
    sealed,
    report,
    plan,
    application,
    decide,
    begun,
    /** The same for a use case that is given what `If-Match` expects. */
    begunIfMatch: <A, E extends Problems.Known, R, B = never, E2 extends Problems.Known = never, R2 = never>(
      asked: Asked & Parameters<typeof withExpectation>[0],
      useCase: (expect: Expect | undefined) => Effect.Effect<A, E, R>,
      otherwise?: () => Effect.Effect<B, E2, R2>
    ) => begun(asked, withExpectation(asked, useCase), otherwise),
    /** The same for a use case that keeps the request's key itself. */
    created,
    /** The same for an operation that is under way already. */
    underWay: (prefer: string | undefined, id: OperationId) =>
      Effect.gen(function* () {
        const wait = waitOf(prefer)
        if (wait !== undefined) {
          yield* operations.await(id).pipe(
            // that it failed is told by itself
            Effect.catchTag("OperationFailed", () => Effect.void),
            Effect.timeoutOption(`${wait} seconds`)
          )
        }
        return respond(yield* report(id), wait)
      })
  }
})
