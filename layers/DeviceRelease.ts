/**
 * How a running guest is made to let go of a device, through libvirt's RPC.
 *
 * @since 0.6.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { GuestHoldsDevice, type HostError } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import { code, failure, fromLibvirt } from "../src/libvirt/HostErrors.ts"
import type { DomainRef, DomainState } from "../src/services/Hypervisor.ts"
import type { Libvirt, LibvirtError } from "../src/services/Libvirt.ts"
import * as DomainSides from "./DomainSides.ts"
import * as HostCalls from "./HostCalls.ts"

/** How a guest is asked to let go of a device. @since 0.6.0 @category models */
export interface Options {
  /** how long it has for it in all */
  readonly within: Duration.DurationInput
  /** it is asked again: what was asked of a firmware, or of a system that was just starting, is lost */
  readonly askEvery: Duration.DurationInput
  /** the domain is looked at, whatever events tell */
  readonly lookEvery: Duration.DurationInput
}

/** @since 0.6.0 @category constants */
export const defaults: Options = {
  within: Duration.seconds(20),
  askEvery: Duration.seconds(5),
  lookEvery: Duration.seconds(1)
}

/** What is to be let go of. @since 0.6.0 @category models */
export interface Device {
  /** as the running domain has it */
  readonly alias: string
  /** as people are told of it */
  readonly name: string
  /** whether the domain runs with it */
  readonly isThere: Effect.Effect<boolean, HostError>
  /** what a person does about a guest that keeps it */
  readonly undo: { readonly release: string; readonly refused: string; readonly again: string }
}

/** A domain does one thing at a time: a disk whose storage does not answer, for one, holds up everything else for minutes. @since 0.6.0 @category conversions */
export const unlessBusy =
  (host: Host, action: string, domain: DomainRef) =>
  (error: LibvirtError): HostError =>
    error.reason._tag === "LibvirtRefused" && error.refusedWith(code.operationTimeout)
      ? failure(
          host,
          action,
          `${domain.domainName} is still busy with something else (${error.reason.reason}): does the storage of its disks answer? Try again when that has ended`,
          error
        )
      : fromLibvirt(host, action)(error)

/** Whether nothing of that alias is there: libvirt has no code of its own for it. @since 0.6.0 @category predicates */
export const isMissing = (error: LibvirtError): boolean =>
  error.refusedWith(code.noDomain) ||
  error.refusedWith(code.deviceMissing) ||
  (error.reason._tag === "LibvirtRefused" && error.reason.reason.includes("no device found with alias"))

/** What a guest that cannot answer does, and what has to be done with it. */
const idleStates: Partial<Record<DomainState, string>> = {
  paused: "is paused: resume",
  pmsuspended: "sleeps: wake"
}

/** Gives what returns when the domain does not run with a device. @since 0.6.0 @category constructors */
export const make = (libvirt: Libvirt["Type"], stateOf: DomainSides.Domains["stateOf"], options: Options) => {
  const { raw } = HostCalls.make(libvirt)

  /** Asks the guest to let go. None: asked, or there is nothing to ask for any more; else what stands in the way at the moment. */
  const ask = (host: Host, action: string, domain: DomainRef, alias: string) =>
    raw(host, "DOMAIN_DETACH_DEVICE_ALIAS", {
      dom: HostCalls.wire(domain),
      alias,
      flags: DomainSides.impact.live
    }).pipe(
      Effect.as(Option.none<LibvirtError>()),
      Effect.catchAll((error) => {
        const said = error.reason._tag === "LibvirtRefused" ? error.reason.reason : ""
        if (said.includes("already in the process of unplug") || isMissing(error)) return Effect.succeedNone
        return error.refusedWith(code.operationInvalid) || error.refusedWith(code.operationTimeout)
          ? Effect.succeedSome(error)
          : Effect.fail(unlessBusy(host, action, domain)(error))
      })
    )

  return (
    host: Host,
    action: string,
    domain: DomainRef,
    { alias, isThere, name, undo }: Device
  ): Effect.Effect<void, HostError | GuestHoldsDevice> =>
    Effect.gen(function* () {
      const holds = (reason: string) => new GuestHoldsDevice({ domain: domain.domainName, device: name, reason })
      // before it is asked, so that nothing is missed; when the events end, looking does
      const told = yield* Queue.unbounded<"changed" | "refused">()
      yield* libvirt.events(host.config.address).pipe(
        Stream.filter((event) => event.uuid === domain.uuid),
        Stream.runForEach((event) =>
          event._tag === "Lifecycle" || (event._tag === "DeviceRemoved" && event.devAlias === alias)
            ? Queue.offer(told, "changed")
            : event._tag === "DeviceRemovalFailed" && event.devAlias === alias
              ? Queue.offer(told, "refused")
              : Effect.void
        ),
        Effect.ignore,
        Effect.forkScoped
      )
      const until = (yield* Clock.currentTimeMillis) + Duration.toMillis(options.within)
      let nextAsk = 0
      let hindered = Option.none<LibvirtError>()
      while (true) {
        const [there, state] = yield* Effect.all([isThere, stateOf(host, action, domain)], { concurrency: 2 })
        if (!there) return
        const idle = idleStates[Option.getOrElse(state, () => "nostate" as const)]
        if (idle !== undefined) return yield* holds(`it ${idle} it, or stop the VM, and ${undo.again}`)
        const now = yield* Clock.currentTimeMillis
        if (now >= until) {
          if (Option.isSome(hindered)) return yield* Effect.fail(unlessBusy(host, action, domain)(hindered.value))
          return yield* holds(
            `it was asked for ${Math.round(Duration.toSeconds(options.within))} seconds: let the guest's system ${undo.release}, or stop the VM, and ${undo.again}`
          )
        }
        if (now >= nextAsk) {
          nextAsk = now + Duration.toMillis(options.askEvery)
          hindered = yield* ask(host, action, domain, alias)
          if (Option.isSome(hindered)) nextAsk = 0
        }
        const event = yield* Effect.timeoutOption(
          Queue.take(told),
          Math.min(Duration.toMillis(options.lookEvery), Math.max(until - now, 1))
        )
        if (Option.contains(event, "refused")) {
          return yield* holds(`its system refused: ${undo.refused}, or stop the VM, and ${undo.again}`)
        }
      }
    }).pipe(Effect.scoped)
}
