/**
 * Asking guests to shut down or to start anew, and doing it without them.
 *
 * @since 0.6.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { GuestIgnores, type HostError } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import { code, failure, fromLibvirt } from "../src/libvirt/HostErrors.ts"
import { inWords } from "../src/operations/Retry.ts"
import { type DomainRef, type DomainState, type Hypervisor, noDomain } from "../src/services/Hypervisor.ts"
import type { Libvirt, LibvirtError } from "../src/services/Libvirt.ts"
import * as DomainSides from "./DomainSides.ts"
import * as HostCalls from "./HostCalls.ts"

/** How a guest is asked to do something by itself. @since 0.6.0 @category models */
export interface AskOptions {
  /** a guest that is just coming up does not hear its power button, and hears it the next time */
  readonly askEvery: Duration.DurationInput
  /** how often is looked whether it has; that it has is also told by an event */
  readonly lookEvery: Duration.DurationInput
}

/** @since 0.6.0 @category constants */
export const askDefaults: AskOptions = { askEvery: "10 seconds", lookEvery: "1 second" }

/** What a domain does when its guest cannot hear anything. */
const deaf: Partial<Record<DomainState, string>> = {
  paused: "it is paused, so its guest hears nothing: resume it first, or power it off",
  pmsuspended: "its guest sleeps and hears nothing: wake it, or power it off"
}

interface Wish {
  /** completes `its guest has not …` */
  readonly done: string
  readonly procedure: "DOMAIN_SHUTDOWN_FLAGS" | "DOMAIN_REBOOT"
  readonly instead: string
}

const wishes = {
  shutDown: {
    done: "shut down",
    procedure: "DOMAIN_SHUTDOWN_FLAGS",
    instead: "shut it down from inside, try again, or power it off"
  },
  reboot: {
    done: "started anew",
    procedure: "DOMAIN_REBOOT",
    instead: "restart it from inside, try again, or reset it"
  }
} as const satisfies Record<string, Wish>

/** @since 0.6.0 @category constructors */
export const make = (
  libvirt: Libvirt["Type"],
  { present, stateOf }: DomainSides.Domains,
  options: AskOptions
): Pick<Hypervisor["Type"], "shutDown" | "reboot" | "reset" | "pause" | "resume"> => {
  const { raw } = HostCalls.make(libvirt)

  /** Asks for it until it is so. A stop counts as shut down, and not as started anew. */
  const ask = (
    host: Host,
    action: string,
    domain: DomainRef,
    { done, instead, procedure }: Wish,
    within: Duration.DurationInput
  ): Effect.Effect<void, HostError | GuestIgnores> =>
    Effect.gen(function* () {
      const reboots = procedure === "DOMAIN_REBOOT"
      // before it is asked, so that nothing is missed
      const told = yield* Queue.unbounded<"changed" | "rebooted">()
      yield* libvirt.events(host.config.address).pipe(
        Stream.filter((event) => event.uuid === domain.uuid),
        Stream.runForEach((event) =>
          event._tag === "Lifecycle"
            ? Queue.offer(told, "changed")
            : event._tag === "Reboot"
              ? Queue.offer(told, "rebooted")
              : Effect.void
        ),
        Effect.ignore,
        Effect.forkScoped
      )
      const until = (yield* Clock.currentTimeMillis) + Duration.toMillis(within)
      let nextAsk = 0
      while (true) {
        const state = Option.getOrUndefined(yield* stateOf(host, action, domain))
        if (state === undefined || state === "shutoff" || state === "crashed") {
          if (!reboots) return
          return yield* failure(host, action, state === undefined ? noDomain : "it does not run: start it")
        }
        const hindrance = deaf[state]
        if (hindrance !== undefined) return yield* failure(host, action, hindrance)
        const now = yield* Clock.currentTimeMillis
        if (now >= until) {
          return yield* new GuestIgnores({ domain: domain.domainName, asked: done, within: inWords(within), instead })
        }
        if (now >= nextAsk) {
          nextAsk = now + Duration.toMillis(options.askEvery)
          const asked = yield* Effect.either(raw(host, procedure, { dom: HostCalls.wire(domain), flags: 0 }))
          // stopped or paused since it was looked at, which the next look tells
          if (asked._tag === "Left" && !asked.left.refusedWith(code.operationInvalid)) {
            return yield* Effect.fail(fromLibvirt(host, action)(asked.left))
          }
        }
        const event = yield* Effect.timeoutOption(
          Queue.take(told),
          Math.min(Duration.toMillis(options.lookEvery), Math.max(until - now, 1))
        )
        if (reboots && Option.contains(event, "rebooted")) return
      }
    }).pipe(Effect.scoped)

  /** One call on a domain that has to have a QEMU. `already`: the states in which there is nothing to do. */
  const act =
    (
      what: string,
      already: ReadonlyArray<DomainState>,
      call: (host: Host, domain: DomainRef) => Effect.Effect<unknown, LibvirtError>
    ) =>
    (host: Host, domain: DomainRef): Effect.Effect<void, HostError> =>
      Effect.gen(function* () {
        const action = `${what} ${domain.domainName}`
        if (!(yield* present(host, action, domain))) return yield* failure(host, action, noDomain)
        const done = yield* Effect.either(call(host, domain))
        if (done._tag === "Right") return
        const refused = fromLibvirt(host, action)(done.left)
        if (!done.left.refusedWith(code.operationInvalid)) return yield* Effect.fail(refused)
        const state = Option.getOrUndefined(yield* stateOf(host, action, domain))
        if (state !== undefined && already.includes(state)) return
        return yield* state === "shutoff" || state === "crashed"
          ? failure(host, action, "it does not run: start it")
          : Effect.fail(refused)
      })

  const asking = (name: "shutDown" | "reboot", what: string) =>
    Effect.fn(`Hypervisor.${name}`)(function* (host: Host, domain: DomainRef, within: Duration.DurationInput) {
      const action = `${what} ${domain.domainName}`
      if (!(yield* present(host, action, domain))) {
        if (name === "shutDown") return
        return yield* failure(host, action, noDomain)
      }
      yield* ask(host, action, domain, wishes[name], within)
    })

  return {
    shutDown: asking("shutDown", "shut down"),
    reboot: asking("reboot", "reboot"),
    reset: Effect.fn("Hypervisor.reset")(
      act("reset", [], (host, domain) => raw(host, "DOMAIN_RESET", { dom: HostCalls.wire(domain), flags: 0 }))
    ),
    pause: Effect.fn("Hypervisor.pause")(
      act("pause", ["paused"], (host, domain) => raw(host, "DOMAIN_SUSPEND", { dom: HostCalls.wire(domain) }))
    ),
    resume: Effect.fn("Hypervisor.resume")(
      act("resume", ["running", "blocked"], (host, domain) =>
        raw(host, "DOMAIN_RESUME", { dom: HostCalls.wire(domain) })
      )
    )
  }
}
