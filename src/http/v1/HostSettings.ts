/**
 * Settings of hosts, as requests have them.
 *
 * @since 0.7.0
 */
import type { HostChange, NewHost } from "../../api/Hosts.ts"
import { defaultConfig, type Host, type HostConfig } from "../../domain/Host.ts"
import type * as Hosts from "../../fabric/Hosts.ts"

/** What is not said is as on a line without that word. @since 0.7.0 @category conversions */
export const ofNew = ({ address: { host, port = 22, user }, network, ...settings }: NewHost): HostConfig => ({
  ...defaultConfig({ user, host, port }),
  ...settings,
  ...(network === undefined || network === null ? {} : { network })
})

/** `host`: as it is now. @since 0.7.0 @category conversions */
export const ofChange = ({ user, ...change }: HostChange, host: Host): Hosts.HostChange => ({
  ...change,
  ...(user === undefined ? {} : { address: { ...host.config.address, user } })
})
