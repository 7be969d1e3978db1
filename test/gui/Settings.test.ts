/** Accounts, tokens and webhooks in a real browser, each as the role of whoever looks allows. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { readFileSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { BrowserContext, Page } from "playwright-core"
import * as Browsers from "./Browser.ts"
import { choose, type Gui, heading, served, submit } from "./Harness.ts"
import { look } from "./Look.ts"

const password = "correct horse battery staple"

const args = ["simulate", "--hosts", "2", "--vms", "4", "--seed", "3", "--webhook-allow", "127.0.0.1"]

/** Signed in, in a window: what is asked there is asked by that user. */
const enter = async ({ url }: Gui, window: BrowserContext, name: string) => {
  const { request } = window
  const answer = await request.post(`${url}/api/v1/session`, { data: { name, password } })
  assert.isTrue(answer.ok(), await answer.text())
}

const gui = served({
  args,
  prepare: async (gui) => {
    assert.strictEqual((await gui.ask("POST", "/users", { name: "ada", role: "admin", password })).status, 201)
    await enter(gui, gui.context, "ada")
  }
})

/** What webhooks are sent to: it answers what `answers` says. */
const receiver = { url: "", answers: 204, got: 0 }
let server: Server

beforeAll(async () => {
  server = createServer((request, response) => {
    receiver.got += 1
    request.resume()
    response.writeHead(receiver.answers).end()
  })
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  assert(address !== null && typeof address === "object")
  receiver.url = `http://127.0.0.1:${address.port}`
})

afterAll(() => void server.close())

const signIn = async (page: Page, name: string, word = password) => {
  await heading(page, "Sign in to vmfabric")
  await page.getByLabel("User").fill(name)
  await page.getByLabel("Password").fill(word)
  await page.getByRole("button", { name: "Sign in" }).click()
}

/** A page of the settings, of the admin unless in another's window. */
const assertAt = (path: string, use: (page: Page) => Promise<void>, window = gui().context) =>
  gui().assertAt(`/settings${path}`, use, window)

const decodeMe = Schema.decodeUnknownSync(Schema.Struct({ user: Schema.String, role: Schema.String }))

const me = async (secret: string) => {
  const response = await fetch(`${gui().url}/api/v1/session`, { headers: { authorization: `Bearer ${secret}` } })
  return { status: response.status, who: response.ok ? decodeMe(await response.json()) : null }
}

/** What a dialog told once. */
const told = async (page: Page, name: RegExp): Promise<string> => {
  const dialog = page.getByRole("dialog", { name })
  const secret = (await dialog.locator("pre").textContent()) ?? ""
  await dialog.getByRole("button", { name: "I have it" }).click()
  await dialog.waitFor({ state: "detached" })
  return secret
}

