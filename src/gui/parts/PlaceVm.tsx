/**
 * Where a VM that is there has to be, to be said otherwise.
 *
 * @since 0.9.0
 */
import { Atom, Result, useAtomValue } from "@effect-atom/atom-react"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { useState } from "react"
import type { Plan } from "../../api/Plans.ts"
import { type Vm, VmChange } from "../../api/Vms.ts"
import { invalidOf } from "../../client/Errors.ts"
import type { VmId } from "../../domain/Ids.ts"
import * as Domain from "../../domain/Placement.ts"
import { calls, payloadOf, runtime, wordsOfCause } from "../state/Api.ts"
import type { Snapshot } from "../state/Live.ts"
import { ifMatch, type ReadNow, useRevised, vmAtom } from "../state/Revised.ts"
import type { Commanded } from "./Commands.ts"
import { FormDialog } from "./FormDialog.tsx"
import { Failure, Loading, useSettled, useSnapshot } from "./Parts.tsx"
import {
  askedOf,
  isPlaceable,
  PlacementFields,
  placementForm,
  type PlacementForm,
  placementWords
} from "./PlacementFields.tsx"

const decodeChange = Schema.decode(Schema.parseJson(VmChange))

/** What a change would come to, as it is then; equal ones are one question: the revision that it was made for, and the change as JSON, each in a line. */
const planAtom = Atom.family((id: VmId) =>
  Atom.family((question: string) =>
    runtime.atom(
      Effect.gen(function* () {
        const payload = yield* Effect.mapError(decodeChange(question.slice(question.indexOf("\n"))), invalidOf)
        const { vms } = yield* calls
        return yield* vms.changeVm({ path: { id }, payload, headers: {}, urlParams: { plan: true } })
      })
    )
  )
)

const isSame = Schema.equivalence(Schema.NullOr(Domain.Placement))

/** All of it is sent, so it is refused when somebody else has changed the VM since it was read; then it is read again. */
const commandOf = (
  { guarded, revision, value: { id, name, placement } }: ReadNow<Vm>,
  form: PlacementForm,
  there: Snapshot["vms"]
): Commanded => {
  const asked = askedOf(form, there)
  const isNothing = Object.keys(asked).length === 0
  const body = { placement: isNothing ? null : asked }
  const headers = ifMatch(revision)
  return {
    label: `Change the rules of ${name}`,
    method: "PATCH",
    path: `/vms/${id}`,
    ...headers.shown,
    body,
    words: [
      "vm",
      "set",
      `id:${id}`,
      ...(isNothing
        ? ["--anywhere"]
        : [
            ...placementWords(form, there),
            // what is not named there stays
            ...(asked.group === undefined && placement !== null && placement.group !== null ? ["--no-group"] : []),
            ...(asked.rules === undefined && placement !== null && placement.rules.length > 0 ? ["--no-rules"] : [])
          ])
    ],
    run: guarded(
      Effect.gen(function* () {
        const payload = yield* payloadOf(VmChange, body)
        return yield* (yield* calls).vms.changeVm({ path: { id }, payload, headers: headers.sent })
      })
    )
  }
}

/** Of a plan's text what is another then. */
const linesOf = ({ changes }: Plan) =>
  changes.flatMap(({ diff }) => diff.split("\n").filter((line) => /^[-+](?![-+]{2} )/.test(line)))

const Broken = ({ violations }: Pick<Plan, "violations">) =>
  violations.length === 0 ? null : (
    <>
      <h3 id="broken">Would not hold where it is</h3>
      <ul aria-labelledby="broken">
        {violations.map(({ reason, rule }) => (
          <li key={rule}>
            {rule}: {reason}
          </li>
        ))}
      </ul>
    </>
  )

/** What the controller says to it before it is asked for. */
const Preview = ({ id, question }: { readonly id: VmId; readonly question: string }) => {
  const read = useAtomValue(planAtom(id)(useSettled(question, 250)))
  return (
    <section className="fields" aria-labelledby="change" aria-live="polite">
      <h2 id="change">What would change</h2>
      {Result.builder(read)
        .onInitial(() => <Loading />)
        .onFailure((cause) => <Failure words={wordsOfCause(cause)} />)
        .onSuccess((answer) =>
          "changes" in answer ? (
            <>
              <pre className="change">{linesOf(answer).join("\n")}</pre>
              <Broken violations={answer.violations} />
            </>
          ) : null
        )
        .render()}
    </section>
  )
}

/** What it is now, in words. */
const Now = ({ placement }: { readonly placement: Vm["placement"] }) => (
  <p className="quiet">
    {placement === null
      ? "It is in no group and has no rules: it goes wherever there is room."
      : `It is now: ${Domain.showAll(placement) ?? ""}.`}
  </p>
)

/** @since 0.9.0 @category components */
export const PlaceVm = ({ onClose, vm }: { readonly vm: Vm; readonly onClose: () => void }) => {
  const { vms } = useSnapshot()
  const read = useRevised(vmAtom(vm.id), vm)
  const [form, setForm] = useState(() => placementForm(vm.placement, vms))
  const action = commandOf(read, form, vms)
  const sayable = isPlaceable(form, vms)
  const wanted = Either.getOrElse(Domain.make(askedOf(form, vms)), () => undefined)
  const differs = wanted === undefined || !isSame(wanted, read.value.placement)
  return (
    <FormDialog
      title={`Rules of ${vm.name}`}
      button="Save"
      action={action}
      ready={sayable && differs && read.isRead}
      onClose={onClose}
    >
      <p>
        Where it has to be, and where it had better be. It stays where it is: what does not hold there is told on its
        page, with the moves that would make it hold.
      </p>
      {read.words === null ? <Now placement={read.value.placement} /> : <Failure words={read.words} />}
      <PlacementFields placement={form} put={setForm} />
      {sayable && differs && read.isRead ? (
        <Preview id={vm.id} question={[read.revision ?? "", JSON.stringify(action.body)].join("\n")} />
      ) : null}
    </FormDialog>
  )
}
