/**
 * The whole program on real hosts, seen from outside (REST), from the hosts (virsh) and from inside the guests (their serial log).
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { beforeEach } from "vitest"
import {
  agree,
  allHostsUp,
  blank,
  bootedVms,
  cleanUp,
  create,
  createVolume,
  database,
  destroy,
  disks,
  domains,
  fleet,
  guestLog,
  hostNames,
  hostOf,
  newVolume,
  nothingRemains,
  otherFleet,
  start,
  startWithCeph,
  wipe,
  wipeHosts
} from "./Client.ts"
import * as Lab from "./Lab.ts"

// not in Ceph, which these have nothing to do with
beforeEach(() => Effect.runPromise(wipeHosts(fleet)))

const soon = Schedule.spaced("500 millis")

const osdDies = Lab.beside(
  Effect.gen(function* () {
    yield* wipe(otherFleet)
    const program = yield* startWithCeph(yield* database, otherFleet)
    const [one] = yield* bootedVms(program, 1)
    assert(one !== undefined)
    const ready = yield* Effect.forEach([0, 1, 2], (i) => newVolume(program, `ready${i}`))
    yield* Effect.addFinalizer(() => Effect.orDie(Lab.lab("start-osd")))
    const paths = [
      ...ready.map((id) => `/volume/attach?vmid=${one.vmid}&volumeid=${id}`),
      ...Array.from({ length: 6 }, (_, i) => `/volume/create?name=more${i}&size=1`),
      ...Array.from({ length: 3 }, (_, i) => `/vm/create?name=more${i}&${blank()}`)
    ]
    const open = new Set(paths)
    const work = yield* Effect.forEach(
      paths,
      (path) =>
        Effect.ensuring(
          Effect.timed(program.get(path)),
          Effect.sync(() => open.delete(path))
        ),
      { concurrency: "unbounded" }
    ).pipe(Effect.fork)
    yield* Lab.lab("stop-osd")
    const answers = yield* Fiber.join(work).pipe(
      Effect.timeoutFail({
        // an attach that has reached QEMU is given two minutes by its call's limit
        duration: "300 seconds",
        onTimeout: () => new Lab.LabError({ message: "" })
      }),
      Effect.catchTag("LabError", () =>
        Effect.flatMap(program.get("/operation/list?ended=0"), (left) => {
          const which = [...open].join(", ")
          return new Lab.LabError({ message: `still open: ${which}; unfinished: ${JSON.stringify(left)}` })
        })
      )
    )
    for (const [, answer] of answers) {
      const made = [answer["status"], answer["volumeid"], answer["vmid"]].some((value) => Number(value) > 0)
      if (!made) assert.match(String(answer["error"]), /^(Ceph pool other|host \S+) (cannot be used|failed to)/)
    }
    // asked while it is away: refused at once, nothing is begun
    const refused = yield* createVolume(program, "later")
    assert.match(refused.error ?? "", /^Ceph pool other cannot be used: /)

    yield* Lab.lab("start-osd")
    yield* Effect.sandbox(agree(program)).pipe(Effect.retry(soon), Effect.unsandbox, Effect.timeout("180 seconds"))
    yield* newVolume(program, "again")
    // an OSD that has just come back serves some images before others: what is refused is asked for again
    yield* Effect.sandbox(cleanUp(program)).pipe(Effect.retry(soon), Effect.unsandbox, Effect.timeout("180 seconds"))
  }).pipe(Effect.scoped)
)

describe("vmfabric on real hosts", () => {
  it.scopedLive(
    "30 parallel creates: 10 on each host, every guest boots, nothing remains after 30 destroys",
    () =>
      Effect.gen(function* () {
        const program = yield* start(yield* database)
        yield* allHostsUp(program)
        const free = yield* program.get("/pm/query?pmid=1")

        const names = Array.from({ length: 30 }, (_, i) => `vm${i}`)
        const created = yield* Effect.forEach(names, (name) => create(program, name), { concurrency: "unbounded" })
        assert.deepStrictEqual(
          created.flatMap((answer) => answer.error ?? []),
          []
        )
        const ids = created.map((answer) => answer.vmid)
        assert.strictEqual(new Set(ids).size, 30)

        for (const [index, host] of hostNames.entries()) {
          const running = yield* domains(host)
          assert.strictEqual(running.length, 10, host)
          const listed = yield* program.get(`/pm/listvms?pmid=${index + 1}`)
          assert.deepStrictEqual(
            Schema.decodeUnknownSync(Schema.Array(Schema.Int))(listed["vmids"])
              .map((id) => `vm-${id}`)
              .toSorted(),
            running
          )
          assert.strictEqual((yield* program.get(`/pm/query?pmid=${index + 1}`))["vms"], 10)
        }
        for (const [i, id] of ids.entries()) {
          const answer = yield* program.get(`/vm/query?vmid=${id}`)
          assert.deepInclude(answer, { vmid: id, name: `vm${i}`, instance_type: 1 })
        }
        // seen from inside: it booted, and its disk has the type's size, not the image's
        yield* Effect.forEach(
          ids,
          Effect.fnUntraced(function* (id) {
            const host = yield* hostOf(program, id)
            yield* Lab.eventually(
              `guest ${id} ready`,
              guestLog(host, id),
              (log) => /GUEST READY.*vda=1073741824/.test(log),
              "600 seconds"
            )
          }),
          { concurrency: 4 }
        )

        const destroyed = yield* Effect.forEach(ids, (id) => destroy(program, id), { concurrency: "unbounded" })
        assert.deepStrictEqual(
          destroyed.flatMap((answer) => answer.error ?? []),
          []
        )
        yield* nothingRemains(program)
        assert.deepStrictEqual(yield* program.get("/pm/query?pmid=1"), free)
        assert.deepStrictEqual(yield* destroy(program, ids[0]!), { status: 1 })
      }),
    900_000
  )

  it.scopedLive("says which resource is short on each host", () =>
    Effect.gen(function* () {
      const program = yield* start(yield* database)
      yield* allHostsUp(program)
      // type 3 asks for 512 MiB of the 4096 each host is allowed: 8 on each, 24 in all
      const answers = yield* Effect.forEach(
        Array.from({ length: 26 }, (_, i) => `big${i}`),
        (name) => create(program, name, blank(3)),
        { concurrency: "unbounded" }
      )
      const refused = answers.filter((answer) => answer.vmid === 0)
      assert.strictEqual(refused.length, 2)
      for (const { error } of refused) {
        // those that lack the same are named together
        for (const { address } of Lab.status.hosts)
          assert.match(error ?? "", new RegExp(`root@${address}\\)[^;]*: .*memory short`))
      }
      yield* Effect.forEach(
        answers.filter((answer) => answer.vmid !== 0),
        ({ vmid }) => destroy(program, vmid),
        { concurrency: "unbounded" }
      )
      yield* nothingRemains(program)
    })
  )

  it.scopedLive(
    "kill -9 at ten moments of creates: afterwards every VM runs or is gone, none is there twice",
    () =>
      Effect.gen(function* () {
        const file = yield* database
        const alive = new Set<string>()
        for (let round = 0; round < 10; round++) {
          const program = yield* start(file)
          yield* allHostsUp(program)
          yield* Effect.forEach(
            [0, 1, 2],
            (i) => Effect.forkScoped(Effect.ignore(create(program, `round${round}-${i}`, blank()))), // its answer is lost with the process
            { discard: true }
          )
          // each round is killed later than the one before: from before the first step to after the last
          yield* Effect.sleep(round * 120)
          yield* program.kill("SIGKILL")
          yield* program.exited
        }
        const program = yield* start(file)
        yield* allHostsUp(program)
        const lists = Effect.forEach(hostNames, (_, index) =>
          Effect.map(program.get(`/pm/listvms?pmid=${index + 1}`), ({ vmids }) =>
            Schema.decodeUnknownSync(Schema.Array(Schema.Int))(vmids)
              .map((id) => `vm-${id}`)
              .toSorted()
          )
        )
        const onHosts = (...flags: ReadonlyArray<string>) =>
          Effect.forEach(hostNames, (host) => domains(host, ...flags))
        // unfinished creations go on after the start: wait until what should be is what is
        yield* Lab.eventually(
          "inventory equals hosts",
          Effect.all([lists, onHosts(), onHosts("--all")]),
          ([wanted, running, defined]) =>
            JSON.stringify(wanted) === JSON.stringify(running) && JSON.stringify(running) === JSON.stringify(defined)
        )
        for (const [index, host] of hostNames.entries()) {
          const names = (yield* lists)[index] ?? []
          for (const name of names) {
            assert.isFalse(alive.has(name), `${name} is there twice`)
            alive.add(name)
          }
          assert.deepStrictEqual((yield* disks(host)).toSorted(), names.toSorted())
        }
        assert.isAbove(alive.size, 0)
        yield* Effect.forEach(alive, (name) => destroy(program, Number(name.slice(3))), { concurrency: "unbounded" })
        yield* nothingRemains(program)
      }),
    600_000
  )

  it.scopedLive(
    "one libvirtd stopped, another host's cable cut: the rest take the VMs, and both are used again when they are back",
    () =>
      Effect.gen(function* () {
        const program = yield* start(yield* database)
        yield* allHostsUp(program)
        const [first, second, third] = hostNames
        yield* Lab.lab("stop-libvirtd", first!)
        yield* Lab.lab("cut", second!)
        yield* Effect.addFinalizer(() =>
          Effect.orDie(Effect.zipRight(Lab.lab("start-libvirtd", first!), Lab.lab("mend", second!)))
        )
        const made = yield* Effect.forEach([0, 1, 2, 3], (i) => create(program, `rest${i}`, blank()), {
          concurrency: "unbounded"
        })
        for (const answer of made) {
          assert.isAbove(answer.vmid, 0, answer.error)
          assert.strictEqual(yield* hostOf(program, answer.vmid), third)
        }
        // more than the third host can hold: the refusal names the other two and why
        const tooMuch = yield* Effect.forEach(
          Array.from({ length: 9 }, (_, i) => `much${i}`),
          (name) => create(program, name, blank(3)),
          { concurrency: "unbounded" }
        )
        const refusal = tooMuch.find((answer) => answer.vmid === 0)?.error ?? ""
        assert.match(refusal, new RegExp(`host 1 \\(root@${Lab.status.hosts[0].address}\\): .*libvirt`))
        assert.match(refusal, /host 2 \([^)]+\): (?!memory|has not)/, "another reason than room")
        assert.match(refusal, /host 3 .*memory short/)

        yield* Lab.lab("start-libvirtd", first!)
        yield* Lab.lab("mend", second!)
        const used = Effect.gen(function* () {
          const answers = yield* Effect.forEach([0, 1, 2], (i) => create(program, `back${i}`, blank()), {
            concurrency: "unbounded"
          })
          return yield* Effect.forEach(answers, ({ vmid }) => (vmid === 0 ? Effect.succeed("") : hostOf(program, vmid)))
        })
        yield* Lab.eventually(
          "both used again",
          used,
          (hosts) => hosts.includes(first!) && hosts.includes(second!),
          "300 seconds"
        )

        const ids = yield* Effect.forEach([1, 2, 3], (pmid) =>
          Effect.map(program.get(`/pm/listvms?pmid=${pmid}`), ({ vmids }) =>
            Schema.decodeUnknownSync(Schema.Array(Schema.Int))(vmids)
          )
        )
        const answers = yield* Effect.forEach(ids.flat(), (id) => destroy(program, id), { concurrency: "unbounded" })
        assert.isTrue(answers.every((answer) => answer.status === 1))
        yield* nothingRemains(program)
      }),
    600_000
  )

  it.scopedLive("hostile parameters get a clear answer and leave nothing on a host", () =>
    Effect.gen(function* () {
      const program = yield* start(yield* database)
      yield* allHostsUp(program)
      const texts = [
        "",
        "x".repeat(10_000),
        "a\nb",
        "a\rb",
        "a\0b",
        "'\"`",
        "../../etc/passwd",
        "<name>&amp;</domain>",
        "-oProxyCommand=touch /tmp/x",
        "$(reboot)",
        "é\u2028"
      ]
      const numbers = [
        "",
        "0",
        "-1",
        "abc",
        "1.5",
        "99999999999999999999",
        "9007199254740993",
        "1;reboot",
        "-oProxyCommand=x",
        "١"
      ]
      const answers = yield* Effect.forEach(
        [
          ...numbers.map((n) => `/vm/create?name=x&instance_type=${encodeURIComponent(n)}`),
          ...numbers.map((n) => `/vm/create?name=x&instance_type=1&image_id=${encodeURIComponent(n)}`),
          ...numbers.flatMap((n) =>
            ["/vm/query?vmid=", "/vm/destroy?vmid=", "/pm/query?pmid=", "/pm/listvms?pmid="].map(
              (r) => r + encodeURIComponent(n)
            )
          ),
          "/vm/create?name=a&name=b&instance_type=1",
          "/vm/create?name=a&instance_type=1&instance_type=1"
        ],
        program.get
      )
      for (const answer of answers) assert.isString(answer["error"])

      // names that are only unusual are allowed, and arrive on the host as they are
      const vms = yield* Effect.forEach(texts, (text) => create(program, encodeURIComponent(text), blank()))
      const allowed = texts.filter((_, i) => vms[i]!.vmid !== 0)
      assert.deepStrictEqual(allowed, [
        "'\"`",
        "../../etc/passwd",
        "<name>&amp;</domain>",
        "-oProxyCommand=touch /tmp/x",
        "$(reboot)"
      ])
      for (const [i, text] of texts.entries()) {
        const { error, vmid } = vms[i]!
        if (vmid === 0) {
          assert.match(error ?? "", /^name .*expected 1 to 255 characters/)
          continue
        }
        const title = yield* Lab.onHost(yield* hostOf(program, vmid), "virsh", "desc", "--title", `vm-${vmid}`)
        assert.strictEqual(title.trim(), text)
        assert.deepStrictEqual(yield* destroy(program, vmid), { status: 1 })
      }
      yield* nothingRemains(program)
    })
  )

  it.scopedLive("a SIGTERM in the middle of creates ends it, undoes nothing, and the next start finishes them", () =>
    Effect.gen(function* () {
      const file = yield* database
      const program = yield* start(file)
      yield* allHostsUp(program)
      yield* Effect.forkScoped(Effect.ignore(create(program, "interrupted", blank()))) // its answer is lost with the process
      yield* Lab.eventually("admitted", program.get("/vm/query?vmid=1"), (answer) => answer["vmid"] === 1, "60 seconds")
      yield* program.kill("SIGTERM")
      assert.strictEqual(yield* Effect.timeout(program.exited, "30 seconds"), 0)

      const again = yield* start(file)
      const host = yield* hostOf(again, 1)
      yield* Lab.eventually("running", domains(host), (names) => names.includes("vm-1"))
      assert.deepStrictEqual(yield* destroy(again, 1), { status: 1 })
      yield* nothingRemains(program)
    })
  )
})

describe("volumes in Ceph", () => {
  it.live(
    "the OSD dies under creates and attaches and comes back: all end, as done or as clear errors, and nothing is left over",
    osdDies
  )
})
