/** What is shown of VMs and operations: what is counted, filtered and told is the same word. */
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import { reasonOf } from "../../src/client/Errors.ts"
import { UserName } from "../../src/domain/Identity.ts"
import { HostId, ImageId, OperationId, VmId } from "../../src/domain/Ids.ts"
import type { Host } from "../../src/api/Hosts.ts"
import type { Operation } from "../../src/api/Operations.ts"
import type { Vm } from "../../src/api/Vms.ts"
import { filterOf, isAsked } from "../../src/gui/parts/Asked.ts"
import { matters, sizeOf } from "../../src/gui/parts/Matters.ts"
import * as Words from "../../src/gui/parts/Words.ts"
import { anyHost } from "./Hosts.ts"
import { anyOperation } from "./Operations.ts"
import { anyVm } from "./Vms.ts"

const at = (milliseconds: number) => DateTime.unsafeMake(milliseconds)

describe("amounts", () => {
  it("are not told shorter than they are", () => {
    assert.deepStrictEqual(
      [20, 1010, 1024, 1025, 1536, 9999, 10240, 900_000].map((value) => Words.gibibytes(value)),
      ["20 GiB", "1,010 GiB", "1 TiB", "1,025 GiB", "1.5 TiB", "9,999 GiB", "10 TiB", "878.9 TiB"]
    )
    assert.deepStrictEqual(
      [512, 4096, 1_049_600].map((value) => Words.mebibytes(value)),
      ["512 MiB", "4 GiB", "1,025 GiB"]
    )
  })

  it("beside each other are in one unit", () => {
    assert.deepStrictEqual([Words.gibibytes(1010, 1024), Words.gibibytes(1024, 1010)], ["1,010 GiB", "1,024 GiB"])
    assert.deepStrictEqual([Words.gibibytes(0, 1024), Words.gibibytes(1024, 0)], ["0 GiB", "1 TiB"])
    assert.strictEqual(Words.gibibytes(102_400, 500), "100 TiB")
    assert.strictEqual(Words.mebibytes(1_048_576, 1_048_577), "1,024 GiB")
  })
})

describe("a host", () => {
  it("is as full as what is scarcest there, the disk as well", () => {
    const capacity = { cpu: 64, ram: 65_536, disk: 1024 }
    assert.strictEqual(Words.fullness({ capacity, promised: { cpu: 8, ram: 8192, disk: 1010 } }), 1010 / 1024)
    assert.strictEqual(Words.fullness({ capacity, promised: { cpu: 32, ram: 8192, disk: 0 } }), 0.5)
    const none = { cpu: 0, ram: 0, disk: 0 }
    assert.strictEqual(Words.fullness({ capacity: none, promised: none }), 0)
    assert.strictEqual(Words.fullness({ capacity: none, promised: { ...none, disk: 1 } }), 1)
  })
})

describe("an image", () => {
  it("of a name that there is already is told of", () => {
    const images = [1, 2].map((id) => ({ id: ImageId.make(id), name: "trixie" }))
    assert.isNull(Words.imageAlsoCalled("other", images))
    assert.isNull(Words.imageAlsoCalled("", images))
    assert.match(Words.imageAlsoCalled("trixie", images.slice(1)) ?? "", /^Image 2 is called that, too/)
    assert.match(Words.imageAlsoCalled("trixie", images) ?? "", /^2 images are called that, too/)
  })
})

const seen = (power: NonNullable<Vm["seen"]>["power"], reason: string | null = null) => ({
  power,
  reason,
  since: at(5000)
})
const vm = (id: number, change: Partial<Vm> = {}): Vm => ({
  ...anyVm,
  id: VmId.make(id),
  name: `vm-${id}`,
  hostId: HostId.make(1),
  violations: [],
  seen: seen("running"),
  ...change
})
const host = (id: number, change: Partial<Host> = {}): Host => ({
  ...anyHost,
  id: HostId.make(id),
  name: `host-${id}`,
  status: "up",
  reason: null,
  since: null,
  maintenance: false,
  ...change
})
const down = { hostStatus: "down", hostReason: "sshd does not answer" } as const
const operation = (change: Partial<Operation> = {}): Operation => ({
  ...anyOperation,
  state: "failed",
  error: "there is no room",
  endedAt: at(1000),
  progress: null,
  ...change
})
const cancelled = { cancelAsked: true, error: "it was cancelled" } as const

