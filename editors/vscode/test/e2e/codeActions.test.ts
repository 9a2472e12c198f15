// What can be asked about the text in an editor.

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { answer, text } from './support/model';
import { scenario } from './support/scenario';
import type { Workbench } from './support/workbench';

const PROGRAM = 'def add(a, b):\n    return a - b\n';

describe('about what is in the editor', () => {
  scenario(
    'codex explains the selection, as it is in the editor, in the chat view',
    { files: { 'sum.py': PROGRAM }, model: [answer(text('It subtracts.'))] },
    async ({ machine, window }) => {
      await window.openFile('sum.py');
      await window.line('return').click();
      await window.page.keyboard.press('End');
      await window.page.keyboard.type('  # unsaved');
      await window.page.keyboard.press('Shift+Home');
      await window.command('Codex: Explain Selection or File');
      await window.chat.saying('It subtracts.').waitFor();
      assert.match(machine.model.requests.at(-1) ?? '', /return a - b {2}# unsaved/);
    },
  );

  scenario(
    'codex asks what to ask, from the light bulb, and goes on in the same session',
    {
      files: { 'sum.py': PROGRAM },
      model: [answer(text('Hello.')), answer(text('Because of the minus.'))],
    },
    async ({ machine, window }) => {
      await window.chat.show(window);
      await window.chat.send('Hi');
      await window.chat.saying('Hello.').waitFor();
      await window.openFile('sum.py');
      await choose(window, 'return', 'Codex: Ask…');
      await window.fill('Why is it wrong?');
      await window.chat.saying('Because of the minus.').waitFor();
      assert.equal(machine.sessions().length, 1);
      assert.match(machine.model.requests.at(-1) ?? '', /Why is it wrong\?/);
    },
  );
});

/** Select a line and take an offer of its light bulb, whose menu closes when anything else moves. */
async function choose(window: Workbench, line: string, title: string): Promise<void> {
  const offer = window.page.locator('.action-widget').getByText(title);
  for (let attempt = 1; ; attempt += 1) {
    await window.line(line).click();
    await window.page.keyboard.press('Shift+Home');
    await window.page.keyboard.press('Control+.');
    try {
      await offer.click({ timeout: 10_000 });
      return;
    } catch (error) {
      if (attempt === 3) {
        throw error;
      }
    }
  }
}
