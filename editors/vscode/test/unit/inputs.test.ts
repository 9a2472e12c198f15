import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Inputs, type KeptInput } from '../../src/inputs';
import type { InputItem } from '../../src/protocol';

const input = (id: string, ...items: InputItem[]): KeptInput => ({ id, items });
const said = (text: string): InputItem => ({ type: 'text', text });
const ids = (inputs: readonly KeptInput[]): string[] => inputs.map(({ id }) => id);

/** As `session/read` has a message of the person. */
const recorded = (...texts: string[]) => ({
  type: 'message',
  role: 'user',
  content: texts.map((text) => ({ type: 'input_text', text })),
});

test('an input is kept until it is saved', () => {
  const inputs = new Inputs();
  inputs.keep(input('a', said('one')));
  inputs.keep(input('b', said('two')));
  inputs.saved('a');
  assert.deepEqual(ids(inputs.waiting), ['b']);
});

test('what is not in the file after a crash is sent again', () => {
  const inputs = new Inputs();
  inputs.keep(input('a', said('one')));
  inputs.keep(input('b', said('two')));
  inputs.saved('a');
  const { again, back } = inputs.reopened([recorded('one')]);
  assert.deepEqual(ids(again), ['b']);
  assert.deepEqual(back, []);
});

test('what was saved without our having heard of it is not sent again', () => {
  const inputs = new Inputs();
  inputs.keep(input('a', said('one')));
  inputs.keep(input('b', said('two')));
  const { again } = inputs.reopened([recorded('one'), { type: 'message', role: 'assistant' }]);
  assert.deepEqual(ids(again), ['b']);
});

test('the same words said twice are told apart by how often they were saved', () => {
  const inputs = new Inputs();
  inputs.keep(input('a', said('go on')));
  inputs.saved('a');
  inputs.keep(input('b', said('go on')));
  assert.deepEqual(ids(inputs.reopened([recorded('go on')]).again), ['b']);
});

test('an input with a file is known by its words and by how many parts it has', () => {
  const inputs = new Inputs();
  const file: InputItem = { type: 'mention', path: 'a.txt' };
  inputs.keep(input('a', file, said('look')));
  inputs.keep(input('b', said('look')));
  const { again } = inputs.reopened([recorded('<file path="a.txt">\nx\n</file>', 'look')]);
  assert.deepEqual(ids(again), ['b']);
});

test('what is in line at two crashes is given back instead of sent a third time', () => {
  const inputs = new Inputs();
  inputs.keep(input('a', said('one')));
  assert.deepEqual(ids(inputs.reopened([]).again), ['a']);
  inputs.keep(input('b', said('two')));
  const { again, back } = inputs.reopened([]);
  assert.deepEqual(ids(back), ['a']);
  assert.deepEqual(ids(again), ['b']);
  assert.deepEqual(ids(inputs.waiting), ['b']);
});

test('what another window needs to know is enough to find out what was saved', () => {
  const inputs = new Inputs();
  inputs.keep(input('a', said('one')));
  inputs.saved('a');
  inputs.keep(input('b', said('two')));
  inputs.keep(input('c', said('three')));
  const later = new Inputs(JSON.parse(JSON.stringify(inputs.unsaved)) as typeof inputs.unsaved);
  assert.deepEqual(ids(later.reopened([recorded('one'), recorded('two')]).again), ['c']);
});
