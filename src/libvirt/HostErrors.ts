/**
 * From what a libvirt call can fail with to what users are told of a host.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { HostFailure, type HostError, HostUnreachable } from "../domain/Errors.ts"
import { asked } from "../domain/HostCalls.ts"
import type { Host } from "../domain/Host.ts"
import * as Unstacked from "../domain/Unstacked.ts"
import type { LibvirtError } from "../services/Libvirt.ts"
import type { SshError } from "../services/Ssh.ts"
import * as Xml from "./Xml.ts"

/** virErrorNumber: those that are decided on. @since 0.1.0 @category constants */
export const code = {
  internal: 1,
  noSupport: 3,
  invalidArgument: 8,
  operationFailed: 9,
  xml: 27,
  system: 38,
  noDomain: 42,
  noNetwork: 43,
  noPool: 49,
  noVolume: 50,
  operationInvalid: 55,
  noInterface: 57,
  noSecret: 66,
  configUnsupported: 67,
  argumentUnsupported: 74,
  operationTimeout: 68,
  noMetadata: 80,
  agentUnresponsive: 86,
  volumeExists: 90,
  deviceMissing: 99
} as const

/**
 * A refusal is the host's answer (`HostFailure`); everything else leaves open whether the call took effect (`HostUnreachable`).
 * `action` is what was being done, as in `define vm-7`.
 *
 * @since 0.1.0 @category conversions
 */
export const fromLibvirt =
  (host: Host, action: string) =>
  (error: LibvirtError): HostError => {
    const reason = error.reason
    switch (reason._tag) {
      case "LibvirtRefused":
        return failure(host, action, reason.reason, error)
      case "LibvirtDisconnected":
        return unreachable(host, reason.ssh === undefined ? reason.reason : withoutName(reason.ssh), error)
      case "LibvirtTimeout":
        return unreachable(
          host,
          `libvirt did not answer within ${reason.after} when asked ${asked(error.procedure)}`,
          error
        )
      case "LibvirtProtocolError":
        return unreachable(host, `what answers as libvirt does not speak its protocol: ${reason.reason}`, error)
    }
  }

/** A host with which there is no SSH connection. @since 0.10.0 @category constructors */
export const unconnected = (host: Host, error: SshError): HostUnreachable =>
  unreachable(host, withoutName(error), error)

// the sentence begins with the host's name already
const withoutName = (ssh: { readonly host: string; readonly message: string }): string =>
  ssh.message.startsWith(`${ssh.host}: `) ? ssh.message.slice(ssh.host.length + 2) : ssh.message

const unreachable = (host: Host, reason: string, cause: unknown): HostUnreachable =>
  Unstacked.make(() => new HostUnreachable({ host: host.name, reason, cause }, { disableValidation: true }))

/** @since 0.1.0 @category constructors */
export const failure = (host: Host, action: string, reason: string, cause?: unknown): HostFailure =>
  Unstacked.make(() => new HostFailure({ host: host.name, action, reason, ...(cause === undefined ? {} : { cause }) }))

/** XML to send. A value that XML cannot carry is a failure to do `action`. @since 0.1.0 @category conversions */
export const render = (host: Host, action: string, xml: Xml.Element): Effect.Effect<string, HostFailure> =>
  Either.mapLeft(Xml.render(xml), (error) => failure(host, action, error.message, error))

/** The same for people, an element a line and with a last line end. @since 0.5.0 @category conversions */
export const renderIndented = (host: Host, action: string, xml: Xml.Element): Effect.Effect<string, HostFailure> =>
  Either.mapBoth(Xml.renderIndented(xml), {
    onLeft: (error) => failure(host, action, error.message, error),
    onRight: (text) => `${text}\n`
  })

/** XML a host sent, as what `read` makes of it. @since 0.1.0 @category conversions */
export const parse = <A>(
  host: Host,
  action: string,
  text: string,
  read: (root: Xml.Element) => A | undefined
): Effect.Effect<A, HostFailure> =>
  Either.flatMap(
    Either.mapLeft(Xml.parse(text), (error) => failure(host, action, `libvirt sent ${error.message}`, error)),
    (root) => {
      const value = read(root)
      return value === undefined
        ? Either.left(failure(host, action, `libvirt sent something else than was asked for: <${root.name}>`))
        : Either.right(value)
    }
  )
