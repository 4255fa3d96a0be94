// The wasm that visitors get, against the domain's frozen vectors. Build it first: scripts/build-verify.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { contradiction, initSync, solve_challenge, verify_draw } from '../build/verify.js';

const read = (path) => readFile(new URL(path, import.meta.url));
const vectors = async (name) => JSON.parse(await read(`../../domain/tests/vectors/${name}.json`));

initSync({ module: await read('../build/verify_bg.wasm') });

const check = (record, number) => JSON.parse(verify_draw(JSON.stringify(record), number));

test('the same positions as in the frozen vectors', async () => {
  for (const { record, numbers, positions } of await vectors('draw')) {
    for (const [at, number] of numbers.entries()) {
      assert.deepEqual(check(record, number), {
        verdict: 'true', count: record.count, number, position: positions[at], drawn: number <= record.count,
      });
    }
  }
});

test('a false record, an early one, and numbers that are none', async () => {
  const { record } = (await vectors('draw'))[2];
  const { secret, ...frozen } = { ...record, beacon: { source: record.beacon.source } };
  assert.equal(check(frozen, 1).verdict, 'early');
  assert.equal(check({ ...record, secret: '00'.repeat(32) }, 1).verdict, 'false');
  assert.equal(check({}, 1).verdict, 'false');
  for (const number of [0, -1, 1.5, NaN, Infinity, 2 ** 53]) {
    assert.equal(check(record, number).verdict, 'false', String(number));
  }
  assert.equal(contradiction(JSON.stringify(record), JSON.stringify(frozen)), '');
  const other = { ...frozen, commitment: secret };
  assert.notEqual(contradiction(JSON.stringify(record), JSON.stringify(other)), '');
});

test('challenges are solved as in the frozen vectors', async (t) => {
  for (const { puzzle, solution } of (await vectors('challenge')).cases) {
    assert.equal(solve_challenge(puzzle, 2 ** 24), solution);
    assert.equal(solve_challenge(puzzle, 10), undefined);
  }
  assert.equal(solve_challenge('c1.x', 10), undefined);
  // How fast: a puzzle far too hard for what it is given.
  const parts = (await vectors('challenge')).cases[0].puzzle.split('.');
  const payload = Buffer.from(parts[2], 'base64url');
  payload[0] = 22;
  parts[2] = payload.toString('base64url');
  const start = performance.now();
  assert.equal(solve_challenge(parts.join('.'), 1_000_000), undefined);
  t.diagnostic(`a million hashes: ${(performance.now() - start).toFixed(0)} ms`);
});
