/**
 * What VMs' guests are told by cloud-init: the flags of `vmfabric vm create`, and `vmfabric vm cloud-init`.
 *
 * @since 0.6.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { CloudInit } from "../api/CloudInit.ts"
import { Refused } from "./Failure.ts"
import * as Files from "./Files.ts"
import * as Operations from "./Operations.ts"
import { ask, type View } from "./Output.ts"
import * as Resolve from "./Resolve.ts"
import { client } from "./Session.ts"
import * as Verb from "./Verb.ts"

const textOf = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const from = path === "-" ? "/dev/stdin" : path
  return yield* Effect.mapError(fs.readFileString(from), Files.unreadable(path))
})

/** A key has blanks where a file's name has none that anybody would give it. */
const isKey = (text: string): boolean => /^(ssh|ecdsa|sk)-\S+ \S/.test(text)

/** The keys that somebody gave: each itself, or those of a file. */
const keysOf = (given: ReadonlyArray<string>) =>
  Effect.map(
    Effect.forEach(given, (one) =>
      isKey(one)
        ? Effect.succeed([one])
        : Effect.map(textOf(one.replace(/^@/, "")), (text) =>
            text
              .split(/\r?\n/)
              .map((line) => line.trim())
              .filter((line) => line !== "" && !line.startsWith("#"))
          )
    ),
    (all) => all.flat()
  )

/** Of a new VM, and of one that is told something else. @since 0.6.0 @category options */
export const options = Options.all({
  sshKeys: Options.repeated(
    Verb.text("ssh-key", "FILE|KEY", "Who may log in: a public key, or a file of them; as often as needed.")
  ),
  userData: Options.optional(
    Verb.text("user-data", "FILE", "What cloud-init does: #cloud-config, a script, or MIME; - is standard input.")
  ),
  hostname: Options.optional(Verb.text("hostname", "NAME", "Its hostname; made of its name unless it is said.")),
  networkConfig: Options.optional(
    Verb.text("network-config", "FILE", "cloud-init's network-config; DHCP unless it is said. - is standard input.")
  )
})

/** What was given, as requests have it. @since 0.6.0 @category conversions */
export const given = Effect.fnUntraced(function* (options: {
  readonly sshKeys: ReadonlyArray<string>
  readonly userData: Option.Option<string>
  readonly hostname: Option.Option<string>
  readonly networkConfig: Option.Option<string>
}) {
  const { hostname, networkConfig, sshKeys, userData } = options
  const both = [userData, networkConfig].every((one) => Option.contains(one, "-"))
  if (both) {
    const message = "standard input is read once: give a file to --user-data or to --network-config"
    return yield* new Refused({ why: "usage", message })
  }
  return {
    ...(sshKeys.length === 0 ? {} : { sshKeys: yield* keysOf(sshKeys) }),
    ...(Option.isNone(userData) ? {} : { userData: yield* textOf(userData.value) }),
    ...(Option.isNone(hostname) ? {} : { hostname: hostname.value }),
    ...(Option.isNone(networkConfig) ? {} : { networkConfig: yield* textOf(networkConfig.value) })
  }
})

/** In one line: those who want all of it take `-o yaml`. */
const inShort = (text: string | null): string | null =>
  text === null ? null : `${text.split("\n", 1)[0] ?? ""} (${text.split("\n").length} lines)`

const view: View<CloudInit> = {
  name: ({ instanceId }) => instanceId,
  columns: [
    { title: "HOSTNAME", of: ({ hostname }) => hostname },
    { title: "SSH KEYS", of: ({ sshKeys }) => sshKeys.join(", ") },
    { title: "USER DATA", of: ({ userData }) => inShort(userData) },
    { title: "NETWORK CONFIG", of: ({ networkConfig }) => inShort(networkConfig) },
    { title: "REVISION", of: ({ revision }) => revision },
    { title: "INSTANCE ID", of: ({ instanceId }) => instanceId }
  ]
}

const clearable = ["ssh-keys", "user-data", "hostname", "network-config"] as const

const cleared = {
  "ssh-keys": { sshKeys: [] },
  "user-data": { userData: null },
  hostname: { hostname: null },
  "network-config": { networkConfig: null }
} as const

/** @since 0.6.0 @category verbs */
export const verb: Verb.Verb = Verb.make({
  name: "cloud-init",
  about: "Show what a VM's guest is told by cloud-init, or tell it something else at its next boot.",
  endpoints: ["getCloudInit", "changeCloudInit"],
  options: Options.all({
    given: options,
    clear: Options.repeated(Verb.choice("clear", clearable, "What it is not told any more; as often as needed.")),
    reapply: Verb.toggle("reapply", "Do all of it again at the next boot, also if nothing else is changed."),
    noReapply: Verb.toggle(
      "no-reapply",
      "Keep what was done at the first boot: only what is done at every boot changes."
    ),
    noWait: Verb.noWait
  }),
  args: Verb.word("vm", "Id or name of the VM."),
  run: ({ clear, given: told, noReapply, noWait, reapply }, text) =>
    Effect.gen(function* () {
      const id = yield* Resolve.vm(text)
      const { vms } = yield* client
      const show = ask(view, vms.getCloudInit({ path: { id }, withResponse: true }))
      if (reapply && noReapply) {
        return yield* new Refused({ why: "usage", message: "--reapply and --no-reapply say the opposite: give one" })
      }
      const change = {
        ...clear.reduce<object>((all, one) => ({ ...all, ...cleared[one] }), {}),
        ...(yield* given(told)),
        ...(reapply ? { reapply } : {}),
        ...(noReapply ? { reapply: false } : {})
      }
      if (Object.keys(change).length === 0) return yield* show
      yield* Operations.begin(
        noWait,
        vms.changeCloudInit({ path: { id }, payload: change, withResponse: true }),
        (operation) => Operations.orOperation(operation, show)
      )
    })
})
