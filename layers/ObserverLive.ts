/**
 * @since 0.3.0
 */
import * as Layer from "effect/Layer"
import * as ObserverMake from "../src/observe/Observer.ts"
import { Observer } from "../src/services/Observer.ts"

/** @since 0.3.0 @category models */
export type Options = ObserverMake.Options

/** @since 0.3.0 @category constants */
export const defaults: Options = ObserverMake.defaults

/** Looks at the hosts as long as the layer's scope is open. @since 0.3.0 @category layers */
export const layerWith = (options: Partial<Options> = {}) => Layer.scoped(Observer, ObserverMake.make(options))

/** Differences are reported, and left alone. @since 0.3.0 @category layers */
export const layer = layerWith()
