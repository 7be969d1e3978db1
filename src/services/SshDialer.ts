/**
 * How a byte stream to a host's sshd comes about: TCP in the real world, memory in the simulated one.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Duplex } from "node:stream"
import type { HostAddress } from "../domain/Host.ts"
import type { SshError } from "./Ssh.ts"

/** @since 0.1.0 @category services */
export class SshDialer extends Context.Tag("vmfabric/SshDialer")<
  SshDialer,
  {
    /** Connects, within a time limit of the layer's; fails with reason `SshUnreachable` or `SshTimeout`. Closed with the scope. */
    readonly dial: (address: HostAddress) => Effect.Effect<Duplex, SshError, Scope.Scope>
  }
>() {}
