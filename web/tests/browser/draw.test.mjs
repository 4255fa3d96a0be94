// The draw, checked by the visitor's own browser: in the waiting room, and on the page for any record.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { root, snap } from './chromium.mjs';
import { fixture } from './fixture.mjs';

const it = fixture();

/** A lobby with others in it; ends when the room has drawn, paused, so that nobody is called away. */
async function drawn(room) {
  const opens = new Date(Date.now() + 6_000).toISOString();
  const settings = { method: 'draw', control: 'scheduled', opens_at: opens, rate_per_minute: 1 };
  await it.edge.open(room, settings);
  await Promise.all(Array.from({ length: 30 }, () => it.edge.join(room)));
  await it.go(room);
  await it.inState('lobby');
  await it.page.waitForFunction(() => /^[0-9a-f]{64}$/.test(document.getElementById('seal').textContent));
  await it.visible('#check-draw');
}

test('before the draw the seal is shown and kept; after it the check says that all is right', async () => {
  await drawn('right');
  const sealed = await it.page.evaluate(() => JSON.parse(localStorage.getItem('draw:right')));
  const record = (await it.edge.json('/queue/v1/right/draw')).body;
  assert.equal(sealed.commitment, record.commitment);
  assert.equal(sealed.secret, undefined, 'kept from before the draw');
  await it.page.click('#check-draw');
  await it.visible('#draw-verdict[data-verdict="true"]');
  const verdict = await it.page.innerText('#draw-verdict');
  const place = await it.page.evaluate(async () => (await fetch('/queue/v1/right/place')).json());
  assert.match(verdict, /same seal that this browser kept/);
  assert.match(verdict, new RegExp(`All ${record.count} places were computed again`));
  assert.match(verdict, new RegExp(`Number ${place.number} drew position ${place.position}\\.`));
  await snap(it.page, 'draw-checked');
});

test('a tampered record is told from the true one, with the reason', async () => {
  await drawn('tampered');
  const tamper = async (change) => {
    await it.page.unroute('**/draw');
    await it.page.route('**/draw', async (route) => {
      const record = await (await route.fetch()).json();
      await route.fulfill({ json: { ...record, ...change(record) } });
    });
    await it.page.click('#check-draw');
    await it.visible('#draw-verdict[data-verdict="false"]');
    return it.page.innerText('#draw-verdict');
  };
  const flip = (hex) => (hex.startsWith('0') ? '1' : '0') + hex.slice(1);
  assert.match(await tamper(({ secret }) => ({ secret: flip(secret) })), /secret is not the one committed to/);
  // Another secret with a commitment to match: it holds by itself, but is not what was sealed.
  const { record } = JSON.parse(await readFile(`${root}domain/tests/vectors/draw.json`))[0];
  const other = { secret: record.secret, commitment: record.commitment };
  assert.match(await tamper(() => other), /contradicts one published earlier/);
  assert.match(await tamper(() => ({ algorithm: 'trust-us-v1' })), /not right/);
  await snap(it.page, 'draw-tampered');
});

test('a room that says another position than the one drawn is found out', async () => {
  await drawn('liar');
  await it.page.route('**/place', async (route) => {
    const place = await (await route.fetch()).json();
    await route.fulfill({ json: { ...place, position: place.position + 1 } });
  });
  await it.page.reload();
  await it.visible('#check-draw');
  await it.page.click('#check-draw');
  await it.visible('#draw-verdict[data-verdict="false"]');
  assert.match(await it.page.innerText('#draw-verdict'), /The draw is not kept: it gives you position \d+, and the room says \d+/);
});

test('anybody can load or paste a record and check it', async () => {
  const vectors = JSON.parse(await readFile(`${root}domain/tests/vectors/draw.json`));
  const { record, numbers, positions } = vectors.find((vector) => vector.record.count > 100);
  await it.page.goto(`${it.edge.url}/verify`);
  await it.page.fill('#record', JSON.stringify(record));
  await it.page.fill('#number', String(numbers[1]));
  await it.page.click('#check-draw');
  await it.visible('#draw-verdict[data-verdict]');
  const format = (n) => new Intl.NumberFormat('en-GB').format(n);
  assert.match(await it.page.innerText('#draw-verdict'),
    new RegExp(`Number ${format(numbers[1])} drew position ${format(positions[1])}`));
  await snap(it.page, 'verify');
  for (const [text, reason] of [
    [JSON.stringify({ ...record, secret: '00'.repeat(32) }), /secret is not the one committed to/],
    ['not a record', /not right/],
    [JSON.stringify({ ...record, extra: 1 }), /not right/],
  ]) {
    await it.page.fill('#record', text);
    await it.page.click('#check-draw');
    await it.visible('#draw-verdict[data-verdict="false"]');
    assert.match(await it.page.innerText('#draw-verdict'), reason);
  }
  const opens = new Date(Date.now() + 600_000).toISOString();
  await it.edge.open('sealed', { method: 'draw', control: 'scheduled', opens_at: opens });
  await it.page.goto(`${it.edge.url}/verify?room=sealed`);
  await it.page.waitForFunction(() => document.getElementById('record').value.includes('commitment'));
  await it.page.click('#check-draw');
  await it.reads('draw-verdict', /Too early to say/);
  await it.edge.open('none');
  await it.page.fill('#room', 'none');
  await it.page.click('#load button');
  await it.reads('load-status', /no draw/);
});

test('a million places are checked in seconds, without blocking the page', async (t) => {
  const { record } = JSON.parse(await readFile(`${root}domain/tests/vectors/draw.json`))[0];
  await it.page.goto(`${it.edge.url}/verify`);
  await it.page.fill('#record', JSON.stringify({ ...record, count: 1_000_000 }));
  const begun = Date.now();
  await it.page.click('#check-draw');
  await it.visible('#draw-verdict[data-verdict="true"]');
  t.diagnostic(`a million places: ${Date.now() - begun} ms`);
  assert.ok(Date.now() - begun < 10_000);
  assert.match(await it.page.innerText('#draw-verdict'), /All 1,000,000 places/);
});
