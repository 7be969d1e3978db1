/** Ways into VMs from a real browser: their serial consoles and their screens, served by the program as users start it, on simulated hosts. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { join } from "node:path"
import type { Page } from "playwright-core"
import * as Browsers from "./Browser.ts"
import { type Gui, isLive, served } from "./Harness.ts"
import { look } from "./Look.ts"

const gui = served({
  args: ["simulate", "--hosts", "2", "--vms", "6", "--seed", "3"],
  window: { permissions: ["clipboard-read", "clipboard-write"] }
})

const assertAt: Gui["assertAt"] = (...all) => gui().assertAt(...all)

const decodeOperation = Schema.decodeUnknownSync(Schema.Struct({ state: Schema.String, vmId: Schema.Int }))

const decodeEnded = Schema.decodeUnknownSync(
  Schema.Struct({ state: Schema.String, error: Schema.NullOr(Schema.String) })
)

const decodeVolume = Schema.decodeUnknownSync(Schema.Struct({ volumeId: Schema.Int }))

const ask = async (method: string, path: string, body?: unknown) => {
  const { answer, status } = await gui().ask(method, path, body)
  assert.isBelow(status, 300, JSON.stringify(answer))
  return answer
}

const power = async (id: number, verb: string) =>
  assert.strictEqual(decodeOperation(await ask("POST", `/vms/${id}/${verb}`)).state, "done")

const connected = (page: Page) => page.locator(".head .state", { hasText: /^connected$/ }).waitFor()

const rows = (page: Page) => page.locator(".xterm-rows")

/** The guest is up, as its log says. */
const isUp = (page: Page) => rows(page).getByText("GUEST READY").first().waitFor()

const isSaid = (page: Page, line: string) => rows(page).getByText(line, { exact: true }).first().waitFor()

/** What is named by its words, or by its label. */
const isFocused = async (page: Page, name: string) => {
  const words: unknown = await page.evaluate(
    "[document.activeElement?.textContent, ...[...(document.activeElement?.labels ?? [])].map(({ textContent }) => textContent)]"
  )
  return Array.isArray(words) && words.some((word) => typeof word === "string" && word.trim() === name)
}

