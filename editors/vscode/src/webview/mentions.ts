// The list of files that comes up while a person writes `@` and a name.

import type { FoundFile } from '../webviewProtocol';
import { element, picture } from './dom';

/** `@` and what follows it, at a text's end. */
const MENTION = /(?:^|[\s(])@([^\s@]*)$/;

export class Mentions {
  private readonly list = element('ul', {
    class: 'mentions',
    attributes: { id: 'mentions', role: 'listbox', 'aria-label': 'Files' },
  });
  private files: readonly FoundFile[] = [];
  private chosen = 0;
  private query: string | undefined;
  /** A query that the person has closed the list for. */
  private closedFor: string | undefined;

  /** Shows itself before `input`; `find` is answered by `show`. */
  constructor(
    private readonly input: HTMLTextAreaElement,
    parent: HTMLElement,
    private readonly find: (query: string) => void,
    private readonly chose: (file: FoundFile) => void,
  ) {
    this.list.hidden = true;
    parent.prepend(this.list);
    input.setAttribute('aria-autocomplete', 'list');
    input.setAttribute('aria-controls', 'mentions');
  }

  /** After the text or the caret has changed. */
  look(): void {
    const query = MENTION.exec(this.input.value.slice(0, this.input.selectionStart))?.[1];
    if (query === undefined || query === this.closedFor) {
      this.hide();
      this.closedFor = query;
      return;
    }
    this.closedFor = undefined;
    if (query !== this.query) {
      this.query = query;
      this.find(query);
    }
  }

  /** What was found for `query`. */
  show(query: string, files: readonly FoundFile[]): void {
    if (query !== this.query) {
      return;
    }
    this.files = files;
    this.list.replaceChildren(...files.map((file, at) => this.option(file, at)));
    this.list.hidden = files.length === 0;
    this.choose(0);
  }

  /** Take a key that is meant for the list; false: it is not. */
  key({ key }: KeyboardEvent): boolean {
    if (this.list.hidden) {
      return false;
    }
    switch (key) {
      case 'ArrowDown':
      case 'ArrowUp':
        this.choose(this.chosen + (key === 'ArrowDown' ? 1 : -1));
        return true;
      case 'Enter':
      case 'Tab':
        this.accept(this.chosen);
        return true;
      case 'Escape':
        this.closedFor = this.query;
        this.hide();
        return true;
      default:
        return false;
    }
  }

  hide(): void {
    this.query = undefined;
    this.list.hidden = true;
    this.input.removeAttribute('aria-activedescendant');
  }

  private option({ name, folder }: FoundFile, at: number): HTMLElement {
    const attributes = { role: 'option', id: `mention-${at}` };
    const place = element('span', { class: 'folder' }, folder);
    const shown = element('li', { attributes }, picture('file'), element('span', {}, name), place);
    shown.addEventListener('mousedown', (event) => {
      event.preventDefault(); // The input keeps the focus.
      this.accept(at);
    });
    return shown;
  }

  private choose(at: number): void {
    const count = this.files.length;
    this.chosen = count === 0 ? 0 : (at + count) % count;
    [...this.list.children].forEach((option, index) => {
      option.setAttribute('aria-selected', String(index === this.chosen));
    });
    if (!this.list.hidden) {
      this.input.setAttribute('aria-activedescendant', `mention-${this.chosen}`);
      this.list.children[this.chosen]?.scrollIntoView({ block: 'nearest' });
    }
  }

  private accept(at: number): void {
    const file = this.files[at];
    const { value, selectionStart: caret } = this.input;
    if (file === undefined || this.query === undefined) {
      return;
    }
    const start = caret - this.query.length;
    const name = file.folder === '' ? file.name : `${file.folder}/${file.name}`;
    this.input.setRangeText(`${name} `, start, caret, 'end');
    if (this.input.value === value) {
      this.input.selectionStart = caret;
    }
    this.hide();
    this.chose(file);
  }
}
