/**
 * The element that xterm's style sheets are put into, in place of `<style>`. The policy lets no style be that is not a file of ours, which is what makes
 * text that became markup harmless; sheets that a script has constructed are not markup, and are let in as scripts are. See `vite.config.ts`, which has
 * xterm make this element.
 *
 * @since 0.8.0
 */

/** As `vite.config.ts` names it. */
const name = "adopted-style"

class AdoptedStyle extends HTMLElement {
  readonly #sheet = new CSSStyleSheet()
  #text = ""

  override get textContent(): string {
    return this.#text
  }

  override set textContent(text: string | null) {
    this.#text = text ?? ""
    this.#sheet.replaceSync(this.#text)
  }

  connectedCallback(): void {
    this.style.display = "none"
    document.adoptedStyleSheets.push(this.#sheet)
  }

  disconnectedCallback(): void {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((sheet) => sheet !== this.#sheet)
  }
}

/** Before the first terminal is opened. @since 0.8.0 @category constructors */
export const define = (): void => {
  if (customElements.get(name) === undefined) customElements.define(name, AdoptedStyle)
}
