// The page of the chat view: puts its parts together, and hands on what the extension says.

import type { ToPage } from '../webviewProtocol';
import { Announcer } from './announcer';
import { Composer } from './composer';
import { element, iconButton } from './dom';
import { Host } from './host';
import { greeting, LogView } from './logView';
import { Panels } from './panels';

const host = new Host();
const polite = element('div', { class: 'hidden-text', attributes: { role: 'status' } });
const urgent = element('div', { class: 'hidden-text', attributes: { role: 'alert' } });
const announcer = new Announcer(polite, urgent);

const list = element('div', { class: 'list' });
const log = element('div', {
  class: 'log',
  attributes: { role: 'log', 'aria-label': 'Conversation', 'aria-live': 'off', tabindex: '0' },
});
const hello = greeting();
log.append(hello, list);
const toEnd = iconButton('down', 'Go to the end', () => undefined);
toEnd.classList.add('to-end');
toEnd.hidden = true;

const view = new LogView(log, list, toEnd, { host, say: (text) => announcer.say(text) }, () =>
  host.post({ type: 'applied' }),
);
const panels = new Panels(host, announcer);
const composer = new Composer(host, () => view.end());
const middle = element('div', { class: 'middle' }, log, toEnd);
const heading = element('h1', { class: 'hidden-text' }, 'Codex');
const main = element('main', {}, heading, middle, panels.root, composer.root, panels.footer);
document.body.append(main, polite, urgent);

log.addEventListener('click', (event) => {
  const target = event.target instanceof Element ? event.target : undefined;
  const link = target?.closest('a[href]');
  const copy = target?.closest('.code-copy');
  if (link) {
    event.preventDefault();
    host.post({ type: 'openLink', href: link.getAttribute('href') ?? '' });
  } else if (copy) {
    const code = copy.closest('.code')?.querySelector('code')?.textContent ?? '';
    host.post({ type: 'copy', text: code });
    announcer.say('Copied');
  }
});

document.addEventListener('keydown', (event) => {
  const { key, altKey } = event;
  if (altKey && (key === 'ArrowUp' || key === 'ArrowDown')) {
    event.preventDefault();
    view.move(key === 'ArrowUp' ? -1 : 1);
  } else if (key === 'Escape' && log.contains(document.activeElement)) {
    composer.focus();
  }
});

function take(message: ToPage): void {
  switch (message.type) {
    case 'reset':
      view.reset(message.cells, message.earlier);
      break;
    case 'earlier':
      view.prepend(message.cells, message.earlier);
      break;
    case 'changes':
      view.apply(message.changes);
      break;
    case 'state':
      panels.show(message.state);
      composer.show(message.state);
      break;
    case 'chips':
      composer.showChips(message.chips);
      break;
    case 'files':
      composer.showFiles(message.query, message.files);
      break;
    case 'sent':
      composer.taken();
      break;
    case 'kept':
      composer.kept(message.text, message.problem);
      break;
    case 'compose':
      composer.compose(message.text);
      break;
    case 'focus':
      composer.focus();
      break;
  }
}

host.onMessage((message) => {
  take(message);
  if (message.type === 'changes') {
    requestAnimationFrame(() => {
      hello.hidden = !view.isEmpty;
    });
  } else {
    hello.hidden = !view.isEmpty;
  }
});
// Who comes here by key begins to write, unless something else has the focus.
function takeFocus(): void {
  if (document.activeElement === document.body) {
    composer.focus();
  }
}

window.addEventListener('focus', takeFocus);
if (document.hasFocus()) {
  takeFocus();
}
host.post({ type: 'ready' });