describe("a VM", () => {
  const running = vm(1)
  const crashed = vm(2, { seen: seen("crashed", "its QEMU died") })
  const lost = vm(3, down)
  const stopped = vm(4, { state: "stopped", seen: seen("stopped") })

  it("is shown by the word that it is counted and found by", () => {
    const shown = [running, crashed, lost, stopped, vm(5, { state: "creating", ...down })].map((one) => {
      const { is, tone, word } = Words.vmState(one)
      assert.isTrue(word.startsWith(is), word)
      return [is, tone, word]
    })
    assert.deepStrictEqual(shown, [
      ["running", "ok", "running"],
      ["crashed", "bad", "crashed, not running"],
      ["unknown", "bad", "unknown, host down"],
      ["stopped", "off", "stopped"],
      ["creating", "busy", "creating"]
    ])
  })

  it("does not run because that is wanted: one that crashed, or whose host is down, is told apart", () => {
    assert.strictEqual(Words.vmCounts([running, crashed, lost, stopped]), "1 running, 1 crashed, 1 unknown")
    assert.strictEqual(Words.vmCounts([running, stopped]), "1 running")
    assert.strictEqual(Words.vmCounts([lost]), "0 running, 1 unknown")
  })

  it("needs attention when it is not as wanted, or nobody knows", () => {
    assert.deepStrictEqual([running, crashed, lost, stopped, vm(6, { drift: 1 })].map(Words.needsAttention), [
      false,
      true,
      true,
      false,
      true
    ])
  })

  it("is so since its host has been silent, where that is why", () => {
    assert.deepStrictEqual(Words.vmSince(crashed, host(1, { since: at(9000) })), at(5000))
    assert.deepStrictEqual(Words.vmSince(lost, host(1, { since: at(9000) })), at(9000))
    assert.isNull(Words.vmSince(lost, undefined))
  })

  it("are named together by their names, and with their ids those that are called the same", () => {
    const named = Array.from({ length: 11 }, (_, i) => vm(i + 1, { name: `web-${i + 1}` }))
    assert.strictEqual(Words.namesOf(named.slice(0, 2)), "web-1, web-2")
    assert.strictEqual(
      Words.namesOf([vm(1, { name: "web" }), vm(2, { name: "db" }), vm(3, { name: "web" })]),
      "web (id:1), db, web (id:3)"
    )
    assert.match(Words.namesOf(named), /^web-1, .*, web-10 and 1 more$/)
    // also where the other is not named
    assert.match(Words.namesOf([...named.slice(1), vm(12, { name: "web-2" })]), /^web-2 \(id:2\), web-3, /)
  })

  it("may have another's name, which is said to whoever gives it", () => {
    const all = [vm(1, { name: "web" }), vm(2, { name: "web" }), vm(3, { name: "db" })]
    assert.isNull(Words.alsoCalled("", all, null))
    assert.isNull(Words.alsoCalled("mail", all, null))
    assert.isNull(Words.alsoCalled("db", all, VmId.make(3)))
    assert.match(Words.alsoCalled("db", all, null) ?? "", /^VM 3 is called that, too/)
    assert.match(Words.alsoCalled("web", all, VmId.make(2)) ?? "", /^VM 1 is called that, too/)
    assert.match(Words.alsoCalled("web", all, null) ?? "", /^2 VMs are called that, too/)
  })
})

