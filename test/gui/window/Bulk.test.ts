/** The same done with many VMs at once, without a browser. */
import { Registry } from "@effect-atom/atom-react"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { vi } from "vitest"
import type { Operation } from "../../../src/api/Operations.ts"
import * as Problem from "../../../src/api/Problem.ts"
import { VmId } from "../../../src/domain/Ids.ts"
import { anyOperation } from "../Operations.ts"

/** Of the browser what it needs: where it is, and who is asked before the page is left. */
const asks = new Set<unknown>()
beforeEach(() => {
  asks.clear()
  const listening = {
    addEventListener: (_: string, listener: unknown) => void asks.add(listener),
    removeEventListener: (_: string, listener: unknown) => void asks.delete(listener)
  }
  vi.stubGlobal("location", { origin: "http://127.0.0.1:1" })
  vi.stubGlobal("window", { location, ...listening })
})
afterEach(() => void vi.unstubAllGlobals())

const begun = async () => {
  const Bulk = await import("../../../src/gui/state/Bulk.ts")
  const registry = Registry.make()
  registry.mount(Bulk.bulkBeginAtom)
  registry.mount(Bulk.bulkStopAtom)
  registry.mount(Bulk.bulkDismissAtom)
  const words = () =>
    registry.get(Bulk.bulksAtom).map(({ name, vms }) => `${name}: ${[...vms.values()].map((vm) => vm.state._tag)}`)
  const assertBecomes = (...wanted: ReadonlyArray<string>) => vi.waitFor(() => assert.deepStrictEqual(words(), wanted))
  return { Bulk, registry, words, assertBecomes }
}

/** Some of them, each answered when it is let; `sent` are those that were asked for. */
const several = (count: number) => {
  const answered = Effect.runSync(Deferred.make<void, Problem.Unauthenticated>())
  const sent: Array<number> = []
  const actions = Array.from({ length: count }, (_, i) => ({
    id: VmId.make(i + 1),
    name: `web-${i + 1}`,
    run: Effect.suspend(() => {
      sent.push(i + 1)
      return Deferred.await(answered)
    })
  }))
  return { actions, sent, answered }
}

const signedOut = new Problem.Unauthenticated({ status: 401, code: "unauthenticated", title: "Sign in", detail: "" })

describe("what is done with many VMs", () => {
  it("goes on beside what was begun before, and each has what became of it", async () => {
    const { Bulk, assertBecomes, registry } = await begun()
    const [one, other] = [several(2), several(1)]
    registry.set(Bulk.bulkBeginAtom, { name: "Start", actions: one.actions })
    registry.set(Bulk.bulkBeginAtom, { name: "Reboot", actions: other.actions })
    await assertBecomes("Start: asking,asking", "Reboot: asking")
    Effect.runSync(Deferred.succeed(other.answered, undefined))
    await assertBecomes("Start: asking,asking", "Reboot: begun")
    Effect.runSync(Deferred.succeed(one.answered, undefined))
    await assertBecomes("Start: begun,begun", "Reboot: begun")
    const [first] = registry.get(Bulk.bulksAtom)
    registry.set(Bulk.bulkDismissAtom, first?.key ?? 0)
    await assertBecomes("Reboot: begun")
  })

  it("asks before the page is left, for as long as something is still to be asked for", async () => {
    const { Bulk, assertBecomes, registry } = await begun()
    const { actions, answered } = several(2)
    registry.set(Bulk.bulkBeginAtom, { name: "Start", actions })
    await assertBecomes("Start: asking,asking")
    assert.strictEqual(asks.size, 1)
    Effect.runSync(Deferred.succeed(answered, undefined))
    await assertBecomes("Start: begun,begun")
    assert.strictEqual(asks.size, 0)
  })

  it("is stopped: what was not asked for yet is left, and what was goes on", async () => {
    const { Bulk, assertBecomes, registry } = await begun()
    const { actions, answered, sent } = several(6)
    registry.set(Bulk.bulkBeginAtom, { name: "Power off", actions })
    // so many at a time
    await vi.waitFor(() => assert.deepStrictEqual(sent, [1, 2, 3, 4]))
    registry.set(Bulk.bulkStopAtom, registry.get(Bulk.bulksAtom)[0]?.key ?? 0)
    Effect.runSync(Deferred.succeed(answered, undefined))
    await assertBecomes("Power off: begun,begun,begun,begun,left,left")
    assert.deepStrictEqual(sent, [1, 2, 3, 4])
    assert.strictEqual(asks.size, 0)
  })

  it("leaves the rest once somebody has to sign in", async () => {
    const { Bulk, assertBecomes, registry } = await begun()
    const { actions, answered, sent } = several(6)
    registry.set(Bulk.bulkBeginAtom, { name: "Start", actions })
    await vi.waitFor(() => assert.deepStrictEqual(sent, [1, 2, 3, 4]))
    Effect.runSync(Deferred.fail(answered, signedOut))
    await assertBecomes("Start: refused,refused,refused,refused,left,left")
  })

  it("keeps what was seen to have ended, though it is listed no more", async () => {
    const { Bulk, assertBecomes, registry } = await begun()
    registry.mount(Bulk.bulkSeenAtom)
    registry.set(Bulk.bulkBeginAtom, {
      name: "Start",
      actions: [{ id: VmId.make(1), name: "web-1", run: Effect.succeed(anyOperation) }]
    })
    await assertBecomes("Start: begun")
    const ended = () =>
      registry
        .get(Bulk.bulksAtom)
        .flatMap(({ vms }) => [...vms.values()])
        .map(({ state }) => (state._tag === "begun" ? state.ended : "nothing"))
    registry.set(Bulk.bulkSeenAtom, [anyOperation])
    assert.deepStrictEqual(ended(), [null])
    const done: Operation = { ...anyOperation, state: "done", endedAt: anyOperation.createdAt }
    registry.set(Bulk.bulkSeenAtom, [done])
    registry.set(Bulk.bulkSeenAtom, [])
    assert.deepStrictEqual(ended(), [done])
    // another that is begun later changes nothing of it
    const other = several(1)
    registry.set(Bulk.bulkBeginAtom, { name: "Reboot", actions: other.actions })
    Effect.runSync(Deferred.succeed(other.answered, undefined))
    await assertBecomes("Start: begun", "Reboot: begun")
    assert.deepStrictEqual(ended(), [done, null])
  })
})
