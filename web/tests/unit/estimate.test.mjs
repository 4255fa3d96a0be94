import assert from 'node:assert/strict';
import test from 'node:test';
import { source } from '../source.mjs';

const { nextEstimate, describe } = await source('estimate');

test('the first estimate is shown as told', () => {
  assert.deepEqual(nextEstimate(null, { low: 60, high: 120 }), { low: 60, high: 120 });
});

test('an estimate never grows, whatever the room says', () => {
  let seed = 7;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  let shown = null;
  for (let step = 0; step < 500; step += 1) {
    const low = random() * 3600;
    const next = nextEstimate(shown, { low, high: low + random() * 3600 });
    assert.ok(next.low <= next.high);
    if (shown !== null) {
      assert.ok(next.low <= shown.low && next.high <= shown.high, `grew at ${step}`);
    }
    shown = next;
  }
});

test('an estimate shrinks when the room says so', () => {
  assert.deepEqual(nextEstimate({ low: 60, high: 120 }, { low: 20, high: 40 }), { low: 20, high: 40 });
});

test('an interval in words', () => {
  const cases = [
    [0, 30, 'less than a minute'], [0, 60, 'up to 1 minute'], [30, 170, 'up to 3 minutes'],
    [240, 420, '4 to 7 minutes'], [300, 300, 'about 5 minutes'], [7200, 10800, '2 to 3 hours'],
    [9000, 9100, 'about 2.5 hours'],
  ];
  for (const [low, high, words] of cases) assert.equal(describe({ low, high }), words);
});