describe("an operation", () => {
  it("that was cancelled is no failure, unless it failed of something else before that", () => {
    const shown = (change: Partial<Operation>) => {
      const { tone, why, word } = Words.operationState(operation(change))
      return [tone, word, why]
    }
    assert.deepStrictEqual(shown(cancelled), ["off", "cancelled", null])
    assert.deepStrictEqual(shown({ ...cancelled, error: "it was cancelled; what it began is removed later" }), [
      "off",
      "cancelled",
      "what it began is removed later"
    ])
    assert.deepStrictEqual(shown({ ...cancelled, state: "undoing" }), ["busy", "being cancelled", null])
    assert.deepStrictEqual(shown({ cancelAsked: true }), ["bad", "failed", "there is no room"])
    assert.deepStrictEqual(shown({}), ["bad", "failed", "there is no room"])
  })

  it("says that something was undone only where something was", () => {
    const end = (change: Partial<Operation>, ...steps: ReadonlyArray<"do" | "undo">) =>
      Words.endOf(
        operation(change),
        steps.map((phase) => ({ phase }))
      )
    assert.strictEqual(end({}, "do"), "It failed.")
    assert.strictEqual(end({}), "It failed before it had begun anything.")
    assert.strictEqual(end({}, "do", "undo"), "It failed, and what it had made was undone.")
    assert.strictEqual(end(cancelled, "do", "undo"), "It was cancelled, and what it had made was undone.")
    assert.strictEqual(end({ state: "done" }, "do"), "All that was to be done has been.")
  })

  it("is found by what it is shown as", () => {
    const is = (asked: Parameters<typeof isAsked>[0], change: Partial<Operation> = {}) =>
      isAsked(asked)(operation({ kind: "StartVm", vmId: VmId.make(7), ...change }))
    assert.isTrue(is({ state: "failed" }))
    assert.isFalse(is({ state: "failed" }, cancelled))
    assert.isTrue(is({ state: "cancelled" }, cancelled))
    assert.isFalse(is({ state: "cancelled" }))
    assert.isTrue(is({ vm: "7", kind: "StartVm" }))
    assert.isFalse(is({ vm: "8" }))
    assert.isTrue(is({ user: "ada" }, { user: UserName.make("ada") }))
    assert.isFalse(is({ user: "ada" }, { user: UserName.make("bob") }))
    assert.isFalse(is({ user: "ada" }))
  })

  it("is asked of the API by what that knows", () => {
    assert.deepStrictEqual(filterOf({ state: "cancelled", vm: "7", kind: "StartVm" }), {
      kind: "StartVm",
      state: "failed",
      vm: VmId.make(7)
    })
    assert.deepStrictEqual(filterOf({ user: "ada" }), { user: UserName.make("ada") })
    assert.deepStrictEqual(filterOf({}), {})
    for (const wrong of [{ vm: "x" }, { vm: "0" }, { kind: "Start" }, { state: "over" }, { user: "Ada L" }])
      assert.isNull(filterOf(wrong))
  })
})

describe("what needs attention", () => {
  const all = (vms: ReadonlyArray<Vm>, hosts: ReadonlyArray<Host>, operations: ReadonlyArray<Operation> = []) =>
    matters(
      { vms: new Map(vms.map((one) => [one.id, one])), hosts: new Map(hosts.map((one) => [one.id, one])), operations },
      2000
    )

  it("is a host that is down, with how many VMs nobody knows of, and a VM that crashed elsewhere", () => {
    const found = all(
      [
        vm(1, down),
        vm(2, down),
        vm(3, { hostId: HostId.make(2), seen: seen("crashed") }),
        vm(4, { hostId: HostId.make(2) })
      ],
      [host(1, { status: "down", reason: "sshd does not answer" }), host(2)]
    )
    assert.deepStrictEqual(
      found.map((one) => [one._tag, one.state.word, sizeOf(one)]),
      [
        ["host", "down", 1],
        ["unseen", "unknown, host down", 2],
        ["vm", "crashed, not running", 1]
      ]
    )
  })

  it("is what failed of late, but not what was cancelled or is retried by now", () => {
    const retried = operation({ retriedBy: OperationId.make("11111111-2222-4333-8444-555555555556") })
    const failed = operation()
    const old = operation({ endedAt: at(-3_600_000) })
    const found = all([], [], [operation(cancelled), retried, failed, old, operation({ state: "done" })])
    assert.deepStrictEqual(
      found.map((one) => (one._tag === "operation" ? one.operation : null)),
      [failed]
    )
  })
})

describe("a controller that is gone", () => {
  it("is told of in the same words whatever browser it is, and in Node's where that knows more", () => {
    for (const words of [
      "Failed to fetch",
      "NetworkError when attempting to fetch resource.",
      "Load failed",
      "network error"
    ]) {
      assert.strictEqual(reasonOf(new TypeError(words)), "there is no answer", words)
    }
    const refused = new Error("connect ECONNREFUSED 127.0.0.1:1")
    assert.strictEqual(reasonOf(new TypeError("fetch failed", { cause: refused })), "connect ECONNREFUSED 127.0.0.1:1")
  })
})
