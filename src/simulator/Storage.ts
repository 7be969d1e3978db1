/**
 * Storage pools of type `dir` and their volumes as libvirt 9.0.0 keeps them.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Xml from "../libvirt/Xml.ts"
import { isUsed, isWritten } from "./Disks.ts"
import { growQcow2, HostFile, qcow2Bytes, qcow2Header, readHeader } from "./HostFiles.ts"
import { type HostState, type KnownVolume, newUuid, type SimulatedPool } from "./HostState.ts"
import { print } from "./PrintXml.ts"
import { badArgument, code, errno, from, malformed, refuse, type Refusal, systemError } from "./Refusal.ts"

/** @since 0.1.0 @category models */
export interface PoolRef {
  readonly name: string
  readonly uuid: string
}

/** `key` is the file's path. @since 0.1.0 @category models */
export interface VolumeRef {
  readonly pool: string
  readonly name: string
  readonly key: string
}

/** A volume with the file that it is. @since 0.1.0 @category models */
export interface Volume {
  readonly pool: SimulatedPool
  readonly name: string
  readonly path: string
  readonly file: HostFile
  readonly known: KnownVolume
}

type Answer<A> = Either.Either<A, Refusal>

const no = (number: number, detail: string) => Either.left(refuse(number, from.storage, detail))

// said by the XML layer, not by the storage driver
const badXml = (detail: string) => Either.left(refuse(code.xml, from.xml, detail))

const tell = (host: HostState, pool: SimulatedPool, event: number): void =>
  host.emit({ _tag: "PoolLifecycle", pool: { name: pool.name, uuid: pool.uuid }, event })

// ------------------------------------------------------------------------------------------------------------------ pools

/** @since 0.1.0 @category lookups */
export const find = (host: HostState, ref: PoolRef): Answer<SimulatedPool> => {
  const pool = host.pools.get(ref.uuid)
  return pool === undefined
    ? no(code.noPool, `no storage pool with matching uuid '${ref.uuid}'${ref.name === "" ? "" : ` (${ref.name})`}`)
    : Either.right(pool)
}

/** @since 0.1.0 @category lookups */
export const byName = (host: HostState, name: string): Answer<SimulatedPool> => {
  const pool = [...host.pools.values()].find((pool) => pool.name === name)
  return pool === undefined ? no(code.noPool, `no storage pool with matching name '${name}'`) : Either.right(pool)
}

/** @since 0.1.0 @category lookups */
export const byPath = (host: HostState, path: string): Answer<SimulatedPool> => {
  const clean = path.replace(/\/+$/, "")
  const pool = [...host.pools.values()].find((pool) => pool.path === clean)
  return pool === undefined
    ? no(code.noPool, `no storage pool with matching target path '${clean}'`)
    : Either.right(pool)
}

const active = (pool: SimulatedPool): Answer<SimulatedPool> =>
  pool.active ? Either.right(pool) : no(code.operationInvalid, `storage pool '${pool.name}' is not active`)

const inactive = (pool: SimulatedPool): Answer<SimulatedPool> =>
  pool.active ? no(code.operationInvalid, `storage pool '${pool.name}' is still active`) : Either.right(pool)

const parse = (xml: string, what: string): Answer<Xml.Element> =>
  Either.mapLeft(Xml.parse(xml), (error) => malformed(from.storage, what, xml, error.reason))

const poolTypes = [
  "dir",
  "fs",
  "netfs",
  "logical",
  "disk",
  "iscsi",
  "iscsi-direct",
  "scsi",
  "mpath",
  "rbd",
  "gluster",
  "zfs"
]

