/** What is changed of VMs and hosts that are there, in a real browser: by those who may, and what is told to those who may not. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Page } from "playwright-core"
import { vi } from "vitest"
import * as Browsers from "./Browser.ts"
import { choose, heading, isLive, served, submit } from "./Harness.ts"
import { look } from "./Look.ts"

const folder = mkdtempSync(join(tmpdir(), "vmfabric-faults-"))
const faults = join(folder, "faults")
afterAll(() => rmSync(folder, { recursive: true }))
writeFileSync(faults, "at 5s: a random guest of host 1 crashes\n")

const gui = served({ args: ["simulate", "--hosts", "3", "--vms", "6", "--seed", "3", "--faults", faults] })

const assertAt = (path: string, use: (page: Page) => Promise<void>) =>
  gui().assertAt(path, async (page) => {
    await isLive(page)
    await use(page)
  })

const decodeList = Schema.decodeUnknownSync(
  Schema.Struct({ items: Schema.Array(Schema.Record({ key: Schema.String, value: Schema.Unknown })) })
)
const decodeProblem = Schema.decodeUnknownSync(Schema.Struct({ detail: Schema.String }))
const decodeDrift = Schema.decodeUnknownSync(
  Schema.Struct({ items: Schema.Array(Schema.Struct({ vmId: Schema.Int })) })
)
const decodeVm = Schema.decodeUnknownSync(
  Schema.Struct({
    hostId: Schema.Int,
    nics: Schema.Array(
      Schema.Struct({
        id: Schema.Int,
        mac: Schema.String,
        model: Schema.String,
        link: Schema.String,
        state: Schema.String
      })
    )
  })
)
const decodeHost = Schema.decodeUnknownSync(
  Schema.Struct({
    address: Schema.Struct({ user: Schema.String, host: Schema.String, port: Schema.Int }),
    labels: Schema.Record({ key: Schema.String, value: Schema.String }),
    overcommit: Schema.Struct({ cpu: Schema.Number, ram: Schema.Number, disk: Schema.Number }),
    limit: Schema.Record({ key: Schema.String, value: Schema.Int }),
    reserved: Schema.Record({ key: Schema.String, value: Schema.Int })
  })
)
const decodeHistory = Schema.decodeUnknownSync(
  Schema.Struct(
    { series: Schema.Record({ key: Schema.String, value: Schema.Array(Schema.NullOr(Schema.Number)) }) },
    { key: Schema.String, value: Schema.Unknown }
  )
)
const decodeCloudInit = Schema.decodeUnknownSync(
  Schema.Struct({
    hostname: Schema.String,
    sshKeys: Schema.Array(Schema.String),
    userData: Schema.NullOr(Schema.String),
    revision: Schema.Int
  })
)

const vmOf = async (id: number) => decodeVm((await gui().ask("GET", `/vms/${id}`)).answer)
const hostOf = async (id: number) => decodeHost((await gui().ask("GET", `/hosts/${id}`)).answer)
const told = async (id: number) => decodeCloudInit((await gui().ask("GET", `/vms/${id}/cloud-init`)).answer)

describe.skipIf(Browsers.isMissing)("what differs from what a VM should be (needs chromium)", () => {
  it("is repaired from its page", async () => {
    // of which chance had one
    const id = await vi.waitFor(
      async () => {
        const [first] = decodeDrift((await gui().ask("GET", "/drift")).answer).items
        assert.isDefined(first)
        return first?.vmId
      },
      { timeout: 60_000, interval: 200 }
    )
    await assertAt(`/vms/${id}`, async (page) => {
      const drift = page.getByRole("region", { name: "What differs from what it should be" })
      await drift.getByText(/is crashed, should be running/).waitFor()
      await look(page, "vm-drift")
      await page.getByRole("button", { name: "Copy as…" }).click()
      await page.getByText(`vmfabric vm repair id:${id}`).waitFor()
      await page.keyboard.press("Escape")
      await drift.getByRole("button", { name: "Repair" }).click()
      await page.locator(".head .state", { hasText: /^running$/ }).waitFor()
      await drift.waitFor({ state: "detached" })
    })
  })
})

describe.skipIf(Browsers.isMissing)("a VM's NICs (needs chromium)", () => {
  it("are added, unplugged, plugged in and removed, and an address that cannot be is told at its field", async () => {
    const id = await gui().made("carded")
    const [first] = (await vmOf(id)).nics
    await assertAt(`/vms/${id}`, async (page) => {
      const nics = page.getByRole("region", { name: "NICs" })
      await nics.getByRole("button", { name: "Add NIC…" }).click()
      const dialog = page.getByRole("dialog", { name: "Add a NIC to carded" })
      await dialog.getByLabel("Network", { exact: true }).selectOption("default")
      await dialog.getByText("Its model and address").click()
      await dialog.getByLabel("MAC address").fill("52:54:00:zz:00:01")
      await dialog.getByText("expected the address of one card, as 52:54:00:12:34:56").waitFor()
      const add = dialog.getByRole("button", { name: "Add NIC", exact: true })
      assert.isTrue(await add.isDisabled())
      // another's, which only the controller knows
      await dialog.getByLabel("MAC address").fill(first?.mac ?? "")
      await add.click()
      await dialog
        .getByRole("alert")
        .getByText(first?.mac ?? "")
        .waitFor()
      await dialog.getByLabel("MAC address").fill("52:54:00:AB:CD:EF")
      await dialog.getByLabel("Model").selectOption("e1000e")
      await dialog.getByText("As commands").click()
      await dialog
        .getByText(`vmfabric nic add id:${id} --network default --mac 52:54:00:ab:cd:ef --model e1000e`)
        .waitFor()
      await look(page, "nic-new")
      await add.click()
      const item = nics.getByRole("listitem").filter({ hasText: "52:54:00:ab:cd:ef" })
      await item.getByText("link up").waitFor()
      const actions = "Actions of NIC 2 (52:54:00:ab:cd:ef)"
      await choose(page, actions, "Unplug its cable")
      await item.getByText("link down").waitFor()
      assert.strictEqual((await vmOf(id)).nics[1]?.link, "down")
      await choose(page, actions, "Plug its cable in")
      await item.getByText("link up").waitFor()
      await choose(page, actions, "Copy as curl or CLI…")
      await page.getByText(`vmfabric nic link id:${id} 2 down`).waitFor()
      await page.keyboard.press("Escape")
      await choose(page, actions, "Remove…")
      await submit(page, "Remove NIC")
      await item.waitFor({ state: "detached" })
      assert.deepStrictEqual(
        (await vmOf(id)).nics.map((nic) => nic.id),
        [1]
      )
    })
  })
})

describe.skipIf(Browsers.isMissing)("a VM's volumes (needs chromium)", () => {
  it("are attached and detached on its own page", async () => {
    const id = await gui().made("shelf")
    assert.strictEqual((await gui().ask("POST", "/volumes", { name: "books", size: 2 })).status, 200)
    await assertAt(`/vms/${id}`, async (page) => {
      const disks = page.getByRole("region", { name: "Disks" })
      await disks.getByRole("button", { name: "Attach volume…" }).click()
      const dialog = page.getByRole("dialog", { name: "Attach a volume to shelf" })
      const attach = dialog.getByRole("button", { name: "Attach volume", exact: true })
      await dialog.getByLabel("Volume").fill("nothing")
      await dialog.getByText("No available volume is called that.").waitFor()
      assert.isTrue(await attach.isDisabled())
      await dialog.getByLabel("Volume").fill("books")
      await dialog.getByText(/It has 2 GiB/).waitFor()
      await look(page, "volume-attach")
      await attach.click()
      const item = disks.getByRole("listitem").filter({ hasText: "books" })
      await item.getByText(/attached/).waitFor()
      await item.getByRole("button", { name: "Detach… books" }).click()
      await submit(page, "Detach books")
      await item.waitFor({ state: "detached" })
      // of each it is said which volume it was
      const events = page.getByRole("region", { name: "Events" })
      for (const words of ["is attached, 2 GiB", "Detach volume is done"]) {
        const event = events.getByRole("listitem").filter({ hasText: words }).first()
        await event.getByRole("link", { name: "books", exact: true }).waitFor()
      }
      await look(page, "vm-volumes")
    })
  })
})

describe.skipIf(Browsers.isMissing)("a VM that is off (needs chromium)", () => {
  it("says since when nothing was measured, in one line and not in empty charts", async () => {
    const id = await gui().made("still")
    await gui().ask("POST", `/vms/${id}/power-off`)
    // whether it was measured before is a matter of seconds
    const within = await gui().opened()
    await within.route("**/statistics/history*", async (route) => {
      const response = await route.fetch()
      const { series, ...history } = decodeHistory(await response.json())
      const none = Object.entries(series).map(([name, values]) => [name, values.map(() => null)])
      await route.fulfill({ response, json: { ...history, series: Object.fromEntries(none) } })
    })
    await gui().assertAt(
      `/vms/${id}`,
      async (page) => {
        await isLive(page)
        const usage = page.getByRole("region", { name: "What it uses" })
        await usage.getByText(/^It has been stopped since .*: nothing was measured in this time\.$/).waitFor()
        assert.strictEqual(await usage.locator("figure").count(), 0)
        await look(page, "vm-off")
        await gui().ask("POST", `/vms/${id}/start`)
        await usage.getByText(/Nothing was measured yet/).waitFor()
      },
      within
    )
  })
})

