/**
 * Errors as libvirtd 9.0.0 words them.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/** virErrorNumber, those the simulated daemon uses. @since 0.1.0 @category models */
export const code = {
  internal: 1,
  noSupport: 3,
  noConnect: 5,
  invalidArg: 8,
  operationFailed: 9,
  noSource: 19,
  noTarget: 20,
  noName: 21,
  xml: 27,
  xmlDetail: 35,
  system: 38,
  rpc: 39,
  noDomain: 42,
  noNetwork: 43,
  noPool: 49,
  noVolume: 50,
  operationInvalid: 55,
  noInterface: 57,
  invalidSecret: 65,
  noSecret: 66,
  unsupported: 67,
  timeout: 68,
  noMetadata: 80,
  overflow: 82,
  agentUnresponsive: 86,
  volumeExists: 90,
  deviceMissing: 99
} as const

/** virErrorDomain, the subsystem that speaks. @since 0.1.0 @category models */
export const from = {
  none: 0,
  xml: 5,
  rpc: 7,
  qemu: 10,
  storage: 18,
  network: 19,
  domain: 20,
  interface: 28,
  secret: 30,
  cpu: 31,
  streams: 38
} as const

/** errno values that go into `int1`. @since 0.1.0 @category models */
export const errno = { ENOENT: 2, ENODEV: 19, ENOSPC: 28, ENOTEMPTY: 39 } as const

const formats: Readonly<Record<number, string>> = {
  1: "internal error: %s",
  3: "this function is not supported by the connection driver: %s",
  5: "no connection driver available for %s",
  8: "invalid argument: %s",
  9: "operation failed: %s",
  19: "missing source information for device %s",
  20: "missing target information for device %s",
  21: "missing name information in %s",
  27: "XML error: %s",
  42: "Domain not found: %s",
  43: "Network not found: %s",
  49: "Storage pool not found: %s",
  50: "Storage volume not found: %s",
  55: "Requested operation is not valid: %s",
  57: "Interface not found: %s",
  65: "Invalid secret: %s",
  66: "Secret not found: %s",
  67: "unsupported configuration: %s",
  68: "Timed out during operation: %s",
  80: "metadata not found: %s",
  82: "numerical overflow: %s",
  86: "Guest agent is not responding: %s",
  90: "storage volume %s exists already",
  99: "device not found: %s"
}

/** What the daemon answers instead of a reply; becomes the wire's error structure. @since 0.1.0 @category errors */
export class Refusal extends Data.TaggedError("Refusal")<{
  readonly code: number
  readonly domain: number
  readonly message: string
  readonly str1: string | null
  readonly str2: string | null
  readonly int1: number
}> {}

/** `detail` goes into the code's usual sentence. @since 0.1.0 @category constructors */
export const refuse = (code: number, domain: number, detail: string): Refusal => {
  const format = formats[code] ?? "%s"
  return new Refusal({
    code,
    domain,
    message: format.replace("%s", () => detail),
    str1: format,
    str2: detail,
    int1: -1
  })
}

/** A system call that failed: code 38 with errno in `int1`. @since 0.1.0 @category constructors */
export const systemError = (domain: number, number: number, detail: string): Refusal => {
  const what: Record<number, string> = {
    2: "No such file or directory",
    19: "No such device",
    28: "No space left on device",
    39: "Directory not empty"
  }
  return new Refusal({
    code: code.system,
    domain,
    message: `${detail}: ${what[number] ?? `error ${number}`}`,
    str1: "%s",
    str2: `${detail}: ${what[number] ?? `error ${number}`}`,
    int1: number
  })
}

/** A document that is not well-formed. `what` is the parser's name for it. @since 0.1.0 @category constructors */
export const malformed = (domain: number, what: string, xml: string, problem: string): Refusal => {
  const message = `(${what}):1: ${problem}\n${xml.split("\n")[0] ?? ""}\n^`
  return new Refusal({ code: code.xmlDetail, domain, message, str1: "%s", str2: message, int1: -1 })
}

/** An argument that libvirt's own checks refuse. @since 0.1.0 @category constructors */
export const badArgument = (domain: number, procedure: string, argument: string, message: string): Refusal =>
  new Refusal({ code: code.invalidArg, domain, message, str1: procedure, str2: argument, int1: 0 })

/** Bits outside `known`; undefined when there are none. @since 0.1.0 @category constructors */
export const unsupportedFlags = (
  flags: number,
  known: number,
  procedure: string,
  domain: number = from.qemu
): Refusal | undefined => {
  const unknown = (flags & ~known) >>> 0
  return unknown === 0
    ? undefined
    : badArgument(domain, procedure, "flags", `unsupported flags (0x${unknown.toString(16)}) in function ${procedure}`)
}
