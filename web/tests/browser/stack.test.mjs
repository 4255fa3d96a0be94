// Rooms as an operator sets them, on the running stack: what the waiting page makes of it.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { before, test } from 'node:test';
import { Visitor, pay, until } from '../../../tests/e2e/client.mjs';
import { POLL_LOW_MS_MAX, hasHeard, openBrowser, snap, watchErrors, watchPolls } from './chromium.mjs';
import { operator, runningStack } from './operator.mjs';

/** The room polls at most every 20 s; with the way in, that is the longest anything here takes. */
const PATIENCE = { timeout: 45_000 };
let edge;
let admin;
before(async () => {
  ({ edge } = runningStack());
  admin = await operator(edge);
});

/** Runs a test with a browser for each device. */
async function withDevices(count, work) {
  const browsers = await Promise.all(Array.from({ length: count }, () => openBrowser()));
  const pages = browsers.map(({ context }) => context.pages()[0]);
  const errors = pages.map(watchErrors);
  try {
    await work(...pages);
    assert.deepEqual(errors.flat(), [], 'script errors or content security policy breaches');
  } catch (error) {
    await Promise.all(pages.map((page, at) => snap(page, `failed-${Date.now()}-${at}`).catch(() => undefined)));
    throw error;
  } finally {
    await Promise.all(browsers.map((browser) => browser.close()));
  }
}

const inState = (page, name) => page.waitForSelector(`body[data-state="${name}"]`, PATIENCE);
const numbered = async (page) => {
  await page.waitForFunction(() => /^\d/.test(document.getElementById('number').textContent), undefined, PATIENCE);
  return page.innerText('#number');
};

async function logIn(page, email) {
  await page.waitForSelector('#login-links a', { state: 'visible', ...PATIENCE });
  await page.click('#login-links a');
  await page.fill('input[name="email"]', email);
  await page.press('input[name="email"]', 'Enter');
}

test('an account room with work to do: login, work, a place; the same on a second device and after kill -9', async () => {
  const event = await admin.event('account', { identity: 'account', challenge: 'proof_of_work' });
  await admin.room(event, 'open');
  await admin.room(event, 'pause');
  // Somebody else is first: a second number would show.
  await withDevices(3, async (first, phone, laptop) => {
    for (const [page, who] of [[first, 'first'], [phone, 'ana'], [laptop, 'ana']]) {
      await page.goto(`${edge}/e/${event}`);
      await logIn(page, `${who}-${event}@example.com`);
      await inState(page, 'waiting');
    }
    const number = await numbered(phone);
    assert.equal(await numbered(laptop), number);
    assert.notEqual(await numbered(first), number);
    const run = runningStack();
    process.kill(run.pids.edge, 'SIGKILL');
    await until('the edge to be restarted', async () => {
      const text = await readFile(process.env.CATRACA_RUN_JSON ?? '.local/run.json', 'utf8');
      return JSON.parse(text).pids.edge === run.pids.edge ? undefined : true;
    });
    await until('the edge to answer', async () => {
      const answer = await fetch(`${edge}/queue/v1/${event}/status`).catch(() => null);
      return answer?.ok ? true : undefined;
    });
    await phone.reload();
    assert.equal(await numbered(phone), number);
    await inState(phone, 'waiting');
    assert.equal(await numbered(laptop), number);
  });
});

test('the last seat is sold: those waiting see it within five seconds, polls counted', async (t) => {
  const event = await admin.event('last', { rate_per_minute: 1, max_active: 1 }, 'section,kind,row,seat,capacity,price_minor,x,y\nLawn,general,,,4,8000,,\n');
  await admin.room(event, 'open');
  const buyer = await new Visitor(edge).login(`buyer-${event}@example.com`);
  await buyer.admit(event, 90_000);
  await withDevices(2, async (...pages) => {
    const polls = pages.map(() => 0);
    for (const [at, page] of pages.entries()) {
      page.on('request', (request) => {
        if (request.url().endsWith('/place')) polls[at] += 1;
      });
      await page.goto(`${edge}/e/${event}`);
      await inState(page, 'waiting');
    }
    const hold = await buyer.post('/api/v1/holds', { event, section: 'Lawn', quantity: 4 });
    assert.equal(hold.status, 201, JSON.stringify(hold.data));
    const order = await buyer.post('/api/v1/orders', { hold: hold.data.hold, provider: 'card' });
    // By now the core has told that the end is near, and every page has heard of it.
    await until('the end to be near', async () => {
      const status = await buyer.get(`/queue/v1/${event}/status`);
      return status.data.stock === 'low' ? true : undefined;
    });
    await Promise.all(pages.map((page) => hasHeard(page, PATIENCE)));
    const told = pages.map(watchPolls);
    const counted = [...polls];
    const watched = Date.now();
    await pay(buyer, order.data.order, 'approve');
    await until('the order to be paid', async () => {
      const { data } = await buyer.get(`/api/v1/orders/${order.data.order}`);
      return data.status === 'paid' ? true : undefined;
    });
    const sold = Date.now();
    const took = await Promise.all(pages.map(async (page) => {
      await inState(page, 'sold_out');
      return Date.now() - sold;
    }));
    const seconds = (Date.now() - watched) / 1000;
    const made = polls.map((count, at) => count - counted[at]);
    t.diagnostic(`seen after ${took.join(' and ')} ms; ${made.join(' and ')} polls in ${seconds.toFixed(1)} s`);
    for (const waits of told) assert.ok(waits.every((ms) => ms <= POLL_LOW_MS_MAX), `told to wait ${waits} ms`);
    for (const count of made) assert.ok(count <= seconds / 2 + 2, `${count} polls in ${seconds} s`);
  });
});
