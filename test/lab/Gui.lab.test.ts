/** The web interface in a real browser, on real hosts: what it shows is what the guest says from inside. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { mkdirSync } from "node:fs"
import type { Page } from "playwright-core"
import * as Browsers from "../gui/Browser.ts"
import { look } from "../gui/Look.ts"
import { allHostsUp, database, fleet, inGuest, nothingRemains, start, wipe } from "./Client.ts"
import * as Lab from "./Lab.ts"

/** Real guests without hardware to help them take minutes on a busy machine. */
const patience = { timeout: 300_000 }

const connected = (page: Page) => page.locator(".head .state", { hasText: /^connected$/ }).waitFor(patience)

const rows = (page: Page) => page.locator(".xterm-rows")

const row = (page: Page, name: string) => page.getByRole("row", { name: new RegExp(`^${name}`) })

const choose = async (page: Page, button: string, entry: string) => {
  await page.getByRole("button", { name: button, exact: true }).click()
  await page.getByRole("menuitem", { name: entry, exact: true }).click()
}

const submit = (page: Page, name: string) => page.getByRole("dialog").getByRole("button", { name, exact: true }).click()

/** How many colours a screen shows; one: it is blank. */
const colours = async (page: Page) => {
  const found: unknown = await page.evaluate(`(() => {
    const canvas = document.querySelector(".vnc canvas")
    if (canvas === null || canvas.width === 0) return 0
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
    const all = new Set()
    for (let at = 0; at < data.length; at += 4) all.add(data[at] * 65536 + data[at + 1] * 256 + data[at + 2])
    return all.size
  })()`)
  return Number(found)
}

const Queried = Schema.Struct({ pmid: Schema.Int })

describe.skipIf(Browsers.isMissing)("the web interface on real hosts (needs chromium)", () => {
  it.scopedLive(
    "creates a VM, shows it boot on both its consoles, gives it a volume that the guest sees, and destroys both",
    () =>
      Effect.gen(function* () {
        yield* Effect.promise(Browsers.built)
        mkdirSync(Browsers.pictures, { recursive: true })
        yield* wipe(fleet)
        const program = yield* start(yield* database, [], {})
        yield* allHostsUp(program)
        const browser = yield* Browsers.browser
        const page = yield* Effect.promise(async () => {
          const context = await browser.newContext({ viewport: { width: 1440, height: 900 } })
          context.setDefaultTimeout(60_000)
          return context.newPage()
        })
        const complaints = Browsers.complaints(page)
        const at = (path: string) => page.goto(`${program.url}/ui${path}`)
        const shows = (what: () => Promise<unknown>) => Effect.promise(what)

        yield* shows(async () => {
          await at("/vms/new")
          await page.getByLabel("Name", { exact: true }).fill("seen")
          await page
            .locator(".aside")
            .getByText(/^root@/)
            .first()
            .waitFor()
          await page.getByRole("button", { name: "Create VM" }).click()
          await page.getByRole("heading", { level: 1, name: "seen" }).waitFor(patience)
          await page.locator(".head .state", { hasText: "running" }).waitFor(patience)
          await page.getByRole("link", { name: "Console", exact: true }).first().click()
          await connected(page)
          await rows(page).getByText("GUEST READY").first().waitFor(patience)
          await page.keyboard.type("echo it-is-$((40 + 2))\n")
          await rows(page).getByText("it-is-42").first().waitFor(patience)
          await look(page, "lab-console")
        })
        const { pmid } = yield* Effect.flatMap(program.get("/vm/query?vmid=1"), Schema.decodeUnknown(Queried))
        const host = fleet.hosts[pmid - 1] ?? "none"

        yield* shows(async () => {
          await at("/vms/1/screen")
          await connected(page)
        })
        // its firmware and its boot loader write there, in two colours at least
        yield* Lab.eventually(
          "the screen is not blank",
          Effect.promise(() => colours(page)),
          (found) => found > 1,
          "60 seconds"
        )
        yield* shows(() => look(page, "lab-screen"))

        yield* shows(async () => {
          await at("/volumes")
          await page.getByRole("button", { name: "Create volume" }).click()
          await page.getByLabel("Name", { exact: true }).fill("data")
          await page.getByLabel("Size in GiB").fill("1")
          await submit(page, "Create volume")
          await row(page, "data").getByText("available").waitFor(patience)
          await choose(page, "Actions of data", "Attach…")
          await page.getByLabel("VM", { exact: true }).fill("seen")
          await submit(page, "Attach data")
          await row(page, "data").getByText("attached").waitFor(patience)
          await at("/vms/1/console")
          await connected(page)
          // what was printed before is shown again, and what is typed meanwhile is not heard
          await rows(page).getByText("it-is-42").first().waitFor(patience)
          // what is attached to the domain is found by the guest a moment later
          await page.keyboard.type("until ls /dev/disk/by-id | grep volume-; do sleep 1; done\n")
          await rows(page).getByText("virtio-volume-1").first().waitFor(patience)
        })
        assert.include(yield* inGuest(host, 1, "ls /dev/disk/by-id"), "virtio-volume-1")

        yield* shows(async () => {
          await at("/vms/1")
          await page.getByRole("button", { name: "Destroy…" }).click()
          await page.getByLabel(/Type seen/).fill("seen")
          await page.getByRole("button", { name: "Destroy seen", exact: true }).click()
          await page.getByText("There is no such VM").waitFor(patience)
          await at("/volumes")
          await row(page, "data").getByText("available").waitFor(patience)
          await choose(page, "Actions of data", "Destroy…")
          await submit(page, "Destroy data")
          await row(page, "data").getByText("in the trash").waitFor(patience)
          await choose(page, "Actions of data", "Purge…")
          await page.getByLabel(/Type data/).fill("data")
          await submit(page, "Purge data")
          await row(page, "data").waitFor({ state: "detached", ...patience })
        })
        assert.deepStrictEqual([...complaints], [])
        yield* nothingRemains(program)
      })
  )
})
