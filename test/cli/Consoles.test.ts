/** The commands that lead into VMs. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { readFileSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { HypervisorTestState } from "../../layers/HypervisorTest.ts"
import * as Ssh from "../../src/cli/Ssh.ts"
import { VmId } from "../../src/domain/Ids.ts"
import { NicId } from "../../src/domain/Nic.ts"
import type { GuestAddress } from "../../src/services/Hypervisor.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import * as Served from "../client/Served.ts"
import * as Typed from "./Typed.ts"

const shellWith = (env: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const served = yield* Served.make
    const typed = yield* Typed.make({ VMFABRIC_URL: served.url, ...env })
    assert.strictEqual((yield* typed.run("vm", "create", "--name", "web", "--type", "1")).status, 0)
    return { ...typed, served }
  })

const shell = shellWith({})

/** Machines can be loaded: this only ends what hangs. */
const limit = 120_000

describe("console", () => {
  it.scopedLive(
    "hands on what is typed and what the guest prints, until Ctrl-] or the guest's end",
    () =>
      Effect.gen(function* () {
        const { press, run, sees } = yield* shell
        const first = yield* Effect.fork(run("console", "web"))
        yield* sees(/on the serial console of VM 1/)
        yield* press("echo hel")
        yield* press("lo\r")
        yield* sees(/hello\r\n/)
        // another is told who is there, and takes it over
        const busy = yield* run("console", "web")
        assert.strictEqual(busy.status, 1)
        assert.match(
          busy.err,
          /local, since 20.*Z, has the serial console of VM \d+, which takes one at a time: it can be taken over \(with force\)/
        )
        const second = yield* Effect.fork(run("console", "web", "--force"))
        const { err, status } = yield* Fiber.join(first)
        assert.strictEqual(status, 1)
        assert.include(err, "the console was closed: local has taken it over")
        yield* sees(/on the serial console of VM 1/)
        yield* press("echo not sent\u001d and this neither\r")
        const left = yield* Fiber.join(second)
        assert.strictEqual(left.status, 0, left.err)
        assert.include(left.err, "left the console")

        const third = yield* Effect.fork(run("console", "web"))
        yield* sees(/on the serial console of VM 1/)
        assert.strictEqual((yield* run("vm", "power-off", "web")).status, 0)
        const ended = yield* Fiber.join(third)
        assert.strictEqual(ended.status, 0, ended.err)
        assert.include(ended.err, "the console has ended: the VM is off")
        const off = yield* run("console", "web")
        assert.strictEqual(off.status, 1)
        assert.include(off.err, "does not run, so it has no serial console: start it")
      }),
    limit
  )
})

const greetingOf = (port: number) =>
  Effect.async<string>((resume) => {
    const viewer = connect(port, "127.0.0.1")
    viewer.once("data", (bytes) => {
      resume(Effect.succeed(bytes.toString()))
      viewer.destroy()
    })
    viewer.once("error", (error) => resume(Effect.die(error)))
  })

describe("vnc", () => {
  it.scopedLive(
    "serves the screen to as many viewers as come, at a port of this machine",
    () =>
      Effect.gen(function* () {
        const { run, sees } = yield* shell
        const serving = yield* Effect.fork(run("vnc", "web"))
        const port = Number(/127\.0\.0\.1:(\d+)\n/.exec(yield* sees(/^127\.0\.0\.1:\d+\n$/))?.[1])
        assert.strictEqual(yield* greetingOf(port), "RFB 003.008\n")
        assert.strictEqual(yield* greetingOf(port), "RFB 003.008\n")
        const taken = yield* run("vnc", "web", "--port", String(port))
        assert.strictEqual(taken.status, 1)
        assert.include(taken.err, "no viewer can be served")
        yield* Fiber.interrupt(serving)
        assert.strictEqual((yield* run("vnc", "nothing")).status, 3)
      }),
    limit
  )
})

/** Puts addresses where the guest's agent and its host's DHCP server would tell them. */
const addressed = (served: Effect.Effect.Success<typeof Served.make>, addresses: ReadonlyArray<GuestAddress>) =>
  Effect.gen(function* () {
    const inventory = Context.get(served.context, Inventory)
    const hosts = Context.get(served.context, HypervisorTestState)
    const vm = yield* inventory.vm(VmId.make(1))
    const { host } = yield* inventory.host(vm.hostId)
    const domain = (yield* hosts.host(host)).domains.get(vm.uuid)
    assert(domain !== undefined)
    const mac = domain.spec?.nics[0]?.mac ?? null
    yield* hosts.put(host, vm.uuid, { ...domain, addresses: addresses.map((one) => ({ ...one, mac })) }, "annotated")
    return vm
  })

