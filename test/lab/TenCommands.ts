/**
 * README's way from nothing to a shell in a guest, each command as it is printed there, on two hosts of the lab that are called s1 and s2.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { homedir, tmpdir } from "node:os"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { wipeHost } from "./Client.ts"
import * as Lab from "./Lab.ts"

const checkout = fileURLToPath(new URL("../..", import.meta.url))

/** The lines of README's first block behind the words that name this test. */
const commands = (): ReadonlyArray<string> => {
  const [, block = ""] =
    /run as they stand by .*?```sh\n(.*?)```/s.exec(readFileSync(join(checkout, "README.md"), "utf8")) ?? []
  return block.trim().split("\n")
}

/** Ends with the status of the command that failed, and ends what runs in the background; after each it says how long it took. */
const script = (lines: ReadonlyArray<string>) =>
  [
    "trap 'kill $(jobs -pr); wait' EXIT",
    // a list of commands of which one fails does not end a shell by itself
    ...lines.map((line, index) => `SECONDS=0; {\n${line}\n} || exit; echo "command ${index + 1} took $SECONDS s" >&2`)
  ].join("\n")

/** Milliseconds; less than a test of the lab has. */
const limit = 780_000

/** What it printed, and how it ended; with a home, host names and global packages of its own. */
const inPlace = (folder: string, typed: string) =>
  Effect.async<{ readonly status: number | null; readonly out: string; readonly err: string }>((resume) => {
    const home = homedir()
    const child = spawn(
      "unshare",
      [
        "--mount",
        "bash",
        "-c",
        `mount --bind ${folder}/hosts /etc/hosts && mount --bind ${home}/.npm ${folder}/home/.npm && mount --rbind ${folder}/home ${home} && ` +
          `cd ${folder}/checkout && exec bash ${folder}/script`
      ],
      {
        detached: true,
        env: {
          ...process.env,
          NODE_ENV: "",
          HOME: home,
          PATH: `${folder}/prefix/bin:${process.env["PATH"] ?? ""}`,
          npm_config_prefix: `${folder}/prefix`
        }
      }
    )
    let out = ""
    let err = ""
    child.stdout.on("data", (data) => (out += String(data)))
    child.stderr.on("data", (data) => (err += String(data)))
    const { pid } = child
    /** With all that it has started. */
    const end = () => {
      try {
        if (pid !== undefined) process.kill(-pid)
      } catch {
        // it has ended by itself
      }
    }
    const told = (status: number | null) => {
      clearTimeout(patience)
      resume(Effect.succeed({ status, out, err }))
    }
    const patience = setTimeout(() => {
      err += `\nit had not ended after ${limit / 60_000} minutes`
      end()
      told(null)
    }, limit)
    child.once("close", told)
    child.stdin.end(typed)
    return Effect.sync(() => {
      clearTimeout(patience)
      end()
    })
  })

/** @returns what was printed on standard error, for the times in it */
export const run = (image: string) =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-ten-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
    const servers = Lab.everyHost.slice(3, 5).map((host, index) => ({ ...host, called: `s${index + 1}` }))
    const names = servers.map(({ address, called }) => `${address} ${called}`).join("\n")
    for (const { name } of servers) {
      yield* wipeHost(name)
      // they reach each other by these names, as the doctor finds out
      yield* Lab.onHost(name, "sh", "-c", `echo '${names}' >> /etc/hosts`)
    }
    // how guests run is left to what the hosts offer, and that is no /dev/kvm: where this machine is a guest itself they may hang on it
    const kvm = (command: string) =>
      Effect.forEach(servers, ({ name }) =>
        Lab.onHost(
          name,
          "sh",
          "-c",
          `[ ! -e /dev/kvm ] || { ${command} && rm -rf /var/cache/libvirt/qemu && systemctl restart libvirtd; }`
        )
      )
    yield* Effect.acquireRelease(kvm("mount --bind /dev/null /dev/kvm"), () => Effect.orDie(kvm("umount /dev/kvm")))
    writeFileSync(join(folder, "hosts"), `127.0.0.1 localhost\n::1 localhost\n${names}\n`)
    mkdirSync(join(folder, "home", ".ssh"), { recursive: true, mode: 0o700 })
    // what npm has and how it gets more is the machine's
    mkdirSync(join(homedir(), ".npm"), { recursive: true })
    mkdirSync(join(folder, "home", ".npm"))
    if (existsSync(join(homedir(), ".npmrc"))) copyFileSync(join(homedir(), ".npmrc"), join(folder, "home", ".npmrc"))
    const ours = (name: string) => join(folder, "home", ".ssh", name)
    copyFileSync(Lab.status.sshKey, ours("id_ed25519"))
    copyFileSync(`${Lab.status.sshKey}.pub`, ours("id_ed25519.pub"))
    writeFileSync(
      ours("known_hosts"),
      servers.reduce(
        (text, { address, called }) => text.replaceAll(address, called),
        readFileSync(Lab.status.knownHosts, "utf8")
      )
    )
    // who sits there says yes to the key of a guest that was made a moment ago
    writeFileSync(ours("config"), "StrictHostKeyChecking accept-new\n")
    copyFileSync(image, join(folder, "home", "debian-12-genericcloud-amd64.qcow2"))
    cpSync(checkout, join(folder, "checkout"), {
      recursive: true,
      filter: (path) => !["node_modules", "dist", ".git"].includes(relative(checkout, path))
    })
    const lines = commands()
    assert.lengthOf(lines, 10)
    writeFileSync(join(folder, "script"), script(lines))
    const { err, out, status } = yield* inPlace(folder, "echo $(hostname) is $(whoami) of $(cat /etc/debian_version)\n")
    const log = join(folder, "home", "fabric", "log")
    const all = `${out}\n${err}\n${existsSync(log) ? readFileSync(log, "utf8") : ""}`
    assert.strictEqual(status, 0, all)
    assert.include(out, "web is debian of 12", all)
    return err.split("\n").filter((line) => /^command \d+ took/.test(line))
  }).pipe(Effect.scoped)
