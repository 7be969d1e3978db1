/** Events as they happen and as they were, networks, hosts and what is wrong with them, in a real browser. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import type { Page } from "playwright-core"
import * as Browsers from "./Browser.ts"
import { heading, isLive, served, submit } from "./Harness.ts"
import { look } from "./Look.ts"

const gui = served({ args: ["simulate", "--hosts", "3", "--vms", "60", "--seed", "3"] })

/** A page that follows the events, and in the end has complained of nothing. */
const assertAt = (path: string, use: (page: Page) => Promise<void>) =>
  gui().assertAt(path, async (page) => {
    await isLive(page)
    await use(page)
  })

const ask = (method: string, path: string, body?: unknown) => gui().ask(method, path, body)

const decodeOperation = Schema.decodeUnknownSync(Schema.Struct({ id: Schema.String, vmId: Schema.NullOr(Schema.Int) }))
const decodeEvents = Schema.decodeUnknownSync(
  Schema.Struct({ items: Schema.Array(Schema.Struct({ id: Schema.Int, vmId: Schema.NullOr(Schema.Int) })) })
)
const decodeHost = Schema.decodeUnknownSync(
  Schema.Struct({ id: Schema.Int, networks: Schema.Record({ key: Schema.String, value: Schema.Unknown }) })
)

describe.skipIf(Browsers.isMissing)("events (needs chromium)", () => {
  it("come as they happen, the newest first, in words that lead to what they are about", async () => {
    await assertAt("/events", async (page) => {
      const rows = page.getByRole("table", { name: "Events" }).getByRole("row")
      await rows.nth(1).waitFor()
      const { vmId } = decodeOperation((await ask("POST", "/vms", { name: "told", instanceType: 1 })).answer)
      await rows.filter({ hasText: "Create VM is done" }).getByRole("link", { name: "told" }).waitFor()
      // the newest is the first: what was asked for is below what it came to
      const words = await page.getByRole("row").allInnerTexts()
      const at = (text: string) => words.findIndex((line) => line.includes("told") && line.includes(text))
      assert.isAbove(at("Create VM was asked for"), at("Create VM is done"))
      await page.getByRole("row").filter({ hasText: "is to be running on root@sim-" }).first().waitFor()
      await look(page, "events")
      await rows.nth(1).waitFor()
      await rows.getByRole("link", { name: "told" }).first().click()
      await page.waitForURL(`**/ui/vms/${vmId}`)
      // what is told of one VM there is the same
      await page.getByRole("link", { name: "All of its events" }).click()
      await page.waitForURL(`**/ui/events?vm=${vmId}`)
      await page.getByText("Of VM told only").waitFor()
      await page.getByText(/back to the oldest that is kept/).waitFor()
      const { items } = decodeEvents((await ask("GET", `/events?vm=${vmId}&limit=1000`)).answer)
      assert.strictEqual(await page.getByRole("table").getAttribute("aria-rowcount"), String(items.length + 1))
      assert.isAbove(items.length, 3)
    })
  })

  it("are narrowed by the address, and older ones are read when they are asked for, to the last", async () => {
    const { items } = decodeEvents((await ask("GET", "/events?limit=1000")).answer)
    assert.isAbove(items.length, 200)
    await assertAt("/events", async (page) => {
      const total = page.getByRole("table", { name: "Events" })
      await total.waitFor()
      assert.isBelow(Number(await total.getAttribute("aria-rowcount")), items.length)
      const older = page.getByRole("button", { name: "Show older ones" })
      while ((await older.count()) > 0) {
        const before = await total.getAttribute("aria-rowcount")
        await older.click()
        await page.locator(`[role="table"]:not([aria-rowcount="${before}"])`).waitFor()
      }
      assert.isAtLeast(Number(await total.getAttribute("aria-rowcount")), items.length + 1)
      await page.getByLabel("Kind").selectOption("operation")
      await page.waitForURL(/kind=operation/)
      await page.getByRole("row").filter({ hasText: "Create VM is done" }).first().waitFor()
      assert.strictEqual(await page.getByRole("row").filter({ hasText: "is to be" }).count(), 0)
      await page.getByLabel("VM, volume or host").fill("nobody")
      await page.keyboard.press("Enter")
      await page.getByText("No VM, volume or host has that name.").waitFor()
      await page.getByLabel("VM, volume or host").fill("told")
      await page.keyboard.press("Enter")
      await page.waitForURL(/kind=operation&vm=\d+/)
      await page.getByRole("button").first().waitFor()
      await page.getByLabel("Kind").selectOption("image")
      await page.getByText("Nothing like that happened").waitFor()
      await look(page, "events-none")
    })
  })
})

