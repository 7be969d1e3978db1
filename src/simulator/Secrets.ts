/**
 * Secrets as libvirt 9.0.0 keeps them: keys that its storage and its guests' disks need.
 *
 * @since 0.2.0
 */
import * as Either from "effect/Either"
import * as Xml from "../libvirt/Xml.ts"
import { type HostState, newUuid, type SimulatedSecret } from "./HostState.ts"
import { print } from "./PrintXml.ts"
import { badArgument, code, from, malformed, refuse, type Refusal } from "./Refusal.ts"

/** On the wire. @since 0.2.0 @category models */
export interface SecretRef {
  readonly uuid: string
  readonly usageType: number
  readonly usageID: string
}

type Answer<A> = Either.Either<A, Refusal>

const no = (number: number, detail: string) => Either.left(refuse(number, from.secret, detail))

/** virSecretUsageType: the element that says what for, and the words for its absence. */
const usages = [
  { name: "none", element: null, missing: "" },
  { name: "volume", element: "volume", missing: "volume usage specified, but volume path is missing" },
  { name: "ceph", element: "name", missing: "Ceph usage specified, but name is missing" },
  { name: "iscsi", element: "target", missing: "iSCSI usage specified, but target is missing" },
  { name: "tls", element: "name", missing: "TLS usage specified, but name is missing" },
  { name: "vtpm", element: "name", missing: "vTPM usage specified, but name is missing" }
] as const

/** virSecretUsageType of a Ceph client's key. @since 0.2.0 @category constants */
export const ceph = 2

/** @since 0.2.0 @category getters */
export const refOf = ({ usageID, usageType, uuid }: SimulatedSecret): SecretRef => ({ uuid, usageType, usageID })

/** @since 0.2.0 @category lookups */
export const find = (host: HostState, uuid: string): Answer<SimulatedSecret> => {
  const secret = host.secrets.get(uuid)
  return secret === undefined ? no(code.noSecret, `no secret with matching uuid '${uuid}'`) : Either.right(secret)
}

const usedFor = (host: HostState, usageType: number, usageID: string): SimulatedSecret | undefined =>
  [...host.secrets.values()].find((secret) => secret.usageType === usageType && secret.usageID === usageID)

/** SECRET_LOOKUP_BY_USAGE. @since 0.2.0 @category lookups */
export const byUsage = (host: HostState, usageType: number, usageID: string): Answer<SimulatedSecret> => {
  const secret = usedFor(host, usageType, usageID)
  return secret === undefined ? no(code.noSecret, `no secret with matching usage '${usageID}'`) : Either.right(secret)
}

/** Its value for the daemon's own use. @since 0.2.0 @category getters */
export const valueOf = ({ uuid, value }: SimulatedSecret): Answer<Uint8Array> =>
  value === null ? no(code.noSecret, `secret '${uuid}' does not have a value`) : Either.right(value)

const yesOrNo = (root: Xml.Element, name: string): Answer<boolean> => {
  const text = Xml.attribute(root, name) ?? "no"
  return text === "yes" || text === "no" ? Either.right(text === "yes") : no(code.xml, `invalid value of '${name}'`)
}

const parse = (host: HostState, xml: string): Answer<SimulatedSecret> =>
  Either.Do.pipe(
    Either.bind("root", () =>
      Either.mapLeft(Xml.parse(xml), (error) => malformed(from.secret, "definition_of_secret", xml, error.reason))
    ),
    Either.filterOrLeft(
      ({ root }) => root.name === "secret",
      ({ root }) => refuse(code.xml, from.xml, `expecting root element of 'secret', not '${root.name}'`)
    ),
    Either.bind("ephemeral", ({ root }) => yesOrNo(root, "ephemeral")),
    Either.bind("private", ({ root }) => yesOrNo(root, "private")),
    Either.flatMap(({ ephemeral, private: hidden, root }): Answer<SimulatedSecret> => {
      const uuid = Xml.textOf(Xml.child(root, "uuid"))?.toLowerCase()
      if (uuid !== undefined && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) {
        return no(code.internal, "malformed uuid element")
      }
      const given = Xml.child(root, "usage")
      const type = given === undefined ? "none" : Xml.attribute(given, "type")
      if (type === undefined) return no(code.xml, "unknown secret usage type")
      const usageType = usages.findIndex(({ name }) => name === type)
      const usage = usages[usageType]
      if (usage === undefined) return no(code.unsupported, `unknown secret usage type ${type}`)
      const usageID =
        given === undefined || usage.element === null ? "" : (Xml.textOf(Xml.child(given, usage.element)) ?? "")
      if (usage.element !== null && usageID === "") return no(code.internal, usage.missing)
      return Either.right({
        uuid: uuid ?? newUuid(host.random),
        usageType,
        usageID,
        description: Xml.textOf(Xml.child(root, "description")) ?? null,
        ephemeral,
        private: hidden,
        value: null
      })
    })
  )

