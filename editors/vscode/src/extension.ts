// Puts the parts together, and owns them.

import { homedir } from 'node:os';
import type { ExtensionContext } from 'vscode';
import { Choices } from './choices';
import { Commands } from './commands';
import { contribute } from './contributions';
import { Doctor } from './doctor';
import type { Editor } from './editor';
import type { Disposable } from './emitter';
import { folders } from './folders';
import { Health } from './health';
import { Installer } from './installer';
import { type Documents, LanguageLinks } from './languageLink';
import type { Program } from './link';
import { Locator } from './locator';
import { Models } from './models';
import type { Parts } from './parts';
import { PythonEnvironment } from './pythonEnvironment';
import { Reporter } from './reporter';
import { saveDocuments } from './saveDocuments';
import { Server } from './server';
import { Sessions } from './sessions';
import { Settings } from './settings';
import { StatusBar } from './statusBar';
import { greetOnce } from './welcome';

export class Extension implements Disposable {
  private readonly parts: Parts;
  private readonly server: Server;
  private readonly locator: Locator;
  private readonly reporter: Reporter;
  private readonly owned: Disposable[] = [];

  constructor(
    private readonly editor: Editor,
    private readonly context: ExtensionContext,
  ) {
    const log = this.own(editor.window.createOutputChannel('Codex', { log: true }));
    const settings = new Settings(editor.workspace);
    const python = new PythonEnvironment(editor, process.env, log);
    const installer = new Installer(
      context.globalStorageUri.fsPath,
      () => settings.installSource,
      () => python.chosenInterpreter(),
      log,
    );
    this.locator = new Locator({
      setting: () => settings.path,
      pythonFolders: () => python.folders(),
      searchPath: () => process.env['PATH'] ?? '',
      privateFolder: installer.programs,
    });
    const documents: Documents = {
      middleware: {},
      save: (params) => saveDocuments(editor, params),
      shows: () => settings.showsEditedFiles,
    };
    const links = new LanguageLinks(log, documents);
    const locate = (): Promise<Program | undefined> => this.program();
    this.server = this.own(new Server({ locate, connect: links.connect, log }));
    const { server } = this;
    const sessions = this.own(new Sessions(server, context.workspaceState, log));
    this.parts = { editor, context, connection: server, sessions, settings, log };
    this.reporter = new Reporter(editor, log);
    const { reporter } = this;
    const health = this.own(new Health(editor, server, installer, reporter));
    this.own(new StatusBar(editor, server, sessions));
    const doctor = this.own(new Doctor(editor));
    const models = new Models(editor, server, () => server.info?.providers ?? [], log);
    const choices = new Choices(editor, sessions, models);
    const hands = { ui: editor, server, sessions, settings, choices, health, doctor, reporter };
    this.own(new Commands({ ...hands, log, program: locate }));
    contribute(this.parts, {
      start: () => server.start(),
      middleware: documents.middleware,
    }).forEach((part) => this.own(part));
    this.own(
      editor.workspace.onDidChangeConfiguration((change) => {
        if (change.affectsConfiguration('codex-rpc.path') && server.state !== 'running') {
          void server.restart();
        }
      }),
    );
  }

  /** Start the server and go on with the session of the last time, as far as that is wanted. */
  async begin(): Promise<void> {
    const { settings } = this.parts;
    await greetOnce(this.editor, this.context.globalState);
    if (settings.startsWithWindow) {
      await this.server.start();
    }
    if (settings.resumesSession && this.server.state !== 'missing') {
      await this.reporter.run('Resume the session of the last time', async () => {
        await this.parts.sessions.restore(settings.resumeParams());
      });
    }
  }

  /** Resolves when the server is gone, with everything saved. */
  end(): Promise<void> {
    return this.server.stop();
  }

  dispose(): void {
    this.owned.reverse().forEach((each) => each.dispose());
  }

  /** What to start; undefined if there is nothing. */
  private async program(): Promise<Program | undefined> {
    const found = await this.locator.find();
    const cwd = folders(this.editor)[0] ?? homedir();
    const env = { ...process.env, ...this.parts.settings.environment };
    return found && { path: found.path, args: [], cwd, env };
  }

  private own<T extends Disposable>(part: T): T {
    this.owned.push(part);
    return part;
  }
}
