/** What every Inspector must do, whatever the VMs are made of. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import { amounts, type ConsoleCursor } from "../../src/domain/Console.ts"
import { Host } from "../../src/domain/Host.ts"
import { DomainUuid, OperationId, VmId } from "../../src/domain/Ids.ts"
import { type DomainRef, type DomainSpec, Hypervisor } from "../../src/services/Hypervisor.ts"
import { Consoles, type Line, type Opened } from "../../src/services/Consoles.ts"
import { Inspector } from "../../src/services/Inspector.ts"
import { HypervisorWorld } from "./HypervisorContract.ts"

/** What guests do, beside what a `HypervisorWorld` has. */
export class Guests extends Context.Tag("test/InspectedGuests")<
  Guests,
  {
    /** has the running guest print a line on its first serial port, once it is up */
    readonly print: (domain: DomainRef, line: string) => Effect.Effect<void>
    /** has the running guest write so much to its root disk, once it is up */
    readonly write: (domain: DomainRef, mebibytes: number) => Effect.Effect<void>
    /** its log goes on in another file */
    readonly rotate: (domain: DomainRef) => Effect.Effect<void>
    /** has what an earlier domain of that name printed go away, or all that is no longer written to */
    readonly forget: (domain: DomainRef, what: "all" | "old") => Effect.Effect<void>
  }
>() {}

const mebibyte = 1024 ** 2

const quiet = Logger.withMinimumLogLevel(LogLevel.Warning)
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1")

