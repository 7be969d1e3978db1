#!/usr/bin/env -S node --max-semi-space-size=8
/**
 * The program. A client command does not load the server, nor the server the client.
 *
 * @since 0.1.0
 */
import { isClient } from "../cli/Words.ts"

await (isClient(process.argv.slice(2)) ? import("./Manage.ts") : import("./Serve.ts"))
