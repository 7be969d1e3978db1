/**
 * One long conversation with a libvirt daemon, written down line by line: every reply, every error with all its fields, every event.
 * Held with a real libvirtd 9.0.0 (QEMU 7.2) it gave `fixtures/libvirt/conversation-9.0.0.txt`; the simulated one has to give the same.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Packet from "../../src/libvirt/Packet.ts"
import type { Pool } from "../../src/libvirt/Structs.ts"
import type { RawClient, RemoteError } from "./RawClient.ts"

const os = "<os><type arch='x86_64' machine='pc'>hvm</type></os>"
const uuid = "00112233-4455-6677-8899-aabbccddee01"
const otherUuid = "00112233-4455-6677-8899-aabbccddee02"
const dom = { name: "x", uuid, id: -1 }
const namespace = "https://vmfabric.org/xmlns/domain/1"

const domain = (name: string, options: { uuid?: string; devices?: string; memory?: number } = {}): string =>
  `<domain type='qemu'><name>${name}</name><uuid>${options.uuid ?? uuid}</uuid><memory>${options.memory ?? 65536}</memory>${os}<devices>${options.devices ?? ""}</devices></domain>`

const badDomains: Readonly<Record<string, string>> = {
  malformed: "<domain",
  "another root": "<foo/>",
  empty: "<domain/>",
  "no type": `<domain><name>a</name>${os}</domain>`,
  "an unknown type": `<domain type='zork'><name>a</name>${os}</domain>`,
  "no name": `<domain type='qemu'>${os}</domain>`,
  "a slash in its name": domain("a/b"),
  "a bad uuid": domain("a", { uuid: "zork" }),
  "no memory": `<domain type='qemu'><name>a</name>${os}</domain>`,
  "bad memory": `<domain type='qemu'><name>a</name><memory>x</memory>${os}</domain>`,
  "0 vcpus": `<domain type='qemu'><name>a</name><memory>1000</memory><vcpu>0</vcpu>${os}</domain>`,
  "x vcpus": `<domain type='qemu'><name>a</name><memory>1000</memory><vcpu>x</vcpu>${os}</domain>`,
  "1000 vcpus": `<domain type='qemu'><name>a</name><memory>1000</memory><vcpu>1000</vcpu>${os}</domain>`,
  "no os": "<domain type='qemu'><name>a</name><memory>1000</memory></domain>",
  "two lines of title": `<domain type='qemu'><name>t</name><title>a\nb</title><memory>1000</memory>${os}</domain>`,
  "a disk without target": domain("a", { devices: "<disk type='file'><source file='/a'/></disk>" }),
  "one target twice": domain("a", {
    devices:
      "<disk type='file'><source file='/a'/><target dev='vda'/></disk><disk type='file'><source file='/b'/><target dev='vda'/></disk>"
  }),
  "a bad mac": domain("a", {
    devices: "<interface type='network'><source network='default'/><mac address='zz'/></interface>"
  }),
  "a multicast mac": domain("a", {
    devices: "<interface type='network'><source network='default'/><mac address='53:54:00:00:00:01'/></interface>"
  })
}

const badPools = ["<pool", "<foo/>", "<pool/>", "<pool type='zork'/>", "<pool type='dir'/>"]

/** The real daemon's wording of what is not well-formed is libxml2's; everything around it counts. */
const normal = (line: string): string =>
  line
    .replaceAll(
      /\((domain_definition|device_definition|definition_of_secret|metadata_xml|storage_pool_definition|storage_volume_definition)\):1: .*?\^/g,
      "($1):1: …"
    )
    // QEMU says which, depending on how far it had come
    .replaceAll("qemu unexpectedly closed the monitor", "process exited while connecting to monitor")
    .replaceAll(/-(blockdev|device) \{.*?\}: /g, "-$1 {…}: ")
    .replaceAll(/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z /g, "")

const shown = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) => (typeof inner === "bigint" ? `${inner}n` : inner)) ?? "void"

