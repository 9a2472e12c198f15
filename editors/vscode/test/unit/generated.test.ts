import { test } from 'node:test';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const FOLDER = join(__dirname, '../..');

for (const script of ['protocol-types', 'settings-table']) {
  test(`what ${script}.mjs writes is current`, () => {
    const args = [join(FOLDER, 'scripts', `${script}.mjs`), '--check'];
    execFileSync(process.execPath, args, { cwd: FOLDER, stdio: ['ignore', 'inherit', 'pipe'] });
  });
}
