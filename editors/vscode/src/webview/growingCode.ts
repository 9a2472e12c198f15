// A block of code that grows: added to at its end, without looking at what is there.

import { element } from './dom';
import { LINES } from './markdown';

export class GrowingCode {
  private lines = 0;
  private last: Text | undefined;
  /** What may yet turn out to be the end of the block: it is not shown. */
  private held = '';
  private readonly end: RegExp;
  private readonly start: RegExp;

  /** Adds to `code`, an empty element; the block ends with a line of `fence`. */
  constructor(
    private readonly code: HTMLElement,
    fence: string,
  ) {
    const [mark = '`'] = fence;
    this.end = new RegExp(`^ {0,3}${mark}{${fence.length},}[ \\t]*$`, 'm');
    this.start = new RegExp(`(^|\\n) {0,3}${mark}*$`);
  }

  /** Add `text`; false if the block ends in it, and then nothing is added. */
  append(text: string): boolean {
    const more = this.held + text;
    // What is held begins a line, and so does what follows a whole line.
    const isAtLine = this.held !== '' || this.last === undefined || this.last.data.endsWith('\n');
    if (this.end.test(isAtLine ? more : `.${more}`)) {
      return false;
    }
    const doubtful = this.start.exec(more);
    const isDoubtful = doubtful !== null && (doubtful[1] !== '' || isAtLine);
    const cut = isDoubtful ? doubtful.index + (doubtful[1] ?? '').length : more.length;
    this.held = more.slice(cut);
    this.add(more.slice(0, cut));
    return true;
  }

  private add(text: string): void {
    let from = 0;
    while (from < text.length) {
      if (this.last === undefined || this.lines >= LINES) {
        this.lines = 0;
        this.last = document.createTextNode('');
        this.code.append(element('span', { class: 'lines' }, this.last));
      }
      let to = from;
      while (this.lines < LINES && to < text.length) {
        const end = text.indexOf('\n', to);
        this.lines += end < 0 ? 0 : 1;
        to = end < 0 ? text.length : end + 1;
      }
      this.last.appendData(text.slice(from, to));
      from = to;
    }
  }
}
