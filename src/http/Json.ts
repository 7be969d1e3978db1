/**
 * Answers in JSON.
 *
 * @since 0.9.0
 */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"

/** @since 0.9.0 @category models */
export interface Options {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
}

const contentType = "application/json"

/** What the head of an answer says of a text that is JSON. @since 0.9.0 @category conversions */
export const headersOf = (json: string) => ({
  "content-type": contentType,
  "content-length": String(Buffer.byteLength(json))
})

/**
 * A text that is JSON. As a string, which Node sends in one piece with the head; bytes are a second piece, and cost some of the throughput.
 *
 * @since 0.9.0 @category constructors
 */
export const text = (json: string, options: Options = {}): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.raw(json, { ...options, contentType, contentLength: Buffer.byteLength(json) })

/** @since 0.9.0 @category constructors */
export const answer = (body: object, options?: Options): HttpServerResponse.HttpServerResponse =>
  text(JSON.stringify(body), options)
