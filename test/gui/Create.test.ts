/** The page that creates VMs, with all that it can say, in a real browser. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import type { Page } from "playwright-core"
import * as Browsers from "./Browser.ts"
import { heading, isLive, served } from "./Harness.ts"
import { look, lookWhole } from "./Look.ts"

const gui = served({ args: ["simulate", "--hosts", "3", "--vms", "6", "--seed", "3"] })

const decodeVms = Schema.decodeUnknownSync(
  Schema.Struct({
    items: Schema.Array(
      Schema.Struct({
        id: Schema.Int,
        name: Schema.String,
        hostId: Schema.Int,
        nics: Schema.Array(
          Schema.Struct({ network: Schema.NullOr(Schema.String), mac: Schema.String, model: Schema.String })
        ),
        placement: Schema.NullOr(
          Schema.Struct({
            group: Schema.NullOr(Schema.String),
            rules: Schema.Array(Schema.Struct({ kind: Schema.String, strength: Schema.String }))
          })
        )
      })
    )
  })
)

const decodeId = Schema.decodeUnknownSync(Schema.Struct({ id: Schema.Int }))

const called = async (name: string) => decodeVms((await gui().ask("GET", `/vms?name=${name}`)).answer).items

const preview = (page: Page) => page.locator(".aside")

/** The two lines of commands that the page tells. */
const commands = async (page: Page): Promise<readonly [curl: string, cli: string]> => {
  await page.getByRole("button", { name: "Copy as…" }).click()
  const dialog = page.getByRole("dialog", { name: "As commands" })
  await dialog.locator("pre").nth(1).waitFor()
  const [curl = "", cli = ""] = await dialog.locator("pre").allTextContents()
  await page.keyboard.press("Escape")
  await dialog.waitFor({ state: "detached" })
  return [curl, cli]
}

