/** What is copied of a VM or a volume: only what can be done with it as it is. */
import { assert, beforeEach, describe, it } from "@effect/vitest"
import { vi } from "vitest"
import type { Volume } from "../../../src/api/Volumes.ts"
import { VolumeId } from "../../../src/domain/Ids.ts"
import { anyVm } from "../Vms.ts"

beforeEach(() => {
  vi.stubGlobal("location", { origin: "http://127.0.0.1:1" })
  vi.stubGlobal("window", { location })
})

describe("what is copied", () => {
  it("of a VM is what it can do as it is, and destroying it", async () => {
    const { commandsOf } = await import("../../../src/gui/parts/VmActions.ts")
    const named = (change: Partial<typeof anyVm>) => commandsOf({ ...anyVm, ...change }).map(({ name }) => name)
    assert.deepStrictEqual(named({ state: "running" }), [
      "Shut down",
      "Reboot",
      "Pause",
      "Reset",
      "Power off",
      "Destroy"
    ])
    assert.deepStrictEqual(named({ state: "stopped", drift: 1 }), ["Start", "Repair", "Destroy"])
    assert.deepStrictEqual(named({ state: "paused" }), ["Resume", "Power off", "Destroy"])
  })

  it("of a volume is what can be done with it where it is", async () => {
    const { commandsOf } = await import("../../../src/gui/parts/VolumeActions.ts")
    const volume: Volume = {
      id: VolumeId.make(3),
      name: "data",
      size: 10,
      state: "available",
      driver: "dir",
      hostId: null,
      vmId: null,
      target: null,
      serial: "vol-3",
      snapshotId: null,
      purgeAt: null
    }
    const words = (state: Volume["state"]) => commandsOf({ ...volume, state }).map((one) => one.words.join(" "))
    assert.deepStrictEqual(words("available"), [
      "volume attach id:3 --vm VM",
      "snapshot create id:3 --name NAME",
      "volume grow id:3 --size 11",
      "volume rename id:3 --name NAME",
      "volume destroy id:3"
    ])
    assert.deepStrictEqual(words("attached"), [
      "volume detach id:3",
      "snapshot create id:3 --name NAME",
      "volume grow id:3 --size 11",
      "volume rename id:3 --name NAME"
    ])
    assert.deepStrictEqual(words("deleted"), ["volume restore id:3", "volume purge id:3 --yes"])
  })
})

describe("a secret", () => {
  it("is not in what is copied: a shell fills it in, with what else is said as it was typed", async () => {
    const { curl } = await import("../../../src/gui/parts/Commands.ts")
    const { execFileSync } = await import("node:child_process")
    const created = curl(
      {
        label: "Create user",
        method: "POST",
        path: "/users",
        body: { name: "o'neil", note: "$HOME" },
        secrets: { password: "PASSWORD", current: "CURRENT_PASSWORD" },
        words: []
      },
      false
    )
    // what curl would be given as its standard input
    const [sent = "", called = ""] = created.split(" | ")
    const env = { PASSWORD: "correct horse $HOME 'battery'", CURRENT_PASSWORD: "staple" }
    assert.deepStrictEqual(JSON.parse(execFileSync("/bin/sh", ["-c", sent], { encoding: "utf8", env })), {
      name: "o'neil",
      note: "$HOME",
      password: env.PASSWORD,
      current: "staple"
    })
    assert.strictEqual(called, "curl -H 'Content-Type: application/json' -d @- http://127.0.0.1:1/api/v1/users")
    const alone = curl(
      { label: "", method: "PUT", path: "/users/ci/password", body: {}, secrets: { password: "PASSWORD" }, words: [] },
      true
    )
    assert.isTrue(
      alone.startsWith(
        `printf %s '{"password":"'"$PASSWORD"'"}' | curl -X PUT -H "Authorization: Bearer $VMFABRIC_TOKEN"`
      )
    )
  })
})