export const inspectorContract = <E>(
  name: string,
  layer: Layer.Layer<Hypervisor | Inspector | Consoles | HypervisorWorld | Guests, E>
) =>
  describe(`Inspector: ${name}`, () => {
    const started = Effect.gen(function* () {
      const hypervisor = yield* Hypervisor
      const inspector = yield* Inspector
      const consoles = yield* Consoles
      const world = yield* HypervisorWorld
      const guests = yield* Guests
      const host = new Host({ ...world.host, facts: yield* hypervisor.facts(world.host) })
      const defined = Effect.fn(function* (id: number) {
        const vm = yield* Effect.acquireRelease(
          Effect.map(world.root(VmId.make(id)), (root): DomainSpec => ({
            vmId: VmId.make(id),
            uuid: DomainUuid.make(randomUUID()),
            domainName: `vm-${id}`,
            title: "web",
            resources: { cpu: 1, ram: 128, disk: 1 },
            nics: [
              {
                alias: "ua-nic-1",
                mac: `52:54:00:00:03:${id.toString(16).padStart(2, "0")}`,
                source: { kind: "libvirt", name: "default" },
                model: "virtio",
                link: "up"
              }
            ],
            root,
            operationId: OperationId.make(randomUUID())
          })),
          (vm) =>
            Effect.orDie(
              Effect.all([hypervisor.powerOff(host, vm), hypervisor.undefine(host, vm), world.dropRoot(vm.vmId)])
            )
        )
        yield* guests.forget(vm, "all")
        yield* hypervisor.define(host, vm)
        return vm
      })
      const running = Effect.fn(function* (id: number) {
        const vm = yield* defined(id)
        yield* hypervisor.start(host, vm)
        yield* world.booted(vm)
        return vm
      })
      /** all that comes after a cursor until it has the words */
      const until = (vm: DomainRef, from: ConsoleCursor, words: string, most = 64 * 1024) =>
        Effect.gen(function* () {
          let cursor = from
          let all = ""
          let lost = false
          yield* Effect.repeat(
            Effect.gen(function* () {
              const part = yield* inspector.consoleAfter(host, vm, cursor, most)
              assert.isAtMost(part.bytes.length, most)
              cursor = part.next
              all += text(part.bytes)
              lost ||= part.lost
            }),
            { until: () => all.includes(words), schedule: Schedule.spaced("20 millis") }
          ).pipe(
            Effect.timeout("60 seconds"),
            Effect.catchAll((error) => Effect.dieMessage(`${error.message}; so far there is: ${all}`))
          )
          return { all, cursor, lost }
        })
      return { hypervisor, inspector, consoles, world, guests, host, defined, running, until }
    })

    const test = <A, E2>(
      title: string,
      body: (at: Effect.Effect.Success<typeof started>) => Effect.Effect<A, E2, Scope.Scope>
    ) => it.live(title, () => Effect.flatMap(started, body).pipe(Effect.scoped, quiet, Effect.provide(layer)))

    /** All that comes on a line until it has the words. */
    const hears = (line: Line, words: string) =>
      line.incoming.pipe(
        Stream.scan("", (all, bytes) => all + text(bytes)),
        Stream.takeUntil((all) => all.includes(words)),
        Stream.runLast,
        Effect.timeout("120 seconds"),
        Effect.map(Option.getOrElse(() => "")),
        Effect.tap((all) => assert.include(all, words))
      )

    const lineOf = (opened: Opened) => {
      assert.strictEqual(opened._tag, "Open")
      assert(opened._tag === "Open")
      return opened.line
    }

    /** What is typed differs from what it leads to, so that a terminal's echo is no answer. One that is not quite up does not hear it, so it is typed again. */
    const asks = (line: Line, word: string) =>
      Effect.raceFirst(
        hears(line, word),
        Effect.forever(
          Effect.zipRight(
            line.send(Buffer.from(`echo ${word.slice(0, 2)}""${word.slice(2)}\n`)),
            Effect.sleep("1 second")
          )
        )
      )

    test("a guest answers on its serial port, to one at a time, and shows its screen to any number, until it stops", ({
      consoles,
      host,
      hypervisor,
      inspector,
      running,
      world
    }) =>
      Effect.gen(function* () {
        const vm = yield* running(36)
        const first = lineOf(yield* consoles.serial(host, vm, false))
        yield* asks(first, "REACHED")
        // what is said there is in the log, too
        const log = yield* Effect.repeat(inspector.consoleTail(host, vm, 4096), {
          until: ({ bytes }) => text(bytes).includes("REACHED"),
          schedule: Schedule.spaced("50 millis")
        }).pipe(Effect.timeout("60 seconds"))
        assert.exists(log)
        assert.strictEqual((yield* Effect.scoped(consoles.serial(host, vm, false)))._tag, "Busy")
        const hasIt = yield* Deferred.make<void>()
        const losing = yield* Effect.fork(
          Effect.scoped(
            Effect.flatMap(consoles.serial(host, vm, true), (opened) =>
              Effect.zipRight(Deferred.succeed(hasIt, undefined), Effect.exit(Stream.runDrain(lineOf(opened).incoming)))
            )
          )
        )
        const taken = yield* Effect.timeout(Effect.exit(Stream.runDrain(first.incoming)), "60 seconds")
        assert.strictEqual(taken._tag, "Failure")
        // libvirt tells nobody of a console that is taken from them while it is still being opened
        yield* Effect.timeout(Deferred.await(hasIt), "60 seconds")
        const holder = lineOf(yield* consoles.serial(host, vm, true))
        assert.strictEqual((yield* Effect.timeout(Fiber.join(losing), "60 seconds"))._tag, "Failure")
        yield* asks(holder, "AGAIN")

        const greeting = "RFB 003.008\n"
        const screens = yield* Effect.all([consoles.vnc(host, vm), consoles.vnc(host, vm)])
        const ends = yield* Effect.forEach(screens, (opened) =>
          Effect.gen(function* () {
            const greeted = yield* Deferred.make<void>()
            const all = Stream.runFoldEffect(lineOf(opened).incoming, "", (before, bytes) => {
              const now = before + text(bytes)
              return now.length < greeting.length
                ? Effect.succeed(now)
                : Effect.as(Deferred.succeed(greeted, undefined), now)
            })
            const end = yield* Effect.fork(all)
            // one that ends before it has greeted is told of below
            yield* Effect.raceFirst(Deferred.await(greeted), Fiber.await(end)).pipe(Effect.timeout("60 seconds"))
            return end
          })
        )
        yield* world.pause(vm)
        yield* hypervisor.resume(host, vm)
        yield* hypervisor.powerOff(host, vm)
        for (const end of ends) {
          assert.strictEqual((yield* Effect.timeout(Fiber.join(end), "60 seconds")).slice(0, 12), greeting)
        }
        yield* Stream.runDrain(holder.incoming).pipe(Effect.timeout("60 seconds"))
        const later = yield* Effect.scoped(
          Effect.all([consoles.serial(host, vm, false), consoles.serial(host, vm, true), consoles.vnc(host, vm)])
        )
        assert.deepStrictEqual(
          later.map(({ _tag }) => _tag),
          ["Off", "Off", "Off"]
        )
        const lost = yield* Effect.flip(Effect.scoped(consoles.serial(world.unreachable, vm, false)))
        assert.strictEqual(lost._tag, "HostUnreachable")
      }))

    test("a guest without an agent says nothing of itself, and why is told", ({
      defined,
      host,
      hypervisor,
      inspector,
      world
    }) =>
      Effect.gen(function* () {
        const vm = yield* defined(37)
        assert.deepStrictEqual(yield* inspector.guest(host, vm), { _tag: "Silent", reason: "it does not run" })
        yield* hypervisor.start(host, vm)
        const { _tag, ...silent } = yield* inspector.guest(host, vm)
        assert.strictEqual(_tag, "Silent")
        assert("reason" in silent)
        assert.match(silent.reason, /^its guest runs no agent/)
        const lost = yield* Effect.flip(inspector.guest(world.unreachable, vm))
        assert.strictEqual(lost._tag, "HostUnreachable")
      }))

    test("a console's end is read, and what follows it, as it was printed", ({
      guests,
      host,
      hypervisor,
      inspector,
      running,
      until
    }) =>
      Effect.gen(function* () {
        const vm = yield* running(31)
        const { next } = yield* inspector.consoleTail(host, vm, 4096)
        const escape = `\u001b[31mred\u001b[0m`
        yield* guests.print(vm, `first ${escape}`)
        const first = yield* until(vm, next, "first")
        assert.include(first.all, escape)
        yield* guests.print(vm, "second")
        const second = yield* until(vm, first.cursor, "second")
        assert.notInclude(second.all, "first")
        assert.isFalse(second.lost)
        const end = yield* inspector.consoleTail(host, vm, 9)
        assert.strictEqual(end.bytes.length, 9)
        // what it printed stays when it no longer runs, and goes on with the next start
        yield* hypervisor.powerOff(host, vm)
        assert.include(text((yield* inspector.consoleTail(host, vm, 8192)).bytes), "second")
        const nothing = yield* inspector.consoleAfter(host, vm, (yield* inspector.consoleTail(host, vm, 1)).next, 10)
        assert.deepInclude(nothing, { lost: false })
        assert.lengthOf(nothing.bytes, 0)
      }))

    test("nothing is lost and nothing comes twice when a console's log is rotated", ({
      guests,
      host,
      inspector,
      running,
      until
    }) =>
      Effect.gen(function* () {
        const vm = yield* running(31)
        yield* guests.print(vm, "line 1 of it")
        const from = (yield* inspector.consoleTail(host, vm, 4096)).next
        yield* guests.print(vm, "line 2 of it")
        yield* until(vm, from, "line 2 of it")
        yield* guests.rotate(vm)
        yield* guests.print(vm, "line 3 of it")
        const { all, cursor, lost } = yield* until(vm, from, "line 3 of it")
        assert.isFalse(lost)
        assert.deepStrictEqual(all.match(/line \d of it/g), ["line 2 of it", "line 3 of it"])
        yield* guests.rotate(vm)
        yield* guests.print(vm, "line 4 of it")
        // from before both, in small pieces
        const small = yield* until(vm, from, "line 4 of it", 600)
        assert.deepStrictEqual(small.all.match(/line \d of it/g), ["line 2 of it", "line 3 of it", "line 4 of it"])
        assert.deepStrictEqual((yield* until(vm, cursor, "line 4 of it")).all.match(/line \d of it/g), ["line 4 of it"])
        // the end goes back over the rotation
        const tail = text((yield* inspector.consoleTail(host, vm, amounts.most)).bytes)
        assert.deepStrictEqual(
          tail.match(/line \d of it/g),
          [1, 2, 3, 4].map((number) => `line ${number} of it`)
        )
        // a cursor of a log that is no longer there
        yield* guests.forget(vm, "old")
        yield* guests.print(vm, "a new log that is longer than any beginning by which one is known again, and so on")
        const anew = yield* until(vm, cursor, "and so on")
        assert.isTrue(anew.lost)
      }))

    test("what a console has said goes with its domain", ({ guests, host, hypervisor, inspector, running, until }) =>
      Effect.gen(function* () {
        const vm = yield* running(38)
        const { next } = yield* inspector.consoleTail(host, vm, 4096)
        yield* guests.print(vm, "the secret of one who is gone")
        yield* until(vm, next, "who is gone")
        yield* guests.rotate(vm)
        yield* hypervisor.powerOff(host, vm)
        yield* hypervisor.undefine(host, vm)
        assert.lengthOf((yield* inspector.consoleTail(host, vm, 8192)).bytes, 0)
        const after = yield* inspector.consoleAfter(host, vm, next, 8192)
        assert.notInclude(text(after.bytes), "who is gone")
      }))

    test("a console that nothing was printed on is empty, and begins with the first that is", ({
      defined,
      guests,
      host,
      hypervisor,
      inspector,
      until,
      world
    }) =>
      Effect.gen(function* () {
        const vm = yield* defined(32)
        const { bytes, lost, next } = yield* inspector.consoleTail(host, vm, 4096)
        assert.lengthOf(bytes, 0)
        assert.isFalse(lost)
        assert.deepStrictEqual(yield* inspector.consoleAfter(host, vm, next, 10), { bytes, next, lost: false })
        yield* hypervisor.start(host, vm)
        yield* world.booted(vm)
        yield* guests.print(vm, "hello")
        const told = yield* until(vm, next, "hello")
        assert.isFalse(told.lost)
      }))

    test("a running domain has a screen, and one that does not run has none", ({
      defined,
      host,
      hypervisor,
      inspector
    }) =>
      Effect.gen(function* () {
        const vm = yield* defined(31)
        assert.isTrue(Option.isNone(yield* inspector.screenshot(host, vm)))
        yield* hypervisor.start(host, vm)
        const picture = Buffer.from(Option.getOrThrow(yield* inspector.screenshot(host, vm)))
        // again and again: a daemon sends so little a picture now ahead of its reply, now behind it
        for (let n = 0; n < 20; n++) assert.isTrue(Option.isSome(yield* inspector.screenshot(host, vm)))
        assert.strictEqual(picture.toString("latin1", 0, 8), "\u0089PNG\r\n\u001a\n")
        assert.strictEqual(picture.toString("latin1", 12, 16), "IHDR")
        assert.isAbove(picture.readUInt32BE(16), 0)
        assert.strictEqual(picture.toString("latin1", picture.length - 8, picture.length - 4), "IEND")
        yield* hypervisor.powerOff(host, vm)
        assert.isTrue(Option.isNone(yield* inspector.screenshot(host, vm)))
        const nobody = { uuid: DomainUuid.make(randomUUID()), domainName: "vm-33" }
        assert.isTrue(Option.isNone(yield* inspector.screenshot(host, nobody)))
      }))

    test("what running domains have used is counted, and of others nothing", ({
      defined,
      guests,
      host,
      hypervisor,
      inspector,
      world
    }) =>
      Effect.gen(function* () {
        const vm = yield* defined(31)
        const used = Effect.map(inspector.counters(host), (all) => all.find(({ uuid }) => uuid === vm.uuid))
        assert.isUndefined(yield* used)
        yield* hypervisor.start(host, vm)
        yield* world.booted(vm)
        const before = yield* used
        assert.deepInclude(before, { name: "vm-31", vcpus: 1 })
        assert.strictEqual(before?.memory.assigned, 128 * mebibyte)
        yield* guests.write(vm, 8)
        const after = yield* used
        const written = (counters: typeof after) =>
          counters?.disks.find(({ target }) => target === "vda")?.writtenBytes ?? 0
        assert.closeTo(written(after) - written(before), 8 * mebibyte, 0.8 * mebibyte)
        assert.isAtLeast(after?.cpuTime ?? 0, before?.cpuTime ?? 0)
        yield* hypervisor.powerOff(host, vm)
        assert.isUndefined(yield* used)
      }))

    test("a domain's XML is told as it runs and as it is defined", ({ defined, host, hypervisor, inspector }) =>
      Effect.gen(function* () {
        const vm = yield* defined(31)
        const stopped = Option.getOrThrow(yield* inspector.xml(host, vm))
        assert.isNull(stopped.live)
        assert.include(stopped.defined ?? "", `<uuid>${vm.uuid}</uuid>`)
        yield* hypervisor.start(host, vm)
        yield* hypervisor.redefine(host, vm, { title: "another", cpu: 2, ram: 128 })
        const both = Option.getOrThrow(yield* inspector.xml(host, vm))
        assert.match(both.live ?? "", /<domain [^>]*\bid=/)
        assert.include(both.live ?? "", "<title>web</title>")
        assert.include(both.defined ?? "", "<title>another</title>")
        const nobody = { uuid: DomainUuid.make(randomUUID()), domainName: "vm-33" }
        assert.isTrue(Option.isNone(yield* inspector.xml(host, nobody)))
      }))

    test("a host that does not answer is named", ({ inspector, world }) =>
      Effect.gen(function* () {
        const vm = { uuid: DomainUuid.make(randomUUID()), domainName: "vm-31" }
        for (const look of [
          Effect.asVoid(inspector.consoleTail(world.unreachable, vm, 10)),
          Effect.asVoid(inspector.counters(world.unreachable)),
          Effect.asVoid(inspector.screenshot(world.unreachable, vm)),
          Effect.asVoid(inspector.xml(world.unreachable, vm))
        ]) {
          const error = yield* Effect.flip(look)
          assert.strictEqual(error._tag, "HostUnreachable")
          assert.include(error.message, world.unreachable.name)
        }
      }))
  })