describe.skipIf(Browsers.isMissing)("what a VM is told by cloud-init (needs chromium)", () => {
  it("is said otherwise, what others said meanwhile stays, and what cannot be is told in the API's words", async () => {
    const id = await gui().made("spoken", { userData: "#cloud-config\npackages: [nginx]\n" })
    await assertAt(`/vms/${id}`, async (page) => {
      await choose(page, "More", "cloud-init…")
      const dialog = page.getByRole("dialog", { name: "cloud-init of spoken" })
      await dialog.getByLabel("User data").waitFor()
      assert.strictEqual(await dialog.getByLabel("User data").inputValue(), "#cloud-config\npackages: [nginx]\n")
      await dialog.getByRole("button", { name: "Do all of it again" }).waitFor()
      await dialog.getByRole("textbox", { name: "Hostname" }).fill("-no-")
      const { answer } = await gui().ask("PATCH", `/vms/${id}/cloud-init`, { hostname: "-no-" })
      await submit(page, "Save")
      await dialog.getByRole("alert").getByText(decodeProblem(answer).detail).waitFor()
      await dialog.locator(".field", { hasText: "Hostname" }).locator(".wrong").waitFor()
      await dialog.getByRole("textbox", { name: "Hostname" }).fill("mouth")
      // somebody else, at the same time
      assert.strictEqual(
        (await gui().ask("PATCH", `/vms/${id}/cloud-init`, { userData: "#!/bin/sh\ntrue\n" })).status,
        200
      )
      await look(page, "vm-cloud-init")
      await submit(page, "Save")
      await dialog.getByText("Somebody else has changed it").waitFor()
      await vi.waitFor(async () =>
        assert.strictEqual(await dialog.getByLabel("User data").inputValue(), "#!/bin/sh\ntrue\n")
      )
      assert.strictEqual(await dialog.getByRole("textbox", { name: "Hostname" }).inputValue(), "mouth")
      await submit(page, "Save")
      await dialog.waitFor({ state: "detached" })
      await vi.waitFor(async () => assert.strictEqual((await told(id)).hostname, "mouth"))
      assert.strictEqual((await told(id)).userData, "#!/bin/sh\ntrue\n")
    })
  })
})

