import assert from 'node:assert/strict';
import test from 'node:test';
import { source } from '../source.mjs';

const { backoffMs, jitterMs } = await source('backoff');

test('retries come ever later, up to a bound', () => {
  const longest = Array.from({ length: 40 }, (_, attempt) => backoffMs(attempt, () => 1));
  assert.equal(longest[0], 500);
  for (let i = 1; i < longest.length; i += 1) assert.ok(longest[i] >= longest[i - 1]);
  assert.equal(longest.at(-1), 15_000);
});

test('a crowd that failed together is spread over half the delay', () => {
  assert.equal(backoffMs(3, () => 0), 2000);
  assert.equal(backoffMs(3, () => 1), 4000);
});

test('polling is spread by a fifth and never sooner than asked', () => {
  assert.equal(jitterMs(1000, () => 0), 1000);
  assert.equal(jitterMs(1000, () => 1), 1200);
});
