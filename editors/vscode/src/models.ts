// The models that a person may want, as far as they are known.

import type { Connection } from './connection';
import type { Editor } from './editor';
import { type Log, textOf } from './log';
import type { Session } from './session';

export interface Model {
  readonly name: string;
  /** Undefined: the one that is configured. */
  readonly provider: string | undefined;
}

interface Ui {
  readonly window: Pick<Editor['window'], 'showInputBox' | 'showQuickPick'>;
}

/** Sessions that are looked through for models. */
const RECENT = 50;

export class Models {
  constructor(
    private readonly ui: Ui,
    private readonly connection: Pick<Connection, 'request'>,
    /** Those that the server knows, by name. */
    private readonly providers: () => readonly string[],
    private readonly log: Log,
  ) {}

  /** The one in use, and those of the sessions of late; each once. */
  async known(session: Session | undefined): Promise<readonly Model[]> {
    const models = new Map<string, Model>();
    const add = (name: string, provider: string): void => {
      models.set(`${provider} ${name}`, { name, provider });
    };
    if (session !== undefined) {
      add(session.info.model, session.info.modelProvider);
    }
    try {
      const page = await this.connection.request('session/list', { limit: RECENT });
      for (const { model, modelProvider } of page.sessions) {
        if (model !== null && modelProvider !== null) {
          add(model, modelProvider);
        }
      }
    } catch (error) {
      this.log.warn(`The models of earlier sessions are not known: ${textOf(error)}`);
    }
    return [...models.values()];
  }

  /** One that the person names; undefined if they do not. */
  async another(providerNow: string | undefined): Promise<Model | undefined> {
    const title = 'Codex: Model';
    const providers = this.providers().map((name) => ({
      label: name,
      ...(name === providerNow && { description: 'in use' }),
    }));
    const provider =
      providers.length < 2
        ? { label: providerNow }
        : await this.ui.window.showQuickPick(providers, {
            title,
            placeHolder: 'Of which provider?',
          });
    if (provider === undefined) {
      return undefined;
    }
    const prompt = 'The name of the model, as its provider spells it';
    const name = (await this.ui.window.showInputBox({ title, prompt }))?.trim();
    return name ? { name, provider: provider.label } : undefined;
  }
}