/** STORAGE_POOL_DEFINE_XML. @since 0.1.0 @category procedures */
export const define = (host: HostState, xml: string): Answer<SimulatedPool> =>
  Either.flatMap(parse(xml, "storage_pool_definition"), (root): Answer<SimulatedPool> => {
    if (root.name !== "pool") return badXml(`expecting root element of 'pool', not '${root.name}'`)
    const type = Xml.attribute(root, "type")
    if (type === undefined) return badXml("Missing required attribute 'type' in element 'pool'")
    if (!poolTypes.includes(type)) return badXml(`Invalid value for attribute 'type' in element 'pool': '${type}'.`)
    if (type !== "dir") return no(code.internal, `missing backend for pool type (${type})`)
    const name = Xml.textOf(Xml.child(root, "name")) ?? ""
    if (name === "") return no(code.xml, "missing pool source name element")
    if (name.includes("/")) return no(code.xml, `name ${name} cannot contain '/'`)
    const path = Xml.textOf(Xml.find(root, "target", "path"))?.replace(/\/+$/, "") ?? ""
    if (path === "") return no(code.xml, "missing storage pool target path")
    const uuid = Xml.textOf(Xml.child(root, "uuid"))?.toLowerCase() ?? newUuid(host.random)
    const known = host.pools.get(uuid)
    if (known !== undefined && known.name !== name) {
      return no(code.operationFailed, `pool '${known.name}' is already defined with uuid ${uuid}`)
    }
    for (const other of host.pools.values()) {
      if (other.uuid === uuid) continue
      if (other.name === name) return no(code.operationFailed, `pool '${name}' already exists with uuid ${other.uuid}`)
      if (other.path === path) return no(code.operationFailed, `Storage source conflict with pool: '${other.name}'`)
    }
    const pool: SimulatedPool = {
      name,
      uuid,
      path,
      active: known?.active ?? false,
      autostart: known?.autostart ?? false,
      persistent: true,
      volumes: known?.volumes ?? new Map()
    }
    host.pools.set(uuid, pool)
    tell(host, pool, 0)
    return Either.right(pool)
  })

/** STORAGE_POOL_BUILD: makes the folder. @since 0.1.0 @category procedures */
export const build = (host: HostState, pool: SimulatedPool): Answer<void> => {
  if (pool.active) return no(code.operationInvalid, `storage pool '${pool.name}' is already active`)
  host.files.makeFolder(pool.path)
  tell(host, pool, 4)
  return Either.right(undefined)
}

const scan = (host: HostState, pool: SimulatedPool): Answer<void> => {
  if (!host.files.folders.has(pool.path)) {
    return Either.left(systemError(from.none, errno.ENOENT, `cannot open directory '${pool.path}'`))
  }
  pool.volumes = new Map(
    host.files.inFolder(pool.path).map(([name, file]) => [name, { format: readHeader(file).format, probed: true }])
  )
  return Either.right(undefined)
}

/** STORAGE_POOL_CREATE: starts it. @since 0.1.0 @category procedures */
export const start = (host: HostState, pool: SimulatedPool, flags: number): Answer<void> => {
  if (pool.active) return no(code.operationInvalid, `storage pool '${pool.name}' is already active`)
  if ((flags & 1) === 1) host.files.makeFolder(pool.path)
  return Either.map(scan(host, pool), () => {
    pool.active = true
    tell(host, pool, 2)
  })
}

/** STORAGE_POOL_REFRESH. @since 0.1.0 @category procedures */
export const refresh = (host: HostState, pool: SimulatedPool): Answer<void> =>
  active(pool).pipe(
    Either.flatMap(() => scan(host, pool)),
    Either.map(() => host.emit({ _tag: "PoolRefresh", pool: { name: pool.name, uuid: pool.uuid } }))
  )

/** STORAGE_POOL_DESTROY: stops it, its files stay. @since 0.1.0 @category procedures */
export const stop = (host: HostState, pool: SimulatedPool): Answer<void> =>
  Either.map(active(pool), () => {
    pool.active = false
    pool.volumes = new Map()
    tell(host, pool, 3)
    if (!pool.persistent) host.pools.delete(pool.uuid)
  })

