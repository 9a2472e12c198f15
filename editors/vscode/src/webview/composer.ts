// Where a person writes: the text, what is sent along, and the buttons.

import type { Chip, FoundFile, ViewState } from '../webviewProtocol';
import { element, iconButton, picture } from './dom';
import type { Host } from './host';
import { Mentions } from './mentions';
import { takeTransfers } from './transfers';

const MAX_REMEMBERED = 50;
const SAVE_MS = 300;

export class Composer {
  readonly root: HTMLElement;
  private readonly input: HTMLTextAreaElement;
  private readonly chips = element('ul', {
    class: 'chips',
    attributes: { 'aria-label': 'Sent along' },
  });
  private readonly suggestion = element('button', { class: 'chip suggestion' });
  private readonly problem = element('p', { class: 'problem', attributes: { role: 'alert' } });
  private readonly sendButton: HTMLButtonElement;
  private readonly stopButton: HTMLButtonElement;
  private readonly mentions: Mentions;
  private state: ViewState | undefined;
  private chipCount = 0;
  private sending: string | undefined;
  private saving: ReturnType<typeof setTimeout> | undefined;
  private recalled = 0;

  constructor(
    private readonly host: Host,
    private readonly said: () => void,
  ) {
    this.input = element('textarea', {
      attributes: { rows: '1', 'aria-label': 'Message to Codex', placeholder: 'Ask Codex' },
    });
    this.sendButton = iconButton('send', 'Send', () => this.send());
    this.stopButton = iconButton('stop', 'Stop', () => host.post({ type: 'stop' }));
    this.sendButton.classList.add('primary');
    this.suggestion.addEventListener('click', () => {
      host.post({ type: 'attachSelection' });
      this.input.focus();
    });
    const box = element('div', { class: 'box' }, this.chips, this.suggestion, this.input);
    box.append(
      element(
        'div',
        { class: 'buttons' },
        iconButton('add', 'Attach files', () => host.post({ type: 'pickFiles' })),
        iconButton('at', 'Mention a file', () => this.mention()),
        element('span', { class: 'space' }),
        this.stopButton,
        this.sendButton,
      ),
    );
    this.root = element('div', { class: 'composer' }, this.problem, box);
    this.mentions = new Mentions(
      this.input,
      this.root,
      (query) => host.post({ type: 'findFiles', query }),
      ({ path }) => {
        host.post({ type: 'attachFile', path });
        this.changed();
      },
    );
    this.input.value = host.memory.draft;
    this.listen();
    this.chips.hidden = true;
    this.problem.hidden = true;
  }

  focus(): void {
    this.input.focus();
  }

  show(state: ViewState): void {
    this.state = state;
    const busy = state.status === 'running' || state.status === 'waiting';
    this.stopButton.hidden = !busy;
    const label = busy ? 'Send to the running turn' : 'Send';
    this.sendButton.title = label;
    this.sendButton.setAttribute('aria-label', label);
    this.input.placeholder = busy ? 'Add something while Codex works' : 'Ask Codex';
    const { suggestion } = state;
    this.suggestion.hidden = suggestion === undefined;
    if (suggestion !== undefined) {
      const name = `Attach the selection, ${suggestion}`;
      this.suggestion.replaceChildren(picture('add'), suggestion);
      this.suggestion.title = name;
      this.suggestion.setAttribute('aria-label', name);
    }
    this.enable();
  }

  showChips(chips: readonly Chip[]): void {
    this.chipCount = chips.length;
    this.chips.hidden = chips.length === 0;
    this.chips.replaceChildren(...chips.map((chip) => this.chip(chip)));
    this.enable();
  }

  showFiles(query: string, files: readonly FoundFile[]): void {
    this.mentions.show(query, files);
  }

  /** What was sent has been taken. */
  taken(): void {
    this.sending = undefined;
    this.enable();
  }

  /** What was sent could not be: it is here again. */
  kept(text: string, problem: string): void {
    this.sending = undefined;
    this.compose(text);
    this.tell(problem);
  }

