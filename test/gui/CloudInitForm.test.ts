/** What is filled in of cloud-init, as requests and the command line have it. */
import { assert, describe, it } from "@effect/vitest"
import * as CloudInitForm from "../../src/gui/parts/CloudInitForm.ts"

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEpbO8l0aO8l0aO8l0aO8l0aO8l0aO8l0aO8l0aO8l0a me@here"

const before = CloudInitForm.formOf({
  hostname: "web-1",
  sshKeys: [key],
  userData: "#cloud-config\npackages: [nginx]\n",
  networkConfig: null
})

describe("what a guest is told by cloud-init", () => {
  it("is a change only where it differs, and what is empty is not told any more", () => {
    const form = { ...before, hostname: " web-2 ", sshKeys: "", networkConfig: "version: 2\n" }
    assert.deepStrictEqual(CloudInitForm.changeOf(before, form, true), {
      hostname: "web-2",
      sshKeys: [],
      networkConfig: "version: 2\n"
    })
    assert.deepStrictEqual(CloudInitForm.changeWords(before, form, true), {
      words: ["--hostname", "web-2", "--clear", "ssh-keys", "--network-config", "-"],
      input: "version: 2\n"
    })
    const cleared = { ...before, hostname: "", userData: " \n", sshKeys: `${key}\n${key}` }
    assert.deepStrictEqual(CloudInitForm.changeOf(before, cleared, false), {
      hostname: null,
      sshKeys: [key, key],
      userData: null,
      reapply: false
    })
    assert.deepStrictEqual(CloudInitForm.changeWords(before, cleared, false), {
      words: ["--clear", "hostname", "--ssh-key", key, "--ssh-key", key, "--clear", "user-data", "--no-reapply"]
    })
    // standard input is read once
    const both = { ...before, userData: "#!/bin/sh\n", networkConfig: "version: 2\n" }
    assert.deepStrictEqual(CloudInitForm.changeWords(before, both, true), {
      words: ["--user-data", "-", "--network-config", "network-config"],
      input: "#!/bin/sh\n"
    })
  })

  it("is done again as it is when nothing differs: blank lines and blanks around it do not", () => {
    const same = { ...before, hostname: "web-1 ", sshKeys: `\n${key}\n\n` }
    assert.isFalse(CloudInitForm.differs(before, same))
    assert.deepStrictEqual(CloudInitForm.changeOf(before, same, true), { reapply: true })
    assert.deepStrictEqual(CloudInitForm.changeWords(before, same, true), { words: ["--reapply"] })
  })

  it("that cannot be is told at its field", () => {
    assert.deepStrictEqual(CloudInitForm.wrongIn(before), {})
    const many = Array.from({ length: 65 }, () => key).join("\n")
    assert.deepStrictEqual(Object.keys(CloudInitForm.wrongIn({ ...before, sshKeys: many })), ["sshKeys"])
  })
})