/** STORAGE_POOL_DELETE: removes the folder, which has to be empty. @since 0.1.0 @category procedures */
export const remove = (host: HostState, pool: SimulatedPool): Answer<void> =>
  Either.flatMap(inactive(pool), () => {
    if (!host.files.folders.has(pool.path)) {
      return Either.left(systemError(from.storage, errno.ENOENT, `failed to remove pool '${pool.path}'`))
    }
    if (host.files.inFolder(pool.path).length > 0) {
      return Either.left(systemError(from.storage, errno.ENOTEMPTY, `failed to remove pool '${pool.path}'`))
    }
    host.files.folders.delete(pool.path)
    tell(host, pool, 5)
    return Either.right(undefined)
  })

/** STORAGE_POOL_UNDEFINE. @since 0.1.0 @category procedures */
export const undefine = (host: HostState, pool: SimulatedPool): Answer<void> =>
  Either.map(inactive(pool), () => {
    host.pools.delete(pool.uuid)
    tell(host, pool, 1)
  })

/** STORAGE_POOL_GET_INFO: virStoragePoolState and bytes. @since 0.1.0 @category procedures */
export const infoOf = (host: HostState, pool: SimulatedPool) =>
  pool.active
    ? { state: 2, capacity: host.files.capacity, allocation: host.files.used, available: host.files.free }
    : { state: 0, capacity: 0, allocation: 0, available: 0 }

const bytes = (name: string, value: number): Xml.Element => Xml.element(name, { unit: "bytes" }, [value])

const permissions = (mode: string): Xml.Element =>
  Xml.element("permissions", {}, [
    Xml.element("mode", {}, [mode]),
    Xml.element("owner", {}, ["0"]),
    Xml.element("group", {}, ["0"])
  ])

/** @since 0.1.0 @category procedures */
export const xmlOf = (host: HostState, pool: SimulatedPool): string => {
  const info = infoOf(host, pool)
  return print(
    Xml.element("pool", { type: "dir" }, [
      Xml.element("name", {}, [pool.name]),
      Xml.element("uuid", {}, [pool.uuid]),
      bytes("capacity", info.capacity),
      bytes("allocation", info.allocation),
      bytes("available", info.available),
      Xml.element("source", {}, ["\n  "]),
      Xml.element("target", {}, [Xml.element("path", {}, [pool.path]), ...(pool.active ? [permissions("0711")] : [])])
    ])
  )
}

/** CONNECT_LIST_ALL_STORAGE_POOLS with its filters. @since 0.1.0 @category procedures */
export const listAll = (host: HostState, flags: number): ReadonlyArray<SimulatedPool> =>
  [...host.pools.values()].filter((pool) =>
    [
      [0x3, pool.active ? 0x2 : 0x1],
      [0xc, pool.persistent ? 0x4 : 0x8],
      [0x30, pool.autostart ? 0x10 : 0x20],
      [0xfffc0, 0x40]
    ].every(([mask = 0, bits = 0]) => (flags & mask) === 0 || (flags & bits) !== 0)
  )

// ---------------------------------------------------------------------------------------------------------------- volumes

const volumeIn = (host: HostState, pool: SimulatedPool, name: string): Volume | undefined => {
  const path = `${pool.path}/${name}`
  const file = host.files.files.get(path)
  const known = pool.volumes.get(name)
  // taken away behind the daemon's back it is still listed, as an empty file
  return known === undefined ? undefined : { pool, name, path, file: file ?? new HostFile(host.now()), known }
}

/** @since 0.1.0 @category lookups */
export const volumeByName = (host: HostState, pool: SimulatedPool, name: string): Answer<Volume> =>
  Either.flatMap(active(pool), () => {
    const volume = volumeIn(host, pool, name)
    return volume === undefined
      ? no(code.noVolume, `no storage vol with matching name '${name}'`)
      : Either.right(volume)
  })

/** @since 0.1.0 @category lookups */
export const volumeByPath = (host: HostState, path: string, what: "path" | "key"): Answer<Volume> => {
  for (const pool of host.pools.values()) {
    if (!pool.active || !path.startsWith(`${pool.path}/`)) continue
    const volume = volumeIn(host, pool, path.slice(pool.path.length + 1))
    if (volume !== undefined) return Either.right(volume)
  }
  return no(
    code.noVolume,
    what === "path" ? `no storage vol with matching path '${path}'` : `no storage vol with matching key ${path}`
  )
}

