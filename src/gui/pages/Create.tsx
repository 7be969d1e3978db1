/**
 * A new VM, on one page.
 *
 * @since 0.7.0
 */
import { Atom, Result, useAtomValue } from "@effect-atom/atom-react"
import { Link, useNavigate } from "@tanstack/react-router"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type ReactNode, useRef, useState } from "react"
import type { Plan } from "../../api/Plans.ts"
import { type Batch, NewVm, NewVms } from "../../api/Vms.ts"
import { showAllRequired } from "../../domain/Placement.ts"
import { invalidOf } from "../../client/Errors.ts"
import { calls, payloadOf, runtime, type Words, wordsOf, wordsOfCause } from "../state/Api.ts"
import type { Snapshot } from "../state/Live.ts"
import { useTypes } from "../state/Types.ts"
import type { Commanded } from "../parts/Commands.ts"
import { NoHosts } from "../parts/HostParts.tsx"
import { ChoiceField, LinesField, TextField } from "../parts/Field.tsx"
import { linesIn } from "../parts/Lines.ts"
import {
  CommandsButton,
  Empty,
  Failure,
  Loading,
  Refusal,
  useBegin,
  useLack,
  useSettled,
  useSnapshot,
  useTitle
} from "../parts/Parts.tsx"
import { useLeaving } from "../parts/Leaving.tsx"
import { NicFields, type NicForm, nicsOf, nicWords, usual } from "../parts/NicFields.tsx"
import {
  anywhere,
  isPlaceable,
  PlacementFields,
  type PlacementForm,
  placementOf,
  placementWords
} from "../parts/PlacementFields.tsx"
import {
  AboutFields,
  isSayable,
  KeepingFields,
  labelsOf,
  NameField,
  type Said,
  tagsOf,
  unsaid
} from "../parts/VmFields.tsx"
import { count, counted, gibibytes, mebibytes } from "../parts/Words.ts"

const decode = {
  one: Schema.decode(Schema.parseJson(NewVm)),
  many: Schema.decode(Schema.parseJson(NewVms))
}

/** One VM, or several, and the form as JSON. */
type Question = `${"one" | "many"} ${string}`

/** What would be done; equal forms are one question. */
const planAtom = Atom.family((question: Question) =>
  runtime.atom(
    Effect.gen(function* () {
      const { vms } = yield* calls
      const urlParams = { plan: true } as const
      const text = question.slice(question.indexOf(" ") + 1)
      if (question.startsWith("many ")) {
        const payload = yield* Effect.mapError(decode.many(text), invalidOf)
        return yield* vms.createVms({ payload, urlParams })
      }
      const payload = yield* Effect.mapError(decode.one(text), invalidOf)
      return yield* vms.createVm({ payload, urlParams })
    })
  )
)

interface Form extends Said {
  readonly count: string
  readonly instanceType: number | null
  readonly image: number | null
  readonly nics: ReadonlyArray<NicForm>
  readonly placement: PlacementForm
  readonly hostname: string
  readonly sshKeys: string
  readonly userData: string
}

const mostAtOnce = 1000

/** null: it is no number that there can be */
const manyOf = ({ count }: Form): number | null =>
  /^[0-9]{1,4}$/.test(count) && Number(count) >= 1 && Number(count) <= mostAtOnce ? Number(count) : null

const isMany = (form: Form): boolean => (manyOf(form) ?? 1) > 1

/** What is not said is left to the controller. */
const bodyOf = (form: Form, there: Snapshot["vms"]) => ({
  ...(isMany(form) ? { count: manyOf(form) } : {}),
  name: form.name,
  instanceType: form.instanceType,
  ...(form.image === null ? {} : { image: form.image }),
  ...nicsOf(form.nics, isMany(form)),
  ...placementOf(form.placement, there),
  ...(form.hostname === "" ? {} : { hostname: form.hostname }),
  ...(form.sshKeys.trim() === "" ? {} : { sshKeys: linesIn(form.sshKeys) }),
  ...(form.userData.trim() === "" ? {} : { userData: form.userData }),
  ...(form.tags.trim() === "" ? {} : { tags: tagsOf(form) }),
  ...(form.labels.trim() === "" ? {} : { labels: labelsOf(form) }),
  ...(form.description === "" ? {} : { description: form.description }),
  ...(form.restart ? { onCrash: "restart" } : {}),
  ...(form.autostart ? { autostart: true } : {}),
  ...(form.protect ? { protected: true } : {})
})