describe.skipIf(Browsers.isMissing)("hosts (needs chromium)", () => {
  it("are searched, narrowed and put into an order, which the address keeps", () =>
    assertAt("/hosts?sort=name", async (page) => {
      const cards = page.getByRole("main").getByRole("link", { name: /^root@sim-/ })
      await cards.first().waitFor()
      const all = await cards.count()
      await page.getByRole("searchbox", { name: "Search hosts" }).fill("sim-1")
      await page.getByRole("status").getByText(`1 of ${all}`).waitFor()
      assert.deepStrictEqual(await cards.allTextContents(), ["root@sim-1"])
      await page.waitForURL(/q=sim-1/)
      await page.getByLabel("State").selectOption("down")
      await page.getByText("No host is like that").waitFor()
      await page.reload()
      await page.getByText("No host is like that").waitFor()
      await page.getByRole("link", { name: "Show all hosts" }).click()
      await cards.nth(all - 1).waitFor()
    }))

  it("one is added, examined, given other settings, and removed by who types its name", () =>
    assertAt("/hosts", async (page) => {
      await page.getByRole("button", { name: "Add host" }).click()
      const adding = page.getByRole("dialog", { name: "Add a host" })
      const add = adding.getByRole("button", { name: "Add host", exact: true })
      assert.isTrue(await add.isDisabled())
      await adding.getByLabel("Address").fill("not a host")
      await adding.getByText(/expected a host name/).waitFor()
      await adding.getByLabel("Address").fill("sim-1")
      await adding.getByLabel("Port").fill("99999")
      await adding.getByText("expected a port from 1 to 65535").waitFor()
      assert.isTrue(await add.isDisabled())
      await adding.getByLabel("Port").fill("22")
      // one that is there, in the API's words
      const { answer } = await gui().ask("POST", "/hosts", { address: { user: "root", host: "sim-1" } })
      await add.click()
      await adding.getByRole("alert").getByText(decodeProblem(answer).detail).waitFor()
      await adding.getByLabel("Address").fill("192.0.2.7")
      await adding.getByLabel("Port").fill("2222")
      await adding.getByLabel("Labels").fill("rack=7")
      await adding.getByText("Limits, overcommit, network and folder").click()
      await adding.getByLabel("Processors").fill("8")
      await adding.getByText("As commands").click()
      await adding.getByText("vmfabric host add root@192.0.2.7:2222 overcommit.cpu=8 label.rack=7").waitFor()
      await look(page, "host-new")
      await add.click()
      // its page, with what the doctor says of it
      await heading(page, "root@192.0.2.7:2222")
      const doctor = page.getByRole("region", { name: "Doctor" })
      await doctor.getByText("failure", { exact: true }).first().waitFor()
      const id = Number(new URL(page.url()).pathname.split("/").at(-1))
      await page.getByRole("button", { name: "Settings…" }).click()
      const settings = page.getByRole("dialog", { name: "Settings of root@192.0.2.7:2222" })
      await settings.getByLabel("Labels").fill("rack=8\nhost.arch=x")
      await settings.getByText(/expected labels/).waitFor()
      await settings.getByLabel("Labels").fill("rack=8")
      await settings
        .getByRole("group", { name: /kept free/ })
        .getByLabel("Memory, GiB")
        .fill("4")
      await settings.getByText("As commands").click()
      await settings.getByText(`vmfabric host set id:${id} reserved.ram=4096 label.rack=8`).waitFor()
      await look(page, "host-settings")
      await submit(page, "Save")
      await settings.waitFor({ state: "detached" })
      await page.getByText("rack=8").waitFor()
      const { labels, overcommit, reserved } = await hostOf(id)
      assert.deepStrictEqual({ labels, overcommit }, { labels: { rack: "8" }, overcommit: { cpu: 8, ram: 1, disk: 1 } })
      assert.strictEqual(reserved["ram"], 4096)
      await page.getByRole("button", { name: "Remove…" }).click()
      const remove = page.getByRole("button", { name: "Remove root@192.0.2.7:2222", exact: true })
      assert.isTrue(await remove.isDisabled())
      await page.getByLabel(/Type root@192.0.2.7:2222/).fill("root@192.0.2.7:2222")
      await remove.click()
      await page.getByText("There is no such host").waitFor()
      assert.strictEqual((await gui().ask("GET", `/hosts/${id}`)).status, 404)
    }))

  it("of the machine file are changed there, which is said", () =>
    assertAt("/hosts/2", async (page) => {
      for (const name of ["Settings…", "Remove…"]) {
        const button = page.getByRole("button", { name, exact: true })
        assert.isTrue(await button.isDisabled())
        assert.include((await button.getAttribute("title")) ?? "", "machine file")
      }
    }))

  it("one that has VMs is not removed, in the controller's words, and before that it is said", async () => {
    const window = await gui().opened()
    // as if it had been added: those of a simulated fleet are of its machine file
    await window.route(/\/api\/v1\/hosts$/, async (route) => {
      const response = await route.fetch()
      const { items } = decodeList(await response.json())
      await route.fulfill({ response, json: { items: items.map((host) => ({ ...host, origin: "api" })) } })
    })
    const { answer, status } = await gui().ask("DELETE", "/hosts/2")
    assert.strictEqual(status, 409)
    await gui().assertAt(
      "/hosts/2",
      async (page) => {
        await isLive(page)
        await page.getByRole("button", { name: "Remove…", exact: true }).click()
        await page.getByText(/^It has \d+ VMs?/).waitFor()
        await look(page, "host-remove")
        await page.getByLabel(/Type root@sim-2/).fill("root@sim-2")
        await page.getByRole("button", { name: "Remove root@sim-2", exact: true }).click()
        await page.getByRole("alert").getByText(decodeProblem(answer).detail).waitFor()
        await heading(page, "root@sim-2")
      },
      window
    )
  })

  it("a plan to empty one says what can be done today, and its page says the same in maintenance", async () => {
    const { hostId } = await vmOf(2)
    await gui().ask("PATCH", `/hosts/${hostId}`, { maintenance: true })
    try {
      await assertAt(`/hosts/${hostId}`, async (page) => {
        await page.getByText(/VMs are not moved to other hosts yet/).waitFor()
        await page.getByRole("link", { name: "Plan to empty it" }).click()
        const next = page.getByRole("note", { name: "What next" })
        await next.getByText("vmfabric does not move VMs yet").waitFor()
        await look(page, "capacity-next")
        await next.getByRole("link", { name: /its \d+ VMs?/ }).click()
        await page.waitForURL(new RegExp(`/vms\\?host=${hostId}$`))
      })
    } finally {
      await gui().ask("PATCH", `/hosts/${hostId}`, { maintenance: false })
    }
  })
})

