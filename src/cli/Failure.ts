/**
 * What a command fails with, what it says then, and its exit status.
 *
 * @since 0.5.0
 */
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as Data from "effect/Data"
import * as Schema from "effect/Schema"
import * as Problem from "../api/Problem.ts"
import { showBarred } from "../domain/Explanation.ts"
import { codeOf, hungUp, noTls } from "../client/Errors.ts"
import type * as Errors from "../client/Errors.ts"
import { plain } from "./Text.ts"

/** Exit statuses, which scripts may decide by. @since 0.5.0 @category constants */
export const exit = {
  done: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  notAllowed: 4,
  unreachable: 5,
  interrupted: 130
} as const

/** What they mean, for the help. @since 0.5.0 @category constants */
export const statuses: ReadonlyArray<readonly [status: number, meaning: string]> = [
  [exit.done, "done"],
  [exit.failed, "it failed, or cannot be done as things are"],
  [exit.usage, "the command, or a value in it, is not right"],
  [exit.notFound, "there is no such thing"],
  [exit.notAllowed, "not signed in, or not allowed"],
  [exit.unreachable, "the controller cannot be reached"],
  [exit.interrupted, "interrupted, as by Ctrl-C; operations go on"]
]

/** What the command itself refuses, before or after it asked the controller. @since 0.5.0 @category errors */
export class Refused extends Data.TaggedError("Refused")<{
  readonly why: "usage" | "notFound" | "failed"
  /** one sentence: what, where and how to mend it */
  readonly message: string
  /** the argument or flag it is about */
  readonly field?: string
  /** for what the controller refused it, where that takes more than a sentence */
  readonly refusal?: Problem.PlacementRefusal
}> {}

/** A program that the command ran has ended so, and has said itself why. @since 0.7.0 @category errors */
export class Ended extends Data.TaggedError("Ended")<{ readonly status: number }> {
  override get message(): string {
    return `the program ended with status ${this.status}`
  }
}

/** @since 0.5.0 @category errors */
export type Failure = Errors.Failure | Refused | Ended

/** @since 0.5.0 @category conversions */
export const statusOf = (failure: Failure): number => {
  switch (failure._tag) {
    case "Refused":
      return exit[failure.why]
    case "Ended":
      return failure.status
    case "InvalidRequest":
      return exit.usage
    case "NotFound":
      return exit.notFound
    case "Unauthenticated":
    case "Forbidden":
      return exit.notAllowed
    case "Unreachable":
      return exit.unreachable
    case "UnexpectedAnswer":
      return [502, 503, 504].includes(failure.status ?? 0) ? exit.unreachable : exit.failed
    default:
      return exit.failed
  }
}

const untrusted = [
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
]

/** What to do about a controller that cannot be reached, by what its connection failed with. */
const elsewhere = ({ cause, message }: Errors.Unreachable): string => {
  const code = codeOf(cause) ?? ""
  if (untrusted.includes(code)) {
    return (
      "; if it is the right controller, give its certificate, or that of the authority it is from, by --ca-file FILE " +
      "(PEM) or VMFABRIC_CA_FILE"
    )
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return "; its certificate is for other names: give one of those by --url, or have it one for this name (--tls-cert)"
  }
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID") {
    return "; the controller needs another certificate (--tls-cert), or this machine's clock is wrong"
  }
  if (message.endsWith(noTls)) return "; give its address by --url http://…"
  const secure = cause instanceof HttpClientError.RequestError && cause.request.url.startsWith("https:")
  if (message.endsWith(hungUp) && !secure) return "; if it speaks TLS, give its address by --url https://…"
  return "; another address is given by --url, --context or VMFABRIC_URL"
}

/** What to do about it, where the failure does not say. */
const adviceOf = (failure: Failure): string => {
  switch (failure._tag) {
    case "Unauthenticated":
      return failure.code === "unauthenticated" ? "; sign in by vmfabric login, or give --token-file" : ""
    case "Unreachable":
      return elsewhere(failure)
    case "UnexpectedAnswer":
      return "; is the address that of a controller?"
    case "OperationFailed":
    case "Refused":
    case "Ended":
      return ""
    default:
      return failure.operation !== undefined
        ? `; vmfabric operation watch ${failure.operation} waits for what stands in the way`
        : failure.retryAfter !== undefined
          ? `; try again in ${failure.retryAfter} s`
          : ""
  }
}

