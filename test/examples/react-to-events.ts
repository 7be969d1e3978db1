/**
 * Reacting to what happens, without Effect: each VM that runs is given a volume of its own. What it has done already it sees from the fabric, so it may be
 * stopped and begun again at any time.
 *
 * It asks the controller at VMFABRIC_URL, and ends after as many VMs as its argument says.
 */
import { stdout } from "node:process"
import { ClientError, connect } from "vmfabric/client"

const fabric = connect({ url: process.env.VMFABRIC_URL ?? "http://127.0.0.1:8080" })

const equip = async (vm: number) => {
  const name = `data-of-${vm}`
  const { items } = await fabric.volumes.listVolumes({ urlParams: { vm } })
  if (items.length > 0) return false
  const { volumeId } = await fabric.wait(await fabric.volumes.createVolume({ payload: { name, size: 1 } }))
  if (volumeId === null) return false
  await fabric.wait(await fabric.volumes.attachVolume({ path: { id: volumeId }, payload: { vm } }))
  return true
}

let left = Number(process.argv[2] ?? Infinity)
// from the oldest event on that is kept
for await (const { data, vmId } of fabric.events({ after: 0, types: ["vm.changed"] })) {
  if (vmId === null || data.state !== "running") continue
  try {
    if (await equip(vmId)) stdout.write(`VM ${vmId} has a volume now\n`)
  } catch (error) {
    // such as a VM that was destroyed meanwhile
    if (!(error instanceof ClientError) || error.code === "unreachable") throw error
    stdout.write(`VM ${vmId} has none: ${error.detail}\n`)
  }
  left -= 1
  if (left <= 0) break
}
