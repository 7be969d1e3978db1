/** What is open above a page, and where the keyboard is, whatever becomes of what lies below; in a real browser. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import type { Page } from "playwright-core"
import { vi } from "vitest"
import * as Browsers from "./Browser.ts"
import { choose, hasFocus, heading, isLive, served, submit } from "./Harness.ts"

const long = "customer-portal-".padEnd(63, "x")

const decodeId = Schema.decodeUnknownSync(Schema.Struct({ volumeId: Schema.Int }))
const decodeItem = Schema.decodeUnknownSync(Schema.Struct({ id: Schema.Int }))
const decodeItems = Schema.decodeUnknownSync(Schema.Struct({ items: Schema.Array(Schema.Struct({ id: Schema.Int })) }))

const ids: Record<string, number> = {}

const gui = served({
  args: ["simulate", "--hosts", "3", "--vms", "40", "--seed", "3"],
  prepare: async ({ ask, made }) => {
    for (const name of ["row-1", "row-2", "row-3", "gone-1", "gone-2", long]) ids[name] = await made(name)
    await ask("POST", "/volumes", { name: "data", size: 1 })
  }
})

const ask = async (method: string, path: string, body?: unknown) => {
  const { answer, status } = await gui().ask(method, path, body)
  assert.isBelow(status, 300, JSON.stringify(answer))
}

const powerOff = (name: string) => ask("POST", `/vms/${ids[name]}/power-off`)

const start = (name: string) => ask("POST", `/vms/${ids[name]}/start`)

const isAway = (page: Page, name: string) =>
  page.getByRole("link", { name, exact: true }).waitFor({ state: "detached" })

/** The nearest that has a name of what has the focus. */
const focused =
  "(document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.id) || document.activeElement?.tagName"

const assertFocusAt = (page: Page, name: string) =>
  vi.waitFor(async () => assert.strictEqual(await page.evaluate(focused), name), { timeout: 20_000 })

describe.skipIf(Browsers.isMissing)("a dialog of a row (needs chromium)", () => {
  it("stays with what was typed when its VM is not in the list any more, and does what it says", () =>
    gui().assertAt("/vms?state=running&q=row-", async (page) => {
      await isLive(page)
      await choose(page, "Actions of row-1", "Edit…")
      const dialog = page.getByRole("dialog", { name: "Edit row-1" })
      await dialog.getByLabel("Description").fill("the shop's back")
      await powerOff("row-1")
      await isAway(page, "row-1")
      assert.strictEqual(await dialog.getByLabel("Description").inputValue(), "the shop's back")
      // what it was is not what it is by now
      await submit(page, "Save")
      await dialog.getByRole("alert").waitFor()
      await submit(page, "Save")
      await dialog.waitFor({ state: "detached" })
      await assertFocusAt(page, "List of VMs")
      await page.goto(`${gui().url}/ui/vms/${ids["row-1"]}`)
      await page.getByText("the shop's back").first().waitFor()
      await start("row-1")
    }))

  it("stays when its VM sorts out of sight, or is destroyed, and closes with its page", () =>
    gui().assertAt("/vms", async (page) => {
      await isLive(page)
      await choose(page, "Actions of gone-1", "Edit…")
      const dialog = page.getByRole("dialog", { name: /^Edit / })
      await dialog.getByLabel("Description").fill("else")
      await ask("PATCH", `/vms/${ids["gone-1"]}`, { name: "zzz-1" })
      await isAway(page, "gone-1")
      assert.strictEqual(await dialog.getByLabel("Description").inputValue(), "else")
      await ask("DELETE", `/vms/${ids["gone-1"]}`)
      await page.getByRole("status").getByText("45", { exact: true }).waitFor()
      assert.strictEqual(await dialog.getByLabel("Description").inputValue(), "else")
      await page.keyboard.press("Escape")
      await submit(page, "Leave it")
      await dialog.waitFor({ state: "detached" })
      await page.getByRole("link", { name: "Hosts" }).click()
      await heading(page, "Hosts")
      await page.goBack()
      await choose(page, "Actions of row-1", "Edit…")
      await dialog.waitFor()
      await page.goBack()
      await dialog.waitFor({ state: "detached" })
    }))

  it("stays when its volume is not in the list any more", () =>
    gui().assertAt("/volumes?state=available", async (page) => {
      await isLive(page)
      await choose(page, "Actions of data", "Rename…")
      const dialog = page.getByRole("dialog", { name: "Rename data" })
      await dialog.getByLabel("Name").fill("archive")
      await ask("POST", "/volumes/1/attach", { vm: ids["row-2"] })
      await isAway(page, "data")
      assert.strictEqual(await dialog.getByLabel("Name").inputValue(), "archive")
      await submit(page, "Rename data")
      await dialog.waitFor({ state: "detached" })
      const { answer } = await gui().ask("GET", "/volumes/1")
      assert.include(JSON.stringify(answer), "archive")
    }))
})

