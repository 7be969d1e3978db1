/** The web interface of a program of its own in a real browser, on simulated hosts: what every suite here begins with. */
import { afterAll, assert, beforeAll, beforeEach } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { mkdirSync } from "node:fs"
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core"
import { vi } from "vitest"
import * as Lives from "../program/Lives.ts"
import * as Program from "../program/Program.ts"
import * as Browsers from "./Browser.ts"

/** What the API answered; null: nothing. */
export interface Answer {
  readonly status: number
  readonly answer: unknown
}

export interface Gui {
  readonly browser: Browser
  /** a window of the one who tests */
  readonly context: BrowserContext
  readonly url: string
  /** a call of `/api/v1`, which waits for an operation's end */
  readonly ask: (method: string, path: string, body?: unknown) => Promise<Answer>
  /** the id of a VM that is made */
  readonly made: (name: string, more?: object) => Promise<number>
  /** a page of it, in this window unless another is given, which in the end has complained of nothing */
  readonly assertAt: (path: string, use: (page: Page) => Promise<void>, within?: BrowserContext) => Promise<void>
  /** another window, of somebody else */
  readonly opened: () => Promise<BrowserContext>
  /** the same of another program, for a test that needs one to itself */
  readonly another: (args: ReadonlyArray<string>) => Promise<Gui>
}

/** What there is to start with, made anew for a second try. */
export interface Given {
  readonly args: ReadonlyArray<string>
  readonly window?: BrowserContextOptions
  readonly prepare?: (gui: Gui) => Promise<unknown>
}

const decodeMade = Schema.decodeUnknownSync(Schema.Struct({ vmId: Schema.Int }))

const ask = async (url: string, method: string, path: string, body?: unknown): Promise<Answer> => {
  const response = await fetch(`${url}/api/v1${path}`, {
    method,
    headers: { "content-type": "application/json", prefer: "wait=20" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  const answer: unknown = response.status === 204 ? null : await response.json()
  return { status: response.status, answer }
}

const windowOf = async (browser: Browser, options: BrowserContextOptions = {}) => {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options })
  // a machine that is busy decides nothing
  context.setDefaultTimeout(60_000)
  return context
}

const begun = (browser: Browser, { args, window }: Given): Effect.Effect<Gui, Program.ProgramError, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const { url } = yield* Program.start(args)
    const opening = Effect.acquireRelease(
      Effect.promise(() => windowOf(browser, window)),
      (context) => Effect.promise(() => context.close())
    )
    const context = yield* opening
    return {
      browser,
      context,
      url,
      ask: (method, path, body) => ask(url, method, path, body),
      made: async (name, more = {}) => {
        const { answer, status } = await ask(url, "POST", "/vms", { name, instanceType: 1, ...more })
        assert.isBelow(status, 300, JSON.stringify(answer))
        return decodeMade(answer).vmId
      },
      assertAt: async (path, use, within = context) => {
        const page = await within.newPage()
        const complaints = Browsers.complaints(page)
        try {
          await page.goto(`${url}/ui${path}`)
          await use(page)
          assert.deepStrictEqual([...complaints], [])
        } finally {
          await page.close()
        }
      },
      opened: () => Effect.runPromise(Scope.extend(opening, scope)),
      another: (args) => Effect.runPromise(Scope.extend(begun(browser, { args }), scope))
    }
  })

/**
 * Gives what is there while a test runs. Whatever a first try left behind is none of the second one's: that has a program and a window of its own.
 */
export const served = (given: Given): (() => Gui) => {
  // a machine that is busy decides nothing
  vi.setConfig({ testTimeout: 180_000 })
  let browser: Browser | undefined
  let gui: Gui | undefined
  const lives = Lives.make()

  const begin = async () => {
    if (browser === undefined) throw new Error("there is no browser")
    gui = await lives.next(begun(browser, given))
    await given.prepare?.(gui)
  }

  beforeAll(async () => {
    await Browsers.built()
    mkdirSync(Browsers.pictures, { recursive: true })
    browser = await lives.throughout(Browsers.browser)
    await begin()
  }, 120_000)

  beforeEach(async ({ task }) => {
    if ((task.result?.retryCount ?? 0) > 0) await begin()
  }, 120_000)

  afterAll(lives.end, 60_000)

  return () => {
    if (gui === undefined) throw new Error("asked for before any test runs")
    return gui
  }
}

/** The page follows the events. */
export const isLive = (page: Page) => page.locator(".state.ok", { hasText: "live" }).waitFor()

export const heading = (page: Page, name: string | RegExp, level = 1) =>
  page.getByRole("heading", { level, name }).waitFor()

/** of a table, by how it begins */
export const row = (page: Page, name: string) => page.getByRole("row", { name: new RegExp(`^${name}`) })

/** One entry of a menu. */
export const choose = async (page: Page, button: string, entry: string) => {
  await page.getByRole("button", { name: button, exact: true }).click()
  await page.getByRole("menuitem", { name: entry, exact: true }).click()
}

/** What ends a dialog. */
export const submit = (page: Page, name: string) =>
  page.getByRole("dialog").getByRole("button", { name, exact: true }).click()

const focused = "document.activeElement?.labels?.[0]?.textContent ?? document.activeElement?.textContent"

/** What is typed goes there: the field or button that is called that. */
export const hasFocus = (page: Page, name: string) =>
  vi.waitFor(async () => assert.strictEqual(await page.evaluate(focused), name), { timeout: 20_000 })
