// Cells as text for the clipboard.

import type { Cell } from './cells';

/** What a person wants who copies the cell; nothing, if there is none. */
export function copyOf(cell: Cell | undefined): string {
  if (cell === undefined) {
    return '';
  }
  switch (cell.kind) {
    case 'command':
      return `$ ${cell.command}\n${cell.output}`;
    case 'tool':
      return `${cell.name} ${cell.input}\n${cell.output}`;
    case 'patch':
      return cell.files
        .map(({ path, to, diff }) => `--- ${path}\n+++ ${to ?? path}\n${diff.replace(/\n$/, '')}\n`)
        .join('');
    case 'plan':
      return cell.steps
        .map(({ step, status }) => `- [${status === 'completed' ? 'x' : ' '}] ${step}\n`)
        .join('');
    default:
      return cell.text;
  }
}
