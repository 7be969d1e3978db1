/**
 * Disks of domains: what libvirt 9.0.0 makes of their XML, and what QEMU 7.2 says when it opens them.
 *
 * @since 0.2.0
 */
import * as Either from "effect/Either"
import * as Xml from "../libvirt/Xml.ts"
import { growQcow2, type HostFile, type ImageHeader, readHeader } from "./HostFiles.ts"
import type { HostState, LiveDomain, OpenDisk } from "./HostState.ts"
import * as Pci from "./Pci.ts"
import { code, errno, from, refuse, Refusal, systemError } from "./Refusal.ts"
import * as Secrets from "./Secrets.ts"

type Answer<A> = Either.Either<A, Refusal>

const no = (number: number, detail: string, speaker: number = from.domain) =>
  Either.left(refuse(number, speaker, detail))

// ------------------------------------------------------------------------------------------------------------ definition

const types = ["block", "file", "dir", "network", "volume", "nvme", "vhostuser", "vhostvdpa"]

// the order in which libvirt prints what stands in <disk>
const order = [
  "driver",
  "auth",
  "source",
  "backingStore",
  "mirror",
  "target",
  "iotune",
  "readonly",
  "shareable",
  "transient",
  "serial",
  "wwn",
  "vendor",
  "product",
  "encryption",
  "boot",
  "alias",
  "address"
]

const rank = (node: Xml.Element): number => {
  const at = order.indexOf(node.name)
  return at === -1 ? order.length : at
}

const sorted = (disk: Xml.Element): Xml.Element => ({
  ...disk,
  children: [...Xml.children(disk)].sort((a, b) => rank(a) - rank(b))
})

/** Its name in the domain; "" while it has none. @since 0.2.0 @category getters */
export const targetOf = (disk: Xml.Element): string => Xml.attribute(Xml.child(disk, "target"), "dev") ?? ""

/** @since 0.2.0 @category getters */
export const aliasOf = (device: Xml.Element): string | undefined => Xml.attribute(Xml.child(device, "alias"), "name")

const busOf = (disk: Xml.Element): string => Xml.attribute(Xml.child(disk, "target"), "bus") ?? ""

/** The file or image it is, as its XML names it; "" for an empty drive. */
const sourceOf = (disk: Xml.Element): string => {
  const source = Xml.child(disk, "source")
  return Xml.attribute(source, "file") ?? Xml.attribute(source, "dev") ?? Xml.attribute(source, "name") ?? ""
}

const formatOf = (disk: Xml.Element): string => Xml.attribute(Xml.child(disk, "driver"), "type") ?? "raw"

const buses: Readonly<Record<string, string>> = {
  fd: "fdc",
  hd: "ide",
  sd: "scsi",
  vd: "virtio",
  xvd: "xen",
  ubd: "uml"
}

const targetPattern = /^(fd|hd|sd|vd|xvd|ubd)([a-z]+)[0-9]*$/

/** 0 of `vda`, 26 of `vdaa`. */
const indexOf = (target: string): number =>
  [...(targetPattern.exec(target)?.[2] ?? "a")].reduce((sum, letter) => sum * 26 + letter.charCodeAt(0) - 96, 0) - 1

/** The disk as libvirt keeps it. `whole` is off for one that only says which is meant. @since 0.2.0 @category decoding */
export const parse = (disk: Xml.Element, whole: boolean): Answer<Xml.Element> => {
  const type = Xml.attribute(disk, "type") ?? "file"
  if (!types.includes(type)) {
    return no(code.xml, `Invalid value for attribute 'type' in element 'disk': '${type}'.`, from.xml)
  }
  const source = sourceOf(disk)
  if (Xml.attribute(Xml.child(disk, "source"), "protocol") === "rbd" && !source.includes("/")) {
    return no(code.xml, `can't split path '${source}' into pool name and image name`)
  }
  const target = Xml.child(disk, "target")
  const name = Xml.attribute(target, "dev")
  if (name === undefined) return no(code.noTarget, source)
  const bus = Xml.attribute(target, "bus") ?? buses[targetPattern.exec(name)?.[1] ?? ""] ?? "ide"
  const device = Xml.attribute(disk, "device") ?? "disk"
  if (whole && source === "" && device === "disk") return no(code.noSource, name)
  if (whole && !targetPattern.test(name)) {
    return no(code.xml, `Unknown disk name '${name}' and no address specified`)
  }
  const serial = Xml.textOf(Xml.child(disk, "serial")) ?? ""
  if (whole && !/^[A-Za-z0-9_. +-]*$/.test(serial)) {
    return no(code.internal, `driver serial '${serial}' contains unsafe characters`, from.qemu)
  }
  return Either.right(
    sorted({
      name: "disk",
      attributes: { ...disk.attributes, type, device },
      children: Xml.children(disk)
        // only aliases that say so are the user's; a running domain's own parts are made anew
        .filter(
          (node) =>
            node.name !== "backingStore" &&
            (node.name !== "alias" || (Xml.attribute(node, "name") ?? "").startsWith("ua-"))
        )
        .map((node) => (node === target ? Xml.element("target", { ...node.attributes, dev: name, bus }) : node))
        .concat(Xml.child(disk, "driver") === undefined ? [Xml.element("driver", { name: "qemu", type: "raw" })] : [])
    })
  )
}

