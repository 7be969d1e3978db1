/**
 * What a create costs at best: what the controller has sent for one of them, and had its database do, is sent and done again for VMs of other names,
 * with ssh2 and SQLite alone. The hosts do and answer the same, but for their events, which nobody
 * has asked for here.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { randomBytes, randomUUID } from "node:crypto"
import { once } from "node:events"
import { createRequire } from "node:module"
import type { Duplex } from "node:stream"
import ssh2 from "ssh2"
import * as Program from "../../src/ceph/Program.ts"
import type { HostAddress } from "../../src/domain/Host.ts"
import type { Vm } from "../../src/domain/Vm.ts"
import * as Packet from "../../src/libvirt/Packet.ts"
import * as Procedures from "../../src/libvirt/Procedures.ts"
import * as Xdr from "../../src/libvirt/Xdr.ts"
import * as RemoteProgram from "../../src/ssh/RemoteProgram.ts"
import type { Ssh } from "../../src/services/Ssh.ts"

type Parameter = string | number | null

interface Statement {
  readonly reader: boolean
  all(...parameters: ReadonlyArray<Parameter>): ReadonlyArray<Readonly<Record<string, unknown>>>
  run(...parameters: ReadonlyArray<Parameter>): unknown
}

interface RawDatabase {
  prepare(statement: string): Statement
  pragma(statement: string): unknown
  close(): void
}

/** The driver that `@effect/sql-sqlite-node` uses. */
const driver: { new (filename: string): RawDatabase; readonly prototype: RawDatabase } = createRequire(
  import.meta.resolve("@effect/sql-sqlite-node")
)("better-sqlite3")

type Done =
  | { readonly on: string; readonly to: "libvirt" | "ceph"; readonly bytes: Buffer }
  | { readonly to: "database"; readonly statement: string; readonly parameters: ReadonlyArray<Parameter> }

const procedureOf = (frame: Buffer) => frame.readInt32BE(12)
const numbersOf = (...names: ReadonlyArray<Procedures.ProcedureName>): ReadonlySet<number> =>
  new Set(names.map((name) => Procedures.procedures[name].number))

const ofHost = numbersOf(
  "SECRET_LOOKUP_BY_UUID",
  "NETWORK_LOOKUP_BY_NAME",
  "NETWORK_IS_ACTIVE",
  "CONNECT_LIST_ALL_NETWORKS"
)
const making = numbersOf("DOMAIN_DEFINE_XML_FLAGS", "DOMAIN_CREATE_WITH_FLAGS")
const socketPath = "/run/libvirt/libvirt-sock"

/** Has all that is sent and written noted while `on`. */
export class Recorder {
  on = false
  readonly all: Array<Done> = []

  /** Databases that are opened from now on. */
  watchDatabases(): void {
    const { prepare } = driver.prototype
    const note = (statement: string, parameters: ReadonlyArray<Parameter>) => {
      if (this.on) this.all.push({ to: "database", statement, parameters })
    }
    driver.prototype.prepare = function (text) {
      const made = prepare.call(this, text)
      const { all, run } = made
      made.all = (...parameters) => (note(text, parameters), all.apply(made, [...parameters]))
      made.run = (...parameters) => (note(text, parameters), run.apply(made, [...parameters]))
      return made
    }
  }