/** @since 0.1.0 @category lookups */
export const volumeOf = (host: HostState, ref: VolumeRef): Answer<Volume> =>
  Either.flatMap(byName(host, ref.pool), (pool) => volumeByName(host, pool, ref.name))

/** @since 0.1.0 @category getters */
export const refOf = (volume: {
  readonly pool: SimulatedPool
  readonly name: string
  readonly path: string
}): VolumeRef => ({
  pool: volume.pool.name,
  name: volume.name,
  key: volume.path
})

const scales: Readonly<Record<string, number>> = {
  B: 1,
  bytes: 1,
  b: 1,
  KB: 1e3,
  K: 1024,
  k: 1024,
  KiB: 1024,
  MB: 1e6,
  M: 1024 ** 2,
  MiB: 1024 ** 2,
  GB: 1e9,
  G: 1024 ** 3,
  GiB: 1024 ** 3,
  TB: 1e12,
  T: 1024 ** 4,
  TiB: 1024 ** 4
}

const bytesIn = (node: Xml.Element | undefined): Answer<number | undefined> => {
  if (node === undefined) return Either.right(undefined)
  const unit = Xml.attribute(node, "unit") ?? "bytes"
  const scale = scales[unit]
  const text = Xml.textOf(node) ?? ""
  if (!/^[0-9]+$/.test(text)) return no(code.xml, `malformed ${node.name} element`)
  return scale === undefined
    ? Either.left(refuse(code.invalidArg, from.none, `unknown suffix '${unit}'`))
    : Either.right(Number(text) * scale)
}

/** What a volume's XML asks for. */
interface Wanted {
  readonly name: string
  readonly path: string
  readonly format: "raw" | "qcow2"
  /** bytes */
  readonly capacity: number | undefined
  readonly allocation: number | undefined
  readonly compat: "0.10" | "1.1"
  readonly backing: { readonly path: string; readonly format: string | undefined } | undefined
}

const wanted = (pool: SimulatedPool, xml: string): Answer<Wanted> =>
  Either.Do.pipe(
    Either.bind("root", () => parse(xml, "storage_volume_definition")),
    Either.bind("capacity", ({ root }) => bytesIn(Xml.child(root, "capacity"))),
    Either.bind("allocation", ({ root }) => bytesIn(Xml.child(root, "allocation"))),
    Either.flatMap(({ allocation, capacity, root }): Answer<Wanted> => {
      if (root.name !== "volume") return badXml(`expecting root element of 'volume', not '${root.name}'`)
      const name = Xml.textOf(Xml.child(root, "name")) ?? ""
      if (name === "") return no(code.xml, "missing volume name element")
      if (name.includes("/")) return no(code.operationInvalid, `volume name '${name}' cannot contain '/'`)
      const format = Xml.attribute(Xml.find(root, "target", "format"), "type") ?? "raw"
      if (format !== "raw" && format !== "qcow2") return no(code.unsupported, `unknown volume format type ${format}`)
      const backing = Xml.textOf(Xml.find(root, "backingStore", "path"))
      return Either.right({
        name,
        path: `${pool.path}/${name}`,
        format,
        capacity,
        allocation,
        compat: Xml.textOf(Xml.find(root, "target", "compat")) === "1.1" ? "1.1" : "0.10",
        backing:
          backing === undefined
            ? undefined
            : { path: backing, format: Xml.attribute(Xml.find(root, "backingStore", "format"), "type") }
      })
    })
  )

/** Whether the pool's folder can take the file. */
const placeFor = (host: HostState, pool: SimulatedPool, path: string): Answer<void> => {
  if (host.files.files.has(path)) return no(code.operationInvalid, `volume target path '${path}' already exists`)
  return host.files.folders.has(pool.path)
    ? Either.right(undefined)
    : Either.left(systemError(from.storage, errno.ENOENT, `Failed to create file '${path}'`))
}