/** The disks with one more, in its place: after those of its bus that come before it. @since 0.2.0 @category combinators */
export const insert = (devices: ReadonlyArray<Xml.Element>, disk: Xml.Element): ReadonlyArray<Xml.Element> => {
  const mates = devices.filter((other) => other.name === "disk" && busOf(other) === busOf(disk))
  const next = mates.find((other) => indexOf(targetOf(other)) > indexOf(targetOf(disk)))
  const last = mates[mates.length - 1] ?? devices.filter((other) => other.name === "disk").at(-1)
  const at = next !== undefined ? devices.indexOf(next) : last !== undefined ? devices.indexOf(last) + 1 : 0
  return [...devices.slice(0, at), disk, ...devices.slice(at)]
}

/** Another disk at the same place. @since 0.2.0 @category constructors */
export const duplicated = (other: Xml.Element, disk: Xml.Element): Refusal =>
  refuse(
    code.xml,
    from.domain,
    `target '${targetOf(disk)}' duplicated for disk sources '${sourceOf(other)}' and '${sourceOf(disk)}'`
  )

// -------------------------------------------------------------------------------------------------------- before it opens

/** One of the files that a disk is made of. @since 0.2.0 @category models */
export interface Layer {
  readonly path: string
  readonly format: string
  readonly file: HostFile
}

/** The files of a disk, the top first; none for one that is no file. @since 0.2.0 @category lookups */
export const chainOf = (host: HostState, disk: Xml.Element): Answer<ReadonlyArray<Layer>> => {
  const top = Xml.attribute(Xml.child(disk, "source"), "file")
  const layers: Array<Layer> = []
  let below = top === undefined ? undefined : { path: top, format: formatOf(disk) }
  while (below !== undefined) {
    const { format, path } = below
    if (layers.some((layer) => layer.path === path)) {
      return no(code.internal, `backing store for ${top} is self-referential`, from.storage)
    }
    const file = host.files.files.get(path)
    if (file === undefined) {
      return Either.left(
        systemError(
          from.storage,
          errno.ENOENT,
          path === top
            ? `Cannot access storage file '${path}' (as uid:0, gid:0)`
            : `Cannot access backing file '${path}' of storage file '${top}' (as uid:0, gid:0)`
        )
      )
    }
    layers.push({ path, format, file })
    // a disk given as raw is not looked into
    const backing: ImageHeader["backing"] = format === "raw" ? undefined : readHeader(file).backing
    below = backing === undefined ? undefined : { path: backing.path, format: backing.format ?? "raw" }
  }
  return Either.right(layers)
}

const isRbd = (disk: Xml.Element): boolean => Xml.attribute(Xml.child(disk, "source"), "protocol") === "rbd"

/** The key that libvirt hands QEMU with the disk; undefined: none is asked for. @since 0.2.0 @category lookups */
export const keyOf = (host: HostState, disk: Xml.Element): Answer<Uint8Array | undefined> => {
  const secret = Xml.find(disk, "auth", "secret")
  if (secret === undefined) return Either.right(undefined)
  const uuid = Xml.attribute(secret, "uuid")
  const found =
    uuid === undefined
      ? Secrets.byUsage(host, Secrets.ceph, Xml.attribute(secret, "usage") ?? "")
      : Secrets.find(host, uuid.toLowerCase())
  return Either.flatMap(found, Secrets.valueOf)
}

// ------------------------------------------------------------------------------------------------------------------- QEMU

/** What QEMU says when it does not open a disk; `node` is the number it was to have. @since 0.2.0 @category models */
export interface NotOpened {
  /** whether the image itself cannot be opened or the device on it */
  readonly step: "blockdev" | "device"
  readonly problem: string
  /** the file that another process has */
  readonly taken?: string
}

const failure = (step: NotOpened["step"], problem: string, taken?: string) =>
  Either.left<NotOpened>({ step, problem, ...(taken === undefined ? {} : { taken }) })

/** Disks that QEMUs on the host have open. */
const opened = (host: HostState): ReadonlyArray<OpenDisk> =>
  [...host.domains.values()].flatMap(({ live }) => (live === null ? [] : [...live.disks.values()]))

