/**
 * Everything by its name, from the keyboard. Loaded when it is first opened.
 *
 * @since 0.7.0
 */
import * as Ariakit from "@ariakit/react"
import { Result, useAtomValue } from "@effect-atom/atom-react"
import { useNavigate } from "@tanstack/react-router"
import * as Effect from "effect/Effect"
import { useMemo, useState } from "react"
import { calls, docs, runtime } from "../state/Api.ts"
import { useSnapshot } from "./Parts.tsx"
import * as Search from "./Search.ts"
import { count, counted, mebibytes } from "./Words.ts"

const networksAtom = runtime.atom(Effect.flatMap(calls, ({ networks }) => networks.listNetworks()))

interface Entry {
  readonly key: string
  readonly name: string
  readonly kind: string
  readonly go: () => void
}

const most = 30

const Entries = ({ onClose }: { readonly onClose: () => void }) => {
  const { hosts, images, types, vms, volumes } = useSnapshot()
  const read = useAtomValue(networksAtom)
  const networks = useMemo(
    () =>
      Result.getOrElse(
        Result.map(read, ({ items }) => items),
        () => []
      ),
    [read]
  )
  const navigate = useNavigate()
  const [text, setText] = useState("")
  const { items, more } = useMemo(() => {
    const entries = Search.best<Entry>(text, most)
    const isFound = Search.seeking(text)
    const add = (key: string, name: string, kind: string, go: () => void, id: number | null = null) => {
      if (isFound(id, () => `${name} ${kind}`)) entries.add({ key, name, kind, go })
    }
    const pages = [
      ["Overview", "/"],
      ["VMs", "/vms"],
      ["Create VM", "/vms/new"],
      ["Volumes", "/volumes"],
      ["Images", "/images"],
      ["Instance types", "/types"],
      ["Hosts", "/hosts"],
      ["Capacity", "/capacity"],
      ["Networks", "/networks"],
      ["Operations", "/operations"],
      ["Events", "/events"],
      ["Settings", "/settings"],
      ["Users", "/settings/users"],
      ["Webhooks", "/settings/webhooks"]
    ] as const
    for (const [name, to] of pages) add(to, name, "page", () => void navigate({ to }))
    add("docs", "API documentation", "page", () => window.location.assign(docs))
    for (const { id, name } of hosts.values()) {
      add(`h${id}`, name, "host", () => void navigate({ to: "/hosts/$id", params: { id: String(id) } }), id)
    }
    for (const { name } of networks) {
      add(`n${name}`, name, "network", () => void navigate({ to: "/networks/$name", params: { name } }))
    }
    for (const { id, name } of images) {
      add(`i${id}`, name, `image ${id}`, () => void navigate({ to: "/images/$id", params: { id: String(id) } }), id)
    }
    for (const { cpu, id, ram } of types) {
      const size = `${counted(cpu, "vCPU")}, ${mebibytes(ram)}`
      add(
        `t${id}`,
        size,
        `instance type ${id}`,
        () => void navigate({ to: "/types/$id", params: { id: String(id) } }),
        id
      )
    }
    // names need not be unique
    for (const { hostId, id, name } of vms.values()) {
      add(
        `v${id}`,
        name,
        `VM ${id} on ${hosts.get(hostId)?.name ?? `host ${hostId}`}`,
        () => void navigate({ to: "/vms/$id", params: { id: String(id) } }),
        id
      )
    }
    for (const { id, name } of volumes.values()) {
      add(`d${id}`, name, `volume ${id}`, () => void navigate({ to: "/volumes/$id", params: { id: String(id) } }), id)
    }
    return entries.found()
  }, [text, hosts, images, networks, types, vms, volumes, navigate])
  return (
    <Ariakit.ComboboxProvider open setValue={setText}>
      <Ariakit.Combobox
        className="input"
        placeholder="Page, VM, volume, image, instance type, network, host"
        aria-label="Go to"
        autoSelect
        autoFocus
      />
      <Ariakit.ComboboxList className="options" alwaysVisible aria-label="What was found">
        {items.map(({ go, key, kind, name }) => (
          <Ariakit.ComboboxItem
            key={key}
            className="option"
            setValueOnClick={false}
            onClick={() => {
              onClose()
              go()
            }}
          >
            <span className="cut">{name}</span>
            <span className="quiet small">{kind}</span>
          </Ariakit.ComboboxItem>
        ))}
      </Ariakit.ComboboxList>
      {items.length === 0 ? (
        <p className="quiet">No page, VM, volume, image, instance type, network or host is called that.</p>
      ) : more > 0 && text.trim() !== "" ? (
        <p className="quiet small">{count(more)} more: say more of the name, or its number as id:7.</p>
      ) : null}
    </Ariakit.ComboboxProvider>
  )
}

/** @since 0.7.0 @category components */
export const PaletteBox = ({ onClose }: { readonly onClose: () => void }) => (
  <Ariakit.Dialog
    open
    onClose={onClose}
    className="dialog palette"
    aria-label="Go to"
    backdrop={<div className="backdrop" />}
  >
    <Entries onClose={onClose} />
  </Ariakit.Dialog>
)
