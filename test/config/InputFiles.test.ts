import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { fileURLToPath } from "node:url"
import * as InputFiles from "../../src/config/InputFiles.ts"
import { HostConfig } from "../../src/domain/Host.ts"
import { ImageConfig } from "../../src/domain/Image.ts"
import { InstanceType } from "../../src/domain/InstanceType.ts"

type Parser = (text: string, file?: string) => Either.Either<ReadonlyArray<unknown>, InputFiles.InputFileError>

const value = <A>(result: Either.Either<A, InputFiles.InputFileError>): A => Either.getOrThrowWith(result, (e) => e)

/** what is told, line by line; nothing when it was accepted */
const told = (parse: Parser, text: string): ReadonlyArray<string> =>
  Either.match(parse(text), { onLeft: (error) => error.message.split("\n"), onRight: () => [] })

const tells = (parse: Parser, rows: ReadonlyArray<readonly [text: string, message: string]>) => {
  for (const [text, message] of rows) {
    it(`${JSON.stringify(text)}`, () => assert.deepStrictEqual(told(parse, text), message.split("\n")))
  }
}

describe("machine file", () => {
  it("reads addresses, words, comments, blank lines, CRLF and a byte order mark", () => {
    const text =
      "\uFEFF# fleet\r\n\r\nroot@h1\r\n\t root@[2001:db8::1]:2222  virt=qemu cpu=8 overcommit.cpu=1.5 # last\r\n" +
      'u.s-er@h-3.example.com:22 label.rack="a #1 \\"x\\"" reserved.ram=4096 reserved.disk=0 network=vms path=/srv/vm ram=1024 disk=10 overcommit.ram=0.5 overcommit.disk=1000'
    const base = {
      virt: "auto",
      overcommit: { cpu: 4, ram: 1, disk: 1 },
      limit: {},
      path: "/var/lib/vmfabric",
      labels: {}
    }
    assert.deepStrictEqual(value<ReadonlyArray<unknown>>(InputFiles.parseMachines(text)), [
      { ...base, address: { user: "root", host: "h1", port: 22 } },
      {
        ...base,
        address: { user: "root", host: "2001:db8::1", port: 2222 },
        virt: "qemu",
        limit: { cpu: 8 },
        overcommit: { cpu: 1.5, ram: 1, disk: 1 }
      },
      {
        ...base,
        address: { user: "u.s-er", host: "h-3.example.com", port: 22 },
        labels: { rack: 'a #1 "x"' },
        network: "vms",
        path: "/srv/vm",
        limit: { ram: 1024, disk: 10 },
        reserved: { ram: 4096 },
        overcommit: { cpu: 4, ram: 0.5, disk: 1000 }
      }
    ])
  })

  const f = "physicalMachine_file"
  const blank = "expected a blank in its place, or quotes around the word that it is a part of"
  const form = "expected user@host or user@host:port, then key=value words"
  it("may name no machine yet", () => {
    for (const text of ["", "# none\n\n"]) {
      assert.deepStrictEqual(InputFiles.parseMachines(text), Either.right([]))
    }
  })

  describe("tells what is wrong", () => {
    tells(InputFiles.parseMachines, [
      ["\n\nroot@\n", `${f}:3: "root@" has no host: ${form}`],
      ["root@:22", `${f}:1: "root@:22" has no host: ${form}`],
      ["h1", `${f}:1: "h1" has no user: ${form}`],
      ["@h1", `${f}:1: "@h1" has no user: ${form}`],
      ["root@h1:0", `${f}:1: "root@h1:0" has the port "0": expected a port from 1 to 65535`],
      ["root@h1:65536", `${f}:1: "root@h1:65536" has the port "65536": expected a port from 1 to 65535`],
      ["root@h1:", `${f}:1: "root@h1:" has the port "": expected a port from 1 to 65535`],
      ["root@h1:2 2", `${f}:1: "2" is not a key=value word: ${words}`],
      [
        "root@fe80::1",
        `${f}:1: "root@fe80::1" has an IPv6 address without brackets: expected brackets around it: root@[fe80::1]`
      ],
      ["root@[::1%eth0]", `${f}:1: "root@[::1%eth0]" has the host "::1%eth0": expected an address without a zone`],
      ["root@[h1]", `${f}:1: "root@[h1]" has the host "h1": expected an IPv6 address in the brackets`],
      ["root@h1 virt=xen", `${f}:1: virt is "xen": expected auto, kvm or qemu`],
      [
        "root@h1 network.lan=br0",
        `${f}:1: network.lan is "br0": expected bridge:br0, bridge:br{vlan} (a bridge for each VLAN), or libvirt:default; ` +
          "the name of a bridge has 15 characters at most"
      ],
      [
        "root@h1 network.lan=bridge:abcdefghijkl{vlan}",
        `${f}:1: network.lan is "bridge:abcdefghijkl{vlan}": expected bridge:br0, bridge:br{vlan} (a bridge for each VLAN), ` +
          "or libvirt:default; the name of a bridge has 15 characters at most"
      ],
      ["root@h1 cpu=0", `${f}:1: cpu is "0": expected a whole number of vCPUs, 1 or more`],
      ["root@h1 ram=1.5", `${f}:1: ram is "1.5": expected a whole number of MiB, 1 or more`],
      ["root@h1 disk=-1", `${f}:1: disk is "-1": expected a whole number of GiB, 1 or more`],
      [
        "root@h1 disk=9999999999999999",
        `${f}:1: disk is "9999999999999999": expected a whole number of GiB, 1 or more`
      ],
      ["root@h1 overcommit.cpu=0", `${f}:1: overcommit.cpu is "0": expected a number from 0.1 to 1000`],
      ["root@h1 overcommit.ram=1e2", `${f}:1: overcommit.ram is "1e2": expected a number from 0.1 to 1000`],
      ["root@h1 reserved.ram=-1", `${f}:1: reserved.ram is "-1": expected a whole number of MiB, 0 or more`],
      ["root@h1 overcommit.disk=1001", `${f}:1: overcommit.disk is "1001": expected a number from 0.1 to 1000`],
      ["root@h1 virt=kvm virt=kvm", `${f}:1: virt is given twice: expected each key once`],
      ["root@h1 label.a=1 label.a=2", `${f}:1: label.a is given twice: expected each key once`],
      ["root@h1 colour=red", `${f}:1: "colour" is not a key: ${words}`],
      ["root@h1 __proto__=red", `${f}:1: "__proto__" is not a key: ${words}`],
      ["root@h1 label.=red", `${f}:1: "label." is not a key: ${words}`],
      ["root@h1 label.host.arch=x", `${f}:1: "label.host.arch" is not a key: ${words}`],
      ["root@h1 label.a=", `${f}:1: label.a is "": expected a text of 1 to 255 characters`],
      ['root@h1 label.a=""', `${f}:1: label.a is "": expected a text of 1 to 255 characters`],
      [
        `root@h1 label.a=${"x".repeat(256)}`,
        `${f}:1: label.a is "${"x".repeat(79)}…": expected a text of 1 to 255 characters`
      ],
      ["root@h1\u00a0label.a=b", `${f}:1: there is an invisible character (U+00A0): ${blank}`],
      ["root@h1 label.a=b\u2009virt=kvm", `${f}:1: there is an invisible character (U+2009): ${blank}`],
      ["root@h1 \ufeffvirt=kvm", `${f}:1: there is an invisible character (U+FEFF): ${blank}`],
      ['"root@h1\u00a0label.a=b"', `${f}:1: there is an invisible character (U+00A0): ${blank}`],
      ['root@h1 label.a="red', `${f}:1: a quote is not closed: expected a closing " on the same line`],
      ["root@h1\u0000", `${f}:1: there is a control character (U+0000): expected readable text`],
      ["root@h1 label.a=\u001b[2J", `${f}:1: there is a control character (U+001B): expected readable text`],
      ["root@h1\nroot@h1", `${f}:2: h1 with port 22 is already on line 1: expected each only once`],
      ["root@h1\nother@H1:22", `${f}:2: H1 with port 22 is already on line 1: expected each only once`],
      [
        "root@[::ffff:127.0.0.1]\nroot@127.0.0.1",
        `${f}:2: 127.0.0.1 with port 22 is already on line 1: expected each only once`
      ],
      ["root@[::1]\nroot@[0:0::0:1]", `${f}:2: 0:0::0:1 with port 22 is already on line 1: expected each only once`],
      [
        "root@\nroot@h1 virt=x cpu=y\n",
        `${f}:1: "root@" has no host: ${form}\n${f}:2: virt is "x": expected auto, kvm or qemu\n` +
          `${f}:2: cpu is "y": expected a whole number of vCPUs, 1 or more`
      ]
    ])
  })

  // CVE-2023-51385 and its kin: nothing that a program further down could take for an option or a command
  for (const address of [
    "-oProxyCommand=x@h1",
    "root@-oProxyCommand=x",
    "root@a;b",
    "root@$(x)",
    "root@`x`",
    "root@a|b",
    "root@a&b",
    "ro ot@h1",
    '"ro ot@h1"',
    '"root@h1 -oX"',
    "root@h1/..",
    "root@..",
    "root@a..b",
    "root@.a",
    "root@a.-b",
    "root@127.1",
    "root@0x7f000001",
    "root@2130706433",
    "root@1.2.3.256",
    "root@010.0.0.1",
    "root@h1@h2",
    "root@%68",
    "root@ｈ１",
    "root@[::1",
    "root@::1]",
    `root@${"a".repeat(64)}`,
    `root@${"a.".repeat(127)}aa`,
    `${"u".repeat(33)}@h1`
  ]) {
    it(`refuses the address ${address.slice(0, 40)}`, () =>
      assert.isTrue(Either.isLeft(InputFiles.parseMachines(address))))
  }

  for (const path of ["relative", "/", "/a/../b", "/..", "/a b", "/a;b", "/a$x", "", `/${"a".repeat(201)}`]) {
    it(`refuses path=${path.slice(0, 40)}`, () =>
      assert.match(
        told(InputFiles.parseMachines, `root@h1 "path=${path}"`)[0] ?? "",
        /^physicalMachine_file:1: path is /
      ))
  }

  it("keeps a message short and one line for each problem", () => {
    const error = Either.flip(InputFiles.parseMachines("x\n".repeat(5000)))
    const { message, problems } = Either.getOrThrow(error)
    assert.strictEqual(problems.length, 5000)
    assert.strictEqual(message.split("\n").length, 101)
    assert.isTrue(message.endsWith("and 4900 more problems"))
  })

  it("names the file as it was given", () =>
    assert.match(Either.getOrThrow(Either.flip(InputFiles.parseMachines("x", "/etc/m"))).message, /^\/etc\/m:1: /))
})

