/**
 * What libvirt's state of a domain, and how it came to it, mean in words.
 *
 * @since 0.3.0
 */
import { byHand, type Power } from "../domain/Vm.ts"
import * as DomainXml from "./DomainXml.ts"

/** virDomainRunningReason: what is not said is nothing to say. */
const running: Readonly<Record<number, string>> = {
  2: "it was migrated to here",
  3: "it was restored from a saved state",
  4: "it was reverted to a snapshot",
  9: "its guest crashed and goes on",
  10: "it is being migrated",
  11: "its migration failed when it had begun to run here"
}

/** virDomainPausedReason */
const paused: Readonly<Record<number, string>> = {
  1: byHand.paused,
  2: "paused for a migration",
  3: "paused while its state is saved",
  4: "paused for a memory dump",
  5: "paused by an I/O error",
  6: "paused by its watchdog",
  7: "paused after a snapshot was taken or reverted to",
  8: "paused while it shuts down",
  9: "paused for a snapshot",
  10: "paused because its guest crashed",
  11: "paused while it starts",
  12: "paused for a migration",
  13: "paused by a failed migration",
  14: "paused by an error of libvirt's"
}

/** virDomainShutoffReason; 0 is said of one that has never run, and of any that libvirt's daemon finds stopped when it starts. */
const stopped: Readonly<Record<number, string>> = {
  1: "the guest shut itself down",
  2: byHand.stopped,
  4: "it was migrated to another host",
  5: "its state was saved, and it was stopped, by somebody",
  6: "its start failed",
  7: "it was reverted to a snapshot of a stopped one"
}

/** Those of them that are a crash. */
const lost: Readonly<Record<number, string>> = {
  3: "its QEMU crashed or was killed",
  8: "its QEMU was lost while libvirt's daemon was away"
}

/** virDomainCrashedReason */
const crashed: Readonly<Record<number, string>> = { 1: "its guest's kernel panicked" }

/**
 * The power a domain has by its virDomainState and the reason that goes with it, and one clause on how it came to that. `active`: whether
 * it has a QEMU, which decides where libvirt knows no state.
 *
 * @since 0.3.0 @category conversions
 */
export const of = (
  state: number,
  reason: number,
  active: boolean
): { readonly power: Power; readonly reason: string | null } => {
  switch (DomainXml.state(state)) {
    case "running":
    case "blocked":
      return { power: "running", reason: running[reason] ?? null }
    case "paused":
      return { power: "paused", reason: paused[reason] ?? null }
    case "pmsuspended":
      return { power: "suspended", reason: "the guest put itself to sleep" }
    // a moment only: its QEMU is about to go
    case "shutdown":
      return { power: "running", reason: "it is shutting down" }
    case "shutoff": {
      const crash = lost[reason]
      return crash === undefined
        ? { power: "stopped", reason: stopped[reason] ?? null }
        : { power: "crashed", reason: crash }
    }
    case "crashed":
      return { power: "crashed", reason: crashed[reason] ?? "its guest crashed" }
    case "nostate":
      return { power: active ? "running" : "stopped", reason: null }
  }
}
