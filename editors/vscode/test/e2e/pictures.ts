// The pictures of the README: the chat, the review of a patch and the sessions, light and dark.
//
//     npm run test:e2e -- --pictures        writes them into images/

import { readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from 'node:test';
import type { Machine } from './support/machine';
import { answer, patch, plan, reasoning, shell, text } from './support/model';
import { scenario, type Stage } from './support/scenario';

const IMAGES = process.env['CODEX_E2E_PICTURES'] ?? join(__dirname, '../../images');

const BASKET = `"""What is in a basket, and what it costs."""

from decimal import Decimal


def total(prices: list[Decimal], discount: Decimal) -> Decimal:
    """The sum of all prices, less the discount in percent."""
    cost = Decimal(0)
    for price in prices[1:]:
        cost += price
    return cost * (1 - discount)
`;

const TESTS = `from decimal import Decimal
from basket import total

assert total([Decimal(10), Decimal(20)], Decimal(10)) == 27, "a tenth off thirty"
`;

const STEPS = {
  'Run the test': 'completed',
  'Find what is wrong': 'in_progress',
  'Mend it': 'pending',
};

const EARLIER = [
  ['Add type hints to the parser', 0],
  ['Why is the build slow on a cold cache?', 1],
  ['Write tests for the date helpers', 1],
  ['Explain how sessions are saved', 4],
  ['Rename Cart to Basket everywhere', 20],
] as const;

const CONVERSATION = [
  answer(
    reasoning('**Looking for the failure**\n\nThe test says what it expects; I run it first.'),
    plan(STEPS),
  ),
  answer(shell(['python3', 'test_basket.py'])),
  answer(
    text(
      'Two things are wrong in `basket.py`:\n\n',
      '1. The loop **leaves out the first price**, because it begins at `prices[1:]`.\n',
      '2. The discount is in percent, and is taken as a fraction:\n\n',
      '```python\nreturn cost * (1 - discount)  # 10 is 1000 %\n```\n\n',
      'I mend both.',
    ),
    patch(
      '*** Update File: basket.py',
      '@@',
      '-    cost = Decimal(0)',
      '-    for price in prices[1:]:',
      '-        cost += price',
      '-    return cost * (1 - discount)',
      '+    return sum(prices, Decimal(0)) * (100 - discount) / 100',
    ),
  ),
  answer(text('Both are mended, and the test passes.')),
];

/** Sessions as they would be after some weeks of use. */
async function withHistory(machine: Machine): Promise<void> {
  for (const [prompt, days] of EARLIER) {
    const before = new Set(machine.sessionFiles());
    await machine.codex('exec', prompt);
    const file = machine.sessionFiles().find((path) => !before.has(path));
    if (file !== undefined) {
      age(file, days);
    }
  }
}

function age(file: string, days: number): void {
  const then = new Date(Date.now() - (days * 24 + 1) * 3_600_000);
  const lines = readFileSync(file, 'utf8');
  const aged = lines.replace(/"timestamp":"[^"]*"/g, `"timestamp":"${then.toISOString()}"`);
  // Some are as if their editor had crashed: the end of the turn was not saved.
  const cut = days === 4 ? aged.replace(/[^\n]*\n$/, '') : aged;
  writeFileSync(file, cut);
  utimesSync(file, then, then);
}

async function take({ window }: Stage, theme: string): Promise<void> {
  await window.openFile('basket.py');
  await window.chat.show(window);
  await window.widen(430);
  await window.fold('Sessions');
  await window.chat.send('The test of the basket fails. Why?');
  await window.chat.button('Allow once').click();
  await window.notification('Codex wants to change basket.py').waitFor();
  await window.command('Notifications: Clear All Notifications');
  await window.chat.saying('I mend both.').waitFor();
  await window.picture(IMAGES, `chat-${theme}`, window.sideBar);

  await window.command('Codex: Review Proposed Changes');
  await window.line('sum').first().waitFor();
  await window.picture(IMAGES, `review-${theme}`);

  await window.editorButton('Accept All Changes').click();
  await window.chat.saying('Both are mended').waitFor();
  await window.fold('Sessions');
  await window.fold('Chat');
  await window.row('Rename Cart').waitFor();
  await window.row('Write tests').hover();
  await window.picture(IMAGES, `sessions-${theme}`, window.sideBar, 340);
}

describe('the pictures of the README', () => {
  for (const [theme, name] of [
    ['light', 'Default Light Modern'],
    ['dark', 'Default Dark Modern'],
  ] as const) {
    scenario(
      theme,
      {
        files: { 'basket.py': BASKET, 'test_basket.py': TESTS },
        settings: { 'workbench.colorTheme': name, 'window.commandCenter': false },
        size: { width: 1200, height: 760 },
        config: { sandbox_mode: 'workspace-write' },
        model: [...EARLIER.map(() => answer(text('Done.'))), ...CONVERSATION],
        before: withHistory,
      },
      (stage) => take(stage, theme),
    );
  }
});
