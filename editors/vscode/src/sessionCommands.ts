// What can be done with saved sessions, from the tree's menus and from the palette: open, fork,
// rename, archive, delete, export, search. A command that is not told which session asks.

import type { QuickPickItem } from 'vscode';
import { CodexError, type Connection } from './connection';
import type { Editor } from './editor';
import type { Disposable } from './emitter';
import { textOf } from './log';
import { ErrorCode, type ExportParams, type ResumeParams, type SessionSummary } from './protocol';
import { detailOf, nameOf } from './sessionGroups';
import type { SessionList } from './sessionList';
import type { Sessions } from './sessions';
import type { Node } from './sessionsTree';

type Ui = Pick<Editor, 'Uri' | 'commands' | 'window' | 'workspace'>;
type Action = (session: SessionSummary) => Promise<void>;

/** While a person types into the search box. */
const TYPING_MS = 200;

const FORMATS: readonly (QuickPickItem & { readonly format: ExportParams['format'] })[] = [
  { label: 'Markdown', description: 'to read and to share', format: 'markdown' },
  { label: 'HTML', description: 'one page, without anything from elsewhere', format: 'html' },
  { label: 'JSON', description: 'everything, for programs', format: 'json' },
];
const SUFFIXES = { markdown: 'md', html: 'html', json: 'json' } as const;

/** What the commands need of the rest. */
export interface Desk {
  readonly ui: Ui;
  readonly connection: Pick<Connection, 'request'>;
  readonly sessions: Pick<Sessions, 'close' | 'current' | 'fork' | 'get' | 'resume'>;
  readonly list: SessionList;
  /** Settings that hold for a session that is continued, too. */
  readonly resumeConfig: () => Pick<ResumeParams, 'config'>;
}

/** Registered until it is disposed. */
export class SessionCommands implements Disposable {
  private readonly registrations: readonly Disposable[];

  constructor(private readonly desk: Desk) {
    const actions: Readonly<Record<string, readonly [string, Action]>> = {
      open: ['Open', (session) => this.open(session)],
      fork: ['Fork', (session) => this.fork(session)],
      rename: ['Rename', (session) => this.rename(session)],
      archive: ['Archive', (session) => this.archive(session)],
      unarchive: ['Bring back', (session) => this.unarchive(session)],
      delete: ['Delete', (session) => this.delete(session)],
      export: ['Export', (session) => this.export(session)],
      close: ['Close', (session) => desk.sessions.close(session.sessionId)],
    };
    const { list } = desk;
    const others: Readonly<Record<string, () => Promise<void>>> = {
      search: () => this.search(),
      clearSearch: () => this.narrow({ query: '' }),
      refresh: () => list.refresh(),
      more: () => list.more(),
      showArchived: () => this.narrow({ archived: true }),
      hideArchived: () => this.narrow({ archived: false }),
      allFolders: () => this.narrow({ everywhere: true }),
      thisFolder: () => this.narrow({ everywhere: false }),
    };
    const register = (name: string, run: (node?: Node) => Promise<void>): Disposable =>
      desk.ui.commands.registerCommand(`codex-rpc.sessions.${name}`, run);
    this.registrations = [
      ...Object.entries(actions).map(([name, [title, action]]) =>
        register(name, (node) => this.run(title, action, node)),
      ),
      ...Object.entries(others).map(([name, run]) => register(name, run)),
    ];
  }

  dispose(): void {
    this.registrations.forEach((each) => {
      each.dispose();
    });
  }

  private async run(title: string, action: Action, node: Node | undefined): Promise<void> {
    try {
      const session = node?.kind === 'session' ? node.session : await this.pick(title);
      if (session !== undefined) {
        await action(session);
      }
    } catch (error) {
      void this.desk.ui.window.showErrorMessage(`${title}: ${textOf(error)}`);
    }
  }

  private async pick(title: string): Promise<SessionSummary | undefined> {
    const { list, ui } = this.desk;
    await list.refresh();
    if (list.problem !== undefined) {
      throw new Error(list.problem);
    }
    const now = new Date();
    const items = list.sessions.map((session) => ({
      label: nameOf(session),
      description: detailOf(session, now, true),
      session,
    }));
    const placeHolder = items.length === 0 ? 'There are no saved sessions here' : 'Which session?';
    const options = { title: `Codex: ${title} Session`, placeHolder, matchOnDescription: true };
    return (await ui.window.showQuickPick(items, options))?.session;
  }

  private async open(session: SessionSummary): Promise<void> {
    const { sessions, ui } = this.desk;
    const here = sessions.get(session.sessionId);
    if (here !== undefined) {
      sessions.current = here;
    } else {
      const which =
        session.origin === 'codex' ? { path: session.path } : { sessionId: session.sessionId };
      await this.resume({ ...which, ...this.desk.resumeConfig() });
    }
    await ui.commands.executeCommand('codex-rpc.chat.focus');
  }