const writes = (disk: OpenDisk, file: HostFile): boolean => disk.file === file

const uses = (disk: OpenDisk, file: HostFile): boolean => disk.file === file || disk.below.includes(file)

/** Whether a QEMU on the host writes the file. @since 0.2.0 @category getters */
export const isWritten = (host: HostState, file: HostFile): boolean => opened(host).some((disk) => writes(disk, file))

/** Whether a QEMU on the host writes the file, or reads it below another. @since 0.2.0 @category getters */
export const isUsed = (host: HostState, file: HostFile): boolean => opened(host).some((disk) => uses(disk, file))

const words: Readonly<Record<string, string>> = {
  EPERM: "Operation not permitted",
  ENOENT: "No such file or directory",
  EIO: "Input/output error",
  EACCES: "Permission denied",
  EBUSY: "Device or resource busy",
  EEXIST: "File exists",
  EINVAL: "Invalid argument",
  ENOSPC: "No space left on device",
  EROFS: "Read-only file system",
  ETIMEDOUT: "Connection timed out",
  EBLOCKLISTED: "Cannot send after transport endpoint shutdown"
}

const strerror = (name: string): string => words[name] ?? name

/** Rounded up to whole sectors, as QEMU does. */
const sectors = (bytes: number): number => Math.ceil(bytes / 512) * 512

const openFile = (
  host: HostState,
  mates: ReadonlyMap<string, OpenDisk>,
  disk: Xml.Element,
  layers: ReadonlyArray<Layer>
): Either.Either<OpenDisk, NotOpened> => {
  const [top, ...below] = layers
  // those of a domain that is starting are no running domain's yet
  const all = [...opened(host), ...mates.values()]
  if (top === undefined) return failure("blockdev", "Could not open the image")
  const { file, path } = top
  const qcow2 = formatOf(disk) === "qcow2"
  if (qcow2 && readHeader(file).format !== "qcow2") return failure("blockdev", "Image is not in qcow2 format")
  const readOnly = Xml.attribute(disk, "device") === "cdrom" || Xml.child(disk, "readonly") !== undefined
  if (!readOnly && all.some((other) => uses(other, file))) {
    return failure(qcow2 ? "blockdev" : "device", 'Failed to get "write" lock', path)
  }
  const read = readOnly ? layers : below
  const written = read.find((layer) => all.some((other) => writes(other, layer.file)))
  if (written !== undefined) return failure("blockdev", 'Failed to get shared "write" lock', written.path)
  const open: OpenDisk = {
    ...placeOf(disk),
    file: readOnly ? null : file,
    below: read.map((layer) => layer.file),
    size: qcow2 ? readHeader(file).virtualSize : file.size,
    resize: (bytes) => {
      if (!qcow2) file.resize(bytes)
      // what the table of such a disk would need does not fit into a file
      else if (bytes > 2 ** 56) return Either.left("Failed to grow the L1 table: File too large")
      else growQcow2(file, bytes)
      file.modified = host.now()
      return Either.right(undefined)
    },
    close: () => {}
  }
  return Either.right(open)
}

const placeOf = (disk: Xml.Element) => ({
  target: targetOf(disk),
  serial: Xml.textOf(Xml.child(disk, "serial")) ?? "",
  slot: Pci.slotOf(disk)
})

const openImage = (
  host: HostState,
  disk: Xml.Element,
  key: Uint8Array | undefined
): Either.Either<OpenDisk, NotOpened> => {
  const cluster = host.ceph
  const source = sourceOf(disk)
  const pool = source.slice(0, source.indexOf("/"))
  const name = source.slice(pool.length + 1)
  if (cluster === undefined) return failure("blockdev", `error connecting: ${strerror("ETIMEDOUT")}`)
  const given = key === undefined ? "" : Buffer.from(key).toString("base64")
  // a key has a header of 12 bytes before its 16 or 32
  if (key !== undefined && key.length < 28) return failure("blockdev", `error connecting: ${strerror("EINVAL")}`)
  if (Xml.attribute(Xml.child(disk, "auth"), "username") !== cluster.client || given !== cluster.key) {
    return failure("blockdev", `error connecting: ${strerror("EACCES")}`)
  }
  if (pool !== cluster.pool) return failure("blockdev", `error opening pool ${pool}: ${strerror("ENOENT")}`)
  const nonce = Math.floor(host.random() * 2 ** 32)
  return cluster.openForWriting(name, `${host.machine.address}:0/${nonce}`).pipe(
    Either.mapLeft((error): NotOpened => ({
      step: "blockdev",
      problem: `error reading header from ${name}: ${strerror(error)}`
    })),
    Either.map((image) => ({
      ...placeOf(disk),
      file: null,
      below: [],
      size: image.size(),
      resize: (bytes) => Either.mapLeft(image.grow(bytes), (error) => `Failed to resize file: ${strerror(error)}`),
      close: image.close
    }))
  )
}

