// Where a link in what the model has written leads: only to pages of the web and to files.

import { isAbsolute, join } from 'node:path';

export type Target =
  | { readonly kind: 'web'; readonly url: string }
  | { readonly kind: 'file'; readonly path: string; readonly line: number };

/** `src/a.ts:12`, `a.ts#L12`, `file:///…`; anything with another scheme leads nowhere. */
export function targetOf(href: string, folder: string): Target | undefined {
  if (/^(https?|mailto):/i.test(href)) {
    return { kind: 'web', url: href };
  }
  const local = decoded(href.replace(/^file:\/\//i, ''));
  const [, path = '', line] = /^(.*?)(?:#L?(\d+).*|:(\d+)(?:[-:]\d+)?)?$/s.exec(local) ?? [];
  const number = line ?? /:(\d+)(?:[-:]\d+)?$/.exec(local)?.[1];
  if (path === '' || /^[a-z][\w+.-]+:/i.test(path)) {
    return undefined;
  }
  return {
    kind: 'file',
    path: isAbsolute(path) ? path : join(folder, path),
    line: number === undefined ? 1 : Number(number),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