describe.skipIf(Browsers.isMissing)("networks (needs chromium)", () => {
  it("tell on which hosts they are and which VMs use them; a host that was added is given one, and rid of it", async () => {
    await assertAt("/networks", async (page) => {
      await page.getByText("All hosts here are of the machine file").waitFor()
      assert.isTrue(await page.getByRole("button", { name: "Add network" }).isDisabled())
      await page.getByRole("row").filter({ hasText: "default" }).getByText("on 3 hosts").waitFor()
      await look(page, "networks")
      const { id } = decodeHost((await ask("POST", "/hosts", { address: { user: "root", host: "192.0.2.9" } })).answer)
      await page.getByRole("button", { name: "Add network" }).click()
      await page.getByLabel("Name", { exact: true }).fill("lan")
      await page.getByLabel("Bridge", { exact: true }).fill("br 0")
      await submit(page, "Add network")
      await page
        .getByRole("alert")
        .getByText(/expected networks by name/)
        .waitFor()
      await page.getByLabel("Bridge", { exact: true }).fill("br0")
      await page.getByText("As commands").click()
      await page.getByText(`vmfabric host set id:${id} network.lan=bridge:br0`).waitFor()
      await look(page, "network-new")
      // what somebody else gave it meanwhile is not lost
      const change = (networks: object) => ask("PATCH", `/hosts/${id}`, { networks })
      const dmz = { kind: "bridge", name: "br9" }
      assert.strictEqual((await change({ dmz })).status, 200)
      await submit(page, "Add network")
      await page.getByRole("alert").getByText("Somebody else has changed it").waitFor()
      await look(page, "network-refused")
      assert.deepStrictEqual(decodeHost((await ask("GET", `/hosts/${id}`)).answer).networks, { dmz })
      await submit(page, "Add network")
      await page.getByRole("dialog").waitFor({ state: "detached" })
      const lan = { kind: "bridge", name: "br0" }
      assert.deepStrictEqual(decodeHost((await ask("GET", `/hosts/${id}`)).answer).networks, { dmz, lan })
      // its host was never reached
      await page.getByRole("row", { name: /^lan/ }).getByText("not known yet").waitFor()
      await look(page, "networks-unknown")
      await page.getByRole("link", { name: "lan", exact: true }).click()
      await page.getByText("its host has not been reached yet").waitFor()
      await look(page, "network-unknown")
      await page.goto(`${gui().url}/ui/hosts/${id}`)
      await page.getByText("bridge:br0").waitFor()
      await look(page, "host-added")
      await page.getByRole("button", { name: "Remove… lan from root@192.0.2.9" }).click()
      await page.getByLabel(/Type lan/).waitFor()
      assert.strictEqual((await change({ lan })).status, 200)
      await page.getByLabel(/Type lan/).fill("lan")
      await submit(page, "Take lan from root@192.0.2.9")
      await page.getByText("Somebody else has changed it").waitFor()
      assert.deepStrictEqual(decodeHost((await ask("GET", `/hosts/${id}`)).answer).networks, { lan })
      await page.getByText("bridge:br9").waitFor({ state: "detached" })
      await page.getByRole("button", { name: /^Remove… lan/ }).click()
      await page.getByText("As commands").click()
      await page.getByText(`vmfabric host set id:${id} --remove network.lan`).waitFor()
      await look(page, "network-remove")
      await page.getByLabel(/Type lan/).fill("lan")
      await submit(page, "Take lan from root@192.0.2.9")
      await page.getByText("bridge:br0").waitFor({ state: "detached" })
      assert.deepStrictEqual(decodeHost((await ask("GET", `/hosts/${id}`)).answer).networks, {})
      assert.strictEqual((await ask("DELETE", `/hosts/${id}`)).status, 204)
    })
    await assertAt("/networks/default", async (page) => {
      await page.getByRole("link", { name: "root@sim-1" }).waitFor()
      await page.getByRole("link", { name: "told" }).waitFor()
      await look(page, "network")
    })
  })
})

