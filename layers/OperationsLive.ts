/**
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import * as Runner from "../src/operations/Runner.ts"
import { Operations } from "../src/services/Operations.ts"

/** Operations run until the layer's scope closes; nothing is undone then. @since 0.1.0 @category layers */
export const layer = Layer.scoped(Operations, Runner.make)
