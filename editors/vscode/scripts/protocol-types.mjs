// Writes src/protocol.ts from `codex-rpc schema`; with --check only says whether it is current.
//
//     node scripts/protocol-types.mjs [--check]        CODEX_RPC=program, if it is not on the PATH

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';

const FILE = new URL('../src/protocol.ts', import.meta.url);
const program = process.env['CODEX_RPC'] ?? 'codex-rpc';
const schema = JSON.parse(
  execFileSync(program, ['schema'], { encoding: 'utf8', maxBuffer: 16 << 20 }),
);

/** What the schema cannot say. */
const OWN = {
  FileChange: "'delete' | { add: AddFile } | { update: UpdateFile }",
};

/** Names that mean something else in TypeScript. */
const RENAMED = { Error: 'ErrorMsg', Range: 'TextRange', Position: 'TextPosition' };

const nameOf = (name) => RENAMED[name] ?? name;

/** A type for the schema `node`. */
function typeOf(node) {
  if (node.$ref !== undefined) {
    return nameOf(node.$ref.split('/').at(-1));
  }
  if ('const' in node) {
    return JSON.stringify(node.const);
  }
  const either =
    node.enum?.map((value) => JSON.stringify(value)) ?? (node.oneOf ?? node.anyOf)?.map(typeOf);
  if (either !== undefined) {
    return either.join(' | ');
  }
  switch (node.type) {
    case 'object':
      return objectOf(node);
    case 'array':
      return `(${typeOf(node.items ?? {})})[]`;
    case 'integer':
    case 'number':
      return 'number';
    case 'string':
    case 'boolean':
    case 'null':
      return node.type;
    default:
      return 'unknown';
  }
}

function objectOf(node) {
  const members = Object.entries(node.properties ?? {});
  if (members.length === 0) {
    return node.additionalProperties
      ? `Record<string, ${typeOf(node.additionalProperties)}>`
      : 'Record<string, never>';
  }
  const required = new Set(node.required);
  const lines = members.map(
    ([name, value]) => `${JSON.stringify(name)}${required.has(name) ? '' : '?'}: ${typeOf(value)};`,
  );
  return `{ ${lines.join('\n')} }`;
}

function definition(name, node) {
  const doc = node.description === undefined ? '' : `/** ${node.description} */\n`;
  if (OWN[name] !== undefined) {
    return `export type ${name} = ${OWN[name]};`;
  }
  if (node.type === 'object' && Object.keys(node.properties ?? {}).length > 0) {
    return `${doc}export interface ${nameOf(name)} ${objectOf(node)}`;
  }
  return `${doc}export type ${nameOf(name)} = ${typeOf(node)};`;
}

const text = `// Generated from \`codex-rpc schema\` by scripts/protocol-types.mjs; not to be edited.

export const PROTOCOL_VERSION = ${schema.protocolVersion};

export const ErrorCode = ${JSON.stringify(schema.errorCodes)} as const;

/** Params and result of each request. */
export interface Methods {
${Object.entries(schema.methods)
  .map(
    ([name, { params, result }]) =>
      `${JSON.stringify(name)}: { params: ${typeOf(params)}; result: ${typeOf(result)} };`,
  )
  .join('\n')}
}

export type Method = keyof Methods;

${Object.entries(schema.$defs)
  .map(([name, node]) => definition(name, node))
  .join('\n\n')}
`;

const options = await resolveConfig(FILE);
const formatted = await format(text, { ...options, parser: 'typescript' });
if (!process.argv.includes('--check')) {
  writeFileSync(FILE, formatted);
} else if (readFileSync(FILE, 'utf8') !== formatted) {
  console.error('src/protocol.ts is not what `codex-rpc schema` says: run `npm run protocol`.');
  process.exitCode = 1;
}
