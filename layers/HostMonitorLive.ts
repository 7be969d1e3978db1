/**
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import * as Monitor from "../src/observe/Monitor.ts"
import { HostMonitor } from "../src/services/HostMonitor.ts"

/** Watches the hosts that the inventory has when the layer is built. @since 0.1.0 @category layers */
export const layer = Layer.scoped(HostMonitor, Monitor.make)
