/**
 * `vmfabric ssh`: into a VM's guest by its own sshd, with this machine's ssh.
 *
 * @since 0.7.0
 */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { spawn } from "node:child_process"
import { connect, isIPv4, isIPv6 } from "node:net"
import type { Nic } from "../api/Nics.ts"
import { formatAddress } from "../domain/Host.ts"
import { Ended, Refused } from "./Failure.ts"
import { note } from "./Output.ts"
import * as Resolve from "./Resolve.ts"
import { client } from "./Session.ts"
import * as Text from "./Text.ts"
import * as Verb from "./Verb.ts"

type Address = Nic["addresses"][number]

/** Who knows best: the guest itself, then who gave it the address, then who has heard of it. */
const trust = { agent: 0, lease: 1, arp: 2 } as const

/** In words, as in `10.0.0.17 is told by its agent`. */
const toldBy = {
  agent: "its guest's agent",
  lease: "the DHCP server of its host's libvirt",
  arp: "its host's table of neighbours"
} as const

/** Of the guest alone, or of one wire. */
const isNear = (address: string) => /^(127\.|169\.254\.|::1$|fe80:)/i.test(address)

/** The one that is most likely to answer. @since 0.7.0 @category selection */
export const best = (nics: ReadonlyArray<Pick<Nic, "id" | "addresses">>): Address | undefined =>
  nics
    .toSorted((a, b) => a.id - b.id)
    .flatMap(({ addresses }) => addresses)
    .filter(({ address }) => (isIPv4(address) || isIPv6(address)) && !isNear(address))
    .toSorted((a, b) => trust[a.source] - trust[b.source] || Number(isIPv6(a.address)) - Number(isIPv6(b.address)))[0]

/** Users that images of these names are made with, by those who make them. */
const usual = ["debian", "ubuntu", "fedora", "almalinux", "rocky", "alpine", "arch"] as const

/** By an image's name; undefined: it says nothing of it. @since 0.7.0 @category selection */
export const userOf = (image: string): string | undefined => {
  const words = image.toLowerCase().split(/[^a-z]+/)
  return usual.find((name) => words.includes(name))
}

const sshPort = 22

/** Milliseconds that an address has to answer, and then its sshd to say what it is. */
const patience = { address: 3000, sshd: 10_000 }

/** What sshd begins with. An open port says little: routers and proxies open them for whatever is behind. */
const isGreeting = (data: Buffer) => data.toString("latin1").startsWith("SSH-")

const answers = (address: string) =>
  Effect.async<boolean>((resume) => {
    const socket = connect({ host: address, port: sshPort, timeout: patience.address })
    const told = (does: boolean) => () => {
      socket.destroy()
      resume(Effect.succeed(does))
    }
    socket.once("connect", () => socket.setTimeout(patience.sshd))
    socket.once("data", (data) => told(isGreeting(data))())
    socket.once("timeout", told(false)).once("close", told(false)).on("error", told(false))
    return Effect.sync(() => socket.destroy())
  })

/** The same from a host, by ssh's own forwarding. */
const answersFrom = (program: string, by: string, address: string) =>
  Effect.async<boolean>((resume) => {
    const at = isIPv6(address) ? `[${address}]` : address
    const child = spawn(program, ["-W", `${at}:${sshPort}`, "--", by], { stdio: ["ignore", "pipe", "ignore"] })
    const told = (does: boolean) => {
      child.kill()
      resume(Effect.succeed(does))
    }
    child.stdout.once("data", (data: Buffer) => told(isGreeting(data)))
    child.once("error", () => told(false)).once("exit", () => told(false))
    return Effect.sync(() => void child.kill())
  }).pipe(Effect.timeoutTo({ duration: patience.sshd, onSuccess: (does) => does, onTimeout: () => false }))

/** Its exit status. */
const started = (program: string, args: ReadonlyArray<string>) =>
  Effect.async<number, Refused>((resume) => {
    const child = spawn(program, args, { stdio: "inherit" })
    child.once("error", ({ message }) =>
      resume(new Refused({ why: "failed", message: `${program} cannot be started: ${message}; is it installed?` }))
    )
    // as a shell would say it
    child.once("exit", (code, signal) => resume(Effect.succeed(code ?? (signal === null ? 1 : 255))))
    return Effect.sync(() => void child.kill())
  })

