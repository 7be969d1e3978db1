/** What a command says of flags that are not right, before it asks anybody. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Typed from "./Typed.ts"

/** A shell whose controller is not there: whoever asks it ends with 5. */
const shell = Effect.map(Typed.make({ VMFABRIC_URL: "http://127.0.0.1:1" }), ({ config, run }) => {
  const refused = (...args: ReadonlyArray<string>) =>
    Effect.map(run(...args), ({ err, out, status }) => {
      assert.deepStrictEqual([status, out], [2, ""], `${args.join(" ")}: ${err}`)
      return err.replace(/^vmfabric: /, "").trimEnd()
    })
  return { config, run, refused }
})

describe("what is given without a flag", () => {
  it.scopedLive("is told by its name when it is missing, or given as a flag", () =>
    Effect.gen(function* () {
      const { refused } = yield* shell
      for (const [args, expected] of [
        [["vm", "get"], "vm is missing: expected vmfabric vm get VM (vmfabric vm get --help)"],
        [["image", "upload"], "file is missing: expected vmfabric image upload FILE (vmfabric image upload --help)"],
        [["vm", "stop"], "vm is missing: expected vmfabric vm stop VM (vmfabric vm stop --help)"],
        [
          ["webhook", "create", "--url", "https://receiver.example/hooks"],
          "address is missing: expected vmfabric webhook create ADDRESS; --url is the address of the controller (vmfabric webhook create --help)"
        ],
        [
          ["webhook", "create", "--address", "https://receiver.example/hooks"],
          "there is no flag --address here: address is given without one (vmfabric webhook create --help)"
        ],
        [
          ["user", "create", "--name", "ann"],
          "there is no flag --name here: the user's name is given without one (vmfabric user create --help)"
        ],
        [
          ["vm", "get", "--id=3"],
          "there is no flag --id here: the vm's id is given without one (vmfabric vm get --help)"
        ],
        [["webhook", "create", "--name", "mine"], "there is no flag --name here (vmfabric webhook create --help)"]
      ] as const) {
        assert.strictEqual(yield* refused(...args), expected)
      }
    })
  )
})

describe("flags", () => {
  it.scopedLive("with an empty value are refused, so that a variable that is not set makes no list of all", () =>
    Effect.gen(function* () {
      const { refused, run } = yield* shell
      const create = ["vm", "create", "--name", "a", "--type", "1"]
      for (const args of [
        ["vm", "list", "--tag", ""],
        ["vm", "list", "--tag="],
        ["vm", "list", "--tag", "web", "--tag", ""],
        ["vm", "list", "--name", ""],
        ["vm", "list", "--label", ""],
        [...create, "--tag", ""],
        [...create, "--must", ""],
        [...create, "--should", ""],
        [...create, "--nic", ""],
        [...create, "--ssh-key", ""],
        ["vm", "set", "a", "--untag", ""],
        ["host", "set", "h1", "--remove", ""],
        ["event", "list", "--type", ""],
        ["event", "watch", "--type="]
      ]) {
        const flag = args.filter((word) => word.startsWith("--")).at(-1) ?? ""
        assert.include(
          yield* refused(...args),
          `the value of ${flag.replace("=", "")} is empty: expected `,
          args.join(" ")
        )
      }
      // by which a description is taken away
      assert.strictEqual((yield* run("vm", "set", "1", "--description", "")).status, 5)
    })
  )

  it.scoped("offer no states to lists that nothing in a list can have", () =>
    Effect.gen(function* () {
      const { refused, run } = yield* shell
      for (const [noun, state] of [
        ["vm", "failed"],
        ["vm", "destroyed"],
        ["volume", "failed"],
        ["volume", "purged"]
      ] as const) {
        assert.notMatch((yield* run(noun, "list", "--help")).out, new RegExp(`--state.* ${state}`))
        assert.include(yield* refused(noun, "list", "--state", state), `--state is "${state}": expected creating, `)
      }
    })
  )

  it.scoped("are named where something is wrong with them, each for itself", () =>
    Effect.gen(function* () {
      const { refused } = yield* shell
      const says = (message: string, ...args: ReadonlyArray<string>) =>
        Effect.map(refused(...args), (said) =>
          assert.strictEqual(said, `${message} (vmfabric ${args.slice(0, 2).join(" ")} --help)`)
        )
      yield* says("the value of --label is missing: expected KEY[=VALUE]", "vm", "list", "--label")
      yield* says("the value of --label is missing: expected KEY[=VALUE]", "vm", "list", "--label", "--watch")
      yield* says("--limit is given twice: give it once", "vm", "list", "--limit", "2", "--limit", "3")
      yield* says("--watch is given twice: give it once", "vm", "list", "--watch", "--watch")
      yield* says("--watch takes no value", "vm", "list", "--watch=yes")
      yield* says("there is no flag --stat here: did you mean --state?", "vm", "list", "--stat", "running")
      yield* says("there is no flag --colour here", "vm", "list", "--colour")
      const states = "creating, running, stopped, paused or destroying"
      yield* says(`--state is "bogus": expected ${states}`, "vm", "list", "--state", "bogus")
      yield* says(
        '--sort is "age": expected id, -id, name, -name, created, -created, owner or -owner',
        "vm",
        "list",
        "--sort",
        "age"
      )
      yield* says('-o is "xml": expected table, wide, json, yaml or name', "vm", "list", "-o", "xml")
      yield* says('--on-crash is "cry": expected leave or restart', "vm", "set", "a", "--on-crash", "cry")
      assert.match(
        yield* refused("event", "list", "--type", "vm.created", "--type", "nope"),
        /^--type is "nope": expected vm\.created, /
      )
      yield* says('--limit is "1.5": expected a whole number', "vm", "list", "--limit", "1.5")
      const size = "expected a whole number of GiB, or a size as in 40GiB that is one"
      yield* says(`--size is "512MiB": ${size}`, "volume", "create", "--name", "data", "--size", "512MiB")
      yield* says(`--size is "40G": ${size}`, "volume", "create", "--name", "data", "--size", "40G")
      yield* says('--days is "soon": expected a whole number', "token", "create", "--name", "ci", "--days", "soon")
      yield* says("--name NAME and --type TYPE are missing", "vm", "create")
      yield* says("--type TYPE is missing", "vm", "create", "--name", "a")
    })
  )

  it.scoped("that need one another, or exclude one another, say so", () =>
    Effect.gen(function* () {
      const { refused } = yield* shell
      for (const flag of ["--limit", "--cursor"]) {
        for (const noun of ["vm", "volume"]) {
          assert.strictEqual(
            yield* refused(noun, "list", "--watch", flag, "2"),
            `--watch shows all that there is, and what becomes of it: give it without ${flag}`
          )
        }
      }
      assert.match(
        yield* refused("image", "add"),
        /^where the image comes from is missing: give --path .* or --from URL/
      )
    })
  )
})

