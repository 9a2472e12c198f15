// A markdown text that grows, in time that does not grow with it.

import type { Env } from 'markdown-it';
import { element } from './dom';
import { GrowingCode } from './growingCode';
import { GROWING, markdown } from './markdown';

type Tokens = ReturnType<typeof markdown.parse>;

/** A text up to this length is drawn once more as a whole when it is complete. */
const MAX_REDRAWN = 20_000;
/** Characters that are drawn in one frame. */
const AT_ONCE = 6_000;
/** Blocks that are laid out together: those out of sight need not be. */
const TOGETHER = 24;

/**
 * Draws a text into `root`. Blocks that have ended are drawn once and stay; only the last one, which
 * may still grow, is drawn anew. When the text is complete, what a later line has changed in an
 * earlier block (a link's address, a list that went on) is mended.
 */
export class MarkdownStream {
  /** What is drawn or about to be, and all that has come. */
  private text = '';
  private whole = '';
  private done = false;
  private isWhole = false;
  /** How far the text is in blocks that have ended. */
  private settled = 0;
  private html = '';
  private env: Env = {};
  private readonly tail = blocks();
  private tailHtml = '';
  private group: HTMLElement | undefined;
  /** The last block, while it is code, and how far the text is in it. */
  private code: { readonly block: GrowingCode; taken: number } | undefined;

  constructor(private readonly root: HTMLElement) {
    root.append(this.tail);
  }

  /** The text as it is now, whatever it was. Shown by `draw`. */
  set(text: string, done: boolean): void {
    if (!text.startsWith(this.text) || this.done) {
      this.clear();
    }
    this.whole = text;
    this.isWhole = done;
  }

  append(text: string): void {
    this.whole += text;
  }

  /** Show what has come, at most a part of it at once; whether there is more to show. */
  draw(): boolean {
    this.text = this.whole.slice(0, this.text.length + AT_ONCE);
    const isAll = this.text.length === this.whole.length;
    this.done = this.isWhole && isAll;
    if (this.done || !this.growCode()) {
      this.drawText();
    }
    return !isAll;
  }

  private drawText(): void {
    const rest = this.text.slice(this.settled);
    const tokens = markdown.parse(rest, this.env);
    const last = this.done ? tokens.length : startOfLast(tokens);
    if (last > 0) {
      const html = markdown.renderer.render(tokens.slice(0, last), markdown.options, this.env);
      this.settle(html);
      this.settled += this.done ? rest.length : offsetOf(rest, tokens[last]?.map?.[0] ?? 0);
    }
    this.drawTail(tokens.slice(last));
    if (this.done) {
      this.mend();
    }
  }

  private settle(html: string): void {
    if (this.group === undefined || this.group.childElementCount >= TOGETHER) {
      this.group?.classList.add('full');
      this.group = blocks();
      this.tail.before(this.group);
    }
    this.group.insertAdjacentHTML('beforeend', html);
    this.html += html;
  }

  private drawTail(tokens: Tokens): void {
    const [first] = tokens;
    const start = this.text.slice(this.settled).indexOf('\n') + 1;
    const isCode = tokens.length === 1 && first?.type === 'fence' && start > 0;
    if (isCode && this.text.startsWith(first.markup, this.settled)) {
      const { content } = first;
      first.content = '';
      this.drawHtml(tokens);
      first.content = content;
      const code = this.tail.querySelector('code') ?? this.tail;
      this.code = { block: new GrowingCode(code, first.markup), taken: this.settled + start };
      if (this.growCode()) {
        return;
      }
    }
    this.code = undefined;
    this.drawHtml(tokens);
  }

  private drawHtml(tokens: Tokens): void {
    const html = markdown.renderer.render(tokens, markdown.options, { ...this.env, ...GROWING });
    if (html !== this.tailHtml || this.code !== undefined) {
      this.tail.innerHTML = html;
      this.tailHtml = html;
    }
  }

  /** Code is only added to: a long block of it is most of what grows. */
  private growCode(): boolean {
    const { code } = this;
    if (code?.block.append(this.text.slice(code.taken)) !== true) {
      return false;
    }
    code.taken = this.text.length;
    return true;
  }

  private mend(): void {
    if (this.text.length <= MAX_REDRAWN) {
      const html = markdown.render(this.text, {});
      if (html !== this.html) {
        const { text } = this;
        this.clear();
        this.settle(html);
        [this.text, this.done] = [text, true];
      }
      this.settled = this.text.length;
    }
  }

  private clear(): void {
    this.root.replaceChildren(this.tail);
    this.tail.replaceChildren();
    this.text = '';
    this.done = false;
    this.settled = 0;
    this.html = '';
    this.tailHtml = '';
    this.env = {};
    this.group = undefined;
    this.code = undefined;
  }
}

function blocks(): HTMLElement {
  return element('div', { class: 'blocks' });
}

/** The index of the token that begins the last block; 0 if there is but one. */
function startOfLast(tokens: Tokens): number {
  for (let index = tokens.length - 1; index > 0; index -= 1) {
    const token = tokens[index];
    if (token?.level === 0 && token.nesting >= 0 && token.map !== null) {
      return index;
    }
  }
  return 0;
}

function offsetOf(text: string, line: number): number {
  let offset = 0;
  for (let count = 0; count < line; count += 1) {
    offset = text.indexOf('\n', offset) + 1;
  }
  return offset;
}
