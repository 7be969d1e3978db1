/** What every Ceph must do, whatever it is made of. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { inspect } from "node:util"
import { Ceph, CephError, type Image } from "../../src/services/Ceph.ts"
import { clusterBytes, qcow2File } from "../ceph/Qcow2File.ts"

/** What can be done with images by another client. */
export class CephWorld extends Context.Tag("test/CephWorld")<
  CephWorld,
  {
    readonly read: (image: string, offset: number, length: number) => Effect.Effect<Uint8Array>
    readonly write: (image: string, offset: number, bytes: Uint8Array) => Effect.Effect<void>
    /** has it open for writing until the scope ends */
    readonly hold: (image: string) => Effect.Effect<void, never, Scope.Scope>
  }
>() {}

const quiet = Logger.withMinimumLogLevel(LogLevel.Warning)
const mebibyte = 1024 ** 2
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1")
const bytesOf = (words: string) => Buffer.from(words, "latin1")

const absent = <A>(effect: Effect.Effect<A, CephError>) =>
  Effect.catchIf(
    effect,
    (error) => error.refusedWith("ENOENT"),
    () => Effect.void
  )

/** Removes an image with its snapshots; what was made from them goes before it. */
export const remove = (ceph: Ceph["Type"], image: string): Effect.Effect<void, CephError> =>
  Effect.gen(function* () {
    const found = yield* ceph.look(image)
    if (Option.isNone(found)) return
    for (const { name } of found.value.snapshots) {
      for (const child of yield* ceph.children(image, name)) yield* remove(ceph, child)
      yield* absent(ceph.removeSnapshot(image, name))
    }
    yield* absent(ceph.remove(image))
  })

/** Empties the pool. */
const clear = (ceph: Ceph["Type"]) =>
  Effect.gen(function* () {
    for (const { id } of yield* ceph.trash) yield* ceph.restore(id, `trashed-${id}`)
    for (const image of yield* ceph.list) yield* remove(ceph, image)
  })

const refused = <A>(errno: string, effect: Effect.Effect<A, CephError>) =>
  Effect.gen(function* () {
    const result = yield* Effect.either(effect)
    if (Either.isRight(result)) return assert.fail(`it was not refused with ${errno}`)
    const { left } = result
    assert.isTrue(left.refusedWith(...errno.split(" ")), `${left.message}: expected ${errno}`)
    assert.match(left.message, /^Ceph pool \S+ failed to \S/)
  })

const failureOf = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.match(effect, {
    onFailure: (error) => error,
    onSuccess: () => assert.fail("it succeeded")
  })

const looked = (ceph: Ceph["Type"], image: string): Effect.Effect<Image, CephError> =>
  Effect.flatMap(ceph.look(image), Option.match({ onNone: () => Effect.die(`no ${image}`), onSome: Effect.succeed }))