/** `onBatch`: what became of several; of one it is an operation. */
const commandOf = (form: Form, there: Snapshot["vms"], onBatch: (batch: typeof Batch.Type) => void): Commanded => {
  const body = bodyOf(form, there)
  const many = isMany(form)
  return {
    label: many ? `Create ${counted(manyOf(form) ?? 1, "VM")}` : `Create ${form.name === "" ? "VM" : form.name}`,
    method: "POST",
    path: many ? "/vms/batch" : "/vms",
    body,
    doneHere: many,
    words: [
      "vm",
      "create",
      ...(many ? ["--count", form.count] : []),
      "--name",
      form.name === "" ? "NAME" : form.name,
      "--type",
      String(form.instanceType ?? "TYPE"),
      ...(form.image === null ? [] : ["--image", `id:${form.image}`]),
      ...nicWords(form.nics, many),
      ...placementWords(form.placement, there),
      ...(form.hostname === "" ? [] : ["--hostname", form.hostname]),
      ...linesIn(form.sshKeys).flatMap((key) => ["--ssh-key", key]),
      ...(form.userData.trim() === "" ? [] : ["--user-data", "-"]),
      ...tagsOf(form).flatMap((tag) => ["--tag", tag]),
      ...Object.entries(labelsOf(form)).flatMap(([key, value]) => ["--label", `${key}=${value}`]),
      ...(form.description === "" ? [] : ["--description", form.description]),
      ...(form.restart ? ["--on-crash", "restart"] : []),
      ...(form.autostart ? ["--autostart"] : []),
      ...(form.protect ? ["--protect"] : [])
    ],
    ...(form.userData.trim() === "" ? {} : { input: form.userData }),
    run: Effect.gen(function* () {
      const { vms } = yield* calls
      if (!many) return yield* vms.createVm({ payload: yield* payloadOf(NewVm, body) })
      return onBatch(yield* vms.createVms({ payload: yield* payloadOf(NewVms, body) }))
    })
  }
}

/** What fields of the API are called in this form. */
const called: Readonly<Record<string, string>> = {
  name: "The name",
  sshKeys: "An SSH key",
  userData: "The user data",
  hostname: "The hostname",
  nics: "A NIC",
  placement: "A rule",
  tags: "A tag",
  labels: "A label",
  description: "The description"
}

/** Of which part of the form it is, where that is known. */
const ofForm = (words: Words): Words => {
  const part = called[words.field?.split(".")[0] ?? ""]
  return part === undefined ? words : { ...words, title: `${part} cannot be used` }
}

/** What bars them, in the API's words, and what would help. */
const Barred = ({ title, words }: { readonly title: string; readonly words: Words }) => (
  <>
    <div className="note warn">
      <strong>{title}</strong>
      {/* the list below says the rest of the sentence */}
      <p>{words.refusal?.problem ?? words.detail}</p>
    </div>
    {words.refusal === null ? null : <Refusal refusal={words.refusal} />}
  </>
)

/** Several of them, by their hosts, those with most first. */
const Spread = ({ plan: { alike, placements } }: { readonly plan: Plan }) => {
  const hosts = new Map<string, number>()
  for (const { host } of placements) hosts.set(host, (hosts.get(host) ?? 0) + 1)
  return (
    <>
      <ul className="list">
        {[...hosts]
          .sort(([, some], [, others]) => others - some)
          .map(([host, number]) => (
            <li key={host}>
              <strong>{host}</strong>
              <span className="end">{counted(number, "VM")}</span>
            </li>
          ))}
      </ul>
      {alike === 0 ? null : <p>And {counted(alike, "more VM", "more VMs")}, placed by the same rules.</p>}
    </>
  )
}

/** Where one would go. */
const Chosen = ({ placement }: { readonly placement: Plan["placements"][number] }) => {
  const chosen = placement.considered.find((one) => one.chosen)
  return (
    <>
      <p className="big cut">{placement.host}</p>
      {chosen === undefined ? null : <p>{chosen.reason}</p>}
    </>
  )
}

