// Changes on their way to a view: merged, so that a slow view gets fewer and never falls behind.

import type { Cell, Change } from './cells';

interface Pending {
  drop: boolean;
  put: Cell | undefined;
  text: string[];
}

/** Collects changes until they are taken. Cells keep the order in which they came up. */
export class Changes {
  private readonly pending = new Map<string, Pending>();

  get isEmpty(): boolean {
    return this.pending.size === 0;
  }

  add(change: Change): void {
    if (change.type === 'drop') {
      // Behind what came up meanwhile: under the same id something may be put anew.
      this.pending.delete(change.id);
      this.at(change.id).drop = true;
    } else if (change.type === 'append') {
      this.at(change.id).text.push(change.text);
    } else {
      const pending = this.at(change.cell.id);
      pending.put = change.cell;
      pending.text = [];
    }
  }

  /** All that was added since the last time, in as few changes as possible. */
  take(): Change[] {
    const taken: Change[] = [];
    for (const [id, { drop, put, text }] of this.pending) {
      if (drop) {
        taken.push({ type: 'drop', id });
      }
      if (put !== undefined) {
        taken.push({ type: 'put', cell: put });
      }
      if (text.length > 0) {
        taken.push({ type: 'append', id, text: text.join('') });
      }
    }
    this.pending.clear();
    return taken;
  }

  private at(id: string): Pending {
    const found = this.pending.get(id) ?? { drop: false, put: undefined, text: [] };
    this.pending.set(id, found);
    return found;
  }
}
