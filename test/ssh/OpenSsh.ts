/** A real OpenSSH server on loopback with keys and configuration of its own. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { execFileSync, spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import type { HostAddress } from "../../src/domain/Host.ts"
import * as Tools from "../check/Tools.ts"

const sshd = "/usr/sbin/sshd"
/** whether these tests cannot run here */
export const missing: boolean = Tools.isMissing("sshd")

export interface OpenSsh {
  readonly address: HostAddress
  readonly directory: string
  readonly keyFile: string
  readonly knownHostsFile: string
  /** SHA256:… as ssh-keygen -lf prints it */
  readonly fingerprint: string
  /** ends the server's processes, those of open connections too */
  readonly kill: Effect.Effect<void>
}

const freePort = Effect.async<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})

const keygen = (...args: Array<string>) => execFileSync("ssh-keygen", args, { encoding: "utf8" })

const processesOf = (parent: number): Array<number> => {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8").trim()
  return children === "" ? [] : children.split(" ").map(Number)
}

export const start = (extra: ReadonlyArray<string> = []): Effect.Effect<OpenSsh, never, Scope.Scope> =>
  Effect.gen(function* () {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-sshd-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
    const port = yield* freePort
    const file = (name: string) => join(directory, name)
    const user = userInfo().username
    keygen("-q", "-t", "ed25519", "-N", "", "-f", file("host_ed25519"))
    keygen("-q", "-t", "ecdsa", "-N", "", "-f", file("host_ecdsa"))
    keygen("-q", "-t", "ed25519", "-N", "", "-f", file("id"))
    writeFileSync(file("authorized_keys"), readFileSync(file("id.pub")), { mode: 0o600 })
    const hostKey = readFileSync(file("host_ed25519.pub"), "utf8").split(" ").slice(0, 2).join(" ")
    writeFileSync(file("known_hosts"), `[127.0.0.1]:${port} ${hostKey}\n`)
    writeFileSync(
      file("config"),
      [
        `Port ${port}`,
        "ListenAddress 127.0.0.1",
        `HostKey ${file("host_ecdsa")}`,
        `HostKey ${file("host_ed25519")}`,
        "PidFile none",
        `AuthorizedKeysFile ${file("authorized_keys")}`,
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "LogLevel INFO",
        // whatever the rc files of the account running the tests do is no matter of these tests
        `SetEnv HOME=${directory}`,
        ...extra,
        ""
      ].join("\n")
    )
    // sshd started by root insists on it; distributions make it when the service starts
    if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true })
    const server = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(sshd, ["-D", "-e", "-f", file("config")], { stdio: ["ignore", "ignore", "pipe"] })),
      (child) => Effect.sync(() => child.kill("SIGTERM"))
    )
    yield* Effect.async<void>((resume) => {
      let log = ""
      server.stderr.on("data", (chunk: Buffer) => {
        log += chunk.toString()
        if (log.includes("Server listening on")) resume(Effect.void)
      })
      server.once("exit", (code) => resume(Effect.die(new Error(`sshd ended with ${code}: ${log}`))))
    }).pipe(Effect.timeout("10 seconds"), Effect.orDie)
    return {
      address: { user, host: "127.0.0.1", port },
      directory,
      keyFile: file("id"),
      knownHostsFile: file("known_hosts"),
      fingerprint: keygen("-lf", file("host_ed25519.pub")).split(" ")[1] ?? "",
      kill: Effect.sync(() => {
        const pid = server.pid
        if (pid === undefined) return
        const all = processesOf(pid)
        for (const child of all) process.kill(child, "SIGKILL")
        server.kill("SIGKILL")
      })
    }
  })
