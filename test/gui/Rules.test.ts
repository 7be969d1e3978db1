/** Rules about where VMs are that do not hold, and what would make them hold, in a real browser. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { join } from "node:path"
import type { Locator, Page } from "playwright-core"
import * as Browsers from "./Browser.ts"
import { heading, isLive, served } from "./Harness.ts"
import { look } from "./Look.ts"

const gui = served({ args: ["simulate", "--hosts", "3", "--vms", "6", "--seed", "3"] })

const decodeVm = Schema.decodeUnknownSync(Schema.Struct({ hostId: Schema.Int }))

/** VMs of these names on one host, and the name of that. */
const together = async (...names: ReadonlyArray<string>) => {
  const { ask, made } = gui()
  const maintained = (maintenance: boolean) =>
    Promise.all([2, 3].map((id) => ask("PATCH", `/hosts/${id}`, { maintenance })))
  await maintained(true)
  const ids: Array<number> = []
  for (const name of names) ids.push(await made(name))
  await maintained(false)
  for (const id of ids) assert.strictEqual(decodeVm((await ask("GET", `/vms/${id}`)).answer).hostId, 1)
  return ids
}

/** What lies below what a phone shows at first. */
const pictured = async (page: Page, part: Locator, name: string) => {
  await page.setViewportSize({ width: 360, height: 740 })
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme })
    await part.screenshot({ path: join(Browsers.pictures, `${name}-phone-${colorScheme}.png`) })
  }
}

describe.skipIf(Browsers.isMissing)("a VM's rules (needs chromium)", () => {
  it("that do not hold are told with the moves that would make them hold, or with what bars those", async () => {
    const { ask, assertAt } = gui()
    const [first = 0, second = 0, third = 0] = await together("apart-1", "apart-2", "nowhere")
    const given = async (id: number, ...rules: ReadonlyArray<object>) => {
      const { answer, status } = await ask("PATCH", `/vms/${id}`, { placement: { rules } })
      assert.strictEqual(status, 200, JSON.stringify(answer))
    }
    await given(
      first,
      { kind: "notWith", vms: [second] },
      { kind: "on", strength: "should", label: "rack", values: ["r9"] }
    )
    await given(third, { kind: "on", label: "rack", values: ["r9"] })
    await assertAt(`/vms/${first}`, async (page) => {
      await isLive(page)
      await heading(page, "apart-1")
      const why = page.getByRole("region", { name: "Why it is where it is" })
      await why.getByText(`It must be not with VM ${second}`).waitFor()
      await why.getByText(`VM ${second} (apart-2) is on root@sim-1, too`).waitFor()
      await why.getByText("These moves would make its rules hold").waitFor()
      await look(page, "vm-rules")
      await pictured(page, why, "vm-rules-why")
      await why.getByText("from root@sim-1 to").waitFor()
      await why
        .getByRole("listitem")
        .filter({ hasText: "from root@sim-1 to" })
        .getByRole("link", { name: /^root@sim-[23]$/ })
        .waitFor()
      // it goes by itself when it holds again
      await given(first)
      await why.getByText("These moves would make its rules hold").waitFor({ state: "detached" })
    })
    await assertAt(`/vms/${third}`, async (page) => {
      const why = page.getByRole("region", { name: "Why it is where it is" })
      await why.getByText("No moves make all its rules hold").waitFor()
      await why.getByText(/rack/).first().waitFor()
      await look(page, "vm-rules-stuck")
      await pictured(page, why, "vm-rules-stuck-why")
    })
  })
})
