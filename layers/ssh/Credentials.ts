/**
 * What an SSH connection attempt is given: ways to log in, and host keys to trust.
 *
 * @since 0.5.0
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import ssh2, { type AnyAuthMethod } from "ssh2"
import * as Keys from "../../src/ssh/Keys.ts"
import * as KnownHosts from "../../src/ssh/KnownHosts.ts"

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

/** Ways to log in, in the order in which they are tried. @since 0.5.0 @category models */
export interface Identities {
  readonly methods: ReadonlyArray<(username: string) => AnyAuthMethod>
  /** what is offered, and why others are not, each one clause for the error message */
  readonly notes: ReadonlyArray<string>
  /** there is no key at all, not even one that cannot be used */
  readonly none?: true
}

/** Host keys that are known. `problem`: why the file could not be read. @since 0.5.0 @category models */
export interface Trust {
  readonly known: KnownHosts.KnownHosts
  readonly file: string
  readonly problem?: string
}

/** Asked at every attempt. @since 0.5.0 @category models */
export interface Source {
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

/**
 * What was read is as good as read again for so long: many hosts are tried at the same time. Less than anybody takes to accept a key and try
 * again.
 */
const asGoodAsNew = "100 millis"

/** Files that are read anew for each attempt, or for all that begin at the same time, and the agent. @since 0.5.0 @category constructors */
export const sourceOfFiles = (fs: FileSystem.FileSystem, options: Options): Effect.Effect<Source> => {
  const { identities, trust } = readingFiles(fs, options)
  return Effect.all({
    identities: Effect.cachedWithTTL(identities, asGoodAsNew),
    trust: Effect.cachedWithTTL(trust, asGoodAsNew)
  })
}

const readingFiles = (fs: FileSystem.FileSystem, options: Options): Source => {
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
        : { ...all, notes: [`there is none in ${options.homeDirectory}/.ssh and no ssh-agent`], none: true as const }
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

/** Keys and known hosts that are at hand. @since 0.5.0 @category constructors */
export const sourceOfText = (credentials: Credentials): Source => {
  const trust = { known: KnownHosts.parse(credentials.knownHosts), file: "known_hosts" }
  const identities = combine(
    credentials.privateKeys.map((text, index) =>
      Either.getOrElse(withKey(text, `key ${index + 1}`), (problem): Identities => ({ methods: [], notes: [problem] }))
    )
  )
  const given: Identities =
    identities.notes.length > 0 ? identities : { ...identities, notes: ["none was given"], none: true }
  return { identities: Effect.succeed(given), trust: Effect.succeed(trust) }
}
