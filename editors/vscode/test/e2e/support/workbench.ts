// VS Code as a person uses it: one page in a headless Chromium, led by keys and clicks.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type Browser, chromium, type Locator, type Page } from 'playwright-core';
import { Chat } from './chat';

const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
];
/** Of a wait for the workbench; machines that run this are small and shared. */
const LONG_MS = 60_000;
const USUAL_MS = 20_000;
const TRY_MS = 2000;
const POLL_MS = 50;

/** The browser that all scenarios share. */
export async function launch(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, headless: true, args: QUIET });
}

export class Workbench {
  readonly chat: Chat;

  private constructor(readonly page: Page) {
    this.chat = new Chat(page);
  }

  /** A new window with the workbench at `url`, loaded. */
  static async open(browser: Browser, url: string, size = { width: 1280, height: 800 }) {
    const context = await browser.newContext({ viewport: size });
    const page = await context.newPage();
    page.setDefaultTimeout(USUAL_MS);
    await page.goto(url);
    const workbench = new Workbench(page);
    await workbench.loaded();
    return workbench;
  }

  /** The walkthrough, which opens on the first run, is there; close it. */
  async greeted(): Promise<void> {
    await this.page.getByText('Get started with Codex').first().waitFor({ timeout: LONG_MS });
    await this.tab('Welcome').locator('.action-label').first().click();
    await this.tab('Welcome').waitFor({ state: 'detached' });
  }

  /** Reload the window, as "Developer: Reload Window" does. */
  async reload(): Promise<void> {
    await this.page.reload();
    await this.loaded();
  }

  private async loaded(): Promise<void> {
    await this.page.locator('.monaco-workbench .part.statusbar').waitFor({ timeout: LONG_MS });
  }

  /** Run a command from the palette, by its whole title. */
  async command(title: string): Promise<void> {
    await this.pick('F1', `>${title}`, title);
  }

  /**
   * Open the quick pick with `key`, and take the row with `name`. Tried again for a while: it lists
   * what there is when it opens, and closes when something else takes the focus, as views and
   * editors do that only just open.
   */
  private async pick(key: string, typed: string, name: string): Promise<void> {
    const row = this.quickRow(name).and(this.page.locator('.focused'));
    for (const end = Date.now() + USUAL_MS; ;) {
      try {
        await this.page.keyboard.press('Escape');
        await this.page.keyboard.press(key);
        await this.quickInput.fill(typed, { timeout: TRY_MS });
        await row.waitFor({ timeout: TRY_MS });
        // Not a click: while the list is still moving it does not take any.
        await this.page.keyboard.press('Enter');
        await row.waitFor({ state: 'hidden', timeout: TRY_MS });
        return;
      } catch (error) {
        if (Date.now() > end) {
          throw error;
        }
      }
    }
  }

  get quickInput(): Locator {
    return this.page.locator('.quick-input-widget input.input');
  }

  quickTitle(text: string): Locator {
    return this.page.locator('.quick-input-title', { hasText: text });
  }

  /** Rows of the quick pick that have `text`. */
  quickRow(text: string | RegExp): Locator {
    return this.page.locator('.quick-input-list .monaco-list-row', { hasText: text });
  }

  /** Answer an input box with `text`. */
  async fill(text: string): Promise<void> {
    await this.quickInput.waitFor();
    await this.quickInput.fill(text);
    await this.page.keyboard.press('Enter');
  }

  /** Open a file of the folder in an editor. */
  async openFile(name: string): Promise<void> {
    await this.pick('Control+p', name, name);
    await this.tab(name).waitFor();
  }

  /** A button in the title of the editor in front. */
  editorButton(name: string): Locator {
    return this.page.locator('.editor-actions').getByRole('button', { name });
  }

  get sideBar(): Locator {
    return this.page.locator('.part.sidebar');
  }

  tab(name: string | RegExp): Locator {
    return this.page.locator('.tabs-container .tab', { hasText: name });
  }

  /** A notification that is shown now. */
  notification(text: string | RegExp): Locator {
    return this.page.locator('.notification-toast', { hasText: text });
  }

  /** A modal dialog. */
  dialog(text: string | RegExp): Locator {
    return this.page.locator('.monaco-dialog-box', { hasText: text });
  }

  /** Choose an entry of the context menu of `place`. */
  async choose(place: Locator, name: string): Promise<void> {
    await place.click({ button: 'right' });
    const menu = this.page.locator('.monaco-menu');
    await menu.getByRole('menuitem', { name, exact: true }).hover();
    // Not a click: a menu that has only just opened does not take any, nor a key before it follows.
    await menu.locator('.action-item.focused', { hasText: name }).waitFor();
    await this.page.keyboard.press('Enter');
    await menu.waitFor({ state: 'detached' });
  }

  statusItem(text: string | RegExp): Locator {
    return this.page.locator('.statusbar-item', { hasText: text });
  }

  /** A line that an editor shows. */
  line(text: string | RegExp): Locator {
    return this.page.locator('.monaco-editor .view-line', { hasText: text });
  }

  /** Fold or unfold a view of the side bar. */
  async fold(view: string): Promise<void> {
    await this.sideBar
      .getByRole('button', { name: new RegExp(`^${view} `) })
      .first()
      .click();
  }

  /** A row of a tree in the side bar. */
  row(text: string | RegExp): Locator {
    return this.page.locator('.part.sidebar .monaco-list-row', { hasText: text });
  }

  /** Wait for something that is not in the window. */
  async until(holds: () => boolean, what: string): Promise<void> {
    const end = Date.now() + USUAL_MS;
    while (!holds()) {
      assert.ok(Date.now() < end, `it did not come to pass that ${what}`);
      await setTimeout(POLL_MS);
    }
  }

  /** Make the side bar so wide. */
  async widen(width: number): Promise<void> {
    const box = await this.boxOf(this.sideBar);
    const y = box.y + box.height / 2;
    await this.page.mouse.move(box.x + box.width + 2, y);
    await this.page.mouse.down();
    await this.page.mouse.move(box.x + width, y, { steps: 5 });
    await this.page.mouse.up();
  }

  /** A picture of the window, or of a part of it, into `folder`. */
  async picture(folder: string, name: string, part?: Locator, height?: number): Promise<void> {
    mkdirSync(folder, { recursive: true });
    const path = join(folder, `${name}.png`);
    const box = part && (await this.boxOf(part));
    const clip = box && { ...box, height: height ?? box.height };
    await this.page.screenshot({ path, ...(clip && { clip }) });
  }

  private async boxOf(
    part: Locator,
  ): Promise<NonNullable<Awaited<ReturnType<Locator['boundingBox']>>>> {
    const box = await part.boundingBox();
    assert.ok(box !== null, 'it is not on the screen');
    return box;
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }
}