describe.skipIf(Browsers.isMissing)("a serial console (needs chromium)", () => {
  it("shows what was printed before, and a guest that answers what is typed", async () => {
    const id = await gui().made("talker")
    await assertAt(`/vms/${id}/console`, async (page) => {
      await connected(page)
      await isUp(page)
      await page.getByRole("button", { name: "Type", exact: true }).click()
      await page.keyboard.type("echo hello-there\n")
      await isSaid(page, "hello-there")
      // colours of a guest's own need styles, which the policy of the page has to let through
      await page.keyboard.type("echo \u001b[38;2;250;100;50mcoloured\u001b[0m\n")
      await isSaid(page, "coloured")
      const colour: unknown = await page.evaluate(
        "getComputedStyle([...document.querySelectorAll('.xterm-rows span')].findLast(({ textContent }) => textContent === 'coloured')).color"
      )
      assert.strictEqual(colour, "rgb(250, 100, 50)")
      // pasted, and copied
      await page.evaluate("navigator.clipboard.writeText('echo pasted-text\\n')")
      await page.getByRole("button", { name: "Paste" }).click()
      await isSaid(page, "pasted-text")
      await page.getByRole("button", { name: "Copy" }).click()
      await page.getByText("It is copied.").waitFor()
      assert.include(String(await page.evaluate("navigator.clipboard.readText()")), "pasted-text")
      await look(page, "console")
    })
    // whoever comes later sees what was said
    await assertAt(`/vms/${id}/console`, (page) => isSaid(page, "hello-there"))
  })

  it("gives its guest what is typed once it is connected, also before what was printed is there", async () => {
    const id = await gui().made("early")
    // one that is not up hears nothing
    await assertAt(`/vms/${id}/console`, isUp)
    await assertAt(`/vms/${id}`, async (page) => {
      let goOn = () => {}
      const held = new Promise<void>((resolve) => {
        goOn = resolve
      })
      await page.route(/console-log/, async (route) => {
        await held
        await route.continue()
      })
      await page.getByRole("link", { name: "Console", exact: true }).first().click()
      await connected(page)
      await page.keyboard.type("echo at-once\n")
      goOn()
      await isUp(page)
      await isSaid(page, "at-once")
    })
  })

  it("is one's at a time: another is told who has it, takes it over, and the first is told by whom", async () => {
    const id = await gui().made("shared")
    await assertAt(`/vms/${id}/console`, async (first) => {
      await connected(first)
      await assertAt(`/vms/${id}/console`, async (second) => {
        await second.getByText(/local, since .*, has the serial console of VM/).waitFor()
        await second.locator(".head .state", { hasText: "in use" }).waitFor()
        await look(second, "console-busy")
        await second.getByRole("button", { name: "Take it over" }).click()
        await connected(second)
        await first.getByText(/has taken it over/).waitFor()
        await second.getByRole("button", { name: "Type", exact: true }).click()
        await second.keyboard.type("echo mine-now\n")
        await isSaid(second, "mine-now")
      })
      await first.getByRole("button", { name: "Connect again" }).click()
      await connected(first)
      await isSaid(first, "mine-now")
    })
  })

  it("of a VM that is off shows its last words, and connects by itself when it is started", async () => {
    const id = await gui().made("sleeper")
    await assertAt(`/vms/${id}/console`, async (page) => {
      await connected(page)
      await isUp(page)
      await power(id, "power-off")
      await page.getByText("sleeper does not run").waitFor()
      await isUp(page)
      await look(page, "console-off")
      await page.getByRole("button", { name: "Start sleeper" }).click()
      await connected(page)
      await page.getByRole("button", { name: "Type", exact: true }).click()
      await rows(page).getByText("GUEST READY").nth(1).waitFor()
      await page.keyboard.type("echo awake\n")
      await isSaid(page, "awake")
    })
  })

  it("is reached and left by the keyboard alone, from the VM that is created by it", () =>
    assertAt("/vms/new", async (page) => {
      await isLive(page)
      const tabTo = async (role: "link" | "button" | "textbox", name: string) => {
        await page.getByRole(role, { name, exact: true }).first().waitFor()
        for (let pressed = 0; pressed < 60; pressed++) {
          if (await isFocused(page, name)) return
          await page.keyboard.press("Tab")
        }
        assert.fail(`${name} is not reached by Tab`)
      }
      await tabTo("textbox", "Name")
      await page.keyboard.type("by-hand")
      await page
        .locator(".aside")
        .getByText(/^root@sim-\d$/)
        .first()
        .waitFor()
      await tabTo("button", "Create VM")
      await page.keyboard.press("Enter")
      await page.getByRole("heading", { level: 1, name: "by-hand" }).waitFor()
      await page.locator(".head .state", { hasText: "running" }).waitFor()
      await tabTo("link", "Console")
      await page.keyboard.press("Enter")
      await connected(page)
      await isUp(page)
      // nothing else had the keyboard
      await page.waitForFunction("document.activeElement?.classList.contains('xterm-helper-textarea')")
      await page.keyboard.type("echo no-mouse\n")
      await isSaid(page, "no-mouse")
      await page.keyboard.press("Shift+F6")
      assert.isTrue(await isFocused(page, "Type"))
      // and in again
      await page.keyboard.press("Enter")
      await page.keyboard.type("echo back\n")
      await isSaid(page, "back")
    }))
})

/** The pixels of a guest's screen: how many there are of each colour. */
const decodeColours = Schema.decodeUnknownSync(Schema.Record({ key: Schema.String, value: Schema.Int }))

const colours = async (page: Page) => {
  const found: unknown = await page.evaluate(`(() => {
    const canvas = document.querySelector(".vnc canvas")
    if (canvas === null || canvas.width === 0) return {}
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
    const all = {}
    for (let at = 0; at < data.length; at += 4) {
      const colour = data[at] + "," + data[at + 1] + "," + data[at + 2]
      all[colour] = (all[colour] ?? 0) + 1
    }
    return all
  })()`)
  return decodeColours(found)
}

const paper = "208,208,208"
const ink = "48,48,48"

/** Looks again until it is so: what a canvas shows is no element to wait for. */
const isSeen = async (page: Page, is: (found: Readonly<Record<string, number>>) => boolean) => {
  const until = Date.now() + 20_000
  for (;;) {
    const found = await colours(page)
    if (is(found)) return found
    if (Date.now() > until) assert.fail(`the screen shows ${JSON.stringify(found)}`)
    await page.evaluate("new Promise(requestAnimationFrame)")
  }
}

