/**
 * What a VM shows: its console's log, its screen, its definition, and what it uses.
 *
 * @since 0.6.0
 */
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { amounts, type ConsoleCursor, type ConsolePart } from "../domain/Console.ts"
import * as Errors from "../domain/Errors.ts"
import type { GuestReading } from "../domain/Guest.ts"
import type { HostId, VmId } from "../domain/Ids.ts"
import type * as Usage from "../domain/Statistics.ts"
import { HostMonitor } from "../services/HostMonitor.ts"
import { type DomainXmls, Inspector } from "../services/Inspector.ts"
import { Inventory } from "../services/Inventory.ts"
import { Statistics } from "../services/Statistics.ts"

/** What every look at a VM can fail with; a host that is not up is not asked. @since 0.6.0 @category errors */
export type LookError = Errors.VmNotFound | Errors.HostError | Errors.PersistenceError

/** @since 0.6.0 @category services */
export class Inspections extends Context.Tag("vmfabric/Inspections")<
  Inspections,
  {
    /** Its domain's XML, without secrets; of one that has no domain (yet) both are null. */
    readonly xml: (id: VmId) => Effect.Effect<DomainXmls, LookError>
    /** A PNG file. */
    readonly screenshot: (id: VmId) => Effect.Effect<Uint8Array, LookError | Errors.VmConflict>
    /** What its guest says of itself, by its agent; one that does not answer is waited for some seconds. */
    readonly guest: (id: VmId) => Effect.Effect<GuestReading, LookError>
    /** The end of its console's log, at most `bytes` of it. */
    readonly consoleTail: (id: VmId, bytes: number) => Effect.Effect<ConsolePart, LookError>
    /**
     * What its console prints after a cursor, in parts as it comes. Ends when the VM is gone; while its host cannot be reached nothing comes, and then
     * all that was printed meanwhile.
     */
    readonly followConsole: (
      id: VmId,
      after: ConsoleCursor
    ) => Stream.Stream<ConsolePart, Errors.HostFailure | Errors.PersistenceError>
    /** Its newest sample. None: it does not run, or its host cannot be asked. */
    readonly usage: (
      id: VmId
    ) => Effect.Effect<Option.Option<Usage.Sample>, Errors.VmNotFound | Errors.PersistenceError>
    /** What it used from a moment on, milliseconds since 1970. */
    readonly history: (
      id: VmId,
      step: Usage.Step,
      since: number
    ) => Effect.Effect<Usage.History, Errors.VmNotFound | Errors.PersistenceError>
    /** A host in sum. */
    readonly hostUsage: (id: HostId) => Effect.Effect<Usage.HostSample, Errors.HostNotFound | Errors.PersistenceError>
    /** All hosts that were sampled, in sum. */
    readonly hostUsages: Effect.Effect<ReadonlyArray<Usage.HostSample>>
    /** VMs that run and use most of something, that of the most first. */
    readonly top: (
      by: keyof Usage.Rates,
      host: HostId | undefined,
      limit: number
    ) => Effect.Effect<ReadonlyArray<Usage.VmSample & { readonly name: string }>, Errors.PersistenceError>
  }
>() {}

/** libvirt waits 5 s for each thing that it asks an agent. */
const agentPatience = "8 seconds"

/** How often is looked for what a console has printed. */
const pause = "1 second"

/** @since 0.6.0 @category layers */
export const layer = Layer.effect(
  Inspections,
  Effect.gen(function* () {
    const inventory = yield* Inventory
    const inspector = yield* Inspector
    const monitor = yield* HostMonitor
    const statistics = yield* Statistics

    /** With its host, which is up. */
    const find = Effect.fnUntraced(function* (id: VmId) {
      const vm = yield* inventory.vm(id)
      yield* monitor.check(vm.hostId)
      const { host } = yield* inventory.host(vm.hostId).pipe(Effect.catchTag("HostNotFound", Effect.die))
      return { vm, host }
    })

    /** What was printed since; null: the VM is gone. */
    const printed = (id: VmId, cursor: ConsoleCursor) =>
      Effect.flatMap(find(id), ({ host, vm }) => inspector.consoleAfter(host, vm, cursor, amounts.most)).pipe(
        Effect.catchTags({
          VmNotFound: () => Effect.succeed(null),
          HostUnreachable: () => Effect.succeed({ bytes: new Uint8Array(0), next: cursor, lost: false })
        })
      )

    return Inspections.of({
      xml: Effect.fn("Inspections.xml")(function* (id) {
        const { host, vm } = yield* find(id)
        return Option.getOrElse(yield* inspector.xml(host, vm), () => ({ live: null, defined: null }))
      }),
      screenshot: Effect.fn("Inspections.screenshot")(function* (id) {
        const { host, vm } = yield* find(id)
        return yield* Option.match(yield* inspector.screenshot(host, vm), {
          onNone: () =>
            new Errors.VmConflict({ vmId: id, called: vm.name, reason: "does not run, so it has no screen: start it" }),
          onSome: Effect.succeed
        })
      }),
      guest: Effect.fn("Inspections.guest")(function* (id) {
        const { host, vm } = yield* find(id)
        return yield* Effect.timeoutTo(inspector.guest(host, vm), {
          duration: agentPatience,
          onSuccess: (reading) => reading,
          onTimeout: (): GuestReading => ({
            _tag: "Silent",
            reason: `its guest's agent did not answer within ${agentPatience}`
          })
        })
      }),
      consoleTail: Effect.fn("Inspections.consoleTail")(function* (id, bytes) {
        const { host, vm } = yield* find(id)
        return yield* inspector.consoleTail(host, vm, bytes)
      }),
      followConsole: (id, after) =>
        Stream.paginateChunkEffect({ cursor: after, wait: false }, ({ cursor, wait }) =>
          Effect.gen(function* () {
            if (wait) yield* Effect.sleep(pause)
            const part = yield* printed(id, cursor)
            if (part === null) return [Chunk.empty<ConsolePart>(), Option.none()]
            const told = part.bytes.length > 0 || part.lost ? Chunk.of(part) : Chunk.empty<ConsolePart>()
            // one that is full is followed by another at once
            return [told, Option.some({ cursor: part.next, wait: part.bytes.length < amounts.most })]
          })
        ),
      usage: Effect.fn("Inspections.usage")((id) =>
        Effect.flatMap(inventory.vm(id), ({ uuid }) => statistics.now(uuid))
      ),
      history: Effect.fn("Inspections.history")((id, step, since) =>
        Effect.flatMap(inventory.vm(id), ({ uuid }) => statistics.history(uuid, step, since))
      ),
      hostUsage: Effect.fn("Inspections.hostUsage")((id) => Effect.zipRight(inventory.host(id), statistics.ofHost(id))),
      hostUsages: statistics.hosts,
      top: Effect.fn("Inspections.top")(function* (by, host, limit) {
        const running = yield* statistics.running
        const found = running
          .filter(({ hostId }) => host === undefined || hostId === host)
          .map((one) => ({ one, value: one.sample.rates?.[by] ?? -1 }))
          .toSorted((a, b) => b.value - a.value || a.one.vmId - b.one.vmId)
          .slice(0, limit)
        const named = yield* Effect.forEach(found, ({ one }) =>
          inventory.vm(one.vmId).pipe(
            Effect.map(({ name, uuid }) => (uuid === one.sample.counters.uuid ? [{ ...one, name }] : [])),
            // it was destroyed since
            Effect.catchTag("VmNotFound", () => Effect.succeed([]))
          )
        )
        return named.flat()
      })
    })
  })
)
