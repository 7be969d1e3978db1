/** What the page that creates VMs says when a VM cannot be: whether its reader knows what to do next. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { join } from "node:path"
import type { Page } from "playwright-core"
import * as Browsers from "./Browser.ts"
import { type Gui, isLive, served } from "./Harness.ts"

const decodeId = Schema.decodeUnknownSync(Schema.Struct({ id: Schema.Int }))
const decodeVm = Schema.decodeUnknownSync(Schema.Struct({ nics: Schema.Array(Schema.Struct({ mac: Schema.String })) }))

const gui = served({
  args: ["simulate", "--hosts", "3", "--vms", "6", "--seed", "3"],
  prepare: async ({ ask, made }) => {
    for (const body of [
      { cpu: 1024, ram: 512, disk: 10 },
      { cpu: 1, ram: 16_777_216, disk: 10 },
      { cpu: 1, ram: 512, disk: 900_000 }
    ]) {
      decodeId((await ask("POST", "/instance-types", body)).answer)
    }
    for (const number of [1, 2, 3]) {
      await made(`one-${number}`, { placement: { group: "one", rules: [{ kind: "apart" }] } })
    }
  }
})

const maintained = ({ ask }: Gui, maintenance: boolean, ...hosts: ReadonlyArray<number>) =>
  Promise.all(hosts.map((id) => ask("PATCH", `/hosts/${id}`, { maintenance })))

const rule = async (page: Page, kind: string) => {
  await page.getByText("Where it has to be: groups and rules").click()
  await page.getByRole("button", { name: "Add rule" }).click()
  await page.getByLabel("What", { exact: true }).selectOption(kind)
}

interface Refused {
  readonly name: string
  /** before the page is opened */
  readonly given?: (gui: Gui) => Promise<unknown>
  readonly filled: (page: Page, gui: Gui) => Promise<unknown>
  /** what is said: what is wrong, and what would help */
  readonly said: ReadonlyArray<RegExp>
  readonly after?: (gui: Gui) => Promise<unknown>
}

const refusals: ReadonlyArray<Refused> = [
  {
    name: "vcpus",
    filled: (page) => page.getByText("1,024 vCPUs").click(),
    said: [/vCPUs short by/, /could take it as instance type/]
  },
  {
    name: "memory",
    filled: (page) => page.getByText("16 TiB").click(),
    said: [/memory short by/, /could take it as instance type/]
  },
  {
    name: "disk",
    filled: (page) => page.getByText("878.9 TiB of disk").click(),
    said: [/disk short by/, /could take it as instance type/]
  },
  {
    name: "maintenance",
    given: (gui) => maintained(gui, true, 1, 2, 3),
    filled: (page) => page.getByLabel("Name", { exact: true }).fill("any"),
    said: [/in maintenance/, /What would help/],
    after: (gui) => maintained(gui, false, 1, 2, 3)
  },
  {
    name: "apart",
    filled: async (page) => {
      await rule(page, "apart")
      await page.getByLabel("Group", { exact: true }).last().fill("one")
    },
    said: [/must be apart from one over host, and it has 1 of one/, /could take it if this need not hold/]
  },
  {
    name: "near",
    given: (gui) => maintained(gui, true, 1, 2, 3),
    filled: async (page) => {
      await rule(page, "near")
      await page.getByLabel("Group", { exact: true }).last().fill("one")
    },
    said: [/in maintenance/],
    after: (gui) => maintained(gui, false, 1, 2, 3)
  },
  {
    name: "label",
    filled: async (page) => {
      await rule(page, "on")
      await page.getByLabel("Label of hosts").fill("rack")
      await page.getByLabel("Values").fill("r9")
    },
    said: [/must be on rack=r9, and it has no label rack/, /could take it if this need not hold/]
  },
  {
    name: "evenly",
    filled: async (page) => {
      await rule(page, "evenly")
      await page.getByLabel("Group", { exact: true }).last().fill("one")
      await page.getByLabel("Over", { exact: true }).fill("rack")
    },
    said: [/label rack/, /could take it if this need not hold/]
  },
  {
    name: "not-with",
    given: (gui) => maintained(gui, true, 2, 3),
    filled: async (page) => {
      await rule(page, "notWith")
      await page.getByLabel("VMs", { exact: true }).fill("one-1, one-2, one-3")
    },
    said: [/must be not with/, /in maintenance/, /What would help/],
    after: (gui) => maintained(gui, false, 2, 3)
  },
  {
    name: "address",
    filled: async (page, { ask }) => {
      const mac = decodeVm((await ask("GET", "/vms/1")).answer).nics[0]?.mac ?? ""
      await page.getByText("Its model and address").click()
      await page.getByLabel("MAC address").fill(mac)
    },
    said: [/52:54:00/]
  },
  {
    name: "user-data",
    filled: async (page) => {
      await page.getByText("cloud-init, tags, labels and what people say of it").click()
      await page.getByLabel("User data").fill("packages: [nginx]")
    },
    said: [/The user data cannot be used/, /#cloud-config/]
  },
  {
    name: "ssh-key",
    filled: (page) => page.getByLabel("SSH keys").fill("/home/me/.ssh/id_ed25519.pub"),
    said: [/An SSH key cannot be used/, /expected a public key as in authorized_keys/]
  }
]

describe.skipIf(Browsers.isMissing)("a VM that cannot be (needs chromium)", () => {
  for (const { after, filled, given, name, said } of refusals) {
    it(`${name}: what bars it is told while it is typed, with what would help`, async () => {
      await given?.(gui())
      try {
        await gui().assertAt("/vms/new", async (page) => {
          await isLive(page)
          await page.getByLabel("Name", { exact: true }).fill("refused")
          await filled(page, gui())
          const told = page.locator(".aside")
          await told.locator(".note").waitFor()
          for (const words of said) await told.getByText(words).first().waitFor()
          await told.screenshot({ path: join(Browsers.pictures, `refusal-${name}.png`) })
          const text = await told.innerText()
          // in words, and not as the program has it
          assert.notMatch(text, /undefined|null|\[object|[{}]/)
        })
      } finally {
        await after?.(gui())
      }
    })
  }
})
