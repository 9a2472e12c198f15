// What the page looks like, in every theme and width: nothing that a screen reader or weak eyes
// would stumble over, nothing that the policy forbids. With PICTURES=<folder> it is also drawn.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { AxeResults } from 'axe-core';
import type { Browser } from 'playwright-core';
import { ASKING, BUSY, CELLS, CHIPS } from './support/gallery';
import { IDLE, openBrowser, Stage, type Theme, THEMES, skip } from './support/stage';

const axe = readFileSync(createRequire(__filename).resolve('axe-core/axe.min.js'), 'utf8');
const SIZES = { narrow: { width: 240, height: 760 }, wide: { width: 760, height: 900 } };

describe('the page of the chat view', { skip }, () => {
  let browser: Browser;

  before(async () => {
    browser = await openBrowser();
  });

  after(async () => {
    await browser.close();
  });

  async function look(stage: Stage, name: string): Promise<string[]> {
    const folder = process.env['PICTURES'];
    if (folder !== undefined) {
      await stage.page.screenshot({ path: join(folder, `${name}.png`) });
    }
    await stage.page.evaluate(axe);
    const { violations } = await stage.page.evaluate<AxeResults>('axe.run(document)');
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${name}: ${id}: ${html} ${failureSummary ?? ''}`),
    );
  }

  async function everything(theme: Theme, width: keyof typeof SIZES): Promise<void> {
    const stage = await Stage.open(browser, theme, SIZES[width]);
    const name = `page-${theme}-${width}`;
    await stage.begin([], IDLE);
    const found = await look(stage, `${name}-empty`);
    await stage.begin(CELLS, BUSY);
    await stage.tell({ type: 'chips', chips: CHIPS });
    found.push(...(await look(stage, `${name}-busy`)));
    for (const fold of await stage.log.locator('summary').all()) {
      await fold.click();
    }
    await stage.log.evaluate((log) => {
      log.scrollTop = 0;
    });
    found.push(...(await look(stage, `${name}-open`)));
    await stage.input.fill('Look at @ba');
    const files = [
      { path: '/p/src/basket.py', name: 'basket.py', folder: 'src' },
      { path: '/p/base.py', name: 'base.py', folder: '' },
    ];
    await stage.tell({ type: 'files', query: 'ba', files });
    await stage.page.getByRole('listbox').waitFor();
    found.push(...(await look(stage, `${name}-files`)));
    await stage.tell({ type: 'state', state: ASKING });
    found.push(...(await look(stage, `${name}-asking`)));
    assert.deepEqual(found, []);
    assert.deepEqual(stage.complaints, []);
    const tooWide = await stage.page.evaluate(
      () => document.documentElement.scrollWidth > window.innerWidth,
    );
    assert.equal(tooWide, false);
    await stage.close();
  }

  for (const theme of THEMES) {
    for (const width of ['narrow', 'wide'] as const) {
      it(`can be used by everyone in ${theme}, ${width}`, () => everything(theme, width));
    }
  }
});
