/**
 * A root disk from a small image, and from one a hundred times as large.
 */
import * as Effect from "effect/Effect"
import { VmId } from "../../src/domain/Ids.ts"
import type { Image } from "../../src/domain/Image.ts"
import { compare, type Figure, interleave, milliseconds } from "./Figure.ts"
import type { Lab } from "./Lab.ts"
import * as Pool from "./Pool.ts"
import { run } from "./Process.ts"

const section = "image"
const rounds = 25
/** GiB, more than either image has */
const size = 16

export const measure = (lab: Lab) =>
  Effect.gen(function* () {
    const small = `${lab.dir}/images/bench-100M.img`
    const sparse = `${lab.dir}/images/bench-10G.img`
    // as images of that size come: to read ten times a gigabyte of zeros would only take time
    const large = `${lab.dir}/images/bench-10G.qcow2`
    yield* run(["dd", "if=/dev/urandom", `of=${small}`, "bs=1M", "count=100", "status=none"])
    yield* run(["dd", "if=/dev/urandom", `of=${sparse}`, "bs=1M", "count=100", "status=none"])
    yield* run(["truncate", "-s", "10G", sparse])
    yield* run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", sparse, large])
    const pool = yield* Pool.open(lab, [small, large])
    const { driver, host } = pool
    const images = { small: yield* pool.image(0), large: yield* pool.image(1) }
    const imports = {
      small: yield* milliseconds(pool.ensureImage(images.small)),
      large: yield* milliseconds(pool.ensureImage(images.large))
    }

    let last = 4000
    const round = (image: Image) =>
      Effect.gen(function* () {
        const vmId = VmId.make(++last)
        const operationId = yield* Pool.newOperation
        const elapsed = yield* milliseconds(driver.createRoot(host, { vmId, image, size, operationId }))
        yield* driver.deleteRoot(host, vmId)
        return elapsed
      })
    yield* Effect.repeatN(Effect.zipRight(round(images.small), round(images.large)), 4)
    const times = yield* interleave(rounds, [
      { name: "small", round: round(images.small) },
      { name: "large", round: round(images.large) }
    ])
    const figure = (what: string, values: ReadonlyArray<number>): Figure => ({ section, what, unit: "ms", values })
    return [
      figure("100 MB, raw: hashed and imported, once", [imports.small]),
      figure("10 GB, qcow2 with 100 MB in it: the same, once", [imports.large]),
      figure("root disk from 100 MB", times("small")),
      {
        ...figure("root disk from 10 GB", times("large")),
        against: compare("from 100 MB", times("large"), times("small")),
        target: { of: "ratio", kind: "at most", value: 1.1 }
      } satisfies Figure
    ]
  })
