/**
 * Sends traces to a collector, as OTLP in JSON over HTTP. Loaded only where that is asked for.
 *
 * What is sent are requests, and operations that an earlier process left, each with all it leads to. What the controller does by itself all the time (looking
 * at hosts, looking whether there is work) would only bury them.
 *
 * @since 0.5.0
 */
import * as OtlpSerialization from "@effect/opentelemetry/OtlpSerialization"
import * as OtlpTracer from "@effect/opentelemetry/OtlpTracer"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Tracer from "effect/Tracer"
import packageJson from "../../package.json" with { type: "json" }

/** @since 0.5.0 @category models */
export interface Options {
  /** where the collector is, without `/v1/traces` */
  readonly endpoint: string
  /** how often spans are sent; default: every second */
  readonly interval?: Duration.DurationInput
}

/** How long an export may take, and how many may be under way; what is more is dropped: a collector that hangs must not cost memory. */
const limits = { time: "5 seconds", exports: 4 } as const

/** How long the last export may hold up the end of the process. */
const atTheEnd = "1 second"

/** The begin of what may be nobody's part. */
const isBegin = (name: string, kind: Tracer.SpanKind): boolean => kind === "server" || name === "Saga.drive"

/** Only what is, or is part of, what is to be sent goes to `sent`; all else to nobody. */
const sifted = (sent: Tracer.Tracer, nobody: Tracer.Tracer): Tracer.Tracer => {
  const ours = new WeakSet<Tracer.AnySpan>()
  return Tracer.make({
    span: (name, parent, context, links, startTime, kind, options) => {
      const known = Option.filter(parent, (span) => (span._tag === "ExternalSpan" ? span.sampled : ours.has(span)))
      if (Option.isNone(known) && !isBegin(name, kind)) {
        return nobody.span(name, parent, context, links, startTime, kind, options)
      }
      const span = sent.span(name, known, context, links, startTime, kind, options)
      ours.add(span)
      return span
    },
    context: (run, fiber) => sent.context(run, fiber)
  })
}

/** Warns when the collector fails, once until it works again. */
const watched = (client: HttpClient.HttpClient, endpoint: string): HttpClient.HttpClient => {
  let underWay = 0
  let failing = false
  const tell = (reason: string) =>
    Effect.suspend(() => {
      if (failing) return Effect.void
      failing = true
      return Effect.logWarning(`traces cannot be sent to ${endpoint}, and are dropped until they can: ${reason}`)
    })
  return HttpClient.transform(client, (answer, request) =>
    Effect.suspend(() => {
      const refuse = (description: string) =>
        new HttpClientError.RequestError({ request, reason: "Transport", description })
      if (underWay >= limits.exports) return refuse("it does not keep up")
      underWay++
      return Effect.timeoutFail(answer, {
        duration: limits.time,
        onTimeout: () => refuse(`it did not answer within ${limits.time}`)
      }).pipe(Effect.ensuring(Effect.sync(() => void underWay--)))
    }).pipe(
      Effect.tapBoth({
        onFailure: (error) =>
          tell(error.cause instanceof Error ? error.cause.message : (error.description ?? error.message)),
        onSuccess: ({ status }) => {
          if (status >= 300) return tell(`it answers ${status}`)
          const again = failing
          failing = false
          return again ? Effect.log(`traces are sent to ${endpoint} again`) : Effect.void
        }
      })
    )
  )
}

/** `name=value`, several with commas between them, escaped as in URLs; what is none of that is left out. */
const headersOf = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    text.split(",").flatMap((one) => {
      const [, name, value] = /^\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(.*?)\s*$/.exec(one) ?? []
      const decoded = Either.try(() => decodeURIComponent(value ?? ""))
      return name === undefined || Either.isLeft(decoded) ? [] : [[name, decoded.right]]
    })
  )

/** As collectors' own documentation names them. */
const settings = Config.all({
  headers: Config.redacted("OTEL_EXPORTER_OTLP_HEADERS").pipe(Config.withDefault(Redacted.make(""))),
  serviceName: Config.string("OTEL_SERVICE_NAME").pipe(Config.withDefault(packageJson.name))
})

/** Traces all that is built with it. @since 0.5.0 @category layers */
export const layer = ({ endpoint, interval = "1 second" }: Options): Layer.Layer<never, ConfigError.ConfigError> =>
  Layer.unwrapScoped(
    Effect.gen(function* () {
      const nobody = yield* Effect.tracer
      const { headers, serviceName } = yield* settings
      const sent = yield* OtlpTracer.make({
        url: `${endpoint.replace(/\/$/, "")}/v1/traces`,
        headers: headersOf(Redacted.value(headers)),
        resource: { serviceName, serviceVersion: packageJson.version },
        exportInterval: interval,
        shutdownTimeout: atTheEnd
      })
      return Layer.setTracer(sifted(sent, nobody))
    })
  ).pipe(
    Layer.provide(OtlpSerialization.layerJson),
    Layer.provide(
      Layer.effect(
        HttpClient.HttpClient,
        Effect.map(HttpClient.HttpClient, (client) => watched(client, endpoint))
      )
    ),
    Layer.provide(FetchHttpClient.layer)
  )
