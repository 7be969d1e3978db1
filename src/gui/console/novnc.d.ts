/** noVNC has no types of its own: what is used of `RFB`, by its docs/API.md of 1.7. */
declare module "@novnc/novnc" {
  interface Events {
    connect: CustomEvent<{}>
    disconnect: CustomEvent<{ readonly clean: boolean }>
    credentialsrequired: CustomEvent<{ readonly types: ReadonlyArray<string> }>
    securityfailure: CustomEvent<{ readonly status: number; readonly reason?: string }>
    clipboard: CustomEvent<{ readonly text: string }>
  }

  export default class RFB extends EventTarget {
    constructor(target: HTMLElement, channel: WebSocket, options?: { readonly shared?: boolean })
    background: string
    clipViewport: boolean
    dragViewport: boolean
    scaleViewport: boolean
    addEventListener<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): void
    blur(): void
    clipboardPasteFrom(text: string): void
    disconnect(): void
    focus(): void
    sendCtrlAltDel(): void
    sendKey(keysym: number, code: string | null, down?: boolean): void
  }
}
