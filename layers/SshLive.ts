/**
 * `Ssh` by ssh2 over whatever `SshDialer` gives.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Duplex } from "node:stream"
import ssh2, { type AnyAuthMethod, type Client, type ClientChannel, type ServerHostKeyAlgorithm } from "ssh2"
import { formatAddress, HostAddress } from "../src/domain/Host.ts"
import {
  type ExecResult,
  Ssh,
  SshAuthenticationFailed,
  SshChannelRefused,
  SshCommandFailed,
  SshError,
  SshHostKeyRefused,
  SshTimeout,
  SshUnreachable
} from "../src/services/Ssh.ts"
import { SshDialer } from "../src/services/SshDialer.ts"
import { ChannelDuplex, discard } from "../src/ssh/ChannelDuplex.ts"
import * as Meters from "../src/observability/Meters.ts"
import * as Trail from "../src/observability/Trail.ts"
import * as Keys from "../src/ssh/Keys.ts"
import * as KnownHosts from "../src/ssh/KnownHosts.ts"
import * as RemoteProgram from "../src/ssh/RemoteProgram.ts"

/** Where keys and known hosts are found. Nothing else is read from the environment. @since 0.1.0 @category models */
export interface Options {
  /** this key and no other; absent: ~/.ssh/id_ed25519, id_ecdsa and id_rsa as far as they exist, then the agent's */
  readonly keyFile: Option.Option<string>
  readonly knownHostsFile: string
  /** the agent's socket, as in SSH_AUTH_SOCK */
  readonly agentSocket: Option.Option<string>
  readonly homeDirectory: string
}

/** Keys and known hosts given as text. @since 0.1.0 @category models */
export interface Credentials {
  /** private keys without passphrase, OpenSSH or PEM */
  readonly privateKeys: ReadonlyArray<string>
  /** in known_hosts format */
  readonly knownHosts: string
}

/** Limits that tests shorten. @since 0.1.0 @category models */
export interface Settings {
  /** from the first byte to being logged in */
  readonly handshake: Duration.DurationInput
  /** for a channel to be opened or refused */
  readonly channelOpen: Duration.DurationInput
  /** a connection is lost when three of these pass without a sign of life; real time, whatever the Clock */
  readonly keepalive: Duration.DurationInput
  /** programs at once on one connection; sshd's MaxSessions is 10 by default */
  readonly sessions: number
  /** forwarded sockets at once on one connection */
  readonly sockets: number
  /** TCP connections at once by way of one host; more are refused, since one to a dead machine keeps its place for minutes */
  readonly tunnels: number
  /**
   * Waits between failed attempts to connect: doubled from the first to the longest. That is for a host that turns us away; one that does not
   * answer may be back at any moment, and is tried again after half a second.
   */
  readonly backoff: { readonly first: Duration.DurationInput; readonly longest: Duration.DurationInput }
}

/** @since 0.1.0 @category models */
export const defaultSettings: Settings = {
  handshake: "15 seconds",
  channelOpen: "15 seconds",
  keepalive: "5 seconds",
  sessions: 5,
  sockets: 64,
  tunnels: 16,
  backoff: { first: "250 millis", longest: "15 seconds" }
}

// ---- what a connection attempt is given

interface Identities {
  readonly methods: ReadonlyArray<(username: string) => AnyAuthMethod>
  /** what is offered, and why others are not, each one clause for the error message */
  readonly notes: ReadonlyArray<string>
}

interface Trust {
  readonly known: KnownHosts.KnownHosts
  readonly file: string
  readonly problem?: string
}

interface Source {
  readonly identities: Effect.Effect<Identities>
  readonly trust: Effect.Effect<Trust>
}

const withKey = (text: string, label: string): Either.Either<Identities, string> => {
  const key = ssh2.utils.parseKey(text)
  if (key instanceof Error) return Either.left(`${label} is no usable private key (${key.message})`)
  if (!key.isPrivateKey()) return Either.left(`${label} is not a private key`)
  return Either.right({
    methods: [(username) => ({ type: "publickey", username, key })],
    notes: [`${label} (${KnownHosts.fingerprint(key.getPublicSSH())})`]
  })
}

