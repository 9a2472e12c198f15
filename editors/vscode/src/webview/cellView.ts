// What all cells in the page have in common.

import type { Cell } from '../cells';
import type { Host } from './host';
import { element, iconButton } from './dom';

/** What cells take of the page around them. */
export interface Around {
  readonly host: Host;
  /** What a screen reader is told of it, when something is complete. */
  readonly say: (text: string) => void;
}

/** A cell in the page. */
export interface CellView {
  readonly root: HTMLElement;
  /** Another state of the cell. */
  put(cell: Cell): void;
  /** More of its text; shown by `draw`. */
  append(text: string): void;
  /** Show what is not shown yet, at most once per frame; true: there is more for the next one. */
  draw(): boolean;
}

/** The frame of a cell: an article that can be focused, with its actions. */
export function frame(kind: string, label: string): HTMLElement {
  return element('article', {
    class: `cell ${kind}`,
    attributes: { tabindex: '-1', 'aria-label': label },
  });
}

export function copyButton(id: string, { host, say }: Around): HTMLButtonElement {
  return iconButton('copy', 'Copy', () => {
    host.post({ type: 'copyCell', id });
    say('Copied');
  });
}

/**
 * A part of a cell that can be folded, and is again as the person has left it. What it holds is
 * made by `fill` when it is first open.
 */
export class Fold {
  readonly root: HTMLDetailsElement;
  readonly body = element('div', { class: 'fold-body' });
  private filled = false;

  constructor(
    private readonly id: string,
    private readonly host: Host,
    summary: HTMLElement,
    private readonly fill: (body: HTMLElement) => void,
  ) {
    const open = element('summary', {}, summary);
    this.root = element('details', { class: 'fold' }, open, this.body);
    open.addEventListener('click', () => {
      // By mouse or key, and not yet as it will be.
      const { folds } = this.host.memory;
      this.host.remember({ folds: { ...folds, [this.id]: !this.root.open } });
    });
    this.root.addEventListener('toggle', () => this.filling());
  }

  get open(): boolean {
    return this.root.open;
  }

  /** Open or fold it, unless the person has. */
  set open(open: boolean) {
    this.root.open = this.host.memory.folds[this.id] ?? open;
    this.filling();
  }

  /** What it holds is to be made anew. */
  refill(): void {
    this.filled = false;
    this.filling();
  }

  private filling(): void {
    if (this.root.open && !this.filled) {
      this.filled = true;
      this.body.replaceChildren();
      this.fill(this.body);
    }
  }
}

/** The first line of a text, without marks. */
export function firstLine(text: string): string {
  const line = /[^\s*#`>][^\n]*/.exec(text)?.[0] ?? '';
  return line.replace(/[*`]+/g, '').trim();
}
