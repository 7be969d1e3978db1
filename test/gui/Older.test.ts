/** Operations that are no longer at hand, and those of a VM that is gone, in a real browser. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Browsers from "./Browser.ts"
import { isLive, served } from "./Harness.ts"
import { look } from "./Look.ts"

const gui = served({ args: ["simulate", "--hosts", "2", "--vms", "4", "--seed", "3"] })

const decodePage = Schema.decodeUnknownSync(
  Schema.Struct({ items: Schema.Array(Schema.Unknown), next: Schema.NullOr(Schema.String) })
)

describe.skipIf(Browsers.isMissing)("operations (needs chromium)", () => {
  it("are read when they are older than what is at hand, and tell of a VM by its name when that is gone", async () => {
    const id = await gui().made("standing")
    assert.strictEqual((await gui().ask("DELETE", `/vms/${id}`)).status, 200)
    await gui().made("newest")
    const context = await gui().opened()
    // as with a thousand of them: of what is kept at hand it is given the newest alone
    await context.route(/\/api\/v1\/operations\?limit=(100|500)$/, async (route) => {
      const response = await route.fetch()
      const { items } = decodePage(await response.json())
      await route.fulfill({ response, json: { items: items.slice(0, 1), next: "x" } })
    })
    await gui().assertAt(
      `/operations?vm=${id}`,
      async (page) => {
        await isLive(page)
        const rows = page.getByRole("row").filter({ hasText: "standing" })
        await rows.filter({ hasText: "Destroy VM" }).waitFor()
        await rows.filter({ hasText: "Create VM" }).waitFor()
        await look(page, "operations-of-gone")
        await page.getByRole("link", { name: "Of standing only" }).click()
        await page.getByText("the newest 1").waitFor()
        assert.strictEqual(await rows.count(), 0)
        await page.getByRole("button", { name: "Show older ones" }).click()
        await rows.first().waitFor()
        assert.strictEqual(await page.getByRole("button", { name: "Show older ones" }).count(), 0)
      },
      context
    )
  })
})