/** An agent of which only one key is used: sshd counts each key offered as an attempt. */
class OneKeyAgent extends ssh2.OpenSSHAgent {
  private readonly publicKey: Uint8Array
  constructor(socketPath: string, publicKey: Uint8Array) {
    super(socketPath)
    this.publicKey = publicKey
  }
  override getIdentities(callback: Parameters<ssh2.OpenSSHAgent["getIdentities"]>[0]): void {
    super.getIdentities((error, keys) =>
      callback(
        error,
        keys?.filter((key) => "getPublicSSH" in key && key.getPublicSSH().equals(this.publicKey))
      )
    )
  }
}

const combine = (parts: ReadonlyArray<Identities>): Identities => ({
  methods: parts.flatMap((part) => part.methods),
  notes: parts.flatMap((part) => part.notes)
})

const sourceOfFiles = (fs: FileSystem.FileSystem, options: Options): Source => {
  const fromAgent = Option.map(options.agentSocket, (agent): Identities => ({
    methods: [(username) => ({ type: "agent", username, agent })],
    notes: [`the agent at ${agent}`]
  }))

  const fromFile = ({ path, required }: Keys.Candidate): Effect.Effect<Identities> =>
    fs.readFileString(path).pipe(
      Effect.map((text): Identities => {
        if (!Keys.isEncrypted(text)) {
          return Either.getOrElse(withKey(text, path), (problem) => ({ methods: [], notes: [problem] }))
        }
        // an agent may hold it; where any key will do, the agent is asked anyway
        const publicKey = Keys.publicKey(text)
        if (required && Option.isSome(options.agentSocket) && Option.isSome(publicKey)) {
          const agent = new OneKeyAgent(options.agentSocket.value, publicKey.value)
          return {
            methods: [(username) => ({ type: "agent", username, agent })],
            notes: [`${path} through the agent, which must hold it because it is encrypted`]
          }
        }
        return {
          methods: [],
          notes: [
            `${path} is encrypted${Option.isNone(options.agentSocket) ? " and there is no ssh-agent to hold it" : ""}: load it with ssh-add, or use a key without passphrase`
          ]
        }
      }),
      Effect.catchAll((error) =>
        Effect.succeed<Identities>(
          error._tag === "SystemError" && error.reason === "NotFound" && !required
            ? { methods: [], notes: [] }
            : { methods: [], notes: [`${path} cannot be read (${error.message})`] }
        )
      )
    )

  const identities = Effect.forEach(Keys.candidates(options), fromFile).pipe(
    Effect.map((found) =>
      combine(Option.isSome(options.keyFile) || Option.isNone(fromAgent) ? found : [...found, fromAgent.value])
    ),
    Effect.map((all) =>
      all.notes.length > 0
        ? all
        : { ...all, notes: [`there is no key in ${options.homeDirectory}/.ssh and no ssh-agent`] }
    )
  )

  // read at each attempt, so that a key accepted meanwhile counts; parsed again only when the text is another
  const file = options.knownHostsFile
  let last = { text: "", known: KnownHosts.parse("") }
  const trust = fs.readFileString(file).pipe(
    Effect.tap((text) => {
      if (text === last.text) return Effect.void
      last = { text, known: KnownHosts.parse(text) }
      return last.known.ignored.length === 0
        ? Effect.void
        : Effect.logWarning(`${file}: lines that cannot be read are ignored: ${last.known.ignored.join(", ")}`)
    }),
    Effect.map((): Trust => ({ known: last.known, file })),
    Effect.catchAll((error) => {
      const known = KnownHosts.parse("")
      return Effect.succeed<Trust>(
        // no file yet: no key is known
        error._tag === "SystemError" && error.reason === "NotFound"
          ? { known, file }
          : { known, file, problem: error.message }
      )
    })
  )
  return { identities, trust }
}

