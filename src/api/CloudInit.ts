/**
 * What VMs' guests are told by cloud-init.
 *
 * @since 0.6.0
 */
import * as Schema from "effect/Schema"
import { longestKey, mostBytes, mostKeys } from "../domain/CloudInit.ts"
import { field, Int, optional, strict } from "./Common.ts"

const kib = mostBytes / 1024

const Keys = Schema.Array(Schema.String.pipe(Schema.maxLength(longestKey))).pipe(Schema.maxItems(mostKeys))

const userDataIs = `\`#cloud-config\` YAML, a script that begins with \`#!\`, or MIME; at most ${kib} KiB. It may carry secrets: it is in no list, event, log or plan`
const sshKeysAre = `public keys as in \`authorized_keys\`, at most ${mostKeys}, for the user that the image has for it (\`debian\`, \`ubuntu\`, …)`
const hostnameIs = "RFC 1123"
const networkConfigIs = `cloud-init's network-config, version 1 or 2, as YAML; at most ${kib} KiB`

/** Fields of a new VM. @since 0.6.0 @category schemas */
export const given = {
  userData: optional(Schema.String, `${userDataIs}. Absent: none`),
  sshKeys: optional(Keys, `${sshKeysAre}. Absent: none`),
  hostname: optional(Schema.String, `${hostnameIs}. Absent: the VM's name, made legal`),
  networkConfig: optional(Schema.String, `${networkConfigIs}. Absent: cloud-init's own, which is DHCP`)
}

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEpbO8l0aO8l0aO8l0aO8l0aO8l0aO8l0aO8l0aO8l0a me@here"

/** @since 0.6.0 @category schemas */
export const CloudInit = Schema.Struct({
  userData: field(Schema.NullOr(Schema.String), `${userDataIs}; null: none`),
  sshKeys: field(Schema.Array(Schema.String), sshKeysAre),
  hostname: field(Schema.String, "the one that was asked for, or else made of the VM's name"),
  networkConfig: field(Schema.NullOr(Schema.String), `${networkConfigIs}; null: cloud-init's own, which is DHCP`),
  revision: field(Int, "from 1 on, one more with every change"),
  instanceId: field(
    Schema.String,
    "another one since the boot before makes cloud-init do all of it again, as in a guest that is new"
  )
}).annotations({
  identifier: "CloudInit",
  description: "What a VM's guest is told by cloud-init at its next boot.",
  examples: [
    {
      userData: "#cloud-config\npackages: [nginx]\n",
      sshKeys: [key],
      hostname: "web-1",
      networkConfig: null,
      revision: 1,
      instanceId: "6f1d8c1e-2b41-4c0e-9d5c-0b6b8e0f5a11-1"
    }
  ]
})
/** @since 0.6.0 @category schemas */
export type CloudInit = typeof CloudInit.Type

/** @since 0.6.0 @category schemas */
export const CloudInitChange = Schema.Struct({
  userData: optional(Schema.NullOr(Schema.String), `${userDataIs}; null: none from now on`),
  sshKeys: optional(Keys, `all of them: ${sshKeysAre}`),
  hostname: optional(Schema.NullOr(Schema.String), `${hostnameIs}; null: the VM's name, made legal`),
  networkConfig: optional(Schema.NullOr(Schema.String), `${networkConfigIs}; null: cloud-init's own, which is DHCP`),
  reapply: optional(
    Schema.Boolean,
    "whether cloud-init does all of it again at the next boot; `false`: it does only what it does at every boot. Absent: true"
  )
}).annotations({
  identifier: "CloudInitChange",
  description: "What is to be different; what is absent stays. `reapply` alone has everything done again as it is.",
  examples: [{ userData: "#cloud-config\npackages: [nginx, git]\n" }],
  ...strict
})
