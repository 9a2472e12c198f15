// The chat view, as a person and a screen reader find things in it.

import type { FrameLocator, Locator, Page } from 'playwright-core';

export class Chat {
  constructor(private readonly page: Page) {}

  /** The page inside of the webview. */
  get frame(): FrameLocator {
    return this.page
      .locator('iframe.webview')
      .first()
      .contentFrame()
      .frameLocator('iframe#active-frame');
  }

  get input(): Locator {
    return this.frame.getByRole('textbox');
  }

  get log(): Locator {
    return this.frame.getByRole('log');
  }

  /** Whatever of the conversation has `text`. */
  saying(text: string | RegExp): Locator {
    return this.log.getByText(text).first();
  }

  button(name: string | RegExp): Locator {
    return this.frame.getByRole('button', { name });
  }

  /** Bring the view to the front, and wait until one can type. */
  async show(window: { command(title: string): Promise<void> }): Promise<void> {
    await window.command('Codex: Focus on Chat View');
    await this.input.waitFor();
  }

  /** Type a message and send it. */
  async send(message: string): Promise<void> {
    await this.input.click();
    await this.input.fill(message);
    await this.input.press('Enter');
  }
}
