// Cells of what the model does: commands with their output, and calls of other tools.

import type { CallState, Cell, CommandCell, Omitted, ToolCell } from '../cells';
import { type Around, type CellView, copyButton, firstLine, Fold, frame } from './cellView';
import { button, element, picture } from './dom';

type Call = CommandCell | ToolCell;

/** Of an output that still comes, this much is in the page; the rest is shown when it is over. */
const MAX_LIVE = 8_000;

export class CallView implements CellView {
  readonly root: HTMLElement;
  private readonly title = element('span', { class: 'title' });
  private readonly state = element('span', { class: 'state' });
  private readonly fold: Fold;
  private output: Text | undefined;
  private more = '';

  constructor(
    private cell: Call,
    private readonly around: Around,
  ) {
    const isCommand = cell.kind === 'command';
    this.root = frame('call', isCommand ? 'Command' : 'Tool');
    const icon = picture(isCommand ? 'terminal' : 'tool');
    const head = element('span', { class: 'head' }, icon, this.title, this.state);
    this.fold = new Fold(cell.id, around.host, head, (body) => {
      this.fill(body);
    });
    const actions = element('div', { class: 'actions' }, copyButton(cell.id, around));
    this.root.append(this.fold.root, actions);
    this.show();
  }

  put(cell: Cell): void {
    if (cell.kind === 'command' || cell.kind === 'tool') {
      const was = this.cell.state;
      this.cell = cell;
      this.more = '';
      this.show();
      if (was !== cell.state && (cell.state === 'done' || cell.state === 'failed')) {
        this.around.say(`${nameOf(cell)}: ${stateOf(cell)}`);
      }
    }
  }

  append(text: string): void {
    this.more += text;
  }

  draw(): boolean {
    if (this.more !== '' && this.cell.kind === 'command') {
      const output = this.cell.output + this.more;
      const cut = output.length > 2 * MAX_LIVE ? output.slice(-MAX_LIVE) : output;
      this.cell = { ...this.cell, output: cut };
      if (this.output !== undefined && cut === output) {
        this.output.appendData(plain(this.more));
      } else {
        this.fold.refill();
      }
      this.more = '';
      this.follow();
    }
    return false;
  }

  private show(): void {
    const { state } = this.cell;
    this.title.textContent = firstLineOf(nameOf(this.cell));
    this.state.textContent = stateOf(this.cell);
    this.state.className = `state ${state}`;
    this.root.dataset['state'] = state;
    this.output = undefined;
    this.fold.refill();
    // A question is above the input, with all that is to be known; what is over is folded.
    this.fold.open = state === 'running';
    this.follow();
  }

  private fill(body: HTMLElement): void {
    const { cell } = this;
    const whole = cell.kind === 'command' ? cell.command : cell.input;
    if (cell.kind === 'tool' || whole.includes('\n') || whole.length > 60) {
      body.append(element('pre', { class: 'input' }, whole));
    }
    if (cell.output !== '') {
      body.append(this.outputOf(cell));
    } else if (cell.state === 'running') {
      this.output = document.createTextNode('');
      body.append(element('pre', { class: 'output' }, this.output));
    } else {
      body.append(element('p', { class: 'empty' }, 'No output'));
    }
  }

  private outputOf({ id, output, omitted }: Call): HTMLElement {
    if (omitted === undefined) {
      this.output = document.createTextNode(plain(output));
      return element('pre', { class: 'output' }, this.output);
    }
    const all = button(
      `Show all (${omitted.lines.toLocaleString('en')} more lines)`,
      () => {
        this.around.host.post({ type: 'full', id });
      },
      'button secondary show-all',
    );
    return element('div', {}, ...this.halves(output, omitted, all));
  }

  private halves(output: string, { at }: Omitted, between: HTMLElement): HTMLElement[] {
    this.output = document.createTextNode(plain(output.slice(at)));
    return [
      element('pre', { class: 'output' }, plain(output.slice(0, at))),
      between,
      element('pre', { class: 'output' }, this.output),
    ];
  }

  /** Keep the end of a running output in sight. */
  private follow(): void {
    if (this.cell.state === 'running') {
      this.fold.body.scrollTop = this.fold.body.scrollHeight;
    }
  }
}

function nameOf(cell: Call): string {
  return cell.kind === 'command' ? cell.command : cell.name;
}

function firstLineOf(text: string): string {
  const line = firstLine(text);
  return line === '' ? text.trim() : (text.trim().split('\n')[0] ?? '');
}

const STATES: Record<CallState, string> = {
  asked: 'waits for you',
  answered: 'answered',
  running: 'running',
  done: 'done',
  failed: 'failed',
  skipped: 'not run',
};

/** How a call stands, in a word or two. */
function stateOf(cell: Call): string {
  const time = cell.seconds === undefined || cell.seconds < 0.1 ? '' : durationOf(cell.seconds);
  const exit = cell.kind === 'command' ? cell.exitCode : undefined;
  const state =
    cell.state === 'failed' && exit !== undefined && exit > 0 ? `exit ${exit}` : STATES[cell.state];
  return time === '' ? state : `${state} · ${time}`;
}

function durationOf(seconds: number): string {
  if (seconds < 10) {
    return `${seconds.toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** An output without the marks for terminals, which mean nothing here. */
export function plain(text: string): string {
  return (
    text
      // eslint-disable-next-line no-control-regex -- that is what it is about
      .replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])/g, '')
      .replace(/[^\n]*\r(?!\n|$)/g, '')
      .replaceAll('\r', '')
  );
}
