import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Stream from "effect/Stream"
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import * as CephLive from "../../layers/CephLive.ts"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import * as SshLive from "../../layers/SshLive.ts"
import { argv } from "../../src/ceph/Program.ts"
import { Ceph, type CephError } from "../../src/services/Ceph.ts"
import { cephContract, CephWorld } from "../contracts/CephContract.ts"
import * as Lab from "./Lab.ts"

const { client, conf, pool } = Lab.status.ceph
const here: CephLive.Options = { pool, client, conf, host: null }
const onHost: CephLive.Options = { ...here, conf: "/etc/ceph/ceph.conf", host: Lab.address(0) }

/** Another client: `read IMAGE OFFSET LENGTH`, `write IMAGE OFFSET HEX`, or `hold IMAGE`, which is written to and then kept open. */
const other = `
import binascii, rados, rbd, sys
conf, client, pool, do, image = sys.argv[1:6]
with rados.Rados(conffile=conf, rados_id=client) as cluster:
    with cluster.open_ioctx(pool) as io, rbd.Image(io, image, read_only=do == "read") as it:
        if do == "read":
            sys.stdout.write(binascii.hexlify(it.read(int(sys.argv[6]), int(sys.argv[7]))).decode())
        elif do == "write":
            it.write(binascii.unhexlify(sys.argv[7]), int(sys.argv[6]))
        else:
            it.write(it.read(0, 1), 0)
            print("held", flush=True)
            sys.stdin.read()
`
const words = (within: string, ...args: ReadonlyArray<string | number>) => [
  "-I",
  "-c",
  other,
  conf,
  client,
  within,
  ...args.map(String)
]

const asOther = (...args: ReadonlyArray<string | number>) =>
  Effect.async<string>((resume) => {
    execFile(argv[0], words(pool, ...args), { maxBuffer: 64 * 1024 ** 2 }, (error, stdout) =>
      resume(error === null ? Effect.succeed(stdout) : Effect.die(error))
    )
  })

/** The process that has it open, until the scope ends. */
const held = (image: string, within = pool) =>
  Effect.acquireRelease(
    Effect.async<ChildProcess>((resume) => {
      const child = spawn(argv[0], words(within, "hold", image), { stdio: ["pipe", "pipe", "inherit"] })
      child.stdout.once("data", () => resume(Effect.succeed(child)))
      child.once("error", (error) => resume(Effect.die(error)))
    }),
    (child) =>
      Effect.async<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        child.stdin?.end()
      })
  )

const world = Layer.succeed(
  CephWorld,
  CephWorld.of({
    read: (image, offset, length) =>
      Effect.map(asOther("read", image, offset, length), (hex) => Uint8Array.from(Buffer.from(hex, "hex"))),
    write: (image, offset, bytes) => asOther("write", image, offset, Buffer.from(bytes).toString("hex")),
    hold: (image) => Effect.asVoid(held(image))
  })
)

const ssh = SshLive.layer(Lab.sshOptions).pipe(Layer.provide(SshDialerTcp.layer), Layer.provide(NodeContext.layer))
const live = (options: CephLive.Options) => Layer.provide(CephLive.layer(options), ssh)

const quiet = Logger.withMinimumLogLevel(LogLevel.Warning)
const mebibyte = 1024 ** 2

/** In a pool that the contract does not empty. */
const orphan = Lab.beside(
  Effect.gen(function* () {
    const ceph = yield* Ceph
    yield* Effect.ignore(ceph.remove("orphan"))
    yield* ceph.create("orphan", mebibyte)
    yield* Effect.scoped(
      Effect.gen(function* () {
        const child = yield* held("orphan", Lab.otherPool)
        child.kill("SIGKILL")
        const changes = yield* Effect.fork(
          Effect.all([ceph.setMetadata("orphan", "a", "b"), ceph.grow("orphan", 2 * mebibyte)], {
            concurrency: "unbounded"
          })
        )
        const [took] = yield* Effect.timed(
          Effect.gen(function* () {
            yield* ceph.create("other", mebibyte)
            yield* ceph.remove("other")
            assert.strictEqual((yield* Effect.flatten(ceph.look("orphan"))).watchers.length, 1)
          })
        )
        // a client that died is waited for half a minute
        assert.isBelow(Duration.toSeconds(took), 20)
        yield* Fiber.join(changes)
        yield* ceph.remove("orphan")
      })
    )
  }).pipe(quiet, Effect.provide(live({ ...here, pool: Lab.otherPool })))
)

