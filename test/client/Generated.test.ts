/** A client that a public generator makes of the OpenAPI document, for those whose language or taste has none of ours. */
import { createClient } from "@hey-api/openapi-ts"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { symlink, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { temporaryFolder } from "../inventory/Fleet.ts"
import * as Contract from "../http/v1/Contract.ts"
import * as Served from "./Served.ts"

const root = new URL("../..", import.meta.url).pathname

/** What it printed; fails with all of it. */
const run = (cwd: string, ...args: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    try {
      return (await promisify(execFile)(process.execPath, args, { cwd, timeout: 60_000 })).stdout
    } catch (error) {
      const printed = error instanceof Error && "stdout" in error ? String(error.stdout) : ""
      throw new Error(`${args.join(" ")} failed:\n${printed}${String(error)}`, { cause: error })
    }
  })

const program = `
import { createClient } from "./api/client"
import { vmsCreateVm, vmsGetVm } from "./api"

const client = createClient({ baseUrl: process.argv[2] ?? "", auth: "a-token" })
const { data: operation, error } = await vmsCreateVm({
  client,
  headers: { prefer: "wait=20" },
  body: { name: "generated", instanceType: 1 }
})
if (operation === undefined || !("vmId" in operation) || operation.vmId === null) throw new Error(error?.detail)
const { data: vm } = await vmsGetVm({ client, path: { id: operation.vmId }, throwOnError: true })
const name: string = vm.name
const state: "running" | string = vm.state
console.log(name, state)
const missing = await vmsGetVm({ client, path: { id: 4711 } })
console.log(missing.error?.status, missing.error?.code)
// @ts-expect-error a VM has a name
export const wrong: Parameters<typeof vmsCreateVm>[0] = { body: { instanceType: 1 } }
`

describe("a client generated from the document", () => {
  it.scopedLive(
    "is of right types, says who it is, and creates a VM",
    () =>
      Effect.gen(function* () {
        const { tokens, url } = yield* Served.make
        const folder = yield* temporaryFolder
        const document = yield* Effect.promise(() => fetch(`${url}/openapi.json`).then((response) => response.json()))
        yield* Effect.promise(() =>
          createClient({
            input: { ...Contract.members(document) },
            output: { path: join(folder, "api"), module: { extension: "" } },
            logs: { level: "silent", file: false },
            plugins: ["@hey-api/typescript", "@hey-api/sdk", "@hey-api/client-fetch"]
          })
        )
        yield* Effect.promise(async () => {
          await writeFile(join(folder, "create.ts"), program)
          await writeFile(join(folder, "package.json"), '{ "type": "module" }')
          const compilerOptions = {
            strict: true,
            noEmit: true,
            target: "es2022",
            module: "esnext",
            moduleResolution: "bundler",
            lib: ["es2023", "dom", "dom.iterable"],
            types: ["node"],
            skipLibCheck: true
          }
          await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["create.ts"] }))
          await symlink(join(root, "node_modules"), join(folder, "node_modules"))
        })
        yield* run(folder, join(root, "node_modules/typescript7/bin/tsc"), "--project", folder)
        const printed = yield* run(folder, "--import", "tsx", "create.ts", url)
        assert.strictEqual(printed, "generated running\n404 vm_not_found\n")
        assert.isTrue(tokens.has("Bearer a-token"))
      }),
    90_000
  )
})
