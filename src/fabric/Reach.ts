/**
 * Consoles: who is let into which VM, by tickets that are good once, and what becomes of those who are in.
 *
 * A ticket is what a page's script can open a WebSocket with, which has no place for a token. It is good once, for seconds, for the one who asked and for
 * the very VM it was asked for: whoever sees it on its way has nothing.
 *
 * @since 0.7.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { createHash, randomBytes } from "node:crypto"
import type { ConsoleKind } from "../domain/Console.ts"
import * as Errors from "../domain/Errors.ts"
import type { Host } from "../domain/Host.ts"
import type { Principal } from "../domain/Identity.ts"
import type { DomainUuid, HostId, VmId } from "../domain/Ids.ts"
import type { Vm } from "../domain/Vm.ts"
import { Consoles, type Line, type Opened } from "../services/Consoles.ts"
import { HostMonitor } from "../services/HostMonitor.ts"
import { type DomainPower, Hypervisor } from "../services/Hypervisor.ts"
import { Inventory } from "../services/Inventory.ts"

/** What a ticket is asked for. `force`: takes a serial console from whoever has it. @since 0.7.0 @category models */
export interface Wanted {
  readonly kind: ConsoleKind
  readonly force?: boolean
}

/** The only time its secret is told. `expiresAt` in milliseconds since 1970. @since 0.7.0 @category models */
export interface Ticket {
  readonly secret: Redacted.Redacted<string>
  readonly expiresAt: number
}

/** A console that is open, closed with its scope. @since 0.7.0 @category models */
export interface Session extends Line {
  /** Why it is to be closed from this side, in words, once it is; never ends otherwise: somebody took it over, or nothing passed for long. */
  readonly closed: Effect.Effect<string>
  /** Why `incoming` has ended, in words. */
  readonly ended: Effect.Effect<string>
}

/** @since 0.7.0 @category errors */
export type ReachError =
  Errors.VmNotFound | Errors.VmConflict | Errors.ConsoleBusy | Errors.HostError | Errors.PersistenceError

/** @since 0.7.0 @category services */
export class Reach extends Context.Tag("vmfabric/Reach")<
  Reach,
  {
    /** A ticket for whoever asks, good once within 30 seconds. What can be known to stand in the way is told now, and not when it is used. */
    readonly ticket: (who: Principal, id: VmId, wanted: Wanted) => Effect.Effect<Ticket, ReachError>
    /**
     * Uses a ticket up, whatever comes of it, and opens what it is for. `TicketRefused`: it is unknown, used, too old, somebody else's, or of another VM
     * or kind.
     */
    readonly open: (
      who: Principal,
      id: VmId,
      kind: ConsoleKind,
      ticket: Redacted.Redacted<string>
    ) => Effect.Effect<Session, ReachError | Errors.TicketRefused, Scope.Scope>
  }
>() {}

/** How long a ticket is good. @since 0.7.0 @category constants */
export const lifetime = Duration.seconds(30)

/** How long nothing may pass until a console is closed. @since 0.7.0 @category constants */
export const idle = Duration.minutes(30)

/** Consoles at once on one host: each is a channel of the connection that everything else on it shares. @since 0.7.0 @category constants */
export const mostOfHost = 32

/** Tickets that nobody has used yet, of one owner. */
const mostTickets = 100

/** libvirt lets go of a console that was closed a moment after we have. */
const settling = { every: "100 millis", times: 20 } as const

interface Issued {
  readonly owner: string
  readonly vmId: VmId
  readonly uuid: DomainUuid
  readonly kind: ConsoleKind
  readonly force: boolean
  readonly expiresAt: number
}

interface Holder {
  readonly name: string
  readonly taken: Deferred.Deferred<string>
}

const hashOf = (secret: Redacted.Redacted<string>) =>
  createHash("sha256").update(Redacted.value(secret)).digest("base64url")

/** A token of somebody is not their session. */
const ownerOf = ({ tokenId, user, via }: Principal) => `${via} ${tokenId ?? ""} ${user}`

const device = { serial: "serial console", vnc: "screen" } as const

/** Whether there is a QEMU. */
const isAlive = ({ power }: DomainPower) => power === "running" || power === "paused" || power === "suspended"

