/** A host that goes away and comes back: what failed meanwhile is retried, in a real browser. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { vi } from "vitest"
import * as Browsers from "./Browser.ts"
import { heading, isLive, served } from "./Harness.ts"
import { look } from "./Look.ts"

const folder = mkdtempSync(join(tmpdir(), "vmfabric-retry-"))
const faults = join(folder, "faults")
writeFileSync(faults, "at 5s for 60s: network of host 1 is cut\n")
afterAll(() => rmSync(folder, { recursive: true }))

const gui = served({ args: ["simulate", "--hosts", "1", "--vms", "2", "--seed", "3", "--faults", faults] })

const decodeHost = Schema.decodeUnknownSync(Schema.Struct({ status: Schema.String }))
const decodeOperation = Schema.decodeUnknownSync(
  Schema.Struct({ id: Schema.String, state: Schema.String, retriedBy: Schema.NullOr(Schema.String) })
)

const hostIs = (state: string) =>
  vi.waitFor(async () => assert.strictEqual(decodeHost((await gui().ask("GET", "/hosts/1")).answer).status, state), {
    timeout: 90_000,
    interval: 200
  })

describe.skipIf(Browsers.isMissing)("a failed operation (needs chromium)", () => {
  it("is retried from its page or its row once its host is back, and each leads to the other", async () => {
    await hostIs("down")
    const [first, second] = await Promise.all([gui().ask("POST", "/vms/1/reset"), gui().ask("POST", "/vms/2/reset")])
    const failed = decodeOperation(first?.answer)
    assert.strictEqual(failed.state, "failed", JSON.stringify(first?.answer))
    const other = decodeOperation(second?.answer)
    assert.strictEqual(other.state, "failed", JSON.stringify(second?.answer))
    await gui().assertAt(`/operations/${failed.id}`, async (page) => {
      await isLive(page)
      await heading(page, "Reset VM")
      await page.getByText("Why it failed").waitFor()
      await page.getByRole("button", { name: "Copy as…" }).click()
      await page.getByText(`vmfabric operation retry ${failed.id}`).waitFor()
      await page.getByText(`/api/v1/operations/${failed.id}/retry`).waitFor()
      await page.keyboard.press("Escape")
      await look(page, "operation-failed")
      await hostIs("up")
      await page.getByRole("button", { name: "Retry", exact: true }).click()
      await page.getByText("Retry of").waitFor()
      assert.notInclude(page.url(), failed.id)
      await page.getByText("All that was to be done has been.").waitFor()
      await look(page, "operation-retry")
      assert.match(await page.getByRole("region", { name: "Facts" }).innerText(), /^By\s+local$/m)
      await page.getByRole("link", { name: "the one that failed before" }).click()
      await page.waitForURL(`**/operations/${failed.id}`)
      await page.getByText("Retried as").waitFor()
      assert.strictEqual(await page.getByRole("button", { name: "Retry", exact: true }).count(), 0)
    })
    await gui().assertAt("/operations?state=failed", async (page) => {
      await isLive(page)
      await page.getByRole("row").filter({ hasText: "Reset VM" }).first().waitFor()
      // the other one has a retry already
      const menus = page.getByRole("button", { name: /^Actions of Reset VM/ })
      await menus.waitFor()
      await menus.click()
      await page.getByRole("menuitem", { name: "Retry", exact: true }).click()
      await menus.waitFor({ state: "detached" })
      await look(page, "operations-retried")
    })
    const { retriedBy } = decodeOperation((await gui().ask("GET", `/operations/${other.id}`)).answer)
    assert.isNotNull(retriedBy)
  })
})