  readonly watch = (ssh: Ssh["Type"]): Ssh["Type"] => ({
    ...ssh,
    openSocket: (address, path) => Effect.map(ssh.openSocket(address, path), this.#watched(address.host, "libvirt")),
    openProgram: (address, argv) => Effect.map(ssh.openProgram(address, argv), this.#watched(address.host, "ceph"))
  })

  #watched(on: string, to: "libvirt" | "ceph") {
    return (duplex: Duplex): Duplex => {
      const write: Duplex["write"] = duplex.write.bind(duplex)
      const noting = (chunk: Uint8Array): boolean => {
        const bytes = Buffer.from(chunk)
        if (this.on) this.all.push({ on, to, bytes })
        return write(chunk)
      }
      return Object.defineProperty(duplex, "write", { value: noting })
    }
  }
}

/** Somebody who answers on a channel: what is sent with a number is answered with that. */
const channel = (duplex: Duplex, next: (bytes: Buffer) => { readonly length: number; readonly id?: number } | null) => {
  const waiting = new Map<number, (answer: Buffer) => void>()
  let rest: Buffer = Buffer.alloc(0)
  duplex.on("data", (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    for (let cut = next(rest); cut !== null; cut = next(rest)) {
      if (cut.id !== undefined) {
        waiting.get(cut.id)?.(rest.subarray(0, cut.length))
        waiting.delete(cut.id)
      }
      rest = rest.subarray(cut.length)
    }
  })
  let last = 0
  return (numbered: (id: number) => Buffer) =>
    new Promise<Buffer>((resolve) => {
      waiting.set(++last, resolve)
      duplex.write(numbered(last))
    })
}
type Channel = ReturnType<typeof channel>

const frameOf = (bytes: Buffer) => {
  if (bytes.length < 28 || bytes.length < bytes.readUInt32BE(0)) return null
  const isReply = bytes.readInt32BE(16) === Packet.types.reply && bytes.readUInt32BE(4) === Packet.programs.remote
  return { length: bytes.readUInt32BE(0), ...(isReply ? { id: bytes.readUInt32BE(20) } : {}) }
}

const lineOf = (bytes: Buffer) => {
  const end = bytes.indexOf(10)
  if (end === -1) return null
  const id = /^\{"id":(\d+),"(?:ok|errno)/.exec(bytes.toString("latin1", 0, Math.min(end, 40)))?.[1]
  return { length: end + 1, ...(id === undefined ? {} : { id: Number(id) }) }
}

const call = <P extends Procedures.ProcedureName>(procedure: P, args: Procedures.Args<P>) => {
  const { number } = Procedures.procedures[procedure]
  const { statuses, types, programs } = Packet
  const header = { program: programs.remote, procedure: number, type: types.call, serial: 0, status: statuses.ok }
  return Buffer.from(Packet.encode(header, Either.getOrThrow(Xdr.encode(Procedures.argsOf(procedure), args))))
}

/** A call with another serial. */
const frame = (bytes: Buffer) => (id: number) => (bytes.writeUInt32BE(id, 20), bytes)
const framesOf = (bytes: Buffer): ReadonlyArray<Buffer> =>
  bytes.length === 0
    ? []
    : [bytes.subarray(0, bytes.readUInt32BE(0)), ...framesOf(bytes.subarray(bytes.readUInt32BE(0)))]

const line = (bytes: string) => (id: number) => Buffer.from(bytes.replace(/^\{"id":\d+/, `{"id":${id}`), "latin1")

interface Options {
  readonly recorder: Recorder
  /** the recorded one, its operation, and its host */
  readonly vm: Pick<Vm, "id" | "uuid" | "name" | "domainName" | "nics">
  readonly operationId: string
  readonly host: string
  readonly creates: number
  /** as many at once */
  readonly together: number
  readonly hosts: ReadonlyArray<string>
  readonly ceph: { readonly pool: string; readonly client: string; readonly conf: string; readonly host: HostAddress }
  readonly dial: (host: string) => Duplex
  readonly privateKey: string
  /** as the controller left it */
  readonly database: string
}

const binary = (uuid: string) => Buffer.from(uuid.replaceAll("-", ""), "hex").toString("latin1")

/** Names and numbers of another VM, as long as those of the recorded one. */
const renaming = ({ operationId, vm }: Options, number: number) => {
  const [uuid, operation] = [randomUUID(), randomUUID()]
  const id = vm.id + number
  const others = new Map([
    [vm.uuid, uuid],
    [binary(vm.uuid), binary(uuid)],
    [operationId, operation],
    ...vm.nics.map(({ mac }) => [mac, `52:54:00:${randomBytes(3).toString("hex").replace(/..\B/g, "$&:")}`] as const),
    [vm.name, String(id).padStart(vm.name.length, "r")],
    [String(vm.id), String(id)]
  ])
  const any = new RegExp(
    [...others.keys()].map((one) => one.replace(/[^a-zA-Z0-9\u0080-\uffff]/g, "\\$&")).join("|"),
    "g"
  )
  return { text: (text: string) => text.replace(any, (found) => others.get(found) ?? found), id }
}

/**
 * What of all that was noted is the recorded create's own: meanwhile others were looked at and written of. Calls that name no domain (its host's networks
 * and secret) are asked of hosts by creates alone; of what is written, a write is its own as a whole.
 */
const ownOf = ({ ceph, host, operationId, recorder, vm }: Options): ReadonlyArray<Done> => {
  const names = [vm.uuid, binary(vm.uuid), operationId, vm.domainName]
  const named = (text: string) => names.some((name) => text.includes(name))
  const isOwn = (one: Done) => {
    if (one.to === "database") return one.parameters.some((of) => (typeof of === "string" ? named(of) : of === vm.id))
    const text = one.bytes.toString("latin1")
    return one.to === "ceph"
      ? one.on === ceph.host.host && !text.includes('"usage"')
      : one.on === host && (named(text) || ofHost.has(procedureOf(one.bytes)))
  }
  const units: Array<Array<Done>> = []
  let whole: Array<Done> | null = null
  for (const one of recorder.all) {
    const statement = one.to === "database" ? one.statement : ""
    if (statement.startsWith("SAVEPOINT")) whole = []
    if (whole === null) units.push([one])
    else whole.push(one)
    if (whole !== null && statement.startsWith("RELEASE")) {
      units.push(whole)
      whole = null
    }
  }
  return units.filter((unit) => unit.some((one) => isCommit(one) || isOwn(one))).flat()
}

const isCommit = (one: Done) => one.to === "database" && one.statement === "COMMIT"

/** All that is done at once is done in one transaction. */
const writer = (database: RawDatabase) => {
  const statements = new Map<string, Statement>()
  const execute = (text: string, parameters: ReadonlyArray<Parameter>) => {
    const statement = statements.get(text) ?? database.prepare(text)
    statements.set(text, statement)
    return statement.reader ? statement.all(...parameters) : statement.run(...parameters)
  }
  type Part = ReadonlyArray<readonly [text: string, parameters: ReadonlyArray<Parameter>]>
  let waiting: Array<{ readonly part: Part; readonly done: () => void }> = []
  const commit = () => {
    const all = waiting
    waiting = []
    execute("BEGIN IMMEDIATE", [])
    for (const { part } of all) for (const [text, parameters] of part) execute(text, parameters)
    execute("COMMIT", [])
    for (const { done } of all) done()
  }
  return (part: Part) =>
    new Promise<void>((done) => {
      if (waiting.push({ part, done }) === 1) setImmediate(commit)
    })
}

const login = async ({ dial, privateKey }: Options, host: string) => {
  const client = new ssh2.Client()
  client.connect({ sock: dial(host), username: "root", privateKey, hostVerifier: () => true })
  await once(client, "ready")
  return client
}

/** Connects and makes all that is to be sent; gives what then sends it, which gives how many a second there were. */
export const prepare = async (options: Options): Promise<() => Promise<number>> => {
  const { ceph, vm } = options
  const clients = await Promise.all(options.hosts.map((host) => login(options, host)))
  const daemons = await Promise.all(
    clients.map(async (client): Promise<Channel> => {
      const stream = await new Promise<Duplex>((resolve, reject) =>
        client.openssh_forwardOutStreamLocal(socketPath, (error, made) => (error ? reject(error) : resolve(made)))
      )
      const ask = channel(stream, frameOf)
      await ask(frame(call("AUTH_LIST", undefined)))
      await ask(frame(call("CONNECT_OPEN", { name: "qemu:///system", flags: 0 })))
      return ask
    })
  )
  const cephClient = await login(options, ceph.host.host)
  const command = RemoteProgram.commandLine({ argv: Program.argv, stdin: "channel" })
  const stream = await new Promise<Duplex>((resolve, reject) =>
    cephClient.exec(command._tag === "Right" ? command.right : "", (error, made) =>
      error ? reject(error) : resolve(made)
    )
  )
  const program = channel(stream, lineOf)
  stream.write(Program.text)
  const { client, conf, pool } = ceph
  await program(line(JSON.stringify({ id: 0, do: "open", args: { client, conf, pool } }) + "\n"))
  const database = new driver(options.database)
  database.pragma("journal_mode = WAL")
  database.pragma("synchronous = FULL")
  const write = writer(database)

  const own = ownOf(options)
  let refused = 0
  const send = async (to: Channel, numbered: (id: number) => Buffer, mayBeRefused: boolean) => {
    const answer = await to(numbered)
    const isRefusal = answer.readUInt8(0) === 0x7b ? answer.includes('"errno"') : answer.readInt32BE(24) !== 0
    if (isRefusal && !mayBeRefused) refused++
  }
  /** What is sent and written for one of them, all made beforehand. */
  const prepared = Array.from({ length: options.creates }, (_, index) => {
    const { id, text } = renaming(options, index + 1)
    const daemon = daemons[index % daemons.length] ?? program
    const steps: Array<() => Promise<unknown>> = []
    let part: Array<[string, ReadonlyArray<Parameter>]> = []
    const written = () => {
      const whole = part
      part = []
      if (whole.length > 0) steps.push(() => write(whole))
    }
    for (const one of own) {
      if (one.to === "database") {
        const { parameters, statement } = one
        if (statement === "COMMIT") written()
        else if (statement !== "BEGIN IMMEDIATE")
          part.push([statement, parameters.map((of) => (typeof of === "string" ? text(of) : of === vm.id ? id : of))])
      } else {
        written()
        const bytes = text(one.bytes.toString("latin1"))
        if (one.to === "libvirt")
          for (const call of framesOf(Buffer.from(bytes, "latin1")))
            steps.push(() => send(daemon, frame(call), !making.has(procedureOf(call))))
        else
          for (const request of bytes.split("\n").slice(0, -1))
            steps.push(() => send(program, line(`${request}\n`), request.includes('"do":"look"')))
      }
    }
    written()
    return steps
  })
  return async () => {
    const began = performance.now()
    const next = prepared.values()
    const work = async () => {
      for (const steps of next) for (const step of steps) await step()
    }
    await Promise.all(Array.from({ length: options.together }, work))
    const seconds = (performance.now() - began) / 1000
    for (const one of [...clients, cephClient]) one.end()
    const [made] = database.prepare("select count(*) as running from vms where id > ? and state = 'running'").all(vm.id)
    database.close()
    if (refused > 0 || made?.["running"] !== options.creates)
      throw new Error(
        `by hand: ${refused} calls were refused, ${String(made?.["running"])} of ${options.creates} VMs run`
      )
    return options.creates / seconds
  }
}
