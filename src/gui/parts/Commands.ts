/**
 * What is done here, as it is typed elsewhere.
 *
 * @since 0.7.0
 */
import { prefix } from "../../api/Api.ts"
import type { Action } from "../state/Tasks.ts"

/** A request, and the same of the command line. @since 0.8.0 @category models */
export interface Command {
  readonly label: string
  readonly method: "POST" | "PUT" | "PATCH" | "DELETE"
  /** below `/api/v1` */
  readonly path: `/${string}`
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: object
  /** fields of the body that are secrets, by the variables of a shell that stand in for them: what was typed is in no command @since 0.14.0 */
  readonly secrets?: Readonly<Record<string, string>>
  /** a file whose bytes are sent, from this one on */
  readonly file?: { readonly name: string; readonly from: number }
  /** of the command line, without `vmfabric` */
  readonly words: ReadonlyArray<string>
  /** what the command line reads as its standard input, where its words say so */
  readonly input?: string
}

/** @since 0.7.0 @category models */
export interface Commanded extends Action, Command {}

/** For a POSIX shell. */
const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)

const header = (name: string, value: string): ReadonlyArray<string> => ["-H", quoted(`${name}: ${value}`)]

/** As JSON in single quotes, which a shell fills the secrets in: it is itself that reads them, so that no list of processes has them. */
const filledIn = (body: object, secrets: Readonly<Record<string, string>>): string => {
  const said = JSON.stringify(body).slice(1, -1).replaceAll("'", `'\\''`)
  const kept = Object.entries(secrets).map(([field, variable]) => `"${field}":"'"$${variable}"'"`)
  return `'{${[...(said === "" ? [] : [said]), ...kept].join(",")}}'`
}

/** With a token where the controller asks for one, and what else is secret by a variable's name. @since 0.7.0 @category formatting */
export const curl = ({ body, file, headers = {}, method, path, secrets }: Command, needsToken: boolean): string =>
  [
    ...(file === undefined ? [] : ["tail", "-c", `+${file.from + 1}`, quoted(file.name), "|"]),
    ...(body === undefined || secrets === undefined ? [] : ["printf", "%s", filledIn(body, secrets), "|"]),
    "curl",
    ...(method === "POST" && body !== undefined ? [] : ["-X", method]),
    ...(needsToken ? ['-H "Authorization: Bearer $VMFABRIC_TOKEN"'] : []),
    ...Object.entries(headers).flatMap(([name, value]) => header(name, value)),
    ...(body === undefined
      ? []
      : [
          ...header("Content-Type", "application/json"),
          "-d",
          secrets === undefined ? quoted(JSON.stringify(body)) : "@-"
        ]),
    ...(file === undefined ? [] : [...header("Content-Type", "application/octet-stream"), "--data-binary", "@-"]),
    quoted(`${location.origin}${prefix}${path}`)
  ].join(" ")

/** To this controller: a shell's own context may be of another, where the same id is another thing. @since 0.7.0 @category formatting */
export const cli = ({ input, words }: Pick<Command, "words" | "input">): string =>
  (input === undefined ? "" : `printf %s ${quoted(input)} | `) +
  ["vmfabric", ...words, "--url", location.origin].map(quoted).join(" ")
