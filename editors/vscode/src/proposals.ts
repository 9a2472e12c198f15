// The documents of a review: what was proposed can be edited, what is there now can only be read.
// They are kept in memory, under schemes of their own, and never touch the disk.

import type { FileChangeEvent, FileStat, FileSystemProvider, TextDocument, Uri } from 'vscode';
import type { Editor } from './editor';
import { type Disposable, Emitter } from './emitter';

export const PROPOSED = 'codex-proposed';
export const CURRENT = 'codex-current';

type Ui = Pick<Editor, 'FileSystemError' | 'FileType' | 'Uri' | 'workspace'>;

interface Entry {
  content: Uint8Array;
  mtime: number;
}

/** Registered until it is disposed. */
export class Proposals implements FileSystemProvider, Disposable {
  private readonly files = new Map<string, Entry>();
  private readonly current = new Map<string, string>();
  private readonly changes = new Emitter<FileChangeEvent[]>();
  private readonly registrations: readonly Disposable[];

  constructor(private readonly ui: Ui) {
    this.registrations = [
      ui.workspace.registerFileSystemProvider(PROPOSED, this, { isCaseSensitive: true }),
      ui.workspace.registerTextDocumentContentProvider(CURRENT, {
        provideTextDocumentContent: (uri) => this.current.get(uri.toString()) ?? '',
      }),
    ];
  }

  /** A document that can be edited, with `text` in it, shown as `path`. */
  propose(review: string, path: string, text: string): Uri {
    const uri = this.uri(PROPOSED, review, path);
    if (!this.files.has(uri.toString())) {
      this.files.set(uri.toString(), { content: Buffer.from(text), mtime: Date.now() });
    }
    return uri;
  }

  /** A document that can be read, shown as `path`. */
  show(review: string, path: string, text: string): Uri {
    const uri = this.uri(CURRENT, review, path);
    this.current.set(uri.toString(), text);
    return uri;
  }

  /** The text of a proposal as the person has left it, saved or not; undefined: not shown yet. */
  text(review: string, path: string): string | undefined {
    const uri = this.uri(PROPOSED, review, path).toString();
    const entry = this.files.get(uri);
    const open = this.documents().find((document) => document.uri.toString() === uri);
    return open?.getText() ?? (entry && Buffer.from(entry.content).toString());
  }

  /** Whether `uri` is a document of `review`. */
  isOf(uri: Uri, review: string): boolean {
    const isOurs = uri.scheme === PROPOSED || uri.scheme === CURRENT;
    return isOurs && uri.query === review;
  }

  /** Save the documents of `review`, so that closing them asks nothing. */
  async settle(review: string): Promise<void> {
    const changed = this.documents().filter((one) => one.isDirty && this.isOf(one.uri, review));
    await Promise.all(changed.map((document) => document.save()));
  }

  /** Forget the documents of `review`. */
  drop(review: string): void {
    for (const texts of [this.files, this.current]) {
      for (const key of texts.keys()) {
        if (this.isOf(this.ui.Uri.parse(key), review)) {
          texts.delete(key);
        }
      }
    }
  }

  dispose(): void {
    this.registrations.forEach((each) => {
      each.dispose();
    });
    this.changes.dispose();
  }

  private uri(scheme: string, review: string, path: string): Uri {
    // The review is no part of the path, which is what a person sees above the text.
    return this.ui.Uri.from({ scheme, path: this.ui.Uri.file(`/${path}`).path, query: review });
  }

  private documents(): readonly TextDocument[] {
    return this.ui.workspace.textDocuments;
  }

  // What the editor asks of a file system.

  readonly onDidChangeFile = this.changes.on;

  watch(): Disposable {
    return { dispose: () => undefined };
  }

  stat(uri: Uri): FileStat {
    const { content, mtime } = this.entry(uri);
    return { type: this.ui.FileType.File, ctime: mtime, mtime, size: content.byteLength };
  }

  readFile(uri: Uri): Uint8Array {
    return this.entry(uri).content;
  }

  writeFile(uri: Uri, content: Uint8Array): void {
    const entry = this.entry(uri);
    entry.content = content;
    entry.mtime = Math.max(Date.now(), entry.mtime + 1);
  }

  readDirectory(): [string, number][] {
    return [];
  }

  createDirectory(uri: Uri): never {
    throw this.ui.FileSystemError.NoPermissions(uri);
  }

  delete(uri: Uri): never {
    throw this.ui.FileSystemError.NoPermissions(uri);
  }

  rename(uri: Uri): never {
    throw this.ui.FileSystemError.NoPermissions(uri);
  }

  private entry(uri: Uri): Entry {
    const entry = this.files.get(uri.toString());
    if (entry === undefined) {
      throw this.ui.FileSystemError.FileNotFound(uri);
    }
    return entry;
  }
}
