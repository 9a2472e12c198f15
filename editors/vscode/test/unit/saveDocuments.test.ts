import assert from 'node:assert/strict';
import { test } from 'node:test';
import { saveDocuments } from '../../src/saveDocuments';

interface Open {
  readonly uri: string;
  isDirty: boolean;
  readonly fails?: boolean;
}

/** An editor with `open` documents, whose person answers `answer`. */
function editor(open: Open[], answer?: string) {
  const asked: string[] = [];
  const textDocuments = open.map((document) => ({
    uri: { toString: () => document.uri },
    get isDirty() {
      return document.isDirty;
    },
    save: () => {
      document.isDirty = document.fails === true;
      return Promise.resolve(document.fails !== true);
    },
  }));
  const ui = {
    workspace: { textDocuments, asRelativePath: String },
    window: {
      showWarningMessage: (text: string) => {
        asked.push(text);
        return Promise.resolve(answer);
      },
    },
  };
  return { ui: ui as never, asked, open };
}

const both = () => [
  { uri: 'file:///a', isDirty: true },
  { uri: 'file:///b', isDirty: true },
];

test('only what is asked for is saved, and all of it is told', async () => {
  const { ui, open } = editor(both());
  const answer = await saveDocuments(ui, { uris: ['file:///a'], ask: false });
  assert.deepEqual(answer, { saved: ['file:///a'] });
  assert.deepEqual(
    open.map(({ isDirty }) => isDirty),
    [false, true],
  );
});

test('the person is asked first, with the names of the files', async () => {
  const { ui, asked } = editor(both(), 'Save');
  const uris = ['file:///a', 'file:///b'];
  assert.deepEqual(await saveDocuments(ui, { uris, ask: true }), { saved: uris });
  assert.match(asked[0] ?? '', /file:\/\/\/a, file:\/\/\/b first\?/);
});

test('who does not want it, or closes the question, has nothing saved', async () => {
  for (const answer of ['Do Not Save', undefined]) {
    const { ui, open } = editor(both(), answer);
    assert.deepEqual(await saveDocuments(ui, { uris: ['file:///a'], ask: true }), { saved: [] });
    assert.equal(open[0]?.isDirty, true);
  }
});

test('a file that cannot be saved is not said to be', async () => {
  const { ui } = editor([{ uri: 'file:///a', isDirty: true, fails: true }]);
  assert.deepEqual(await saveDocuments(ui, { uris: ['file:///a'], ask: false }), { saved: [] });
});

test('what has been saved meanwhile needs no question', async () => {
  const { ui, asked } = editor([{ uri: 'file:///a', isDirty: false }]);
  const answer = await saveDocuments(ui, { uris: ['file:///a', 'file:///gone'], ask: true });
  assert.deepEqual(answer, { saved: ['file:///a'] });
  assert.deepEqual(asked, []);
});

test('nonsense is answered with nothing', async () => {
  assert.deepEqual(await saveDocuments(editor(both()).ui, undefined), { saved: [] });
});
