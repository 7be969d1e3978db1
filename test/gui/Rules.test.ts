/** Rules about where VMs are that do not hold, and what would make them hold, in a real browser. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { join } from "node:path"
import { VmId } from "../../src/domain/Ids.ts"
import * as Domain from "../../src/domain/Placement.ts"
import type { Locator, Page } from "playwright-core"
import * as Browsers from "./Browser.ts"
import { choose, heading, isLive, served } from "./Harness.ts"
import { look, lookWhole } from "./Look.ts"

const gui = served({ args: ["simulate", "--hosts", "3", "--vms", "6", "--seed", "3"] })

const decodeVm = Schema.decodeUnknownSync(Schema.Struct({ hostId: Schema.Int }))

const decodePlaced = Schema.decodeUnknownSync(Schema.Struct({ placement: Schema.NullOr(Domain.Placement) }))

/** VMs of these names on one host, and the name of that. */
const together = async (...names: ReadonlyArray<string>) => {
  const { ask, made } = gui()
  const maintained = (maintenance: boolean) =>
    Promise.all([2, 3].map((id) => ask("PATCH", `/hosts/${id}`, { maintenance })))
  await maintained(true)
  const ids: Array<number> = []
  for (const name of names) ids.push(await made(name))
  await maintained(false)
  for (const id of ids) assert.strictEqual(decodeVm((await ask("GET", `/vms/${id}`)).answer).hostId, 1)
  return ids
}

/** What lies below what a phone shows at first. */
const pictured = async (page: Page, part: Locator, name: string) => {
  await page.setViewportSize({ width: 360, height: 740 })
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme })
    await part.screenshot({ path: join(Browsers.pictures, `${name}-phone-${colorScheme}.png`) })
  }
}

