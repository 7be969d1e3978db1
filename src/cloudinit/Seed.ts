/**
 * The seed that cloud-init reads (its data source NoCloud): a disk labelled `cidata` with a few files. Values are encoded, never pasted: what a user
 * gave is a file of its own, as it is, or a string in YAML that is written by a YAML library.
 *
 * @since 0.6.0
 */
import * as Redacted from "effect/Redacted"
import { stringify } from "yaml"
import { type CloudInit, hostnameOf } from "../domain/CloudInit.ts"
import type { Vm } from "../domain/Vm.ts"
import * as Iso9660 from "./Iso9660.ts"

/** What makes a disk a seed. @since 0.6.0 @category constants */
export const label = "cidata"

/** Bytes of a disk that holds any seed: files of the most that they may have, with room for the rest. @since 0.6.0 @category constants */
export const capacity = 1024 * 1024

/**
 * YAML whose every string is in double quotes, so that no parser takes one for a number, a date or a key; line ends that JSON lets stand
 * unescaped are escaped.
 */
const yaml = (value: unknown): string =>
  stringify(value, { defaultStringType: "QUOTE_DOUBLE", defaultKeyType: "PLAIN", lineWidth: 0 }).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

/**
 * cloud-init does what it does once for an instance, and knows an instance by this. It is the VM's own, for no other VM ever has its uuid, and
 * becomes another when everything is to be applied again.
 *
 * @since 0.6.0 @category getters
 */
export const instanceId = (vm: Pick<Vm, "uuid">, { instance }: Pick<CloudInit, "instance">): string =>
  `${vm.uuid}-${instance}`

/**
 * A power cut soon after the first boot leaves host keys as empty files, with which sshd does not start, and which cloud-init takes for keys. It makes
 * those anew that are not there.
 */
const withoutEmptyKeys =
  'for key in /etc/ssh/ssh_host_*_key; do if [ -e "$key" ] && [ ! -s "$key" ]; then rm -f "$key" "$key.pub"; fi; done'

/** The files of a VM's seed. @since 0.6.0 @category constructors */
export const files = (vm: Pick<Vm, "id" | "uuid" | "name">, cloudInit: CloudInit): Readonly<Record<string, string>> => {
  const { hostname, instance, networkConfig, sshKeys, userData } = cloudInit
  return {
    "meta-data": yaml({
      "instance-id": instanceId(vm, cloudInit),
      "local-hostname": hostname ?? hostnameOf(vm),
      ...(sshKeys.length === 0 ? {} : { "public-keys": sshKeys })
    }),
    // without this file there is no seed for cloud-init
    "user-data": userData === null ? "#cloud-config\n{}\n" : Redacted.value(userData),
    // A new instance gets new SSH host keys, for an image may come with keys that all who use it know. When everything is applied to the same VM
    // again it has its own by then, and whoever knows them should not be told that it is another machine. User data can say otherwise.
    "vendor-data": `#cloud-config\n${yaml(instance === 1 ? {} : { ssh_deletekeys: false, bootcmd: [withoutEmptyKeys] })}`,
    ...(networkConfig === null ? {} : { "network-config": networkConfig })
  }
}

/** The seed as bytes of a disk, at most `capacity`; the same for the same VM and settings. @since 0.6.0 @category constructors */
export const build = (...of: Parameters<typeof files>): Uint8Array =>
  Iso9660.build(
    label,
    Object.entries(files(...of)).map(([name, text]) => ({ name, content: new TextEncoder().encode(text) }))
  )
