/** How a page begins: what it needs is asked for before the code is here that shows it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync } from "node:fs"
import type { BrowserContext, Route } from "playwright-core"
import * as Browsers from "./Browser.ts"
import { isLive, row, served } from "./Harness.ts"

const gui = served({ args: ["simulate", "--hosts", "3", "--vms", "20", "--seed", "3"] })

interface Held {
  /** paths that have been asked for, each time */
  readonly asked: ReadonlyArray<string>
  /** waits until a path that begins so has been asked for */
  readonly has: (begin: string) => Promise<void>
  /** lets the code come */
  readonly release: () => void
}

/** All code but the first script is held back in this window. */
const held = async (window: BrowserContext): Promise<Held> => {
  const asked: Array<string> = []
  const waiting = new Map<string, () => void>()
  const latch = Effect.runSync(Effect.makeLatch())
  window.on("request", (request) => {
    const { pathname, search } = new URL(request.url())
    asked.push(`${pathname}${search}`)
    for (const [begin, done] of waiting) if (pathname.startsWith(begin)) done()
  })
  await window.route("**/ui/assets/*.js", async (route: Route) => {
    if (!/\/ahead-[^/]*$/.test(route.request().url())) await Effect.runPromise(latch.await)
    await route.continue()
  })
  return {
    asked,
    has: (begin) =>
      new Promise((done) => {
        if (asked.some((path) => path.startsWith(begin))) done()
        else waiting.set(begin, done)
      }),
    release: () => void Effect.runSync(latch.open)
  }
}

const api = "/api/v1"

describe.skipIf(Browsers.isMissing)("a page's start (needs chromium)", () => {
  it("who looks, events, lists and the page's files are asked for while the code is on its way, and none of them twice", async () => {
    const { assertAt, opened } = gui()
    const window = await opened()
    const { asked, has, release } = await held(window)
    const shown = assertAt(
      "/vms",
      async (page) => {
        await isLive(page)
        await row(page, "Choose standing-1 ").waitFor()
      },
      window
    )
    const lists = ["vms", "hosts", "operations", "volumes", "images", "instance-types"].map((list) => `${api}/${list}`)
    const all = [`${api}/session`, `${api}/events`, ...lists]
    await Promise.all([...all, "/ui/assets/Vms-", "/ui/assets/Table-"].map(has))
    release()
    await shown
    for (const one of all) {
      const times = asked.filter((path) => path.split("?")[0] === one).length
      // of operations older ones are listed later on
      assert.strictEqual(times, one === `${api}/operations` ? 2 : 1, one)
    }
  })

  it("each page names its own files, which are asked for beside the code that all pages need", async () => {
    const text = await (await fetch(`${gui().url}/ui/`)).text()
    const named = [...text.matchAll(/data-page="(\w+)"/g)].map(([, page]) => page)
    const pages = readdirSync("src/gui/pages").map((file) => file.replace(/\.tsx$/, "").toLowerCase())
    assert.sameMembers(named, pages)
  })

  it("lists that came with a stream which broke off are not those of the next one", async () => {
    const { assertAt, made, opened } = gui()
    const window = await opened()
    const { has, release } = await held(window)
    await window.route(
      `**${api}/events`,
      (route) => route.fulfill({ status: 200, contentType: "text/event-stream", body: "" }),
      { times: 1 }
    )
    const listed = window.waitForEvent("response", (response) => response.url().includes(`${api}/vms?`))
    const shown = assertAt(
      "/vms",
      async (page) => {
        await isLive(page)
        await row(page, "Choose meanwhile ").waitFor()
      },
      window
    )
    await has(`${api}/vms`)
    await (await listed).finished()
    await made("meanwhile")
    release()
    await shown
  })
})