describe.skipIf(Browsers.isMissing)("a VM's rules (needs chromium)", () => {
  it("that do not hold are told with the moves that would make them hold, or with what bars those", async () => {
    const { ask, assertAt } = gui()
    const [first = 0, second = 0, third = 0] = await together("apart-1", "apart-2", "nowhere")
    const given = async (id: number, ...rules: ReadonlyArray<object>) => {
      const { answer, status } = await ask("PATCH", `/vms/${id}`, { placement: { rules } })
      assert.strictEqual(status, 200, JSON.stringify(answer))
    }
    await given(
      first,
      { kind: "notWith", vms: [second] },
      { kind: "on", strength: "should", label: "rack", values: ["r9"] }
    )
    await given(third, { kind: "on", label: "rack", values: ["r9"] })
    await assertAt(`/vms/${first}`, async (page) => {
      await isLive(page)
      await heading(page, "apart-1")
      const why = page.getByRole("region", { name: "Where it has to be" })
      const rule = why.getByRole("listitem").filter({ hasText: `It must be not with VM ${second}` })
      await rule.getByText("does not hold").waitFor()
      await rule.getByText(`VM ${second} (apart-2) is on root@sim-1, too`).waitFor()
      await why.getByText("These moves would make its rules hold").waitFor()
      await look(page, "vm-rules")
      await pictured(page, why, "vm-rules-why")
      await why.getByText("from root@sim-1 to").waitFor()
      await why
        .getByRole("listitem")
        .filter({ hasText: "from root@sim-1 to" })
        .getByRole("link", { name: /^root@sim-[23]$/ })
        .waitFor()
      // it goes by itself when it holds again
      await given(first)
      await why.getByText("These moves would make its rules hold").waitFor({ state: "detached" })
    })
    await assertAt(`/vms/${third}`, async (page) => {
      const why = page.getByRole("region", { name: "Where it has to be" })
      await why.getByText("No moves make all its rules hold").waitFor()
      await why.getByText(/rack/).first().waitFor()
      await look(page, "vm-rules-stuck")
      await pictured(page, why, "vm-rules-stuck-why")
    })
  })

  it("of each kind are added, changed and taken away where they are shown, after what that comes to is told", async () => {
    const { ask, assertAt, made } = gui()
    const other = await made("placed-2", { placement: { group: "placed" } })
    const id = await made("placed-1", {
      placement: {
        group: "placed",
        rules: [
          { kind: "apart" },
          // commas are how the form tells values apart, but for those in quotes
          { kind: "notOn", label: "rack", values: ["r1, left", "r2"] },
          { kind: "notWith", strength: "should", weight: 2, vms: [other] }
        ]
      }
    })
    await assertAt(`/vms/${id}`, async (page) => {
      await isLive(page)
      const where = page.getByRole("region", { name: "Where it has to be" })
      await where.getByText("It is in the group placed.").waitFor()
      assert.strictEqual(await where.getByText("holds", { exact: true }).count(), 3)
      await where.getByRole("button", { name: "Change…" }).click()
      const dialog = page.getByRole("dialog", { name: "Rules of placed-1" })
      const save = dialog.getByRole("button", { name: "Save" })
      const rule = (number: number) => dialog.getByRole("group", { name: `Rule ${number}` })
      await dialog.getByText(/^It is now: group placed; must be apart from placed over host; /).waitFor()
      assert.strictEqual(await rule(3).getByLabel("VMs").inputValue(), "placed-2")
      assert.strictEqual(await rule(3).getByLabel("How much it counts").inputValue(), "2")
      assert.strictEqual(await rule(2).getByLabel("Values").inputValue(), '"r1, left", r2')
      assert.isTrue(await save.isDisabled())
      await rule(2).getByLabel("Values").fill('"r1, left')
      await rule(2).getByText("A value in double quotes has to end with one.").waitFor()
      await rule(2).getByLabel("Values").fill('"r1, left", r2')
      // what is there, otherwise
      await rule(1).getByLabel("Over").fill("rack")
      await rule(2).getByLabel("Rule 2").selectOption("should")
      await dialog.getByRole("button", { name: "Remove rule 3" }).click()
      // and the other kinds
      const added = async (number: number, kind: string) => {
        await dialog.getByRole("button", { name: "Add rule" }).click()
        await rule(number).getByLabel("What", { exact: true }).selectOption(kind)
        return rule(number)
      }
      await (await added(3, "near")).getByLabel("Group", { exact: true }).fill("db")
      await rule(3).getByLabel("Rule 3").selectOption("should")
      await (await added(4, "evenly")).getByLabel("Over").fill("host")
      await rule(4).getByLabel("More than where fewest are, at most").fill("0")
      await (await added(5, "on")).getByLabel("Label of hosts").fill("rack")
      await rule(5).getByText("Say the label of hosts, and its values.").waitFor()
      assert.isTrue(await save.isDisabled())
      await rule(5).getByLabel("Values").fill("r1, r9")
      await rule(5).getByLabel("Rule 5").selectOption("should")
      await (await added(6, "notWith")).getByLabel("VMs").fill("nobody")
      await rule(6).getByText("There is no VM nobody.").waitFor()
      await rule(6).getByLabel("VMs").fill("placed-2")
      // in the API's words, before it is asked for
      const plan = dialog.getByRole("region", { name: "What would change" })
      await plan.getByText(/placement\.rules\.3\.skew/).waitFor()
      await rule(4).getByLabel("More than where fewest are, at most").fill("3")
      await plan
        .getByText(/^\+placement: group placed; must be apart from placed over rack; .* by 3 at most/m)
        .waitFor()
      await dialog.getByText("As commands").click()
      const [curl = "", cli = ""] = await dialog.locator(".command pre").allTextContents()
      assert.include(curl, "-X PATCH")
      assert.match(curl, /-H 'If-Match: "[^"]+"'/)
      assert.include(curl, '{"strength":"should","kind":"notOn","label":"rack","values":["r1, left","r2"]}')
      assert.include(cli, `vm set id:${id} --group placed --must 'apart over rack'`)
      assert.include(cli, `--must 'evenly over host by 3' --should 'on rack=r1,r9' --must 'not with id:${other}'`)
      assert.include(cli, `--should 'not on rack="r1, left",r2'`)
      // what it says beside the others is told of the place where it is
      const broken = plan.getByRole("list", { name: "Would not hold where it is" })
      await broken.getByText(/^must be apart from placed over rack: .* has no label rack$/).waitFor()
      await broken.getByText(/^should be on rack=r1,r9: .* has no label rack$/).waitFor()
      await lookWhole(page, "vm-rules-edit")
      await save.click()
      await dialog.waitFor({ state: "detached" })
      await where.getByText("It should be on rack=r1,r9").waitFor()
      const { answer } = await ask("GET", `/vms/${id}`)
      assert.deepStrictEqual(decodePlaced(answer).placement, {
        group: "placed",
        rules: [
          { strength: "must", kind: "apart", group: "placed", over: "rack" },
          { strength: "should", kind: "notOn", label: "rack", values: ["r1, left", "r2"] },
          { strength: "should", kind: "near", group: "db", over: "host" },
          { strength: "must", kind: "evenly", group: "placed", over: "host", skew: 3 },
          { strength: "should", kind: "on", label: "rack", values: ["r1", "r9"] },
          { strength: "must", kind: "notWith", vms: [VmId.make(other)] }
        ]
      })
      // what does not hold now is told at once: hosts here have no racks
      const apart = where.getByRole("listitem").filter({ hasText: "apart from placed over rack" })
      await apart.getByText("does not hold").waitFor()
    })
  })

  it("that somebody else has changed meanwhile are left as they are, read anew, and changed when that is wanted still", async () => {
    const { ask, assertAt, made } = gui()
    const id = await made("shared", { placement: { group: "some" } })
    await assertAt("/vms?q=shared", async (page) => {
      await isLive(page)
      await choose(page, "Actions of shared", "Rules…")
      const dialog = page.getByRole("dialog", { name: "Rules of shared" })
      await dialog.getByLabel("Group", { exact: true }).fill("")
      await dialog.getByRole("region", { name: "What would change" }).getByText("-placement: group some").waitFor()
      const cli = async () => (await dialog.locator(".command pre").allTextContents())[1]
      assert.strictEqual(await cli(), `vmfabric vm set id:${id} --anywhere --url ${gui().url}`)
      await ask("PATCH", `/vms/${id}`, { placement: { group: "others", rules: [{ kind: "apart" }] } })
      await dialog.getByRole("button", { name: "Save" }).click()
      await dialog.getByText("Somebody else has changed it").waitFor()
      await dialog.getByText("It is now: group others; must be apart from others over host.").waitFor()
      await look(page, "vm-rules-changed")
      await dialog.getByLabel("Group", { exact: true }).fill("mine")
      assert.strictEqual(await cli(), `vmfabric vm set id:${id} --group mine --no-rules --url ${gui().url}`)
      await dialog.getByRole("button", { name: "Save" }).click()
      await dialog.waitFor({ state: "detached" })
      const { answer } = await ask("GET", `/vms/${id}`)
      assert.deepStrictEqual(decodePlaced(answer).placement, { group: "mine", rules: [] })
    })
  })
})
