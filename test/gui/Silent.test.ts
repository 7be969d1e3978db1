/** A host that dies and boots again, in a real browser: what is told of its VMs meanwhile, and of those that then do not run. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Page } from "playwright-core"
import { vi } from "vitest"
import * as Browsers from "./Browser.ts"
import { type Gui, heading, isLive, row, served } from "./Harness.ts"
import { look } from "./Look.ts"

const folder = mkdtempSync(join(tmpdir(), "vmfabric-silent-"))
const script = (name: string, text: string): string => {
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}
const args = ["simulate", "--hosts", "3", "--vms", "9", "--seed", "3", "--faults"]
afterAll(() => rmSync(folder, { recursive: true }))

const gui = served({ args: [...args, script("dies", "at 20s: host 2 dies\n")] })

const decodeHost = Schema.decodeUnknownSync(Schema.Struct({ status: Schema.String, name: Schema.String }))
const decodeVms = Schema.decodeUnknownSync(
  Schema.Struct({ items: Schema.Array(Schema.Struct({ id: Schema.Int, name: Schema.String, hostId: Schema.Int })) })
)

const hostIs = ({ ask }: Pick<Gui, "ask">, state: string) =>
  vi.waitFor(async () => assert.strictEqual(decodeHost((await ask("GET", "/hosts/2")).answer).status, state), {
    timeout: 120_000,
    interval: 200
  })

/** Within one page: what it knows by now stays with it. */
const follow = (page: Page, link: string) => page.locator(`nav a[href="/ui/${link}"]`).click()

describe.skipIf(Browsers.isMissing)("a host that does not answer (needs chromium)", () => {
  it("has its VMs counted, found and shown as unknown, says what can be done, and what does not run when it is back", async () => {
    const { items } = decodeVms((await gui().ask("GET", "/vms")).answer)
    const { name } = decodeHost((await gui().ask("GET", "/hosts/2")).answer)
    const there = items.filter(({ hostId }) => hostId === 2)
    const [first] = there
    assert.isDefined(first)
    const others = items.length - there.length
    const vms = `${there.length} VM${there.length === 1 ? "" : "s"}`
    await gui().assertAt("/", async (page) => {
      await isLive(page)
      // the page is open already when it dies
      await hostIs(gui(), "down")
      const attention = page.getByRole("region", { name: "Needs attention" })
      await attention.getByText(`${vms} there`).waitFor()
      await page.getByText(`${others} running, ${there.length} unknown`).waitFor()
      await look(page, "overview-host-down")
      await attention.getByRole("link", { name: "All VMs that need attention" }).click()
      await row(page, `Choose ${first.name} `).getByText("unknown, host down").waitFor()
      await page.getByText(`${there.length} of ${items.length}`).waitFor()
      await page.getByLabel("State").selectOption("unknown")
      await page.waitForURL(/state=unknown/)
      await page.getByText(`${there.length} of ${items.length}`).waitFor()
      await page.getByLabel("State").selectOption("running")
      await page.getByText("No VM is like that").waitFor()
      // what was chosen can be gone back from
      await page.goBack()
      await page.waitForURL(/state=unknown/)
      await page.getByRole("link", { name: first.name, exact: true }).click()
      await heading(page, first.name)
      await page.getByText("It is to be running; whether it is will be known when its host answers.").waitFor()
      await page.getByRole("button", { name: "Destroy…" }).click()
      await page.getByText("until then this waits and cannot be cancelled").waitFor()
      await page.keyboard.press("Escape")
      await page.getByRole("link", { name: "What can be done about its host" }).click()
      await heading(page, name)
      const silent = page.getByRole("region", { name: "While it does not answer" })
      await silent.getByRole("link", { name: vms }).waitFor()
      await silent.getByText("vmfabric host doctor id:2").waitFor()
      assert.strictEqual(await page.getByRole("link", { name: "Plan to empty it" }).count(), 0)
      await look(page, "host-down")
      await follow(page, "capacity")
      const losses = page.getByRole("region", { name: "If a host is lost" })
      await losses.getByText(`is down, with ${vms} that stay there`).waitFor()
      assert.strictEqual(await losses.getByText("any one can be").count(), 0)

      await losses.getByRole("link", { name }).first().click()
      await heading(page, name)
      await page.getByRole("button", { name: "It is lost…" }).click()
      const dialog = page.getByRole("dialog")
      await dialog.getByText("Take its power away first").waitFor()
      await look(page, "host-lose")
      await dialog.getByRole("textbox").fill(name)
      await dialog.getByRole("button", { name: `Declare ${name} lost` }).click()
      const left = page.getByRole("region", { name: "What is left to do" })
      await left.getByRole("link", { name: vms }).waitFor()
      await page.getByText("it is declared lost").first().waitFor()
      await look(page, "host-lost")
      await left.getByRole("link", { name: vms }).click()
      await row(page, `Choose ${first.name} `).getByText("unknown, host lost").waitFor()
      await page.getByRole("link", { name: first.name, exact: true }).click()
      await page.getByRole("button", { name: "Destroy…" }).click()
      await page.getByText("Its host is declared lost: nothing is done there.").waitFor()
      await dialog.getByRole("textbox").fill(first.name)
      await dialog.getByRole("button", { name: /^Destroy/ }).click()
      await vi.waitFor(async () => assert.strictEqual((await gui().ask("GET", `/vms/${first.id}`)).status, 404), {
        timeout: 20_000,
        interval: 100
      })
      await page.goto(`${new URL(page.url()).origin}/ui/hosts/2`)
      await page.getByRole("button", { name: "It is back" }).click()
      // it is not, and is asked as ever
      await hostIs(gui(), "down")
      await page.getByRole("button", { name: "It is lost…" }).waitFor()
    })
  })

  it("that boots again has its VMs told apart that were to run, and do not", async () => {
    const other = await gui().another([...args, script("boots", "at 5s: host 2 dies\nat 30s: host 2 boots\n")])
    const { items } = decodeVms((await other.ask("GET", "/vms")).answer)
    const there = items.filter(({ hostId }) => hostId === 2)
    const [first] = there
    assert.isDefined(first)
    await other.assertAt("/vms", async (page) => {
      await isLive(page)
      await row(page, `Choose ${first.name} `).getByText("crashed, not running").waitFor({ timeout: 120_000 })
      await page.getByLabel("State").selectOption("crashed")
      await page.getByText(`${there.length} of ${items.length}`).waitFor()
      await page.getByLabel("State").selectOption("running")
      await page.getByText(`${items.length - there.length} of ${items.length}`).waitFor()
      await page.getByRole("link", { name: "Overview" }).click()
      await page.getByText(`${items.length - there.length} running, ${there.length} crashed`).waitFor()
    })
  })
})