const words =
  "expected network=, virt=, path=, cpu=, ram=, disk=, overcommit.cpu=, overcommit.ram=, overcommit.disk=, reserved.cpu=, reserved.ram=, reserved.disk=, network.<name>=, or label.<key>=, " +
  "with the key of letters, digits, and any of _ . / - inside, and not with host. at its start"

describe("image file", () => {
  it("reads paths, addresses, names and formats", () => {
    const text =
      "/srv/Ubuntu-12.04-amd64.img\n/srv/Fedora-17-x86_64 format=raw # no extension\n" +
      'root@h1:/srv/a.tar.qcow2 name="My image"\nroot@[::1]:2222:/srv/b.raw\n"/srv/with blank.img"\n/srv/.hidden\n/srv/Debian-12.04\n'
    const parsed = value(InputFiles.parseImages(text))
    assert.deepStrictEqual(
      parsed.map(({ name }) => name),
      ["Ubuntu-12.04-amd64", "Fedora-17-x86_64", "My image", "b", "with blank", ".hidden", "Debian-12.04"]
    )
    assert.deepStrictEqual<unknown>(parsed[1], {
      source: { host: null, path: "/srv/Fedora-17-x86_64" },
      name: "Fedora-17-x86_64",
      format: "raw"
    })
    assert.deepStrictEqual<unknown>(parsed[3]?.source, {
      host: { user: "root", host: "::1", port: 2222 },
      path: "/srv/b.raw"
    })
  })

  const f = "image_file"
  const form = "expected /full/path, or user@host:/full/path for an image on another machine"
  describe("tells what is wrong", () => {
    tells(InputFiles.parseImages, [
      [
        "",
        `${f}: it names no image: expected at least one line with /full/path, or user@host:/full/path for an image on another machine`
      ],
      ["a.img", `${f}:1: "a.img" is not a full path: ${form}`],
      ["../a.img", `${f}:1: "../a.img" is not a full path: ${form}`],
      ["root@h1:a.img", `${f}:1: "root@h1:a.img" is not a full path: ${form}`],
      ["file:///etc/shadow", `${f}:1: "file:///etc/shadow" is a URL: ${form}`],
      ["http://169.254.169.254/x", `${f}:1: "http://169.254.169.254/x" is a URL: ${form}`],
      ["h1:/a.img", `${f}:1: "h1" has no user: expected user@host or user@host:port`],
      ["/a/../etc/shadow", `${f}:1: "/a/../etc/shadow" goes through .., . or //: expected the path without them`],
      ["/a/./b", `${f}:1: "/a/./b" goes through .., . or //: expected the path without them`],
      ["//a", `${f}:1: "//a" goes through .., . or //: expected the path without them`],
      ["/a/..", `${f}:1: "/a/.." goes through .., . or //: expected the path without them`],
      ["/a/", `${f}:1: "/a/" names a folder: expected the full path of a file`],
      ["/a format=vmdk", `${f}:1: format is "vmdk": expected raw or qcow2`],
      ["/a name=", `${f}:1: name is "": expected 1 to 255 characters without blanks at the ends`],
      ['/a name=" x"', `${f}:1: name is " x": expected 1 to 255 characters without blanks at the ends`],
      ["/a os=linux", `${f}:1: "os" is not a key: expected name= or format=`],
      ["/a b", `${f}:1: "b" is not a key=value word: expected name= or format=`],
      ["/a/x.img\n/b/x.raw", `${f}:2: the name "x" is already on line 1: expected each only once`],
      ["/a/x\n/a/x name=y", `${f}:2: /a/x is already on line 1: expected each only once`],
      ["r@h:/x\nr@H:22:/x name=y", `${f}:2: r@H:/x is already on line 1: expected each only once`]
    ])
  })
})

