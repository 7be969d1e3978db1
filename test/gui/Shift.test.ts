/** What moves under the eyes of whoever opens a page: as the browser itself counts it. */
import { assert, describe, it } from "@effect/vitest"
import type { Page } from "playwright-core"
import * as Browsers from "./Browser.ts"
import { isLive, served } from "./Harness.ts"

const gui = served({
  args: ["simulate", "--hosts", "6", "--vms", "300", "--seed", "3"],
  prepare: async ({ ask, made }) => {
    await made("web-1", { tags: ["prod", "web"], description: "the shop's front" })
    await ask("POST", "/volumes", { name: "data", size: 100 })
  }
})

/** The cumulative layout shift that a page is at most to have; browsers' makers call 0.1 good. */
const most = 0.05

const watched = `
  window.shifts = []
  new PerformanceObserver((list) => {
    for (const { hadRecentInput, sources, value } of list.getEntries()) {
      if (!hadRecentInput) window.shifts.push([value, sources.map(({ node }) => node?.className ?? node?.nodeName ?? "").join()])
    }
  }).observe({ type: "layout-shift", buffered: true })
`

const shifts = async (page: Page): Promise<ReadonlyArray<readonly [value: number, of: string]>> =>
  await page.evaluate<ReadonlyArray<readonly [number, string]>>("window.shifts")

/** Until nothing is loading and what is there has been drawn. */
const settled = async (page: Page) => {
  await page.getByRole("status", { name: "Loading" }).first().waitFor({ state: "detached" })
  await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
}

const pages = [
  ["/", "Recent operations"],
  ["/vms", "standing-1"],
  ["/vms/new", "Other hosts"],
  ["/vms/7", "What it uses"],
  ["/volumes", "data"],
  ["/images", "debian-12"],
  ["/types", "512 MiB"],
  ["/hosts", "root@sim-5"],
  ["/hosts/5", "Doctor"],
  ["/capacity", "What more fits"],
  ["/networks", "default"],
  ["/operations", "web-1"],
  ["/events", "web-1"],
  ["/settings", "API tokens"]
] as const

describe.skipIf(Browsers.isMissing)("while a page loads (needs chromium)", () => {
  for (const [size, viewport] of [
    ["desk", { width: 1440, height: 900 }],
    ["phone", { width: 360, height: 740 }]
  ] as const) {
    it(`on a ${size} nothing jumps`, async () => {
      const window = await gui().opened()
      const found: Record<string, ReadonlyArray<readonly [number, string]>> = {}
      for (const [path, ready] of pages) {
        const page = await window.newPage()
        await page.setViewportSize(viewport)
        await page.addInitScript(watched)
        await page.goto(`${gui().url}/ui${path}`)
        await isLive(page)
        await page.getByRole("main").getByText(ready).first().waitFor()
        await settled(page)
        const all = await shifts(page)
        if (all.reduce((sum, [value]) => sum + value, 0) > most) found[path] = all
        await page.close()
      }
      assert.deepStrictEqual(found, {})
    })
  }
})
