/**
 * Structures that several procedures share, as `remote_protocol.x` of libvirt 9.0.0 lays them out.
 *
 * @since 0.1.0
 */
import * as Xdr from "./Xdr.ts"

/** REMOTE_STRING_MAX @since 0.15.0 @category constants */
export const longest = 4_194_304

/** @since 0.1.0 @category codecs */
export const str = Xdr.string(longest)

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

/** bytes of a UUID before which its text has a dash */
const dashes = new Set([4, 6, 8, 10])

/** 16 bytes; as text lower case with dashes. @since 0.1.0 @category codecs */
export const uuid: Xdr.Codec<string> = Xdr.map(
  Xdr.fixedBytes(16),
  (bytes) => {
    let text = ""
    for (const [at, byte] of bytes.entries()) text += `${dashes.has(at) ? "-" : ""}${hex[byte] ?? ""}`
    return text
  },
  (text) => {
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text))
      return Xdr.refuse(`${JSON.stringify(text)} is not a UUID`)
    return Uint8Array.from(text.replaceAll("-", "").match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
  }
)

/** An array of C `char`: four bytes each on the wire, NUL bytes at the end are not part of the text. @since 0.1.0 @category codecs */
export const chars = (max: number): Xdr.Codec<string> => Xdr.map(Xdr.array(Xdr.i32, max), fromChars, toChars)

/** `char[length]`, filled up with NUL. @since 0.1.0 @category codecs */
export const fixedChars = (length: number): Xdr.Codec<string> =>
  Xdr.map(Xdr.fixedArray(Xdr.i32, length), fromChars, (text) => {
    const codes = toChars(text)
    return codes.length > length
      ? Xdr.refuse(`${text.length} characters, at most ${length} are allowed`)
      : [...codes, ...Array.from({ length: length - codes.length }, () => 0)]
  })

const fromChars = (codes: ReadonlyArray<number>): string => {
  const end = codes.indexOf(0)
  return new TextDecoder().decode(Uint8Array.from(end === -1 ? codes : codes.slice(0, end), (code) => code & 0xff))
}

const toChars = (text: string): ReadonlyArray<number> => Array.from(new TextEncoder().encode(text))

/** A domain; `id` is -1 when it does not run. As an argument only the uuid counts. @since 0.1.0 @category codecs */
export const Dom = Xdr.struct({ name: str, uuid, id: Xdr.i32 })
/** @since 0.1.0 @category models */
export type Dom = Xdr.Type<typeof Dom>
/** A network. @since 0.1.0 @category codecs */
export const Net = Xdr.struct({ name: str, uuid })
/** @since 0.1.0 @category models */
export type Net = Xdr.Type<typeof Net>
/** A storage pool. @since 0.1.0 @category codecs */
export const Pool = Xdr.struct({ name: str, uuid })
/** @since 0.1.0 @category models */
export type Pool = Xdr.Type<typeof Pool>
/** A storage volume; for file pools `key` is the absolute path. @since 0.1.0 @category codecs */
export const Vol = Xdr.struct({ pool: str, name: str, key: str })
/** @since 0.1.0 @category models */
export type Vol = Xdr.Type<typeof Vol>
/** @since 0.1.0 @category codecs */
export const Secret = Xdr.struct({ uuid, usageType: Xdr.i32, usageID: str })
/** @since 0.1.0 @category codecs */
export const Snap = Xdr.struct({ name: str, dom: Dom })
/** A network port. @since 0.1.0 @category codecs */
export const Port = Xdr.struct({ net: Net, uuid })

/** A typed parameter's value with its type on the wire. @since 0.1.0 @category models */
export type ParameterValue =
  | { readonly type: "int" | "uint" | "double"; readonly value: number }
  | { readonly type: "llong" | "ullong"; readonly value: bigint }
  | { readonly type: "boolean"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }

const parameterValue: Xdr.Codec<ParameterValue> = {
  write: (w, parameter) => {
    switch (parameter.type) {
      case "int":
        w.i32(1)
        return w.i32(parameter.value)
      case "uint":
        w.i32(2)
        return w.u32(parameter.value)
      case "llong":
        w.i32(3)
        return w.i64(parameter.value)
      case "ullong":
        w.i32(4)
        return w.u64(parameter.value)
      case "double":
        w.i32(5)
        return w.f64(parameter.value)
      case "boolean":
        w.i32(6)
        return w.i32(parameter.value ? 1 : 0)
      case "string":
        w.i32(7)
        return str.write(w, parameter.value)
    }
  },
  read: (r) => {
    const type = r.i32()
    switch (type) {
      case 1:
        return { type: "int", value: r.i32() }
      case 2:
        return { type: "uint", value: r.u32() }
      case 3:
        return { type: "llong", value: r.i64() }
      case 4:
        return { type: "ullong", value: r.u64() }
      case 5:
        return { type: "double", value: r.f64() }
      case 6:
        return { type: "boolean", value: r.i32() !== 0 }
      case 7:
        return { type: "string", value: str.read(r) }
      default:
        return Xdr.refuse(`${type} is not a type of a typed parameter`)
    }
  }
}

/** @since 0.1.0 @category codecs */
export const TypedParameter = Xdr.struct({ field: Xdr.symbol(longest), value: parameterValue })
/** @since 0.1.0 @category models */
export type TypedParameter = Xdr.Type<typeof TypedParameter>

/** @since 0.1.0 @category codecs */
export const NodeStat = Xdr.struct({ field: str, value: Xdr.u64 })
/** @since 0.1.0 @category codecs */
export const VcpuInfo = Xdr.struct({ number: Xdr.u32, state: Xdr.i32, cpu_time: Xdr.u64, cpu: Xdr.i32 })
/** @since 0.1.0 @category codecs */
export const MemoryStat = Xdr.struct({ tag: Xdr.i32, val: Xdr.u64 })
/** @since 0.1.0 @category codecs */
export const DiskError = Xdr.struct({ disk: str, error: Xdr.i32 })
/** REMOTE_DOMAIN_LIST_MAX, and REMOTE_CONNECT_GET_ALL_DOMAIN_STATS_MAX of parameters @since 0.15.0 @category constants */
export const mostStats = { domains: 16_384, parameters: 262_144 } as const

/** @since 0.1.0 @category codecs */
export const DomainStats = Xdr.struct({ dom: Dom, params: Xdr.array(TypedParameter, mostStats.parameters) })
/** @since 0.1.0 @category codecs */
export const IothreadInfo = Xdr.struct({ iothread_id: Xdr.u32, cpumap: Xdr.variableBytes(2048) })
/** @since 0.1.0 @category codecs */
export const IpAddress = Xdr.struct({ type: Xdr.i32, addr: str, prefix: Xdr.u32 })
/** A network interface of the host. @since 0.6.0 @category codecs */
export const Interface = Xdr.struct({ name: str, mac: str })
/** @since 0.1.0 @category codecs */
export const DomainInterface = Xdr.struct({
  name: str,
  hwaddr: Xdr.optional(str),
  addrs: Xdr.array(IpAddress, 2048)
})
/** @since 0.1.0 @category codecs */
export const FilesystemInfo = Xdr.struct({
  mountpoint: str,
  name: str,
  fstype: str,
  dev_aliases: Xdr.array(str, 256)
})
/** @since 0.1.0 @category codecs */
export const DhcpLease = Xdr.struct({
  iface: str,
  expirytime: Xdr.i64,
  type: Xdr.i32,
  mac: Xdr.optional(str),
  iaid: Xdr.optional(str),
  ipaddr: str,
  prefix: Xdr.u32,
  hostname: Xdr.optional(str),
  clientid: Xdr.optional(str)
})
/** @since 0.1.0 @category codecs */
export const SecurityLabel = Xdr.struct({ label: chars(4097), enforcing: Xdr.i32 })

/** What a REPLY or STREAM packet with status ERROR carries. @since 0.1.0 @category codecs */
export const RemoteError = Xdr.struct({
  code: Xdr.i32,
  domain: Xdr.i32,
  message: Xdr.optional(str),
  level: Xdr.i32,
  dom: Xdr.optional(Dom),
  str1: Xdr.optional(str),
  str2: Xdr.optional(str),
  str3: Xdr.optional(str),
  int1: Xdr.i32,
  int2: Xdr.i32,
  net: Xdr.optional(Net)
})
/** @since 0.1.0 @category models */
export type RemoteError = Xdr.Type<typeof RemoteError>
