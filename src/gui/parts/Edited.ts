/**
 * What people say of a VM, changed by two at once.
 *
 * @since 0.12.0
 */
import type { Vm } from "../../api/Vms.ts"
import { linesOf } from "./Labels.ts"
import { rebased } from "./Rebased.ts"
import { labelsOf, type Said, saidOf, tagsOf } from "./VmFields.tsx"

/** Only what is different: as the API takes it, and as flags of the command line. @since 0.12.0 @category conversions */
export const changeOf = (vm: Vm, said: Said) => {
  const tags = tagsOf(said)
  const labels = labelsOf(said)
  const set = Object.fromEntries(Object.entries(labels).filter(([key, value]) => vm.labels[key] !== value))
  const gone = Object.keys(vm.labels).filter((key) => !(key in labels))
  const untagged = vm.tags.filter((tag) => !tags.includes(tag))
  const tagged = tags.filter((tag) => !vm.tags.includes(tag))
  const onCrash = said.restart ? "restart" : "leave"
  const body = {
    ...(said.name === vm.name ? {} : { name: said.name }),
    ...(said.description === vm.description ? {} : { description: said.description }),
    ...(tagged.length + untagged.length === 0 ? {} : { tags }),
    ...(Object.keys(set).length + gone.length === 0
      ? {}
      : { labels: { ...set, ...Object.fromEntries(gone.map((key) => [key, null])) } }),
    ...(onCrash === vm.onCrash ? {} : { onCrash }),
    ...(said.autostart === vm.autostart ? {} : { autostart: said.autostart }),
    ...(said.protect === vm.protected ? {} : { protected: said.protect })
  }
  const flags = [
    ...(said.name === vm.name ? [] : ["--rename", said.name]),
    ...(said.description === vm.description ? [] : ["--description", said.description]),
    ...tagged.flatMap((tag) => ["--tag", tag]),
    ...untagged.flatMap((tag) => ["--untag", tag]),
    ...Object.entries(set).flatMap(([key, value]) => ["--label", `${key}=${value}`]),
    ...gone.flatMap((key) => ["--unlabel", key]),
    ...(onCrash === vm.onCrash ? [] : ["--on-crash", onCrash]),
    ...(said.autostart === vm.autostart ? [] : [said.autostart ? "--autostart" : "--no-autostart"]),
    ...(said.protect === vm.protected ? [] : [said.protect ? "--protect" : "--unprotect"])
  ]
  return { body, flags }
}

/** A list with what somebody put in and took out, of what it is by now. */
const merged = <A>(now: ReadonlyArray<A>, before: ReadonlyArray<A>, said: ReadonlyArray<A>): ReadonlyArray<A> => [
  ...now.filter((one) => said.includes(one) || !before.includes(one)),
  ...said.filter((one) => !before.includes(one) && !now.includes(one))
]

/** Those that somebody set and took away, and of all others what they are by now. */
const mergedLabels = (
  now: Readonly<Record<string, string>>,
  before: Readonly<Record<string, string>>,
  said: Readonly<Record<string, string>>
): Readonly<Record<string, string>> => ({
  ...Object.fromEntries(Object.entries(now).filter(([key]) => key in said || !(key in before))),
  ...Object.fromEntries(Object.entries(said).filter(([key, value]) => before[key] !== value))
})

/** What was filled in about a VM as it was `before`, about what it is `now`: what was not touched is as it is. @since 0.12.0 @category conversions */
export const onto = (now: Vm, before: Vm, said: Said): Said => {
  const [is, was] = [saidOf(now), saidOf(before)]
  return {
    ...rebased(said, was, is),
    tags: is.tags === was.tags ? said.tags : merged(now.tags, before.tags, tagsOf(said)).join(" "),
    labels: is.labels === was.labels ? said.labels : linesOf(mergedLabels(now.labels, before.labels, labelsOf(said)))
  }
}

/** What somebody else has changed, as in `By now the name is web-2.`; empty: nothing of it. @since 0.12.0 @category formatting */
export const newsOf = (before: Vm, now: Vm): string => {
  const [was, is] = [saidOf(before), saidOf(now)]
  const or = (text: string, none: string) => (text === "" ? none : text)
  const news = [
    ...(was.name === is.name ? [] : [`the name is ${is.name}`]),
    ...(was.description === is.description ? [] : [`the description is ${or(is.description, "empty")}`]),
    ...(was.tags === is.tags ? [] : [`the tags are ${or(now.tags.join(", "), "none")}`]),
    ...(was.labels === is.labels ? [] : [`the labels are ${or(is.labels.replaceAll("\n", ", "), "none")}`]),
    ...(was.restart === is.restart ? [] : [`it is ${is.restart ? "" : "not "}started again when it crashes`]),
    ...(was.autostart === is.autostart ? [] : [`it is ${is.autostart ? "" : "not "}started when its host boots`]),
    ...(was.protect === is.protect ? [] : [`it is ${is.protect ? "" : "not "}protected from being destroyed`])
  ]
  return news.length === 0 ? "" : `By now ${news.join("; ")}.`
}
