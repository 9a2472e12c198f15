// Questions as cards in the chat view: all that a person needs to know, and what can be answered.

import { patchedFiles } from './cellParts';
import { commandLine, confinement, shown, summary } from './questions';
import type { Waiting } from './session';
import type { Card } from './webviewProtocol';

type Answers = Card['answers'];
type Facts = Card['facts'];

const ALLOWING: Answers = [
  { label: 'Allow once', answer: 'approved' },
  { label: 'Allow for session', answer: 'approved_for_session' },
  { label: 'Reject', answer: 'denied' },
  { label: 'Reject and stop', answer: 'abort' },
];
const REVIEWING: Answers = [
  { label: 'Review changes', answer: 'review' },
  { label: 'Accept', answer: 'approved' },
  { label: 'Reject', answer: 'denied' },
  { label: 'Reject and stop', answer: 'abort' },
];

/** The card of `question`; paths are relative to `folder`. */
export function cardOf(question: Waiting, folder: string): Card {
  const { call_id: callId, reason } = question;
  const why = reason === undefined ? [] : [{ name: 'Why', value: visible(reason) }];
  switch (question.type) {
    case 'exec_approval_request':
      return {
        callId,
        title: 'Run this command?',
        code: visible(commandLine(question.command)),
        facts: [
          { name: 'In', value: visible(shown(question.cwd, folder) || question.cwd) },
          { name: 'Runs', value: confinement(question) },
          ...why,
        ],
        files: [],
        answers: ALLOWING,
      };
    case 'mcp_tool_call_approval_request': {
      const { server, tool, arguments: given } = question.invocation;
      return {
        callId,
        title: `Call ${server}.${tool}?`,
        ...(given !== undefined && { code: visible(JSON.stringify(given, null, 2)) }),
        facts: why,
        files: [],
        answers: ALLOWING,
      };
    }
    case 'apply_patch_approval_request': {
      const files = patchedFiles(question.changes, folder).map(({ path, to, added, removed }) => ({
        label: visible(to === undefined ? path : `${path} → ${to}`),
        added,
        removed,
      }));
      const root = question.grant_root;
      const facts: Facts = [
        ...(root === undefined ? [] : [{ name: 'Below', value: visible(shown(root, folder)) }]),
        ...why,
      ];
      const title = `May Codex ${summary(question, folder)}?`;
      return { callId, title, facts, files, answers: REVIEWING };
    }
  }
}

/** `text` with what would not be seen, or would turn a line around, made visible. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) =>
    character === '\n' || character === '\t'
      ? character
      : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
