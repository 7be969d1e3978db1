/**
 * Settings of hosts, as requests have them.
 *
 * @since 0.7.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { type HostChange, type NewHost, words } from "../../api/Hosts.ts"
import { parseAddress } from "../../config/InputFiles.ts"
import { InvalidArgument } from "../../domain/Errors.ts"
import { defaultConfig, formatAddress, type Host, type HostConfig } from "../../domain/Host.ts"
import type * as Hosts from "../../fabric/Hosts.ts"

/** What is not said is as on a line without that word; the address is held to what a line can have. @since 0.7.0 @category conversions */
export const ofNew = ({
  address: { host, port = 22, user },
  network,
  ...settings
}: NewHost): Effect.Effect<HostConfig, InvalidArgument> =>
  Either.match(parseAddress(formatAddress({ user, host, port })), {
    // user and port are held to their own schemas before
    onLeft: () =>
      new InvalidArgument({ field: "address.host", problem: `is ${JSON.stringify(host)}`, expected: words.host }),
    onRight: (address) =>
      Effect.succeed({
        ...defaultConfig(address),
        ...settings,
        ...(network === undefined || network === null ? {} : { network })
      })
  })

/** `host`: as it is now. @since 0.7.0 @category conversions */
export const ofChange = ({ user, ...change }: HostChange, host: Host): Hosts.HostChange => ({
  ...change,
  ...(user === undefined ? {} : { address: { ...host.config.address, user } })
})