/** @since 0.7.0 @category layers */
export const layer = Layer.effect(
  Reach,
  Effect.gen(function* () {
    const inventory = yield* Inventory
    const consoles = yield* Consoles
    const hypervisor = yield* Hypervisor
    const monitor = yield* HostMonitor
    /** by hash, the oldest first */
    const tickets = new Map<string, Issued>()
    const holders = new Map<DomainUuid, Holder>()
    const open = new Map<HostId, number>()

    const drop = (now: number, owner: string): void => {
      const own: Array<string> = []
      for (const [hash, ticket] of tickets) {
        if (ticket.expiresAt <= now) tickets.delete(hash)
        else if (ticket.owner === owner) own.push(hash)
      }
      for (const hash of own.slice(0, Math.max(0, own.length - mostTickets + 1))) tickets.delete(hash)
    }

    /** With its host, which is up. */
    const find = Effect.fnUntraced(function* (id: VmId) {
      const vm = yield* inventory.vm(id)
      yield* monitor.check(vm.hostId)
      const { host } = yield* inventory.host(vm.hostId).pipe(Effect.catchTag("HostNotFound", Effect.die))
      return { vm, host }
    })

    const off = ({ id, name }: Vm, kind: ConsoleKind) =>
      new Errors.VmConflict({ vmId: id, called: name, reason: `does not run, so it has no ${device[kind]}: start it` })

    const held = (id: VmId, { name }: Holder) => new Errors.ConsoleBusy({ vmId: id, holder: name })

    /** Why the guest's side has ended. */
    const whyEnded = (vm: Vm, host: Host) =>
      Effect.gen(function* () {
        const now = yield* inventory.vm(vm.id)
        if (now.uuid !== vm.uuid) return "the VM is gone"
        if (now.hostId !== vm.hostId) return "the VM moved to another host: open it again"
        const power = yield* hypervisor.power(host, vm)
        if (power._tag === "None") return "the VM is gone"
        return isAlive(power.value)
          ? "the VM was started anew, or its host closed it: open it again"
          : `the VM is off${power.value.reason === null ? "" : `: ${power.value.reason}`}`
      }).pipe(
        Effect.catchTags({
          VmNotFound: () => Effect.succeed("the VM is gone"),
          PersistenceError: ({ message }) => Effect.succeed(message),
          HostUnreachable: ({ message }) => Effect.succeed(message),
          HostFailure: ({ message }) => Effect.succeed(message)
        })
      )

    /** Held from now on by whoever opens it, until the scope closes. */
    const hold = Effect.fnUntraced(function* (vm: Vm, who: Principal, force: boolean) {
      const taken = yield* Deferred.make<string>()
      const now = yield* Clock.currentTimeMillis
      yield* Effect.acquireRelease(
        Effect.suspend(() => {
          const before = holders.get(vm.uuid)
          if (before !== undefined && !force) return Effect.fail(held(vm.id, before))
          const holder = { name: `${who.user}, since ${new Date(now).toISOString()},`, taken }
          holders.set(vm.uuid, holder)
          if (before === undefined) return Effect.succeed(holder)
          return Effect.as(Deferred.succeed(before.taken, `${who.user} has taken it over`), holder)
        }),
        (holder) => Effect.sync(() => holders.get(vm.uuid) === holder && holders.delete(vm.uuid))
      )
      return taken
    })

    /** One of those that a host can have, until the scope closes. */
    const place = (vm: Vm) =>
      Effect.acquireRelease(
        Effect.suspend(() => {
          const count = open.get(vm.hostId) ?? 0
          if (count >= mostOfHost) {
            const reason = `cannot be reached now: ${count} consoles of its host are open, which is the most: close one`
            return Effect.fail(new Errors.VmConflict({ vmId: vm.id, called: vm.name, reason }))
          }
          open.set(vm.hostId, count + 1)
          return Effect.void
        }),
        () => Effect.sync(() => open.set(vm.hostId, (open.get(vm.hostId) ?? 1) - 1))
      )

    const opened = (vm: Vm, kind: ConsoleKind, result: Opened): Effect.Effect<Line, ReachError> => {
      switch (result._tag) {
        case "Open":
          return Effect.succeed(result.line)
        case "Off":
          return off(vm, kind)
        case "Absent":
          return new Errors.VmConflict({
            vmId: vm.id,
            called: vm.name,
            reason:
              kind === "vnc"
                ? "has no screen by VNC: its domain was made without; give it <graphics type='vnc'><listen type='socket'/></graphics> by virsh edit, and start it anew"
                : "has no serial port: its domain was made without; give it <serial type='pty'/> by virsh edit, and start it anew"
          })
        case "Busy":
          return new Errors.ConsoleBusy({ vmId: vm.id, holder: "somebody at its host (as by virsh console)" })
      }
    }

    /** Nothing of one that did not succeed stays. */
    const attempt = (tried: Effect.Effect<Opened, Errors.HostError, Scope.Scope>) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const result = yield* restore(Scope.extend(tried, scope)).pipe(
            Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
          )
          if (result._tag === "Open") yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
          else yield* Scope.close(scope, Exit.void)
          return result
        })
      )

    const settled = (
      tried: Effect.Effect<Opened, Errors.HostError, Scope.Scope>,
      times: number = settling.times
    ): Effect.Effect<Opened, Errors.HostError, Scope.Scope> =>
      Effect.flatMap(attempt(tried), (result) =>
        result._tag === "Busy" && times > 0
          ? Effect.delay(settled(tried, times - 1), settling.every)
          : Effect.succeed(result)
      )

    const take = Effect.fnUntraced(function* (
      who: Principal,
      id: VmId,
      kind: ConsoleKind,
      secret: Redacted.Redacted<string>
    ) {
      const now = yield* Clock.currentTimeMillis
      const hash = hashOf(secret)
      const ticket = tickets.get(hash)
      // also when it was for somebody else: it is known where it should not be
      tickets.delete(hash)
      if (ticket === undefined || ticket.expiresAt <= now) {
        return yield* new Errors.TicketRefused({ reason: "it is unknown, was used before, or is older than 30 s" })
      }
      if (ticket.owner !== ownerOf(who)) {
        return yield* new Errors.TicketRefused({ reason: "it was given to somebody else, or to another token" })
      }
      if (ticket.vmId !== id || ticket.kind !== kind) {
        return yield* new Errors.TicketRefused({ reason: "it is for another VM, or for something else of it" })
      }
      return ticket
    })

    return Reach.of({
      ticket: Effect.fn("Reach.ticket")(function* (who, id, { force = false, kind }) {
        const { host, vm } = yield* find(id)
        const power = yield* hypervisor.power(host, vm)
        if (power._tag === "None" || !isAlive(power.value)) return yield* off(vm, kind)
        const holder = holders.get(vm.uuid)
        if (kind === "serial" && holder !== undefined && !force) return yield* held(id, holder)
        const now = yield* Clock.currentTimeMillis
        const owner = ownerOf(who)
        drop(now, owner)
        const secret = Redacted.make(`vmc_${randomBytes(32).toString("base64url")}`)
        const expiresAt = now + Duration.toMillis(lifetime)
        tickets.set(hashOf(secret), { owner, vmId: id, uuid: vm.uuid, kind, force, expiresAt })
        return { secret, expiresAt }
      }),

      open: Effect.fn("Reach.open")(function* (who, id, kind, secret) {
        const ticket = yield* take(who, id, kind, secret)
        const { host, vm } = yield* find(id)
        if (vm.uuid !== ticket.uuid) {
          return yield* new Errors.TicketRefused({ reason: "the VM that it was for is gone" })
        }
        yield* place(vm)
        const taken = kind === "serial" ? yield* hold(vm, who, ticket.force) : null
        const tried =
          kind === "serial" ? settled(consoles.serial(host, vm, ticket.force)) : attempt(consoles.vnc(host, vm))
        const line = yield* opened(vm, kind, yield* tried)
        let passed = yield* Clock.currentTimeMillis
        const passing = Effect.map(Clock.currentTimeMillis, (now) => {
          passed = now
        })
        const quiet = Effect.map(Clock.currentTimeMillis, (now) => now - passed >= Duration.toMillis(idle))
        const untilIdle = Effect.sleep("30 seconds").pipe(
          Effect.zipRight(quiet),
          Effect.repeat({ until: (is) => is }),
          Effect.as(`nothing passed for ${Duration.format(idle)}`)
        )
        /** One that was taken over fails as well, and that is not what there is to say. */
        const unlessTaken = (error: Errors.HostError) =>
          Effect.flatMap(taken === null ? Effect.succeed(false) : Deferred.isDone(taken), (is) =>
            is ? Effect.never : Effect.fail(error)
          )
        return {
          send: (bytes) => Effect.zipRight(passing, Effect.catchAll(line.send(bytes), unlessTaken)),
          incoming: line.incoming.pipe(
            Stream.tap(() => passing),
            Stream.catchAll((error) => Stream.fromEffect(unlessTaken(error)))
          ),
          closed: taken === null ? untilIdle : Effect.raceFirst(untilIdle, Deferred.await(taken)),
          ended: whyEnded(vm, host)
        }
      })
    })
  })
)
