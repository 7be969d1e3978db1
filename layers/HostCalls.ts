/**
 * Calls to a host's libvirt in the words of the ports: `HostUnreachable` and `HostFailure`, with what was being done.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { HostError } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import { fromLibvirt } from "../src/libvirt/HostErrors.ts"
import type { Args, ProcedureName, Reply } from "../src/libvirt/Procedures.ts"
import type { DomainRef } from "../src/services/Hypervisor.ts"
import type { Libvirt } from "../src/services/Libvirt.ts"

/** A domain as calls name it. The daemon looks at the uuid only. @since 0.2.0 @category conversions */
export const wire = (domain: DomainRef) => ({ name: domain.domainName, uuid: domain.uuid, id: -1 })

/** virDomainXMLFlags: without `secure` libvirt leaves passwords out, `inactive` is what the domain starts with the next time. @since 0.7.0 @category constants */
export const describing = { secure: 0x1, inactive: 0x2 } as const

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
