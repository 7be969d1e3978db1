/**
 * What is done here, as it is typed elsewhere.
 *
 * @since 0.7.0
 */
import { prefix } from "../../api/Api.ts"
import type { Action } from "../state/Tasks.ts"

/** @since 0.7.0 @category models */
export interface Commanded extends Action {
  readonly method: "POST" | "PUT" | "PATCH" | "DELETE"
  /** below `/api/v1` */
  readonly path: `/${string}`
  readonly body?: object
  /** of the command line, without `vmfabric` */
  readonly words: ReadonlyArray<string>
}

/** For a POSIX shell. */
const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)

/** With a token where the controller asks for one. @since 0.7.0 @category formatting */
export const curl = ({ body, method, path }: Commanded, needsToken: boolean): string =>
  [
    "curl",
    ...(method === "POST" && body !== undefined ? [] : ["-X", method]),
    ...(needsToken ? ['-H "Authorization: Bearer $VMFABRIC_TOKEN"'] : []),
    ...(body === undefined ? [] : ["-H 'Content-Type: application/json'", "-d", quoted(JSON.stringify(body))]),
    quoted(`${location.origin}${prefix}${path}`)
  ].join(" ")

/** @since 0.7.0 @category formatting */
export const cli = ({ words }: Commanded): string => ["vmfabric", ...words].map(quoted).join(" ")
