import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Keys from "../../src/ssh/Keys.ts"

describe("Keys", () => {
  it("an explicit key and no other, else the usual three", () => {
    assert.deepStrictEqual(Keys.candidates({ keyFile: Option.some("/k"), homeDirectory: "/root" }), [
      { path: "/k", required: true }
    ])
    assert.deepStrictEqual(
      Keys.candidates({ keyFile: Option.none(), homeDirectory: "/root" }).map(({ path }) => path),
      ["/root/.ssh/id_ed25519", "/root/.ssh/id_ecdsa", "/root/.ssh/id_rsa"]
    )
  })

  it("sees a passphrase in both formats, and the public half in OpenSSH's", () => {
    const directory = mkdtempSync(join(tmpdir(), "vmfabric-keys-"))
    try {
      for (const format of ["RFC4716", "PEM", "PKCS8"]) {
        for (const passphrase of ["", "secret words"]) {
          const file = join(directory, `${format}${passphrase.length}`)
          execFileSync("ssh-keygen", ["-q", "-t", "ecdsa", "-m", format, "-N", passphrase, "-f", file])
          const text = readFileSync(file, "utf8")
          assert.strictEqual(Keys.isEncrypted(text), passphrase !== "", `${format} ${passphrase}`)
          const blob = readFileSync(`${file}.pub`, "utf8").split(" ")[1]
          assert.strictEqual(
            Option.getOrUndefined(Option.map(Keys.publicKey(text), (key) => Buffer.from(key).toString("base64"))),
            format === "RFC4716" ? blob : undefined
          )
        }
      }
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })

  it("what is no key is none", () => {
    for (const text of ["", "x", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"]) {
      assert.isFalse(Keys.isEncrypted(text))
      assert.deepStrictEqual(Keys.publicKey(text), Option.none())
    }
  })
})
