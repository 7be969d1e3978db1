/**
 * What a VM's guest is told by cloud-init, to be said otherwise. Loaded when it is first asked for.
 *
 * @since 0.12.0
 */
import * as Effect from "effect/Effect"
import { useState } from "react"
import { type CloudInit, CloudInitChange } from "../../api/CloudInit.ts"
import type { Vm } from "../../api/Vms.ts"
import type { VmId } from "../../domain/Ids.ts"
import { calls, payloadOf, type Words } from "../state/Api.ts"
import { ifMatch, type ReadNow, revised, useRevised } from "../state/Revised.ts"
import { changeOf, changeWords, type CloudInitForm, differs, formOf, wrongIn } from "./CloudInitForm.ts"
import type { Commanded } from "./Commands.ts"
import { CheckField, LinesField, TextField } from "./Field.tsx"
import { FormDialog } from "./FormDialog.tsx"
import { Dialog, Failure, Loading } from "./Parts.tsx"
import { rebased } from "./Rebased.ts"

const toldAtom = revised((id: VmId) =>
  Effect.flatMap(calls, ({ vms }) => vms.getCloudInit({ path: { id }, withResponse: true }))
)

/** It is refused when somebody else has changed it since it was read; then it is read again. */
const commandOf = (
  { id, name }: Vm,
  { guarded, revision }: Pick<ReadNow<unknown>, "guarded" | "revision">,
  before: CloudInitForm,
  form: CloudInitForm,
  reapply: boolean
): Commanded => {
  const body = changeOf(before, form, reapply)
  const headers = ifMatch(revision)
  const { words, ...input } = changeWords(before, form, reapply)
  return {
    label: `Change what ${name} is told by cloud-init`,
    method: "PATCH",
    path: `/vms/${id}/cloud-init`,
    ...headers.shown,
    body,
    words: ["vm", "cloud-init", `id:${id}`, ...words],
    ...input,
    run: guarded(
      Effect.gen(function* () {
        const payload = yield* payloadOf(CloudInitChange, body)
        return yield* (yield* calls).vms.changeCloudInit({ path: { id }, payload, headers: headers.sent })
      })
    )
  }
}

const Form = ({
  onClose,
  read,
  told,
  vm
}: {
  readonly vm: Vm
  readonly read: Pick<ReadNow<unknown>, "guarded" | "revision" | "isRead" | "words">
  readonly told: CloudInit
  readonly onClose: () => void
}) => {
  const [before, setBefore] = useState(told)
  const [form, say] = useState(() => formOf(told))
  const [reapply, setReapply] = useState(true)
  // most of what it may be told only the controller reads closely
  const [refused, setRefused] = useState<Words | null>(null)
  // somebody else has changed it: what was not filled in here is as they have it
  if (told !== before) {
    setBefore(told)
    say(rebased(form, formOf(before), formOf(told)))
  }
  const put = (change: Partial<CloudInitForm>) => say((now) => ({ ...now, ...change }))
  const was = formOf(before)
  const wrong = wrongIn(form)
  const isOther = differs(was, form)
  const wrongAt = (field: keyof CloudInitForm) =>
    wrong[field] ?? (refused?.field?.split(".")[0] === field ? refused.detail : null)
  return (
    <FormDialog
      title={`cloud-init of ${vm.name}`}
      button={isOther ? "Save" : "Do all of it again"}
      action={commandOf(vm, read, was, form, reapply)}
      ready={read.isRead && Object.keys(wrong).length === 0 && (isOther || reapply)}
      onRefused={setRefused}
      onClose={onClose}
    >
      <p>
        Its guest reads it at its next boot. cloud-init does most of it once only, so what is changed here is done when
        it takes itself for a new instance.
      </p>
      {read.words === null ? null : <Failure words={read.words} />}
      <TextField
        label="Hostname"
        hint="When it is empty it is made of the VM's name."
        wrong={wrongAt("hostname")}
        value={form.hostname}
        onChange={(hostname) => put({ hostname })}
      />
      <LinesField
        label="SSH keys"
        hint="Public keys, one a line, for the user that the image has for it."
        rows={2}
        placeholder="ssh-ed25519 AAAA… me@here"
        wrong={wrongAt("sshKeys")}
        value={form.sshKeys}
        onChange={(sshKeys) => put({ sshKeys })}
      />
      <LinesField
        label="User data"
        hint="#cloud-config YAML, a script that begins with #!, or MIME."
        rows={6}
        wrong={wrongAt("userData")}
        value={form.userData}
        onChange={(userData) => put({ userData })}
      />
      <LinesField
        label="Network configuration"
        hint="cloud-init's network-config, version 1 or 2, as YAML. When it is empty its guest asks for addresses by DHCP."
        rows={4}
        wrong={wrongAt("networkConfig")}
        value={form.networkConfig}
        onChange={(networkConfig) => put({ networkConfig })}
      />
      <CheckField
        label="A new instance at the next boot: hostname, keys and scripts are applied again, its SSH host keys stay"
        checked={reapply}
        onChange={setReapply}
      />
    </FormDialog>
  )
}

const Waiting = ({
  onClose,
  title,
  words
}: {
  readonly title: string
  readonly words: Words | null
  readonly onClose: () => void
}) => (
  <Dialog title={title} actions={[]} onClose={onClose}>
    {words === null ? <Loading /> : <Failure words={words} />}
  </Dialog>
)

/** @since 0.12.0 @category components */
export const CloudInitVm = ({ onClose, vm }: { readonly vm: Vm; readonly onClose: () => void }) => {
  const read = useRevised<CloudInit | null, unknown>(toldAtom(vm.id), null)
  // what is remembered of another time is not filled in
  const [isBegun, begin] = useState(false)
  if (!isBegun && read.isRead) begin(true)
  return read.value === null || !isBegun ? (
    <Waiting title={`cloud-init of ${vm.name}`} words={read.words} onClose={onClose} />
  ) : (
    <Form vm={vm} read={read} told={read.value} onClose={onClose} />
  )
}
