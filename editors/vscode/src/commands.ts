// The commands of the palette that are about the session in the chat view and about the server.
// Those of the tree, of reviews and of code actions register themselves.

import { homedir } from 'node:os';
import type { QuickPickItem } from 'vscode';
import type { Choices } from './choices';
import type { Doctor } from './doctor';
import type { Editor } from './editor';
import type { Disposable } from './emitter';
import { chosenFolder, likelyFolder } from './folders';
import type { Health } from './health';
import type { Program } from './link';
import type { SessionSummary } from './protocol';
import type { Reporter } from './reporter';
import type { Server } from './server';
import type { Session } from './session';
import type { Sessions } from './sessions';
import type { Settings } from './settings';

type Ui = Pick<Editor, 'commands' | 'window' | 'workspace'>;

/** What the commands act on. */
export interface Hands {
  readonly ui: Ui;
  readonly server: Server;
  readonly sessions: Sessions;
  readonly settings: Settings;
  readonly choices: Choices;
  readonly health: Health;
  readonly doctor: Doctor;
  readonly reporter: Reporter;
  readonly program: () => Promise<Program | undefined>;
  readonly log: { show(): void };
}

/** What `codex-rpc.menu` offers, in that order. */
const MENU: readonly (QuickPickItem & { readonly command: string })[] = [
  { label: '$(comment-discussion) Open Chat', command: 'codex-rpc.openChat' },
  { label: '$(add) New Session', command: 'codex-rpc.newSession' },
  { label: '$(history) Open Session…', command: 'codex-rpc.sessions.open' },
  { label: '$(debug-stop) Stop the Turn', command: 'codex-rpc.stop' },
  { label: '$(hubot) Change Model…', command: 'codex-rpc.changeModel' },
  { label: '$(question) Change Approval Policy…', command: 'codex-rpc.changeApprovalPolicy' },
  { label: '$(shield) Change Sandbox…', command: 'codex-rpc.changeSandbox' },
  { label: '$(lightbulb) Change Reasoning Effort…', command: 'codex-rpc.changeEffort' },
  { label: '$(pulse) Check the Setup', command: 'codex-rpc.doctor' },
  { label: '$(output) Show Log', command: 'codex-rpc.showLog' },
];

/** Registered until it is disposed. */
export class Commands implements Disposable {
  private readonly registrations: readonly Disposable[];

  constructor(private readonly hands: Hands) {
    const { choices, health, log, reporter, server, ui } = hands;
    const run = async (command: string, ...rest: unknown[]): Promise<void> => {
      await ui.commands.executeCommand(command, ...rest);
    };
    const actions: Readonly<Record<string, readonly [string, () => Promise<void> | void]>> = {
      menu: ['Codex', () => this.menu()],
      openChat: ['Open Chat', () => run('codex-rpc.chat.focus')],
      newSession: ['New Session', () => this.newSession()],
      resumeLast: ['Resume Last Session', () => this.resumeLast()],
      switchSession: ['Switch Session', () => this.switchSession()],
      closeSession: ['Close Session', () => this.closeSession()],
      stop: ['Stop the Turn', () => this.stop()],
      compact: ['Compact the Conversation', () => this.compact()],
      changeModel: ['Change Model', () => choices.model()],
      changeApprovalPolicy: ['Change Approval Policy', () => choices.approvalPolicy()],
      changeSandbox: ['Change Sandbox', () => choices.sandbox()],
      changeEffort: ['Change Reasoning Effort', () => choices.effort()],
      setup: ['Set Up Codex', () => health.offerInstall()],
      install: ['Install or Update codex-rpc', () => health.install()],
      showInstallCommand: ['Show the Install Command', () => health.showCommand()],
      restartServer: ['Restart the Server', () => server.restart()],
      stopServer: ['Stop the Server', () => server.stop()],
      doctor: ['Check the Setup', () => this.check()],
      showLog: ['Show Log', () => log.show()],
      openSettings: [
        'Open Settings',
        () => run('workbench.action.openSettings', '@ext:codex-rpc.codex-rpc'),
      ],
      openWalkthrough: [
        'Get Started',
        () => run('workbench.action.openWalkthrough', 'codex-rpc.codex-rpc#start', false),
      ],
    };
    this.registrations = Object.entries(actions).map(([name, [title, action]]) =>
      ui.commands.registerCommand(`codex-rpc.${name}`, () => reporter.run(title, action)),
    );
  }