describe.skipIf(Browsers.isMissing)("a dialog of what else is in a list (needs chromium)", () => {
  it("stays with what was typed when its snapshot or its webhook is removed by somebody else", async () => {
    const volume = decodeId((await gui().ask("POST", "/volumes", { name: "kept", size: 1 })).answer).volumeId
    await ask("POST", `/volumes/${volume}/snapshots`, { name: "monday" })
    await gui().assertAt(`/volumes/${volume}`, async (page) => {
      await isLive(page)
      await choose(page, "Actions of snapshot monday", "Clone as a volume…")
      const dialog = page.getByRole("dialog", { name: "Clone kept as of monday" })
      await dialog.getByLabel("Name").fill("copy")
      const { items } = decodeItems((await gui().ask("GET", `/volumes/${volume}/snapshots`)).answer)
      await ask("DELETE", `/snapshots/${items[0]?.id}`)
      await page.getByText(/^None\. One keeps/).waitFor()
      assert.strictEqual(await dialog.getByLabel("Name").inputValue(), "copy")
    })
    const { id } = decodeItem((await gui().ask("POST", "/webhooks", { url: "https://receiver.example/hooks" })).answer)
    await gui().assertAt("/settings/webhooks", async (page) => {
      await isLive(page)
      await choose(page, "More", "Change…")
      const dialog = page.getByRole("dialog", { name: `Webhook ${id}` })
      await dialog.getByLabel("Address").fill("https://receiver.example/other")
      await ask("DELETE", `/webhooks/${id}`)
      await page.getByText("No webhooks yet").waitFor()
      assert.strictEqual(await dialog.getByLabel("Address").inputValue(), "https://receiver.example/other")
    })
  })
})

describe.skipIf(Browsers.isMissing)("a menu of a row (needs chromium)", () => {
  it("stays when its VM is not in the list any more", () =>
    gui().assertAt("/vms?state=running&q=row-", async (page) => {
      await isLive(page)
      await page.getByRole("button", { name: "Actions of row-3", exact: true }).click()
      const menu = page.getByRole("menu", { name: "Actions of row-3" })
      const before = await menu.boundingBox()
      await powerOff("row-3")
      await isAway(page, "row-3")
      assert.deepStrictEqual(await menu.boundingBox(), before)
      await page.getByRole("menuitem", { name: "Edit…" }).click()
      await page.getByRole("dialog", { name: "Edit row-3" }).waitFor()
      await start("row-3")
    }))

  it("tells what can be done as its VM is by now, and is within the window whatever that is like", () =>
    gui().assertAt("/vms", async (page) => {
      await isLive(page)
      const button = page.getByRole("button", { name: "Actions of row-2", exact: true })
      const menu = page.getByRole("menu", { name: "Actions of row-2" })
      for (const [width, height] of [
        [1440, 900],
        [1366, 600],
        [360, 740]
      ] as const) {
        await page.setViewportSize({ width, height })
        await button.click()
        const box = await menu.boundingBox()
        assert.isAtLeast(box?.y ?? -1, 0, `${width}x${height}`)
        assert.isAtMost((box?.y ?? 0) + (box?.height ?? 0), height, `${width}x${height}`)
        for (const name of ["Start", "Destroy…"]) {
          const entry = page.getByRole("menuitem", { name, exact: true })
          await entry.scrollIntoViewIfNeeded()
          const at = await entry.boundingBox()
          assert.isAtLeast(at?.y ?? -1, 0, name)
          assert.isAtMost((at?.y ?? 0) + (at?.height ?? 0), height, name)
        }
        await page.keyboard.press("Escape")
        await menu.waitFor({ state: "detached" })
      }
      await button.click()
      await page.locator('[role=menuitem][aria-disabled="true"]', { hasText: "Start" }).waitFor()
      await powerOff("row-2")
      await page.locator('[role=menuitem]:not([aria-disabled="true"])', { hasText: "Start" }).waitFor()
      await start("row-2")
    }))
})

describe.skipIf(Browsers.isMissing)("what is done with many (needs chromium)", () => {
  it("is asked of those that were chosen, as they are by now, however the list is narrowed meanwhile", () =>
    gui().assertAt("/vms?state=running&q=row-", async (page) => {
      await isLive(page)
      const bar = page.getByRole("group", { name: "What was chosen" })
      const both = async () => {
        await page.getByLabel("Choose row-1", { exact: true }).check()
        await page.getByLabel("Choose row-2", { exact: true }).check()
      }
      await both()
      await bar.getByRole("button", { name: "Destroy…" }).click()
      const sure = page.getByRole("dialog", { name: "Destroy 2 VMs?" })
      await sure.getByLabel(/Type 2/).fill("2")
      await Promise.all([powerOff("row-1"), powerOff("row-2")])
      await isAway(page, "row-1")
      await isAway(page, "row-2")
      assert.strictEqual(await sure.getByLabel(/Type 2/).inputValue(), "2")
      await page.keyboard.press("Escape")
      await sure.waitFor({ state: "detached" })
      await Promise.all([start("row-1"), start("row-2")])
      await both()
      await bar.getByRole("button", { name: "Power off…", exact: true }).click()
      await page.getByRole("dialog", { name: "Power off 2 VMs?" }).waitFor()
      await powerOff("row-1")
      const one = page.getByRole("dialog", { name: "Power off 1 VM?" })
      await one.getByText("Of those that are chosen 1 cannot, as they are, and are left alone.").waitFor()
      await one.getByText("row-2", { exact: true }).waitFor()
      await powerOff("row-2")
      const none = page.getByRole("dialog", { name: "Power off 0 VMs?" })
      assert.isTrue(await none.getByRole("button", { name: "Power off 0 VMs" }).isDisabled())
      await submit(page, "Cancel")
      await Promise.all([start("row-1"), start("row-2")])
    }))
})

