// The HTML of the chat view's page.

import { randomBytes } from 'node:crypto';

/** Where the page has its parts from, and the source that they have in a policy. */
export interface PageParts {
  readonly script: string;
  readonly style: string;
  readonly source: string;
}

/** The page. It may load its own script and style and nothing else, from nowhere. */
export function pageHtml({ script, style, source }: PageParts): string {
  const nonce = randomBytes(16).toString('base64');
  const policy = [
    "default-src 'none'",
    'img-src data:',
    `style-src ${source}`,
    `script-src 'nonce-${nonce}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta http-equiv="Content-Security-Policy" content="${policy}" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <link rel="stylesheet" href="${style}" />
    <title>Codex</title>
  </head>
  <body>
    <script nonce="${nonce}" src="${script}"></script>
  </body>
</html>
`;
}
