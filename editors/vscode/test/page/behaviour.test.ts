// What the page does: keys, what it says to the extension, what it keeps, what it must not do.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import type { Cell } from '../../src/cells';
import { ASKING, BUSY, CELLS, CHIPS } from './support/gallery';
import { IDLE, openBrowser, Stage, skip } from './support/stage';

function message(id: string, text: string, done = true): Cell {
  return { kind: 'message', id, text, done };
}

/** What is read does not move any more: for ten frames. */
async function settled(stage: Stage): Promise<void> {
  await stage.log.evaluate(
    (log) =>
      new Promise<void>((resolve) => {
        let [top, frames] = [log.scrollTop, 0];
        const look = () => {
          frames = log.scrollTop === top ? frames + 1 : 0;
          top = log.scrollTop;
          if (frames < 10) {
            requestAnimationFrame(look);
          } else {
            resolve();
          }
        };
        look();
      }),
  );
}

function manyMessages(count: number): Cell[] {
  return Array.from({ length: count }, (_, at) => message(`m${at}`, `Message ${at}\n\nmore`));
}

describe('the page of the chat view', { skip }, () => {
  let browser: Browser;

  before(async () => {
    browser = await openBrowser();
  });

  after(async () => {
    await browser.close();
  });

  /** A test of a page that has begun. */
  function onPage(name: string, play: (stage: Stage) => Promise<void>): void {
    it(name, async () => {
      const stage = await Stage.open(browser);
      try {
        await stage.begin();
        await play(stage);
        assert.deepEqual(stage.complaints, []);
      } finally {
        await stage.close();
      }
    });
  }

  onPage('sends with Enter, and writes a new line with Shift+Enter', async (stage) => {
    await stage.input.fill('one');
    await stage.input.press('Shift+Enter');
    await stage.page.keyboard.type('two');
    assert.deepEqual(await stage.posted('send'), []);
    await stage.input.press('Enter');
    assert.equal((await stage.saying('send')).text, 'one\ntwo');
    assert.equal(await stage.input.inputValue(), '');
  });

  onPage('sends nothing where there is nothing, or while it cannot be sent', async (stage) => {
    await stage.input.fill('   ');
    await stage.input.press('Enter');
    await stage.tell({ type: 'state', state: { ...IDLE, enabled: false } });
    await stage.input.fill('words');
    await stage.input.press('Enter');
    assert.deepEqual(await stage.posted('send'), []);
    assert.equal(await stage.input.inputValue(), 'words');
    await stage.tell({ type: 'state', state: IDLE });
    await stage.input.press('Enter');
    assert.equal((await stage.saying('send')).text, 'words');
  });

  onPage('sends an attachment without words', async (stage) => {
    await stage.tell({ type: 'chips', chips: CHIPS });
    await stage.input.press('Enter');
    assert.equal((await stage.saying('send')).text, '');
  });

  onPage('gives back what could not be sent, with what is wrong', async (stage) => {
    await stage.input.fill('precious');
    await stage.input.press('Enter');
    await stage.page.keyboard.type('next');
    await stage.tell({ type: 'kept', text: 'precious', problem: 'No key. Set OPENAI_API_KEY.' });
    assert.equal(await stage.input.inputValue(), 'precious\n\nnext');
    await stage.page.getByText('Set OPENAI_API_KEY').waitFor();
    await stage.input.press('Enter');
    assert.equal((await stage.posted('send')).length, 2);
  });

  onPage('stops with Escape while Codex works, and not else', async (stage) => {
    await stage.input.press('Escape');
    assert.deepEqual(await stage.posted('stop'), []);
    assert.equal(await stage.button('Stop').count(), 0);
    await stage.tell({ type: 'state', state: BUSY });
    await stage.input.press('Escape');
    assert.equal((await stage.posted('stop')).length, 1);
    await stage.button('Stop').click();
    assert.equal((await stage.posted('stop')).length, 2);
  });

  onPage('sends while Codex works, and shows what is in line', async (stage) => {
    await stage.tell({ type: 'state', state: BUSY });
    await stage.page.getByText('And then run the linter').waitFor();
    await stage.input.fill('more');
    await stage.button('Send to the running turn').click();
    assert.equal((await stage.saying('send')).text, 'more');
  });

  onPage('calls up what was said before', async (stage) => {
    for (const text of ['first', 'second']) {
      await stage.input.fill(text);
      await stage.input.press('Enter');
      await stage.tell({ type: 'sent' });
    }
    await stage.input.press('ArrowUp');
    await stage.input.press('ArrowUp');
    assert.equal(await stage.input.inputValue(), 'first');
    await stage.input.press('ArrowDown');
    assert.equal(await stage.input.inputValue(), 'second');
    await stage.input.press('ArrowDown');
    assert.equal(await stage.input.inputValue(), '');
    // What is being written is not overwritten.
    await stage.input.fill('draft');
    await stage.input.press('ArrowUp');
    assert.equal(await stage.input.inputValue(), 'draft');
  });

  onPage('finds a file with @, by keys alone', async (stage) => {
    await stage.input.pressSequentially('see @ba');
    assert.deepEqual(
      (await stage.posted('findFiles')).map(({ query }) => query),
      ['', 'b', 'ba'],
    );
    const files = [
      { path: '/p/base.py', name: 'base.py', folder: '' },
      { path: '/p/src/basket.py', name: 'basket.py', folder: 'src' },
    ];
    // An answer to what is not asked any more is not shown.
    await stage.tell({ type: 'files', query: 'b', files });
    assert.equal(await stage.page.getByRole('option').count(), 0);
    await stage.tell({ type: 'files', query: 'ba', files });
    await stage.input.press('ArrowDown');
    const chosen = stage.page.getByRole('option', { selected: true });
    assert.match(await chosen.innerText(), /basket\.py/);
    assert.equal(
      await stage.input.getAttribute('aria-activedescendant'),
      await chosen.getAttribute('id'),
    );
    await stage.input.press('Enter');
    assert.equal(await stage.input.inputValue(), 'see @src/basket.py ');
    assert.equal((await stage.saying('attachFile')).path, '/p/src/basket.py');
    assert.deepEqual(await stage.posted('send'), []);
  });

  onPage(
    'does not take an address for a mention, and closes the list with Escape',
    async (stage) => {
      await stage.input.pressSequentially('me@example');
      assert.deepEqual(await stage.posted('findFiles'), []);
      await stage.input.fill('@a');
      const files = [{ path: '/p/a', name: 'a', folder: '' }];
      await stage.tell({ type: 'state', state: BUSY }, { type: 'files', query: 'a', files });
      await stage.input.press('Escape');
      assert.equal(await stage.page.getByRole('listbox').isVisible(), false);
      assert.deepEqual(await stage.posted('stop'), []);
    },
  );

  onPage('removes what is attached with its button, or with Backspace', async (stage) => {
    await stage.tell({ type: 'chips', chips: CHIPS });
    await stage.button('Remove src/basket.py').click();
    assert.equal((await stage.saying('detach')).id, '1');
    await stage.tell({ type: 'chips', chips: CHIPS.slice(1) });
    await stage.input.press('Backspace');
    assert.deepEqual(
      (await stage.posted('detach')).map(({ id }) => id),
      ['1', '2'],
    );
  });

  onPage(
    'takes a pasted image, scaled down if it is large, and says what it cannot take',
    async (stage) => {
      await stage.page.evaluate(async () => {
        const paste = (file: File) => {
          const clipboardData = new DataTransfer();
          clipboardData.items.add(file);
          const event = new ClipboardEvent('paste', { clipboardData, bubbles: true });
          document.querySelector('textarea')?.dispatchEvent(event);
        };
        const canvas = new OffscreenCanvas(4000, 1000);
        canvas.getContext('2d')?.fillRect(0, 0, 10, 10);
        paste(new File([await canvas.convertToBlob()], 'wide.png', { type: 'image/png' }));
        paste(new File(['<svg/>'], 'a.svg', { type: 'image/svg+xml' }));
      });
      const { name, url } = await stage.saying('attachImage');
      assert.equal(name, 'wide.png');
      assert.match(url, /^data:image\/png;base64,/);
      const size = await stage.page.evaluate(async (source) => {
        const image = new Image();
        image.src = source;
        await image.decode();
        return [image.width, image.height];
      }, url);
      assert.deepEqual(size, [2000, 500]);
      await stage.page.getByText('Only PNG, JPEG, GIF and WebP').waitFor();
    },
  );

  onPage('answers a question, once it is pressed, and leaves other cards alone', async (stage) => {
    await stage.tell({ type: 'state', state: ASKING });
    const first = stage.page.getByRole('group', { name: 'Run this command?' });
    await stage.page
      .getByRole('group', { name: 'May Codex change' })
      .locator('button')
      .first()
      .focus();
    await first.getByRole('button', { name: 'Allow for session' }).click({ trial: true });
    await stage.tell({ type: 'state', state: { ...ASKING, cards: ASKING.cards.slice(1) } });
    assert.equal(await first.count(), 0);
    // The card that stays has kept the focus.
    assert.equal(
      await stage.page.evaluate(() => document.activeElement?.textContent),
      'Review changes',
    );
    await stage.page.keyboard.press('Enter');
    assert.deepEqual(await stage.saying('answer'), {
      type: 'answer',
      callId: 'c2',
      answer: 'review',
    });
  });

  onPage('announces a question at once, and a message when it is complete', async (stage) => {
    const status = stage.page.getByRole('status');
    await stage.put(message('a', 'Hel', false));
    await stage.tell({ type: 'changes', changes: [{ type: 'append', id: 'a', text: 'lo' }] });
    assert.equal(await status.textContent(), '');
    await stage.put(message('a', 'Hello.'));
    await stage.page.waitForFunction(() =>
      document.querySelector('[role=status]')?.textContent.includes('Codex: Hello.'),
    );
    assert.equal(await stage.log.getAttribute('aria-live'), 'off');
    await stage.tell({ type: 'state', state: ASKING });
    await stage.page
      .getByRole('alert')
      .filter({ hasText: 'May Codex change' })
      .waitFor({ state: 'attached' });
  });

  onPage('keeps the draft, what was opened and where one was reading', async (stage) => {
    await stage.begin([...manyMessages(60), ...CELLS]);
    await stage.log.locator('summary', { hasText: 'tickets.search' }).click();
    await stage.input.fill('half a sente');
    await stage.log.hover();
    await stage.page.mouse.wheel(0, -600);
    await stage.page.waitForFunction(() => {
      const kept = (window as unknown as { kept?: { draft: string; fromEnd: number } }).kept;
      return kept?.draft === 'half a sente' && kept.fromEnd > 300;
    });
    const again = await Stage.open(browser, 'dark', undefined, await stage.kept());
    await again.begin([...manyMessages(60), ...CELLS]);
    assert.equal(await again.input.inputValue(), 'half a sente');
    const fold = again.log.locator('details', { hasText: 'tickets.search' });
    assert.equal(await fold.getAttribute('open'), '');
    const fromEnd = await again.log.evaluate(
      (log) => log.scrollHeight - log.scrollTop - log.clientHeight,
    );
    assert.ok(fromEnd > 200, `it is ${fromEnd} from the end`);
    await again.close();
  });

  onPage('follows what comes, unless the person has gone up', async (stage) => {
    const fromEnd = () =>
      stage.log.evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight);
    await stage.begin(manyMessages(50));
    await stage.put(message('x', 'new\n\n'.repeat(30)));
    assert.ok((await fromEnd()) < 48);
    // What grows between a scrolling and its being told is nobody's going up.
    await stage.log.evaluate((log) => {
      log.querySelector<HTMLElement>('.list')?.style.setProperty('padding-bottom', '200px');
      log.dispatchEvent(new Event('scroll'));
    });
    await stage.put(message('w', 'new'));
    assert.ok((await fromEnd()) < 48);
    await stage.tell({ type: 'state', state: ASKING }); // Takes half of the room.
    await stage.put(message('y', 'new'));
    assert.ok((await fromEnd()) < 48);
    await stage.tell({ type: 'state', state: IDLE });
    await stage.log.hover();
    await stage.page.mouse.wheel(0, -400);
    await stage.button('Go to the end').waitFor();
    await settled(stage);
    const read = stage.log.getByText('Message 45', { exact: true });
    const place = (await read.boundingBox())?.y;
    await stage.put(message('z', 'new\n\n'.repeat(30)));
    await settled(stage);
    assert.equal((await read.boundingBox())?.y, place);
    await stage.button('Go to the end').click();
    assert.ok((await fromEnd()) < 48);
  });

  onPage(
    'asks for what is earlier when one comes near the beginning, and stays there',
    async (stage) => {
      await stage.tell({ type: 'reset', session: 's', cells: manyMessages(60), earlier: true });
      assert.deepEqual(await stage.posted('earlier'), []);
      await stage.log.press('Home');
      await stage.saying('earlier');
      const shown = stage.log.getByText('Message 6', { exact: true });
      await settled(stage);
      const before = (await shown.last().boundingBox())?.y ?? 0;
      const old = manyMessages(40).map((cell) => ({ ...cell, id: `old${cell.id}` }));
      await stage.tell({ type: 'earlier', cells: old, earlier: false });
      await settled(stage);
      const after = (await shown.last().boundingBox())?.y ?? 0;
      assert.ok(Math.abs(after - before) < 60, `it was at ${before} and is at ${after}`);
      assert.equal(await stage.button('Show earlier').count(), 0);
      assert.equal((await stage.posted('earlier')).length, 1);
    },
  );

  onPage('goes from cell to cell with Alt and the arrows', async (stage) => {
    await stage.begin(CELLS);
    await stage.input.focus();
    await stage.page.keyboard.press('Alt+ArrowUp');
    const focused = () => stage.page.evaluate(() => document.activeElement?.textContent);
    assert.match((await focused()) ?? '', /make/);
    await stage.page.keyboard.press('Alt+ArrowUp');
    assert.match((await focused()) ?? '', /The key was refused/);
    await stage.page.keyboard.press('Escape');
    assert.equal(await stage.input.evaluate((input) => input === document.activeElement), true);
  });

  onPage('folds a command when it is done, unless the person has opened it', async (stage) => {
    const running: Cell = {
      kind: 'command',
      id: 'c',
      command: 'make',
      cwd: '/',
      output: '',
      state: 'running',
    };
    await stage.put(running, { ...running, id: 'd', command: 'ls' });
    await stage.tell({ type: 'changes', changes: [{ type: 'append', id: 'c', text: 'half ' }] });
    await stage.tell({ type: 'changes', changes: [{ type: 'append', id: 'c', text: 'done\n' }] });
    await stage.log.getByText('half done').waitFor();
    const list = stage.log.locator('summary', { hasText: 'ls' });
    await list.click();
    await list.click();
    const end = { state: 'done', exitCode: 0, output: 'half done\n' } as const;
    await stage.put({ ...running, ...end }, { ...running, ...end, id: 'd', command: 'ls' });
    assert.equal(
      await stage.log.locator('details', { hasText: 'make' }).getAttribute('open'),
      null,
    );
    assert.equal(await stage.log.locator('details', { hasText: 'ls' }).getAttribute('open'), '');
  });

  onPage('shows a long output in part, and asks for all of it', async (stage) => {
    await stage.begin(CELLS);
    await stage.log.locator('summary', { hasText: 'seq 10000' }).click();
    await stage.button('Show all (9,995 more lines)').click();
    assert.equal((await stage.saying('full')).id, '5');
  });

  onPage('offers to send again, to copy, and to open what is linked', async (stage) => {
    await stage.begin(CELLS);
    await stage.button('Retry').click();
    assert.equal((await stage.saying('retry')).id, '12');
    await stage.log.getByRole('link', { name: 'here' }).click();
    assert.equal((await stage.saying('openLink')).href, 'basket.py:3');
    await stage.button('Copy code').first().click();
    assert.match((await stage.saying('copy')).text, /^from decimal import Decimal\n/);
    await stage.button('src/test_basket.py:3-7').click();
    assert.deepEqual(await stage.saying('openFile'), {
      type: 'openFile',
      path: 'src/test_basket.py',
      line: 3,
    });
    await stage.log.locator('.user').hover();
    await stage.log.locator('.user').getByRole('button', { name: 'Copy' }).click();
    assert.equal((await stage.saying('copyCell')).id, '1');
  });

  onPage('shows what the model writes, and does nothing that it says', async (stage) => {
    const evil = [
      '<img src="http://evil.invalid/a" onerror="window.bad = 1"><script>window.bad = 2</script>',
      '[click](javascript:window.bad=3) ![shot](http://evil.invalid/b.png)',
      '[x](data:text/html,<script>window.bad=4</script>)',
      '```"><img src=x onerror=window.bad=5>\ncode\n```',
      '| a |\n|--:|\n| <b style="color:red">b</b> |',
    ].join('\n\n');
    const asked: string[] = [];
    stage.page.on('request', (request) => asked.push(request.url()));
    await stage.begin([
      message('m', evil),
      {
        kind: 'user',
        id: 'u',
        text: evil,
        attachments: [{ kind: 'image', label: 'i', url: 'http://evil.invalid/c' }],
      },
      { kind: 'notice', id: 'n', level: 'error', text: evil },
      { kind: 'command', id: 'c', command: evil, cwd: '/', output: evil, state: 'running' },
    ]);
    assert.equal(await stage.log.locator('img, script').count(), 0);
    const links = await stage.log
      .locator('a')
      .evaluateAll((all) => all.map((a) => a.getAttribute('href')));
    assert.deepEqual(
      links.filter((href) => /^(javascript|data):/i.test(href ?? '')),
      [],
    );
    assert.equal(await stage.page.evaluate(() => 'bad' in window), false);
    assert.deepEqual(asked, []);
  });

  onPage('ignores changes of cells that it does not have', async (stage) => {
    await stage.tell({
      type: 'changes',
      changes: [
        { type: 'append', id: 'nowhere', text: 'x' },
        { type: 'drop', id: 'nowhere' },
      ],
    });
    assert.equal((await stage.posted('applied')).length, 1);
  });

  onPage('takes a cell away, and greets where nothing is said', async (stage) => {
    await stage.page.getByText('Ask Codex').waitFor();
    await stage.put(message('a', 'voided'));
    assert.equal(await stage.page.getByRole('heading', { name: 'Ask Codex' }).isVisible(), false);
    await stage.tell({ type: 'changes', changes: [{ type: 'drop', id: 'a' }] });
    assert.equal(await stage.log.getByText('voided').count(), 0);
  });
});
