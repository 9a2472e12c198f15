// As much of an editor as reviews need: documents in memory, tabs, commands.

import { Emitter } from '../../../src/emitter';

export class FakeUri {
  private constructor(
    readonly scheme: string,
    readonly path: string,
    readonly query = '',
  ) {}

  static from = (of: { scheme: string; path: string; query: string }): FakeUri =>
    new FakeUri(of.scheme, of.path, of.query);
  static file = (path: string): FakeUri => new FakeUri('file', path.replace(/^\/+/, '/'));
  static parse = (text: string): FakeUri => {
    const [, scheme = '', path = '', query] = /^([^:]*):([^?]*)\??(.*)$/.exec(text) ?? [];
    return new FakeUri(scheme, path, query);
  };

  get fsPath(): string {
    return this.path;
  }

  toString(): string {
    return `${this.scheme}:${this.path}${this.query && `?${this.query}`}`;
  }
}

class TabInputTextDiff {
  constructor(
    readonly original: FakeUri,
    readonly modified: FakeUri,
  ) {}
}

class TabInputText {
  constructor(readonly uri: FakeUri) {}
}

interface FileSystem {
  readFile(uri: unknown): Uint8Array;
  writeFile(uri: unknown, content: Uint8Array): void;
}

interface Texts {
  provideTextDocumentContent(uri: unknown): string;
}

class FakeDocument {
  isDirty = false;

  constructor(
    readonly uri: FakeUri,
    private text: string,
    private readonly files: FileSystem | undefined,
  ) {}

  getText(): string {
    return this.text;
  }

  /** A person types. */
  change(text: string): void {
    this.text = text;
    this.isDirty = true;
  }

  save(): Promise<boolean> {
    this.files?.writeFile(this.uri, Buffer.from(this.text));
    this.isDirty = false;
    return Promise.resolve(true);
  }
}

export interface FakeTab {
  readonly input: TabInputTextDiff | TabInputText;
  readonly label: string;
}

export class FakeEditor {
  readonly Uri = FakeUri;
  readonly TabInputTextDiff = TabInputTextDiff;
  readonly TabInputText = TabInputText;
  readonly FileType = { File: 1 };
  readonly FileSystemError = {
    FileNotFound: (uri: FakeUri) => new Error(`there is no ${uri.toString()}`),
    NoPermissions: (uri: FakeUri) => new Error(`not allowed: ${uri.toString()}`),
  };
  readonly informed: string[] = [];
  readonly errors: string[] = [];
  readonly context = new Map<string, unknown>();
  tabs: FakeTab[] = [];
  documents: FakeDocument[] = [];
  private readonly tabChanges = new Emitter<undefined>();
  private readonly registered = new Map<string, (...args: never[]) => unknown>();
  private files: FileSystem | undefined;
  private texts: Texts | undefined;

  readonly commands = {
    registerCommand: (name: string, run: (...args: never[]) => unknown) => {
      this.registered.set(name, run);
      return { dispose: () => this.registered.delete(name) };
    },
    executeCommand: (name: string, ...args: unknown[]): Promise<unknown> => {
      if (name === 'setContext') {
        this.context.set(args[0] as string, args[1]);
      } else if (name === 'vscode.diff') {
        const [original, modified, label] = args as [FakeUri, FakeUri, string];
        this.show({ input: new TabInputTextDiff(original, modified), label });
      } else if (name === 'vscode.open') {
        const [uri, , label] = args as [FakeUri, unknown, string];
        this.show({ input: new TabInputText(uri), label });
      }
      return Promise.resolve(this.registered.get(name)?.(...(args as never[])));
    },
  };

  readonly window = {
    showInformationMessage: (text: string): void => void this.informed.push(text),
    showWarningMessage: (text: string): void => void this.informed.push(text),
    showErrorMessage: (text: string): void => void this.errors.push(text),
    tabGroups: this.groups(),
  };

  readonly workspace = this.documentsOf();

  /** The tab in front. */
  get active(): FakeTab | undefined {
    return this.tabs.at(-1);
  }

  /** The document that can be edited in the tab in front. */
  get proposed(): FakeDocument {
    const input = this.active?.input;
    const uri = input instanceof TabInputTextDiff ? input.modified : input?.uri;
    const found = this.documents.find((one) => one.uri.toString() === uri?.toString());
    if (found === undefined) {
      throw new Error('there is no document in front');
    }
    return found;
  }

  /** What is on the other side. */
  get original(): string {
    const input = this.active?.input;
    const uri = input instanceof TabInputTextDiff ? input.original : input?.uri;
    return this.texts?.provideTextDocumentContent(uri) ?? '';
  }

  private show(tab: FakeTab): void {
    const { input } = tab;
    const uri = input instanceof TabInputTextDiff ? input.modified : input.uri;
    if (!this.documents.some((one) => one.uri.toString() === uri.toString())) {
      const text =
        uri.scheme === 'codex-proposed'
          ? Buffer.from(this.files?.readFile(uri) ?? []).toString()
          : (this.texts?.provideTextDocumentContent(uri) ?? '');
      this.documents.push(new FakeDocument(uri, text, this.files));
    }
    this.tabs = [...this.tabs.filter((one) => one.label !== tab.label), tab];
    this.tabChanges.fire(undefined);
  }

  private groups(): unknown {
    const group = {
      get: (): FakeEditor => this,
    };
    return {
      onDidChangeTabs: this.tabChanges.on,
      get all() {
        return [{ tabs: group.get().tabs }];
      },
      get activeTabGroup() {
        return { activeTab: group.get().active };
      },
      close: (closed: readonly FakeTab[]): Promise<boolean> => {
        this.tabs = this.tabs.filter((tab) => !closed.includes(tab));
        this.documents = [];
        this.tabChanges.fire(undefined);
        return Promise.resolve(true);
      },
    };
  }

  private documentsOf(): unknown {
    const documents = (): FakeDocument[] => this.documents;
    return {
      registerFileSystemProvider: (_: string, files: FileSystem) => {
        this.files = files;
        return { dispose: () => undefined };
      },
      registerTextDocumentContentProvider: (_: string, texts: Texts) => {
        this.texts = texts;
        return { dispose: () => undefined };
      },
      get textDocuments() {
        return documents();
      },
    };
  }
}
