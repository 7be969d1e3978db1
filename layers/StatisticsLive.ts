/**
 * @since 0.6.0
 */
import * as Layer from "effect/Layer"
import * as Sampler from "../src/observe/Sampler.ts"
import { Statistics } from "../src/services/Statistics.ts"

/** @since 0.6.0 @category models */
export type Options = Sampler.Options

/** Samples the hosts as long as the layer's scope is open. @since 0.6.0 @category layers */
export const layerWith = (options: Partial<Options> = {}) =>
  Layer.scoped(Statistics, Sampler.make({ ...Sampler.defaults, ...options }))

/** @since 0.6.0 @category layers */
export const layer = layerWith()
