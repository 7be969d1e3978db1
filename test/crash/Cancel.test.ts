/**
 * Cancel is asked at every point.
 */
import * as Harness from "./Harness.ts"
import * as Cases from "./Cases.ts"

Cases.define("cancel", [Harness.cancelled])
