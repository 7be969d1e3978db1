/**
 * Domains in memory: started, stopped, paused, and asked to shut down or start anew.
 *
 * @since 0.12.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { GuestIgnores, type HostFailure } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import { inWords } from "../src/operations/Retry.ts"
import type { DomainRef, Hypervisor } from "../src/services/Hypervisor.ts"
import { fail, type Hosts, isRunning, type TestDomain } from "./HypervisorTestHosts.ts"

/** @since 0.12.0 @category constructors */
export const make = ({ need, owned, put, set }: Hosts) => {
  const needRunning = Effect.fnUntraced(function* (host: Host, action: string, ref: DomainRef) {
    const domain = yield* need(host, action, ref)
    if (!isRunning(domain)) return yield* fail(host, action, "it does not run: start it")
    return domain
  })

  /** The guest does what it is asked for, unless it cannot or does not want to. */
  const heard = (
    host: Host,
    action: string,
    domain: TestDomain,
    within: Duration.DurationInput,
    [asked, instead]: readonly [asked: string, instead: string]
  ): Effect.Effect<void, GuestIgnores | HostFailure> =>
    domain.state === "paused"
      ? fail(host, action, "it is paused, so its guest hears nothing: resume it first, or power it off")
      : domain.deaf
        ? Effect.zipRight(
            Effect.sleep(within),
            new GuestIgnores({ domain: domain.name, asked, within: inWords(within), instead })
          )
        : Effect.void

  const off = (domain: TestDomain, reason: string): TestDomain => ({
    ...domain,
    state: "shutoff",
    reason,
    runs: null,
    live: [],
    liveNics: [],
    asked: []
  })

  return {
    start: Effect.fn("Hypervisor.start")(function* (host: Host, ref: DomainRef) {
      const action = `start ${ref.domainName}`
      const domain = yield* need(host, action, ref)
      if (domain.state === "running" || domain.state === "blocked") return
      yield* domain.state === "paused"
        ? put(host, ref.uuid, { ...domain, state: "running", reason: null }, "resumed")
        : put(
            host,
            ref.uuid,
            {
              ...domain,
              state: "running",
              reason: null,
              runs: domain.spec,
              live: domain.persistent,
              liveNics: domain.spec?.nics ?? [],
              boots: 0
            },
            "started"
          )
    }),
    powerOff: Effect.fn("Hypervisor.powerOff")(function* (host: Host, ref: DomainRef) {
      const domain = Option.getOrUndefined(yield* owned(host, `power off ${ref.domainName}`, ref))
      if (domain === undefined || domain.state === "shutoff") return
      yield* put(host, ref.uuid, off(domain, "somebody powered it off"), "stopped")
    }),
    shutDown: Effect.fn("Hypervisor.shutDown")(function* (host: Host, ref: DomainRef, within: Duration.DurationInput) {
      const action = `shut down ${ref.domainName}`
      const domain = Option.getOrUndefined(yield* owned(host, action, ref))
      if (domain === undefined || !isRunning(domain)) return
      yield* heard(host, action, domain, within, ["shut down", "shut it down from inside, try again, or power it off"])
      yield* put(host, ref.uuid, off(domain, "the guest shut itself down"), "stopped")
    }),
    reboot: Effect.fn("Hypervisor.reboot")(function* (host: Host, ref: DomainRef, within: Duration.DurationInput) {
      const action = `reboot ${ref.domainName}`
      const domain = yield* needRunning(host, action, ref)
      yield* heard(host, action, domain, within, ["started anew", "restart it from inside, try again, or reset it"])
      yield* set(host, ref.uuid, { ...domain, boots: domain.boots + 1 })
    }),
    reset: Effect.fn("Hypervisor.reset")(function* (host: Host, ref: DomainRef) {
      const domain = yield* needRunning(host, `reset ${ref.domainName}`, ref)
      yield* set(host, ref.uuid, { ...domain, boots: domain.boots + 1 })
    }),
    pause: Effect.fn("Hypervisor.pause")(function* (host: Host, ref: DomainRef) {
      const domain = yield* needRunning(host, `pause ${ref.domainName}`, ref)
      if (domain.state === "paused") return
      yield* put(host, ref.uuid, { ...domain, state: "paused", reason: "paused by somebody" }, "suspended")
    }),
    resume: Effect.fn("Hypervisor.resume")(function* (host: Host, ref: DomainRef) {
      const domain = yield* needRunning(host, `resume ${ref.domainName}`, ref)
      if (domain.state !== "paused") return
      yield* put(host, ref.uuid, { ...domain, state: "running", reason: null }, "resumed")
    })
  } satisfies Partial<Hypervisor["Type"]>
}
