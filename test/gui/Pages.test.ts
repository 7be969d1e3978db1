/** What is done with volumes, with many VMs at once, and what is seen of events, networks and hosts, in a real browser. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import type { Page } from "playwright-core"
import * as Browsers from "./Browser.ts"
import { choose, hasFocus, heading, isLive, row, served, submit } from "./Harness.ts"
import { look } from "./Look.ts"

const gui = served({ args: ["simulate", "--hosts", "3", "--vms", "30", "--seed", "3"] })

const assertAt = (path: string, use: (page: Page) => Promise<void>) =>
  gui().assertAt(path, async (page) => {
    await isLive(page)
    await use(page)
  })

const decodeVm = Schema.decodeUnknownSync(
  Schema.Struct({
    id: Schema.Int,
    name: Schema.String,
    state: Schema.String,
    tags: Schema.Array(Schema.String),
    labels: Schema.Record({ key: Schema.String, value: Schema.String }),
    description: Schema.String,
    protected: Schema.Boolean
  })
)
const decodeProblem = Schema.decodeUnknownSync(Schema.Struct({ detail: Schema.String }))
const decodeOperation = Schema.decodeUnknownSync(
  Schema.Struct({
    vmId: Schema.NullOr(Schema.Int),
    volumeId: Schema.NullOr(Schema.Int)
  })
)

const vmOf = async (id: number) => decodeVm((await gui().ask("GET", `/vms/${id}`)).answer)

describe.skipIf(Browsers.isMissing)("volumes (needs chromium)", () => {
  it("one is created, attached, grown, detached, thrown away, had back and purged", async () => {
    await gui().made("holder")
    await assertAt("/volumes", async (page) => {
      await page.getByText("No volumes yet").waitFor()
      await page.getByRole("button", { name: "Create volume" }).click()
      await page.getByLabel("Name", { exact: true }).fill("data")
      await page.getByLabel("Size in GiB").fill("1.5")
      assert.isTrue(await page.getByRole("dialog").getByRole("button", { name: "Create volume" }).isDisabled())
      await page.getByLabel("Size in GiB").fill("3")
      await look(page, "volume-new")
      await page.getByText("As commands").click()
      await page.getByText("vmfabric volume create --name data --size 3").waitFor()
      await submit(page, "Create volume")
      // the operation is shown until it has ended
      await page.getByLabel("What was asked for").getByText("Create volume data", { exact: true }).waitFor()
      await row(page, "data").getByText("available").waitFor()
      await choose(page, "Actions of data", "Attach…")
      await page.getByLabel("VM", { exact: true }).fill("nobody")
      await page.getByText("No VM is called that.").waitFor()
      await page.getByLabel("VM", { exact: true }).fill("holder")
      await submit(page, "Attach data")
      await row(page, "data").getByRole("link", { name: "holder" }).waitFor()
      await row(page, "data").getByText("attached").waitFor()
      await choose(page, "Actions of data", "Grow…")
      await page.getByLabel("Size in GiB").fill("5")
      await submit(page, "Grow data")
      await row(page, "data").getByText("5 GiB").waitFor()
      await choose(page, "Actions of data", "Rename…")
      await page.getByLabel("Name", { exact: true }).fill("archive")
      await submit(page, "Rename data")
      await row(page, "archive").waitFor()
      await choose(page, "Actions of archive", "Detach…")
      await submit(page, "Detach archive")
      await row(page, "archive").getByText("available").waitFor()
      await choose(page, "Actions of archive", "Destroy…")
      await submit(page, "Destroy archive")
      await row(page, "archive").getByText("in the trash").waitFor()
      await choose(page, "Actions of archive", "Restore")
      await row(page, "archive").getByText("available").waitFor()
      await choose(page, "Actions of archive", "Destroy…")
      await submit(page, "Destroy archive")
      await row(page, "archive").getByText("in the trash").waitFor()
      await page.getByLabel("State").selectOption("deleted")
      await page.waitForURL(/state=deleted/)
      await choose(page, "Actions of archive", "Purge…")
      await page.getByLabel(/Type archive/).fill("archive")
      await submit(page, "Purge archive")
      await row(page, "archive").waitFor({ state: "detached" })
    })
  })

  it("what one held is kept, made a volume of, gone back to, and destroyed", async () => {
    const { volumeId } = decodeOperation((await gui().ask("POST", "/volumes", { name: "base", size: 2 })).answer)
    await assertAt(`/volumes/${volumeId}`, async (page) => {
      await heading(page, "base")
      await choose(page, "Actions", "Take a snapshot…")
      await page.getByLabel("Name", { exact: true }).fill("monday")
      await submit(page, "Snapshot base")
      const monday = page.getByRole("listitem").filter({ hasText: "monday" })
      await monday.getByText("ready").waitFor()
      await choose(page, "Actions of snapshot monday", "Clone as a volume…")
      await page.getByLabel("Name", { exact: true }).fill("copy")
      await submit(page, "Clone monday as copy")
      await page.getByLabel("What was asked for").getByText("Clone monday as copy", { exact: true }).waitFor()
      await look(page, "volume")
      await choose(page, "Actions of snapshot monday", "Revert to it…")
      await page.getByLabel(/Type base/).fill("base")
      await submit(page, "Revert base to monday")
      await page.getByRole("link", { name: "Revert volume" }).first().waitFor()
      await page.goto(`${gui().url}/ui/volumes?q=copy`)
      await row(page, "copy").getByText("available").waitFor()
      await page.getByRole("link", { name: "copy", exact: true }).click()
      await page
        .getByRole("definition")
        .filter({ hasText: /^snapshot monday of base$/ })
        .getByRole("link", { name: "base" })
        .waitFor()
      // not while a running VM has it, in the API's words
      const user = await gui().made("user")
      assert.strictEqual((await gui().ask("POST", `/volumes/${volumeId}/attach`, { vm: user })).status, 200)
      await page.goto(`${gui().url}/ui/volumes/${volumeId}`)
      await page.getByRole("link", { name: "user" }).waitFor()
      const { answer: refusal } = await gui().ask("POST", "/snapshots/1/revert")
      await choose(page, "Actions of snapshot monday", "Revert to it…")
      await page.getByLabel(/Type base/).fill("base")
      await submit(page, "Revert base to monday")
      await page.getByRole("alert").getByText(decodeProblem(refusal).detail).waitFor()
      await page.keyboard.press("Escape")
      await choose(page, "Actions of snapshot monday", "Destroy…")
      await page.getByLabel(/Type monday/).fill("monday")
      await submit(page, "Destroy snapshot monday")
      await page.getByText(/None. One keeps/).waitFor()
    })
  })

  it("are put into order by what their columns tell, which the address keeps", async () => {
    for (const [name, size] of [
      ["sorted-10", 1],
      ["sorted-2", 3],
      ["sorted-1", 2]
    ] as const) {
      assert.isBelow((await gui().ask("POST", "/volumes", { name, size })).status, 300)
    }
    await assertAt("/volumes?q=sorted", async (page) => {
      const listed = async () => {
        const names = await page.locator(".table.volumes .tbody .tr > :nth-child(1)").allTextContents()
        return names.map((name) => name.replace("sorted-", "")).join(" ")
      }
      const head = (name: string) => page.getByRole("columnheader", { name })
      await row(page, "sorted-1").first().waitFor()
      assert.strictEqual(await listed(), "10 2 1")
      await head("Name").getByRole("button").click()
      await page.waitForURL(/q=sorted&sort=name/)
      assert.strictEqual(await listed(), "1 2 10")
      await head("Name").getByRole("button").click()
      await page.waitForURL(/sort=-name/)
      assert.strictEqual(await listed(), "10 2 1")
      assert.strictEqual(await head("Name").getAttribute("aria-sort"), "descending")
      await head("Size").getByRole("button").click()
      await page.waitForURL(/sort=size/)
      assert.strictEqual(await listed(), "10 1 2")
      assert.isNull(await head("Name").getAttribute("aria-sort"))
      await page.reload()
      await row(page, "sorted-1").first().waitFor()
      assert.strictEqual(await listed(), "10 1 2")
    })
  })
})

describe.skipIf(Browsers.isMissing)("a VM's size (needs chromium)", () => {
  it("is another instance type's once it is off, and until then the controller says what to do", async () => {
    const id = await gui().made("sized")
    const { answer } = await gui().ask("POST", `/vms/${id}/resize`, { instanceType: 3 })
    await assertAt(`/vms/${id}`, async (page) => {
      await heading(page, "sized")
      await choose(page, "More", "Resize…")
      const resize = page.getByRole("dialog").getByRole("button", { name: "Resize sized", exact: true })
      assert.isTrue(await resize.isDisabled())
      await page.getByLabel("Instance type").selectOption("3")
      await look(page, "vm-resize")
      await resize.click()
      await page.getByRole("alert").getByText(decodeProblem(answer).detail).waitFor()
      const read = page.waitForResponse((response) => new URL(response.url()).pathname === `/api/v1/vms/${id}`)
      await gui().ask("POST", `/vms/${id}/power-off`)
      await page.getByText("It has to be off").waitFor({ state: "detached" })
      // it is read anew then: what happened before that is no news
      await (await read).finished()
      await resize.click({ trial: true })
      // what somebody else has made of it meanwhile is told, and not written over
      await gui().ask("POST", `/vms/${id}/resize`, { instanceType: 2 })
      await resize.click()
      await page.getByText("Somebody else has changed it").waitFor()
      await page.getByText("By now its type is 2.").waitFor()
      await resize.click()
      await page.getByRole("dialog").waitFor({ state: "detached" })
      await page.getByText("2 vCPUs, 4 GiB").first().waitFor()
      assert.deepInclude((await gui().ask("GET", `/vms/${id}`)).answer, { instanceType: 3 })
    })
  })
})

describe.skipIf(Browsers.isMissing)("many VMs (needs chromium)", () => {
  it("are chosen, stopped and started at once, and destroyed by who types how many they are", async () => {
    const ids = await Promise.all(["batch-1", "batch-2", "batch-3"].map((name) => gui().made(name)))
    const kept = await gui().made("batch-4", { protected: true })
    const { answer: refusal } = await gui().ask("DELETE", `/vms/${kept}`)
    await assertAt("/vms?q=batch-", async (page) => {
      await row(page, "Choose batch-1").waitFor()
      await page.getByLabel("Choose batch-1").check()
      await page.getByLabel("Choose batch-2").check()
      const bar = page.getByRole("group", { name: "What was chosen" })
      await bar.getByText("2 VMs chosen").waitFor()
      assert.isTrue(await bar.getByRole("button", { name: /^Start/ }).isDisabled())
      await look(page, "vms-chosen")
      await bar.getByRole("button", { name: "Copy as…" }).click()
      await page.getByText(`vmfabric vm power-off id:${ids[0]}`).waitFor()
      await page.keyboard.press("Escape")
      await bar.getByRole("button", { name: "Power off…", exact: true }).click()
      // nothing happens before it is asked, and whoever presses Enter at once has done nothing
      const off = page.getByRole("dialog", { name: "Power off 2 VMs?" })
      await off.getByText("what its guest has not written to its disks is lost").waitFor()
      await off.getByText("batch-1, batch-2", { exact: true }).waitFor()
      await hasFocus(page, "Cancel")
      await look(page, "vms-power-off")
      await page.keyboard.press("Enter")
      await off.waitFor({ state: "detached" })
      await bar.getByRole("button", { name: "Power off…", exact: true }).click()
      await submit(page, "Power off 2 VMs")
      await page.getByText("Power off: 2 of 2 VMs done", { exact: true }).waitFor()
      await row(page, "Choose batch-2").getByText("stopped").waitFor()
      await row(page, "Choose batch-3").getByText("running").waitFor()
      // of those that are chosen only what can be started is
      await page.getByLabel("Choose all that are shown").check()
      await bar.getByRole("button", { name: "Start 2…" }).click()
      await page.getByText("Of those that are chosen 2 cannot, as they are, and are left alone.").waitFor()
      await submit(page, "Start 2 VMs")
      await page.getByText("Start: 2 of 2 VMs done", { exact: true }).waitFor()
      // what is not shown is not chosen
      await page.getByLabel("Choose all that are shown").check()
      await page.getByLabel("Search VMs").fill("batch-1")
      await bar.getByText("1 VM chosen").waitFor()
      await page.getByLabel("Search VMs").fill("batch-")
      await bar.getByText("4 VMs chosen").waitFor()
      await bar.getByRole("button", { name: "Destroy…" }).click()
      const sure = page.getByRole("dialog", { name: "Destroy 4 VMs?" })
      await sure.getByLabel(/Type 4/).fill("3")
      assert.isTrue(await sure.getByRole("button", { name: "Destroy 4 VMs" }).isDisabled())
      await sure.getByLabel(/Type 4/).fill("4")
      await look(page, "vms-destroy")
      await sure.getByRole("button", { name: "Destroy 4 VMs" }).click()
      await page.getByText("Destroy: 3 of 4 VMs done, 1 refused", { exact: true }).waitFor()
      await page.getByText(decodeProblem(refusal).detail).waitFor()
      await row(page, "Choose batch-1").waitFor({ state: "detached" })
      await look(page, "vms-refused")
      await page.getByRole("button", { name: "Dismiss Destroy 4 VMs", exact: true }).click()
      await page.getByText("Destroy: 3 of 4").waitFor({ state: "detached" })
      await row(page, "Choose batch-4").waitFor()
    })
  })

  it("what people say of one is changed, and nothing else", async () => {
    const id = await gui().made("plain", { tags: ["old", "kept"], labels: { team: "shop", stage: "test" } })
    await assertAt("/vms?q=plain", async (page) => {
      await choose(page, "Actions of plain", "Edit…")
      const save = page.getByRole("dialog").getByRole("button", { name: "Save" })
      await save.waitFor()
      assert.isTrue(await save.isDisabled())
      await page.getByLabel("Name", { exact: true }).fill("bad\u0007name")
      await page.getByText(/1 to 255 characters/).waitFor()
      assert.isTrue(await save.isDisabled())
      await page.getByLabel("Name", { exact: true }).fill("plain-2")
      await page.getByLabel("Description").fill("the shop's back")
      await page.getByLabel("Tags").fill("kept, new")
      await page.getByLabel("Labels").fill("team=shop\nrack=7")
      await page.getByLabel("Protect it from being destroyed").check()
      await look(page, "vm-edit")
      // others change what is not touched here
      await gui().ask("PATCH", `/vms/${id}`, { tags: ["old", "kept", "more"], labels: { theirs: "too" } })
      await save.click()
      await page.getByText("Somebody else has changed it").waitFor()
      await page.getByText("By now the tags are kept, more, old; the labels are").waitFor()
      await look(page, "vm-edit-changed")
      await save.click()
      await page.getByRole("link", { name: "plain-2" }).waitFor()
      const { description, labels, name, protected: kept, tags } = await vmOf(id)
      assert.deepStrictEqual(
        { description, labels, name, kept, tags: [...tags].sort() },
        {
          description: "the shop's back",
          labels: { team: "shop", rack: "7", theirs: "too" },
          name: "plain-2",
          kept: true,
          tags: ["kept", "more", "new"]
        }
      )
    })
  })

  it("what people say of a new one is what they can say of one that is there", () =>
    assertAt("/vms/new", async (page) => {
      await page.getByLabel("Name", { exact: true }).fill("labelled")
      await page.getByText("cloud-init, tags, labels").click()
      const create = page.getByRole("button", { name: "Create VM", exact: true })
      await page.getByLabel("Tags").fill("Web")
      await page
        .locator(".wrong")
        .getByText(/1 to 63 of a-z/)
        .waitFor()
      assert.isTrue(await create.isDisabled())
      await look(page, "create-refused")
      await page.getByLabel("Labels").fill("team=shop\nnew")
      await page.getByLabel("Tags").fill("web, fast")
      await page.getByLabel("Start it again when it crashes").uncheck()
      await page.getByRole("button", { name: "Copy as…" }).click()
      await page.getByText(/--tag web --tag fast --label team=shop --label new= /).waitFor()
      await page.keyboard.press("Escape")
      await create.click()
      await page.waitForURL(/\/ui\/vms\/\d+$/)
      const { labels, name, tags } = await vmOf(Number(page.url().split("/").at(-1)))
      assert.deepStrictEqual(
        { labels, name, tags: [...tags].sort() },
        { labels: { team: "shop", new: "" }, name: "labelled", tags: ["fast", "web"] }
      )
    }))
})
