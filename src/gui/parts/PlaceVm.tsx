/**
 * Where a VM that is there has to be, to be said otherwise.
 *
 * @since 0.9.0
 */
import { Atom, Result, useAtomRefresh, useAtomValue } from "@effect-atom/atom-react"
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
import { useRead } from "../state/Read.ts"
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

/** A VM, and the revision that it is of. */
interface Read {
  readonly vm: Vm
  /** null: of no known one */
  readonly revision: string | null
}

const readAtom = Atom.family((id: VmId) =>
  runtime.atom(
    Effect.gen(function* () {
      const { vms } = yield* calls
      const [vm, { headers }] = yield* vms.getVm({ path: { id }, withResponse: true })
      return { vm, revision: headers["etag"] ?? null }
    })
  )
)

const headersOf = (revision: string | null) => (revision === null ? {} : { "if-match": revision })

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
  { revision, vm: { id, name, placement } }: Read,
  form: PlacementForm,
  there: Snapshot["vms"],
  readAgain: () => void
): Commanded => {
  const asked = askedOf(form, there)
  const isNothing = Object.keys(asked).length === 0
  const body = { placement: isNothing ? null : asked }
  const headers = headersOf(revision)
  return {
    label: `Change the rules of ${name}`,
    method: "PATCH",
    path: `/vms/${id}`,
    ...(revision === null ? {} : { headers: { "If-Match": revision } }),
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
    run: Effect.gen(function* () {
      const payload = yield* payloadOf(VmChange, body)
      return yield* (yield* calls).vms.changeVm({ path: { id }, payload, headers })
    }).pipe(Effect.tapErrorTag("PreconditionFailed", () => Effect.sync(readAgain)))
  }
}

/** Of a plan's text what is another then. */
const linesOf = ({ changes }: Plan) =>
  changes.flatMap(({ diff }) => diff.split("\n").filter((line) => /^[-+](?![-+]{2} )/.test(line)))

/** What the controller says to it before it is asked for. */
const Preview = ({ id, question }: { readonly id: VmId; readonly question: string }) => {
  const read = useAtomValue(planAtom(id)(useSettled(question, 250)))
  return (
    <section className="fields" aria-labelledby="change" aria-live="polite">
      <h2 id="change">What would change</h2>
      {Result.builder(read)
        .onInitial(() => <Loading />)
        .onFailure((cause) => <Failure words={wordsOfCause(cause)} />)
        .onSuccess((answer) => ("changes" in answer ? <pre className="plan">{linesOf(answer).join("\n")}</pre> : null))
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
  const atom = readAtom(vm.id)
  const result = useRead(atom, [])
  const readAgain = useAtomRefresh(atom)
  const read = Result.getOrElse(result, (): Read => ({ vm, revision: null }))
  const [form, setForm] = useState(() => placementForm(vm.placement, vms))
  const action = commandOf(read, form, vms, readAgain)
  const sayable = isPlaceable(form, vms)
  const wanted = Either.getOrElse(Domain.make(askedOf(form, vms)), () => undefined)
  const differs = wanted === undefined || !isSame(wanted, read.vm.placement)
  return (
    <FormDialog
      title={`Rules of ${vm.name}`}
      button="Save"
      action={action}
      ready={sayable && differs && Result.isSuccess(result) && !result.waiting}
      onClose={onClose}
    >
      <p>
        Where it has to be, and where it had better be. It stays where it is: what does not hold there is told on its
        page, with the moves that would make it hold.
      </p>
      {Result.isFailure(result) ? (
        <Failure words={wordsOfCause(result.cause)} />
      ) : (
        <Now placement={read.vm.placement} />
      )}
      <PlacementFields placement={form} put={setForm} />
      {sayable && differs && Result.isSuccess(result) ? (
        <Preview id={vm.id} question={[read.revision ?? "", JSON.stringify(action.body)].join("\n")} />
      ) : null}
    </FormDialog>
  )
}
