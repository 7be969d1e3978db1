/**
 * `vmfabric drift` and `vmfabric foreign`: what is on the hosts beside what should be.
 *
 * @since 0.5.0
 */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Drift, Foreign } from "../api/Drift.ts"
import type { VmId } from "../domain/Ids.ts"
import * as Operations from "./Operations.ts"
import { time, type View } from "./Output.ts"
import * as Pages from "./Pages.ts"
import * as Resolve from "./Resolve.ts"
import { client } from "./Session.ts"
import * as Verb from "./Verb.ts"

const view: View<typeof Drift.Type> = {
  name: ({ field, vmId }) => `${vmId} ${field}`,
  columns: [
    { title: "VM", of: ({ vmId }) => vmId },
    { title: "KIND", of: ({ kind }) => kind },
    { title: "FIELD", of: ({ field }) => field },
    { title: "WANTED", of: ({ wanted }) => wanted },
    { title: "SEEN", of: ({ seen }) => seen },
    { title: "SINCE", of: ({ since }) => time(since) },
    { title: "APPLIED", of: ({ applied }) => applied, wide: true }
  ]
}

/** Begins a repair; `show` what it is then. @since 0.5.0 @category programs */
export const repair = <E, R>(noWait: boolean, text: string, show: (id: VmId) => Effect.Effect<void, E, R>) =>
  Effect.gen(function* () {
    const id = yield* Resolve.vm(text)
    const { vms } = yield* client
    yield* Operations.begin(noWait, vms.repairVm({ path: { id }, withResponse: true }), () => show(id))
  })

const differences = (vm: VmId | undefined, watch: boolean) =>
  Effect.gen(function* () {
    const { reality, vms } = yield* client
    const call =
      vm === undefined
        ? reality.listDrift({ withResponse: true })
        : vms.listVmDrift({ path: { id: vm }, withResponse: true })
    yield* Pages.whole(
      view,
      watch,
      { types: ["vm.drift"], ...(vm === undefined ? {} : { vm }) },
      "everything is as it should be",
      call
    )
  })

/** @since 0.5.0 @category nouns */
export const noun: Verb.Noun = {
  name: "drift",
  about: "VMs that are not what they should be",
  verbs: [
    Verb.make({
      name: "list",
      about: "List the fields of VMs that differ from what they should be.",
      endpoints: ["listDrift", "listVmDrift"],
      options: Options.all({ vm: Options.optional(Verb.text("vm", "VM", "Only this VM's.")), watch: Verb.watch }),
      args: Args.none,
      run: ({ vm, watch }) =>
        Option.match(vm, {
          onNone: () => differences(undefined, watch),
          onSome: (text) => Effect.flatMap(Resolve.vm(text), (id) => differences(id, watch))
        })
    }),
    Verb.make({
      name: "repair",
      about: "Make a VM what it should be, its domain defined anew if it is gone; then lists what still differs.",
      endpoints: ["repairVm"],
      options: Options.all({ noWait: Verb.noWait }),
      args: Verb.word("vm", "Id or name of the VM."),
      run: ({ noWait }, text) => repair(noWait, text, (id) => differences(id, false))
    })
  ]
}

const foreignView: View<typeof Foreign.Type> = {
  name: ({ name }) => name,
  columns: [
    { title: "HOST", of: ({ hostId }) => hostId },
    { title: "WHAT", of: ({ what }) => what },
    { title: "NAME", of: ({ name }) => name },
    { title: "REASON", of: ({ reason }) => reason },
    { title: "UUID", of: ({ uuid }) => uuid, wide: true }
  ]
}

/** @since 0.5.0 @category nouns */
export const foreign: Verb.Noun = {
  name: "foreign",
  about: "what others made on the hosts",
  verbs: [
    Verb.make({
      name: "list",
      about: "List what is on the hosts and in the pool and not in the inventory. It is never touched.",
      endpoints: ["listForeign"],
      options: Verb.noOptions,
      args: Args.none,
      run: () =>
        Effect.gen(function* () {
          const { reality } = yield* client
          yield* Pages.whole(
            foreignView,
            false,
            {},
            "there is nothing foreign",
            reality.listForeign({ withResponse: true })
          )
        })
    })
  ]
}
