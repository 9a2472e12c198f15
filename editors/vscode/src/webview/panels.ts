// What is between the conversation and the input: what is asked, what waits in line, the plan, how
// things stand.

import type { Banner, Card, ViewState } from '../webviewProtocol';
import type { Announcer } from './announcer';
import { button, element } from './dom';
import type { Host } from './host';
import { checklist, counts } from './workCells';

export class Panels {
  readonly root = element('div', { class: 'panels' });
  readonly footer = element('footer', { class: 'status' });
  private readonly banner = element('div', { class: 'banner' });
  private readonly cards = element('section', {
    class: 'cards',
    attributes: { 'aria-label': 'Codex asks' },
  });
  private readonly plan = element('details', { class: 'pinned-plan' });
  private readonly queue = element('section', {
    class: 'queue',
    attributes: { 'aria-label': 'In line' },
  });
  private readonly busy = element('div', { class: 'busy' }, 'Working');
  private shown: Partial<Record<string, string>> = {};
  private known = new Map<string, HTMLElement>();

  constructor(
    private readonly host: Host,
    private readonly announcer: Announcer,
  ) {
    this.root.append(this.busy, this.plan, this.banner, this.cards, this.queue);
  }

  show(state: ViewState): void {
    const { status } = state;
    this.busy.hidden = status !== 'running';
    this.showCards(state.cards);
    this.part('banner', state.banner, (banner) => {
      this.showBanner(banner);
    });
    this.part('queue', state.queued, () => {
      this.showQueue(state.queued);
    });
    // A question needs the room, and is of more weight.
    const plan = status === 'running' ? state.plan : undefined;
    this.part('plan', plan, () => {
      this.showPlan(plan);
    });
    this.part('footer', [state.model, state.policy, state.usage], () => {
      this.showFooter(state);
    });
  }

  /** Draw a part of the state only when it has changed. */
  private part<T>(name: string, value: T, draw: (value: T) => void): void {
    const text = JSON.stringify([value]);
    if (this.shown[name] !== text) {
      this.shown[name] = text;
      draw(value);
    }
  }

  private showBanner(banner: Banner | undefined): void {
    this.banner.hidden = banner === undefined;
    if (banner !== undefined) {
      const { level, text, actions } = banner;
      this.banner.className = `banner ${level}`;
      const buttons = actions.map(({ label, command }) =>
        button(label, () => this.host.post({ type: 'command', command }), 'button'),
      );
      this.banner.replaceChildren(element('p', {}, text), ...row(buttons));
      this.announcer.say(text);
    }
  }

  /** Cards that stay are left alone, for one of their buttons may have the focus. */
  private showCards(cards: readonly Card[]): void {
    const wanted = new Set(cards.map(({ callId }) => callId));
    for (const [callId, card] of this.known) {
      if (!wanted.has(callId)) {
        this.known.delete(callId);
        card.remove();
      }
    }
    for (const card of cards) {
      if (!this.known.has(card.callId)) {
        const made = this.card(card);
        this.known.set(card.callId, made);
        this.cards.append(made);
        this.announcer.alert(`${card.title} ${card.code ?? ''}`);
      }
    }
    this.cards.hidden = cards.length === 0;
  }

  private card({ callId, title, code, facts, files, answers }: Card): HTMLElement {
    const buttons = answers.map(({ label, answer }, at) =>
      button(
        label,
        () => this.host.post({ type: 'answer', callId, answer }),
        at === 0 ? 'button' : 'button secondary',
      ),
    );
    const told = facts.flatMap(({ name, value }) => [
      element('dt', {}, name),
      element('dd', {}, value),
    ]);
    const changed = files.map(({ label, added, removed }) =>
      element('li', {}, element('span', { class: 'path' }, label), counts(added, removed)),
    );
    return element(
      'div',
      { class: 'card', attributes: { role: 'group', 'aria-label': title } },
      element('p', { class: 'title' }, title),
      code === undefined ? undefined : codeOf(code),
      files.length === 0 ? undefined : element('ul', { class: 'files' }, ...changed),
      facts.length === 0 ? undefined : element('dl', {}, ...told),
      ...row(buttons),
    );
  }

  private showQueue(queued: ViewState['queued']): void {
    this.queue.hidden = queued.length === 0;
    this.queue.replaceChildren(
      element('p', { class: 'label' }, 'In line: Codex reads it before its next step'),
      ...queued.map(({ text }) => element('p', { class: 'queued' }, text)),
    );
  }

  private showPlan(plan: ViewState['plan']): void {
    this.plan.hidden = plan === undefined || plan.length === 0;
    if (plan !== undefined) {
      const done = plan.filter(({ status }) => status === 'completed').length;
      const now = plan.find(({ status }) => status === 'in_progress')?.step;
      const label = `Plan ${done}/${plan.length}${now === undefined ? '' : ` · ${now}`}`;
      this.plan.replaceChildren(element('summary', {}, label), checklist(plan));
    }
  }

  private showFooter({ model, policy, usage }: ViewState): void {
    const parts = [model, policy].filter((part) => part !== '');
    const told = parts.map((part) => element('span', {}, part));
    if (usage !== undefined) {
      const { used, window, detail } = usage;
      const share = window === undefined ? '' : ` of ${short(window)}`;
      const attributes = { title: detail };
      const shown = element(
        'span',
        { class: 'usage', attributes },
        `${short(used)}${share} tokens`,
      );
      if (window !== undefined) {
        const value = String(Math.min(used, window));
        const meter = { min: '0', max: String(window), value, 'aria-label': 'Context in use' };
        shown.prepend(element('meter', { attributes: meter }));
      }
      told.push(shown);
    }
    this.footer.replaceChildren(...told);
  }
}

/** Long commands scroll in their card, and can be read to their end by keys. */
function codeOf(code: string): HTMLElement {
  const attributes = { tabindex: '0', role: 'group', 'aria-label': 'What would be done' };
  return element('pre', { attributes }, code);
}

function row(buttons: readonly HTMLElement[]): HTMLElement[] {
  return buttons.length === 0 ? [] : [element('div', { class: 'row' }, ...buttons)];
}

/** "950", "12.3k", "1.2M". */
function short(count: number): string {
  if (count < 1_000) {
    return String(count);
  }
  const [value, unit] = count < 1_000_000 ? [count / 1_000, 'k'] : [count / 1_000_000, 'M'];
  return `${value < 100 ? value.toFixed(1).replace(/\.0$/, '') : Math.round(value)}${unit}`;
}