describe.skipIf(Browsers.isMissing)("a new VM (needs chromium)", () => {
  it("is told as a command that a shell takes as it is, with all that was typed", () =>
    gui().assertAt("/vms/new", async (page) => {
      const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdiLWbieU1ebz9/cu7/QEXn9OIeZJ it's me"
      const userData = "#cloud-config\nruncmd:\n  - echo 'it is 100 %'\n"
      await isLive(page)
      await page.getByLabel("Name", { exact: true }).fill("told")
      await page.getByLabel("SSH keys").fill(key)
      await page.getByText("cloud-init, tags, labels and what people say of it").click()
      await page.getByLabel("User data").fill(userData)
      const [, cli] = await commands(page)
      // a shell that says what it would run, and with what as its input
      const { stdout } = await promisify(execFile)("sh", ["-c", `vmfabric() { printf '<%s>' "$@"; cat; }\n${cli}`])
      assert.match(stdout, /^<vm><create><--name><told>/)
      assert.include(stdout, `<--ssh-key><${key}>`)
      assert.include(stdout, "<--user-data><->")
      assert.include(stdout, `<--url><${gui().url}>${userData}`)
    }))

  it("has as many NICs as it is given, each as it is said, and the commands say the same", () =>
    gui().assertAt("/vms/new", async (page) => {
      await isLive(page)
      await page.getByLabel("Name", { exact: true }).fill("router")
      await page.getByRole("button", { name: "Add another NIC" }).click()
      await page.getByLabel("Network 2").selectOption("default")
      const second = page.getByRole("group", { name: "NIC 2" })
      await second.getByText("Its model and address").click()
      await page.getByLabel("Model 2").selectOption("e1000e")
      await page.getByLabel("MAC address 2").fill("not an address")
      await preview(page)
        .getByText(/expected the address of one card, as 52:54/)
        .waitFor()
      await page.getByLabel("MAC address 2").fill("52:54:00:AA:00:01")
      await preview(page)
        .getByText(/^root@sim-\d$/)
        .first()
        .waitFor()
      const [curl, cli] = await commands(page)
      assert.include(curl, '"nics":[{},{"network":"default","mac":"52:54:00:aa:00:01","model":"e1000e"}]')
      assert.include(cli, "--nic default --nic network=default,mac=52:54:00:aa:00:01,model=e1000e")
      // a shell's own context may be of another controller
      assert.isTrue(cli.endsWith(` --url ${gui().url}`), cli)
      await lookWhole(page, "create-nics")
      await page.getByRole("button", { name: "Create VM" }).click()
      await heading(page, "router")
      const [router] = await called("router")
      assert.deepStrictEqual(
        router?.nics.map(({ model, network }) => [network, model]),
        [
          [null, "virtio"],
          ["default", "e1000e"]
        ]
      )
      assert.strictEqual(router?.nics[1]?.mac, "52:54:00:aa:00:01")
    }))

  it("goes where its rules let it, and one that nothing can hold is told before it is asked for", async () => {
    const { assertAt, made } = gui()
    await made("front-1", { placement: { group: "front" } })
    const [first] = await called("front-1")
    await assertAt("/vms/new", async (page) => {
      await isLive(page)
      await page.getByLabel("Name", { exact: true }).fill("front-2")
      await page.getByText("Where it has to be: groups and rules").click()
      await page.getByRole("button", { name: "Add rule" }).click()
      const create = page.getByRole("button", { name: "Create VM" })
      await page.getByText("Say which group: the VM is in none itself.").waitFor()
      assert.isTrue(await create.isDisabled())
      await page.getByLabel("Group", { exact: true }).first().fill("front")
      await preview(page).getByText(/front/).first().waitFor()
      await page.getByRole("button", { name: "Add rule" }).click()
      const second = page.getByRole("group", { name: "Rule 2" })
      await second.getByLabel("Rule 2").selectOption("should")
      await second.getByLabel("What", { exact: true }).selectOption("on")
      await second.getByLabel("Label of hosts").fill("rack")
      await second.getByLabel("Values").fill("r9")
      await page.getByLabel("How much it counts").fill("2")
      const [curl, cli] = await commands(page)
      assert.include(
        curl,
        '"placement":{"group":"front","rules":[{"strength":"must","kind":"apart"},{"strength":"should","weight":2,"kind":"on","label":"rack","values":["r9"]}]}'
      )
      assert.include(cli, "--group front --must apart --should 'on rack=r9 weight 2'")
      await lookWhole(page, "create-rules")
      // as a must-rule it bars all of them
      await second.getByLabel("Rule 2").selectOption("must")
      await preview(page).getByText("No host can take it").waitFor()
      await preview(page).getByText(/rack/).first().waitFor()
      await lookWhole(page, "create-rules-barred")
      await page.getByRole("button", { name: "Remove rule 2" }).click()
      await preview(page)
        .getByText(/^root@sim-\d$/)
        .first()
        .waitFor()
      await create.click()
      await heading(page, "front-2")
      const [front2] = await called("front-2")
      assert.notStrictEqual(front2?.hostId, first?.hostId)
      assert.deepStrictEqual(front2?.placement?.rules, [{ kind: "apart", strength: "must" }])
    })
  })

  it("must not be with VMs that are named, and a name that nothing has is said at once", async () => {
    const id = await gui().made("noisy")
    const [noisy] = await called("noisy")
    await gui().assertAt("/vms/new", async (page) => {
      await isLive(page)
      await page.getByLabel("Name", { exact: true }).fill("quiet")
      await page.getByText("Where it has to be: groups and rules").click()
      await page.getByRole("button", { name: "Add rule" }).click()
      await page.getByLabel("What", { exact: true }).selectOption("notWith")
      await page.getByLabel("VMs", { exact: true }).fill("noisy, nobody")
      await page.getByText("There is no VM nobody.").waitFor()
      await page.getByLabel("VMs", { exact: true }).fill("noisy")
      const [, cli] = await commands(page)
      assert.include(cli, `--must 'not with id:${id}'`)
      await page.getByRole("button", { name: "Create VM" }).click()
      await heading(page, "quiet")
      const [quiet] = await called("quiet")
      assert.notStrictEqual(quiet?.hostId, noisy?.hostId)
    })
  })

  it("is several when that is said: they are shown on their hosts first, and then in the list", () =>
    gui().assertAt("/vms/new", async (page) => {
      await isLive(page)
      await page.getByLabel("Name", { exact: true }).fill("node")
      await page.getByLabel("How many").fill("0")
      await page.getByText("expected a whole number from 1 to 1000").waitFor()
      assert.isTrue(await page.getByRole("button", { name: "Create VM" }).isDisabled())
      await page.getByLabel("How many").fill("4")
      await page.getByText("Called node-1 to node-4, all alike.").waitFor()
      await preview(page).getByRole("heading", { name: "Where they would go" }).waitFor()
      await preview(page)
        .getByText(/^[1-4] VMs?$/)
        .first()
        .waitFor()
      const [curl, cli] = await commands(page)
      assert.match(curl, /\/api\/v1\/vms\/batch$/)
      assert.include(curl, '"count":4,"name":"node"')
      assert.include(cli, "vmfabric vm create --count 4 --name node")
      await look(page, "create-many")
      await page.getByRole("button", { name: "Create 4 VMs" }).click()
      for (const number of [1, 2, 3, 4]) {
        await page.getByRole("link", { name: `node-${number}`, exact: true }).waitFor()
      }
      assert.match(page.url(), /\/ui\/vms\?q=node-$/)
    }))

  it("is not asked for with an image that is deleted meanwhile, which stays chosen until another is", async () => {
    const { ask, assertAt, url } = gui()
    const disk = Buffer.alloc(1024 * 1024, "a disk that could be booted ")
    disk.set([0x55, 0xaa], 510)
    const { id } = decodeId((await ask("POST", "/images", { name: "pub", format: "raw", size: disk.length })).answer)
    const sent = await fetch(`${url}/api/v1/images/${id}/content`, {
      method: "PATCH",
      headers: { "content-type": "application/octet-stream", "upload-offset": "0" },
      body: disk
    })
    assert.isTrue(sent.ok, await sent.text())
    await assertAt("/vms/new", async (page) => {
      await isLive(page)
      const create = page.getByRole("button", { name: "Create VM" })
      const image = page.getByLabel("Image", { exact: true })
      await page.getByLabel("Name", { exact: true }).fill("late")
      await image.selectOption({ label: "pub" })
      const planned = preview(page)
        .getByText(/^root@sim-\d$/)
        .first()
      await planned.waitFor()
      assert.isBelow((await ask("DELETE", `/images/${id}`)).status, 300)
      await preview(page).getByText("pub was deleted: choose another image.").waitFor()
      assert.strictEqual(await image.locator("option:checked").textContent(), "pub (gone)")
      assert.strictEqual(await planned.count(), 0)
      assert.isTrue(await create.isDisabled())
      await image.selectOption({ index: 0 })
      await planned.waitFor()
      assert.isTrue(await create.isEnabled())
      assert.strictEqual(await image.getByText("pub (gone)").count(), 0)
    })
  })

  it("is not asked for with a size that is retired meanwhile", async () => {
    const { ask, assertAt } = gui()
    const type = decodeId((await ask("POST", "/instance-types", { cpu: 3, ram: 512, disk: 1 })).answer).id
    await assertAt("/vms/new", async (page) => {
      await isLive(page)
      const create = page.getByRole("button", { name: "Create VM" })
      const planned = preview(page)
        .getByText(/^root@sim-\d$/)
        .first()
      await page.getByLabel("Name", { exact: true }).fill("late")
      await page.getByText("3 vCPUs").click()
      await planned.waitFor()
      assert.isBelow((await ask("DELETE", `/instance-types/${type}`)).status, 300)
      // no event tells of it
      await preview(page).getByText(`Instance type ${type} was retired: choose another size.`).waitFor()
      assert.isTrue(await create.isDisabled())
      assert.strictEqual(await planned.count(), 0)
      await page.getByText("2 vCPUs").first().click()
      await planned.waitFor()
      assert.isTrue(await create.isEnabled())
    })
  })

  it("that is refused says so once, where it was asked for", () =>
    gui().assertAt("/vms/new", async (page) => {
      await isLive(page)
      await page.getByLabel("Name", { exact: true }).fill("refused")
      await page.getByText("4 vCPUs").click()
      await preview(page)
        .getByText(/^root@sim-\d$/)
        .first()
        .waitFor()
      await page.route("**/api/v1/vms", (route) =>
        route.request().method() === "POST"
          ? route.fulfill({
              status: 409,
              contentType: "application/problem+json",
              body: JSON.stringify({
                _tag: "Conflict",
                status: 409,
                code: "no_feasible_host",
                title: "No host can take it",
                detail: "it is full"
              })
            })
          : route.fallback()
      )
      await page.getByRole("button", { name: "Create VM" }).click()
      await page.getByRole("alert").getByText("it is full").waitFor()
      assert.strictEqual(await page.getByText("it is full").count(), 1)
      await page.getByLabel("Name", { exact: true }).fill("refused-not")
      await page.getByText("it is full").waitFor({ state: "detached" })
    }))

  it("of several for which there is no room says so before, and which were begun after", () =>
    gui().assertAt("/vms/new", async (page) => {
      await isLive(page)
      await page.getByLabel("Name", { exact: true }).fill("many")
      await page.getByLabel("How many").fill("1000")
      await preview(page)
        .getByText(/There is no room for [\d,]+ of them/)
        .waitFor()
      await look(page, "create-too-many")
      // a rule makes it all or none
      await page.getByText("Where it has to be: groups and rules").click()
      await page.getByLabel("Group", { exact: true }).fill("many")
      await page.getByRole("button", { name: "Add rule" }).click()
      await page.getByLabel("How many").fill("4")
      await preview(page).getByText("No host can take them").waitFor()
      await page.getByRole("button", { name: "Remove rule 1" }).click()
      // those that there is room for are made, and the others are told of
      await page.getByText("4 vCPUs").click()
      await page.getByLabel("How many").fill("1000")
      await page.getByRole("button", { name: "Create 1,000 VMs" }).click()
      const told = page.getByRole("alert").filter({ hasText: /[\d,]+ of 1,000 VMs are being created/ })
      await told.getByText(/short by/).waitFor()
      await look(page, "create-some")
      await told.getByRole("button", { name: "Show those" }).click()
      await page.getByRole("link", { name: "many-1", exact: true }).waitFor()
      assert.match(page.url(), /\/ui\/vms\?q=many-$/)
    }))
})