/** `folder`: where the storage pool goes; its parent is there, itself is not. */
export const hold = (client: RawClient, folder: string): Effect.Effect<ReadonlyArray<string>, RemoteError> =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    let poolUuid = ""
    const say = (line: string): void => {
      const plain = normal(line).replaceAll(folder, "FOLDER")
      lines.push(poolUuid === "" ? plain : plain.replaceAll(poolUuid, "POOL"))
    }
    const { call } = client
    const ask = <A>(
      what: string,
      effect: Effect.Effect<A, RemoteError>,
      show: (reply: A) => unknown = (reply) => reply
    ) =>
      Effect.map(Effect.either(effect), (result) =>
        say(
          Either.isRight(result)
            ? `${what}: ${shown(show(result.right))}`
            : `${what}: refused ${shown({ ...result.left, dom: undefined, net: undefined })}`
        )
      )

    // ---- the session
    yield* ask("hostname before open", call("CONNECT_GET_HOSTNAME", undefined))
    yield* ask("feature 14 before open", call("CONNECT_SUPPORTS_FEATURE", { feature: 14 }))
    yield* ask("auth list", call("AUTH_LIST", undefined))
    yield* ask("open null", call("CONNECT_OPEN", { name: null, flags: 0 }))
    yield* ask("open another driver", call("CONNECT_OPEN", { name: "zork:///x", flags: 0 }))
    yield* ask("open", call("CONNECT_OPEN", { name: "qemu:///system", flags: 0 }))
    yield* ask("open twice", call("CONNECT_OPEN", { name: "qemu:///system", flags: 0 }))
    yield* ask("type after that", call("CONNECT_GET_TYPE", undefined))
    yield* ask("open again", call("CONNECT_OPEN", { name: "qemu:///system", flags: 0 }))
    yield* ask("type", call("CONNECT_GET_TYPE", undefined))
    yield* ask("hypervisor version", call("CONNECT_GET_VERSION", undefined))
    yield* ask("library version", call("CONNECT_GET_LIB_VERSION", undefined))
    yield* ask("uri", call("CONNECT_GET_URI", undefined))
    yield* ask("unknown procedure", client.raw(9999))
    yield* ask("too few arguments", client.raw(23))
    for (const feature of [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17]) {
      yield* ask(`feature ${feature}`, call("CONNECT_SUPPORTS_FEATURE", { feature }))
    }
    const known = () => "registered"
    yield* ask("event 99", call("CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY", { eventID: 99, dom: null }))
    yield* ask("event 0", call("CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY", { eventID: 0, dom: null }), known)
    yield* ask("event 1", call("CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY", { eventID: 1, dom: null }), known)
    for (const eventID of [15, 19, 22]) {
      yield* ask(`event ${eventID}`, call("CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY", { eventID, dom: null }), known)
    }
    yield* ask("pool event 0", call("CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY", { eventID: 0, pool: null }), known)
    yield* ask("pool event 1", call("CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY", { eventID: 1, pool: null }), known)
    yield* ask("no such callback", call("CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY", { callbackID: 9999 }))

    // ---- domains
    const define = (xml: string) => call("DOMAIN_DEFINE_XML_FLAGS", { xml, flags: 0 })
    const create = (flags: number) => call("DOMAIN_CREATE_WITH_FLAGS", { dom, flags })
    const state = ask("state", call("DOMAIN_GET_STATE", { dom, flags: 0 }))
    const undefine = (flags: number) => call("DOMAIN_UNDEFINE_FLAGS", { dom, flags })
    const destroy = call("DOMAIN_DESTROY_FLAGS", { dom, flags: 0 })
    const started = () => "started"
    for (const [what, xml] of Object.entries(badDomains)) yield* ask(`define ${what}`, define(xml))
    yield* ask("by name", call("DOMAIN_LOOKUP_BY_NAME", { name: "x" }))
    yield* ask("by uuid", call("DOMAIN_LOOKUP_BY_UUID", { uuid }))
    yield* ask("by id", call("DOMAIN_LOOKUP_BY_ID", { id: 4242 }))
    yield* state
    yield* ask("create what is not there", create(0))
    yield* ask("undefine what is not there", undefine(0))
    yield* ask("define", define(domain("x")))
    yield* ask("define again", define(domain("x")))
    yield* ask("define with another name", define(domain("y")))
    yield* ask("define with another uuid", define(domain("x", { uuid: otherUuid })))
    yield* ask("by name", call("DOMAIN_LOOKUP_BY_NAME", { name: "x" }))
    yield* ask("by uuid", call("DOMAIN_LOOKUP_BY_UUID", { uuid }))
    yield* ask("wrong name and id", call("DOMAIN_GET_STATE", { dom: { name: "zork", uuid, id: 77 }, flags: 0 }))
    yield* ask("info", call("DOMAIN_GET_INFO", { dom }))
    yield* ask("set autostart", call("DOMAIN_SET_AUTOSTART", { dom, autostart: 1 }))
    yield* ask("autostart", call("DOMAIN_GET_AUTOSTART", { dom }))
    yield* ask("unset autostart", call("DOMAIN_SET_AUTOSTART", { dom, autostart: 0 }))
    yield* ask("create with an unknown flag", create(0x8000))
    for (const procedure of ["DOMAIN_DESTROY", "DOMAIN_SUSPEND", "DOMAIN_RESUME", "DOMAIN_SHUTDOWN"] as const) {
      yield* ask(`${procedure} of one that is off`, call(procedure, { dom }))
    }
    for (const procedure of [
      "DOMAIN_DESTROY_FLAGS",
      "DOMAIN_RESET",
      "DOMAIN_REBOOT",
      "DOMAIN_SHUTDOWN_FLAGS"
    ] as const) {
      yield* ask(`${procedure} of one that is off`, call(procedure, { dom, flags: 0 }))
    }
    yield* ask("create", create(0), started)
    yield* ask("create again", create(0))
    yield* ask("create again, the old way", call("DOMAIN_CREATE", { dom }))
    yield* state
    yield* ask("info", call("DOMAIN_GET_INFO", { dom }), (info) => ({ ...info, cpuTime: undefined }))
    yield* ask("resume what runs", call("DOMAIN_RESUME", { dom }))
    yield* ask("suspend", call("DOMAIN_SUSPEND", { dom }))
    yield* state
    yield* ask("suspend again", call("DOMAIN_SUSPEND", { dom }))
    yield* ask("resume", call("DOMAIN_RESUME", { dom }))
    yield* state
    yield* ask("reset", call("DOMAIN_RESET", { dom, flags: 0 }))
    yield* ask("define while it runs", define(domain("x")), (reply) => reply.dom.id > 0)
    yield* ask("define with another name while it runs", define(domain("z")))
    yield* ask("undefine while it runs", undefine(0))
    yield* ask("undefine once more", undefine(0))
    yield* ask("autostart of a transient domain", call("DOMAIN_SET_AUTOSTART", { dom, autostart: 1 }))
    yield* ask("persistent", call("DOMAIN_IS_PERSISTENT", { dom }))
    yield* ask("define the transient one", define(domain("x")), (reply) => reply.dom.id > 0)
    yield* ask("undefine with all flags", undefine(0x37))
    yield* ask("undefine with an unknown flag", undefine(0x4000))
    yield* ask("destroy", destroy)
    yield* state
    yield* ask("define", define(domain("x")))
    yield* ask("create paused", create(1), started)
    yield* state
    yield* ask("destroy", destroy)
    yield* state
    for (const [what, devices, memory] of [
      [
        "a disk that is not there",
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/nope/x.qcow2'/><target dev='vda' bus='virtio'/></disk>",
        65536
      ],
      ["a network that is not there", "<interface type='network'><source network='nonet'/></interface>", 65536],
      ["a network that is off", "<interface type='network'><source network='default'/></interface>", 65536],
      ["more memory than there is", "", 99999999999]
    ] as const) {
      yield* ask(`define with ${what}`, define(domain("x", { devices, memory })))
      yield* ask("create", create(0))
      yield* state
    }
    yield* ask("undefine", undefine(0x37))

    // ---- metadata
    const described = (metadata: string): string =>
      `<domain type='qemu'><name>x</name><uuid>${uuid}</uuid><title>a &lt;title&gt; "q" 'a'</title><description>d\n2</description><metadata>${metadata}</metadata><memory>65536</memory>${os}</domain>`
    const get = (type: number, uri: string | null, flags = 0) => call("DOMAIN_GET_METADATA", { dom, type, uri, flags })
    const set = (type: number, metadata: string | null, key: string | null, uri: string | null, flags = 0) =>
      call("DOMAIN_SET_METADATA", { dom, type, metadata, key, uri, flags })
    const top = ask("xml", call("DOMAIN_GET_XML_DESC", { dom, flags: 0 }), ({ xml }) =>
      xml.slice(0, xml.indexOf("<memory"))
    )
    yield* ask("metadata of what is not there", get(2, namespace))
    yield* ask(
      "define",
      define(
        described(
          `<vmfabric:vm xmlns:vmfabric='${namespace}' id='7' operation='o-1'/><o:thing xmlns:o="urn:o" a='&quot;1&quot;'>\n <o:in>t &amp; u</o:in></o:thing>`
        )
      )
    )
    for (const [type, uri] of [
      [0, null],
      [1, null],
      [2, namespace],
      [2, "urn:o"],
      [2, "urn:none"],
      [2, null],
      [3, null]
    ] as const) {
      yield* ask(`metadata ${type} ${uri}`, get(type, uri))
    }
    for (const flags of [1, 2, 3, 16]) yield* ask(`metadata with flags ${flags}`, get(2, namespace, flags))
    yield* top
    yield* ask("set title", set(1, "new title", null, null))
    yield* ask("title", get(1, null))
    yield* ask("set two lines of title", set(1, "a\nb", null, null))
    yield* ask("delete title", set(1, null, null, null))
    yield* ask("title", get(1, null))
    yield* ask("set element", set(2, "<vm id='8' operation='o-2'/>", "vmfabric", namespace))
    yield* ask("element", get(2, namespace))
    yield* top
    yield* ask("set another element", set(2, "<k><l/>x</k>", "k", "urn:k"))
    yield* ask("element", get(2, "urn:k"))
    yield* ask("delete element", set(2, null, null, "urn:o"))
    yield* ask("element", get(2, "urn:o"))
    yield* ask("set malformed element", set(2, "<k", "k", "urn:k"))
    yield* ask("set element without key", set(2, "<k/>", null, "urn:k"))
    yield* top
    yield* ask("create", create(0), started)
    yield* ask("live element", get(2, namespace, 1))
    yield* ask("element of both", get(2, namespace, 3))
    yield* ask("set live element", set(2, "<vm id='9'/>", "vmfabric", namespace, 1))
    yield* ask("live element", get(2, namespace, 1))
    yield* ask("persistent element", get(2, namespace, 2))
    yield* ask("element", get(2, namespace))
    yield* ask("destroy", destroy)
    yield* ask("element", get(2, namespace))
    yield* ask(
      "define with one namespace twice",
      define(described(`<a:vm xmlns:a='${namespace}'/><b:vm xmlns:b='${namespace}'/><none/>`))
    )
    yield* top
    yield* ask("element", get(2, namespace))
    yield* ask("define with a default namespace", define(described(`<vm xmlns='${namespace}' id='1'><in/></vm>`)))
    yield* top
    yield* ask("element", get(2, namespace))
    yield* ask("undefine", undefine(0x37))

    // ---- pools
    const definePool = (xml: string) => call("STORAGE_POOL_DEFINE_XML", { xml, flags: 0 })
    const poolXml = (name: string, path: string) =>
      `<pool type='dir'><name>${name}</name><target><path>${path}</path></target></pool>`
    yield* ask("pool by name", call("STORAGE_POOL_LOOKUP_BY_NAME", { name: "p1" }))
    yield* ask("pool by uuid", call("STORAGE_POOL_LOOKUP_BY_UUID", { uuid }))
    yield* ask("pool by path", call("STORAGE_POOL_LOOKUP_BY_TARGET_PATH", { path: folder }))
    yield* ask("start what is not there", call("STORAGE_POOL_CREATE", { pool: { name: "p1", uuid }, flags: 0 }))
    for (const xml of [...badPools, "<pool type='dir'><name>x</name></pool>", poolXml("a/b", "/x")]) {
      yield* ask(`define ${xml}`, definePool(xml))
    }
    const { pool } = yield* definePool(poolXml("p1", folder))
    poolUuid = pool.uuid
    yield* ask("define the same name", definePool(poolXml("p1", `${folder}2`)))
    yield* ask("define the same path", definePool(poolXml("p2", folder)))
    yield* conversationAboutPool(client, folder, pool, ask, say)

    // ---- networks
    const { nets } = yield* call("CONNECT_LIST_ALL_NETWORKS", { need_results: 1, flags: 0 })
    yield* ask("network by name", call("NETWORK_LOOKUP_BY_NAME", { name: "zork" }))
    yield* ask("network by uuid", call("NETWORK_LOOKUP_BY_UUID", { uuid }))
    for (const net of nets) {
      yield* ask("active", call("NETWORK_IS_ACTIVE", { net }))
      yield* ask("stop what is off", call("NETWORK_DESTROY", { net }))
    }
    yield* ask("active, of what is not there", call("NETWORK_IS_ACTIVE", { net: { name: "z", uuid } }))
    for (const flags of [0, 1, 2, 4, 8, 16, 32]) {
      yield* ask(`networks ${flags}`, call("CONNECT_LIST_ALL_NETWORKS", { need_results: 1, flags }), ({ ret }) => ret)
    }

    yield* conversationAboutSecrets(client, ask)
    yield* conversationAboutDevices(client, folder, ask)

    // ---- what was told meanwhile
    for (const event of client.pushed.filter(({ type }) => type === Packet.types.message)) {
      const bytes = Buffer.from(event.payload)
      const nameEnd = 8 + bytes.readUInt32BE(4)
      const rest = 8 + Math.ceil(bytes.readUInt32BE(4) / 4) * 4 + 16
      const aboutDomain = event.procedure !== 370 && event.procedure !== 373
      const id = aboutDomain ? bytes.readInt32BE(rest) : -1
      const details = bytes.subarray(aboutDomain ? rest + 4 : rest)
      const aboutDevice = event.procedure === 333 || event.procedure === 354 || event.procedure === 367
      const numbers = Array.from({ length: details.length / 4 }, (_, index) => details.readInt32BE(4 * index))
      say(
        `event ${event.procedure} serial ${event.serial} ${bytes.toString("utf8", 8, nameEnd)} ${id > 0 ? "with id" : "without id"} ${aboutDevice ? details.toString("utf8", 4, 4 + details.readInt32BE(0)) : numbers.join(",")}`
      )
    }
    yield* ask("close", call("CONNECT_CLOSE", undefined))
    yield* client.closed
    return lines
  })

