// The waiting page on the real Worker in workerd, with a stub for the core: what rooms ask for.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { lanePass } from '../../../edge/tests/harness.mjs';
import { Siteverify, TESTING } from '../../../edge/tests/siteverify.mjs';
import { openBrowser } from './chromium.mjs';
import { fixture } from './fixture.mjs';

const siteverify = new Siteverify();
before(() => siteverify.listen());
after(() => siteverify.stop());
const it = fixture(() => ({
  CATRACA_TURNSTILE_URL: siteverify.url, CATRACA_TURNSTILE_SITE_KEY: TESTING.siteKey, CATRACA_TURNSTILE_SECRET: TESTING.passes,
}));

const joins = (seen) => seen.filter((request) => request.url().endsWith('/join'));

test('proof of work: the page solves it, shows how far it is, and joins', async () => {
  await it.edge.open('work', { control: 'paused', challenge: 'proof_of_work' });
  await it.page.addInitScript(() => {
    globalThis.seen = [];
    new MutationObserver(() => {
      const bar = document.getElementById('challenge-progress');
      if (bar?.checkVisibility()) globalThis.seen.push(bar.value);
    }).observe(document, { subtree: true, childList: true, attributes: true });
  });
  await it.page.goto(`${it.edge.url}/e/work`);
  await it.inState('waiting');
  await it.numbered();
  assert.equal(await it.page.isVisible('#challenge'), false, 'gone once it is solved');
  const seen = await it.page.evaluate(() => globalThis.seen);
  assert.ok(seen.length > 2 && seen.every((value, at) => at === 0 || value >= seen[at - 1]), `${seen}`);
  const [{ detail }] = await it.page.evaluate(() =>
    performance.getEntriesByName('proof of work').map((entry) => ({ detail: entry.detail })));
  assert.ok(detail.hashes > 1_000, `${detail.hashes} hashes`);
  // Who has a place is not asked again.
  const number = await it.page.innerText('#number');
  await it.page.reload();
  assert.equal(await it.numbered(), number);
  assert.equal(await it.page.evaluate(() => performance.getEntriesByName('proof of work').length), 0);
});

test('a refused solution is followed by another one, without a word from the visitor', async () => {
  await it.edge.open('again', { control: 'paused', challenge: 'proof_of_work' });
  let spoilt = 0;
  const sent = [];
  it.page.on('request', (request) => sent.push(request));
  await it.page.route('**/queue/v1/again/join', async (route) => {
    const body = route.request().postDataJSON();
    if (body.challenge === undefined || spoilt > 0) return route.continue();
    spoilt += 1;
    body.challenge.solution = 'A'.repeat(86);
    return route.continue({ postData: JSON.stringify(body) });
  });
  await it.page.goto(`${it.edge.url}/e/again`);
  await it.inState('waiting');
  assert.equal(spoilt, 1);
  assert.equal(joins(sent).length, 3, 'asked, refused, accepted');
});

test('a room that never accepts is asked a few times, then the visitor decides', async () => {
  await it.edge.open('never', { control: 'paused', challenge: 'proof_of_work' });
  const sent = [];
  it.page.on('request', (request) => sent.push(request));
  await it.page.route('**/queue/v1/never/join', (route) => {
    const body = route.request().postDataJSON();
    if (body.challenge !== undefined) body.challenge.solution = 'A'.repeat(86);
    return route.continue({ postData: JSON.stringify(body) });
  });
  await it.page.goto(`${it.edge.url}/e/never`);
  await it.page.waitForFunction(() => /did not succeed/.test(document.getElementById('new-lead').textContent));
  assert.equal(joins(sent).length, 6);
  await it.page.unroute('**/queue/v1/never/join');
  await it.page.click('#join');
  await it.inState('waiting');
});

test('in a tab in the background it goes on: no frame, no timer is waited for', async () => {
  await it.edge.open('behind', { control: 'paused', challenge: 'proof_of_work' });
  await it.page.addInitScript(() => {
    // What a hidden tab is like: frames never come, timers come late.
    Object.defineProperty(document, 'visibilityState', { get: () => 'hidden' });
    globalThis.requestAnimationFrame = () => 0;
    const { setTimeout: real } = globalThis;
    globalThis.setTimeout = (work, ms, ...rest) => real(work, (ms ?? 0) + 60_000, ...rest);
  });
  await it.page.goto(`${it.edge.url}/e/behind`);
  await it.inState('waiting');
});

test('a browser that cannot do the work is told so in plain words', async () => {
  await it.edge.open('old', { control: 'paused', challenge: 'proof_of_work' });
  await it.page.route('**/*.wasm', (route) => route.fulfill({ status: 200, contentType: 'application/wasm', body: 'none' }));
  await it.page.goto(`${it.edge.url}/e/old`);
  await it.page.waitForFunction(() => /WebAssembly/.test(document.getElementById('new-lead').textContent));
  await it.page.unroute('**/*.wasm');
  await it.page.addInitScript(() => {
    delete globalThis.Worker;
  });
  await it.page.reload();
  await it.page.waitForFunction(() => /WebAssembly/.test(document.getElementById('new-lead').textContent));
  assert.equal(await it.page.isVisible('#challenge'), false);
  assert.ok(await it.page.isVisible('#join'));
});

