/**
 * libvirt's remote procedures: one table, from which client, server and their types follow.
 *
 * Layouts are those of `remote_protocol.x` in libvirt 9.0.0; the protocol only ever grows, so they hold for every later daemon. Left out on
 * purpose: procedures that pass file descriptors. Over SSH the descriptor is lost, and the byte that carried it destroys the framing.
 *
 * @since 0.1.0
 */
import * as S from "./Structs.ts"
import * as Xdr from "./Xdr.ts"

/** Direction of the data on the stream that a procedure opens, seen from the client. @since 0.1.0 @category models */
export type StreamDirection = "read" | "write" | "both"

/** @since 0.1.0 @category models */
export interface Procedure<A, R, D extends StreamDirection | null> {
  readonly number: number
  readonly args: Xdr.Codec<A>
  readonly reply: Xdr.Codec<R>
  /** served by the daemon's priority workers, even when the others all hang */
  readonly priority: boolean
  readonly stream: D
}

const procedure = <A, R, const D extends StreamDirection | null = null>(given: {
  readonly number: number
  readonly args: Xdr.Codec<A>
  readonly reply: Xdr.Codec<R>
  readonly priority?: true
  readonly stream?: D
}): Procedure<A, R, D | null> => ({
  number: given.number,
  args: given.args,
  reply: given.reply,
  priority: given.priority === true,
  stream: given.stream ?? null
})

