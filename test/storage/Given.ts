/** The images the storage suites work with. */
import type { Image } from "../../src/domain/Image.ts"
import * as ScriptedImages from "./ScriptedImages.ts"

/** The first bytes of a qcow2 file (version 3, no backing file) whose guest sees `size` bytes: no cluster is allocated. */
const emptyQcow2 = (size: number): Uint8Array => {
  const cluster = 65_536
  const bytes = Buffer.alloc(4 * cluster)
  bytes.write("QFI\xfb", 0, "latin1")
  bytes.writeUInt32BE(3, 4)
  bytes.writeUInt32BE(16, 20) // cluster bits
  bytes.writeBigUInt64BE(BigInt(size), 24)
  bytes.writeUInt32BE(Math.ceil(size / (cluster * (cluster / 8))), 36) // L1 entries
  bytes.writeBigUInt64BE(BigInt(3 * cluster), 40) // L1 table
  bytes.writeBigUInt64BE(BigInt(cluster), 48) // refcount table
  bytes.writeUInt32BE(1, 56) // its clusters
  bytes.writeUInt32BE(4, 96) // 16-bit refcounts
  bytes.writeUInt32BE(104, 100) // header length
  bytes.writeBigUInt64BE(BigInt(2 * cluster), cluster) // the one refcount block
  for (let at = 0; at < 4; at++) bytes.writeUInt16BE(1, 2 * cluster + 2 * at)
  return bytes
}

const gibibyte = 1024 ** 3

export const given: ReadonlyArray<ScriptedImages.Given> = [
  { name: "small", bytes: ScriptedImages.noise(1024 * 1024 + 512, 1) },
  { name: "other", bytes: ScriptedImages.noise(512 * 1024, 2) },
  { name: "large", bytes: emptyQcow2(3 * gibibyte), format: "qcow2", virtualSize: 3 * gibibyte }
]

export const imageNamed = (name: string): Image => {
  const index = given.findIndex((one) => one.name === name)
  const found = given[index]
  if (found === undefined) throw new Error(`there is no image ${name}`)
  return ScriptedImages.imageOf(found, 100 + index)
}
