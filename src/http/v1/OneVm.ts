/**
 * The read that is made most: one VM. Whoever waits for a VM without the event stream asks for it again and again.
 *
 * @since 0.9.0
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import { prefix } from "../../api/Api.ts"
import { VmId } from "../../domain/Ids.ts"
import { Reality, type VmReport } from "../../fabric/Reality.ts"
import * as Revision from "../../fabric/Revision.ts"
import * as Json from "../Json.ts"
import { headersOf } from "./Revisions.ts"
import * as Views from "./Views.ts"

/** @since 0.9.0 @category conversions */
export const answer = (report: VmReport): HttpServerResponse.HttpServerResponse =>
  Json.text(Views.vmText(report), { headers: headersOf(Revision.ofVm(report.vm)) })

const path = `${prefix}/vms/`
const plainId = /^[1-9][0-9]{0,14}$/

/** Null: another request, or one that is written in another way and says the same. */
const askedFor = ({ method, url }: HttpServerRequest.HttpServerRequest): VmId | null => {
  if (method !== "GET" || !url.startsWith(path)) return null
  const id = url.slice(path.length)
  return plainId.test(id) ? VmId.make(Number(id)) : null
}

/**
 * Answers it before the router: finding the endpoint, its context and its decoders take twice as long as what it does. Everything but the answer
 * itself, also that there is no such VM, is left to the endpoint, which answers the same.
 *
 * @since 0.9.0 @category layers
 */
export const layer = HttpLayerRouter.use((router) =>
  Effect.flatMap(Reality, (reality) =>
    router.addGlobalMiddleware((handler) =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        const id = askedFor(request)
        return id === null
          ? handler
          : Effect.matchCauseEffect(reality.vm(id), {
              onFailure: () => handler,
              onSuccess: (report) => Effect.succeed(answer(report))
            })
      })
    )
  )
)
