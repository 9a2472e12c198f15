// For the browser: what draws markdown, to be tried on its own.

export { markdown } from '../../../src/webview/markdown';
export { MarkdownStream } from '../../../src/webview/markdownStream';
