/** The client's commands over the real API. */
import * as HttpApi from "@effect/platform/HttpApi"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs"
import type { ServerResponse } from "node:http"
import { join } from "node:path"
import { parse } from "yaml"
import { api } from "../../src/api/Api.ts"
import type { Operation } from "../../src/api/Operations.ts"
import * as Keys from "../../src/cli/Keys.ts"
import * as Planning from "../../src/cli/Planning.ts"
import * as Progress from "../../src/cli/Progress.ts"
import * as Text from "../../src/cli/Text.ts"
import * as Tree from "../../src/cli/Tree.ts"
import { isClient, words } from "../../src/cli/Words.ts"
import * as Served from "../client/Served.ts"
import { anyOperation } from "../gui/Operations.ts"
import * as Typed from "./Typed.ts"

const json = (text: string): unknown => JSON.parse(text)

const shell = Effect.gen(function* () {
  const served = yield* Served.make
  return { served, ...(yield* Typed.make({ VMFABRIC_URL: served.url })) }
})

const asApi = (url: string) =>
  Effect.promise(async (): Promise<unknown> => {
    const answer: unknown = await (await fetch(url)).json()
    return answer
  })

describe("the tree", () => {
  it("has a command for each endpoint of the API, and none for others", () => {
    const endpoints: Array<string> = []
    HttpApi.reflect(api, { onGroup: () => undefined, onEndpoint: ({ endpoint }) => void endpoints.push(endpoint.name) })
    const called = new Set(Tree.nouns.flatMap(({ verbs }) => verbs.flatMap((verb) => verb.endpoints)))
    assert.deepStrictEqual([...called].map(String).sort(), endpoints.sort())
  })

  it("plans whatever the API can plan, and has keys for whatever that has", () => {
    const plannable: Array<string> = []
    const keyed: Array<string> = []
    HttpApi.reflect(api, {
      onGroup: () => undefined,
      onEndpoint: ({ endpoint: { headersSchema, name, urlParamsSchema } }) => {
        const namesIn = (schema: Option.Option<Schema.Schema.All>): ReadonlyArray<PropertyKey> =>
          Option.match(schema, {
            onNone: () => [],
            onSome: ({ ast }) => SchemaAST.getPropertySignatures(ast).map((parameter) => parameter.name)
          })
        if (namesIn(urlParamsSchema).includes("plan")) plannable.push(name)
        if (namesIn(headersSchema).includes("idempotency-key")) keyed.push(name)
      }
    })
    assert.deepStrictEqual([...Planning.plannable].sort(), plannable.sort())
    assert.deepStrictEqual([...Keys.keyed].sort(), keyed.sort())
  })

  it("begins with the words by which the program is chosen", () => {
    assert.deepStrictEqual(
      Tree.nouns.map(({ name }) => name),
      [...words]
    )
    for (const args of [
      ["vm", "list"],
      ["--help"],
      ["-o", "json", "vm", "list"],
      ["--url=http://h", "whoami"],
      ["vms", "list"],
      ["vms", "list", "--limit", "3"],
      ["machines"],
      ["simulate", "--help"]
    ]) {
      assert.isTrue(isClient(args), args.join(" "))
    }
    for (const args of [
      [],
      ["simulate", "--hosts", "3"],
      ["bootstrap"],
      ["./machines"],
      ["hosts", "images", "types"],
      ["--listen", ":1"]
    ]) {
      assert.isFalse(isClient(args), args.join(" "))
    }
  })

  it.scoped("tells what there is, at each level, and to the shells", () =>
    Effect.gen(function* () {
      const { run } = yield* Typed.make({})
      const { out } = yield* run("--help")
      for (const word of [...words, "--listen", "bootstrap", "NO", "130"]) assert.include(out, word)
      assert.match((yield* run("vm", "--help")).out, /create +Create a VM/)
      const { out: leaf, status } = yield* run("vm", "create", "--help")
      assert.match(leaf, /vmfabric vm create --name NAME --type TYPE .*--no-wait/)
      assert.strictEqual(status, 0)
      for (const sh of ["bash", "fish", "zsh"]) {
        const { out } = yield* run("--completions", sh)
        for (const word of ["volume", "purge", "on-crash", "simulate"]) assert.include(out, word)
      }
    })
  )
})

