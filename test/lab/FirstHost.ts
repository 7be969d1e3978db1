/** A controller of the lab's first host alone. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as AppLive from "../../layers/AppLive.ts"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import * as SshLive from "../../layers/SshLive.ts"
import * as InputFiles from "../../src/config/InputFiles.ts"
import * as Lab from "./Lab.ts"

const [, images = "", types = ""] = Lab.filesOf("first")
const machines = `${Lab.status.dir}/physicalMachine_file`

/** Its name. */
export const host = Lab.status.hosts[0].name

export const app = Layer.unwrapEffect(
  Effect.map(InputFiles.read({ machines, images, types }), ({ fleet }) =>
    AppLive.layer({ fleet: { ...fleet, hosts: fleet.hosts.slice(0, 1) }, database: ":memory:" })
  )
).pipe(
  Layer.provide(SshLive.layer(Lab.sshOptions)),
  Layer.provide(SshDialerTcp.layer),
  Layer.provide(NodeContext.layer),
  Layer.provide(Logger.minimumLogLevel(LogLevel.Error))
)
