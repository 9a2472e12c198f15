// "Check the Setup": what `codex-rpc doctor` says of this machine and its configuration, to read.

import { execFile } from 'node:child_process';
import type { Editor } from './editor';
import type { Disposable } from './emitter';
import type { Program } from './link';

interface Ui {
  readonly ProgressLocation: Editor['ProgressLocation'];
  readonly Uri: Pick<Editor['Uri'], 'parse'>;
  readonly window: Pick<Editor['window'], 'showTextDocument' | 'withProgress'>;
  readonly workspace: Pick<
    Editor['workspace'],
    'openTextDocument' | 'registerTextDocumentContentProvider'
  >;
}

const SCHEME = 'codex-rpc-report';
/** It asks providers whether they answer. */
const DEADLINE_MS = 60_000;

export class Doctor implements Disposable {
  private readonly registration: Disposable;
  private report = '';
  private reports = 0;

  constructor(private readonly ui: Ui) {
    this.registration = ui.workspace.registerTextDocumentContentProvider(SCHEME, {
      provideTextDocumentContent: () => this.report,
    });
  }

  dispose(): void {
    this.registration.dispose();
  }

  /** Run the check with `program` and show what it says. */
  async check(program: Program): Promise<void> {
    const options = {
      location: this.ui.ProgressLocation.Notification,
      title: 'Codex: checking the setup…',
    };
    this.report = await this.ui.window.withProgress(options, () => said(program));
    this.reports += 1;
    const uri = this.ui.Uri.parse(`${SCHEME}:Codex setup ${this.reports}.txt`);
    const document = await this.ui.workspace.openTextDocument(uri);
    await this.ui.window.showTextDocument(document, { preview: true });
  }
}

/** What it prints; that it finds something to be wrong is no failure. */
function said({ path, args, cwd, env }: Program): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { cwd, env: { ...env, NO_COLOR: '1' }, timeout: DEADLINE_MS };
    execFile(path, [...args, 'doctor'], options, (error, stdout, stderr) => {
      if (stdout.trim() === '' && error !== null) {
        reject(new Error(stderr.trim() || error.message));
      } else {
        resolve(stdout);
      }
    });
  });
}
