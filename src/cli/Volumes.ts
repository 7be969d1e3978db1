/**
 * `vmfabric volume` and `vmfabric snapshot`.
 *
 * @since 0.5.0
 */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Snapshot } from "../api/Snapshots.ts"
import type { Volume } from "../api/Volumes.ts"
import type * as Client from "../client/Client.ts"
import type { SnapshotId, VolumeId } from "../domain/Ids.ts"
import { ListedVolumeState } from "../domain/Volume.ts"
import { Refused } from "./Failure.ts"
import * as Operations from "./Operations.ts"
import { ask, time, toneOf, type View } from "./Output.ts"
import * as Pages from "./Pages.ts"
import * as Resolve from "./Resolve.ts"
import { client } from "./Session.ts"
import * as Sure from "./Sure.ts"
import * as Verb from "./Verb.ts"

const view: View<Volume> = {
  name: ({ id }) => id,
  columns: [
    { title: "ID", of: ({ id }) => id },
    { title: "NAME", of: ({ name }) => name },
    { title: "SIZE GIB", of: ({ size }) => size },
    { title: "STATE", of: ({ state }) => state, tone: ({ state }) => toneOf(state) },
    { title: "VM", of: ({ vmId }) => vmId },
    { title: "TARGET", of: ({ target }) => target },
    { title: "HOST", of: ({ hostId }) => hostId },
    { title: "DRIVER", of: ({ driver }) => driver },
    { title: "SERIAL", of: ({ serial }) => serial, wide: true },
    { title: "SNAPSHOT", of: ({ snapshotId }) => snapshotId, wide: true },
    { title: "PURGED AT", of: ({ purgeAt }) => time(purgeAt), wide: true },
    { title: "OWNER", of: ({ owner = null }) => owner, wide: true }
  ]
}

const snapshotView: View<Snapshot> = {
  name: ({ id }) => id,
  columns: [
    { title: "ID", of: ({ id }) => id },
    { title: "NAME", of: ({ name }) => name },
    { title: "VOLUME", of: ({ volumeId }) => volumeId },
    { title: "SIZE GIB", of: ({ size }) => size },
    { title: "STATE", of: ({ state }) => state, tone: ({ state }) => toneOf(state) },
    { title: "CREATED", of: ({ createdAt = null }) => time(createdAt) }
  ]
}

const events = { types: ["volume.created", "volume.changed"] } as const

const word = Verb.word("volume", "Id or name of the volume.")
const snapshotWord = Verb.word("snapshot", "Id of the snapshot, or VOLUME/SNAPSHOT by their names.")

const show = (id: VolumeId) =>
  Effect.gen(function* () {
    const { volumes } = yield* client
    yield* ask(view, volumes.getVolume({ path: { id }, withResponse: true }))
  })

const showSnapshot = (id: SnapshotId) =>
  Effect.gen(function* () {
    const { snapshots } = yield* client
    yield* ask(snapshotView, snapshots.getSnapshot({ path: { id }, withResponse: true }))
  })

type Calls = Client.Groups["volumes"]

/** What goes with it. */
const losses = (id: VolumeId) =>
  Effect.gen(function* () {
    const { volumes } = yield* client
    const { name, size } = yield* volumes.getVolume({ path: { id } })
    const { items } = yield* volumes.listSnapshots({ path: { id } })
    const snapshots = items.length === 0 ? "" : ` and its snapshots (${items.map(({ name }) => name).join(", ")})`
    return [`Volume ${id} (${name}) of ${size} GiB${snapshots} goes for good.`]
  })

/** A verb that does one thing to one volume. `trashed`: to one in the trash. */
const doing = (
  name: string,
  about: string,
  endpoint: "destroyVolume" | "detachVolume" | "restoreVolume" | "purgeVolume",
  trashed = false
): Verb.Verb =>
  Verb.make({
    name,
    about,
    endpoints: [endpoint],
    options: Options.all({ noWait: Verb.noWait, yes: endpoint === "purgeVolume" ? Sure.yes : Options.none }),
    args: word,
    run: ({ noWait, yes }, text, planning) =>
      Effect.gen(function* () {
        const id = yield* Resolve.volume(text, trashed)
        const { volumes }: { readonly volumes: Calls } = yield* client
        if (yes !== undefined) yield* Sure.ask({ yes, planning }, losses(id))
        yield* Operations.begin(noWait, volumes[endpoint]({ path: { id }, withResponse: true }), (operation) =>
          Operations.orOperation(operation, show(id))
        )
      })
  })

const create = (
  noWait: boolean,
  payload: { readonly name: string; readonly size?: number; readonly snapshot?: SnapshotId }
) =>
  Effect.gen(function* () {
    const { volumes } = yield* client
    yield* Operations.begin(noWait, volumes.createVolume({ payload, withResponse: true }), (operation) =>
      operation === undefined || operation.volumeId === null ? Operations.shown(operation) : show(operation.volumeId)
    )
  })

