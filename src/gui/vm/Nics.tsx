/**
 * The NICs of a VM, and what can be done with them.
 *
 * @since 0.12.0
 */
import { Atom, Result } from "@effect-atom/atom-react"
import * as Effect from "effect/Effect"
import { lazy, Suspense, useState } from "react"
import type { Vm } from "../../api/Vms.ts"
import type { VmId } from "../../domain/Ids.ts"
import { nicSlots, show } from "../../domain/Nic.ts"
import { again } from "../parts/Again.ts"
import { MenuButton } from "../parts/MenuButton.tsx"
import { plugNic, removeNic, type VmNic } from "../parts/NicActions.ts"
import { Commands, State, useBegin, useLack } from "../parts/Parts.tsx"
import { calls, runtime } from "../state/Api.ts"
import { useRead } from "../state/Read.ts"

const AddNic = lazy(() => again(() => import("./AddNic.tsx")).then((module) => ({ default: module.AddNic })))
const RemoveNic = lazy(() => again(() => import("./RemoveNic.tsx")).then((module) => ({ default: module.RemoveNic })))

const nicsAtom = Atom.family((id: VmId) =>
  runtime.atom(Effect.flatMap(calls, ({ nics }) => nics.listNics({ path: { id } })))
)

const NicMenu = ({ nic, vm }: { readonly vm: Vm; readonly nic: VmNic }) => {
  const begin = useBegin()
  const lack = useLack("operator")
  const [shown, setShown] = useState<"commands" | "remove" | null>(null)
  const close = () => setShown(null)
  const disabled = lack !== undefined || nic.state !== "attached"
  return (
    <>
      <MenuButton
        label={`Actions of ${show(nic)}`}
        note={lack}
        entries={() => [
          [
            {
              name: nic.link === "up" ? "Unplug its cable" : "Plug its cable in",
              disabled,
              act: () => void begin(plugNic(vm, nic))
            }
          ],
          [
            {
              name: "Copy as curl or CLI…",
              disabled: false,
              act: () => setShown("commands")
            },
            {
              name: "Remove…",
              disabled,
              danger: true,
              act: () => setShown("remove")
            }
          ]
        ]}
      />
      {shown === "commands" ? <Commands actions={[plugNic(vm, nic), removeNic(vm, nic)]} onClose={close} /> : null}
      {shown === "remove" ? (
        <Suspense>
          <RemoveNic vm={vm} nic={nic} onClose={close} />
        </Suspense>
      ) : null}
    </>
  )
}

/** As it is wanted, and what is still to become of it. */
const NicState = ({ nic: { link, releaseAsked, state } }: { readonly nic: VmNic }) => {
  if (state !== "attached") return <State tone="busy" word={state} why={null} />
  if (releaseAsked) {
    return <State tone="warn" word="removed when its guest lets go" why="it was asked to, and has not obeyed yet" />
  }
  return <State tone={link === "up" ? "ok" : "off"} word={link === "up" ? "link up" : "link down"} why={null} />
}

/** @since 0.12.0 @category components */
export const Nics = ({ vm }: { readonly vm: Vm }) => {
  const lack = useLack("operator")
  const [adding, setAdding] = useState(false)
  const read = useRead(nicsAtom(vm.id), [JSON.stringify(vm.nics), vm.seen?.power])
  const addresses = (mac: string) => {
    const all = Result.isSuccess(read) ? read.value.items.flatMap((nic) => nic.addresses) : (vm.addresses ?? [])
    return all.filter((one) => one.mac === mac).map(({ address, prefix }) => `${address}/${prefix}`)
  }
  const why =
    lack ?? (vm.nics.length >= nicSlots ? `it has ${nicSlots}, which is all that there is room for` : undefined)
  return (
    <section className="card" aria-labelledby="nics">
      <header>
        <h2 id="nics">NICs</h2>
        <button
          type="button"
          className="button tiny"
          disabled={why !== undefined}
          title={why}
          onClick={() => setAdding(true)}
        >
          Add NIC…
        </button>
      </header>
      {vm.nics.length === 0 ? <p className="quiet">It has none.</p> : null}
      <ul className="list">
        {vm.nics.map((nic) => (
          <li key={nic.id}>
            <NicState nic={nic} />
            <span>
              {nic.network ?? "the host's default network"}
              {nic.vlan === null ? "" : `, VLAN ${nic.vlan}`}
            </span>
            <code>{nic.mac}</code>
            <span className="quiet">{addresses(nic.mac).join(", ")}</span>
            <span className="end">
              <NicMenu vm={vm} nic={nic} />
            </span>
          </li>
        ))}
      </ul>
      {Result.isSuccess(read) && read.value.unread !== null ? (
        <p className="quiet small">Its addresses could not be read: {read.value.unread}</p>
      ) : null}
      {adding ? (
        <Suspense>
          <AddNic vm={vm} onClose={() => setAdding(false)} />
        </Suspense>
      ) : null}
    </section>
  )
}
