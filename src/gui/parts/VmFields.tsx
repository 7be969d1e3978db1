/**
 * What people say of a VM, whether it is made or is there.
 *
 * @since 0.8.0
 */
import { type Vm, VmChange } from "../../api/Vms.ts"
import type { VmId } from "../../domain/Ids.ts"
import { useSnapshot } from "./Parts.tsx"
import { alsoCalled } from "./Words.ts"
import { CheckField, LinesField, TextField } from "./Field.tsx"
import * as Labels from "./Labels.ts"
import { wrongWith } from "./Wrong.ts"

/** As it is filled in. @since 0.8.0 @category models */
export interface Said {
  readonly name: string
  readonly description: string
  /** words, with blanks or commas between them */
  readonly tags: string
  /** `key=value`, one a line */
  readonly labels: string
  readonly restart: boolean
  readonly autostart: boolean
  readonly protect: boolean
}

/** Where something is filled in. @since 0.8.0 @category models */
export interface SaidProps {
  readonly said: Said
  readonly put: (change: Partial<Said>) => void
}

/** Of one that is to be made. @since 0.8.0 @category constants */
export const unsaid: Said = {
  name: "",
  description: "",
  tags: "",
  labels: "",
  restart: true,
  autostart: true,
  protect: false
}

/** Of one that is there. @since 0.8.0 @category conversions */
export const saidOf = (vm: Vm): Said => ({
  name: vm.name,
  description: vm.description,
  tags: vm.tags.join(" "),
  labels: Labels.linesOf(vm.labels),
  restart: vm.onCrash === "restart",
  autostart: vm.autostart,
  protect: vm.protected
})

/** @since 0.8.0 @category parsing */
export const tagsOf = ({ tags }: Said): ReadonlyArray<string> => tags.split(/[\s,]+/).filter((one) => one !== "")

/** @since 0.8.0 @category parsing */
export const labelsOf = ({ labels }: Said): Readonly<Record<string, string>> => Labels.labelsOf(labels)

const wrong = wrongWith(VmChange)

/** What the API has against it; null: nothing, or it is not said yet. */
const wrongIn = (text: string, change: object): string | null =>
  text.trim() === "" ? null : (wrong(change)?.text ?? null)

const wrongName = ({ name }: Said) => wrongIn(name, { name })
const wrongDescription = ({ description }: Said) => wrongIn(description, { description })
const wrongTags = (said: Said) => wrongIn(said.tags, { tags: tagsOf(said) })
const wrongLabels = (said: Said) => wrongIn(said.labels, { labels: labelsOf(said) })

/** Whether the API can take it. @since 0.8.0 @category predicates */
export const isSayable = (said: Said): boolean =>
  said.name !== "" && [wrongName, wrongDescription, wrongTags, wrongLabels].every((of) => of(said) === null)

/** `own`: the VM that is called that; null: it is to be made. @since 0.8.0 @category components */
export const NameField = ({ own, put, said }: SaidProps & { readonly own: VmId | null }) => {
  const { vms } = useSnapshot()
  const also = alsoCalled(said.name, vms.values(), own)
  return (
    <TextField
      label="Name"
      // whoever makes one begins with it
      autoFocus={own === null}
      required
      wrong={wrongName(said)}
      {...(also === null ? {} : { hint: also })}
      value={said.name}
      onChange={(name) => put({ name })}
    />
  )
}

/** What people say of it, and find it by. @since 0.8.0 @category components */
export const AboutFields = ({ put, said }: SaidProps) => (
  <>
    <LinesField
      label="Description"
      rows={2}
      wrong={wrongDescription(said)}
      value={said.description}
      onChange={(description) => put({ description })}
    />
    <TextField
      label="Tags"
      hint="Short words with blanks between them."
      wrong={wrongTags(said)}
      value={said.tags}
      onChange={(tags) => put({ tags })}
    />
    <LinesField
      label="Labels"
      hint="key=value, one a line."
      rows={3}
      placeholder="team=shop"
      wrong={wrongLabels(said)}
      value={said.labels}
      onChange={(labels) => put({ labels })}
    />
  </>
)

/** What becomes of it by itself. @since 0.8.0 @category components */
export const KeepingFields = ({ put, said }: SaidProps) => (
  <>
    <CheckField
      label="Start it again when it crashes"
      checked={said.restart}
      onChange={(restart) => put({ restart })}
    />
    <CheckField
      label="Start it when its host boots"
      checked={said.autostart}
      onChange={(autostart) => put({ autostart })}
    />
    <CheckField
      label="Protect it from being destroyed"
      checked={said.protect}
      onChange={(protect) => put({ protect })}
    />
  </>
)