const rawFile = (host: HostState, { allocation, path }: Wanted, capacity: number): Answer<HostFile> => {
  const file = new HostFile(host.now())
  const taken = Math.min(capacity, allocation ?? capacity)
  if (taken > host.files.free) {
    return Either.left(systemError(from.storage, errno.ENOSPC, `cannot allocate ${taken} bytes in file '${path}'`))
  }
  file.resize(capacity)
  file.allocation = taken
  return Either.right(file)
}

const qcow2File = (host: HostState, { backing, compat, path }: Wanted, virtualSize: number): Answer<HostFile> => {
  if (backing !== undefined && !host.files.files.has(backing.path)) {
    return Either.left(systemError(from.storage, errno.ENOENT, `inaccessible backing store volume ${backing.path}`))
  }
  const file = new HostFile(host.now())
  file.write(0, qcow2Header({ virtualSize, compat, backing }))
  file.resize(qcow2Bytes(virtualSize))
  file.allocation = 200_704
  return file.allocation > host.files.free
    ? Either.left(systemError(from.storage, errno.ENOSPC, `cannot create file '${path}'`))
    : Either.right(file)
}

const keep = (host: HostState, pool: SimulatedPool, { format, name, path }: Wanted, file: HostFile): Volume => {
  host.files.files.set(path, file)
  const known: KnownVolume = { format, probed: false }
  pool.volumes.set(name, known)
  return { pool, name, path, file, known }
}

/** STORAGE_VOL_CREATE_XML for raw and qcow2. @since 0.1.0 @category procedures */
export const createVolume = (host: HostState, pool: SimulatedPool, xml: string): Answer<Volume> =>
  Either.Do.pipe(
    Either.bind("active", () => active(pool)),
    Either.bind("volume", () => wanted(pool, xml)),
    Either.bind("file", ({ volume }): Answer<HostFile> => {
      const { backing, capacity, format, name, path } = volume
      if (capacity === undefined && backing === undefined) return no(code.xml, "missing capacity element")
      if (pool.volumes.has(name)) return no(code.volumeExists, `'${name}'`)
      return Either.flatMap(placeFor(host, pool, path), (): Answer<HostFile> => {
        if (format === "raw") {
          return backing === undefined
            ? rawFile(host, volume, capacity ?? 0)
            : no(code.noSupport, "backing storage not supported for raw volumes")
        }
        const below = backing === undefined ? undefined : host.files.files.get(backing.path)
        const inherited =
          below === undefined ? 0 : backing?.format === "raw" ? below.size : readHeader(below).virtualSize
        return qcow2File(host, volume, capacity ?? inherited)
      })
    }),
    Either.map(({ file, volume }) => keep(host, pool, volume, file))
  )

const failed = (command: string, problem: string) =>
  Either.left(
    refuse(
      code.internal,
      from.none,
      `Child process (/usr/bin/qemu-img ${command}) unexpected exit status 1: qemu-img: ${problem}\n`
    )
  )

const locked = (path: string, lock: string): string =>
  `Could not open '${path}': Failed to get ${lock} lock\nIs another process using the image [${path}]?`

// of a bigger file no more is kept than its beginning
const smallFile = 16 * 1024 ** 2
const keptBytes = 64 * 1024

const copyOf = (host: HostState, file: HostFile): HostFile => {
  const copy = new HostFile(host.now())
  copy.write(0, file.read(0, file.size <= smallFile ? file.size : keptBytes))
  if (copy.size < file.size) copy.resize(file.size)
  copy.allocation = file.allocation
  return copy
}

/**
 * STORAGE_VOL_CREATE_XML_FROM: a full copy. A copy of another format, or of a qcow2 file, is as large as its source, whatever was asked for;
 * a running guest's disk cannot be converted.
 *
 * @since 0.2.0 @category procedures
 */
