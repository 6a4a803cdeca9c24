/** Making and finding elements. */

type Children = readonly (Node | string)[];

/** An element with properties and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  children: Children = [],
): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** A button that does something. */
export function button(label: string, className: string, onclick: () => void): HTMLButtonElement {
  return h('button', { type: 'button', className, textContent: label, onclick });
}

/** The element that index.html has for this selector. */
export function find<E extends HTMLElement = HTMLElement>(selector: string, within: ParentNode = document): E {
  const element = within.querySelector<E>(selector);
  if (!element) throw new Error(`index.html has no ${selector}`);
  return element;
}

/** Says something to screen readers. */
export function announce(text: string): void {
  find('#announce').textContent = text;
}

/** A short note at the bottom, with something to do about it; `within` an open dialog. */
export function toast(text: string, action?: { label: string; run: () => void }, ms = 8000, within?: HTMLElement): void {
  const close = (): void => note.remove();
  const note = h('div', { className: 'toast' }, [text]);
  if (action) {
    note.append(
      button(action.label, '', () => {
        close();
        action.run();
      }),
    );
  }
  if (within) {
    within.querySelector('.toasts')?.remove();
    within.append(h('div', { className: 'toasts', role: 'status' }, [note]));
  } else find('.toasts').append(note);
  // What is pointed at or focused is not taken away.
  const fade = (): unknown => (note.matches(':hover, :focus-within') ? setTimeout(fade, 2000) : close());
  setTimeout(fade, ms);
}

/** Ctrl+Z does what the latest note offers to take back. */
export function undoByKey(label: string): void {
  addEventListener('keydown', (event) => {
    const asked = event.key.toLowerCase() === 'z' && (event.ctrlKey || event.metaKey) && !event.shiftKey;
    if (!asked || event.target instanceof HTMLInputElement) return;
    const offers = [...document.querySelectorAll<HTMLButtonElement>('.toast button')].filter((button) => button.textContent === label);
    const latest = offers.at(-1);
    if (!latest) return;
    event.preventDefault();
    latest.click();
  });
}
