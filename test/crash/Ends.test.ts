/**
 * The controller ends at every point, and the next one finishes.
 */
import * as Harness from "./Harness.ts"
import * as Cases from "./Cases.ts"

Cases.define("ends", [Harness.ends])
