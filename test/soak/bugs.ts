/**
 * Bugs for the recovery code, each of a kind that such code really has. The soak has to find every one: `npm run soak:bugs`.
 */

/** `find` stands exactly once in `file`. */
export interface Bug {
  readonly name: string
  readonly file: string
  readonly find: string
  readonly replace: string
}

export const bugs: ReadonlyArray<Bug> = [
  {
    name: "the undo forgets steps of this process",
    file: "src/operations/Saga.ts",
    find: "      touched.add(step.name)\n",
    replace: ""
  },
  {
    name: "the undo goes in the order of the steps",
    file: "src/operations/Saga.ts",
    find: "saga.steps.toReversed()",
    replace: "[...saga.steps]"
  },
  {
    name: "a failed operation does not tell the inventory",
    file: "src/operations/Saga.ts",
    find: 'record({ state: { to: "failed" } }, saga.failed)',
    replace: 'record({ state: { to: "failed" } })'
  },
  {
    name: "a finished operation does not tell the inventory",
    file: "src/operations/Saga.ts",
    find: 'record({ state: { to: "done" } }, saga.succeeded)',
    replace: 'record({ state: { to: "done" } })'
  },
  {
    name: "what a killed controller left is not taken up",
    file: "src/operations/Runner.ts",
    find: "const unfinished = yield* journal.unfinished",
    replace: "const unfinished = (yield* journal.unfinished).slice(0, 0)"
  },
  {
    name: "what was being undone is not taken up",
    file: "src/operations/Runner.ts",
    find: "const unfinished = yield* journal.unfinished",
    replace: 'const unfinished = (yield* journal.unfinished).filter(({ state }) => state !== "undoing")'
  },
  {
    name: "a lost connection fails an undo for good",
    file: "src/operations/Saga.ts",
    find: 'policy: { silence: "always", refusal: kept === undefined ? "always" : "always unless held" }',
    replace: 'policy: { silence: "few", refusal: "never" }'
  },
  {
    name: "a host that comes back wakes nobody",
    file: "src/observe/Monitor.ts",
    find: "    yield* Deferred.succeed(entry.up, undefined)\n    yield* PubSub",
    replace: "    yield* PubSub"
  },
  {
    name: "the disk of a VM that could not be created stays",
    file: "src/operations/CreateVm.ts",
    find: "        undo: driver.deleteRoot(host, vm.id, operationId),\n",
    replace: ""
  },
  {
    name: "a VM that runs again when its power was taken is not removed",
    file: "src/operations/VmSaga.ts",
    find: "    Effect.zipRight(hypervisor.powerOff(host, domain), hypervisor.undefine(host, domain))\n",
    replace: "    hypervisor.undefine(host, domain)\n"
  },
  // that a definition stays cannot show: the observer finds it, and has it removed
  {
    name: "a volume that could not grow has its new size",
    file: "src/operations/GrowVolume.ts",
    find: "failed: VolumeSaga.settle(subject, { size: operation.detail.formerSize ?? volume.size })",
    replace: "failed: VolumeSaga.settle(subject, { size: operation.detail.size ?? volume.size })"
  },
  {
    name: "a disk that could not be attached stays in the domain",
    file: "src/operations/AttachVolume.ts",
    find: "        undo: hypervisor.detachDisk(host, domain, disk),\n",
    replace: ""
  },
  {
    name: "a volume that could not be attached stays with its VM",
    file: "src/operations/AttachVolume.ts",
    find: "      attachment: null,\n",
    replace: ""
  },
  {
    name: "a volume that could not be created stays",
    file: "src/operations/CreateVolume.ts",
    find: "        undo: driver.discardVolume(at, operation.id),\n",
    replace: ""
  },
  {
    name: "a guest that holds a volume loses it in the inventory",
    file: "src/operations/DetachVolume.ts",
    find: 'failed: VolumeSaga.settle(subject, { state: "attached", releaseAsked: true })',
    replace: 'failed: VolumeSaga.settle(subject, { state: "available", attachment: null, releaseAsked: false })'
  },
  {
    name: "a guest that lets go late is not noticed",
    file: "src/fabric/Releases.ts",
    find: 'const isAsked = (volume: Volume) => volume.state === "attached" && volume.releaseAsked',
    replace: 'const isAsked = (volume: Volume) => volume.state === "purged" && volume.releaseAsked'
  },
  {
    name: "a VM that is gone keeps its reservation",
    file: "layers/InventoryVms.ts",
    find: "          yield* vms.release(id)\n",
    replace: ""
  },
  {
    name: "a VM that is gone keeps its volumes",
    file: "layers/sql/Volumes.ts",
    find: "updated_at = ${now} where vm_id = ${vmId} returning ${columns}`",
    replace: "updated_at = ${now} where vm_id = ${-vmId} returning ${columns}`"
  },
  {
    name: "a key that was used makes another VM",
    file: "layers/sql/RequestKeys.ts",
    find: "  return before.operation.id === request.replaces ? null : before.operation\n",
    replace: "  return null\n"
  },
  {
    name: "only the running domain lets go of a disk, not its definition",
    file: "layers/HypervisorDisks.ts",
    find: "      } else if (hadTurn && find(persistent, disk) === undefined) {",
    replace: "      } else if (live !== null || (hadTurn && find(persistent, disk) === undefined)) {"
  },
  {
    name: "a VM that was stopped on purpose is started by its host",
    file: "src/operations/VmSaga.ts",
    find: "  vm.autostart ? hypervisor.setAutostart(host, { uuid: vm.uuid, domainName: vm.domainName }, false) : Effect.void",
    replace: "  Effect.void"
  },
  {
    name: "a VM that is started again is no more started by its host",
    file: "src/operations/StartVm.ts",
    find: "          if (vm.autostart) yield* hypervisor.setAutostart(host, domain, true)\n",
    replace: ""
  },
  {
    name: "one that is off is told to start with its host",
    file: "src/operations/ConfigureVm.ts",
    find: "const autostart = vm.startsWithHost",
    replace: "const autostart = vm.autostart"
  },
  {
    name: "a running domain keeps its old title",
    file: "layers/HypervisorLive.ts",
    find: "yield* set(impact.live | impact.config).pipe(",
    replace: "yield* set(impact.config).pipe("
  },
  {
    name: "that a VM is to be off is forgotten",
    file: "src/operations/ShutDownVm.ts",
    find: 'succeeded: Effect.suspend(() => inventory.setVmPower(vm.id, "stopped", seen))',
    replace: "succeeded: Effect.void"
  },
  {
    name: "a VM whose power is taken while it is paused stays paused in the inventory",
    file: "layers/InventoryVms.ts",
    find: "vm: vm.state === power ? vm : ",
    replace: 'vm: vm.state !== "running" ? vm : '
  },
  {
    name: "a NIC that could not be attached stays in the domain",
    file: "src/operations/AttachNic.ts",
    find: "        undo: nic === null ? Effect.void : hypervisor.detachNic(host, domain, NicSaga.refOf(nic))\n",
    replace: ""
  },
  {
    name: "a NIC that could not be attached stays with its VM",
    file: "src/operations/AttachNic.ts",
    find: "    failed: settle(null)\n",
    replace: "    failed: Effect.void\n"
  },
  {
    name: "a guest that holds a NIC loses it in the inventory",
    file: "src/operations/DetachNic.ts",
    find: 'failed: settle({ state: "attached", releaseAsked: true })',
    replace: "failed: settle(null)"
  },
  {
    name: "only the running domain lets go of a NIC, not its definition",
    file: "layers/HypervisorNics.ts",
    find: "      } else if (defined === undefined) return\n",
    replace: "      } else if (live !== null || defined === undefined) return\n"
  },
  {
    name: "a link that could not be set stays half set",
    file: "src/operations/SetNicLink.ts",
    find: "        undo: Effect.asVoid(set(formerLink))\n",
    replace: ""
  },
  {
    name: "a VM that could not be resized has its new size",
    file: "src/operations/ResizeVm.ts",
    find: "failed: inventory.settleResize(vm.id, null)",
    replace: "failed: inventory.settleResize(vm.id, { instanceType: type, cpu, ram })"
  },
  {
    name: "a VM that could not be resized keeps what was promised for that",
    file: "src/operations/ResizeVm.ts",
    find: "    failed: inventory.settleResize(vm.id, null)\n",
    replace: "    failed: Effect.void\n"
  },
  {
    name: "a VM that could not be resized keeps its new definition",
    file: "src/operations/ResizeVm.ts",
    find: "        }),\n        undo: giveBack\n",
    replace: "        })\n"
  },
  {
    name: "what cloud-init is told is not written",
    file: "src/operations/SetCloudInit.ts",
    find: "act: Effect.asVoid(write)",
    replace: "act: Effect.void"
  },
  {
    name: "the seed of a VM that could not be created stays",
    file: "src/operations/CreateVm.ts",
    find: "        undo: driver.deleteSeed(host, vm.id, operationId)\n",
    replace: ""
  },
  {
    name: "what the console of a VM that is gone has said stays",
    file: "layers/HypervisorLive.ts",
    find: "    yield* forgetConsole(host, action, domain)\n",
    replace: ""
  },
  {
    name: "a published image loses its file once it is checked",
    file: "src/operations/PublishImage.ts",
    find: 'succeeded: inventory.settleImage(image.id, "available")',
    replace:
      'succeeded: Effect.zipRight(Effect.orDie(store.remove(source)), inventory.settleImage(image.id, "available"))'
  },
  {
    name: "an image that could not be published stays in the inventory",
    file: "src/operations/PublishImage.ts",
    find: "failed: inventory.dropImage(image.id)",
    replace: "failed: Effect.void"
  },
  {
    name: "an image that could not be published is there for all",
    file: "src/operations/PublishImage.ts",
    find: "failed: inventory.dropImage(image.id)",
    replace: 'failed: inventory.settleImage(image.id, "available")'
  },
  {
    name: "what held a disk that could not be published stays",
    file: "src/operations/PublishImage.ts",
    find: "        undo: release,\n",
    replace: ""
  },
  {
    name: "a reset that its host refused is told as done",
    file: "layers/HypervisorPower.ts",
    find: "if (!done.left.refusedWith(code.operationInvalid)) return yield* Effect.fail(refused)",
    replace: "if (!done.left.refusedWith(code.operationInvalid)) return"
  }
]