const change = (noWait: boolean, text: string, payload: { readonly name?: string; readonly size?: number }) =>
  Effect.gen(function* () {
    const id = yield* Resolve.volume(text)
    const { volumes } = yield* client
    yield* Operations.begin(noWait, volumes.changeVolume({ path: { id }, payload, withResponse: true }), () => show(id))
  })

/** Under a volume and under its snapshot it is the same. */
const reverting = (about: string): Verb.Verb =>
  Verb.make({
    name: "revert",
    about,
    endpoints: ["revertToSnapshot"],
    options: Options.all({ noWait: Verb.noWait, yes: Sure.yes }),
    args: snapshotWord,
    run: ({ noWait, yes }, text, planning) =>
      Effect.gen(function* () {
        const id = yield* Resolve.snapshot(text)
        const { snapshots } = yield* client
        const { name, volumeId } = yield* snapshots.getSnapshot({ path: { id } })
        const loss = `What volume ${volumeId} holds now, and has not in snapshot ${id} (${name}), goes for good.`
        yield* Sure.ask({ yes, planning }, Effect.succeed([loss]))
        yield* Operations.begin(noWait, snapshots.revertToSnapshot({ path: { id }, withResponse: true }), () =>
          show(volumeId)
        )
      })
  })

const size = Verb.size("size", "GiB", "Its size")
const fresh = Verb.text("name", "NAME", "Its name.")

/** @since 0.5.0 @category nouns */
export const noun: Verb.Noun = {
  name: "volume",
  about: "block devices that exist apart from VMs",
  verbs: [
    Verb.make({
      name: "list",
      about: "List volumes, those in the trash too.",
      endpoints: ["listVolumes"],
      options: Options.all({
        page: Pages.options,
        ids: Pages.ids,
        name: Options.optional(Verb.text("name", "BEGINNING", "Only those whose name begins like this.")),
        state: Options.optional(Verb.choice("state", ListedVolumeState.literals, "Only those in this state.")),
        vm: Options.optional(Verb.text("vm", "VM", "Only those that this VM has.")),
        owner: Options.optional(Verb.text("owner", "USER", "Only those that this user had made.")),
        sort: Options.optional(
          Verb.choice(
            "sort",
            ["id", "-id", "name", "-name", "size", "-size", "owner", "-owner"],
            "By what; with - the other way round."
          )
        ),
        watch: Verb.watch
      }),
      args: Args.none,
      run: ({ ids, name, owner, page, sort, state, vm, watch }) =>
        Effect.gen(function* () {
          const { volumes } = yield* client
          const filter = {
            ...(yield* Resolve.maybe("ids", ids, Resolve.volumeIds)),
            ...(yield* Resolve.maybe("vm", vm, Resolve.vm)),
            ...(yield* Resolve.maybe("owner", owner, Resolve.user)),
            ...Verb.given("name", name),
            ...Verb.given("state", state),
            ...Verb.given("sort", sort)
          }
          yield* Pages.show(view, page, watch, events, "there are no such volumes", (at) =>
            volumes.listVolumes({ urlParams: { ...filter, ...at }, withResponse: true })
          )
        })
    }),
    Verb.make({
      name: "get",
      about: "Show a volume.",
      endpoints: ["getVolume"],
      options: Options.all({ watch: Verb.watch }),
      args: word,
      run: ({ watch }, text) =>
        Effect.gen(function* () {
          const id = yield* Resolve.volume(text)
          const { volumes } = yield* client
          yield* Pages.single(
            view,
            watch,
            { ...events, volume: id },
            volumes.getVolume({ path: { id }, withResponse: true })
          )
        })
    }),
    Verb.make({
      name: "create",
      about: "Create a volume, empty or with a snapshot's content.",
      endpoints: ["createVolume"],
      options: Options.all({
        name: fresh,
        size: Options.optional(size),
        snapshot: Options.optional(
          Verb.text("snapshot", "SNAPSHOT", "Whose content it has: an id, or VOLUME/SNAPSHOT.")
        ),
        noWait: Verb.noWait
      }),
      args: Args.none,
      run: ({ name, noWait, size, snapshot }) =>
        Effect.gen(function* () {
          if (Option.isNone(size) && Option.isNone(snapshot)) {
            return yield* new Refused({
              why: "usage",
              message: "give --size SIZE, or --snapshot SNAPSHOT to clone one",
              field: "size"
            })
          }
          yield* create(noWait, {
            name,
            ...Verb.given("size", size),
            ...(yield* Resolve.maybe("snapshot", snapshot, Resolve.snapshot))
          })
        })
    }),
    Verb.make({
      name: "clone",
      about: "Create a volume with a snapshot's content.",
      endpoints: ["createVolume"],
      options: Options.all({ name: fresh, size: Options.optional(size), noWait: Verb.noWait }),
      args: snapshotWord,
      run: ({ name, noWait, size }, text) =>
        Effect.flatMap(Resolve.snapshot(text), (snapshot) =>
          create(noWait, { name, snapshot, ...Verb.given("size", size) })
        )
    }),
    Verb.make({
      name: "attach",
      about: "Attach a volume to a VM.",
      endpoints: ["attachVolume"],
      options: Options.all({
        vm: Verb.text("vm", "VM", "Id or name of the VM that is to have it."),
        noWait: Verb.noWait
      }),
      args: word,
      run: ({ noWait, vm }, text) =>
        Effect.gen(function* () {
          const id = yield* Resolve.volume(text)
          const payload = { vm: yield* Resolve.vm(vm) }
          const { volumes } = yield* client
          yield* Operations.begin(noWait, volumes.attachVolume({ path: { id }, payload, withResponse: true }), () =>
            show(id)
          )
        })
    }),
    doing("detach", "Detach a volume, when its guest lets go of it.", "detachVolume"),
    Verb.make({
      name: "grow",
      about: "Make a volume larger; a guest that has it sees the new size.",
      endpoints: ["changeVolume"],
      options: Options.all({ size, noWait: Verb.noWait }),
      args: word,
      run: ({ noWait, size }, text) => change(noWait, text, { size })
    }),
    Verb.make({
      name: "rename",
      about: "Give a volume another name.",
      endpoints: ["changeVolume"],
      options: Options.all({ name: fresh, noWait: Verb.noWait }),
      args: word,
      run: ({ name, noWait }, text) => change(noWait, text, { name })
    }),
    reverting("Make a volume's content and size a snapshot's again."),
    doing("destroy", "Put a volume into the trash.", "destroyVolume"),
    doing("restore", "Have a volume back from the trash.", "restoreVolume", true),
    doing("purge", "Remove a volume from the trash for good.", "purgeVolume", true)
  ]
}

