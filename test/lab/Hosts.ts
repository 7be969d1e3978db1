/** Hosts of the lab, and everything Live that reaches them. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Layer from "effect/Layer"
import * as LibvirtLive from "../../layers/LibvirtLive.ts"
import * as SshLive from "../../layers/SshLive.ts"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import { defaultConfig, Host, type HostAddress } from "../../src/domain/Host.ts"
import { HostId } from "../../src/domain/Ids.ts"
import * as Lab from "./Lab.ts"

const hostAt = (address: HostAddress, id: number) =>
  new Host({ id: HostId.make(id), config: { ...defaultConfig(address), virt: "qemu" }, facts: null })

/** The n-th host, from 0. */
export const host = (index: number): Host => hostAt(Lab.address(index), index + 1)

/** A port of the first host where nothing listens. */
export const unreachable: Host = hostAt({ ...Lab.address(0), port: 9 }, 99)

export const libvirt = LibvirtLive.layer.pipe(
  Layer.provideMerge(SshLive.layer(Lab.sshOptions)),
  Layer.provide(SshDialerTcp.layer),
  Layer.provide(NodeContext.layer)
)
