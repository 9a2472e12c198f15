// Inputs that the session file does not have yet, so that none is lost with the server.

import type { InputItem } from './protocol';

/** An input under the id of its submission. */
export interface KeptInput {
  readonly id: string;
  readonly items: readonly InputItem[];
}

/** What is needed to find out later, in another window, which inputs were saved. */
export interface Unsaved {
  readonly kept: readonly KeptInput[];
  /** How many inputs are known to be saved, since the session was opened. */
  readonly confirmed: number;
}

/** Keeps each input until its `user_message` says that it is saved. */
export class Inputs {
  private kept: KeptInput[];
  private confirmed: number;
  private sentAgain = new Set<string>();

  constructor(unsaved: Unsaved = { kept: [], confirmed: 0 }) {
    this.kept = [...unsaved.kept];
    this.confirmed = unsaved.confirmed;
  }

  get waiting(): readonly KeptInput[] {
    return this.kept;
  }

  get unsaved(): Unsaved {
    return { kept: this.kept, confirmed: this.confirmed };
  }

  keep(input: KeptInput): void {
    this.kept = [...this.kept, input];
  }

  /** The input of submission `id` is saved, whoever has sent it. */
  saved(id: string): void {
    this.confirmed += 1;
    this.drop(id);
  }

  /** Keep it no longer. */
  drop(id: string): void {
    this.kept = this.kept.filter((input) => input.id !== id);
    this.sentAgain.delete(id);
  }

  /**
   * The session is open again: takes out the inputs that are in `recorded`, the items saved since
   * it was opened before, and says what is to become of the others. An input is sent again once:
   * one that was there at two crashes may be their cause, and is given back to the person.
   */
  reopened(recorded: readonly unknown[]): { again: readonly KeptInput[]; back: KeptInput[] } {
    // Inputs are saved in the order in which they are told, so the first ones were told.
    const untold = recorded.map(contentOf).filter((content) => content !== undefined);
    untold.splice(0, this.confirmed);
    this.confirmed = 0;
    const left = this.kept.filter((input) => !removeFirst(untold, input.items));
    const back = left.filter((input) => this.sentAgain.has(input.id));
    this.kept = left.filter((input) => !this.sentAgain.has(input.id));
    this.sentAgain = new Set(this.kept.map((input) => input.id));
    return { again: this.kept, back };
  }

  /** Everything that is kept, which is kept no longer. */
  takeAll(): readonly KeptInput[] {
    const taken = this.kept;
    this.kept = [];
    this.sentAgain.clear();
    return taken;
  }
}

type Content = readonly { readonly text?: unknown }[];

/** The parts of `item` of `session/read`, if it is a person's message. */
function contentOf(item: unknown): Content | undefined {
  const { type, role, content } = (item ?? {}) as Record<string, unknown>;
  const isMessage = type === 'message' && role === 'user' && Array.isArray(content);
  return isMessage ? (content as Content) : undefined;
}

/** Takes out the first message that `items` have become. */
function removeFirst(messages: Content[], items: readonly InputItem[]): boolean {
  const index = messages.findIndex((content) => isOf(content, items));
  if (index >= 0) {
    messages.splice(index, 1);
  }
  return index >= 0;
}

/** Each item becomes one part: a text as it is, a file or a selection with what is in it. */
function isOf(content: Content, items: readonly InputItem[]): boolean {
  return (
    content.length === items.length &&
    items.every((item, i) => item.type !== 'text' || content[i]?.text === item.text)
  );
}
