/** What somebody has filled in, and is not lost by accident, in a real browser. */
import { assert, describe, it } from "@effect/vitest"
import type { Page } from "playwright-core"
import * as Browsers from "./Browser.ts"
import { choose, hasFocus, heading, isLive, served, submit } from "./Harness.ts"
import { look } from "./Look.ts"

const gui = served({ args: ["simulate", "--hosts", "3", "--vms", "12", "--seed", "3"] })

const question = (page: Page, name = "Leave without saving?") => page.getByRole("dialog", { name })

const submitted = (page: Page, name: string) => question(page).getByRole("button", { name, exact: true }).click()

/** Left of any dialog. */
const beside = (page: Page) => page.mouse.click(20, 450)

describe.skipIf(Browsers.isMissing)("dialogs (needs chromium)", () => {
  it("begin with their first field, or with the button that does nothing", () =>
    gui().assertAt("/vms?q=standing-7", async (page) => {
      await isLive(page)
      await choose(page, "Actions of standing-7", "Edit…")
      await hasFocus(page, "Name")
      await page.keyboard.press("Escape")
      await question(page).waitFor({ state: "detached" })
      await page.getByRole("dialog").waitFor({ state: "detached" })
      await choose(page, "Actions of standing-7", "Destroy…")
      await hasFocus(page, "Type standing-7 to be sure")
      await page.keyboard.press("Escape")
      await page.getByRole("dialog").waitFor({ state: "detached" })
      for (const entry of ["Power off", "Reset"]) {
        await choose(page, "Actions of standing-7", `${entry}…`)
        await page.getByRole("dialog", { name: `${entry} standing-7?` }).waitFor()
        await hasFocus(page, "Cancel")
        await page.keyboard.press("Enter")
        await page.getByRole("dialog").waitFor({ state: "detached" })
      }
      const { answer } = await gui().ask("GET", "/operations?limit=1")
      assert.notInclude(JSON.stringify(answer), "PowerOffVm")
    }))

  it("ask before what was typed in them is lost, whatever would lose it", () =>
    gui().assertAt("/hosts", async (page) => {
      await page.getByRole("link", { name: "VMs" }).first().click()
      await page.getByLabel("Search VMs").fill("standing-8")
      // a row that moves is not clicked
      await page
        .getByRole("status")
        .getByText(/^\d+ of \d+$/)
        .waitFor()
      await choose(page, "Actions of standing-8", "Edit…")
      await page.getByLabel("Description").fill("the shop's back")
      const kept = page.getByRole("dialog", { name: "Edit standing-8" })
      const stays = async () => {
        await question(page).waitFor()
        await hasFocus(page, "Go on with it")
        await page.keyboard.press("Enter")
        await question(page).waitFor({ state: "detached" })
        assert.strictEqual(await kept.getByLabel("Description").inputValue(), "the shop's back")
      }
      await page.keyboard.press("Control+k")
      assert.isFalse(await page.getByRole("combobox", { name: "Go to" }).isVisible())
      await page.keyboard.press("Escape")
      await question(page).waitFor()
      await look(page, "leave")
      await stays()
      await beside(page)
      await stays()
      await page.goBack()
      await stays()
      assert.include(page.url(), "/ui/vms")
      await page.keyboard.press("Escape")
      await submitted(page, "Leave it")
      await kept.waitFor({ state: "detached" })
      // as it was, or as good as
      await choose(page, "Actions of standing-8", "Edit…")
      await page.getByLabel("Description").fill("else")
      await page.getByLabel("Description").fill("")
      await beside(page)
      await kept.waitFor({ state: "detached" })
    }))

  it("keep what is told once until it is said to be had", () =>
    gui().assertAt("/settings/webhooks", async (page) => {
      await page.getByRole("button", { name: "Create webhook" }).first().click()
      await page.getByLabel("Address").fill("https://receiver.example/hooks")
      await submit(page, "Create webhook")
      const told = page.getByText("Copy it now: it is not told again.")
      await told.waitFor()
      await hasFocus(page, "Copy the secret")
      await page.keyboard.press("Escape")
      await beside(page)
      await page.keyboard.press("Control+k")
      assert.isTrue(await told.isVisible())
      assert.strictEqual(await page.getByRole("dialog").count(), 1)
      await submit(page, "I have it")
      await told.waitFor({ state: "detached" })
    }))
})

describe.skipIf(Browsers.isMissing)("a VM that is to be created (needs chromium)", () => {
  it("is asked about before its page is left, unless nothing was filled in", () =>
    gui().assertAt("/vms/new", async (page) => {
      await page.getByLabel("Name", { exact: true }).waitFor()
      await page.getByRole("link", { name: "Images" }).click()
      await heading(page, "Images")
      await page.goBack()
      await page.getByLabel("Name", { exact: true }).fill("half")
      await page.getByRole("link", { name: "Images" }).click()
      await question(page).waitFor()
      await submitted(page, "Go on with it")
      assert.strictEqual(await page.getByLabel("Name", { exact: true }).inputValue(), "half")
      await page.getByRole("link", { name: "Images" }).click()
      await submitted(page, "Leave it")
      await heading(page, "Images")
      await page.goto(`${gui().url}/ui/vms/new`)
      await page.getByLabel("Name", { exact: true }).fill("half")
      // the browser asks before it loads it again
      const asked = page.waitForEvent("dialog")
      const reloaded = page.reload()
      await (await asked).accept()
      await reloaded
      await page.getByLabel("Name", { exact: true }).fill("whole")
      await page.getByRole("button", { name: "Create VM", exact: true }).click()
      await heading(page, "whole")
    }))
})

