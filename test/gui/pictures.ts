/**
 * `npm run gui:pictures`: the pictures of the README, of a simulated fleet, written into `fixtures/pictures`. It needs Debian's `chromium`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { Page } from "playwright-core"
import * as Program from "../program/Program.ts"
import * as Browsers from "./Browser.ts"

class PictureError extends Data.TaggedError("PictureError")<{ readonly message: string }> {}

/** Bytes: a README is read over slow lines, too. */
const most = 100 * 1024

interface Picture {
  readonly name: string
  readonly path: string
  readonly scheme: "light" | "dark"
  /** until all is there that is to be seen */
  readonly ready: (page: Page) => Promise<unknown>
}

const pictures: ReadonlyArray<Picture> = [
  {
    name: "overview",
    path: "/",
    scheme: "light",
    ready: (page) => page.getByText("Recent operations").waitFor()
  },
  {
    name: "vms",
    path: "/vms",
    scheme: "dark",
    ready: (page) => page.getByRole("row").nth(5).waitFor()
  },
  {
    name: "create",
    path: "/vms/new",
    scheme: "light",
    ready: async (page) => {
      await page.getByLabel("Name", { exact: true }).fill("web-7")
      await page.getByText("root@sim-").first().waitFor()
    }
  },
  {
    name: "events",
    path: "/events",
    scheme: "light",
    ready: (page) => page.getByRole("row").nth(5).waitFor()
  }
]

const names = ["db-1", "web-1", "web-2"]

/** Some VMs with names of their own, so that something has happened. */
const lively = (url: string) =>
  Effect.forEach(
    names,
    (name) =>
      Effect.tryPromise({
        try: async () => {
          const response = await fetch(`${url}/api/v1/vms`, {
            method: "POST",
            headers: { "content-type": "application/json", prefer: "wait=20" },
            body: JSON.stringify({ name, instanceType: 1, tags: [name.startsWith("db") ? "data" : "shop"] })
          })
          if (!response.ok) throw new Error(await response.text())
        },
        catch: (cause) => new PictureError({ message: `create ${name}: ${String(cause)}` })
      }),
    { discard: true }
  )

const taken = Effect.gen(function* () {
  yield* Effect.promise(Browsers.built)
  const browser = yield* Browsers.browser
  const program = yield* Program.start(["simulate", "--hosts", "4", "--vms", "60", "--seed", "3"])
  yield* lively(program.url)
  const folder = join(Browsers.root, "fixtures/pictures")
  yield* Effect.promise(() => mkdir(folder, { recursive: true }))
  for (const { name, path, ready, scheme } of pictures) {
    const png = yield* Effect.tryPromise({
      try: async () => {
        const page = await browser.newPage({ viewport: { width: 1120, height: 640 }, colorScheme: scheme })
        await page.goto(`${program.url}/ui${path}`)
        await page.locator(".state.ok", { hasText: "live" }).waitFor()
        await ready(page)
        const bytes = await page.screenshot({ animations: "disabled" })
        await page.close()
        return bytes
      },
      catch: (cause) => new PictureError({ message: `${name}: ${String(cause)}` })
    })
    if (png.length > most)
      return yield* new PictureError({ message: `${name}: it has ${png.length} bytes, expected at most ${most}` })
    yield* Effect.promise(() => writeFile(join(folder, `${name}.png`), png))
    yield* Effect.log(`${name}.png: ${Math.ceil(png.length / 1024)} KiB`)
  }
})

NodeRuntime.runMain(Effect.scoped(taken))
