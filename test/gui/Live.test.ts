/** Two people at the web interface, each in a browser of their own: what one does, the other sees. */
import { assert, describe, it } from "@effect/vitest"
import type { Page } from "playwright-core"
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
      await one.getByRole("menuitem", { name: "Power off" }).click()
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
