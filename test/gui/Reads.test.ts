/** How often pages read what they show, in a real browser. */
import { assert, describe, it } from "@effect/vitest"
import type { Page } from "playwright-core"
import * as Browsers from "./Browser.ts"
import { heading, isLive, served } from "./Harness.ts"

const gui = served({ args: ["simulate", "--hosts", "2", "--vms", "4", "--seed", "3"] })

/** How often each thing is asked for from now on, by what of its path comes after `/api/v1`; without what it is narrowed by. */
const counting = (page: Page) => {
  const counts = new Map<string, number>()
  page.on("request", (request) => {
    const { pathname } = new URL(request.url())
    const path = pathname.replace("/api/v1", "")
    const isStream = request.headers()["accept"] === "text/event-stream"
    if (path !== pathname && request.method() === "GET" && !isStream) counts.set(path, (counts.get(path) ?? 0) + 1)
  })
  return {
    of: (...paths: ReadonlyArray<string>) => Object.fromEntries(paths.map((path) => [path, counts.get(path) ?? 0])),
    forget: () => counts.clear()
  }
}

const each = (count: number, ...paths: ReadonlyArray<string>) => Object.fromEntries(paths.map((path) => [path, count]))

describe.skipIf(Browsers.isMissing)("what pages read (needs chromium)", () => {
  it("is read once for each time that one is opened, and again when it has changed", async () => {
    const { ask, assertAt, made, opened } = gui()
    const id = await made("read-once")
    const volume = await ask("POST", "/volumes", { name: "read-volume", size: 1 })
    assert.isBelow(volume.status, 300, JSON.stringify(volume.answer))
    assert.isBelow((await ask("POST", "/volumes/1/attach", { vm: id })).status, 300)
    assert.isBelow((await ask("POST", `/vms/${id}/power-off`)).status, 300)
    const ofVm = [`/vms/${id}/placement`, `/vms/${id}/nics`, "/events", "/volumes/1/snapshots"]
    await assertAt(
      "/",
      async (page) => {
        const asked = counting(page)
        const there = async () => {
          await isLive(page)
          await heading(page, "read-once")
          await page.getByText("read-volume has none.").waitFor()
          await page.getByRole("region", { name: "Events" }).getByRole("listitem").first().waitFor()
        }
        // by its address, and by a link
        await page.goto(`${gui().url}/ui/vms/${id}`)
        await there()
        assert.deepStrictEqual(asked.of(...ofVm), each(1, ...ofVm))
        await page.getByRole("navigation").getByRole("link", { name: "Networks" }).click()
        await heading(page, "Networks")
        await page.getByRole("row", { name: /^default/ }).waitFor()
        assert.deepStrictEqual(asked.of("/networks"), { "/networks": 1 })
        asked.forget()
        // so soon that what was read before is still at hand
        await page.goBack()
        await there()
        assert.deepStrictEqual(asked.of(...ofVm), each(1, ...ofVm))
        const shot = await ask("POST", "/volumes/1/snapshots", { name: "before" })
        assert.isBelow(shot.status, 300, JSON.stringify(shot.answer))
        await page.getByText("of read-volume, ready").waitFor()
        assert.deepStrictEqual(asked.of(`/vms/${id}/placement`, `/vms/${id}/nics`), {
          [`/vms/${id}/placement`]: 1,
          [`/vms/${id}/nics`]: 1
        })
        asked.forget()
        await page
          .getByRole("region", { name: "Operations" })
          .getByRole("link", { name: /create VM/i })
          .first()
          .click()
        await page.getByText("All that was to be done has been.").waitFor()
        await page.getByRole("listitem").filter({ hasText: "took" }).first().waitFor()
        const operation = new URL(page.url()).pathname.replace("/ui", "")
        assert.deepStrictEqual(asked.of(operation, `${operation}/steps`), each(1, operation, `${operation}/steps`))
      },
      await opened()
    )
  })
})
