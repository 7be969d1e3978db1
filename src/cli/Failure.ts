/**
 * What a command fails with, what it says then, and its exit status.
 *
 * @since 0.5.0
 */
import * as Data from "effect/Data"
import * as Schema from "effect/Schema"
import * as Problem from "../api/Problem.ts"
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

/** What to do about it, where the failure does not say. */
const adviceOf = (failure: Failure): string => {
  switch (failure._tag) {
    case "Unauthenticated":
      return failure.code === "unauthenticated" ? "; sign in by vmfabric login, or give --token-file" : ""
    case "Unreachable":
      return "; another address is given by --url, --context or VMFABRIC_URL"
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
    ...(failure._tag === "OperationFailed" ? { operation: failure.operation.id } : {})
  }
}