/** In the same pool: a list that hangs at an image whose user died, so long that somebody else makes anew what it has made. */
const madeAnew = Lab.beside(
  Effect.gen(function* () {
    const ceph = yield* Ceph
    for (const image of ["slow", "part", "whole"]) yield* Effect.ignore(ceph.remove(image))
    yield* ceph.create("slow", mebibyte)
    yield* Effect.scoped(
      Effect.gen(function* () {
        const child = yield* held("slow", Lab.otherPool)
        child.kill("SIGKILL")
        const list = yield* Effect.fork(
          Effect.flip(
            ceph.inOrder([
              { do: "create", args: { image: "part", size: mebibyte } },
              { do: "setMetadata", args: { image: "slow", key: "a", value: "b" } },
              { do: "rename", args: { image: "part", name: "whole" } }
            ])
          )
        )
        yield* Lab.eventually("it is begun", ceph.list, (images) => images.includes("part"))
        yield* ceph.remove("part")
        yield* ceph.create("part", mebibyte)
        const error = yield* Fiber.join(list)
        assert.isTrue(error.refusedAfter(2, "ESTALE"), error.message)
        assert.notInclude(yield* ceph.list, "whole")
        for (const image of ["slow", "part"]) yield* ceph.remove(image)
      })
    )
  }).pipe(quiet, Effect.provide(live({ ...here, pool: Lab.otherPool })))
)

cephContract("on this machine", Layer.merge(live(here), world))
cephContract("over SSH", Layer.merge(live(onHost), world))

/** The programs that this process has started and that run still. */
const programs = () =>
  readdirSync("/proc/self/task")
    .flatMap((task) => readFileSync(`/proc/self/task/${task}/children`, "utf8").trim().split(" "))
    .filter((pid) => pid !== "")
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(argv[4])
      } catch {
        return false
      }
    })
    .map(Number)

const silenceOf = <A>(effect: Effect.Effect<A, CephError>) =>
  Effect.match(effect, {
    onSuccess: () => assert.fail("it succeeded"),
    onFailure: ({ message, reason }) => {
      assert.strictEqual(reason._tag, "CephSilent", message)
      return message
    }
  })

// what waits, and what is not in each other's way
describe.concurrent("a Ceph that is out of order for one", () => {
  for (const [where, options] of Object.entries({ "on this machine": here, "over SSH": onHost })) {
    it.live(`says what is missing, and how to mend it, ${where}`, () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const text = yield* fs.readFileString(conf)
        // for the host it is among its own files
        const folder = options.host === null ? "" : `${Lab.status.dir}/hosts/${Lab.status.hosts[0].name}/root`
        const directory = yield* fs.makeTempDirectoryScoped(folder === "" ? {} : { directory: `${folder}/var/tmp` })
        const confWith = (name: string, change: (text: string) => string) =>
          Effect.as(
            fs.writeFileString(`${directory}/${name}.conf`, change(text)),
            `${directory.slice(folder.length)}/${name}.conf`
          )
        const says = (change: Partial<CephLive.Options>, ...expected: ReadonlyArray<string | RegExp>) =>
          Effect.gen(function* () {
            const message = yield* Ceph.pipe(
              Effect.flatMap((ceph) => silenceOf(ceph.list)),
              Effect.provide(live({ ...options, ...change }))
            )
            for (const one of expected) assert.match(message, new RegExp(one))
          })
        yield* says({ conf: "/etc/ceph/none.conf" }, "there is no /etc/ceph/none.conf on ")
        yield* says({ pool: "nopool" }, "has no such pool", "ceph osd pool create nopool")
        const nobody = yield* confWith("keyless", (text) => `${text.replace(/^keyring.*$/m, "")}keyring = /none\n`)
        yield* says({ conf: nobody }, `has no key of client.${client}`, "keyring")
        const key = Buffer.concat([Buffer.from("010000000000000000001000", "hex"), Buffer.alloc(16, 7)])
        const stranger = yield* confWith(
          "stranger",
          (text) => `${text.replace(/^keyring.*$/m, "")}key = ${key.toString("base64")}\n`
        )
        yield* says({ conf: stranger }, "does not accept the key", "ceph auth get")
        const nowhere = yield* confWith("nowhere", (text) => text.replace(/^mon host.*$/m, "mon host = 127.0.0.1:1"))
        yield* says({ conf: nowhere }, "monitors do not answer", "mon_host")
        const none = yield* confWith("none", (text) => text.replace(/^mon host.*$/m, ""))
        yield* says({ conf: none }, "mon_host")
        const broken = yield* confWith("broken", () => "[[[")
        yield* says({ conf: broken }, "broken.conf on .* cannot be read")
      }).pipe(Effect.scoped, quiet, Effect.provide(NodeContext.layer))
    )
  }

  it.live("says so when the cluster has shut it out, and comes back", () =>
    Effect.gen(function* () {
      const ceph = yield* Ceph
      const begun = yield* Deferred.make<void>()
      const shutOut = yield* Deferred.make<void>()
      const bytes = Stream.concat(
        Stream.make(Buffer.alloc(5 * mebibyte, 1)),
        Stream.execute(Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(shutOut))).pipe(
          Stream.concat(Stream.make(Buffer.alloc(5 * mebibyte, 1)))
        )
      )
      const importing = yield* Effect.fork(
        silenceOf(ceph.importImage("one", { format: "raw", size: 10 * mebibyte, bytes }))
      )
      yield* Deferred.await(begun)
      const { watchers } = yield* Effect.flatten(ceph.look("one"))
      yield* Lab.lab("ceph", "osd", "blacklist", "add", watchers[0]!.address)
      yield* Deferred.succeed(shutOut, undefined)
      // now and then librbd aborts over it
      assert.match(yield* Fiber.join(importing), /has shut the client on this machine out|ended with SIG/)
      yield* Lab.eventually("it is let go", Effect.either(ceph.remove("one")), ({ _tag }) => _tag === "Right")
    }).pipe(quiet, Effect.provide(live(here)))
  )

  it.live("a change waits for an image whose user died, and holds up nothing else", orphan)

  it.live("what somebody else has made anew gets no name of whoever was held up", madeAnew)
})

