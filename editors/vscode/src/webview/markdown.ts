// Markdown as HTML that is safe to show: what the model writes is shown, and does nothing.

import MarkdownIt from 'markdown-it';
import { highlighted } from './highlighting';

/** Lines of code that are laid out together. */
export const LINES = 100;

/** In the environment of a text that may go on: its code is not coloured yet. */
export const GROWING = { growing: true };

export const markdown = new MarkdownIt({ html: false, linkify: true, breaks: false });
// "main.py" is a file and no web site.
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false });

const { escapeHtml } = markdown.utils;
const { rules } = markdown.renderer;

rules['fence'] = (tokens, index, _options, env) => {
  const { content = '', info = '' } = tokens[index] ?? {};
  const language = /^[\w+#.-]*/.exec(info.trim())?.[0] ?? '';
  return codeBlock(content, language, env?.['growing'] === true);
};

rules['code_block'] = (tokens, index) => codeBlock(tokens[index]?.content ?? '', '', true);

// A picture from elsewhere would tell its server what is read here.
rules['image'] = (tokens, index) => {
  const { content = '', attrs } = tokens[index] ?? {};
  const source = String(attrs?.find(([name]) => name === 'src')?.[1] ?? '');
  const label = escapeHtml(content || source || 'image');
  return `<a href="${escapeHtml(source)}">${label}</a>`;
};

// A style in an attribute is not allowed in the page. Headings of all messages are below the page's
// own, for a message may begin with any.
markdown.core.ruler.push('page', ({ tokens }) => {
  for (const token of tokens) {
    if (token.type.startsWith('heading_')) {
      token.attrs = [['class', token.tag.replace('h', 'level-')]];
      token.tag = 'h2';
    }
    const style = token.attrGet('style');
    if (style !== null) {
      token.attrs = [['class', String(style).replace('text-align:', 'align-')]];
    }
  }
});

function codeBlock(code: string, language: string, plain: boolean): string {
  const html = plain ? undefined : highlighted(code, language);
  const name = escapeHtml(language);
  const label = name === '' ? 'Code' : `Code, ${name}`;
  return (
    `<div class="code"><div class="code-head"><span>${name}</span>` +
    '<button type="button" class="code-copy" aria-label="Copy code">Copy</button></div>' +
    `<pre tabindex="0" role="group" aria-label="${label}"><code>${html ?? inParts(code)}` +
    '</code></pre></div>\n'
  );
}

/** Long code in parts, so that what is out of sight need not be laid out. */
function inParts(code: string): string {
  const lines = code.split(/(?<=\n)/);
  if (lines.length <= LINES) {
    return escapeHtml(code);
  }
  const parts = Array.from({ length: Math.ceil(lines.length / LINES) }, (_, at) =>
    lines.slice(at * LINES, (at + 1) * LINES).join(''),
  );
  return parts.map((part) => `<span class="lines">${escapeHtml(part)}</span>`).join('');
}