describe.skipIf(Browsers.isMissing)("a screen (needs chromium)", () => {
  it("shows what the guest shows, and gives it what is typed", async () => {
    const id = await gui().made("painter")
    await assertAt(`/vms/${id}/screen`, async (page) => {
      await connected(page)
      const before = await isSeen(page, (found) => (found[paper] ?? 0) > 40_000 && (found[ink] ?? 0) > 0)
      await page.getByRole("button", { name: "Type", exact: true }).click()
      await page.keyboard.type("ab")
      // a block of 3 by 5 for each key
      await isSeen(page, (found) => found[ink] === (before[ink] ?? 0) + 30)
      await page.getByRole("button", { name: "Clipboard" }).click()
      await page.getByLabel("Clipboard", { exact: true }).fill("Xy!")
      await page.getByRole("button", { name: "Type it" }).click()
      await isSeen(page, (found) => found[ink] === (before[ink] ?? 0) + 75)
      await look(page, "screen-clipboard")
      await page.getByRole("button", { name: "Clipboard" }).click()
      // larger than it is, for it fits the window
      const box = await page.locator(".vnc canvas").boundingBox()
      assert.isAbove(box?.width ?? 0, 640)
      await page.getByRole("button", { name: "Fit the window" }).click()
      await page.waitForFunction("document.querySelector('.vnc canvas').getBoundingClientRect().width === 320")
      await page.getByRole("button", { name: "Fit the window" }).click()
      await look(page, "screen")
    })
  })

  it("is left by a key, starts its guest anew by Ctrl-Alt-Del, and comes back after the VM was off", async () => {
    const id = await gui().made("phoenix")
    await assertAt(`/vms/${id}/screen`, async (page) => {
      await connected(page)
      const first = await isSeen(page, (found) => (found[paper] ?? 0) > 40_000)
      await page.getByRole("button", { name: "Ctrl-Alt-Del" }).click()
      // its console has printed more since
      await isSeen(page, (found) => (found[paper] ?? 0) > 40_000 && (found[ink] ?? 0) > (first[ink] ?? 0))
      await page.keyboard.press("Shift+F6")
      assert.isTrue(await isFocused(page, "Type"))
      await power(id, "power-off")
      await page.getByText("phoenix does not run").waitFor()
      assert.strictEqual(await page.locator(".vnc canvas").count(), 0)
      await look(page, "screen-off")
      await page.getByRole("button", { name: "Start phoenix" }).click()
      await connected(page)
      await isSeen(page, (found) => (found[paper] ?? 0) > 40_000)
    })
  })
})

/** Whether a chart's grid has the colour that the page has for lines at this moment. */
const hasItsGrid = `(() => {
  const probe = document.body.appendChild(document.createElement("i"))
  probe.style.color = "var(--line)"
  const line = getComputedStyle(probe).color
  probe.remove()
  const canvas = document.querySelector(".chart canvas")
  if (canvas === null) return false
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
  for (let at = 0; at < data.length; at += 4)
    if (data[at + 3] === 255 && line === "rgb(" + data[at] + ", " + data[at + 1] + ", " + data[at + 2] + ")") return true
  return false
})()`

describe.skipIf(Browsers.isMissing)("a VM's page (needs chromium)", () => {
  it("shows what it uses as it is measured, what happened to it, and its XML", async () => {
    // without Ceph a volume stays where it was first used
    await ask("PATCH", "/hosts/2", { maintenance: true })
    const id = await gui().made("busy-1")
    const volume = decodeVolume(await ask("POST", "/volumes", { name: "books", size: 10 })).volumeId
    for (const [verb, body] of [
      ["snapshots", { name: "monday" }],
      ["attach", { vm: id }]
    ] as const) {
      const done = decodeEnded(await ask("POST", `/volumes/${volume}/${verb}`, body))
      assert.deepStrictEqual(done, { state: "done", error: null })
    }
    await ask("PATCH", "/hosts/2", { maintenance: false })
    await assertAt(`/vms/${id}`, async (page) => {
      const usage = page.getByRole("region", { name: "What it uses" })
      // hosts are asked every 20 seconds
      await usage.getByText(/^used .* %$/).waitFor({ timeout: 90_000 })
      assert.strictEqual(await usage.locator("canvas").count(), 4)
      for (const colorScheme of ["dark", "light"] as const) {
        await page.emulateMedia({ colorScheme })
        const until = Date.now() + 20_000
        while ((await page.evaluate(hasItsGrid)) !== true) {
          assert.isBelow(Date.now(), until, `the charts are drawn in the colours of ${colorScheme}`)
          await page.evaluate("new Promise(requestAnimationFrame)")
        }
      }
      await usage.getByRole("button", { name: "Day" }).click()
      await usage.getByText(/^received .*\/s$/).waitFor()
      const events = page.getByRole("region", { name: "Events" })
      await events.getByText("was seen running").first().waitFor()
      const before = await events.getByText("is to be running").count()
      await power(id, "pause")
      await events.getByText("is to be paused").first().waitFor()
      await power(id, "resume")
      assert.isAbove(before, 0)
      await page.getByRole("region", { name: "Snapshots of its volumes" }).getByText("monday").waitFor()
      const xml = page.getByRole("region", { name: "XML", exact: true })
      await xml.getByRole("button", { name: "As it runs" }).click()
      await xml.getByText(/<graphics type=['"]vnc['"]/).waitFor()
      await look(page, "vm-more")
      await page.setViewportSize({ width: 1440, height: 2800 })
      await page.screenshot({ path: join(Browsers.pictures, "vm-whole.png") })
    })
  }, 150_000)
})
