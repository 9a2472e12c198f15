// The tree of sessions, used with the mouse and with the palette.

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { answer, text } from './support/model';
import { scenario } from './support/scenario';

describe('the sessions tree', () => {
  scenario(
    'renames, searches, archives, exports and deletes sessions',
    {
      model: [answer(text('Kelp is an alga.')), answer(text('Granite is a rock.'))],
      before: async (machine) => {
        await machine.codex('exec', 'Tell me about kelp');
        await machine.codex('exec', 'Tell me about granite');
      },
    },
    async ({ machine, window }) => {
      await window.command('Codex: Focus on Sessions View');
      const [kelp, granite] = [window.row('Tell me about kelp'), window.row('granite')];
      await kelp.waitFor();
      await granite.waitFor();
      assert.equal(await window.row('Today').count(), 1);

      await window.choose(kelp, 'Rename Session…');
      await window.fill('Seaweed');
      await window.row('Seaweed').waitFor();

      await window.command('Codex: Search Sessions…');
      await window.quickInput.fill('alga');
      await granite.waitFor({ state: 'detached' });
      await window.page.keyboard.press('Enter');
      await window.row('Seaweed').waitFor();
      await window.command('Codex: Show All Sessions Again');
      await granite.waitFor();

      await window.choose(granite, 'Archive Session…');
      await granite.waitFor({ state: 'detached' });
      await window.command('Codex: Show Archived Sessions');
      await granite.waitFor();
      await window.choose(granite, 'Bring Back Archived Session…');
      await granite.waitFor({ state: 'detached' });
      await window.command('Codex: Leave the Archive');
      await granite.waitFor();

      await window.choose(window.row('Seaweed'), 'Export Session…');
      await window.quickRow('Markdown').click();
      await window.quickTitle('Export Session').waitFor();
      await window.quickRow('Seaweed.md').or(window.quickRow('..')).first().waitFor();
      await window.page.keyboard.press('Enter');
      await window.notification('was exported').waitFor();
      assert.match(machine.read('Seaweed.md'), /Kelp is an alga\./);

      await window.choose(window.row('Seaweed'), 'Delete Session…');
      await window.dialog('Delete “Seaweed”?').getByRole('button', { name: 'Delete' }).click();
      await window.row('Seaweed').waitFor({ state: 'detached' });
      assert.equal(machine.sessions().length, 1);
    },
  );

  scenario(
    'takes a session over that another process has, and goes on with it and with a fork',
    {
      model: [
        answer(text('Kelp is an alga.')),
        answer(text('Up to sixty metres.')),
        answer(text('In cold water.')),
      ],
      before: (machine) => machine.codex('exec', 'Tell me about kelp'),
    },
    async ({ machine, window }) => {
      const holder = await machine.holder();
      try {
        await window.command('Codex: Focus on Sessions View');
        await window.row('Tell me about kelp').click();
        const question = window.dialog('open in another process');
        await question.getByRole('button', { name: 'Take Over' }).click();
        await window.chat.saying('Kelp is an alga.').waitFor();
        await window.chat.send('How tall is it?');
        await window.chat.saying('Up to sixty metres.').waitFor();
        assert.equal(machine.sessions().length, 1);

        await window.choose(window.row('Tell me about kelp').first(), 'Fork Session…');
        // While the list is read anew VS Code does not say which session was meant: it is asked for.
        const asked = window.quickTitle('Codex: Fork Session').waitFor({ timeout: 3_000 });
        if (
          await asked.then(
            () => true,
            () => false,
          )
        ) {
          await window.page.keyboard.press('Enter');
        }
        await window.until(() => machine.sessions().length === 2, 'there is a second session');
        await window.chat.saying('Up to sixty metres.').waitFor();
        await window.chat.send('Where does it grow?');
        await window.chat.saying('In cold water.').waitFor();
        const [first, second] = machine.sessions();
        assert.doesNotMatch(first ?? '', /Where does it grow/);
        assert.match(second ?? '', /Tell me about kelp[^]*Where does it grow/);
      } finally {
        holder.kill();
      }
    },
  );
});
