/** Images in a real browser: sent from it, fetched by the controller, and deleted. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { createServer, type Server } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Page } from "playwright-core"
import * as Browsers from "./Browser.ts"
import { choose, heading, row, served } from "./Harness.ts"
import { look } from "./Look.ts"

const gui = served({
  args: ["simulate", "--hosts", "2", "--vms", "4", "--seed", "3", "--image-allow", "127.0.0.1"]
})

let folder: string
let remote: string
let server: Server

/** A raw disk of several parts, none like another, which could be booted: what is text alone is none. */
const disk = Buffer.alloc(9 * 1024 * 1024, "a disk, not an empty one. ")
disk.set([0x55, 0xaa], 510)
const sum = createHash("sha256").update(disk).digest("hex")

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vmfabric-gui-"))
  await writeFile(join(folder, "trixie.raw"), disk)
  await writeFile(join(folder, "other.raw"), disk.subarray(0, 1024 * 1024))
  server = createServer((_, response) => void response.end(disk))
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  assert(address !== null && typeof address === "object")
  remote = `http://127.0.0.1:${address.port}/fetched.raw`
})

afterAll(async () => {
  server.close()
  await rm(folder, { recursive: true })
})

const assertAt = (use: (page: Page) => Promise<void>) =>
  gui().assertAt("/images", async (page) => {
    await page.getByRole("table", { name: "Images" }).waitFor()
    await use(page)
  })

const add = async (page: Page, fill: () => Promise<void>) => {
  await page.getByRole("button", { name: "Add image" }).click()
  await page.getByRole("dialog", { name: "Add an image" }).waitFor()
  await fill()
  await page.getByRole("dialog").getByRole("button", { name: "Add image", exact: true }).click()
}

const act = async (page: Page, name: string, entry: string) => {
  await page.getByRole("button", { name: `Actions of ${name}` }).click()
  await page.getByRole("menuitem", { name: entry, exact: true }).click()
}

describe.skipIf(Browsers.isMissing)("images (needs chromium)", () => {
  it("one is sent from the browser, goes on where it was cut off, and is what VMs are made of", () =>
    assertAt(async (page) => {
      let parts = 0
      await page.route("**/content", async (route) => {
        parts += 1
        // the second one never arrives
        if (parts === 2) await route.abort("connectionreset")
        else await route.continue()
      })
      await add(page, async () => {
        await look(page, "image-add")
        await page.getByLabel("File", { exact: true }).setInputFiles(join(folder, "trixie.raw"))
        await page.getByLabel("Format").selectOption("raw")
        await page.getByLabel("SHA-256").fill(sum.toUpperCase())
      })
      await row(page, "trixie").getByText("available").waitFor()
      assert.strictEqual(parts, 4)
      await look(page, "images")
      await page.getByLabel("Search images").fill("TRIX")
      await page.getByText(/^1 of \d$/).waitFor()
      await page.getByRole("link", { name: "trixie", exact: true }).click()
      await heading(page, "trixie")
      await page.getByText(sum).waitFor()
      await page.getByText("None was made of it.").waitFor()
      const id = Number(new URL(page.url()).pathname.split("/").at(-1))
      const vm = await gui().made("of-trixie", { image: id })
      await page.getByRole("link", { name: "of-trixie", exact: true }).waitFor()
      await look(page, "image")
      // and from there back to it
      await page.goto(`${gui().url}/ui/vms/${vm}`)
      await page.getByRole("link", { name: "trixie", exact: true }).click()
      await heading(page, "trixie")
      assert.strictEqual(new URL(page.url()).pathname, `/ui/images/${id}`)
      await choose(page, "Actions", "Delete…")
      await page.getByText(/1 VM was made of it/).waitFor()
      await page.keyboard.press("Escape")
      await page.goto(`${gui().url}/ui/vms/new`)
      await page.getByLabel("Image").selectOption({ label: "trixie" })
    }))

  it("one that was stopped goes on after a reload, with the same file and no other", () =>
    assertAt(async (page) => {
      let parts = 0
      await page.route("**/content", async (route) => {
        parts += 1
        // the second one is under way for as long as the page is there
        if (parts !== 2) await route.continue()
      })
      await add(page, async () => {
        await page.getByLabel("File", { exact: true }).setInputFiles(join(folder, "trixie.raw"))
        await page.getByLabel("Name").fill("half")
      })
      await row(page, "half").getByText("being sent, 44 %").waitFor()
      await look(page, "image-sending")
      await act(page, "half", "Stop sending")
      await row(page, "half").getByText("stopped, 44 %").waitFor()
      await page.unrouteAll({ behavior: "ignoreErrors" })
      await page.reload()
      await row(page, "half").getByText("not all sent").waitFor()
      await act(page, "half", "Go on sending…")
      const again = page.getByRole("dialog", { name: "Go on with half" })
      await again.getByText("As commands").click()
      await again.getByText(/vmfabric image upload FILE --resume \d+/).waitFor()
      await again.getByText(/^tail -c \+\d+ FILE \| curl -X PATCH -H 'Upload-Offset: \d+'/).waitFor()
      await again.getByLabel("File").setInputFiles(join(folder, "other.raw"))
      await again.getByText(/That one has 1,048,576 bytes/).waitFor()
      await again.getByLabel("File").setInputFiles(join(folder, "trixie.raw"))
      await row(page, "half").getByText("available").waitFor()
    }))

  it("one is fetched from a URL, and is refused in the API's words when it is another", () =>
    assertAt(async (page) => {
      await add(page, async () => {
        await page.getByLabel("Where it is").selectOption("url")
        await page.getByLabel("URL", { exact: true }).fill("ftp://nowhere")
      })
      await page.getByRole("dialog").getByRole("alert").waitFor()
      await page.getByLabel("URL", { exact: true }).fill(remote)
      await page.getByLabel("SHA-256").fill("0".repeat(64))
      await page.getByRole("dialog").getByRole("button", { name: "Add image", exact: true }).click()
      await row(page, "fetched").getByText("refused").waitFor()
      await row(page, "fetched")
        .getByText(/SHA-256|checksum|other than/i)
        .waitFor()
      await page.getByRole("link", { name: "fetched", exact: true }).click()
      await page.getByText("It cannot be used").waitFor()
      await page.goBack()
      await act(page, "fetched", "Delete…")
      await page.getByLabel(/Type fetched/).fill("fetched")
      await look(page, "image-delete")
      await page.getByRole("button", { name: "Delete fetched", exact: true }).click()
      await row(page, "fetched").waitFor({ state: "detached" })
    }))
})
