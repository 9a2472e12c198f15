// What may happen to a conversation: the server is killed, the window is reloaded.

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { answer, heldText, shell, text } from './support/model';
import { scenario } from './support/scenario';

describe('a conversation goes on', () => {
  scenario(
    'when the server is killed in the middle of a turn',
    {
      model: [
        answer(text('The first answer.')),
        answer(heldText('never', 'Half of the second', ' answer')),
        answer(text('The third answer.')),
      ],
    },
    async ({ machine, window }) => {
      await window.chat.show(window);
      await window.chat.send('The first question');
      await window.chat.saying('The first answer.').waitFor();
      await window.chat.send('The second question');
      await window.chat.saying('Half of the second').waitFor();

      const [server, ...others] = machine.servers();
      assert.ok(server !== undefined);
      assert.deepEqual(others, []);
      process.kill(server, 'SIGKILL');
      // At once: the server is gone, and what is said meanwhile is not lost.
      await window.chat.send('The third question');
      await window.chat.saying('The session goes on.').waitFor();
      await window.chat.saying('The third answer.').waitFor();
      const after = machine.servers();
      assert.equal(after.length, 1);
      assert.notEqual(after[0], server);
      // The same session, with everything that was said, also for the model.
      assert.equal(machine.sessions().length, 1);
      const asked = machine.model.requests.at(-1) ?? '';
      for (const said of ['The first question', 'The first answer.', 'The second question']) {
        assert.ok(asked.includes(said), `the model was not told: ${said}`);
        await window.chat.saying(said).waitFor();
      }
    },
  );

  scenario(
    'when the window is reloaded, even with a question that waits',
    {
      model: [
        answer(text('The first answer.')),
        answer(shell(['touch', 'made.txt'])),
        answer(text('The last answer.')),
      ],
    },
    async ({ machine, window }) => {
      await window.chat.show(window);
      await window.chat.send('The first question');
      await window.chat.saying('The first answer.').waitFor();
      await window.chat.send('The second question');
      await window.notification('touch made.txt').waitFor();

      await window.reload();
      await window.chat.saying('The first answer.').waitFor();
      await window.chat.saying('The second question').waitFor();
      await window.chat.send('The third question');
      await window.chat.saying('The last answer.').waitFor();
      assert.equal(machine.sessions().length, 1);
      assert.equal(machine.has('made.txt'), false);
      assert.match(machine.model.requests.at(-1) ?? '', /The first answer\./);
    },
  );
});