describe("types file", () => {
  const f = "vm_types"
  const type = (fields: string) => `{"types":[${fields}]}`
  it("reads the original's example", () =>
    assert.deepStrictEqual<unknown>(value(InputFiles.parseTypes(type('{"tid":1,"cpu":1,"ram":512,"disk":1}'))), [
      { tid: 1, cpu: 1, ram: 512, disk: 1 }
    ]))
  it("reads whole numbers however JSON writes them", () =>
    assert.deepStrictEqual<unknown>(value(InputFiles.parseTypes(type('{"disk":1e1,"ram":512.0,"tid":2,"cpu":1}'))), [
      { tid: 2, cpu: 1, ram: 512, disk: 10 }
    ]))

  const form = '{"tid":1,"cpu":1,"ram":512,"disk":1}'
  describe("tells what is wrong", () => {
    const requiring = (requires: string) => type(`{"tid":1,"cpu":1,"ram":512,"disk":1,"requires":${requires}}`)
    assert.deepStrictEqual<unknown>(
      value(
        InputFiles.parseTypes(
          requiring('{"host.virt":"kvm","host.cpu.model":["EPYC-Rome","EPYC-Milan"],"constructor":"x"}')
        )
      ),
      [
        {
          tid: 1,
          cpu: 1,
          ram: 512,
          disk: 1,
          requires: Object.fromEntries([
            ["host.virt", ["kvm"]],
            ["host.cpu.model", ["EPYC-Rome", "EPYC-Milan"]],
            ["constructor", ["x"]]
          ])
        }
      ]
    )
    assert.deepStrictEqual<unknown>(value(InputFiles.parseTypes(requiring("{}"))), [
      { tid: 1, cpu: 1, ram: 512, disk: 1 }
    ])
    const text =
      "expected a text of 1 to 255 characters, or a list of 1 to 64 such texts, none with a control character"
    const of = "types[0].requires"
    tells(InputFiles.parseTypes, [
      [
        requiring('"kvm"'),
        `${f}:1:58: ${of} is the text "kvm": expected {"LABEL":"VALUE"}, as {"host.virt":"kvm","host.cpu.feature.avx512f":"yes"}: labels of hosts, each with a value or a list of values`
      ],
      [requiring('{"a":1}'), `${f}:1:63: ${of}.a is 1: ${text}`],
      [requiring('{"a":[]}'), `${f}:1:63: ${of}.a is a list of other things: ${text}`],
      [requiring('{"a":["x",true]}'), `${f}:1:63: ${of}.a is a list of other things: ${text}`],
      [requiring('{"a":""}'), `${f}:1:63: ${of}.a is the text "": ${text}`],
      [requiring('{"a":"x","a":"y"}'), `${f}:1:67: ${of}.a is given twice: expected each label once`],
      [
        requiring('{"a b":"x"}'),
        `${f}:1:59: ${of} has "a b": expected the key of a label of hosts: 1 to 63 characters without blanks and =`
      ],
      [
        requiring('{"__proto__":"x"}'),
        `${f}:1:59: ${of} has "__proto__", which no host can have as a label: expected a label of letters, digits, and . _ / - between them, or of those that begin with host. one of host.arch, host.virt, host.cpu.model, host.cpu.vendor, host.cpu.feature.NAME`
      ],
      [requiring('{"rack":["a","b","a"]}'), `${f}:1:59: ${of} has rack="a" twice: expected each value once`],
      [
        requiring(JSON.stringify(Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`l${i}`, "x"])))),
        `${f}:1:58: ${of} has 17 labels: expected at most 16`
      ]
    ])
    tells(InputFiles.parseTypes, [
      ["", `${f}:1:1: the file ends here: expected a JSON value`],
      ['{"types":\n  [{"tid" 1}]}', `${f}:2:11: "1" cannot stand here: expected a colon after the key`],
      ["{types:[]}", `${f}:1:2: "types" cannot stand here: expected a key in double quotes`],
      ['{"types":[1,]}', `${f}:1:13: "]" cannot stand here: expected a JSON value`],
      ['{"types":[1 2]}', `${f}:1:13: "2" cannot stand here: expected a comma or ]`],
      ['{"types":[]} x', `${f}:1:14: "x" cannot stand here: expected the end of the file after the value`],
      ['{"types":[01]}', `${f}:1:11: "01" cannot stand here: expected a JSON value`],
      ['{"types":[NaN]}', `${f}:1:11: "NaN" cannot stand here: expected a JSON value`],
      [
        '{"typ\n',
        `${f}:1:2: the text that begins here is not a JSON string: expected a closing quote on the same line, and only the escapes of JSON`
      ],
      ["[".repeat(100000), `${f}:1:66: "[" cannot stand here: expected no more than 64 levels`],
      ["[]", `${f}:1:1: the file is a list: expected {"types":[{"tid":1,"cpu":1,"ram":512,"disk":1}, …]}`],
      ["{}", `${f}:1:1: types is missing: expected {"types":[{"tid":1,"cpu":1,"ram":512,"disk":1}, …]}`],
      ['{"types":{}}', `${f}:1:10: types is an object: expected a list of types`],
      ['{"types":[]}', `${f}:1:10: types is empty: expected at least one type`],
      ['{"types":[{"tid":1,"cpu":1,"ram":512,"disk":1}],"x":1}', `${f}:1:49: "x" is not a key: expected only types`],
      [type("7"), `${f}:1:11: types[0] is 7: expected ${form}`],
      [type('{"tid":1,"cpu":1,"ram":512}'), `${f}:1:11: types[0].disk is missing: expected ${form}`],
      [
        type('{"tid":1,"cpu":1,"ram":512,"disk":1,"gpu":1}'),
        `${f}:1:47: types[0]."gpu" is not a key: expected only tid, cpu, ram, disk, requires`
      ],
      [
        type('{"tid":1,"cpu":1,"ram":512,"disk":1,"__proto__":1}'),
        `${f}:1:47: types[0]."__proto__" is not a key: expected only tid, cpu, ram, disk, requires`
      ],
      [
        type('{"tid":1,"tid":2,"cpu":1,"ram":512,"disk":1}'),
        `${f}:1:20: types[0].tid is given twice: expected each key once`
      ],
      [
        type('{"tid":1,"cpu":1,"ram":512,"disk":1},\n{"tid":1,"cpu":2,"ram":512,"disk":1}'),
        `${f}:2:8: types[1].tid is 1, as types[0].tid is: expected a tid only once`
      ],
      [
        type('{"tid":0,"cpu":-1,"ram":1.5,"disk":"1"}'),
        `${f}:1:18: types[0].tid is 0: expected a whole number from 1 to 9007199254740991\n` +
          `${f}:1:26: types[0].cpu is -1: expected a whole number of vCPUs from 1 to 1024\n` +
          `${f}:1:35: types[0].ram is 1.5: expected a whole number of MiB from 16 to 67108864\n` +
          `${f}:1:46: types[0].disk is the text "1": expected a whole number of GiB from 1 to 1048576`
      ],
      [
        type('{"tid":9007199254740993,"cpu":1e400,"ram":null,"disk":true}'),
        `${f}:1:18: types[0].tid is 9007199254740993: expected a whole number from 1 to 9007199254740991\n` +
          `${f}:1:41: types[0].cpu is 1e400: expected a whole number of vCPUs from 1 to 1024\n` +
          `${f}:1:53: types[0].ram is null: expected a whole number of MiB from 16 to 67108864\n` +
          `${f}:1:65: types[0].disk is true: expected a whole number of GiB from 1 to 1048576`
      ]
    ])
  })
})