type Ask = <A>(what: string, effect: Effect.Effect<A, RemoteError>, show?: (reply: A) => unknown) => Effect.Effect<void>

const conversationAboutPool = (client: RawClient, folder: string, pool: Pool, ask: Ask, say: (line: string) => void) =>
  Effect.gen(function* () {
    const { call } = client
    const start = call("STORAGE_POOL_CREATE", { pool, flags: 0 })
    const build = call("STORAGE_POOL_BUILD", { pool, flags: 0 })
    const stop = call("STORAGE_POOL_DESTROY", { pool })
    const remove = call("STORAGE_POOL_DELETE", { pool, flags: 0 })
    const undefine = call("STORAGE_POOL_UNDEFINE", { pool })
    const refresh = call("STORAGE_POOL_REFRESH", { pool, flags: 0 })
    yield* ask("pool info", call("STORAGE_POOL_GET_INFO", { pool }))
    yield* ask("start without folder", start)
    yield* ask("volumes", call("STORAGE_POOL_LIST_ALL_VOLUMES", { pool, need_results: 1, flags: 0 }))
    yield* ask("refresh", refresh)
    yield* ask("stop", stop)
    yield* ask("build", build)
    yield* ask("start", start)
    yield* ask("start again", start)
    yield* ask("build what is active", build)
    yield* ask(
      "define what is active",
      call("STORAGE_POOL_DEFINE_XML", {
        xml: `<pool type='dir'><name>p1</name><uuid>${pool.uuid}</uuid><target><path>${folder}</path></target></pool>`,
        flags: 0
      })
    )
    yield* ask("pool by path", call("STORAGE_POOL_LOOKUP_BY_TARGET_PATH", { path: `${folder}/` }))
    yield* ask("undefine what is active", undefine)
    yield* ask("delete what is active", remove)
    yield* ask("set autostart", call("STORAGE_POOL_SET_AUTOSTART", { pool, autostart: 1 }))
    yield* ask("autostart", call("STORAGE_POOL_GET_AUTOSTART", { pool }))
    yield* ask("pool xml", call("STORAGE_POOL_GET_XML_DESC", { pool, flags: 0 }), ({ xml }) =>
      xml.replaceAll(/>[0-9]+<\/(capacity|allocation|available)/g, ">…</$1")
    )

    const make = (xml: string) => call("STORAGE_VOL_CREATE_XML", { pool, xml, flags: 0 })
    const over = (path: string) => `<backingStore><path>${path}</path><format type='raw'/></backingStore>`
    for (const xml of [
      "<volume",
      "<foo/>",
      "<volume/>",
      "<volume><name>r2</name></volume>",
      "<volume><name>a/b</name><capacity>1</capacity></volume>",
      "<volume><name>r3</name><capacity>5</capacity><target><format type='zork'/></target></volume>",
      "<volume><name>r3</name><capacity unit='zork'>5</capacity></volume>",
      "<volume><name>r3</name><capacity>zork</capacity></volume>",
      "<volume><name>r3</name><capacity>-5</capacity></volume>",
      "<volume><name>r1</name><capacity unit='bytes'>1048576</capacity><allocation>0</allocation><target><format type='raw'/></target></volume>",
      "<volume><name>r1</name><capacity unit='bytes'>1048576</capacity></volume>",
      "<volume><name>huge</name><capacity unit='TiB'>5</capacity></volume>",
      "<volume><name>q0</name><capacity unit='MiB'>50</capacity><target><format type='qcow2'/></target></volume>",
      `<volume><name>q2</name><capacity unit='MiB'>50</capacity><target><format type='qcow2'/><compat>1.1</compat></target>${over(`${folder}/r1`)}</volume>`,
      `<volume><name>q3</name><capacity unit='MiB'>50</capacity><target><format type='qcow2'/></target>${over("/nope")}</volume>`,
      `<volume><name>q4</name><capacity unit='MiB'>50</capacity><target><format type='raw'/></target>${over(`${folder}/r1`)}</volume>`,
      `<volume><name>q5</name><target><format type='qcow2'/></target>${over(`${folder}/r1`)}</volume>`
    ]) {
      yield* ask(`create ${xml}`, make(xml))
    }
    const vol = (name: string) => ({ pool: "p1", name, key: `${folder}/${name}` })
    const timeless = ({ xml }: { readonly xml: string }) => xml.replaceAll(/[0-9.]+<\/(atime|mtime|ctime)/g, "…</$1")
    const describe = Effect.forEach(
      ["r1", "q0", "q2", "q5"],
      (name) =>
        Effect.all([
          ask(`xml of ${name}`, call("STORAGE_VOL_GET_XML_DESC", { vol: vol(name), flags: 0 }), timeless),
          ask(`info of ${name}`, call("STORAGE_VOL_GET_INFO", { vol: vol(name) })),
          ask(`physical size of ${name}`, call("STORAGE_VOL_GET_INFO_FLAGS", { vol: vol(name), flags: 1 }))
        ]),
      { discard: true }
    )
    yield* describe
    yield* ask("refresh", refresh)
    yield* describe
    yield* ask("volumes", call("STORAGE_POOL_LIST_ALL_VOLUMES", { pool, need_results: 1, flags: 0 }), ({ vols }) =>
      vols.map(({ key, name }) => `${name} ${key}`).sort()
    )
    yield* ask("number of volumes", call("STORAGE_POOL_LIST_ALL_VOLUMES", { pool, need_results: 0, flags: 0 }))
    yield* ask("volume by name", call("STORAGE_VOL_LOOKUP_BY_NAME", { pool, name: "zork" }))
    yield* ask("volume by path", call("STORAGE_VOL_LOOKUP_BY_PATH", { path: "/zork" }))
    yield* ask("volume by path", call("STORAGE_VOL_LOOKUP_BY_PATH", { path: `${folder}/r1` }))
    yield* ask("volume by key", call("STORAGE_VOL_LOOKUP_BY_KEY", { key: "/zork" }))
    yield* ask("info of what is not there", call("STORAGE_VOL_GET_INFO", { vol: vol("zork") }))
    yield* ask("info in no pool", call("STORAGE_VOL_GET_INFO", { vol: { pool: "zork", name: "a", key: "b" } }))
    for (const [name, capacity] of [
      ["r1", 100n],
      ["r1", 2_097_152n],
      ["q2", 200_097_152n]
    ] as const) {
      yield* ask(`resize ${name} to ${capacity}`, call("STORAGE_VOL_RESIZE", { vol: vol(name), capacity, flags: 0 }))
      yield* ask(`info of ${name}`, call("STORAGE_VOL_GET_INFO", { vol: vol(name) }))
    }

    const upload = (what: string, length: bigint, chunks: ReadonlyArray<Uint8Array>, end: number, target = "r1") =>
      Effect.gen(function* () {
        const before = client.pushed.length
        yield* ask(what, call("STORAGE_VOL_UPLOAD", { vol: vol(target), offset: 0n, length, flags: 0 }))
        const serial = client.serial()
        const header = { program: Packet.programs.remote, procedure: 208, type: Packet.types.stream, serial }
        for (const chunk of chunks) client.send({ ...header, status: Packet.statuses.continue }, chunk)
        client.send({ ...header, status: end })
        yield* client.await((packet) => packet.serial === serial && packet.status !== Packet.statuses.continue)
        // the pool is looked at once more, after the answer
        yield* client.await((packet) => packet.procedure === 373 && client.pushed.indexOf(packet) >= before)
        const [first] = client.pushed.slice(before)
        say(
          `  ${first?.type === Packet.types.stream ? `stream ${first.status}` : "event first"}${first?.status === 1 ? ` ${words(first.payload)}` : ""}`
        )
        yield* ask("info", call("STORAGE_VOL_GET_INFO", { vol: vol(target) }))
      })
    yield* upload(
      "upload as much as announced",
      1000n,
      [Buffer.alloc(500, 1), Buffer.alloc(500, 2)],
      Packet.statuses.ok
    )
    yield* upload("upload more than announced", 1000n, [Buffer.alloc(1500, 1)], Packet.statuses.ok)
    yield* upload("upload without limit", 0n, [Buffer.alloc(3_000_000, 7)], Packet.statuses.ok)
    yield* upload("abort an upload", 1000n, [Buffer.alloc(500, 1)], Packet.statuses.error)
    yield* ask("upload to nothing", call("STORAGE_VOL_UPLOAD", { vol: vol("zork"), offset: 0n, length: 0n, flags: 0 }))

    yield* conversationAboutCopies(client, folder, pool, ask)

    for (const name of ["q5", "q5", "r1", "q0", "q2", "huge"]) {
      yield* ask(`delete ${name}`, call("STORAGE_VOL_DELETE", { vol: vol(name), flags: 0 }))
    }
    yield* ask("stop", stop)
    yield* ask("volume by name", call("STORAGE_VOL_LOOKUP_BY_NAME", { pool, name: "r1" }))
    yield* ask("create", make("<volume><name>a</name><capacity>1</capacity></volume>"))
    yield* ask("unset autostart", call("STORAGE_POOL_SET_AUTOSTART", { pool, autostart: 0 }))
    yield* ask("delete", remove)
    yield* ask("delete again", remove)
    yield* ask("undefine", undefine)
    yield* ask("undefine again", undefine)
  })

