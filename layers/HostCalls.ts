/**
 * Calls to a host's libvirt in the words of the ports: `HostUnreachable` and `HostFailure`, with what was being done.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import { type HostError, HostUnreachable } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import { failure, fromLibvirt } from "../src/libvirt/HostErrors.ts"
import type { Args, ProcedureName, Reply } from "../src/libvirt/Procedures.ts"
import type { DomainRef } from "../src/services/Hypervisor.ts"
import type { Libvirt } from "../src/services/Libvirt.ts"
import type { SshError } from "../src/services/Ssh.ts"

/** A domain as calls name it. The daemon looks at the uuid only. @since 0.2.0 @category conversions */
export const wire = (domain: DomainRef) => ({ name: domain.domainName, uuid: domain.uuid, id: -1 })

/** virDomainXMLFlags: without `secure` libvirt leaves passwords out, `inactive` is what the domain starts with the next time. @since 0.7.0 @category constants */
export const describing = { secure: 0x1, inactive: 0x2 } as const

/** What went wrong over SSH. `doing`: a verb and a file, as in `read /var/log/x`. @since 0.6.0 @category conversions */
export const fromSsh =
  (host: Host, action: string, doing: string) =>
  (error: SshError): HostError => {
    const { reason } = error
    switch (reason._tag) {
      case "SshFileRefused":
        return failure(
          host,
          action,
          reason.kind === "forbidden"
            ? `the account ${host.config.address.user} may not ${doing}: let it do so in that folder, or log in as one that may`
            : reason.kind === "unserved"
              ? `${reason.reason}: add "Subsystem sftp internal-sftp" to its sshd_config`
              : `it cannot ${doing}: ${reason.reason}`,
          error
        )
      case "SshCommandFailed":
      case "SshChannelRefused":
        return failure(host, action, error.message, error)
      default:
        return new HostUnreachable({ host: host.name, reason: error.message, cause: error })
    }
  }

/** @since 0.1.0 @category constructors */
export const make = (libvirt: Libvirt["Type"]) => {
  /** With libvirt's own error, for a caller that decides by its code. */
  const raw = <P extends ProcedureName>(host: Host, procedure: P, args: Args<P>) =>
    libvirt.call(host.config.address, procedure, args)

  const call = <P extends ProcedureName>(
    host: Host,
    action: string,
    procedure: P,
    args: Args<P>
  ): Effect.Effect<Reply<P>, HostError> => Effect.mapError(raw(host, procedure, args), fromLibvirt(host, action))

  /** None: refused with one of `codes`, which means that there is nothing (more) to do. */
  const unless = <P extends ProcedureName>(
    host: Host,
    action: string,
    procedure: P,
    args: Args<P>,
    ...codes: ReadonlyArray<number>
  ): Effect.Effect<Option.Option<Reply<P>>, HostError> =>
    raw(host, procedure, args).pipe(
      Effect.asSome,
      Effect.catchIf(
        (error) => codes.some((number) => error.refusedWith(number)),
        () => Effect.succeedNone
      ),
      Effect.mapError(fromLibvirt(host, action))
    )

  return { raw, call, unless }
}
