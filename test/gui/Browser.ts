/** A browser, and the built web interface that a real controller serves. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { type Browser, chromium, type Page } from "playwright-core"
import * as Built from "../program/Built.ts"

export const root = new URL("../..", import.meta.url).pathname

/** Where what the last run saw is kept, to be looked at. */
export const pictures = join(root, "dist/test/gui")

class BrowserError extends Data.TaggedError("BrowserError")<{ readonly message: string }> {}

const found = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) =>
  existsSync(file)
)

/** Where there is none these tests are left out; in CI there has to be one. */
export const isMissing = found === undefined && process.env["CI"] === undefined

/** The browser's program; where there is none, what it would be. */
export const file = found ?? "chromium"

/** Ended with the scope. */
export const browser: Effect.Effect<Browser, BrowserError, Scope.Scope> = Effect.acquireRelease(
  found === undefined
    ? Effect.fail(
        new BrowserError({
          message: "these tests need a browser: apt-get install chromium (Debian's package chromium)"
        })
      )
    : Effect.tryPromise({
        try: () => chromium.launch({ executablePath: found, args: ["--no-sandbox", "--disable-gpu"] }),
        catch: (cause) => new BrowserError({ message: `chromium does not start: ${String(cause)}` })
      }),
  (started) => Effect.promise(() => started.close())
)

/** Builds it, unless it is built; one at a time, for suites run beside each other. */
export const built = (): Promise<void> =>
  Built.inTurn("gui-build", async () => {
    await promisify(execFile)("npm", ["run", "-s", "gui"], { cwd: root })
  })

/** What a page complained of: what its policy forbade, and what failed in it. */
export const complaints = (page: Page): ReadonlyArray<string> => {
  const all: Array<string> = []
  page.on("pageerror", (error) => all.push(String(error)))
  page.on("console", (message) => {
    // that an answer was no success is in its own line, and looked at where it matters
    if (message.type() === "error" && !message.text().includes("Failed to load resource")) all.push(message.text())
  })
  return all
}
