/**
 * The simulated host's SSH server: ssh2's, on byte streams in memory.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Duplex } from "node:stream"
import ssh2 from "ssh2"
import type { Connection, ServerChannel, SFTPWrapper } from "ssh2"
import { timingSafeEqual } from "node:crypto"
import type { HostFile } from "./HostFiles.ts"
import * as Programs from "./Programs.ts"

/** What the server is given. @since 0.1.0 @category models */
export interface SshdOptions {
  readonly world: Programs.World
  /** OpenSSH private key, the host's identity; made when somebody comes */
  readonly hostKey: () => string
  /** who may come in with which OpenSSH public keys; any user name is taken */
  readonly authorizedKeys: () => ReadonlyArray<string>
  /** sshd's MaxSessions: programs at once on one connection, not counting forwarded sockets */
  readonly maxSessions: number
  /** what listens at a socket path; undefined: nothing, refused with reason 2 */
  readonly socket: (path: string) => ((stream: Duplex) => Effect.Effect<void>) | undefined
  /** a TCP connection from here to another machine's sshd: completes once that answers, fails when it refuses, waits while it is silent */
  readonly reach: (target: { readonly host: string; readonly port: number }) => Effect.Effect<void, unknown>
  /** a program that speaks on its stdin and stdout, and gives its exit status; undefined: none of that kind */
  readonly dialogue: (argv: ReadonlyArray<string>) => ((stream: Duplex) => Effect.Effect<number>) | undefined
}

/** @since 0.1.0 @category models */
export interface Sshd {
  /** Serves one connection until it ends. */
  readonly accept: (stream: Duplex) => void
  /** AllowStreamLocalForwarding and AllowTcpForwarding, for connections there are too; off: both are refused with reason 1. */
  readonly allowForwarding: (on: boolean) => void
}

const ident = "OpenSSH_9.2p1 Debian-2+deb12u3"

/** What a client hears first. @since 0.3.0 @category constants */
export const banner = `SSH-2.0-${ident}\r\n`

/** ssh2 asks for a net.Socket and uses only what a Duplex has. */
interface StreamInjector {
  injectSocket(stream: Duplex): void
}

/** @since 0.1.0 @category constructors */
export const make = (options: SshdOptions): Effect.Effect<Sshd, never, Scope.Scope> =>
  Effect.gen(function* () {
    const run = yield* FiberSet.makeRuntime<never, void, never>()
    const connections = new Set<Connection>()
    let forwarding = true

    const authorized = (key: ssh2.PublicKey): ssh2.ParsedKey | undefined => {
      for (const line of options.authorizedKeys()) {
        const parsed = ssh2.utils.parseKey(line)
        if (parsed instanceof Error) continue
        const known = parsed.getPublicSSH()
        if (parsed.type === key.algo && known.length === key.data.length && timingSafeEqual(known, key.data))
          return parsed
      }
      return undefined
    }

    const authenticate = (context: ssh2.AuthContext): void => {
      if (context.method !== "publickey") return context.reject(["publickey"])
      const key = authorized(context.key)
      if (key === undefined) return context.reject(["publickey"])
      // without a signature the client only asks whether the key would do
      if (context.signature === undefined || context.blob === undefined) return context.accept()
      if (key.verify(context.blob, context.signature, context.hashAlgo) === true) context.accept()
      else context.reject(["publickey"])
    }

    const serveProgram = (channel: ServerChannel, command: string): Effect.Effect<void> => {
      const end = (exitCode: number): Effect.Effect<void> =>
        Effect.sync(() => {
          channel.exit(exitCode)
          channel.end()
        })
      const program = Programs.argvOf(command)
      if (Option.isNone(program)) {
        channel.stderr.write("sh: the simulated host has no shell: quote every word\n")
        return end(2)
      }
      const { argv } = program.value
      if (argv[0] === "virt-ssh-helper" && argv[1] === "qemu:///system") {
        const serve = options.socket("/run/libvirt/libvirt-sock")
        if (serve === undefined) {
          channel.stderr.write(
            "virt-ssh-helper: cannot connect to '/run/libvirt/libvirt-sock': Failed to connect socket to '/run/libvirt/libvirt-sock': No such file or directory\n"
          )
          return end(1)
        }
        return Effect.zipRight(
          serve(channel),
          Effect.suspend(() => {
            channel.stderr.write("End of file while reading data: Input/output error\n")
            return end(1)
          })
        )
      }
      const dialogue = options.dialogue(argv)
      if (dialogue !== undefined) return Effect.flatMap(dialogue(channel), end)
      const outcome = Programs.run(options.world, argv)
      return Effect.gen(function* () {
        for (const bytes of outcome.stdout) yield* write(channel, bytes)
        if (outcome.stderr !== "") channel.stderr.write(outcome.stderr)
        yield* end(outcome.exitCode)
      })
    }

    const serveConnection = (connection: Connection): void => {
      let sessions = 0
      // a connection that breaks says so here; its channels end by themselves
      connection.on("error", () => {})
      connection.on("authentication", authenticate)
      connection.on("session", (accept, reject) => {
        if (sessions >= options.maxSessions) return void reject()
        sessions++
        const session = accept()
        session.on("close", () => {
          sessions--
        })
        session.on("sftp", (acceptSftp) => serveFiles(options.world, acceptSftp()))
        session.on("exec", (acceptExec, _reject, info) => {
          const channel = acceptExec()
          channel.on("error", () => {})
          const fiber = run(serveProgram(channel, info.command))
          channel.once("close", () => fiber.unsafeInterruptAsFork(fiber.id()))
        })
      })
      connections.add(connection)
      connection.on("close", () => connections.delete(connection))
      if (forwarding) forward(connection)
    }

    // ssh2 refuses with reason 1 what nobody listens for, and has no other way to
    const forward = (connection: Connection): void => {
      connection.on("openssh.streamlocal", (accept, reject, info) => {
        const serve = options.socket(info.socketPath)
        if (serve === undefined) return void reject()
        const channel = accept()
        channel.on("error", () => {})
        run(serve(channel))
      })
      connection.on("tcpip", (accept, reject, info) => {
        const reached = options.reach({ host: info.destIP, port: info.destPort })
        run(
          Effect.match(reached, {
            onFailure: () => void reject(),
            onSuccess: () => {
              const channel = accept()
              channel.on("error", () => {})
              channel.on("end", () => channel.end())
              // all that anybody wants to hear from there
              channel.write(banner)
              channel.resume()
            }
          })
        )
      })
    }

    let injector: StreamInjector | undefined
    const listen = (): StreamInjector => {
      const server = new ssh2.Server({ hostKeys: [options.hostKey()], ident, keepaliveInterval: 0 }, serveConnection)
      server.on("error", () => {})
      return server
    }
    return {
      accept: (stream) => (injector ??= listen()).injectSocket(stream),
      allowForwarding: (on) => {
        if (on === forwarding) return
        forwarding = on
        for (const connection of connections) {
          if (on) forward(connection)
          else connection.removeAllListeners("openssh.streamlocal").removeAllListeners("tcpip")
        }
      }
    }
  })

