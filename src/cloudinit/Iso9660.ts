/**
 * A small disk image with files in its root: ISO 9660 with Joliet, which every kernel that reads CD-ROMs reads. The same files give the same
 * bytes.
 *
 * The FAT libraries that npm has write into a file that exists, by callbacks, or are a C program made WebAssembly; a library for this format there is
 * none. What is needed of it is little: files of one extent each, in one folder.
 *
 * @since 0.6.0
 */

/** @since 0.6.0 @category models */
export interface File {
  /** 1 to 31 characters of `a-z`, `0-9` and `-` */
  readonly name: string
  readonly content: Uint8Array
}

const sector = 2048

/** No moment is told: it would be other bytes each time. */
const noTime = new Uint8Array(17).fill(0x30, 0, 16)

// both byte orders, one after the other
const put32 = (view: DataView, at: number, value: number): void => {
  view.setUint32(at, value, true)
  view.setUint32(at + 4, value, false)
}
const put16 = (view: DataView, at: number, value: number): void => {
  view.setUint16(at, value, true)
  view.setUint16(at + 2, value, false)
}

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0))

/** UCS-2, the higher byte first. */
const wide = (text: string): Uint8Array => {
  const bytes = new Uint8Array(text.length * 2)
  for (let at = 0; at < text.length; at++) new DataView(bytes.buffer).setUint16(at * 2, text.charCodeAt(at))
  return bytes
}

interface Naming {
  readonly type: 1 | 2
  /** says that names are UCS-2; empty: they are ASCII */
  readonly escape: string
  readonly text: (text: string) => Uint8Array
  readonly file: (name: string) => Uint8Array
  /** what fills up a text: a blank */
  readonly blank: ReadonlyArray<number>
}

// a reader without Joliet makes these lower case again, and takes the version away
const plain: Naming = {
  type: 1,
  escape: "",
  text: ascii,
  file: (name) => ascii(`${name.toUpperCase()};1`),
  blank: [0x20]
}
const joliet: Naming = { type: 2, escape: "%/E", text: wide, file: wide, blank: [0x00, 0x20] }

const record = (name: Uint8Array, extent: number, length: number, isFolder: boolean): Uint8Array => {
  const bytes = new Uint8Array(33 + name.length + (name.length % 2 === 0 ? 1 : 0))
  const view = new DataView(bytes.buffer)
  bytes[0] = bytes.length
  put32(view, 2, extent)
  put32(view, 10, length)
  bytes[25] = isFolder ? 2 : 0
  put16(view, 28, 1)
  bytes[32] = name.length
  bytes.set(name, 33)
  return bytes
}

const self = new Uint8Array([0])
const parent = new Uint8Array([1])

/** What is in it, where. */
interface Layout {
  readonly label: string
  readonly sectors: number
  readonly files: ReadonlyArray<File & { readonly extent: number }>
}

const descriptor = (naming: Naming, layout: Layout, root: number, paths: number): Uint8Array => {
  const bytes = new Uint8Array(sector)
  const view = new DataView(bytes.buffer)
  const text = (at: number, length: number, value: string): void => {
    const filled = Uint8Array.from({ length }, (_, index) => naming.blank[index % naming.blank.length] ?? 0)
    filled.set(naming.text(value))
    bytes.set(filled, at)
  }
  bytes[0] = naming.type
  bytes.set(ascii("CD001"), 1)
  bytes[6] = 1
  text(8, 32, "")
  text(40, 32, layout.label)
  put32(view, 80, layout.sectors)
  bytes.set(ascii(naming.escape), 88)
  put16(view, 120, 1)
  put16(view, 124, 1)
  put16(view, 128, sector)
  put32(view, 132, 10)
  view.setUint32(140, paths, true)
  view.setUint32(148, paths + 1, false)
  bytes.set(record(self, root, sector, true), 156)
  // volume set, publisher, preparer, application; copyright, abstract, bibliography
  for (const at of [190, 318, 446, 574]) text(at, 128, "")
  for (const at of [702, 739, 776]) text(at, 37, "")
  for (const at of [813, 830, 847, 864]) bytes.set(noTime, at)
  bytes[881] = 1
  return bytes
}

/** Of one folder, the root. */
const pathTable = (root: number, littleEndian: boolean): Uint8Array => {
  const bytes = new Uint8Array(10)
  const view = new DataView(bytes.buffer)
  bytes[0] = 1
  view.setUint32(2, root, littleEndian)
  view.setUint16(6, 1, littleEndian)
  return bytes
}

const folder = (naming: Naming, { files }: Layout, root: number): Uint8Array => {
  const records = [
    record(self, root, sector, true),
    record(parent, root, sector, true),
    ...files.map(({ content, extent, name }) => record(naming.file(name), extent, content.length, false))
  ]
  const bytes = new Uint8Array(sector)
  let at = 0
  for (const one of records) {
    bytes.set(one, at)
    at += one.length
  }
  return bytes
}

// where everything is, in sectors; the first sixteen are nobody's
const at = { plain: 16, joliet: 17, end: 18, plainPaths: 19, jolietPaths: 21, plainRoot: 23, jolietRoot: 24, files: 25 }

/**
 * The image, whole sectors. `label`: 1 to 16 ASCII characters. At most 16 files.
 *
 * @since 0.6.0 @category constructors
 */
export const build = (label: string, given: ReadonlyArray<File>): Uint8Array => {
  let next = at.files
  const files = given
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((file) => {
      const extent = next
      next += Math.ceil(file.content.length / sector)
      return { ...file, extent }
    })
  const layout: Layout = { label, files, sectors: next }
  const image = new Uint8Array(next * sector)
  const put = (where: number, bytes: Uint8Array) => image.set(bytes, where * sector)
  put(at.plain, descriptor(plain, layout, at.plainRoot, at.plainPaths))
  put(at.joliet, descriptor(joliet, layout, at.jolietRoot, at.jolietPaths))
  put(at.end, new Uint8Array([255, ...ascii("CD001"), 1]))
  for (const [paths, root] of [
    [at.plainPaths, at.plainRoot],
    [at.jolietPaths, at.jolietRoot]
  ] as const) {
    put(paths, pathTable(root, true))
    put(paths + 1, pathTable(root, false))
  }
  put(at.plainRoot, folder(plain, layout, at.plainRoot))
  put(at.jolietRoot, folder(joliet, layout, at.jolietRoot))
  for (const { content, extent } of files) put(extent, content)
  return image
}

/**
 * The files of an image that `build` has made, by name; undefined: it is none. For simulated guests and for tests.
 *
 * @since 0.6.0 @category decoding
 */
export const read = (image: Uint8Array): ReadonlyMap<string, Uint8Array> | undefined => {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength)
  const start = at.joliet * sector
  if (image.length < at.files * sector || image[start] !== joliet.type) return undefined
  const files = new Map<string, Uint8Array>()
  const root = view.getUint32(start + 156 + 2, true) * sector
  for (let here = root; here + 33 < image.length && (image[here] ?? 0) > 0; here += image[here] ?? 0) {
    const length = image[here + 32] ?? 0
    if (((image[here + 25] ?? 0) & 2) !== 0) continue
    const letters = Array.from({ length: length / 2 }, (_, index) => view.getUint16(here + 33 + index * 2))
    const from = view.getUint32(here + 2, true) * sector
    files.set(String.fromCharCode(...letters), image.slice(from, from + view.getUint32(here + 10, true)))
  }
  return files
}
