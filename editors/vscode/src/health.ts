// Tells the person when the server is missing or given up, and installs it.

import type { Editor } from './editor';
import type { Disposable } from './emitter';
import type { Installer } from './installer';
import type { Reporter } from './reporter';
import type { Server } from './server';

interface Ui {
  readonly ProgressLocation: Editor['ProgressLocation'];
  readonly commands: Pick<Editor['commands'], 'executeCommand'>;
  readonly env: Pick<Editor['env'], 'clipboard'>;
  readonly window: Pick<
    Editor['window'],
    'showInformationMessage' | 'showWarningMessage' | 'withProgress'
  >;
}

const INSTALL = 'Install';
const COMMAND = 'Show Command';
const PATH = 'Set Path';

export class Health implements Disposable {
  private readonly subscription: Disposable;

  constructor(
    private readonly ui: Ui,
    private readonly server: Pick<Server, 'onState' | 'problem' | 'restart'>,
    private readonly installer: Installer,
    private readonly reporter: Reporter,
  ) {
    this.subscription = server.onState((state) => {
      void ui.commands.executeCommand('setContext', 'codex-rpc.state', state);
      if (state === 'failed') {
        void reporter.tell(`Codex has stopped. ${server.problem ?? ''}`.trim());
      }
    });
  }

  dispose(): void {
    this.subscription.dispose();
  }

  /** There is no program: let the person choose what to do about it. */
  async offerInstall(): Promise<void> {
    const message =
      'Codex needs the program codex-rpc, which was not found in your Python environment or on ' +
      'the PATH. It can be installed into an environment of its own, which touches nothing else.';
    const answer = await this.ui.window.showWarningMessage(message, INSTALL, COMMAND, PATH);
    if (answer === INSTALL) {
      await this.install();
    } else if (answer === COMMAND) {
      await this.showCommand();
    } else if (answer === PATH) {
      await this.ui.commands.executeCommand('workbench.action.openSettings', 'codex-rpc.path');
    }
  }

  /** Install the program or its newest version, and start it. */
  async install(): Promise<void> {
    await this.reporter.run('Install codex-rpc', async () => {
      const options = {
        location: this.ui.ProgressLocation.Notification,
        title: 'Codex',
        cancellable: true,
      };
      await this.ui.window.withProgress(options, async (progress, cancelled) => {
        const controller = new AbortController();
        cancelled.onCancellationRequested(() => controller.abort());
        const report = (message: string): void => progress.report({ message });
        await this.installer.install({ signal: controller.signal, report });
      });
      await this.server.restart();
      void this.ui.window.showInformationMessage('codex-rpc is installed.');
    });
  }

  /** For those who would rather install it themselves. */
  async showCommand(): Promise<void> {
    const command = this.installer.command();
    const options = {
      modal: true,
      detail: `${command}\n\nOr install codex-rpc anywhere on the PATH.`,
    };
    const title = 'This installs codex-rpc where Codex finds it:';
    if ((await this.ui.window.showInformationMessage(title, options, 'Copy')) === 'Copy') {
      await this.ui.env.clipboard.writeText(command);
    }
  }
}