describe("for any text", () => {
  const fragments = fc.constantFrom(
    ...'root@ h1 : :/ [ ] [::1] 22 65536 # " \\ = virt= virt=kvm cpu= 8 label.a= label. overcommit.cpu=1.5 /srv/a.img ../ name= format=raw'.split(
      " "
    ),
    "root@h1",
    "root@[::1]:2222 ",
    "/srv/a.raw",
    '{"types":[{"tid":1,"cpu":1,"ram":512,"disk":1}]}',
    " ",
    "\n",
    "\r\n",
    "\t",
    "\uFEFF",
    ...'{ } [ ] , : "types" "tid" 1 -0 1e9 null true "cpu" "ram" "disk" {"tid":1,"cpu":1,"ram":512,"disk":1}'.split(" ")
  )
  const number = fc.constantFrom<unknown>(1, 16, 512, 1024, 1.5, 0, -1, 2 ** 53, 1e300, "1", null, [])
  const requires = fc.dictionary(fc.constantFrom("host.virt", "rack", ""), fc.constantFrom<unknown>("a", ["a"], []))
  const nearlyTypes = fc
    .array(
      fc.record({ tid: fc.nat(), cpu: number, ram: number, disk: number, requires }, { requiredKeys: ["tid", "cpu"] }),
      {
        maxLength: 2
      }
    )
    .map((types) => JSON.stringify({ types }))
  const texts = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(fragments, { maxLength: 20 }).map((parts) => parts.join("")),
    nearlyTypes
  )
  const shown = (error: InputFiles.InputFileError) => {
    assert.strictEqual(error.message.split("\n").length, Math.min(error.problems.length, 101))
    // what a terminal could act on
    assert.notMatch(error.message.replaceAll("\n", ""), /[\u0000-\u001f\u007f-\u009f]/)
  }
  /** how many were accepted; a failed check throws */
  const check = <A, I>(
    parse: (text: string) => Either.Either<ReadonlyArray<A>, InputFiles.InputFileError>,
    schema: Schema.Schema<A, I>,
    least = 1
  ): number => {
    const valid = Schema.is(schema)
    let accepted = 0
    fc.assert(
      fc.property(texts, (text) => {
        const result = parse(text)
        if (Either.isLeft(result)) return shown(result.left)
        if (result.right.length > 0) accepted++
        else assert.strictEqual(least, 0)
        for (const each of result.right) assert.isTrue(valid(each))
      }),
      { numRuns: 3000 }
    )
    return accepted
  }
  it("a control character is shown as what it is, and does nothing", () => {
    for (const [character, words] of [
      ["\u007f", '"\\u007f" cannot stand here'],
      ["\u009b", '"\\u009b" cannot stand here'],
      ["\u001b", '"\\u001b" cannot stand here']
    ] as const) {
      const parsed = InputFiles.parseTypes(character)
      assert(Either.isLeft(parsed))
      assert.include(parsed.left.message, words)
    }
  })
  // some are accepted: else nothing was said of what is
  it("machines: no exception, and only what the domain allows", () =>
    assert.isAbove(check(InputFiles.parseMachines, HostConfig, 0), 0))
  it("images: no exception, and only what the domain allows", () =>
    assert.isAbove(check(InputFiles.parseImages, ImageConfig), 0))
  it("types: no exception, and only what the domain allows", () =>
    assert.isAbove(check(InputFiles.parseTypes, InstanceType), 0))
})

