/**
 * What an admin does with hosts.
 *
 * @since 0.12.0
 */
import * as Effect from "effect/Effect"
import { type Host, HostChange, NewHost } from "../../api/Hosts.ts"
import { calls, payloadOf } from "../state/Api.ts"
import { ifMatch, type ReadNow } from "../state/Revised.ts"
import type { Commanded } from "./Commands.ts"
import { changeOf, changeWords, type HostForm, newHostOf, newHostWords } from "./HostSettings.ts"

const isHost = (answer: object): answer is Host => "address" in answer

/** `onAdded`: with the host that it made. @since 0.12.0 @category constructors */
export const addHost = (form: HostForm, onAdded: (host: Host) => void): Commanded => {
  const body = newHostOf(form)
  const words = newHostWords(form)
  return {
    label: `Add ${words[0] ?? "host"}`,
    method: "POST",
    path: "/hosts",
    body,
    words: ["host", "add", ...words],
    run: Effect.gen(function* () {
      const payload = yield* payloadOf(NewHost, body)
      const { hosts } = yield* calls
      const answer = yield* hosts.addHost({ payload, headers: {}, urlParams: {} })
      if (isHost(answer)) onAdded(answer)
    })
  }
}

/** Labels, limits and the like are sent whole, so it is refused when somebody else has changed them since they were read; then they are read again. @since 0.12.0 @category constructors */
export const setHost = (
  { guarded, revision, value: { id, name } }: Pick<ReadNow<Host>, "guarded" | "revision" | "value">,
  before: HostForm,
  form: HostForm
): Commanded => {
  const body = changeOf(before, form)
  const headers = ifMatch(revision)
  return {
    label: `Change the settings of ${name}`,
    method: "PATCH",
    path: `/hosts/${id}`,
    ...headers.shown,
    body,
    words: ["host", "set", `id:${id}`, ...changeWords(before, form)],
    run: guarded(
      Effect.gen(function* () {
        const payload = yield* payloadOf(HostChange, body)
        const { hosts } = yield* calls
        return yield* hosts.changeHost({ path: { id }, payload, headers: headers.sent, urlParams: {} })
      })
    )
  }
}

/** @since 0.12.0 @category constructors */
export const removeHost = ({ id, name }: Host): Commanded => ({
  label: `Remove ${name}`,
  method: "DELETE",
  path: `/hosts/${id}`,
  words: ["host", "remove", `id:${id}`],
  run: Effect.asVoid(
    Effect.flatMap(calls, ({ hosts }) => hosts.removeHost({ path: { id }, headers: {}, urlParams: {} }))
  )
})

/** @since 0.15.0 @category constructors */
export const declareLost = ({ id, name }: Host, lost: boolean): Commanded => ({
  label: lost ? `Declare ${name} lost` : `Watch ${name} again`,
  method: "PATCH",
  path: `/hosts/${id}`,
  body: { lost },
  words: ["host", lost ? "lost" : "found", `id:${id}`],
  run: Effect.flatMap(calls, ({ hosts }) =>
    hosts.changeHost({ path: { id }, payload: { lost }, headers: {}, urlParams: {} })
  )
})