/** What stands in a disk while it is open: its nodes' numbers and the files below it, its alias. */
const shown = (disk: Xml.Element, layers: ReadonlyArray<Layer>, node: number): Xml.Element => {
  const below = (at: number): Xml.Element => {
    const layer = layers[at]
    return layer === undefined
      ? Xml.element("backingStore")
      : Xml.element("backingStore", { type: "file", index: node + at }, [
          Xml.element("format", { type: layer.format }),
          Xml.element("source", { file: layer.path }),
          below(at + 1)
        ])
  }
  const alias = aliasOf(disk) ?? `${busOf(disk)}-disk${indexOf(targetOf(disk))}`
  return sorted({
    ...disk,
    children: [
      ...Xml.children(disk)
        .filter(({ name }) => name !== "alias")
        .map((child) =>
          child.name === "source" ? { ...child, attributes: { ...child.attributes, index: String(node) } } : child
        ),
      ...(layers.length === 0 ? [] : [below(1)]),
      Xml.element("alias", { name: alias })
    ]
  })
}

/** An empty drive, or a disk of a kind that is not looked into. */
const empty = (disk: Xml.Element): OpenDisk => ({
  ...placeOf(disk),
  file: null,
  below: [],
  size: 0,
  resize: () => Either.right(undefined),
  close: () => {}
})

/** What is found before QEMU is asked: `chainOf` and `keyOf`. @since 0.2.0 @category models */
export interface Needs {
  readonly layers: ReadonlyArray<Layer>
  readonly key: Uint8Array | undefined
}

/**
 * Opens a disk, which is then among `disks`: the disk as the live XML shows it. `node` is the number of its first image.
 *
 * @since 0.2.0 @category procedures
 */
export const open = (
  host: HostState,
  disks: Map<string, OpenDisk>,
  disk: Xml.Element,
  { key, layers }: Needs,
  node: number
): Either.Either<Xml.Element, NotOpened> => {
  const opening = isRbd(disk)
    ? openImage(host, disk, key)
    : layers.length > 0
      ? openFile(host, disks, disk, layers)
      : Either.right(empty(disk))
  return Either.map(opening, (open) => {
    disks.set(open.target, open)
    return shown(disk, layers, node)
  })
}

/** How many numbers a disk's images take. @since 0.2.0 @category getters */
export const nodesOf = (layers: ReadonlyArray<Layer>): number => Math.max(1, layers.length)

// ---------------------------------------------------------------------------------------------------------------- looking

/** The disk that a call names by its target or its file. @since 0.2.0 @category lookups */
export const named = (disks: ReadonlyArray<Xml.Element>, path: string): Xml.Element | undefined =>
  disks.find((disk) => targetOf(disk) === path) ??
  disks.find((disk) => Xml.attribute(Xml.child(disk, "source"), "file") === path)

const onDisk = (file: HostFile, size: number) => ({
  allocation: Math.ceil(file.allocation / 4096) * 4096,
  capacity: size,
  physical: file.size
})

/** Bytes of a disk, of one that is open as QEMU knows it. @since 0.2.0 @category procedures */
export const infoOf = (
  host: HostState,
  live: LiveDomain | null,
  disk: Xml.Element
): Answer<{ readonly allocation: number; readonly capacity: number; readonly physical: number }> => {
  const open = live?.disks.get(targetOf(disk))
  if (open !== undefined) {
    return Either.right(
      open.file === null
        ? { allocation: open.size, capacity: open.size, physical: open.size }
        : onDisk(open.file, open.size)
    )
  }
  if (isRbd(disk)) {
    return no(code.internal, "missing storage backend for network files using rbd protocol", from.storage)
  }
  return Either.map(chainOf(host, disk), ([top]) =>
    top === undefined
      ? { allocation: 0, capacity: 0, physical: 0 }
      : onDisk(top.file, top.format === "qcow2" ? readHeader(top.file).virtualSize : top.file.size)
  )
}

/** DOMAIN_BLOCK_RESIZE of an open disk; smaller is done as well. @since 0.2.0 @category procedures */
export const resize = (open: OpenDisk, bytes: number): Answer<void> => {
  const size = sectors(bytes)
  return open.resize(size).pipe(
    Either.mapLeft((problem) =>
      refuse(code.internal, from.qemu, `unable to execute QEMU command 'block_resize': ${problem}`)
    ),
    Either.map(() => {
      open.size = size
    })
  )
}
