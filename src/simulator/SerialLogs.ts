/**
 * What guests have printed on their serial ports, as files: written and rotated as virtlogd does.
 *
 * @since 0.6.0
 */
import * as Xml from "../libvirt/Xml.ts"
import { HostFile } from "./HostFiles.ts"
import type { HostState, LiveDomain, SimulatedDomain } from "./HostState.ts"

/** virtlogd's max_size and max_backups */
const rotation = { size: 2 * 1024 * 1024, backups: 3 }

/** How many of a guest's lines are in its file; what nobody reads is not written. */
const written = new WeakMap<LiveDomain, number>()

const pathOf = (definition: Xml.Element): string | undefined =>
  Xml.attribute(Xml.find(definition, "devices", "serial", "log"), "file")

const append = ({ files, now }: HostState, path: string, bytes: Uint8Array): void => {
  const before = files.files.get(path)
  if (before === undefined || before.size + bytes.length <= rotation.size) {
    files.makeFolder(path.slice(0, path.lastIndexOf("/")))
    const whole = before === undefined ? bytes : Buffer.concat([before.read(0, before.size), bytes])
    files.files.set(path, new HostFile(now(), whole))
    return
  }
  for (let number = rotation.backups - 1; number > 0; number--) {
    const older = files.files.get(`${path}.${number - 1}`)
    if (older !== undefined) files.files.set(`${path}.${number}`, older)
  }
  files.files.set(`${path}.0`, before)
  files.files.set(path, new HostFile(now(), bytes))
}

/** Writes what its guest has printed since the last time. @since 0.6.0 @category combinators */
export const flush = (host: HostState, domain: SimulatedDomain): void => {
  const live = domain.live
  if (live === null) return
  const from = written.get(live) ?? 0
  if (from === live.serial.length) return
  written.set(live, live.serial.length)
  const path = pathOf(live.definition)
  if (path === undefined) return
  for (const line of live.serial.slice(from)) append(host, path, Buffer.from(`${line}\r\n`))
}

/** Before a file is read: whoever's log it may be. @since 0.6.0 @category combinators */
export const settle = (host: HostState, path: string): void => {
  const name = /^\/var\/log\/libvirt\/qemu\/(.+)\.serial\.log(?:\.\d)?$/.exec(path)?.[1]
  if (name === undefined) return
  for (const domain of host.domains.values()) if (domain.name === name) flush(host, domain)
}
