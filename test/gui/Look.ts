/** How pages look: pictures for people, and what axe has against them. */
import { assert } from "@effect/vitest"
import * as Schema from "effect/Schema"
import axe from "axe-core"
import { join } from "node:path"
import type { Page } from "playwright-core"
import * as Browsers from "./Browser.ts"

const decodeViolations = Schema.decodeUnknownSync(
  Schema.Array(Schema.Struct({ id: Schema.String, help: Schema.String, nodes: Schema.Array(Schema.String) }))
)

const violations = async (page: Page) => {
  await page.evaluate(axe.source)
  const found: unknown = await page.evaluate(
    `axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })
       .then(({ violations }) => violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map(({ html }) => html.slice(0, 200)) })))`
  )
  return decodeViolations(found)
}

const phone = { width: 360, height: 740 }
const desk = { width: 1440, height: 900 }
/** Widths between the two and beyond, in pixels: windows beside others, tablets, and where columns come and go. */
const others = [480, 768, 1024, 1120, 1240, 1920]
const wall = { width: 3840, height: 2160 }

const pictured = (page: Page, name: string) => page.screenshot({ path: join(Browsers.pictures, `${name}.png`) })

/** Rows of lists with more cells than their list has columns at this width. */
const brokenRows = `[...document.querySelectorAll(".table .tr")]
  .filter((row) => getComputedStyle(row).gridTemplateRows.split(" ").length > 1)
  .map((row) => row.textContent)`

/** In light and dark, on a desk and on a phone: pictures for people, and axe on each of the four. */
export const look = async (page: Page, name: string) => {
  for (const [size, viewport] of [["desk", desk] as const, ["phone", phone] as const]) {
    await page.setViewportSize(viewport)
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme })
      await pictured(page, `${name}-${size}-${colorScheme}`)
      assert.deepStrictEqual(await violations(page), [], `${name} on a ${size}, ${colorScheme}`)
    }
    const wide: unknown = await page.evaluate("document.documentElement.scrollWidth")
    assert.isAtMost(Number(wide), viewport.width, `${name} on a ${size}`)
    assert.deepStrictEqual(await page.evaluate(brokenRows), [], `${name} on a ${size}`)
  }
  for (const width of others) {
    await page.setViewportSize({ width, height: desk.height })
    const wide: unknown = await page.evaluate("document.documentElement.scrollWidth")
    assert.isAtMost(Number(wide), width, `${name}, ${width} pixels wide`)
    assert.deepStrictEqual(await page.evaluate(brokenRows), [], `${name}, ${width} pixels wide`)
  }
  await page.setViewportSize(desk)
}

/** As `look`, and once more so high that all of a page is seen that is scrolled otherwise. */
export const lookWhole = async (page: Page, name: string) => {
  await look(page, name)
  await page.emulateMedia({ colorScheme: "light" })
  await page.setViewportSize({ width: desk.width, height: 1800 })
  await pictured(page, `${name}-whole`)
  await page.setViewportSize({ width: phone.width, height: 2800 })
  await pictured(page, `${name}-phone-whole`)
  await page.setViewportSize(desk)
}

/** On a screen of 3840 by 2160 pixels that nothing enlarges. */
export const lookWide = async (page: Page, name: string) => {
  await page.setViewportSize(wall)
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme })
    await pictured(page, `${name}-wall-${colorScheme}`)
  }
  const used: unknown = await page.evaluate(
    `(() => {
      const parts = [...document.querySelectorAll(".page > .grid, .page > .card, .page > .scroll")]
      return parts.length === 0 ? null : Math.max(...parts.map((one) => one.getBoundingClientRect().right))
    })()`
  )
  // a page that is a form stands where one looks for it
  if (used !== null) assert.isAbove(Number(used), wall.width - 100, `${name} on a wall`)
  await page.setViewportSize(desk)
}