describe.skipIf(Browsers.isMissing)("many VMs (needs chromium)", () => {
  it("are told of on every page, each thing that is done with them by itself, and no more of it is asked for when it is stopped", () =>
    gui().assertAt("/vms?q=standing-", async (page) => {
      await isLive(page)
      let release = () => {}
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      await page.route(/\/reboot$/, async (route) => {
        await held
        await route.continue()
      })
      const bar = page.getByRole("group", { name: "What was chosen" })
      await page.getByLabel("Choose all that are shown").check()
      await bar.getByRole("button", { name: /^Reboot/ }).click()
      await submit(page, "Reboot 12 VMs")
      await page.getByText("Reboot: 0 of 12 VMs done, 12 under way").waitFor()
      await page.getByLabel("Choose standing-2", { exact: true }).check()
      await bar.getByRole("button", { name: /^Shut down/ }).click()
      await submit(page, "Shut down 1 VM")
      await page.getByRole("link", { name: "Images" }).click()
      await heading(page, "Images")
      await page.getByText("Reboot: 0 of 12 VMs done, 12 under way").waitFor()
      await page.getByText(/^Shut down: 0 of 1 VM done/).waitFor()
      await look(page, "bulk-elsewhere")
      const leaves = `window.dispatchEvent(new Event("beforeunload", { cancelable: true }))`
      assert.isFalse(await page.evaluate(leaves))
      await page.getByRole("button", { name: "Stop Reboot 12 VMs" }).click()
      release()
      await page.getByText(/^Reboot: 4 of 12 VMs done, 8 not asked for$/).waitFor()
      await page.getByText("Shut down: 1 of 1 VM done", { exact: true }).waitFor()
      assert.isTrue(await page.evaluate(leaves))
      await page.getByRole("button", { name: "Dismiss Reboot 12 VMs" }).click()
      await page.getByText(/^Reboot: /).waitFor({ state: "detached" })
    }))
})

describe.skipIf(Browsers.isMissing)("a session that ends (needs chromium)", () => {
  it("is asked for above what was filled in, which is there again then, and for somebody else the page begins anew", async () => {
    const guarded = await gui().another(["simulate", "--hosts", "2", "--vms", "4", "--seed", "3"])
    const password = "correct horse battery staple"
    const { answer, status } = await guarded.ask("POST", "/users", { name: "ada", role: "admin", password })
    assert.strictEqual(status, 201, JSON.stringify(answer))
    const { context, url } = guarded
    const page = await context.newPage()
    const signIn = async (name: string) => {
      const form = page.locator("form", { has: page.getByRole("button", { name: "Sign in", exact: true }) })
      await form.getByLabel("User", { exact: true }).fill(name)
      await form.getByLabel("Password", { exact: true }).fill(password)
      await form.getByRole("button", { name: "Sign in", exact: true }).click()
    }
    const again = page.getByRole("dialog", { name: "Sign in again" })
    const end = async () => {
      assert.strictEqual((await context.request.delete(`${url}/api/v1/session`)).status(), 204)
      await again.waitFor()
    }
    await page.goto(`${url}/ui/settings/users`)
    await signIn("ada")
    await isLive(page)
    const made = await context.request.post(`${url}/api/v1/users`, { data: { name: "bob", role: "admin", password } })
    assert.strictEqual(made.status(), 201, await made.text())

    await page.getByRole("button", { name: "Create user" }).click()
    await page.getByLabel("Name", { exact: true }).fill("eve")
    await end()
    await hasFocus(page, "Password")
    assert.strictEqual(await again.getByLabel("User").inputValue(), "ada")
    await look(page, "sign-in-again-form")
    await signIn("ada")
    await again.waitFor({ state: "detached" })
    assert.strictEqual(await page.getByLabel("Name", { exact: true }).inputValue(), "eve")
    await submit(page, "Create user")
    await page.getByRole("row", { name: /^eve/ }).waitFor()

    await page.goto(`${url}/ui/vms/new`)
    await page.getByLabel("Name", { exact: true }).fill("half")
    await end()
    await signIn("ada")
    await again.waitFor({ state: "detached" })
    await isLive(page)
    assert.strictEqual(await page.getByLabel("Name", { exact: true }).inputValue(), "half")
    await end()
    await signIn("bob")
    await again.waitFor({ state: "detached" })
    await page.getByText("bob, admin").waitFor()
    assert.strictEqual(await page.getByLabel("Name", { exact: true }).inputValue(), "")
    await page.close()
  })
})
