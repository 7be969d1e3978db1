/**
 * The API's description: for programs, and for people.
 *
 * @since 0.4.0
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { api } from "../../api/Api.ts"

/** What browsers hold the page to: it fetches nothing from elsewhere, whatever its script says. */
const policy = [
  "default-src 'none'",
  "script-src 'unsafe-inline'",
  "style-src 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src data:",
  "connect-src 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "base-uri 'none'"
].join("; ")

/** A service that would be asked whether the document is valid; this word in its place asks nobody. */
const validator = { url: "https://validator.swagger.io/validator", none: "none" }

/** Above all of it: whoever comes from the web interface need not go back page by page. */
const back = `<nav aria-label="vmfabric" style="padding: 12px 20px; background: #fff; font: 16px system-ui, sans-serif">
    <a href="/ui/" style="color: #1d4ed8">← vmfabric's web interface</a>
  </nav>`

/** Two megabytes, so only made when somebody asks. */
const makePage = Effect.promise(async () => {
  const Swagger = await import("@effect/platform/HttpApiSwagger")
  const { dispose, handler } = HttpLayerRouter.toWebHandler(Swagger.layerHttpLayerRouter({ api, path: "/docs" }), {
    disableLogger: true
  })
  const response = await handler(new Request("http://localhost/docs"))
  const text = await response.text()
  await dispose()
  return HttpServerResponse.text(text.replaceAll(validator.url, validator.none).replace("<body>", `<body>${back}`), {
    contentType: "text/html; charset=utf-8",
    headers: {
      "content-security-policy": policy,
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer"
    }
  })
})

/** @since 0.4.0 @category layers */
export const layer = HttpLayerRouter.addAll(
  Effect.gen(function* () {
    // not `Effect.cached`: that would stay interrupted for all when whoever asks first goes away
    const page = yield* Effect.cachedWithTTL(makePage, Duration.infinity)
    const document = yield* Effect.cachedWithTTL(
      Effect.sync(() =>
        HttpServerResponse.text(JSON.stringify(OpenApi.fromApi(api)), { contentType: "application/json" })
      ),
      Duration.infinity
    )
    return [HttpLayerRouter.route("GET", "/openapi.json", document), HttpLayerRouter.route("GET", "/docs", page)]
  })
)