const sourceOfText = (credentials: Credentials): Source => ({
  identities: Effect.sync(() =>
    combine(
      credentials.privateKeys.map((text, index) =>
        Either.getOrElse(withKey(text, `key ${index + 1}`), (problem): Identities => ({
          methods: [],
          notes: [problem]
        }))
      )
    )
  ),
  trust: Effect.sync(() => ({ known: KnownHosts.parse(credentials.knownHosts), file: "known_hosts" }))
})

// ---- one connection

interface Lost {
  readonly reason: string
  readonly cause?: unknown
}

/** What the server has only so many of. */
interface Places {
  readonly take: (count: number) => Effect.Effect<unknown, SshError>
  readonly release: (count: number) => Effect.Effect<unknown>
}

/** Refuses when there is none left, instead of having one wait. */
const makeTunnels = (host: string, limit: number): Places => {
  let taken = 0
  return {
    take: (count) =>
      Effect.suspend(() => {
        if (taken + count > limit) {
          const reason = `${limit} TCP connections by way of it are being opened or open, and no more are allowed`
          return Effect.fail(failure(host, "open a TCP connection", new SshChannelRefused({ reason, code: 4 })))
        }
        taken += count
        return Effect.void
      }),
    release: (count) =>
      Effect.sync(() => {
        taken -= count
      })
  }
}

interface Connection {
  readonly host: string
  readonly client: Client
  readonly scope: Scope.Scope
  readonly sessions: Places
  readonly sockets: Places
  readonly tunnels: Places
  /** set once, at the first sign of the end; nothing new is started on it from then on */
  lost: Lost | undefined
  readonly lose: (lost: Lost) => void
  /** Calls the listener when the connection is lost, at once if it is; gives what takes the listener away. */
  readonly onLost: (listener: (lost: Lost) => void) => () => void
}

const makeConnection = (host: string, client: Client, scope: Scope.Scope, settings: Settings): Connection => {
  const listeners = new Set<(lost: Lost) => void>()
  const connection: Connection = {
    host,
    client,
    scope,
    sessions: Effect.unsafeMakeSemaphore(settings.sessions),
    sockets: Effect.unsafeMakeSemaphore(settings.sockets),
    tunnels: makeTunnels(host, settings.tunnels),
    lost: undefined,
    lose: (lost) => {
      if (connection.lost !== undefined) return
      connection.lost = lost
      for (const listener of listeners) listener(lost)
      listeners.clear()
    },
    onLost: (listener) => {
      if (connection.lost !== undefined) {
        listener(connection.lost)
        return () => {}
      }
      listeners.add(listener)
      return () => listeners.delete(listener)
    }
  }
  return connection
}

const failure = (host: string, action: string, reason: SshError["reason"], cause?: unknown): SshError =>
  new SshError({ host, action, reason, ...(cause === undefined ? {} : { cause }) })

const lostError = (connection: Connection, action: string, lost: Lost): SshError =>
  failure(
    connection.host,
    action,
    new SshUnreachable({ reason: `the connection was lost: ${lost.reason}` }),
    lost.cause
  )

const within =
  (host: string, action: string, limit: Duration.DurationInput) =>
  <A, R>(self: Effect.Effect<A, SshError, R>): Effect.Effect<A, SshError, R> =>
    Effect.timeoutFail(self, {
      duration: limit,
      onTimeout: () => failure(host, action, new SshTimeout({ after: Duration.format(limit) }))
    })

// ssh-rsa, which signs with SHA-1, is left out
const hostKeyAlgorithms: ReadonlyArray<ServerHostKeyAlgorithm> = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256"
]

/**
 * The types the host is known by come first, as OpenSSH asks for them, so that a host with several keys shows one that is known. The
 * others stay: a host that has lost its known keys is then refused with the fingerprint of what it shows.
 */
const preferred = (types: ReadonlyArray<string>): Array<ServerHostKeyAlgorithm> => {
  const known = (algorithm: ServerHostKeyAlgorithm) =>
    types.includes(algorithm.startsWith("rsa-sha2-") ? "ssh-rsa" : algorithm)
  return [...hostKeyAlgorithms.filter(known), ...hostKeyAlgorithms.filter((algorithm) => !known(algorithm))]
}

