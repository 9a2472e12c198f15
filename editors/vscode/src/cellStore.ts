// The cells of one conversation in their order, and those of them that are not complete.

import type { Cell, Change } from './cells';

/** What is kept of a command's output; when there is more, half of that is forgotten at once. */
export const MAX_OUTPUT = 400_000;
const FORGOTTEN = '[… the output before this is not kept …]\n';

/** The parts of a cell that differ from one state of it to the next. */
export type Differences<C extends Cell> = Partial<Omit<C, 'kind' | 'id'>>;

/** A cell as it is made: the store gives it its id. */
export type NewCell = Cell extends infer C ? (C extends Cell ? Omit<C, 'id'> : never) : never;

export class CellStore {
  private readonly cells = new Map<string, Cell>();
  private readonly keys = new Map<string, string>();
  private made = 0;

  /** `tell` gets each change when it is made. */
  constructor(private readonly tell: (change: Change) => void) {}

  get all(): readonly Cell[] {
    return [...this.cells.values()];
  }

  get(id: string): Cell | undefined {
    return this.cells.get(id);
  }

  /** Begin anew. Tells nothing: who shows the cells is to set them up again. */
  reset(cells: readonly Cell[]): void {
    this.cells.clear();
    this.keys.clear();
    cells.forEach((cell) => this.cells.set(cell.id, cell));
  }

  /** What was before all that is there. Tells nothing. */
  prepend(cells: readonly Cell[]): void {
    const later = this.all;
    this.cells.clear();
    [...cells, ...later].forEach((cell) => this.cells.set(cell.id, cell));
  }

  add(cell: NewCell): Cell {
    this.made += 1;
    return this.put({ ...cell, id: `c${this.made}` });
  }

  /** Add a cell that goes by `key` until it is released. */
  open(key: string, cell: NewCell): Cell {
    const added = this.add(cell);
    this.keys.set(key, added.id);
    return added;
  }

  /** The cell that goes by `key`, if it is of this kind. */
  at<K extends Cell['kind']>(key: string, kind: K): Extract<Cell, { kind: K }> | undefined {
    const cell = this.cells.get(this.keys.get(key) ?? '');
    return cell?.kind === kind ? (cell as Extract<Cell, { kind: K }>) : undefined;
  }

  /** What goes by a key now, the oldest first. */
  get opened(): readonly (readonly [string, Cell])[] {
    return [...this.keys].flatMap(([key, id]) => {
      const cell = this.cells.get(id);
      return cell === undefined ? [] : [[key, cell] as const];
    });
  }

  /** It is complete; `key` may come to mean another cell. */
  release(key: string): void {
    this.keys.delete(key);
  }

  change<C extends Cell>(cell: C, differences: Differences<C>): void {
    this.put({ ...cell, ...differences });
  }

  /** More of a text at its end. */
  append(cell: Cell, text: string): void {
    if (cell.kind === 'message' || cell.kind === 'reasoning') {
      this.cells.set(cell.id, { ...cell, text: cell.text + text });
    } else if (cell.kind === 'command') {
      const output = cell.output + text;
      if (output.length > MAX_OUTPUT) {
        this.change(cell, { output: FORGOTTEN + output.slice(-MAX_OUTPUT / 2) });
        return;
      }
      this.cells.set(cell.id, { ...cell, output });
    }
    this.tell({ type: 'append', id: cell.id, text });
  }

  drop(cell: Cell): void {
    this.cells.delete(cell.id);
    this.tell({ type: 'drop', id: cell.id });
  }

  private put(cell: Cell): Cell {
    this.cells.set(cell.id, cell);
    this.tell({ type: 'put', cell });
    return cell;
  }
}
