import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Packet from "../../src/libvirt/Packet.ts"
import * as Xdr from "../../src/libvirt/Xdr.ts"
import { codecOf, cut, frames, recorded } from "./Frames.ts"

const uuid = "00112233-4455-6677-8899-aabbccddeeff"
const off = { name: "rpc-g", uuid, id: -1 }
const on = { ...off, id: 20 }
const dom = (id: number) => ({ name: "rpc-a", uuid: "3f155d44-e6e0-4e96-b54e-acc0d1024ee6", id })
const vol = { pool: "rpc-pool", name: "rpc-h.raw", key: "/var/lib/libvirt/images/rpc-pool/rpc-h.raw" }
const xml =
  "<domain type='qemu'><name>rpc-g</name><uuid>00112233-4455-6677-8899-aabbccddeeff</uuid><memory unit='MiB'>32</memory><os><type arch='x86_64' machine='pc'>hvm</type></os><devices><disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk></devices></domain>"
const error = (given: { code: number; domain: number; message: string; str1: string; str2: string }) => ({
  ...given,
  level: 2,
  dom: null,
  str3: null,
  int1: -1,
  int2: -1,
  net: null
})

/** What each frame says, title by title and frame by frame; null: header only. */
const said: ReadonlyArray<readonly [title: RegExp, ...values: ReadonlyArray<unknown>]> = [
  [/^AUTH_LIST/, undefined, { types: [0] }],
  [/^CONNECT_SUPPORTS_FEATURE/, { feature: 10 }, { supported: 1 }],
  [/^CONNECT_OPEN/, { name: "qemu:///system", flags: 0 }, undefined],
  [/^CONNECT_GET_HOSTNAME/, undefined, { hostname: "h1" }],
  [/^CONNECT_GET_LIB_VERSION/, undefined, { lib_ver: 9_000_000n }],
  [
    /^NODE_GET_INFO/,
    undefined,
    { model: "x86_64", memory: 6_908_120n, cpus: 2, mhz: 2299, nodes: 1, sockets: 1, cores: 2, threads: 1 }
  ],
  [
    /^DOMAIN_LOOKUP_BY_NAME failing/,
    { name: "rpc-none" },
    error({
      code: 42,
      domain: 10,
      message: "Domain not found: no domain with matching name 'rpc-none'",
      str1: "Domain not found: %s",
      str2: "no domain with matching name 'rpc-none'"
    })
  ],
  [/^CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY/, { eventID: 0, dom: null }, { callbackID: 6 }],
  [/^DOMAIN_DEFINE_XML_FLAGS/, { xml, flags: 1 }, { dom: off }],
  [/^Lifecycle event.*DEFINED/, { callbackID: 6, dom: off, event: 0, detail: 0 }],
  [/^CONNECT_LIST_ALL_DOMAINS/, { need_results: 1, flags: 0 }, { domains: [off], ret: 1 }],
  [/^DOMAIN_LOOKUP_BY_UUID/, { uuid }, { dom: off }],
  [/^DOMAIN_GET_STATE/, { dom: off, flags: 0 }, { state: 5, reason: 0 }],
  [/^DOMAIN_GET_INFO/, { dom: off }, { state: 5, maxMem: 32_768n, memory: 32_768n, nrVirtCpu: 1, cpuTime: 0n }],
  [/^DOMAIN_SET_METADATA type/, { dom: off, type: 2, metadata: "<a/>", key: "k", uri: "urn:k", flags: 2 }, undefined],
  [/^DOMAIN_SET_METADATA removal/, { dom: off, type: 2, metadata: null, key: null, uri: "urn:k", flags: 2 }, undefined],
  [/^DOMAIN_CREATE_WITH_FLAGS/, { dom: off, flags: 0 }, { dom: on }],
  [
    /^CONNECT_GET_ALL_DOMAIN_STATS/,
    { doms: [on], stats: 1, flags: 0 },
    {
      retStats: [
        {
          dom: on,
          params: [
            { field: "state.state", value: { type: "int", value: 1 } },
            { field: "state.reason", value: { type: "int", value: 1 } }
          ]
        }
      ]
    }
  ],
  [
    /^DOMAIN_SET_BLOCK_IO_TUNE/,
    {
      dom: on,
      disk: "sda",
      params: [
        { field: "i", value: { type: "int", value: -5 } },
        { field: "ui", value: { type: "uint", value: 5 } },
        { field: "l", value: { type: "llong", value: -5n } },
        { field: "ul", value: { type: "ullong", value: 1n << 40n } },
        { field: "d", value: { type: "double", value: 1.5 } },
        { field: "b", value: { type: "boolean", value: true } },
        { field: "s", value: { type: "string", value: "abc" } }
      ],
      flags: 1
    },
    error({
      code: 74,
      domain: 0,
      message: "argument unsupported: parameter 'b' not supported",
      str1: "argument unsupported: %s",
      str2: "parameter 'b' not supported"
    })
  ],
  [
    /^QEMU program/,
    null,
    error({
      code: 74,
      domain: 10,
      message: "argument unsupported: QEMU guest agent is not configured",
      str1: "argument unsupported: %s",
      str2: "QEMU guest agent is not configured"
    })
  ],
  [/^Lifecycle event.*DESTROYED/, { callbackID: 6, dom: off, event: 5, detail: 1 }],
  [/^STORAGE_VOL_UPLOAD/, { vol, offset: 0n, length: 131_072n, flags: 1 }, undefined, null, null, null, null],
  [/^STORAGE_VOL_DOWNLOAD/, { vol, offset: 0n, length: 8n, flags: 0 }, undefined, null, null, null, null],
  [/^Hole and EOF/, null, null],
  [
    /^SECRET_SET_VALUE/,
    {
      secret: { uuid: "0f0e0d0c-0b0a-0908-0706-050403020100", usageType: 2, usageID: "rpc-sec" },
      value: Uint8Array.of(1, 2, 3, 4, 5),
      flags: 0
    },
    undefined
  ],
  [/^Keepalive/, null, null],
  [
    /^Unknown procedure/,
    null,
    error({
      code: 39,
      domain: 7,
      message: "unknown procedure: 9999",
      str1: "%s",
      str2: "unknown procedure: 9999"
    })
  ],
  [/^CONNECT_CLOSE/, undefined, undefined],
  [
    /^TUNABLE/,
    {
      callbackID: 71,
      dom: dom(2),
      params: [
        { field: "blkdeviotune.disk", value: { type: "string", value: "vda" } },
        { field: "blkdeviotune.total_iops_sec", value: { type: "ullong", value: 500n } }
      ]
    }
  ],
  [
    /^JOB_COMPLETED/,
    {
      callbackID: 156,
      dom: { name: "rpc-b", uuid: "6dc13ff7-22bf-435e-8510-047e19505e73", id: 9 },
      params: [
        { field: "operation", value: { type: "int", value: 9 } },
        { field: "time_elapsed", value: { type: "ullong", value: 47n } },
        { field: "disk_temp_used", value: { type: "ullong", value: 0n } },
        { field: "disk_temp_total", value: { type: "ullong", value: 67_108_864n } },
        { field: "success", value: { type: "boolean", value: true } },
        { field: "errmsg", value: { type: "string", value: "Operation canceled" } }
      ]
    }
  ],
  [/^METADATA_CHANGE/, { callbackID: 77, dom: dom(2), type: 1, nsuri: null }],
  [/^BLOCK_JOB_2/, { callbackID: 97, dom: dom(2), dst: "vda", type: 4, status: 3 }],
  [/^AGENT_LIFECYCLE/, { callbackID: 45, dom: dom(2), state: 2, reason: 1 }],
  [/^DEVICE_REMOVED/, { callbackID: 69, dom: dom(2), devAlias: "ua-rpcfs" }],
  [/^Storage pool lifecycle/, null],
  [/^Secret lifecycle/, null],
  [
    /^Migration call/,
    {
      dom: { name: "rpc-m", uuid: "d699828b-afec-4817-bc32-0af18ad39c5c", id: 13 },
      dconnuri: "qemu+ssh://root@127.0.0.9:1/system?no_verify=1&no_tty=1",
      params: [{ field: "bandwidth", value: { type: "ullong", value: 10n } }],
      cookie_in: new Uint8Array(0),
      flags: 0x203
    }
  ],
  [/^REPLY_WITH_FDS/, null]
]

