/** Two people at the web interface, each in a browser of their own: what one does, the other sees. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Page } from "playwright-core"
import { vi } from "vitest"
import * as Relay from "../bench/Relay.ts"
import * as Browsers from "./Browser.ts"
import { choose, heading, isLive, row, served, submit } from "./Harness.ts"

const gui = served({ args: ["simulate", "--hosts", "3", "--vms", "20", "--seed", "3"] })

/** Pages of both, which in the end have not been loaded again. */
const assertBoth = async (one: string, other: string, use: (one: Page, other: Page) => Promise<void>) => {
  const { assertAt, opened } = gui()
  const second = await opened()
  await assertAt(one, (first) =>
    assertAt(
      other,
      async (watching) => {
        const both = [first, watching]
        for (const page of both) {
          await isLive(page)
          await page.evaluate("window.loadedOnce = true")
        }
        await use(first, watching)
        for (const page of both) assert.isTrue(await page.evaluate("window.loadedOnce === true"), "it was loaded again")
      },
      second
    )
  )
}

describe.skipIf(Browsers.isMissing)("two browsers (needs chromium)", () => {
  it("a VM that one creates, turns off, edits and destroys is so for the other, in the list and on its page", () =>
    assertBoth("/vms/new", "/vms", async (one, other) => {
      await one.getByLabel("Name", { exact: true }).fill("between-us")
      await one
        .locator(".aside")
        .getByText(/^root@sim-\d$/)
        .first()
        .waitFor()
      await one.getByRole("button", { name: "Create VM" }).click()
      const seen = row(other, "Choose between-us")
      await seen.getByText("running").waitFor()
      await heading(one, "between-us")
      await one.locator(".head .state", { hasText: "running" }).waitFor()
      await one.getByRole("button", { name: "More" }).click()
      await one.getByRole("menuitem", { name: "Power off…" }).click()
      await submit(one, "Power off")
      await seen.getByText("stopped").waitFor()
      await other.getByRole("link", { name: "between-us" }).click()
      await heading(other, "between-us")
      await one.getByRole("button", { name: "More" }).click()
      await one.getByRole("menuitem", { name: "Edit…" }).click()
      await one.getByLabel("Name", { exact: true }).fill("between-all")
      await one.getByLabel("Tags").fill("shared")
      await submit(one, "Save")
      await heading(other, "between-all")
      await other.getByText("shared", { exact: true }).waitFor()
      // and the other way round
      await other.getByRole("button", { name: "Start", exact: true }).click()
      await one.locator(".head .state", { hasText: "running" }).waitFor()
      await one.getByRole("button", { name: "Destroy…" }).click()
      await one.getByLabel(/Type between-all/).fill("between-all")
      await submit(one, "Destroy between-all")
      await other.getByText("There is no such VM").waitFor()
    }))

  it("a volume that one creates and renames, and a host that goes into maintenance", async () => {
    await assertBoth("/volumes", "/volumes", async (one, other) => {
      await one.getByRole("button", { name: "Create volume" }).click()
      await one.getByLabel("Name", { exact: true }).fill("papers")
      await submit(one, "Create volume")
      await row(other, "papers").getByText("available").waitFor()
      await choose(other, "Actions of papers", "Rename…")
      await other.getByLabel("Name", { exact: true }).fill("books")
      await submit(other, "Rename papers")
      await row(one, "books").waitFor()
    })
    await assertBoth("/hosts/2", "/hosts/2", async (one, other) => {
      await one.getByRole("button", { name: "Maintenance", exact: true }).click()
      await other.locator(".head .state", { hasText: "maintenance" }).waitFor()
      await other.getByRole("button", { name: "End maintenance" }).click()
      await one.locator(".head .state", { hasText: /^up$/ }).waitFor()
    })
  })
})

const decodeCount = Schema.decodeUnknownSync(Schema.Struct({ result: Schema.Struct({ value: Schema.Int }) }))

describe.skipIf(Browsers.isMissing)("a page that stays open (needs chromium)", () => {
  it.scopedLive("keeps nothing of the moments that have passed, however much happens", () =>
    Effect.gen(function* () {
      const { url } = yield* Effect.promise(() =>
        gui().another(["simulate", "--hosts", "3", "--vms", "400", "--seed", "3"])
      )
      const relay = yield* Relay.started(url)
      const value = yield* Effect.promise(async () => {
        const context = await gui().opened()
        const page = await context.newPage()
        await page.goto(`${relay.url}/ui/vms`)
        await isLive(page)
        relay.pace(500)
        // some hundred moments of which each was shown
        await vi.waitFor(() => assert.isAbove(relay.told().events, 3000), { timeout: 60_000, interval: 200 })
        const session = await context.newCDPSession(page)
        const { result } = await session.send("Runtime.evaluate", { expression: "Map.prototype" })
        const { objects } = await session.send("Runtime.queryObjects", { prototypeObjectId: result.objectId ?? "" })
        const listsOfVms = await session.send("Runtime.callFunctionOn", {
          objectId: objects.objectId ?? "",
          functionDeclaration: `function () {
          return this.filter((one) => one.size >= 400 && one.values().next().value?.violations !== undefined).length
        }`,
          returnByValue: true
        })
        return decodeCount(listsOfVms).result.value
      })
      assert.isAbove(value, 0)
      assert.isBelow(value, 20)
    })
  )
})
