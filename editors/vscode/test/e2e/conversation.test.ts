// Conversations in the chat view: what is asked, what is edited, what is stopped.

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { answer, heldText, patch, plan, reasoning, shell, text } from './support/model';
import { scenario } from './support/scenario';

const NUMBERS = 'one\ntwo\nthree\n';
const EDIT = patch('*** Update File: numbers.txt', '@@', ' one', '-two', '+zwei', ' three');

describe('a conversation', () => {
  scenario(
    'asks before a command and before a patch, and edits the open file in one step to undo',
    {
      files: { 'numbers.txt': NUMBERS },
      model: [
        answer(
          reasoning('I should look first.'),
          text('I will ', '**make** a file.'),
          shell(['touch', 'made.txt']),
        ),
        answer(EDIT),
        answer(text('All done.')),
      ],
    },
    async ({ machine, window }) => {
      await window.openFile('numbers.txt');
      await window.line('three').click();
      await window.page.keyboard.press('Control+End');
      await window.page.keyboard.type('unsaved');

      await window.chat.show(window);
      await window.chat.send('Make a file and edit the numbers');
      await window.chat.log.locator('strong', { hasText: 'make' }).waitFor();
      const question = window.notification('Codex asks to run `touch made.txt`');
      await question.waitFor();
      assert.equal(machine.has('made.txt'), false);
      await question.getByRole('button', { name: 'Allow Once' }).click();
      const saving = window.notification('Save numbers.txt first?');
      await saving.getByRole('button', { name: 'Do Not Save' }).click();

      const proposal = window.notification('Codex wants to change numbers.txt');
      await proposal.getByRole('button', { name: 'Review Changes' }).click();
      await window.tab('Codex: Edit numbers.txt').waitFor();
      await window.line('zwei').waitFor();
      assert.equal(machine.has('made.txt'), true);
      await window.editorButton('Accept All Changes').click();

      await window.chat.saying('All done.').waitFor();
      await window.tab('Codex: Edit numbers.txt').waitFor({ state: 'detached' });
      // What was not saved is still there and still not saved: the buffer was edited.
      await window.openFile('numbers.txt');
      await window.line('zwei').waitFor();
      await window.line('unsaved').waitFor();
      assert.equal(machine.read('numbers.txt'), NUMBERS);

      await window.line('one').click();
      await window.page.keyboard.press('Control+z');
      await window.line('two').waitFor();
      await window.line('zwei').waitFor({ state: 'detached' });
      await window.line('unsaved').waitFor();
    },
  );

  scenario(
    'writes what the person has made of the patch',
    {
      files: { 'numbers.txt': NUMBERS },
      model: [answer(EDIT), answer(text('So be it.'))],
    },
    async ({ machine, window }) => {
      await window.chat.show(window);
      await window.chat.send('Edit the numbers');
      const proposal = window.notification('Codex wants to change numbers.txt');
      await proposal.getByRole('button', { name: 'Review Changes' }).click();
      await window.line('zwei').click();
      await window.page.keyboard.press('End');
      await window.page.keyboard.type(' and a half');
      await window.editorButton('Accept All Changes').click();
      await window.chat.saying('So be it.').waitFor();
      assert.equal(machine.read('numbers.txt'), 'one\nzwei and a half\nthree\n');
      // The model is told.
      assert.match(machine.model.requests.at(-1) ?? '', /the user changed what you proposed/);
    },
  );

  scenario(
    'leaves out what is rejected, file by file, and everything when all is rejected',
    {
      files: { 'a.txt': 'a\n', 'b.txt': 'b\n' },
      model: [
        answer(
          patch(
            ...['*** Update File: a.txt', '@@', '-a', '+first'],
            ...['*** Update File: b.txt', '@@', '-b', '+second'],
          ),
        ),
        answer(patch('*** Update File: a.txt', '@@', '-a', '+third')),
        answer(shell(['touch', 'unwanted.txt'])),
        answer(text('I understand.')),
      ],
    },
    async ({ machine, window }) => {
      await window.chat.show(window);
      await window.chat.send('Edit both');
      const both = window.notification('Codex wants to change a.txt, b.txt');
      await both.getByRole('button', { name: 'Review Changes' }).click();
      await window.tab('Codex: Edit a.txt (1 of 2)').waitFor();
      await window.editorButton('Reject This File and Go On').click();
      await window.tab('Codex: Edit b.txt (2 of 2)').waitFor();
      await window.line('second').waitFor();
      await window.editorButton('Accept This File and Go On').click();

      const again = window.notification(/Codex wants to change a\.txt\./);
      await again.waitFor();
      assert.deepEqual([machine.read('a.txt'), machine.read('b.txt')], ['a\n', 'second\n']);
      await again.getByRole('button', { name: 'Reject', exact: true }).click();

      const command = window.notification('touch unwanted.txt');
      await command.getByRole('button', { name: 'Reject', exact: true }).click();
      await window.chat.saying('I understand.').waitFor();
      assert.equal(machine.read('a.txt'), 'a\n');
      assert.equal(machine.has('unwanted.txt'), false);
    },
  );

  scenario(
    'is answered in the chat view as well, and only once',
    {
      model: [answer(shell(['touch', 'made.txt'])), answer(text('It is there now.'))],
    },
    async ({ machine, window }) => {
      await window.chat.show(window);
      await window.chat.send('Make a file');
      const question = window.notification('touch made.txt');
      await question.waitFor();
      await window.chat.button('Allow once').click();
      await window.chat.saying('It is there now.').waitFor();
      assert.equal(machine.has('made.txt'), true);
      // Much sooner than notifications go away by themselves.
      await question.waitFor({ state: 'detached', timeout: 5000 });
      await window.chat.send('And?');
      await window.chat.saying('There is nothing more in the script.').waitFor();
    },
  );

  scenario(
    'stops when it is told to, and goes on with the next message',
    {
      model: [
        answer(plan({ Look: 'completed', Write: 'in_progress' })),
        answer(heldText('never', 'A long story', ' that never ends')),
        answer(text('Gladly.')),
      ],
    },
    async ({ machine, window }) => {
      await window.chat.show(window);
      await window.chat.send('Tell me a story');
      await window.chat.saying('A long story').waitFor();
      await window.chat.button(/^Stop/).click();
      await window.chat.button(/^Stop/).waitFor({ state: 'detached' });
      await window.chat.send('Something else, please');
      await window.chat.saying('Gladly.').waitFor();
      const [session] = machine.sessions();
      assert.match(session ?? '', /Something else, please/);
    },
  );
});
