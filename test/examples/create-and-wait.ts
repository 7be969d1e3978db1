/**
 * A program beside the controller: create a VM by its API, wait until it runs, remove it. Values, problems and the end of operations have types.
 *
 * It asks the controller at VMFABRIC_URL, with the token VMFABRIC_TOKEN when there is one.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { Client, Ids } from "vmfabric/client"

const program = Effect.gen(function* () {
  const { vms, wait } = yield* Client.Client
  const { vmId } = yield* Effect.flatMap(
    vms.createVm({ payload: { name: "hello", instanceType: Ids.InstanceTypeId.make(1) } }),
    wait
  )
  if (vmId === null) return
  const vm = yield* vms.getVm({ path: { id: vmId } })
  yield* Console.log(`${vm.name} is ${vm.state} on host ${vm.hostId}`)
  yield* Effect.flatMap(vms.destroyVm({ path: { id: vm.id } }), wait)
}).pipe(
  Effect.catchTags({
    Conflict: (problem) => Console.error(`there is no room: ${problem.detail}`),
    OperationFailed: (failure) => Console.error(failure.message)
  })
)

const client = Effect.gen(function* () {
  const url = yield* Config.string("VMFABRIC_URL")
  const token = yield* Config.option(Config.redacted("VMFABRIC_TOKEN"))
  return Client.layer(Option.isSome(token) ? { url, token: token.value } : { url })
}).pipe(Layer.unwrapEffect)

program.pipe(Effect.provide(client), NodeRuntime.runMain)
