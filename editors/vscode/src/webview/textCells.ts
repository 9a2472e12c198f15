// Cells that are mostly text: what the person says, what the model says and thinks, notices.

import type { Attachment, Cell, MessageCell, NoticeCell, ReasoningCell, UserCell } from '../cells';
import { type Around, type CellView, copyButton, firstLine, Fold, frame } from './cellView';
import { button, element, iconButton, picture } from './dom';
import { MarkdownStream } from './markdownStream';

export class UserView implements CellView {
  readonly root = frame('user', 'You');

  constructor(
    cell: UserCell,
    private readonly around: Around,
  ) {
    this.put(cell);
  }

  put(cell: Cell): void {
    if (cell.kind !== 'user') {
      return;
    }
    const { host, say } = this.around;
    const again = iconButton('retry', 'Send again', () => {
      host.post({ type: 'retry', id: cell.id });
      say('Sent again');
    });
    this.root.replaceChildren(
      element('div', { class: 'bubble' }, cell.text, attachments(cell.attachments, this.around)),
      element('div', { class: 'actions' }, copyButton(cell.id, this.around), again),
    );
  }

  append(): void {
    // Nobody's words grow once they are sent.
  }

  draw(): boolean {
    return false; // As it was put.
  }
}

function attachments(list: readonly Attachment[], around: Around): HTMLElement | undefined {
  if (list.length === 0) {
    return undefined;
  }
  const shown = list.map((each) => element('li', {}, attachment(each, around)));
  return element('ul', { class: 'chips', attributes: { 'aria-label': 'Attached' } }, ...shown);
}

function attachment({ kind, label, path, line, url }: Attachment, { host }: Around): HTMLElement {
  if (url?.startsWith('data:image/') === true) {
    return element('img', { class: 'thumbnail', attributes: { src: url, alt: label } });
  }
  const icon = picture(kind === 'image' ? 'image' : kind === 'selection' ? 'lines' : 'file');
  if (path === undefined) {
    return element('span', { class: 'chip' }, icon, label);
  }
  const open = button('', () => host.post({ type: 'openFile', path, line: line ?? 1 }), 'chip');
  open.title = `Open ${path}`;
  open.append(icon, label);
  return open;
}

export class MessageView implements CellView {
  readonly root = frame('message', 'Codex');
  private readonly text = element('div', { class: 'markdown' });
  private readonly stream = new MarkdownStream(this.text);
  private readonly actions: HTMLElement;
  private wasDone: boolean;

  constructor(
    cell: MessageCell,
    private readonly around: Around,
  ) {
    this.wasDone = cell.done;
    this.actions = element('div', { class: 'actions' }, copyButton(cell.id, around));
    this.root.append(this.text, this.actions);
    this.put(cell);
  }

  put(cell: Cell): void {
    if (cell.kind !== 'message') {
      return;
    }
    this.stream.set(cell.text, cell.done);
    this.actions.hidden = !cell.done;
    if (cell.done && !this.wasDone) {
      this.wasDone = true;
      this.around.say(`Codex: ${cell.text}`);
    }
  }

  append(text: string): void {
    this.stream.append(text);
  }

  draw(): boolean {
    return this.stream.draw();
  }
}

/** Folded: a line says what the thought is about. */
export class ReasoningView implements CellView {
  readonly root = frame('reasoning', 'Reasoning');
  private readonly title = element('span', { class: 'title' });
  private readonly fold: Fold;
  private stream: MarkdownStream | undefined;
  private text = '';
  private done = false;

  constructor(cell: ReasoningCell, { host }: Around) {
    const summary = element('span', { class: 'head' }, picture('thought'), this.title);
    this.fold = new Fold(cell.id, host, summary, (body) => {
      const text = element('div', { class: 'markdown' });
      body.append(text);
      this.stream = new MarkdownStream(text);
      this.draw();
    });
    this.root.append(this.fold.root);
    this.put(cell);
    this.fold.open = false;
  }

  put(cell: Cell): void {
    if (cell.kind === 'reasoning') {
      this.text = cell.text;
      this.done = cell.done;
    }
  }

  append(text: string): void {
    this.text += text;
  }

  draw(): boolean {
    const title = firstLine(this.text.slice(0, 500));
    const label = title === '' ? 'Thinking' : title;
    if (this.title.textContent !== label) {
      this.title.textContent = label;
    }
    // The title need not be said twice.
    const body = this.text.replace(/^\s*\*\*([^*\n]+)\*\*\s*\n/, '');
    this.stream?.set(body, this.done);
    return this.stream?.draw() ?? false;
  }
}

const NOTICE_ICONS = { info: 'info', warning: 'warning', error: 'warning' } as const;
const NOTICE_LABELS = { info: 'Notice', warning: 'Warning', error: 'Error' };

export class NoticeView implements CellView {
  readonly root: HTMLElement;

  constructor(
    cell: NoticeCell,
    private readonly around: Around,
  ) {
    this.root = frame(`notice ${cell.level}`, NOTICE_LABELS[cell.level]);
    this.put(cell);
  }

  put(cell: Cell): void {
    if (cell.kind !== 'notice') {
      return;
    }
    const { host } = this.around;
    const { id, level, text, detail } = cell;
    const head = element('span', { class: 'head' }, picture(NOTICE_ICONS[level]), text);
    if (detail === undefined) {
      this.root.replaceChildren(head);
    } else {
      const fold = new Fold(id, host, head, (body) => {
        const shown = element('div', { class: 'markdown' });
        body.append(shown);
        const stream = new MarkdownStream(shown);
        stream.set(detail, true);
        while (stream.draw());
      });
      fold.open = false;
      this.root.replaceChildren(fold.root);
    }
    if (cell.retry === true) {
      this.root.append(button('Retry', () => host.post({ type: 'retry', id }), 'button secondary'));
    }
  }

  append(): void {
    // Notices do not grow.
  }

  draw(): boolean {
    return false; // As it was put.
  }
}
