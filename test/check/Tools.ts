/** Programs of the machine that some tests are about. */
import { existsSync } from "node:fs"
import { join } from "node:path"

const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"]

export const isThere = (tool: string): boolean => folders.some((folder) => existsSync(join(folder, tool)))

/** Where there is none the tests that need it are left out; in CI there has to be one, and without it they fail. */
export const isMissing = (tool: string): boolean => process.env["CI"] === undefined && !isThere(tool)
