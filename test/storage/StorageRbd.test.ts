import * as Layer from "effect/Layer"
import { storageContract } from "../contracts/StorageContract.ts"
import * as SimulatedCeph from "./SimulatedCeph.ts"

storageContract(
  { name: "simulated Ceph", shared: true },
  SimulatedCeph.world.pipe(Layer.provideMerge(SimulatedCeph.drivers({ patience: "300 millis" })))
)
