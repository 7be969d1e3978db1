import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Iso9660 from "../../src/cloudinit/Iso9660.ts"
import * as Tools from "../check/Tools.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const names = ["meta-data", "user-data", "vendor-data", "network-config"] as const

const files = fc
  .subarray([...names])
  .chain((some) =>
    fc.tuple(...some.map((name) => fc.record({ name: fc.constant(name), content: fc.uint8Array({ maxLength: 9000 }) })))
  )

const inFile = <A>(image: Uint8Array, use: (path: string, folder: string) => A): A => {
  const folder = mkdtempSync(join(tmpdir(), "vmfabric-iso-"))
  try {
    writeFileSync(join(folder, "seed.iso"), image)
    return use(join(folder, "seed.iso"), folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe("a small ISO 9660 image", () => {
  it("has the files that were put into it", () => {
    fc.assert(
      fc.property(files, (given) => {
        const read = Iso9660.read(Iso9660.build("cidata", given))
        assert.deepStrictEqual(
          [...(read ?? [])].map(([name, content]) => ({ name, content: [...content] })),
          given
            .toSorted((a, b) => (a.name < b.name ? -1 : 1))
            .map(({ content, name }) => ({ name, content: [...content] }))
        )
      })
    )
  })

  it("is the same for the same files, in whichever order they come", () => {
    const [one, other] = [
      { name: "meta-data", content: bytes("a: b\n") },
      { name: "user-data", content: bytes("#!/bin/sh\n") }
    ]
    assert.deepStrictEqual(Iso9660.build("cidata", [one!, other!]), Iso9660.build("cidata", [other!, one!]))
  })

  it("is none for those who read something else", () => {
    assert.isUndefined(Iso9660.read(new Uint8Array(100_000)))
    assert.isUndefined(Iso9660.read(new Uint8Array(10)))
  })

  const given = names.map((name) => ({ name, content: bytes(`content of ${name}\n`.repeat(name.length * 20)) }))
  const image = Iso9660.build("cidata", given)

  it.skipIf(Tools.isMissing("blkid"))("is what blkid takes for an ISO 9660 with its label", () => {
    const said = inFile(image, (path) => execFileSync("blkid", ["-p", "-o", "export", path], { encoding: "utf8" }))
    assert.match(said, /^LABEL=cidata$/m)
    assert.match(said, /^TYPE=iso9660$/m)
  })

  it.skipIf(Tools.isMissing("xorriso"))("is read by xorriso, with Joliet's names", () => {
    inFile(image, (path, folder) => {
      const out = join(folder, "out")
      execFileSync("xorriso", ["-osirrox", "on", "-indev", path, "-extract", "/", out], { stdio: "pipe" })
      for (const { content, name } of given)
        assert.deepStrictEqual(new Uint8Array(readFileSync(join(out, name))), content)
    })
  })

  it.skipIf(Tools.isMissing("isoinfo"))("is read by isoinfo, with Joliet and without", () => {
    inFile(image, (path) => {
      for (const { content, name } of given) {
        const said = execFileSync("isoinfo", ["-i", path, "-J", "-x", `/${name}`])
        assert.deepStrictEqual(new Uint8Array(said), content)
        const plain = execFileSync("isoinfo", ["-i", path, "-x", `/${name.toUpperCase()};1`])
        assert.deepStrictEqual(new Uint8Array(plain), content)
      }
    })
  })
})
