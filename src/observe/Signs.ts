/**
 * Ways of asking a host whether it lives, and what their answers mean.
 *
 * @since 0.3.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type { HostError } from "../domain/Errors.ts"
import type { Host, Sign, Signs } from "../domain/Host.ts"
import type { HostId } from "../domain/Ids.ts"
import { LibvirtError } from "../services/Libvirt.ts"
import { type Ssh, SshError } from "../services/Ssh.ts"
import * as Banner from "../ssh/Banner.ts"

/** Of one way, with a clause for people where there is something to say. @since 0.3.0 @category models */
export interface Answer {
  readonly sign: Sign
  readonly detail: string | null
  /** it is the controller's own fault, and so it is the same of all hosts */
  readonly own?: true
}

/** What a round of asking has shown. @since 0.3.0 @category models */
export interface Finding {
  readonly signs: Signs
  /** one clause */
  readonly reason: string
  /** more than one missing answer says so; else another round has to agree */
  readonly certain: boolean
  /** it is the controller's own fault, and so it is the same of all hosts */
  readonly own?: true
}

/** @since 0.3.0 @category constants */
export const unknown: Signs = { ssh: "unknown", libvirt: "unknown", peers: "unknown" }

/** Whether what they say is that an answer has not come. @since 0.7.0 @category predicates */
export const isSilence = ({ libvirt, ssh }: Signs): boolean => ssh === "silent" || libvirt === "silent"

const sshLimit = "3 seconds"
const peerLimit = "3 seconds"

const nothing: Answer = { sign: "unknown", detail: null }

/** What the system said, as in `ECONNREFUSED`. */
const codeOf = (error: SshError): unknown => (Predicate.hasProperty(error.cause, "code") ? error.cause.code : undefined)

const ofSsh = (error: SshError): Answer => {
  const reason = error.reason
  switch (reason._tag) {
    case "SshUnreachable":
      return codeOf(error) === "ECONNREFUSED"
        ? { sign: "refuses", detail: `its sshd does not run: ${reason.reason}` }
        : { sign: "silent", detail: reason.reason }
    case "SshTimeout":
      return { sign: "silent", detail: null }
    case "SshHostKeyRefused":
    case "SshAuthenticationFailed":
      return { sign: "refuses", detail: error.message.replace(`${error.host}: `, "") }
    case "SshNoKey":
      return { sign: "refuses", detail: reason.reason, own: true }
    case "SshChannelRefused":
    case "SshCommandFailed":
    case "SshFileRefused":
      return { sign: "answers", detail: null }
  }
}

/** Its sshd, over the connection that is there, or a new one. @since 0.3.0 @category constructors */
export const askSsh = (ssh: Ssh["Type"], host: Host): Effect.Effect<Answer> =>
  ssh
    .exec(host.config.address, ["true"], { timeout: sshLimit })
    .pipe(Effect.match({ onSuccess: (): Answer => ({ sign: "answers", detail: null }), onFailure: ofSsh }))

/** OpenSSH hands on what its own system says of an address, and the same code for all of it. */
const unresolved = /name|resol|lookup|not known|unknown host/i
const unheard = /timed? ?out|no route|unreachable/i

/**
 * Its sshd, from another host. That one's silence says nothing of the host, so it is asked itself at the same time.
 *
 * @since 0.3.0 @category constructors
 */
export const askPeer = (ssh: Ssh["Type"], peer: Host, host: Host): Effect.Effect<Sign> => {
  const { host: name, port } = host.config.address
  const asked = ssh.openTcp(peer.config.address, { host: name, port }).pipe(
    Effect.flatMap(Banner.heard),
    Effect.scoped,
    Effect.match({
      onSuccess: (): Sign => "answers",
      onFailure: (error): Sign => {
        // it was connected to, and hung up without a word
        if (error._tag === "NoBanner") return "refuses"
        const { reason } = error
        if (reason._tag !== "SshChannelRefused" || reason.code !== 2 || unresolved.test(reason.reason)) return "unknown"
        return unheard.test(reason.reason) ? "silent" : "refuses"
      }
    }),
    Effect.timeoutTo({ duration: peerLimit, onSuccess: (sign) => sign, onTimeout: (): Sign => "silent" })
  )
  const there = ssh
    .exec(peer.config.address, ["true"], { timeout: peerLimit })
    .pipe(Effect.match({ onSuccess: () => true, onFailure: (error) => ofSsh(error).sign === "answers" }))
  return Effect.zipWith(asked, there, (sign, answers) => (sign === "silent" && !answers ? "unknown" : sign), {
    concurrent: true
  })
}

