// Failures of what a person has asked for: logged, and shown with what can be done about them.

import { CodexError, ConnectionLost } from './connection';
import type { Editor } from './editor';
import { NotInstalled } from './installer';
import { type Log, textOf } from './log';
import { ErrorCode } from './protocol';

interface Ui {
  readonly commands: Pick<Editor['commands'], 'executeCommand'>;
  readonly window: Pick<Editor['window'], 'showErrorMessage'>;
}

/** A button's title, and the command that it runs. */
type Remedies = Readonly<Record<string, string>>;

const LOG: Remedies = { 'Show Log': 'codex-rpc.showLog' };
const SETUP: Remedies = {
  'Check the Setup': 'codex-rpc.doctor',
  Settings: 'codex-rpc.openSettings',
};
const START: Remedies = { 'Start Again': 'codex-rpc.restartServer', ...LOG };
const BY_HAND: Remedies = { 'Show Command': 'codex-rpc.showInstallCommand', ...LOG };
const SESSIONS: Remedies = { 'Show Sessions': 'codex-rpc.sessions.focus' };

export class Reporter {
  constructor(
    private readonly ui: Ui,
    private readonly log: Log,
  ) {}

  /** Do what was asked for. Never rejects: a failure is shown as "`what`: …". */
  async run(what: string, action: () => Promise<void> | void): Promise<void> {
    try {
      await action();
    } catch (error) {
      await this.show(what, error);
    }
  }

  async show(what: string, error: unknown): Promise<void> {
    if (error instanceof Error && error.name === 'AbortError') {
      this.log.info(`${what}: cancelled`);
      return;
    }
    this.log.error(`${what}: ${textOf(error)}`);
    await this.tell(`${what}: ${textOf(error)}`, remediesFor(error));
  }

  /** Show a failure with what can be done; resolves when the person has chosen. */
  async tell(message: string, remedies: Remedies = START): Promise<void> {
    const chosen = await this.ui.window.showErrorMessage(message, ...Object.keys(remedies));
    const command = chosen === undefined ? undefined : remedies[chosen];
    if (command !== undefined) {
      await this.ui.commands.executeCommand(command);
    }
  }
}

function remediesFor(error: unknown): Remedies {
  if (error instanceof CodexError) {
    switch (error.code) {
      case ErrorCode.NotConfigured:
        return SETUP;
      case ErrorCode.SessionInUse:
      case ErrorCode.SessionNotFound:
      case ErrorCode.RolloutUnreadable:
        return SESSIONS;
      default:
        return LOG;
    }
  }
  if (error instanceof NotInstalled) {
    return BY_HAND;
  }
  return error instanceof ConnectionLost ? START : LOG;
}
