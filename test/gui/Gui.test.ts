/** The web interface in a real browser, served by the program as users start it, on simulated hosts. */
import { assert, beforeEach, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { existsSync } from "node:fs"
import { connect, createServer, type Socket } from "node:net"
import { join } from "node:path"
import type { Response } from "playwright-core"
import { vi } from "vitest"
import * as Browsers from "./Browser.ts"
import { type Gui, heading, isLive, served, submit } from "./Harness.ts"
import { look, lookWide } from "./Look.ts"

const vms = 300

const gui = served({
  args: ["simulate", "--hosts", "6", "--vms", String(vms), "--seed", "3"],
  prepare: async ({ ask, made }) => {
    await made("web-1", { tags: ["prod", "web"], labels: { team: "shop" }, description: "the shop's front" })
    await ask("POST", "/volumes", { name: "data", size: 100 })
  }
})

const assertAt: Gui["assertAt"] = (...all) => gui().assertAt(...all)

const decodeProblem = Schema.decodeUnknownSync(Schema.Struct({ detail: Schema.String }))
const decodePage = Schema.decodeUnknownSync(
  Schema.Struct(
    { items: Schema.Array(Schema.Record({ key: Schema.String, value: Schema.Unknown })) },
    { key: Schema.String, value: Schema.Unknown }
  )
)
const decodeVm = Schema.decodeUnknownSync(Schema.Struct({ id: Schema.Int, name: Schema.String, state: Schema.String }))
describe.skipIf(Browsers.isMissing)("its files (needs chromium)", () => {
  it("are nobody's but this controller's: a policy without inline script, nothing of other sites, and no cache of the page", async () => {
    const page = await fetch(`${gui().url}/ui/vms/7?q=x`)
    assert.strictEqual(page.status, 200)
    assert.strictEqual(page.headers.get("content-type"), "text/html; charset=utf-8")
    assert.strictEqual(page.headers.get("cache-control"), "no-cache")
    assert.strictEqual(page.headers.get("x-content-type-options"), "nosniff")
    const policy = page.headers.get("content-security-policy") ?? ""
    for (const word of ["default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'"]) {
      assert.include(policy, word)
    }
    const text = await page.text()
    assert.notMatch(text, /https?:\/\//)
    const script = /src="(\/ui\/assets\/[^"]+\.js)"/.exec(text)?.[1] ?? ""
    const asset = await fetch(gui().url + script, { headers: { "accept-encoding": "gzip" } })
    assert.strictEqual(asset.headers.get("cache-control"), "public, max-age=31536000, immutable")
    assert.strictEqual(asset.headers.get("content-type"), "text/javascript; charset=utf-8")
    assert.strictEqual(asset.headers.get("content-encoding"), "gzip")
    // see vite.config.ts: anywhere else it means nothing
    assert.match(await asset.text(), /^\/\/# allFunctionsCalledOnLoad\n/)
    const etag = page.headers.get("etag") ?? ""
    for (const known of [etag, `"x", W/${etag}`, "*"]) {
      assert.strictEqual((await fetch(`${gui().url}/ui/`, { headers: { "if-none-match": known } })).status, 304, known)
    }
    assert.strictEqual((await fetch(`${gui().url}/ui/`, { headers: { "if-none-match": '"x"' } })).status, 200)
    assert.strictEqual((await fetch(`${gui().url}/ui/assets/none.js`)).status, 404)
  })

  it("are found by a browser that has the address alone, while programs are answered as ever", async () => {
    const led = await fetch(gui().url, { headers: { accept: "text/html,*/*" }, redirect: "manual" })
    assert.deepStrictEqual([led.status, led.headers.get("location")], [302, "/ui/"])
    const plain = await fetch(gui().url)
    assert.strictEqual(plain.status, 404)
    const said: unknown = await plain.json()
    assert.match(JSON.stringify(said), /there is no route GET \//)
  })

  it("are at most 300 KB of JavaScript, compressed, for the page that is opened first", async () => {
    for (const path of ["/", "/vms", "/vms/1"]) {
      const fresh = await gui().browser.newContext()
      const sizes: Array<Promise<number>> = []
      const page = await fresh.newPage()
      const count = (response: Response) => {
        if (response.url().endsWith(".js")) sizes.push(response.headerValue("content-length").then(Number))
      }
      page.on("response", count)
      await page.goto(`${gui().url}/ui${path}`)
      await isLive(page)
      page.off("response", count)
      const all = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
      assert.isAbove(all, 100_000, path)
      assert.isAtMost(all, 300_000, path)
      await fresh.close()
    }
  })
})

describe.skipIf(Browsers.isMissing)("what it shows (needs chromium)", () => {
  it("is asked for before the page that shows it is there", async () => {
    const fresh = await gui().opened()
    const page = await fresh.newPage()
    const asked = page.waitForRequest(/\/api\/v1\/vms\?/)
    await page.route(/\/assets\/Vms-[^/]*\.js$/, async (route) => {
      await asked
      await route.continue()
    })
    await page.goto(`${gui().url}/ui/vms`)
    await isLive(page)
    assert.isAbove(await page.getByRole("link", { name: /^standing-/ }).count(), 10)
    await fresh.close()
  })
})

describe.skipIf(Browsers.isMissing)("VMs (needs chromium)", () => {
  it("one is created on a page that shows where it would go, and runs there without a reload", () =>
    assertAt("/vms", async (page) => {
      await page.getByRole("link", { name: "Create VM" }).click()
      await page.getByLabel("Name", { exact: true }).fill("shop-1")
      await page
        .locator(".aside")
        .getByText(/^root@sim-\d$/)
        .first()
        .waitFor()
      await page.getByRole("button", { name: "Create VM" }).click()
      await heading(page, "shop-1")
      await page.locator(".head .state", { hasText: "running" }).waitFor()
      // what was asked for is shown until it has ended
      await page.getByLabel("What was asked for").getByText("Create shop-1", { exact: true }).waitFor()
      // and why it is there
      await page.getByText(/hosts could take it/).waitFor()
    }))

  it("what cannot be is said before it is asked for, in the API's words, and with what bars each host", async () => {
    const maintain = (maintenance: boolean) =>
      Promise.all([1, 2, 3, 4, 5, 6].map((id) => gui().ask("PATCH", `/hosts/${id}`, { maintenance })))
    await maintain(true)
    const { answer } = await gui().ask("POST", "/vms", { name: "too-much", instanceType: 1 })
    const { detail } = decodeProblem(answer)
    await assertAt("/vms/new", async (page) => {
      await page.getByText("No host can take it").waitFor()
      // the sentence once: what it is about, what bars the hosts, and what would help
      for (const part of [
        "no host can take the VM",
        "root@sim-1 has room for it, and is in maintenance: take it out of maintenance"
      ]) {
        assert.include(detail, part)
        await page.getByText(part, { exact: true }).waitFor()
      }
      await page
        .locator(".aside")
        .getByText(/in maintenance/)
        .first()
        .waitFor()
      await maintain(false)
      await page.getByLabel("Name", { exact: true }).fill("bad\u0007name")
      await page
        .getByText(/expected 1 to 255 characters without control characters/)
        .first()
        .waitFor()
      assert.isTrue(await page.getByRole("button", { name: "Create VM" }).isDisabled())
    })
  })

  it("what others do appears by itself", async () => {
    const id = await gui().made("before")
    await assertAt(`/vms/${id}`, async (page) => {
      await heading(page, "before")
      await gui().ask("PATCH", `/vms/${id}`, { name: "after", tags: ["seen"] })
      await heading(page, "after")
      await page.getByText("seen", { exact: true }).waitFor()
      await gui().ask("POST", `/vms/${id}/power-off`)
      await page.locator(".head .state", { hasText: "stopped" }).waitFor()
    })
  })

  it("is turned off and on from the list and from its page", async () => {
    const id = await gui().made("lamp")
    await assertAt("/vms?q=lamp", async (page) => {
      await page.getByRole("button", { name: "Actions of lamp" }).click()
      await page.getByRole("menuitem", { name: "Power off…" }).click()
      await submit(page, "Power off")
      await page.getByRole("row", { name: /lamp/ }).getByText("stopped").waitFor()
      await page.getByRole("link", { name: "lamp" }).click()
      await page.getByRole("button", { name: "Start", exact: true }).click()
      await page.locator(".head .state", { hasText: "running" }).waitFor()
      assert.strictEqual(decodeVm((await gui().ask("GET", `/vms/${id}`)).answer).state, "running")
    })
  })

  it("is only destroyed by who types its name, and a refusal is told in the API's sentence", async () => {
    const id = await gui().made("precious", { protected: true })
    const { answer, status } = await gui().ask("DELETE", `/vms/${id}`)
    assert.strictEqual(status, 409)
    await assertAt(`/vms/${id}`, async (page) => {
      const destroy = async () => {
        await page.getByRole("button", { name: "Destroy…" }).click()
        await page.getByText("As commands").click()
        await page.getByText(/^curl -X DELETE .*\/api\/v1\/vms\/\d+$/).waitFor()
        const button = page.getByRole("button", { name: "Destroy precious", exact: true })
        assert.isTrue(await button.isDisabled())
        await page.getByLabel(/Type precious/).fill("preciou")
        assert.isTrue(await button.isDisabled())
        await page.getByLabel(/Type precious/).fill("precious")
        await button.click()
      }
      await destroy()
      await page.getByRole("alert").getByText(decodeProblem(answer).detail).waitFor()
      await gui().ask("PATCH", `/vms/${id}`, { protected: false })
      await destroy()
      await page.getByText("There is no such VM").waitFor()
    })
  })

  it("are listed with their owners and by them, but on phones", async () => {
    const window = await gui().opened()
    // the third is nobody's
    await window.route(/\/api\/v1\/vms\?/, async (route) => {
      const response = await route.fetch()
      const owners = ["zoe", "ada", null]
      const { items, ...rest } = decodePage(await response.json())
      await route.fulfill({
        response,
        json: { ...rest, items: items.slice(0, 3).map((vm, i) => ({ ...vm, owner: owners[i] })), next: null }
      })
    })
    await assertAt(
      "/vms",
      async (page) => {
        await isLive(page)
        const head = page.getByRole("columnheader", { name: "Owner" })
        const listed = () => page.locator(".table.vms .tbody .tr > :nth-child(5)").allTextContents()
        await head.getByRole("button").click()
        await page.waitForURL(/sort=owner/)
        assert.deepStrictEqual(await listed(), ["–", "ada", "zoe"])
        await head.getByRole("button").click()
        await page.waitForURL(/sort=-owner/)
        assert.deepStrictEqual(await listed(), ["zoe", "ada", "–"])
        await page.setViewportSize({ width: 360, height: 740 })
        assert.isFalse(await head.isVisible())
      },
      window
    )
  })

  it("have no column in which nothing stands, until something does; then it stays, for nothing is to jump", async () => {
    const window = await gui().opened()
    // what is read anew of one is as it is
    await window.route(/\/api\/v1\/vms\?(?!.*ids=)/, async (route) => {
      const response = await route.fetch()
      const { items, ...rest } = decodePage(await response.json())
      await route.fulfill({ response, json: { ...rest, items: items.map((vm) => ({ ...vm, tags: [], owner: null })) } })
    })
    await assertAt(
      "/vms",
      async (page) => {
        await isLive(page)
        await page.getByRole("row").filter({ hasText: "standing-1" }).first().waitFor()
        const heads = () => page.locator(".table.vms .thead [role=columnheader]").allTextContents()
        const bare = ["", "Name ↑", "State", "Host", "vCPUs", "Memory", "Actions"]
        assert.deepStrictEqual(await heads(), bare)
        // as wide as the table: no column is without its head
        const ends = await page.locator(".table.vms .thead .tr > :last-child").boundingBox()
        const table = await page.locator(".table.vms").boundingBox()
        assert(ends !== null && table !== null)
        assert.closeTo(ends.x + ends.width, table.x + table.width, 24)
        await look(page, "vms-bare")
        const tag = page.getByRole("columnheader", { name: "Tags" })
        await gui().ask("PATCH", "/vms/3", { tags: ["prod"] })
        await tag.waitFor()
        await gui().ask("PATCH", "/vms/3", { tags: [] })
        await page.getByLabel("Search VMs").fill("standing-2")
        await page.waitForURL(/q=standing-2/)
        assert.isTrue(await tag.isVisible())
        await page.reload()
        await page.getByRole("row").filter({ hasText: "standing-2" }).first().waitFor()
        assert.deepStrictEqual(await heads(), bare)
      },
      window
    )
  })

  it("are searched and filtered by the address, which keeps what was typed", () =>
    assertAt("/vms?q=standing-1&state=running", async (page) => {
      const search = page.getByLabel("Search VMs")
      assert.strictEqual(await search.inputValue(), "standing-1")
      await page.getByRole("link", { name: "standing-1", exact: true }).waitFor()
      await search.fill("standing-23")
      await page.waitForURL(/q=standing-23\b/)
      await page.getByLabel("Host").selectOption({ label: "root@sim-5" })
      await page.waitForURL(/host=5/)
      await page.reload()
      await page.getByRole("link", { name: "standing-23", exact: true }).waitFor()
      assert.strictEqual(await page.getByLabel("Host").inputValue(), "5")
      await search.fill("nobody is called that")
      await page.getByText("No VM is like that").waitFor()
    }))

  it("are all in the list, and few of them in the page", () =>
    assertAt("/vms", async (page) => {
      const table = page.getByRole("table", { name: "VMs" })
      await table.waitFor()
      // the first of them are shown while the others are read
      await vi.waitFor(async () => assert.isAbove(Number(await table.getAttribute("aria-rowcount")), vms), {
        timeout: 60_000,
        interval: 50
      })
      assert.isBelow(await page.getByRole("row").count(), 60)
      await page.getByRole("region", { name: "List of VMs" }).focus()
      await page.keyboard.press("End")
      await page.getByRole("link", { name: `standing-${vms}`, exact: true }).waitFor()
      assert.isBelow(await page.getByRole("row").count(), 60)
    }))
})

describe.skipIf(Browsers.isMissing)("from the keyboard (needs chromium)", () => {
  it("everything is found by its name", () =>
    assertAt("/", async (page) => {
      await heading(page, "Overview")
      await isLive(page)
      await page.keyboard.press("Control+k")
      await page.getByRole("combobox", { name: "Go to" }).fill("standing-77")
      await page.getByRole("option", { name: /standing-77/ }).waitFor()
      await page.keyboard.press("Enter")
      await heading(page, "standing-77")
    }))

  it("an action is copied as curl and as the command line have it", () =>
    assertAt("/vms/5", async (page) => {
      await page.getByRole("button", { name: "Copy as…" }).click()
      const dialog = page.getByRole("dialog", { name: "As commands" })
      await dialog.getByText(`curl -X POST ${gui().url}/api/v1/vms/5/pause`).waitFor()
      await dialog.getByText("vmfabric vm destroy id:5 --yes").waitFor()
      await page.keyboard.press("Escape")
      await dialog.waitFor({ state: "detached" })
    }))
})

/** A cable between browser and controller, that can be pulled. */
const cable = async (to: number) => {
  const sockets = new Set<Socket>()
  let cut = false
  const server = createServer((near) => {
    if (cut) {
      near.destroy()
      return
    }
    const far = connect(to, "127.0.0.1")
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on("close", () => sockets.delete(socket))
      // cut off, which is the point
      socket.on("error", () => undefined)
    }
    near.pipe(far)
    far.pipe(near)
  })
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  assert(address !== null && typeof address === "object")
  return {
    url: `http://127.0.0.1:${address.port}`,
    pull: () => {
      cut = true
      for (const socket of sockets) socket.destroy()
    },
    plug: () => {
      cut = false
    },
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    }
  }
}