const fieldOf = (failure: Failure): string | undefined =>
  "field" in failure && typeof failure.field === "string" ? failure.field : undefined

/** One sentence, without a line end. @since 0.5.0 @category conversions */
export const sentence = (failure: Failure): string => {
  const field = fieldOf(failure)
  const about = field === undefined || failure.message.includes(field) ? "" : `${field}: `
  return plain(about + failure.message.replace(/\.$/, "") + adviceOf(failure))
}

/** What to type for it, or where to look. */
const commandOf = ({ host, kind, maintenance, rules, type }: Problem.PlacementRefusal["repairs"][number]): string => {
  switch (kind) {
    case "host":
      return maintenance === true ? ` (vmfabric host maintenance ${host} off)` : ` (vmfabric host doctor ${host})`
    case "type":
      return type === undefined ? "" : ` (--type ${type})`
    case "room":
      return ` (vmfabric vm list --host ${host} shows what is there)`
    case "network":
      return " (vmfabric network list shows which hosts have which)"
    case "rule":
      // what another VM asks for is not said by this one
      return rules?.every((rule) => rule.startsWith("it ")) === true ? " (--should in place of --must)" : ""
    case "move":
      return ""
  }
}

/** A line for each group of hosts and for each thing that would help. @since 0.7.0 @category conversions */
export const refusalLines = ({ barred, hosts, repairs, unnamed }: Problem.PlacementRefusal): ReadonlyArray<string> => {
  if (hosts === 0) return ["  there are no hosts: vmfabric host add adds one"]
  return [
    ...barred.map((group) => `  ${showBarred(group)}`),
    ...(unnamed === 0 ? [] : [`  ${unnamed} more hosts: other reasons`]),
    ...(repairs.length === 0 ? ["nothing less was found that would help"] : ["what would help:"]),
    ...repairs.map((repair) => `  ${repair.text}${commandOf(repair)}`)
  ].map(plain)
}

/** The refusal of a request that could be placed nowhere, and what is said before its lines; undefined: it is none. */
const refusalOf = (failure: Failure): readonly [headline: string, Problem.PlacementRefusal] | undefined => {
  if (failure._tag !== "Conflict" && failure._tag !== "Refused") return undefined
  const { refusal } = failure
  if (refusal === undefined) return undefined
  return [failure._tag === "Refused" ? failure.message : refusal.problem, refusal]
}

/** What a person is told: a sentence, and below it what would be too much for one; each line without its end. @since 0.7.0 @category conversions */
export const lines = (failure: Failure): ReadonlyArray<string> => {
  const found = refusalOf(failure)
  return found === undefined ? [sentence(failure)] : [plain(found[0]), ...refusalLines(found[1])]
}

/** What a problem is in a few words, when its `refusalLines` follow. @since 0.7.0 @category conversions */
export const brief = (problem: Problem.Problem): string =>
  problem._tag === "Conflict" && problem.refusal !== undefined ? problem.refusal.problem : sentence(problem)

/** Where could nothing be placed, for `Refused`. @since 0.7.0 @category conversions */
export const refusalIn = (problem: Problem.Problem): { readonly refusal?: Problem.PlacementRefusal } =>
  problem._tag === "Conflict" && problem.refusal !== undefined ? { refusal: problem.refusal } : {}

const encodeProblem = Schema.encodeSync(Problem.Problem)
const isProblem = Schema.is(Problem.Problem)

const codes = {
  Refused: "invalid_command",
  Ended: "program_failed",
  Unreachable: "unreachable",
  UnexpectedAnswer: "unexpected_answer",
  OperationFailed: "operation_failed"
} as const

/** The problem document as the API gave it, or one made like that. @since 0.5.0 @category conversions */
export const document = (failure: Failure): object => {
  if (isProblem(failure)) return encodeProblem(failure)
  const field = fieldOf(failure)
  return {
    _tag: failure._tag,
    status: failure._tag === "UnexpectedAnswer" ? failure.status : null,
    code: codes[failure._tag],
    title: "The command failed",
    detail: failure.message,
    ...(field === undefined ? {} : { field }),
    ...(failure._tag === "OperationFailed" ? { operation: failure.operation.id } : {}),
    ...(failure._tag === "Refused" && failure.refusal !== undefined ? { refusal: failure.refusal } : {})
  }
}
