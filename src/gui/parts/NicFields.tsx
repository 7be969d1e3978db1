/**
 * The NICs of a VM that is to be made, or one that a VM is given.
 *
 * @since 0.8.0
 */
import { Result, useAtomValue } from "@effect-atom/atom-react"
import * as Effect from "effect/Effect"
import type { ReactNode } from "react"
import { NewNic } from "../../api/Nics.ts"
import type { Network } from "../../api/Networks.ts"
import type { HostId } from "../../domain/Ids.ts"
import { NicModel, nicSlots } from "../../domain/Nic.ts"
import { calls, runtime, type Words } from "../state/Api.ts"
import { ChoiceField, nextKey, TextField } from "./Field.tsx"
import { counted } from "./Words.ts"
import { wrongWith } from "./Wrong.ts"

/** As it is filled in. @since 0.8.0 @category models */
export interface NicForm {
  /** in this form alone */
  readonly key: number
  /** empty: the default one of its host */
  readonly network: string
  readonly vlan: string
  readonly mac: string
  readonly model: NicModel
}

const blank = { network: "", vlan: "", mac: "", model: "virtio" } as const

/** One on the default network. @since 0.12.0 @category constants */
export const usualNic: NicForm = { key: 1, ...blank }

/** @since 0.8.0 @category constants */
export const usual: ReadonlyArray<NicForm> = [usualNic]

const networksAtom = runtime.atom(Effect.flatMap(calls, ({ networks }) => networks.listNetworks()))

/** What is said of it: of many VMs each has addresses of its own. @since 0.12.0 @category conversions */
export const nicOf = ({ mac, model, network, vlan }: NicForm, many: boolean) => ({
  ...(network === "" ? {} : { network }),
  ...(vlan === "" ? {} : { vlan: Number(vlan) }),
  ...(mac.trim() === "" || many ? {} : { mac: mac.trim().toLowerCase() }),
  ...(model === "virtio" ? {} : { model })
})

/** One on the default network, as there is when nothing is said. */
const isUsual = (nics: ReadonlyArray<NicForm>, many: boolean): boolean =>
  nics.length === 1 && nics.every((nic) => Object.keys(nicOf(nic, many)).length === 0)

/** @since 0.8.0 @category conversions */
export const nicsOf = (nics: ReadonlyArray<NicForm>, many: boolean) =>
  isUsual(nics, many) ? {} : { nics: nics.map((nic) => nicOf(nic, many)) }

/** The same of the command line. @since 0.8.0 @category conversions */
export const nicWords = (nics: ReadonlyArray<NicForm>, many: boolean): ReadonlyArray<string> => {
  if (isUsual(nics, many)) return []
  if (nics.length === 0) return ["--nic", "none"]
  return nics.flatMap((nic) => {
    const words = Object.entries(nicOf(nic, many)).map(([key, value]) => `${key}=${value}`)
    return ["--nic", words.length === 0 ? "default" : words.join(",")]
  })
}

const isModel = (value: string): value is NicModel => NicModel.literals.some((one) => one === value)

const models = { virtio: "virtio, fast", e1000e: "e1000e, Intel's" } as const

const shown = ({ hosts, name }: Network) => {
  const usable = hosts.filter(({ state }) => state === "usable").length
  return [name, `${name}, ${usable === 0 ? "on no host yet" : `on ${counted(usable, "host")}`}`] as const
}

/** What can be known of its VLANs: null, that it is not one with a bridge for each. */
const vlansOf = (network: Network | undefined): string | null => {
  const some = new Set((network?.hosts ?? []).flatMap(({ vlans }) => vlans ?? []))
  return network?.hosts.some(({ vlans }) => vlans !== null) === true
    ? `Its hosts have ${some.size === 0 ? "none yet" : [...some].sort((a, b) => a - b).join(", ")}.`
    : null
}

const wrongWithNic = wrongWith(NewNic)

const wrongIn = (text: string, part: object): string | null =>
  text.trim() === "" ? null : (wrongWithNic(part)?.text ?? null)

const wrongVlan = ({ vlan }: NicForm) => wrongIn(vlan, { vlan: Number(vlan) })
const wrongMac = ({ mac }: NicForm) => wrongIn(mac, { mac: mac.trim() })

