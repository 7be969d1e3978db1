import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as OperationsLive from "../../layers/OperationsLive.ts"
import * as Ids from "../../src/domain/Ids.ts"
import { Operation } from "../../src/domain/Operation.ts"
import { Vm } from "../../src/domain/Vm.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { Hypervisor } from "../../src/services/Hypervisor.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Journal } from "../../src/services/Journal.ts"
import { Operations } from "../../src/services/Operations.ts"
import { Storage } from "../../src/services/Storage.ts"

const operation = Operation.make({
  id: Ids.OperationId.make("6f1f3a52-2a0c-4b0e-9d7a-222222222222"),
  kind: "DestroyVm",
  vmId: Ids.VmId.make(7),
  state: "pending",
  error: null
})
const vm = Vm.make({
  id: operation.vmId,
  uuid: Ids.DomainUuid.make("00112233-4455-6677-8899-aabbccddeeff"),
  name: "test_vm",
  instanceType: Ids.InstanceTypeId.make(1),
  imageId: Ids.ImageId.make(100),
  hostId: Ids.HostId.make(1),
  resources: { cpu: 1, ram: 512, disk: 1 },
  mac: "52:54:00:00:00:01",
  state: "destroying"
})

const world = Layer.mergeAll(
  Layer.mock(Inventory, {
    operation: () => Effect.succeed(Option.some(operation)),
    vmRecord: () => Effect.succeed(vm),
    host: () => Effect.dieMessage("hosts: row 1 does not decode")
  }),
  Layer.mock(Journal, {}),
  Layer.mock(HostMonitor, {}),
  Layer.mock(Hypervisor, {}),
  Layer.mock(Storage, {}),
  Logger.minimumLogLevel(LogLevel.None)
)

describe("the operations' runner", () => {
  it.live("an operation stopped by a defect keeps nobody waiting", () =>
    Effect.gen(function* () {
      const operations = yield* Operations
      const error = yield* operations.await(operation.id).pipe(Effect.flip, Effect.timeout("5 seconds"))
      assert.strictEqual(error._tag, "OperationFailed")
      assert.match(error.message, /^internal error: .* taken up at the next start$/)
    }).pipe(Effect.provide(OperationsLive.layer.pipe(Layer.provide(world))))
  )
})
