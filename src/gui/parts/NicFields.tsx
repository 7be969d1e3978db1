/**
 * The NICs of a VM that is to be made.
 *
 * @since 0.8.0
 */
import { Result, useAtomValue } from "@effect-atom/atom-react"
import * as Effect from "effect/Effect"
import type { Network } from "../../api/Networks.ts"
import { NicModel, nicSlots } from "../../domain/Nic.ts"
import { calls, runtime } from "../state/Api.ts"
import { ChoiceField, nextKey, TextField } from "./Field.tsx"
import { counted } from "./Words.ts"

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

/** @since 0.8.0 @category constants */
export const usual: ReadonlyArray<NicForm> = [{ key: 1, ...blank }]

const networksAtom = runtime.atom(Effect.flatMap(calls, ({ networks }) => networks.listNetworks()))

/** Of many VMs each has addresses of its own. */
const saidOf = ({ mac, model, network, vlan }: NicForm, many: boolean) => ({
  ...(network === "" ? {} : { network }),
  ...(vlan === "" ? {} : { vlan: Number(vlan) }),
  ...(mac.trim() === "" || many ? {} : { mac: mac.trim().toLowerCase() }),
  ...(model === "virtio" ? {} : { model })
})

/** One on the default network, as there is when nothing is said. */
const isUsual = (nics: ReadonlyArray<NicForm>, many: boolean): boolean =>
  nics.length === 1 && nics.every((nic) => Object.keys(saidOf(nic, many)).length === 0)

/** @since 0.8.0 @category conversions */
export const nicsOf = (nics: ReadonlyArray<NicForm>, many: boolean) =>
  isUsual(nics, many) ? {} : { nics: nics.map((nic) => saidOf(nic, many)) }

/** The same of the command line. @since 0.8.0 @category conversions */
export const nicWords = (nics: ReadonlyArray<NicForm>, many: boolean): ReadonlyArray<string> => {
  if (isUsual(nics, many)) return []
  if (nics.length === 0) return ["--nic", "none"]
  return nics.flatMap((nic) => {
    const words = Object.entries(saidOf(nic, many)).map(([key, value]) => `${key}=${value}`)
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
}) => {
  const read = useAtomValue(networksAtom)
  const networks = Result.isSuccess(read) ? read.value.items : []
  return (
    <>
      {nics.map((nic, index) => {
        const change = (part: Partial<NicForm>) =>
          put(nics.map((one) => (one.key === nic.key ? { ...one, ...part } : one)))
        const vlans = vlansOf(networks.find(({ name }) => name === nic.network))
        const number = nics.length === 1 ? "" : ` ${index + 1}`
        return (
          <fieldset key={nic.key} className="several">
            <legend className="sr">NIC {index + 1}</legend>
            <ChoiceField
              label={`Network${number}`}
              value={nic.network}
              onChange={(network) => change({ network, vlan: "" })}
              options={[["", "The default network of its host"], ...networks.map(shown)]}
            />
            {vlans === null && nic.vlan === "" ? null : (
              <TextField
                label={`VLAN${number}`}
                type="number"
                min={1}
                max={4094}
                {...(vlans === null ? {} : { hint: vlans })}
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
                      value={nic.mac}
                      onChange={(mac) => change({ mac })}
                    />
                  )}
                </div>
              </details>
              <button
                type="button"
                className="button tiny"
                onClick={() => put(nics.filter(({ key }) => key !== nic.key))}
              >
                Remove<span className="sr"> NIC {index + 1}</span>
              </button>
            </div>
          </fieldset>
        )
      })}
      <div className="row">
        <button
          type="button"
          className="button"
          disabled={nics.length >= nicSlots}
          onClick={() => put([...nics, { key: nextKey(nics), ...blank }])}
        >
          {nics.length === 0 ? "Add a NIC" : "Add another NIC"}
        </button>
        {nics.length === 0 ? <span className="quiet">It gets no network.</span> : null}
      </div>
    </>
  )
}