/** Logs in on `sock`; the connection is closed with the scope. */
const handshake = (
  address: HostAddress,
  sock: Duplex,
  trust: Trust,
  identities: Identities,
  settings: Settings
): Effect.Effect<Connection, SshError, Scope.Scope> =>
  Effect.gen(function* () {
    const host = formatAddress(address)
    const scope = yield* Effect.scope
    const connection = yield* Effect.acquireRelease(
      Effect.sync(() => makeConnection(host, new ssh2.Client(), scope, settings)),
      (connection) =>
        Effect.sync(() => {
          if (connection.lost === undefined) connection.client.end()
          connection.lose({ reason: "it was closed on this side" })
          connection.client.destroy()
        })
    )
    const { client } = connection
    const keepalive = Duration.toMillis(settings.keepalive)
    const methods = [...identities.methods]
    const notes = [...identities.notes]
    let refusal: Option.Option<KnownHosts.Refusal> = Option.none()
    let exhausted = false

    // ssh2 takes every answer but `false` for a yes, and a throw must never be one
    const hostVerifier = (key: Buffer): boolean => {
      try {
        const verdict = KnownHosts.verify(trust.known, address.host, address.port, key)
        refusal = KnownHosts.refusal(verdict, {
          host: address.host,
          port: address.port,
          key,
          file: trust.file,
          ...(trust.problem === undefined ? {} : { problem: trust.problem })
        })
        return Option.isNone(refusal)
      } catch (cause) {
        connection.lose({ reason: "its host key could not be checked", cause })
        return false
      }
    }

    const rejected = (lost: Lost): SshError => {
      if (Option.isSome(refusal)) return failure(host, "connect", new SshHostKeyRefused(refusal.value), lost.cause)
      return exhausted || /authentication failures/i.test(lost.reason)
        ? failure(
            host,
            "connect",
            new SshAuthenticationFailed({ reason: `no key was accepted for ${address.user}: ${notes.join("; ")}` }),
            lost.cause
          )
        : failure(host, "connect", new SshUnreachable({ reason: lost.reason }), lost.cause)
    }

    yield* Effect.async<void, SshError>((resume) => {
      client.on("error", (cause) => {
        // the agent, or one key of it, failed: ssh2 goes on with the next way in
        if (cause.level === "agent" || (cause.level === "client-authentication" && !exhausted)) {
          notes.push(cause.message)
        } else connection.lose({ reason: cause.message, cause })
      })
      client.on("end", () => connection.lose({ reason: "the host closed it" }))
      client.on("close", () => connection.lose({ reason: "the host closed it" }))
      client.once("ready", () => resume(Effect.void))
      connection.onLost((lost) => resume(Effect.fail(rejected(lost))))
      try {
        client.connect({
          sock,
          username: address.user,
          hostVerifier,
          authHandler: () => {
            const next = methods.shift()
            if (next !== undefined) return next(address.user)
            exhausted = true
            return false
          },
          algorithms: {
            serverHostKey: preferred(KnownHosts.keyTypes(trust.known, address.host, address.port)),
            compress: ["none"]
          },
          keepaliveInterval: keepalive,
          keepaliveCountMax: 3,
          // ours, on the Clock
          readyTimeout: 0,
          // forwarding to Unix sockets is also spoken by servers that are not called OpenSSH
          strictVendor: false
        })
      } catch (cause) {
        connection.lose({ reason: "the connection could not be begun", cause })
      }
    }).pipe(within(host, "connect", settings.handshake))
    return connection
  })

// ---- channels

type Done = (error: (Error & { readonly reason?: unknown }) | undefined, channel: ClientChannel) => void

/**
 * Opens a channel, closed with the scope. Its place among `places` is kept until the server has confirmed the end (or the connection is
 * lost), so that what we count is never below what the server counts; nobody waits for that.
 */
