/**
 * The program that works on images, as it runs on a simulated host: what it is sent as its text is not looked at.
 *
 * @since 0.2.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { Duplex } from "node:stream"
import * as Program from "../ceph/Program.ts"
import * as Protocol from "../ceph/Protocol.ts"
import type { Changes } from "../services/Ceph.ts"
import type { Call, Cluster, Import } from "./Cluster.ts"
import type { Refusal } from "./ClusterFaults.ts"
import * as Qcow2 from "./Qcow2.ts"

/** Whether this is what starts it. @since 0.2.0 @category predicates */
export const matches: (argv: ReadonlyArray<string>) => boolean = Program.isArgv

/** What arrives, to be taken as it is needed. */
class Input {
  private parts: Array<Buffer> = []
  private length = 0
  private ended = false
  private wake = () => {}

  constructor(duplex: Duplex) {
    const end = () => {
      this.ended = true
      this.wake()
    }
    duplex.on("data", (chunk: Buffer) => {
      this.parts.push(chunk)
      this.length += chunk.length
      this.wake()
    })
    duplex.on("end", end).on("close", end).on("error", end)
  }

  /** What `take` makes of what is there, as soon as that is `least` bytes and it makes something of it. None: the end came before. */
  private until<A>(least: number, take: (bytes: Buffer) => { readonly value: A; readonly length: number } | undefined) {
    return Effect.async<Option.Option<A>>((resume) => {
      const done = (value: Option.Option<A>) => {
        this.wake = () => {}
        resume(Effect.succeed(value))
      }
      const look = () => {
        if (this.length >= least) {
          const [first, ...more] = this.parts
          const bytes = first === undefined || more.length > 0 ? Buffer.concat(this.parts) : first
          const taken = take(bytes)
          const rest = bytes.subarray(taken?.length ?? 0)
          this.parts = [rest]
          this.length = rest.length
          if (taken !== undefined) return done(Option.some(taken.value))
        }
        if (this.ended) done(Option.none())
      }
      this.wake = look
      look()
    })
  }

  readonly line = this.until(1, (bytes) => {
    const end = bytes.indexOf(10)
    return end === -1 ? undefined : { value: bytes.toString("utf8", 0, end), length: end + 1 }
  })

  exactly(count: number) {
    return this.until(count, (bytes) => ({ value: bytes.subarray(0, count), length: count }))
  }

  readonly frame = Effect.flatMap(this.exactly(12), (header) => {
    if (Option.isNone(header)) return Effect.succeedNone
    const offset = Number(header.value.readBigUInt64BE(0))
    return Effect.map(
      this.exactly(header.value.readUInt32BE(8)),
      Option.map((bytes) => ({ offset, bytes }))
    )
  })
}

const refusal = (errno: string, detail: string, at: string): Refusal => ({ errno, detail, at })

/**
 * Serves the program's stdin and stdout until that has ended, or the process is killed; gives its exit status.
 *
 * @since 0.2.0 @category constructors
 */