export const copyVolume = (
  host: HostState,
  pool: SimulatedPool,
  xml: string,
  ref: VolumeRef,
  flags: number
): Answer<Volume> =>
  Either.Do.pipe(
    Either.bind("active", () => active(pool)),
    Either.bind("source", () => volumeOf(host, ref)),
    Either.bind("volume", () => wanted(pool, xml)),
    Either.bind("file", ({ source, volume }): Answer<HostFile> => {
      const { backing, compat, format, name, path } = volume
      if (pool.volumes.has(name)) return no(code.internal, `storage volume name '${name}' already in use.`)
      return Either.flatMap(placeFor(host, pool, path), (): Answer<HostFile> => {
        const of = source.known.format
        if (of === "raw" && format === "raw") {
          return Either.map(rawFile(host, volume, Math.max(volume.capacity ?? 0, source.file.size)), (made) => {
            const copy = copyOf(host, source.file)
            copy.resize(made.size)
            copy.allocation = made.allocation
            return copy
          })
        }
        if ((flags & 2) === 2) {
          const function_ = "storageBackendCreateQemuImg"
          return Either.left(
            badArgument(from.storage, function_, "flags", `unsupported flags (0x2) in function ${function_}`)
          )
        }
        if (isWritten(host, source.file)) {
          const options = format === "raw" ? "" : ` -o compat=${compat}`
          return failed(
            `convert -f ${of} -O ${format}${options} ${source.path} ${path}`,
            locked(source.path, 'shared "write"')
          )
        }
        const { capacity } = volumeInfo(source)
        if (format === "raw") return rawFile(host, { ...volume, allocation: 4096 }, capacity)
        const header = readHeader(source.file)
        return of === "qcow2" && header.compat === compat && header.backing === undefined && backing === undefined
          ? Either.right(copyOf(host, source.file))
          : qcow2File(host, volume, capacity)
      })
    }),
    Either.map(({ file, volume }) => keep(host, pool, volume, file))
  )

/** STORAGE_VOL_DELETE; a file that has gone is no problem. @since 0.1.0 @category procedures */
export const deleteVolume = (host: HostState, volume: Volume): void => {
  host.files.files.delete(volume.path)
  volume.pool.volumes.delete(volume.name)
}

/** STORAGE_VOL_RESIZE: flags ALLOCATE 1, DELTA 2, SHRINK 4. @since 0.1.0 @category procedures */
export const resizeVolume = (host: HostState, volume: Volume, capacity: number, flags: number): Answer<void> => {
  if (capacity === 0 && (flags & 6) === 0) {
    return Either.left(
      badArgument(
        from.storage,
        "virStorageVolResize",
        "capacity",
        "capacity in virStorageVolResize cannot be zero without 'delta' or 'shrink' flags set"
      )
    )
  }
  const now = volumeInfo(volume)
  const size = (flags & 2) === 0 ? capacity : (flags & 4) === 0 ? now.capacity + capacity : now.capacity - capacity
  if (size < now.allocation) return no(code.invalidArg, "can't shrink capacity below existing allocation")
  if (size < now.capacity && (flags & 4) === 0) {
    return no(code.invalidArg, "Can't shrink capacity below current capacity unless shrink flag explicitly specified")
  }
  if (volume.known.format === "raw") {
    if ((flags & 1) === 1 && size - now.allocation > host.files.free) {
      return Either.left(
        systemError(from.storage, errno.ENOSPC, `Failed to pre-allocate space for file '${volume.path}'`)
      )
    }
    volume.file.resize(size)
    if ((flags & 1) === 1) volume.file.allocation = size
  } else {
    const bytes = Math.ceil(size / 512) * 512
    const command = `resize ${size < now.capacity ? "--shrink " : ""}${volume.path} ${BigInt(size)}`
    if (isUsed(host, volume.file)) return failed(command, locked(volume.path, '"write"'))
    if (bytes > 2 ** 56) return failed(command, "Failed to grow the L1 table: File too large")
    growQcow2(volume.file, bytes)
  }
  volume.file.modified = host.now()
  return Either.right(undefined)
}