  /** Continue a session; whoever holds it is asked to let go, if the person wants that. */
  private async resume(params: ResumeParams): Promise<void> {
    const { sessions, ui } = this.desk;
    try {
      await sessions.resume(params);
    } catch (error) {
      if (!(error instanceof CodexError && error.code === ErrorCode.SessionInUse)) {
        throw error;
      }
      const takeOver = 'Take Over';
      const detail =
        'Its turn there, if one runs, is stopped; nothing of the conversation is lost, and it ' +
        'goes on in this window.';
      const options = { modal: true, detail: `${error.message}\n\n${detail}` };
      const question = 'This session is open in another process.';
      if ((await ui.window.showWarningMessage(question, options, takeOver)) === takeOver) {
        await sessions.resume({ ...params, takeover: true });
      }
    }
  }

  private async fork(session: SessionSummary): Promise<void> {
    await this.desk.sessions.fork({ path: session.path, ...this.desk.resumeConfig() });
    await this.desk.ui.commands.executeCommand('codex-rpc.chat.focus');
  }

  private async rename(session: SessionSummary): Promise<void> {
    const title = await this.desk.ui.window.showInputBox({
      title: 'Codex: Rename Session',
      prompt: 'What is this session to be called?',
      value: nameOf(session),
      validateInput: (value) =>
        value.trim() === '' ? 'A name has at least one letter.' : undefined,
    });
    if (title !== undefined) {
      await this.ask('session/rename', { sessionId: session.sessionId, title: title.trim() });
    }
  }

  private async archive(session: SessionSummary): Promise<void> {
    await this.closeIfOpen(session);
    await this.ask('session/archive', { sessionId: session.sessionId });
  }

  private async unarchive(session: SessionSummary): Promise<void> {
    await this.ask('session/unarchive', { sessionId: session.sessionId });
  }

  private async delete(session: SessionSummary): Promise<void> {
    const options = { modal: true, detail: 'Its file is removed. This cannot be undone.' };
    const question = `Delete “${nameOf(session)}”?`;
    const { window } = this.desk.ui;
    if ((await window.showWarningMessage(question, options, 'Delete')) === 'Delete') {
      await this.closeIfOpen(session);
      await this.ask('session/delete', { sessionId: session.sessionId });
    }
  }

  private async export(session: SessionSummary): Promise<void> {
    const { connection, ui } = this.desk;
    const options = { title: 'Codex: Export Session', placeHolder: 'As what?' };
    const format = (await ui.window.showQuickPick(FORMATS, options))?.format;
    if (format === undefined) {
      return;
    }
    const name = `${fileName(nameOf(session))}.${SUFFIXES[format]}`;
    const folder = ui.workspace.workspaceFolders?.[0]?.uri ?? ui.Uri.file(session.cwd ?? '/');
    const target = await ui.window.showSaveDialog({
      title: 'Export Session',
      defaultUri: ui.Uri.joinPath(folder, name),
    });
    if (target === undefined) {
      return;
    }
    const { sessionId } = session;
    const { text } = await connection.request('session/export', { sessionId, format });
    // Through the editor, so that it works wherever the person wants to have it.
    await ui.workspace.fs.writeFile(target, Buffer.from(text ?? ''));
    const done = `“${nameOf(session)}” was exported to ${target.path}.`;
    if ((await ui.window.showInformationMessage(done, 'Open')) === 'Open') {
      await ui.commands.executeCommand('vscode.open', target);
    }
  }

  /** A search box: the tree follows what is typed; Escape brings back what was there before. */
  private async search(): Promise<void> {
    const { list, ui } = this.desk;
    const before = list.filter.query;
    const box = ui.window.createInputBox();
    box.title = 'Codex: Search Sessions';
    box.placeholder = 'Words of titles, messages, commands or paths';
    box.value = before;
    let timer: NodeJS.Timeout | undefined;
    const wanted = await new Promise<string>((resolve) => {
      box.onDidChangeValue((value) => {
        clearTimeout(timer);
        timer = setTimeout(() => void this.narrow({ query: value }), TYPING_MS);
      });
      box.onDidAccept(() => {
        resolve(box.value);
      });
      box.onDidHide(() => {
        resolve(before);
      });
      box.show();
    });
    clearTimeout(timer);
    box.dispose();
    if (wanted !== list.filter.query) {
      await this.narrow({ query: wanted });
    }
  }

  private async narrow(wanted: Partial<SessionList['filter']>): Promise<void> {
    const { list, ui } = this.desk;
    await list.show(wanted);
    const { archived, everywhere, query } = list.filter;
    const context = { searching: query.trim() !== '', archived, everywhere };
    for (const [key, value] of Object.entries(context)) {
      void ui.commands.executeCommand('setContext', `codex-rpc.sessions.${key}`, value);
    }
  }

  private async closeIfOpen({ sessionId }: SessionSummary): Promise<void> {
    if (this.desk.sessions.get(sessionId) !== undefined) {
      await this.desk.sessions.close(sessionId);
    }
  }

  private async ask(
    ...[method, params]:
      | ['session/rename', { sessionId: string; title: string }]
      | ['session/archive' | 'session/delete' | 'session/unarchive', { sessionId: string }]
  ): Promise<void> {
    const { connection, list } = this.desk;
    await (method === 'session/rename'
      ? connection.request(method, params)
      : connection.request(method, params));
    await list.refresh();
  }
}

/** `name` as a file may be called anywhere. */
function fileName(name: string): string {
  const plain = name.replace(/[^\p{L}\p{N} ._-]+/gu, ' ').replace(/\s+/g, ' ');
  return plain.trim().replace(/^\.+/, '').slice(0, 60).trim() || 'session';
}
