/**
 * A new VM, on one page.
 *
 * @since 0.7.0
 */
import { Atom, Result, useAtomValue } from "@effect-atom/atom-react"
import { Link, useNavigate } from "@tanstack/react-router"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type ReactNode, useState } from "react"
import { NewVm } from "../../api/Vms.ts"
import { invalidOf } from "../../client/Errors.ts"
import { calls, runtime, type Words, wordsOfCause } from "../state/Api.ts"
import type { Commanded } from "../parts/Commands.ts"
import { ChoiceField, LinesField, TextField } from "../parts/Field.tsx"
import {
  CommandsButton,
  Empty,
  Failure,
  Loading,
  Refusal,
  useBegin,
  useRole,
  useSettled,
  useSnapshot,
  useTitle
} from "../parts/Parts.tsx"
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
import { counted, gibibytes, mebibytes } from "../parts/Words.ts"

const decode = Schema.decodeUnknown(NewVm)

const networksAtom = runtime.atom(Effect.flatMap(calls, ({ networks }) => networks.listNetworks()))

/** What would be done, by the form as text: equal forms are one question. */
const planAtom = Atom.family((form: string) =>
  runtime.atom(
    Effect.gen(function* () {
      const { vms } = yield* calls
      const payload = yield* Effect.mapError(Schema.decode(Schema.parseJson(NewVm))(form), invalidOf)
      return yield* vms.createVm({ payload, urlParams: { plan: true } })
    })
  )
)

interface Form extends Said {
  readonly instanceType: number | null
  readonly image: number | null
  readonly network: string
  readonly hostname: string
  readonly sshKeys: string
  readonly userData: string
}

const lines = (text: string) =>
  text
    .split("\n")
    .map((one) => one.trim())
    .filter((one) => one !== "")

/** What is not said is left to the controller. */
const bodyOf = (form: Form) => ({
  name: form.name,
  instanceType: form.instanceType,
  ...(form.image === null ? {} : { image: form.image }),
  ...(form.network === "" ? {} : { nics: [{ network: form.network }] }),
  ...(form.hostname === "" ? {} : { hostname: form.hostname }),
  ...(form.sshKeys.trim() === "" ? {} : { sshKeys: lines(form.sshKeys) }),
  ...(form.userData.trim() === "" ? {} : { userData: form.userData }),
  ...(form.tags.trim() === "" ? {} : { tags: tagsOf(form) }),
  ...(form.labels.trim() === "" ? {} : { labels: labelsOf(form) }),
  ...(form.description === "" ? {} : { description: form.description }),
  ...(form.restart ? { onCrash: "restart" } : {}),
  ...(form.autostart ? { autostart: true } : {}),
  ...(form.protect ? { protected: true } : {})
})

const commandOf = (form: Form): Commanded => {
  const body = bodyOf(form)
  return {
    label: `Create ${form.name === "" ? "VM" : form.name}`,
    method: "POST",
    path: "/vms",
    body,
    words: [
      "vm",
      "create",
      "--name",
      form.name === "" ? "NAME" : form.name,
      "--type",
      String(form.instanceType ?? "TYPE"),
      ...(form.image === null ? [] : ["--image", `id:${form.image}`]),
      ...(form.network === "" ? [] : ["--nic", `network=${form.network}`]),
      ...(form.hostname === "" ? [] : ["--hostname", form.hostname]),
      // of these the command line takes files
      ...(form.sshKeys.trim() === "" ? [] : ["--ssh-key", "keys.pub"]),
      ...(form.userData.trim() === "" ? [] : ["--user-data", "user-data"]),
      ...tagsOf(form).flatMap((tag) => ["--tag", tag]),
      ...Object.entries(labelsOf(form)).flatMap(([key, value]) => ["--label", `${key}=${value}`]),
      ...(form.description === "" ? [] : ["--description", form.description]),
      ...(form.restart ? ["--on-crash", "restart"] : []),
      ...(form.autostart ? ["--autostart"] : []),
      ...(form.protect ? ["--protect"] : [])
    ],
    run: Effect.gen(function* () {
      const payload = yield* Effect.mapError(decode(body), invalidOf)
      const { vms } = yield* calls
      return yield* vms.createVm({ payload })
    })
  }
}

