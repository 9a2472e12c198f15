// Where nothing can run, or may.

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { scenario } from './support/scenario';

describe('before anything runs', () => {
  scenario(
    'a machine without codex-rpc is offered to have it installed',
    { model: [], withServer: false },
    async ({ machine, window }) => {
      await window.chat.show(window);
      await window.chat.button('Install').waitFor();
      await window.chat.button('Show the command').click();
      await window.page.getByText('pip install').first().waitFor();
      assert.deepEqual(machine.servers(), []);
    },
  );

  scenario(
    'a workspace that is not trusted runs nothing, until it is trusted',
    { model: [], trusted: false },
    async ({ machine, window }) => {
      await window.command('View: Show Codex');
      await window.sideBar.getByText('trust this workspace').waitFor();
      assert.deepEqual(machine.servers(), []);

      await window.command('Workspaces: Manage Workspace Trust');
      await window.page.getByRole('button', { name: 'Trust', exact: true }).first().click();
      await window.greeted();
      await window.chat.input.waitFor();
      await window.until(() => machine.servers().length === 1, 'the server runs');
    },
  );
});
