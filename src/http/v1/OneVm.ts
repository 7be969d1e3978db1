/**
 * The read that is made most: one VM. Whoever waits for a VM without the event stream asks for it again and again.
 *
 * @since 0.9.0
 */
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type { IncomingMessage } from "node:http"
import { prefix } from "../../api/Api.ts"
import { VmId } from "../../domain/Ids.ts"
import { Reality, type VmReport } from "../../fabric/Reality.ts"
import * as Revision from "../../fabric/Revision.ts"
import * as Guard from "../Guard.ts"
import * as Json from "../Json.ts"
import * as Server from "../Server.ts"
import { headersOf } from "./Revisions.ts"
import * as Views from "./Views.ts"

const partsOf = (report: VmReport) => ({
  text: Views.vmText(report),
  headers: headersOf(Revision.ofVm(report.vm))
})

/** @since 0.9.0 @category conversions */
export const answer = (report: VmReport): HttpServerResponse.HttpServerResponse => {
  const { headers, text } = partsOf(report)
  return Json.text(text, { headers })
}

const path = `${prefix}/vms/`
const plainId = /^[1-9][0-9]{0,14}$/

/** Null: another request, or one that is written in another way and says the same. */
const askedFor = ({ headers, method, url = "" }: IncomingMessage): VmId | null => {
  if (method !== "GET" || !url.startsWith(path)) return null
  if (headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined) return null
  const id = url.slice(path.length)
  return plainId.test(id) ? VmId.make(Number(id), { disableValidation: true }) : null
}

/**
 * Answers it where it comes in: a fiber, a scope, the router and the decoders of an endpoint take several times as long as what there is to do.
 * Everything but the answer itself, also that it is refused or that there is no such VM, is left to the guard and the endpoint, which answer the
 * same (who asks for one that is not there has so made two requests).
 *
 * @since 0.9.0 @category layers
 */
export const layer = Layer.scopedDiscard(
  Effect.flatMap(
    Effect.serviceOption(Server.ShortWay),
    Effect.fnUntraced(function* (shortWay) {
      if (Option.isNone(shortWay)) return
      const admission = yield* Guard.Admission
      const reality = yield* Reality
      const runSync = Runtime.runSyncExit(yield* Effect.runtime())
      yield* shortWay.value((request, response) => {
        const id = askedFor(request)
        if (id === null) return false
        const found = runSync(
          Effect.flatMap(admission.admits(request), (admitted) => (admitted ? reality.vm(id) : Effect.succeed(null)))
        )
        if (found._tag === "Failure" || found.value === null) return false
        const { headers, text } = partsOf(found.value)
        response.writeHead(200, { ...headers, ...Json.headersOf(text) })
        response.end(text)
        return true
      })
    })
  )
)
