// A client made with the TypeScript SDK: node driver.mjs MODULE CWD COMMAND ARGS...
// Prints one JSON object: what it saw.
import { spawn } from 'node:child_process';
import { Readable, Writable } from 'node:stream';

const [module, cwd, command, ...args] = process.argv.slice(2);
const acp = await import(module);
const agent = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
const stream = acp.ndJsonStream(Writable.toWeb(agent.stdin), Readable.toWeb(agent.stdout));

const seen = { updates: [], asked: [], answers: ['allow_once', 'reject_once'] };
const app = acp
  .client()
  .onRequest('session/request_permission', ({ params }) => {
    seen.asked.push(params);
    return { outcome: { outcome: 'selected', optionId: seen.answers.shift() } };
  })
  .onNotification('session/update', ({ params }) => {
    seen.updates.push(params.update);
  });

await app.connectWith(stream, async (cx) => {
  seen.initialized = await cx.request('initialize', {
    protocolVersion: acp.PROTOCOL_VERSION,
    clientCapabilities: {},
  });
  const prompt = (sessionId, text) =>
    cx.request('session/prompt', { sessionId, prompt: [{ type: 'text', text }] });
  const { sessionId } = await cx.request('session/new', { cwd, mcpServers: [] });
  seen.first = await prompt(sessionId, 'make two');
  const running = prompt(sessionId, 'sleep');
  while (!seen.updates.some((u) => u.content?.text === 'Sleeping.')) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await cx.notify('session/cancel', { sessionId });
  seen.second = await running;
  seen.live = seen.updates.length;
  await cx.request('session/close', { sessionId });
  seen.listed = await cx.request('session/list', { cwd });
  await cx.request('session/load', { sessionId, cwd, mcpServers: [] });
  try {
    await cx.request('session/load', { sessionId: 'nobody', cwd, mcpServers: [] });
  } catch (error) {
    seen.refused = { code: error.code, message: error.message };
  }
  await cx.request('session/close', { sessionId });
  await cx.request('session/delete', { sessionId });
  seen.afterwards = await cx.request('session/list', { cwd });
});
agent.stdin.end();
await new Promise((resolve) => agent.on('exit', resolve));
seen.exitCode = agent.exitCode;
console.log(JSON.stringify(seen));
