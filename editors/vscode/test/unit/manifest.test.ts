import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Commands, type Hands } from '../../src/commands';
import { FakeEditor } from './support/fakes';

const FOLDER = join(__dirname, '../..');

interface Manifest {
  readonly activationEvents: readonly string[];
  readonly extensionKind: readonly string[];
  readonly capabilities: { readonly untrustedWorkspaces: { readonly supported: unknown } };
  readonly contributes: {
    readonly commands: readonly { readonly command: string; readonly enablement?: string }[];
    readonly configuration: { readonly properties: Readonly<Record<string, Setting>> };
    readonly menus: Readonly<Record<string, readonly { readonly command?: string }[]>>;
    readonly views: Readonly<Record<string, readonly { id: string; when?: string }[]>>;
    readonly viewsWelcome: readonly { readonly contents: string }[];
    readonly walkthroughs: readonly {
      readonly steps: readonly {
        readonly description: string;
        readonly media: { readonly markdown: string };
      }[];
    }[];
  };
}

interface Setting {
  readonly description?: string;
  readonly markdownDescription?: string;
  readonly scope?: string;
}

const manifest = JSON.parse(readFileSync(join(FOLDER, 'package.json'), 'utf8')) as Manifest;
const { commands, configuration, menus, views, viewsWelcome, walkthroughs } = manifest.contributes;
const contributed = commands.map(({ command }) => command);

test('every command of the session and of the server is in the palette, and works', () => {
  const editor = new FakeEditor();
  const hands = { ui: editor.api, choices: {}, health: {}, log: {}, reporter: {}, server: {} };
  new Commands(hands as unknown as Hands);
  const missing = [...editor.registered.keys()].filter((name) => !contributed.includes(name));
  assert.deepEqual(missing, []);
  const others = /^codex-rpc\.(sessions|review|chat)\.|^codex-rpc\.(ask|explain|fix|add\w+)$/;
  const unknown = contributed.filter((name) => !others.test(name) && !editor.registered.has(name));
  assert.deepEqual(unknown, []);
});

test('menus, views and the walkthrough name only commands that there are', () => {
  const named = Object.values(menus)
    .flat()
    .flatMap(({ command }) => command ?? []);
  const texts = [
    ...viewsWelcome.map(({ contents }) => contents),
    ...walkthroughs.flatMap(({ steps }) => steps.map(({ description }) => description)),
  ];
  const linked = texts.flatMap((text) =>
    [...text.matchAll(/\(command:(codex-rpc[\w.-]+)/g)].map((match) => match[1] ?? ''),
  );
  const focus = Object.values(views)
    .flat()
    .map(({ id }) => `${id}.focus`);
  const unknown = [...named, ...linked].filter(
    (name) => ![...contributed, ...focus].includes(name),
  );
  assert.deepEqual(unknown, []);
});

test('the pages of the walkthrough are there', () => {
  for (const { steps } of walkthroughs) {
    for (const { media } of steps) {
      assert.ok(existsSync(join(FOLDER, media.markdown)), media.markdown);
    }
  }
});

test('every setting is described', () => {
  for (const [name, setting] of Object.entries(configuration.properties)) {
    assert.ok(setting.description ?? setting.markdownDescription, name);
  }
});

test('a workspace can neither choose what is started nor loosen what is allowed', () => {
  const own = [
    'approvalPolicy',
    'config',
    'environment',
    'installSource',
    'modelProvider',
    'path',
    'profile',
    'reviewPatches',
    'sandboxMode',
  ];
  for (const name of own) {
    assert.equal(configuration.properties[`codex-rpc.${name}`]?.scope, 'machine', name);
  }
});

test('without trust no command can be run, and one view says why', () => {
  const free = commands.filter(
    ({ enablement = '' }) => !/isWorkspaceTrusted|codex-rpc\.(session|review)/.test(enablement),
  );
  assert.deepEqual(free, []);
  const shown = Object.values(views)
    .flat()
    .filter(({ when }) => when !== '!codex-rpc.restricted');
  assert.deepEqual(shown, [
    { ...shown[0], id: 'codex-rpc.untrusted', when: 'codex-rpc.restricted' },
  ]);
});

test('it runs where the folder is', () => {
  assert.deepEqual(manifest.extensionKind, ['workspace']);
});
