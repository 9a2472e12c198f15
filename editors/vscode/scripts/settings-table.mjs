// Writes the table of settings in README.md from package.json; with --check only says whether it
// is current.

import { readFileSync, writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';

const README = new URL('../README.md', import.meta.url);
const { contributes } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url)));

const rows = Object.entries(contributes.configuration.properties).map(([name, setting]) => {
  const value = setting.default === '' ? '' : `\`${JSON.stringify(setting.default)}\``;
  const text = (setting.markdownDescription ?? setting.description).replaceAll('|', '\\|');
  return `| \`${name}\` | ${value} | ${text} |`;
});
const table = ['| setting | default | |', '|---|---|---|', ...rows].join('\n');

const before = readFileSync(README, 'utf8');
const after = before.replace(
  /(<!-- settings -->\n)[\s\S]*(<!-- \/settings -->)/,
  (_, begin, end) => `${begin}\n${table}\n\n${end}`,
);
const options = await resolveConfig(README);
const formatted = await format(after, { ...options, parser: 'markdown' });
if (!process.argv.includes('--check')) {
  writeFileSync(README, formatted);
} else if (formatted !== before) {
  console.error('The settings in README.md are not those of package.json: run `npm run protocol`.');
  process.exitCode = 1;
}