const openChannel = (
  connection: Connection,
  places: Places,
  action: string,
  start: (client: Client, done: Done) => void
): Effect.Effect<ClientChannel, SshError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      yield* restore(places.take(1))
      const gone = Deferred.unsafeMake<void>(FiberId.none)
      const isGone = () => Deferred.unsafeDone(gone, Exit.void)
      const unwatch = connection.onLost(isGone)
      yield* Deferred.await(gone).pipe(
        Effect.interruptible,
        Effect.ensuring(Effect.zipRight(Effect.sync(unwatch), places.release(1))),
        Effect.forkIn(connection.scope)
      )
      const channel = yield* restore(
        Effect.async<ClientChannel, SshError>((resume) => {
          let opened: ClientChannel | undefined
          let cancelled = false
          const stopWatching = connection.onLost((lost) => resume(Effect.fail(lostError(connection, action, lost))))
          const failed = (reason: SshError["reason"], cause: unknown) => {
            isGone()
            stopWatching()
            resume(
              Effect.fail(
                connection.lost !== undefined
                  ? lostError(connection, action, connection.lost)
                  : failure(connection.host, action, reason, cause)
              )
            )
          }
          try {
            if (connection.lost === undefined) {
              start(connection.client, (error, channel) => {
                if (error !== undefined) {
                  const code: unknown = error.reason
                  const refused = new SshChannelRefused({
                    reason: error.message.replace("(SSH) Channel open failure: ", ""),
                    code: typeof code === "number" ? code : 0
                  })
                  return failed(refused, error)
                }
                opened = channel
                stopWatching()
                channel.once("close", isGone)
                // what fails is told by the connection; without a listener it would end the process
                channel.on("error", () => {})
                if (cancelled) discard(channel)
                else resume(Effect.succeed(channel))
              })
            } else isGone()
          } catch (cause) {
            // between a connection's reset and the event that tells of it, ssh2 throws
            failed(new SshUnreachable({ reason: "the connection was lost" }), cause)
          }
          return Effect.sync(() => {
            cancelled = true
            stopWatching()
            if (opened !== undefined) discard(opened)
          })
        })
      )
      yield* Effect.addFinalizer(() => Effect.sync(() => discard(channel)))
      return channel
    })
  )

// sshd says 2 where RFC 4254 would say 4, and frees a session a moment after the client has seen its end
const isShortage = (error: SshError): boolean =>
  error.reason._tag === "SshChannelRefused" && (error.reason.code === 2 || error.reason.code === 4)

const shortage = Schedule.intersect(Schedule.spaced("20 millis"), Schedule.recurs(25))

/** sshd gives no reason, and the same code for both, when it cannot and when it must not forward to a Unix socket. */
const explained =
  (path: string) =>
  (error: SshError): SshError =>
    error.reason._tag === "SshChannelRefused" && error.reason.code === 2
      ? failure(
          error.host,
          error.action,
          new SshChannelRefused({
            reason: `nothing listens at ${path}, or sshd's AllowStreamLocalForwarding forbids to forward to it`,
            code: 2
          }),
          error.cause
        )
      : error

const openSession = (
  connection: Connection,
  action: string,
  command: string
): Effect.Effect<ClientChannel, SshError, Scope.Scope> =>
  openChannel(connection, connection.sessions, action, (client, done) => client.exec(command, done)).pipe(
    Effect.retry({ while: isShortage, schedule: shortage })
  )

/** Keeps the end of what a program wrote to stderr. */
const makeTail = () => {
  const kept = 64 * 1024
  let bytes = Buffer.alloc(0)
  return {
    add: (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk])
      if (bytes.length > 2 * kept) bytes = Buffer.from(bytes.subarray(-kept))
    },
    last: (count: number = kept): string => bytes.subarray(-count).toString("utf8")
  }
}

type Tail = ReturnType<typeof makeTail>

const shownStderr = 4 * 1024

/** What the end of a program means; undefined for success. */
const exitFailure = (
  connection: Connection,
  action: string,
  stderr: Tail,
  code: number | null | undefined,
  signal: string | undefined
): SshError | undefined =>
  code === 0
    ? undefined
    : failure(
        connection.host,
        action,
        new SshCommandFailed({ exitCode: code ?? null, signal: signal ?? null, stderr: stderr.last(shownStderr) })
      )

