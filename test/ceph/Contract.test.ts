import * as Layer from "effect/Layer"
import { cephContract } from "../contracts/CephContract.ts"
import { ceph, world } from "./Simulated.ts"

cephContract("over SSH to a simulated host", Layer.provideMerge(world, ceph))
