// The settings, read when they are needed, so that a change holds for what begins after it.

import type { Editor } from './editor';
import type { ConfigureParams, ResumeParams } from './protocol';

export type Approval = NonNullable<ConfigureParams['approvalPolicy']>;
export type SandboxMode = 'read-only' | 'workspace-write' | 'danger-full-access';

export class Settings {
  constructor(private readonly workspace: Pick<Editor['workspace'], 'getConfiguration'>) {}

  /** Where the program is; empty if that is not set. */
  get path(): string {
    return this.text('path');
  }

  /** What the server's process gets beside the editor's own environment. */
  get environment(): Readonly<Record<string, string>> {
    const entries = Object.entries(this.object('environment'));
    return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]));
  }

  /** What pip installs. */
  get installSource(): string {
    return this.text('installSource') || 'codex-rpc';
  }

  /** Whether the server starts with the window, or when it is first needed. */
  get startsWithWindow(): boolean {
    return this.flag('startWithWindow');
  }

  get resumesSession(): boolean {
    return this.flag('resumeSession');
  }

  get showsEditedFiles(): boolean {
    return this.flag('showEditedFiles');
  }

  get approvalNotifications(): 'always' | 'whenHidden' {
    return this.text('approvalNotifications') === 'whenHidden' ? 'whenHidden' : 'always';
  }

  /** Parameters of a new session in `cwd`: what is not set is left to config.toml. */
  configureParams(cwd: string): ConfigureParams {
    const model = this.text('model');
    const provider = this.text('modelProvider');
    const profile = this.text('profile');
    const approval = this.text('approvalPolicy');
    const sandbox = this.text('sandboxMode');
    const effort = this.text('reasoningEffort');
    return {
      cwd,
      ...(model && { model }),
      ...(provider && { modelProvider: provider }),
      ...(profile && { profile }),
      ...(approval && { approvalPolicy: approval as Approval }),
      ...(sandbox && { sandboxPolicy: { mode: sandbox as SandboxMode } }),
      ...(effort && { modelReasoningEffort: effort }),
      ...this.resumeParams(),
    };
  }

  /** Parameters that hold for a session that is continued, too: all others are the session's own. */
  resumeParams(): Pick<ResumeParams, 'config'> {
    const config = this.object('config');
    const wanted = this.flag('reviewPatches') ? { patch_review: true, ...config } : config;
    return Object.keys(wanted).length > 0 ? { config: wanted } : {};
  }

  private text(key: string): string {
    const value = this.value(key);
    return typeof value === 'string' ? value.trim() : '';
  }

  private flag(key: string): boolean {
    return this.value(key) === true;
  }

  private object(key: string): Record<string, unknown> {
    const value = this.value(key);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  }

  private value(key: string): unknown {
    return this.workspace.getConfiguration('codex-rpc').get(key);
  }
}
