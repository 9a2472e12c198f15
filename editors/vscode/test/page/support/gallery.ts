// A conversation with everything in it.

import type { Cell } from '../../../src/cells';
import type { Chip, ViewState } from '../../../src/webviewProtocol';
import { IDLE } from './stage';

const PIXEL =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

const MARKDOWN = `Two things are wrong in \`basket.py\`:

1. The loop **leaves out the first price**, because it begins at \`prices[1:]\`.
2. The discount is in percent. See [the docs](https://docs.python.org/3/) and [here](basket.py:3).

\`\`\`python
from decimal import Decimal

class Basket:
    """What it costs."""
    def total(self, prices: list[Decimal]) -> Decimal:
        return sum(prices, Decimal(0)) * 3  # all of them
\`\`\`

\`\`\`typescript
export const total = (prices: readonly number[]): string => \`\${prices.length}\`;
\`\`\`

| file | lines |
|:-----|------:|
| a.py | 12 |

> A note to be kept in mind.

### What next

- [ ] run the tests
`;

const DIFF = `@@ -1,4 +1,3 @@
 def total(prices):
-    cost = Decimal(0)
-    for price in prices[1:]:
+    return sum(prices, Decimal(0))
 
`;

export const CELLS: readonly Cell[] = [
  {
    kind: 'user',
    id: '1',
    text: 'The test of the basket fails.\nWhy?',
    attachments: [
      { kind: 'file', label: 'src/basket.py', path: 'src/basket.py' },
      { kind: 'selection', label: 'src/test_basket.py:3-7', path: 'src/test_basket.py', line: 3 },
      { kind: 'image', label: 'image', url: PIXEL },
    ],
  },
  { kind: 'reasoning', id: '2', text: '**Looking for the failure**\n\nThe test says.', done: true },
  {
    kind: 'plan',
    id: '3',
    steps: [
      { step: 'Run the test', status: 'completed' },
      { step: 'Find what is wrong', status: 'in_progress' },
      { step: 'Mend it', status: 'pending' },
    ],
    explanation: 'First the test.',
  },
  {
    kind: 'command',
    id: '4',
    command: 'python3 -m pytest -q tests/test_basket.py',
    cwd: '/home/me/shop',
    output: 'F\nAssertionError: a tenth off thirty\n1 failed in 0.12s\n',
    state: 'failed',
    exitCode: 1,
    seconds: 1.34,
  },
  {
    kind: 'command',
    id: '5',
    command: 'seq 10000',
    cwd: '/home/me/shop',
    output: '1\n2\n3\n9999\n10000\n',
    omitted: { at: 6, lines: 9995 },
    state: 'done',
    exitCode: 0,
    seconds: 0.2,
  },
  {
    kind: 'tool',
    id: '6',
    name: 'tickets.search',
    input: '{\n  "query": "basket"\n}',
    output: 'SHOP-12',
    state: 'done',
    seconds: 0.4,
  },
  { kind: 'message', id: '7', text: MARKDOWN, done: true },
  {
    kind: 'patch',
    id: '8',
    files: [
      { path: 'src/basket.py', verb: 'edit', added: 1, removed: 2, diff: DIFF },
      { path: 'src/old.py', verb: 'delete', added: 0, removed: 0, diff: '' },
    ],
    state: 'done',
  },
  {
    kind: 'patch',
    id: '9',
    files: [{ path: 'README.md', verb: 'add', added: 1, removed: 0, diff: '+# Shop' }],
    state: 'failed',
    problem: 'README.md is there already.',
  },
  { kind: 'notice', id: '10', level: 'warning', text: 'The server took too long. Trying again …' },
  {
    kind: 'notice',
    id: '11',
    level: 'info',
    text: 'The conversation so far was summarised.',
    detail: 'They asked **why**.',
  },
  {
    kind: 'notice',
    id: '12',
    level: 'error',
    text: 'The key was refused. Set OPENAI_API_KEY and try again.',
    retry: true,
  },
  {
    kind: 'command',
    id: '13',
    command: 'make',
    cwd: '/home/me/shop',
    output: 'compiling …\n',
    state: 'running',
  },
];

export const CHIPS: readonly Chip[] = [
  { id: '1', kind: 'file', label: 'src/basket.py', path: '/home/me/shop/src/basket.py' },
  { id: '2', kind: 'image', label: 'shot.png', url: PIXEL },
];

export const BUSY: ViewState = {
  ...IDLE,
  status: 'running',
  plan: [
    { step: 'Run the test', status: 'completed' },
    { step: 'Find what is wrong', status: 'in_progress' },
  ],
  queued: [{ id: 'q', text: 'And then run the linter, please' }],
  usage: { used: 12_345, window: 272_000, detail: '12,000 in, 345 out' },
  suggestion: 'src/basket.py:3-7',
};

export const ASKING: ViewState = {
  ...BUSY,
  status: 'waiting',
  banner: {
    level: 'warning',
    text: 'The server has ended unexpectedly. It is being started again.',
    actions: [{ label: 'Show log', command: 'codex-rpc.showLog' }],
  },
  cards: [
    {
      callId: 'c1',
      title: 'Run this command?',
      code: 'python3 -m pytest -q tests/test_basket.py',
      facts: [
        { name: 'In', value: '/home/me/shop' },
        { name: 'Runs', value: 'outside of the sandbox, with network' },
        { name: 'Why', value: 'the tests need the network' },
      ],
      files: [],
      answers: [
        { label: 'Allow once', answer: 'approved' },
        { label: 'Allow for session', answer: 'approved_for_session' },
        { label: 'Reject', answer: 'denied' },
        { label: 'Reject and stop', answer: 'abort' },
      ],
    },
    {
      callId: 'c2',
      title: 'May Codex change src/basket.py?',
      facts: [],
      files: [{ label: 'src/basket.py', added: 1, removed: 2 }],
      answers: [
        { label: 'Review changes', answer: 'review' },
        { label: 'Accept', answer: 'approved' },
        { label: 'Reject', answer: 'denied' },
        { label: 'Reject and stop', answer: 'abort' },
      ],
    },
  ],
};
