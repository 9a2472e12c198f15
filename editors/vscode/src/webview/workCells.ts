// Cells of plans and of changes to files.

import type { CallState, Cell, PatchCell, PatchedFile, PlanCell, Step } from '../cells';
import { type Around, type CellView, copyButton, Fold, frame } from './cellView';
import { element, picture } from './dom';

const STEP_ICONS = { completed: 'check', in_progress: 'chevron', pending: 'circle' } as const;
const STEP_LABELS = { completed: 'done', in_progress: 'in progress', pending: 'to do' };

/** A plan as a list that says of each step how it stands. */
export function checklist(steps: readonly Step[]): HTMLElement {
  const items = steps.map(({ step, status }) =>
    element(
      'li',
      { class: `step ${status}` },
      picture(STEP_ICONS[status]),
      element('span', { class: 'hidden-text' }, `${STEP_LABELS[status]}: `),
      element('span', {}, step),
    ),
  );
  return element('ul', { class: 'checklist' }, ...items);
}

export class PlanView implements CellView {
  readonly root = frame('plan', 'Plan');

  constructor(cell: PlanCell) {
    this.put(cell);
  }

  put(cell: Cell): void {
    if (cell.kind === 'plan') {
      const { steps, explanation } = cell;
      const done = steps.filter(({ status }) => status === 'completed').length;
      const head = element('p', { class: 'head' }, `Plan · ${done} of ${steps.length} done`);
      const why = explanation === undefined ? undefined : element('p', {}, explanation);
      this.root.replaceChildren(head, ...(why ? [why] : []), checklist(steps));
    }
  }

  append(): void {
    // A plan is told as a whole.
  }

  draw(): boolean {
    return false; // As it was put.
  }
}

const VERBS = { add: 'Add', edit: 'Edit', delete: 'Delete', move: 'Move' };
const PATCH_STATES: Record<CallState, string> = {
  asked: 'waits for you',
  answered: 'answered',
  running: 'being applied',
  done: 'applied',
  failed: 'not applied',
  skipped: 'not applied',
};

/** One fold for each file, with its difference. */
export class PatchView implements CellView {
  readonly root = frame('patch', 'Changes');
  private state: CallState | undefined;

  constructor(
    cell: PatchCell,
    private readonly around: Around,
  ) {
    this.put(cell);
  }

  put(cell: Cell): void {
    if (cell.kind !== 'patch') {
      return;
    }
    const { id, files, state, problem } = cell;
    const label = PATCH_STATES[state];
    if (this.state !== undefined && (state === 'done' || state === 'failed')) {
      this.around.say(`Changes ${label}: ${files.map(({ path }) => path).join(', ')}`);
    }
    this.state = state;
    this.root.dataset['state'] = state;
    const shown = element('span', { class: `state ${state}` }, label);
    const [only] = files;
    const isOne = only !== undefined && files.length === 1;
    this.root.replaceChildren(
      ...(isOne ? [this.file(`${id}/0`, only, shown)] : this.several(cell, shown)),
      ...(problem ? [element('p', { class: 'problem' }, problem)] : []),
      element('div', { class: 'actions' }, copyButton(id, this.around)),
    );
  }

  append(): void {
    // A patch is told as a whole.
  }

  draw(): boolean {
    return false; // As it was put.
  }

  private several({ id, files }: PatchCell, state: HTMLElement): HTMLElement[] {
    const title = element('span', { class: 'title' }, `${files.length} files `, sum(files));
    const head = element('p', { class: 'head' }, picture('edit'), title, state);
    return [head, ...files.map((file, at) => this.file(`${id}/${at}`, file))];
  }

  private file(id: string, file: PatchedFile, state?: HTMLElement): HTMLElement {
    const name = file.to === undefined ? file.path : `${file.path} → ${file.to}`;
    const words = element('span', { class: 'path' }, name);
    const head = element(
      'span',
      { class: 'head' },
      element('span', { class: 'verb' }, VERBS[file.verb]),
      words,
      sum([file]),
      state,
    );
    const fold = new Fold(id, this.around.host, head, (body) => body.append(diff(file.diff)));
    fold.open = false;
    return fold.root;
  }
}

function sum(files: readonly PatchedFile[]): HTMLElement {
  const total = (count: (file: PatchedFile) => number) =>
    files.reduce((all, file) => all + count(file), 0);
  const [added, removed] = [total((file) => file.added), total((file) => file.removed)];
  return counts(added, removed);
}

/** "+3 −1", as a screen reader says it, too; nothing, if no line is added or removed. */
export function counts(added: number, removed: number): HTMLElement {
  const words: string[] = [];
  const shown = element('span', { class: 'counts', attributes: { 'aria-hidden': 'true' } });
  if (added > 0) {
    words.push(`${added} lines added`);
    shown.append(element('span', { class: 'added' }, `+${added}`), ' ');
  }
  if (removed > 0) {
    words.push(`${removed} lines removed`);
    shown.append(element('span', { class: 'removed' }, `−${removed}`));
  }
  return element(
    'span',
    { class: 'changed' },
    shown,
    element('span', { class: 'hidden-text' }, words.join(', ')),
  );
}

/** Longer differences are for the diff editor. */
const MAX_DIFF_LINES = 2_000;

function diff(text: string): HTMLElement {
  const all = text.replace(/\n$/, '').split('\n');
  const lines = all.slice(0, MAX_DIFF_LINES).map((line) => {
    const kind = line.startsWith('+')
      ? 'line added'
      : line.startsWith('-')
        ? 'line removed'
        : line.startsWith('@@')
          ? 'line hunk'
          : 'line';
    return element('span', { class: kind }, `${line}\n`);
  });
  const left = all.length - lines.length;
  const rest = left > 0 ? `… and ${left.toLocaleString('en')} more lines` : '';
  return text === ''
    ? element('p', { class: 'empty' }, 'Nothing to show')
    : element('pre', { class: 'diff' }, ...lines, rest);
}
