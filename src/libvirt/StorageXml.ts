/**
 * The XML of storage pools and volumes. All sizes are in bytes.
 *
 * @since 0.1.0
 */
import type { ImageFormat } from "../domain/Image.ts"
import * as Xml from "./Xml.ts"

const { element } = Xml

/** A pool that is a folder. @since 0.1.0 @category constructors */
export const dirPool = (name: string, path: string): Xml.Element =>
  element("pool", { type: "dir" }, [element("name", {}, [name]), element("target", {}, [element("path", {}, [path])])])

/** A sparse file of `capacity` bytes. @since 0.1.0 @category constructors */
export const rawVolume = (name: string, capacity: number): Xml.Element =>
  element("volume", { type: "file" }, [
    element("name", {}, [name]),
    element("capacity", { unit: "bytes" }, [capacity]),
    element("allocation", { unit: "bytes" }, [0]),
    element("target", {}, [element("format", { type: "raw" })])
  ])

/** A qcow2 file of its own. @since 0.2.0 @category constructors */
export const qcow2Volume = (name: string, capacity: number): Xml.Element =>
  element("volume", { type: "file" }, [
    element("name", {}, [name]),
    element("capacity", { unit: "bytes" }, [capacity]),
    qcow2Target
  ])

/** Compat 1.1 because the libvirt's own default, 0.10, can have no checkpoints. */
const qcow2Target = element("target", {}, [element("format", { type: "qcow2" }), element("compat", {}, ["1.1"])])

/** What a copy-on-write file lies over; its format is always said, never probed. @since 0.1.0 @category models */
export interface Backing {
  readonly path: string
  readonly format: ImageFormat
}

/** A qcow2 file that shows `backing` until it is written to. @since 0.1.0 @category constructors */
export const overlayVolume = (name: string, capacity: number, backing: Backing): Xml.Element =>
  element("volume", { type: "file" }, [
    element("name", {}, [name]),
    element("capacity", { unit: "bytes" }, [capacity]),
    qcow2Target,
    element("backingStore", {}, [element("path", {}, [backing.path]), element("format", { type: backing.format })])
  ])

/** @since 0.1.0 @category models */
export interface Pool {
  readonly name: string
  readonly type: string
  /** null for a pool without a folder or device of its own */
  readonly path: string | null
}

/** `undefined`: not a pool. @since 0.1.0 @category getters */
export const readPool = (root: Xml.Element): Pool | undefined => {
  const name = Xml.textOf(Xml.child(root, "name"))
  const type = Xml.attribute(root, "type")
  return root.name !== "pool" || name === undefined || type === undefined
    ? undefined
    : { name, type, path: Xml.textOf(Xml.find(root, "target", "path")) ?? null }
}

/** @since 0.1.0 @category models */
export interface Volume {
  readonly name: string
  readonly path: string | null
  readonly format: string | null
  /** bytes a guest sees */
  readonly capacity: number
  readonly backing: { readonly path: string; readonly format: string | null } | null
}

/** `undefined`: not a volume. @since 0.1.0 @category getters */
export const readVolume = (root: Xml.Element): Volume | undefined => {
  const name = Xml.textOf(Xml.child(root, "name"))
  const capacity = bytes(Xml.child(root, "capacity"))
  if (root.name !== "volume" || name === undefined || capacity === undefined) return undefined
  const backingStore = Xml.child(root, "backingStore")
  const below = Xml.textOf(Xml.find(root, "backingStore", "path"))
  return {
    name,
    path: Xml.textOf(Xml.find(root, "target", "path")) ?? null,
    format: Xml.attribute(Xml.find(root, "target", "format"), "type") ?? null,
    capacity,
    backing:
      backingStore === undefined || below === undefined || below === ""
        ? null
        : { path: below, format: Xml.attribute(Xml.child(backingStore, "format"), "type") ?? null }
  }
}

const powers = ["K", "M", "G", "T", "P", "E"] as const

// libvirt prints bytes, but accepts (and might one day print) any of its scaled units
const bytes = (size: Xml.Element | undefined): number | undefined => {
  const text = Xml.textOf(size)?.trim()
  if (text === undefined || !/^[0-9]{1,20}$/.test(text)) return undefined
  const unit = Xml.attribute(size, "unit") ?? "bytes"
  if (unit === "bytes" || unit === "B") return Number(text)
  const power = powers.findIndex((letter) => unit === letter || unit === `${letter}iB`)
  const decimal = powers.findIndex((letter) => unit === `${letter}B`)
  if (power >= 0) return Number(text) * 1024 ** (power + 1)
  return decimal >= 0 ? Number(text) * 1000 ** (decimal + 1) : undefined
}
