/**
 * A VM's console as its guest prints.
 *
 * @since 0.6.0
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Problem from "../api/Problem.ts"
import { ConsoleCursor, type ConsolePart } from "../domain/Console.ts"
import type { VmId } from "../domain/Ids.ts"
import { again, UnexpectedAnswer, type Unreachable } from "./Errors.ts"
import * as EventStream from "./EventStream.ts"

/** From where: the last `bytes`, or what comes after a cursor. @since 0.6.0 @category models */
export interface Options {
  readonly bytes?: number
  readonly after?: ConsoleCursor
}

const Refusal = Schema.Union(Problem.NotFound, EventStream.Refusal)

/** What a stream of a console fails with in the end. @since 0.6.0 @category errors */
export type ConsoleError = typeof Refusal.Type | UnexpectedAnswer | Unreachable

const decodeFailure = Schema.decode(Schema.parseJson(Problem.Unavailable))
const decodeCursor = Schema.decodeUnknown(ConsoleCursor)

const notUnderstood = (what: string) =>
  new UnexpectedAnswer({ status: 200, reason: `a part of the console cannot be understood: ${what}` })

/** Ends when the VM is gone. @since 0.6.0 @category streams */
export const follow = (
  client: HttpClient.HttpClient,
  patience: Duration.Duration,
  id: VmId,
  options: Options
): Stream.Stream<ConsolePart, ConsoleError> =>
  Effect.map(Ref.make(options.after), (cursor) => {
    /** None: it is over. */
    const next = ({ data = "", event, id: at }: EventStream.Message) =>
      Effect.gen(function* () {
        // what is for the connection alone
        if (event === undefined) return Option.some<ReadonlyArray<ConsolePart>>([])
        const place = yield* Effect.mapError(decodeCursor(at), () => notUnderstood("its id"))
        yield* Ref.set(cursor, place)
        switch (event) {
          case "output": {
            const bytes = yield* Effect.mapError(Encoding.decodeBase64(data), () => notUnderstood("its bytes"))
            return Option.some([{ bytes, next: place, lost: false }])
          }
          case "lost":
            return Option.some([{ bytes: new Uint8Array(0), next: place, lost: true }])
          case "failed":
            return yield* Effect.flatMap(
              Effect.mapError(decodeFailure(data), () => notUnderstood("its failure")),
              Effect.fail
            )
          case "end":
            return Option.none()
          default:
            return Option.some([])
        }
      })
    return Effect.map(Ref.get(cursor), (after) =>
      EventStream.listen(client, {
        path: `/vms/${id}/console-log`,
        urlParams:
          after !== undefined ? { after } : options.bytes === undefined ? {} : { bytes: String(options.bytes) },
        refusals: Refusal
      })
    ).pipe(
      Stream.unwrap,
      Stream.mapEffect(next),
      Stream.retry(again(patience)),
      Stream.takeWhile(Option.isSome),
      Stream.flatMap(({ value }) => Stream.fromIterable(value))
    )
  }).pipe(Stream.unwrap)