  dispose(): void {
    this.registrations.forEach((each) => each.dispose());
  }

  private async menu(): Promise<void> {
    const picked = await this.hands.ui.window.showQuickPick(MENU, { title: 'Codex' });
    if (picked !== undefined) {
      await this.hands.ui.commands.executeCommand(picked.command);
    }
  }

  private async newSession(): Promise<void> {
    const { sessions, settings, ui } = this.hands;
    const cwd = await chosenFolder(ui, homedir());
    if (cwd !== undefined && (await this.isReady())) {
      await sessions.configure(settings.configureParams(cwd));
      await ui.commands.executeCommand('codex-rpc.chat.focus');
    }
  }

  /** The newest session of the folder that is not open here already. */
  private async resumeLast(): Promise<void> {
    const { server, sessions, ui } = this.hands;
    if (!(await this.isReady())) {
      return;
    }
    const cwd = likelyFolder(ui, homedir());
    const page = await server.request('session/list', { cwd });
    const last = page.sessions.find(
      ({ sessionId, status }) => status !== 'unreadable' && sessions.get(sessionId) === undefined,
    );
    if (last === undefined) {
      const message = `No other session of ${cwd} is saved. “New Session” begins one.`;
      void ui.window.showInformationMessage(message);
      return;
    }
    const row = { kind: 'session', session: last };
    await ui.commands.executeCommand('codex-rpc.sessions.open', row);
  }

  private async switchSession(): Promise<void> {
    const { server, sessions, ui } = this.hands;
    const saved = sessions.open.length > 0 ? await server.request('session/list', {}) : undefined;
    const items = sessions.open.map((session) => ({
      label: `$(${ICONS[session.status]}) ${titleOf(session, saved?.sessions)}`,
      description: `${session.status}${session === sessions.current ? ', shown' : ''}`,
      detail: session.info.cwd,
      session,
    }));
    const placeHolder =
      items.length === 0 ? 'No session is open in this window' : 'Which of the open sessions?';
    const picked = await ui.window.showQuickPick(items, { title: 'Codex: Switch', placeHolder });
    if (picked !== undefined) {
      sessions.current = picked.session;
      await ui.commands.executeCommand('codex-rpc.chat.focus');
    }
  }

  private async closeSession(): Promise<void> {
    const session = this.current();
    if (session !== undefined) {
      await this.hands.sessions.close(session.id);
    }
  }

  private async stop(): Promise<void> {
    await this.current()?.interrupt();
  }

  private async compact(): Promise<void> {
    await this.current()?.submit({ type: 'compact' });
  }

  private async check(): Promise<void> {
    const { doctor, health, program } = this.hands;
    const found = await program();
    await (found === undefined ? health.offerInstall() : doctor.check(found));
  }

  /** The session in the chat view; if there is none, the person is told. */
  private current(): Session | undefined {
    const { sessions, ui } = this.hands;
    const session = sessions.current;
    if (session === undefined || session.status === 'closed') {
      void ui.window.showInformationMessage('No session is open. “New Session” begins one.');
      return undefined;
    }
    return session;
  }

  /** Starts the server if it has to be; false if there is none, and that is being dealt with. */
  private async isReady(): Promise<boolean> {
    const { health, server } = this.hands;
    await server.start();
    if (server.state === 'missing') {
      await health.offerInstall();
    }
    return server.state !== 'missing';
  }
}

function titleOf(session: Session, saved: readonly SessionSummary[] = []): string {
  const summary = saved.find(({ sessionId }) => sessionId === session.id);
  const known = [summary?.title, summary?.preview].find(
    (text) => text !== undefined && text !== '',
  );
  return known ?? `New session with ${session.info.model}`;
}

const ICONS: Readonly<Record<Session['status'], string>> = {
  idle: 'comment',
  running: 'loading~spin',
  waiting: 'bell-dot',
  offline: 'debug-disconnect',
  closed: 'circle-slash',
};