  /** Put `text` before what is written. */
  compose(text: string): void {
    const written = this.input.value;
    this.input.value = written === '' || text === '' ? text + written : `${text}\n\n${written}`;
    this.input.focus();
    this.changed();
  }

  private listen(): void {
    const { input, root } = this;
    input.addEventListener('input', () => this.changed());
    input.addEventListener('keydown', (event) => this.key(event));
    input.addEventListener('click', () => this.mentions.look());
    input.addEventListener('blur', () => this.mentions.hide());
    takeTransfers(input, root, this.host, (problem) => this.tell(problem));
  }

  private key(event: KeyboardEvent): void {
    if (event.isComposing) {
      return;
    }
    if (this.mentions.key(event)) {
      event.preventDefault();
      return;
    }
    const { key, shiftKey, altKey } = event;
    if (key === 'Enter' && !shiftKey && !altKey) {
      event.preventDefault();
      this.send();
    } else if (key === 'Escape' && !this.stopButton.hidden) {
      this.host.post({ type: 'stop' });
    } else if ((key === 'ArrowUp' || key === 'ArrowDown') && !altKey && !shiftKey) {
      this.recall(event, key === 'ArrowUp' ? 1 : -1);
    } else if (key === 'Backspace' && this.input.selectionEnd === 0 && this.chipCount > 0) {
      this.chips.querySelector<HTMLButtonElement>('li:last-child button')?.click();
    }
  }

  /** What was said before, as in a shell; only as long as nothing else is written. */
  private recall(event: KeyboardEvent, step: 1 | -1): void {
    const { said } = this.host.memory;
    const shown = said.at(-this.recalled) ?? '';
    const isOwn = this.recalled === 0 ? this.input.value === '' : this.input.value === shown;
    const next = this.recalled + step;
    if (!isOwn || next < 0 || next > said.length) {
      return;
    }
    event.preventDefault();
    this.recalled = next;
    this.input.value = next === 0 ? '' : (said.at(-next) ?? '');
    this.changed(true);
  }

  private mention(): void {
    this.input.focus();
    const { value, selectionStart: caret } = this.input;
    const before = /\S$/.test(value.slice(0, caret)) ? ' @' : '@';
    this.input.setRangeText(before, caret, this.input.selectionEnd, 'end');
    this.changed();
  }

  private send(): void {
    const text = this.input.value.trim();
    if (!this.canSend()) {
      return;
    }
    this.sending = text;
    this.host.post({ type: 'send', text });
    this.input.value = '';
    if (text !== '') {
      const said = [...this.host.memory.said.filter((each) => each !== text), text];
      this.host.remember({ said: said.slice(-MAX_REMEMBERED) });
    }
    this.changed();
    this.said();
  }

  private canSend(): boolean {
    const isEmpty = this.input.value.trim() === '' && this.chipCount === 0;
    return !isEmpty && this.sending === undefined && this.state?.enabled === true;
  }

  private changed(recalling = false): void {
    if (!recalling) {
      this.recalled = 0;
    }
    this.tell('');
    this.enable();
    this.mentions.look();
    clearTimeout(this.saving);
    this.saving = setTimeout(() => this.host.remember({ draft: this.input.value }), SAVE_MS);
  }

  private enable(): void {
    // Not `disabled`: that would take the focus from whoever has just pressed it.
    this.sendButton.setAttribute('aria-disabled', String(!this.canSend()));
  }

  private tell(problem: string): void {
    this.problem.hidden = problem === '';
    this.problem.textContent = problem;
  }

  private chip({ id, kind, label, url }: Chip): HTMLElement {
    const icon =
      url === undefined
        ? picture(kind === 'selection' ? 'lines' : kind === 'image' ? 'image' : 'file')
        : element('img', { attributes: { src: url, alt: '' } });
    const remove = iconButton('close', `Remove ${label}`, () => {
      this.host.post({ type: 'detach', id });
      this.input.focus();
    });
    return element('li', { class: 'chip' }, icon, element('span', {}, label), remove);
  }
}
