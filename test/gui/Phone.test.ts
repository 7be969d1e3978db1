/** Lists on a phone: what a line is about can be read to its end. */
import { assert, describe, it } from "@effect/vitest"
import { join } from "node:path"
import * as Browsers from "./Browser.ts"
import { isLive, served } from "./Harness.ts"

const gui = served({
  args: ["simulate", "--hosts", "3", "--vms", "3", "--seed", "3"],
  window: { viewport: { width: 360, height: 740 } }
})

const name = "frontend-production-4"

describe.skipIf(Browsers.isMissing)("lists on a phone (needs chromium)", () => {
  it("say what operations and events are about, on two lines where one is too short", async () => {
    const { assertAt, made } = gui()
    await assertAt("/events", async (page) => {
      await isLive(page)
      await made(name)
      for (const list of ["events", "operations"]) {
        await page.locator(`nav a[href="/ui/${list}"]`).click()
        const about = page.getByRole("cell", { name, exact: true }).first()
        await about.waitFor()
        const cut = await about.evaluate((cell) => {
          const words = cell.ownerDocument.createRange()
          words.selectNodeContents(cell)
          const [whole, seen] = [words.getBoundingClientRect(), cell.getBoundingClientRect()]
          return [whole.bottom > seen.bottom + 1, whole.right > seen.right + 1]
        })
        assert.deepStrictEqual(cut, [false, false], list)
        for (const colorScheme of ["light", "dark"] as const) {
          await page.emulateMedia({ colorScheme })
          await page.screenshot({ path: join(Browsers.pictures, `${list}-phone-${colorScheme}.png`) })
        }
      }
    })
  })

  it("keep what cannot be taken back apart from what is pressed every day", () =>
    gui().assertAt("/vms", async (page) => {
      await isLive(page)
      await page.getByLabel("Choose standing-1").check()
      const bar = page.getByRole("group", { name: "What was chosen" })
      const [off, destroy] = await Promise.all(
        ["Power off…", "Destroy…"].map((name) => bar.getByRole("button", { name, exact: true }).boundingBox())
      )
      if (off === null || off === undefined || destroy === null || destroy === undefined)
        return assert.fail("not shown")
      const beside = Math.max(destroy.x - (off.x + off.width), off.x - (destroy.x + destroy.width))
      const below = destroy.y - (off.y + off.height)
      // as far as a thumb is wide
      assert.isAtLeast(Math.max(beside, below), 32)
      await page.screenshot({ path: join(Browsers.pictures, "vms-chosen-phone.png") })
    }))
})
