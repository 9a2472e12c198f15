// A session as cells, from its saved items to what happens now.

import type { Cell, Change } from './cells';
import type { Connection } from './connection';
import { type Disposable, Emitter } from './emitter';
import { History } from './history';
import { type Log, textOf } from './log';
import type { SessionEvent } from './protocol';
import type { Note, Session } from './session';
import { Transcript } from './transcript';

/** Items of the file that are read at a time. */
const PAGE = 200;
/** Cells that a view gets at a time. */
const SHOWN = 200;

export class Conversation implements Disposable {
  private readonly changes = new Emitter<Change>();
  private readonly resets = new Emitter<undefined>();
  private readonly subscriptions: Disposable[];
  private readonly transcript: Transcript;
  private history: History;
  /** What is in the file before the cells that are here; undefined: nothing. */
  private cursor: string | undefined;
  /** What happens while saved items are read; undefined: nothing is read. */
  private missed: SessionEvent[] | undefined;
  /** Notes since the server went away, which a reading of the file does not have. */
  private notes: Note[] = [];
  private away = false;
  private loads = 0;
  private shown = SHOWN;

  /** Follows the session until it is disposed. */
  constructor(
    readonly session: Session,
    private readonly connection: Pick<Connection, 'request'>,
    private readonly log: Log,
  ) {
    this.history = new History(this.folder);
    this.transcript = new Transcript(
      (change) => this.changes.fire(change),
      () => this.folder,
    );
    this.subscriptions = [
      session.subscribe((event) => this.take(event)),
      session.onNote((note) => this.note(note)),
      session.onDidChange(() => this.look()),
    ];
    this.away = session.status === 'offline';
    if (session.info.itemCount > 0) {
      void this.load();
    }
    this.look();
  }

  /** Each change of what `cells` gives. */
  readonly onChange = this.changes.on;

  /** After cells have come or gone that no change tells of. */
  readonly onReset = this.resets.on;

  /** The latest cells, with all those that `earlier` has given. */
  get cells(): readonly Cell[] {
    return this.transcript.cells.all.slice(-this.shown);
  }

  get hasEarlier(): boolean {
    return this.cursor !== undefined || this.transcript.cells.all.length > this.shown;
  }

  get(id: string): Cell | undefined {
    return this.transcript.cells.get(id);
  }

  /** What was said last by the person, or before the cell `id`. */
  inputBefore(id: string): Extract<Cell, { kind: 'user' }> | undefined {
    const { all } = this.transcript.cells;
    const at = all.findIndex((cell) => cell.id === id);
    return all.slice(0, at + 1).findLast((cell) => cell.kind === 'user');
  }

  /** Cells before those that `cells` gives; they are among them from then on. */
  async earlier(): Promise<readonly Cell[]> {
    const before = this.cells.length;
    if (this.transcript.cells.all.length <= this.shown && this.cursor !== undefined) {
      this.transcript.cells.prepend(await this.page());
    }
    this.shown += SHOWN;
    return this.cells.slice(0, this.cells.length - before);
  }

  /** An answer that was given in a view: what it is about need not wait for what comes of it. */
  answered(callId: string, approved: boolean): void {
    this.transcript.answered(callId, approved);
  }

  note(note: Note): void {
    if (this.session.status === 'offline' || this.away || this.missed !== undefined) {
      this.notes.push(note);
    }
    this.transcript.note(note);
  }

  dispose(): void {
    this.subscriptions.forEach((each) => each.dispose());
    this.changes.dispose();
    this.resets.dispose();
  }

  private get folder(): string {
    return this.session.info.cwd;
  }

  private take(event: SessionEvent): void {
    if (this.missed === undefined) {
      this.transcript.take(event);
    } else {
      this.missed.push(event);
    }
  }

  private look(): void {
    this.transcript.stillAsked(this.session.waiting.map(({ call_id: id }) => id));
    const away = this.session.status === 'offline';
    if (away && !this.away) {
      this.away = true;
      this.loads += 1; // What is being read is read again later.
      this.transcript.lost();
    } else if (!away && this.away) {
      // What was saved and never told is in the file alone.
      this.away = false;
      void this.load();
    }
  }

  /** Begin anew with what was saved before the session was opened; the rest comes as events. */
  private async load(): Promise<void> {
    this.loads += 1;
    const load = this.loads;
    this.missed ??= [];
    this.history = new History(this.folder);
    this.cursor = undefined;
    let cells: Cell[] | undefined;
    let problem: Note | undefined;
    try {
      cells = await this.page(this.session.info.itemCount);
    } catch (error) {
      this.log.warn(`Session ${this.session.id} could not be read: ${textOf(error)}`);
      const text = `What was said before cannot be shown: ${textOf(error)}`;
      problem = { level: 'warning', text };
    }
    if (load === this.loads) {
      this.loaded(cells, problem);
    }
  }

  private loaded(cells: readonly Cell[] | undefined, problem: Note | undefined): void {
    const { missed = [], notes, transcript } = this;
    this.missed = undefined;
    this.notes = [];
    if (cells !== undefined) {
      transcript.cells.reset(cells);
      this.shown = SHOWN;
      notes.forEach((note) => transcript.note(note));
    }
    if (problem !== undefined) {
      transcript.note(problem);
    }
    missed.forEach((event) => transcript.take(event));
    transcript.stillAsked(this.session.waiting.map(({ call_id: id }) => id));
    this.resets.fire(undefined);
  }

  /** The page before the last one, as far as its items were there when the session was opened. */
  private async page(itemCount = Infinity): Promise<Cell[]> {
    const { items, nextCursor } = await this.connection.request('session/read', {
      sessionId: this.session.id,
      limit: PAGE,
      ...(this.cursor !== undefined && { cursor: this.cursor }),
    });
    this.cursor = nextCursor;
    return this.history.cells(items.filter(({ index }) => index < itemCount));
  }
}
