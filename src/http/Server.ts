/**
 * The HTTP server, able to stop.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Duration from "effect/Duration"
import { createServer, type Server } from "node:http"

/** How long answers that are under way may take once the server has been told to stop. @since 0.1.0 @category constants */
export const drainTime = Duration.seconds(2)

/**
 * A node server whose `close` ends within the drain time. Node's own waits for every connection to end by itself, which an open event
 * stream or a client that sends nothing never does.
 */
const drainingServer = (): Server => {
  const server = createServer()
  const close = server.close.bind(server)
  server.close = (callback) => {
    setTimeout(() => server.closeAllConnections(), Duration.toMillis(drainTime)).unref()
    return close(callback)
  }
  return server
}

/** Listens at once; fails when the address is taken. @since 0.1.0 @category layers */
export const layer = (listen: { readonly host: string; readonly port: number }) =>
  NodeHttpServer.layer(drainingServer, listen)
