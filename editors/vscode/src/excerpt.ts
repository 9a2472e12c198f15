// Long outputs as a view gets them: their beginning and their end, until all is asked for.

import type { Cell } from './cells';

/** An output up to this length is shown as a whole. */
export const MAX_SHOWN = 8_000;
const BEGINNING = 2_000;

/** The cell with as much of its output as is shown at first. */
export function excerptOf(cell: Cell): Cell {
  if ((cell.kind !== 'command' && cell.kind !== 'tool') || cell.output.length <= MAX_SHOWN) {
    return cell;
  }
  const { output } = cell;
  // What is cut in the middle of a line is cut there only if the line is very long.
  const head = upToLine(output.slice(0, BEGINNING));
  const tail = fromLine(output.slice(-(MAX_SHOWN - BEGINNING)));
  const left = output.slice(head.length, output.length - tail.length);
  const lines = left.split('\n').length - (left.endsWith('\n') ? 1 : 0);
  return { ...cell, output: head + tail, omitted: { at: head.length, lines } };
}

function upToLine(text: string): string {
  const end = text.lastIndexOf('\n');
  return end < text.length / 2 ? text : text.slice(0, end + 1);
}

function fromLine(text: string): string {
  const start = text.indexOf('\n');
  return start < 0 || start > text.length / 2 ? text : text.slice(start + 1);
}
