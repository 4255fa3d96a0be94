// What a proof of work costs a slow phone: the pages' own wasm in Chromium, its processor slowed down
// through the developer tools. On the page's thread, for those slow down no other.
//   node web/tests/measure/work.mjs [difficulties] [slowdown] [puzzles]     e.g. 16,17,18 6 60
import { createServer } from 'node:http';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { openBrowser, root } from '../browser/chromium.mjs';

const [difficulties = '16,17,18', slowdown = '6', count = '60'] = process.argv.slice(2);
const TYPES = { js: 'text/javascript', wasm: 'application/wasm' };

/** A puzzle as `domain/src/challenge.rs` describes it; who only solves it needs no true signature. */
function puzzle(difficulty) {
  const payload = Buffer.concat([Buffer.from([difficulty]), Buffer.alloc(8), randomBytes(16)]);
  return `c1.k.${payload.toString('base64url')}.${randomBytes(32).toString('base64url')}`;
}

const server = createServer(async (request, response) => {
  if (request.url === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>-</title>');
  const bytes = await readFile(`${root}verify/build${request.url}`).catch(() => null);
  if (bytes === null) return response.writeHead(404).end();
  return response.writeHead(200, { 'content-type': TYPES[request.url.split('.').pop()] }).end(bytes);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const browser = await openBrowser();
try {
  const page = await browser.context.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.evaluate(async () => {
    const module = await import('/verify.js');
    await module.default({ module_or_path: '/verify_bg.wasm' });
    globalThis.Solving = module.Solving;
  });
  const session = await browser.context.newCDPSession(page);
  for (const rate of [1, Number(slowdown)]) {
    await session.send('Emulation.setCPUThrottlingRate', { rate });
    for (const difficulty of difficulties.split(',').map(Number)) {
      const runs = [];
      for (let run = 0; run < Number(count); run += 1) {
        runs.push(await page.evaluate((text) => {
          const solving = globalThis.Solving.of(text);
          const start = performance.now();
          while (solving.step(16_384) === undefined);
          return { ms: performance.now() - start, hashes: solving.hashes() };
        }, puzzle(difficulty)));
      }
      const times = runs.map(({ ms }) => ms).sort((a, b) => a - b);
      const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))].toFixed(0);
      const total = (key) => runs.reduce((sum, run) => sum + run[key], 0);
      console.log(`slowdown ${rate}, difficulty ${difficulty}: ${(total('hashes') / total('ms')).toFixed(0)} hashes/ms, `
        + `${(total('hashes') / runs.length).toFixed(0)} hashes each, median ${at(0.5)} ms, p95 ${at(0.95)} ms`);
    }
  }
} finally {
  await browser.close();
  server.close();
}