/** SECRET_DEFINE_XML: a value that was set stays. @since 0.2.0 @category procedures */
export const define = (host: HostState, xml: string): Answer<SimulatedSecret> =>
  Either.flatMap(parse(host, xml), (given) => {
    const known = host.secrets.get(given.uuid)
    if (known !== undefined && known.usageID !== given.usageID) {
      return no(code.internal, `a secret with UUID ${known.uuid} is already defined for use with ${known.usageID}`)
    }
    if (known !== undefined && known.private && !given.private) {
      return no(code.internal, "cannot change private flag on existing secret")
    }
    const other = given.usageType === 0 ? undefined : usedFor(host, given.usageType, given.usageID)
    if (other !== undefined && other.uuid !== given.uuid) {
      return no(code.internal, `a secret with UUID ${other.uuid} already defined for use with ${given.usageID}`)
    }
    const secret = { ...given, value: known?.value ?? null }
    host.secrets.set(secret.uuid, secret)
    return Either.right(secret)
  })

/** SECRET_SET_VALUE. @since 0.2.0 @category procedures */
export const setValue = (host: HostState, uuid: string, value: Uint8Array): Answer<void> => {
  if (value.length === 0) {
    return Either.left(
      badArgument(from.secret, "virSecretSetValue", "value", "value in virSecretSetValue must not be NULL")
    )
  }
  return Either.map(find(host, uuid), (secret) => {
    host.secrets.set(uuid, { ...secret, value: Uint8Array.from(value) })
  })
}

/** SECRET_GET_VALUE: nobody is told a private one's. @since 0.2.0 @category procedures */
export const getValue = (secret: SimulatedSecret): Answer<Uint8Array> =>
  secret.private ? no(code.invalidSecret, "secret is private") : valueOf(secret)

/** @since 0.2.0 @category procedures */
export const undefine = (host: HostState, secret: SimulatedSecret): Answer<void> => {
  host.secrets.delete(secret.uuid)
  return Either.right(undefined)
}

/** @since 0.2.0 @category procedures */
export const xmlOf = (secret: SimulatedSecret): string => {
  const usage = usages[secret.usageType]
  return print(
    Xml.element("secret", { ephemeral: secret.ephemeral ? "yes" : "no", private: secret.private ? "yes" : "no" }, [
      Xml.element("uuid", {}, [secret.uuid]),
      secret.description === null ? null : Xml.element("description", {}, [secret.description]),
      usage === undefined || usage.element === null
        ? null
        : Xml.element("usage", { type: usage.name }, [Xml.element(usage.element, {}, [secret.usageID])])
    ])
  )
}

/** CONNECT_LIST_ALL_SECRETS with its filters. @since 0.2.0 @category procedures */
export const listAll = (host: HostState, flags: number): ReadonlyArray<SimulatedSecret> =>
  [...host.secrets.values()].filter((secret) =>
    [
      [0x3, secret.ephemeral ? 0x1 : 0x2],
      [0xc, secret.private ? 0x4 : 0x8]
    ].every(([mask = 0, bits = 0]) => (flags & mask) === 0 || (flags & bits) !== 0)
  )

/** What the daemon kept in its memory only is gone. @since 0.2.0 @category procedures */
export const forget = (host: HostState): void => {
  for (const secret of host.secrets.values()) if (secret.ephemeral) host.secrets.delete(secret.uuid)
}
