/**
 * What a VM's guest is told by cloud-init, as it is filled in.
 *
 * @since 0.12.0
 */
import { type CloudInit, CloudInitChange } from "../../api/CloudInit.ts"
import { linesIn } from "./Lines.ts"
import { wrongWith } from "./Wrong.ts"

/** `sshKeys`: one a line. @since 0.12.0 @category models */
export interface CloudInitForm {
  readonly hostname: string
  readonly sshKeys: string
  readonly userData: string
  readonly networkConfig: string
}

type Told = Pick<CloudInit, "hostname" | "sshKeys" | "userData" | "networkConfig">

/** @since 0.12.0 @category conversions */
export const formOf = ({ hostname, networkConfig, sshKeys, userData }: Told): CloudInitForm => ({
  hostname,
  sshKeys: sshKeys.join("\n"),
  userData: userData ?? "",
  networkConfig: networkConfig ?? ""
})

/** What is empty is not told any more. */
const orNull = (text: string) => (text.trim() === "" ? null : text)

const parts = {
  hostname: ({ hostname }: CloudInitForm) => orNull(hostname.trim()),
  sshKeys: ({ sshKeys }: CloudInitForm) => linesIn(sshKeys),
  userData: ({ userData }: CloudInitForm) => orNull(userData),
  networkConfig: ({ networkConfig }: CloudInitForm) => orNull(networkConfig)
}

const names = ["hostname", "sshKeys", "userData", "networkConfig"] as const

const differing = (before: CloudInitForm, form: CloudInitForm) =>
  names.filter((name) => JSON.stringify(parts[name](before)) !== JSON.stringify(parts[name](form)))

/** Whether something else is told. @since 0.12.0 @category predicates */
export const differs = (before: CloudInitForm, form: CloudInitForm): boolean => differing(before, form).length > 0

/**
 * Only what is different; what was done at the first boot is done again unless `reapply` is false. When nothing is different all of it is done again as it is.
 *
 * @since 0.12.0 @category conversions
 */
export const changeOf = (
  before: CloudInitForm,
  form: CloudInitForm,
  reapply: boolean
): Readonly<Record<string, unknown>> => ({
  ...Object.fromEntries(differing(before, form).map((name) => [name, parts[name](form)])),
  ...(reapply && differs(before, form) ? {} : { reapply })
})

const flags = {
  hostname: "hostname",
  sshKeys: "ssh-keys",
  userData: "user-data",
  networkConfig: "network-config"
} as const

/**
 * The same of the command line, after `vm cloud-init VM`. Standard input is read once, so where both are changed the network configuration is in a file.
 *
 * @since 0.12.0 @category conversions
 */
export const changeWords = (
  before: CloudInitForm,
  form: CloudInitForm,
  reapply: boolean
): { readonly words: ReadonlyArray<string>; readonly input?: string } => {
  const changed = differing(before, form)
  const texts = (["userData", "networkConfig"] as const).filter(
    (name) => changed.includes(name) && form[name].trim() !== ""
  )
  const [piped] = texts
  const words = changed.flatMap((name) => {
    if (form[name].trim() === "") return ["--clear", flags[name]]
    if (name === "sshKeys") return linesIn(form.sshKeys).flatMap((key) => ["--ssh-key", key])
    if (name === "hostname") return ["--hostname", form.hostname.trim()]
    return [`--${flags[name]}`, name === piped ? "-" : flags[name]]
  })
  return {
    words: [...words, ...(reapply ? (changed.length === 0 ? ["--reapply"] : []) : ["--no-reapply"])],
    ...(piped === undefined ? {} : { input: form[piped] })
  }
}

const wrong = wrongWith(CloudInitChange)

/** By its field, what the API has against it. @since 0.12.0 @category predicates */
export const wrongIn = (form: CloudInitForm): Partial<Record<keyof CloudInitForm, string>> =>
  Object.fromEntries(
    names.flatMap((name) => {
      const found = wrong({ [name]: parts[name](form) })
      return found === null ? [] : [[name, found.text]]
    })
  )