describe.skipIf(Browsers.isMissing)("the connection (needs chromium)", () => {
  it("when it is lost says so, and then catches up with what happened meanwhile", async () => {
    const id = await gui().made("far-away")
    const line = await cable(Number(new URL(gui().url).port))
    const page = await gui().context.newPage()
    try {
      await page.goto(`${line.url}/ui/vms/${id}`)
      await heading(page, "far-away")
      line.pull()
      await page.getByText("Connection lost").first().waitFor()
      await gui().ask("PATCH", `/vms/${id}`, { name: "back-again" })
      line.plug()
      await heading(page, "back-again")
      await isLive(page)
      assert.strictEqual(await page.getByText("Connection lost").count(), 0)
    } finally {
      await page.close()
      line.close()
    }
  })

  it("is told to be lost, and is tried again, when the page itself makes a mistake with what it was told", async () => {
    const page = await gui().context.newPage()
    try {
      await page.addInitScript(`
        window.broken = true
        const set = Map.prototype.set
        Map.prototype.set = function (key, value) {
          if (window.broken && value?.name === "standing-1") throw new TypeError("a mistake of the page's own")
          return set.call(this, key, value)
        }`)
      await page.goto(`${gui().url}/ui/vms`)
      await page.getByText(/Connection lost.*a mistake of the page's own/).waitFor()
      await page.evaluate("window.broken = false")
      await isLive(page)
      await page.locator("[title=standing-1]").waitFor()
      assert.strictEqual(await page.getByText("Connection lost").count(), 0)
    } finally {
      await page.close()
    }
  })

  it("that fails while a part of the page is fetched leaves no hole: it is fetched again", async () => {
    const id = await gui().made("in-parts")
    const page = await gui().context.newPage()
    try {
      let asked = 0
      await page.route(/\/assets\/(Charts|Vm)-/, (route) => (asked++ < 4 ? route.abort() : route.continue()))
      await page.goto(`${gui().url}/ui/vms/${id}`)
      await heading(page, "in-parts")
      await page.getByRole("region", { name: "What it uses" }).waitFor()
      assert.isAbove(asked, 4)
    } finally {
      await page.close()
    }
  })
})

describe.skipIf(Browsers.isMissing)("operations and hosts (needs chromium)", () => {
  it("an operation is followed from a list that is live to its end", () =>
    assertAt("/operations?kind=CreateVm", async (page) => {
      await heading(page, "Operations")
      await page.getByRole("table").waitFor()
      const id = await gui().made("followed")
      await page.getByRole("link", { name: "followed" }).waitFor()
      await page
        .getByRole("row", { name: /followed/ })
        .getByRole("link", { name: "Create VM" })
        .click()
      await heading(page, "Create VM")
      await page.locator(".head .state", { hasText: "done" }).waitFor()
      assert.isAbove(id, 0)
    }))

  it("a host is put into maintenance and out of it", () =>
    assertAt("/hosts/6", async (page) => {
      await heading(page, "root@sim-6")
      await page.getByRole("button", { name: "Maintenance", exact: true }).click()
      await page.locator(".head .state", { hasText: "maintenance" }).waitFor()
      await page.getByRole("button", { name: "End maintenance" }).click()
      await page.locator(".head .state", { hasText: /^up$/ }).waitFor()
    }))
})

describe.skipIf(Browsers.isMissing)("signing in (needs chromium)", () => {
  it("is asked for where there are users, leads to the page that was wanted, and ends with the session", async () => {
    const guarded = await gui().another(["simulate", "--hosts", "2", "--vms", "4", "--seed", "3"])
    const password = "correct horse battery staple"
    const user = await guarded.ask("POST", "/users", { name: "ada", role: "admin", password })
    assert.strictEqual(user.status, 201, JSON.stringify(user.answer))
    const own = guarded.context
    const page = await own.newPage()
    const enter = async (word: string) => {
      await page.getByLabel("User").fill("ada")
      await page.getByLabel("Password").fill(word)
      await page.getByRole("button", { name: "Sign in" }).click()
    }
    await page.goto(`${guarded.url}/ui/vms/3`)
    await heading(page, "Sign in to vmfabric")
    await look(page, "sign-in")
    await enter("wrong")
    const { answer } = await guarded.ask("POST", "/session", { name: "ada", password: "wrong" })
    await page.getByRole("alert").getByText(decodeProblem(answer).detail).waitFor()
    await enter(password)
    await heading(page, "standing-3")
    const [cookie] = await own.cookies()
    assert.deepInclude({ ...cookie }, { httpOnly: true, sameSite: "Strict" })
    assert.notInclude(page.url(), cookie?.value ?? "?")
    // as it ends elsewhere: with what is shown still there
    const ended = await fetch(`${guarded.url}/api/v1/session`, {
      method: "DELETE",
      headers: { cookie: `${cookie?.name}=${cookie?.value}` }
    })
    assert.strictEqual(ended.status, 204)
    await heading(page, "Sign in again")
    await page.getByText(/^Your session has ended: /).waitFor()
    await look(page, "sign-in-again")
    await enter(password)
    await page.getByRole("dialog").waitFor({ state: "detached" })
    await isLive(page)
    await heading(page, "standing-3")
    await look(page, "signed-in")
    await page.getByRole("button", { name: "Sign out" }).click()
    await heading(page, "Sign in to vmfabric")
    assert.match(page.url(), /\/ui\/vms\/3$/)
  })
})

// ------------------------------------------------------------------------------------------------------- what it looks like

describe.skipIf(Browsers.isMissing)("what it looks like (needs chromium)", () => {
  beforeEach(() => gui().ask("PATCH", "/hosts/5", { maintenance: true }))

  const pages: ReadonlyArray<readonly [name: string, path: string, ready: string]> = [
    ["overview", "/", "Recent operations"],
    ["vms", "/vms", "standing-1"],
    ["no-vm", "/vms?q=nobody", "No VM is like that"],
    ["create", "/vms/new", "Other hosts"],
    ["vm", `/vms/WEB`, "could take it"],
    ["volumes", "/volumes", "data"],
    ["hosts", "/hosts", "root@sim-5"],
    ["host", "/hosts/5", "In maintenance"],
    ["operations", "/operations", "web-1"],
    ["nowhere", "/nowhere", "There is no such page"]
  ]
  for (const [name, path, ready] of pages) {
    it(`${name}: on a desk and on a phone, in light and dark, nobody is shut out`, async () => {
      const { answer } = await gui().ask("GET", "/vms?name=web-1")
      const web = Schema.decodeUnknownSync(Schema.Struct({ items: Schema.Array(Schema.Struct({ id: Schema.Int })) }))(
        answer
      )
      await assertAt(path.replace("WEB", String(web.items[0]?.id)), async (page) => {
        await page.getByText(ready).first().waitFor()
        await isLive(page)
        await look(page, name)
        if (["overview", "vms", "vm", "create", "host", "hosts", "operations"].includes(name))
          await lookWide(page, name)
        assert.isTrue(existsSync(join(Browsers.pictures, `${name}-phone-dark.png`)))
      })
    })
  }

  it("an operation, a menu, a dialog and the palette, too", () =>
    assertAt("/operations", async (page) => {
      await page.getByRole("table").getByRole("link", { name: "Create VM" }).first().click()
      await heading(page, "Create VM")
      await page
        .getByText(/, took /)
        .first()
        .waitFor()
      await look(page, "operation")
      await page.goto(`${gui().url}/ui/vms/7`)
      await heading(page, "standing-7")
      await page.getByRole("button", { name: "Destroy…" }).click()
      await page.getByLabel(/Type standing-7/).waitFor()
      await look(page, "destroy")
      await page.keyboard.press("Escape")
      await page.getByRole("button", { name: "More" }).click()
      await page.getByRole("menuitem", { name: "Shut down" }).waitFor()
      await page.screenshot({ path: join(Browsers.pictures, "menu-desk-dark.png") })
      await page.keyboard.press("Escape")
      await page.keyboard.press("Control+k")
      await page.getByRole("option", { name: "Overview page" }).waitFor()
      await look(page, "palette")
    }))
})