const compact = (xml: string): string =>
  xml.replaceAll(/\n */g, "").replaceAll(/[0-9.]+<\/(atime|mtime|ctime)/g, "…</$1")

const conversationAboutCopies = (client: RawClient, folder: string, pool: Pool, ask: Ask) =>
  Effect.gen(function* () {
    const { call } = client
    const vol = (name: string) => ({ pool: "p1", name, key: `${folder}/${name}` })
    const xml = (
      name: string,
      options: { format?: string; capacity?: number; allocation?: number; compat?: string; backing?: string } = {}
    ) =>
      `<volume><name>${name}</name>${options.capacity === undefined ? "" : `<capacity unit='MiB'>${options.capacity}</capacity>`}${options.allocation === undefined ? "" : `<allocation>${options.allocation}</allocation>`}<target><format type='${options.format ?? "qcow2"}'/>${options.compat === undefined ? "" : `<compat>${options.compat}</compat>`}</target>${options.backing === undefined ? "" : `<backingStore><path>${options.backing}</path><format type='raw'/></backingStore>`}</volume>`
    const make = (text: string) => ask("make", call("STORAGE_VOL_CREATE_XML", { pool, xml: text, flags: 0 }))
    const copy = (text: string, from: string, flags = 0) =>
      ask(
        `copy ${from} to ${text} with flags ${flags}`,
        call("STORAGE_VOL_CREATE_XML_FROM", { pool, xml: text, clonevol: vol(from), flags })
      )
    const look = (name: string) =>
      ask(`xml of ${name}`, call("STORAGE_VOL_GET_XML_DESC", { vol: vol(name), flags: 0 }), (reply) =>
        compact(reply.xml)
      )
    yield* make(xml("cq", { capacity: 100, compat: "1.1" }))
    yield* make(xml("cr", { format: "raw", capacity: 10, allocation: 0 }))
    yield* make(xml("co", { capacity: 50, compat: "1.1", backing: `${folder}/cr` }))
    const copies = [
      [xml("c01", { capacity: 100, compat: "1.1" }), "cq"],
      [xml("c02"), "cq"],
      [xml("c03", { capacity: 10, compat: "1.1" }), "cq"],
      [xml("c04", { capacity: 200, compat: "1.1" }), "cq"],
      [xml("c05", { format: "raw", capacity: 100 }), "cq"],
      [xml("c06", { format: "raw", capacity: 10 }), "cr"],
      [xml("c07", { format: "raw", capacity: 20 }), "cr"],
      [xml("c08", { format: "raw", capacity: 20, allocation: 0 }), "cr"],
      [xml("c09", { capacity: 10 }), "cr"],
      [xml("c10", { capacity: 50, compat: "1.1" }), "co"],
      [xml("c11", { capacity: 50, compat: "1.1", backing: `${folder}/cr` }), "co"]
    ] as const
    for (const [index, [text, from]] of copies.entries()) {
      yield* copy(text, from)
      yield* look(`c${String(index + 1).padStart(2, "0")}`)
    }
    yield* copy(xml("c01"), "cq")
    yield* copy(xml("cq"), "cq")
    yield* copy(xml("c12"), "none")
    yield* copy("<volume", "cq")
    yield* copy("<volume/>", "cq")
    yield* copy(xml("a/b"), "cq")
    yield* copy(xml("c12", { format: "zork" }), "cq")
    yield* copy(xml("c12"), "cq", 64)
    yield* copy(xml("c12"), "cq", 2)
    yield* ask(
      "copy from no pool",
      call("STORAGE_VOL_CREATE_XML_FROM", {
        pool,
        xml: xml("c12"),
        clonevol: { pool: "zork", name: "a", key: "b" },
        flags: 0
      })
    )
    const resize = (name: string, capacity: bigint, flags = 0) =>
      Effect.zipRight(
        ask(
          `resize ${name} to ${capacity} with flags ${flags}`,
          call("STORAGE_VOL_RESIZE", { vol: vol(name), capacity, flags })
        ),
        ask("capacity", call("STORAGE_VOL_GET_INFO", { vol: vol(name) }), (info) => info.capacity)
      )
    for (const [name, capacity, flags] of [
      ["c01", 209_715_200n, 0],
      ["c01", 209_715_200n, 0],
      ["c01", 104_857_600n, 0],
      ["c01", 104_857_600n, 4],
      ["c01", 1000n, 2],
      ["c01", 1n, 8],
      ["c01", 2n ** 62n, 0],
      ["c06", 1n, 1],
      ["c06", 31_457_280n, 1],
      ["c08", 31_457_280n, 0],
      ["c08", 0n, 0],
      ["c08", 5n, 6],
      ["c10", 104_857_600n, 0],
      ["none", 5n, 0]
    ] as const) {
      yield* resize(name, capacity, flags)
    }
    yield* ask("volumes", call("STORAGE_POOL_LIST_ALL_VOLUMES", { pool, need_results: 1, flags: 0 }), ({ vols }) =>
      vols.map(({ name }) => name).sort()
    )
    for (const name of ["cq", "cr", "co", ...copies.map((_, index) => `c${String(index + 1).padStart(2, "0")}`)]) {
      yield* ask(`delete ${name}`, call("STORAGE_VOL_DELETE", { vol: vol(name), flags: 0 }))
    }
  })