export const cephContract = <E>(name: string, layer: Layer.Layer<Ceph | CephWorld, E>) =>
  describe(`Ceph: ${name}`, () => {
    const test = (
      title: string,
      body: (ceph: Ceph["Type"], world: CephWorld["Type"]) => Effect.Effect<unknown, CephError, Scope.Scope>
    ) =>
      it.live(title, () =>
        Effect.gen(function* () {
          const ceph = yield* Ceph
          const world = yield* CephWorld
          yield* clear(ceph)
          yield* Effect.ensuring(Effect.scoped(body(ceph, world)), Effect.orDie(clear(ceph)))
        }).pipe(quiet, Effect.provide(layer))
      )

    test("says what a client needs to reach it, and shows the key to nobody", (ceph) =>
      Effect.gen(function* () {
        const cluster = yield* ceph.cluster
        assert.match(cluster.fsid, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
        assert.isAbove(cluster.monitors.length, 0)
        for (const { host, port } of cluster.monitors) {
          assert.match(host, /^[0-9a-z.:-]+$/)
          assert.strictEqual(port, 6789)
        }
        assert.match(cluster.version, /^\d+\.\d+\.\d+$/)
        assert.notMatch(cluster.client, /^client\./)
        const key = Redacted.value(cluster.key)
        assert.strictEqual(Buffer.from(key, "base64").length, 28)
        for (const shown of [JSON.stringify(cluster), inspect(cluster, { depth: 9 }), String(cluster.key)]) {
          assert.notInclude(shown, key)
        }
      }))

    test("creates an image once, which then is listed and looked at", (ceph, world) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* ceph.list, [])
        assert.deepStrictEqual(yield* ceph.look("one"), Option.none())
        yield* ceph.create("one", 9 * mebibyte)
        yield* ceph.create("two", 1)
        assert.deepStrictEqual([...(yield* ceph.list)].sort(), ["one", "two"])
        const image = yield* looked(ceph, "one")
        assert.match(image.id, /^\S+$/)
        assert.notStrictEqual(image.id, (yield* looked(ceph, "two")).id)
        assert.deepStrictEqual(
          { ...image, id: "" },
          { id: "", size: 9 * mebibyte, metadata: {}, parent: null, snapshots: [], watchers: [], lockers: [] }
        )
        assert.deepStrictEqual(yield* world.read("one", 4 * mebibyte - 2, 4), new Uint8Array(4))
        yield* refused("EEXIST", ceph.create("one", mebibyte))
        yield* refused("EINVAL", ceph.create("", mebibyte))
        yield* refused("EINVAL", ceph.create("three", -1))
        yield* refused("EINVAL", ceph.create("three", 1.5))
      }))

    test("does many things at once", (ceph) =>
      Effect.gen(function* () {
        const names = Array.from({ length: 40 }, (_, index) => `many-${index}`)
        const all = <A>(f: (name: string) => Effect.Effect<A, CephError>) =>
          Effect.forEach(names, f, { concurrency: "unbounded" })
        yield* all((name) => ceph.create(name, mebibyte))
        assert.deepStrictEqual([...(yield* ceph.list)].sort(), [...names].sort())
        yield* all((name) => ceph.setMetadata(name, "who", name))
        const images = yield* all((name) => looked(ceph, name))
        assert.deepStrictEqual(
          images.map(({ metadata }) => metadata),
          names.map((who) => ({ who }))
        )
        assert.strictEqual(new Set(images.map(({ id }) => id)).size, names.length)
      }))

    test("grows an image, and never makes it smaller", (ceph) =>
      Effect.gen(function* () {
        yield* ceph.create("one", 2 * mebibyte)
        yield* ceph.grow("one", 5 * mebibyte)
        yield* ceph.grow("one", 5 * mebibyte)
        yield* refused("EINVAL", ceph.grow("one", mebibyte))
        assert.strictEqual((yield* looked(ceph, "one")).size, 5 * mebibyte)
        yield* refused("ENOENT", ceph.grow("other", mebibyte))
      }))

    test("writes at an image's beginning, and no further than it goes", (ceph, world) =>
      Effect.gen(function* () {
        const content = Uint8Array.from({ length: 100_000 }, (_, at) => at % 251)
        yield* ceph.create("one", mebibyte)
        yield* ceph.write("one", content)
        assert.deepStrictEqual(
          yield* world.read("one", 0, content.length + 4),
          new Uint8Array([...content, 0, 0, 0, 0])
        )
        yield* ceph.write("one", new Uint8Array([7, 8]))
        assert.deepStrictEqual(yield* world.read("one", 0, 4), new Uint8Array([7, 8, 2, 3]))
        yield* refused("EINVAL", ceph.write("one", new Uint8Array(mebibyte + 1)))
        yield* refused("ENOENT", ceph.write("other", content))
      }))

    test("keeps metadata beside an image", (ceph) =>
      Effect.gen(function* () {
        yield* ceph.create("one", mebibyte)
        yield* ceph.setMetadata("one", "a", "first")
        yield* ceph.setMetadata("one", "a", 'second "ä\n€"')
        yield* ceph.setMetadata("one", "b", "c")
        assert.deepStrictEqual((yield* looked(ceph, "one")).metadata, { a: 'second "ä\n€"', b: "c" })
        yield* refused("EINVAL", ceph.setMetadata("one", "b", ""))
        yield* refused("ENOENT", ceph.setMetadata("other", "a", "b"))
      }))

    test("renames an image, which stays the same", (ceph, world) =>
      Effect.gen(function* () {
        yield* ceph.create("one", mebibyte)
        yield* ceph.create("two", mebibyte)
        yield* world.write("one", 17, bytesOf("kept"))
        const before = yield* looked(ceph, "one")
        yield* refused("EEXIST", ceph.rename("one", "two"))
        yield* refused("ENOENT", ceph.rename("three", "four"))
        yield* ceph.rename("one", "three")
        assert.deepStrictEqual(yield* looked(ceph, "three"), before)
        assert.strictEqual(text(yield* world.read("three", 17, 4)), "kept")
        assert.deepStrictEqual([...(yield* ceph.list)].sort(), ["three", "two"])
      }))

    test("does several changes in their order, up to the first that is refused", (ceph, world) =>
      Effect.gen(function* () {
        yield* ceph.inOrder([
          { do: "absent", args: { image: "one" } },
          { do: "create", args: { image: "one.new", size: mebibyte } },
          { do: "grow", args: { image: "one.new", size: 2 * mebibyte } },
          { do: "write", args: { image: "one.new", content: bytesOf("whole") } },
          { do: "setMetadata", args: { image: "one.new", key: "a", value: "b" } },
          { do: "rename", args: { image: "one.new", name: "one" } }
        ])
        assert.deepStrictEqual(yield* ceph.list, ["one"])
        assert.deepInclude(yield* looked(ceph, "one"), { size: 2 * mebibyte, metadata: { a: "b" } })
        assert.strictEqual(text(yield* world.read("one", 0, 6)), "whole\0")
        const again = yield* failureOf(
          ceph.inOrder([
            { do: "absent", args: { image: "one" } },
            { do: "create", args: { image: "two", size: mebibyte } }
          ])
        )
        assert.isTrue(again.refusedAfter(0, "EEXIST"), again.message)
        assert.isFalse(again.refusedAfter(1, "EEXIST"), again.message)
        const second = yield* failureOf(
          ceph.inOrder([
            { do: "create", args: { image: "two", size: 2 * mebibyte } },
            { do: "grow", args: { image: "two", size: mebibyte } },
            { do: "rename", args: { image: "two", name: "three" } }
          ])
        )
        assert.isTrue(second.refusedAfter(1, "EINVAL"), second.message)
        assert.include(second.message, `failed to grow image two to ${mebibyte} bytes: `)
        assert.deepStrictEqual([...(yield* ceph.list)].sort(), ["one", "two"])
        // what cannot even be sent changes nothing
        yield* refused(
          "EINVAL",
          ceph.inOrder([
            { do: "create", args: { image: "four", size: mebibyte } },
            { do: "grow", args: { image: "four", size: -1 } }
          ])
        )
        assert.deepStrictEqual([...(yield* ceph.list)].sort(), ["one", "two"])
      }))

    test("removes an image that nobody needs", (ceph, world) =>
      Effect.gen(function* () {
        yield* refused("ENOENT", ceph.remove("one"))
        yield* ceph.create("one", mebibyte)
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* world.hold("one")
            yield* refused("EBUSY", ceph.remove("one"))
          })
        )
        yield* ceph.createSnapshot("one", "s")
        yield* refused("ENOTEMPTY", ceph.remove("one"))
        yield* ceph.removeSnapshot("one", "s")
        yield* ceph.remove("one")
        assert.deepStrictEqual(yield* ceph.look("one"), Option.none())
      }))

    test("tells who else has an image open, and does not count itself", (ceph, world) =>
      Effect.gen(function* () {
        yield* ceph.create("one", mebibyte)
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* world.hold("one")
            const { watchers } = yield* looked(ceph, "one")
            assert.strictEqual(watchers.length, 1)
            assert.match(watchers[0]!.address, /^[0-9.]+:\d+\/\d+$/)
            yield* ceph.setMetadata("one", "a", "b")
            yield* ceph.createSnapshot("one", "s")
          })
        )
        const looks = yield* Effect.all(
          [ceph.grow("one", 2 * mebibyte), ...Array.from({ length: 8 }, () => looked(ceph, "one"))],
          { concurrency: "unbounded" }
        )
        for (const look of looks) assert.deepStrictEqual(look?.watchers ?? [], [])
      }))

    test("snapshots are taken, protected, gone back to and removed", (ceph, world) =>
      Effect.gen(function* () {
        yield* refused("ENOENT", ceph.createSnapshot("one", "s"))
        yield* ceph.create("one", 2 * mebibyte)
        yield* world.write("one", 0, bytesOf("first"))
        yield* ceph.createSnapshot("one", "s")
        yield* refused("EEXIST", ceph.createSnapshot("one", "s"))
        yield* ceph.grow("one", 8 * mebibyte)
        yield* world.write("one", 0, bytesOf("other"))
        yield* world.write("one", 7 * mebibyte, bytesOf("more"))
        yield* ceph.createSnapshot("one", "t")
        yield* ceph.protectSnapshot("one", "t")
        yield* ceph.protectSnapshot("one", "t")
        yield* refused("ENOENT", ceph.protectSnapshot("one", "u"))
        assert.deepStrictEqual((yield* looked(ceph, "one")).snapshots, [
          { name: "s", size: 2 * mebibyte, protected: false },
          { name: "t", size: 8 * mebibyte, protected: true }
        ])
        yield* ceph.rollback("one", "s")
        assert.strictEqual((yield* looked(ceph, "one")).size, 2 * mebibyte)
        assert.strictEqual(text(yield* world.read("one", 0, 5)), "first")
        yield* ceph.rollback("one", "t")
        assert.strictEqual(text(yield* world.read("one", 0, 5)), "other")
        assert.strictEqual(text(yield* world.read("one", 7 * mebibyte, 4)), "more")
        yield* refused("ENOENT", ceph.rollback("one", "u"))
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* world.hold("one")
            yield* refused("EBUSY EROFS", ceph.rollback("one", "s"))
          })
        )
        assert.strictEqual(text(yield* world.read("one", 0, 5)), "other")
        yield* ceph.removeSnapshot("one", "s")
        yield* ceph.removeSnapshot("one", "t")
        yield* refused("ENOENT", ceph.removeSnapshot("one", "t"))
        assert.deepStrictEqual((yield* looked(ceph, "one")).snapshots, [])
      }))

    test("exports what a snapshot holds, also of what it shows of its parent, holes left out", (ceph, world) =>
      Effect.gen(function* () {
        const words = Buffer.from("words!")
        yield* ceph.create("one", 2048 * mebibyte)
        yield* world.write("one", 0, words)
        yield* world.write("one", 8 * mebibyte + 3, words)
        yield* ceph.createSnapshot("one", "base")
        yield* ceph.protectSnapshot("one", "base")
        yield* ceph.clone({ image: "one", snapshot: "base" }, "two")
        yield* ceph.grow("two", 2050 * mebibyte + 512)
        // over what the parent has, after a hole, and at the end
        const places = [0, 1500 * mebibyte, 2050 * mebibyte + 506]
        for (const at of places) yield* world.write("two", at, Buffer.from("later!"))
        yield* ceph.createSnapshot("two", "now")
        yield* world.write("two", 0, Buffer.from("after!"))
        const exported = (name: string, size: number) =>
          Effect.map(Stream.runCollect(ceph.exportSnapshot("two", { name, size })), (all) => [...all])
        const pieces = yield* exported("now", 2050 * mebibyte + 512)
        const at = (offset: number) =>
          pieces
            .flatMap((piece) =>
              offset >= piece.offset && offset < piece.offset + piece.bytes.length
                ? [text(piece.bytes.subarray(offset - piece.offset, offset - piece.offset + 6))]
                : []
            )
            .join()
        assert.deepStrictEqual(places.map(at), ["later!", "later!", "later!"])
        assert.strictEqual(at(8 * mebibyte + 3), "words!")
        assert.deepStrictEqual(
          pieces.map(({ offset }) => offset / mebibyte),
          [0, 8, 1500, 2048]
        )
        assert.isTrue(pieces.every(({ bytes }) => bytes.length <= 4 * mebibyte))
        yield* refused("ENOENT", exported("never", mebibyte))
      }))

    test("clones show their snapshot until they are written, and keep it alive", (ceph, world) =>
      Effect.gen(function* () {
        const from = { image: "base", snapshot: "s" }
        yield* refused("ENOENT", ceph.clone(from, "copy"))
        yield* ceph.create("base", 6 * mebibyte)
        yield* world.write("base", 5 * mebibyte, bytesOf("golden"))
        yield* ceph.setMetadata("base", "a", "b")
        yield* refused("ENOENT", ceph.clone(from, "copy"))
        yield* ceph.createSnapshot("base", "s")
        yield* refused("EINVAL", ceph.clone(from, "copy"))
        yield* ceph.protectSnapshot("base", "s")
        yield* ceph.clone(from, "copy")
        yield* refused("EEXIST", ceph.clone(from, "copy"))
        yield* world.write("base", 5 * mebibyte, bytesOf("rusty!"))
        yield* world.write("copy", 5 * mebibyte + 1, bytesOf("0"))
        assert.strictEqual(text(yield* world.read("copy", 5 * mebibyte, 6)), "g0lden")
        const copy = yield* looked(ceph, "copy")
        assert.deepStrictEqual(copy.parent, from)
        assert.strictEqual(copy.size, 6 * mebibyte)
        // as Ceph does
        assert.deepStrictEqual(copy.metadata, { a: "b" })
        assert.deepStrictEqual(yield* ceph.children("base", "s"), ["copy"])
        yield* refused("EBUSY", ceph.removeSnapshot("base", "s"))
        yield* ceph.moveToTrash("copy", 0)
        assert.deepStrictEqual(yield* ceph.children("base", "s"), ["copy"])
        yield* refused("EBUSY", ceph.removeSnapshot("base", "s"))
        for (const { id } of yield* ceph.trash) yield* ceph.purge(id)
        assert.deepStrictEqual(yield* ceph.children("base", "s"), [])
        yield* refused("ENOENT", ceph.children("base", "t"))
        yield* ceph.removeSnapshot("base", "s")
      }))

    test("the trash keeps an image until it is restored or purged", (ceph, world) =>
      Effect.gen(function* () {
        yield* refused("ENOENT", ceph.moveToTrash("one", 0))
        yield* refused("ENOENT", ceph.restore("abcdef", "one"))
        yield* refused("ENOENT", ceph.purge("abcdef"))
        yield* ceph.create("one", mebibyte)
        yield* world.write("one", 0, bytesOf("kept"))
        yield* ceph.createSnapshot("one", "s")
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* world.hold("one")
            yield* refused("EBUSY", ceph.moveToTrash("one", 0))
          })
        )
        const { id } = yield* looked(ceph, "one")
        yield* refused("ENOENT", ceph.purge(id))
        assert.strictEqual((yield* looked(ceph, "one")).snapshots.length, 1)
        yield* ceph.moveToTrash("one", 3600)
        assert.deepStrictEqual(yield* ceph.trash, [{ id, name: "one" }])
        assert.deepStrictEqual(yield* ceph.list, [])
        assert.deepStrictEqual(yield* ceph.look("one"), Option.none())
        yield* ceph.create("one", 2 * mebibyte)
        yield* refused("EEXIST", ceph.restore(id, "one"))
        yield* ceph.restore(id, "back")
        assert.strictEqual((yield* looked(ceph, "back")).id, id)
        assert.strictEqual(text(yield* world.read("back", 0, 4)), "kept")
        yield* ceph.protectSnapshot("back", "s")
        yield* ceph.clone({ image: "back", snapshot: "s" }, "copy")
        yield* ceph.moveToTrash("back", 3600)
        yield* refused("EBUSY", ceph.purge(id))
        yield* ceph.remove("copy")
        // its delay notwithstanding
        yield* ceph.purge(id)
        yield* refused("ENOENT", ceph.purge(id))
        assert.deepStrictEqual(yield* ceph.trash, [])
      }))

    test("imports a raw file, holes left out", (ceph, world) =>
      Effect.gen(function* () {
        const size = 13 * mebibyte + 512
        const file = Buffer.alloc(size)
        const places = [0, 70_000, 4 * mebibyte - 3, 9 * mebibyte, size - 6]
        for (const at of places) file.write("words!", at, "latin1")
        const bytes = Stream.fromIterable([file.subarray(0, 1), file.subarray(1, 5_000_001), file.subarray(5_000_001)])
        yield* ceph.importImage("one", { format: "raw", size, bytes })
        assert.strictEqual((yield* looked(ceph, "one")).size, size)
        for (let at = 0; at < size; at += mebibyte) {
          const length = Math.min(mebibyte, size - at)
          const found = yield* world.read("one", at, length)
          assert.isTrue(file.subarray(at, at + length).equals(found), `the same at ${at}`)
        }
        assert.deepStrictEqual((yield* looked(ceph, "one")).watchers, [])
        yield* refused(
          "EEXIST",
          ceph.importImage("one", {
            format: "raw",
            size,
            bytes: Stream.dieMessage("a file was read for which there is no place")
          })
        )
      }))

    test("an image is as large as is said, also when its file is not", (ceph, world) =>
      Effect.gen(function* () {
        const bytes = Stream.make(bytesOf("short"))
        yield* ceph.importImage("one", { format: "raw", size: 3 * mebibyte, bytes })
        assert.strictEqual((yield* looked(ceph, "one")).size, 3 * mebibyte)
        assert.strictEqual(text(yield* world.read("one", 0, 8)), "short\0\0\0")
        yield* refused("EINVAL", ceph.importImage("two", { format: "raw", size: 3, bytes }))
      }))

    for (const compressed of [false, true]) {
      test(`imports a ${compressed ? "compressed " : ""}qcow2 file`, (ceph, world) =>
        Effect.gen(function* () {
          const size = 700 * mebibyte
          const cluster = (word: string) => Buffer.alloc(clusterBytes, word, "latin1")
          const clusters = new Map([
            [0, cluster("first")],
            [65, cluster("second")],
            [9000, cluster("third")],
            [size / clusterBytes - 1, cluster("last")]
          ])
          const bytes = Stream.fromIterable([qcow2File({ size, clusters, compressed })])
          yield* ceph.importImage("one", { format: "qcow2", size, bytes })
          assert.strictEqual((yield* looked(ceph, "one")).size, size)
          for (const [index, content] of clusters) {
            const found = yield* world.read("one", index * clusterBytes, clusterBytes)
            assert.isTrue(content.equals(found), `the same in cluster ${index}`)
          }
          assert.deepStrictEqual(yield* world.read("one", 3 * clusterBytes, 9), new Uint8Array(9))
        }))
    }

    test("refuses what is no qcow2 file, in qemu-img's words", (ceph) =>
      Effect.gen(function* () {
        const bytes = Stream.make(Buffer.alloc(mebibyte, "nonsense"))
        const error = yield* failureOf(ceph.importImage("one", { format: "qcow2", size: mebibyte, bytes }))
        assert.isTrue(error.refusedWith("EINVAL"))
        assert.include(error.message, "not in qcow2 format")
      }))

    test("a file that cannot be read is the importer's own failure", (ceph) =>
      Effect.gen(function* () {
        const error = yield* failureOf(
          ceph.importImage("one", {
            format: "raw",
            size: 20 * mebibyte,
            bytes: Stream.concat(Stream.make(Buffer.alloc(5 * mebibyte, 1)), Stream.fail("torn" as const))
          })
        )
        assert.strictEqual(error, "torn")
        yield* absent(ceph.remove("one"))
      }))

    test("an import that is interrupted leaves nothing that is in the way", (ceph) =>
      Effect.gen(function* () {
        const begun = yield* Deferred.make<void>()
        const bytes = Stream.concat(
          Stream.make(Buffer.alloc(5 * mebibyte, 1)),
          Stream.execute(Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never))
        )
        const fiber = yield* Effect.fork(ceph.importImage("one", { format: "raw", size: 20 * mebibyte, bytes }))
        yield* Deferred.await(begun)
        yield* Fiber.interrupt(fiber)
        // over SSH the program learns of it a moment later
        yield* ceph.remove("one").pipe(
          Effect.retry({
            while: (error) => error.refusedWith("EBUSY"),
            schedule: Schedule.spaced("100 millis").pipe(Schedule.intersect(Schedule.recurs(50)))
          })
        )
        const file = { format: "raw", size: mebibyte, bytes: Stream.make(bytesOf("again")) } as const
        yield* ceph.importImage("one", file)
      }))

    test("tells how full it is", (ceph) =>
      Effect.gen(function* () {
        const size = 24 * mebibyte
        const before = yield* ceph.usage
        assert.isAbove(before.capacity, 0)
        assert.strictEqual(before.capacity, before.used + before.available)
        const bytes = Stream.make(Buffer.alloc(size, "x"))
        yield* ceph.importImage("one", { format: "raw", size, bytes })
        // a real one counts every few seconds
        yield* ceph.usage.pipe(
          Effect.repeat({ until: ({ used }) => used >= size, schedule: Schedule.spaced("250 millis") }),
          Effect.timeout("30 seconds"),
          Effect.orDie
        )
        const after = yield* ceph.usage
        assert.isAtLeast(after.used, size)
        assert.strictEqual(after.capacity, after.used + after.available)
      }))
  })