export const serve = (cluster: Cluster, duplex: Duplex): Effect.Effect<number> =>
  Effect.gen(function* () {
    const { gate } = cluster
    const killed = yield* Deferred.make<number>()
    let alive = true
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        gate.session(() => {
          alive = false
          Deferred.unsafeDone(killed, Effect.succeed(137))
        })
      ),
      (forget) => Effect.sync(forget)
    )
    const input = new Input(duplex)
    const say = (reply: Protocol.ReplyLine) =>
      Effect.sync(() => void (alive && duplex.write(Protocol.encodeReply(reply))))

    /** A call of a process that was killed before has no effect. */
    const whileAlive = <A>(call: () => Effect.Effect<A, Refusal>): Effect.Effect<A, Refusal> =>
      Effect.suspend(() => (alive ? call() : Effect.never))

    /** Answers a request with what comes of it. */
    const answer = <A, R>(
      id: number,
      request: Protocol.Request<A, R>,
      json: unknown,
      call: (args: A) => Effect.Effect<R, Refusal>
    ): Effect.Effect<void> =>
      Option.match(request.args.decode(json), {
        onNone: () => say({ id, errno: "EINVAL", detail: `${request.operation}: these are not its arguments` }),
        onSome: (args) =>
          Effect.matchEffect(call(args), {
            onFailure: (refused) => say({ id, ...refused }),
            onSuccess: (reply) => say({ id, ok: Option.getOrNull(request.reply.encode(reply)) })
          })
      })

    const calling =
      <C extends Call>(
        operation: C,
        request: Protocol.Request<Protocol.Args<C>, Protocol.Reply<C>>,
        call: Cluster["calls"][C]
      ) =>
      (id: number, json: unknown) =>
        answer(id, request, json, (args) =>
          gate.around(
            operation,
            whileAlive(() => call(args))
          )
        )

    const { requests } = Protocol
    const { calls } = cluster

    const one = <C extends keyof Changes>(change: { readonly do: C; readonly args: Changes[C] }) => {
      const doing: { readonly [K in keyof Changes]: (args: Changes[K]) => Either.Either<null, Refusal> } = calls
      return gate.around(
        change.do,
        whileAlive(() => doing[change.do](change.args))
      )
    }
    const inOrder = ({ changes }: Protocol.Args<"inOrder">) =>
      Effect.as(
        Effect.forEach(
          changes,
          (change, done) => Effect.mapError(one(change), (refused): Refusal => ({ ...refused, done })),
          { discard: true }
        ),
        null
      )

    const serving: { readonly [C in Call | "inOrder"]: (id: number, json: unknown) => Effect.Effect<void> } = {
      inOrder: (id, json) =>
        answer(id, requests.inOrder, json, (args) =>
          gate.around(
            "inOrder",
            whileAlive(() => inOrder(args))
          )
        ),
      absent: calling("absent", requests.absent, calls.absent),
      cluster: calling("cluster", requests.cluster, calls.cluster),
      usage: calling("usage", requests.usage, calls.usage),
      list: calling("list", requests.list, calls.list),
      look: calling("look", requests.look, calls.look),
      children: calling("children", requests.children, calls.children),
      trash: calling("trash", requests.trash, calls.trash),
      readSnapshot: calling("readSnapshot", requests.readSnapshot, calls.readSnapshot),
      create: calling("create", requests.create, calls.create),
      clone: calling("clone", requests.clone, calls.clone),
      grow: calling("grow", requests.grow, calls.grow),
      write: calling("write", requests.write, calls.write),
      setMetadata: calling("setMetadata", requests.setMetadata, calls.setMetadata),
      rename: calling("rename", requests.rename, calls.rename),
      remove: calling("remove", requests.remove, calls.remove),
      createSnapshot: calling("createSnapshot", requests.createSnapshot, calls.createSnapshot),
      protectSnapshot: calling("protectSnapshot", requests.protectSnapshot, calls.protectSnapshot),
      removeSnapshot: calling("removeSnapshot", requests.removeSnapshot, calls.removeSnapshot),
      rollback: calling("rollback", requests.rollback, calls.rollback),
      moveToTrash: calling("moveToTrash", requests.moveToTrash, calls.moveToTrash),
      restore: calling("restore", requests.restore, calls.restore),
      purge: calling("purge", requests.purge, calls.purge)
    }

    const open = (args: Protocol.Args<"open">): Effect.Effect<null, Refusal> =>
      args.client !== cluster.client
        ? Effect.fail(refusal("ENOENT", "it is not in /etc/ceph/ceph.keyring", "key"))
        : args.pool !== cluster.pool
          ? Effect.fail(refusal("ENOENT", `RADOS object not found (error opening pool '${args.pool}')`, "pool"))
          : Effect.succeed(null)

    const ended: Refusal = { errno: "EIO", detail: "the file ended before its end was told" }

    /** What was sent as a raw file goes to the image as it comes; all else has to be there first. */
    const receive = (image: Import, format: "raw" | "qcow2") =>
      Effect.gen(function* () {
        const file: Array<Buffer> = []
        for (;;) {
          const frame = yield* input.frame
          if (Option.isNone(frame)) return yield* Effect.fail(ended)
          const { bytes, offset } = frame.value
          if (bytes.length === 0) break
          if (format === "raw") yield* image.write(offset, bytes)
          else file.push(Buffer.from(bytes))
        }
        if (format === "raw") return null
        const clusters = yield* Either.mapLeft(Qcow2.clusters(Buffer.concat(file)), (said) =>
          refusal("EINVAL", `qemu-img: Could not open '/proc/self/fd/5': ${said}`, "convert")
        )
        for (const { bytes, offset } of clusters) yield* image.write(offset, bytes)
        return null
      })

    const importImage = (id: number, args: Protocol.Args<"importImage">): Effect.Effect<null, Refusal> =>
      gate.around(
        "importImage",
        whileAlive(() =>
          Effect.acquireUseRelease(
            cluster.beginImport(args),
            (image) => Effect.zipRight(say({ id, progress: 0 }), receive(image, args.format)),
            (image) => Effect.sync(image.close)
          )
        )
      )

    const converse = Effect.gen(function* () {
      duplex.write(`${Program.greeting}\n`)
      const length = yield* input.line
      if (Option.isSome(length)) yield* input.exactly(Number(length.value))
      for (;;) {
        const line = yield* input.line
        if (Option.isNone(line)) return 0
        const request = Protocol.decodeRequest(line.value)
        // as Python ends with what it did not expect
        if (Option.isNone(request) || !Protocol.isOperation(request.value.do)) return 1
        const { args, do: operation, id } = request.value
        if (operation === "open") {
          yield* answer(id, requests.open, args, (given) => gate.around("open", open(given)))
        } else if (operation === "importImage") {
          yield* answer(id, requests.importImage, args, (given) => importImage(id, given))
          return 0
        } else yield* Effect.forkScoped(serving[operation](id, args))
      }
    })

    return yield* Effect.raceFirst(converse, Deferred.await(killed))
  }).pipe(Effect.scoped)
