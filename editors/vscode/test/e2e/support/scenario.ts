// One scenario: a machine of its own and a window on it, and a picture of the window if it fails.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { Machine, type Wishes } from './machine';
import type { Tools } from './requirements';
import { launch, Workbench } from './workbench';

export interface Stage {
  readonly machine: Machine;
  readonly window: Workbench;
  readonly tools: Tools;
}

/** Longer than any scenario needs on a small machine that others use as well. */
const LIMIT_MS = 180_000;

const given = process.env['CODEX_E2E_TOOLS'];
const extensions = process.env['CODEX_E2E_EXTENSIONS'] ?? '';
let browser: Promise<Browser> | undefined;

after(async () => {
  await (await browser)?.close();
});

/** A test of `play` on a machine as `wishes` says. */
export function scenario(
  name: string,
  wishes: Wishes,
  play: (stage: Stage) => Promise<void>,
): void {
  const skip = given === undefined ? 'it is run by `npm run test:e2e`' : false;
  it(name, { skip, timeout: LIMIT_MS }, async () => {
    const tools = JSON.parse(given ?? '{}') as Tools;
    browser ??= launch(tools.chromium);
    const machine = await Machine.start(tools, extensions, wishes);
    let window: Workbench | undefined;
    let failed = true;
    try {
      await wishes.before?.(machine);
      window = await Workbench.open(await browser, machine.url, wishes.size);
      if (wishes.trusted ?? true) {
        await window.greeted();
      }
      await play({ machine, window, tools });
      failed = false;
    } finally {
      if (failed) {
        await keep(name, machine, window);
      }
      await window?.close();
      await machine.stop(failed);
    }
  });
}

/** What is needed to see why it failed. */
async function keep(name: string, machine: Machine, window?: Workbench): Promise<void> {
  const folder = process.env['CODEX_E2E_FAILURES'] ?? machine.home;
  mkdirSync(folder, { recursive: true });
  await window?.picture(folder, name.replace(/\W+/g, '-'));
  console.error(`${name}: see ${join(folder)}, and the logs in ${machine.home}`);
}
