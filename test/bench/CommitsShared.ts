/** What committers share: a lock, a log of what was committed, and counts that are kept beside the engines. */
import * as Schema from "effect/Schema"

export const hosts = 1000
const hostsARack = 20
export const racks = hosts / hostsARack
export const rackOf = (host: number): number => Math.floor(host / hostsARack)

/** of each of three kinds, one after the other; a number comes again when all have been used */
export const groups = 1000
/** that are there at a time, of all committers: so many that memory is short now and then */
export const vms = 27_000

export const logLength = 1 << 20
/** 1 or -1, host, vCPUs, MiB, GiB, group or -1 */
export const logFields = 6

/** Places in `control`. */
export const at = { lock: 0, written: 1, ended: 2 } as const

const Given = Schema.Struct({
  number: Schema.Int,
  committers: Schema.Int,
  decisions: Schema.Int,
  memory: Schema.instanceOf(SharedArrayBuffer)
})
export const decodeGiven = Schema.decodeUnknownSync(Given)

const Outcome = Schema.Struct({ made: Schema.Int, again: Schema.Int, refused: Schema.Int })
export const decodeOutcome = Schema.decodeUnknown(Outcome)

const lengths = {
  control: 4,
  log: logLength * logFields,
  cpu: hosts,
  ram: hosts,
  disk: hosts,
  members: 3 * groups * hosts,
  membersByRack: 3 * groups * racks
}

export const bytes = 4 * Object.values(lengths).reduce((sum, length) => sum + length, 0)

export const view = (memory: SharedArrayBuffer) => {
  let from = 0
  const part = (length: number): Int32Array => {
    const array = new Int32Array(memory, from, length)
    from += 4 * length
    return array
  }
  return {
    control: part(lengths.control),
    log: part(lengths.log),
    cpu: part(lengths.cpu),
    ram: part(lengths.ram),
    disk: part(lengths.disk),
    members: part(lengths.members),
    membersByRack: part(lengths.membersByRack)
  }
}

/** 0: free, 1: held, 2: held and waited for. */
export const lock = (control: Int32Array): void => {
  let was = Atomics.compareExchange(control, at.lock, 0, 1)
  while (was !== 0) {
    if (was === 2 || Atomics.compareExchange(control, at.lock, 1, 2) !== 0) Atomics.wait(control, at.lock, 2)
    was = Atomics.compareExchange(control, at.lock, 0, 2)
  }
}

export const unlock = (control: Int32Array): void => {
  if (Atomics.sub(control, at.lock, 1) === 1) return
  Atomics.store(control, at.lock, 0)
  Atomics.notify(control, at.lock, 1)
}
