/** A controller that has no host yet, in a real browser: every page says what to do next. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Browsers from "./Browser.ts"
import { isLive, served } from "./Harness.ts"
import { look } from "./Look.ts"

const folder = mkdtempSync(join(tmpdir(), "vmfabric-first-"))
afterAll(() => rmSync(folder, { recursive: true }))
const file = (name: string, text: string) => {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const gui = served({
  args: [
    "--database",
    join(folder, "db.sqlite"),
    file("machines", "# none yet\n"),
    file("images", `${file("disk.raw", "\0".repeat(1024 * 1024))} name=test format=raw\n`),
    file("types", '{"types":[{"tid":1,"cpu":1,"ram":512,"disk":1}]}')
  ]
})

describe.skipIf(Browsers.isMissing)("a controller without hosts (needs chromium)", () => {
  it("starts, and says on its pages and to a request how a host is added", async () => {
    const refused = await gui().ask("POST", "/vms", { name: "web", instanceType: 1 })
    assert.deepInclude(refused.answer, {
      status: 409,
      detail:
        "no host can take the VM: the fabric has no hosts yet, and POST /api/v1/hosts or vmfabric host add adds one"
    })
    for (const path of ["/", "/hosts", "/vms/new", "/capacity?aim=empty"]) {
      await gui().assertAt(path, async (page) => {
        await isLive(page)
        await page.getByText("No hosts yet").first().waitFor()
        await page.getByText("vmfabric host add root@h1").first().waitFor()
        if (path === "/") await look(page, "first-day")
      })
    }
    await gui().assertAt("/vms", async (page) => {
      await page.getByRole("link", { name: "Create the first VM" }).waitFor()
      // what is done first is one thing
      assert.strictEqual(await page.locator(".button.primary").count(), 1)
    })
    await gui().assertAt("/", async (page) => {
      await page.getByRole("link", { name: "Hosts" }).last().click()
      await page.getByRole("button", { name: "Add host" }).click()
      await page.getByRole("dialog").getByLabel("Address").waitFor()
    })
  })
})
