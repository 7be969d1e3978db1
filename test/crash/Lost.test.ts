/**
 * From every point on the host is gone for good, and declared lost: all ends, and all can be destroyed.
 */
import * as Harness from "./Harness.ts"
import * as Cases from "./Cases.ts"

Cases.define("lost", [Harness.lost])
