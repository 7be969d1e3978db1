/**
 * A host's settings, as they are filled in.
 *
 * @since 0.12.0
 */
import { type Host, HostChange, NewHost } from "../../api/Hosts.ts"
import { defaultConfig, formatAddress } from "../../domain/Host.ts"
import * as Resources from "../../domain/Resources.ts"
import { labelsOf, linesOf } from "./Labels.ts"
import { wrongWith } from "./Wrong.ts"

type Amount = (typeof Resources.names)[number]

/** Called as the API calls them, but for the parts of the address. @since 0.12.0 @category models */
export type HostField =
  "user" | "host" | "port" | "virt" | "network" | "path" | "labels" | `${"overcommit" | "limit" | "reserved"}.${Amount}`

/** `labels`: `key=value`, one a line; memory that is limited or reserved in GiB. @since 0.12.0 @category models */
export type HostForm = Readonly<Record<HostField, string>>

type Settings = Pick<Host, "address" | "virt" | "overcommit" | "limit" | "reserved" | "network" | "path" | "labels">

/** Of memory a GiB, as people say it, in MiB, as the API and the machine file do; all else is one in both. */
const units = { cpu: 1, ram: 1024, disk: 1 } as const

const amount = (name: Amount, value: number | undefined): string =>
  value === undefined || value === 0 ? "" : String(value / units[name])

/** As it is sent; NaN: it is no number. Of memory to the MiB. */
const sent = (name: Amount, text: string): number =>
  name === "ram" ? Math.round(Number(text) * units.ram) : Number(text)

/** @since 0.12.0 @category conversions */
export const formOf = ({ address, labels, limit, network, overcommit, path, reserved, virt }: Settings): HostForm => ({
  user: address.user,
  host: address.host,
  port: String(address.port),
  virt,
  network: network ?? "",
  path,
  labels: linesOf(labels),
  "overcommit.cpu": String(overcommit.cpu),
  "overcommit.ram": String(overcommit.ram),
  "overcommit.disk": String(overcommit.disk),
  "limit.cpu": amount("cpu", limit.cpu),
  "limit.ram": amount("ram", limit.ram),
  "limit.disk": amount("disk", limit.disk),
  "reserved.cpu": amount("cpu", reserved.cpu),
  "reserved.ram": amount("ram", reserved.ram),
  "reserved.disk": amount("disk", reserved.disk)
})

/** Of one that is to be added, before anything is said. @since 0.12.0 @category constants */
export const unsaidHost: HostForm = {
  ...formOf({
    ...defaultConfig({ user: "root", host: "h", port: 22 }),
    network: null,
    reserved: { cpu: 0, ram: 0, disk: 0 }
  }),
  host: ""
}

const amountsOf = (form: HostForm, of: "limit" | "reserved") =>
  Object.fromEntries(
    Resources.names.flatMap((name) => {
      const text = form[`${of}.${name}`].trim()
      return text === "" ? [] : [[name, sent(name, text)]]
    })
  )

const parts = {
  virt: ({ virt }: HostForm) => virt,
  network: ({ network }: HostForm) => (network.trim() === "" ? null : network.trim()),
  path: ({ path }: HostForm) => path.trim(),
  labels: ({ labels }: HostForm) => labelsOf(labels),
  overcommit: (form: HostForm) =>
    Object.fromEntries(Resources.names.map((name) => [name, Number(form[`overcommit.${name}`])])),
  limit: (form: HostForm) => amountsOf(form, "limit"),
  reserved: (form: HostForm) => amountsOf(form, "reserved")
}

const names = ["virt", "network", "path", "labels", "overcommit", "limit", "reserved"] as const

const differing = (before: HostForm, form: HostForm) =>
  names.filter((name) => JSON.stringify(parts[name](before)) !== JSON.stringify(parts[name](form)))

const addressOf = ({ host, port, user }: HostForm) => ({
  user: user.trim(),
  host: host.trim(),
  ...(port.trim() === "" || port.trim() === "22" ? {} : { port: Number(port) })
})