/** Where it would go, and why the other hosts will not do. */
const Preview = ({ form, there }: { readonly form: Form; readonly there: Snapshot["vms"] }) => {
  const asked = { ...form, name: form.name === "" ? "new" : form.name }
  const question: Question = `${isMany(form) ? "many" : "one"} ${JSON.stringify(bodyOf(asked, there))}`
  const read = useAtomValue(planAtom(useSettled(question, 250)))
  return (
    <section className="card aside" aria-labelledby="preview" aria-live="polite">
      <h2 id="preview">{isMany(form) ? "Where they would go" : "Where it would go"}</h2>
      {Result.builder(read)
        .onInitial(() => <Loading />)
        .onFailure((cause) => {
          const words: Words = wordsOfCause(cause)
          return words.refusal === null ? (
            <Failure words={ofForm(words)} />
          ) : (
            <Barred title={isMany(form) ? "No host can take them" : "No host can take it"} words={words} />
          )
        })
        .onSuccess((plan) => {
          const { placements, refused, steps } = plan
          const [placement] = placements
          if (placement === undefined) return <p className="quiet">The controller does not say.</p>
          const taken = new Set(placements.map(({ hostId }) => hostId))
          const others = placement.considered.filter(({ hostId }) => !taken.has(hostId))
          return (
            <>
              {placements.length === 1 ? <Chosen placement={placement} /> : <Spread plan={plan} />}
              {refused === null ? null : (
                <Barred
                  title={`There is no room for ${count(refused.count)} of them`}
                  words={wordsOf(refused.problem)}
                />
              )}
              <p className="quiet small">
                {counted(placement.total, "host")} looked at, {counted(steps.length, "step")} to do
                {placements.length === 1 ? "" : " for those that are shown"}. Nothing is held until you create{" "}
                {placements.length === 1 ? "it" : "them"}.
              </p>
              {others.length === 0 ? null : (
                <>
                  <h2>Other hosts</h2>
                  <ul className="list">
                    {others.map(({ host, hostId, reason }) => (
                      <li key={hostId}>
                        <span>{host}</span>
                        <span className="quiet">{reason}</span>
                      </li>
                    ))}
                  </ul>
                </>
              )}
            </>
          )
        })
        .render()}
    </section>
  )
}

const blank: Form = {
  ...unsaid,
  count: "1",
  instanceType: null,
  image: null,
  nics: usual,
  placement: anywhere,
  hostname: "",
  sshKeys: "",
  userData: ""
}

