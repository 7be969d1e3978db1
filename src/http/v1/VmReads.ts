/**
 * The reads that are made most: one VM, and a page of them. Whoever waits for VMs without the event stream asks for them again and again.
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
import type { VmPage } from "../../api/Vms.ts"
import type { InvalidArgument, PersistenceError, VmNotFound } from "../../domain/Errors.ts"
import { type HostId, VmId } from "../../domain/Ids.ts"
import { Reality, type VmReport } from "../../fabric/Reality.ts"
import * as Revision from "../../fabric/Revision.ts"
import type { VmFilter, VmOrder } from "../../services/Inventory.ts"
import * as Guard from "../Guard.ts"
import * as Json from "../Json.ts"
import * as Server from "../Server.ts"
import * as Pages from "./Pages.ts"
import { headersOf } from "./Revisions.ts"
import * as Views from "./Views.ts"

/** What lists of VMs are asked with. @since 0.10.0 @category models */
export interface Listing extends Omit<VmFilter, "host" | "tags" | "label"> {
  readonly tag?: string
  readonly label?: string
  readonly limit?: number
  readonly cursor?: string
  readonly sort?: VmOrder["by"] | `-${VmOrder["by"]}`
}

interface Answer {
  /** JSON */
  readonly text: string
  readonly headers: Readonly<Record<string, string>>
}

const answerOf = ({ headers, text }: Answer): HttpServerResponse.HttpServerResponse => Json.text(text, { headers })

const answers = new WeakMap<VmReport["vm"], Answer>()

/** Kept as long as its text is the same. */
const ofOne = (report: VmReport): Answer => {
  const text = Views.vmText(report)
  const kept = answers.get(report.vm)
  if (kept?.text === text) return kept
  const made = { text, headers: headersOf(Revision.ofVm(report.vm), text) }
  answers.set(report.vm, made)
  return made
}

const orders = {
  id: { by: "id", descending: false },
  "-id": { by: "id", descending: true },
  name: { by: "name", descending: false },
  "-name": { by: "name", descending: true },
  created: { by: "created", descending: false },
  "-created": { by: "created", descending: true },
  owner: { by: "owner", descending: false },
  "-owner": { by: "owner", descending: true }
} as const

/** `KEY=VALUE`, or `KEY`. */
const labelOf = (text: string) => {
  const at = text.indexOf("=")
  return at === -1 ? { key: text, value: null } : { key: text.slice(0, at), value: text.slice(at + 1) }
}

const ofPage = (
  reality: Reality["Type"],
  { cursor, label, limit = Pages.usual, sort = "id", tag, ...others }: Listing,
  host?: HostId
): Effect.Effect<Answer, InvalidArgument | PersistenceError> => {
  const filter: VmFilter = {
    ...others,
    ...(tag === undefined ? {} : { tags: tag.split(",") }),
    ...(label === undefined ? {} : { label: labelOf(label) }),
    ...(host === undefined ? {} : { host })
  }
  const order = orders[sort]
  const after = Pages.position(cursor, sort, order.by === "name" || order.by === "owner" ? "string" : "number")
  const page = Effect.flatMap(after, (position) => reality.page(filter, order, position, limit))
  return Effect.map(page, (found) => {
    const { items, ...further } = Pages.view(found, sort, Views.vmText)
    const rest: Omit<typeof VmPage.Encoded, "items"> = further
    return { text: `{"items":[${items.join(",")}],${JSON.stringify(rest).slice(1)}`, headers: {} }
  })
}

/** @since 0.9.0 @category conversions */
export const answer = (report: VmReport): HttpServerResponse.HttpServerResponse => answerOf(ofOne(report))

/** @since 0.10.0 @category conversions */
export const page = (
  reality: Reality["Type"],
  listing: Listing,
  host?: HostId
): Effect.Effect<HttpServerResponse.HttpServerResponse, InvalidArgument | PersistenceError> =>
  Effect.map(ofPage(reality, listing, host), answerOf)

const list = `${prefix}/vms`
const plainId = /^\/([1-9][0-9]{0,14})$/
const plainListing = /^(?:\?limit=([1-9][0-9]{0,2})(?:&cursor=([A-Za-z0-9_-]{1,2000}))?)?$/

/** Null: another request, or one that is written in another way and says the same. */
const askedFor = (
  reality: Reality["Type"],
  { headers, method, url = "" }: IncomingMessage
): Effect.Effect<Answer, InvalidArgument | PersistenceError | VmNotFound> | null => {
  if (method !== "GET" || !url.startsWith(list)) return null
  if (headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined) return null
  // who may know it already is answered by the endpoint
  if (headers["if-none-match"] !== undefined) return null
  const rest = url.slice(list.length)
  const [, id] = plainId.exec(rest) ?? []
  // nothing is asked for before it is known who asks
  if (id !== undefined) {
    return Effect.suspend(() => Effect.map(reality.vm(VmId.make(Number(id), { disableValidation: true })), ofOne))
  }
  const listing = plainListing.exec(rest)
  if (listing === null) return null
  const [, limit, cursor] = listing
  return Effect.suspend(() =>
    ofPage(reality, {
      ...(limit === undefined ? {} : { limit: Number(limit) }),
      ...(cursor === undefined ? {} : { cursor })
    })
  )
}

/**
 * Answers them where they come in: a fiber, a scope, the router and the decoders of an endpoint take several times as long as what there is to do.
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
      const nothing = Effect.succeed(null)
      yield* shortWay.value((request, response) => {
        const asked = askedFor(reality, request)
        if (asked === null) return false
        const found = runSync(
          Effect.flatMap(admission.admits(request), (admitted): typeof asked | typeof nothing =>
            admitted ? asked : nothing
          )
        )
        if (found._tag === "Failure" || found.value === null) return false
        const { headers, text } = found.value
        response.writeHead(200, { ...headers, ...Json.headersOf(text) })
        response.end(text)
        return true
      })
    })
  )
)
