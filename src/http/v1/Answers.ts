/**
 * How operations are answered: at once, or when they have ended.
 *
 * @since 0.4.0
 */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { prefix } from "../../api/Api.ts"
import { Operation } from "../../api/Operations.ts"
import type { OperationId } from "../../domain/Ids.ts"
import type { OperationReport } from "../../domain/Operation.ts"
import * as Begun from "../../fabric/Begun.ts"
import { Operations } from "../../services/Operations.ts"
import * as Problems from "./Problems.ts"
import * as Views from "./Views.ts"

const longest = 300
const usual = 30

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

const respond = (report: OperationReport, wait: number | undefined) =>
  HttpServerResponse.unsafeJson(encode(Views.operation(report)), {
    status: report.operation.ended ? 200 : 202,
    headers: { location: `${prefix}/operations/${report.operation.id}`, ...applied(wait) }
  })

/** @since 0.4.0 @category constructors */
export const make = Effect.gen(function* () {
  const begin = yield* Begun.make
  const operations = yield* Operations

  /** As it is at this moment. */
  const report = (id: OperationId) => Effect.catchTag(operations.report(id), "OperationNotFound", Effect.die)

  return {
    begin,
    report,
    /**
     * What the use case began: 202 while it has not ended, 200 when it has, waited for as `Prefer` says. 204: nothing had to be begun.
     */
    begun: <A, E extends Problems.Known, R>(prefer: string | undefined, useCase: Effect.Effect<A, E, R>) =>
      Problems.told(
        Effect.gen(function* () {
          const beginning = yield* begin(useCase)
          if (beginning._tag === "Nothing") return HttpServerResponse.empty({ status: 204 })
          const wait = waitOf(prefer)
          if (wait === undefined) return respond({ operation: beginning.first, progress: null }, wait)
          yield* Effect.timeoutOption(beginning.ended, `${wait} seconds`)
          return respond(yield* report(yield* beginning.latest), wait)
        })
      ),
    /** The same for an operation that is under way already. */
    underWay: (prefer: string | undefined, id: OperationId) =>
      Problems.told(
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
      )
  }
})
