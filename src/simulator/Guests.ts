/**
 * What guests do in their own time: come up, turn themselves off, notice their devices, let go of them.
 *
 * @since 0.2.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Picture from "../libvirt/Picture.ts"
import * as Devices from "./Devices.ts"
import * as Domains from "./Domains.ts"
import { type Device, type HostState, type LiveDomain, type SimulatedDomain, state } from "./HostState.ts"
import * as SerialLine from "./SerialLine.ts"

/** What the daemon does to guests. @since 0.1.0 @category models */
export interface GuestControl {
  /** It has got power. */
  readonly boot: (domain: SimulatedDomain) => void
  /** Its power button is pressed: it turns itself off, and is given power again when it is to start anew. One that is not up yet does not hear it. */
  readonly press: (domain: SimulatedDomain, then: "off" | "anew") => void
  /** QEMU begins anew with it: what it was asked to let go of is gone, whether it has heard of it or not. */
  readonly reset: (domain: SimulatedDomain) => void
  /** Its devices have changed, or it goes on after a pause. */
  readonly look: (domain: SimulatedDomain) => void
  /** Asks it to let go of a device. One that is not up yet does not hear it. */
  readonly ask: (domain: SimulatedDomain, disk: Device) => void
  /** Whether it has let go of what it was asked for, once that is known. */
  readonly answer: (domain: SimulatedDomain, disk: Device) => Effect.Effect<boolean>
}

/** @since 0.2.0 @category models */
export interface Guests {
  readonly control: GuestControl
  /** The guest of that name does not let go of its devices; off: it does, also of those it was asked for meanwhile. */
  readonly hold: (name: string, on: boolean) => void
  /** The guest of that name says that it does not let go. */
  readonly refuse: (name: string, on: boolean) => void
  /** The guest of that name does not care for its power button; off: it does again. */
  readonly ignore: (name: string, on: boolean) => void
  /** The guest of that name takes so long to turn itself off, from its next try on; undefined: as long as the others. */
  readonly delay: (name: string, by: Duration.Duration | undefined) => void
}

const letters = Array.from({ length: 26 }, (_, index) => String.fromCharCode(97 + index))
// vda to vdz, then vdaa, as Linux counts
const names = [...letters, ...letters.flatMap((first) => letters.map((second) => first + second))].map(
  (letter) => `vd${letter}`
)

/** The guest's kernel looks at its disks again and tells each difference. */
const scan = (live: LiveDomain, silently: boolean): void => {
  const { guest } = live
  // what stands in no slot of its own is a drive of a controller's, which this guest has no driver for
  const open = [...live.disks.values()].filter(({ slot }) => slot > 0).sort((a, b) => a.slot - b.slot)
  const tell = (line: string): void => {
    if (!silently) SerialLine.print(live, `GUEST DISK ${line}`)
  }
  for (const [disk, { name, serial, size }] of guest.seen) {
    if (open.includes(disk)) continue
    guest.seen.delete(disk)
    tell(`- ${name} size=${size} serial=${serial}`)
  }
  for (const disk of open) {
    const before = guest.seen.get(disk)
    if (before?.size === disk.size) continue
    const taken = new Set([...guest.seen.values()].map(({ name }) => name))
    const name = before?.name ?? names.find((name) => !taken.has(name)) ?? "vd"
    // the device carries no more of it
    const known = { name, size: disk.size, serial: disk.serial.slice(0, 20) || "-" }
    guest.seen.set(disk, known)
    tell(`${before === undefined ? "+" : "="} ${name} size=${known.size} serial=${known.serial}`)
  }
}

/** The same of its NICs. */
const scanNics = (live: LiveDomain, silently: boolean): void => {
  const { guest } = live
  const tell = (line: string): void => {
    if (!silently) SerialLine.print(live, `GUEST NIC ${line}`)
  }
  for (const [nic, name] of guest.cards) {
    if (live.nics.has(nic)) continue
    guest.cards.delete(nic)
    tell(`- ${name} mac=${nic.mac}`)
  }
  for (const nic of [...live.nics].sort((a, b) => a.slot - b.slot)) {
    if (guest.cards.has(nic)) continue
    const taken = new Set(guest.cards.values())
    let number = 0
    while (taken.has(`eth${number}`)) number++
    guest.cards.set(nic, `eth${number}`)
    tell(`+ eth${number} mac=${nic.mac}`)
  }
}

/** The guest's system is up. @since 0.3.0 @category combinators */
export const comeUp = (live: LiveDomain): void => {
  live.guest.phase = "up"
  scan(live, true)
  scanNics(live, true)
  const disks = [...live.guest.seen.values()].map(({ name, size }) => ` ${name}=${size}`)
  SerialLine.print(live, `GUEST READY${disks.join("")}`)
}

/** Its screen as a PNG file: dark in its firmware, light once its system is up. @since 0.6.0 @category getters */
export const picture = ({ live }: SimulatedDomain): Uint8Array => {
  const [width, height] = [72, 40]
  return Picture.png(width, height, new Uint8Array(width * height * 3).fill(live?.guest.phase === "up" ? 0xd0 : 0x10))
}

