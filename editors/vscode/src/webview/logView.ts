// The conversation: cells in their order, drawn at most once per frame.

import type { Cell, Change } from '../cells';
import { CallView } from './callCells';
import type { Around, CellView } from './cellView';
import { button, element } from './dom';
import { MessageView, NoticeView, ReasoningView, UserView } from './textCells';
import { PatchView, PlanView } from './workCells';

/** Nearer to the end than this, the view follows what comes. */
const NEAR_END = 48;
/** A cell that takes longer to draw is drawn less often, so that the page stays usable. */
const LONG_DRAW_MS = 6;
const REST = 5;

export class LogView {
  private readonly views = new Map<string, CellView>();
  private readonly dirty = new Map<CellView, number>();
  private readonly earlier: HTMLButtonElement;
  private changes: Change[] = [];
  private frame = 0;
  private following = true;
  private top = 0;

  /** `list` is in `scroller`; `applied` is called when changes are drawn. */
  constructor(
    private readonly scroller: HTMLElement,
    private readonly list: HTMLElement,
    private readonly toEnd: HTMLElement,
    private readonly around: Around,
    private readonly applied: () => void,
  ) {
    this.earlier = button('Show earlier', () => this.askEarlier(), 'button secondary earlier');
    scroller.addEventListener('scroll', () => this.scrolled(), { passive: true });
    toEnd.addEventListener('click', () => {
      this.end();
    });
    // What is drawn later than its cell, such as pictures and what is unfolded.
    new ResizeObserver(() => this.follow()).observe(list);
    new ResizeObserver(() => this.follow()).observe(scroller);
  }

  get isEmpty(): boolean {
    return this.views.size === 0;
  }

  reset(cells: readonly Cell[], earlier: boolean): void {
    this.views.clear();
    this.dirty.clear();
    this.changes = [];
    this.list.replaceChildren(...this.made(cells));
    this.drawDirty(true);
    this.offer(earlier);
    const { fromEnd } = this.around.host.memory;
    this.scroller.scrollTop = this.scroller.scrollHeight - this.scroller.clientHeight - fromEnd;
    this.following = fromEnd === 0;
  }

  prepend(cells: readonly Cell[], earlier: boolean): void {
    const { scrollHeight, scrollTop } = this.scroller;
    this.earlier.remove();
    this.list.prepend(...this.made(cells));
    this.drawDirty(true);
    this.offer(earlier);
    // What was on the screen stays where it was.
    this.scroller.scrollTop = scrollTop + this.scroller.scrollHeight - scrollHeight;
  }

  /** Take changes; they are drawn in the next frame. */
  apply(changes: readonly Change[]): void {
    this.changes.push(...changes);
    this.request();
  }

  /** Follow the conversation from now on. */
  end(): void {
    this.following = true;
    this.around.host.remember({ fromEnd: 0 });
    this.follow();
  }

  /** Move the focus to the cell before or after the focused one. */
  move(step: 1 | -1): void {
    const cells = [...this.list.querySelectorAll<HTMLElement>(':scope > .cell')];
    const at = cells.findIndex((cell) => cell.contains(document.activeElement));
    const next = at < 0 ? cells.at(-1) : cells[at + step];
    next?.focus({ preventScroll: true });
    next?.scrollIntoView({ block: 'nearest' });
  }

  private request(): void {
    if (this.frame === 0) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.draw();
      });
    }
  }

  private draw(): void {
    const changes = this.changes;
    this.changes = [];
    changes.forEach((change) => this.take(change));
    this.drawDirty(false);
    this.follow();
    if (changes.length > 0) {
      this.applied();
    }
    if (this.dirty.size > 0) {
      this.request();
    }
  }

  private take(change: Change): void {
    if (change.type === 'put') {
      const known = this.views.get(change.cell.id);
      if (known === undefined) {
        this.list.append(...this.made([change.cell]));
      } else {
        known.put(change.cell);
        // It may be complete, and is not waited for then.
        this.dirty.set(known, 0);
      }
      return;
    }
    const view = this.views.get(change.id);
    if (view === undefined) {
      return;
    }
    if (change.type === 'append') {
      view.append(change.text);
      this.dirty.set(view, this.dirty.get(view) ?? notBefore.get(view) ?? 0);
    } else {
      this.views.delete(change.id);
      this.dirty.delete(view);
      view.root.remove();
    }
  }

  private drawDirty(all: boolean): void {
    for (const [view, from] of [...this.dirty]) {
      const start = performance.now();
      if (all || start >= from) {
        this.dirty.delete(view);
        let more = view.draw();
        while (all && more) {
          more = view.draw();
        }
        const took = performance.now() - start;
        notBefore.set(view, took > LONG_DRAW_MS ? start + REST * took : 0);
        if (more) {
          this.dirty.set(view, 0);
        }
      }
    }
  }

  private made(cells: readonly Cell[]): HTMLElement[] {
    return cells.map((cell) => {
      const view = viewOf(cell, this.around);
      this.views.set(cell.id, view);
      this.dirty.set(view, 0);
      return view.root;
    });
  }

  private offer(earlier: boolean): void {
    if (earlier) {
      this.list.prepend(this.earlier);
      this.earlier.disabled = false;
    }
  }

  private askEarlier(): void {
    this.earlier.disabled = true;
    this.around.host.post({ type: 'earlier' });
  }

  private scrolled(): void {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    const fromEnd = scrollHeight - scrollTop - clientHeight;
    // What has grown since has put the end farther away: only who goes up stops following.
    const following = fromEnd < NEAR_END || (this.following && scrollTop >= this.top);
    this.top = scrollTop;
    this.toEnd.hidden = following;
    if (following !== this.following || !following) {
      this.following = following;
      this.around.host.remember({ fromEnd: following ? 0 : fromEnd });
    }
    if (scrollTop < clientHeight && this.earlier.isConnected && !this.earlier.disabled) {
      this.askEarlier();
    }
  }

  private follow(): void {
    if (this.following) {
      this.scroller.scrollTop = this.scroller.scrollHeight;
    }
  }
}

/** When a view that takes long may be drawn again. */
const notBefore = new WeakMap<CellView, number>();

function viewOf(cell: Cell, around: Around): CellView {
  switch (cell.kind) {
    case 'user':
      return new UserView(cell, around);
    case 'message':
      return new MessageView(cell, around);
    case 'reasoning':
      return new ReasoningView(cell, around);
    case 'command':
    case 'tool':
      return new CallView(cell, around);
    case 'patch':
      return new PatchView(cell, around);
    case 'plan':
      return new PlanView(cell);
    case 'notice':
      return new NoticeView(cell, around);
  }
}

/** What is shown where there is no conversation yet. */
export function greeting(): HTMLElement {
  return element(
    'div',
    { class: 'greeting' },
    element('h2', {}, 'Ask Codex'),
    element('p', {}, 'It reads and changes files here and runs commands, and asks before it does.'),
    element(
      'ul',
      {},
      element('li', {}, element('kbd', {}, '@'), ' attaches a file'),
      element('li', {}, 'Images can be pasted or dropped'),
      element(
        'li',
        {},
        element('kbd', {}, 'Enter'),
        ' sends, ',
        element('kbd', {}, 'Esc'),
        ' stops',
      ),
      element('li', {}, element('kbd', {}, 'Alt+↑'), ' goes through what was said'),
    ),
  );
}
