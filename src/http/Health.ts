/**
 * Whether the process lives, and whether it can do its work: for whoever starts, stops and balances processes. Both routes are open to all, and tell
 * no names and no addresses.
 *
 * @since 0.4.0
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import type { HostStatus } from "../domain/Host.ts"
import { Hosts } from "../fabric/Hosts.ts"
import { Pools } from "../fabric/Pools.ts"
import { type Check, Readiness } from "../observability/Readiness.ts"

/** As text in one piece, as `Route` has it; what is asked again and again is to be answered anew each time. */
const answer = (status: number, contentType: string, text: string) =>
  HttpServerResponse.raw(text, {
    status,
    contentType,
    contentLength: Buffer.byteLength(text),
    headers: { "cache-control": "no-store" }
  })

/**
 * Why nothing can be done with the hosts; null: with one at least it can. A part of them that is silent is no reason to take the controller away
 * from the others. Maintenance is neither: VMs there go on, and can be worked with. Those that are lost are not hosts any more.
 */
const unusable = (known: ReadonlyArray<HostStatus>): string | null => {
  const all = known.filter(({ _tag }) => _tag !== "Lost")
  const count = (tag: HostStatus["_tag"]) => all.filter(({ _tag }) => _tag === tag).length
  const [untried, suspect, down] = [count("Connecting"), count("Suspect"), count("Down")]
  if (untried > 0) return `${untried} of ${all.length} hosts ${untried === 1 ? "has" : "have"} not been tried yet`
  if (suspect + down < all.length || all.length === 0) return null
  const are = (n: number, what: string) => (n === 0 ? [] : [`${n} ${n === 1 ? "is" : "are"} ${what}`])
  return `none of ${all.length} hosts can be used: ${[...are(down, "down"), ...are(suspect, "suspect")].join(", ")}`
}

/** @since 0.4.0 @category layers */
export const layer = HttpLayerRouter.addAll(
  Effect.gen(function* () {
    const hosts = yield* Hosts
    const pools = yield* Pools
    const readiness = yield* Readiness
    yield* readiness.register(
      "hosts",
      hosts.list.pipe(
        Effect.map((all) => unusable(all.map(({ status }) => status))),
        Effect.catchAll(() => Effect.succeed("they cannot be read from the database"))
      )
    )
    yield* readiness.register(
      "pool",
      pools.refresh.pipe(
        Effect.tapError(({ message }) => Effect.logDebug(message)),
        Effect.as(null),
        Effect.catchTags({
          StorageUnreachable: () => Effect.succeed("the pool does not answer"),
          StorageFailure: () => Effect.succeed("the pool answers with a failure"),
          PersistenceError: () => Effect.succeed("what it said cannot be kept in the database")
        })
      )
    )
    yield* readiness.untilStopped
    let told = ""
    /** In the log once, when it becomes another. */
    const tell = (checks: ReadonlyArray<Check>) =>
      Effect.suspend(() => {
        const problems = checks
          .flatMap(({ name, reason }) => (reason === null ? [] : [`${name}: ${reason}`]))
          .join("; ")
        if (problems === told) return Effect.void
        told = problems
        return problems === "" ? Effect.log("ready again") : Effect.logWarning(`not ready: ${problems}`)
      })
    const isReady = Effect.map(Effect.tap(readiness.report, tell), (checks) => {
      const ready = checks.every(({ ok }) => ok)
      return answer(ready ? 200 : 503, "application/json", JSON.stringify({ ready, checks }))
    })
    return [
      HttpLayerRouter.route("GET", "/healthz", Effect.succeed(answer(200, "text/plain; charset=utf-8", "ok\n"))),
      HttpLayerRouter.route("GET", "/readyz", isReady)
    ] as const
  })
)
