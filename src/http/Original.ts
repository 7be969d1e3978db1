/**
 * The original program's routes, version 1.0, and those of its sister programs.
 *
 * Old clients read only the body, so every answer has status 200 and its documented shape; after a failure a further key `error` says why.
 *
 * @since 0.1.0
 */
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Errors from "../domain/Errors.ts"
import * as Ids from "../domain/Ids.ts"
import { Hosts } from "../fabric/Hosts.ts"
import { Images } from "../fabric/Images.ts"
import { Vms } from "../fabric/Vms.ts"
import * as Parameters from "./Parameters.ts"

/** @since 0.1.0 @category constants */
export const paths = [
  "/vm/create",
  "/vm/query",
  "/vm/destroy",
  "/vm/types",
  "/image/list",
  "/pm/list",
  "/pm/query",
  "/pm/listvms"
] as const

/** As a string, which Node sends in one piece with the head; bytes are a second piece, and cost some of the throughput. */
const json = (body: object): HttpServerResponse.HttpServerResponse => {
  const text = JSON.stringify(body)
  return HttpServerResponse.raw(text, { contentType: "application/json", contentLength: Buffer.byteLength(text) })
}

/** Far above what any parameter may be. */
const maxBody = 64 * 1024

const formType = "application/x-www-form-urlencoded"

const withForm = Effect.fnUntraced(function* (
  request: HttpServerRequest.HttpServerRequest,
  inUrl: Parameters.Parameters
) {
  const all: Record<string, string | ReadonlyArray<string> | undefined> = { ...inUrl }
  const tooLarge = new Errors.InvalidArgument({
    field: "body",
    problem: "cannot be read",
    expected: `a form (${formType}) of at most 64 KiB`
  })
  // refused by its announced length, so that the answer still reaches the client; one that lies or announces none is cut off while read
  if (Number(request.headers["content-length"] ?? 0) > maxBody) return yield* tooLarge
  const form = yield* HttpIncomingMessage.withMaxBodySize(request.urlParamsBody, Option.some(maxBody)).pipe(
    Effect.mapError(() => tooLarge)
  )
  for (const [name, value] of form) {
    const before = all[name]
    all[name] = before === undefined ? value : [...(typeof before === "string" ? [before] : before), value]
  }
  return all
})

/** A form's fields count like the URL's; one that is in both is given twice. Every request passes here, so without a generator. */
const parameters = Effect.flatMap(HttpServerRequest.ParsedSearchParams, (inUrl: Parameters.Parameters) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    request.method === "POST" && (request.headers["content-type"] ?? "").startsWith(formType)
      ? withForm(request, inUrl)
      : Effect.succeed(inUrl)
  )
)

/**
 * One route. `failed` is the documented answer to a failure. What nobody foresaw is logged whole and told as such: the
 * client learns nothing of our insides, and never gets an empty 500.
 */
const route = <E extends { readonly message: string }, R>(
  path: (typeof paths)[number],
  failed: object,
  handler: (parameters: Parameters.Parameters) => Effect.Effect<object, E, R>
) => {
  const effect = parameters.pipe(
    Effect.flatMap(handler),
    Effect.map(json),
    Effect.catchAll((error) => Effect.succeed(json({ ...failed, error: error.message }))),
    Effect.catchAllDefect((defect) =>
      Effect.as(
        Effect.annotateLogs(Effect.logError("a request failed unexpectedly", defect), { path }),
        json({ ...failed, error: "internal error: the controller's log says more" })
      )
    )
  )
  return [HttpLayerRouter.route("GET", path, effect), HttpLayerRouter.route("POST", path, effect)] as const
}

/** @since 0.1.0 @category layers */
export const layer = HttpLayerRouter.addAll(
  Effect.gen(function* () {
    const vms = yield* Vms
    const images = yield* Images
    const hosts = yield* Hosts
    return [
      ...route(
        "/vm/create",
        { vmid: 0 },
        Effect.fnUntraced(function* (given) {
          const name = yield* Parameters.requiredText(given, "name")
          const instanceType = yield* Parameters.requiredId(given, "instance_type", Ids.InstanceTypeId)
          const imageId = yield* Parameters.id(given, "image_id", Ids.ImageId)
          const vm = yield* vms.create({ name, instanceType, ...(imageId === undefined ? {} : { imageId }) })
          return { vmid: vm.id }
        })
      ),
      ...route(
        "/vm/query",
        {},
        // asked most of all: without a generator, too
        (given) =>
          Effect.map(
            Effect.flatMap(Parameters.requiredId(given, "vmid", Ids.VmId), vms.get),
            ({ hostId, id, instanceType, name }) => ({ vmid: id, name, instance_type: instanceType, pmid: hostId })
          )
      ),
      ...route(
        "/vm/destroy",
        { status: 0 },
        Effect.fnUntraced(function* (given) {
          yield* vms.destroy(yield* Parameters.requiredId(given, "vmid", Ids.VmId))
          return { status: 1 }
        })
      ),
      ...route("/vm/types", { types: [] }, () => Effect.map(images.types, (types) => ({ types }))),
      ...route("/image/list", { images: [] }, () =>
        Effect.map(images.list, (all) => ({ images: all.map(({ config, id }) => ({ id, name: config.name })) }))
      ),
      ...route("/pm/list", { pmids: [] }, () =>
        Effect.map(hosts.list, (all) => ({ pmids: all.map(({ host }) => host.id) }))
      ),
      ...route(
        "/pm/query",
        {},
        Effect.fnUntraced(function* (given) {
          const report = yield* hosts.get(yield* Parameters.requiredId(given, "pmid", Ids.HostId))
          return { pmid: report.host.id, capacity: report.capacity, free: report.free, vms: report.vms }
        })
      ),
      ...route(
        "/pm/listvms",
        { vmids: [] },
        Effect.fnUntraced(function* (given) {
          const { host } = yield* hosts.get(yield* Parameters.requiredId(given, "pmid", Ids.HostId))
          return { vmids: (yield* vms.list({ host: host.id })).map((vm) => vm.id) }
        })
      )
    ]
  })
)