/** Only what is different: of what is replaced as a whole, all of it. @since 0.12.0 @category conversions */
export const changeOf = (before: HostForm, form: HostForm): Readonly<Record<string, unknown>> => ({
  ...(before.user === form.user.trim() ? {} : { user: form.user.trim() }),
  ...Object.fromEntries(differing(before, form).map((name) => [name, parts[name](form)]))
})

/** What is not said is left to the controller. @since 0.12.0 @category conversions */
export const newHostOf = (form: HostForm): Readonly<Record<string, unknown>> => ({
  address: addressOf(form),
  ...Object.fromEntries(differing(unsaidHost, form).map((name) => [name, parts[name](form)]))
})

/** As on a line of the machine file, by their keys. */
const wordsOf = (form: HostForm): ReadonlyMap<string, string> => {
  const words = new Map<string, string>()
  const say = (key: string, value: string) => {
    if (value !== "") words.set(key, value)
  }
  say("virt", form.virt)
  for (const name of Resources.names) {
    say(`overcommit.${name}`, form[`overcommit.${name}`].trim())
    for (const [key, text] of [
      [name, form[`limit.${name}`].trim()],
      [`reserved.${name}`, form[`reserved.${name}`].trim()]
    ] as const) {
      if (text !== "") say(key, String(sent(name, text)))
    }
  }
  say("network", form.network.trim())
  say("path", form.path.trim())
  for (const [key, value] of Object.entries(labelsOf(form.labels))) say(`label.${key}`, value)
  return words
}

const newWords = (before: HostForm, form: HostForm): ReadonlyArray<string> => {
  const were = wordsOf(before)
  return [...wordsOf(form)].flatMap(([key, value]) => (were.get(key) === value ? [] : [`${key}=${value}`]))
}

/** The same of the command line, after `host set HOST`. @since 0.12.0 @category conversions */
export const changeWords = (before: HostForm, form: HostForm): ReadonlyArray<string> => {
  const are = wordsOf(form)
  const gone = [...wordsOf(before).keys()].filter((key) => !are.has(key))
  return [
    ...(before.user === form.user.trim() ? [] : ["--user", form.user.trim()]),
    ...gone.flatMap((key) => ["--remove", key]),
    ...newWords(before, form)
  ]
}

/** The same of the command line, after `host add`. @since 0.12.0 @category conversions */
export const newHostWords = (form: HostForm): ReadonlyArray<string> => {
  const { host, port = 22, user } = addressOf(form)
  return [formatAddress({ user, host: host === "" ? "HOST" : host, port }), ...newWords(unsaidHost, form)]
}

const wrongInChange = wrongWith(HostChange)
const wrongInNew = wrongWith(NewHost)

const fields: ReadonlySet<string> = new Set(Object.keys(unsaidHost))
const isField = (field: string): field is HostField => fields.has(field)

/** The API speaks of MiB. */
const memory = "expected a number of GiB, as in 64 or 0.5"

/** By its field, what the API has against it; of a host that is not said yet, nothing. @since 0.12.0 @category predicates */
export const wrongIn = (form: HostForm): Partial<Record<HostField, string>> => {
  const wrong: Partial<Record<HostField, string>> = {}
  const address = addressOf(form)
  for (const part of [
    { user: address.user, host: "h" },
    { ...address, user: "root", host: "h" },
    ...(address.host === "" ? [] : [{ user: "root", host: address.host }])
  ]) {
    const found = wrongInNew({ address: part })
    const field = found?.field.replace("address.", "") ?? ""
    if (found !== null && isField(field)) wrong[field] = found.text
  }
  for (const name of names) {
    const found = wrongInChange({ [name]: parts[name](form) })
    if (found === null) continue
    // of labels it names the one that is wrong
    const field = isField(found.field) ? found.field : isField(name) ? name : null
    if (field !== null) wrong[field] = field === "limit.ram" || field === "reserved.ram" ? memory : found.text
  }
  return wrong
}
