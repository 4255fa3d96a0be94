// What a room does, on the page of those who wait: opening, pausing, closing, selling out, breaking down.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Faults } from '../../../edge/tests/harness.mjs';
import { POLL_LOW_MS_MAX, hasHeard, openBrowser, watchPolls } from './chromium.mjs';
import { fixture } from './fixture.mjs';

const it = fixture(() => ({}), () => Faults.start());
/** Requests of the page to the waiting room, by what they ask. */
const counting = () => {
  const seen = { join: 0, place: 0, claim: 0, status: 0 };
  it.page.on('request', (request) => {
    const what = request.url().split('/').pop();
    if (request.url().includes('/queue/v1/') && what in seen) seen[what] += 1;
  });
  return seen;
};

test('a scheduled room: countdown in the lobby, and in by oneself when it opens', async () => {
  const opens = new Date(Date.now() + 8_000).toISOString();
  await it.edge.open('soon', { control: 'scheduled', opens_at: opens });
  await it.go('soon');
  await it.inState('lobby');
  await it.reads('opens-in', /^0:0\d$/);
  assert.match(await it.page.innerText('.opens'), /Opens/);
  await it.page.waitForSelector('body.page-shop');
});

test('pausing and closing are shown, and the place is kept through both', async () => {
  await it.edge.open('stop', { rate_per_minute: 1 });
  for (let i = 0; i < 50; i += 1) await it.edge.join('stop');
  await it.go('stop');
  await it.inState('waiting');
  const number = await it.numbered();
  await it.reads('eta', /minute|hour/);
  await it.edge.open('stop', { version: 2, control: 'paused', rate_per_minute: 1 });
  await it.glancing(it.visible('#paused'));
  await it.edge.open('stop', { version: 3, control: 'closed', rate_per_minute: 1, message: 'At noon.' });
  await it.glancing(it.inState('closed'));
  await it.reads('message-text', /At noon/);
  await it.edge.open('stop', { version: 4, rate_per_minute: 1 });
  await it.glancing(it.inState('waiting'));
  assert.equal(await it.page.innerText('#number'), number);
  assert.equal(await it.page.isVisible('#paused'), false);
});

test('the estimate on display only shrinks, while the line slows down and picks up again', async () => {
  const upper = () => it.page.evaluate(() => {
    const text = document.getElementById('eta').textContent;
    const numbers = [...text.matchAll(/[\d.]+/g)].map(([n]) => Number(n) * (/hour/.test(text) ? 60 : 1));
    return numbers.length === 0 ? (/less/.test(text) ? 1 : null) : Math.max(...numbers);
  });
  await it.edge.open('slow', { rate_per_minute: 6 });
  await Promise.all(Array.from({ length: 400 }, () => it.edge.join('slow')));
  await it.go('slow');
  await it.reads('eta', /minute|hour/);
  const seen = [await upper()];
  for (const [version, rate] of [[2, 1], [3, 20], [4, 3], [5, 30]]) {
    await it.edge.open('slow', { version, rate_per_minute: rate });
    await it.page.waitForTimeout(1_000);
    await it.glancing(it.page.waitForResponse((response) => response.url().endsWith('/place')));
    await it.page.waitForTimeout(50);
    const now = await upper();
    if (now !== null) seen.push(now);
  }
  assert.ok(seen.length >= 3, `${seen}`);
  assert.ok(seen.every((value, at) => at === 0 || value <= seen[at - 1]), `${seen}`);
});

test('a place that lapsed rejoins at the back by one press', async () => {
  await it.edge.open('late', { control: 'paused', claim_window_seconds: 5 });
  await it.go('late');
  const number = Number(await it.numbered());
  // Nobody looks at the page while the number is called; others come in meanwhile.
  await it.page.goto('about:blank');
  await it.edge.open('late', { version: 2, claim_window_seconds: 5 });
  for (let waited = 0, lapsed = 0; lapsed < number; waited += 1) {
    assert.ok(waited < 60, 'the place never lapsed');
    await new Promise((resolve) => setTimeout(resolve, 250));
    ({ lapsed } = (await it.edge.json('/queue/v1/late/status')).body);
  }
  await it.edge.open('late', { version: 3, control: 'paused', claim_window_seconds: 5 });
  await it.edge.join('late');
  await it.go('late');
  await it.inState('lapsed');
  await it.page.click('#rejoin');
  await it.inState('waiting');
  assert.ok(Number(await it.numbered()) > number + 1, 'at the back');
});