const ssh = Verb.make({
  name: "ssh",
  about: "Log in to a VM's guest by SSH, or run a command there, at the address that is known of it.",
  endpoints: ["getVm", "listNics", "getImage", "getHost"],
  options: Options.all({
    user: Options.optional(
      Verb.text(
        "user",
        "NAME",
        "Whom to log in as; unless it is said, the usual user of its image by the image's name, else ssh's own."
      )
    ),
    jump: Verb.toggle(
      "jump",
      "By way of the VM's host, for an address that is reached from there alone: by ssh from here to there, with your own key."
    ),
    wait: Options.optional(
      Verb.number(
        "wait",
        "SECONDS",
        "How long a guest that comes up is waited for: until an address of it is known and sshd answers there; not at all unless it is said."
      )
    )
  }),
  args: Args.all([
    Verb.word("vm", "Id or name of the VM."),
    Args.repeated(Verb.word("command", "After --: what to run there, as ssh takes it."))
  ]),
  run: ({ jump, user, wait }, [text, command]) =>
    Effect.gen(function* () {
      const id = yield* Resolve.vm(text)
      const { hosts, images, nics, vms } = yield* client
      const vm = yield* vms.getVm({ path: { id } })
      const login = yield* Option.match(user, {
        onSome: (name) => Effect.succeed<string | undefined>(name),
        onNone: () =>
          images.getImage({ path: { id: vm.imageId } }).pipe(
            Effect.map(({ name }) => userOf(name)),
            Effect.catchTag("NotFound", () => Effect.succeed(undefined))
          )
      })
      if (login !== undefined && !/^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,254}$/.test(login)) {
        return yield* new Refused({
          why: "usage",
          message: `${JSON.stringify(login)} is no user's name`,
          field: "user"
        })
      }
      const { address: host } = yield* hosts.getHost({ path: { id: vm.hostId } })
      const by = `ssh://${host.user}@${isIPv6(host.host) ? `[${host.host}]` : host.host}:${host.port}`
      const program = yield* Effect.orElseSucceed(Config.nonEmptyString("VMFABRIC_SSH"), () => "ssh")
      const found = Effect.gen(function* () {
        const { items, unread } = yield* nics.listNics({ path: { id } })
        const address = best(items)
        if (address !== undefined) return address
        return yield* new Refused({
          why: "failed",
          message: Text.plain(
            `no address of VM ${id} is known yet: ${unread ?? (items.length === 0 ? "it has no NIC" : "neither its guest's agent, nor a DHCP server of libvirt, nor its host's neighbours tell one")}; ` +
              "wait until its guest is up (--wait, or vmfabric vm log), and where nobody else knows its address install qemu-guest-agent in it"
          )
        })
      })
      /** The address, with sshd there. What is reached by way of the host alone is left to ssh, unless it is waited for. */
      const ready = Effect.gen(function* () {
        const address = yield* found
        const where = `at ${address.address}, which ${toldBy[address.source]} tells`
        if (jump && Option.isNone(wait)) return { address, where }
        // such an address may be another machine's here
        if (yield* jump ? answersFrom(program, by, address.address) : answers(address.address))
          return { address, where }
        return yield* new Refused({
          why: "failed",
          message:
            `nothing answers from ${jump ? formatAddress(host) : "here"} ${where}, port ${sshPort}: is its sshd up (--wait, or vmfabric vm log)?` +
            (jump ? "" : ` If only its host reaches it, --jump goes by ${formatAddress(host)}`)
        })
      })
      const { address, where } = yield* Option.match(wait, {
        onNone: () => ready,
        onSome: (seconds) =>
          Effect.zipRight(
            note(`waits up to ${seconds} s for sshd of VM ${id}`),
            Effect.retry(ready, {
              while: ({ _tag }) => _tag === "Refused",
              schedule: Schedule.spaced("1 second").pipe(Schedule.upTo(Duration.seconds(seconds)))
            })
          )
      })
      yield* note(
        `${login === undefined ? "" : `as ${login} `}${where}${jump ? `, by way of ${formatAddress(host)}` : ""}`
      )
      const status = yield* started(program, [
        // its key is known by the VM, and not by an address that another VM may have tomorrow
        "-o",
        `HostKeyAlias=vmfabric-${vm.uuid}`,
        ...(jump ? ["-J", by] : []),
        ...(login === undefined ? [] : ["-l", login]),
        "--",
        address.address,
        ...command
      ])
      if (status !== 0) return yield* new Ended({ status })
    })
})

/** @since 0.7.0 @category nouns */
export const noun: Verb.Noun = { name: "ssh", about: ssh.about, verbs: [ssh] }
