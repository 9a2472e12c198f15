// What a conversation looks like: cells, in the order in which they are shown, and the changes that
// a view is told. Shared by the extension and the page of the chat view; types only.

/** Something that was sent along with a text. */
export interface Attachment {
  readonly kind: 'file' | 'selection' | 'image';
  /** What it is called: a path and lines, or "image". */
  readonly label: string;
  readonly path?: string;
  /** The first and the last line, counted from 1. */
  readonly line?: number;
  readonly lastLine?: number;
  /** Of an image: a `data:` URL. */
  readonly url?: string;
}

/**
 * - `asked`: waits for an approval
 * - `answered`: the answer is given, and what comes of it is not known yet
 * - `skipped`: was not done: rejected, or the turn was over before
 */
export type CallState = 'asked' | 'answered' | 'running' | 'done' | 'failed' | 'skipped';

/** What is left out of an output that is shown in part. */
export interface Omitted {
  /** Where in the text that is there. */
  readonly at: number;
  readonly lines: number;
}

export interface UserCell {
  readonly kind: 'user';
  readonly id: string;
  readonly text: string;
  readonly attachments: readonly Attachment[];
}

/** What the model says, as markdown. */
export interface MessageCell {
  readonly kind: 'message';
  readonly id: string;
  readonly text: string;
  readonly done: boolean;
}

export interface ReasoningCell {
  readonly kind: 'reasoning';
  readonly id: string;
  readonly text: string;
  readonly done: boolean;
}

export interface CommandCell {
  readonly kind: 'command';
  readonly id: string;
  readonly command: string;
  readonly cwd: string;
  readonly output: string;
  readonly omitted?: Omitted;
  readonly state: CallState;
  readonly exitCode?: number;
  readonly seconds?: number;
}

/** A call of any other tool. */
export interface ToolCell {
  readonly kind: 'tool';
  readonly id: string;
  readonly name: string;
  readonly input: string;
  readonly output: string;
  readonly omitted?: Omitted;
  readonly state: CallState;
  readonly seconds?: number;
}

export interface PatchedFile {
  readonly path: string;
  readonly verb: 'add' | 'edit' | 'delete' | 'move';
  readonly to?: string;
  readonly added: number;
  readonly removed: number;
  readonly diff: string;
}

export interface PatchCell {
  readonly kind: 'patch';
  readonly id: string;
  readonly files: readonly PatchedFile[];
  readonly state: CallState;
  /** Why it could not be applied. */
  readonly problem?: string;
}

export interface Step {
  readonly step: string;
  readonly status: 'pending' | 'in_progress' | 'completed';
}

export interface PlanCell {
  readonly kind: 'plan';
  readonly id: string;
  readonly steps: readonly Step[];
  readonly explanation?: string;
}

/** Something that neither the person nor the model said. */
export interface NoticeCell {
  readonly kind: 'notice';
  readonly id: string;
  readonly level: 'info' | 'warning' | 'error';
  readonly text: string;
  readonly detail?: string;
  /** Whether to offer that the last input is sent again. */
  readonly retry?: boolean;
}

export type Cell =
  | UserCell
  | MessageCell
  | ReasoningCell
  | CommandCell
  | ToolCell
  | PatchCell
  | PlanCell
  | NoticeCell;

export type Change =
  /** A new cell at the end, or another state of one that is there. */
  | { readonly type: 'put'; readonly cell: Cell }
  /** More of a message, of a thought, or of a command's output. */
  | { readonly type: 'append'; readonly id: string; readonly text: string }
  | { readonly type: 'drop'; readonly id: string };
