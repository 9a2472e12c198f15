// What the extension and the page of the chat view say to each other.

import type { Attachment, Cell, Change, Step } from './cells';

/** An attachment of the input that is being written. */
export interface Chip extends Attachment {
  readonly id: string;
}

/** How a question can be answered in the page; `review` opens the diff editor instead. */
export type Answer = 'approved' | 'approved_for_session' | 'denied' | 'abort' | 'review';

/** Something that waits for the person. */
export interface Card {
  readonly callId: string;
  /** What is asked, in a few words. */
  readonly title: string;
  /** What would be done, word by word: a command, a call's arguments. */
  readonly code?: string;
  /** Facts to weigh, each on its own: the folder, the sandbox, the reason. */
  readonly facts: readonly { readonly name: string; readonly value: string }[];
  readonly files: readonly {
    readonly label: string;
    readonly added: number;
    readonly removed: number;
  }[];
  readonly answers: readonly { readonly label: string; readonly answer: Answer }[];
}

/** Something that is wrong, or has to be done first, and what to press. */
export interface Banner {
  readonly level: 'info' | 'warning' | 'error';
  readonly text: string;
  readonly actions: readonly { readonly label: string; readonly command: string }[];
}

/** Everything around the conversation. Told as a whole, when anything of it has changed. */
export interface ViewState {
  /** `none`: there is no session, and the first input starts one. */
  readonly status: 'none' | 'idle' | 'running' | 'waiting' | 'offline' | 'closed';
  /** Whether an input can be sent. */
  readonly enabled: boolean;
  readonly model: string;
  readonly policy: string;
  readonly banner?: Banner;
  readonly cards: readonly Card[];
  readonly queued: readonly { readonly id: string; readonly text: string }[];
  readonly plan?: readonly Step[];
  readonly usage?: { readonly used: number; readonly window?: number; readonly detail: string };
  /** What is selected in the editor and could be sent along. */
  readonly suggestion?: string;
}

/** To the page. */
export type ToPage =
  /** A conversation from its end; `earlier`: there is more before it. */
  | {
      readonly type: 'reset';
      readonly session: string;
      readonly cells: readonly Cell[];
      readonly earlier: boolean;
    }
  | { readonly type: 'earlier'; readonly cells: readonly Cell[]; readonly earlier: boolean }
  /** To be answered with `applied`, before which no more changes come. */
  | { readonly type: 'changes'; readonly changes: readonly Change[] }
  | { readonly type: 'state'; readonly state: ViewState }
  | { readonly type: 'chips'; readonly chips: readonly Chip[] }
  /** The answer to `findFiles`. */
  | { readonly type: 'files'; readonly query: string; readonly files: readonly FoundFile[] }
  /** The answer to `send`: the text was taken. */
  | { readonly type: 'sent' }
  /** The answer to `send`: it was not, or could not be sent at all; it is to be kept. */
  | { readonly type: 'kept'; readonly text: string; readonly problem: string }
  /** A text that goes into the input, before what is there. */
  | { readonly type: 'compose'; readonly text: string }
  | { readonly type: 'focus' };

export interface FoundFile {
  readonly path: string;
  readonly name: string;
  readonly folder: string;
}

/** From the page; what each member is, is in FROM_PAGE. */
export type FromPage =
  /** The page is there, and knows nothing. */
  | { readonly type: 'ready' }
  | { readonly type: 'applied' }
  | { readonly type: 'send'; readonly text: string }
  | { readonly type: 'stop' }
  | { readonly type: 'answer'; readonly callId: string; readonly answer: string }
  /** Send the input of this cell again; without one, the last. */
  | { readonly type: 'retry'; readonly id: string }
  | { readonly type: 'earlier' }
  /** The whole output of a cell that is shown in part. */
  | { readonly type: 'full'; readonly id: string }
  /** To the clipboard: a cell as a whole, or a part of what is shown. */
  | { readonly type: 'copyCell'; readonly id: string }
  | { readonly type: 'copy'; readonly text: string }
  | { readonly type: 'openLink'; readonly href: string }
  | { readonly type: 'openFile'; readonly path: string; readonly line: number }
  | { readonly type: 'findFiles'; readonly query: string }
  | { readonly type: 'attachFile'; readonly path: string }
  | { readonly type: 'attachUris'; readonly uris: string }
  | { readonly type: 'attachSelection' }
  | { readonly type: 'attachImage'; readonly name: string; readonly url: string }
  | { readonly type: 'pickFiles' }
  | { readonly type: 'detach'; readonly id: string }
  | { readonly type: 'command'; readonly command: string };

type Shape<M> = Readonly<Record<Exclude<keyof M, 'type'>, 'string' | 'number'>>;
type ShapeOf<T extends FromPage['type']> = Shape<Extract<FromPage, { type: T }>>;

const FROM_PAGE: { readonly [T in FromPage['type']]: ShapeOf<T> } = {
  ready: {},
  applied: {},
  send: { text: 'string' },
  stop: {},
  answer: { callId: 'string', answer: 'string' },
  retry: { id: 'string' },
  earlier: {},
  full: { id: 'string' },
  copyCell: { id: 'string' },
  copy: { text: 'string' },
  openLink: { href: 'string' },
  openFile: { path: 'string', line: 'number' },
  findFiles: { query: 'string' },
  attachFile: { path: 'string' },
  attachUris: { uris: 'string' },
  attachSelection: {},
  attachImage: { name: 'string', url: 'string' },
  pickFiles: {},
  detach: { id: 'string' },
  command: { command: 'string' },
};

/** `value` as a message of the page, if it is one: the page shows what others have written. */
export function fromPage(value: unknown): FromPage | undefined {
  if (typeof value !== 'object' || value === null) {
    return undefined;
  }
  const message = value as Readonly<Record<string, unknown>>;
  const type = message['type'];
  if (typeof type !== 'string' || !Object.hasOwn(FROM_PAGE, type)) {
    return undefined;
  }
  const members = Object.entries(FROM_PAGE[type as FromPage['type']]);
  const fits = members.every(([name, kind]) => typeof message[name] === kind);
  return fits ? (value as FromPage) : undefined;
}