test('only the worker may run wasm, and only a Turnstile room may load Turnstile', async () => {
  await it.edge.open('plain', { control: 'paused' });
  await it.edge.open('turn', { control: 'paused', challenge: 'turnstile' });
  const policy = async (path) => (await it.edge.fetch(path)).headers.get('content-security-policy');
  assert.doesNotMatch(await policy('/e/plain'), /wasm-unsafe-eval|cloudflare/);
  assert.match(await policy('/e/plain'), /worker-src 'self';/);
  assert.match(await policy('/e/turn'), /script-src 'self' https:\/\/challenges\.cloudflare\.com;/);
  assert.match(await policy('/e/turn'), /frame-src https:\/\/challenges\.cloudflare\.com;/);
  const html = await (await it.edge.fetch('/e/plain')).text();
  const [, worker] = /data-worker="([^"]+)"/.exec(html);
  assert.equal(await policy(worker), "default-src 'none'; connect-src 'self'; script-src 'self' 'wasm-unsafe-eval'");
  assert.equal(await policy(/src="(\/assets\/waiting[^"]+)"/.exec(html)[1]), null);
});

test('Turnstile: its widget is loaded, and its word is what lets one join', async () => {
  const asked = [];
  await it.browser.context.route('https://challenges.cloudflare.com/**', (route) => {
    asked.push(route.request().url());
    // As the real script behaves with the site key that always passes; the first try has trouble.
    return route.fulfill({ contentType: 'text/javascript', body: `globalThis.turnstile = {
      render(element, options) {
        element.textContent = 'widget ' + options.sitekey;
        setTimeout(() => options['error-callback']('300030'), 50);
        setTimeout(() => options.callback('${TESTING.response}'), 100);
        return 'w1';
      },
      remove() { document.getElementById('widget').textContent = ''; },
    };` });
  });
  await it.edge.open('widget', { control: 'paused', challenge: 'turnstile' });
  await it.page.goto(`${it.edge.url}/e/widget`);
  await it.page.waitForFunction(() => /has trouble/.test(document.getElementById('challenge-lead').textContent));
  await it.inState('waiting');
  assert.deepEqual(asked, ['https://challenges.cloudflare.com/turnstile/v0/api.js?render=explicit']);
  assert.equal(await it.page.textContent('#widget'), '', 'the widget is taken away');
});

test('an account room leads through the login, and gives the same place on a second device', async () => {
  await it.edge.open('mine', { control: 'paused', identity: 'account' });
  // Somebody is first in line.
  await it.edge.join('mine', { headers: { cookie: '__Host-login=22222222-2222-4222-8222-222222222222' } });
  await it.page.goto(`${it.edge.url}/e/mine`);
  await it.visible('#login-links a');
  assert.match(await it.page.innerText('#new-lead'), /one place to each account/);
  await it.page.click('#login-links a');
  await it.inState('waiting');
  const number = await it.numbered();
  const device = await openBrowser();
  try {
    const [other] = device.context.pages();
    await other.goto(`${it.edge.url}/e/mine`);
    await other.click('#login-links a');
    await it.inState('waiting', other);
    assert.equal(await it.numbered(other), number);
  } finally {
    await device.close();
  }
});

test('a refresh, a closed tab and a restart of workerd keep the place', async () => {
  await it.edge.open('kept', { control: 'paused' });
  await it.edge.join('kept');
  await it.page.goto(`${it.edge.url}/e/kept`);
  const number = await it.numbered();
  await it.page.reload();
  assert.equal(await it.numbered(), number, 'a refresh');
  await it.newPage();
  await it.page.goto(`${it.edge.url}/e/kept`);
  assert.equal(await it.numbered(), number, 'a closed tab');
  await it.edge.kill();
  await it.visible('#offline');
  await it.edge.start();
  await it.page.waitForSelector('#offline', { state: 'hidden' });
  assert.equal(await it.numbered(), number, 'a restart');
  await it.inState('waiting');
});

test('a link with a lane pass leads into the priority line, and the page says so', async () => {
  await it.edge.open('lanes', { control: 'paused', lanes: [{ lane: 'priority', share_percent: 30 }] });
  for (let i = 0; i < 5; i += 1) await it.edge.join('lanes');
  await it.page.goto(`${it.edge.url}/e/lanes?lane_token=${lanePass('lanes', 'priority')}`);
  await it.inState('waiting');
  assert.equal(await it.numbered(), '1', 'the first of its lane');
  await it.reads('lane', /priority line/);
  assert.equal(new URL(it.page.url()).search, '', 'the pass is gone from the address');
  await it.newPage();
  await it.browser.context.clearCookies();
  await it.go('lanes');
  await it.inState('waiting');
  assert.equal(await it.numbered(), '6');
  assert.equal(await it.page.isVisible('#lane'), false);
});