// TEST-NET-1 of RFC 5737, which is nobody's
const far = "192.0.2.17"

describe("ssh", () => {
  it.scopedLive(
    "runs this machine's ssh at the best address that is known, and says in words when none is",
    () =>
      Effect.gen(function* () {
        const folder = yield* Typed.folder
        const program = join(folder, "ssh")
        writeFileSync(program, `#!/bin/sh\nprintf '%s\\n' "$@" > ${folder}/args\nexit 7\n`, { mode: 0o755 })
        const { run, served } = yield* shellWith({ VMFABRIC_SSH: program })
        const unknown = yield* run("ssh", "web")
        assert.strictEqual(unknown.status, 1)
        assert.match(
          unknown.err,
          /no address of VM 1 is known yet: neither its guest's agent, .* install qemu-guest-agent/
        )
        const vm = yield* addressed(served, [
          { mac: null, address: "192.0.2.99", prefix: 24, source: "lease" },
          { mac: null, address: "127.0.0.1", prefix: 8, source: "agent" },
          { mac: null, address: far, prefix: 24, source: "agent" }
        ])
        const lost = yield* run("ssh", "web")
        assert.strictEqual(lost.status, 1)
        assert.match(
          lost.err,
          /nothing answers from here at 192\.0\.2\.17, which its guest's agent tells, port 22: .* --jump goes by root@test-\d\n/
        )
        const { err, status } = yield* run("ssh", "web", "--jump", "--user", "ada", "--", "uname", "-a")
        assert.strictEqual(status, 7)
        assert.match(err, /^as ada at 192\.0\.2\.17, .*, by way of root@test-\d\n$/)
        const host = /root@(test-\d)/.exec(err)?.[1]
        assert.deepStrictEqual(readFileSync(join(folder, "args"), "utf8").trim().split("\n"), [
          "-o",
          `HostKeyAlias=vmfabric-${vm.uuid}`,
          "-J",
          `ssh://root@${host}:22`,
          "-l",
          "ada",
          "--",
          far,
          "uname",
          "-a"
        ])
        assert.strictEqual((yield* run("ssh", "web", "--jump", "--user=-oProxyCommand=x")).status, 2)

        // one whose sshd is not up at once, as the host sees it
        const asked = join(folder, "asked")
        writeFileSync(
          program,
          `#!/bin/sh\n[ "$1" = -W ] || exit 7\necho "$@" >> ${asked}\n[ $(wc -l < ${asked}) -lt 2 ] || echo SSH-2.0-guest\n`,
          { mode: 0o755 }
        )
        const waited = yield* run("ssh", "web", "--jump", "--wait", "50")
        assert.strictEqual(waited.status, 7, waited.err)
        assert.match(waited.err, /^waits up to 50 s for sshd of VM 1\nat 192\.0\.2\.17/)
        assert.strictEqual(readFileSync(asked, "utf8"), `-W ${far}:22 -- ssh://root@${host}:22\n`.repeat(2))
        const never = yield* run("ssh", "web", "--wait", "0")
        assert.strictEqual(never.status, 1)
        assert.match(never.err, /nothing answers from here at 192\.0\.2\.17/)
      }),
    limit
  )

  it("takes addresses that can be reached, of those who know best, and users from names of images", () => {
    const nic = (id: number, ...addresses: ReadonlyArray<readonly [GuestAddress["source"], string]>) => ({
      id: NicId.make(id),
      addresses: addresses.map(([source, address]) => ({ mac: null, address, prefix: 24, source }))
    })
    assert.isUndefined(
      Ssh.best([nic(1, ["agent", "fe80::1"], ["agent", "169.254.0.1"], ["agent", "-oProxyCommand=x"])])
    )
    assert.strictEqual(Ssh.best([nic(2, ["arp", "10.0.0.2"]), nic(1, ["lease", "10.0.0.1"])])?.address, "10.0.0.1")
    assert.strictEqual(
      Ssh.best([nic(1, ["lease", "10.0.0.1"]), nic(2, ["agent", "2001:db8::1"], ["agent", "10.0.0.3"])])?.address,
      "10.0.0.3"
    )
    assert.strictEqual(Ssh.userOf("Debian-12-genericcloud"), "debian")
    assert.strictEqual(Ssh.userOf("noble_ubuntu.24"), "ubuntu")
    assert.isUndefined(Ssh.userOf("marchfeld"))
  })
})