const conversationAboutSecrets = (client: RawClient, ask: Ask) =>
  Effect.gen(function* () {
    const { call } = client
    const one = "5ec4e700-0000-4000-8000-0000000000a1"
    const two = "5ec4e700-0000-4000-8000-0000000000a2"
    const none = "5ec4e700-0000-4000-8000-0000000000ff"
    const secret = (uuid: string) => ({ uuid, usageType: 2, usageID: "any" })
    const xml = (
      uuid: string,
      name: string,
      options: { ephemeral?: string; private?: string; type?: string; more?: string } = {}
    ) =>
      `<secret ephemeral='${options.ephemeral ?? "no"}' private='${options.private ?? "yes"}'><uuid>${uuid}</uuid>${options.more ?? ""}<usage type='${options.type ?? "ceph"}'><name>${name}</name></usage></secret>`
    const define = (text: string, flags = 0) => ask(`define ${text}`, call("SECRET_DEFINE_XML", { xml: text, flags }))
    const list = (flags: number) =>
      ask(`secrets ${flags}`, call("CONNECT_LIST_ALL_SECRETS", { need_results: 1, flags }), ({ ret, secrets }) => ({
        ret,
        secrets: secrets.map(({ usageID, usageType, uuid }) => `${uuid} ${usageType} ${usageID}`).sort()
      }))
    const get = (uuid: string) =>
      ask(`value of ${uuid}`, call("SECRET_GET_VALUE", { secret: secret(uuid), flags: 0 }), ({ value }) =>
        Buffer.from(value).toString()
      )
    const set = (uuid: string, value: string, flags = 0) =>
      ask(
        `set ${uuid} to ${value}`,
        call("SECRET_SET_VALUE", { secret: secret(uuid), value: Buffer.from(value), flags })
      )
    yield* list(0)
    yield* ask("secret by uuid", call("SECRET_LOOKUP_BY_UUID", { uuid: none }))
    for (const usageType of [2, 99]) {
      yield* ask("secret by usage", call("SECRET_LOOKUP_BY_USAGE", { usageType, usageID: "client.none" }))
    }
    for (const text of [
      "<secret",
      "<foo/>",
      xml(one, "a", { type: "zork" }),
      `<secret><uuid>${one}</uuid><usage type='ceph'/></secret>`,
      `<secret><uuid>${one}</uuid><usage type='volume'/></secret>`,
      `<secret><uuid>${one}</uuid><usage type='iscsi'/></secret>`,
      `<secret><uuid>${one}</uuid><usage type='tls'/></secret>`,
      `<secret><uuid>${one}</uuid><usage type='vtpm'/></secret>`,
      `<secret><uuid>${one}</uuid><usage><name>a</name></usage></secret>`,
      xml(one, ""),
      xml("zork", "a"),
      xml(one, "a", { private: "zork" }),
      xml(one, "a", { ephemeral: "zork" })
    ]) {
      yield* define(text)
    }
    yield* define(xml(one, "client.one"), 2)
    yield* define(xml(one, "client.one"))
    yield* define(xml(one, "client.one", { more: "<description>what for</description>" }))
    yield* define(xml(one, "client.two"))
    yield* define(xml(two, "client.one"))
    yield* define(xml(one, "client.one", { private: "no" }))
    yield* define(xml(two, "client.two", { private: "no", ephemeral: "yes" }))
    for (const uuid of [one, two, none]) {
      yield* ask(`xml of ${uuid}`, call("SECRET_GET_XML_DESC", { secret: secret(uuid), flags: 0 }))
      yield* get(uuid)
      yield* set(uuid, "hello")
      yield* get(uuid)
    }
    yield* set(two, "")
    yield* set(two, "a", 1)
    for (const flags of [0, 1, 2, 3, 4, 8, 12, 16]) yield* list(flags)
    yield* ask("number of secrets", call("CONNECT_LIST_ALL_SECRETS", { need_results: 0, flags: 0 }))
    yield* define(xml(two, "client.two", { ephemeral: "yes" }))
    yield* get(two)
    yield* ask("secret by usage", call("SECRET_LOOKUP_BY_USAGE", { usageType: 2, usageID: "client.one" }))
    yield* ask("secret by uuid", call("SECRET_LOOKUP_BY_UUID", { uuid: two }))
    for (const uuid of [one, two, none]) {
      yield* ask("undefine secret", call("SECRET_UNDEFINE", { secret: secret(uuid) }))
    }
    yield* list(0)
  })

