/**
 * The XML of libvirt secrets that hold a Ceph client's key.
 *
 * @since 0.2.0
 */
import * as Xml from "./Xml.ts"

const { element } = Xml

/** `usage` is unique among a host's Ceph secrets. @since 0.2.0 @category models */
export interface CephSecret {
  /** lower case with dashes */
  readonly uuid: string
  /** as in `client.vmfabric pool vms` */
  readonly usage: string
}

/**
 * A secret for SECRET_DEFINE_XML, without its value: that goes by SECRET_SET_VALUE. Kept on disk, so that domains start after a
 * reboot of the host, and private, so that libvirt itself uses the value but tells it nobody.
 *
 * @since 0.2.0 @category constructors
 */
export const ceph = ({ usage, uuid }: CephSecret): Xml.Element =>
  element("secret", { ephemeral: "no", private: "yes" }, [
    element("uuid", {}, [uuid]),
    element("usage", { type: "ceph" }, [element("name", {}, [usage])])
  ])

/** @since 0.2.0 @category models */
export interface Secret {
  readonly uuid: string
  /** what the secret is for, by type: for a `ceph` one its name */
  readonly type: string | null
  readonly usage: string | null
  readonly ephemeral: boolean
  readonly private: boolean
}

/** `undefined`: not a secret. @since 0.2.0 @category getters */
export const read = (root: Xml.Element): Secret | undefined => {
  const uuid = Xml.textOf(Xml.child(root, "uuid"))
  if (root.name !== "secret" || uuid === undefined) return undefined
  const usage = Xml.child(root, "usage")
  return {
    uuid,
    type: Xml.attribute(usage, "type") ?? null,
    usage: usage === undefined ? null : (Xml.textOf(Xml.child(usage, "name")) ?? null),
    ephemeral: Xml.attribute(root, "ephemeral") === "yes",
    private: Xml.attribute(root, "private") === "yes"
  }
}
