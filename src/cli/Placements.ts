/**
 * `vmfabric vm why` and `vmfabric fits`.
 *
 * @since 0.7.0
 */
import * as Args from "@effect/cli/Args"
import * as Effect from "effect/Effect"
import type { Fits, RuleRepair, VmPlacement } from "../api/Placements.ts"
import { showAllRequired } from "../domain/Placement.ts"
import * as Moves from "./Moves.ts"
import { answered, type Answer, list, note, one, table, time, type View, written } from "./Output.ts"
import * as Resolve from "./Resolve.ts"
import { Screen } from "./Screen.ts"
import { client, Session } from "./Session.ts"
import * as Verb from "./Verb.ts"

const whole: View<VmPlacement> = {
  name: ({ hostId }) => hostId,
  columns: [
    { title: "VM", of: ({ name, vmId }) => `${name} (${vmId})` },
    { title: "HOST", of: ({ host, hostId }) => `${host} (${hostId})` },
    { title: "PLACED", of: ({ placedAt }) => time(placedAt) },
    {
      title: "WHY",
      of: ({ explanation }) =>
        explanation?.decided ?? "nobody has kept it: the VM is older than that is, or the scheduler does not say"
    },
    {
      title: "CHOICE",
      of: ({ explanation }) =>
        explanation === null
          ? null
          : `${explanation.candidates} of ${explanation.hosts} hosts could take it at that time`
    }
  ]
}

type Violation = RuleRepair["violations"][number]

const broken: View<Violation> = {
  name: ({ rule }) => rule,
  columns: [
    { title: "DOES NOT HOLD", of: ({ rule }) => `it ${rule}`, tone: () => "bad" },
    { title: "BECAUSE", of: ({ reason }) => reason }
  ]
}

type Ranked = NonNullable<VmPlacement["explanation"]>["best"][number]

const points = (number: number): string => String(Number(number.toFixed(4)))

const best: View<Ranked> = {
  name: ({ hostId }) => hostId,
  columns: [
    { title: "HOST", of: ({ host, hostId }) => `${host} (${hostId})` },
    { title: "SCORE", of: ({ score }) => points(score) },
    { title: "FOR", of: ({ terms }) => terms.map((term) => `${term.of} ${points(term.points)}`).join(", ") }
  ]
}

type Barred = NonNullable<VmPlacement["explanation"]>["barred"][number]

/** Hosts by what bars them. @since 0.7.0 @category views */
export const barred: View<Barred> = {
  name: ({ host }) => host,
  columns: [
    { title: "COULD NOT", of: ({ count, host }) => (count === 1 ? host : `${count} hosts`) },
    { title: "BECAUSE", of: ({ reasons }) => reasons.join("; ") }
  ]
}

/** One of several tables for people, after a blank line; nothing, if it is empty. @since 0.7.0 @category programs */
export const section = Effect.fnUntraced(function* <A>(view: View<A>, items: ReadonlyArray<A>) {
  const { mode } = yield* Session
  const { colour, out } = yield* Screen
  if (items.length === 0) return
  const { head, row } = table(view, items, mode, colour)
  yield* out(["", head, ...items.map(row)].map((line) => `${line}\n`).join(""))
})

const show = Effect.fn("Placements.show")(function* (answer: Answer<VmPlacement>) {
  const { mode } = yield* Session
  const { out } = yield* Screen
  if (mode === "json" || mode === "yaml") return yield* out(yield* written(answer.body, mode))
  yield* one(whole, answer)
  const { explanation, repair } = answer.value
  if (mode === "name") return
  if (explanation !== null) {
    yield* section(best, explanation.best)
    yield* section(barred, explanation.barred)
    if (explanation.unnamed > 0) yield* out(`and ${explanation.unnamed} more hosts\n`)
  }
  if (repair === null) return
  yield* section(broken, repair.violations)
  yield* section(Moves.moves(Moves.repaired), repair.moves)
  if (repair.further > 0) yield* out(`and ${repair.further} more moves\n`)
  yield* section(Moves.stuck, repair.stuck === null ? [] : [repair.stuck])
  yield* note(
    repair.stuck === null
      ? "after these moves all its must-rules hold; nothing has been moved"
      : repair.complete
        ? "no moves were found after which all its must-rules hold"
        : "no moves were found after which all its must-rules hold before the search was cut short"
  )
})

