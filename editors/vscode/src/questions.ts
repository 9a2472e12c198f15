// What the agent asks before it acts, in words: what a notification says of an approval, and which
// answers it offers. Knows no editor.

import { basename, relative, sep } from 'node:path';
import type {
  ApplyPatchApprovalRequest,
  ExecApprovalRequest,
  McpToolCallApprovalRequest,
} from './protocol';

/** An event that waits for an answer. */
export type Question = ExecApprovalRequest | McpToolCallApprovalRequest | ApplyPatchApprovalRequest;

export type Decision = 'approved' | 'approved_for_session' | 'denied' | 'abort';

/** What a button does: answer, show the proposed change, or show the conversation. */
export type Reply = Decision | 'review' | 'show';

/** A question as a notification shows it. */
export interface Notice {
  readonly text: string;
  /** What can be said, in the order of the buttons. */
  readonly replies: readonly { readonly title: string; readonly reply: Reply }[];
}

const ALLOW_ONCE = { title: 'Allow Once', reply: 'approved' } as const;
const FOR_SESSION = { title: 'Allow for Session', reply: 'approved_for_session' } as const;
const REJECT = { title: 'Reject', reply: 'denied' } as const;
const STOP = { title: 'Reject and Stop', reply: 'abort' } as const;
const REVIEW = { title: 'Review Changes', reply: 'review' } as const;
const ACCEPT = { title: 'Accept', reply: 'approved' } as const;
const SHOW = { title: 'Show in Chat', reply: 'show' } as const;

/** What fits into a notification. */
const MAX_SHOWN = 300;
const MAX_FILES = 3;

/** What a notification says of `question`; paths are relative to `folder`. */
export function noticeOf(question: Question, folder: string): Notice {
  switch (question.type) {
    case 'exec_approval_request':
      return ofCommand(question, folder);
    case 'mcp_tool_call_approval_request':
      return ofTool(question);
    case 'apply_patch_approval_request':
      return {
        text: `Codex wants to ${summary(question, folder)}.${because(question.reason)}`,
        replies: [REVIEW, ACCEPT, REJECT, STOP],
      };
  }
}

function ofCommand(question: ExecApprovalRequest, folder: string): Notice {
  const command = visible(commandLine(question.command));
  const where = visible(shown(question.cwd, folder) || basename(folder));
  const text = `Codex asks to run \`${command}\` in ${where}, ${confinement(question)}.`;
  return allowing(text, question.reason);
}

function ofTool(question: McpToolCallApprovalRequest): Notice {
  const { server, tool, arguments: given } = question.invocation;
  const call = visible(given === undefined ? '' : JSON.stringify(given));
  return allowing(`Codex asks to call ${server}.${tool}(${call}).`, question.reason);
}

/** A notification can only be answered with yes where it shows all that would be allowed. */
function allowing(text: string, reason: string | undefined): Notice {
  if (text.length > MAX_SHOWN) {
    return { text: `${text.slice(0, MAX_SHOWN)}…`, replies: [SHOW, REJECT, STOP] };
  }
  return { text: text + because(reason), replies: [ALLOW_ONCE, FOR_SESSION, REJECT, STOP] };
}

function because(reason: string | undefined): string {
  const said = reason === undefined ? '' : visible(reason.trim());
  return said === ''
    ? ''
    : ` Reason: ${said.length > MAX_SHOWN ? `${said.slice(0, MAX_SHOWN)}…` : said}`;
}

/** What would hold the command, as a person can weigh it. */
export function confinement(question: Pick<ExecApprovalRequest, 'sandbox' | 'network'>): string {
  const network = question.network ? ', with network' : '';
  switch (question.sandbox) {
    case 'none':
      return 'outside of the sandbox';
    case 'read-only':
      return `where it can only read${network}`;
    case 'workspace-write':
      return `where it can write in the workspace${network}`;
  }
}

/** The words of a command as one would type them into a shell. */
export function commandLine(command: readonly string[]): string {
  const [shell, flag, script] = command;
  const isScript = command.length === 3 && /^(bash|sh|zsh)$/.test(basename(shell ?? ''));
  if (isScript && /^-l?c$/.test(flag ?? '') && script !== undefined) {
    return script;
  }
  return command.map(quoted).join(' ');
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** `text` in one line, with what would not be seen, or would turn the line around, made visible. */
function visible(text: string): string {
  return text
    .replace(/\r?\n/g, ' ⏎ ')
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`);
}

/** What a patch does: "change a.ts, add b.ts and delete 2 files". */
export function summary(question: ApplyPatchApprovalRequest, folder: string): string {
  const groups = new Map<string, string[]>();
  for (const [path, change] of Object.entries(question.changes)) {
    const does = verb(change);
    groups.set(does, [...(groups.get(does) ?? []), visible(shown(path, folder))]);
  }
  const parts = [...groups].map(([does, paths]) => {
    const named = paths.length > MAX_FILES ? `${paths.length} files` : paths.join(', ');
    return `${does} ${named}`;
  });
  const last = parts.pop() ?? 'change nothing';
  return parts.length === 0 ? last : `${parts.join(', ')} and ${last}`;
}

function verb(change: ApplyPatchApprovalRequest['changes'][string]): string {
  if (change === 'delete') {
    return 'delete';
  }
  if ('add' in change) {
    return 'add';
  }
  return change.update.move_path === null ? 'change' : 'move';
}

/** `path` as it is told to a person: relative, if it is below `folder`. */
export function shown(path: string, folder: string): string {
  const inside = relative(folder, path);
  return inside === '..' || inside.startsWith(`..${sep}`) ? path : inside;
}
