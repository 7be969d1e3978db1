import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Rules from "../../src/cloudinit/Rules.ts"
import { mostBytes, usual } from "../../src/domain/CloudInit.ts"

const key = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"E".repeat(43)} me@here`

const refusal = (given: Rules.Given) => Effect.map(Effect.flip(Rules.make(given)), ({ message }) => message)

const multipart = [
  'Content-Type: multipart/mixed; boundary="mark"',
  "MIME-Version: 1.0",
  "",
  "--mark",
  "Content-Type: text/x-shellscript",
  "",
  "#!/bin/sh",
  "--mark--"
]

const fine: ReadonlyArray<readonly [name: string, given: Rules.Given]> = [
  ["cloud-config", { userData: "#cloud-config\npackages: [nginx]\nruncmd:\n  - echo hi\n" }],
  ["cloud-config with CR LF", { userData: "#cloud-config\r\npackages: [nginx]\r\n" }],
  ["an empty cloud-config", { userData: "#cloud-config\n" }],
  ["equal keys, of which cloud-init takes the last", { userData: "#cloud-config\na: 1\na: 2\n" }],
  ["a script", { userData: "#!/bin/sh\nprintf '\\033[0m'\n" }],
  ["MIME", { userData: multipart.join("\n") }],
  ["MIME with CR LF", { userData: multipart.join("\r\n") }],
  ["cloud-config in other letters", { userData: "#Cloud-Config\nx: 1\n" }],
  ["cloud-config after blanks", { userData: "\n  #cloud-config\na: 1\n" }],
  ["cloud-config with a comment", { userData: "#cloud-config # of mine\na: 1\n" }],
  ["a URL", { userData: "#include http://x/\n" }],
  ["a URL that is read once", { userData: "\n#Include-once http://x\nhttp://y\n" }],
  ["another kind after blanks", { userData: "\n#cloud-boothook\n#!/bin/sh\n" }],
  ["another kind", { userData: "#include\nhttps://example.org/x\n" }],
  ["a template", { userData: "## template: jinja\n#cloud-config\n{% if x %}\n" }],
  ["as much as there may be", { userData: `#!/bin/sh\n${"x".repeat(mostBytes - 10)}` }],
  ["keys", { sshKeys: [key, `no-pty,command="echo \\"a b\\"" ${key}`] }],
  ["a hostname", { hostname: "web-1.example.org" }],
  ["network-config 1", { networkConfig: "version: 1\nconfig:\n  - type: physical\n    name: eth0\n" }],
  ["network-config 2", { networkConfig: "network:\n  version: 2\n  ethernets:\n    eth0: { dhcp4: true }\n" }],
  ["network-config 2 without interfaces", { networkConfig: "version: 2\nrenderer: networkd\nethernets:\nbonds: {}\n" }]
]