describe.skipIf(Browsers.isMissing)("a host (needs chromium)", () => {
  it("is examined, which tells what is wrong and how it is mended, and is put into maintenance and out of it", async () => {
    await assertAt("/hosts/1", async (page) => {
      await heading(page, "root@sim-1")
      await page.getByRole("button", { name: "Examine", exact: true }).click()
      await page.getByRole("button", { name: "Examine again" }).waitFor()
      const findings = page.getByRole("region", { name: "Doctor" })
      await findings.getByText("clock", { exact: true }).waitFor()
      await findings.getByRole("button", { name: "Copy as…" }).click()
      await page.getByText("vmfabric host doctor id:1").waitFor()
      await page.keyboard.press("Escape")
      await look(page, "host-examined")
      await page.getByRole("button", { name: "Maintenance", exact: true }).click()
      await page.getByText("In maintenance").waitFor()
      await page.getByRole("link", { name: "Events", exact: true }).last().click()
      await page.waitForURL("**/ui/events?host=1")
      await page.getByText("is in maintenance: nothing new is placed on it").first().waitFor()
      await page.goBack()
      await page.getByRole("button", { name: "End maintenance" }).click()
      await page.getByText("In maintenance").waitFor({ state: "detached" })
    })
  })
})

describe.skipIf(Browsers.isMissing)("what others made on a host (needs chromium)", () => {
  it("is listed there with why it is not touched and what can be done, and what is on another host is not", async () => {
    await assertAt("/hosts/1", async (page) => {
      const card = page.getByRole("region", { name: "Not of this fabric" })
      await card.getByText("What others made on a host would be listed here.").waitFor()
      const reason = "it is no VM of this fabric"
      const items = [
        { hostId: 1, what: "domain", name: "old-mail", uuid: null, reason },
        { hostId: 2, what: "domain", name: "elsewhere", uuid: null, reason },
        { hostId: null, what: "volume", name: "volume-99", uuid: null, reason: "no volume of this fabric is there" }
      ]
      await page.route("**/api/v1/foreign", (route) => route.fulfill({ json: { items } }))
      await page.reload()
      await card.getByText("it is listed, and never touched").waitFor()
      await card.getByText("domain old-mail").waitFor()
      await card.getByText(reason).waitFor()
      await card.getByText("virsh undefine old-mail on the host").waitFor()
      await card.getByText("in the pool that all hosts share").waitFor()
      assert.strictEqual(await card.getByText("elsewhere").count(), 0)
      await look(page, "host-foreign")
    })
  })
})

describe.skipIf(Browsers.isMissing)("what an address names that is not there (needs chromium)", () => {
  for (const [what, path] of [
    ["VM", "/vms"],
    ["host", "/hosts"],
    ["volume", "/volumes"]
  ] as const)
    it(`is said of a ${what}, with a way to those that are`, () =>
      assertAt(`${path}/9999`, async (page) => {
        await page.getByRole("heading", { name: `There is no such ${what}`, exact: true }).waitFor()
        await page.getByRole("link", { name: `Show all ${what}s` }).click()
        await page.waitForURL(`**/ui${path}`)
      }))

  it("is said of an operation, of what is no id, and of what is only like the id of a VM, a volume or a host", async () => {
    const id = await gui().made("like")
    await assertAt("/operations/xyz", async (page) => {
      await page.getByRole("heading", { name: "There is no such operation", exact: true }).waitFor()
      await page.getByRole("link", { name: "Show all operations" }).click()
      await page.waitForURL("**/ui/operations")
    })
    for (const text of [`0x${id.toString(16)}`, `0${id}`, `${id}.0`, `${id}e0`, `%20${id}`]) {
      for (const page of ["", "/console", "/screen"]) {
        await assertAt(`/vms/${text}${page}`, (page) => heading(page, "There is no such page"))
      }
    }
    for (const path of ["/volumes/0x1", "/hosts/0x1", "/hosts/1.0", "/hosts/01"]) {
      await assertAt(path, (page) => heading(page, "There is no such page"))
    }
  })

  it("is said of what events are asked for, with a way to all of them", async () => {
    await gui().made("eventful")
    for (const [query, words] of [
      ["kind=bogus", "There are no events of the kind “bogus”"],
      ["type=bogus", "There are no events of the type “bogus”"],
      ["vm=abc", "“abc” is no id of a VM"],
      ["volume=0x1", "“0x1” is no id of a volume"],
      ["operation=7", "“7” is no id of an operation"]
    ]) {
      await assertAt(`/events?${query}`, async (page) => {
        await page
          .getByRole("alert")
          .getByText(words ?? "")
          .waitFor()
        await page.getByRole("link", { name: "Show all events" }).click()
        await page.waitForURL("**/ui/events")
        await page.getByRole("table", { name: "events" }).getByText("eventful").first().waitFor()
      })
    }
    await assertAt("/events?type=operation.created", async (page) => {
      await page.getByRole("table", { name: "events" }).getByText("was asked for").first().waitFor()
      assert.strictEqual(await page.getByText("is being created").count(), 0)
      await page.getByRole("link", { name: "Of operation.created only" }).click()
      await page.getByText("is being created").first().waitFor()
    })
  })
})