test('a place given up is gone, and joining again leads to the end of the line', async () => {
  await it.edge.open('leave', { control: 'paused' });
  await it.go('leave');
  const number = Number(await it.numbered());
  await it.edge.join('leave');
  await it.page.click('[data-leave]');
  await it.inState('new');
  await it.reads('new-lead', /left the line/);
  await it.page.reload();
  await it.visible('#join');
  await it.page.click('#join');
  await it.inState('waiting');
  assert.ok(Number(await it.numbered()) > number + 1);
});

test('the last seat: everyone waiting sees it within five seconds, and it costs few polls', async (t) => {
  const settings = { rate_per_minute: 1 };
  await it.edge.open('last', settings);
  for (let i = 0; i < 300; i += 1) await it.edge.join('last');
  const others = await Promise.all([openBrowser(), openBrowser()]);
  try {
    const pages = [it.page, ...others.map(({ context }) => context.pages()[0])];
    for (const page of pages) {
      await page.goto(`${it.edge.url}/e/last`);
      await it.inState('waiting', page);
      await it.numbered(page);
    }
    await it.edge.open('last', { ...settings, version: 2, selling_out: true });
    // The word that it may be soon comes half a minute ahead: at the latest with a usual poll.
    await Promise.all(pages.map((page) => it.glancing(hasHeard(page), page)));
    const polls = counting();
    const told = pages.map(watchPolls);
    const watched = Date.now();
    await it.page.waitForTimeout(6_000);
    await it.edge.open('last', { ...settings, version: 3, selling_out: true, sold_out: true });
    const sold = Date.now();
    const took = await Promise.all(pages.map(async (page) => {
      await it.inState('sold_out', page);
      return Date.now() - sold;
    }));
    t.diagnostic(`sold out after ${took.map((ms) => `${ms} ms`).join(', ')}; `
      + `${polls.place} polls of one page in ${Date.now() - watched} ms`);
    // Seconds on the clock are the machine's. How often a page asks is ours.
    for (const waits of told) assert.ok(waits.every((ms) => ms <= POLL_LOW_MS_MAX), `told to wait ${waits} ms`);
    const seconds = (Date.now() - watched) / 1000;
    assert.ok(polls.place <= seconds / 2 + 2, `${polls.place} polls in ${seconds} s`);
    assert.equal(polls.join, 0);
  } finally {
    await Promise.all(others.map((browser) => browser.close()));
  }
});

test('the room out of reach: the page holds the place, asks seldom, and goes on when it is back', async () => {
  await it.edge.open('gone', { control: 'paused' });
  await it.edge.join('gone');
  await it.go('gone');
  const number = await it.numbered();
  it.faults.now = { Room: 'throw', Dispenser: 'throw' };
  await it.visible('#offline');
  assert.equal(await it.page.innerText('#number'), number);
  // A reload shows a page that holds the place: nothing but the number is known.
  await it.page.reload();
  await it.inState('unavailable');
  assert.match(await it.page.innerText('main h1:visible'), /One moment/);
  assert.equal(await it.page.innerText('#number'), number);
  const asked = counting();
  await it.page.waitForTimeout(8_000);
  const total = asked.join + asked.place + asked.claim;
  assert.ok(total >= 1 && total <= 4, `${JSON.stringify(asked)} in 8 s`);
  it.faults.now = { Room: 'none', Dispenser: 'none' };
  await it.inState('waiting');
  assert.equal(await it.numbered(), number);
});

test('the core away: those waiting notice nothing', async () => {
  await it.edge.open('core', { control: 'paused' });
  await it.go('core');
  await it.inState('waiting');
  const number = await it.numbered();
  it.core.stop();
  await it.page.reload();
  await it.page.waitForResponse((response) => response.url().endsWith('/place') && response.ok());
  assert.equal(await it.page.innerText('#number'), number);
  assert.equal(await it.page.isVisible('#offline'), false);
});