const broken: ReadonlyArray<readonly [name: string, given: Rules.Given, told: RegExp]> = [
  ["an empty text", { userData: " \n" }, /^userData is empty/],
  ["more than there may be", { userData: `#!/bin/sh\n${"é".repeat(mostBytes / 2)}` }, /^userData has 65546 bytes/],
  ["neither of the kinds", { userData: "packages: [nginx]\n" }, /^userData begins on line 1 with nothing/],
  ["broken YAML", { userData: "#cloud-config\na: 1\nb: [hunter2\n" }, /^userData is no YAML at line \d/],
  ["YAML whose tabs indent", { userData: "#cloud-config\na:\n\tb: hunter2\n" }, /^userData is no YAML at line 3/],
  ["a list", { userData: "#cloud-config\n\n- hunter2\n" }, /^userData is a list at line 3/],
  ["a single value", { userData: "#cloud-config\nhunter2\n" }, /^userData is a single value at line 2/],
  ["NUL", { userData: "#!/bin/sh\n\nhunter2\0\n" }, /^userData has a character at line 3 that no text has/],
  ["half a character", { userData: "#!/bin/sh\n\ud800\n" }, /^userData has a character at line 2/],
  ["a script after blanks", { userData: "\n#!/bin/sh\nhunter2\n" }, /^userData is a script that begins at line 2/],
  [
    "a template after blanks",
    { userData: "\n## template: jinja\nhunter2\n" },
    /^userData is a template that begins at/
  ],
  ["cloud-config after a byte order mark", { userData: "\uFEFF#cloud-config\n" }, /^userData begins on line 1 with/],
  ["cloud-config on one line", { userData: "#cloud-config x: hunter2\n" }, /^userData begins on line 1 with/],
  ["a script with CR LF", { userData: "#!/bin/sh\r\nhunter2\r\n" }, /line 1 ends with CR LF/],
  ["MIME without an end", { userData: multipart.slice(0, -1).join("\n") }, /does not end \(line 7\)/],
  ["MIME without parts", { userData: multipart.slice(0, 3).join("\n") + "\nhunter2" }, /without a part/],
  ["MIME without a boundary", { userData: "Content-Type: multipart/mixed\n\nhunter2\n" }, /without a boundary/],
  ["a private key", { sshKeys: ["-----BEGIN OPENSSH PRIVATE KEY----- hunter2"] }, /^sshKeys\.0 is a private key/],
  ["a key that is cut short", { sshKeys: [key, key.slice(0, 40)] }, /^sshKeys\.1 is cut short or no key of its type/],
  ["a key of another type", { sshKeys: [key.replace("ssh-ed25519", "ssh-rsa")] }, /^sshKeys\.0 is cut short or no key/],
  ["a type that sshd does not take", { sshKeys: ["ssh-dss AAAA"] }, /^sshKeys\.0 begins with no type of key/],
  ["two keys in one", { sshKeys: [`${key}\n${key}`] }, /^sshKeys\.0 has a line end/],
  ["a line end that only some see", { sshKeys: [`${key}\u2028`] }, /^sshKeys\.0 has a line end/],
  ["too many keys", { sshKeys: Array.from({ length: 65 }, () => key) }, /^sshKeys are 65/],
  ["an underscore", { hostname: "web_1" }, /^hostname is no hostname/],
  ["a line end in a hostname", { hostname: "web\nfqdn: x" }, /^hostname is no hostname/],
  ["an address as a hostname", { hostname: "10.0.0.1" }, /^hostname is no hostname/],
  ["no version", { networkConfig: "ethernets: {}\n" }, /^networkConfig has no version/],
  ["version 1 without its list", { networkConfig: "version: 1\n" }, /^networkConfig is of version 1 and has no list/],
  [
    "interfaces without fields",
    { networkConfig: "version: 2\nethernets: 5\n" },
    /^networkConfig has at line 2 `ethernets` without/
  ],
  [
    "an interface without fields",
    { networkConfig: "version: 2\nbonds:\n  b: {}\n  hunter2: 5\n" },
    /^networkConfig has at line 4 an entry of `bonds` without/
  ],
  [
    "a list of interfaces",
    { networkConfig: "network:\n  version: 2\n  ethernets:\n    - hunter2\n" },
    /^networkConfig has at line 4 `ethernets` without/
  ],
  [
    "an entry of version 1 without a type",
    { networkConfig: "version: 1\nconfig:\n  - type: physical\n  - hunter2\n" },
    /^networkConfig has at line 4 an entry of `config` without a type/
  ],
  ["a network that is no YAML", { networkConfig: "version: 2\nx: {\n" }, /^networkConfig is no YAML at line/],
  [
    "a line end in a name",
    { networkConfig: 'version: 2\nethernets:\n  "eth0\\nup hunter2": {}\n' },
    /^networkConfig has a value with a line end or another control character at line 3/
  ]
]

describe("what cloud-init can be told", () => {
  for (const [name, given] of fine) {
    it.effect(`is ${name}`, () =>
      Effect.gen(function* () {
        const made = yield* Rules.make(given)
        assert.deepStrictEqual(made, {
          ...usual,
          ...given,
          userData: given.userData === undefined ? null : Redacted.make(given.userData)
        })
      })
    )
  }

  for (const [name, given, told] of broken) {
    it.effect(`is not ${name}, and nothing of it is told`, () =>
      Effect.gen(function* () {
        const message = yield* refusal(given)
        assert.match(message, told)
        assert.notInclude(message, "hunter2")
      })
    )
  }

  it.effect("is not shown by a log that it comes into", () =>
    Effect.gen(function* () {
      const made = yield* Rules.make({ userData: "#cloud-config\npassword: hunter2\n" })
      assert.notInclude(JSON.stringify(made), "hunter2")
    })
  )
})

describe("a change of what it is told", () => {
  it("makes another instance of the guest, unless it is not to", () => {
    const once = Rules.changed(usual, { hostname: "a" })
    assert.deepStrictEqual(once, { ...usual, hostname: "a", revision: 2, instance: 2 })
    const twice = Rules.changed(once, { hostname: null, sshKeys: [key], reapply: false })
    assert.deepStrictEqual(twice, { ...usual, sshKeys: [key], revision: 3, instance: 2 })
    assert.deepStrictEqual(Rules.changed(twice, { reapply: true }), { ...twice, revision: 4, instance: 4 })
  })

  it.effect("changes something, or is refused", () =>
    Effect.gen(function* () {
      assert.include((yield* Effect.flip(Rules.checkChange({}))).message, "changes nothing")
      yield* Rules.checkChange({ userData: null })
      assert.include((yield* Effect.flip(Rules.checkChange({ hostname: "_" }))).message, "hostname is no hostname")
    })
  )
})