describe("what is written is read back", () => {
  const label = fc.stringMatching(/^[a-z]{1,20}$/)
  const ipv6 = fc.ipV6().filter((address) => Either.isRight(InputFiles.parseAddress(`root@[${address}]`)))
  const address = fc.record({
    user: fc.stringMatching(/^[a-z_][a-z0-9_.-]{0,31}$/),
    host: fc.oneof(
      fc.array(label, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(".")),
      fc.ipV4(),
      ipv6
    ),
    port: fc.integer({ min: 1, max: 65535 })
  })
  const printable = fc
    .string({ unit: "grapheme", maxLength: 40 })
    .filter((text) => !/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u.test(text))
  const amount = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })
  const ratio = fc.integer({ min: 100, max: 1_000_000 }).map((thousandths) => thousandths / 1000)
  const host: fc.Arbitrary<HostConfig> = fc.record(
    {
      address,
      virt: fc.constantFrom("auto" as const, "kvm" as const, "qemu" as const),
      overcommit: fc.record({ cpu: ratio, ram: ratio, disk: ratio }),
      limit: fc.record({ cpu: amount, ram: amount, disk: amount }, { requiredKeys: [], noNullPrototype: true }),
      reserved: fc
        .record({ cpu: amount, ram: amount, disk: amount }, { requiredKeys: [], noNullPrototype: true })
        .filter((reserved) => Object.keys(reserved).length > 0),
      network: fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,62}$/),
      networks: fc.dictionary(
        fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,20}$/).filter((name) => name !== "__proto__"),
        fc.oneof(
          fc.record({
            kind: fc.constant("bridge" as const),
            name: fc.stringMatching(/^[a-z][a-z0-9-]{0,5}({vlan})?$/)
          }),
          fc.record({ kind: fc.constant("libvirt" as const), name: fc.stringMatching(/^[A-Za-z0-9_]{1,20}$/) })
        ),
        { minKeys: 1, maxKeys: 4, noNullPrototype: true }
      ),
      path: fc.stringMatching(/^\/[A-Za-z0-9_-]{1,60}$/),
      labels: fc.dictionary(
        fc.stringMatching(/^[A-Za-z0-9]([A-Za-z0-9_./-]{0,20}[A-Za-z0-9])?$/),
        printable.filter((text) => text !== ""),
        {
          noNullPrototype: true
        }
      )
    },
    { requiredKeys: ["address", "virt", "overcommit", "limit", "path", "labels"], noNullPrototype: true }
  )
  it("machines", () =>
    fc.assert(
      fc.property(
        fc.uniqueArray(host, { selector: ({ address }) => address.host, minLength: 1, maxLength: 5 }),
        (hosts) => {
          const text = hosts.map(InputFiles.formatMachine).join("\n")
          assert.deepStrictEqual(value(InputFiles.parseMachines(text)), hosts)
        }
      )
    ))

  const segment = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 20 })
    .filter((text) => !/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}/]/u.test(text) && text !== "." && text !== "..")
  const image: fc.Arbitrary<ImageConfig> = fc.record(
    {
      source: fc.record(
        {
          host: fc.option(address),
          path: fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => `/${segments.join("/")}`)
        },
        { noNullPrototype: true }
      ),
      name: printable.filter((name) => name.trim() === name && name !== ""),
      format: fc.constantFrom("raw" as const, "qcow2" as const)
    },
    { requiredKeys: ["source", "name"], noNullPrototype: true }
  )
  it("images", () =>
    fc.assert(
      fc.property(image, (config) => {
        assert.deepStrictEqual(value(InputFiles.parseImages(InputFiles.formatImage(config))), [config])
      })
    ))

  it("types", () =>
    fc.assert(
      fc.property(
        fc.uniqueArray(
          fc.tuple(amount, fc.integer({ min: 1, max: 1024 }), fc.integer({ min: 16, max: 65536 }), amount),
          { selector: ([tid]) => tid, minLength: 1 }
        ),
        (rows) => {
          const types = rows.map(([tid, cpu, ram, disk]) => ({ tid, cpu, ram, disk: (disk % 1048576) + 1 }))
          const decoded = Schema.decodeSync(Schema.Array(InstanceType))(types)
          assert.deepStrictEqual(value(InputFiles.parseTypes(InputFiles.formatTypes(decoded))), decoded)
        }
      )
    ))
})