/** Whether the API can take it. @since 0.12.0 @category predicates */
export const isNic = (nic: NicForm): boolean => wrongVlan(nic) === null && wrongMac(nic) === null

/** Of one. @since 0.12.0 @category components */
export const OneNicFields = ({
  change,
  end = null,
  hostId,
  many,
  nic,
  number,
  refused = null
}: {
  readonly nic: NicForm
  /** what the controller said to it; null: nothing, or it is another by now */
  readonly refused?: Words | null
  /** after what its fields are called, where there are several of them: ` 2` */
  readonly number: string
  /** several VMs are made at a time */
  readonly many: boolean
  /** where it is plugged in; absent: that is not known yet */
  readonly hostId?: HostId
  readonly change: (part: Partial<NicForm>) => void
  /** beside what is seldom said */
  readonly end?: ReactNode
}) => {
  const read = useAtomValue(networksAtom)
  const networks = (Result.isSuccess(read) ? read.value.items : []).filter(
    ({ hosts }) => hostId === undefined || hosts.some((one) => one.hostId === hostId)
  )
  const vlans = vlansOf(networks.find(({ name }) => name === nic.network))
  const refusedAt = (field: string) => (refused !== null && refused.field === field ? refused.detail : null)
  return (
    <>
      <ChoiceField
        label={`Network${number}`}
        value={nic.network}
        onChange={(network) => change({ network, vlan: "" })}
        options={[
          ["", "The default network of its host"],
          ...networks.map((one) => (hostId === undefined ? shown(one) : ([one.name, one.name] as const)))
        ]}
      />
      {vlans === null && nic.vlan === "" ? null : (
        <TextField
          label={`VLAN${number}`}
          type="number"
          min={1}
          max={4094}
          {...(vlans === null ? {} : { hint: vlans })}
          wrong={wrongVlan(nic) ?? refusedAt("vlan")}
          value={nic.vlan}
          onChange={(vlan) => change({ vlan })}
        />
      )}
      <div className="row level">
        <details>
          <summary>Its model and address</summary>
          <div className="pair">
            <ChoiceField
              label={`Model${number}`}
              value={nic.model}
              onChange={(model) => {
                if (isModel(model)) change({ model })
              }}
              options={NicModel.literals.map((model) => [model, models[model]])}
            />
            {many ? (
              <p className="quiet small">Each VM gets an address of its own.</p>
            ) : (
              <TextField
                label={`MAC address${number}`}
                placeholder="made up"
                wrong={wrongMac(nic) ?? refusedAt("mac")}
                value={nic.mac}
                onChange={(mac) => change({ mac })}
              />
            )}
          </div>
        </details>
        {end}
      </div>
    </>
  )
}

/** @since 0.8.0 @category components */
export const NicFields = ({
  many,
  nics,
  put
}: {
  readonly nics: ReadonlyArray<NicForm>
  /** several VMs are made at a time */
  readonly many: boolean
  readonly put: (nics: ReadonlyArray<NicForm>) => void
}) => (
  <>
    {nics.map((nic, index) => (
      <fieldset key={nic.key} className="several">
        <legend className="sr">NIC {index + 1}</legend>
        <OneNicFields
          nic={nic}
          number={nics.length === 1 ? "" : ` ${index + 1}`}
          many={many}
          change={(part) => put(nics.map((one) => (one.key === nic.key ? { ...one, ...part } : one)))}
          end={
            <button
              type="button"
              className="button tiny"
              onClick={() => put(nics.filter(({ key }) => key !== nic.key))}
            >
              Remove<span className="sr"> NIC {index + 1}</span>
            </button>
          }
        />
      </fieldset>
    ))}
    <div className="row">
      <button
        type="button"
        className="button"
        disabled={nics.length >= nicSlots}
        onClick={() => put([...nics, { key: nextKey(nics), ...blank }])}
      >
        {nics.length === 0 ? "Add NIC" : "Add another NIC"}
      </button>
      {nics.length === 0 ? <span className="quiet">It gets no network.</span> : null}
    </div>
  </>
)
