#!/usr/bin/env -S node --max-semi-space-size=8
/**
 * The program. A client command does not load the server, nor the server the client.
 *
 * @since 0.1.0
 */
import { existsSync } from "node:fs"
import { setFlagsFromString } from "node:v8"
import { isClient } from "../cli/Words.ts"
import * as CodeCache from "./CodeCache.ts"

/** The client in one file, where there is a build. */
const bundle = new URL("./Manage.cjs", import.meta.url)

if (!isClient(process.argv.slice(2))) await import("./Serve.ts")
else if (existsSync(bundle)) {
  // a short command's garbage is what its start leaves: a young generation that grows at once is collected half as often
  setFlagsFromString("--semi-space-growth-factor=8")
  CodeCache.run(bundle, CodeCache.directory())
} else await import("./Manage.ts")
