// Choosing a session's model, policies and effort: for the session that is open, from its next
// turn on; without one, for new sessions, in the settings.

import type { QuickPickItem } from 'vscode';
import type { Editor } from './editor';
import type { Model, Models } from './models';
import type { OverrideTurnContext, SandboxPolicy } from './protocol';
import type { Session } from './session';
import type { Sessions } from './sessions';
import type { Approval, SandboxMode } from './settings';
import { sandboxName } from './statusBar';

interface Ui {
  readonly ConfigurationTarget: Editor['ConfigurationTarget'];
  readonly window: Pick<
    Editor['window'],
    'setStatusBarMessage' | 'showQuickPick' | 'showWarningMessage'
  >;
  readonly workspace: Pick<Editor['workspace'], 'getConfiguration'>;
}

interface Choice<T> extends QuickPickItem {
  readonly value: T;
}

const APPROVALS: readonly Choice<Approval>[] = [
  {
    label: 'untrusted',
    detail: 'Ask before every command, but for well-known ones that only read',
    value: 'untrusted',
  },
  {
    label: 'on-request',
    detail: 'Ask when the model wants to leave the sandbox',
    value: 'on-request',
  },
  {
    label: 'on-failure',
    detail: 'Ask when the sandbox has stopped a command, before it runs without',
    value: 'on-failure',
  },
  {
    label: 'never',
    detail: 'Never ask: what would need an answer is refused, and the model is told',
    value: 'never',
  },
];

const SANDBOXES: readonly Choice<{ mode: SandboxMode; network_access?: boolean }>[] = [
  {
    label: 'read-only',
    detail: 'Commands may read, but not write or reach the network',
    value: { mode: 'read-only' },
  },
  {
    label: 'workspace-write',
    detail: 'Commands may also write in the folder of the session',
    value: { mode: 'workspace-write' },
  },
  {
    label: 'workspace-write, network',
    detail: 'Commands may also write in the folder of the session, and reach the network',
    value: { mode: 'workspace-write', network_access: true },
  },
  {
    label: 'danger-full-access',
    detail: 'Commands may do everything that you may: nothing holds them',
    value: { mode: 'danger-full-access' },
  },
];

const EFFORTS: readonly Choice<string>[] = ['minimal', 'low', 'medium', 'high'].map((value) => ({
  label: value,
  value,
}));

const OTHER = 'Another model…';

export class Choices {
  constructor(
    private readonly ui: Ui,
    private readonly sessions: Pick<Sessions, 'current'>,
    private readonly models: Models,
  ) {}

  async approvalPolicy(): Promise<void> {
    const now = this.session?.info.approvalPolicy ?? this.setting('approvalPolicy');
    const policy = await this.choose('Approval Policy', 'When are you asked?', APPROVALS, now);
    if (policy !== undefined) {
      await this.set('approvalPolicy', policy, { approval_policy: policy });
    }
  }

  async sandbox(): Promise<void> {
    const now = this.session && sandboxName(this.session.info.sandboxPolicy);
    const setting = this.setting('sandboxMode');
    // A setting is a mode alone.
    const offered = this.session
      ? SANDBOXES
      : SANDBOXES.filter(({ value }) => value.network_access !== true);
    const what = 'What may commands do?';
    const policy = await this.choose('Sandbox', what, offered, now ?? setting);
    if (policy !== undefined && (await this.isMeant(policy.mode))) {
      await this.set('sandboxMode', policy.mode, { sandbox_policy: this.withRoots(policy) });
    }
  }

  async effort(): Promise<void> {
    const now = this.session?.info.effort ?? this.setting('reasoningEffort');
    const what = 'How long may the model think? (Not every model can.)';
    const effort = await this.choose('Reasoning Effort', what, EFFORTS, now);
    if (effort !== undefined) {
      await this.set('reasoningEffort', effort, { effort });
    }
  }

  async model(): Promise<void> {
    const session = this.session;
    const now = session?.info.model ?? this.setting('model');
    const known = (await this.models.known(session)).map((value) => ({
      label: value.name,
      description: value.provider ?? '',
      value,
    }));
    const other: Choice<Model | undefined> = { label: OTHER, value: undefined, alwaysShow: true };
    const items = [...known, other];
    const picked = await this.pick('Model', 'Which model answers?', items, now);
    if (picked === undefined) {
      return;
    }
    const model = picked.value ?? (await this.models.another(session?.info.modelProvider));
    if (model === undefined) {
      return;
    }
    if (session === undefined) {
      await this.save('modelProvider', model.provider);
      await this.save('model', model.name);
    } else if (model.provider === undefined || model.provider === session.info.modelProvider) {
      await this.set('model', model.name, { model: model.name });
    } else {
      await this.reconfigure(session, model.name, model.provider);
    }
  }

  private get session(): Session | undefined {
    const session = this.sessions.current;
    return session?.status === 'closed' ? undefined : session;
  }

  private async set(
    setting: string,
    value: string,
    override: Omit<OverrideTurnContext, 'type'>,
  ): Promise<void> {
    if (this.session === undefined) {
      await this.save(setting, value);
      return;
    }
    await this.session.submit({ type: 'override_turn_context', ...override });
    this.say(`${value}, from your next message on`);
  }

  private async save(setting: string, value: string | undefined): Promise<void> {
    const configuration = this.ui.workspace.getConfiguration('codex-rpc');
    await configuration.update(setting, value, this.ui.ConfigurationTarget.Global);
    if (value !== undefined) {
      this.say(`${value}, in new sessions`);
    }
  }

  private async reconfigure(session: Session, model: string, provider: string): Promise<void> {
    await session.submit({ type: 'configure_session', model, model_provider: provider });
    this.say(`${model} of ${provider}, from your next message on`);
  }

  private say(what: string): void {
    this.ui.window.setStatusBarMessage(`Codex: ${what}`, 5000);
  }

  private setting(key: string): string {
    return this.ui.workspace.getConfiguration('codex-rpc').get(key, '');
  }

  private withRoots(policy: { mode: SandboxMode; network_access?: boolean }): SandboxPolicy {
    const now = this.session?.info.sandboxPolicy;
    const roots = typeof now === 'object' ? now.writable_roots : undefined;
    return policy.mode === 'workspace-write' && roots !== undefined
      ? { ...policy, writable_roots: roots }
      : policy;
  }

  private async isMeant(mode: SandboxMode): Promise<boolean> {
    if (mode !== 'danger-full-access') {
      return true;
    }
    const detail = 'Commands of the model can then change, send or delete whatever you can.';
    const options = { modal: true, detail };
    const question = 'Run commands without a sandbox?';
    const yes = 'Run Without';
    return (await this.ui.window.showWarningMessage(question, options, yes)) === yes;
  }

  private async choose<T>(
    title: string,
    placeHolder: string,
    items: readonly Choice<T>[],
    now: string | undefined,
  ): Promise<T | undefined> {
    return (await this.pick(title, placeHolder, items, now))?.value;
  }

  private async pick<T>(
    title: string,
    placeHolder: string,
    items: readonly Choice<T>[],
    now: string | undefined,
  ): Promise<Choice<T> | undefined> {
    const scope = this.session === undefined ? 'new sessions' : 'this session';
    const marked = items.map((item) =>
      item.label === now
        ? { ...item, description: [item.description, 'in use'].filter(Boolean).join(', ') }
        : item,
    );
    const options = { title: `Codex: ${title} (${scope})`, placeHolder };
    return this.ui.window.showQuickPick(marked, { ...options, matchOnDescription: true });
  }
}
