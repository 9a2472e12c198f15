// Making elements. Text goes in as text, never as HTML.

type Child = Node | string | undefined;

export interface Properties {
  readonly class?: string;
  /** Attributes; one that is undefined is left out. */
  readonly attributes?: Readonly<Record<string, string | undefined>>;
  readonly onClick?: (event: MouseEvent) => void;
}

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  { class: name, attributes, onClick }: Properties = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (name !== undefined) {
    made.className = name;
  }
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value !== undefined) {
      made.setAttribute(key, value);
    }
  }
  if (onClick !== undefined) {
    made.addEventListener('click', onClick as EventListener);
  }
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

/** A button with words on it. */
export function button(label: string, onClick: () => void, name = 'button'): HTMLButtonElement {
  return element('button', { class: name, attributes: { type: 'button' }, onClick }, label);
}

/** A button with a picture; `label` is what it is called. */
export function iconButton(icon: Icon, label: string, onClick: () => void): HTMLButtonElement {
  const attributes = { type: 'button', title: label, 'aria-label': label };
  return element('button', { class: 'icon-button', attributes, onClick }, picture(icon));
}

const PATHS = {
  add: 'M8 3v10M3 8h10',
  at: 'M10.5 8a2.5 2.5 0 1 1-5 0a2.5 2.5 0 0 1 5 0zm0-2.5V9a1.6 1.6 0 0 0 3.2 0V8a5.7 5.7 0 1 0-2.2 4.5',
  check: 'M3 8.5l3.2 3.2L13 5',
  circle: 'M8 3.5a4.5 4.5 0 1 1 0 9a4.5 4.5 0 0 1 0-9z',
  chevron: 'M6 4l4 4l-4 4',
  close: 'M4 4l8 8M12 4l-8 8',
  copy: 'M5.5 5.5h7v8h-7zM3.5 10.5v-8h7',
  down: 'M8 3v9M4 8.5l4 4l4-4',
  edit: 'M3 13l.7-3L10.5 3.2l2.3 2.3L6 12.3z',
  file: 'M4 2.5h5l3 3v8H4zM9 2.5v3h3',
  image: 'M2.5 3.5h11v9h-11zM2.5 11l3.2-3.2L9 11l2-2l2.5 2.5M10.5 6.2h.01',
  info: 'M8 2.5a5.5 5.5 0 1 1 0 11a5.5 5.5 0 0 1 0-11zM8 7.2V11M8 5h.01',
  lines: 'M3 4.5h10M3 8h10M3 11.5h6',
  retry: 'M12.7 9.5A5 5 0 1 1 12.5 6M13 2.8V6H9.8',
  send: 'M8 13V3.5M4 7.5l4-4l4 4',
  stop: 'M4.5 4.5h7v7h-7z',
  terminal: 'M3 4l4 4l-4 4M8.5 12H13',
  thought: 'M8 2.5a4 4 0 0 1 2.2 7.3V11.5H5.8V9.8A4 4 0 0 1 8 2.5zM6.3 13.5h3.4',
  tool: 'M9.8 3.2a3.2 3.2 0 0 0-3 4.4L3 11.4L4.6 13l3.8-3.8a3.2 3.2 0 0 0 4.3-4L10.8 7L9 5.2l1.9-1.9z',
  warning: 'M8 2.8l5.7 10.4H2.3zM8 6.6v3M8 11.4h.01',
} as const;

export type Icon = keyof typeof PATHS;

const SVG = 'http://www.w3.org/2000/svg';

/** A small picture that says nothing to a screen reader. */
export function picture(icon: Icon): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', `icon icon-${icon}`);
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', PATHS[icon]);
  svg.append(path);
  return svg;
}