const collect = (
  connection: Connection,
  action: string,
  channel: ClientChannel,
  maxOutput: number
): Effect.Effect<ExecResult, SshError> =>
  Effect.async<ExecResult, SshError>((resume) => {
    const chunks: Array<Buffer> = []
    const stderr = makeTail()
    let size = 0
    let stopWatching = () => {}
    const stop = () => {
      stopWatching()
      channel.off("data", onData)
      channel.off("close", onClose)
    }
    const finish = (result: Effect.Effect<ExecResult, SshError>) => {
      stop()
      resume(result)
    }
    const onData = (chunk: Buffer) => {
      size += chunk.length
      if (size <= maxOutput) {
        chunks.push(chunk)
        return
      }
      const reason = new SshCommandFailed({
        exitCode: null,
        signal: null,
        stderr: `it wrote more than ${maxOutput} bytes and was ended`
      })
      finish(Effect.fail(failure(connection.host, action, reason)))
    }
    const onClose = (code: number | null | undefined, signal: string | undefined) => {
      const failed = exitFailure(connection, action, stderr, code, signal)
      finish(
        failed === undefined
          ? Effect.succeed({ stdout: Buffer.concat(chunks), stderr: stderr.last() })
          : Effect.fail(failed)
      )
    }
    // stderr first: the channel's end is told when stdout has been read, and stderr must have been by then
    channel.stderr.on("data", stderr.add)
    channel.on("data", onData)
    channel.on("close", onClose)
    stopWatching = connection.onLost((lost) => finish(Effect.fail(lostError(connection, action, lost))))
    return Effect.sync(stop)
  })

const asDuplex = (
  connection: Connection,
  action: string,
  channel: ClientChannel,
  kind: "socket" | "program"
): Effect.Effect<ChannelDuplex, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const stderr = makeTail()
      channel.stderr.on("data", stderr.add)
      // a socket's far end that has closed is done with; ssh2 waits for our own end before it tells of the close
      const duplex = new ChannelDuplex(channel, kind === "program")
      // a program has ended when its status is known, which comes after the end of its output
      if (kind === "socket") channel.on("end", () => duplex.finish())
      channel.on("close", (code: number | null | undefined, signal: string | undefined) => {
        duplex.closedByHost()
        duplex.finish(kind === "program" ? exitFailure(connection, action, stderr, code, signal) : undefined)
      })
      const stopWatching = connection.onLost((lost) => duplex.destroy(lostError(connection, action, lost)))
      duplex.on("close", stopWatching)
      return duplex
    }),
    (duplex) => Effect.sync(() => duplex.destroy())
  )

/** What can be read now, else waits for it; None at the end. */
const pull = (
  duplex: Duplex,
  toError: (cause: Error) => SshError
): Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<SshError>> =>
  Effect.async((resume) => {
    const events = ["readable", "end", "error", "close"] as const
    const stop = () => {
      for (const event of events) duplex.off(event, look)
    }
    const look = () => {
      const chunk: unknown = duplex.read()
      const result =
        chunk instanceof Uint8Array
          ? Effect.succeed(Chunk.of(chunk))
          : duplex.errored !== null
            ? Effect.fail(Option.some(toError(duplex.errored)))
            : duplex.readableEnded || duplex.destroyed
              ? Effect.fail(Option.none())
              : undefined
      if (result === undefined) return
      stop()
      resume(result)
    }
    for (const event of events) duplex.on(event, look)
    look()
    return Effect.sync(stop)
  })

// ---- the service

interface Entry {
  connection: Connection | undefined
  /** the attempt under way, shared by all who want the connection */
  attempt: Deferred.Deferred<Connection, SshError> | undefined
  failures: number
  refused: { readonly error: SshError; readonly until: number } | undefined
}

const isAddress = Schema.is(HostAddress)

