/**
 * Everything by its name, from the keyboard. Loaded when it is first opened.
 *
 * @since 0.7.0
 */
import * as Ariakit from "@ariakit/react"
import { useNavigate } from "@tanstack/react-router"
import { useMemo, useState } from "react"
import { docs } from "../state/Api.ts"
import { useSnapshot } from "./Parts.tsx"

interface Entry {
  readonly key: string
  readonly name: string
  readonly kind: string
  readonly go: () => void
}

const most = 30

const Entries = ({ onClose }: { readonly onClose: () => void }) => {
  const { hosts, vms, volumes } = useSnapshot()
  const navigate = useNavigate()
  const [text, setText] = useState("")
  const found = useMemo(() => {
    const entries: Array<Entry> = []
    const words = text.toLowerCase().split(/\s+/).filter(Boolean)
    const add = (key: string, name: string, kind: string, go: () => void) => {
      const all = `${name} ${kind}`.toLowerCase()
      if (entries.length < most && words.every((word) => all.includes(word))) entries.push({ key, name, kind, go })
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
      add(`h${id}`, name, "host", () => void navigate({ to: "/hosts/$id", params: { id: String(id) } }))
    }
    for (const { id, name } of volumes.values()) {
      if (entries.length >= most) break
      add(`d${id}`, name, "volume", () => void navigate({ to: "/volumes/$id", params: { id: String(id) } }))
    }
    for (const { id, name } of vms.values()) {
      if (entries.length >= most) break
      add(`v${id}`, name, "VM", () => void navigate({ to: "/vms/$id", params: { id: String(id) } }))
    }
    return entries
  }, [text, hosts, vms, volumes, navigate])
  return (
    <Ariakit.ComboboxProvider open setValue={setText}>
      <Ariakit.Combobox
        className="input"
        placeholder="Go to a page, a VM, a volume or a host"
        aria-label="Go to"
        autoSelect
        autoFocus
      />
      <Ariakit.ComboboxList className="options" alwaysVisible aria-label="What was found">
        {found.map(({ go, key, kind, name }) => (
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
      {found.length === 0 ? <p className="quiet">Nothing is called that.</p> : null}
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