describe("read", () => {
  const example = fileURLToPath(new URL("../../fixtures/fleet", import.meta.url))
  const examples = {
    machines: `${example}/physicalMachine_file`,
    images: `${example}/image_file`,
    types: `${example}/vm_types`
  }

  it.effect("reads the example files", () =>
    Effect.gen(function* () {
      const { fleet } = yield* InputFiles.read(examples)
      assert.deepStrictEqual(
        fleet.hosts.map(({ address }) => address.host),
        ["server1.example.com", "server2.example.com", "10.0.0.13", "2001:db8::14"]
      )
      assert.deepStrictEqual<unknown>(fleet.hosts[3]?.labels, { rack: "b2", owner: "storage team" })
      assert.deepStrictEqual(
        fleet.images.map(({ name }) => name),
        ["Ubuntu-12.04-amd64", "Fedora-17-x86_64", "debian12", "Windows Server"]
      )
      assert.deepStrictEqual<unknown>(fleet.types, [
        { tid: 1, cpu: 1, ram: 512, disk: 1 },
        { tid: 2, cpu: 2, ram: 1024, disk: 2 },
        { tid: 3, cpu: 4, ram: 2048, disk: 3 }
      ])
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scoped("tells of all three files at once", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      yield* fs.writeFileString(`${folder}/m`, "root@\n")
      yield* fs.writeFile(`${folder}/t`, Uint8Array.of(0x7b, 0xff, 0x7d))
      const error = yield* Effect.flip(
        InputFiles.read({ machines: `${folder}/m`, images: `${folder}/none`, types: `${folder}/t` })
      )
      assert.strictEqual(
        error.message,
        `${folder}/m:1: "root@" has no host: expected user@host or user@host:port, then key=value words\n` +
          `${folder}/none: there is no such file: expected a file that can be read\n` +
          `${folder}/t: it is not UTF-8: expected a text file in UTF-8`
      )
      assert.isDefined(error.cause)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scoped("refuses folders, devices and what is too large", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      yield* fs.writeFileString(`${folder}/large`, "")
      yield* fs.truncate(`${folder}/large`, 16 * 1024 * 1024 + 1)
      const error = yield* Effect.flip(
        InputFiles.read({ machines: folder, images: "/dev/zero", types: `${folder}/large` })
      )
      assert.deepStrictEqual(error.message.split("\n"), [
        `${folder}: it is not a regular file: expected a text file`,
        "/dev/zero: it is not a regular file: expected a text file",
        `${folder}/large: it is too large: expected at most 16 MiB`
      ])
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})
