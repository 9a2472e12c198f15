// A text that comes in parts looks in the end as one that comes at once, however it is cut.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type { markdown, MarkdownStream } from './support/markdownParts';
import { bundled, openBrowser, skip } from './support/stage';

interface InPage {
  parts: { markdown: typeof markdown; MarkdownStream: typeof MarkdownStream };
}

const BLOCKS = [
  'A paragraph with **bold**, `code`\nand two lines.\n\n',
  '# A heading\n\n',
  'A heading\n===\n\n',
  '- one\n- two\n  - inner\n\n  more of two\n- three\n\n',
  '1. one\n2. two\n\n',
  '```python\ndef f():\n    return "```"\n\n\n    # end\n```\n\n',
  '~~~\ncode with ```\n~~~\n',
  '````md\n```\ninner\n```\n````\n\n',
  '    indented code\n\n    more\n\n',
  '| a | b |\n|---|--:|\n| 1 | 2 |\n\n',
  '> quoted\n> more\n\nafter\n\n',
  '- ```js\n  x()\n  ```\n\n',
  '---\n\n',
  'See [this] and <https://example.org>.\n\n',
  '<b>no html</b>\n\n',
  '```\n' + 'long line of code\n'.repeat(250) + '```\n\n',
];
const REFERENCE = '[this]: https://example.org/this\n';

/** The same numbers every time. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state % below;
  };
}

describe('markdown that grows', { skip }, () => {
  let browser: Browser;
  let page: Page;

  before(async () => {
    browser = await openBrowser();
    page = await browser.newPage();
    await page.evaluate('window.__name = (named) => named');
    await page.addScriptTag({ content: bundled('test/page/support/markdownParts.ts', 'parts') });
  });

  after(async () => {
    await browser.close();
  });

  /** What is shown at the end of `parts`, and what would be shown of the whole text at once. */
  async function drawn(parts: readonly string[]): Promise<{ shown: string; wanted: string }> {
    return page.evaluate((all) => {
      const { markdown, MarkdownStream } = (globalThis as unknown as InPage).parts;
      const root = document.createElement('div');
      const stream = new MarkdownStream(root);
      for (const part of all) {
        stream.append(part);
        stream.draw();
      }
      stream.set(all.join(''), true);
      while (stream.draw());
      const whole = document.createElement('div');
      whole.innerHTML = markdown.render(all.join(''));
      const shown = [...root.querySelectorAll(':scope > .blocks')].map((group) => group.innerHTML);
      return { shown: shown.join(''), wanted: whole.innerHTML };
    }, parts);
  }

  function cut(text: string, random: (below: number) => number, most: number): string[] {
    const parts: string[] = [];
    for (let at = 0; at < text.length;) {
      const end = at + 1 + random(most);
      parts.push(text.slice(at, end));
      at = end;
    }
    return parts;
  }

  it('is the same as at once, for texts that are short', async () => {
    const random = numbers(7);
    for (let count = 0; count < 60; count += 1) {
      const blocks = Array.from({ length: 1 + random(6) }, () => BLOCKS[random(BLOCKS.length - 1)]);
      const text = blocks.join('') + (random(2) === 0 ? REFERENCE : '');
      const { shown, wanted } = await drawn(cut(text, random, 1 + random(9)));
      assert.equal(shown, wanted, text);
    }
  });

  it('is the same as at once, for long texts, which are never drawn as a whole', async () => {
    const random = numbers(11);
    // Two lists in a row are one list; and what is linked comes too late.
    const some = BLOCKS.filter((block) => !/^(- |1\.|See)/.test(block));
    for (let count = 0; count < 6; count += 1) {
      let text = '';
      while (text.length < 21_000) {
        text += some[random(some.length)] ?? '';
      }
      const { shown, wanted } = await drawn(cut(text, random, 60));
      assert.equal(shown, wanted);
    }
  });

  it('shows of code only what is code, whenever one looks', async () => {
    const code = 'a = "``"\n``\n `` \n  x\n'.repeat(60);
    const text = `\`\`\`python\n${code}\`\`\`\n\nafter`;
    const random = numbers(3);
    const looks = await page.evaluate(
      (parts) => {
        const { MarkdownStream } = (globalThis as unknown as InPage).parts;
        const root = document.createElement('div');
        const stream = new MarkdownStream(root);
        return parts.map((part) => {
          stream.append(part);
          stream.draw();
          return root.querySelector('code')?.textContent ?? '';
        });
      },
      cut(text, random, 5),
    );
    for (const look of looks) {
      assert.ok(code.startsWith(look), JSON.stringify(look.slice(-20)));
    }
    assert.equal(looks.at(-1), code);
  });

  it('begins anew when the text becomes another one', async () => {
    const shown = await page.evaluate(() => {
      const { MarkdownStream } = (globalThis as unknown as InPage).parts;
      const root = document.createElement('div');
      const stream = new MarkdownStream(root);
      stream.append('# Wrong\n\nand more\n\n```\nx');
      stream.draw();
      stream.set('Right', true);
      stream.draw();
      return root.textContent;
    });
    assert.equal(shown.trim(), 'Right');
  });
});