describe.skipIf(Browsers.isMissing)("a viewer (needs chromium)", () => {
  it("is told what needs another role, and is shown no form", async () => {
    const password = "correct horse battery staple"
    const guarded = await gui().another(["simulate", "--hosts", "2", "--vms", "4", "--seed", "3"])
    assert.strictEqual((await guarded.ask("POST", "/users", { name: "ada", role: "admin", password })).status, 201)
    const { request } = guarded.context
    const enter = async (name: string) =>
      assert.isTrue((await request.post(`${guarded.url}/api/v1/session`, { data: { name, password } })).ok())
    await enter("ada")
    const vic = { name: "vic", role: "viewer", password }
    assert.isTrue((await request.post(`${guarded.url}/api/v1/users`, { data: vic })).ok())
    await enter("vic")
    await guarded.assertAt("/vms/2", async (page) => {
      await heading(page, "standing-2")
      await page.getByText("what can be done with it needs the role operator").waitFor()
      const reason = "this needs the role operator"
      for (const name of ["Destroy…", "Add NIC…", "Attach volume…", "Change… where it has to be"]) {
        const button = page.getByRole("button", { name, exact: true })
        assert.isTrue(await button.isDisabled(), name)
        assert.strictEqual(await button.getAttribute("title"), reason, name)
      }
      await page.getByRole("button", { name: "More" }).click()
      await page.getByRole("menu").getByText(reason).waitFor()
      await page.screenshot({ path: join(Browsers.pictures, "viewer-menu.png") })
      await page.keyboard.press("Escape")
      await page.goto(`${guarded.url}/ui/images`)
      await isLive(page)
      await page
        .getByRole("button", { name: /^Actions of / })
        .first()
        .click()
      await page.getByRole("menu").getByText(reason).waitFor()
      await page.keyboard.press("Escape")
      await page.goto(`${guarded.url}/ui/volumes`)
      await isLive(page)
      const create = page.getByRole("button", { name: "Create volume", exact: true })
      assert.strictEqual(await create.getAttribute("title"), reason)
      await page.goto(`${guarded.url}/ui/vms`)
      await isLive(page)
      await page.getByLabel("Choose standing-2", { exact: true }).check()
      const destroy = page.getByRole("button", { name: "Destroy…", exact: true })
      assert.strictEqual(await destroy.getAttribute("title"), reason)
      await page.goto(`${guarded.url}/ui/vms/new`)
      await page.getByRole("heading", { name: "This needs the role operator" }).waitFor()
      assert.strictEqual(await page.getByLabel("Name").count(), 0)
      await look(page, "viewer-create")
      await page.goto(`${guarded.url}/ui/hosts`)
      await isLive(page)
      assert.strictEqual(
        await page.getByRole("button", { name: "Add host" }).getAttribute("title"),
        "this needs the role admin"
      )
    })
  })
})
