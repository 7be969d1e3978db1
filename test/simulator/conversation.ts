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
      /\((domain_definition|metadata_xml|storage_pool_definition|storage_volume_definition)\):1: .*?\^/g,
      "($1):1: …"
    )
    // QEMU says which, depending on how far it had come
    .replaceAll("qemu unexpectedly closed the monitor", "process exited while connecting to monitor")
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

    // ---- what was told meanwhile
    for (const event of client.pushed.filter(({ type }) => type === Packet.types.message)) {
      const bytes = Buffer.from(event.payload)
      const nameEnd = 8 + bytes.readUInt32BE(4)
      const rest = 8 + Math.ceil(bytes.readUInt32BE(4) / 4) * 4 + 16
      const numbers = Array.from({ length: (bytes.length - rest) / 4 }, (_, index) =>
        bytes.readInt32BE(rest + 4 * index)
      )
      const aboutDomain = event.procedure === 318 || event.procedure === 319
      const [id = -1, ...details] = aboutDomain ? numbers : [-1, ...numbers]
      say(
        `event ${event.procedure} serial ${event.serial} ${bytes.toString("utf8", 8, nameEnd)} ${id > 0 ? "with id" : "without id"} ${details.join(",")}`
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

const words = (payload: Uint8Array): string =>
  Buffer.from(payload)
    .toString("latin1")
    .replaceAll(/[^ -~]+/g, "|")