const conversationAboutDevices = (client: RawClient, folder: string, ask: Ask) =>
  Effect.gen(function* () {
    const { call } = client
    const { pool } = yield* call("STORAGE_POOL_DEFINE_XML", {
      xml: `<pool type='dir'><name>d1</name><target><path>${folder}-disks</path></target></pool>`,
      flags: 0
    })
    yield* call("STORAGE_POOL_BUILD", { pool, flags: 0 })
    yield* call("STORAGE_POOL_CREATE", { pool, flags: 0 })
    const path = (name: string) => `${folder}-disks/${name}`
    const volume = (name: string, format: string, below?: string) =>
      call("STORAGE_VOL_CREATE_XML", {
        pool,
        xml: `<volume><name>${name}</name><capacity unit='MiB'>100</capacity><allocation>0</allocation><target><format type='${format}'/><compat>1.1</compat></target>${below === undefined ? "" : `<backingStore><path>${path(below)}</path><format type='raw'/></backingStore>`}</volume>`,
        flags: 0
      })
    yield* volume("base", "raw")
    yield* volume("root", "qcow2", "base")
    for (const name of ["a", "b", "c"]) yield* volume(name, "qcow2")
    yield* volume("r", "raw")

    const disk = (
      file: string,
      target: string,
      options: { alias?: string; serial?: string; format?: string; bus?: string } = {}
    ) =>
      `<disk type='file' device='disk'><driver name='qemu' type='${options.format ?? "qcow2"}' discard='unmap'/><source file='${file}'/><target dev='${target}' bus='virtio'/>${options.serial === undefined ? "" : `<serial>${options.serial}</serial>`}${options.alias === undefined ? "" : `<alias name='${options.alias}'/>`}</disk>`
    const domainXml = (machine: string, devices: string, name = "x", id = uuid) =>
      `<domain type='qemu'><name>${name}</name><uuid>${id}</uuid><memory>65536</memory><os><type arch='x86_64' machine='${machine}'>hvm</type></os><devices>${devices}</devices></domain>`
    const define = (what: string, xml: string) =>
      ask(`define ${what}`, call("DOMAIN_DEFINE_XML_FLAGS", { xml, flags: 0 }), () => "defined")
    const devices = (what: string, flags = 0) =>
      ask(`devices ${what}`, call("DOMAIN_GET_XML_DESC", { dom, flags }), ({ xml }) =>
        xml
          .replace(/\n {2}<\/devices>[^]*/, "")
          .split(/\n {4}(?=<[a-z])/)
          .filter((text) => /^<(disk|controller|memballoon)[ >]/.test(text))
          .map((text) => compact(text).replace(/(<source [^>]*index)='[0-9]+'/, "$1='…'"))
      )
    const disks = Effect.forEach([0, 2], (flags) =>
      ask(`disks ${flags}`, call("DOMAIN_GET_XML_DESC", { dom, flags }), ({ xml }) =>
        (xml.match(/<disk[ >][^]*?<\/disk>/g) ?? []).map((text) => /target dev='([a-z]+)'/.exec(text)?.[1])
      )
    )
    const attach = (what: string, xml: string, flags: number) =>
      ask(`attach ${what} with flags ${flags}`, call("DOMAIN_ATTACH_DEVICE_FLAGS", { dom, xml, flags }))
    const detach = (what: string, xml: string, flags: number) =>
      ask(`detach ${what} with flags ${flags}`, call("DOMAIN_DETACH_DEVICE_FLAGS", { dom, xml, flags }))
    const release = (alias: string, flags: number) =>
      ask(`detach alias ${alias} with flags ${flags}`, call("DOMAIN_DETACH_DEVICE_ALIAS", { dom, alias, flags }))
    const info = (name: string, flags = 0) =>
      ask(
        `block info of ${name} with flags ${flags}`,
        call("DOMAIN_GET_BLOCK_INFO", { dom, path: name, flags }),
        ({ capacity, physical }) => ({ capacity, physical })
      )
    const resize = (name: string, size: bigint, flags: number) =>
      ask(
        `resize ${name} to ${size} with flags ${flags}`,
        call("DOMAIN_BLOCK_RESIZE", { dom, disk: name, size, flags })
      )
    const destroy = ask("destroy", call("DOMAIN_DESTROY_FLAGS", { dom, flags: 0 }))
    const undefine = ask("undefine", call("DOMAIN_UNDEFINE_FLAGS", { dom, flags: 0 }))
    const start = ask("create paused", call("DOMAIN_CREATE_WITH_FLAGS", { dom, flags: 1 }), () => "started")

    // ---- what it is completed to
    const ports = (count: number) =>
      `<controller type='pci' index='0' model='pcie-root'/>${"<controller type='pci' model='pcie-root-port'/>".repeat(count)}`
    const virtio =
      "<interface type='network'><mac address='52:54:00:12:34:56'/><source network='default'/><model type='virtio'/></interface><channel type='unix'><target type='virtio' name='a'/></channel>"
    for (const [what, machine, text] of [
      ["q35 with nothing", "q35", ""],
      ["pc with nothing", "pc", ""],
      ["pc with disks", "pc", disk(path("b"), "vdb") + disk(path("root"), "vda") + virtio],
      ["q35 with disks", "q35", disk(path("b"), "vdb") + disk(path("root"), "vda") + virtio],
      ["q35 with a screen", "q35", `${disk(path("root"), "vda")}<video><model type='vga'/></video>`],
      ["q35 with too few ports", "q35", ports(2) + disk(path("root"), "vda") + virtio],
      ["q35 with ten ports", "q35", ports(10) + disk(path("root"), "vda") + virtio],
      ["q35 without balloon", "q35", "<memballoon model='none'/>"]
    ] as const) {
      yield* define(what, domainXml(machine, text))
      yield* devices(what)
      yield* undefine
    }
    yield* define(
      "one alias twice",
      domainXml("q35", disk("/a", "vda", { alias: "ua-1" }) + disk("/b", "vdb", { alias: "ua-1" }))
    )
    yield* define("a port in the root's place", domainXml("q35", "<controller type='pci' model='pcie-root-port'/>"))

    // ---- while it is off
    const a = disk(path("a"), "vdb", { serial: "volume-1", alias: "ua-volume-1" })
    yield* attach("to what is not there", a, 2)
    yield* define("q35", domainXml("q35", disk(path("root"), "vda", { serial: "root" })))
    for (const flags of [1, 3, 16]) yield* attach("a", a, flags)
    for (const text of [
      "<disk",
      "<foo/>",
      "<disk type='file'><source file='/x'/></disk>",
      "<disk type='file'><target dev='vdz' bus='virtio'/></disk>",
      "<disk type='file'><source file='/x'/><target dev='zork' bus='virtio'/></disk>",
      "<disk type='zork'><source file='/x'/><target dev='vdz' bus='virtio'/></disk>",
      "<disk type='network'><source protocol='rbd' name='x'/><target dev='vdz' bus='virtio'/></disk>",
      disk(path("c"), "vdz", { serial: "a b'c" }),
      disk("/nope", "vdz", { alias: "volume-1" }),
      disk("/nope", "vdz", { alias: "ua-z" })
    ]) {
      yield* attach(text, text, 2)
    }
    yield* devices("after that")
    yield* detach("vdz", "<disk type='file'><target dev='vdz' bus='virtio'/></disk>", 2)
    yield* ask("attach the old way", call("DOMAIN_ATTACH_DEVICE", { dom, xml: a }))
    yield* ask("detach the old way", call("DOMAIN_DETACH_DEVICE", { dom, xml: a }))
    for (const flags of [0, 1, 2, 3, 16]) {
      yield* detach("a", a, flags)
      yield* release("ua-volume-1", flags)
    }
    yield* attach("a", a, 0)
    yield* attach("a again", a, 2)
    yield* attach("another with its target", disk(path("b"), "vdb", { alias: "ua-volume-2" }), 2)
    yield* attach("another with its alias", disk(path("b"), "vdc", { alias: "ua-volume-1" }), 2)
    yield* attach("another with its serial", disk(path("b"), "vdc", { alias: "ua-volume-2", serial: "volume-1" }), 2)
    yield* attach("another with its file", disk(path("a"), "vdd", { alias: "ua-volume-3" }), 2)
    yield* devices("with more ports")
    yield* release("ua-volume-2", 2)
    yield* release("ua-volume-3", 0)
    yield* release("virtio-disk0", 2)
    yield* detach("by its target", "<disk type='file'><target dev='vdb'/></disk>", 2)
    yield* devices("with ports left over")
    yield* info("vda")
    yield* info(path("root"))
    yield* info("vdq")
    yield* info("vda", 1)
    for (const flags of [0, 1, 2]) yield* resize("vda", 2n ** 31n, flags)

    // ---- while it runs: its guest never comes up, but its clock has begun to go
    yield* start
    yield* ask("resume", call("DOMAIN_RESUME", { dom }))
    yield* ask("suspend", call("DOMAIN_SUSPEND", { dom }))
    yield* devices("of the running one")
    yield* attach("what is not there", disk("/nope", "vdb", { alias: "ua-volume-1" }), 1)
    yield* attach("what is not there", disk("/nope", "vda", { alias: "ua-volume-1" }), 1)
    yield* attach("what is not qcow2", disk(path("r"), "vdb", { alias: "ua-volume-1" }), 1)
    yield* attach("its own root", disk(path("root"), "vdb", { alias: "ua-volume-1" }), 1)
    yield* attach("what lies below it", disk(path("base"), "vdb", { alias: "ua-volume-1", format: "raw" }), 1)
    yield* attach("a", a, 3)
    yield* disks
    for (const flags of [1, 2, 3]) yield* attach("a again", a, flags)
    yield* attach("another with its target", disk(path("b"), "vdb", { alias: "ua-volume-2" }), 1)
    yield* attach("another with its alias", disk(path("b"), "vdc", { alias: "ua-volume-1" }), 1)
    yield* attach("b", disk(path("b"), "vdc", { serial: "volume-1" }), 1)
    yield* attach("r", disk(path("r"), "vdd", { alias: "ua-volume-3", format: "raw" }), 1)
    yield* devices("with three disks")
    yield* attach("one too many", disk(path("c"), "vde", { alias: "ua-volume-4" }), 1)
    yield* attach("one too many", disk(path("c"), "vde", { alias: "ua-volume-4" }), 3)
    yield* attach("a bad serial", disk(path("c"), "vde", { serial: "a b'c" }), 1)
    yield* disks
    for (const name of ["vda", "vdb", "vdd", path("a"), "vdq"]) yield* info(name)
    for (const [name, size, flags] of [
      ["vdb", 209_715_200n, 1],
      ["vdb", 209_715_200n, 1],
      ["vdb", 104_857_600n, 1],
      ["vdb", 307_200n, 0],
      ["vdb", 314_572_900n, 1],
      ["vdd", 209_715_200n, 1],
      ["vdd", 1000n, 1],
      [path("a"), 400n * 1024n ** 2n, 1],
      ["vdq", 2n ** 31n, 1],
      ["/nope", 2n ** 31n, 1],
      ["vdb", 2n ** 62n, 1],
      ["vdb", 2n ** 63n, 0],
      ["vdb", 2n ** 31n, 4]
    ] as const) {
      yield* resize(name, size, flags)
      yield* ask("capacity", call("DOMAIN_GET_BLOCK_INFO", { dom, path: name, flags: 0 }), ({ capacity }) => capacity)
    }
    const vol = (name: string) => ({ pool: "d1", name, key: path(name) })
    const copy = (from: string, to: string, format: string) =>
      ask(
        `copy ${from}, which is open, to ${format}`,
        call("STORAGE_VOL_CREATE_XML_FROM", {
          pool,
          xml: `<volume><name>${to}</name><capacity>1</capacity><target><format type='${format}'/></target></volume>`,
          clonevol: vol(from),
          flags: 0
        })
      )
    yield* copy("a", "a2", "qcow2")
    yield* copy("r", "r2", "raw")
    yield* copy("r", "r3", "qcow2")
    yield* copy("base", "base2", "qcow2")
    for (const name of ["a", "r"]) {
      yield* ask(
        `resize ${name}, which is open`,
        call("STORAGE_VOL_RESIZE", { vol: vol(name), capacity: 1024n ** 3n, flags: 0 })
      )
    }
    const other = { name: "y", uuid: otherUuid, id: -1 }
    for (const [what, text] of [
      ["its root", disk(path("root"), "vda")],
      ["what lies below it", disk(path("base"), "vda", { format: "raw" })],
      ["what is not qcow2", disk(path("base2"), "vda") + disk(path("r2"), "vdb")]
    ] as const) {
      yield* define(`another with ${what}`, domainXml("q35", text, "y", otherUuid))
      yield* ask("create", call("DOMAIN_CREATE_WITH_FLAGS", { dom: other, flags: 1 }))
    }
    yield* ask("undefine", call("DOMAIN_UNDEFINE_FLAGS", { dom: other, flags: 0 }))

    for (const flags of [1, 2, 3]) yield* release("ua-none", flags)
    yield* detach("what is not there", "<disk type='file'><target dev='vdq' bus='virtio'/></disk>", 1)
    yield* detach("what is not there", "<disk type='file'><target dev='vdq' bus='virtio'/></disk>", 3)
    yield* release("ua-volume-3", 3)
    yield* release("ua-volume-1", 1)
    yield* disks
    yield* release("ua-volume-1", 3)
    yield* release("ua-volume-1", 3)
    yield* release("ua-volume-1", 1)
    yield* disks
    yield* ask("reset", call("DOMAIN_RESET", { dom, flags: 0 }))
    yield* client.await(({ procedure }) => procedure === 333)
    yield* release("ua-volume-1", 1)
    yield* disks
    yield* attach("a", a, 1)
    yield* devices("with the first free port")
    yield* undefine
    for (const flags of [2, 3]) {
      yield* attach("to a transient domain", a, flags)
      yield* detach("from a transient domain", a, flags)
      yield* release("ua-volume-1", flags)
    }
    yield* destroy

    // ---- images of Ceph
    const image = (name: string) =>
      `<disk type='network' device='disk'><driver name='qemu' type='raw' cache='none' discard='unmap'/><auth username='vmfabric'><secret type='ceph' uuid='${otherUuid}'/></auth><source protocol='rbd' name='${name}'><host name='10.0.0.1' port='6789'/><host name='10.0.0.2' port='6789'/></source><target dev='vdb' bus='virtio'/><serial>volume-9</serial><alias name='ua-volume-9'/></disk>`
    yield* define("q35", domainXml("q35", disk(path("root"), "vda")))
    yield* attach("an image", image("vms/volume-9"), 2)
    yield* devices("with an image")
    yield* info("vdb")
    yield* info("vms/volume-9")
    yield* start
    yield* release("ua-volume-9", 2)
    yield* start
    yield* attach("an image without secret", image("vms/volume-9"), 1)
    yield* call("SECRET_DEFINE_XML", {
      xml: `<secret ephemeral='no' private='yes'><uuid>${otherUuid}</uuid><usage type='ceph'><name>client.vmfabric</name></usage></secret>`,
      flags: 0
    })
    yield* attach("an image without the secret's value", image("vms/volume-9"), 1)
    yield* call("SECRET_UNDEFINE", { secret: { uuid: otherUuid, usageType: 2, usageID: "client.vmfabric" } })
    // this one's clock has never gone
    yield* attach("a", a, 3)
    for (const flags of [1, 1, 3]) yield* release("ua-volume-1", flags)
    yield* disks
    yield* destroy
    yield* undefine

    for (const name of ["base", "root", "a", "b", "c", "r", "r2", "base2"]) {
      yield* ask(`delete ${name}`, call("STORAGE_VOL_DELETE", { vol: vol(name), flags: 0 }))
    }
    yield* call("STORAGE_POOL_DESTROY", { pool })
    yield* call("STORAGE_POOL_DELETE", { pool, flags: 0 })
    yield* call("STORAGE_POOL_UNDEFINE", { pool })
    // the last of what there is to tell
    yield* client.await(({ payload, procedure }) => {
      const bytes = Buffer.from(payload)
      return procedure === 370 && bytes.includes("d1") && bytes.readInt32BE(bytes.length - 8) === 1
    })
  })

const words = (payload: Uint8Array): string =>
  Buffer.from(payload)
    .toString("latin1")
    .replaceAll(/[^ -~]+/g, "|")
