// Bundles the extension and the page of the chat view into dist/.

import { build, context } from 'esbuild';
import { existsSync } from 'node:fs';

const production = process.argv.includes('--production');
const watch = process.argv.includes('--watch');

const shared = {
  bundle: true,
  minify: production,
  sourcemap: production ? false : 'linked',
  legalComments: 'none',
  logLevel: 'info',
};

const extension = {
  ...shared,
  entryPoints: ['src/main.ts'],
  outfile: 'dist/main.js',
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  external: ['vscode'],
};

const page = {
  ...shared,
  entryPoints: ['src/webview/main.ts'],
  outfile: 'dist/webview.js',
  platform: 'browser',
  format: 'iife',
  target: 'es2022',
};

const bundles = [extension, page].filter((bundle) => existsSync(bundle.entryPoints[0]));
if (watch) {
  for (const bundle of bundles) {
    await (await context(bundle)).watch();
  }
} else {
  await Promise.all(bundles.map((bundle) => build(bundle)));
}
