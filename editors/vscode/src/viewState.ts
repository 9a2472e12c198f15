// What is around the conversation in the chat view, made of the session and the connection.

import { cardOf } from './cards';
import { inputOf } from './cellParts';
import type { Connection, ConnectionState } from './connection';
import type { SandboxPolicy, TokenCount } from './protocol';
import type { Session, SessionInfo } from './session';
import type { Banner, ViewState } from './webviewProtocol';

type Usage = NonNullable<ViewState['usage']>;

const SHOW_LOG = { label: 'Show log', command: 'codex-rpc.showLog' };
const START = { label: 'Start again', command: 'codex-rpc.restartServer' };

/** Everything that the page shows beside cells and chips. */
export function viewState(
  connection: Pick<Connection, 'state' | 'problem'>,
  session: Session | undefined,
  suggestion: string | undefined,
): ViewState {
  const banner = bannerOf(connection, session);
  const enabled = connection.state !== 'missing' && connection.state !== 'failed';
  const extra = {
    ...(banner !== undefined && { banner }),
    ...(suggestion !== undefined && { suggestion }),
  };
  if (session === undefined) {
    return { status: 'none', enabled, model: '', policy: '', cards: [], queued: [], ...extra };
  }
  const { info, plan, tokens } = session;
  return {
    status: session.status,
    enabled,
    model: info.effort === undefined ? info.model : `${info.model} (${info.effort})`,
    policy: policyOf(info),
    cards: session.waiting.map((question) => cardOf(question, info.cwd)),
    queued: session.queued.map(({ id, items }) => ({ id, text: oneLine(items, info.cwd) })),
    ...(plan !== undefined && { plan: plan.plan }),
    ...(tokens !== undefined && { usage: usageOf(tokens, session.contextWindow) }),
    ...extra,
  };
}

const CONNECTION: Readonly<Record<ConnectionState, Banner>> = {
  running: { level: 'info', text: '', actions: [] },
  starting: { level: 'info', text: '', actions: [] },
  stopped: { level: 'info', text: 'The server is stopped.', actions: [START] },
  restarting: {
    level: 'warning',
    text: 'The server has ended unexpectedly. It is being started again.',
    actions: [SHOW_LOG],
  },
  missing: {
    level: 'warning',
    text: 'codex-rpc was not found on this machine.',
    actions: [
      { label: 'Install', command: 'codex-rpc.install' },
      { label: 'Show the command', command: 'codex-rpc.showInstallCommand' },
      { label: 'Settings', command: 'codex-rpc.openSettings' },
    ],
  },
  failed: { level: 'error', text: 'The server does not start.', actions: [START, SHOW_LOG] },
};

function bannerOf(
  { state, problem }: Pick<Connection, 'state' | 'problem'>,
  session: Session | undefined,
): Banner | undefined {
  const { level, text, actions } = CONNECTION[state];
  if (text !== '') {
    return { level, text: problem ?? text, actions };
  }
  if (session?.status === 'closed') {
    return {
      level: 'info',
      text: 'This session is closed. What you send opens it again.',
      actions: [{ label: 'New session', command: 'codex-rpc.newSession' }],
    };
  }
  return undefined;
}

const APPROVALS: Readonly<Record<string, string>> = {
  untrusted: 'asks before all but reading',
  'on-request': 'asks to leave the sandbox',
  'on-failure': 'asks when the sandbox stops it',
  never: 'never asks',
};
const SANDBOXES: Readonly<Record<string, string>> = {
  'read-only': 'reads only',
  'workspace-write': 'writes in the workspace',
  'danger-full-access': 'no sandbox',
};

/** What it may do and when it asks, in a few words. */
function policyOf({ approvalPolicy, sandboxPolicy }: SessionInfo): string {
  const mode = modeOf(sandboxPolicy);
  return `${SANDBOXES[mode] ?? mode}, ${APPROVALS[approvalPolicy] ?? approvalPolicy}`;
}

function modeOf(policy: SandboxPolicy): string {
  return typeof policy === 'string' ? policy : policy.mode;
}

function usageOf(tokens: TokenCount, window: number | undefined): Usage {
  const number = (count: number | undefined): string => (count ?? 0).toLocaleString('en');
  const detail = [
    `${number(tokens.input_tokens)} in (${number(tokens.cached_input_tokens)} cached)`,
    `${number(tokens.output_tokens)} out (${number(tokens.reasoning_output_tokens)} reasoning)`,
  ];
  return {
    used: tokens.total_tokens,
    ...(window !== undefined && { window }),
    detail: `The last response: ${detail.join(', ')}`,
  };
}

/** An input that waits, as one line. */
function oneLine(items: readonly unknown[], folder: string): string {
  const { text, attachments } = inputOf(items, folder);
  return [text.replace(/\s+/g, ' '), ...attachments.map(({ label }) => `[${label}]`)].join(' ');
}