/** @since 0.7.0 @category components */
export const Create = (): ReactNode => {
  useTitle("Create VM")
  const { connection, hosts, images, vms } = useSnapshot()
  const offered = useTypes()
  const navigate = useNavigate()
  const begin = useBegin()
  const lack = useLack("operator")
  const [given, setGiven] = useState(blank)
  const [sent, setSent] = useState(false)
  const [batch, setBatch] = useState<typeof Batch.Type | null>(null)
  const usable = images.filter(({ state }) => state === "available")
  // the first of each, until something else is chosen
  const form: Form = {
    ...given,
    instanceType: given.instanceType ?? offered[0]?.id ?? null,
    image: given.image ?? usable[0]?.id ?? null
  }
  const put = (change: Partial<Form>) => setGiven((now) => ({ ...now, ...change }))
  // what was sent is not lost
  const begun = useRef(false)
  const [leaving] = useLeaving(() => !begun.current && JSON.stringify(given) !== JSON.stringify(blank))
  const showAll = () => {
    begun.current = true
    return navigate({ to: "/vms", search: { q: `${form.name}-` } })
  }
  const command = commandOf(form, vms, (made) => {
    // what was not begun is told here, with what bars it
    if (made.refused === null) void showAll()
    else setBatch(made)
  })
  const many = manyOf(form)
  const ready = isSayable(form) && many !== null && isPlaceable(form.placement, vms)

  const submit = async () => {
    if (!ready) return
    setSent(true)
    setBatch(null)
    const operation = await begin(command)
    setSent(false)
    if (operation === null) return
    begun.current = true
    if (operation.vmId !== null) await navigate({ to: "/vms/$id", params: { id: String(operation.vmId) } })
    else await navigate({ to: "/operations/$id", params: { id: operation.id } })
  }

  return (
    <div className="page narrow">
      <div>
        <div className="crumb">
          <Link to="/vms">VMs</Link>
        </div>
        <h1>Create VM</h1>
      </div>
      {lack !== undefined ? (
        <Empty title="This needs the role operator">
          <p>You look as a viewer: VMs are created by operators and admins.</p>
          <Link to="/vms" className="button">
            Show all VMs
          </Link>
        </Empty>
      ) : connection._tag === "loading" ? (
        <Loading />
      ) : hosts.size === 0 ? (
        <NoHosts />
      ) : offered.length === 0 || usable.length === 0 ? (
        <Empty title={offered.length === 0 ? "There are no instance types yet" : "There are no images yet"}>
          <p>A VM needs a size, and a disk to start from.</p>
          {offered.length === 0 ? (
            <Link to="/types" className="button">
              To the instance types
            </Link>
          ) : (
            <Link to="/images" className="button">
              To the images
            </Link>
          )}
        </Empty>
      ) : (
        <div className="form">
          <form
            className="card"
            noValidate
            onSubmit={(event) => {
              event.preventDefault()
              void submit()
            }}
          >
            <NameField own={null} said={form} put={put} />
            <TextField
              label="How many"
              type="number"
              min={1}
              max={mostAtOnce}
              wrong={many === null ? `expected a whole number from 1 to ${mostAtOnce}` : null}
              {...(many === null || many === 1 || form.name === ""
                ? {}
                : { hint: `Called ${form.name}-1 to ${form.name}-${many}, all alike.` })}
              value={form.count}
              onChange={(next) => put({ count: next })}
            />
            <fieldset className="sizes">
              <legend className="field">
                <span className="label">Size</span>
              </legend>
              {offered.map(({ cpu, disk, id, ram, requires }) => {
                const needs = showAllRequired(requires)
                return (
                  <label key={id}>
                    <input
                      type="radio"
                      name="type"
                      checked={form.instanceType === id}
                      onChange={() => put({ instanceType: id })}
                    />
                    <span>
                      <strong>{counted(cpu, "vCPU")}</strong>
                      <br />
                      <strong>{mebibytes(ram)}</strong>
                      <br />
                      <span className="quiet small">{gibibytes(disk)} of disk</span>
                      <br />
                      <span className="quiet small">
                        type {id}
                        {needs === null ? "" : `, which requires ${needs}`}
                      </span>
                    </span>
                  </label>
                )
              })}
            </fieldset>
            <ChoiceField
              label="Image"
              value={String(form.image)}
              onChange={(image) => put({ image: Number(image) })}
              options={usable.map(({ id, name }) => [String(id), name])}
            />
            <NicFields nics={form.nics} many={isMany(form)} put={(nics) => put({ nics })} />
            <LinesField
              label="SSH keys"
              hint="Public keys, one a line, for the user that the image has for it."
              rows={2}
              placeholder="ssh-ed25519 AAAA… me@here"
              value={form.sshKeys}
              onChange={(sshKeys) => put({ sshKeys })}
            />
            <details>
              <summary>cloud-init, tags, labels and what people say of it</summary>
              <div className="card">
                <TextField
                  label="Hostname"
                  hint="Made of its name unless it is said."
                  value={form.hostname}
                  onChange={(hostname) => put({ hostname })}
                />
                <LinesField
                  label="User data"
                  hint="#cloud-config YAML, a script that begins with #!, or MIME."
                  rows={6}
                  value={form.userData}
                  onChange={(userData) => put({ userData })}
                />
                <AboutFields said={form} put={put} />
              </div>
            </details>
            <details>
              <summary>Where it has to be: groups and rules</summary>
              <div className="card">
                <PlacementFields placement={form.placement} put={(placement) => put({ placement })} />
              </div>
            </details>
            <KeepingFields said={form} put={put} />
            {batch === null || batch.refused === null ? null : (
              <div className="note warn" role="alert">
                <strong>
                  {count(batch.operations.length)} of {count(batch.operations.length + batch.refused.count)} VMs are
                  being created
                </strong>
                <p>{wordsOf(batch.refused.problem).detail}</p>
                <div className="row">
                  <button type="button" className="button" onClick={() => void showAll()}>
                    Show those
                  </button>
                </div>
              </div>
            )}
            <div className="row">
              <button type="submit" className="button primary" disabled={sent || !ready}>
                {isMany(form) ? `Create ${counted(many ?? 1, "VM")}` : "Create VM"}
              </button>
              <CommandsButton actions={[command]} />
            </div>
          </form>
          <Preview form={form} there={vms} />
        </div>
      )}
      {leaving}
    </div>
  )
}
