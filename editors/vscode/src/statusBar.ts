// One item in the status bar: what the model is, what it may do, and whether it is at work.

import type { StatusBarItem } from 'vscode';
import type { ConnectionState } from './connection';
import type { Editor } from './editor';
import type { Disposable } from './emitter';
import type { SandboxPolicy } from './protocol';
import type { Server } from './server';
import type { Session } from './session';
import type { Sessions } from './sessions';

interface Ui {
  readonly ThemeColor: Editor['ThemeColor'];
  readonly commands: Pick<Editor['commands'], 'executeCommand'>;
  readonly StatusBarAlignment: Editor['StatusBarAlignment'];
  readonly window: Pick<Editor['window'], 'createStatusBarItem'>;
}

/** What the item knows of a session. */
export type Shown = Pick<Session, 'contextWindow' | 'info' | 'status' | 'tokens'>;

/** What the item says. */
export interface Face {
  readonly text: string;
  readonly tooltip: string;
  readonly command: string;
  readonly background?: 'warning' | 'error';
}

export class StatusBar implements Disposable {
  private readonly item: StatusBarItem;
  private readonly subscriptions: readonly Disposable[];

  constructor(
    private readonly ui: Ui,
    private readonly server: Pick<Server, 'onState' | 'problem' | 'state'>,
    private readonly sessions: Pick<Sessions, 'current' | 'onDidChange' | 'open'>,
  ) {
    const { Left } = ui.StatusBarAlignment;
    this.item = ui.window.createStatusBarItem('codex-rpc.status', Left, -10);
    this.item.name = 'Codex';
    this.subscriptions = [
      this.item,
      server.onState(() => this.show()),
      sessions.onDidChange(() => this.show()),
    ];
    this.show();
    this.item.show();
  }

  dispose(): void {
    this.subscriptions.forEach((each) => each.dispose());
  }

  private show(): void {
    const { current, open } = this.sessions;
    const face = faceOf(this.server.state, this.server.problem, current, open);
    if (this.item.text === face.text && this.item.tooltip === face.tooltip) {
      return;
    }
    this.item.text = face.text;
    this.item.tooltip = face.tooltip;
    this.item.command = face.command;
    this.item.accessibilityInformation = { label: face.tooltip.split('\n').join(', ') };
    this.item.backgroundColor =
      face.background && new this.ui.ThemeColor(`statusBarItem.${face.background}Background`);
    const status = current?.status ?? '';
    void this.ui.commands.executeCommand('setContext', 'codex-rpc.session', status);
  }
}

const WITHOUT_SERVER: Readonly<
  Record<Exclude<ConnectionState, 'running'>, Omit<Face, 'tooltip'> & { tooltip: string }>
> = {
  stopped: {
    text: '$(circle-slash) Codex',
    tooltip: 'Codex is not running.',
    command: 'codex-rpc.restartServer',
  },
  starting: {
    text: '$(loading~spin) Codex',
    tooltip: 'Codex is starting.',
    command: 'codex-rpc.showLog',
  },
  restarting: {
    text: '$(loading~spin) Codex',
    tooltip: 'Codex is started again.',
    command: 'codex-rpc.showLog',
  },
  missing: {
    text: '$(cloud-download) Codex: install',
    tooltip: 'The program codex-rpc is not installed. Select to install it.',
    command: 'codex-rpc.setup',
  },
  failed: {
    text: '$(error) Codex',
    tooltip: 'Codex has stopped. Select to start it again.',
    command: 'codex-rpc.restartServer',
    background: 'error',
  },
};

/** What to show in a state of things. */
export function faceOf(
  state: ConnectionState,
  problem: string | undefined,
  current: Shown | undefined,
  open: readonly Shown[],
): Face {
  if (state !== 'running') {
    const face = WITHOUT_SERVER[state];
    return problem === undefined ? face : { ...face, tooltip: `${face.tooltip}\n${problem}` };
  }
  const waiting = open.find(({ status }) => status === 'waiting');
  if (waiting !== undefined) {
    return {
      text: `$(bell-dot) ${waiting.info.model}: your answer`,
      tooltip: `Codex waits for your answer.\n${aboutSession(waiting)}`,
      command: waiting === current ? 'codex-rpc.chat.focus' : 'codex-rpc.switchSession',
      background: 'warning',
    };
  }
  if (current === undefined || current.status === 'closed') {
    const tooltip = 'Codex is ready. Select to see what it can do.';
    return { text: '$(comment-discussion) Codex', tooltip, command: 'codex-rpc.menu' };
  }
  const { model, approvalPolicy } = current.info;
  const running = open.filter(({ status }) => status === 'running').length;
  const others = running - Number(current.status === 'running');
  const icon = running > 0 ? 'loading~spin' : 'comment-discussion';
  return {
    text: `$(${icon}) ${model} · ${approvalPolicy}`,
    tooltip:
      aboutSession(current) + (others > 0 ? `\nAt work in ${others} more, in other sessions` : ''),
    command: 'codex-rpc.menu',
  };
}

function aboutSession({ info, status, tokens, contextWindow }: Shown): string {
  const lines = [
    `Model: ${info.model} (${info.modelProvider})`,
    `Asks: ${info.approvalPolicy}`,
    `Commands may: ${sandboxName(info.sandboxPolicy)} (held by ${info.sandbox})`,
    `Folder: ${info.cwd}`,
    `Now: ${status}`,
  ];
  if (tokens !== undefined) {
    const used = tokens.total_tokens.toLocaleString('en');
    const window = contextWindow === undefined ? '' : ` of ${contextWindow.toLocaleString('en')}`;
    lines.push(`Tokens: ${used}${window}`);
  }
  return lines.join('\n');
}

/** `workspace-write, network`, say. */
export function sandboxName(policy: SandboxPolicy): string {
  const { mode, network } =
    typeof policy === 'string'
      ? { mode: policy, network: false }
      : { mode: policy.mode, network: policy.network_access === true };
  return network && mode === 'workspace-write' ? `${mode}, network` : mode;
}