/** virStorageVolType FILE and bytes; `physical`: of the file itself. @since 0.1.0 @category procedures */
export const volumeInfo = (volume: Volume) => ({
  type: 0,
  capacity: volume.known.format === "raw" ? volume.file.size : readHeader(volume.file).virtualSize,
  allocation: Math.ceil(volume.file.allocation / 4096) * 4096,
  physical: volume.file.size
})

/** @since 0.1.0 @category procedures */
export const volumeXml = (host: HostState, volume: Volume): string => {
  const { format, probed } = volume.known
  const header = format === "raw" ? undefined : readHeader(volume.file)
  const info = volumeInfo(volume)
  const backing = header?.backing
  return print(
    Xml.element("volume", { type: "file" }, [
      Xml.element("name", {}, [volume.name]),
      Xml.element("key", {}, [volume.path]),
      bytes("capacity", info.capacity),
      bytes("allocation", info.allocation),
      bytes("physical", info.physical),
      Xml.element("target", {}, [
        Xml.element("path", {}, [volume.path]),
        Xml.element("format", { type: format }),
        permissions("0600"),
        timestamps(volume.file),
        header?.compat === "1.1" ? Xml.element("compat", {}, ["1.1"]) : undefined,
        header !== undefined && probed ? Xml.element("clusterSize", { unit: "B" }, ["65536"]) : undefined,
        header?.compat === "1.1" && probed ? Xml.element("features") : undefined
      ]),
      backing === undefined
        ? undefined
        : Xml.element("backingStore", {}, [
            Xml.element("path", {}, [backing.path]),
            Xml.element("format", { type: backing.format ?? "raw" }),
            permissions("0600"),
            timestamps(host.files.files.get(backing.path) ?? volume.file)
          ])
    ])
  )
}

const timestamps = (file: HostFile): Xml.Element => {
  const time = (file.modified / 1000).toFixed(9)
  return Xml.element("timestamps", {}, [
    Xml.element("atime", {}, [time]),
    Xml.element("mtime", {}, [time]),
    Xml.element("ctime", {}, [time]),
    Xml.element("btime", {}, ["0"])
  ])
}

/** The active pool's volumes by name. @since 0.1.0 @category procedures */
export const listVolumes = (host: HostState, pool: SimulatedPool): Answer<ReadonlyArray<Volume>> =>
  Either.map(active(pool), () =>
    [...pool.volumes.keys()].flatMap((name) => {
      const volume = volumeIn(host, pool, name)
      return volume === undefined ? [] : [volume]
    })
  )

/**
 * Where an upload's bytes go. `write` refuses what is beyond the length that was announced (0: no limit) and what does not fit on the
 * disk.
 *
 * @since 0.1.0 @category procedures
 */
export const uploadTo = (
  host: HostState,
  volume: Volume,
  range: { readonly offset: number; readonly length: number }
): {
  readonly write: (bytes: Uint8Array) => Answer<void>
  readonly skip: (length: number) => void
  readonly close: () => void
} => {
  let at = range.offset
  return {
    write: (bytes) => {
      const beyond = range.length > 0 && at + bytes.length > range.offset + range.length
      const grows = Math.max(0, at + bytes.length - Math.max(volume.file.allocation, at))
      if (beyond || (grows > 0 && grows > host.files.free)) {
        return Either.left(
          systemError(from.streams, errno.ENOSPC, beyond ? "cannot write to stream" : `Unable to write ${volume.path}`)
        )
      }
      volume.file.write(at, bytes)
      at += bytes.length
      return Either.right(undefined)
    },
    skip: (length) => {
      at += length
      if (at > volume.file.size) volume.file.resize(at)
    },
    close: () => {
      volume.file.modified = host.now()
      // the daemon looks at the pool again after every upload
      if (volume.pool.active) Either.getOrElse(refresh(host, volume.pool), () => {})
    }
  }
}