describe.skipIf(Browsers.isMissing)("the keyboard (needs chromium)", () => {
  it("is given back to what a dialog was opened from, and is in the list when that goes", () =>
    gui().assertAt("/vms?q=gone-2", async (page) => {
      await isLive(page)
      await page.getByRole("button", { name: "Actions of gone-2", exact: true }).focus()
      for (const entry of ["Copy as curl or CLI…", "Edit…"]) {
        await page.keyboard.press("Enter")
        await page.getByRole("menuitem", { name: entry, exact: true }).click()
        await page.getByRole("dialog").waitFor()
        await page.keyboard.press("Escape")
        await hasFocus(page, "⋯Actions of gone-2")
      }
      await page.getByLabel("Search VMs").fill("")
      // as soon as it is searched by that, and not when it has been typed
      await page.getByRole("link", { name: "row-1", exact: true }).waitFor()
      await page.getByRole("button", { name: "Actions of gone-2", exact: true }).focus()
      await ask("DELETE", `/vms/${ids["gone-2"]}`)
      await isAway(page, "gone-2")
      await assertFocusAt(page, "List of VMs")
    }))

  it("begins a new VM with its name, and other pages are told to who does not see them", () =>
    gui().assertAt("/", async (page) => {
      await isLive(page)
      // the first of all is told by the browser
      await heading(page, "Overview")
      const told = page.locator("p.sr[aria-live]")
      assert.strictEqual(await told.textContent(), "")
      await page.getByRole("link", { name: "VMs" }).first().click()
      await vi.waitFor(async () => assert.strictEqual(await told.textContent(), "VMs"), { timeout: 20_000 })
      await page.getByRole("link", { name: "Create VM" }).click()
      await hasFocus(page, "Name")
      await vi.waitFor(async () => assert.strictEqual(await told.textContent(), "Create VM"), { timeout: 20_000 })
    }))

  it("is on the page of a VM that is destroyed there", async () => {
    const id = await gui().made("brief")
    await gui().assertAt(`/vms/${id}`, async (page) => {
      await isLive(page)
      await page.getByRole("button", { name: "Destroy…", exact: true }).click()
      await page.getByLabel("Type brief to be sure").fill("brief")
      await submit(page, "Destroy brief")
      await heading(page, "There is no such VM", 2)
      await assertFocusAt(page, "main")
    })
  })
})

describe.skipIf(Browsers.isMissing)("names that are as long as names may be (needs chromium)", () => {
  it("stay within the dialogs they are in", async () => {
    const wide = "document.querySelector('.dialog').scrollWidth - document.querySelector('.dialog').clientWidth"
    for (const [width, height] of [
      [1440, 900],
      [360, 740]
    ] as const) {
      await gui().assertAt(`/vms/${ids[long]}`, async (page) => {
        await page.setViewportSize({ width, height })
        await isLive(page)
        for (const entry of ["Resize…", "Reboot…", "Destroy…"]) {
          await choose(page, "More", entry)
          await page.getByRole("dialog").waitFor()
          assert.strictEqual(await page.evaluate(wide), 0, `${entry} at ${width}`)
          await page.keyboard.press("Escape")
          await page.getByRole("dialog").waitFor({ state: "detached" })
        }
      })
    }
  })
})

describe.skipIf(Browsers.isMissing)("events (needs chromium)", () => {
  it("that come above what is read leave that where it is", () =>
    gui().assertAt("/events", async (page) => {
      await isLive(page)
      await page.locator('[aria-rowindex="20"]').waitFor()
      const top = "document.querySelector('.scroll').scrollTop"
      await page.evaluate(`${top} = 440`)
      const at = "document.elementFromPoint(600, 450).closest('[role=row]')?.textContent"
      const before = await page.evaluate(at)
      assert.isString(before)
      await ask("PATCH", `/vms/${ids["row-1"]}`, { description: "told of above" })
      await vi.waitFor(async () => assert.notStrictEqual(await page.evaluate(top), 440), { timeout: 20_000 })
      assert.strictEqual(await page.evaluate(at), before)
    }))
})
