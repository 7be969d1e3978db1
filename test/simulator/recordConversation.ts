/**
 * Holds the conversation with a real daemon and prints it: `node --import tsx … SOCKET FOLDER > fixtures/libvirt/conversation-9.0.0.txt`.
 * The daemon has no domains, pools and secrets, and a network `default` that is off and stays so; the folder above FOLDER is there.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import { connect } from "node:net"
import { hold } from "./conversation.ts"
import * as RawClient from "./RawClient.ts"

const [socket = "/run/libvirt/libvirt-sock", folder = "/var/tmp/vmfabric-conversation/pool"] = process.argv.slice(2)

Effect.acquireUseRelease(
  Effect.sync(() => connect(socket)),
  (stream) => hold(RawClient.make(stream), folder),
  (stream) => Effect.sync(() => stream.destroy())
).pipe(
  Effect.tap((lines) => Effect.sync(() => process.stdout.write(lines.map((line) => `${line}\n`).join("")))),
  NodeRuntime.runMain
)
