// Writes dist/README.md: the README as it is packaged. The editor shows neither pictures that are files
// of an extension nor data, and there is no repository around an installed extension to link to.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

const HERE = new URL('../', import.meta.url);
const readme = readFileSync(new URL('README.md', HERE), 'utf8');
const packaged = readme
  .replace(/<picture>[^]*?<\/picture>\n\n?/g, '')
  .replace(/\[([^\]]+)\]\(\.\.\/[^)]*\)/g, '$1');
mkdirSync(new URL('dist/', HERE), { recursive: true });
writeFileSync(new URL('dist/README.md', HERE), packaged);
