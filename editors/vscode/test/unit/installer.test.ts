import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Installer, NotInstalled, type Run } from '../../src/installer';
import { Lines } from './support/bench';

const STORAGE = '/store/my folder';

/** An installer on a machine where `run` runs programs; what was run is in `ran`. */
function installer(run: Run, preferred?: string) {
  const ran: string[] = [];
  const log = new Lines();
  const noted: Run = (program, args, onLine, signal) => {
    ran.push([program, ...args].join(' '));
    return run(program, args, onLine, signal);
  };
  const asked = (): Promise<string | undefined> => Promise.resolve(preferred);
  const made = new Installer(STORAGE, () => 'codex-rpc', asked, log, noted, 'linux');
  return { made, ran, log };
}

const still = { signal: new AbortController().signal, report: () => undefined };
const works: Run = () => Promise.resolve();

test('it makes an environment with the chosen Python and installs into it', async () => {
  const { made, ran } = installer(works, '/usr/bin/python3.13');
  await made.install(still);
  assert.match(ran[0] ?? '', /^\/usr\/bin\/python3\.13 -c /);
  assert.deepEqual(ran.slice(1), [
    `/usr/bin/python3.13 -m venv ${STORAGE}/venv`,
    `${STORAGE}/venv/bin/python -m pip install --upgrade --disable-pip-version-check codex-rpc`,
  ]);
  assert.equal(made.programs, `${STORAGE}/venv/bin`);
});

test('a Python that is too old is passed over', async () => {
  const { made, ran } = installer((program, args) =>
    program === 'python3' && args[0] === '-c'
      ? Promise.reject(new Error('1'))
      : works('', [], () => undefined, still.signal),
  );
  await made.install(still);
  assert.ok(ran.includes(`python3.14 -m venv ${STORAGE}/venv`));
});

test('without a Python it says which is needed', async () => {
  const { made } = installer(() => Promise.reject(new Error('ENOENT')));
  await assert.rejects(made.install(still), (error) => {
    assert.ok(error instanceof NotInstalled);
    assert.match(error.message, /Python 3\.11 or newer/);
    return true;
  });
});

test('a failure is told in the words of pip, and the log has all of them', async () => {
  const { made, log } = installer((_, args, onLine) => {
    if (args[1] !== 'pip') {
      return Promise.resolve();
    }
    onLine('Collecting codex-rpc');
    onLine('ERROR: No matching distribution found for codex-rpc');
    onLine('');
    return Promise.reject(new Error('Command failed'));
  });
  await assert.rejects(made.install(still), /failed: ERROR: No matching distribution/);
  assert.ok(log.lines.includes('info: Collecting codex-rpc'));
});

test('a person who cancels is not told of a failure', async () => {
  const controller = new AbortController();
  const { made } = installer((_, args) => {
    if (args[1] === 'venv') {
      controller.abort();
      return Promise.reject(new Error('killed'));
    }
    return Promise.resolve();
  });
  const cancelled = { signal: controller.signal, report: () => undefined };
  await assert.rejects(made.install(cancelled), { name: 'AbortError' });
});

test('the command to type does the same, with the folder quoted', () => {
  const { made } = installer(works);
  assert.equal(
    made.command(),
    `python3 -m venv "${STORAGE}/venv" && "${STORAGE}/venv/bin/pip" install --upgrade codex-rpc`,
  );
});

test('programs are really run, and their lines heard', async (t) => {
  const storage = mkdtempSync(join(tmpdir(), 'codex-install-'));
  t.after(() => rmSync(storage, { recursive: true }));
  const log = new Lines();
  const nowhere = join(storage, 'no such project');
  const none = (): Promise<undefined> => Promise.resolve(undefined);
  const made = new Installer(storage, () => nowhere, none, log);
  await assert.rejects(made.install(still), NotInstalled);
  assert.ok(log.lines.some((line) => line.includes('no such project')));
});