describe("commands", () => {
  it.scopedLive("give a VM that is off another size, and say what to do with one that runs", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      yield* run("type", "create", "--id", "7", "--cpu", "2", "--ram", "2048", "--disk", "1")
      assert.strictEqual((yield* run("vm", "create", "--name", "web", "--type", "1")).status, 0)
      const refused = yield* run("vm", "resize", "web", "--type", "7")
      assert.notStrictEqual(refused.status, 0)
      assert.include(refused.err, "is running: shut it down, and resize it then")
      yield* run("vm", "power-off", "web")
      const planned = yield* run("vm", "resize", "web", "--type", "7", "--plan")
      assert.include(planned.out, "2 vCPUs, 2048 MiB")
      const done = yield* run("vm", "resize", "web", "--type", "7", "-o", "json")
      assert.strictEqual(done.status, 0, done.all)
      assert.match(done.out, /"instanceType": ?7/)
    })
  )

  it.scopedLive("tell a guest what files and keys say, show it, and tell it something else", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      const files = yield* Typed.folder
      const key = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"E".repeat(43)}`
      writeFileSync(join(files, "keys"), `# mine\n${key} a@here\n\n${key} b@here\n`)
      writeFileSync(join(files, "web.yaml"), "#cloud-config\npackages: [nginx]\n")
      const told = ["--ssh-key", `@${join(files, "keys")}`, "--ssh-key", `${key} c@here`]
      const userData = join(files, "web.yaml")
      const created = yield* run("vm", "create", "--name", "Web 1", "--type", "1", ...told, "--user-data", userData)
      assert.strictEqual(created.status, 0, created.all)
      const shown = yield* run("vm", "cloud-init", "Web 1")
      assert.match(shown.out, /^hostname +web-1$/m)
      assert.match(shown.out, /^user data +#cloud-config \(3 lines\)$/m)
      for (const who of ["a@here", "b@here", "c@here"]) assert.include(shown.out, who)
      const changed = yield* run(
        "vm",
        "cloud-init",
        "Web 1",
        "--hostname",
        "other",
        "--clear",
        "user-data",
        "--no-reapply"
      )
      assert.match(changed.out, /^hostname +other$/m)
      assert.match(changed.out, /^user data +-$/m)
      assert.match(changed.out, /^instance id +\S+-1$/m)
      assert.match((yield* run("vm", "cloud-init", "Web 1", "--reapply")).out, /^instance id +\S+-3$/m)
      const missing = yield* run("vm", "cloud-init", "Web 1", "--user-data", join(files, "none"))
      assert.notStrictEqual(missing.status, 0)
      assert.include(missing.err, `${join(files, "none")} cannot be read`)
    })
  )

  it.scopedLive("create, show, change and destroy, by names, and give the API's own JSON", () =>
    Effect.gen(function* () {
      const { run, served } = yield* shell
      const created = yield* run(
        "vm",
        "create",
        "--name",
        "web",
        "--type",
        "1",
        "--image",
        "test",
        "--on-crash",
        "restart"
      )
      assert.strictEqual(created.status, 0, created.err)
      assert.match(created.out, /^name +web$/m)
      assert.match(created.out, /^state +running$/m)
      assert.match(created.err, /^CreateVm: begun$/m)
      // what is seen of it comes a moment after its creation has ended
      const seen = Effect.map(run("vm", "get", "web"), ({ out }) => /^seen +running/m.test(out))
      yield* Effect.repeat(seen, { until: (is) => is, schedule: Schedule.spaced("20 millis") })
      // words in any order
      const got = yield* run("-o", "json", "vm", "get", "web")
      assert.deepStrictEqual(json(got.out), yield* asApi(`${served.url}/api/v1/vms/1`))
      const { out: yaml } = yield* run("vm", "list", "-o", "yaml")
      assert.deepStrictEqual(parse(yaml), yield* asApi(`${served.url}/api/v1/vms`))
      assert.strictEqual((yield* run("vm", "list", "--output=name")).out, "1\n")
      assert.match((yield* run("vm", "list")).out, /^ID {2}NAME +STATE .*\n 1 {2}web +running /)
      assert.match((yield* run("vm", "set", "web", "--on-crash", "leave")).out, /^on crash +leave$/m)
      assert.match((yield* run("vm", "destroy", "web")).out, /^kind +DestroyVm$/m)
      const again = yield* run("vm", "destroy", "1")
      assert.deepStrictEqual([again.status, again.err], [0, "nothing to do: it is like that already\n"])
    })
  )

  it.scopedLive("add hosts with the words of the machine file, change and remove them", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      const added = yield* run(
        "host",
        "add",
        "root@test-4",
        "network.lan=bridge:br0",
        "label.rack=7 b",
        "ram=2048",
        "reserved.ram=512"
      )
      assert.strictEqual(added.status, 0, added.all)
      assert.match(added.out, /^origin +api$/m)
      assert.include(
        added.out,
        'ram=2048 reserved.ram=512 network.lan=bridge:br0 path=/var/lib/vmfabric "label.rack=7 b"'
      )
      const networks = (yield* run("network", "list", "-o", "wide")).out
      assert.match(networks, /^NAME +KIND +STATE +HOSTS /)
      assert.match(networks, /^default +libvirt +usable +1,2,3/m)
      const wrong = yield* run("host", "add", "root@test-5", "virt=xen", "nosuch=1")
      assert.strictEqual(wrong.status, 2)
      assert.include(wrong.err, 'virt is "xen": expected auto, kvm or qemu')
      assert.include(wrong.err, '"nosuch" is not a key')

      const set = yield* run(
        "host",
        "set",
        "test-4",
        "network=lan",
        "virt=qemu",
        "reserved.cpu=1",
        "reserved.disk=2",
        "--remove",
        "reserved.ram",
        "--remove",
        "label.rack",
        "--remove",
        "ram"
      )
      assert.strictEqual(set.status, 0, set.all)
      assert.match(
        set.out,
        /^settings +root@test-4 virt=qemu .* reserved.cpu=1 reserved.disk=2 network=lan network.lan=bridge:br0 path=\S+$/m
      )
      assert.notInclude(set.out, "rack")
      assert.include((yield* run("host", "set", "test-1", "virt=qemu")).err, "change its line there")
      const examined = yield* run("host", "doctor", "test-4")
      assert.strictEqual(examined.status, 0, examined.all)
      assert.match(examined.out, /^HOST +CHECK +RESULT +SEEN .*\nroot@test-4 +ssh +ok +it lets us in/)
      assert.include((yield* run("host", "remove", "test-4", "--plan")).out, "-address: root@test-4")
      assert.strictEqual((yield* run("host", "remove", "test-4")).err, "host 4 is removed\n")
      assert.strictEqual((yield* run("host", "get", "test-4")).status, 3)
    })
  )

  it.scopedLive("find a host by its IPv6 address, however it is spelt", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      assert.strictEqual((yield* run("host", "add", "root@[fd00::7]:2299")).status, 0)
      const idOf = (name: string) =>
        Effect.map(run("host", "get", name, "-o", "name"), ({ out, status }) => (status === 0 ? out : status))
      const id = yield* idOf("root@[fd00::7]:2299")
      for (const name of ["fd00::7", "fd00:0:0::7", "[FD00::7]", "root@[fd00:0::0:7]:2299"]) {
        assert.strictEqual(yield* idOf(name), id, name)
      }
      for (const name of ["fd00::8", "root@[fd00::7]", "ada@[fd00::7]:2299"]) assert.strictEqual(yield* idOf(name), 3)
      const mapped = yield* run("host", "add", "root@192.0.2.9")
      assert.strictEqual(mapped.status, 0, mapped.all)
      assert.strictEqual(yield* idOf("::ffff:192.0.2.9"), yield* idOf("192.0.2.9"))
    })
  )

  it.scopedLive("send events elsewhere, and tell of each try", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      assert.strictEqual(
        (yield* run("webhook", "create", "https://receiver.example/hooks", "--type", "vm.created")).status,
        0
      )
      const none = yield* run("webhook", "deliveries", "1")
      assert.deepStrictEqual([none.status, none.err], [0, "nothing was sent yet\n"])
      assert.strictEqual((yield* run("webhook", "ping", "1")).status, 0)
      const { out } = yield* run("webhook", "deliveries", "1")
      assert.match(
        out,
        /^AT +WHAT +EVENT +TRY +RESULT +STATUS +MILLISECONDS +REASON +NEXT TRY\n\S+ \S* *ping +- +1 +arrived +204 /
      )
      const unknown = yield* run("webhook", "deliveries", "9")
      assert.strictEqual(unknown.status, 3)
      const set = (...flags: ReadonlyArray<string>) => run("webhook", "set", "1", "-o", "json", ...flags)
      assert.deepInclude(json((yield* set("--all-types")).out), { types: null })
      assert.deepInclude(json((yield* set("--type", "vm.created")).out), { types: ["vm.created"] })
      assert.strictEqual((yield* set("--type", "vm.created", "--all-types")).status, 2)
    })
  )

  it.scopedLive("show what they would do, and do just that, once", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      const create = ["vm", "create", "--name", "web", "--type", "1"]
      const plan = yield* run(...create, "--plan")
      assert.strictEqual(plan.status, 0, plan.err)
      assert.match(plan.out, /^of +Create a VM \(POST \/api\/v1\/vms\)$/m)
      assert.match(plan.out, /^NAME +HOST +CHOSEN +WHY\nweb +root@\S+ +yes +the scheduler's choice/m)
      assert.match(plan.out, /^ *2 +CreateVm +root disk +root@/m)
      assert.match(plan.out, /^create domain vm-\{vmid\} on root@.*\n(?:.*\n)*\+<domain/m)
      assert.match(plan.err, /the same command with --plan-id \S+ in place of --plan does this/)
      assert.strictEqual((yield* run("vm", "list", "-o", "name")).out, "")

      const whole = json((yield* run(...create, "--plan", "-o", "json")).out)
      assert.nestedProperty(whole, "steps[0].name")
      const id = /^plan +(\S+)$/m.exec(plan.out)?.[1] ?? ""
      const other = yield* run("vm", "create", "--name", "other", "--type", "1", "--plan-id", id)
      assert.deepStrictEqual([other.status, (yield* run("vm", "list", "-o", "name")).out], [1, ""], other.err)
      const made = yield* run(...create, "--plan-id", id)
      assert.strictEqual(made.status, 0, made.err)
      assert.match(made.out, /^state +running$/m)
      const again = yield* run(...create, "--plan-id", id)
      assert.strictEqual(again.status, 1, again.all)
      assert.match(again.err, /plan/)
      assert.strictEqual((yield* run("vm", "list", "-o", "name")).out, "1\n")

      // what would be refused is refused, and what looks changes nothing anyway
      assert.strictEqual((yield* run("vm", "destroy", "nosuch", "--plan")).status, 3)
      assert.strictEqual((yield* run("vm", "list", "--plan")).status, 2)
      assert.strictEqual((yield* run(...create, "--plan", "--plan-id", id)).status, 2)
      assert.strictEqual((yield* run("vm", "list", "--name", "other", "-o", "name")).out, "")
    })
  )

  it.scopedLive("create nothing twice with one key", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      const key = (of: string) => ["-o", "name", "--idempotency-key", of]
      for (const create of [
        ["vm", "create", "--name", "web", "--type", "1"],
        ["volume", "create", "--name", "data", "--size", "1"],
        ["snapshot", "create", "data", "--name", "monday"]
      ]) {
        const [noun = ""] = create
        const made = yield* run(...create, ...key(noun))
        assert.deepStrictEqual([made.status, made.out], [0, "1\n"], made.err)
        assert.strictEqual((yield* run(...create, ...key(noun))).out, made.out)
      }
      const another = yield* run("vm", "create", "--name", "other", "--type", "1", ...key("vm"))
      assert.match(another.err, /Idempotency-Key vm was used for another request before/)
      assert.strictEqual((yield* run("vm", "list", "-o", "name")).out, "1\n")
    })
  )

  it.scopedLive("do nothing twice with one key, to several neither", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      yield* run("vm", "create", "--name", "n", "--type", "1", "--count", "2")
      const reset = (...names: ReadonlyArray<string>) => run("vm", "reset", ...names, "--idempotency-key", "once")
      const operations = Effect.map(run("operation", "list", "--kind", "ResetVm", "-o", "name"), ({ out }) => out)
      const both = yield* reset("1", "2")
      assert.strictEqual(both.status, 0, both.err)
      const begun = yield* operations
      assert.lengthOf(begun.trim().split("\n"), 2)
      assert.strictEqual((yield* reset("1", "2")).out, both.out)
      assert.strictEqual((yield* reset("1")).status, 0)
      assert.strictEqual(yield* operations, begun)
      yield* run("vm", "reset", "1", "--idempotency-key", "another")
      assert.notStrictEqual(yield* operations, begun)
    })
  )

  it.scopedLive("create many, of which all pages are one list", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      const many = yield* run("vm", "create", "--name", "n", "--type", "1", "--count", "3", "-o", "name")
      assert.deepStrictEqual([many.status, many.out], [0, "1\n2\n3\n"], many.err)
      const page = yield* run("vm", "list", "--limit", "2")
      const cursor = /--cursor (\S+)/.exec(page.err)?.[1] ?? ""
      assert.match((yield* run("vm", "list", "--cursor", cursor, "-o", "name")).out, /^3\n$/)
    })
  )

  it.scopedLive("turn VMs on and off, several at once, and say how it came about", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      yield* run("vm", "create", "--name", "n", "--type", "1", "--count", "3")
      const stopped = yield* run("vm", "stop", "n-1", "--within", "20")
      assert.strictEqual(stopped.status, 0, stopped.err)
      assert.match(stopped.err, /^the guest shut itself down$/m)
      assert.match(stopped.out, /^state +stopped$/m)
      const paused = yield* run("vm", "pause", "n-2", "n-3", "-o", "wide")
      assert.strictEqual(paused.status, 0, paused.err)
      assert.lengthOf(paused.out.match(/PauseVm +vm [23] +done/g) ?? [], 2)
      assert.strictEqual((yield* run("vm", "list", "--state", "paused", "-o", "name")).out, "2\n3\n")
      const refused = yield* run("vm", "reboot", "n-1", "--no-force")
      assert.deepStrictEqual([refused.status, refused.out], [1, ""])
      assert.match(refused.err, /VM 1 \(n-1\) is stopped: start it/)
      const planned = yield* run("vm", "power-off", "n-2", "--plan")
      assert.match(planned.out, /^change power of domain vm-2 on .*\n(?:.*\n)*-paused\n\+stopped$/m)
      assert.strictEqual((yield* run("vm", "resume", "n-2", "n-3", "--plan")).status, 2)
      assert.match((yield* run("vm", "resume", "n-2")).out, /^state +running$/m)
      assert.match((yield* run("vm", "start", "n-1", "--no-wait")).out, /^kind +StartVm$/m)
      const some = yield* run("vm", "power-off", "n-3", "nosuch")
      assert.strictEqual(some.status, 3)
      assert.match((yield* run("vm", "get", "n-3")).out, /^state +paused$/m)
    })
  )

  it.scopedLive("do to several what can be done, wait for it, and say what became of each of them", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      yield* run("vm", "create", "--name", "n", "--type", "1", "--count", "3")
      yield* run("vm", "pause", "n-1")
      for (const [verb, kind, after] of [
        ["reboot", "RebootVm", "running"],
        ["stop", "ShutDownVm", "stopped"]
      ] as const) {
        const some = yield* run("vm", verb, "n-1", "n-2")
        assert.strictEqual(some.status, 1, some.all)
        assert.match(some.err, /^VM 1 was not begun: VM 1 \(n-1\) is paused/m)
        assert.match(some.err, /^vmfabric: 1 of 2 was not begun: VM 1$/m)
        assert.match(some.out, new RegExp(`${kind} +vm 2 +done`))
        assert.match((yield* run("vm", "get", "n-2")).out, new RegExp(`^state +${after}$`, "m"))
      }
      const begun = yield* run("vm", "stop", "n-1", "n-3", "--no-wait", "-o", "json")
      assert.strictEqual(begun.status, 1)
      assert.lengthOf(JSON.parse(begun.out).items, 1)
      yield* run("vm", "power-off", "n-1")
      const none = yield* run("vm", "pause", "n-1", "n-2")
      assert.deepStrictEqual([none.status, none.out], [1, ""], none.all)
      for (const id of [1, 2])
        assert.match(none.err, new RegExp(`^VM ${id} was not begun: VM ${id} \\(n-${id}\\) is stopped`, "m"))
      assert.match(none.err, /^vmfabric: 2 of 2 were not begun: VM 1, 2$/m)
    })
  )

  it.scopedLive("say in words where VMs are to be, and show it", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      const good = (...args: ReadonlyArray<string>) =>
        Effect.tap(run(...args), ({ err, status }) => assert.strictEqual(status, 0, `${args.join(" ")}: ${err}`))
      const create = (name: string, ...more: ReadonlyArray<string>) => [
        "vm",
        "create",
        "--name",
        name,
        "--type",
        "1",
        ...more
      ]
      const host = (name: string) => Effect.map(good("vm", "get", name), ({ out }) => /^host +(\d+)$/m.exec(out)?.[1])
      const apart = ["--group", "web", "--must", "apart"]
      const shown = yield* good(...create("web-1", ...apart, "--should", "evenly over rack by 2 weight 0.5"))
      const rules = "group web; must be apart from web over host"
      assert.include(shown.out, `${rules}; should be spread evenly with web over rack, by 2 at most (weight 0.5)\n`)
      assert.match(shown.out, /^violated +should be spread evenly .*: .* has no label rack$/m)
      const planned = yield* good(...create("web-2", ...apart, "--plan"))
      assert.match(planned.out, /must be apart from web over host, and it has 1 of web/)
      yield* good(...create("db", "--should", "not with web-1", "--must", "near web"))
      assert.strictEqual(yield* host("db"), yield* host("web-1"))
      const refused = yield* run(...create("other", "--must", "on rack=r1,r2"))
      assert.strictEqual(refused.status, 1)
      assert.match(refused.err, /hosts: it must be on rack=r1,r2, and it has no label rack/)

      const changed = yield* good("vm", "set", "db", "--must", "not with web-1,db", "--group", "db")
      assert.match(changed.out, /^placement +group db; must be not with VMs 1, 2$/m)
      assert.match(changed.out, /^violated +must be not with VMs 1, 2: VM 1 \(web-1\) is on .*, too$/m)
      assert.match((yield* good("vm", "set", "db", "--group", "sql")).out, /^placement +group sql; must be not with/m)
      assert.match((yield* good("vm", "set", "db", "--no-group")).out, /^placement +must be not with VMs 1, 2$/m)
      const quoted = yield* good("vm", "set", "db", "--should", 'not  on rack="r1,  left", r2 weight 3')
      assert.match(quoted.out, /^placement +should be not on rack="r1, {2}left",r2 \(weight 3\)$/m)
      const told = yield* good("vm", "set", "db", "--must", "on rack=r1", "--plan")
      assert.match(told.out, /^VM +WOULD NOT HOLD +BECAUSE\ndb +it must be on rack=r1 +.* has no label rack$/m)
      const open = yield* run("vm", "set", "db", "--must", 'on rack="r1,r2')
      assert.deepStrictEqual([open.status, open.out], [2, ""])
      assert.include(open.err, "a value in double quotes has to end with one")
      yield* good("vm", "set", "db", "--group", "sql")
      assert.match((yield* good("vm", "set", "db", "--no-rules")).out, /^placement +group sql$/m)
      for (const given of [
        ["--no-group", "--group", "x"],
        ["--no-rules", "--must", "near web"]
      ]) {
        const { err, status } = yield* run("vm", "set", "db", ...given)
        assert.deepStrictEqual([status, err.includes(`${given[0]} takes`)], [2, true], err)
      }
      assert.match((yield* good("vm", "set", "db", "--anywhere")).out, /^placement +-$/m)
      assert.include(
        (yield* run("vm", "set", "db", "--anywhere", "--group", "x")).err,
        "--anywhere takes group and rules"
      )
      const wrong = yield* run(...create("wrong", "--must", "close to web"))
      assert.strictEqual(wrong.status, 2)
      assert.match(
        wrong.err,
        /--must "close to web": it is no rule: expected one of "apart \[from GROUP\] \[over LABEL\]"/
      )
      assert.include((yield* run(...create("wrong", "--must", "near"))).err, "the VM's own in placement.group")
    })
  )

  it.scopedLive("name VMs anew, put words on them, protect them, and find them by those", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      const good = (...args: ReadonlyArray<string>) =>
        Effect.tap(run(...args), ({ err, status }) => assert.strictEqual(status, 0, `${args.join(" ")}: ${err}`))
      yield* good("vm", "create", "--name", "web", "--type", "1", "--tag", "prod", "--label", "team=shop", "--protect")
      const kept = yield* run("vm", "destroy", "web")
      assert.strictEqual(kept.status, 1)
      assert.match(kept.err, /--unprotect/)
      const set = ["vm", "set", "web", "--rename", "front", "--tag", "edge", "--untag", "prod", "--label", "tier=1"]
      const changed = yield* good(...set, "--unlabel", "team", "--unprotect", "--autostart", "-o", "json")
      assert.deepInclude(json(changed.out), {
        name: "front",
        tags: ["edge"],
        labels: { tier: "1" },
        protected: false,
        autostart: true
      })
      assert.strictEqual((yield* good("vm", "list", "--tag", "edge", "--label", "tier=1", "-o", "name")).out, "1\n")
      assert.strictEqual((yield* good("vm", "list", "--label", "team", "-o", "name")).out, "")
      // a host's list is narrowed by the same
      assert.strictEqual((yield* good("host", "vms", "1", "--label", "team", "-o", "name")).out, "")
      assert.strictEqual((yield* good("host", "vms", "1", "--tag", "edge", "-o", "name")).out, "1\n")
      yield* good("volume", "create", "--name", "data", "--size", "1")
      for (const list of [
        ["vm", "list"],
        ["host", "vms", "1"],
        ["volume", "list"]
      ]) {
        assert.strictEqual((yield* good(...list, "--owner", "local", "-o", "name")).out, "1\n")
        assert.strictEqual((yield* good(...list, "--owner", "eve", "-o", "name")).out, "")
        const wrong = yield* run(...list, "--owner", "Eve")
        assert.deepInclude(wrong, { status: 2 })
        assert.include(wrong.err, "is no user's name")
      }
      assert.strictEqual((yield* good("vm", "list", "--sort", "-owner", "-o", "name")).out, "1\n")
      assert.strictEqual((yield* good("volume", "list", "--sort", "-size", "-o", "name")).out, "1\n")
      assert.match((yield* good("vm", "set", "front", "--description", "of the shop")).out, /^tags +edge$/m)
      assert.strictEqual((yield* run("vm", "set", "front")).status, 2)
      assert.strictEqual((yield* run("vm", "set", "front", "--protect", "--unprotect")).status, 2)
      assert.strictEqual((yield* run("vm", "set", "front", "--label", "tier")).status, 2)
      yield* good("vm", "destroy", "front")
    })
  )

  it.scopedLive("volumes and snapshots go through their lives by name", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      const good = (...args: ReadonlyArray<string>) =>
        Effect.tap(run(...args), ({ err, status }) => assert.strictEqual(status, 0, `${args.join(" ")}: ${err}`))
      yield* good("vm", "create", "--name", "web", "--type", "1")
      yield* good("volume", "create", "--name", "7", "--size", "1")
      // a name that looks like an id
      yield* good("volume", "rename", "name:7", "--name", "data")
      assert.match((yield* good("volume", "attach", "data", "--vm", "web")).out, /^vm +1$/m)
      yield* good("volume", "detach", "data")
      assert.match((yield* good("volume", "grow", "data", "--size", "2")).out, /^size gib +2$/m)
      yield* good("snapshot", "create", "data", "--name", "monday")
      assert.match((yield* good("snapshot", "get", "data/monday")).out, /^name +monday$/m)
      yield* good("volume", "clone", "data/monday", "--name", "copy")
      yield* good("volume", "revert", "data/monday")
      yield* good("volume", "destroy", "copy")
      assert.match((yield* good("volume", "restore", "copy")).out, /^state +available$/m)
      yield* good("volume", "destroy", "copy")
      assert.match((yield* good("volume", "purge", "copy")).out, /^state +purged$/m)
      yield* good("snapshot", "destroy", "data/monday")
      assert.strictEqual((yield* good("snapshot", "list", "data")).err, "the volume has no snapshots\n")
    })
  )

  it.scopedLive("what cannot be taken back is asked first, on a terminal, with what goes and what stays", () =>
    Effect.gen(function* () {
      const { run, served } = yield* shell
      const env = { VMFABRIC_URL: served.url }
      const [no, yes] = yield* Effect.forEach(["n", " Y "], (typed) => Typed.make(env, { attended: true, typed }))
      assert(no !== undefined && yes !== undefined)
      yield* run("vm", "create", "--name", "web", "--type", "1")
      yield* run("volume", "create", "--name", "data", "--size", "2")
      yield* run("volume", "attach", "data", "--vm", "web")
      const kept = yield* no.run("vm", "destroy", "web")
      assert.strictEqual(kept.status, 1)
      assert.strictEqual(
        kept.err,
        "VM 1 (web) goes for good, with all that is on its root disk of 10 GiB.\n" +
          "What it has attached stays, and is free again: data (1).\n" +
          "Go on? [y/N] vmfabric: nothing was done: the answer was not yes\n"
      )
      assert.match((yield* run("vm", "get", "web")).out, /^state +running$/m)
      const planned = yield* no.run("vm", "destroy", "web", "--plan", "-o", "name")
      assert.deepInclude(planned, { status: 0, err: "" })
      const destroyed = yield* yes.run("vm", "destroy", "web")
      assert.strictEqual(destroyed.status, 0, destroyed.err)
      assert.include(destroyed.err, "Go on? [y/N] ")
      yield* run("snapshot", "create", "data", "--name", "monday")
      for (const verb of [
        ["volume", "revert", "data/monday"],
        ["snapshot", "destroy", "data/monday"]
      ]) {
        assert.match(
          (yield* no.run(...verb)).err,
          /^(What volume 1 holds now|Snapshot 1 \(monday\)).* for good\.\nGo on\?/
        )
      }
      // it can be had back
      assert.notInclude((yield* no.run("volume", "destroy", "data")).err, "Go on?")
      const purge = yield* no.run("volume", "purge", "data")
      assert.strictEqual(purge.status, 1)
      assert.include(purge.err, "Volume 1 (data) of 2 GiB and its snapshots (monday) goes for good.\n")
      assert.match((yield* no.run("volume", "purge", "data", "--yes")).out, /^state +purged$/m)
      const lost = yield* no.run("host", "lost", "1")
      assert.strictEqual(
        lost.err,
        "What is on root@test-1 counts as gone, with its 0 VMs; volumes in a pool stay.\n" +
          "What still runs there goes on, and nobody sees it: take its power away first.\n" +
          "Go on? [y/N] vmfabric: nothing was done: the answer was not yes\n"
      )
      const up = yield* yes.run("host", "lost", "1")
      assert.include(up.err, "host root@test-1 cannot be declared lost while it is up")
      assert.match((yield* run("host", "found", "1")).out, /^status +up$/m)
    })
  )

  it.scopedLive(
    "a name that fits several is refused with their ids, and one that exists counts before one that did",
    () =>
      Effect.gen(function* () {
        const { run } = yield* shell
        for (const _ of [1, 2]) yield* run("vm", "create", "--name", "twin", "--type", "1")
        const both = yield* run("vm", "get", "twin")
        assert.strictEqual(both.status, 2)
        assert.include(both.err, "give one of the ids 1, 2")
        yield* run("vm", "destroy", "id:1")
        assert.match((yield* run("vm", "get", "twin")).out, /^id +2$/m)
      })
  )

  it.scopedLive("what is waited for can be left, and watched again", () =>
    Effect.gen(function* () {
      const { run, sees, served } = yield* shell
      yield* served.gate.close
      const waiting = yield* Effect.fork(run("volume", "create", "--name", "slow", "--size", "1"))
      yield* sees(/CreateVolume/)
      yield* Fiber.interrupt(waiting)
      const id = /operation watch (\S+)/.exec(yield* sees(/goes on/))?.[1] ?? ""
      const watching = yield* Effect.fork(run("operation", "watch", id))
      yield* sees(/CreateVolume/)
      yield* served.gate.open
      const { out, status } = yield* Fiber.join(watching)
      assert.strictEqual(status, 0)
      assert.match(out, /^state +done$/m)
      const begun = yield* run("volume", "create", "--name", "later", "--size", "1", "--no-wait")
      assert.match(begun.out, /^kind +CreateVolume$/m)
    })
  )

  it.scopedLive("lists are narrowed to some by their ids", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      yield* run("vm", "create", "--name", "n", "--type", "1", "--count", "3")
      for (const name of ["a", "b"]) yield* run("volume", "create", "--name", name, "--size", "1")
      const listed = (...args: ReadonlyArray<string>) => Effect.map(run(...args, "-o", "name"), ({ out }) => out)
      assert.strictEqual(yield* listed("vm", "list", "--ids", "3,1,99"), "1\n3\n")
      assert.strictEqual(yield* listed("vm", "list", "--ids", "1, 2", "--name", "n-2"), "2\n")
      assert.strictEqual(yield* listed("volume", "list", "--ids", "2"), "2\n")
      const [newest = "", , third = ""] = (yield* listed("operation", "list")).split("\n")
      assert.strictEqual(yield* listed("operation", "list", "--ids", `${third},${newest}`), `${newest}\n${third}\n`)
      for (const args of [
        ["vm", "list", "--ids", "1,n-2"],
        ["volume", "list", "--ids", "1,,2"],
        ["operation", "list", "--ids", "7"],
        ["vm", "list", "--ids", Array.from({ length: 101 }, (_, i) => i + 1).join(",")]
      ]) {
        const refused = yield* run(...args)
        assert.strictEqual(refused.status, 2, args.join(" "))
        assert.match(refused.err, /--ids is .*: expected ids with commas between them, 100 at most, as in /)
      }
    })
  )

  it.scopedLive(
    "who asked for an operation is told, and narrows the list; a snapshot tells when it was asked for",
    () =>
      Effect.gen(function* () {
        const { run } = yield* shell
        yield* run("volume", "create", "--name", "data", "--size", "1")
        const taken = yield* run("snapshot", "create", "data", "--name", "monday")
        assert.match(taken.out, /^created +20\d\d-/m)
        const all = yield* run("operation", "list")
        assert.match(all.out, /^ID +KIND +ABOUT +STATE +STEP +BY +CREATED/)
        assert.match(all.out, /CreateSnapshot .*done +(?:- +)?local +20\d\d-/)
        const kinds = (user: string) =>
          Effect.map(run("operation", "list", "--user", user, "-o", "json"), ({ out }) =>
            [...out.matchAll(/"kind": *"(\w+)"/g)].map(([, kind]) => kind)
          )
        assert.deepStrictEqual(yield* kinds("local"), ["CreateSnapshot", "CreateVolume"])
        assert.deepStrictEqual(yield* kinds("ada"), [])
        assert.strictEqual((yield* run("operation", "list", "--user", "Ada L")).status, 2)
      })
  )

  it.scopedLive("what has failed is retried, once, and the refusal of another says by what it was", () =>
    Effect.gen(function* () {
      const { run, served } = yield* shell
      yield* served.refuse
      const begun = yield* run("volume", "create", "--name", "slow", "--size", "1", "--no-wait", "-o", "name")
      const id = begun.out.trim()
      const early = yield* run("operation", "retry", id)
      assert.strictEqual(early.status, 1)
      assert.match(early.err, /cannot be retried: .*: wait /)
      yield* served.mend
      assert.include((yield* run("operation", "watch", id)).err, "it is full")
      const planned = yield* run("operation", "retry", id, "--plan")
      assert.deepInclude(planned, { status: 0 }, planned.err)
      const retried = yield* run("operation", "retry", id, "--idempotency-key", "once")
      assert.strictEqual(retried.status, 0, retried.err)
      assert.match(retried.out, /^state +done$/m)
      assert.match(retried.out, new RegExp(`^retry of +${id}$`, "m"))
      const by = /^id +(\S+)$/m.exec(retried.out)?.[1] ?? ""
      assert.match(
        (yield* run("operation", "retry", id, "--idempotency-key", "once")).out,
        new RegExp(`^id +${by}$`, "m")
      )
      const again = yield* run("operation", "retry", id)
      assert.strictEqual(again.status, 1)
      assert.include(again.err, `operation ${by} is its retry already`)
      assert.match((yield* run("operation", "get", id)).out, new RegExp(`^retried by +${by}$`, "m"))
    })
  )

  it.scopedLive("a list that is watched goes on with what changes", () =>
    Effect.gen(function* () {
      const { run, sees } = yield* shell
      yield* run("vm", "create", "--name", "first", "--type", "1")
      const watching = yield* Effect.fork(run("vm", "list", "--watch", "-o", "json"))
      yield* sees(/"first"/)
      yield* run("vm", "create", "--name", "second", "--type", "1")
      assert.propertyVal(json(yield* sees(/"id":2,/)), "name", "second")
      yield* Fiber.interrupt(watching)
    })
  )
})