/** Files for reading; all else is refused by ssh2 itself. */
const serveFiles = (world: Programs.World, sftp: SFTPWrapper): void => {
  const { STATUS_CODE } = ssh2.utils.sftp
  const open: Array<HostFile> = []
  // ssh2 leaves its own side open when the client has closed the other
  sftp.on("close", () => sftp.end())
  const fileOf = (handle: Buffer) => (handle.length === 4 ? open[handle.readUInt32BE(0)] : undefined)
  sftp.on("OPEN", (id, path) => {
    const file = Programs.openFile(world, path)
    if (file === "missing") return sftp.status(id, STATUS_CODE.NO_SUCH_FILE)
    if (file === "forbidden") return sftp.status(id, STATUS_CODE.PERMISSION_DENIED)
    const handle = Buffer.alloc(4)
    handle.writeUInt32BE(open.push(file) - 1)
    sftp.handle(id, handle)
  })
  sftp.on("REMOVE", (id, path) => {
    const removed = Programs.removeFile(world, path)
    const { NO_SUCH_FILE, OK, PERMISSION_DENIED } = STATUS_CODE
    sftp.status(id, { removed: OK, missing: NO_SUCH_FILE, forbidden: PERMISSION_DENIED }[removed])
  })
  sftp.on("FSTAT", (id, handle) => {
    const file = fileOf(handle)
    if (file === undefined) return sftp.status(id, STATUS_CODE.FAILURE)
    const time = Math.floor(file.modified / 1000)
    sftp.attrs(id, { mode: 0o100600, uid: 0, gid: 0, size: file.size, atime: time, mtime: time })
  })
  sftp.on("READ", (id, handle, offset, length) => {
    const file = fileOf(handle)
    if (file === undefined) return sftp.status(id, STATUS_CODE.FAILURE)
    if (offset >= file.size) return sftp.status(id, STATUS_CODE.EOF)
    sftp.data(id, Buffer.from(file.read(offset, length)))
  })
  sftp.on("CLOSE", (id, handle) => sftp.status(id, fileOf(handle) === undefined ? STATUS_CODE.FAILURE : STATUS_CODE.OK))
}

const write = (channel: ServerChannel, bytes: Uint8Array): Effect.Effect<void> =>
  Effect.async((resume) => {
    channel.write(bytes, () => resume(Effect.void))
  })