/** @since 0.7.0 @category verbs */
export const verbs: ReadonlyArray<Verb.Verb> = [
  Verb.make({
    name: "why",
    about:
      "Tell why a VM is where it is: what could take it, what decided, and why the other hosts could not. When a must-rule of it does not hold, the moves are shown that would repair it.",
    endpoints: ["getVmPlacement"],
    options: Verb.noOptions,
    args: Verb.word("vm", "Id or name of the VM."),
    run: (_, text) =>
      Effect.gen(function* () {
        const id = yield* Resolve.vm(text)
        const { placements } = yield* client
        yield* show(yield* answered(placements.getVmPlacement({ path: { id }, withResponse: true })))
      })
  })
]

const limits = { cpu: "vCPUs", ram: "memory", disk: "disk", pool: "the pool" } as const

const types: View<Fits["types"][number]> = {
  name: ({ type }) => type,
  columns: [
    { title: "TYPE", of: ({ type }) => type },
    { title: "VCPUS", of: ({ cpu }) => cpu },
    { title: "RAM MIB", of: ({ ram }) => ram },
    { title: "DISK GIB", of: ({ disk }) => disk },
    { title: "REQUIRES", of: ({ requires }) => showAllRequired(requires) },
    { title: "MORE FIT", of: ({ more }) => more, tone: ({ more }) => (more === 0 ? "bad" : undefined) },
    { title: "ON HOSTS", of: ({ hosts }) => hosts },
    { title: "USED UP FIRST", of: ({ limit }) => (limit === null ? null : limits[limit]) }
  ]
}

const losses: View<Fits["losses"][number]> = {
  name: ({ hostId }) => hostId,
  columns: [
    { title: "WITHOUT HOST", of: ({ host, hostId }) => `${host} (${hostId})` },
    { title: "VMS", of: ({ vms }) => vms },
    { title: "NO ROOM FOR", of: ({ homeless }) => homeless, tone: () => "bad" },
    {
      title: "AS",
      of: ({ homeless, named }) =>
        [
          ...named.map(({ name, vmId }) => `${name} (${vmId})`),
          ...(homeless > named.length ? [`${homeless - named.length} more`] : [])
        ].join(", ")
    }
  ]
}

/** @since 0.7.0 @category nouns */
export const fits: Verb.Noun = {
  name: "fits",
  about: "what more fits: of each instance type how many, and which host's loss would leave VMs without a place",
  verbs: [
    Verb.make({
      name: "fits",
      about: "Tell of each instance type how many more fit, and which single host's VMs would not fit on the others.",
      endpoints: ["getFits"],
      options: Verb.noOptions,
      args: Args.none,
      run: () =>
        Effect.gen(function* () {
          const { placements } = yield* client
          const { mode } = yield* Session
          const { out } = yield* Screen
          const { body, value } = yield* answered(placements.getFits({ withResponse: true }))
          yield* list(types, value.types, body, "there are no instance types: vmfabric type create makes one")
          if (mode === "json" || mode === "yaml" || mode === "name") return
          yield* section(losses, value.losses)
          const more = value.unsurvivable - value.losses.length
          if (more > 0) yield* out(`and ${more} more hosts\n`)
          const closed =
            value.hosts === value.open ? "" : `; ${value.hosts - value.open} of ${value.hosts} hosts take no new VMs`
          yield* note(
            value.unsurvivable === 0
              ? `whichever host is lost, its VMs fit on the others${closed}`
              : `${value.unsurvivable} of ${value.hosts} hosts cannot be lost without leaving VMs that fit nowhere${closed}`
          )
          const { cpu, disk, ram } = value.reserved
          if (cpu + ram + disk > 0) yield* note(`kept free in all: ${cpu} vCPUs, ${ram} MiB, ${disk} GiB`)
        })
    })
  ]
}