describe.skipIf(Browsers.isMissing)("settings (needs chromium)", () => {
  it("the first user is an admin, after whom nobody is one for being on the machine", async () => {
    const untouched = await gui().another(args)
    await untouched.assertAt("/settings", async (page) => {
      await heading(page, "Settings")
      await page.getByText("there is no user yet").waitFor()
      assert.isTrue(await page.getByRole("button", { name: "Create token" }).isDisabled())
      await look(page, "settings-nobody")
      await page.getByRole("link", { name: "Create the first user" }).click()
      await page.getByRole("button", { name: "Create user" }).click()
      await page.getByLabel("Name").fill("ada")
      const create = page.getByRole("dialog").getByRole("button", { name: "Create user", exact: true })
      assert.isTrue(await create.isDisabled())
      await page.getByLabel("Password").fill("short")
      await create.click()
      await page
        .getByRole("alert")
        .getByText(/12 to 256/)
        .waitFor()
      await page.getByLabel("Password").fill(password)
      await create.click()
      await signIn(page, "ada")
      await heading(page, "Users", 2)
      await page.getByRole("row", { name: /ada/ }).getByText("admin").waitFor()
    })
  })

  it("an admin downloads a backup", () =>
    assertAt("", async (page) => {
      const begun = page.waitForEvent("download")
      await page.getByRole("link", { name: "Download a backup" }).click()
      const download = await begun
      assert.match(download.suggestedFilename(), /^vmfabric-\d{8}T\d{6}Z\.db$/)
      assert.isTrue(readFileSync(await download.path(), "latin1").startsWith("SQLite format 3\0"))
      await look(page, "settings-backup")
    }))

  it("users are created, given another role and another password, and removed by who types their name", () =>
    assertAt("/users", async (page) => {
      for (const [name, role, word] of [
        ["ola", "operator", password],
        ["vic", "viewer", password],
        ["ci", "operator", ""]
      ] as const) {
        await page.getByRole("button", { name: "Create user" }).click()
        await page.getByLabel("Name").fill(name)
        await page.getByLabel("Role", { exact: true }).selectOption(role)
        await page.getByLabel("Password").fill(word)
        if (name === "ola") {
          await page.getByText("As commands").click()
          const commands = (await page.locator(".dialog .command").textContent()) ?? ""
          assert.include(commands, `"role":"operator","password":"'"$PASSWORD"'"}' | curl`)
          assert.include(commands, "user create ola --role operator --password-file PASSWORD_FILE")
          assert.notInclude(commands, word)
        }
        await submit(page, "Create user")
        await page.getByRole("row", { name: new RegExp(`^${name} ${role}`) }).waitFor()
      }
      await page.getByRole("row", { name: /^ci/ }).getByText("no: only tokens").waitFor()
      await look(page, "users")
      await choose(page, "Actions of ci", "Change the role…")
      await page.getByLabel("Role", { exact: true }).selectOption("viewer")
      await page.getByRole("button", { name: "Make ci a viewer", exact: true }).click()
      await page.getByRole("row", { name: /^ci viewer/ }).waitFor()
      // the last admin stays one, in the API's words, with what was chosen still there
      await choose(page, "Actions of ada", "Change the role…")
      await page.getByLabel("Role", { exact: true }).selectOption("viewer")
      await page.getByRole("button", { name: "Make ada a viewer" }).click()
      await page
        .getByRole("alert")
        .getByText(/last admin|only admin/)
        .waitFor()
      await page.getByRole("button", { name: "Cancel" }).click()
      await choose(page, "Actions of ci", "Set the password…")
      await page.getByLabel("New password", { exact: true }).fill(password)
      await page.getByLabel("New password again").fill("another")
      await page.getByText("It is not the same.").waitFor()
      assert.isTrue(await page.getByRole("button", { name: "Set the password" }).isDisabled())
      await page.getByLabel("New password again").fill(password)
      await page.getByText("As commands").click()
      await page.getByText("vmfabric user password ci --url").waitFor()
      assert.notInclude((await page.locator(".dialog .command").textContent()) ?? "", password)
      await page.getByRole("button", { name: "Set the password" }).click()
      await page.getByRole("row", { name: /^ci/ }).getByText("with a password").waitFor()
      await choose(page, "Actions of ci", "Disable…")
      await page.getByText("As commands").click()
      await page.getByText("vmfabric user disable ci").waitFor()
      await look(page, "user-disable")
      await page.getByRole("button", { name: "Disable", exact: true }).click()
      await page.getByRole("row", { name: /^ci disabled viewer/ }).waitFor()
      await look(page, "users-disabled")
      await choose(page, "Actions of ci", "Enable…")
      await page.getByRole("button", { name: "Enable", exact: true }).click()
      await page.getByRole("row", { name: /^ci viewer with/ }).waitFor()
      await choose(page, "Actions of ci", "Remove…")
      const remove = page.getByRole("button", { name: "Remove ci", exact: true })
      assert.isTrue(await remove.isDisabled())
      await page.getByLabel(/Type ci/).fill("ci")
      await remove.click()
      await page.getByRole("row", { name: /^ci/ }).waitFor({ state: "detached" })
    }))

  it("what somebody else has changed since a dialog was opened is left as it is", () =>
    assertAt("/users", async (page) => {
      const { context, url } = gui()
      const asked = async (method: "POST" | "PATCH", path: string, data: object) => {
        const answer = await context.request.fetch(`${url}/api/v1/users${path}`, { method, data })
        assert.isTrue(answer.ok(), await answer.text())
      }
      await asked("POST", "", { name: "bob", role: "viewer" })
      await page.reload()
      const dialog = page.getByRole("dialog")
      const refused = dialog.getByText("Somebody else has changed it")
      // of no use without what the list does not tell
      const isGuarded = async () => {
        await dialog.getByText("As commands").click()
        await dialog.getByText(/-H 'If-Match: "[^"]+"'/).waitFor()
      }
      await choose(page, "Actions of bob", "Change the role…")
      await dialog.getByLabel("Role", { exact: true }).selectOption("admin")
      await isGuarded()
      await asked("PATCH", "/bob", { role: "operator" })
      await dialog.getByRole("button", { name: "Make bob an admin", exact: true }).click()
      await refused.waitFor()
      await dialog.getByText("By now the role is operator.").waitFor()
      await look(page, "users-changed")
      await dialog.getByRole("button", { name: "Make bob an admin", exact: true }).click()
      await dialog.waitFor({ state: "detached" })
      await page.getByRole("row", { name: /^bob admin/ }).waitFor()

      await choose(page, "Actions of bob", "Set the quota…")
      await dialog.getByLabel("VMs", { exact: true }).fill("3")
      await isGuarded()
      await asked("PATCH", "/bob", { quota: { vms: 5, volumes: 7 } })
      await dialog.getByRole("button", { name: "Set the quota", exact: true }).click()
      await refused.waitFor()
      await dialog.getByText("By now it is 5 VMs, 7 volumes.").waitFor()
      assert.strictEqual(await dialog.getByLabel("Volumes", { exact: true }).inputValue(), "7")
      assert.strictEqual(await dialog.getByLabel("VMs", { exact: true }).inputValue(), "3")
      await dialog.getByRole("button", { name: "Cancel" }).click()

      await choose(page, "Actions of bob", "Disable…")
      await isGuarded()
      await asked("PATCH", "/bob", { disabled: true })
      await dialog.getByRole("button", { name: "Disable", exact: true }).click()
      await refused.waitFor()
      await dialog.getByText("Somebody else has done it by now.").waitFor()
      assert.isTrue(await dialog.getByRole("button", { name: "Disable", exact: true }).isDisabled())
      await dialog.getByRole("button", { name: "Cancel" }).click()

      await choose(page, "Actions of bob", "Set the password…")
      await dialog.getByLabel("New password", { exact: true }).fill(password)
      await dialog.getByLabel("New password again").fill(password)
      await isGuarded()
      await asked("PATCH", "/bob", { disabled: false })
      await dialog.getByRole("button", { name: "Set the password" }).click()
      await refused.waitFor()
      await dialog.getByRole("button", { name: "Cancel" }).click()

      await choose(page, "Actions of bob", "Remove…")
      await isGuarded()
      await asked("PATCH", "/bob", { role: "viewer" })
      await dialog.getByLabel(/Type bob/).fill("bob")
      await dialog.getByRole("button", { name: "Remove bob", exact: true }).click()
      await page.getByRole("list", { name: "What was asked for" }).getByText("Somebody else has changed it").waitFor()
      await page.getByRole("row", { name: /^bob/ }).waitFor()
    }))

  it("a user has a quota, which is seen by them and by admins, and what it does not allow is said where it is asked for", () =>
    assertAt("/users", async (page) => {
      await page.getByRole("button", { name: "Create user" }).click()
      await page.getByLabel("Name").fill("quinn")
      await page.getByLabel("Role", { exact: true }).selectOption("operator")
      await page.getByLabel("Password").fill(password)
      await page.getByLabel("VMs", { exact: true }).fill("2")
      await page.getByLabel("GiB of volumes").fill("50")
      await page.getByText("As commands").click()
      await page
        .getByText(
          "vmfabric user create quinn --role operator --password-file PASSWORD_FILE --quota vms=2 --quota volumeSize=50"
        )
        .waitFor()
      await look(page, "user-new-quota")
      await submit(page, "Create user")
      await page
        .getByRole("row", { name: /^quinn operator/ })
        .getByText("0 of 2 VMs, 0 GiB of 50 GiB of volumes")
        .waitFor()

      const window = await gui().opened()
      await enter(gui(), window, "quinn")
      await assertAt(
        "",
        async (own) => {
          await own.getByText("Your quota: 0 of 2 VMs, 0 GiB of 50 GiB of volumes").waitFor()
          for (const name of ["one", "two"]) {
            const made = await window.request.post(`${gui().url}/api/v1/vms`, {
              data: { name, instanceType: 1 },
              headers: { prefer: "wait=20" }
            })
            assert.strictEqual(made.status(), 200, await made.text())
          }
          await own.goto(`${gui().url}/ui/vms/new`)
          const asked = own.waitForResponse((response) => (response.request().postData() ?? "").includes('"three"'))
          await own.getByLabel("Name", { exact: true }).fill("three")
          await asked
          await own.getByText("The quota does not allow it").waitFor()
          await own.getByText(/^the quota of quinn has 2 VMs \(2 used, 1 more asked for\): ask for less/i).waitFor()
          await look(own, "create-over-quota")
          await own.goto(`${gui().url}/ui/vms`)
          await own.getByRole("link", { name: "one", exact: true }).click()
          await own
            .getByRole("definition")
            .filter({ hasText: /^quinn$/ })
            .waitFor()
        },
        window
      )

      await page.reload()
      const row = page.getByRole("row", { name: /^quinn operator/ })
      await row.getByText("2 of 2 VMs").waitFor()
      await choose(page, "Actions of quinn", "Set the quota…")
      const set = page.getByRole("button", { name: "Set the quota", exact: true })
      assert.isTrue(await set.isDisabled())
      await page.getByLabel("VMs", { exact: true }).fill("1")
      await page.getByText("Less than they have: it stays, and there can be no more of it.").waitFor()
      await page.getByLabel("GiB of volumes").fill("")
      await page.getByText("As commands").click()
      await page.getByText("vmfabric user set quinn --quota vms=1 --quota volumeSize=none").waitFor()
      await page.getByText('{"quota":{"vms":1,"volumeSize":null}}').waitFor()
      await look(page, "user-quota")
      await set.click()
      await row.getByText("2 of 1 VMs").waitFor()
      await look(page, "users-over-quota")
      await choose(page, "Actions of quinn", "Remove…")
      await page.getByLabel(/Type quinn/).fill("quinn")
      await page.getByRole("button", { name: "Remove quinn", exact: true }).click()
      await row.waitFor({ state: "detached" })
    }))

  it("a token of a narrower role is told once, opens the door, and is revoked", () =>
    assertAt("", async (page) => {
      await page.getByRole("button", { name: "Create token" }).click()
      await page.getByLabel("What it is for").fill("nightly")
      await page.getByLabel("What it may").selectOption("viewer")
      await page.getByLabel("For how long").selectOption("30")
      await look(page, "token-new")
      await page.getByText("As commands").click()
      await page.getByText("vmfabric token create --name nightly --role viewer --days 30").waitFor()
      await submit(page, "Create token")
      await page.getByText("Copy it now").waitFor()
      await look(page, "token-secret")
      const secret = await told(page, /Token nightly/)
      assert.match(secret, /^vmf_/)
      assert.deepStrictEqual(await me(secret), { status: 200, who: { user: "ada", role: "viewer" } })
      assert.notInclude(await page.content(), secret)
      await page.reload()
      await page.getByRole("row", { name: /nightly ada viewer/ }).waitFor()
      await look(page, "tokens")
      await page.getByRole("button", { name: "Revoke… nightly" }).click()
      await page.getByText("As commands").click()
      await page.getByText(/-H 'If-Match: "[^"]+"'/).waitFor()
      await page.getByRole("button", { name: "Revoke nightly", exact: true }).click()
      await page.getByText("No tokens yet").waitFor()
      assert.strictEqual((await me(secret)).status, 401)
    }))

  it("a viewer has tokens and a password of their own, and nothing else", async () => {
    const vic = { name: "vic-2", role: "viewer", password }
    assert.strictEqual((await gui().context.request.post(`${gui().url}/api/v1/users`, { data: vic })).status(), 201)
    const own = await gui().opened()
    await assertAt(
      "",
      async (page) => {
        await signIn(page, "vic-2")
        await heading(page, "API tokens", 2)
        assert.strictEqual(await page.getByRole("link", { name: "Users" }).count(), 0)
        assert.strictEqual(await page.getByRole("link", { name: "Download a backup" }).count(), 0)
        await page.getByRole("button", { name: "Create token" }).click()
        await page.getByLabel("What it may").waitFor()
        assert.deepStrictEqual(await page.getByLabel("What it may").locator("option").allTextContents(), ["viewer"])
        await page.getByText(/^viewer: sees everything but secrets\. Never more/).waitFor()
        assert.strictEqual(await page.getByLabel("Whose it is").count(), 0)
        await page.getByRole("button", { name: "Cancel" }).click()
        await page.getByRole("button", { name: "Change your password…" }).click()
        const change = async (present: string) => {
          await page.getByLabel("Present password").fill(present)
          await page.getByLabel("New password", { exact: true }).fill(`${password} 2`)
          await page.getByLabel("New password again").fill(`${password} 2`)
          await page.getByRole("button", { name: "Set the password" }).click()
        }
        await change("wrong")
        await page.getByRole("alert").waitFor()
        await change(password)
        const again = page.getByRole("dialog", { name: "Sign in again" })
        await again.getByLabel("Password").fill(`${password} 2`)
        await again.getByRole("button", { name: "Sign in" }).click()
        await again.waitFor({ state: "detached" })
        await heading(page, "API tokens", 2)
        await page.goto(`${gui().url}/ui/settings/users`)
        await page.getByText("This needs the role admin").waitFor()
        await look(page, "settings-viewer")
      },
      own
    )
  })

  it("a webhook is created with a secret told once, tested, changed, and removed", () =>
    assertAt("/webhooks", async (page) => {
      receiver.answers = 204
      receiver.got = 0
      await page.getByText("No webhooks yet").waitFor()
      await page.getByRole("button", { name: "Create webhook" }).click()
      await page.getByLabel("Address").fill("not a url")
      await submit(page, "Create webhook")
      await page.getByRole("alert").getByText("Address cannot be used").waitFor()
      await page.getByLabel("Address").fill(`${receiver.url}/hooks`)
      await page.getByLabel("All events").uncheck()
      assert.isTrue(await page.getByRole("dialog").getByRole("button", { name: "Create webhook" }).isDisabled())
      await page.getByLabel("vm.created").check()
      await look(page, "webhook-new")
      await submit(page, "Create webhook")
      assert.match(await told(page, /secret of webhook/), /^whsec_/)
      const card = page.getByRole("region", { name: "Webhook 1" })
      await card.getByText("vm.created").waitFor()
      await card.getByRole("button", { name: "Test" }).click()
      await card.getByText(/The test arrived, answered by 204/).waitFor()
      assert.isAbove(receiver.got, 0)
      receiver.answers = 503
      await card.getByRole("button", { name: "Test" }).click()
      await card.getByText(/The test did not arrive: .*503/).waitFor()
      await card.getByText("Last deliveries").click()
      const tries = card.getByRole("region", { name: "Deliveries of webhook 1" }).getByRole("listitem")
      await tries.nth(1).waitFor()
      assert.match((await tries.nth(0).textContent()) ?? "", /failed.*test.*503 after .*answers 503/)
      assert.match((await tries.nth(1).textContent()) ?? "", /arrived.*test.*204 after/)
      // one that fails is seen without looking for it, and there is another line as soon as it was tried
      await gui().context.request.post(`${gui().url}/api/v1/vms`, { data: { name: "told", instanceType: 1 } })
      await card.getByText("retrying").waitFor()
      await card.getByText(/It is tried again/).waitFor()
      await tries
        .filter({ hasText: /failed.*vm.created, event \d+/ })
        .first()
        .waitFor()
      await tries.filter({ hasText: "try 2" }).first().waitFor()
      receiver.answers = 204
      await card.getByRole("button", { name: "Test" }).click()
      await tries
        .filter({ hasText: /arrived.*vm.created/ })
        .first()
        .waitFor()
      receiver.answers = 503
      await gui().context.request.post(`${gui().url}/api/v1/vms`, { data: { name: "told-2", instanceType: 1 } })
      await card.getByText("retrying").waitFor()
      await look(page, "webhooks")
      const more = async (entry: string) => {
        await card.getByRole("button", { name: "More" }).click()
        await page.getByRole("menuitem", { name: entry }).click()
      }
      await more("Change…")
      // another admin is quicker: that is told, and what was not touched here is as it is now
      const other = `${receiver.url}/other`
      await gui().context.request.patch(`${gui().url}/api/v1/webhooks/1`, { data: { url: other } })
      await page.getByLabel("All events").check()
      const change = page.getByRole("button", { name: "Change webhook 1", exact: true })
      await change.click()
      await page.getByText("Somebody else has changed it").waitFor()
      await page.getByText(`By now it is of vm.created, to ${other}.`).waitFor()
      assert.strictEqual(await page.getByLabel("Address").inputValue(), other)
      await change.click()
      await card.getByText("all", { exact: true }).waitFor()
      await more("New secret…")
      await page.getByRole("button", { name: "Give webhook 1 a new secret", exact: true }).click()
      assert.match(await told(page, /secret of webhook/), /^whsec_/)
      await more("Remove…")
      await page.getByRole("button", { name: "Remove webhook 1", exact: true }).click()
      await page.getByText("No webhooks yet").waitFor()
    }))
})