describe("a Ceph that is out of order", () => {
  it.live("does not answer while its OSDs are dead, and goes on when they live again", () =>
    Effect.gen(function* () {
      const ceph = yield* Ceph
      yield* ceph.create("before", mebibyte)
      yield* Effect.acquireUseRelease(
        Lab.lab("stop-osd"),
        () =>
          Effect.gen(function* () {
            const [took, messages] = yield* Effect.timed(
              Effect.all(
                [
                  silenceOf(ceph.list),
                  silenceOf(ceph.look("before")),
                  silenceOf(ceph.create("during", mebibyte)),
                  silenceOf(ceph.setMetadata("before", "a", "b"))
                ],
                { concurrency: "unbounded" }
              )
            )
            for (const message of messages) assert.include(message, "OSDs do not answer")
            assert.isBelow(Duration.toSeconds(took), 60)
            // the monitors know nothing of it
            assert.isAbove((yield* ceph.cluster).monitors.length, 0)
          }),
        () => Effect.orDie(Lab.lab("start-osd"))
      )
      yield* Lab.eventually("it answers", Effect.either(ceph.list), ({ _tag }) => _tag === "Right")
      for (const image of yield* ceph.list) yield* ceph.remove(image)
    }).pipe(quiet, Effect.provide(live(here)))
  )

  it.live("refuses what needs room when the pool is full, and lets images be removed", () =>
    Effect.gen(function* () {
      const ceph = yield* Ceph
      const quota = (bytes: number) => Lab.lab("ceph", "osd", "pool", "set-quota", pool, "max_bytes", String(bytes))
      const bytes = Stream.make(Buffer.alloc(2 * mebibyte, 1))
      yield* ceph.importImage("one", { format: "raw", size: 2 * mebibyte, bytes })
      yield* Effect.acquireUseRelease(
        quota(1000),
        () =>
          Effect.gen(function* () {
            // the monitors look at it every few seconds
            yield* Lab.eventually(
              "it is full",
              Effect.zipRight(Effect.ignore(ceph.remove("two")), Effect.either(ceph.create("two", mebibyte))),
              (result) => result._tag === "Left" && result.left.refusedWith("EDQUOT")
            )
            assert.strictEqual((yield* ceph.usage).available, 0)
            yield* ceph.remove("one")
          }),
        () => Effect.orDie(quota(0))
      )
      yield* Lab.eventually(
        "there is room",
        Effect.either(ceph.create("three", mebibyte)),
        ({ _tag }) => _tag === "Right"
      )
      yield* ceph.remove("three")
    }).pipe(quiet, Effect.provide(live(here)))
  )

  it.live("a program that is killed is started again, and none outlives its layer", () =>
    Effect.gen(function* () {
      yield* Effect.gen(function* () {
        const ceph = yield* Ceph
        yield* ceph.list
        const [pid] = programs()
        assert.isDefined(pid)
        process.kill(pid!, "SIGSTOP")
        const listing = yield* Effect.fork(silenceOf(ceph.list))
        process.kill(pid!, "SIGKILL")
        assert.match(yield* Fiber.join(listing), /ended with SIGKILL/)
        yield* Lab.eventually("it answers", Effect.either(ceph.list), ({ _tag }) => _tag === "Right")
        assert.notInclude(programs(), pid)
        assert.strictEqual(programs().length, 1)
      }).pipe(Effect.provide(live(here)))
      assert.deepStrictEqual(programs(), [])
    }).pipe(quiet)
  )
})