/** @since 0.2.0 @category constructors */
export const make = (options: {
  readonly state: HostState
  readonly run: (effect: Effect.Effect<void>) => unknown
  readonly bootTime: Duration.Duration
  readonly shutdownTime: Duration.Duration
  readonly releaseTime: Duration.Duration
}): Guests => {
  const { state: host } = options
  const holding = new Set<string>()
  const refusing = new Set<string>()
  const ignoring = new Set<string>()
  const delays = new Map<string, Duration.Duration>()

  const after = (time: Duration.Duration, act: () => void): void => {
    options.run(Effect.zipRight(Effect.sleep(time), Effect.sync(act)))
  }

  const boot: GuestControl["boot"] = (domain) => {
    const live = domain.live
    if (live === null) return
    const { boots } = live.guest
    after(options.bootTime, () => {
      // powered off or reset meanwhile
      if (domain.live !== live || live.guest.boots !== boots) return
      if (host.kvmHangs && Domains.runsByKvm(live.definition)) return
      // its firmware finds nothing to boot, and starts anew
      if (Domains.endsAtReboot(live.definition)) Domains.destroy(host, domain)
      else if (domain.state === state.paused) live.guest.phase = "due"
      else comeUp(live)
    })
  }

  const settle = (live: LiveDomain, disk: Device, gone: boolean): void => {
    const waiting = live.guest.removals.get(disk)?.waiting ?? []
    live.guest.removals.delete(disk)
    for (const told of waiting) told(gone)
  }

  /** Once it has heard it, it takes its time. */
  const letGo = (domain: SimulatedDomain, live: LiveDomain, disk: Device): void => {
    const removal = live.guest.removals.get(disk)
    if (removal === undefined || !removal.heard || removal.acting) return
    removal.acting = true
    after(options.releaseTime, () => {
      removal.acting = false
      if (domain.live !== live || live.guest.removals.get(disk) !== removal) return
      // it goes on when it is resumed or held no longer
      if (domain.state === state.paused || holding.has(domain.name)) return
      if (refusing.has(domain.name)) {
        Devices.kept(host, domain, disk)
        settle(live, disk, false)
        return
      }
      Devices.removed(host, domain, disk)
      settle(live, disk, true)
      look(domain)
    })
  }

  const look: GuestControl["look"] = (domain) => {
    const live = domain.live
    if (live === null || domain.state === state.paused) return
    if (live.guest.phase === "due") comeUp(live)
    if (live.guest.phase !== "up") return
    const { pressed } = live.guest
    live.guest.pressed = null
    if (pressed !== null) press(domain, pressed)
    scan(live, false)
    scanNics(live, false)
    for (const disk of live.guest.removals.keys()) letGo(domain, live, disk)
  }

  const reset: GuestControl["reset"] = (domain) => {
    const live = domain.live
    if (live === null) return
    for (const disk of live.guest.removals.keys()) {
      Devices.removed(host, domain, disk)
      settle(live, disk, true)
    }
    live.guest.boots++
    live.guest.phase = "booting"
    live.guest.pressed = null
    live.guest.seen.clear()
    live.guest.cards.clear()
    SerialLine.changed(live)
    boot(domain)
  }

  const press: GuestControl["press"] = (domain, then) => {
    const live = domain.live
    if (live === null || live.guest.phase !== "up" || ignoring.has(domain.name)) return
    if (domain.state === state.paused) {
      live.guest.pressed = then
      return
    }
    SerialLine.print(live, "GUEST POWEROFF")
    const { boots } = live.guest
    after(delays.get(domain.name) ?? options.shutdownTime, () => {
      // off already, or started anew by somebody
      if (domain.live !== live || live.guest.boots !== boots) return
      if (domain.state === state.paused) live.guest.pressed = then
      else if (then === "off") Domains.powerOffByGuest(host, domain)
      else if (Domains.reset(host, domain)._tag === "Right") reset(domain)
    })
  }

  const named = (name: string): ReadonlyArray<SimulatedDomain> =>
    [...host.domains.values()].filter((domain) => domain.name === name)

  return {
    control: {
      boot,
      press,
      reset,
      look,
      ask: (domain, disk) => {
        const live = domain.live
        if (live === null) return
        const removal = live.guest.removals.get(disk) ?? { heard: false, acting: false, waiting: new Set() }
        live.guest.removals.set(disk, removal)
        removal.heard ||= live.guest.phase === "up"
        letGo(domain, live, disk)
      },
      answer: (domain, disk) =>
        Effect.async((resume) => {
          const waiting = domain.live?.guest.removals.get(disk)?.waiting
          if (waiting === undefined) return resume(Effect.succeed(true))
          const told = (gone: boolean): void => resume(Effect.succeed(gone))
          waiting.add(told)
          return Effect.sync(() => waiting.delete(told))
        })
    },
    hold: (name, on) => {
      if (on) holding.add(name)
      else {
        holding.delete(name)
        named(name).forEach(look)
      }
    },
    refuse: (name, on) => {
      if (on) refusing.add(name)
      else refusing.delete(name)
    },
    ignore: (name, on) => {
      if (on) ignoring.add(name)
      else ignoring.delete(name)
    },
    delay: (name, by) => {
      if (by === undefined) delays.delete(name)
      else delays.set(name, by)
    }
  }
}
