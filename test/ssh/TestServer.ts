/** An SSH server in this process that fails on demand in ways real servers rarely do. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { createServer, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import ssh2, { type Connection, type ServerChannel } from "ssh2"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import type { HostAddress } from "../../src/domain/Host.ts"
import { SshDialer } from "../../src/services/SshDialer.ts"
import * as KnownHosts from "../../src/ssh/KnownHosts.ts"
import * as MemoryLink from "../../src/simulator/MemoryLink.ts"
import * as RemoteProgram from "../../src/ssh/RemoteProgram.ts"

export const makeKey = () => ssh2.utils.generateKeyPairSync("ed25519")
export const hostKey = makeKey()
export const otherHostKey = makeKey()
export const ecdsaHostKey = ssh2.utils.generateKeyPairSync("ecdsa", { bits: 256 })
export const userKey = makeKey()

/** What the server does; tests change it while it runs. */
export interface Behaviour {
  authorized: ReadonlyArray<string>
  /** the reason code channels are refused with; null: none are */
  refuse: number | null
  /** refuse that many, then no more */
  refusals: number
  exec: (program: RemoteProgram.RemoteProgram, channel: ServerChannel) => void
  socket: (path: string, channel: ServerChannel) => void
  /** leave channel requests without an answer */
  silent: boolean
}

export interface TestServer {
  readonly address: HostAddress
  readonly dialer: Layer.Layer<SshDialer>
  /** the line that makes the server known */
  readonly knownHosts: string
  readonly behaviour: Behaviour
  readonly seen: { dials: number; logins: number; offered: Array<string> }
  /** breaks every connection, without a word */
  readonly drop: Effect.Effect<void>
  /** agrees on new session keys with every client */
  readonly rekey: Effect.Effect<void>
  /** the connections stay open and nothing is read from them any more */
  readonly freeze: Effect.Effect<void>
}

export type Transport = "tcp" | "memory"

const publicOf = (openSshLine: string): Buffer => Buffer.from(openSshLine.split(" ")[1] ?? "", "base64")

export const knownHostsLine = (address: HostAddress, publicKey: string): string =>
  `${KnownHosts.hostName(address.host, address.port)} ${publicKey.split(" ").slice(0, 2).join(" ")}\n`

/** ends a program as a host does */
export const exit = (channel: ServerChannel, status: number | string): void => {
  if (typeof status === "number") channel.exit(status)
  else channel.exit(status)
  channel.end()
}

