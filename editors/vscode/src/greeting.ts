// What a server says of itself in its answer to `initialize`.

import type { ServerInfo } from './link';

/** Reads the answer; what is not as it should be is left out. */
export function infoOf(result: unknown): ServerInfo {
  const version = at(result, 'serverInfo', 'version');
  const codex = at(result, 'capabilities', 'experimental', 'codex');
  const [protocolVersion, providers] = [at(codex, 'protocolVersion'), at(codex, 'providers')];
  return {
    version: typeof version === 'string' ? version : 'of unknown version',
    protocolVersion: typeof protocolVersion === 'number' ? protocolVersion : undefined,
    providers: Array.isArray(providers) ? providers.map(String) : [],
  };
}

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === 'object' && inner !== null
        ? (inner as Record<string, unknown>)[key]
        : undefined,
    value,
  );
}