/** Of a connection that could not be made, libvirt has not been asked. A missing answer is asked for once more. */
const ofConnecting = (error: SshError): { readonly ssh: Answer; readonly libvirt: Answer } => {
  const ssh = ofSsh(error)
  return { ssh: ssh.sign === "silent" ? nothing : ssh, libvirt: nothing }
}

/** What a failure to use its libvirt, or its sshd, says of its sshd and of libvirt. @since 0.3.0 @category conversions */
export const ofError = (error: HostError): { readonly ssh: Answer; readonly libvirt: Answer } => {
  // whoever reads it is told of which host it is
  const detail = error._tag === "HostUnreachable" ? error.reason : `it failed to ${error.action}: ${error.reason}`
  const libvirt = (sign: Sign): Answer => ({ sign, detail: detail.replace(/^libvirt /, "it ") })
  if (error._tag === "HostFailure") return { ssh: { sign: "answers", detail: null }, libvirt: libvirt("answers") }
  const cause = error.cause
  if (cause instanceof SshError) return ofConnecting(cause)
  if (!(cause instanceof LibvirtError)) return { ssh: nothing, libvirt: libvirt("silent") }
  const { reason } = cause
  switch (reason._tag) {
    case "LibvirtRefused":
      return { ssh: { sign: "answers", detail: null }, libvirt: libvirt("answers") }
    case "LibvirtProtocolError":
      return { ssh: { sign: "answers", detail: null }, libvirt: libvirt("refuses") }
    case "LibvirtTimeout":
      return { ssh: nothing, libvirt: libvirt("silent") }
    case "LibvirtDisconnected": {
      // of a session that was open, it says nothing about why
      if (cause.procedure !== "connect") return { ssh: nothing, libvirt: libvirt("silent") }
      if (reason.ssh === undefined) return { ssh: { sign: "answers", detail: null }, libvirt: libvirt("refuses") }
      const told = ofConnecting(reason.ssh)
      return told.ssh.sign === "answers" ? { ssh: told.ssh, libvirt: libvirt("refuses") } : told
    }
  }
}

const list = (ids: ReadonlyArray<HostId>): string => ids.map((id) => `host ${id}`).join(" and ")

/** What was asked, and what of it. `peers`: those that were asked, when its sshd was silent. @since 0.3.0 @category models */
export interface Asked {
  readonly ssh: Answer
  readonly libvirt: Answer
  readonly peers: ReadonlyArray<readonly [id: HostId, sign: Sign]>
}

/** None: it is too early to say. @since 0.3.0 @category conclusions */
export const conclude = ({ libvirt, peers, ssh }: Asked): Option.Option<Finding> => {
  const found = (peersSign: Sign, certain: boolean, reason: string) =>
    Option.some({ signs: { ssh: ssh.sign, libvirt: libvirt.sign, peers: peersSign }, certain, reason })
  const detail = libvirt.detail ?? "it does not answer"
  switch (ssh.sign) {
    // there is no SSH to ask: what libvirt says is all there is to know
    case "unknown":
      return libvirt.sign === "unknown" ? Option.none() : found("unknown", true, detail)
    case "refuses":
      return Option.map(found("unknown", true, ssh.detail ?? "its sshd refuses"), (finding) =>
        ssh.own === true ? { ...finding, own: ssh.own } : finding
      )
    case "answers":
      switch (libvirt.sign) {
        case "unknown":
          return Option.none()
        case "answers":
          return found("unknown", true, detail)
        case "refuses":
        case "silent":
          return found("unknown", libvirt.sign === "refuses", `sshd answers, libvirt does not: ${detail}`)
      }
    case "silent": {
      const those = (sign: Sign) => peers.flatMap(([id, answer]) => (answer === sign ? [id] : []))
      const [reaching, refused, deaf] = [those("answers"), those("refuses"), those("silent")]
      if (reaching.length > 0) {
        const can = `the controller cannot reach it, but ${list(reaching)} can`
        return found("answers", false, `${can}: the network between them, not the host, is broken`)
      }
      if (refused.length > 0) {
        return found("refuses", true, `sshd does not answer, and nothing listens there for ${list(refused)} either`)
      }
      if (deaf.length > 0) return found("silent", true, `sshd does not answer, from ${list(deaf)} neither`)
      return found("unknown", false, `sshd does not answer${ssh.detail === null ? "" : `: ${ssh.detail}`}`)
    }
  }
}