const titles = [...new Set(frames.map(({ title }) => title))]

describe("recorded frames", () => {
  it("every one of them has its values written down here", () => {
    assert.lengthOf(titles, said.length)
    assert.lengthOf(recorded, frames.length + 1)
  })

  titles.forEach((title, index) => {
    it(`${title}`, () => {
      const [pattern, ...values] = said[index] ?? [/^$/]
      assert.match(title, pattern)
      const own = frames.filter((frame) => frame.title === title)
      assert.lengthOf(own, values.length)
      own.forEach(({ bytes, from }, at) => {
        const [packet, ...more] = cut(bytes)
        assert.lengthOf(more, 0)
        if (packet === undefined) return assert.fail("no frame")
        // the header: these fields with the payload are the frame again
        assert.deepStrictEqual(Packet.encode(packet, packet.payload), bytes)
        assert.strictEqual(packet.version, 1)
        if (packet.type === Packet.types.call) assert.strictEqual(from, "client")
        const codec = codecOf(packet)
        if (values[at] === null) return assert.isUndefined(codec, "its values have to be written down")
        if (codec === undefined) return assert.fail("no table knows it")
        const value = Either.getOrThrow(Xdr.decode(codec, packet.payload))
        assert.deepStrictEqual(value, values[at])
        assert.deepStrictEqual(Either.getOrThrow(Xdr.encode(codec, value)), packet.payload)
      })
    })
  })

  it("stream data comes through unpadded", () => {
    const data = frames
      .flatMap(({ bytes }) => cut(bytes))
      .filter(({ payload, type }) => type === 3 && payload.length > 0)
    assert.deepStrictEqual(
      data.map(({ payload }) => new TextDecoder().decode(payload)),
      ["HELLO", "HELLO\0\0\0"]
    )
  })
})
