// The editor's side of "Fix with Codex", "Explain" and "Ask": the server offers them as code actions;
// here they get the session that the person is in, and the question that only a person can ask.

import type { Diagnostic, Range, TextEditor, Uri } from 'vscode';
import type { Connection } from './connection';
import type { Editor } from './editor';
import type { Disposable } from './emitter';
import { textOf } from './log';
import type { ConfigureParams } from './protocol';
import type { Session } from './session';
import type { Sessions } from './sessions';

type Ui = Pick<Editor, 'Uri' | 'commands' | 'languages' | 'window' | 'workspace'>;

/** The one argument of the server's commands. */
export interface Task {
  readonly uri: string;
  readonly range?: unknown;
  readonly diagnostics?: readonly unknown[];
  readonly prompt?: string;
  readonly sessionId?: string;
}

const ASK = 'codex.ask';
const TASKS: readonly string[] = ['codex.explain', 'codex.fix', 'codex.addTests', ASK];

/** What a code action or command of the server passes through; as vscode-languageclient has it. */
export type ExecuteCommand = (
  command: string,
  args: unknown[],
  next: (command: string, args: unknown[]) => unknown,
) => Promise<unknown>;

/** The commands of the palette and of the editor's menu, registered until it is disposed. */
export class CodeActions implements Disposable {
  private readonly registrations: readonly Disposable[];

  constructor(
    private readonly ui: Ui,
    private readonly sessions: Pick<Sessions, 'configure' | 'current'>,
    private readonly connection: Pick<Connection, 'execute'>,
    private readonly configureParams: (cwd: string) => ConfigureParams,
  ) {
    this.registrations = ['explain', 'fix', 'addTests', 'ask'].map((name) =>
      ui.commands.registerCommand(`codex-rpc.${name}`, () => this.onActiveEditor(`codex.${name}`)),
    );
  }

  /** For the language client: what the server's code actions come by. */
  readonly middleware: ExecuteCommand = async (command, args, next) => {
    if (!TASKS.includes(command)) {
      return next(command, args);
    }
    const task = await this.completed(command, args[0] as Task);
    return task === undefined ? undefined : this.told(() => next(command, [task]));
  };

  dispose(): void {
    this.registrations.forEach((each) => {
      each.dispose();
    });
  }

  private async onActiveEditor(command: string): Promise<void> {
    const active = this.ui.window.activeTextEditor;
    if (active?.document.uri.scheme !== 'file') {
      void this.ui.window.showInformationMessage(
        'Open a file first: this command is about what is in the editor.',
      );
      return;
    }
    const task = await this.completed(command, this.taskOf(command, active));
    if (task !== undefined) {
      await this.told(() => this.connection.execute(command, task));
    }
  }

  private taskOf(command: string, { document, selection }: TextEditor): Task {
    const uri = document.uri.toString();
    const all = this.ui.languages.getDiagnostics(document.uri);
    const there = all.filter(({ range }) => range.intersection(selection) !== undefined);
    const diagnostics = command === 'codex.fix' && there.length === 0 ? all : there;
    return {
      uri,
      ...(!selection.isEmpty && { range: plain(selection) }),
      ...(diagnostics.length > 0 && { diagnostics: diagnostics.map(asLsp) }),
    };
  }

  /** `task` with all that the server cannot know; undefined if the person does not go on. */
  private async completed(command: string, task: Task): Promise<Task | undefined> {
    const prompt = command === ASK ? (task.prompt ?? (await this.question())) : task.prompt;
    if (command === ASK && prompt === undefined) {
      return undefined;
    }
    const session = await this.told(() => this.sessionFor(this.ui.Uri.parse(task.uri)));
    if (session === undefined) {
      return undefined;
    }
    void this.ui.commands.executeCommand('codex-rpc.chat.focus');
    return { ...task, ...(prompt !== undefined && { prompt }), sessionId: session.id };
  }

  private async question(): Promise<string | undefined> {
    const said = await this.ui.window.showInputBox({
      title: 'Codex: Ask',
      prompt: 'What do you want to know, or to have done?',
    });
    return said?.trim() === '' ? undefined : said;
  }

  /** The session in the chat view if it works on the file's folder, else a new one that does. */
  private async sessionFor(uri: Uri): Promise<Session | undefined> {
    const folders = this.ui.workspace.workspaceFolders;
    const folder = this.ui.workspace.getWorkspaceFolder(uri) ?? folders?.[0];
    const current = this.sessions.current;
    const isHere = folder === undefined || current?.info.cwd === folder.uri.fsPath;
    if (current !== undefined && current.status !== 'closed' && isHere) {
      return current;
    }
    const cwd = folder?.uri.fsPath ?? this.ui.Uri.joinPath(uri, '..').fsPath;
    return this.sessions.configure(this.configureParams(cwd));
  }

  private async told<T>(act: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await act();
    } catch (error) {
      void this.ui.window.showErrorMessage(`Codex could not begin: ${textOf(error)}`);
      return undefined;
    }
  }
}

function plain({ start, end }: Range): unknown {
  return {
    start: { line: start.line, character: start.character },
    end: { line: end.line, character: end.character },
  };
}

function asLsp({ range, message, severity, source }: Diagnostic): unknown {
  return {
    range: plain(range),
    message,
    severity: severity + 1, // LSP counts from 1, the editor from 0.
    ...(source !== undefined && { source }),
  };
}
