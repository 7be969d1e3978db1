/**
 * At every point a connection is lost, a call is refused or a write fails: all ends as done or as undone.
 */
import * as Harness from "./Harness.ts"
import * as Cases from "./Cases.ts"

Cases.define("faults", [Harness.drops, Harness.refused, Harness.unwritten])