/** Where it would go, and why the other hosts will not do. */
const Preview = ({ form }: { readonly form: Form }) => {
  const asked = { ...form, name: form.name === "" ? "new" : form.name }
  const text = useSettled(JSON.stringify(bodyOf(asked)), 250)
  const read = useAtomValue(planAtom(text))
  return (
    <section className="card aside" aria-labelledby="preview" aria-live="polite">
      <h2 id="preview">Where it would go</h2>
      {Result.builder(read)
        .onInitial(() => <Loading />)
        .onFailure((cause) => {
          const words: Words = wordsOfCause(cause)
          return words.refusal === null ? (
            <Failure words={words} />
          ) : (
            <>
              <div className="note warn">
                <strong>No host can take it</strong>
                <p>{words.detail}</p>
              </div>
              <Refusal refusal={words.refusal} />
            </>
          )
        })
        .onSuccess(({ placements, steps }) => {
          const [placement] = placements
          if (placement === undefined) return <p className="quiet">The controller does not say.</p>
          const chosen = placement.considered.find((one) => one.chosen)
          const others = placement.considered.filter((one) => !one.chosen)
          return (
            <>
              <p className="big cut">{placement.host}</p>
              {chosen === undefined ? null : <p>{chosen.reason}</p>}
              <p className="quiet small">
                {counted(placement.total, "host")} looked at, {counted(steps.length, "step")} to do. Nothing is held
                until you create it.
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
  instanceType: null,
  image: null,
  network: "",
  hostname: "",
  sshKeys: "",
  userData: ""
}

/** @since 0.7.0 @category components */
export const Create = (): ReactNode => {
  useTitle("Create VM")
  const { connection, images, types } = useSnapshot()
  const networks = useAtomValue(networksAtom)
  const navigate = useNavigate()
  const begin = useBegin()
  const role = useRole()
  const [given, setGiven] = useState(blank)
  const [sent, setSent] = useState(false)
  const offered = types.filter(({ retired }) => !retired)
  const usable = images.filter(({ state }) => state === "available")
  // the first of each, until something else is chosen
  const form: Form = {
    ...given,
    instanceType: given.instanceType ?? offered[0]?.id ?? null,
    image: given.image ?? usable[0]?.id ?? null
  }
  const put = (change: Partial<Form>) => setGiven((now) => ({ ...now, ...change }))
  const command = commandOf(form)

  const submit = async () => {
    if (!isSayable(form)) return
    setSent(true)
    const operation = await begin(command)
    setSent(false)
    if (operation === null) return
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
      {connection._tag === "loading" ? (
        <Loading />
      ) : offered.length === 0 || usable.length === 0 ? (
        <Empty title={offered.length === 0 ? "There are no instance types yet" : "There are no images yet"}>
          <p>
            A VM needs a size and a disk to start from:{" "}
            <code>
              {offered.length === 0
                ? "vmfabric type create --cpu 2 --ram 4096 --disk 20"
                : "vmfabric image upload debian-12.qcow2"}
            </code>
          </p>
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
            <NameField said={form} put={put} />
            <fieldset className="sizes">
              <legend className="field">
                <span className="label">Size</span>
              </legend>
              {offered.map(({ cpu, disk, id, ram }) => (
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
                  </span>
                </label>
              ))}
            </fieldset>
            <ChoiceField
              label="Image"
              value={String(form.image)}
              onChange={(image) => put({ image: Number(image) })}
              options={usable.map(({ id, name }) => [String(id), name])}
            />
            <ChoiceField
              label="Network"
              value={form.network}
              onChange={(network) => put({ network })}
              options={[
                ["", "The default network of its host"],
                ...(Result.isSuccess(networks) ? networks.value.items : []).map(({ hosts, name }) => {
                  const usable = hosts.filter(({ state }) => state === "usable").length
                  return [
                    name,
                    `${name}, ${usable === 0 ? "on no host yet" : `on ${counted(usable, "host")}`}`
                  ] as const
                })
              ]}
            />
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
            <KeepingFields said={form} put={put} />
            <div className="row">
              <button type="submit" className="button primary" disabled={sent || !isSayable(form) || role === "viewer"}>
                Create VM
              </button>
              <CommandsButton actions={[command]} />
            </div>
          </form>
          <Preview form={form} />
        </div>
      )}
    </div>
  )
}
