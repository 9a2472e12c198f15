// The page under load. The limits leave room for slow machines; with SHOW_TIMES=1 the figures are
// printed.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import type { Cell } from '../../src/cells';
import { CELLS } from './support/gallery';
import { openBrowser, Stage, skip } from './support/stage';

/** What was measured while something went on. */
interface Times {
  readonly ms: number;
  readonly frames: number;
  readonly longestTask: number;
  readonly longestFrame: number;
  /** From a key to the frame after it. */
  readonly slowestKey: number;
}

const WORDS = [
  'The loop leaves out **the first price**, because it begins at `prices[1:]`.\n\n',
  '- one thing\n- another thing, see [the docs](https://example.org)\n\n',
  '```python\ndef total(prices):\n    return sum(prices)  # all\n```\n\n',
  '| a | b |\n|---|---|\n| 1 | 2 |\n\n',
];

/** `count` small parts of a long text. */
function deltas(count: number): string[] {
  const text = WORDS.join('').repeat(Math.ceil((count * 6) / WORDS.join('').length));
  return Array.from({ length: count }, (_, at) => text.slice(at * 6, at * 6 + 6));
}

describe('the page of the chat view under load', { skip }, () => {
  let browser: Browser;

  before(async () => {
    browser = await openBrowser();
  });

  after(async () => {
    await browser.close();
  });

  /**
   * Hand in `parts` of one cell, a few in each message, the next when the page has drawn the last,
   * as the extension does, and type meanwhile.
   */
  async function stream(stage: Stage, id: string, parts: readonly string[]): Promise<Times> {
    await stage.input.focus();
    const times = await stage.page.evaluate(
      async ([cell, texts, inEach]) => {
        const tasks: number[] = [];
        new PerformanceObserver((list) => {
          tasks.push(...list.getEntries().map((entry) => entry.duration));
        }).observe({ type: 'longtask' });
        const frame = () => new Promise<number>((resolve) => requestAnimationFrame(resolve));
        const input = document.querySelector('textarea');
        const keys: number[] = [];
        const posted = (window as unknown as { posted: { type: string }[] }).posted;
        const start = performance.now();
        let [frames, longestFrame, last] = [0, 0, await frame()];
        for (let at = 0; at < texts.length; at += inEach) {
          const drawn = posted.length;
          // As the extension merges them.
          const text = texts.slice(at, at + inEach).join('');
          const changes = [{ type: 'append', id: cell, text }];
          window.dispatchEvent(new MessageEvent('message', { data: { type: 'changes', changes } }));
          if (frames % 20 === 0 && input) {
            const pressed = performance.now();
            input.value += 'x';
            input.dispatchEvent(new InputEvent('input', { bubbles: true }));
            void frame().then((now) => keys.push(now - pressed));
          }
          while (!posted.slice(drawn).some(({ type }) => type === 'applied')) {
            const now = await frame();
            longestFrame = Math.max(longestFrame, now - last);
            [last, frames] = [now, frames + 1];
          }
        }
        return {
          ms: performance.now() - start,
          frames,
          longestTask: Math.max(0, ...tasks),
          longestFrame,
          slowestKey: Math.max(...keys),
        };
      },
      [id, parts, 40] as const,
    );
    return times;
  }

  /** Until what is in `selector` ends with `text`: what was handed in last is drawn. */
  async function drawn(stage: Stage, selector: string, text: string): Promise<string> {
    await stage.page.waitForFunction(
      ([where, end]) => document.querySelector(where)?.textContent.trimEnd().endsWith(end),
      [selector, text] as const,
    );
    return (await stage.log.locator(selector).textContent()) ?? '';
  }

  function show(what: string, times: object): void {
    if (process.env['SHOW_TIMES'] !== undefined) {
      console.log(what, times);
    }
  }

  it('draws 20,000 deltas of a message, and one can type meanwhile', async () => {
    const stage = await Stage.open(browser);
    const parts = deltas(20_000);
    await stage.begin([{ kind: 'message', id: 'm', text: '', done: false }]);
    const times = await stream(stage, 'm', parts);
    show('20,000 deltas of a message', times);
    await stage.put({
      kind: 'message',
      id: 'm',
      text: `${parts.join('')}

The end.`,
      done: true,
    });
    const shown = await drawn(stage, '.markdown', 'The end.');
    assert.ok(shown.length > 60_000, `only ${shown.length} characters are shown`);
    assert.ok(times.longestTask < 600, `a task took ${times.longestTask} ms`);
    assert.ok(times.slowestKey < 1_000, `a key took ${times.slowestKey} ms`);
    assert.deepEqual(stage.complaints, []);
    await stage.close();
  });

  it('draws 20,000 deltas of one block of code', async () => {
    const stage = await Stage.open(browser);
    await stage.begin([{ kind: 'message', id: 'm', text: '```python\n', done: false }]);
    const lines = Array.from({ length: 20_000 }, (_, at) => `x${at} = 1\n`);
    const times = await stream(stage, 'm', lines);
    show('20,000 lines of code', times);
    const text = await drawn(stage, 'code', 'x19999 = 1');
    assert.equal(text.split('\n').length, 20_001);
    assert.ok(times.longestTask < 600, `a task took ${times.longestTask} ms`);
    await stage.close();
  });

  it('draws 20,000 deltas of a command, of which it has the end', async () => {
    const stage = await Stage.open(browser);
    const command: Cell = {
      kind: 'command',
      id: 'c',
      command: 'make',
      cwd: '/',
      output: '',
      state: 'running',
    };
    await stage.begin([command]);
    const times = await stream(
      stage,
      'c',
      Array.from({ length: 20_000 }, (_, at) => `line ${at}\n`),
    );
    show('20,000 deltas of a command', times);
    const output = await drawn(stage, '.output', 'line 19999');
    assert.ok(output.length < 20_000);
    assert.ok(times.longestTask < 600, `a task took ${times.longestTask} ms`);
    await stage.close();
  });

  it('has 2,000 cells, and is as quick at their end as with none', async () => {
    const stage = await Stage.open(browser);
    const cells = Array.from({ length: 2_000 }, (_, at): Cell => {
      const cell = CELLS[at % CELLS.length];
      assert.ok(cell !== undefined);
      return { ...cell, id: `${at}` };
    });
    // As the extension hands them out: the last ones first, those before when one goes there.
    const start = performance.now();
    await stage.tell({ type: 'reset', session: 's', cells: cells.slice(-200), earlier: true });
    const opened = performance.now() - start;
    for (let end = 1_800; end > 0; end -= 200) {
      const page = cells.slice(end - 200, end);
      await stage.tell({ type: 'earlier', cells: page, earlier: end > 200 });
    }
    const filled = performance.now() - start;
    await stage.put({ kind: 'message', id: 'm', text: '', done: false });
    const times = await stream(stage, 'm', deltas(2_000));
    show('2,000 cells', { opened, filled, ...times });
    assert.equal(await stage.log.locator('.cell').count(), 2_001);
    assert.ok(opened < 10_000, `the last 200 took ${opened} ms`);
    assert.ok(times.longestTask < 600, `a task took ${times.longestTask} ms`);
    await stage.close();
  });
});
