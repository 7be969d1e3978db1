/** Sizes that VMs can have, what more of them fits, and what a fleet would gain by moving VMs, in a real browser. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { join } from "node:path"
import { Required } from "../../src/domain/Placement.ts"
import * as Browsers from "./Browser.ts"
import { heading, isLive, row, served, submit } from "./Harness.ts"
import { look, lookWhole } from "./Look.ts"

const gui = served({ args: ["simulate", "--hosts", "3", "--vms", "12", "--seed", "3"] })

const decodeTypes = Schema.decodeUnknownSync(
  Schema.Struct({
    items: Schema.Array(
      Schema.Struct({
        id: Schema.Int,
        cpu: Schema.Int,
        ram: Schema.Int,
        disk: Schema.Int,
        requires: Required,
        retired: Schema.Boolean
      })
    )
  })
)
const decodeFits = Schema.decodeUnknownSync(
  Schema.Struct({ types: Schema.Array(Schema.Struct({ type: Schema.Int, more: Schema.Int })) })
)

describe.skipIf(Browsers.isMissing)("instance types (needs chromium)", () => {
  it("are made and retired, and the page that creates VMs offers what there is then", async () => {
    await gui().made("small")
    await gui().assertAt("/vms/new", async (page) => {
      await isLive(page)
      await page.getByText("4 vCPUs").waitFor()
      await page.getByRole("link", { name: "Instance types" }).click()
      await heading(page, "Instance types")
      await row(page, "1 vCPU, 512 MiB").waitFor()
      await look(page, "types")
      // each has an address of its own
      await row(page, "1 vCPU, 512 MiB").getByRole("link").click()
      await heading(page, /^Instance type \d+$/)
      await page.getByRole("link", { name: "small", exact: true }).waitFor()
      await look(page, "type")
      await page.getByRole("link", { name: "small", exact: true }).click()
      await page.getByRole("link", { name: "instance type 1", exact: true }).click()
      await heading(page, "Instance type 1")
      await page.goto(`${gui().url}/ui/types/999`)
      await page.getByRole("link", { name: "Show all instance types" }).click()
      await heading(page, "Instance types")
      await page.getByRole("button", { name: "Create instance type" }).click()
      await page.getByLabel("vCPUs").fill("3")
      await page.getByLabel("Memory in GiB").fill("1.5")
      await page.getByLabel("Root disk in GiB").fill("0")
      await page.getByText("As commands").click()
      await page.getByText("vmfabric type create --cpu 3 --ram 1536 --disk 0").waitFor()
      await submit(page, "Create instance type")
      await page
        .getByRole("alert")
        .getByText(/a whole number from 1 to 1048576/)
        .waitFor()
      await look(page, "types-refused")
      await page.getByLabel("Root disk in GiB").fill("7")
      const create = page.getByRole("dialog").getByRole("button", { name: "Create instance type" })
      const required = (number: number) => page.getByRole("group", { name: `Requirement ${number}` })
      for (const number of [1, 2]) {
        await page.getByRole("button", { name: "Require a label of hosts" }).click()
        await required(number).getByText("Say the label of hosts, and its values.").waitFor()
        assert.isTrue(await create.isDisabled())
        await required(number).getByLabel("Hosts with the label").fill("host.virt")
        await required(number).getByLabel("One of the values").fill('kvm, "q, w"')
      }
      await required(2).getByText("This label is said above: give all its values there.").waitFor()
      await look(page, "types-requiring")
      await page.getByRole("button", { name: "Remove requirement 2" }).click()
      await page
        .getByText(`vmfabric type create --cpu 3 --ram 1536 --disk 7 --requires 'host.virt=kvm,"q, w"'`)
        .waitFor()
      await submit(page, "Create instance type")
      await row(page, "3 vCPUs, 1.5 GiB").getByText('host.virt=kvm,"q, w"').waitFor()
      const made = decodeTypes((await gui().ask("GET", "/instance-types")).answer).items.find(({ cpu }) => cpu === 3)
      assert.deepInclude(
        { ...made },
        { cpu: 3, ram: 1536, disk: 7, requires: { "host.virt": ["kvm", "q, w"] }, retired: false }
      )
      // what is new is offered, though no event told of it
      await page.getByRole("link", { name: "VMs" }).click()
      await page.getByRole("link", { name: "Create VM" }).click()
      await page.getByText("3 vCPUs").waitFor()
      await page.getByRole("link", { name: "Instance types" }).click()
      await page.getByRole("button", { name: `Retire… instance type ${made?.id}` }).click()
      await page.getByText("No VM has it now.").waitFor()
      await submit(page, "Retire it")
      await row(page, "3 vCPUs, 1.5 GiB").waitFor({ state: "detached" })
      await page.getByLabel("Show also 1 that is retired").check()
      await row(page, "3 vCPUs, 1.5 GiB").getByText("retired").waitFor()
      await look(page, "types-retired")
      const left = decodeTypes((await gui().ask("GET", "/instance-types")).answer).items
      assert.isFalse(left.some(({ cpu }) => cpu === 3))
    })
  })
})

describe.skipIf(Browsers.isMissing)("capacity (needs chromium)", () => {
  it("of each size it is told how many more fit, as the API has it", () =>
    gui().assertAt("/", async (page) => {
      await isLive(page)
      await page.getByRole("link", { name: "What more fits, and which host can be lost" }).click()
      await heading(page, "Capacity")
      const { types } = decodeFits((await gui().ask("GET", "/fits")).answer)
      const more = types.find(({ type }) => type === 1)?.more ?? 0
      assert.isAbove(more, 0)
      await row(page, "1: 1 vCPU, 512 MiB, 10 GiB").getByText(new Intl.NumberFormat("en").format(more)).waitFor()
      await page.getByText("Whichever host is lost, its VMs fit on the others.").waitFor()
      await look(page, "capacity")
    }))

  it("a host whose VMs would fit nowhere else is named, with what would be left without a place", async () => {
    const { ask } = gui()
    const maintained = (maintenance: boolean) =>
      Promise.all([2, 3].map((id) => ask("PATCH", `/hosts/${id}`, { maintenance })))
    await maintained(true)
    try {
      await gui().assertAt("/capacity", async (page) => {
        const losses = page.getByRole("region", { name: "If a host is lost" })
        await losses
          .getByText(/no room for \d+ of \d+ VMs/)
          .first()
          .waitFor()
        await losses.getByRole("link", { name: "root@sim-1" }).waitFor()
        await losses.getByText(/2 hosts take no new VMs now/).waitFor()
        assert.strictEqual(await losses.getByRole("listitem").count(), 1)
        await look(page, "capacity-losses")
      })
    } finally {
      await maintained(false)
    }
  })

  it("moves that would spread VMs, or empty a host, are shown with gain and cost, and the address keeps what was asked", async () => {
    const { ask, made } = gui()
    const maintained = (maintenance: boolean) =>
      Promise.all([2, 3].map((id) => ask("PATCH", `/hosts/${id}`, { maintenance })))
    await maintained(true)
    for (const number of [1, 2, 3, 4, 5, 6]) await made(`heap-${number}`, { instanceType: 3 })
    await maintained(false)
    await gui().assertAt("/hosts/1", async (page) => {
      await isLive(page)
      await page.getByRole("link", { name: "Capacity" }).click()
      const plan = page.getByRole("region", { name: "Moves that would help" })
      await plan
        .getByText(/% off the higher share/)
        .first()
        .waitFor()
      await plan.getByText(/\d+ moves?, in this order: [\d.]+ GiB of memory/).waitFor()
      await lookWhole(page, "capacity-moves")
      await plan.getByLabel("What for").selectOption("pack")
      await page.waitForURL(/aim=pack/)
      await plan.getByText(/vmfabric rebalance --policy pack/).waitFor()
      await plan
        .getByText(/of the host emptied|No move would gain anything/)
        .first()
        .waitFor()
      await plan.getByLabel("What for").selectOption("repair")
      await plan.getByText("All must-rules hold.").waitFor()
      await page.goto(`${gui().url}/ui/hosts/1`)
      await page.getByRole("link", { name: "Plan to empty it" }).click()
      await page.waitForURL(/\?aim=empty&host=1$/)
      await plan
        .getByText(/of the host emptied/)
        .first()
        .waitFor()
      await plan.getByText("vmfabric rebalance --empty id:1 --most 20").waitFor()
      await page.reload()
      await plan
        .getByText(/of the host emptied/)
        .first()
        .waitFor()
      assert.strictEqual(await plan.getByLabel("Host to empty").inputValue(), "1")
      await look(page, "capacity-empty")
    })
  })
})

describe.skipIf(Browsers.isMissing)("the API's documentation (needs chromium)", () => {
  it("is linked beside the pages and found by its name, and loads nothing from elsewhere", () =>
    gui().assertAt("/", async (page) => {
      await isLive(page)
      const elsewhere: Array<string> = []
      page.on("request", (request) => {
        if (!request.url().startsWith(gui().url) && !request.url().startsWith("data:")) elsewhere.push(request.url())
      })
      await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "API" }).click()
      await page.getByText("Create many VMs").first().waitFor()
      assert.match(page.url(), /\/docs$/)
      await page.screenshot({ path: join(Browsers.pictures, "docs.png") })
      await page.getByRole("link", { name: "vmfabric's web interface" }).click()
      await heading(page, "Overview")
      await isLive(page)
      await page.keyboard.press("Control+k")
      await page.getByRole("combobox", { name: "Go to" }).fill("api doc")
      await page.getByRole("option", { name: /API documentation/ }).waitFor()
      await page.keyboard.press("Enter")
      await page.waitForURL(/\/docs$/)
      await page.getByText("Create many VMs").first().waitFor()
      assert.deepStrictEqual(elsewhere, [])
    }))
})
