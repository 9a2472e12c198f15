// Files of the workspace for `@`, the best first.

import { basename, dirname } from 'node:path';
import type { Editor } from './editor';
import type { FoundFile } from './webviewProtocol';

const SHOWN = 12;
const SEARCHED = 20_000;
/** How long a list of files is used: a person types a name within that. */
const FRESH_MS = 5_000;

interface Ui {
  readonly workspace: Pick<Editor['workspace'], 'asRelativePath' | 'findFiles'>;
}

interface Known {
  readonly path: string;
  readonly name: string;
}

export class FileSearch {
  private known: Promise<readonly Known[]> | undefined;
  private until = 0;

  constructor(
    private readonly ui: Ui,
    private readonly now: () => number = Date.now,
  ) {}

  /** Files whose path has all letters of `query` in that order; those are best where it is near. */
  async find(query: string): Promise<FoundFile[]> {
    const scored = (await this.files()).flatMap((file) => {
      const score = scoreOf(file.name, query);
      return score === undefined ? [] : [{ file, score }];
    });
    scored.sort((a, b) => a.score - b.score || a.file.name.localeCompare(b.file.name));
    return scored.slice(0, SHOWN).map(({ file: { path, name } }) => {
      const folder = dirname(name);
      return { path, name: basename(name), folder: folder === '.' ? '' : folder };
    });
  }

  private async files(): Promise<readonly Known[]> {
    if (this.known === undefined || this.now() > this.until) {
      this.until = this.now() + FRESH_MS;
      this.known = this.listed();
    }
    return this.known;
  }

  private async listed(): Promise<readonly Known[]> {
    const { workspace } = this.ui;
    const uris = await workspace.findFiles('**/*', '**/{node_modules,.git}/**', SEARCHED);
    return uris.map((uri) => ({ path: uri.fsPath, name: workspace.asRelativePath(uri) }));
  }
}

/** Smaller is better; undefined: it does not match. */
export function scoreOf(name: string, query: string): number | undefined {
  const [path, wanted] = [name.toLowerCase(), query.toLowerCase()];
  const file = path.slice(path.lastIndexOf('/') + 1);
  const depth = path.split('/').length / 100;
  if (file.startsWith(wanted)) {
    return file.length / 1_000 + depth;
  }
  const inFile = file.indexOf(wanted);
  if (inFile >= 0) {
    return 1 + inFile / 100 + depth;
  }
  const inPath = path.indexOf(wanted);
  if (inPath >= 0) {
    return 2 + inPath / 1_000 + depth;
  }
  let at = -1;
  for (const letter of wanted) {
    at = path.indexOf(letter, at + 1);
    if (at < 0) {
      return undefined;
    }
  }
  return 3 + path.length / 1_000;
}
