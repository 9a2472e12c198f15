// The saved sessions that the tree shows: which are asked for, page by page. Knows no editor.

import type { Connection } from './connection';
import { type Disposable, Emitter } from './emitter';
import { textOf } from './log';
import type { ListParams, SessionPage, SessionSummary } from './protocol';

/** What is wanted of all sessions. */
export interface Filter {
  /** Words that a session has to have; empty: all sessions. */
  readonly query: string;
  readonly archived: boolean;
  /** Also sessions of folders that are not open in the window. */
  readonly everywhere: boolean;
}

/** The sessions of one folder, or of all, as far as they have been asked for. */
interface Source {
  readonly cwd: string | undefined;
  sessions: readonly SessionSummary[];
  next: string | undefined;
  hidden: number;
}

const PAGE = 50;

export class SessionList implements Disposable {
  private readonly changes = new Emitter<undefined>();
  private sources: readonly Source[] = [];
  private wanted: Filter = { query: '', archived: false, everywhere: false };
  private asked = 0;
  private failure: string | undefined;
  private ready = false;

  /** `folders` gives the window's folders; without any, sessions of all folders are shown. */
  constructor(
    private readonly connection: Pick<Connection, 'request'>,
    private readonly folders: () => readonly string[],
  ) {}

  readonly onDidChange = this.changes.on;

  get filter(): Filter {
    return this.wanted;
  }

  get sessions(): readonly SessionSummary[] {
    return this.sources.flatMap((source) => source.sessions);
  }

  /** Whether there are more than those, for `more()`. */
  get hasMore(): boolean {
    return this.sources.some((source) => source.next !== undefined);
  }

  /** How many sessions belong to other folders; 0 if that is not known. */
  get inOtherFolders(): number {
    return this.sources.length === 1 ? (this.sources[0]?.hidden ?? 0) : 0;
  }

  /** Why the list is not what it should be; for a person. */
  get problem(): string | undefined {
    return this.failure;
  }

  /** Whether an answer has come at all. */
  get loaded(): boolean {
    return this.ready;
  }

  /** Ask for something else; what is not named stays. */
  async show(wanted: Partial<Filter>): Promise<void> {
    this.wanted = { ...this.wanted, ...wanted };
    await this.refresh();
  }

  /** Ask anew, for as many as are shown; of several at a time the last one counts. */
  async refresh(): Promise<void> {
    const limit = Math.max(PAGE, ...this.sources.map((source) => source.sessions.length));
    await this.take(() =>
      Promise.all(this.places().map((cwd) => this.page({ cwd, limit, cursor: undefined }))),
    );
  }

  /** Ask for the next page. */
  async more(): Promise<void> {
    const shown = this.sources;
    await this.take(() =>
      Promise.all(
        shown.map(async (source) => {
          if (source.next === undefined) {
            return source;
          }
          const page = await this.page({ cwd: source.cwd, limit: PAGE, cursor: source.next });
          const have = new Set(source.sessions.map((session) => session.path));
          const added = page.sessions.filter((session) => !have.has(session.path));
          return { ...page, sessions: [...source.sessions, ...added] };
        }),
      ),
    );
  }

  private places(): readonly (string | undefined)[] {
    const folders = this.wanted.everywhere ? [] : this.folders();
    return folders.length > 0 ? folders : [undefined];
  }

  private async page(place: {
    readonly cwd: string | undefined;
    readonly limit: number;
    readonly cursor: string | undefined;
  }): Promise<Source> {
    const { query, archived } = this.wanted;
    const params: ListParams = {
      limit: place.limit,
      ...(place.cwd !== undefined && { cwd: place.cwd }),
      ...(place.cursor !== undefined && { cursor: place.cursor }),
      ...(query.trim() !== '' && { query }),
      ...(archived && { archived }),
    };
    const page: SessionPage = await this.connection.request('session/list', params);
    return {
      cwd: place.cwd,
      sessions: page.sessions,
      next: page.nextCursor,
      hidden: page.filteredOut['cwd'] ?? 0,
    };
  }

  private async take(ask: () => Promise<readonly Source[]>): Promise<void> {
    const turn = ++this.asked;
    try {
      const sources = await ask();
      if (turn === this.asked) {
        this.sources = sources;
        this.failure = undefined;
        this.ready = true;
      }
    } catch (error) {
      if (turn === this.asked) {
        this.failure = textOf(error);
      }
    }
    if (turn === this.asked) {
      this.changes.fire(undefined);
    }
  }

  dispose(): void {
    this.asked += 1;
    this.changes.dispose();
  }
}
