/** What is said of events, with what is known of those before them. */
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import type { Event } from "../../src/api/Events.ts"
import { EventId, type EventType } from "../../src/domain/Event.ts"
import { HostId, OperationId, VmId } from "../../src/domain/Ids.ts"
import * as EventWords from "../../src/gui/parts/EventWords.ts"

/** Oldest first: what is said of each. */
const said = (
  events: ReadonlyArray<readonly [vm: number, type: EventType, state: string, name?: string, host?: number]>
) => {
  const all = events
    .map(([vm, type, state, name = "web", host = 1], i): Event => ({
      id: EventId.make(i + 1),
      time: DateTime.unsafeMake(i),
      type,
      vmId: VmId.make(vm),
      hostId: HostId.make(host),
      volumeId: null,
      snapshotId: null,
      imageId: null,
      operationId: null,
      data: { name, state, hostId: host }
    }))
    .toReversed()
  const sentence = EventWords.sentences(all, { hosts: new Map() })
  return all.map(sentence).toReversed()
}

describe("an operation that is new", () => {
  const told = (data: Event["data"]) => {
    const event: Event = {
      id: EventId.make(1),
      time: DateTime.unsafeMake(0),
      type: "operation.created",
      vmId: VmId.make(1),
      hostId: null,
      volumeId: null,
      snapshotId: null,
      imageId: null,
      operationId: OperationId.make("11111111-2222-4333-8444-555555555555"),
      data: { kind: "StartVm", state: "pending", ...data }
    }
    return EventWords.sentences([event], { hosts: new Map() })(event)
  }

  it("is told with who asked for it, or why the controller began it, where that is known", () => {
    assert.deepStrictEqual(
      [
        told({ user: "ada", cause: null }),
        told({ user: null, cause: "its onCrash is restart, and the guest crashed" }),
        told({ user: null, cause: null }),
        told({})
      ],
      [
        "Start VM was asked for by ada",
        "Start VM was begun by the controller: its onCrash is restart, and the guest crashed",
        "Start VM was asked for",
        "Start VM was asked for"
      ]
    )
  })
})

describe("what is wanted of a VM", () => {
  it("is said where it has become another, and all else is told as a change", () => {
    assert.deepStrictEqual(
      said([
        [1, "vm.created", "creating"],
        [1, "vm.changed", "running"],
        [2, "vm.created", "creating"],
        [1, "vm.seen", "running"],
        [1, "vm.changed", "running"],
        [2, "vm.changed", "running"],
        [1, "vm.changed", "stopped"],
        [1, "vm.changed", "stopped", "shop"],
        [1, "vm.changed", "stopped", "shop", 2],
        [1, "vm.changed", "destroying", "shop", 2]
      ]),
      [
        "is being created",
        "is to be running",
        "is being created",
        "was seen otherwise",
        "was changed",
        "is to be running",
        "is to be stopped",
        "is called shop now",
        "is to be stopped",
        "is being destroyed"
      ]
    )
  })

  it("is said of the oldest that is known, which may have changed anything", () => {
    assert.deepStrictEqual(said([[1, "vm.changed", "running"]]), ["was changed, and is to be running"])
  })
})
