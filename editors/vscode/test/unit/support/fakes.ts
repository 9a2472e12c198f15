// An editor of which the test says what a person answers.

import type { Editor } from '../../../src/editor';

/** What a person presses or picks: an entry for each question, in order; undefined: Escape. */
export type Answers = readonly (string | undefined)[];

/** What was asked: the text, and what was offered. */
export interface Asked {
  readonly text: string;
  readonly offered: readonly string[];
}

export class FakeEditor {
  readonly asked: Asked[] = [];
  readonly executed: unknown[][] = [];
  readonly registered = new Map<string, (...args: unknown[]) => unknown>();
  readonly updated: unknown[][] = [];
  private readonly answers: (string | undefined)[];

  constructor(
    answers: Answers = [],
    private readonly settings: Readonly<Record<string, unknown>> = {},
    private readonly folders: readonly string[] = [],
  ) {
    this.answers = [...answers];
  }

  /** As much of the editor as the tests need; what is missing fails. */
  get api(): Editor {
    const ask = (text: string, ...rest: unknown[]): Promise<string | undefined> => {
      const offered = rest.filter((each): each is string => typeof each === 'string');
      return this.answer(text, offered);
    };
    const pick = async (
      items: readonly { label: string }[],
      options: { title?: string } = {},
    ): Promise<unknown> => {
      const labels = items.map(({ label }) => label);
      const label = await this.answer(options.title ?? '', labels);
      return items.find((item) => item.label === label);
    };
    return {
      ConfigurationTarget: { Global: 1 },
      ProgressLocation: { Notification: 15 },
      StatusBarAlignment: { Left: 1 },
      ThemeColor: class {
        constructor(readonly id: string) {}
      },
      commands: {
        executeCommand: (...args: unknown[]) => {
          this.executed.push(args);
          return Promise.resolve();
        },
        registerCommand: (name: string, run: (...args: unknown[]) => unknown) => {
          this.registered.set(name, run);
          return { dispose: () => this.registered.delete(name) };
        },
      },
      window: {
        activeTextEditor: undefined,
        setStatusBarMessage: () => undefined,
        showErrorMessage: ask,
        showInformationMessage: ask,
        showInputBox: (options: { title?: string }) => this.answer(options.title ?? '', []),
        showQuickPick: pick,
        showWarningMessage: ask,
      },
      workspace: {
        getConfiguration: () => ({
          get: (key: string, fallback: unknown) => this.settings[key] ?? fallback,
          update: (...args: unknown[]) => {
            this.updated.push(args);
            return Promise.resolve();
          },
        }),
        getWorkspaceFolder: () => undefined,
        workspaceFolders: this.folders.map((fsPath) => ({ name: fsPath, uri: { fsPath } })),
      },
    } as unknown as Editor;
  }

  private answer(text: string, offered: readonly string[]): Promise<string | undefined> {
    this.asked.push({ text, offered });
    return Promise.resolve(this.answers.shift());
  }
}
