// The few things the pages do with the document.

/** The element that must be in the page. */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`no #${id}`);
  return found;
}

type Props = Readonly<Record<string, string | boolean | EventListener>>;

/** Builds an element: `on…` properties are listeners, `true` an empty attribute, `false` none. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K, props: Props = {}, ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children);
  return element;
}

/** Changes the text only if it differs, so that screen readers repeat nothing. */
export function setText(element: Element, value: string): void {
  if (element.textContent !== value) element.textContent = value;
}

export function show(element: HTMLElement, visible: boolean): void {
  if (element.hidden === visible) element.hidden = !visible;
}

/** Runs a button's work once at a time; it stays focusable while busy. */
export function onPress(button: HTMLElement, work: () => Promise<void>): void {
  let busy = false;
  button.addEventListener('click', async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    button.setAttribute('aria-busy', 'true');
    try {
      await work();
    } finally {
      busy = false;
      button.removeAttribute('aria-busy');
    }
  });
}

/** Moves the reader to a heading that has just appeared. */
export function focusHeading(element: HTMLElement): void {
  element.tabIndex = -1;
  element.focus();
}

/** The last part of the page's address: a room, an order or a ticket. */
export function idFromPath(): string {
  return decodeURIComponent(location.pathname.split('/').filter(Boolean).pop() ?? '');
}

/** Where to log in and come back to this page. */
export function loginAddress(provider: string): string {
  const back = location.pathname + location.search;
  return `/auth/login?provider=${encodeURIComponent(provider)}&return_to=${encodeURIComponent(back)}`;
}
