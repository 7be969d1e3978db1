/** The package as it is installed: not this folder, but what `npm pack` makes of it, in an empty project with what npm brings beside it. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join, relative, resolve } from "node:path"
import { promisify } from "node:util"
import { built } from "../gui/Browser.ts"

const root = new URL("../..", import.meta.url).pathname

/** What it printed; fails with all of it. */
const run = async (cwd: string, command: string, ...args: ReadonlyArray<string>) => {
  try {
    return (await promisify(execFile)(command, args, { cwd, timeout: 240_000 })).stdout
  } catch (error) {
    const printed = error instanceof Error && "stdout" in error ? String(error.stdout) : ""
    throw new Error(`${command} ${args.join(" ")} failed:\n${printed}${String(error)}`, { cause: error })
  }
}

const program = `
import { AppTest } from "vmfabric/layers"
import { Ids, Vms } from "vmfabric"
import { Client, ClientError, connect } from "vmfabric/client"
import * as Effect from "effect/Effect"

const vm = await Vms.Vms.pipe(
  Effect.flatMap((vms) => vms.create({ name: "hello", instanceType: Ids.InstanceTypeId.make(1) })),
  Effect.provide(AppTest.layer),
  Effect.runPromise
)
console.log(vm.name, "is", vm.state)
const fabric = connect({ url: "http://127.0.0.1:1", patience: 0 })
const error = await fabric.vms.listVms().catch((error) => error)
console.log(error instanceof ClientError, error.code, typeof Client.layer)
`

const typed = `
import { Ids, type Vm, Vms } from "vmfabric"
import { AppTest } from "vmfabric/layers"
import { Client, ClientError, connect, type Problem } from "vmfabric/client"
import * as Effect from "effect/Effect"

export const vm: Effect.Effect<Vm.Vm, unknown> = Vms.Vms.pipe(
  Effect.flatMap((vms) => vms.create({ name: "hello", instanceType: Ids.InstanceTypeId.make(1) })),
  Effect.provide(AppTest.layer)
)
export const missing: Effect.Effect<number | Problem.NotFound, unknown, Client.Client> = Client.Client.pipe(
  Effect.flatMap((client) => client.vms.getVm({ path: { id: Ids.VmId.make(7) } })),
  Effect.map((vm) => vm.id),
  Effect.catchTag("NotFound", Effect.succeed)
)
const fabric = connect({ url: "http://127.0.0.1:1" })
export const created: Promise<string> = fabric.vms
  .createVm({ payload: { name: "hello", instanceType: 1 } })
  .then((operation) => operation.createdAt)
export const code = (error: unknown): string | null => (error instanceof ClientError ? error.code : null)
// @ts-expect-error it has a name
fabric.vms.createVm({ payload: { instanceType: 1 } })
// @ts-expect-error a VM has no such field
export const none = fabric.vms.getVm({ path: { id: 7 } }).then((vm) => vm.colour)
// @ts-expect-error a volume is no VM
Client.Client.pipe(Effect.flatMap((client) => client.vms.getVm({ path: { id: Ids.VolumeId.make(7) } })))
`

/** The one library that is not JavaScript: of the same version and the same Node. */
const compiled = "node_modules/better-sqlite3/build/Release/better_sqlite3.node"

const compiler = join(root, "node_modules/typescript7/bin/tsc")

describe("the package", () => {
  let folder = ""

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "vmfabric-package-"))
    // types are checked elsewhere
    await run(root, process.execPath, compiler, "--project", "tsconfig.build.json", "--noCheck")
    await run(root, "npm", "run", "-s", "bundle")
    await built()
    const packed = await run(root, "npm", "pack", "--ignore-scripts", "--silent", "--pack-destination", folder)
    await writeFile(join(folder, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module" }))
    // what scripts of dependencies would do is fetch or compile one library, which takes minutes where it cannot be fetched
    const how = ["--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel", "error"]
    await run(folder, "npm", "install", ...how, `./${packed.trim()}`)
    const version = async (modules: string) => {
      const { version }: { readonly version: string } = JSON.parse(
        await readFile(join(modules, "better-sqlite3/package.json"), "utf8")
      )
      return version
    }
    assert.strictEqual(await version(join(folder, "node_modules")), await version(join(root, "node_modules")))
    await cp(join(root, compiled), join(folder, compiled), { recursive: true })
  }, 300_000)

  afterAll(() => rm(folder, { recursive: true, force: true }))

  it("runs where it is installed", async () => {
    await writeFile(join(folder, "program.js"), program)
    const printed = await run(folder, process.execPath, "program.js")
    assert.match(printed, /^hello is running\ntrue unreachable function$/m)
  }, 60_000)

  it("has its command line in one file, whose compiled code is kept for the next command", async () => {
    const cache = join(folder, "cache")
    const command = ["node_modules/vmfabric/dist/src/bin/vmfabric.js", "vm", "--help"]
    const printed = () => run(folder, "env", `XDG_CACHE_HOME=${cache}`, process.execPath, ...command)
    const first = await printed()
    assert.include(first, "vmfabric vm")
    const [file = "", ...others] = await readdir(join(cache, "vmfabric"))
    assert.deepStrictEqual(others, [])
    const written = await stat(join(cache, "vmfabric", file))
    assert.isAbove(written.size, 500_000)
    assert.strictEqual(await printed(), first)
    assert.strictEqual((await stat(join(cache, "vmfabric", file))).mtimeMs, written.mtimeMs)
  }, 60_000)

  it("has the web interface, and needs nothing for it", async () => {
    const gui = join(folder, "node_modules/vmfabric/dist/gui")
    const page = await readFile(join(gui, "index.html"), "utf8")
    const [, script = ""] = /src="\/ui\/(assets\/index-[^"]+\.js)"/.exec(page) ?? []
    assert.isAbove((await readFile(join(gui, script))).length, 100_000)
    const { dependencies }: { readonly dependencies: Record<string, string> } = JSON.parse(
      await readFile(join(folder, "node_modules/vmfabric/package.json"), "utf8")
    )
    assert.deepStrictEqual(
      Object.keys(dependencies).filter((name) => /react|tanstack|ariakit|vite/.test(name)),
      []
    )
  })

  it("has its types there", async () => {
    const options = { strict: true, noEmit: true, skipLibCheck: true, module: "nodenext", target: "es2022", types: [] }
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files: ["typed.ts"] }))
    await writeFile(join(folder, "typed.ts"), typed)
    assert.strictEqual(await run(folder, process.execPath, compiler), "")
  }, 60_000)
})

describe("the client", () => {
  it("reaches nothing that a browser has not", async () => {
    const seen = new Set<string>()
    const foreign = new Set<string>()
    const visit = async (file: string): Promise<void> => {
      if (seen.has(file)) return
      seen.add(file)
      const source = await readFile(file, "utf8")
      for (const [, name = ""] of source.matchAll(/(?:^|\n)(?:import|export)[^"]*? from "([^"]+)"/g)) {
        if (name.endsWith(".ts")) await visit(resolve(dirname(file), name))
        else if (!name.endsWith("/package.json")) foreign.add(name)
      }
    }
    await visit(join(root, "src/client/index.ts"))
    const outside = [...seen]
      .map((file) => relative(root, file))
      .filter((file) => !/^src\/(client|api|domain)\//.test(file))
    assert.deepStrictEqual(outside, [])
    assert.isAbove(seen.size, 20)
    assert.deepStrictEqual(
      [...foreign].filter((name) => !/^(effect|@effect\/platform)\//.test(name)),
      []
    )
  })
})
