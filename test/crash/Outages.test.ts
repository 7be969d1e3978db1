/**
 * From every point on the host or the pool is gone, or refuses for good, until somebody is told: all ends once it is back.
 */
import * as Harness from "./Harness.ts"
import * as Cases from "./Cases.ts"

Cases.define("outages", [Harness.silent, Harness.refusedAlways])