/** @since 0.5.0 @category nouns */
export const snapshot: Verb.Noun = {
  name: "snapshot",
  about: "what volumes held at one moment",
  verbs: [
    Verb.make({
      name: "list",
      about: "List a volume's snapshots.",
      endpoints: ["listSnapshots"],
      options: Options.all({ watch: Verb.watch }),
      args: word,
      run: ({ watch }, text) =>
        Effect.gen(function* () {
          const id = yield* Resolve.volume(text)
          const { volumes } = yield* client
          yield* Pages.whole(
            snapshotView,
            watch,
            { types: ["snapshot.created", "snapshot.changed"], volume: id },
            "the volume has no snapshots",
            volumes.listSnapshots({ path: { id }, withResponse: true })
          )
        })
    }),
    Verb.make({
      name: "get",
      about: "Show a snapshot.",
      endpoints: ["getSnapshot"],
      options: Verb.noOptions,
      args: snapshotWord,
      run: (_, text) => Effect.flatMap(Resolve.snapshot(text), showSnapshot)
    }),
    Verb.make({
      name: "create",
      about: "Take a snapshot of a volume.",
      endpoints: ["createSnapshot"],
      options: Options.all({ name: fresh, noWait: Verb.noWait }),
      args: word,
      run: ({ name, noWait }, text) =>
        Effect.gen(function* () {
          const id = yield* Resolve.volume(text)
          const { volumes } = yield* client
          yield* Operations.begin(
            noWait,
            volumes.createSnapshot({ path: { id }, payload: { name }, withResponse: true }),
            (operation) =>
              operation === undefined || operation.snapshotId === null
                ? Operations.shown(operation)
                : showSnapshot(operation.snapshotId)
          )
        })
    }),
    Verb.make({
      name: "destroy",
      about: "Destroy a snapshot of which no volume is a clone.",
      endpoints: ["destroySnapshot"],
      options: Options.all({ noWait: Verb.noWait, yes: Sure.yes }),
      args: snapshotWord,
      run: ({ noWait, yes }, text, planning) =>
        Effect.gen(function* () {
          const id = yield* Resolve.snapshot(text)
          const { snapshots } = yield* client
          const loss = Effect.map(snapshots.getSnapshot({ path: { id } }), ({ name }) => [
            `Snapshot ${id} (${name}) goes for good.`
          ])
          yield* Sure.ask({ yes, planning }, loss)
          yield* Operations.begin(
            noWait,
            snapshots.destroySnapshot({ path: { id }, withResponse: true }),
            (operation) => Operations.orOperation(operation, showSnapshot(id))
          )
        })
    }),
    reverting("Make the volume's content and size the snapshot's again.")
  ]
}
