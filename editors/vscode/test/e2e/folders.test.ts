// A window with several folders.

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { answer, shell, text } from './support/model';
import { scenario } from './support/scenario';

describe('in a window with several folders', () => {
  scenario(
    'a new session asks in which one it works, and works there',
    {
      files: { 'one/a.txt': 'a\n', 'two/b.txt': 'b\n' },
      folders: ['one', 'two'],
      model: [answer(shell(['ls'])), answer(text('There is one file.'))],
    },
    async ({ machine, window }) => {
      await window.chat.show(window);
      await window.command('Codex: New Session');
      await window.quickTitle('Codex: New Session').waitFor();
      await window.quickRow('two').waitFor();
      await window.fill('two');
      await window.quickTitle('Codex: New Session').waitFor({ state: 'hidden' });
      await window.chat.send('What is here?');
      await window.chat.saying('There is one file.').waitFor();
      assert.match(machine.model.requests.at(-1) ?? '', /b\.txt/);
      assert.doesNotMatch(machine.model.requests.at(-1) ?? '', /a\.txt/);
    },
  );
});