const make = (source: Source, settings: Settings): Effect.Effect<typeof Ssh.Service, never, SshDialer | Scope.Scope> =>
  Effect.gen(function* () {
    const dialer = yield* SshDialer
    const scope = yield* Effect.scope
    const entries = new Map<string, Entry>()

    const connect = (address: HostAddress) =>
      Effect.gen(function* () {
        const identities = yield* source.identities
        if (identities.methods.length === 0) {
          const reason = `there is no key to log in with: ${identities.notes.join("; ")}`
          return yield* Effect.fail(failure(formatAddress(address), "connect", new SshAuthenticationFailed({ reason })))
        }
        const trust = yield* source.trust
        const sock = yield* dialer.dial(address)
        return yield* handshake(address, sock, trust, identities, settings)
      })

    const backOff = (entry: Entry, error: SshError) =>
      Effect.gen(function* () {
        const { first, longest } = settings.backoff
        const doubled = Duration.toMillis(first) * 2 ** Math.min(entry.failures, 30)
        // an operator who has just accepted a key should not have to wait, nor who waits for a host to be back
        const cap = Math.min(
          error.reason._tag === "SshAuthenticationFailed" ? Number.POSITIVE_INFINITY : 500,
          Duration.toMillis(longest)
        )
        const jitter = yield* Random.nextRange(0.8, 1.2)
        const now = yield* Clock.currentTimeMillis
        entry.failures += 1
        Meters.sshFailed(error.reason._tag)
        entry.refused = { error, until: now + Math.min(doubled, cap) * jitter }
      })

    /** Makes the connection and holds it open until it is lost or the layer's scope closes. */
    const keep = (address: HostAddress, entry: Entry, attempt: Deferred.Deferred<Connection, SshError>) =>
      Effect.gen(function* () {
        const connection = yield* connect(address).pipe(Effect.tapError((error) => backOff(entry, error)))
        entry.failures = 0
        entry.refused = undefined
        entry.attempt = undefined
        yield* Meters.sshConnection(entry.connection !== undefined)
        entry.connection = connection
        yield* Deferred.succeed(attempt, connection)
        const lost = yield* Effect.async<Lost>((resume) => {
          const stop = connection.onLost((lost) => resume(Effect.succeed(lost)))
          return Effect.sync(stop)
        })
        yield* Trail.apart(Effect.logInfo(`the SSH connection was lost: ${lost.reason}`))
      }).pipe(
        Effect.scoped,
        Effect.annotateLogs({ host: formatAddress(address) }),
        Effect.interruptible,
        Effect.onExit((exit) => {
          if (entry.attempt === attempt) entry.attempt = undefined
          const closing = failure(
            formatAddress(address),
            "connect",
            new SshUnreachable({ reason: "SSH is shutting down" })
          )
          // those who wait are told why; a failed attempt is their failure, not this fiber's
          return Deferred.done(
            attempt,
            Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)
              ? Exit.failCause(exit.cause)
              : Exit.fail(closing)
          )
        }),
        Effect.exit
      )

    const connectionTo = (address: HostAddress): Effect.Effect<Connection, SshError> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          const host = formatAddress(address)
          // checked where it came in already; nothing else may ever reach a connector
          if (!isAddress(address)) {
            return yield* Effect.fail(
              failure(host, "connect", new SshUnreachable({ reason: "this is not the address of a host" }))
            )
          }
          const entry = entries.get(host) ?? {
            connection: undefined,
            attempt: undefined,
            failures: 0,
            refused: undefined
          }
          entries.set(host, entry)
          const now = yield* Clock.currentTimeMillis
          if (entry.connection !== undefined && entry.connection.lost === undefined) return entry.connection
          if (entry.attempt === undefined) {
            if (entry.refused !== undefined && now < entry.refused.until) return yield* Effect.fail(entry.refused.error)
            const attempt = Deferred.unsafeMake<Connection, SshError>(FiberId.none)
            entry.attempt = attempt
            yield* Effect.forkIn(keep(address, entry, attempt), scope)
            return yield* restore(Deferred.await(attempt))
          }
          return yield* restore(Deferred.await(entry.attempt))
        })
      )

    const commandOf = (host: string, action: string, program: RemoteProgram.RemoteProgram) =>
      Either.mapLeft(RemoteProgram.commandLine(program), (word) =>
        failure(host, action, RemoteProgram.notStarted(word))
      )

    const openProgram = (address: HostAddress, program: RemoteProgram.RemoteProgram, action: string) =>
      Effect.gen(function* () {
        const host = formatAddress(address)
        const command = yield* commandOf(host, action, program)
        const connection = yield* connectionTo(address)
        const channel = yield* openSession(connection, action, command).pipe(within(host, action, settings.channelOpen))
        return yield* asDuplex(connection, action, channel, "program")
      })

    return Ssh.of({
      exec: (address, argv, options) => {
        const host = formatAddress(address)
        const action = `exec ${argv[0]}`
        return Effect.gen(function* () {
          const command = yield* commandOf(host, action, { argv, stdin: "watched" })
          const connection = yield* connectionTo(address)
          const channel = yield* openSession(connection, action, command)
          return yield* collect(connection, action, channel, options?.maxOutput ?? 1024 * 1024)
        }).pipe(
          Effect.scoped,
          within(host, action, options?.timeout ?? "30 seconds"),
          Effect.withSpan("Ssh.exec", { attributes: { host, program: argv[0] } })
        )
      },

      stream: (address, argv) => {
        const action = `exec ${argv[0]}`
        const toError = (cause: Error) =>
          cause instanceof SshError
            ? cause
            : failure(formatAddress(address), action, new SshUnreachable({ reason: cause.message }), cause)
        return openProgram(address, { argv, stdin: "watched" }, action).pipe(
          Effect.map((duplex) => Stream.repeatEffectChunkOption(pull(duplex, toError))),
          Stream.unwrapScoped
        )
      },

      openSocket: (address, path) => {
        const host = formatAddress(address)
        const action = `open ${path}`
        return Effect.gen(function* () {
          const connection = yield* connectionTo(address)
          const channel = yield* openChannel(connection, connection.sockets, action, (client, done) =>
            client.openssh_forwardOutStreamLocal(path, done)
          ).pipe(Effect.mapError(explained(path)), within(host, action, settings.channelOpen))
          return yield* asDuplex(connection, action, channel, "socket")
        }).pipe(Effect.withSpan("Ssh.openSocket", { attributes: { host, path } }))
      },

      openTcp: (address, target) => {
        const host = formatAddress(address)
        const action = `open ${target.host} port ${target.port}`
        return Effect.gen(function* () {
          const connection = yield* connectionTo(address)
          const channel = yield* openChannel(connection, connection.tunnels, action, (client, done) =>
            client.forwardOut("127.0.0.1", 0, target.host, target.port, done)
          ).pipe(within(host, action, settings.channelOpen))
          return yield* asDuplex(connection, action, channel, "socket")
        }).pipe(Effect.withSpan("Ssh.openTcp", { attributes: { host, target: `${target.host}:${target.port}` } }))
      },

      openProgram: (address, argv) =>
        openProgram(address, { argv, stdin: "channel" }, `exec ${argv[0]}`).pipe(
          Effect.withSpan("Ssh.openProgram", { attributes: { host: formatAddress(address), program: argv[0] } })
        )
    })
  })

/**
 * SSH with keys and known hosts from files, read at each connection attempt.
 *
 * @since 0.1.0 @category layers
 */
export const layer = (
  options: Options,
  settings: Partial<Settings> = {}
): Layer.Layer<Ssh, never, SshDialer | FileSystem.FileSystem> =>
  Layer.scoped(
    Ssh,
    Effect.flatMap(FileSystem.FileSystem, (fs) => make(sourceOfFiles(fs, options), { ...defaultSettings, ...settings }))
  )

/** SSH with keys and known hosts given as text. @since 0.1.0 @category layers */
export const layerWith = (
  credentials: Credentials,
  settings: Partial<Settings> = {}
): Layer.Layer<Ssh, never, SshDialer> =>
  Layer.scoped(Ssh, make(sourceOfText(credentials), { ...defaultSettings, ...settings }))