/** The REMOTE program's procedures by name. @since 0.1.0 @category table */
// prettier-ignore
export const procedures = {
  // Auth
  AUTH_LIST: procedure({ number: 66, args: Xdr.nothing, reply: Xdr.struct({ types: Xdr.array(Xdr.i32, 20) }), priority: true }),
  AUTH_POLKIT: procedure({ number: 70, args: Xdr.nothing, reply: Xdr.struct({ complete: Xdr.i32 }), priority: true }),
  // Connection
  CONNECT_OPEN: procedure({ number: 1, args: Xdr.struct({ name: Xdr.optional(S.str), flags: Xdr.u32 }), reply: Xdr.nothing, priority: true }),
  CONNECT_CLOSE: procedure({ number: 2, args: Xdr.nothing, reply: Xdr.nothing, priority: true }),
  CONNECT_GET_TYPE: procedure({ number: 3, args: Xdr.nothing, reply: Xdr.struct({ type: S.str }), priority: true }),
  CONNECT_GET_VERSION: procedure({ number: 4, args: Xdr.nothing, reply: Xdr.struct({ hv_ver: Xdr.u64 }), priority: true }),
  CONNECT_GET_MAX_VCPUS: procedure({ number: 5, args: Xdr.struct({ type: Xdr.optional(S.str) }), reply: Xdr.struct({ max_vcpus: Xdr.i32 }), priority: true }),
  CONNECT_GET_CAPABILITIES: procedure({ number: 7, args: Xdr.nothing, reply: Xdr.struct({ capabilities: S.str }) }),
  CONNECT_LIST_DEFINED_DOMAINS: procedure({ number: 21, args: Xdr.struct({ maxnames: Xdr.i32 }), reply: Xdr.struct({ names: Xdr.array(S.str, 16_384) }), priority: true }),
  CONNECT_NUM_OF_DEFINED_DOMAINS: procedure({ number: 25, args: Xdr.nothing, reply: Xdr.struct({ num: Xdr.i32 }), priority: true }),
  CONNECT_LIST_DOMAINS: procedure({ number: 37, args: Xdr.struct({ maxids: Xdr.i32 }), reply: Xdr.struct({ ids: Xdr.array(Xdr.i32, 16_384) }), priority: true }),
  CONNECT_NUM_OF_DOMAINS: procedure({ number: 51, args: Xdr.nothing, reply: Xdr.struct({ num: Xdr.i32 }), priority: true }),
  CONNECT_GET_HOSTNAME: procedure({ number: 59, args: Xdr.nothing, reply: Xdr.struct({ hostname: S.str }), priority: true }),
  CONNECT_SUPPORTS_FEATURE: procedure({ number: 60, args: Xdr.struct({ feature: Xdr.i32 }), reply: Xdr.struct({ supported: Xdr.i32 }), priority: true }),
  CONNECT_GET_URI: procedure({ number: 110, args: Xdr.nothing, reply: Xdr.struct({ uri: S.str }), priority: true }),
  CONNECT_DOMAIN_XML_FROM_NATIVE: procedure({ number: 135, args: Xdr.struct({ nativeFormat: S.str, nativeConfig: S.str, flags: Xdr.u32 }), reply: Xdr.struct({ domainXml: S.str }) }),
  CONNECT_DOMAIN_XML_TO_NATIVE: procedure({ number: 136, args: Xdr.struct({ nativeFormat: S.str, domainXml: S.str, flags: Xdr.u32 }), reply: Xdr.struct({ nativeConfig: S.str }) }),
  CONNECT_IS_SECURE: procedure({ number: 149, args: Xdr.nothing, reply: Xdr.struct({ secure: Xdr.i32 }), priority: true }),
  CONNECT_GET_LIB_VERSION: procedure({ number: 157, args: Xdr.nothing, reply: Xdr.struct({ lib_ver: Xdr.u64 }), priority: true }),
  CONNECT_COMPARE_CPU: procedure({ number: 158, args: Xdr.struct({ xml: S.str, flags: Xdr.u32 }), reply: Xdr.struct({ result: Xdr.i32 }), priority: true }),
  CONNECT_BASELINE_CPU: procedure({ number: 162, args: Xdr.struct({ xmlCPUs: Xdr.array(S.str, 256), flags: Xdr.u32 }), reply: Xdr.struct({ cpu: S.str }) }),
  CONNECT_GET_SYSINFO: procedure({ number: 203, args: Xdr.struct({ flags: Xdr.u32 }), reply: Xdr.struct({ sysinfo: S.str }), priority: true }),
  CONNECT_LIST_ALL_DOMAINS: procedure({ number: 273, args: Xdr.struct({ need_results: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ domains: Xdr.array(S.Dom, 16_384), ret: Xdr.u32 }), priority: true }),
  CONNECT_GET_CPU_MODEL_NAMES: procedure({ number: 312, args: Xdr.struct({ arch: S.str, need_results: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ models: Xdr.array(S.str, 8_192), ret: Xdr.i32 }) }),
  CONNECT_GET_DOMAIN_CAPABILITIES: procedure({ number: 342, args: Xdr.struct({ emulatorbin: Xdr.optional(S.str), arch: Xdr.optional(S.str), machine: Xdr.optional(S.str), virttype: Xdr.optional(S.str), flags: Xdr.u32 }), reply: Xdr.struct({ capabilities: S.str }) }),
  CONNECT_GET_ALL_DOMAIN_STATS: procedure({ number: 344, args: Xdr.struct({ doms: Xdr.array(S.Dom, 16_384), stats: Xdr.u32, flags: Xdr.u32 }), reply: Xdr.struct({ retStats: Xdr.array(S.DomainStats, S.mostStats.domains) }) }),
  CONNECT_REGISTER_CLOSE_CALLBACK: procedure({ number: 360, args: Xdr.nothing, reply: Xdr.nothing, priority: true }),
  CONNECT_UNREGISTER_CLOSE_CALLBACK: procedure({ number: 361, args: Xdr.nothing, reply: Xdr.nothing, priority: true }),
  CONNECT_COMPARE_HYPERVISOR_CPU: procedure({ number: 393, args: Xdr.struct({ emulator: Xdr.optional(S.str), arch: Xdr.optional(S.str), machine: Xdr.optional(S.str), virttype: Xdr.optional(S.str), xmlCPU: S.str, flags: Xdr.u32 }), reply: Xdr.struct({ result: Xdr.i32 }) }),
  CONNECT_BASELINE_HYPERVISOR_CPU: procedure({ number: 394, args: Xdr.struct({ emulator: Xdr.optional(S.str), arch: Xdr.optional(S.str), machine: Xdr.optional(S.str), virttype: Xdr.optional(S.str), xmlCPUs: Xdr.array(S.str, 256), flags: Xdr.u32 }), reply: Xdr.struct({ cpu: S.str }) }),
  CONNECT_SET_IDENTITY: procedure({ number: 419, args: Xdr.struct({ params: Xdr.array(S.TypedParameter, 20), flags: Xdr.u32 }), reply: Xdr.nothing }),
  // Node (host)
  NODE_GET_INFO: procedure({ number: 6, args: Xdr.nothing, reply: Xdr.struct({ model: S.fixedChars(32), memory: Xdr.u64, cpus: Xdr.i32, mhz: Xdr.i32, nodes: Xdr.i32, sockets: Xdr.i32, cores: Xdr.i32, threads: Xdr.i32 }), priority: true }),
  NODE_GET_CELLS_FREE_MEMORY: procedure({ number: 101, args: Xdr.struct({ startCell: Xdr.i32, maxcells: Xdr.i32 }), reply: Xdr.struct({ cells: Xdr.array(Xdr.u64, 1_024) }), priority: true }),
  NODE_GET_FREE_MEMORY: procedure({ number: 102, args: Xdr.nothing, reply: Xdr.struct({ freeMem: Xdr.u64 }), priority: true }),
  NODE_GET_SECURITY_MODEL: procedure({ number: 122, args: Xdr.nothing, reply: Xdr.struct({ model: S.chars(257), doi: S.chars(257) }), priority: true }),
  NODE_GET_CPU_STATS: procedure({ number: 227, args: Xdr.struct({ cpuNum: Xdr.i32, nparams: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ params: Xdr.array(S.NodeStat, 16), nparams: Xdr.i32 }), priority: true }),
  NODE_GET_MEMORY_STATS: procedure({ number: 228, args: Xdr.struct({ nparams: Xdr.i32, cellNum: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ params: Xdr.array(S.NodeStat, 16), nparams: Xdr.i32 }), priority: true }),
  NODE_SUSPEND_FOR_DURATION: procedure({ number: 250, args: Xdr.struct({ target: Xdr.u32, duration: Xdr.u64, flags: Xdr.u32 }), reply: Xdr.nothing }),
  NODE_SET_MEMORY_PARAMETERS: procedure({ number: 288, args: Xdr.struct({ params: Xdr.array(S.TypedParameter, 64), flags: Xdr.u32 }), reply: Xdr.nothing }),
  NODE_GET_MEMORY_PARAMETERS: procedure({ number: 289, args: Xdr.struct({ nparams: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ params: Xdr.array(S.TypedParameter, 64), nparams: Xdr.i32 }) }),
  NODE_GET_CPU_MAP: procedure({ number: 293, args: Xdr.struct({ need_map: Xdr.i32, need_online: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ cpumap: Xdr.variableBytes(2_048), online: Xdr.u32, ret: Xdr.i32 }) }),
  NODE_GET_FREE_PAGES: procedure({ number: 340, args: Xdr.struct({ pages: Xdr.array(Xdr.u32, 1_024), startCell: Xdr.i32, cellCount: Xdr.u32, flags: Xdr.u32 }), reply: Xdr.struct({ counts: Xdr.array(Xdr.u64, 1_024) }), priority: true }),
  NODE_ALLOC_PAGES: procedure({ number: 347, args: Xdr.struct({ pageSizes: Xdr.array(Xdr.u32, 1_024), pageCounts: Xdr.array(Xdr.u64, 1_024), startCell: Xdr.i32, cellCount: Xdr.u32, flags: Xdr.u32 }), reply: Xdr.struct({ ret: Xdr.i32 }) }),
  NODE_GET_SEV_INFO: procedure({ number: 395, args: Xdr.struct({ nparams: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ params: Xdr.array(S.TypedParameter, 64), nparams: Xdr.i32 }) }),
  // Domain: lifecycle and definition
  DOMAIN_ATTACH_DEVICE: procedure({ number: 8, args: Xdr.struct({ dom: S.Dom, xml: S.str }), reply: Xdr.nothing }),
  DOMAIN_CREATE: procedure({ number: 9, args: Xdr.struct({ dom: S.Dom }), reply: Xdr.nothing }),
  DOMAIN_CREATE_XML: procedure({ number: 10, args: Xdr.struct({ xml_desc: S.str, flags: Xdr.u32 }), reply: Xdr.struct({ dom: S.Dom }) }),
  DOMAIN_DEFINE_XML: procedure({ number: 11, args: Xdr.struct({ xml: S.str }), reply: Xdr.struct({ dom: S.Dom }), priority: true }),
  DOMAIN_DESTROY: procedure({ number: 12, args: Xdr.struct({ dom: S.Dom }), reply: Xdr.nothing, priority: true }),
  DOMAIN_DETACH_DEVICE: procedure({ number: 13, args: Xdr.struct({ dom: S.Dom, xml: S.str }), reply: Xdr.nothing }),
  DOMAIN_GET_XML_DESC: procedure({ number: 14, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ xml: S.str }) }),
  DOMAIN_GET_AUTOSTART: procedure({ number: 15, args: Xdr.struct({ dom: S.Dom }), reply: Xdr.struct({ autostart: Xdr.i32 }), priority: true }),
  DOMAIN_GET_INFO: procedure({ number: 16, args: Xdr.struct({ dom: S.Dom }), reply: Xdr.struct({ state: Xdr.u32, maxMem: Xdr.u64, memory: Xdr.u64, nrVirtCpu: Xdr.u32, cpuTime: Xdr.u64 }) }),
  DOMAIN_GET_OS_TYPE: procedure({ number: 19, args: Xdr.struct({ dom: S.Dom }), reply: Xdr.struct({ type: S.str }), priority: true }),
  DOMAIN_LOOKUP_BY_ID: procedure({ number: 22, args: Xdr.struct({ id: Xdr.i32 }), reply: Xdr.struct({ dom: S.Dom }), priority: true }),
  DOMAIN_LOOKUP_BY_NAME: procedure({ number: 23, args: Xdr.struct({ name: S.str }), reply: Xdr.struct({ dom: S.Dom }), priority: true }),
  DOMAIN_LOOKUP_BY_UUID: procedure({ number: 24, args: Xdr.struct({ uuid: S.uuid }), reply: Xdr.struct({ dom: S.Dom }), priority: true }),
  DOMAIN_REBOOT: procedure({ number: 27, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_RESUME: procedure({ number: 28, args: Xdr.struct({ dom: S.Dom }), reply: Xdr.nothing }),
  DOMAIN_SET_AUTOSTART: procedure({ number: 29, args: Xdr.struct({ dom: S.Dom, autostart: Xdr.i32 }), reply: Xdr.nothing, priority: true }),
  DOMAIN_SHUTDOWN: procedure({ number: 33, args: Xdr.struct({ dom: S.Dom }), reply: Xdr.nothing }),
  DOMAIN_SUSPEND: procedure({ number: 34, args: Xdr.struct({ dom: S.Dom }), reply: Xdr.nothing }),
  DOMAIN_UNDEFINE: procedure({ number: 35, args: Xdr.struct({ dom: S.Dom }), reply: Xdr.nothing, priority: true }),
  DOMAIN_IS_ACTIVE: procedure({ number: 150, args: Xdr.struct({ dom: S.Dom }), reply: Xdr.struct({ active: Xdr.i32 }), priority: true }),
  DOMAIN_IS_PERSISTENT: procedure({ number: 151, args: Xdr.struct({ dom: S.Dom }), reply: Xdr.struct({ persistent: Xdr.i32 }), priority: true }),
  DOMAIN_ATTACH_DEVICE_FLAGS: procedure({ number: 160, args: Xdr.struct({ dom: S.Dom, xml: S.str, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_DETACH_DEVICE_FLAGS: procedure({ number: 161, args: Xdr.struct({ dom: S.Dom, xml: S.str, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_UPDATE_DEVICE_FLAGS: procedure({ number: 174, args: Xdr.struct({ dom: S.Dom, xml: S.str, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_CREATE_WITH_FLAGS: procedure({ number: 196, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ dom: S.Dom }) }),
  DOMAIN_IS_UPDATED: procedure({ number: 202, args: Xdr.struct({ dom: S.Dom }), reply: Xdr.struct({ updated: Xdr.i32 }), priority: true }),
  DOMAIN_GET_STATE: procedure({ number: 212, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ state: Xdr.i32, reason: Xdr.i32 }), priority: true }),
  DOMAIN_UNDEFINE_FLAGS: procedure({ number: 231, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.nothing, priority: true }),
  DOMAIN_DESTROY_FLAGS: procedure({ number: 234, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.nothing, priority: true }),
  DOMAIN_RESET: procedure({ number: 245, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_SHUTDOWN_FLAGS: procedure({ number: 258, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_SET_METADATA: procedure({ number: 264, args: Xdr.struct({ dom: S.Dom, type: Xdr.i32, metadata: Xdr.optional(S.str), key: Xdr.optional(S.str), uri: Xdr.optional(S.str), flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_GET_METADATA: procedure({ number: 265, args: Xdr.struct({ dom: S.Dom, type: Xdr.i32, uri: Xdr.optional(S.str), flags: Xdr.u32 }), reply: Xdr.struct({ metadata: S.str }) }),
  DOMAIN_DEFINE_XML_FLAGS: procedure({ number: 350, args: Xdr.struct({ xml: S.str, flags: Xdr.u32 }), reply: Xdr.struct({ dom: S.Dom }), priority: true }),
  DOMAIN_RENAME: procedure({ number: 358, args: Xdr.struct({ dom: S.Dom, new_name: Xdr.optional(S.str), flags: Xdr.u32 }), reply: Xdr.struct({ retcode: Xdr.i32 }) }),
  DOMAIN_SET_LIFECYCLE_ACTION: procedure({ number: 390, args: Xdr.struct({ dom: S.Dom, type: Xdr.u32, action: Xdr.u32, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_DETACH_DEVICE_ALIAS: procedure({ number: 392, args: Xdr.struct({ dom: S.Dom, alias: S.str, flags: Xdr.u32 }), reply: Xdr.nothing }),
  // Domain: CPU, memory, tuning, statistics
  DOMAIN_GET_MAX_MEMORY: procedure({ number: 17, args: Xdr.struct({ dom: S.Dom }), reply: Xdr.struct({ memory: Xdr.u64 }), priority: true }),
  DOMAIN_GET_MAX_VCPUS: procedure({ number: 18, args: Xdr.struct({ dom: S.Dom }), reply: Xdr.struct({ num: Xdr.i32 }), priority: true }),
  DOMAIN_GET_VCPUS: procedure({ number: 20, args: Xdr.struct({ dom: S.Dom, maxinfo: Xdr.i32, maplen: Xdr.i32 }), reply: Xdr.struct({ info: Xdr.array(S.VcpuInfo, 16_384), cpumaps: Xdr.variableBytes(8_388_608) }), priority: true }),
  DOMAIN_PIN_VCPU: procedure({ number: 26, args: Xdr.struct({ dom: S.Dom, vcpu: Xdr.u32, cpumap: Xdr.variableBytes(2_048) }), reply: Xdr.nothing }),
  DOMAIN_SET_MAX_MEMORY: procedure({ number: 30, args: Xdr.struct({ dom: S.Dom, memory: Xdr.u64 }), reply: Xdr.nothing, priority: true }),
  DOMAIN_SET_MEMORY: procedure({ number: 31, args: Xdr.struct({ dom: S.Dom, memory: Xdr.u64 }), reply: Xdr.nothing }),
  DOMAIN_SET_VCPUS: procedure({ number: 32, args: Xdr.struct({ dom: S.Dom, nvcpus: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_GET_SCHEDULER_TYPE: procedure({ number: 56, args: Xdr.struct({ dom: S.Dom }), reply: Xdr.struct({ type: S.str, nparams: Xdr.i32 }) }),
  DOMAIN_GET_SCHEDULER_PARAMETERS: procedure({ number: 57, args: Xdr.struct({ dom: S.Dom, nparams: Xdr.i32 }), reply: Xdr.struct({ params: Xdr.array(S.TypedParameter, 16) }) }),
  DOMAIN_SET_SCHEDULER_PARAMETERS: procedure({ number: 58, args: Xdr.struct({ dom: S.Dom, params: Xdr.array(S.TypedParameter, 16) }), reply: Xdr.nothing }),
  DOMAIN_INTERFACE_STATS: procedure({ number: 65, args: Xdr.struct({ dom: S.Dom, device: S.str }), reply: Xdr.struct({ rx_bytes: Xdr.i64, rx_packets: Xdr.i64, rx_errs: Xdr.i64, rx_drop: Xdr.i64, tx_bytes: Xdr.i64, tx_packets: Xdr.i64, tx_errs: Xdr.i64, tx_drop: Xdr.i64 }), priority: true }),
  DOMAIN_GET_SECURITY_LABEL: procedure({ number: 121, args: Xdr.struct({ dom: S.Dom }), reply: Xdr.struct({ label: S.chars(4_097), enforcing: Xdr.i32 }), priority: true }),
  DOMAIN_MEMORY_STATS: procedure({ number: 159, args: Xdr.struct({ dom: S.Dom, maxStats: Xdr.u32, flags: Xdr.u32 }), reply: Xdr.struct({ stats: Xdr.array(S.MemoryStat, 1_024) }) }),
  DOMAIN_SET_MEMORY_PARAMETERS: procedure({ number: 197, args: Xdr.struct({ dom: S.Dom, params: Xdr.array(S.TypedParameter, 16), flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_GET_MEMORY_PARAMETERS: procedure({ number: 198, args: Xdr.struct({ dom: S.Dom, nparams: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ params: Xdr.array(S.TypedParameter, 16), nparams: Xdr.i32 }) }),
  DOMAIN_SET_VCPUS_FLAGS: procedure({ number: 199, args: Xdr.struct({ dom: S.Dom, nvcpus: Xdr.u32, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_GET_VCPUS_FLAGS: procedure({ number: 200, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ num: Xdr.i32 }) }),
  DOMAIN_SET_MEMORY_FLAGS: procedure({ number: 204, args: Xdr.struct({ dom: S.Dom, memory: Xdr.u64, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_SET_BLKIO_PARAMETERS: procedure({ number: 205, args: Xdr.struct({ dom: S.Dom, params: Xdr.array(S.TypedParameter, 16), flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_GET_BLKIO_PARAMETERS: procedure({ number: 206, args: Xdr.struct({ dom: S.Dom, nparams: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ params: Xdr.array(S.TypedParameter, 16), nparams: Xdr.i32 }) }),
  DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS: procedure({ number: 219, args: Xdr.struct({ dom: S.Dom, params: Xdr.array(S.TypedParameter, 16), flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS: procedure({ number: 223, args: Xdr.struct({ dom: S.Dom, nparams: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ params: Xdr.array(S.TypedParameter, 16) }) }),
  DOMAIN_PIN_VCPU_FLAGS: procedure({ number: 225, args: Xdr.struct({ dom: S.Dom, vcpu: Xdr.u32, cpumap: Xdr.variableBytes(2_048), flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_GET_CONTROL_INFO: procedure({ number: 229, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ state: Xdr.u32, details: Xdr.u32, stateTime: Xdr.u64 }), priority: true }),
  DOMAIN_GET_VCPU_PIN_INFO: procedure({ number: 230, args: Xdr.struct({ dom: S.Dom, ncpumaps: Xdr.i32, maplen: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ cpumaps: Xdr.variableBytes(8_388_608), num: Xdr.i32 }) }),
  DOMAIN_SET_NUMA_PARAMETERS: procedure({ number: 254, args: Xdr.struct({ dom: S.Dom, params: Xdr.array(S.TypedParameter, 16), flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_GET_NUMA_PARAMETERS: procedure({ number: 255, args: Xdr.struct({ dom: S.Dom, nparams: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ params: Xdr.array(S.TypedParameter, 16), nparams: Xdr.i32 }) }),
  DOMAIN_SET_INTERFACE_PARAMETERS: procedure({ number: 256, args: Xdr.struct({ dom: S.Dom, device: S.str, params: Xdr.array(S.TypedParameter, 16), flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_GET_INTERFACE_PARAMETERS: procedure({ number: 257, args: Xdr.struct({ dom: S.Dom, device: S.str, nparams: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ params: Xdr.array(S.TypedParameter, 16), nparams: Xdr.i32 }) }),
  DOMAIN_GET_CPU_STATS: procedure({ number: 262, args: Xdr.struct({ dom: S.Dom, nparams: Xdr.u32, start_cpu: Xdr.i32, ncpus: Xdr.u32, flags: Xdr.u32 }), reply: Xdr.struct({ params: Xdr.array(S.TypedParameter, 2_048), nparams: Xdr.i32 }) }),
  DOMAIN_GET_SECURITY_LABEL_LIST: procedure({ number: 278, args: Xdr.struct({ dom: S.Dom }), reply: Xdr.struct({ labels: Xdr.array(S.SecurityLabel, 64), ret: Xdr.i32 }), priority: true }),
  DOMAIN_PIN_EMULATOR: procedure({ number: 279, args: Xdr.struct({ dom: S.Dom, cpumap: Xdr.variableBytes(2_048), flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_GET_EMULATOR_PIN_INFO: procedure({ number: 280, args: Xdr.struct({ dom: S.Dom, maplen: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ cpumaps: Xdr.variableBytes(8_388_608), ret: Xdr.i32 }) }),
  DOMAIN_SET_MEMORY_STATS_PERIOD: procedure({ number: 308, args: Xdr.struct({ dom: S.Dom, period: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_GET_IOTHREAD_INFO: procedure({ number: 351, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ info: Xdr.array(S.IothreadInfo, 16_384), ret: Xdr.u32 }) }),
  DOMAIN_PIN_IOTHREAD: procedure({ number: 352, args: Xdr.struct({ dom: S.Dom, iothreads_id: Xdr.u32, cpumap: Xdr.variableBytes(2_048), flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_ADD_IOTHREAD: procedure({ number: 355, args: Xdr.struct({ dom: S.Dom, iothread_id: Xdr.u32, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_DEL_IOTHREAD: procedure({ number: 356, args: Xdr.struct({ dom: S.Dom, iothread_id: Xdr.u32, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_SET_VCPU: procedure({ number: 384, args: Xdr.struct({ dom: S.Dom, cpumap: S.str, state: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_GET_LAUNCH_SECURITY_INFO: procedure({ number: 396, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ params: Xdr.array(S.TypedParameter, 64) }) }),
  DOMAIN_SET_IOTHREAD_PARAMS: procedure({ number: 402, args: Xdr.struct({ dom: S.Dom, iothread_id: Xdr.u32, params: Xdr.array(S.TypedParameter, 64), flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_GET_MESSAGES: procedure({ number: 426, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ msgs: Xdr.array(S.str, 2_048) }) }),
  DOMAIN_START_DIRTY_RATE_CALC: procedure({ number: 427, args: Xdr.struct({ dom: S.Dom, seconds: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_SET_LAUNCH_SECURITY_STATE: procedure({ number: 439, args: Xdr.struct({ dom: S.Dom, params: Xdr.array(S.TypedParameter, 64), flags: Xdr.u32 }), reply: Xdr.nothing }),
  // Domain: block devices
  DOMAIN_BLOCK_STATS: procedure({ number: 64, args: Xdr.struct({ dom: S.Dom, path: S.str }), reply: Xdr.struct({ rd_req: Xdr.i64, rd_bytes: Xdr.i64, wr_req: Xdr.i64, wr_bytes: Xdr.i64, errs: Xdr.i64 }) }),
  DOMAIN_BLOCK_PEEK: procedure({ number: 103, args: Xdr.struct({ dom: S.Dom, path: S.str, offset: Xdr.u64, size: Xdr.u32, flags: Xdr.u32 }), reply: Xdr.struct({ buffer: Xdr.variableBytes(4_194_304) }) }),
  DOMAIN_GET_BLOCK_INFO: procedure({ number: 194, args: Xdr.struct({ dom: S.Dom, path: S.str, flags: Xdr.u32 }), reply: Xdr.struct({ allocation: Xdr.u64, capacity: Xdr.u64, physical: Xdr.u64 }) }),
  DOMAIN_BLOCK_JOB_ABORT: procedure({ number: 237, args: Xdr.struct({ dom: S.Dom, path: S.str, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_GET_BLOCK_JOB_INFO: procedure({ number: 238, args: Xdr.struct({ dom: S.Dom, path: S.str, flags: Xdr.u32 }), reply: Xdr.struct({ found: Xdr.i32, type: Xdr.i32, bandwidth: Xdr.u64, cur: Xdr.u64, end: Xdr.u64 }) }),
  DOMAIN_BLOCK_JOB_SET_SPEED: procedure({ number: 239, args: Xdr.struct({ dom: S.Dom, path: S.str, bandwidth: Xdr.u64, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_BLOCK_PULL: procedure({ number: 240, args: Xdr.struct({ dom: S.Dom, path: S.str, bandwidth: Xdr.u64, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_BLOCK_STATS_FLAGS: procedure({ number: 243, args: Xdr.struct({ dom: S.Dom, path: S.str, nparams: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ params: Xdr.array(S.TypedParameter, 16), nparams: Xdr.i32 }) }),
  DOMAIN_BLOCK_RESIZE: procedure({ number: 251, args: Xdr.struct({ dom: S.Dom, disk: S.str, size: Xdr.u64, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_SET_BLOCK_IO_TUNE: procedure({ number: 252, args: Xdr.struct({ dom: S.Dom, disk: S.str, params: Xdr.array(S.TypedParameter, 32), flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_GET_BLOCK_IO_TUNE: procedure({ number: 253, args: Xdr.struct({ dom: S.Dom, disk: Xdr.optional(S.str), nparams: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ params: Xdr.array(S.TypedParameter, 32), nparams: Xdr.i32 }) }),
  DOMAIN_GET_DISK_ERRORS: procedure({ number: 263, args: Xdr.struct({ dom: S.Dom, maxerrors: Xdr.u32, flags: Xdr.u32 }), reply: Xdr.struct({ errors: Xdr.array(S.DiskError, 256), nerrors: Xdr.i32 }) }),
  DOMAIN_BLOCK_REBASE: procedure({ number: 266, args: Xdr.struct({ dom: S.Dom, path: S.str, base: Xdr.optional(S.str), bandwidth: Xdr.u64, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_BLOCK_COMMIT: procedure({ number: 290, args: Xdr.struct({ dom: S.Dom, disk: S.str, base: Xdr.optional(S.str), top: Xdr.optional(S.str), bandwidth: Xdr.u64, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_BLOCK_COPY: procedure({ number: 345, args: Xdr.struct({ dom: S.Dom, path: S.str, destxml: S.str, params: Xdr.array(S.TypedParameter, 16), flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_SET_BLOCK_THRESHOLD: procedure({ number: 386, args: Xdr.struct({ dom: S.Dom, dev: S.str, threshold: Xdr.u64, flags: Xdr.u32 }), reply: Xdr.nothing }),
  // Domain: save, dump, console, graphics
  DOMAIN_CORE_DUMP: procedure({ number: 53, args: Xdr.struct({ dom: S.Dom, to: S.str, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_RESTORE: procedure({ number: 54, args: Xdr.struct({ from: S.str }), reply: Xdr.nothing }),
  DOMAIN_SAVE: procedure({ number: 55, args: Xdr.struct({ dom: S.Dom, to: S.str }), reply: Xdr.nothing }),
  DOMAIN_MEMORY_PEEK: procedure({ number: 104, args: Xdr.struct({ dom: S.Dom, offset: Xdr.u64, size: Xdr.u32, flags: Xdr.u32 }), reply: Xdr.struct({ buffer: Xdr.variableBytes(4_194_304) }) }),
  DOMAIN_MANAGED_SAVE: procedure({ number: 182, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_HAS_MANAGED_SAVE_IMAGE: procedure({ number: 183, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ result: Xdr.i32 }) }),
  DOMAIN_MANAGED_SAVE_REMOVE: procedure({ number: 184, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_OPEN_CONSOLE: procedure({ number: 201, args: Xdr.struct({ dom: S.Dom, dev_name: Xdr.optional(S.str), flags: Xdr.u32 }), reply: Xdr.nothing, stream: "both" }),
  DOMAIN_INJECT_NMI: procedure({ number: 210, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_SCREENSHOT: procedure({ number: 211, args: Xdr.struct({ dom: S.Dom, screen: Xdr.u32, flags: Xdr.u32 }), reply: Xdr.struct({ mime: Xdr.optional(S.str) }), stream: "read" }),
  DOMAIN_SEND_KEY: procedure({ number: 226, args: Xdr.struct({ dom: S.Dom, codeset: Xdr.u32, holdtime: Xdr.u32, keycodes: Xdr.array(Xdr.u32, 16), flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_SAVE_FLAGS: procedure({ number: 232, args: Xdr.struct({ dom: S.Dom, to: S.str, dxml: Xdr.optional(S.str), flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_RESTORE_FLAGS: procedure({ number: 233, args: Xdr.struct({ from: S.str, dxml: Xdr.optional(S.str), flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_SAVE_IMAGE_GET_XML_DESC: procedure({ number: 235, args: Xdr.struct({ file: S.str, flags: Xdr.u32 }), reply: Xdr.struct({ xml: S.str }), priority: true }),
  DOMAIN_SAVE_IMAGE_DEFINE_XML: procedure({ number: 236, args: Xdr.struct({ file: S.str, dxml: S.str, flags: Xdr.u32 }), reply: Xdr.nothing, priority: true }),
  DOMAIN_SEND_PROCESS_SIGNAL: procedure({ number: 295, args: Xdr.struct({ dom: S.Dom, pid_value: Xdr.i64, signum: Xdr.u32, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_OPEN_CHANNEL: procedure({ number: 296, args: Xdr.struct({ dom: S.Dom, name: Xdr.optional(S.str), flags: Xdr.u32 }), reply: Xdr.nothing, stream: "both" }),
  DOMAIN_CORE_DUMP_WITH_FORMAT: procedure({ number: 334, args: Xdr.struct({ dom: S.Dom, to: S.str, dumpformat: Xdr.u32, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_MANAGED_SAVE_GET_XML_DESC: procedure({ number: 388, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ xml: S.str }) }),
  DOMAIN_MANAGED_SAVE_DEFINE_XML: procedure({ number: 389, args: Xdr.struct({ dom: S.Dom, dxml: Xdr.optional(S.str), flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_SAVE_PARAMS: procedure({ number: 440, args: Xdr.struct({ dom: S.Dom, params: Xdr.array(S.TypedParameter, 64), flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_RESTORE_PARAMS: procedure({ number: 441, args: Xdr.struct({ params: Xdr.array(S.TypedParameter, 64), flags: Xdr.u32 }), reply: Xdr.nothing }),
  // Domain: guest agent and in-guest data
  DOMAIN_PM_SUSPEND_FOR_DURATION: procedure({ number: 261, args: Xdr.struct({ dom: S.Dom, target: Xdr.u32, duration: Xdr.u64, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_PM_WAKEUP: procedure({ number: 267, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_GET_HOSTNAME: procedure({ number: 277, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ hostname: S.str }) }),
  DOMAIN_FSTRIM: procedure({ number: 294, args: Xdr.struct({ dom: S.Dom, mountPoint: Xdr.optional(S.str), minimum: Xdr.u64, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_FSFREEZE: procedure({ number: 335, args: Xdr.struct({ dom: S.Dom, mountpoints: Xdr.array(S.str, 256), flags: Xdr.u32 }), reply: Xdr.struct({ filesystems: Xdr.i32 }) }),
  DOMAIN_FSTHAW: procedure({ number: 336, args: Xdr.struct({ dom: S.Dom, mountpoints: Xdr.array(S.str, 256), flags: Xdr.u32 }), reply: Xdr.struct({ filesystems: Xdr.i32 }) }),
  DOMAIN_GET_TIME: procedure({ number: 337, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ seconds: Xdr.i64, nseconds: Xdr.u32 }) }),
  DOMAIN_SET_TIME: procedure({ number: 338, args: Xdr.struct({ dom: S.Dom, seconds: Xdr.i64, nseconds: Xdr.u32, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_GET_FSINFO: procedure({ number: 349, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ info: Xdr.array(S.FilesystemInfo, 256), ret: Xdr.u32 }) }),
  DOMAIN_INTERFACE_ADDRESSES: procedure({ number: 353, args: Xdr.struct({ dom: S.Dom, source: Xdr.u32, flags: Xdr.u32 }), reply: Xdr.struct({ ifaces: Xdr.array(S.DomainInterface, 2_048) }) }),
  DOMAIN_SET_USER_PASSWORD: procedure({ number: 357, args: Xdr.struct({ dom: S.Dom, user: Xdr.optional(S.str), password: Xdr.optional(S.str), flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_GET_GUEST_VCPUS: procedure({ number: 371, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ params: Xdr.array(S.TypedParameter, 64) }) }),
  DOMAIN_SET_GUEST_VCPUS: procedure({ number: 372, args: Xdr.struct({ dom: S.Dom, cpumap: S.str, state: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_GET_GUEST_INFO: procedure({ number: 418, args: Xdr.struct({ dom: S.Dom, types: Xdr.u32, flags: Xdr.u32 }), reply: Xdr.struct({ params: Xdr.array(S.TypedParameter, 2_048) }) }),
  DOMAIN_AGENT_SET_RESPONSE_TIMEOUT: procedure({ number: 420, args: Xdr.struct({ dom: S.Dom, timeout: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ result: Xdr.i32 }) }),
  DOMAIN_AUTHORIZED_SSH_KEYS_GET: procedure({ number: 424, args: Xdr.struct({ dom: S.Dom, user: S.str, flags: Xdr.u32 }), reply: Xdr.struct({ keys: Xdr.array(S.str, 2_048) }) }),
  DOMAIN_AUTHORIZED_SSH_KEYS_SET: procedure({ number: 425, args: Xdr.struct({ dom: S.Dom, user: S.str, keys: Xdr.array(S.str, 2_048), flags: Xdr.u32 }), reply: Xdr.nothing }),
  // Domain: jobs and migration
  DOMAIN_MIGRATE_PREPARE: procedure({ number: 61, args: Xdr.struct({ uri_in: Xdr.optional(S.str), flags: Xdr.u64, dname: Xdr.optional(S.str), resource: Xdr.u64 }), reply: Xdr.struct({ cookie: Xdr.variableBytes(4_194_304), uri_out: Xdr.optional(S.str) }) }),
  DOMAIN_MIGRATE_PERFORM: procedure({ number: 62, args: Xdr.struct({ dom: S.Dom, cookie: Xdr.variableBytes(4_194_304), uri: S.str, flags: Xdr.u64, dname: Xdr.optional(S.str), resource: Xdr.u64 }), reply: Xdr.nothing }),
  DOMAIN_MIGRATE_FINISH: procedure({ number: 63, args: Xdr.struct({ dname: S.str, cookie: Xdr.variableBytes(4_194_304), uri: S.str, flags: Xdr.u64 }), reply: Xdr.struct({ ddom: S.Dom }) }),
  DOMAIN_MIGRATE_PREPARE2: procedure({ number: 108, args: Xdr.struct({ uri_in: Xdr.optional(S.str), flags: Xdr.u64, dname: Xdr.optional(S.str), resource: Xdr.u64, dom_xml: S.str }), reply: Xdr.struct({ cookie: Xdr.variableBytes(4_194_304), uri_out: Xdr.optional(S.str) }) }),
  DOMAIN_MIGRATE_FINISH2: procedure({ number: 109, args: Xdr.struct({ dname: S.str, cookie: Xdr.variableBytes(4_194_304), uri: S.str, flags: Xdr.u64, retcode: Xdr.i32 }), reply: Xdr.struct({ ddom: S.Dom }) }),
  DOMAIN_MIGRATE_PREPARE_TUNNEL: procedure({ number: 148, args: Xdr.struct({ flags: Xdr.u64, dname: Xdr.optional(S.str), resource: Xdr.u64, dom_xml: S.str }), reply: Xdr.nothing, stream: "write" }),
  DOMAIN_GET_JOB_INFO: procedure({ number: 163, args: Xdr.struct({ dom: S.Dom }), reply: Xdr.struct({ type: Xdr.i32, timeElapsed: Xdr.u64, timeRemaining: Xdr.u64, dataTotal: Xdr.u64, dataProcessed: Xdr.u64, dataRemaining: Xdr.u64, memTotal: Xdr.u64, memProcessed: Xdr.u64, memRemaining: Xdr.u64, fileTotal: Xdr.u64, fileProcessed: Xdr.u64, fileRemaining: Xdr.u64 }) }),
  DOMAIN_ABORT_JOB: procedure({ number: 164, args: Xdr.struct({ dom: S.Dom }), reply: Xdr.nothing }),
  DOMAIN_MIGRATE_SET_MAX_DOWNTIME: procedure({ number: 166, args: Xdr.struct({ dom: S.Dom, downtime: Xdr.u64, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_MIGRATE_SET_MAX_SPEED: procedure({ number: 207, args: Xdr.struct({ dom: S.Dom, bandwidth: Xdr.u64, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_MIGRATE_BEGIN3: procedure({ number: 213, args: Xdr.struct({ dom: S.Dom, xmlin: Xdr.optional(S.str), flags: Xdr.u64, dname: Xdr.optional(S.str), resource: Xdr.u64 }), reply: Xdr.struct({ cookie_out: Xdr.variableBytes(4_194_304), xml: S.str }) }),
  DOMAIN_MIGRATE_PREPARE3: procedure({ number: 214, args: Xdr.struct({ cookie_in: Xdr.variableBytes(4_194_304), uri_in: Xdr.optional(S.str), flags: Xdr.u64, dname: Xdr.optional(S.str), resource: Xdr.u64, dom_xml: S.str }), reply: Xdr.struct({ cookie_out: Xdr.variableBytes(4_194_304), uri_out: Xdr.optional(S.str) }) }),
  DOMAIN_MIGRATE_PREPARE_TUNNEL3: procedure({ number: 215, args: Xdr.struct({ cookie_in: Xdr.variableBytes(4_194_304), flags: Xdr.u64, dname: Xdr.optional(S.str), resource: Xdr.u64, dom_xml: S.str }), reply: Xdr.struct({ cookie_out: Xdr.variableBytes(4_194_304) }), stream: "write" }),
  DOMAIN_MIGRATE_PERFORM3: procedure({ number: 216, args: Xdr.struct({ dom: S.Dom, xmlin: Xdr.optional(S.str), cookie_in: Xdr.variableBytes(4_194_304), dconnuri: Xdr.optional(S.str), uri: Xdr.optional(S.str), flags: Xdr.u64, dname: Xdr.optional(S.str), resource: Xdr.u64 }), reply: Xdr.struct({ cookie_out: Xdr.variableBytes(4_194_304) }) }),
  DOMAIN_MIGRATE_FINISH3: procedure({ number: 217, args: Xdr.struct({ dname: S.str, cookie_in: Xdr.variableBytes(4_194_304), dconnuri: Xdr.optional(S.str), uri: Xdr.optional(S.str), flags: Xdr.u64, cancelled: Xdr.i32 }), reply: Xdr.struct({ dom: S.Dom, cookie_out: Xdr.variableBytes(4_194_304) }) }),
  DOMAIN_MIGRATE_CONFIRM3: procedure({ number: 218, args: Xdr.struct({ dom: S.Dom, cookie_in: Xdr.variableBytes(4_194_304), flags: Xdr.u64, cancelled: Xdr.i32 }), reply: Xdr.nothing }),
  DOMAIN_MIGRATE_GET_MAX_SPEED: procedure({ number: 242, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ bandwidth: Xdr.u64 }) }),
  DOMAIN_GET_JOB_STATS: procedure({ number: 298, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ type: Xdr.i32, params: Xdr.array(S.TypedParameter, 64) }) }),
  DOMAIN_MIGRATE_GET_COMPRESSION_CACHE: procedure({ number: 299, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ cacheSize: Xdr.u64 }) }),
  DOMAIN_MIGRATE_SET_COMPRESSION_CACHE: procedure({ number: 300, args: Xdr.struct({ dom: S.Dom, cacheSize: Xdr.u64, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_MIGRATE_BEGIN3_PARAMS: procedure({ number: 302, args: Xdr.struct({ dom: S.Dom, params: Xdr.array(S.TypedParameter, 64), flags: Xdr.u32 }), reply: Xdr.struct({ cookie_out: Xdr.variableBytes(4_194_304), xml: S.str }) }),
  DOMAIN_MIGRATE_PREPARE3_PARAMS: procedure({ number: 303, args: Xdr.struct({ params: Xdr.array(S.TypedParameter, 64), cookie_in: Xdr.variableBytes(4_194_304), flags: Xdr.u32 }), reply: Xdr.struct({ cookie_out: Xdr.variableBytes(4_194_304), uri_out: Xdr.optional(S.str) }) }),
  DOMAIN_MIGRATE_PREPARE_TUNNEL3_PARAMS: procedure({ number: 304, args: Xdr.struct({ params: Xdr.array(S.TypedParameter, 64), cookie_in: Xdr.variableBytes(4_194_304), flags: Xdr.u32 }), reply: Xdr.struct({ cookie_out: Xdr.variableBytes(4_194_304) }) }),
  DOMAIN_MIGRATE_PERFORM3_PARAMS: procedure({ number: 305, args: Xdr.struct({ dom: S.Dom, dconnuri: Xdr.optional(S.str), params: Xdr.array(S.TypedParameter, 64), cookie_in: Xdr.variableBytes(4_194_304), flags: Xdr.u32 }), reply: Xdr.struct({ cookie_out: Xdr.variableBytes(4_194_304) }) }),
  DOMAIN_MIGRATE_FINISH3_PARAMS: procedure({ number: 306, args: Xdr.struct({ params: Xdr.array(S.TypedParameter, 64), cookie_in: Xdr.variableBytes(4_194_304), flags: Xdr.u32, cancelled: Xdr.i32 }), reply: Xdr.struct({ dom: S.Dom, cookie_out: Xdr.variableBytes(4_194_304) }) }),
  DOMAIN_MIGRATE_CONFIRM3_PARAMS: procedure({ number: 307, args: Xdr.struct({ dom: S.Dom, params: Xdr.array(S.TypedParameter, 64), cookie_in: Xdr.variableBytes(4_194_304), flags: Xdr.u32, cancelled: Xdr.i32 }), reply: Xdr.nothing }),
  DOMAIN_MIGRATE_START_POST_COPY: procedure({ number: 364, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_MIGRATE_GET_MAX_DOWNTIME: procedure({ number: 387, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ downtime: Xdr.u64 }) }),
  DOMAIN_ABORT_JOB_FLAGS: procedure({ number: 442, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.nothing }),
  // Domain: snapshots
  DOMAIN_SNAPSHOT_CREATE_XML: procedure({ number: 185, args: Xdr.struct({ dom: S.Dom, xml_desc: S.str, flags: Xdr.u32 }), reply: Xdr.struct({ snap: S.Snap }) }),
  DOMAIN_SNAPSHOT_GET_XML_DESC: procedure({ number: 186, args: Xdr.struct({ snap: S.Snap, flags: Xdr.u32 }), reply: Xdr.struct({ xml: S.str }), priority: true }),
  DOMAIN_SNAPSHOT_NUM: procedure({ number: 187, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ num: Xdr.i32 }), priority: true }),
  DOMAIN_SNAPSHOT_LIST_NAMES: procedure({ number: 188, args: Xdr.struct({ dom: S.Dom, maxnames: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ names: Xdr.array(S.str, 16_384) }), priority: true }),
  DOMAIN_SNAPSHOT_LOOKUP_BY_NAME: procedure({ number: 189, args: Xdr.struct({ dom: S.Dom, name: S.str, flags: Xdr.u32 }), reply: Xdr.struct({ snap: S.Snap }), priority: true }),
  DOMAIN_HAS_CURRENT_SNAPSHOT: procedure({ number: 190, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ result: Xdr.i32 }) }),
  DOMAIN_SNAPSHOT_CURRENT: procedure({ number: 191, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ snap: S.Snap }) }),
  DOMAIN_REVERT_TO_SNAPSHOT: procedure({ number: 192, args: Xdr.struct({ snap: S.Snap, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_SNAPSHOT_DELETE: procedure({ number: 193, args: Xdr.struct({ snap: S.Snap, flags: Xdr.u32 }), reply: Xdr.nothing }),
  DOMAIN_SNAPSHOT_GET_PARENT: procedure({ number: 244, args: Xdr.struct({ snap: S.Snap, flags: Xdr.u32 }), reply: Xdr.struct({ snap: S.Snap }), priority: true }),
  DOMAIN_SNAPSHOT_NUM_CHILDREN: procedure({ number: 246, args: Xdr.struct({ snap: S.Snap, flags: Xdr.u32 }), reply: Xdr.struct({ num: Xdr.i32 }), priority: true }),
  DOMAIN_SNAPSHOT_LIST_CHILDREN_NAMES: procedure({ number: 247, args: Xdr.struct({ snap: S.Snap, maxnames: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ names: Xdr.array(S.str, 16_384) }), priority: true }),
  DOMAIN_SNAPSHOT_IS_CURRENT: procedure({ number: 271, args: Xdr.struct({ snap: S.Snap, flags: Xdr.u32 }), reply: Xdr.struct({ current: Xdr.i32 }) }),
  DOMAIN_SNAPSHOT_HAS_METADATA: procedure({ number: 272, args: Xdr.struct({ snap: S.Snap, flags: Xdr.u32 }), reply: Xdr.struct({ metadata: Xdr.i32 }) }),
  DOMAIN_LIST_ALL_SNAPSHOTS: procedure({ number: 274, args: Xdr.struct({ dom: S.Dom, need_results: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ snapshots: Xdr.array(S.Snap, 16_384), ret: Xdr.i32 }), priority: true }),
  DOMAIN_SNAPSHOT_LIST_ALL_CHILDREN: procedure({ number: 275, args: Xdr.struct({ snapshot: S.Snap, need_results: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ snapshots: Xdr.array(S.Snap, 16_384), ret: Xdr.i32 }), priority: true }),
  // Event registration
  CONNECT_DOMAIN_EVENT_REGISTER: procedure({ number: 105, args: Xdr.nothing, reply: Xdr.struct({ cb_registered: Xdr.i32 }), priority: true }),
  CONNECT_DOMAIN_EVENT_DEREGISTER: procedure({ number: 106, args: Xdr.nothing, reply: Xdr.struct({ cb_registered: Xdr.i32 }), priority: true }),
  CONNECT_DOMAIN_EVENT_REGISTER_ANY: procedure({ number: 167, args: Xdr.struct({ eventID: Xdr.i32 }), reply: Xdr.nothing, priority: true }),
  CONNECT_DOMAIN_EVENT_DEREGISTER_ANY: procedure({ number: 168, args: Xdr.struct({ eventID: Xdr.i32 }), reply: Xdr.nothing, priority: true }),
  CONNECT_NETWORK_EVENT_REGISTER_ANY: procedure({ number: 313, args: Xdr.struct({ eventID: Xdr.i32, net: Xdr.optional(S.Net) }), reply: Xdr.struct({ callbackID: Xdr.i32 }), priority: true }),
  CONNECT_NETWORK_EVENT_DEREGISTER_ANY: procedure({ number: 314, args: Xdr.struct({ callbackID: Xdr.i32 }), reply: Xdr.nothing, priority: true }),
  CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY: procedure({ number: 316, args: Xdr.struct({ eventID: Xdr.i32, dom: Xdr.optional(S.Dom) }), reply: Xdr.struct({ callbackID: Xdr.i32 }), priority: true }),
  CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY: procedure({ number: 317, args: Xdr.struct({ callbackID: Xdr.i32 }), reply: Xdr.nothing, priority: true }),
  DOMAIN_GET_PERF_EVENTS: procedure({ number: 365, args: Xdr.struct({ dom: S.Dom, flags: Xdr.u32 }), reply: Xdr.struct({ params: Xdr.array(S.TypedParameter, 64) }) }),
  DOMAIN_SET_PERF_EVENTS: procedure({ number: 366, args: Xdr.struct({ dom: S.Dom, params: Xdr.array(S.TypedParameter, 64), flags: Xdr.u32 }), reply: Xdr.nothing }),
  CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY: procedure({ number: 368, args: Xdr.struct({ eventID: Xdr.i32, pool: Xdr.optional(S.Pool) }), reply: Xdr.struct({ callbackID: Xdr.i32 }), priority: true }),
  CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY: procedure({ number: 369, args: Xdr.struct({ callbackID: Xdr.i32 }), reply: Xdr.nothing, priority: true }),
  CONNECT_SECRET_EVENT_REGISTER_ANY: procedure({ number: 380, args: Xdr.struct({ eventID: Xdr.i32, secret: Xdr.optional(S.Secret) }), reply: Xdr.struct({ callbackID: Xdr.i32 }), priority: true }),
  CONNECT_SECRET_EVENT_DEREGISTER_ANY: procedure({ number: 381, args: Xdr.struct({ callbackID: Xdr.i32 }), reply: Xdr.nothing, priority: true }),
  // Storage pools
  CONNECT_NUM_OF_STORAGE_POOLS: procedure({ number: 71, args: Xdr.nothing, reply: Xdr.struct({ num: Xdr.i32 }), priority: true }),
  CONNECT_LIST_STORAGE_POOLS: procedure({ number: 72, args: Xdr.struct({ maxnames: Xdr.i32 }), reply: Xdr.struct({ names: Xdr.array(S.str, 16_384) }), priority: true }),
  CONNECT_NUM_OF_DEFINED_STORAGE_POOLS: procedure({ number: 73, args: Xdr.nothing, reply: Xdr.struct({ num: Xdr.i32 }), priority: true }),
  CONNECT_LIST_DEFINED_STORAGE_POOLS: procedure({ number: 74, args: Xdr.struct({ maxnames: Xdr.i32 }), reply: Xdr.struct({ names: Xdr.array(S.str, 16_384) }), priority: true }),
  CONNECT_FIND_STORAGE_POOL_SOURCES: procedure({ number: 75, args: Xdr.struct({ type: S.str, srcSpec: Xdr.optional(S.str), flags: Xdr.u32 }), reply: Xdr.struct({ xml: S.str }) }),
  STORAGE_POOL_CREATE_XML: procedure({ number: 76, args: Xdr.struct({ xml: S.str, flags: Xdr.u32 }), reply: Xdr.struct({ pool: S.Pool }) }),
  STORAGE_POOL_DEFINE_XML: procedure({ number: 77, args: Xdr.struct({ xml: S.str, flags: Xdr.u32 }), reply: Xdr.struct({ pool: S.Pool }), priority: true }),
  STORAGE_POOL_CREATE: procedure({ number: 78, args: Xdr.struct({ pool: S.Pool, flags: Xdr.u32 }), reply: Xdr.nothing }),
  STORAGE_POOL_BUILD: procedure({ number: 79, args: Xdr.struct({ pool: S.Pool, flags: Xdr.u32 }), reply: Xdr.nothing }),
  STORAGE_POOL_DESTROY: procedure({ number: 80, args: Xdr.struct({ pool: S.Pool }), reply: Xdr.nothing, priority: true }),
  STORAGE_POOL_DELETE: procedure({ number: 81, args: Xdr.struct({ pool: S.Pool, flags: Xdr.u32 }), reply: Xdr.nothing }),
  STORAGE_POOL_UNDEFINE: procedure({ number: 82, args: Xdr.struct({ pool: S.Pool }), reply: Xdr.nothing, priority: true }),
  STORAGE_POOL_REFRESH: procedure({ number: 83, args: Xdr.struct({ pool: S.Pool, flags: Xdr.u32 }), reply: Xdr.nothing }),
  STORAGE_POOL_LOOKUP_BY_NAME: procedure({ number: 84, args: Xdr.struct({ name: S.str }), reply: Xdr.struct({ pool: S.Pool }), priority: true }),
  STORAGE_POOL_LOOKUP_BY_UUID: procedure({ number: 85, args: Xdr.struct({ uuid: S.uuid }), reply: Xdr.struct({ pool: S.Pool }), priority: true }),
  STORAGE_POOL_LOOKUP_BY_VOLUME: procedure({ number: 86, args: Xdr.struct({ vol: S.Vol }), reply: Xdr.struct({ pool: S.Pool }), priority: true }),
  STORAGE_POOL_GET_INFO: procedure({ number: 87, args: Xdr.struct({ pool: S.Pool }), reply: Xdr.struct({ state: Xdr.u32, capacity: Xdr.u64, allocation: Xdr.u64, available: Xdr.u64 }), priority: true }),
  STORAGE_POOL_GET_XML_DESC: procedure({ number: 88, args: Xdr.struct({ pool: S.Pool, flags: Xdr.u32 }), reply: Xdr.struct({ xml: S.str }), priority: true }),
  STORAGE_POOL_GET_AUTOSTART: procedure({ number: 89, args: Xdr.struct({ pool: S.Pool }), reply: Xdr.struct({ autostart: Xdr.i32 }), priority: true }),
  STORAGE_POOL_SET_AUTOSTART: procedure({ number: 90, args: Xdr.struct({ pool: S.Pool, autostart: Xdr.i32 }), reply: Xdr.nothing, priority: true }),
  STORAGE_POOL_NUM_OF_VOLUMES: procedure({ number: 91, args: Xdr.struct({ pool: S.Pool }), reply: Xdr.struct({ num: Xdr.i32 }), priority: true }),
  STORAGE_POOL_LIST_VOLUMES: procedure({ number: 92, args: Xdr.struct({ pool: S.Pool, maxnames: Xdr.i32 }), reply: Xdr.struct({ names: Xdr.array(S.str, 16_384) }), priority: true }),
  STORAGE_POOL_IS_ACTIVE: procedure({ number: 154, args: Xdr.struct({ pool: S.Pool }), reply: Xdr.struct({ active: Xdr.i32 }), priority: true }),
  STORAGE_POOL_IS_PERSISTENT: procedure({ number: 155, args: Xdr.struct({ pool: S.Pool }), reply: Xdr.struct({ persistent: Xdr.i32 }), priority: true }),
  CONNECT_LIST_ALL_STORAGE_POOLS: procedure({ number: 281, args: Xdr.struct({ need_results: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ pools: Xdr.array(S.Pool, 16_384), ret: Xdr.u32 }), priority: true }),
  STORAGE_POOL_LIST_ALL_VOLUMES: procedure({ number: 282, args: Xdr.struct({ pool: S.Pool, need_results: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ vols: Xdr.array(S.Vol, 16_384), ret: Xdr.u32 }), priority: true }),
  STORAGE_POOL_LOOKUP_BY_TARGET_PATH: procedure({ number: 391, args: Xdr.struct({ path: S.str }), reply: Xdr.struct({ pool: S.Pool }), priority: true }),
  CONNECT_GET_STORAGE_POOL_CAPABILITIES: procedure({ number: 403, args: Xdr.struct({ flags: Xdr.u32 }), reply: Xdr.struct({ capabilities: S.str }) }),
  // Storage volumes
  STORAGE_VOL_CREATE_XML: procedure({ number: 93, args: Xdr.struct({ pool: S.Pool, xml: S.str, flags: Xdr.u32 }), reply: Xdr.struct({ vol: S.Vol }) }),
  STORAGE_VOL_DELETE: procedure({ number: 94, args: Xdr.struct({ vol: S.Vol, flags: Xdr.u32 }), reply: Xdr.nothing }),
  STORAGE_VOL_LOOKUP_BY_NAME: procedure({ number: 95, args: Xdr.struct({ pool: S.Pool, name: S.str }), reply: Xdr.struct({ vol: S.Vol }), priority: true }),
  STORAGE_VOL_LOOKUP_BY_KEY: procedure({ number: 96, args: Xdr.struct({ key: S.str }), reply: Xdr.struct({ vol: S.Vol }), priority: true }),
  STORAGE_VOL_LOOKUP_BY_PATH: procedure({ number: 97, args: Xdr.struct({ path: S.str }), reply: Xdr.struct({ vol: S.Vol }), priority: true }),
  STORAGE_VOL_GET_INFO: procedure({ number: 98, args: Xdr.struct({ vol: S.Vol }), reply: Xdr.struct({ type: Xdr.i32, capacity: Xdr.u64, allocation: Xdr.u64 }), priority: true }),
  STORAGE_VOL_GET_XML_DESC: procedure({ number: 99, args: Xdr.struct({ vol: S.Vol, flags: Xdr.u32 }), reply: Xdr.struct({ xml: S.str }), priority: true }),
  STORAGE_VOL_GET_PATH: procedure({ number: 100, args: Xdr.struct({ vol: S.Vol }), reply: Xdr.struct({ name: S.str }), priority: true }),
  STORAGE_VOL_CREATE_XML_FROM: procedure({ number: 125, args: Xdr.struct({ pool: S.Pool, xml: S.str, clonevol: S.Vol, flags: Xdr.u32 }), reply: Xdr.struct({ vol: S.Vol }) }),
  STORAGE_VOL_WIPE: procedure({ number: 165, args: Xdr.struct({ vol: S.Vol, flags: Xdr.u32 }), reply: Xdr.nothing }),
  STORAGE_VOL_UPLOAD: procedure({ number: 208, args: Xdr.struct({ vol: S.Vol, offset: Xdr.u64, length: Xdr.u64, flags: Xdr.u32 }), reply: Xdr.nothing, stream: "write" }),
  STORAGE_VOL_DOWNLOAD: procedure({ number: 209, args: Xdr.struct({ vol: S.Vol, offset: Xdr.u64, length: Xdr.u64, flags: Xdr.u32 }), reply: Xdr.nothing, stream: "read" }),
  STORAGE_VOL_WIPE_PATTERN: procedure({ number: 259, args: Xdr.struct({ vol: S.Vol, algorithm: Xdr.u32, flags: Xdr.u32 }), reply: Xdr.nothing }),
  STORAGE_VOL_RESIZE: procedure({ number: 260, args: Xdr.struct({ vol: S.Vol, capacity: Xdr.u64, flags: Xdr.u32 }), reply: Xdr.nothing }),
  STORAGE_VOL_GET_INFO_FLAGS: procedure({ number: 378, args: Xdr.struct({ vol: S.Vol, flags: Xdr.u32 }), reply: Xdr.struct({ type: Xdr.i32, capacity: Xdr.u64, allocation: Xdr.u64 }), priority: true }),
  // Secrets
  CONNECT_NUM_OF_SECRETS: procedure({ number: 139, args: Xdr.nothing, reply: Xdr.struct({ num: Xdr.i32 }), priority: true }),
  CONNECT_LIST_SECRETS: procedure({ number: 140, args: Xdr.struct({ maxuuids: Xdr.i32 }), reply: Xdr.struct({ uuids: Xdr.array(S.str, 16_384) }), priority: true }),
  SECRET_LOOKUP_BY_UUID: procedure({ number: 141, args: Xdr.struct({ uuid: S.uuid }), reply: Xdr.struct({ secret: S.Secret }), priority: true }),
  SECRET_DEFINE_XML: procedure({ number: 142, args: Xdr.struct({ xml: S.str, flags: Xdr.u32 }), reply: Xdr.struct({ secret: S.Secret }), priority: true }),
  SECRET_GET_XML_DESC: procedure({ number: 143, args: Xdr.struct({ secret: S.Secret, flags: Xdr.u32 }), reply: Xdr.struct({ xml: S.str }), priority: true }),
  SECRET_SET_VALUE: procedure({ number: 144, args: Xdr.struct({ secret: S.Secret, value: Xdr.variableBytes(65_536), flags: Xdr.u32 }), reply: Xdr.nothing, priority: true }),
  SECRET_GET_VALUE: procedure({ number: 145, args: Xdr.struct({ secret: S.Secret, flags: Xdr.u32 }), reply: Xdr.struct({ value: Xdr.variableBytes(65_536) }), priority: true }),
  SECRET_UNDEFINE: procedure({ number: 146, args: Xdr.struct({ secret: S.Secret }), reply: Xdr.nothing, priority: true }),
  SECRET_LOOKUP_BY_USAGE: procedure({ number: 147, args: Xdr.struct({ usageType: Xdr.i32, usageID: S.str }), reply: Xdr.struct({ secret: S.Secret }), priority: true }),
  CONNECT_LIST_ALL_SECRETS: procedure({ number: 287, args: Xdr.struct({ need_results: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ secrets: Xdr.array(S.Secret, 16_384), ret: Xdr.u32 }), priority: true }),
  // Networks
  CONNECT_LIST_DEFINED_NETWORKS: procedure({ number: 36, args: Xdr.struct({ maxnames: Xdr.i32 }), reply: Xdr.struct({ names: Xdr.array(S.str, 16_384) }), priority: true }),
  CONNECT_LIST_NETWORKS: procedure({ number: 38, args: Xdr.struct({ maxnames: Xdr.i32 }), reply: Xdr.struct({ names: Xdr.array(S.str, 16_384) }), priority: true }),
  NETWORK_CREATE: procedure({ number: 39, args: Xdr.struct({ net: S.Net }), reply: Xdr.nothing }),
  NETWORK_CREATE_XML: procedure({ number: 40, args: Xdr.struct({ xml: S.str }), reply: Xdr.struct({ net: S.Net }) }),
  NETWORK_DEFINE_XML: procedure({ number: 41, args: Xdr.struct({ xml: S.str }), reply: Xdr.struct({ net: S.Net }), priority: true }),
  NETWORK_DESTROY: procedure({ number: 42, args: Xdr.struct({ net: S.Net }), reply: Xdr.nothing, priority: true }),
  NETWORK_GET_XML_DESC: procedure({ number: 43, args: Xdr.struct({ net: S.Net, flags: Xdr.u32 }), reply: Xdr.struct({ xml: S.str }), priority: true }),
  NETWORK_GET_AUTOSTART: procedure({ number: 44, args: Xdr.struct({ net: S.Net }), reply: Xdr.struct({ autostart: Xdr.i32 }), priority: true }),
  NETWORK_GET_BRIDGE_NAME: procedure({ number: 45, args: Xdr.struct({ net: S.Net }), reply: Xdr.struct({ name: S.str }), priority: true }),
  NETWORK_LOOKUP_BY_NAME: procedure({ number: 46, args: Xdr.struct({ name: S.str }), reply: Xdr.struct({ net: S.Net }), priority: true }),
  NETWORK_LOOKUP_BY_UUID: procedure({ number: 47, args: Xdr.struct({ uuid: S.uuid }), reply: Xdr.struct({ net: S.Net }), priority: true }),
  NETWORK_SET_AUTOSTART: procedure({ number: 48, args: Xdr.struct({ net: S.Net, autostart: Xdr.i32 }), reply: Xdr.nothing, priority: true }),
  NETWORK_UNDEFINE: procedure({ number: 49, args: Xdr.struct({ net: S.Net }), reply: Xdr.nothing, priority: true }),
  CONNECT_NUM_OF_DEFINED_NETWORKS: procedure({ number: 50, args: Xdr.nothing, reply: Xdr.struct({ num: Xdr.i32 }), priority: true }),
  CONNECT_NUM_OF_NETWORKS: procedure({ number: 52, args: Xdr.nothing, reply: Xdr.struct({ num: Xdr.i32 }), priority: true }),
  NETWORK_IS_ACTIVE: procedure({ number: 152, args: Xdr.struct({ net: S.Net }), reply: Xdr.struct({ active: Xdr.i32 }), priority: true }),
  NETWORK_IS_PERSISTENT: procedure({ number: 153, args: Xdr.struct({ net: S.Net }), reply: Xdr.struct({ persistent: Xdr.i32 }), priority: true }),
  INTERFACE_GET_XML_DESC: procedure({ number: 130, args: Xdr.struct({ iface: S.Interface, flags: Xdr.u32 }), reply: Xdr.struct({ xml: S.str }) }),
  CONNECT_LIST_ALL_INTERFACES: procedure({ number: 284, args: Xdr.struct({ need_results: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ ifaces: Xdr.array(S.Interface, 16_384), ret: Xdr.u32 }), priority: true }),
  CONNECT_LIST_ALL_NETWORKS: procedure({ number: 283, args: Xdr.struct({ need_results: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ nets: Xdr.array(S.Net, 16_384), ret: Xdr.u32 }), priority: true }),
  NETWORK_UPDATE: procedure({ number: 291, args: Xdr.struct({ net: S.Net, command: Xdr.u32, section: Xdr.u32, parentIndex: Xdr.i32, xml: S.str, flags: Xdr.u32 }), reply: Xdr.nothing, priority: true }),
  NETWORK_GET_DHCP_LEASES: procedure({ number: 341, args: Xdr.struct({ net: S.Net, mac: Xdr.optional(S.str), need_results: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ leases: Xdr.array(S.DhcpLease, 65_536), ret: Xdr.u32 }) }),
  NETWORK_LIST_ALL_PORTS: procedure({ number: 404, args: Xdr.struct({ network: S.Net, need_results: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ ports: Xdr.array(S.Port, 16_384), ret: Xdr.u32 }), priority: true }),
  NETWORK_PORT_LOOKUP_BY_UUID: procedure({ number: 405, args: Xdr.struct({ network: S.Net, uuid: S.uuid }), reply: Xdr.struct({ port: S.Port }), priority: true }),
  NETWORK_PORT_CREATE_XML: procedure({ number: 406, args: Xdr.struct({ network: S.Net, xml: S.str, flags: Xdr.u32 }), reply: Xdr.struct({ port: S.Port }) }),
  NETWORK_PORT_GET_PARAMETERS: procedure({ number: 407, args: Xdr.struct({ port: S.Port, nparams: Xdr.i32, flags: Xdr.u32 }), reply: Xdr.struct({ params: Xdr.array(S.TypedParameter, 16), nparams: Xdr.i32 }) }),
  NETWORK_PORT_SET_PARAMETERS: procedure({ number: 408, args: Xdr.struct({ port: S.Port, params: Xdr.array(S.TypedParameter, 16), flags: Xdr.u32 }), reply: Xdr.nothing }),
  NETWORK_PORT_GET_XML_DESC: procedure({ number: 409, args: Xdr.struct({ port: S.Port, flags: Xdr.u32 }), reply: Xdr.struct({ xml: S.str }) }),
  NETWORK_PORT_DELETE: procedure({ number: 410, args: Xdr.struct({ port: S.Port, flags: Xdr.u32 }), reply: Xdr.nothing }),
  NETWORK_DEFINE_XML_FLAGS: procedure({ number: 432, args: Xdr.struct({ xml: S.str, flags: Xdr.u32 }), reply: Xdr.struct({ net: S.Net }), priority: true }),
  NETWORK_CREATE_XML_FLAGS: procedure({ number: 437, args: Xdr.struct({ xml: S.str, flags: Xdr.u32 }), reply: Xdr.struct({ net: S.Net }), priority: true })
}

/** @since 0.1.0 @category models */
export type ProcedureName = keyof typeof procedures

/** What a procedure is called with. @since 0.1.0 @category models */
export type Args<P extends ProcedureName> = Xdr.Type<(typeof procedures)[P]["args"]>

/** What a procedure answers. @since 0.1.0 @category models */
export type Reply<P extends ProcedureName> = Xdr.Type<(typeof procedures)[P]["reply"]>

type WithStream<D extends StreamDirection> = {
  [P in ProcedureName]: D extends (typeof procedures)[P]["stream"] ? P : never
}[ProcedureName]

/** Procedures that open a stream towards the host. @since 0.1.0 @category models */
export type UploadProcedure = WithStream<"write">

/** Procedures that open a stream of any direction. @since 0.1.0 @category models */
export type StreamProcedure = WithStream<"write"> | WithStream<"read"> | WithStream<"both">

// The table's entry of a procedure carries the types of `Args` and `Reply` by definition; through a type parameter TypeScript does not see
// that, hence the two assertions, which the recorded frames test for every shape.

/** @since 0.1.0 @category table */
export const argsOf = <P extends ProcedureName>(procedure: P): Xdr.Codec<Args<P>> =>
  // oxlint-disable-next-line typescript/consistent-type-assertions
  procedures[procedure].args as Xdr.Codec<Args<P>>

/** @since 0.1.0 @category table */
export const replyOf = <P extends ProcedureName>(procedure: P): Xdr.Codec<Reply<P>> =>
  // oxlint-disable-next-line typescript/consistent-type-assertions
  procedures[procedure].reply as Xdr.Codec<Reply<P>>

const names = new Map(Object.entries(procedures).map(([name, { number }]): readonly [number, string] => [number, name]))

/** @since 0.1.0 @category predicates */
export const isProcedureName = (name: string): name is ProcedureName => Object.hasOwn(procedures, name)

/** The procedure with a number on the wire. @since 0.1.0 @category table */
export const byNumber = (number: number): ProcedureName | undefined => {
  const name = names.get(number)
  return name !== undefined && isProcedureName(name) ? name : undefined
}