describe("words", () => {
  it.scoped("that are none lead to those that were meant", () =>
    Effect.gen(function* () {
      const { refused } = yield* shell
      for (const [said, ...args] of [
        ['there is no command "volum": did you mean volume?', "volum", "list"],
        ['there is no command "vms": did you mean vm?', "vms", "list", "--limit", "3"],
        ['there is no command "simulat": did you mean simulate?', "simulat"],
        ['there is no command "help": did you mean vmfabric --help?', "help"],
        ['there is no command "foo": there are vm, ', "foo"],
        ['vm has no "destory": did you mean destroy?', "vm", "destory", "1"],
        ['vm has no "help": did you mean vmfabric vm --help?', "vm", "help"],
        ["what is to be done with vm is missing: there are list, ", "vm"]
      ]) {
        const told = yield* refused(...args)
        assert.isTrue(told.startsWith(said ?? ""), told)
        assert.include(told, "(vmfabric --help)")
      }
      assert.include(yield* refused("machines"), "a controller takes three files")
    })
  )

  it.scoped("after id: are ids, and so are all whole numbers", () =>
    Effect.gen(function* () {
      const { refused } = yield* shell
      assert.strictEqual(
        yield* refused("vm", "get", "id:abc"),
        '"abc" is no id of a vm: expected a whole number from 1 on, or a name'
      )
      assert.include(yield* refused("volume", "get", "12345678901234567"), '"12345678901234567" is no id of a volume')
      assert.include(yield* refused("host", "get", "id:"), '"" is no id of a host')
    })
  )

  it.scoped("of files that cannot be read are the user's, not the library's", () =>
    Effect.gen(function* () {
      const { config, refused } = yield* shell
      assert.strictEqual(
        yield* refused("image", "upload", "/nonexistent"),
        "/nonexistent cannot be read: there is no such file"
      )
      const create = ["vm", "create", "--name", "a", "--type", "1", "--user-data"]
      assert.strictEqual(
        yield* refused(...create, "/nonexistent"),
        "/nonexistent cannot be read: there is no such file"
      )
      assert.strictEqual(yield* refused(...create, config), `${config} cannot be read: it is a folder`)
      assert.include(
        yield* refused("vm", "list", "--token-file", "/nonexistent"),
        "/nonexistent cannot be read: there is no such file"
      )
    })
  )
})

describe("help", () => {
  it.scoped("says what a flag is for, and which ones need not be given", () =>
    Effect.gen(function* () {
      const { run } = yield* shell
      const { out } = yield* run("vm", "create", "--help")
      assert.match(out, /^\$ vmfabric vm create --name NAME --type TYPE \[--image IMAGE\] .* \[--tag TAG\.\.\.\] /m)
      assert.match(out, /^--tag TAG\.\.\.\n\n {2}A short word on it; may be repeated\.\n\n--label/m)
      for (const args of [["--help"], ["simulate", "--help"], ["--listen", "127.0.0.1:0", "bootstrap", "-h"]]) {
        const { out } = yield* run(...args)
        assert.notMatch(out, /piece of text|An integer|true or false|This setting|\u001b| {40}/, args.join(" "))
        assert.include(out, "--database FILE")
      }
    })
  )
})