describe("failures", () => {
  it.scopedLive("have a status of their own, and one sentence each", () =>
    Effect.gen(function* () {
      const { run, served } = yield* shell
      const fails = (status: number, pattern: RegExp, ...args: ReadonlyArray<string>) =>
        Effect.map(run(...args), (ended) => {
          assert.strictEqual(ended.status, status, `${args.join(" ")}: ${ended.err}`)
          assert.match(ended.err, pattern)
          assert.strictEqual(ended.out, "")
          assert.strictEqual(ended.err.trimEnd().split("\n").length, 1)
        })
      yield* fails(2, /did you mean vm\?/, "vms", "list")
      yield* fails(2, /vm has no "lst": did you mean list\?/, "vm", "lst")
      yield* fails(2, /no flag --nam here/, "vm", "list", "--nam", "x")
      yield* fails(2, /--type/, "vm", "create", "--name", "web")
      yield* fails(2, /have ids and no names: there are 1 \(/, "vm", "create", "--name", "web", "--type", "small")
      yield* fails(2, /"nowhere" is no operation/, "operation", "get", "nowhere")
      yield* fails(3, /no vm with the name "web"/, "vm", "get", "web")
      yield* fails(3, /VM 99 does not exist/, "vm", "get", "99")
      yield* fails(5, /cannot be reached/, "--url", "http://127.0.0.1:1", "vm", "list")
      yield* served.refuse
      yield* run("vm", "create", "--name", "full", "--type", "1")
      const refused = yield* Served.scripted(Served.problem(403, "not_allowed", "Forbidden"))
      yield* fails(4, /not_allowed/, "vm", "list", "--url", refused.url)
      const unknown = yield* Served.scripted(Served.problem(401, "unauthenticated", "Unauthenticated"))
      yield* fails(4, /vmfabric login/, "vm", "list", "--url", unknown.url)
      const busy = yield* Served.scripted(Served.problem(409, "vm_busy", "Conflict", { operation: "abc" }))
      yield* fails(1, /vmfabric operation watch abc/, "vm", "repair", "1", "--url", busy.url)
    })
  )

  it.scopedLive("are the problem document with -o json", () =>
    Effect.gen(function* () {
      const { run, served } = yield* shell
      const missing = yield* run("vm", "get", "99", "-o", "json")
      assert.deepStrictEqual(json(missing.err), yield* asApi(`${served.url}/api/v1/vms/99`))
      const refused = yield* run("vm", "create", "--name", " web", "--type", "1", "-o", "json")
      assert.deepInclude(json(refused.err), { code: "invalid_body", field: "name" })
    })
  )
})

describe("how far an operation is", () => {
  const step: NonNullable<Operation["progress"]> = {
    phase: "do",
    step: "image",
    description: "Send image 100 (ubuntu) to root@h1.",
    number: 1,
    of: 5,
    percent: 40,
    tries: 2,
    waiting: null
  }
  const line = (progress: Operation["progress"]) => Progress.line({ ...anyOperation, progress })

  it("is told in the words that the web interface has for its step, or by what it waits for", () => {
    assert.strictEqual(line(null), "CreateVm: begun")
    assert.strictEqual(line(step), "CreateVm: step 1 of 5, 40 %, try 2: Send image 100 (ubuntu) to root@h1")
    const waiting = { ...step, percent: null, tries: 1, waiting: "root@h1 does not answer" }
    assert.strictEqual(line(waiting), "CreateVm: step 1 of 5: waits: root@h1 does not answer")
    const { description: _, ...older } = { ...step, percent: null, tries: 1, phase: "undo" as const }
    assert.strictEqual(line(older), "CreateVm: failed, undoing step 1 of 5: image")
  })

  it("stays on one line of a terminal, however wide its characters are", () => {
    assert.strictEqual(Text.cut("abcdef", 6), "abcdef")
    assert.strictEqual(Text.cut("abcdef", 5), "abcd…")
    assert.strictEqual(Text.cut("日本語", 5), "日本…")
    assert.strictEqual(Text.cut("日本語", 4), "日…")
  })
})

describe("text", () => {
  const nasty = "\u001b[2J\u009b31m\u202ee\nvil"

  it("of others never moves the cursor, and is the same value for programs", () => {
    assert.strictEqual(Text.plain(nasty), "\\u001b[2J\\u009b31m\\u202ee\\u000avil")
    assert.deepStrictEqual(json(Text.plainLines(JSON.stringify({ name: nasty }, null, 2))), { name: nasty })
  })

  it.scopedLive("of a server is escaped in each way to show it", () =>
    Effect.gen(function* () {
      const image = {
        id: 100,
        name: nasty,
        source: "here",
        format: null,
        virtualSize: null,
        fileSize: null,
        sha256: null,
        origin: "file",
        state: "available",
        reason: null,
        received: null
      }
      const { url } = yield* Served.scripted(Served.json(200, { items: [image] }))
      const { run } = yield* Typed.make({ VMFABRIC_URL: url })
      for (const mode of ["table", "wide", "json", "yaml"]) {
        const { out } = yield* run("image", "list", "-o", mode)
        assert.include(out, mode === "yaml" ? "\\e[2J" : "\\u001b[2J", mode)
        assert.notMatch(out, /[\u001b\u009b\u202e]/, mode)
        if (mode === "yaml") assert.deepStrictEqual(parse(out), { items: [image] })
        if (mode === "json") assert.deepStrictEqual(json(out), { items: [image] })
      }
    })
  )
})

describe("contexts", () => {
  const secret = `vmf_${"s".repeat(43)}`

  it.scopedLive("keep a token for one address, in a file of one's own, and show it nowhere", () =>
    Effect.gen(function* () {
      const me = { user: "ada", role: "viewer", via: "token", tokenId: 1 }
      const one = yield* Served.scripted(Served.json(200, me))
      const other = yield* Served.scripted(Served.json(200, me))
      const { config, run } = yield* Typed.make({})
      const token = join(config, "token")
      writeFileSync(token, `${secret}\n`)
      chmodSync(token, 0o644)
      const open = yield* run("context", "set", "prod", "--url", one.url, "--token-file", token)
      assert.strictEqual(open.status, 2)
      assert.include(open.err, `chmod 600 ${token}`)
      chmodSync(token, 0o600)
      const seen = [open.all]
      const typed = (...args: ReadonlyArray<string>) =>
        Effect.map(run(...args), (ended) => {
          seen.push(ended.all)
          assert.strictEqual(ended.status, 0, ended.err)
          return ended.out
        })
      yield* typed("context", "set", "prod", "--url", one.url, "--token-file", token)
      yield* typed("context", "set", "test", "--url", other.url)
      const file = join(config, "vmfabric", "contexts.json")
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      assert.strictEqual(statSync(join(config, "vmfabric")).mode & 0o777, 0o700)
      assert.include(readFileSync(file, "utf8"), secret)
      assert.match(yield* typed("context", "list", "-o", "json"), /"current": true/)
      yield* typed("context", "show", "prod", "-o", "yaml")
      yield* typed("whoami")
      assert.strictEqual(one.asked[0]?.headers.authorization, `Bearer ${secret}`)
      yield* typed("whoami", "--url", other.url)
      yield* typed("whoami", "--context", "test")
      assert.deepStrictEqual(
        other.asked.map(({ headers }) => headers.authorization),
        [undefined, undefined]
      )
      // elsewhere it is worth nothing
      yield* typed("context", "set", "prod", "--url", other.url)
      assert.notInclude(readFileSync(file, "utf8"), secret)
      yield* typed("context", "remove", "prod")
      assert.notInclude(seen.join(""), secret)
      chmodSync(file, 0o640)
      const refused = yield* run("context", "list")
      assert.deepStrictEqual([refused.status, refused.err.includes(`chmod 600 ${file}`)], [2, true])
    })
  )

  it.scopedLive("a token does not go in the clear to another machine, nor is a broken file shown", () =>
    Effect.gen(function* () {
      const { config, run } = yield* Typed.make({ VMFABRIC_TOKEN: secret })
      const clear = yield* run("whoami", "--url", "http://192.0.2.1")
      assert.strictEqual(clear.status, 2)
      assert.match(clear.err, /unencrypted/)
      yield* run("context", "set", "a", "--url", "http://127.0.0.1:1")
      const file = join(config, "vmfabric", "contexts.json")
      writeFileSync(file, `{"token": "${secret}"`)
      const broken = yield* run("context", "list")
      assert.strictEqual(broken.status, 2)
      assert.notInclude(clear.all + broken.all, secret)
    })
  )

  it.scopedLive("send an image in parts, go on with it, and tell why one is refused", () =>
    Effect.gen(function* () {
      const { run, sees } = yield* shell
      const files = yield* Typed.folder
      const file = join(files, "debian-12.raw")
      // more than one part
      writeFileSync(file, new Uint8Array(9 * 1024 * 1024).fill(1))
      const planned = yield* run("image", "upload", file, "--plan")
      assert.match(planned.out, /create image debian-12$/m)
      assert.match(planned.out, /^\+from: 9437184 bytes that are sent$/m)
      const sent = yield* run("image", "upload", file, "-o", "name")
      assert.strictEqual(sent.out, "101\n", sent.all)
      assert.match(sent.err, /^sent 88 % of 9 MiB$/m)
      const watching = yield* Effect.fork(run("image", "list", "--watch", "-o", "json"))
      yield* sees(/"debian-12"/)
      const again = yield* run("image", "upload", file, "--resume", "101", "-o", "json")
      assert.deepInclude(json(again.out), { id: 101, name: "debian-12", state: "available", received: null })
      assert.match((yield* run("image", "list")).out, /^101 +debian-12 +available +raw /m)

      for (const [path, what] of [
        ["/dev/zero", "a device or socket"],
        [files, "a folder"]
      ]) {
        const endless = yield* run("image", "upload", path ?? "")
        assert.deepStrictEqual(
          [endless.status, endless.err],
          [2, `vmfabric: ${path} is ${what}: name a regular file\n`]
        )
      }

      writeFileSync(file, "KDMV")
      const refused = yield* run("image", "upload", file, "--name", "vmdk")
      assert.strictEqual(refused.status, 1)
      assert.match(refused.err, /^vmfabric: image 102 is refused: it is a VMDK image/m)
      assert.propertyVal(json(yield* sees(/"state":"refused"/)), "id", 102)
      yield* Fiber.interrupt(watching)
      const nowhere = yield* run("image", "add", "--from", "https://images.example/none.raw")
      assert.match(nowhere.err, /^vmfabric: image 103 is refused: it could not be fetched/m)
      assert.strictEqual((yield* run("image", "add", "--path", "/etc/passwd")).status, 2)

      yield* run("vm", "create", "--name", "web", "--type", "1", "--image", "debian-12")
      const needed = yield* run("image", "delete", "debian-12")
      assert.strictEqual(needed.status, 1)
      assert.match(needed.err, /VM 1 \(web\) needs it/)
      const runs = yield* run("image", "publish", "golden", "--vm", "web")

      assert.match(runs.err, /is running, .* shut it down first/)
      yield* run("vm", "power-off", "web")
      const published = yield* run("image", "publish", "golden", "--vm", "web", "-o", "json")
      assert.deepInclude(
        json(published.out),
        { id: 104, name: "golden", state: "available", source: "vm 1" },
        published.all
      )
      assert.match((yield* run("operation", "list", "-o", "wide")).out, /PublishVm +vm 1, image 104 +done/)
      yield* run("volume", "create", "--name", "data", "--size", "1")
      yield* run("snapshot", "create", "data", "--name", "monday")
      const monday = yield* run("image", "publish", "old", "--volume", "data", "--snapshot", "monday", "-o", "json")
      assert.deepInclude(json(monday.out), { name: "old", source: "snapshot 1" }, monday.all)
      assert.strictEqual((yield* run("image", "publish", "none")).status, 2)
      yield* run("vm", "destroy", "web")
      assert.strictEqual((yield* run("image", "delete", "debian-12")).status, 0)
      assert.strictEqual((yield* run("image", "get", "101")).status, 3)
      const told = yield* run("event", "list", "--image", "101")
      assert.deepStrictEqual(
        Array.from(told.out.matchAll(/ (image\.\w+) .* state=(\w+) .*image 101/g), ([, type, state]) => [type, state]),
        [
          ["image.created", "uploading"],
          ["image.changed", "quarantine"],
          ["image.changed", "available"],
          ["image.changed", "deleted"]
        ]
      )
    })
  )

  it.scopedLive("make and retire types, and show the plan of it", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      const size = ["--cpu", "2", "--ram", "2GiB", "--disk", "20"]
      const planned = yield* run("type", "create", ...size, "--plan")
      assert.match(planned.out, /create instance type 2$/m)
      assert.match(planned.out, /^\+size: 2 vCPUs, 2048 MiB, 20 GiB$/m)
      const made = yield* run("type", "create", ...size, "-o", "name")
      assert.strictEqual(made.out, "2\n", made.all)
      assert.strictEqual((yield* run("type", "create", ...size, "--id", "2")).status, 1)
      assert.strictEqual((yield* run("type", "retire", "2")).status, 0)
      assert.strictEqual((yield* run("type", "list", "-o", "name")).out, "1\n")
      assert.match((yield* run("type", "list", "--retired", "-o", "wide")).out, /^ *2 +2 +2048 +20 +- +api +true/m)
    })
  )

  it.scopedLive("a user has a quota, sees how much of it is used, and is told what it does not allow", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      yield* run("user", "create", "root", "--role", "admin")
      const quota = ["--quota", "vms=2", "--quota", "ram=none", "--quota", "volumeSize=100"]
      const created = yield* run("user", "create", "ada", "--role", "operator", ...quota)
      assert.strictEqual(created.status, 0, created.err)
      assert.match(created.out, /^vms +0 of 2\ncpu +0\nram +0 GiB\nvolumes +0\nvolume size +0 GiB of 100 GiB$/m)
      const changed = yield* run("user", "set", "ada", "--quota", "vms=none", "--quota", "cpu=4", "-o", "json")
      assert.deepInclude(JSON.parse(changed.out), {
        role: "operator",
        quota: { vms: null, cpu: 4, ram: null, volumes: null, volumeSize: 100 }
      })
      assert.match((yield* run("user", "list", "-o", "wide")).out, /^ada .* 0 of 4 /m)
      for (const [typed, kept] of [
        [["ram=1536", "volumeSize=3"], { ram: 1536, volumeSize: 3 }],
        [["ram=512MiB", "volumeSize=3GiB"], { ram: 512, volumeSize: 3 }],
        [["ram=1.5GiB", "volumeSize=0.5TiB"], { ram: 1536, volumeSize: 512 }]
      ] as const) {
        const set = yield* run("user", "set", "ada", ...typed.flatMap((one) => ["--quota", one]), "-o", "json")
        assert.strictEqual(set.status, 0, set.err)
        assert.deepInclude(JSON.parse(set.out), { quota: { vms: null, cpu: 4, volumes: null, ...kept } })
      }
      const sized = yield* run("user", "get", "ada")
      assert.match(sized.out, /^ram +0 GiB of 1536 MiB\nvolumes +0\nvolume size +0 GiB of 512 GiB$/m)
      const unsized = ["ram=1.5MiB", "ram=64GB", "ram=64 GiB", "ram=GiB", "volumeSize=512MiB", "vms=2GiB"]
      for (const wrong of ["vms", "vms=", "vms=-1", "vms=1.5", "gpus=1", ...unsized]) {
        const refused = yield* run("user", "set", "ada", "--quota", wrong)
        assert.strictEqual(refused.status, 2)
        assert.include(
          refused.err,
          `--quota ${wrong}: expected vms=N, cpu=N, ram=SIZE, volumes=N, volumeSize=SIZE, N a whole number or none, SIZE as in 64GiB, in whole MiB of ram and GiB of volumeSize, or none`
        )
      }
      const twice = yield* run("user", "set", "ada", "--quota", "vms=20", "--quota", "vms=3")
      assert.strictEqual(twice.status, 2)
      assert.include(twice.err, "--quota vms is given twice: expected it once")
      const nothing = yield* run("user", "set", "ada")
      assert.strictEqual(nothing.status, 2)
      assert.include(nothing.err, "nothing of the user is to be different: give --role ROLE or --quota WHAT=N")

      // whoever asks is no user, and is not limited; what they make is theirs
      yield* run("vm", "create", "--name", "web", "--type", "1")
      assert.match((yield* run("vm", "get", "web")).out, /^owner +local$/m)
      yield* run("volume", "create", "--name", "data", "--size", "1GiB")
      assert.match((yield* run("volume", "list", "-o", "wide")).out, /OWNER *\n.* local *$/m)
      assert.match((yield* run("whoami")).out, /^vms +1$/m)
      // lowered below what is there
      const planned = yield* run("user", "set", "ada", "--quota", "cpu=0", "--plan")
      assert.match(planned.out, /\+quota: 0 vCPUs/)
    })
  )

  it.scopedLive("a user is disabled and enabled, but not the last admin", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      yield* run("user", "create", "root", "--role", "admin")
      yield* run("user", "create", "ada", "--role", "operator")
      const disabled = yield* run("user", "disable", "ada")
      assert.strictEqual(disabled.status, 0, disabled.err)
      assert.match(disabled.out, /^disabled +true$/m)
      assert.match((yield* run("user", "list")).out, /^ada +operator +none +true/m)
      assert.match((yield* run("user", "enable", "ada")).out, /^disabled +false$/m)
      const last = yield* run("user", "disable", "root")
      assert.strictEqual(last.status, 1)
      assert.include(last.err, "user root is the last admin: make somebody else one first")
    })
  )

  it.scopedLive("users and webhooks are planned, and their secrets told again to the same key", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      yield* run("user", "create", "root", "--role", "admin")
      const create = ["user", "create", "ada", "--role", "operator"] as const
      const plan = yield* run(...create, "--plan")
      assert.match(plan.out, /^create user ada$/m, plan.all)
      assert.match(plan.out, /^\+role: operator$/m)
      assert.strictEqual((yield* run("user", "list", "-o", "name")).out, "root\n")
      const id = / --plan-id (\S+) /.exec(plan.err)?.[1] ?? ""
      assert.strictEqual((yield* run(...create, "--plan-id", id)).status, 0)
      assert.strictEqual((yield* run("user", "list", "-o", "name")).out, "ada\nroot\n")
      const removal = yield* run("user", "remove", "ada", "--plan")
      assert.match(removal.out, /^remove user ada$/m, removal.all)
      assert.strictEqual((yield* run("user", "get", "ada")).status, 0)

      const hook = ["webhook", "create", "https://receiver.example/", "--idempotency-key", "mine"] as const
      const first = yield* run(...hook)
      assert.match(first.out, /^whsec_\S+\n$/, first.all)
      assert.strictEqual((yield* run(...hook)).out, first.out)
      assert.strictEqual((yield* run("webhook", "list", "-o", "name")).out, "1\n")
      yield* run("webhook", "remove", "1")
      const gone = yield* run(...hook)
      assert.strictEqual(gone.status, 1)
      assert.include(gone.err, "webhook 1, is there no more; take a new key")
    })
  )

  it.scopedLive("login makes a token, keeps it, and logout revokes it", () =>
    Effect.gen(function* () {
      const nothing = (response: ServerResponse) => response.writeHead(204).end()
      const who = { user: "ada", role: "admin" }
      const time = "2026-01-02T03:04:05.006Z"
      const token = {
        id: 7,
        name: "n",
        owner: "ada",
        role: "admin",
        createdAt: time,
        expiresAt: null,
        lastUsedAt: null
      }
      const { asked, url } = yield* Served.scripted(
        Served.json(200, { ...who, expiresAt: time }, { "set-cookie": "vmfabric_session=abc; HttpOnly; Path=/" }),
        Served.json(201, { ...token, secret }),
        nothing,
        Served.json(200, { ...who, via: "token", tokenId: 7 }),
        nothing
      )
      const password = "correct horse battery staple"
      const { config, run } = yield* Typed.make({}, { typed: password })
      const file = join(config, "vmfabric", "contexts.json")
      const login = yield* run("login", "--user", "ada", "--url", url, "--context", "here")
      assert.strictEqual(login.status, 0, login.err)
      assert.match(login.err, /signed in as ada .* context here has a token/)
      const kept = readFileSync(file, "utf8")
      assert.include(kept, secret)
      assert.notInclude(login.all, secret)
      assert.notInclude(login.all + kept, password)
      const out = yield* run("logout")
      assert.strictEqual(out.status, 0, out.err)
      assert.notInclude(readFileSync(file, "utf8"), secret)
      assert.deepStrictEqual(
        asked.map(({ headers, method, url }) => [method, url, headers.cookie ?? headers.authorization]),
        [
          ["POST", "/api/v1/session", undefined],
          ["POST", "/api/v1/tokens", "vmfabric_session=abc"],
          ["DELETE", "/api/v1/session", "vmfabric_session=abc"],
          ["GET", "/api/v1/session", `Bearer ${secret}`],
          ["DELETE", "/api/v1/tokens/7", `Bearer ${secret}`]
        ]
      )
    })
  )
})
