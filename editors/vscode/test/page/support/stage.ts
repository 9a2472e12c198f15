// The page of the chat view in a Chromium of its own, with the colours of a theme of VS Code, and
// with this test in the place of the extension.

import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { buildSync } from 'esbuild';
import { type Browser, chromium, type Locator, type Page } from 'playwright-core';
import type { Cell } from '../../../src/cells';
import { pageHtml } from '../../../src/chatPage';
import type { FromPage, ToPage, ViewState } from '../../../src/webviewProtocol';
import themes from './themes.json';

export type Theme = keyof typeof themes;
export const THEMES = Object.keys(themes) as Theme[];

const ORIGIN = 'http://page.invalid';
const PACKAGE = join(__dirname, '../../..');

export const IDLE: ViewState = {
  status: 'idle',
  enabled: true,
  model: 'gpt-5',
  policy: 'writes in the workspace, asks to leave the sandbox',
  cards: [],
  queued: [],
};

/** A browser on this machine; undefined if there is none. */
function browserPath(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const paths = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  return process.env['CHROMIUM'] ?? paths.find((path) => existsSync(path));
}

const path = browserPath();

/** Why the tests are skipped; with CODEX_E2E=required they fail instead. */
export const skip =
  path === undefined &&
  process.env['CODEX_E2E'] !== 'required' &&
  'there is no Chromium (apt-get install chromium, or set CHROMIUM)';

export async function openBrowser(): Promise<Browser> {
  const executablePath = path ?? 'chromium';
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
}

/** A module of the page with what it needs, for a browser. */
export function bundled(entry: string, globalName?: string): string {
  const { outputFiles } = buildSync({
    entryPoints: [join(PACKAGE, entry)],
    bundle: true,
    write: false,
    format: 'iife',
    target: 'es2022',
    ...(globalName !== undefined && { globalName }),
  });
  return outputFiles[0]?.text ?? '';
}

const script = bundled('src/webview/main.ts');
const style = readFileSync(join(PACKAGE, 'media/chat.css'), 'utf8');

/** What runs in the page ahead of it: the editor's side. A text, for it is no module of ours. */
function editorSide(state: unknown): string {
  return `
    window.__name = (named) => named; // tsx marks functions with it
    window.posted = [];
    [window.kept] = ${JSON.stringify([state ?? {}])};
    window.acquireVsCodeApi = () => ({
      postMessage: (message) => { window.posted.push(message); },
      getState: () => window.kept,
      setState: (state) => { window.kept = state; },
    });`;
}

interface InPage {
  posted: FromPage[];
  kept: unknown;
}

export class Stage {
  /** What the browser complains about: what the policy forbids, and errors. */
  readonly complaints: string[] = [];

  private constructor(readonly page: Page) {
    page.on('console', (message) => {
      if (message.type() === 'error') {
        this.complaints.push(message.text());
      }
    });
    page.on('pageerror', (error) => this.complaints.push(error.message));
  }

  static async open(
    browser: Browser,
    theme: Theme = 'dark',
    size = { width: 340, height: 720 },
    state?: unknown,
  ): Promise<Stage> {
    const context = await browser.newContext({ viewport: size });
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    const stage = new Stage(page);
    await page.addInitScript(editorSide(state));
    await page.route(`${ORIGIN}/**`, (route) => {
      const html = pageHtml({ script: '/page.js', style: '/page.css', source: ORIGIN });
      const path = new URL(route.request().url()).pathname;
      const [body, contentType] =
        path === '/'
          ? [html, 'text/html']
          : path === '/page.js'
            ? [script, 'text/javascript']
            : path === '/page.css'
              ? [style, 'text/css']
              : ['', 'text/plain'];
      return route.fulfill({ body, contentType });
    });
    await page.goto(`${ORIGIN}/`);
    await page.evaluate((colours) => {
      for (const [name, value] of Object.entries(colours)) {
        document.documentElement.style.setProperty(name, value);
      }
    }, themes[theme]);
    return stage;
  }

  /** As the extension begins. */
  async begin(cells: readonly Cell[] = [], state: Partial<ViewState> = {}): Promise<void> {
    await this.tell(
      { type: 'reset', session: 's', cells, earlier: false },
      { type: 'state', state: { ...IDLE, ...state } },
    );
  }

  async tell(...messages: readonly ToPage[]): Promise<void> {
    await this.page.evaluate((all) => {
      for (const data of all) {
        window.dispatchEvent(new MessageEvent('message', { data }));
      }
      return new Promise((resolve) => requestAnimationFrame(resolve));
    }, messages);
  }

  /** Put a cell, as a change. */
  async put(...cells: readonly Cell[]): Promise<void> {
    const changes = cells.map((cell) => ({ type: 'put', cell }) as const);
    await this.tell({ type: 'changes', changes });
  }

  /** What the page has said of this kind so far. */
  async posted<T extends FromPage['type']>(type: T): Promise<Extract<FromPage, { type: T }>[]> {
    const all = await this.page.evaluate(() => (window as unknown as InPage).posted);
    return all.filter((each): each is Extract<FromPage, { type: T }> => each.type === type);
  }

  /** The first thing of this kind that the page says. */
  async saying<T extends FromPage['type']>(type: T): Promise<Extract<FromPage, { type: T }>> {
    await this.page.waitForFunction(
      (wanted) => (window as unknown as InPage).posted.some((each) => each.type === wanted),
      type,
    );
    const [first] = await this.posted(type);
    if (first === undefined) {
      throw new Error(`The page has not said ${type}.`);
    }
    return first;
  }

  /** What the editor would give the page when it is shown again. */
  async kept(): Promise<unknown> {
    return this.page.evaluate(() => (window as unknown as InPage).kept);
  }

  get input(): Locator {
    return this.page.getByRole('textbox');
  }

  get log(): Locator {
    return this.page.getByRole('log');
  }

  button(name: string | RegExp): Locator {
    return this.page.getByRole('button', { name });
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }
}
