import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Redacted from "effect/Redacted"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parse } from "yaml"
import * as Iso9660 from "../../src/cloudinit/Iso9660.ts"
import * as Seed from "../../src/cloudinit/Seed.ts"
import { hostnameOf, isHostname, mostBytes, usual } from "../../src/domain/CloudInit.ts"
import { DomainUuid, VmId } from "../../src/domain/Ids.ts"

const vm = {
  id: VmId.make(7),
  uuid: DomainUuid.make("6f1d8c1e-2b41-4c0e-9d5c-0b6b8e0f5a11"),
  name: "web"
}

/** With what has broken other programs that wrote YAML: line ends of every kind, quotes, what looks like something else. */
const nasty = fc.oneof(
  fc.string({ unit: "binary" }).filter((text) => !/\p{Cs}/u.test(text)),
  fc
    .array(
      fc.constantFrom(
        "a",
        "\n",
        "\r",
        "\r\n",
        "\0",
        "\u0085",
        "\u2028",
        "\u2029",
        "\ufeff",
        '"',
        "'",
        ": ",
        "- ",
        "#",
        "%",
        "{",
        "\\",
        "\t"
      ),
      { maxLength: 12 }
    )
    .map((parts) => parts.join("")),
  fc.constantFrom("yes", "0777", "1:30", "null", "~", "2026-01-01", "52:54:00:12:34:56", "1e3", "=", "<<", "")
)

describe("a seed", () => {
  for (const version of ["1.1", "1.2"] as const) {
    it(`says what it was given, as YAML ${version} has it`, () => {
      fc.assert(
        fc.property(nasty, fc.array(nasty, { minLength: 1 }), fc.integer({ min: 1 }), (hostname, sshKeys, instance) => {
          const text = Seed.files(vm, { ...usual, hostname, sshKeys, instance })["meta-data"] ?? ""
          assert.notMatch(text, /[\0-\t\v-\x1f\x7f-\x9f\u2028\u2029\ufeff]/, "a line end that only some would see")
          assert.deepStrictEqual(parse(text, { version }), {
            "instance-id": `${vm.uuid}-${instance}`,
            "local-hostname": hostname,
            "public-keys": sshKeys
          })
        })
      )
    })
  }

  it("carries user data and network configuration byte for byte", () => {
    fc.assert(
      fc.property(nasty, nasty, (userData, networkConfig) => {
        const read = Iso9660.read(Seed.build(vm, { ...usual, userData: Redacted.make(userData), networkConfig }))
        const text = (name: string) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(read?.get(name))
        assert.strictEqual(text("user-data"), userData)
        assert.strictEqual(text("network-config"), networkConfig)
      })
    )
  })

  it("is there without anything given: a hostname of the VM's name, and no network configuration", () => {
    const files = Seed.files(vm, usual)
    assert.sameMembers(Object.keys(files), ["meta-data", "user-data", "vendor-data"])
    assert.deepStrictEqual(parse(files["meta-data"] ?? ""), {
      "instance-id": `${vm.uuid}-1`,
      "local-hostname": "web"
    })
    assert.match(files["user-data"] ?? "", /^#cloud-config\n/)
    // an image may come with keys that all who use it know
    assert.deepStrictEqual(parse(files["vendor-data"] ?? ""), {})
  })

  it("keeps the guest's own SSH host keys when all is applied again", () => {
    const files = Seed.files(vm, { ...usual, revision: 4, instance: 4 })
    const { bootcmd, ...rest }: { readonly bootcmd: ReadonlyArray<string> } = parse(files["vendor-data"] ?? "")
    assert.deepStrictEqual(rest, { ssh_deletekeys: false })
    // those that a power cut has left empty are made anew
    assert.strictEqual(bootcmd.length, 1)
    const folder = mkdtempSync(join(tmpdir(), "vmfabric-keys-"))
    for (const [name, content] of Object.entries({ rsa: "", ed25519: "key" })) {
      writeFileSync(join(folder, `ssh_host_${name}_key`), content)
      writeFileSync(join(folder, `ssh_host_${name}_key.pub`), content)
    }
    execFileSync("sh", ["-c", String(bootcmd[0]).replaceAll("/etc/ssh", folder)])
    assert.sameMembers(readdirSync(folder), ["ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"])
    rmSync(folder, { recursive: true })
  })

  it("fits its disk with the most that can be given", () => {
    const text = "é".repeat(mostBytes / 2)
    const most = { ...usual, userData: Redacted.make(text), networkConfig: text, sshKeys: [text] }
    assert.isAtMost(Seed.build(vm, most).length, Seed.capacity)
  })
})

describe("the hostname of a VM that was given none", () => {
  for (const [name, hostname] of [
    ["web-1", "web-1"],
    ["Web.Example.ORG", "web.example.org"],
    ["Bücher & Dateien", "bucher-dateien"],
    ["  x", "x"],
    ["-a-", "a"],
    ["日本", "vm-7"],
    ["10.0.0.1", "10-0-0-1"],
    ["12", "vm-7"],
    ["a".repeat(62) + " b", "a".repeat(62)]
  ] as const) {
    it(`is ${hostname} for ${JSON.stringify(name.slice(0, 20))}`, () => {
      assert.strictEqual(hostnameOf({ id: 7, name }), hostname)
    })
  }

  it("is always one", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (name) => {
        assert.isTrue(isHostname(hostnameOf({ id: 7, name })))
      })
    )
  })
})
