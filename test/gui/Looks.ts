/** What pages look like, and whether everybody can use them. */
import { assert } from "@effect/vitest"
import * as Schema from "effect/Schema"
import axe from "axe-core"
import { join } from "node:path"
import type { Page } from "playwright-core"
import { pictures } from "./Browser.ts"

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

/** In light and dark, on a desk and on a phone: pictures for people; axe looks at each size and at each colour once. */
export const look = async (page: Page, name: string) => {
  for (const [size, viewport] of [["desk", desk] as const, ["phone", phone] as const]) {
    await page.setViewportSize(viewport)
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme })
      await page.screenshot({ path: join(pictures, `${name}-${size}-${colorScheme}.png`) })
      if ((size === "desk") !== (colorScheme === "light")) continue
      assert.deepStrictEqual(await violations(page), [], `${name} on a ${size}, ${colorScheme}`)
    }
    const wide: unknown = await page.evaluate("document.documentElement.scrollWidth")
    assert.isAtMost(Number(wide), viewport.width, `${name} on a ${size}`)
  }
  await page.setViewportSize(desk)
}
