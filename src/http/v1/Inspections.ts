/**
 * What VMs show, by HTTP.
 *
 * @since 0.6.0
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { api } from "../../api/Api.ts"
import { type ConsoleParameters, nextHeader } from "../../api/Inspections.ts"
import * as Problem from "../../api/Problem.ts"
import { amounts, ConsoleCursor, type ConsolePart } from "../../domain/Console.ts"
import type { VmId } from "../../domain/Ids.ts"
import { Inspections } from "../../fabric/Inspections.ts"
import * as Events from "../Events.ts"
import * as Problems from "./Problems.ts"
import { told } from "./Problems.ts"
import * as Views from "./Views.ts"

// what it is must not be guessed from what a guest prints
const raw = { "cache-control": "no-store", "x-content-type-options": "nosniff" }

const encodeFailure = Schema.encodeSync(Problem.Unavailable)

const decodeCursor = Schema.decodeOption(ConsoleCursor)

const message = (event: string, id: ConsoleCursor, data: string) => `id: ${id}\nevent: ${event}\ndata: ${data}\n\n`

const written = ({ bytes, lost, next }: ConsolePart): string => {
  const output = bytes.length === 0 ? "" : message("output", next, Buffer.from(bytes).toString("base64"))
  return lost ? message("lost", next, "") + output : output
}

/** @since 0.6.0 @category layers */
export const layer = HttpApiBuilder.group(api, "inspections", (handlers) =>
  Effect.gen(function* () {
    const inspections = yield* Inspections

    /** Begins with what was printed last, unless it is said after what. */
    const follow = (
      id: VmId,
      { after, bytes = amounts.usual }: ConsoleParameters,
      request: HttpServerRequest.HttpServerRequest
    ) =>
      Effect.gen(function* () {
        const given = request.headers["last-event-id"]
        const last = given === undefined ? Option.fromNullable(after) : decodeCursor(given)
        if (given !== undefined && Option.isNone(last)) {
          return yield* new Problem.InvalidRequest({
            status: 400,
            code: "invalid_header",
            title: "A header cannot be used",
            detail: `Last-Event-ID is ${JSON.stringify(given.slice(0, 40))}: expected the id of an event of this stream`,
            field: "Last-Event-ID"
          })
        }
        // whether it can be read is found out before the answer begins
        const first = yield* told(inspections.consoleTail(id, Option.isSome(last) ? 1 : bytes))
        let cursor = Option.getOrElse(last, () => first.next)
        const head = Option.isSome(last) ? "" : written(first)
        const parts = inspections.followConsole(id, cursor).pipe(
          Stream.map((part) => {
            cursor = part.next
            return written(part)
          }),
          Stream.concat(Stream.sync(() => message("end", cursor, ""))),
          Stream.catchAll((error) =>
            Stream.make(message("failed", cursor, JSON.stringify(encodeFailure(Problems.of(error)))))
          )
        )
        const texts = Stream.concat(Stream.make(`retry: 1000\n\n${head}`), parts)
        return yield* Events.told(
          request,
          Stream.map(texts, (text) => ({ text }))
        )
      })

    return handlers
      .handle("getConsoleLog", ({ path, request, urlParams }) =>
        Events.asksForStream(request)
          ? follow(path.id, urlParams, request)
          : Effect.map(told(inspections.consoleTail(path.id, urlParams.bytes ?? amounts.usual)), ({ bytes, next }) =>
              HttpServerResponse.uint8Array(bytes, {
                contentType: "application/octet-stream",
                headers: { ...raw, [nextHeader]: next }
              })
            )
      )
      .handle("getScreenshot", ({ path }) =>
        Effect.map(told(inspections.screenshot(path.id)), (bytes) =>
          HttpServerResponse.uint8Array(bytes, { contentType: "image/png", headers: raw })
        )
      )
      .handle("getGuest", ({ path }) => told(Effect.map(inspections.guest(path.id), Views.guest)))
      .handle("getVmXml", ({ path }) => told(inspections.xml(path.id)))
  })
)
