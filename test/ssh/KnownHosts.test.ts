import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import { execFileSync } from "node:child_process"
import { createHmac } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as KnownHosts from "../../src/ssh/KnownHosts.ts"

/** a key in wire format: its type, then anything */
const key = (type: string, seed: number): Buffer => {
  const name = Buffer.from(type)
  const head = Buffer.alloc(4)
  head.writeUInt32BE(name.length)
  const body = Buffer.alloc(36, seed)
  body.writeUInt32BE(32)
  return Buffer.concat([head, name, body])
}
const ed = key("ssh-ed25519", 1)
const otherEd = key("ssh-ed25519", 2)
const rsa = key("ssh-rsa", 3)
const line = (hosts: string, blob: Buffer, comment = "") =>
  `${hosts} ${Option.getOrThrow(KnownHosts.keyType(blob))} ${blob.toString("base64")}${comment}`
const hashed = (name: string, salt = Buffer.alloc(20, 9)) =>
  `|1|${salt.toString("base64")}|${createHmac("sha1", salt).update(name).digest("base64")}`
const verify = (lines: ReadonlyArray<string>, host: string, port: number, blob: Buffer) =>
  KnownHosts.verify(KnownHosts.parse(lines.join("\n")), host, port, blob)._tag

describe("KnownHosts", () => {
  it.each([
    ["a plain name", [line("h", ed)], "h", 22, "Match"],
    ["any case", [line("Host.Example", ed)], "hOST.example", 22, "Match"],
    ["a comment and CRLF", ["# x", "", line("h", ed, " a comment here\r"), "\r"], "h", 22, "Match"],
    ["tabs", [line("h", ed).replaceAll(" ", "\t")], "h", 22, "Match"],
    ["a list", [line("a,h,10.0.0.1", ed)], "10.0.0.1", 22, "Match"],
    ["another name", [line("hh,xh,h.x", ed)], "h", 22, "Unknown"],
    ["a port", [line("[h]:2222", ed)], "h", 2222, "Match"],
    ["another port", [line("[h]:2222", ed)], "h", 2223, "Unknown"],
    ["the port's line for port 22", [line("[h]:2222", ed)], "h", 22, "Unknown"],
    ["the plain name for another port: the very key", [line("h", ed)], "h", 2222, "Match"],
    ["the plain name for another port: another key", [line("h", otherEd)], "h", 2222, "Unknown"],
    ["IPv6", [line("fe80::1", ed)], "fe80::1", 22, "Match"],
    ["IPv6 and a port", [line("[fe80::1]:2222", ed)], "fe80::1", 2222, "Match"],
    ["a star", [line("*.example.org", ed)], "a.b.example.org", 22, "Match"],
    ["a star that does not fit", [line("*.example.org", ed)], "example.org", 22, "Unknown"],
    ["a question mark", [line("node-?", ed)], "node-7", 22, "Match"],
    ["a question mark stands for one", [line("node-?", ed)], "node-17", 22, "Unknown"],
    ["a star and a port", [line("[*]:2222", ed)], "h", 2222, "Match"],
    ["a negation", [line("*,!bad", ed)], "bad", 22, "Unknown"],
    ["a negation of others", [line("*,!bad", ed)], "good", 22, "Match"],
    ["only a negation", [line("!bad", ed)], "good", 22, "Unknown"],
    ["a hash", [line(hashed("h"), ed)], "H", 22, "Match"],
    ["a hash with a port", [line(hashed("[h]:2222"), ed)], "h", 2222, "Match"],
    ["another's hash", [line(hashed("x"), ed)], "h", 22, "Unknown"],
    ["a changed key", [line("h", otherEd)], "h", 22, "Changed"],
    ["a key of another type", [line("h", rsa)], "h", 22, "Changed"],
    ["one key of several", [line("h", rsa), line("h", otherEd), line("h", ed)], "h", 22, "Match"],
    ["a revoked key", [line("h", ed), `@revoked ${line("*", ed)}`], "h", 22, "Revoked"],
    ["a revoked key under the plain name", [line("[h]:2", ed), `@revoked ${line("h", ed)}`], "h", 2, "Revoked"],
    ["another key revoked", [line("h", ed), `@revoked ${line("*", otherEd)}`], "h", 22, "Match"],
    ["another host's revoked", [line("h", ed), `@revoked ${line("x", ed)}`], "h", 22, "Match"],
    ["an authority", [`@cert-authority ${line("*", ed)}`], "h", 22, "Unknown"],
    ["an unknown marker", [`@trusted ${line("*", ed)}`], "h", 22, "Unknown"]
  ] as const)("%s", (_, lines, host, port, verdict) => {
    assert.strictEqual(verify(lines, host, port, ed), verdict)
  })

  it("lines that are no lines count for nothing and are told", () => {
    const bad = [
      "h",
      "h ssh-ed25519",
      "h ssh-ed25519 !!!!",
      `h ssh-rsa ${ed.toString("base64")}`,
      "h 1024 35 1234567890",
      `h ssh-ed25519 ${Buffer.from([0, 0, 0, 99]).toString("base64")}`,
      "@revoked",
      "@x h y z"
    ]
    const known = KnownHosts.parse([...bad, "  # comment", line("h", ed)].join("\n"))
    assert.deepStrictEqual(known.ignored, [1, 2, 3, 4, 5, 6, 7, 8])
    assert.strictEqual(known.entries.length, 1)
    assert.strictEqual(known.entries[0]?.line, 10)
  })

  it("any text is parsed, and trusts no key that is not in it", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.fullUnicodeString(), FastCheck.string(), (noise, more) => {
        const known = KnownHosts.parse(`${noise}\n${more}|1|\n${line("h", otherEd)}`)
        assert.notStrictEqual(KnownHosts.verify(known, "h", 22, ed)._tag, "Match")
      })
    )
  })

  it("a pattern of many stars is judged at once", () => {
    const stars = `${"*a".repeat(60)}b`
    assert.strictEqual(verify([line(stars, ed)], "a".repeat(250), 22, ed), "Unknown")
  })

  it("the types to ask for are those the host is known by", () => {
    const known = KnownHosts.parse(
      [
        line("h", rsa),
        line("h", ed),
        line("x", key("ecdsa-sha2-nistp256", 1)),
        `@revoked ${line("h", key("ssh-dss", 1))}`
      ].join("\n")
    )
    assert.deepStrictEqual(KnownHosts.keyTypes(known, "h", 22), ["ssh-rsa", "ssh-ed25519"])
    assert.deepStrictEqual(KnownHosts.keyTypes(known, "h", 2222), ["ssh-rsa", "ssh-ed25519"])
    assert.deepStrictEqual(KnownHosts.keyTypes(known, "y", 22), [])
  })

  it("agrees with ssh-keygen on fingerprints, hashed files and what -R forgets", () => {
    const directory = mkdtempSync(join(tmpdir(), "vmfabric-known-"))
    try {
      const keygen = (...args: Array<string>) => execFileSync("ssh-keygen", args, { encoding: "utf8", stdio: "pipe" })
      const blobs = ["ed25519", "ecdsa", "rsa"].map((type) => {
        const file = join(directory, type)
        keygen("-q", "-t", type, "-N", "", "-f", file)
        const [name = "", base64 = ""] = readFileSync(`${file}.pub`, "utf8").split(" ")
        const blob = Buffer.from(base64, "base64")
        assert.strictEqual(KnownHosts.fingerprint(blob), keygen("-lf", `${file}.pub`).split(" ")[1])
        assert.deepStrictEqual(KnownHosts.keyType(blob), Option.some(name))
        return blob
      })
      const file = join(directory, "known_hosts")
      const names = ["h.example", "[h.example]:2222", "fe80::1"]
      writeFileSync(file, names.flatMap((name) => blobs.map((blob) => `${line(name, blob)}\n`)).join(""))
      keygen("-H", "-f", file)
      assert.notInclude(readFileSync(file, "utf8"), "example")
      const known = () => KnownHosts.parse(readFileSync(file, "utf8"))
      for (const [host, port] of [
        ["h.example", 22],
        ["h.example", 2222],
        ["fe80::1", 22]
      ] as const) {
        for (const blob of blobs) assert.strictEqual(KnownHosts.verify(known(), host, port, blob)._tag, "Match")
        assert.strictEqual(KnownHosts.verify(known(), host, port, ed)._tag, "Changed")
      }
      const changed = KnownHosts.verify(known(), "h.example", 2222, ed)
      const refusal = Option.getOrThrow(KnownHosts.refusal(changed, { host: "h.example", port: 2222, key: ed, file }))
      const [forget = ""] = refusal.accept.split(" && ")
      execFileSync("/bin/sh", ["-c", forget], { stdio: "pipe" })
      const plain = Buffer.from(blobs[0] ?? "")
      assert.strictEqual(KnownHosts.keyTypes(known(), "h.example", 22).length, 3)
      assert.strictEqual(KnownHosts.verify(known(), "h.example", 2222, ed)._tag, "Unknown")
      assert.strictEqual(KnownHosts.verify(known(), "h.example", 22, plain)._tag, "Match")
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })

  it("a revoked key is never offered for acceptance: scanning again does not undo the revocation", () => {
    const lines = [`@revoked ${line("h", ed)}`, line("h", ed)]
    const refusal = Option.getOrThrow(
      KnownHosts.refusal({ _tag: "Revoked", line: 1 }, { host: "h", port: 22, key: ed, file: "/k" })
    )
    assert.strictEqual(refusal.accept, "ssh-keyscan -p 22 -t ed25519 h >> /k")
    assert.strictEqual(verify(lines, "h", 22, ed), "Revoked")
  })

  it("what it tells can be acted on, and nothing in it is for the shell to take apart", () => {
    const shown = { host: "h", port: 22, key: ed, file: "/home/a b/known_hosts" }
    const refusal = Option.getOrThrow(KnownHosts.refusal({ _tag: "Unknown" }, shown))
    assert.strictEqual(refusal.accept, "ssh-keyscan -p 22 -t ed25519 h >> '/home/a b/known_hosts'")
    assert.include(refusal.reason, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    assert.deepStrictEqual(KnownHosts.refusal({ _tag: "Match" }, shown), Option.none())
    // a file that cannot be read overrules everything, a match as well
    assert.isTrue(Option.isSome(KnownHosts.refusal({ _tag: "Match" }, { ...shown, problem: "EACCES" })))
  })
})