export const make = (
  transport: Transport,
  hostKeys: ReadonlyArray<{ readonly private: string }> = [hostKey]
): Effect.Effect<TestServer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const behaviour: Behaviour = {
      authorized: [userKey.public],
      refuse: null,
      refusals: Number.POSITIVE_INFINITY,
      exec: (_, channel) => exit(channel, 0),
      socket: (_, channel) => channel.pipe(channel),
      silent: false
    }
    const seen: TestServer["seen"] = { dials: 0, logins: 0, offered: [] }
    const raw = new Set<Duplex>()

    const connections = new Set<Connection>()
    const onConnection = (connection: Connection) => {
      connections.add(connection)
      connection.on("close", () => connections.delete(connection))
      // ssh2's server has no word for the reason of a refusal
      const protocol: unknown = Reflect.get(connection, "_protocol")
      if (typeof protocol === "object" && protocol !== null) {
        const open: unknown = Reflect.get(protocol, "channelOpenFail")
        Reflect.set(protocol, "channelOpenFail", (sender: number, reason: number) => {
          if (typeof open === "function") Reflect.apply(open, protocol, [sender, behaviour.refuse ?? reason, "refused"])
        })
      }
      const refuses = () => behaviour.refuse !== null && behaviour.refusals-- > 0
      connection.on("error", () => {})
      connection.on("authentication", (context) => {
        if (context.method !== "publickey") return context.reject(["publickey"])
        const { data } = context.key
        seen.offered.push(KnownHosts.fingerprint(data))
        const key = ssh2.utils.parseKey(data)
        const known = behaviour.authorized.some((line) => publicOf(line).equals(data))
        if (!known || key instanceof Error) return context.reject(["publickey"])
        if (context.signature === undefined || context.blob === undefined) return context.accept()
        return key.verify(context.blob, context.signature, context.hashAlgo) ? context.accept() : context.reject()
      })
      connection.on("ready", () => {
        seen.logins++
      })
      connection.on("session", (accept, reject) => {
        if (refuses()) return reject()
        if (behaviour.silent) return
        const session = accept()
        session.on("exec", (acceptExec, rejectExec, { command }) =>
          Option.match(RemoteProgram.parse(command), {
            onNone: () => rejectExec(),
            onSome: (program) => {
              const channel = acceptExec()
              // nobody writes there, and the end is told only to those who read
              channel.resume()
              behaviour.exec(program, channel)
            }
          })
        )
      })
      connection.on("openssh.streamlocal", (accept, reject, { socketPath }) => {
        if (refuses()) return reject()
        if (behaviour.silent) return
        behaviour.socket(socketPath, accept())
      })
    }

    const server = new ssh2.Server({ hostKeys: hostKeys.map((key) => key.private) }, onConnection)
    const inject = (stream: Duplex) => {
      raw.add(stream)
      stream.on("error", () => {})
      stream.once("close", () => raw.delete(stream))
      Reflect.apply(server.injectSocket, server, [stream])
    }
    const listener = yield* Effect.acquireRelease(
      Effect.async<ReturnType<typeof createServer>>((resume) => {
        const tcp = createServer((socket: Socket) => {
          seen.dials++
          inject(socket.setNoDelay(true))
        })
        tcp.listen(0, "127.0.0.1", () => resume(Effect.succeed(tcp)))
      }),
      (tcp) =>
        Effect.sync(() => {
          tcp.close()
          for (const stream of raw) stream.destroy()
        })
    )
    const bound = listener.address()
    const port = transport === "tcp" && typeof bound === "object" && bound !== null ? bound.port : 22
    const address: HostAddress = { user: "root", host: "127.0.0.1", port }
    const memory = Layer.succeed(
      SshDialer,
      SshDialer.of({
        dial: () =>
          Effect.acquireRelease(
            Effect.sync(() => {
              const link = MemoryLink.make()
              seen.dials++
              link.client.on("error", () => {})
              inject(link.server)
              return link.client
            }),
            (stream) => Effect.sync(() => stream.destroy())
          )
      })
    )
    return {
      address,
      dialer: transport === "tcp" ? SshDialerTcp.layer : memory,
      knownHosts: knownHostsLine(address, hostKey.public),
      behaviour,
      seen,
      drop: Effect.sync(() => {
        for (const stream of raw) stream.destroy()
      }),
      rekey: Effect.forEach(connections, (connection) =>
        Effect.async<void>((resume) => connection.rekey(() => resume(Effect.void)))
      ),
      freeze: Effect.sync(() => {
        for (const stream of raw) {
          stream.removeAllListeners("data")
          stream.pause()
        }
      })
    }
  })

/** A TCP listener that accepts and never says a word. */
export const mute: Effect.Effect<HostAddress, never, Scope.Scope> = Effect.gen(function* () {
  const sockets = new Set<Socket>()
  const tcp = yield* Effect.acquireRelease(
    Effect.async<ReturnType<typeof createServer>>((resume) => {
      const tcp = createServer((socket) => sockets.add(socket))
      tcp.listen(0, "127.0.0.1", () => resume(Effect.succeed(tcp)))
    }),
    (tcp) =>
      Effect.sync(() => {
        tcp.close()
        for (const socket of sockets) socket.destroy()
      })
  )
  const bound = tcp.address()
  return { user: "root", host: "127.0.0.1", port: typeof bound === "object" && bound !== null ? bound.port : 0 }
})

/** A port where nothing listens. */
export const closedPort: Effect.Effect<HostAddress> = Effect.scoped(mute)
